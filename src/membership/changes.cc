#include "membership/changes.h"

#include <algorithm>

#include "base/check.h"
#include "membership/parts_internal.h"
#include "membership/placing.h"

namespace rosebud::membership {
namespace {

const Node* node_in(const Configuration& configuration, const wire::NodeKey& key) {
  const auto place = configuration.node_index(key);
  return place ? &configuration.nodes()[*place] : nullptr;
}

const Node* node_in(const std::map<wire::NodeKey, Node>& nodes, const wire::NodeKey& key) {
  const auto at = nodes.find(key);
  return at == nodes.end() ? nullptr : &at->second;
}

}  // namespace

void NodeChanges::remove(const Configuration& before, const wire::NodeKey& key) {
  changed.erase(key);
  added.erase(key);
  if (before.node_index(key)) removed.insert(key);
}

void NodeChanges::put(const Configuration& before, Node node) {
  const wire::NodeKey key = node.key;
  removed.erase(key);
  changed.erase(key);
  const Node* was = node_in(before, key);
  if (was == nullptr) {
    added.insert_or_assign(key, std::move(node));
  } else if (*was != node) {
    changed.emplace(key, std::move(node));
  }
}

NodeChanges changes_between(const Configuration& before, const std::vector<Node>& after) {
  NodeChanges out;
  std::set<wire::NodeKey> there;
  for (const Node& node : after) {
    there.insert(node.key);
    out.put(before, node);
  }
  for (const Node& node : before.nodes()) {
    if (!there.contains(node.key)) out.removed.insert(node.key);
  }
  return out;
}

const Node* node_after(const Configuration& before, const NodeChanges& changes,
                       const wire::NodeKey& key) {
  if (changes.removed.contains(key)) return nullptr;
  if (const Node* node = node_in(changes.changed, key)) return node;
  if (const Node* node = node_in(changes.added, key)) return node;
  return node_in(before, key);
}

std::size_t node_count_after(const Configuration& before, const NodeChanges& changes) {
  return before.nodes().size() + changes.added.size() - changes.removed.size();
}

std::size_t fillable_seats_after(const Configuration& before, const NodeChanges& changes) {
  std::vector<std::uint32_t> nodes_of = before.nodes_of();
  for (const wire::NodeKey& key : changes.removed) --nodes_of[node_in(before, key)->organisation];
  for (const auto& [key, node] : changes.added) {
    if (node.organisation >= nodes_of.size()) nodes_of.resize(node.organisation + 1);
    ++nodes_of[node.organisation];
  }
  return fillable_seats(before.settings(), nodes_of);
}

std::vector<Node> nodes_after(const Configuration& before, const NodeChanges& changes) {
  auto placed = in_their_places(before, changes);
  CHECK(placed.has_value());
  std::vector<Node> out = before.nodes().to_vector();
  out.resize(placed->count);
  for (auto& [place, node] : placed->at) out[place] = std::move(node);
  return out;
}

bool stays_as_it_is(const wire::NodeKey& node, const Configuration& before,
                    const NodeChanges& changes) {
  const Node* was = node_in(before, node);
  const Node* is = node_after(before, changes, node);
  return was != nullptr && is != nullptr && was->directory == is->directory;
}

}  // namespace rosebud::membership
