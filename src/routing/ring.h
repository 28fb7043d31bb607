// The identifier ring: positions of nodes and, from them alone, the group of every key (design 4).
//
// The group of a key: walk clockwise from the key over positions and take nodes until there are
// `group_size`, skipping nodes already taken and nodes whose organisation has reached the cap. So
// one wholly hostile organisation is never more than `cap` members of any group. A pure function of
// its arguments; nothing here moves by itself.
//
// Only positions are kept; groups and arcs are walked for when somebody asks, and of a ring that
// differs in a few nodes the rest is shared (changed()): at 100,000 nodes there are 1.6 million
// positions.
#pragma once

#include <bitset>
#include <optional>

#include "base/sorted_buckets.h"
#include "wire/object.h"

namespace rosebud::routing {

/// One place of a node on the ring. `node` and `organisation` are indices of the caller's.
struct Position {
  crypto::Digest at;
  std::uint32_t node = 0;
  std::uint32_t organisation = 0;

  std::uint64_t leading_bits() const { return at.leading_bits(); }
  friend auto operator<=>(const Position&, const Position&) = default;
};

/// The key after and before `key` on the line 0 .. 2^256 - 1. Requires: it exists.
crypto::Digest key_after(const crypto::Digest& key);
crypto::Digest key_before(const crypto::Digest& key);

/// The keys that share one group.
struct Arc {
  wire::KeyRange range;
  std::vector<std::uint32_t> group;  // node indices in the order of the walk
  friend bool operator==(const Arc&, const Arc&) = default;
};

class Ring {
 public:
  Ring() = default;
  /// Requires: group_size > 0, cap > 0; positions are distinct; organisations are small numbers, of
  /// which a table is made.
  Ring(std::vector<Position> positions, std::size_t group_size, std::size_t cap);

  /// The ring with nodes less and more, which shares all else with this one. Requires: whoever
  /// comes or goes does so with all its positions; `gone` are there.
  Ring changed(const std::vector<Position>& gone, const std::vector<Position>& come,
               std::size_t group_size, std::size_t cap) const;

  /// Members of the group of `key`. Fewer than group_size where the cap leaves seats empty. Empty
  /// on an empty ring. Costs a few steps for each member; where an organisation that every group
  /// needs has few positions, also one for each bucket of positions between.
  std::vector<std::uint32_t> group(const crypto::Digest& key) const;

  /// The arc with that key; nothing on an empty ring.
  std::optional<Arc> arc(const crypto::Digest& key) const;

  /// Those that share keys with the range, in order, cut to it. Costs as one group, and then about
  /// group_size steps for each of its positions, also where the cap makes walks long.
  std::vector<Arc> arcs_in(const wire::KeyRange& range) const;

  /// Covers the whole line without gaps, in order; the arc through zero is two. Neighbours with one
  /// group are merged. On a large ring they are many: for tools, and for what is rare.
  std::vector<Arc> arcs() const { return arcs_in(wire::whole_key_range()); }

  /// Those of arcs() in whose groups the node is. `positions`: all that it has here, in any order.
  /// Costs as arcs_in() of these.
  std::vector<Arc> arcs_of(std::uint32_t node, std::span<const crypto::Digest> positions) const;

  std::size_t position_count() const { return positions_.size(); }

  /// Calls visit(node) for every position, in the order of a walk from the key, until it says that
  /// it has seen enough (false).
  template <typename Visit>
  void walk_from(const crypto::Digest& key, const Visit& visit) const {
    Place at = at_or_after(key);
    for (std::size_t i = 0; i < positions_.size(); ++i) {
      if (!visit(positions_[at].node)) return;
      at = next_around(at);
    }
  }

 private:
  using Positions = SortedBuckets<Position>;
  using Place = Positions::Place;
  /// Organisations by their number modulo its size: a bit too much costs a look, none is missed.
  using Organisations = std::bitset<256>;

  void use(std::size_t group_size, std::size_t cap);
  Organisations organisations_in(std::size_t bucket) const;
  std::size_t room_of(std::uint32_t organisation) const;
  Place at_or_after(const crypto::Digest& key) const;
  Place next_around(const Place& at) const;
  Place before_around(const Place& at) const;
  Organisations open_after(const std::vector<const Position*>& taken) const;
  Place skip_to(std::size_t bucket, const Organisations& open) const;
  std::vector<const Position*> taken_from(Place at) const;
  std::vector<std::uint32_t> group_from(const Place& at) const;

  Positions positions_;
  std::vector<Organisations> organisations_in_;  // by bucket
  std::vector<std::uint32_t> nodes_of_;          // by organisation: how many
  std::size_t group_size_ = 0;
  std::size_t cap_ = 0;
  std::size_t seats_ = 0;  // that the cap allows to be filled; at most group_size_
};

}  // namespace rosebud::routing
