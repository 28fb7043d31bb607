// Which scenarios are searched: what the model checker's answer is worth.
//
// Bounded: f = 1, groups of four, three epochs, one interval with one record (or block), and as
// many nodes, crashes and versions as stand in scenarios(). Not bounded: how often anything else
// happens, in which order, and how late.
//
//  - Groups: three of them are a sequence. All sequences, up to the names of nodes, within a
//    number of nodes and of members that change from one epoch to the next. Who left comes back
//    in the third epoch or does not.
//  - Faulty: at most one member of each group. Every choice, up to what the rules can tell
//    apart. Fewer are not searched where one more surely changes nothing: a faulty node may do
//    all that a correct one does. (Where one node alone could be added, it might be the one
//    that something goes wrong at, so both are searched.)
//  - Versions: one is enough. Rules and invariants know of a version only whether it is at
//    least the one that was acknowledged, and a replica keeps the maximum of what it sees; so
//    what goes wrong with many goes wrong with "older" and "at least that". Two are searched in
//    part, to see it.
//  - Crashes: durable facts stay, so a crash costs a replica nothing but that it does not serve
//    until it has reconciled.
#pragma once

#include "sim/section10/broken_rules.h"
#include "sim/section10/state.h"

namespace rosebud::sim::section10 {

/// Where a search is cut to the time that it may take.
enum class Reach : std::uint8_t {
  kSmall,    // seconds: for tests; everything that a broken rule needs to show
  kDefault,  // little more than a minute
  kDeep,     // at most a quarter of an hour
};

/// Who is faulty is so from the beginning to the end.
std::vector<Scenario> scenarios(Reach reach);

/// Faults that move: more nodes turn faulty on the way, and fewer are so in the beginning.
std::vector<Scenario> moving_scenarios(Reach reach, bool does_promise_end_early = false);

/// Those of the two in which the broken rule is missed; both when none is broken.
std::vector<Scenario> scenarios_for(Broken rule, Reach reach);

}  // namespace rosebud::sim::section10
