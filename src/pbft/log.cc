#include "pbft/log.h"

#include <algorithm>
#include <utility>

namespace rosebud::pbft {
namespace {

/// 2F+1 equal votes among those of one kind.
std::optional<Certificate> certificate_among(VoteKind kind,
                                             const std::vector<std::optional<Vote>>& votes,
                                             const Group& group) {
  for (const auto& candidate : votes) {
    if (!candidate) continue;
    std::vector<Vote> equal;
    for (const auto& other : votes) {
      if (other && other->view == candidate->view &&
          (other->digest == candidate->digest || is_planted(Bug::kDigestsNotCompared))) {
        equal.push_back(*other);
      }
    }
    if (auto certificate = make_certificate(kind, equal, group)) {
      certificate->digest = candidate->digest;
      return certificate;
    }
  }
  return std::nullopt;
}

}  // namespace

BatchPointer Slot::find_batch(const crypto::Digest& digest) const {
  if (proposal && proposal->batch && proposal->batch->digest() == digest) return proposal->batch;
  for (const auto* proof : {&prepared, &committed}) {
    if (*proof && (*proof)->batch && (*proof)->batch->digest() == digest) return (*proof)->batch;
  }
  if (is_planted(Bug::kUnpreparedForgotten)) return nullptr;
  const auto at = std::ranges::find(
      stored, digest, [](const BatchPointer& one) -> const auto& { return one->digest(); });
  return at == stored.end() ? nullptr : *at;
}

const Vote* Slot::find_vote(VoteKind kind, ReplicaId replica) const {
  const auto of = [&](const std::vector<std::optional<Vote>>& votes) {
    const std::optional<Vote>& one = votes[replica.value];
    return one ? &*one : nullptr;
  };
  switch (kind) {
    case VoteKind::kPrePrepare:
      return proposal && proposal->vote.replica == replica ? &proposal->vote : nullptr;
    case VoteKind::kPrepare:
      return of(prepares);
    case VoteKind::kCommit:
      return of(commits);
    case VoteKind::kCheckpoint:
      return of(checkpoints);
    case VoteKind::kViewChange:
    case VoteKind::kNewView:
      break;
  }
  return nullptr;
}

Log::Log(std::shared_ptr<const Group> group, std::uint64_t window)
    : group_(std::move(group)), window_(window) {}

const Slot* Log::find(SequenceNumber number) const {
  if (number <= low_ || number > last()) return nullptr;
  return &slots_[number.value - low_.value - 1];
}

Slot* Log::find(SequenceNumber number) {
  return const_cast<Slot*>(std::as_const(*this).find(number));
}

Slot* Log::open(SequenceNumber number) {
  const bool is_inside_window = is_planted(Bug::kWaterMarksIgnored)
                                    ? number > low_ && number.value <= low_.value + 64 * window_
                                    : is_inside(number);
  if (!is_inside_window) return nullptr;
  while (last() < number) {
    Slot& slot = slots_.emplace_back();
    slot.prepares.resize(group_->seat_count());
    slot.commits.resize(group_->seat_count());
    slot.checkpoints.resize(group_->seat_count());
  }
  return &slots_[number.value - low_.value - 1];
}

void Log::advance(SequenceNumber stable) {
  CHECK(stable >= low_);
  const std::uint64_t passed = std::min<std::uint64_t>(stable.value - low_.value, slots_.size());
  slots_.erase(slots_.begin(), slots_.begin() + static_cast<std::ptrdiff_t>(passed));
  low_ = stable;
}

std::optional<Vote> Log::add_vote(Slot& slot, const Vote& vote) {
  auto& votes = vote.kind == VoteKind::kPrepare  ? slot.prepares
                : vote.kind == VoteKind::kCommit ? slot.commits
                                                 : slot.checkpoints;
  std::optional<Vote>& kept = votes[vote.replica.value];
  if (kept && kept->view == vote.view && kept->digest != vote.digest) return kept;
  if (!kept || kept->view < vote.view) kept = vote;
  return std::nullopt;
}

std::optional<Certificate> Log::prepared_certificate(const Slot& slot) const {
  if (!slot.proposal) return std::nullopt;
  const Vote& proposal = slot.proposal->vote;
  std::vector<Vote> votes{proposal};
  for (const auto& vote : slot.prepares) {
    if (!vote) continue;
    const bool is_same_view = vote->view == proposal.view || is_planted(Bug::kOldViewVoteCounts);
    const bool is_same_digest =
        vote->digest == proposal.digest || is_planted(Bug::kDigestsNotCompared);
    if (is_same_view && is_same_digest) votes.push_back(*vote);
  }
  return make_certificate(VoteKind::kPrepare, votes, *group_);
}

std::optional<Certificate> Log::commit_certificate(const Slot& slot) const {
  return certificate_among(VoteKind::kCommit, slot.commits, *group_);
}

std::optional<Certificate> Log::checkpoint_certificate(const Slot& slot) const {
  return certificate_among(VoteKind::kCheckpoint, slot.checkpoints, *group_);
}

}  // namespace rosebud::pbft
