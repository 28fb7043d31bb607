// Results in the order of their questions, whichever thread has the answer first.
#pragma once

#include <cstdint>
#include <map>
#include <utility>

namespace rosebud::replication {

template <typename T>
class InOrder {
 public:
  /// A place in the order.
  std::uint64_t take_place() { return next_place_++; }

  /// Calls `take` for it and for those behind it that waited, as soon as none before it is missing.
  /// `take` must not call back.
  template <typename Take>
  void put(std::uint64_t place, T one, Take&& take) {
    ready_.emplace(place, std::move(one));
    while (!ready_.empty() && ready_.begin()->first == next_out_) {
      ++next_out_;
      take(std::move(ready_.extract(ready_.begin()).mapped()));
    }
  }

  /// Nothing is missing.
  bool is_idle() const { return next_out_ == next_place_; }

 private:
  std::uint64_t next_place_ = 0;
  std::uint64_t next_out_ = 0;
  std::map<std::uint64_t, T> ready_;  // Invariant: none is next_out_.
};

}  // namespace rosebud::replication
