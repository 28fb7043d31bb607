#include "runtime/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

namespace rosebud::runtime {
namespace {

spdlog::logger& logger() {
  static const auto made = [] {
    auto out = spdlog::stderr_logger_mt("rosebud");
    // The message is a JSON object without its braces; the pattern adds time and level.
    out->set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l",%v})");
    const char* level = std::getenv("ROSEBUD_LOG");
    out->set_level(level ? spdlog::level::from_str(level) : spdlog::level::info);
    out->flush_on(spdlog::level::info);
    return out;
  }();
  return *made;
}

std::string line_of(std::string_view message, LogFields fields) {
  constexpr auto kReplace = nlohmann::json::error_handler_t::replace;
  std::string out = "\"message\":" + nlohmann::json(message).dump(-1, ' ', false, kReplace);
  for (const auto& [name, value] : fields) {
    out += "," + nlohmann::json(name).dump() + ":" +
           nlohmann::json(value).dump(-1, ' ', false, kReplace);
  }
  return out;
}

}  // namespace

bool LogLimit::take(Instant now) {
  const auto due = static_cast<std::size_t>((now - refilled_) / interval_);
  if (due > 0) {
    lines_ = std::min(burst_, lines_ + std::min(due, burst_));
    refilled_ = now;
  }
  if (lines_ == 0) return false;
  --lines_;
  return true;
}

void log_info(std::string_view message, LogFields fields) {
  logger().info("{}", line_of(message, fields));
}
void log_error(std::string_view message, LogFields fields) {
  logger().error("{}", line_of(message, fields));
}

}  // namespace rosebud::runtime
