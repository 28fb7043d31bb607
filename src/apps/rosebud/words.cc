#include "apps/rosebud/words.h"

#include <fmt/format.h>

#include <ctime>
#include <utility>

namespace rosebud::apps {
namespace {

constexpr std::int64_t kYear0 = -62'167'219'200;
constexpr std::int64_t kYear9999 = 253'402'300'799;

}  // namespace

std::string time_text(std::int64_t seconds, std::uint32_t nanoseconds) {
  if (seconds < kYear0 || seconds > kYear9999) return fmt::format("@{}", seconds);
  const auto time = static_cast<std::time_t>(seconds);
  std::tm utc{};
  ::gmtime_r(&time, &utc);
  const std::string fraction = nanoseconds == 0 ? "" : fmt::format(".{:09}", nanoseconds);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{}Z", utc.tm_year + 1900, utc.tm_mon + 1,
                     utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, fraction);
}

std::string time_text(Timestamp time) {
  if (std::cmp_greater(time.value, kYear9999)) return fmt::format("@{}", time.value);
  return time_text(static_cast<std::int64_t>(time.value));
}

std::string end_text(Timestamp end) { return end.value == 0 ? "none" : time_text(end); }

}  // namespace rosebud::apps
