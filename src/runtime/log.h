// Structured log lines: JSON on standard error, one object a line, fields as given. Level info and
// above by default; ROSEBUD_LOG=debug|info|warn|error changes it. No secrets; a peer cannot trigger
// an unlimited number of lines.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "base/time.h"

namespace rosebud::runtime {

using LogFields = std::initializer_list<std::pair<std::string_view, std::string>>;

void log_info(std::string_view message, LogFields fields);
void log_error(std::string_view message, LogFields fields);

/// How often something that a peer can bring about is logged: a few lines at once, then one in
/// `interval`. A burst of the same hides nothing: it is counted in the metrics.
class LogLimit {
 public:
  explicit LogLimit(std::size_t burst = 20, Duration interval = std::chrono::seconds(5))
      : burst_(burst), interval_(interval), lines_(burst) {}

  /// True when a line may be written at `now`.
  bool take(Instant now);

 private:
  std::size_t burst_;
  Duration interval_;
  std::size_t lines_;  // that may be written at once; at most burst_
  Instant refilled_{};
};

}  // namespace rosebud::runtime
