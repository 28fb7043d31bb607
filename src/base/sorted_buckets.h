// A sorted set whose changed copies share what did not change.
//
// Values stand in buckets by their leading bits, so that for values which are spread evenly, such
// as hashes, a bucket has about kUsual of them. A change copies the buckets that it touches and the
// list of buckets. Values that somebody crowded into one bucket make that one long and nothing
// worse: within a bucket they are sorted.
//
// Thread-safe as any immutable value.
#pragma once

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/check.h"

namespace rosebud {

/// leading_bits() never descends where values ascend.
template <typename T>
concept HasLeadingBits = std::totally_ordered<T> && requires(const T& one) {
  { one.leading_bits() } -> std::same_as<std::uint64_t>;
};

template <HasLeadingBits T>
class SortedBuckets {
 public:
  /// Values of a bucket, between half and twice as many: what one change copies. More make the list
  /// of buckets shorter, which every change copies too.
  static constexpr std::size_t kUsual = 64;

  /// Where a value stands; the end when `bucket` is bucket_count().
  struct Place {
    std::size_t bucket = 0;
    std::size_t index = 0;
    friend bool operator==(const Place&, const Place&) = default;
  };

  SortedBuckets() : SortedBuckets(std::vector<T>{}) {}
  /// In any order. Requires: distinct.
  explicit SortedBuckets(std::vector<T> values) : size_(values.size()) {
    std::ranges::sort(values);
    while (size_ > (kUsual << bits_) && bits_ < kBitsMax) ++bits_;
    buckets_.resize(std::size_t{1} << bits_);
    for (auto at = values.begin(); at != values.end();) {
      const std::size_t bucket = bucket_of(at->leading_bits());
      const auto last = std::find_if(
          at, values.end(), [&](const T& one) { return bucket_of(one.leading_bits()) != bucket; });
      buckets_[bucket] = make_bucket(std::vector<T>(at, last));
      at = last;
    }
  }

  /// Without some and with others. Requires: `gone` are there; `come` are not, unless they are
  /// among `gone`.
  SortedBuckets changed(std::vector<T> gone, std::vector<T> come) const {
    const std::size_t size = size_ - gone.size() + come.size();
    std::ranges::sort(gone);
    std::ranges::sort(come);
    SortedBuckets out = *this;
    out.size_ = size;
    auto leaving = gone.begin();
    auto coming = come.begin();
    while (leaving != gone.end() || coming != come.end()) {
      const T& first = coming == come.end() || (leaving != gone.end() && *leaving < *coming)
                           ? *leaving
                           : *coming;
      const std::size_t bucket = bucket_of(first.leading_bits());
      const auto is_elsewhere = [&](const T& one) {
        return bucket_of(one.leading_bits()) != bucket;
      };
      const auto leaving_end = std::find_if(leaving, gone.end(), is_elsewhere);
      const auto coming_end = std::find_if(coming, come.end(), is_elsewhere);
      std::vector<T> staying;
      std::ranges::set_difference(this->bucket(bucket), std::ranges::subrange(leaving, leaving_end),
                                  std::back_inserter(staying));
      CHECK(staying.size() + static_cast<std::size_t>(leaving_end - leaving) ==
            this->bucket(bucket).size());
      std::vector<T> values;
      values.reserve(staying.size() + static_cast<std::size_t>(coming_end - coming));
      std::ranges::merge(staying, std::ranges::subrange(coming, coming_end),
                         std::back_inserter(values));
      out.buckets_[bucket] = make_bucket(std::move(values));
      leaving = leaving_end;
      coming = coming_end;
    }
    const bool is_crowded = size > (4 * kUsual << bits_) && bits_ < kBitsMax;
    const bool is_sparse = bits_ > 0 && size < (kUsual << bits_) / 8;
    return is_crowded || is_sparse ? SortedBuckets(out.to_vector()) : out;
  }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::size_t bucket_count() const { return buckets_.size(); }
  std::span<const T> bucket(std::size_t index) const {
    return buckets_[index] ? std::span<const T>(*buckets_[index]) : std::span<const T>();
  }
  /// Whether this bucket is the same memory in both.
  bool shares_bucket(const SortedBuckets& other, std::size_t index) const {
    return bits_ == other.bits_ && buckets_[index] == other.buckets_[index];
  }
  std::vector<T> to_vector() const {
    std::vector<T> out;
    out.reserve(size_);
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
      out.insert(out.end(), bucket(i).begin(), bucket(i).end());
    }
    return out;
  }

  const T& operator[](const Place& at) const { return (*buckets_[at.bucket])[at.index]; }
  Place end() const { return {.bucket = buckets_.size(), .index = 0}; }
  Place begin() const { return from({}); }
  /// The last one. Requires: not empty.
  Place last() const { return *before(end()); }
  Place next(const Place& at) const { return from({.bucket = at.bucket, .index = at.index + 1}); }
  /// Nothing before the first.
  std::optional<Place> before(Place at) const {
    while (at.index == 0) {
      if (at.bucket == 0) return std::nullopt;
      --at.bucket;
      at.index = bucket(at.bucket).size();
    }
    return Place{.bucket = at.bucket, .index = at.index - 1};
  }
  /// The first for which `is_before` does not hold. Requires: it holds for a beginning of the
  /// values, which takes in all those with smaller leading bits and none with greater ones.
  template <typename IsBefore>
  Place partition_point(std::uint64_t leading_bits, const IsBefore& is_before) const {
    const std::size_t bucket = bucket_of(leading_bits);
    const auto values = this->bucket(bucket);
    const auto at = std::ranges::partition_point(values, is_before);
    return from({.bucket = bucket, .index = static_cast<std::size_t>(at - values.begin())});
  }

 private:
  /// A list of a million buckets: more values than any list here has.
  static constexpr unsigned kBitsMax = 20;

  static std::shared_ptr<const std::vector<T>> make_bucket(std::vector<T> values) {
    if (values.empty()) return nullptr;
    CHECK(std::ranges::adjacent_find(values) == values.end());
    return std::make_shared<const std::vector<T>>(std::move(values));
  }
  std::size_t bucket_of(std::uint64_t leading_bits) const {
    return bits_ == 0 ? 0 : static_cast<std::size_t>(leading_bits >> (64 - bits_));
  }
  /// This place, or the first one after it where a value stands.
  Place from(Place at) const {
    while (at.bucket < buckets_.size() && at.index >= bucket(at.bucket).size()) {
      at = {.bucket = at.bucket + 1, .index = 0};
    }
    return at;
  }

  std::vector<std::shared_ptr<const std::vector<T>>> buckets_;  // none: nobody is there
  std::size_t size_ = 0;
  unsigned bits_ = 0;
};

}  // namespace rosebud
