#include "membership/configuration.h"

#include <algorithm>
#include <set>

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

std::optional<Explained> problem_of(const ConfigurationParts& parts) {
  const Settings& settings = parts.settings;
  if (settings.faults > kFaultsMax || settings.service_faults > kFaultsMax)
    return wrong("f or F is over 20");
  if (settings.cap == 0 || settings.cap > std::max<std::uint32_t>(settings.faults, 1)) {
    return wrong("the cap must be between 1 and f");
  }
  if (parts.end.value != 0 && parts.end <= parts.start) return wrong("it ends before it starts");
  if (settings.has_leases && settings.epoch_seconds == 0)
    return wrong("leases need epochs that end by time");
  if (parts.organisations.empty() || parts.organisations.size() > kOrganisationsMax) {
    return wrong("a configuration has 1 to 256 organisations");
  }
  if (parts.nodes.size() > kNodesMax) return wrong("a configuration has at most 4096 nodes");
  std::set<std::string> names;
  std::set<crypto::PublicKey> keys;
  for (const Organisation& organisation : parts.organisations) {
    if (!wire::is_name(organisation.name))
      return wrong("bad organisation name '" + organisation.name + "'");
    if (!names.insert(organisation.name).second) {
      return wrong("two organisations are called '" + organisation.name + "'");
    }
    if (!keys.insert(organisation.authority).second) {
      return wrong("organisation '" + organisation.name + "' has another one's authority key");
    }
  }
  names.clear();
  std::set<std::string> addresses;
  std::set<wire::DirectoryId> directories;
  for (const Node& node : parts.nodes) {
    const std::string who = "node '" + node.name + "'";
    if (!wire::is_name(node.name)) return wrong("bad node name '" + node.name + "'");
    if (!names.insert(node.name).second) return wrong("two nodes are called '" + node.name + "'");
    if (!keys.insert(node.key).second) return wrong(who + " has a key that another member has");
    if (node.organisation >= parts.organisations.size()) return wrong(who + " has no organisation");
    if (!directories.insert(node.directory).second)
      return wrong(who + " has another node's directory id");
    if (node.address.empty() || node.address.size() > kAddressSizeMax)
      return wrong(who + " has no address");
    if (!addresses.insert(node.address).second) return wrong(who + " has another node's address");
    if (node.position_count == 0 || node.position_count > kPositionsMax) {
      return wrong(who + " needs 1 to 64 positions");
    }
  }
  const std::size_t quorum = 2 * std::size_t{settings.faults} + 1;
  if (const std::size_t seats = fillable_seats(parts); seats < quorum) {
    return wrong("with at most " + std::to_string(settings.cap) +
                     " replicas in one organisation a group has only " + std::to_string(seats) +
                     " members; f = " + std::to_string(settings.faults) + " needs " +
                     std::to_string(quorum) + " to write anything",
                 "add organisations with nodes, or plan for a smaller f");
  }
  if (!parts.service.empty()) return problem_of_service(parts);
  return std::nullopt;
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

Result<std::shared_ptr<const Configuration>, Explained> Configuration::make(
    ConfigurationParts parts) {
  if (auto problem = problem_of(parts)) return fail(std::move(*problem));
  return std::shared_ptr<const Configuration>(new Configuration(std::move(parts)));
}

Configuration::Configuration(ConfigurationParts parts) : parts_(std::move(parts)) {
  std::vector<routing::Position> positions;
  for (std::uint32_t i = 0; i < parts_.nodes.size(); ++i) {
    const Node& node = parts_.nodes[i];
    node_of_.emplace(node.key, i);
    for (std::uint32_t p = 0; p < node.position_count; ++p) {
      positions.push_back({.at = position_of(node.key, p, node.admission_randomness),
                           .node = i,
                           .organisation = node.organisation});
    }
  }
  for (std::uint32_t i = 0; i < parts_.organisations.size(); ++i) {
    organisation_of_.emplace(parts_.organisations[i].authority, i);
  }
  ring_ = routing::Ring(std::move(positions), group_size(), parts_.settings.cap);
  filled_seats_ = fillable_seats(parts_);
  shares_.resize(parts_.nodes.size());
  for (const routing::Arc& arc : ring_.arcs()) {
    const std::uint64_t width = width_of(arc.range);
    for (std::uint32_t node : arc.group) shares_[node] += width;
  }
}

std::optional<std::uint32_t> Configuration::node_index(const wire::NodeKey& key) const {
  const auto at = node_of_.find(key);
  return at == node_of_.end() ? std::nullopt : std::optional(at->second);
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
                    const std::vector<Node>& after) {
  const auto index = before.node_index(node);
  const auto at = std::ranges::find(after, node, &Node::key);
  return index && at != after.end() && before.nodes()[*index].directory == at->directory;
}

}  // namespace rosebud::membership
