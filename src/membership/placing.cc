#include "membership/placing.h"

#include <algorithm>

#include "base/check.h"

namespace rosebud::membership {
namespace {

bool are_changes_of(const Configuration& before, const NodeChanges& changes) {
  const auto is_there = [&](const wire::NodeKey& key) {
    return before.node_index(key).has_value();
  };
  if (!std::ranges::all_of(changes.removed, is_there)) return false;
  for (const auto& [key, node] : changes.changed) {
    const auto place = before.node_index(key);
    if (!place || changes.removed.contains(key) || before.nodes()[*place] == node) return false;
  }
  return std::ranges::none_of(changes.added, [&](const auto& one) { return is_there(one.first); });
}

}  // namespace

std::optional<PlacedNodes> in_their_places(const Configuration& before,
                                           const NodeChanges& changes) {
  if (!are_changes_of(before, changes)) return std::nullopt;
  const std::size_t count_before = before.nodes().size();
  PlacedNodes out{.at = {}, .count = node_count_after(before, changes)};
  std::set<std::size_t> free;
  for (const wire::NodeKey& key : changes.removed) free.insert(*before.node_index(key));
  std::vector<const Node*> comers;
  for (const auto& [key, node] : changes.added) comers.push_back(&node);
  // Whose places the list does not have any more: at most as many as have left.
  for (std::size_t place = out.count; place < count_before; ++place) {
    if (free.contains(place)) continue;
    comers.push_back(node_after(before, changes, before.nodes()[place].key));
  }
  for (std::size_t place = count_before; place < out.count; ++place) free.insert(place);
  auto next = comers.begin();
  for (const std::size_t place : free) {
    if (place >= out.count) break;
    CHECK(next != comers.end());
    out.at.emplace(place, **next++);
  }
  CHECK(next == comers.end());
  for (const auto& [key, node] : changes.changed) {
    const std::size_t place = *before.node_index(key);
    if (place < out.count) out.at.emplace(place, node);
  }
  return out;
}

}  // namespace rosebud::membership
