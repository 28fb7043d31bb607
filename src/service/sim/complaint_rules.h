// Complaints, as a second opinion (rules.h): whose count, what members of the service must have
// found before a member is to leave, and what is handed over (design 8.2, decision 14).
#pragma once

#include <string>

#include "service/sim/node.h"

namespace rosebud::service::sim {

/// One execution.
std::string problem_of_complaints(const Step& step);

/// Whether `node` has to leave since 2F+1 had wrong proofs of it; `sealed`: the state that ended
/// the epoch. For showing nothing nobody leaves.
bool is_convicted_in(const State& sealed, const wire::NodeKey& node);

/// `handed_over` against `sealed`: complaints of and about those who stay as they were, which are
/// not too old, and nothing else.
std::string problem_of_complaints_handed_over(const membership::Configuration& current,
                                              const State& sealed, const Carried& handed_over);

}  // namespace rosebud::service::sim
