#include "membership/members.h"

#include <algorithm>

#include "base/check.h"

namespace rosebud::membership {
namespace {

Explained wrong(std::string what) { return {.what = std::move(what), .cause = {}, .next = {}}; }

enum class Kind : std::uint32_t { kKey, kName, kAddress, kDirectory };

/// A hash that nobody can aim at: names and directory ids are chosen by whoever is admitted.
std::uint64_t hash_of(Kind kind, ByteView value) {
  return crypto::Hasher("rosebud member trait 1")
      .update_u64(static_cast<std::uint64_t>(kind))
      .update(value)
      .finish()
      .leading_bits();
}
std::uint64_t hash_of(Kind kind, const Node& node) {
  switch (kind) {
    case Kind::kKey:
      return node.key.leading_bits();
    case Kind::kName:
      return hash_of(kind, as_bytes(node.name));
    case Kind::kAddress:
      return hash_of(kind, as_bytes(node.address));
    case Kind::kDirectory:
      return hash_of(kind, node.directory.view());
  }
  return 0;
}

}  // namespace

Members::Trait Members::key_of(const Node& node, std::uint32_t place) {
  return {.hash = hash_of(Kind::kKey, node), .node = place};
}

void Members::add_traits(std::vector<Trait>& out, const Node& node, std::uint32_t place) {
  for (const Kind kind : {Kind::kName, Kind::kAddress, Kind::kDirectory}) {
    out.push_back(
        {.hash = hash_of(kind, node), .node = place, .kind = static_cast<std::uint32_t>(kind)});
  }
}

void Members::count(const Node& node, std::uint32_t by) {
  // What names no organisation is found by its place (problem_of).
  if (node.organisation >= kOrganisationsMax) return;
  if (node.organisation >= nodes_of_.size()) nodes_of_.resize(node.organisation + 1);
  nodes_of_[node.organisation] += by;
}

Members::Members(std::vector<Node> nodes) {
  std::vector<Trait> keys;
  std::vector<Trait> traits;
  for (std::uint32_t i = 0; i < nodes.size(); ++i) {
    keys.push_back(key_of(nodes[i], i));
    add_traits(traits, nodes[i], i);
    count(nodes[i], 1);
  }
  keys_ = Traits(std::move(keys));
  traits_ = Traits(std::move(traits));
  nodes_ = SharedVector<Node>(std::move(nodes));
}

Members Members::with(const PlacedNodes& change) const {
  Members out = *this;
  std::vector<Trait> keys_gone;
  std::vector<Trait> traits_gone;
  const auto remove = [&](std::size_t place) {
    keys_gone.push_back(key_of(nodes_[place], static_cast<std::uint32_t>(place)));
    add_traits(traits_gone, nodes_[place], static_cast<std::uint32_t>(place));
    out.count(nodes_[place], UINT32_MAX);  // one less
  };
  std::vector<Trait> keys;
  std::vector<Trait> traits;
  for (const auto& [place, node] : change.at) {
    if (place < nodes_.size()) remove(place);
    keys.push_back(key_of(node, static_cast<std::uint32_t>(place)));
    add_traits(traits, node, static_cast<std::uint32_t>(place));
    out.count(node, 1);
  }
  for (std::size_t place = change.count; place < nodes_.size(); ++place) remove(place);
  out.nodes_ = nodes_.with(change.at, change.count);
  out.keys_ = keys_.changed(std::move(keys_gone), std::move(keys));
  out.traits_ = traits_.changed(std::move(traits_gone), std::move(traits));
  while (!out.nodes_of_.empty() && out.nodes_of_.back() == 0) out.nodes_of_.pop_back();
  return out;
}

/// The first of those with this hash that is the same.
template <typename IsSame>
std::optional<std::uint32_t> Members::find(const Traits& in, std::uint64_t hash,
                                           const IsSame& is_same) const {
  auto at = in.partition_point(hash, [&](const Trait& one) { return one.hash < hash; });
  for (; at != in.end() && in[at].hash == hash; at = in.next(at)) {
    if (is_same(in[at].node)) return in[at].node;
  }
  return std::nullopt;
}

std::optional<std::uint32_t> Members::index_of(const wire::NodeKey& key) const {
  return find(keys_, key.leading_bits(),
              [&](std::uint32_t place) { return nodes_[place].key == key; });
}

std::optional<Explained> Members::problem_of_node(std::uint32_t place,
                                                  std::size_t organisation_count) const {
  const Node& node = nodes_[place];
  const auto who = [&](std::uint32_t other) {
    return "node '" + nodes_[std::max(place, other)].name + "'";
  };
  const auto other_with = [&](const Traits& in, Kind kind, auto field) {
    return find(in, hash_of(kind, node), [&](std::uint32_t other) {
      return other != place && nodes_[other].*field == node.*field;
    });
  };
  if (!wire::is_name(node.name)) return wrong("bad node name '" + node.name + "'");
  if (other_with(traits_, Kind::kName, &Node::name)) {
    return wrong("two nodes are called '" + node.name + "'");
  }
  if (const auto other = other_with(keys_, Kind::kKey, &Node::key)) {
    return wrong(who(*other) + " has a key that another member has");
  }
  if (node.organisation >= organisation_count) return wrong(who(place) + " has no organisation");
  if (const auto other = other_with(traits_, Kind::kDirectory, &Node::directory)) {
    return wrong(who(*other) + " has another node's directory id");
  }
  if (node.address.empty() || node.address.size() > kAddressSizeMax) {
    return wrong(who(place) + " has no address");
  }
  if (const auto other = other_with(traits_, Kind::kAddress, &Node::address)) {
    return wrong(who(*other) + " has another node's address");
  }
  if (node.position_count == 0 || node.position_count > kPositionsMax) {
    return wrong(who(place) + " needs 1 to 64 positions");
  }
  return std::nullopt;
}

}  // namespace rosebud::membership
