// A network that falls apart, in a development cluster: nodes send nothing to those on another
// side.
#pragma once

#include "apps/rosebud/commands.h"

namespace rosebud::apps {

/// `sides`: each a list of organisations, nodes and "client" (the cluster's own client) with commas
/// between. One side alone is cut off from all other nodes. `is_one_way`: only what the first of
/// two sides sends is lost. Takes the place of what was cut before.
void partition_nodes(const Globals& globals, const std::filesystem::path& folder,
                     const std::vector<std::string>& sides, bool is_one_way);
/// Everybody sends to everybody again.
void heal_nodes(const Globals& globals, const std::filesystem::path& folder);

}  // namespace rosebud::apps
