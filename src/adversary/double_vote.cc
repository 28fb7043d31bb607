#include "adversary/double_vote.h"

#include "pbft/messages.h"

namespace rosebud::adversary {

std::optional<Buffer> other_vote(const pbft::InstanceId& instance, const crypto::SecretKey& key,
                                 const crypto::SignatureScheme& scheme, ByteView message) {
  auto decoded = pbft::decode(instance, message);
  auto* ballot = decoded ? std::get_if<pbft::Ballot>(&*decoded) : nullptr;
  if (!ballot) return std::nullopt;
  pbft::Vote& vote = ballot->vote;
  if (vote.kind != pbft::VoteKind::kPrepare && vote.kind != pbft::VoteKind::kCommit)
    return std::nullopt;
  vote.digest = crypto::tagged_hash("rosebud other vote", vote.digest.view());
  vote.signature = scheme.sign(key, pbft::Vote::kTag, vote.statement(instance));
  return Buffer(pbft::encode(*decoded));
}

}  // namespace rosebud::adversary
