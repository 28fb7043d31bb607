// Configurations before the one in force, as far as completing needs them (design 10.3).
//
// Epochs that give every key the same group, one after the other, are a run. Of a run the first and
// the last epoch are kept: whoever is complete for the first, and heard the group, is as good for
// those between, which have no other members and no other quorums. So a cluster in which nobody
// comes or goes remembers two configurations, however many epochs pass before somebody completes.
#pragma once

#include <memory>
#include <vector>

#include "membership/configuration.h"

namespace rosebud::objects {

/// Newest first.
using History = std::vector<std::shared_ptr<const membership::Configuration>>;

/// Whether both have the same nodes at the same places, with the same directories, and share keys
/// out by the same rule, in one generation: the first epoch of one says which groups were lost.
/// Constant time for each node.
bool have_same_groups(const membership::Configuration& one, const membership::Configuration& other);

/// Puts the configuration that was in force until now in front, in at most `size_max` in all.
void remember(History& history, std::shared_ptr<const membership::Configuration> left,
              std::size_t size_max);

}  // namespace rosebud::objects
