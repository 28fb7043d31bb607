#include "client/retention.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

namespace rosebud::client {
namespace {

constexpr std::uint64_t kSecondsOfDay = 86'400;
/// The end of year 9999: what the calendar below can count. A clock beyond it is as good as this.
constexpr std::uint64_t kNowMax = 253'402'300'799;

std::int64_t day_of(Timestamp time) {
  return static_cast<std::int64_t>(time.value / kSecondsOfDay);
}
/// 1970 began on a Thursday; weeks begin on Mondays.
std::int64_t week_of(Timestamp time) { return (day_of(time) + 3) / 7; }

std::chrono::year_month_day date_of(Timestamp time) {
  return std::chrono::sys_days(std::chrono::days(day_of(time)));
}
std::int64_t year_of(Timestamp time) { return static_cast<int>(date_of(time).year()); }
std::int64_t month_of(Timestamp time) {
  return 12 * year_of(time) + static_cast<unsigned>(date_of(time).month());
}

/// The first time of each of `count` periods. Requires: asked for the latest first.
class Periods {
 public:
  Periods(std::size_t count, std::int64_t (*period_of)(Timestamp))
      : left_(count), period_of_(period_of) {}
  bool takes(Timestamp time) {
    const std::int64_t period = period_of_(time);
    if (left_ == 0 || period == last_) return false;
    last_ = period;
    --left_;
    return true;
  }

 private:
  std::size_t left_;
  std::int64_t (*period_of_)(Timestamp);
  std::optional<std::int64_t> last_;
};

}  // namespace

std::vector<KeptFor> kept_of(std::span<const Timestamp> times, const Retention& retention,
                             Timestamp now) {
  const Timestamp latest(std::min(now.value, kNowMax));
  std::vector<std::size_t> order(times.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return std::pair(times[i], i); });
  std::size_t last_left = retention.last;
  Periods days(retention.daily, day_of);
  Periods weeks(retention.weekly, week_of);
  Periods months(retention.monthly, month_of);
  Periods years(retention.yearly, year_of);
  std::vector<KeptFor> out(times.size());
  for (std::size_t place = order.size(); place-- > 0;) {
    const Timestamp time = times[order[place]];
    KeptFor& kept = out[order[place]];
    if (time > latest) {
      kept.is_later_than_now = true;
      continue;
    }
    kept.last = last_left > 0;
    if (kept.last) --last_left;
    kept.day = days.takes(time);
    kept.week = weeks.takes(time);
    kept.month = months.takes(time);
    kept.year = years.takes(time);
  }
  return out;
}

}  // namespace rosebud::client
