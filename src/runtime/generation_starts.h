// Where the generations of a node's own chain of epochs began (design 8.6): what its epochs are
// numbered by, and what was accepted as lost on the way.
#pragma once

#include <map>

#include "membership/description.h"

namespace rosebud::runtime {

class GenerationStarts {
 public:
  /// The next of the chain; most begin no generation.
  void add(const membership::Configuration& next);
  /// What followed this one is abandoned, with the losses that were accepted for it.
  void go_back_to(const wire::ConfigurationNumber& parent);

  /// Epochs of a chain count on through its generations.
  wire::ConfigurationNumber at_epoch(wire::Epoch epoch) const;
  /// What somebody needs next who has that one, which may be of a branch that was abandoned.
  wire::ConfigurationNumber following(const wire::ConfigurationNumber& after) const;
  /// Groups whose losses were accepted for what is in force.
  std::size_t lost_groups_count() const;

 private:
  /// By the first epoch of each generation above 0: groups whose losses were accepted with it.
  std::map<wire::ConfigurationNumber, std::size_t> lost_with_;
};

}  // namespace rosebud::runtime
