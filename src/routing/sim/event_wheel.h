// The future of a simulation with a million events a second: slots of half a millisecond for the
// next four seconds, a heap for what lies beyond. Order: (time, number), whatever the slots are.
#pragma once

#include <algorithm>
#include <cstdint>
#include <queue>
#include <tuple>
#include <vector>

#include "base/time.h"

namespace rosebud::routing::sim {

template <typename Item>
class EventWheel {
 public:
  EventWheel() : slots_(kSlots) {}

  /// Requires: no earlier than what was popped last.
  void push(Instant time, Item item) {
    const Entry one{time, number_++, item};
    const std::int64_t slot = slot_of(time);
    ++size_;
    if (slot <= slot_now_) {
      soon_.push(one);
    } else if (slot < slot_now_ + static_cast<std::int64_t>(kSlots)) {
      slots_[static_cast<std::size_t>(slot) % kSlots].push_back(one);
    } else {
      far_.push(one);
    }
  }

  /// The next one up to `limit`. False when there is none.
  bool pop(Instant limit, Instant& time, Item& item) {
    for (;;) {
      const bool has_sorted = next_ < sorted_.size();
      if (has_sorted || !soon_.empty()) {
        const bool is_soon = !soon_.empty() && (!has_sorted || soon_.top() < sorted_[next_]);
        const Entry one = is_soon ? soon_.top() : sorted_[next_];
        if (one.time > limit) return false;
        if (is_soon) {
          soon_.pop();
        } else {
          ++next_;
        }
        --size_;
        time = one.time;
        item = one.item;
        return true;
      }
      if (size_ == 0 || slot_now_ >= slot_of(limit)) return false;
      advance();
    }
  }

  std::size_t size() const { return size_; }

  /// The n-th one of this slot that comes after the last popped, or none: for a look ahead.
  const Item* ahead(std::size_t n) const {
    return next_ + n < sorted_.size() ? &sorted_[next_ + n].item : nullptr;
  }

 private:
  struct Entry {
    Instant time;
    std::uint64_t number;
    Item item;
    bool operator<(const Entry& other) const {
      return std::tie(time, number) < std::tie(other.time, other.number);
    }
  };
  struct Later {
    bool operator()(const Entry& a, const Entry& b) const { return b < a; }
  };
  using Heap = std::priority_queue<Entry, std::vector<Entry>, Later>;

  static constexpr std::size_t kSlots = 8192;
  static constexpr std::int64_t kSlotUs = 512;
  static std::int64_t slot_of(Instant time) { return time.time_since_epoch().count() / kSlotUs; }

  void advance() {
    sorted_.clear();
    next_ = 0;
    ++slot_now_;
    auto& slot = slots_[static_cast<std::size_t>(slot_now_) % kSlots];
    sorted_.swap(slot);
    while (!far_.empty() && slot_of(far_.top().time) <= slot_now_) {
      sorted_.push_back(far_.top());
      far_.pop();
    }
    std::sort(sorted_.begin(), sorted_.end());
  }

  std::vector<std::vector<Entry>> slots_;
  std::vector<Entry> sorted_;  // of the slot that is now
  std::size_t next_ = 0;
  Heap soon_;
  Heap far_;
  std::int64_t slot_now_ = -1;
  std::uint64_t number_ = 0;
  std::size_t size_ = 0;
};

}  // namespace rosebud::routing::sim
