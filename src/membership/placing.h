// Which place in the list of nodes belongs to whom, from one configuration to the next.
//
// Places are what groups, seats and the leaves of the Merkle tree name. Suppose all behind a node
// that leaves moved up by one: nearly everything would change at each removal. So whoever stays
// keeps its place; newcomers take the places of those who left, in the order in which they come,
// and further ones stand behind; where nobody comes, the last of the list move into the places that
// are free, in their order. A pure function: everybody comes to the same list.
#pragma once

#include "membership/configuration.h"

namespace rosebud::membership {

/// `nodes` of an epoch after `before`, in their places. Requires: their keys are distinct.
std::vector<Node> in_their_places(const Configuration& before, std::vector<Node> nodes);

}  // namespace rosebud::membership
