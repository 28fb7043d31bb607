// After every start: did this replica forget votes that it has signed?
//
// A machine may come back from an old copy of its disk and cannot tell by itself. So it asks the
// others for the latest vote of its own that they can show (design 7), and votes on nothing until
// 2F of them have answered. A vote with a counter above its own durable one proves that it is
// behind; a bare number counts for nothing, so a liar can keep nobody silent.
//
// One that is behind stays silent, in view changes too, until a stable checkpoint at or above every
// number that it may have voted on. Let c be the newest stable checkpoint that any answer proves.
// Whatever was forgotten is at most c + 2L: it was at most L above a checkpoint that 2F+1 replicas
// had signed; one correct signer is among the 2F who answered, since they are at least F+1 correct
// ones of 3F, and has executed no more than L beyond its own stable checkpoint. Below a stable
// checkpoint nobody votes and no view change speaks, so nothing forgotten can be contradicted.
//
// Differs from [CL99], which has no recovery; and design 7 also speaks of views: the bound on
// numbers covers all views, and waiting for a new view would keep a mended replica silent for as
// long as all is well.
#pragma once

#include <map>

#include "pbft/messages.h"

namespace rosebud::pbft {

class Recovery {
 public:
  struct Verdict {
    /// Vote on nothing until a stable checkpoint reaches this; 0: nothing was forgotten.
    SequenceNumber silent_until;
    /// At least as high as any vote that was ever signed.
    VoteCounter counter;
  };
  /// How far counters jump when votes were forgotten that nobody showed: more than are signed in
  /// a window.
  static constexpr std::uint64_t kCounterJump = std::uint64_t{1} << 20;

  Recovery(ReplicaId self, std::size_t answers_needed, std::uint64_t nonce)
      : self_(self), answers_needed_(answers_needed), nonce_(nonce) {}

  std::uint64_t nonce() const { return nonce_; }
  /// Answers to other questions, and votes of others, are dropped. Requires: verified.
  void on_answer(ReplicaId from, const RecoveryAnswer& answer) {
    if (answer.nonce != nonce_ || from == self_) return;
    if (answer.latest && answer.latest->replica != self_) return;
    Shown& shown = answers_[from];
    shown = {};
    if (answer.latest) shown.counter = answer.latest->counter;
    if (answer.stable) shown.stable = answer.stable->number;
  }
  bool has_enough() const { return answers_.size() >= answers_needed_; }
  bool has_answered(ReplicaId replica) const { return answers_.contains(replica); }

  /// Requires: has_enough(). `counter`: the own durable one; `stable`: the own low water mark.
  Verdict verdict(VoteCounter counter, SequenceNumber stable, std::uint64_t window) const {
    Shown highest{.counter = counter, .stable = stable};
    for (const auto& [replica, shown] : answers_) {
      highest.counter = std::max(highest.counter, shown.counter);
      highest.stable = std::max(highest.stable, shown.stable);
    }
    if (highest.counter == counter || is_planted(Bug::kRolledBackVotes)) {
      return {.counter = highest.counter};
    }
    return {.silent_until = SequenceNumber(highest.stable.value + 2 * window),
            .counter = VoteCounter(highest.counter.value + kCounterJump)};
  }

 private:
  struct Shown {
    VoteCounter counter;
    SequenceNumber stable;
  };
  ReplicaId self_;
  std::size_t answers_needed_;
  std::uint64_t nonce_;
  std::map<ReplicaId, Shown> answers_;
};

}  // namespace rosebud::pbft
