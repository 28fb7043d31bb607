#include "history/search.h"

#include <algorithm>
#include <limits>
#include <set>

#include "base/check.h"

namespace rosebud::history {
namespace {

constexpr Nanoseconds kNever = std::numeric_limits<Nanoseconds>::max();

/// What an operation asks of the order.
struct Step {
  Nanoseconds invoked;
  Nanoseconds completed;  // kNever: it need not take effect at all
  bool is_write;
  Point point;  // written or returned

  bool is_required() const { return completed != kNever; }
};

std::optional<Step> step_of(const Operation& one) {
  if (one.action == Action::kWrite) {
    const bool is_required = one.outcome == Outcome::kOk;
    return Step{one.invoked, is_required ? *one.completed : kNever, true, one.written};
  }
  if (one.outcome == Outcome::kOk) return Step{one.invoked, *one.completed, false, one.returned};
  if (one.outcome == Outcome::kNotFound) return Step{one.invoked, *one.completed, false, Point{}};
  return std::nullopt;  // a read that returned nothing says nothing
}

class Search {
 public:
  explicit Search(std::vector<Step> steps) : steps_(std::move(steps)) {}

  /// Whether what is left can follow, where those in `done` have taken effect and left `state`.
  /// The depth is that of the history, which is bounded.
  bool can_follow(std::uint64_t done, const Point& state) {
    if (!tried_.emplace(done, state).second) return false;
    Nanoseconds first_end = kNever;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      if (!is_done(done, i)) first_end = std::min(first_end, steps_[i].completed);
    }
    if (first_end == kNever) return true;  // nothing is left that must take effect
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      const Step& step = steps_[i];
      // Who begins after another has ended comes after it.
      if (is_done(done, i) || step.invoked > first_end) continue;
      const bool fits = step.is_write ? state <= step.point : state == step.point;
      if (fits && can_follow(done | (std::uint64_t{1} << i), step.point)) return true;
    }
    return false;
  }

 private:
  static bool is_done(std::uint64_t done, std::size_t i) { return ((done >> i) & 1) != 0; }

  std::vector<Step> steps_;
  std::set<std::pair<std::uint64_t, Point>> tried_;
};

bool is_conflict_right(const Operation& conflict, const History& history) {
  return conflict.returned > conflict.written &&
         std::ranges::any_of(history, [&](const Operation& one) {
           return one.action == Action::kWrite && one.written == conflict.returned &&
                  one.invoked <= *conflict.completed;
         });
}

}  // namespace

bool is_linearizable(const History& history) {
  CHECK(history.size() <= kSearchedMax);
  std::vector<Step> steps;
  for (const Operation& one : history) {
    if (one.outcome == Outcome::kWrong) return false;
    if (one.outcome == Outcome::kConflict && !is_conflict_right(one, history)) return false;
    if (auto step = step_of(one)) steps.push_back(std::move(*step));
  }
  return Search(std::move(steps)).can_follow(0, Point{});
}

}  // namespace rosebud::history
