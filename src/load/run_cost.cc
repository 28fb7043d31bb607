#include "load/run_cost.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/processor_time.h"

namespace rosebud::load {

RunCost::Moment RunCost::now() const {
  return {.own = processor_seconds(), .servers = processor_seconds_of(servers_)};
}

bool RunCost::put(nlohmann::json& into, const Measured& measured) const {
  if (!begin_.servers || !end_.servers) return false;
  const double operations = std::max<double>(1, static_cast<double>(measured.latency.count()));
  into["client_processor_us_per_operation"] = (end_.own - begin_.own) * 1e6 / operations;
  if (!servers_.empty()) {
    into["nodes_processor_us_per_operation"] = (*end_.servers - *begin_.servers) * 1e6 / operations;
  }
  return true;
}

}  // namespace rosebud::load
