// What the measured time of a run cost in processor time: of the client, which is this process, and
// of its servers on this machine.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <vector>

#include "load/generator.h"

namespace rosebud::load {

class RunCost {
 public:
  /// `servers`: ids of their processes; may be empty.
  explicit RunCost(std::vector<int> servers) : servers_(std::move(servers)) {}

  /// For load::run: when the warm-up is over, and when the measured time is.
  void begin() { begin_ = now(); }
  void end() { end_ = now(); }

  /// client_processor_us_per_operation, and nodes_processor_us_per_operation where there are
  /// servers. False: a server ended meanwhile, and nothing was put.
  [[nodiscard]] bool put(nlohmann::json& into, const Measured& measured) const;

 private:
  struct Moment {
    double own = 0;
    std::optional<double> servers;
  };
  Moment now() const;

  std::vector<int> servers_;
  Moment begin_;
  Moment end_;
};

}  // namespace rosebud::load
