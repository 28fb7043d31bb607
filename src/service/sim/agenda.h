// Virtual time.
#pragma once

#include <algorithm>
#include <functional>
#include <map>

#include "base/time.h"

namespace rosebud::service::sim {

/// Actions in the order of (time, number).
class Agenda {
 public:
  using Action = std::move_only_function<void()>;

  Instant now() const { return now_; }
  /// What it would be too late for is done now.
  void at(Instant time, Action action) {
    actions_.emplace(std::pair(std::max(time, now_), ++count_), std::move(action));
  }
  void after(Duration delay, Action action) { at(now_ + delay, std::move(action)); }
  /// When all that happens now has happened.
  void post(Action action) { at(now_, std::move(action)); }
  /// Of all actions so far.
  std::uint64_t count() const { return count_; }

  /// True when `is_done` was, within `limit`.
  bool run_until(const std::function<bool()>& is_done, Duration limit) {
    const Instant end = now_ + limit;
    while (!is_done()) {
      if (actions_.empty() || actions_.begin()->first.first > end) {
        now_ = end;
        return is_done();
      }
      auto next = actions_.extract(actions_.begin());
      now_ = next.key().first;
      next.mapped()();
    }
    return true;
  }

 private:
  Instant now_ = Instant(std::chrono::seconds(1));
  std::uint64_t count_ = 0;
  std::map<std::pair<Instant, std::uint64_t>, Action> actions_;
};

}  // namespace rosebud::service::sim
