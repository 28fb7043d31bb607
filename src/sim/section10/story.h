// A run of the model, told to a person.
#pragma once

#include <utility>

#include "sim/section10/rules.h"

namespace rosebud::sim::section10 {

struct Way {
  State first;
  std::vector<std::pair<Step, State>> steps;  // and what each led to
};

/// A line for each step, and what became of it.
std::vector<std::string> tell(const Model& model, const Way& way);

}  // namespace rosebud::sim::section10
