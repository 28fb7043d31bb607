#include "membership/configuration.h"

#include <algorithm>
#include <ranges>
#include <set>

#include "base/check.h"
#include "membership/parts_internal.h"

namespace rosebud::membership {
namespace {

Explained wrong(std::string what, std::string next = {}) {
  return {.what = std::move(what), .cause = {}, .next = std::move(next)};
}

/// The first four bytes: enough for a share.
std::uint64_t top_bits(const crypto::Digest& key) {
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < 4; ++i) out = (out << 8) | key.bytes[i];
  return out;
}

}  // namespace

std::uint64_t width_of(const wire::KeyRange& range) {
  const bool is_last = range.last == wire::whole_key_range().last;
  const std::uint64_t end =
      is_last ? std::uint64_t{1} << 32 : top_bits(routing::key_after(range.last));
  return end - top_bits(range.first);
}

namespace {

std::optional<Explained> problem_of_settings(const ConfigurationParts& parts) {
  const Settings& settings = parts.settings;
  if (settings.faults > kFaultsMax || settings.service_faults > kFaultsMax)
    return wrong("f or F is over 20");
  if (settings.cap == 0 || settings.cap > std::max<std::uint32_t>(settings.faults, 1)) {
    return wrong("the cap must be between 1 and f");
  }
  if (parts.end.value != 0 && parts.end <= parts.start) return wrong("it ends before it starts");
  if (settings.has_leases && settings.epoch_seconds == 0)
    return wrong("leases need epochs that end by time");
  return std::nullopt;
}

std::optional<Explained> problem_of_organisations(const std::vector<Organisation>& organisations,
                                                  const Members& members) {
  if (organisations.empty() || organisations.size() > kOrganisationsMax) {
    return wrong("a configuration has 1 to 256 organisations");
  }
  std::set<std::string> names;
  std::set<crypto::PublicKey> keys;
  for (const Organisation& organisation : organisations) {
    if (!wire::is_name(organisation.name))
      return wrong("bad organisation name '" + organisation.name + "'");
    if (!names.insert(organisation.name).second) {
      return wrong("two organisations are called '" + organisation.name + "'");
    }
    if (!keys.insert(organisation.authority).second) {
      return wrong("organisation '" + organisation.name + "' has another one's authority key");
    }
    if (const auto node = members.index_of(organisation.authority)) {
      return wrong("node '" + members.nodes()[*node].name + "' has a key that another member has");
    }
  }
  return std::nullopt;
}

std::optional<Explained> problem_of_seats(const ConfigurationParts& parts, const Members& members) {
  const Settings& settings = parts.settings;
  const std::size_t quorum = 2 * std::size_t{settings.faults} + 1;
  if (const std::size_t seats = fillable_seats(settings, members.nodes_of()); seats < quorum) {
    return wrong("with at most " + std::to_string(settings.cap) +
                     " replicas in one organisation a group has only " + std::to_string(seats) +
                     " members; f = " + std::to_string(settings.faults) + " needs " +
                     std::to_string(quorum) + " to write anything",
                 "add organisations with nodes, or plan for a smaller f");
  }
  if (!parts.service.empty()) return problem_of_service(parts, members);
  return std::nullopt;
}

/// `parts` without the nodes; `places`: those of nodes that were not looked at before.
template <typename Places>
std::optional<Explained> problem_of(const ConfigurationParts& parts, const Members& members,
                                    const Places& places) {
  if (auto problem = problem_of_settings(parts)) return problem;
  if (members.nodes().size() > kNodesMax) {
    return wrong("a configuration has at most " + std::to_string(kNodesMax) + " nodes");
  }
  if (auto problem = problem_of_organisations(parts.organisations, members)) return problem;
  for (const auto place : places) {
    auto problem =
        members.problem_of_node(static_cast<std::uint32_t>(place), parts.organisations.size());
    if (problem) return problem;
  }
  // A node that did not change is without one where its organisation has gone from the list.
  if (members.nodes_of().size() > parts.organisations.size()) {
    return wrong("a node has no organisation");
  }
  return problem_of_seats(parts, members);
}

std::optional<Explained> problem_of_all(const ConfigurationParts& parts, const Members& members) {
  return problem_of(parts, members, std::views::iota(std::size_t{0}, members.nodes().size()));
}

}  // namespace

