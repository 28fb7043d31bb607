// Which place in the list of nodes belongs to whom, from one configuration to the next.
//
// Places are what groups, seats and the leaves of the Merkle tree name. Suppose all behind a node
// that leaves moved up by one: nearly everything would change at each removal. So whoever stays
// keeps its place; newcomers take the places of those who left, in the order of their keys, and
// further ones stand behind; where nobody comes, the last of the list move into the places that
// are free, in their order. A pure function: everybody comes to the same list.
#pragma once

#include "membership/changes.h"

namespace rosebud::membership {

/// Where the changes put whom in an epoch after `before`. Nothing: they are no changes of it, since
/// somebody goes or is changed who is not there, somebody comes who is, or is changed into what it
/// was, or a key stands in two of them. Costs in proportion to the changes.
std::optional<PlacedNodes> in_their_places(const Configuration& before, const NodeChanges& changes);

}  // namespace rosebud::membership
