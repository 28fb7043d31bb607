// A search through many scenarios, one after the other, until something is wrong.
#pragma once

#include <span>

#include "sim/section10/search.h"

namespace rosebud::sim::section10 {

struct Outcome {
  std::size_t scenarios = 0;
  std::uint64_t states = 0;  // of all
  std::uint64_t steps = 0;
  std::uint32_t depth = 0;    // the greatest
  std::size_t bytes_max = 0;  // one is in memory at a time
  bool is_whole = true;       // every scenario was searched to its end
  /// Where something is wrong, what, and the shortest way there.
  std::optional<Scenario> where;
  std::string violation;
  std::vector<std::string> story;
};

/// `is_done` is called after each scenario.
Outcome search_all(std::span<const Scenario> scenarios, Broken broken,
                   const std::function<void(const Scenario&, const Found&)>& is_done = {});

}  // namespace rosebud::sim::section10
