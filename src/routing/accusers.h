// Who may say that a peer is dead, and when enough have said so. Pure.
//
// A death is believed when two have seen it that could not choose themselves: the peers behind the
// accused on the ring, who hear its keep-alives, and witnesses drawn by a hash of the accused and
// its life. A peer's own word about itself needs no other.
#pragma once

#include "routing/settings.h"
#include "routing/table.h"

namespace rosebud::routing {

/// A witness of a peer in one life: the first alive of draw `number`, or behind the first `skipped`
/// of those, for one that does not answer. Nothing if nobody but the accused is alive.
/// Requires: skipped < kWitnessSlack.
std::optional<PeerIndex> witness(const Table& table, const Change& accused, std::uint32_t number,
                                 std::uint32_t skipped = 0);

/// By the word of this table. Tables differ: some peers next to the right ones count too.
bool may_accuse(const Table& table, PeerIndex accuser, const Change& accused);

/// How many are needed: where the ring has no more than three, there are no two others.
std::uint32_t accusers_needed(const Table& table);

}  // namespace rosebud::routing
