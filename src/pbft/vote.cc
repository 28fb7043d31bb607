#include "pbft/vote.h"

#include <algorithm>

namespace rosebud::pbft {
namespace {

/// More seats than any group has: a bound for what is decoded.
constexpr std::size_t kEndorsementsMax = 1024;

void write_fields(wire::Writer& out, const Vote& vote) {
  out.u8(static_cast<std::uint8_t>(vote.kind))
      .u64(vote.view.value)
      .u64(vote.number.value)
      .raw(vote.digest.view())
      .u16(vote.replica.value)
      .u64(vote.counter.value);
}

VoteKind read_kind(wire::Reader& in) {
  const std::uint8_t kind = in.u8();
  if (kind < 1 || kind > kVoteKindMax) in.fail();
  return static_cast<VoteKind>(kind);
}

}  // namespace

std::string_view name_of(VoteKind kind) {
  switch (kind) {
    case VoteKind::kPrePrepare:
      return "pre-prepare";
    case VoteKind::kPrepare:
      return "prepare";
    case VoteKind::kCommit:
      return "commit";
    case VoteKind::kCheckpoint:
      return "checkpoint";
    case VoteKind::kViewChange:
      return "view-change";
    case VoteKind::kNewView:
      return "new-view";
  }
  return "unknown";
}

Bytes Vote::statement(const InstanceId& instance) const {
  wire::Writer out;
  out.raw(instance.view());
  write_fields(out, *this);
  return out.take();
}

void write(wire::Writer& out, const Vote& vote) {
  write_fields(out, vote);
  out.raw(vote.signature.view());
}

Vote read_vote(wire::Reader& in) {
  Vote out;
  out.kind = read_kind(in);
  out.view = View(in.u64());
  out.number = SequenceNumber(in.u64());
  out.digest = in.fixed<crypto::Digest>();
  out.replica = ReplicaId(in.u16());
  out.counter = VoteCounter(in.u64());
  out.signature = in.fixed<crypto::Signature>();
  if (out.view.value > kNumberMax || out.number.value > kNumberMax) in.fail();
  return out;
}

bool is_valid(const Vote& vote, const Group& group, const crypto::SignatureScheme& scheme) {
  if (!group.is_member(vote.replica)) return false;
  return scheme.verify(group.key_of(vote.replica), Vote::kTag, vote.statement(group.instance()),
                       vote.signature);
}

Vote Certificate::vote_of(const Endorsement& endorsement, const Group& group) const {
  const bool is_proposal =
      kind == VoteKind::kPrepare && endorsement.replica == group.primary_of(view);
  return {.kind = is_proposal ? VoteKind::kPrePrepare : kind,
          .view = view,
          .number = number,
          .digest = digest,
          .replica = endorsement.replica,
          .counter = endorsement.counter,
          .signature = endorsement.signature};
}

std::optional<Certificate> make_certificate(VoteKind kind, const std::vector<Vote>& votes,
                                            const Group& group) {
  std::size_t enough = group.quorum();
  if (kind == VoteKind::kPrepare && is_planted(Bug::kPrepareQuorumOf2f)) --enough;
  if (kind == VoteKind::kCommit && is_planted(Bug::kCommitQuorumOf2f)) --enough;
  if (kind == VoteKind::kCheckpoint && is_planted(Bug::kCheckpointAtFPlusOne))
    enough = group.weak_quorum();
  if (votes.size() < enough || votes.empty()) return std::nullopt;
  const Vote& first = votes.front();
  Certificate out{.kind = kind, .view = first.view, .number = first.number, .digest = first.digest};
  const auto endorse = [&](const Vote& vote) {
    out.endorsements.push_back({vote.replica, vote.counter, vote.signature});
  };
  const bool needs_primary = kind == VoteKind::kPrepare;
  const ReplicaId primary = group.primary_of(first.view);
  const auto proposal = std::ranges::find(votes, primary, &Vote::replica);
  if (needs_primary) {
    if (proposal == votes.end()) return std::nullopt;
    endorse(*proposal);
  }
  for (const Vote& vote : votes) {
    if (out.endorsements.size() == enough) break;
    if (!needs_primary || vote.replica != primary) endorse(vote);
  }
  std::ranges::sort(out.endorsements, {}, &Endorsement::replica);
  return out;
}

void write(wire::Writer& out, const Certificate& certificate) {
  out.u8(static_cast<std::uint8_t>(certificate.kind))
      .u64(certificate.view.value)
      .u64(certificate.number.value)
      .raw(certificate.digest.view())
      .u16(static_cast<std::uint16_t>(certificate.endorsements.size()));
  for (const Endorsement& one : certificate.endorsements) {
    out.u16(one.replica.value).u64(one.counter.value).raw(one.signature.view());
  }
}

Certificate read_certificate(wire::Reader& in) {
  Certificate out;
  out.kind = read_kind(in);
  out.view = View(in.u64());
  out.number = SequenceNumber(in.u64());
  out.digest = in.fixed<crypto::Digest>();
  if (out.view.value > kNumberMax || out.number.value > kNumberMax) in.fail();
  const std::size_t count = in.u16();
  if (count > kEndorsementsMax) in.fail();
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    Endorsement one;
    one.replica = ReplicaId(in.u16());
    one.counter = VoteCounter(in.u64());
    one.signature = in.fixed<crypto::Signature>();
    out.endorsements.push_back(one);
  }
  return out;
}

bool is_valid(const Certificate& certificate, const Group& group,
              const crypto::SignatureScheme& scheme) {
  const auto& endorsements = certificate.endorsements;
  std::size_t enough = group.quorum();
  // What a broken replica of a test build makes, its equals believe.
  if (is_planted(Bug::kPrepareQuorumOf2f) || is_planted(Bug::kCommitQuorumOf2f)) --enough;
  if (is_planted(Bug::kCheckpointAtFPlusOne)) enough = group.weak_quorum();
  if (is_planted(Bug::kPrePreparedIsPrepared) || is_planted(Bug::kDigestsNotCompared)) enough = 1;
  if (endorsements.size() < enough) return false;
  bool has_primary = certificate.kind != VoteKind::kPrepare;
  for (std::size_t i = 0; i < endorsements.size(); ++i) {
    if (i > 0 && !(endorsements[i - 1].replica < endorsements[i].replica)) return false;
    if (!group.is_member(endorsements[i].replica)) return false;
    if (endorsements[i].replica == group.primary_of(certificate.view)) has_primary = true;
    if (is_planted(Bug::kVoteSignatureNotChecked) || is_planted(Bug::kDigestsNotCompared)) continue;
    if (!is_valid(certificate.vote_of(endorsements[i], group), group, scheme)) return false;
  }
  return has_primary;
}

}  // namespace rosebud::pbft
