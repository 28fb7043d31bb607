// The time that the group agrees on (design 8.1).
//
// The primary proposes the time of each batch, a backup prepares only what is within a bound of its
// own clock, and execution never goes back: a batch is executed at the greater of its own time and
// the last one. So a faulty primary can move agreed time by no more than the bound, and the order
// of execution alone decides it, not the order of arrival.
//
// Suppose that clocks were wrong, and are set back by more than the bound: agreed time stands still
// until they have caught up, and the group goes on meanwhile.
#pragma once

#include <algorithm>

#include "pbft/planted_bugs.h"
#include "pbft/types.h"

namespace rosebud::pbft {

class AgreedClock {
 public:
  AgreedTime last_executed() const { return last_; }

  /// What a primary whose clock shows `wall` proposes; what is ahead is ahead of that.
  AgreedTime propose(AgreedTime wall) const { return std::max(wall, last_); }

  /// Whether a backup whose clock shows `wall` may prepare it. Differs from what execution makes of
  /// it: a time before the last executed one is taken, since batches are prepared side by side.
  bool is_acceptable(AgreedTime proposed, AgreedTime wall, std::uint64_t bound_ms) const {
    if (is_planted(Bug::kTimeNotChecked)) return true;
    const bool is_late = proposed.value + bound_ms < wall.value;
    const bool is_early = proposed.value > wall.value + bound_ms;
    if (is_planted(Bug::kClocksSetBackStop)) return !is_late && !is_early;
    return !is_late && (!is_early || proposed <= last_);
  }

  /// The time at which a batch is executed. Call in the order of sequence numbers.
  AgreedTime execute(AgreedTime proposed) {
    last_ = is_planted(Bug::kTimeGoesBack) ? proposed : std::max(last_, proposed);
    return last_;
  }
  void restore(AgreedTime last) { last_ = last; }

 private:
  AgreedTime last_;
};

}  // namespace rosebud::pbft
