// What differs between the nodes of two neighbouring configurations: who goes, who stays and is
// changed, who comes. A description says that and not all nodes, so that an epoch of 100,000 nodes
// costs what changes in it (docs/adr/0018).
//
// There is one set of changes for two lists of nodes, and one encoding of it (description.h).
// Which places the nodes take follows from it (placing.h).
#pragma once

#include <map>
#include <set>

#include "membership/configuration.h"

namespace rosebud::membership {

/// Most nodes that go in one epoch: an organisation with more of them goes in several.
inline constexpr std::size_t kRemovedNodesMax = 8192;
/// Most nodes that come or are changed in one epoch, together. Both are bounded by what a
/// description may be long (kDescriptionBodySizeMax).
inline constexpr std::size_t kPlacedNodesMax = 2048;

/// No key stands in two of the three. The key of an entry is that of its node.
struct NodeChanges {
  std::set<wire::NodeKey> removed;
  std::map<wire::NodeKey, Node> changed;  // was there, and differs in something
  std::map<wire::NodeKey, Node> added;

  bool is_empty() const { return removed.empty() && changed.empty() && added.empty(); }
  /// Whether one description can say them.
  bool fits() const {
    return removed.size() <= kRemovedNodesMax && changed.size() + added.size() <= kPlacedNodesMax;
  }

  /// After this the node is not there. Requires: these are changes of `before`.
  void remove(const Configuration& before, const wire::NodeKey& key);
  /// After this the node is there, just so. Requires: as above.
  void put(const Configuration& before, Node node);

  friend bool operator==(const NodeChanges&, const NodeChanges&) = default;
};

/// What makes `after` of the nodes of `before`, in whatever order they stand. Requires: their keys
/// are distinct.
NodeChanges changes_between(const Configuration& before, const std::vector<Node>& after);

/// The node with this key after the changes; null: there is none then. It lives as long as both.
const Node* node_after(const Configuration& before, const NodeChanges& changes,
                       const wire::NodeKey& key);
/// How many there are after them.
std::size_t node_count_after(const Configuration& before, const NodeChanges& changes);
/// Members that a group could have after them under the cap in force, as fillable_seats().
std::size_t fillable_seats_after(const Configuration& before, const NodeChanges& changes);
/// All of them, in their places. Requires: these are changes of `before`.
std::vector<Node> nodes_after(const Configuration& before, const NodeChanges& changes);

/// As stays_as_it_is() with the configuration that these changes make.
bool stays_as_it_is(const wire::NodeKey& node, const Configuration& before,
                    const NodeChanges& changes);

}  // namespace rosebud::membership
