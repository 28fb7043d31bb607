#include "load/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/check.h"

namespace rosebud::load {

/// Values below 2^(kBits+1) have a bucket of their own; above, the highest kBits+1 bits name it.
std::size_t Histogram::bucket_of(std::uint64_t value) {
  const std::size_t width = static_cast<std::size_t>(std::bit_width(value));
  if (width <= kBits + 1) return static_cast<std::size_t>(value);
  const std::size_t shift = width - (kBits + 1);
  const std::size_t bucket = (shift << kBits) + static_cast<std::size_t>(value >> shift);
  return std::min(bucket, kBuckets - 1);
}

std::uint64_t Histogram::greatest_in(std::size_t bucket) {
  constexpr std::size_t kFirstShared = std::size_t{2} << kBits;
  if (bucket < kFirstShared) return bucket;
  const std::size_t shift = (bucket >> kBits) - 1;
  const std::uint64_t top = bucket - (shift << kBits);
  return ((top + 1) << shift) - 1;
}

void Histogram::record(Duration value) {
  const std::uint64_t us = static_cast<std::uint64_t>(std::max<std::int64_t>(value.count(), 0));
  ++counts_[bucket_of(us)];
  ++count_;
  sum_us_ += us;
  max_ = std::max(max_, Duration(static_cast<std::int64_t>(us)));
}

void Histogram::merge(const Histogram& other) {
  for (std::size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  sum_us_ += other.sum_us_;
  max_ = std::max(max_, other.max_);
}

Duration Histogram::mean() const {
  return count_ == 0 ? Duration::zero() : Duration(static_cast<std::int64_t>(sum_us_ / count_));
}

Duration Histogram::percentile(double share) const {
  CHECK(share >= 0);
  CHECK(share <= 1);
  if (count_ == 0) return Duration::zero();
  const std::uint64_t wanted = std::max<std::uint64_t>(
      1, static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_))));
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
    seen += counts_[bucket];
    if (seen >= wanted) {
      return std::min(Duration(static_cast<std::int64_t>(greatest_in(bucket))), max_);
    }
  }
  return max_;
}

}  // namespace rosebud::load
