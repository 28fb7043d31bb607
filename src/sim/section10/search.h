// Every state that a model can reach, the nearest first, each once.
//
// States are kept whole, not as hashes, so none is missed: a node's state is a number in a
// dictionary, and 8 of them and the rest make 16 bytes. States that differ only in which of several
// nodes with the same memberships is which are one; rules and invariants do not know nodes by name.
#pragma once

#include <optional>

#include "sim/section10/rules.h"

namespace rosebud::sim::section10 {

struct Found {
  std::string violation;           // empty: every state was seen, and nothing is wrong in any
  std::vector<std::string> story;  // the shortest way there, a line for each step
  bool is_whole = true;            // false: states_max was reached first
  std::uint64_t states = 0;
  std::uint64_t steps = 0;
  std::uint32_t depth = 0;  // of the state that is farthest from the first
  std::size_t bytes = 0;    // of memory
};

struct SearchLimits {
  std::uint64_t states_max = 50'000'000;
};

Found search(const Model& model, SearchLimits limits = {});

}  // namespace rosebud::sim::section10
