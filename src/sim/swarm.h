// One random run of the object store in virtual time: a plan of faults, a workload, then healing,
// and checkers that stand outside (checkers.h).
//
// Safety phase: clients write and read blocks and records, hold each other's under holds of their
// choice, and send old things again, while the plan's faults strike and one more client sends
// whatever is forbidden. Then network and disks are healed and progress is demanded, in half of the
// seeds while the liars go on.
#pragma once

#include <functional>
#include <string>

#include "sim/plan.h"

namespace rosebud::sim {

struct SwarmResult {
  std::string violation;  // empty: none was found
  crypto::Digest trace;
  std::uint64_t events = 0;
  std::uint64_t epochs = 0;   // changes of membership
  std::uint64_t moves = 0;    // of the faulty organisation
  std::uint64_t deletes = 0;  // of objects, on disks of nodes that tell the truth
  std::uint64_t operations = 0;
  std::uint64_t acknowledged = 0;
  std::uint64_t over_quota = 0;    // writes that were denied to the client who wants too much
  Duration time{};                 // virtual
  std::vector<std::string> story;  // the last events, if they were asked for
};

/// The same plan is the same run; it ends soon after the first violation. `story_lines`: how many
/// of the last events to keep as sentences. `on_healing` is called when plan.safety_time is over.
SwarmResult run_plan(const Plan& plan, std::size_t story_lines = 0,
                     const std::function<void()>& on_healing = {});

}  // namespace rosebud::sim
