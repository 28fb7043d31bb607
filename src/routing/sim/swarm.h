// One random run of a small overlay: a plan of faults, then healing, and checkers that stand
// outside (checkers.h).
#pragma once

#include "routing/sim/plan.h"

namespace rosebud::routing::sim {

struct SwarmResult {
  std::string violation;  // empty: none was found
  std::uint64_t trace = 0;
  std::uint64_t inputs = 0;
  std::uint64_t events = 0;  // deaths and new lives
  std::uint64_t lookups = 0;
  std::uint64_t timely = 0;
  std::uint64_t late = 0;
  std::uint64_t batches = 0;
  std::uint64_t again = 0;
  Duration time{};  // virtual
  std::vector<std::string> story;
};

/// The same plan is the same run; it ends soon after the first violation. `story_lines`: how many
/// of the last faults to keep as sentences.
SwarmResult run_plan(const Plan& plan, std::size_t story_lines = 0);

}  // namespace rosebud::routing::sim