std::optional<Explained> problem_of(const ConfigurationParts& parts) {
  return problem_of_all(parts, Members(parts.nodes));
}

std::optional<Explained> problem_of(const ConfigurationParts& parts, const Configuration& before,
                                    const PlacedNodes& change) {
  CHECK(parts.nodes.empty());
  return problem_of(parts, before.members_.with(change), std::views::keys(change.at));
}

std::uint32_t position_count_for(std::uint64_t capacity_bytes,
                                 std::uint64_t median_capacity_bytes) {
  const std::uint64_t median = std::max<std::uint64_t>(median_capacity_bytes >> 20, 1);
  const std::uint64_t own = std::min(capacity_bytes >> 20, median * kPositionsMax);
  return static_cast<std::uint32_t>(
      std::clamp<std::uint64_t>(own * kPositionsUsual / median, 1, kPositionsMax));
}

crypto::Digest position_of(const wire::NodeKey& key, std::uint32_t index,
                           const crypto::Digest& randomness) {
  return crypto::Hasher("rosebud position 1")
      .update(key.view())
      .update_u64(index)
      .update(randomness.view())
      .finish();
}

// ---- Making one ----

namespace {

void add_positions(std::vector<routing::Position>& out, const Node& node, std::size_t place) {
  for (const crypto::Digest& at : positions_of(node)) {
    out.push_back(
        {.at = at, .node = static_cast<std::uint32_t>(place), .organisation = node.organisation});
  }
}

bool has_same_positions(const Node& a, const Node& b) {
  return a.key == b.key && a.organisation == b.organisation &&
         a.position_count == b.position_count && a.admission_randomness == b.admission_randomness;
}

routing::Ring ring_of(const SharedVector<Node>& nodes, const Settings& settings) {
  std::vector<routing::Position> positions;
  for (std::size_t i = 0; i < nodes.size(); ++i) add_positions(positions, nodes[i], i);
  return {std::move(positions), 3 * std::size_t{settings.faults} + 1, settings.cap};
}

routing::Ring ring_after(const Configuration& before, const PlacedNodes& change,
                         const Settings& settings) {
  std::vector<routing::Position> gone;
  std::vector<routing::Position> come;
  for (const auto& [place, node] : change.at) {
    const bool is_new = place >= before.nodes().size();
    if (!is_new && has_same_positions(before.nodes()[place], node)) continue;
    if (!is_new) add_positions(gone, before.nodes()[place], place);
    add_positions(come, node, place);
  }
  for (std::size_t place = change.count; place < before.nodes().size(); ++place) {
    add_positions(gone, before.nodes()[place], place);
  }
  return before.ring().changed(gone, come, 3 * std::size_t{settings.faults} + 1, settings.cap);
}

MerkleTree tree_of(const ConfigurationParts& parts, const SharedVector<Node>& nodes) {
  std::vector<crypto::Digest> leaves;
  leaves.reserve(1 + parts.organisations.size() + nodes.size());
  leaves.push_back(leaf_of(parts.settings, parts.organisations.size(), nodes.size()));
  for (std::size_t i = 0; i < parts.organisations.size(); ++i) {
    leaves.push_back(leaf_of(parts.organisations[i], i));
  }
  for (std::size_t i = 0; i < nodes.size(); ++i) leaves.push_back(leaf_of(nodes[i], i));
  return MerkleTree(std::move(leaves));
}

/// Requires: as many organisations as before, so that the nodes' leaves stay where they were.
MerkleTree tree_after(const MerkleTree& before, const ConfigurationParts& parts,
                      const PlacedNodes& change) {
  std::map<std::size_t, crypto::Digest> leaves;
  leaves.emplace(0, leaf_of(parts.settings, parts.organisations.size(), change.count));
  for (std::size_t i = 0; i < parts.organisations.size(); ++i) {
    leaves.emplace(1 + i, leaf_of(parts.organisations[i], i));
  }
  const std::size_t first = 1 + parts.organisations.size();
  for (const auto& [place, node] : change.at) leaves.emplace(first + place, leaf_of(node, place));
  return before.with(leaves, first + change.count);
}

}  // namespace

std::vector<crypto::Digest> positions_of(const Node& node) {
  std::vector<crypto::Digest> out;
  out.reserve(node.position_count);
  for (std::uint32_t p = 0; p < node.position_count; ++p) {
    out.push_back(position_of(node.key, p, node.admission_randomness));
  }
  return out;
}

