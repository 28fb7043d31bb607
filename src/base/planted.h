// The switch of planted bugs. A core has an enum `Bug` with one name for each of its rules that
// must not be broken (planted_bugs.h in its folder); where a rule stands, it asks is_planted(). A
// test build (CMake option ROSEBUD_PLANTED_BUGS, preset `bugs`) can break one rule of each core, so
// that scripts/planted-bugs can measure whether the checkers find what they should. In every other
// build is_planted() is the constant false.
#pragma once

#include <optional>

namespace rosebud {

#ifdef ROSEBUD_PLANTED_BUGS

inline constexpr bool kHasPlantedBugs = true;

template <typename Bug>
inline std::optional<Bug> planted_bug;

/// To be called before any core runs.
template <typename Bug>
void plant(Bug bug) {
  planted_bug<Bug> = bug;
}

template <typename Bug>
bool is_planted(Bug bug) {
  return planted_bug<Bug> == bug;
}

#else

inline constexpr bool kHasPlantedBugs = false;

template <typename Bug>
void plant(Bug) {}

template <typename Bug>
constexpr bool is_planted(Bug) {
  return false;
}

#endif

}  // namespace rosebud
