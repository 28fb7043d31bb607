// Breaks one rule of the object core in a real process, where a test build lets it
// (objects/planted_bugs.h): ROSEBUD_BUG=NAME in the environment of `rosebud node run` and
// `rosebud-trial`. In every other build the variable is refused: nobody is to believe that a test
// ran with a bug that was not there.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "objects/planted_bugs.h"

namespace rosebud::apps {

/// False: it cannot be done; said on standard error. To be called before any core runs.
inline bool plant_bug_of_environment() {
  const char* name = std::getenv("ROSEBUD_BUG");
  if (!name) return true;
#ifdef ROSEBUD_PLANTED_BUGS
  for (const objects::PlantedBug& one : objects::kPlantedBugs) {
    if (one.name != std::string_view(name)) continue;
    plant(one.bug);
    return true;
  }
  std::fprintf(stderr, "no bug is called '%s'; `rosebud-sim bugs` lists them\n", name);
#else
  std::fprintf(stderr, "ROSEBUD_BUG needs a build of the preset `bugs`\n");
#endif
  return false;
}

}  // namespace rosebud::apps
