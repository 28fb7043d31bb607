#include "routing/slices.h"

#include <utility>

#include "base/check.h"

namespace rosebud::routing {

Slices::Slices(std::shared_ptr<const Roster> roster, std::uint32_t slices, std::uint32_t units)
    : roster_(std::move(roster)), slices_(slices), units_(units) {
  CHECK(slices >= 1);
  CHECK(slices <= 1U << 16);
  CHECK(units >= 1);
  CHECK(units <= 1U << 16);
}

Point Slices::edge(std::uint64_t n, std::uint64_t parts) {
  // n x 2^64 / parts, rounded up: the first point whose piece is n. Past the last piece it is 2^64,
  // which is 0.
  if (n == 0 || n == parts) return 0;
  const unsigned __int128 wide = (static_cast<unsigned __int128>(n) << 64) + parts - 1;
  return static_cast<Point>(wide / parts);
}

IndexRange Slices::piece(std::uint64_t n, std::uint64_t parts) const {
  return roster_->between(edge(n, parts), edge(n + 1, parts));
}

SliceIndex Slices::slice_of(PeerIndex peer) const {
  const auto wide = static_cast<unsigned __int128>(roster_->at(peer)) * slices_;
  return SliceIndex(static_cast<std::uint32_t>(wide >> 64));
}

UnitIndex Slices::unit_of(PeerIndex peer) const {
  const auto wide =
      static_cast<unsigned __int128>(roster_->at(peer)) * (std::uint64_t{slices_} * units_);
  return UnitIndex(static_cast<std::uint32_t>(wide >> 64));
}

IndexRange Slices::peers(SliceIndex slice) const { return piece(slice.value, slices_); }

IndexRange Slices::peers(UnitIndex unit) const {
  return piece(unit.value, std::uint64_t{slices_} * units_);
}

std::optional<PeerIndex> Slices::leader_of(const Table& table, std::uint64_t n,
                                           std::uint64_t parts) const {
  const IndexRange range = piece(n, parts);
  const std::uint32_t middle = roster_->between(edge(2 * n + 1, 2 * parts), 0).first;
  for (std::uint32_t i = middle; i < range.end; ++i) {
    if (table.is_alive(PeerIndex(i))) return PeerIndex(i);
  }
  for (std::uint32_t i = middle; i > range.first; --i) {
    if (table.is_alive(PeerIndex(i - 1))) return PeerIndex(i - 1);
  }
  return std::nullopt;
}

std::optional<PeerIndex> Slices::leader(const Table& table, SliceIndex slice) const {
  return leader_of(table, slice.value, slices_);
}

std::optional<PeerIndex> Slices::leader(const Table& table, UnitIndex unit) const {
  return leader_of(table, unit.value, std::uint64_t{slices_} * units_);
}

PeerIndex Slices::drawn(SliceIndex slice, Period period, std::uint32_t attempt) const {
  const IndexRange range = peers(slice);
  CHECK(range.size() > 0);
  const std::uint64_t lot = mix(mix(slice.value, period.value), attempt);
  return PeerIndex(range.first + static_cast<std::uint32_t>(lot % range.size()));
}

std::optional<PeerIndex> draw_alive(const Table& table, IndexRange range, std::uint64_t seed) {
  if (range.size() == 0) return std::nullopt;
  for (std::uint64_t attempt = 0; attempt < kAttemptsMax; ++attempt) {
    const PeerIndex drawn(range.first +
                          static_cast<std::uint32_t>(mix(seed, attempt) % range.size()));
    if (table.is_alive(drawn)) return drawn;
  }
  for (std::uint32_t i = range.first; i < range.end; ++i) {
    if (table.is_alive(PeerIndex(i))) return PeerIndex(i);
  }
  return std::nullopt;
}

}  // namespace rosebud::routing
