// The direct rule against the general search, and both against a checker that tries every order:
// on histories that a model register made, which are right, and on these with one thing changed.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "base/random.h"
#include "history/checker.h"
#include "history/search.h"

namespace rosebud::history {
namespace {

/// Operations of a few clients on a register that does what it should: each takes effect at one
/// moment between its beginning and its end; unknown ones perhaps later, or never.
class Model {
 public:
  explicit Model(std::uint64_t seed) : random_(seed) {}

  History make(std::size_t operations_count) {
    history_.clear();
    effects_.clear();
    for (std::size_t i = 0; i < operations_count; ++i) plan(i);
    std::ranges::sort(effects_);
    Point state;
    for (const auto& [at, which] : effects_) take_effect(history_[which], state);
    return history_;
  }

 private:
  static constexpr Nanoseconds kTime = 1000;

  void plan(std::size_t which) {
    const auto begin = static_cast<Nanoseconds>(random_.below(kTime));
    const auto end = begin + 1 + static_cast<Nanoseconds>(random_.below(kTime / 4));
    Operation one{.client = std::string(1, static_cast<char>('a' + which)),
                  .object = "record:1",
                  .action = random_.chance(1, 2) ? Action::kWrite : Action::kRead,
                  .written = {},
                  .returned = {},
                  .invoked = begin,
                  .completed = end,
                  .outcome = Outcome::kOk};
    auto effect = begin + static_cast<Nanoseconds>(
                              random_.below(static_cast<std::uint64_t>(end - begin) + 1));
    if (one.action == Action::kWrite) {
      // Versions mostly grow with time; some do not, and are superseded or overtaken.
      one.written = {1 + static_cast<std::uint64_t>(begin) / 200 + random_.below(2),
                     std::string(1, static_cast<char>('a' + random_.below(3)))};
      if (random_.chance(1, 4)) {
        one.outcome = random_.chance(1, 2) ? Outcome::kUnknown : Outcome::kPending;
        if (one.outcome == Outcome::kPending) one.completed.reset();
        effect = begin + static_cast<Nanoseconds>(random_.below(2 * kTime));
      }
    }
    history_.push_back(one);
    if (one.outcome == Outcome::kOk || random_.chance(1, 2)) effects_.emplace_back(effect, which);
  }

  void take_effect(Operation& one, Point& state) {
    if (one.action == Action::kRead) {
      one.outcome = state.is_nothing() ? Outcome::kNotFound : Outcome::kOk;
      one.returned = state;
    } else if (state <= one.written) {
      state = one.written;
    } else if (one.outcome == Outcome::kOk) {
      one.outcome = Outcome::kConflict;
      one.returned = state;
    }
  }

