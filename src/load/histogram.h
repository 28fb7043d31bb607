// Latencies in buckets whose width is at most 1/64 of the value, as in HdrHistogram: percentiles of
// any number of samples from 30 KB.
#pragma once

#include <array>
#include <cstdint>

#include "base/time.h"

namespace rosebud::load {

class Histogram {
 public:
  /// Negative values count as 0, those beyond about 19 hours as the greatest value.
  void record(Duration value);
  void merge(const Histogram& other);

  std::uint64_t count() const { return count_; }
  Duration max() const { return max_; }
  Duration mean() const;
  /// The smallest recorded value (to within 1/64) that at least `share` of the samples do not
  /// exceed; 0 without samples. Requires: 0 <= share <= 1.
  Duration percentile(double share) const;

 private:
  static constexpr std::size_t kBits = 6;  // 64 buckets for every doubling
  static constexpr std::size_t kDoublings = 30;
  static constexpr std::size_t kBuckets = (kDoublings + 2) << kBits;
  static std::size_t bucket_of(std::uint64_t value);
  static std::uint64_t greatest_in(std::size_t bucket);

  std::array<std::uint64_t, kBuckets> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_us_ = 0;
  Duration max_{};
};

}  // namespace rosebud::load
