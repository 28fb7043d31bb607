// One random run of a cluster in virtual time: a plan of faults, people who hand things in, then
// healing, and checkers that stand outside (checkers.h).
//
// Safety phase: epochs follow each other, or not, while the plan's faults strike. Then everything
// is healed, and progress is demanded within a bound, in half of the seeds while the liars go on.
#pragma once

#include "service/sim/plan.h"

namespace rosebud::service::sim {

struct SwarmResult {
  std::string violation;  // empty: none was found
  std::uint64_t trace = 0;
  std::uint64_t events = 0;
  std::uint64_t epochs = 0;
  std::uint64_t steps = 0;  // executions, of all machines
  std::uint64_t admitted = 0;
  std::uint64_t removed = 0;
  std::uint64_t excused = 0;  // no progress was promised: more silent seats than F (design 8.4)
  Duration time{};            // virtual
  std::vector<std::string> story;
};

/// The same plan is the same run; it ends soon after the first violation. `story_lines`: how many
/// of the last events to keep as sentences.
SwarmResult run_plan(const Plan& plan, std::size_t story_lines = 0);

}  // namespace rosebud::service::sim