  Random random_;
  History history_;
  std::vector<std::pair<Nanoseconds, std::size_t>> effects_;
};

/// Changes one thing, so that the history may be wrong.
void mutate(History& history, Random& random) {
  Operation& one = history[random.below(history.size())];
  switch (random.below(4)) {
    case 0:  // it began and ended at another time
      if (one.completed) {
        const auto shift = static_cast<Nanoseconds>(random.below(1500));
        one.invoked += shift;
        *one.completed += shift;
      }
      break;
    case 1: {  // it returned, or wrote, what another one did
      const Operation& other = history[random.below(history.size())];
      const Point point = other.action == Action::kWrite ? other.written : other.returned;
      if (one.action == Action::kWrite && !point.is_nothing()) one.written = point;
      if (one.action == Action::kRead && one.completed) {
        one.returned = point;
        one.outcome = point.is_nothing() ? Outcome::kNotFound : Outcome::kOk;
      }
      break;
    }
    case 2:  // an unknown or superseded write was acknowledged after all
      if (one.action == Action::kWrite && one.completed) {
        one.outcome = Outcome::kOk;
        one.returned = {};
      }
      break;
    default:  // a write that others saw was never begun
      if (one.action == Action::kWrite) history.erase(history.begin() + (&one - history.data()));
      break;
  }
}

/// Tries every order of every choice of the writes that need not take effect. Written as the
/// definition says, and as slow.
bool is_linearizable_by_trying(const History& history) {
  std::vector<const Operation*> required;
  std::vector<const Operation*> optional;
  for (const Operation& one : history) {
    if (one.outcome == Outcome::kConflict) {
      const auto names = [&](const Operation& other) {
        return other.action == Action::kWrite && other.written == one.returned &&
               other.invoked <= *one.completed;
      };
      if (one.returned <= one.written || std::ranges::none_of(history, names)) return false;
    }
    const bool is_read = one.action == Action::kRead;
    if (one.outcome == Outcome::kOk || (is_read && one.outcome == Outcome::kNotFound)) {
      required.push_back(&one);
    } else if (!is_read) {
      optional.push_back(&one);
    }
  }
  const auto is_right_order = [](const std::vector<const Operation*>& order, std::size_t needed) {
    Point state;
    for (std::size_t i = 0; i < order.size(); ++i) {
      for (std::size_t later = i + 1; later < order.size(); ++later) {
        const Operation& after = *order[later];
        // Only what must take effect in its time bounds what comes before it.
        const bool is_bounded = after.outcome == Outcome::kOk || after.action == Action::kRead;
        if (is_bounded && *after.completed < order[i]->invoked) return false;
      }
      const Operation& one = *order[i];
      if (one.action == Action::kRead && state != one.returned) return false;
      if (one.action == Action::kRead) continue;
      if (state > one.written && one.outcome == Outcome::kOk) return false;
      state = std::max(state, one.written);
    }
    return needed <= order.size();
  };
  for (std::size_t chosen = 0; chosen < (std::size_t{1} << optional.size()); ++chosen) {
    auto order = required;
    for (std::size_t i = 0; i < optional.size(); ++i) {
      if ((chosen >> i & 1) != 0) order.push_back(optional[i]);
    }
    std::ranges::sort(order);
    do {
      if (is_right_order(order, required.size())) return true;
    } while (std::ranges::next_permutation(order).found);
  }
  return false;
}

std::string told(const History& history) {
  std::string out;
  for (const Operation& one : history) out += describe(one, 0) + "\n";
  return out;
}

TEST(RandomHistory, OfAModel_IsRight) {
  for (std::uint64_t seed = 0; seed < 20'000; ++seed) {
    const History history = Model(seed).make(1 + seed % 24);
    const auto violations = check(history);
    ASSERT_TRUE(violations.empty()) << "seed " << seed << "\n" << violations.front().text();
    ASSERT_TRUE(is_linearizable(history)) << "seed " << seed << "\n" << told(history);
  }
}

TEST(RandomHistory, Changed_RuleAndSearchAndTryingAgree) {
  std::size_t wrong = 0;
  std::size_t right = 0;
  for (std::uint64_t seed = 0; seed < 20'000; ++seed) {
    Random random(seed);
    History history = Model(seed).make(2 + seed % 5);
    for (std::uint64_t i = 0; i <= seed % 2; ++i) {
      if (!history.empty()) mutate(history, random);
    }
    const bool is_right = is_linearizable_by_trying(history);
    ASSERT_EQ(is_linearizable(history), is_right) << "seed " << seed << "\n" << told(history);
    ASSERT_EQ(check(history).empty(), is_right) << "seed " << seed << "\n" << told(history);
    ++(is_right ? right : wrong);
  }
  // Both sorts are there in numbers: otherwise agreeing would say little.
  EXPECT_GT(wrong, 2000U);
  EXPECT_GT(right, 2000U);
}

TEST(RandomHistory, LongAndChanged_RuleAndSearchAgree) {
  std::size_t wrong = 0;
  for (std::uint64_t seed = 0; seed < 3'000; ++seed) {
    Random random(seed);
    History history = Model(seed).make(20 + seed % 12);
    mutate(history, random);
    const bool is_right = is_linearizable(history);
    ASSERT_EQ(check(history).empty(), is_right) << "seed " << seed << "\n" << told(history);
    if (!is_right) ++wrong;
  }
  EXPECT_GT(wrong, 300U);
}

}  // namespace
}  // namespace rosebud::history
