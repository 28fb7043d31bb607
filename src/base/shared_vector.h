// A vector whose changed copies share what did not change.
//
// Values stand in chunks that never change once made; with() copies the chunks that a change
// touches and the list of chunks, and nothing else. For large lists of which many versions are kept
// that differ in a few places.
//
// Thread-safe as any immutable value: versions that share chunks may be read and dropped on any
// threads.
#pragma once

#include <algorithm>
#include <compare>
#include <cstddef>
#include <iterator>
#include <map>
#include <memory>
#include <vector>

#include "base/check.h"

namespace rosebud {

template <typename T>
class SharedVector {
 public:
  /// Values of a chunk: what one change copies. More make the list of chunks shorter.
  static constexpr std::size_t kChunk = 64;

  /// Random access. Valid as long as the vector that it came from stands where it stood.
  class Iterator {
   public:
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using reference = const T&;
    using pointer = const T*;
    using iterator_category = std::random_access_iterator_tag;

    Iterator() = default;
    Iterator(const SharedVector* of, std::ptrdiff_t at) : of_(of), at_(at) {}

    reference operator*() const { return (*of_)[static_cast<std::size_t>(at_)]; }
    pointer operator->() const { return &**this; }
    reference operator[](difference_type n) const { return *(*this + n); }
    Iterator& operator+=(difference_type n) {
      at_ += n;
      return *this;
    }
    Iterator& operator-=(difference_type n) { return *this += -n; }
    Iterator& operator++() { return *this += 1; }
    Iterator& operator--() { return *this -= 1; }
    Iterator operator++(int) {
      Iterator before = *this;
      ++*this;
      return before;
    }
    Iterator operator--(int) {
      Iterator before = *this;
      --*this;
      return before;
    }
    friend Iterator operator+(Iterator a, difference_type n) { return a += n; }
    friend Iterator operator+(difference_type n, Iterator a) { return a += n; }
    friend Iterator operator-(Iterator a, difference_type n) { return a -= n; }
    friend difference_type operator-(const Iterator& a, const Iterator& b) { return a.at_ - b.at_; }
    friend bool operator==(const Iterator& a, const Iterator& b) { return a.at_ == b.at_; }
    friend auto operator<=>(const Iterator& a, const Iterator& b) { return a.at_ <=> b.at_; }

   private:
    const SharedVector* of_ = nullptr;
    std::ptrdiff_t at_ = 0;
  };

  SharedVector() = default;
  explicit SharedVector(std::vector<T> values) : size_(values.size()) {
    for (std::size_t at = 0; at < size_; at += kChunk) {
      const auto first = values.begin() + static_cast<std::ptrdiff_t>(at);
      const auto last = first + static_cast<std::ptrdiff_t>(std::min(kChunk, size_ - at));
      chunks_.push_back(std::make_shared<const std::vector<T>>(std::make_move_iterator(first),
                                                               std::make_move_iterator(last)));
    }
  }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  /// Requires: index < size().
  const T& operator[](std::size_t index) const {
    return (*chunks_[index / kChunk])[index % kChunk];
  }
  const T& front() const { return (*this)[0]; }
  const T& back() const { return (*this)[size_ - 1]; }
  Iterator begin() const { return Iterator(this, 0); }
  Iterator end() const { return Iterator(this, static_cast<std::ptrdiff_t>(size_)); }

  /// A copy of everything: for lists that are known to be small, and for who changes most of it.
  std::vector<T> to_vector() const { return {begin(), end()}; }

  /// The first `size` of these with other values at some places. Requires: all places are below
  /// `size`, and every place from the present size on is among them.
  SharedVector with(const std::map<std::size_t, T>& changed, std::size_t size) const {
    SharedVector out;
    out.size_ = size;
    const std::size_t chunks = (size + kChunk - 1) / kChunk;
    out.chunks_.assign(chunks_.begin(), chunks_.begin() + static_cast<std::ptrdiff_t>(
                                                              std::min(chunks, chunks_.size())));
    if (size < size_ && size % kChunk != 0) out.rewrite(chunks - 1, *this, changed);
    for (auto at = changed.begin(); at != changed.end();) {
      const std::size_t chunk = at->first / kChunk;
      CHECK(at->first < size);
      out.rewrite(chunk, *this, changed);
      at = changed.lower_bound((chunk + 1) * kChunk);
    }
    CHECK(out.chunks_.size() == chunks);
    return out;
  }

  /// Whether `is_so` holds for every place of this vector, but for those that are the same memory
  /// in `other`, which are passed over.
  template <typename IsSo>
  bool all_not_shared(const SharedVector& other, const IsSo& is_so) const {
    for (std::size_t chunk = 0; chunk < chunks_.size(); ++chunk) {
      if (chunk < other.chunks_.size() && chunks_[chunk] == other.chunks_[chunk]) continue;
      const std::size_t first = chunk * kChunk;
      for (std::size_t at = first; at < std::min(first + kChunk, size_); ++at) {
        if (!is_so(at)) return false;
      }
    }
    return true;
  }

  friend bool operator==(const SharedVector& a, const SharedVector& b) {
    return a.size_ == b.size_ &&
           a.all_not_shared(b, [&](std::size_t at) { return a[at] == b[at]; });
  }
  friend bool operator==(const SharedVector& a, const std::vector<T>& b) {
    return a.size_ == b.size() && std::equal(a.begin(), a.end(), b.begin());
  }

 private:
  void rewrite(std::size_t chunk, const SharedVector& old,
               const std::map<std::size_t, T>& changed) {
    std::vector<T> values;
    const std::size_t first = chunk * kChunk;
    const std::size_t last = std::min(first + kChunk, size_);
    values.reserve(last - first);
    auto next = changed.lower_bound(first);
    for (std::size_t at = first; at < last; ++at) {
      const bool is_changed = next != changed.end() && next->first == at;
      CHECK(is_changed || at < old.size_);
      values.push_back(is_changed ? next->second : old[at]);
      if (is_changed) ++next;
    }
    // Chunks come in order, so one that is new is the next.
    CHECK(chunk <= chunks_.size());
    if (chunk == chunks_.size()) chunks_.emplace_back();
    chunks_[chunk] = std::make_shared<const std::vector<T>>(std::move(values));
  }

  std::vector<std::shared_ptr<const std::vector<T>>> chunks_;  // all but the last have kChunk
  std::size_t size_ = 0;
};

}  // namespace rosebud
