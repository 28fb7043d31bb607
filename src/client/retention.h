// Which snapshots are kept when old ones go: a pure function of times, in UTC.
//
// 1. The last N are kept; and of each of the last N days that have any the last one, and so of
//    weeks (from Monday on), months and years. A time may be kept for several reasons.
// 2. Days, weeks, months and years without any do not count: after a pause as much is kept as
//    before.
// 3. What is later than now is kept and takes nobody's place. Suppose a clock was years ahead for
//    an hour: what was made then would otherwise be the last for years, and all that is made since
//    would go.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/time.h"

namespace rosebud::client {

struct Retention {
  std::size_t last = 0;
  std::size_t daily = 0;
  std::size_t weekly = 0;
  std::size_t monthly = 0;
  std::size_t yearly = 0;

  /// Whether it would keep nothing of any list.
  bool is_empty() const { return *this == Retention{}; }
  friend bool operator==(const Retention&, const Retention&) = default;
};

/// Why one is kept.
struct KeptFor {
  bool last = false;
  bool day = false;
  bool week = false;
  bool month = false;
  bool year = false;
  bool is_later_than_now = false;

  bool any() const { return *this != KeptFor{}; }
  friend bool operator==(const KeptFor&, const KeptFor&) = default;
};

/// For each time, in their order. Of equal times the one that stands later counts as the later one.
/// Whatever the times are.
std::vector<KeptFor> kept_of(std::span<const Timestamp> times, const Retention& retention,
                             Timestamp now);

}  // namespace rosebud::client
