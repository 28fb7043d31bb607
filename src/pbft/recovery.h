// After every start: did this replica forget votes that it has signed?
//
// A machine may come back from an old copy of its disk and cannot tell by itself. So it asks the
// others for the latest vote of its own that they can show (design 7), and votes on nothing until
// 2F of them have answered. A vote with a counter above its own durable one proves that it is
// behind; a bare number counts for nothing, so a liar can keep nobody silent.
//
// It counts as one of the F faulty replicas until it votes again; so at least F+1 of those who
// answer are correct, out of 2F+1 correct others, and of any F+1 correct ones at least one answers.
//
// Numbers. One that is behind votes on nothing, view changes neither, until a stable checkpoint at
// or above every number that it may have voted on. Let c be the newest one that any answer proves.
// Whatever was forgotten is at most c + 2L: it was at most L above a checkpoint that 2F+1 replicas
// had signed; one correct signer answers, and has executed no more than L beyond its own stable
// checkpoint. Below a stable checkpoint nobody votes and no view change speaks of anything.
//
// Views. Who has signed a view change to v has left all views below v: what it voted on there later
// would be missing in a new view that its forgotten message proves. So it votes only in views above
// every one that it may have changed to. A replica goes to v when 2F+1 have reached v-1 [CL99
// §4.5.2], F+1 correct others among them, or after another correct one; one that is silent goes no
// further than F+1 others are. So a correct one that answers has reached v-1 and holds F+1 view
// changes to v-2 at least: they prove what a liar cannot, and v is at most two above (kViewsAhead).
// Primaries lead the others there when they hear of its wish (helping.cc); where too few are left
// to get there without it, the wish counts for the time-out of a view change (view_change.cc).
//
// What nobody has seen nobody can show; nobody holds it against the replica either. A gap is left:
// a vote that only such replicas saw as do not answer in time. It matters only if all forgotten
// votes are of this sort, since one that is shown brings silence about all.
//
// Differs from [CL99], which has no recovery.
#pragma once

#include <map>

#include "pbft/messages.h"
#include "pbft/reached_views.h"

namespace rosebud::pbft {

class Recovery {
 public:
  struct Verdict {
    /// Vote on nothing until a stable checkpoint reaches this; 0: nothing was forgotten.
    SequenceNumber silent_until;
    /// Vote in no view below; 0: nothing was forgotten.
    View votes_from;
    /// At least as high as any vote that was ever signed.
    VoteCounter counter;
  };
  /// How far counters jump when votes were forgotten that nobody showed: more than are signed in
  /// a window.
  static constexpr std::uint64_t kCounterJump = std::uint64_t{1} << 20;
  /// The first view above the proven one to which it cannot have changed.
  static constexpr std::uint64_t kViewsAhead = 3;

  Recovery(ReplicaId self, std::size_t answers_needed, std::uint64_t nonce)
      : self_(self), answers_needed_(answers_needed), nonce_(nonce) {}

  std::uint64_t nonce() const { return nonce_; }
  /// Answers to other questions, and votes of others, are dropped. Requires: verified.
  void on_answer(ReplicaId from, const RecoveryAnswer& answer) {
    if (answer.nonce != nonce_ || from == self_) return;
    if (answer.latest && answer.latest->replica != self_) return;
    Shown& shown = answers_[from];
    shown = {};
    if (answer.latest) {
      shown.counter = answer.latest->counter;
      shown.view = answer.latest->view;
    }
    if (answer.stable) shown.stable = answer.stable->number;
  }
  bool has_enough() const { return answers_.size() >= answers_needed_; }
  bool has_answered(ReplicaId replica) const { return answers_.contains(replica); }

  /// What this replica knows of itself.
  struct Own {
    VoteCounter counter;
    View view;
    SequenceNumber stable;
  };
  /// Requires: has_enough(). `reached`: view changes that are known, those of the answers too.
  Verdict verdict(const Own& own, const ReachedViews& reached, std::uint64_t window,
                  std::size_t weak_quorum) const {
    Shown highest{.counter = own.counter, .stable = own.stable, .view = own.view};
    for (const auto& [replica, shown] : answers_) {
      highest.counter = std::max(highest.counter, shown.counter);
      highest.stable = std::max(highest.stable, shown.stable);
      highest.view = std::max(highest.view, shown.view);
    }
    highest.view = std::max(highest.view, reached.reached_by(self_));
    const bool is_behind = highest.counter > own.counter || reached.reached_by(self_) > own.view;
    if (!is_behind || is_planted(Bug::kRolledBackVotes)) return {.counter = highest.counter};
    const View proven = reached.reached_by(weak_quorum);
    const View votes_from = std::max(highest.view.next(), View(proven.value + kViewsAhead));
    return {.silent_until = SequenceNumber(highest.stable.value + 2 * window),
            .votes_from = is_planted(Bug::kRolledBackViews) ? View{} : votes_from,
            .counter = VoteCounter(highest.counter.value + kCounterJump)};
  }

 private:
  struct Shown {
    VoteCounter counter;
    SequenceNumber stable;
    View view;
  };
  ReplicaId self_;
  std::size_t answers_needed_;
  std::uint64_t nonce_;
  std::map<ReplicaId, Shown> answers_;
};

}  // namespace rosebud::pbft
