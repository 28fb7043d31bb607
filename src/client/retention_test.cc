#include "client/retention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <limits>
#include <map>
#include <set>
#include <string>

#include "base/random.h"

namespace rosebud::client {
namespace {

/// "2026-11-30 18:20:05", UTC.
Timestamp at(const std::string& text) {
  std::tm utc{};
  EXPECT_NE(::strptime(text.c_str(), "%Y-%m-%d %H:%M:%S", &utc), nullptr) << text;
  return Timestamp(static_cast<std::uint64_t>(::timegm(&utc)));
}

const Timestamp kNow = at("2026-11-30 18:20:05");

std::set<std::string> kept(const std::vector<std::string>& texts, const Retention& retention) {
  std::vector<Timestamp> times;
  for (const std::string& text : texts) times.push_back(at(text));
  const auto all = kept_of(times, retention, kNow);
  std::set<std::string> out;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (all[i].any()) out.insert(texts[i]);
  }
  return out;
}

TEST(Retention, TheLastAreKeptWhateverTheirOrder) {
  EXPECT_EQ(
      kept({"2026-11-01 00:00:00", "2026-11-03 00:00:00", "2026-11-02 00:00:00"}, {.last = 2}),
      (std::set<std::string>{"2026-11-02 00:00:00", "2026-11-03 00:00:00"}));
  EXPECT_EQ(kept({"2026-11-01 00:00:00"}, {.last = 7}).size(), 1U);
  EXPECT_TRUE(kept({"2026-11-01 00:00:00"}, {}).empty());
  EXPECT_TRUE(kept_of({}, {.last = 1}, kNow).empty());
}

TEST(Retention, OfADayTheLastIsKeptAndDaysEndAtMidnightUtc) {
  EXPECT_EQ(kept({"2026-11-28 00:00:00", "2026-11-28 23:59:59", "2026-11-29 00:00:00",
                  "2026-11-29 23:59:58", "2026-11-29 23:59:59"},
                 {.daily = 2}),
            (std::set<std::string>{"2026-11-28 23:59:59", "2026-11-29 23:59:59"}));
}

TEST(Retention, DaysWithoutAnyDoNotCount) {
  EXPECT_EQ(
      kept({"2026-01-01 08:00:00", "2026-03-05 08:00:00", "2026-11-30 08:00:00"}, {.daily = 2}),
      (std::set<std::string>{"2026-03-05 08:00:00", "2026-11-30 08:00:00"}));
}

TEST(Retention, WeeksBeginOnMondays) {
  // 2026-11-22 is a Sunday, 2026-11-23 a Monday.
  EXPECT_EQ(kept({"2026-11-16 00:00:00", "2026-11-22 23:59:59", "2026-11-23 00:00:00",
                  "2026-11-29 23:59:59"},
                 {.weekly = 3}),
            (std::set<std::string>{"2026-11-22 23:59:59", "2026-11-29 23:59:59"}));
  // And go on over the end of a year: Monday 2025-12-29 to Sunday 2026-01-04.
  EXPECT_EQ(
      kept({"2025-12-28 12:00:00", "2025-12-29 12:00:00", "2026-01-04 12:00:00",
            "2026-01-05 12:00:00"},
           {.weekly = 9}),
      (std::set<std::string>{"2025-12-28 12:00:00", "2026-01-04 12:00:00", "2026-01-05 12:00:00"}));
}

TEST(Retention, MonthsAndYearsAreThoseOfTheCalendar) {
  const std::vector<std::string> times{"2023-12-31 23:59:59", "2024-01-01 00:00:00",
                                       "2024-02-29 12:00:00", "2024-03-01 00:00:00",
                                       "2025-03-31 23:59:59", "2026-01-01 00:00:00"};
  EXPECT_EQ(
      kept(times, {.monthly = 3}),
      (std::set<std::string>{"2024-03-01 00:00:00", "2025-03-31 23:59:59", "2026-01-01 00:00:00"}))
      << "March of two years is two months";
  EXPECT_EQ(kept(times, {.yearly = 9}),
            (std::set<std::string>{"2023-12-31 23:59:59", "2024-03-01 00:00:00",
                                   "2025-03-31 23:59:59", "2026-01-01 00:00:00"}));
}

TEST(Retention, RulesAddUpAndReasonsAreSaid) {
  const std::vector<Timestamp> times{at("2026-10-31 10:00:00"), at("2026-11-30 10:00:00"),
                                     at("2026-11-30 11:00:00")};
  const auto all = kept_of(times, {.last = 1, .daily = 1, .monthly = 2}, kNow);
  EXPECT_EQ(all[0], (KeptFor{.month = true}));
  EXPECT_EQ(all[1], KeptFor{});
  EXPECT_EQ(all[2], (KeptFor{.last = true, .day = true, .month = true}));
}

TEST(Retention, WhatIsLaterThanNowIsKeptAndTakesNobodysPlace) {
  constexpr std::uint64_t kLargest = std::numeric_limits<std::uint64_t>::max();
  for (const Timestamp later : {Timestamp(kNow.value + 1), at("2036-01-01 00:00:00"),
                                Timestamp(1ULL << 48), Timestamp(kLargest)}) {
    const std::vector<Timestamp> times{at("2026-11-29 10:00:00"), kNow, later};
    const auto all = kept_of(times, {.last = 1}, kNow);
    EXPECT_FALSE(all[0].any());
    EXPECT_TRUE(all[1].last);
    EXPECT_EQ(all[2], (KeptFor{.is_later_than_now = true}));
  }
  // A clock that nobody has.
  const std::vector<Timestamp> times{Timestamp(0), Timestamp(1ULL << 62)};
  EXPECT_TRUE(kept_of(times, {.last = 1, .yearly = 1}, Timestamp(kLargest))[1].is_later_than_now);
  EXPECT_TRUE(kept_of(times, {.last = 1, .yearly = 1}, Timestamp(kLargest))[0].year);
}

TEST(Retention, OfEqualTimesTheOneThatStandsLaterIsKept) {
  const std::vector<Timestamp> times{kNow, kNow, kNow};
  const auto all = kept_of(times, {.last = 1, .daily = 1}, kNow);
  EXPECT_FALSE(all[0].any());
  EXPECT_FALSE(all[1].any());
  EXPECT_TRUE(all[2].last);
  EXPECT_TRUE(all[2].day);
}

// ---- Against a dumb version ----

/// By the calendar of the C library, one period after the other.
std::vector<bool> dumb(const std::vector<Timestamp>& times, const Retention& retention) {
  std::vector<bool> out(times.size());
  const auto keep = [&](std::size_t count, const char* format) {
    std::map<std::string, std::size_t> best;  // of each period
    for (std::size_t i = 0; i < times.size(); ++i) {
      if (times[i] > kNow) continue;
      const auto seconds = static_cast<std::time_t>(times[i].value);
      std::tm utc{};
      ::gmtime_r(&seconds, &utc);
      char text[64];
      // Without a format each is a period of its own.
      const std::string period =
          *format == 0 ? std::to_string(times[i].value + 1'000'000'000'000) + "/" +
                             std::to_string(i + 1'000'000)
                       : std::string(text, std::strftime(text, sizeof text, format, &utc));
      const auto [at, is_new] = best.emplace(period, i);
      if (!is_new && times[i] >= times[at->second]) at->second = i;
    }
    std::size_t left = count;
    for (auto it = best.rbegin(); it != best.rend() && left > 0; ++it, --left)
      out[it->second] = true;
  };
  keep(retention.last, "");
  keep(retention.daily, "%Y-%m-%d");
  keep(retention.weekly, "%G-%V");  // ISO 8601
  keep(retention.monthly, "%Y-%m");
  keep(retention.yearly, "%Y");
  for (std::size_t i = 0; i < times.size(); ++i) {
    if (times[i] > kNow) out[i] = true;
  }
  return out;
}

TEST(Retention, IsThatOfADumbVersion) {
  Random random(26);
  for (int round = 0; round < 3'000; ++round) {
    // Seconds, days or decades apart, and now and then one in the future.
    const std::uint64_t spread = std::uint64_t{1} << (1 + random.below(30));
    std::vector<Timestamp> times;
    for (std::size_t i = random.below(40); i > 0; --i)
      times.emplace_back(kNow.value + spread / 16 - random.below(spread));
    Retention retention;
    for (std::size_t* count : {&retention.last, &retention.daily, &retention.weekly,
                               &retention.monthly, &retention.yearly})
      *count = random.below(3) == 0 ? random.below(12) : 0;
    const auto all = kept_of(times, retention, kNow);
    std::vector<bool> is_kept;
    for (const KeptFor& one : all) is_kept.push_back(one.any());
    ASSERT_EQ(is_kept, dumb(times, retention)) << "round " << round;
  }
}

}  // namespace
}  // namespace rosebud::client
