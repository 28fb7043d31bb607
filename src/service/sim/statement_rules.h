// What organisations may say, as a second opinion (rules.h): admissions, revocations, retirements
// and decrees (design 3.4), and what becomes of organisations from one epoch to the next.
#pragma once

#include <string>

#include "service/sim/node.h"

namespace rosebud::service::sim {

/// One execution: which wishes it may add, and on whose signature.
std::string problem_of_statements(const Step& step);

/// Whether the node leaves because its own organisation says so, or because that is revoked.
/// `sealed`: the state that ended the epoch of `current`.
bool is_sent_away(const membership::Configuration& current, const State& sealed,
                  const membership::Node& node);
bool is_retired(const membership::Configuration& current, const State& sealed,
                const membership::Node& node);

/// Organisations change by decrees alone; who is there keeps its place.
std::string problem_of_organisations(const membership::Configuration& current, const State& sealed,
                                     const membership::Configuration& next);

}  // namespace rosebud::service::sim
