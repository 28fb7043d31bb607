#include "membership/movement.h"

#include <algorithm>
#include <map>

#include "membership/parts_internal.h"

namespace rosebud::membership {
namespace {

/// A node that lost its directory has nothing, whatever its key (decision 6).
using Keeper = std::pair<wire::NodeKey, wire::DirectoryId>;
using Keepers = std::vector<Keeper>;

Keepers keepers_of(const Configuration& configuration, const routing::Arc& arc) {
  Keepers out;
  for (const std::uint32_t node : arc.group) {
    const Node& one = configuration.nodes()[node];
    out.emplace_back(one.key, one.directory);
  }
  std::ranges::sort(out);
  return out;
}

/// Those of `some` that are not in `others`. Both ascend.
Keepers without(const Keepers& some, const Keepers& others) {
  Keepers out;
  std::ranges::set_difference(some, others, std::back_inserter(out));
  return out;
}

class Counting {
 public:
  Counting(const Configuration& before, const Configuration& after)
      : group_size_(after.group_size()) {
    add_nodes(before, &NodeMovement::before);
    add_nodes(after, &NodeMovement::after);
  }

  /// Keys of that width have gone from one group to another.
  void add(std::uint64_t width, const Keepers& before, const Keepers& after) {
    const Keepers gone = without(before, after);
    const Keepers come = without(after, before);
    for (const Keeper& one : gone) of(one.first).lost += width;
    for (const Keeper& one : come) of(one.first).gained += width;
    out_.gained += width * come.size();
    if (before.size() < group_size_) out_.exposed_before += width;
    if (after.size() < group_size_) out_.exposed_after += width;
    out_.replaced_max = std::max(out_.replaced_max, gone.size());
  }
  Movement take() { return std::move(out_); }

 private:
  void add_nodes(const Configuration& configuration, std::uint64_t NodeMovement::* share) {
    const std::vector<std::uint64_t> shares = configuration.own_shares();
    for (std::uint32_t i = 0; i < configuration.nodes().size(); ++i) {
      const Node& node = configuration.nodes()[i];
      if (place_.try_emplace(node.key, out_.nodes.size()).second)
        out_.nodes.push_back({.key = node.key, .name = node.name, .directory = node.directory});
      NodeMovement& one = of(node.key);
      one.has_lost_directory = one.directory != node.directory;
      one.*share = shares[i];
    }
  }
  NodeMovement& of(const wire::NodeKey& key) { return out_.nodes[place_.at(key)]; }

  std::size_t group_size_;
  std::map<wire::NodeKey, std::size_t> place_;
  Movement out_;
};

}  // namespace

Movement movement(const Configuration& before, const Configuration& after) {
  Counting counting(before, after);
  const auto old_arcs = before.ring().arcs();
  const auto new_arcs = after.ring().arcs();
  // Both cover the line without gaps: one walk over the ends of either.
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < old_arcs.size() && j < new_arcs.size()) {
    const wire::KeyRange both{.first = std::max(old_arcs[i].range.first, new_arcs[j].range.first),
                              .last = std::min(old_arcs[i].range.last, new_arcs[j].range.last)};
    counting.add(width_of(both), keepers_of(before, old_arcs[i]), keepers_of(after, new_arcs[j]));
    const bool is_old_over = old_arcs[i].range.last == both.last;
    const bool is_new_over = new_arcs[j].range.last == both.last;
    i += is_old_over ? 1 : 0;
    j += is_new_over ? 1 : 0;
  }
  return counting.take();
}

}  // namespace rosebud::membership
