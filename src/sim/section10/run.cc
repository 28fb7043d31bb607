#include "sim/section10/run.h"

#include <algorithm>

namespace rosebud::sim::section10 {

Outcome search_all(std::span<const Scenario> scenarios, Broken broken,
                   const std::function<void(const Scenario&, const Found&)>& is_done) {
  Outcome out;
  for (const Scenario& scenario : scenarios) {
    // Without a crash it is not broken.
    if (broken == Broken::kEnteredNotDurable && scenario.crashes == 0) continue;
    Found found = search(Model(scenario, broken));
    ++out.scenarios;
    out.states += found.states;
    out.steps += found.steps;
    out.depth = std::max(out.depth, found.depth);
    out.bytes_max = std::max(out.bytes_max, found.bytes);
    out.is_whole = out.is_whole && found.is_whole;
    if (is_done) is_done(scenario, found);
    if (found.violation.empty()) continue;
    out.where = scenario;
    out.violation = std::move(found.violation);
    out.story = std::move(found.story);
    return out;
  }
  return out;
}

}  // namespace rosebud::sim::section10
