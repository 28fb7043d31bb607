// Which scenarios are searched: what the model checker's answer is worth.
//
// Bounded: f = 1, groups of four, three epochs, eight nodes, one interval with one record (or
// block). Not bounded: how often anything happens but crashes, and in which order.
//
//   groups     Three groups are a sequence; up to the names of nodes there are 58 with at most
//   eight
//              nodes. Nobody is replaced, some, or all; who left comes back in the third epoch or
//              not.
//   faulty     At most one member of each group; every choice, up to nodes with the same
//   memberships.
//              Fewer are not searched where one more is another's place for sure: a faulty node may
//              do all that a correct one does. (Where one node alone could be added, it might be
//              the one that something goes wrong at, so both are searched.)
//   versions   One is enough. Rules and invariants know of a version only whether it is at least
//   the one
//              that was acknowledged, and a replica keeps the maximum of what it sees; so what goes
//              wrong with many goes wrong with "older" and "at least that". Two are searched in
//              part, to see it.
//   crashes    Durable facts stay, so a crash costs a replica nothing but that it does not serve
//   until it
//              has reconciled.
#pragma once

#include "sim/section10/state.h"

namespace rosebud::sim::section10 {

/// Where a search is cut to the time that it may take.
enum class Reach : std::uint8_t {
  kSmall,    // seconds: for tests; everything that a broken rule needs to show
  kDefault,  // at most a minute
  kDeep,     // at most a quarter of an hour
};

std::vector<Scenario> scenarios(Reach reach);

/// The same groups with faults that move (design 2, first row): `do_faults_move`, and fewer faulty
/// nodes in the beginning too.
std::vector<Scenario> moving_scenarios();

}  // namespace rosebud::sim::section10
