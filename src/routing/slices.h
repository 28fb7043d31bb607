// Slices and units: the ring cut into k equal pieces of positions, each into u units [Gupta04].
//
// Nothing is elected. Everybody computes leaders from its own table; where tables differ, whoever
// gets a message that is meant for a leader acts as one or passes it on.
#pragma once

#include "routing/table.h"

namespace rosebud::routing {

/// Place of a slice, or of a unit among the units of all slices, on the ring.
using SliceIndex = Strong<struct SliceIndexTag, std::uint32_t>;
using UnitIndex = Strong<struct UnitIndexTag, std::uint32_t>;

/// A window of time in which one peer of each slice gathers events (eager timing).
using Period = Strong<struct PeriodTag, std::uint64_t>;

/// How often the choice of a leader is drawn again before it falls to the next one alive.
inline constexpr std::uint32_t kAttemptsMax = 16;

class Slices {
 public:
  /// Requires: 1 <= slices, 1 <= units of a slice, both at most 2^16.
  Slices(std::shared_ptr<const Roster> roster, std::uint32_t slices, std::uint32_t units);

  std::uint32_t count() const { return slices_; }
  std::uint32_t units_of_slice() const { return units_; }

  SliceIndex slice_of(PeerIndex peer) const;
  UnitIndex unit_of(PeerIndex peer) const;
  IndexRange peers(SliceIndex slice) const;
  IndexRange peers(UnitIndex unit) const;

  /// Classic: the first one alive at or after the midpoint; if that lies outside, the last one
  /// alive before it; nothing when nobody is alive there. [Gupta04]
  std::optional<PeerIndex> leader(const Table& table, SliceIndex slice) const;
  std::optional<PeerIndex> leader(const Table& table, UnitIndex unit) const;

  /// Eager: who is drawn to gather a slice's events of a period, at the given attempt; the same for
  /// everybody, whatever they know. Requires: the slice is not empty.
  PeerIndex drawn(SliceIndex slice, Period period, std::uint32_t attempt) const;

 private:
  /// Where the n-th of `parts` equal pieces of the ring begins.
  static Point edge(std::uint64_t n, std::uint64_t parts);
  IndexRange piece(std::uint64_t n, std::uint64_t parts) const;
  std::optional<PeerIndex> leader_of(const Table& table, std::uint64_t n,
                                     std::uint64_t parts) const;

  std::shared_ptr<const Roster> roster_;
  std::uint32_t slices_;
  std::uint32_t units_;
};

/// A peer out of `range` that is alive, drawn anew from `seed` until one is; nothing when nobody
/// is. All alive are equally likely: a search from the drawn one onwards would load those behind
/// gaps.
std::optional<PeerIndex> draw_alive(const Table& table, IndexRange range, std::uint64_t seed);

}  // namespace rosebud::routing
