// What the configuration service may do, as a second opinion: the rules of design 3.4, 7 and 8 over
// single steps of a machine, over what an epoch hands to the next, and over two configurations that
// follow each other.
//
// Pure functions. They say what is wrong, for a person; nothing (an empty text) when all is well.
// They share no code with the machine but its types: what it counts is counted here anew.
#pragma once

#include <string>

#include "service/sim/node.h"

namespace rosebud::service::sim {

/// One execution of a machine: who may change what, on whose word, and when.
std::string problem_of_step(const Step& step);

/// What the next service begins with. Requires: `sealed` is the state of an epoch's end.
std::string problem_of_handing_over(const membership::Configuration& current, const State& sealed,
                                    const Carried& handed_over);

/// Two configurations that follow each other, with the state that sealed the first. Requires:
/// `next` was made from a signed description.
std::string problem_of_successor(const membership::Configuration& current, const State& sealed,
                                 const membership::Configuration& next);

}  // namespace rosebud::service::sim
