// Seeded pseudo-random numbers whose sequence is the same on every compiler and library.
//
// Not for keys: those come from crypto/. The standard distributions are not used because libraries
// differ.
#pragma once

#include <cstdint>
#include <vector>

namespace rosebud {

/// xoshiro256** 1.0 (Blackman, Vigna), seeded by splitmix64. A value type: copying copies the
/// sequence.
class Random {
 public:
  explicit Random(std::uint64_t seed);

  std::uint64_t next();

  /// Uniform in [0, bound). Requires: bound > 0.
  std::uint64_t below(std::uint64_t bound);

  /// Uniform in [low, high]. Requires: low <= high.
  std::uint64_t between(std::uint64_t low, std::uint64_t high);

  /// True with probability numerator / denominator.
  bool chance(std::uint64_t numerator, std::uint64_t denominator);

  /// A generator whose sequence is independent of this one's later use.
  Random fork();

  template <typename T>
  void shuffle(std::vector<T>& items) {
    for (std::size_t i = items.size(); i > 1; --i) {
      const auto j = static_cast<std::size_t>(below(i));
      if (j != i - 1) std::swap(items[i - 1], items[j]);
    }
  }

 private:
  std::uint64_t state_[4];
};

}  // namespace rosebud
