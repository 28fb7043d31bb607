// One random run of a group in virtual time: a plan of faults, clients that count, then healing,
// and checkers that stand outside (checkers.h).
//
// Safety phase: clients submit operations while the plan's faults strike. Then everything is
// healed, and progress is demanded within a bound, in half of the seeds while the liars go on.
#pragma once

#include "pbft/sim/plan.h"

namespace rosebud::pbft::sim {

struct SwarmResult {
  std::string violation;  // empty: none was found
  std::uint64_t trace = 0;
  std::uint64_t events = 0;
  std::uint64_t operations = 0;
  std::uint64_t acknowledged = 0;
  std::uint64_t views = 0;      // the highest
  std::uint64_t transfers = 0;  // finished ones
  std::uint64_t evidence = 0;   // replicas against which somebody has some
  Duration time{};              // virtual
  std::vector<std::string> story;
};

/// The same plan is the same run; it ends soon after the first violation. `story_lines`: how many
/// of the last events to keep as sentences.
SwarmResult run_plan(const Plan& plan, std::size_t story_lines = 0);

}  // namespace rosebud::pbft::sim
