// What is wrong with a cluster, from what was seen of it: rules of thumb with stable codes, each
// with the way out. Pure functions.
#pragma once

#include <nlohmann/json.hpp>

#include "membership/configuration.h"

namespace rosebud::apps {

struct Finding {
  enum class Weight : std::uint8_t {
    kProblem,  // something does not work, or would not after one more fault
    kWarning,
  };
  std::string code;  // stable: for scripts, and for docs/operating.md
  Weight weight = Weight::kWarning;
  std::string what;
  std::string next;  // what to do
};

struct Looked {
  std::shared_ptr<const membership::Configuration> configuration;  // the newest
  Timestamp now;                                                   // of the machine that looks
  Timestamp statement_until;                                       // of the client that looks
  /// Of each node: `name`, `state` (serving, reconciling, unreachable, down) and, where it
  /// answered, what /v1/status says, with `clock_ahead_ms` against the machine that looks.
  nlohmann::json nodes = nlohmann::json::array();
};

/// Problems first, then in the order of the table in docs/operating.md.
std::vector<Finding> diagnose(const Looked& looked);

}  // namespace rosebud::apps
