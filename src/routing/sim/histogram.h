// How long events were on their way, in steps of 10 ms up to ten minutes.
#pragma once

#include <cstdint>
#include <vector>

#include "base/time.h"

namespace rosebud::routing::sim {

class AgeHistogram {
 public:
  void add(Duration age) {
    const auto step = static_cast<std::size_t>(age.count() < 0 ? 0 : age.count() / kStepUs);
    const std::size_t place = step < kSteps ? step : kSteps - 1;
    if (counts_.size() <= place) counts_.resize(place + 1);
    ++counts_[place];
    ++count_;
    if (age > longest_) longest_ = age;
  }
  std::uint64_t count() const { return count_; }
  Duration longest() const { return longest_; }
  /// Of so many of a million the age is at most this.
  Duration at(std::uint64_t millionths) const {
    std::uint64_t left = count_ * millionths / 1'000'000;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      if (counts_[i] > left) return Duration(static_cast<Duration::rep>((i + 1) * kStepUs));
      left -= counts_[i];
    }
    return longest_;
  }

 private:
  static constexpr std::int64_t kStepUs = 10'000;
  static constexpr std::size_t kSteps = 60'000;
  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  Duration longest_{};
};

}  // namespace rosebud::routing::sim
