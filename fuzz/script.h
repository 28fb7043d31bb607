// The fuzzer's bytes as a script: every choice that a target makes is one of them. Past the end
// every choice is the first one, so a script may be cut anywhere and still means the same up to
// there.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/bytes.h"

namespace rosebud::fuzz {

/// An invariant: says which, and ends the run as a finding.
inline void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "fuzz: broken: %s\n", what);
  std::abort();
}

class Script {
 public:
  explicit Script(ByteView bytes) : rest_(bytes) {}

  bool is_over() const { return rest_.empty(); }
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const std::uint8_t out = rest_.front();
    rest_ = rest_.subspan(1);
    return out;
  }
  std::size_t below(std::size_t bound) { return byte() % bound; }
  /// True for one byte in `one_in`, so that what is rare in a script is rare in a mutated one too.
  bool rarely(std::size_t one_in) { return byte() % one_in == one_in - 1; }
  template <typename T, std::size_t N>
  const T& one_of(const T (&choices)[N]) {
    return choices[below(N)];
  }
  /// At most so many, a length byte in front.
  ByteView bytes(std::size_t size_max) {
    const std::size_t size = std::min({std::size_t{byte()}, size_max, rest_.size()});
    const ByteView out = rest_.first(size);
    rest_ = rest_.subspan(size);
    return out;
  }

 private:
  ByteView rest_;
};

}  // namespace rosebud::fuzz