Result<std::shared_ptr<const Configuration>, Explained> Configuration::make(
    ConfigurationParts parts) {
  Members members(std::exchange(parts.nodes, {}));
  if (auto problem = problem_of_all(parts, members)) return fail(std::move(*problem));
  auto ring = ring_of(members.nodes(), parts.settings);
  auto tree = tree_of(parts, members.nodes());
  return std::shared_ptr<const Configuration>(
      new Configuration(std::move(parts), std::move(members), std::move(ring), std::move(tree)));
}

Result<std::shared_ptr<const Configuration>, Explained> Configuration::make(
    ConfigurationParts parts, const Configuration& before, const PlacedNodes& change) {
  CHECK(parts.nodes.empty());
  Members members = before.members_.with(change);
  if (auto problem = problem_of(parts, members, std::views::keys(change.at))) {
    return fail(std::move(*problem));
  }
  auto ring = ring_after(before, change, parts.settings);
  auto tree = before.tree_after(parts, change, members.nodes());
  return std::shared_ptr<const Configuration>(
      new Configuration(std::move(parts), std::move(members), std::move(ring), std::move(tree)));
}

Configuration::Configuration(ConfigurationParts parts, Members members, routing::Ring ring,
                             MerkleTree tree)
    : parts_(std::move(parts)),
      members_(std::move(members)),
      ring_(std::move(ring)),
      tree_(std::move(tree)),
      filled_seats_(fillable_seats(parts_.settings, members_.nodes_of())) {
  for (std::uint32_t i = 0; i < parts_.organisations.size(); ++i) {
    organisation_of_.emplace(parts_.organisations[i].authority, i);
  }
}

/// `nodes`: with the change.
MerkleTree Configuration::tree_after(const ConfigurationParts& parts, const PlacedNodes& change,
                                     const SharedVector<Node>& nodes) const {
  if (parts.organisations.size() != organisations().size()) return tree_of(parts, nodes);
  return membership::tree_after(tree_, parts, change);
}

crypto::Digest Configuration::root_after(const ConfigurationParts& parts,
                                         const PlacedNodes& change) const {
  return tree_after(parts, change, nodes().with(change.at, change.count)).root();
}

// ---- Asking it ----

std::optional<std::uint32_t> Configuration::node_index(const wire::NodeKey& key) const {
  return members_.index_of(key);
}

std::vector<routing::Arc> Configuration::arcs_of(std::uint32_t node) const {
  return ring_.arcs_of(node, positions_of(nodes()[node]));
}

std::uint64_t Configuration::own_share(std::uint32_t node) const {
  std::uint64_t out = 0;
  for (const routing::Arc& arc : arcs_of(node)) out += width_of(arc.range);
  return out;
}

std::vector<std::uint64_t> Configuration::own_shares() const {
  std::vector<std::uint64_t> out(nodes().size());
  for (const routing::Arc& arc : ring_.arcs()) {
    const std::uint64_t width = width_of(arc.range);
    for (const std::uint32_t node : arc.group) out[node] += width;
  }
  return out;
}

std::optional<std::uint32_t> Configuration::organisation_index(
    const crypto::PublicKey& authority) const {
  const auto at = organisation_of_.find(authority);
  return at == organisation_of_.end() ? std::nullopt : std::optional(at->second);
}

bool Configuration::has_say(const crypto::PublicKey& authority) const {
  const auto index = organisation_index(authority);
  return index && !organisations()[*index].is_revoked;
}

bool Configuration::is_in_group(const wire::NodeKey& node, const crypto::Digest& key) const {
  const auto index = node_index(node);
  const auto members = group(key);
  return index && std::ranges::find(members, *index) != members.end();
}

bool may_accuse(const Configuration& configuration, const wire::Accusation& accusation) {
  const crypto::Digest& key = accusation.block.placement;
  return accusation.accused != accusation.accuser &&
         configuration.is_in_group(accusation.accused, key) &&
         configuration.is_in_group(accusation.accuser, key);
}

bool stays_as_it_is(const wire::NodeKey& node, const Configuration& before,
                    const Configuration& after) {
  const auto index = before.node_index(node);
  const auto then = after.node_index(node);
  return index && then && before.nodes()[*index].directory == after.nodes()[*then].directory;
}

}  // namespace rosebud::membership
