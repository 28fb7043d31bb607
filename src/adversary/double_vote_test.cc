// What a replica that votes twice sends is what evidence is made of.
#include "adversary/double_vote.h"

#include <gtest/gtest.h>

#include "pbft/evidence.h"
#include "pbft/messages.h"

namespace rosebud::adversary {
namespace {

const crypto::SignatureScheme& scheme = crypto::ed25519();

pbft::Message ballot(pbft::VoteKind kind, const pbft::Group& group, const crypto::SecretKey& key) {
  pbft::Ballot out{.vote = {.kind = kind,
                            .view = pbft::View(1),
                            .number = pbft::SequenceNumber(3),
                            .counter = pbft::VoteCounter(9)}};
  out.vote.digest.bytes[0] = 7;
  out.vote.signature = scheme.sign(key, pbft::Vote::kTag, out.vote.statement(group.instance()));
  return out;
}

TEST(DoubleVote, APrepareOrCommitAndItsOther_AreEvidence) {
  const auto key = crypto::SecretKey::generate();
  const pbft::Group group({}, {key.public_key()});
  for (const auto kind : {pbft::VoteKind::kPrepare, pbft::VoteKind::kCommit}) {
    const pbft::Message first = ballot(kind, group, key);
    const auto other = other_vote(group.instance(), key, scheme, pbft::encode(first));
    ASSERT_TRUE(other);
    const auto second = pbft::decode(group.instance(), *other);
    ASSERT_TRUE(second);
    EXPECT_TRUE(is_valid({std::get<pbft::Ballot>(first).vote, std::get<pbft::Ballot>(*second).vote},
                         group, scheme));
  }
}

TEST(DoubleVote, OtherMessages_HaveNone) {
  const auto key = crypto::SecretKey::generate();
  const pbft::Group group({}, {key.public_key()});
  EXPECT_FALSE(other_vote(group.instance(), key, scheme,
                          pbft::encode(ballot(pbft::VoteKind::kCheckpoint, group, key))));
  EXPECT_FALSE(other_vote(group.instance(), key, scheme, pbft::encode(pbft::FetchBatch{})));
  EXPECT_FALSE(other_vote(group.instance(), key, scheme, Bytes{1, 2, 3}));
}

}  // namespace
}  // namespace rosebud::adversary
