// A run as JSON: the fields that every program under load prints alike, so that one script reads
// all.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "load/generator.h"

namespace rosebud::load {

/// in_flight, rate_asked (null: closed loop), seconds, done, failed (count by name), per_second,
/// latency_ms (mean, p50, p90, p99, p999, max).
nlohmann::json to_json(const Plan& plan, const Measured& measured);

}  // namespace rosebud::load
