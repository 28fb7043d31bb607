#include "load/report.h"

#include <nlohmann/json.hpp>

namespace rosebud::load {
namespace {

nlohmann::json milliseconds_json(const Histogram& latency) {
  const auto ms = [](Duration value) { return static_cast<double>(value.count()) / 1000; };
  return {{"mean", ms(latency.mean())},
          {"p50", ms(latency.percentile(0.5))},
          {"p90", ms(latency.percentile(0.9))},
          {"p99", ms(latency.percentile(0.99))},
          {"p999", ms(latency.percentile(0.999))},
          {"max", ms(latency.max())}};
}

}  // namespace

nlohmann::json to_json(const Plan& plan, const Measured& measured) {
  return {{"in_flight", plan.in_flight},
          {"rate_asked", plan.per_second ? nlohmann::json(*plan.per_second) : nlohmann::json()},
          {"seconds", static_cast<double>(measured.elapsed.count()) / 1e6},
          {"done", measured.latency.count()},
          {"failed", measured.failures},
          {"per_second", measured.per_second()},
          {"latency_ms", milliseconds_json(measured.latency)}};
}

}  // namespace rosebud::load
