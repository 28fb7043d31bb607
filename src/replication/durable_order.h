// Durable before said: what a replica sends leaves when everything that it persisted before is on
// disk (pbft/effects.h).
#pragma once

#include <cstdint>
#include <deque>
#include <utility>

#include "base/check.h"

namespace rosebud::replication {

template <typename Outgoing>
class DurableOrder {
 public:
  /// Something was handed to the disk. What is added from now on waits for it.
  void persist() { ++persisted_; }

  /// Hands `one` to `leave`, at once or from on_durable(). `leave` must not call back.
  template <typename Leave>
  void add(Outgoing one, Leave&& leave) {
    if (durable_ == persisted_) return leave(std::move(one));
    waiting_.emplace_back(persisted_, std::move(one));
  }

  /// The next `count` of what was persisted are on disk.
  template <typename Leave>
  void on_durable(std::uint64_t count, Leave&& leave) {
    durable_ += count;
    CHECK(durable_ <= persisted_);
    while (!waiting_.empty() && waiting_.front().first <= durable_) {
      leave(std::move(waiting_.front().second));
      waiting_.pop_front();
    }
  }

  std::size_t waiting_count() const { return waiting_.size(); }
  bool is_all_durable() const { return durable_ == persisted_; }

 private:
  std::uint64_t persisted_ = 0;
  std::uint64_t durable_ = 0;
  // Invariant: ascending, all above durable_.
  std::deque<std::pair<std::uint64_t, Outgoing>> waiting_;
};

}  // namespace rosebud::replication
