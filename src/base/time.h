// Two kinds of time, which must never be mixed.
//
// Instant: monotonic, local, for timeouts. The runtime reads it from a clock, the simulator makes
// it up; a core gets it as an argument and never asks. Wall time (Timestamp): seconds since 1970
// UTC, stands in signed statements; safety never depends on it except for freshness (design 9.4).
#pragma once

#include <chrono>
#include <cstdint>

#include "base/strong.h"

namespace rosebud {

using Duration = std::chrono::microseconds;

struct MonotonicClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<MonotonicClock>;
  static constexpr bool is_steady = true;
};
using Instant = MonotonicClock::time_point;

/// Seconds since 1970-01-01 UTC as stated in signed things. 0 means "not set" where a field allows
/// it.
using Timestamp = Strong<struct TimestampTag, std::uint64_t>;

}  // namespace rosebud
