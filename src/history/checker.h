// Judges a whole history: every object by itself, since linearizability of all follows from that of
// each (locality), with the rule of register.h.
#pragma once

#include "history/register.h"

namespace rosebud::history {

struct Violation {
  std::string object;
  std::string what;  // one sentence
  /// The operations that contradict each other, in the order in which they began; the last to end
  /// is the one that is wrong. Nothing can be left out of them.
  std::vector<Operation> proof;
  /// Others of the same object that were under way meanwhile, at most `kAroundMax`.
  std::vector<Operation> around;

  static constexpr std::size_t kAroundMax = 12;
  /// Several lines, with times in milliseconds from the first operation of the proof.
  std::string text() const;
};

/// All violations, at most one for each object: after the first nothing is certain any more.
std::vector<Violation> check(const History& history);

/// One line: client, interval in milliseconds since `zero`, what was asked and what came of it.
std::string describe(const Operation& operation, Nanoseconds zero);

}  // namespace rosebud::history
