// The identifier ring: positions of nodes and, from them alone, the group of every key (design 4).
//
// The group of a key: walk clockwise from the key over positions and take nodes until there are
// `group_size`, skipping nodes already taken and nodes whose organisation has reached the cap. So
// one wholly hostile organisation is never more than `cap` members of any group. A pure function of
// its arguments; nothing here moves by itself.
#pragma once

#include "wire/object.h"

namespace rosebud::routing {

/// One place of a node on the ring. `node` and `organisation` are indices of the caller's.
struct Position {
  crypto::Digest at;
  std::uint32_t node = 0;
  std::uint32_t organisation = 0;
};

/// The key after and before `key` on the line 0 .. 2^256 - 1. Requires: it exists.
crypto::Digest key_after(const crypto::Digest& key);
crypto::Digest key_before(const crypto::Digest& key);

/// The keys that share one group.
struct Arc {
  wire::KeyRange range;
  std::vector<std::uint32_t> group;  // node indices in the order of the walk
};

class Ring {
 public:
  Ring() = default;
  /// Requires: group_size > 0, cap > 0; positions are distinct. Costs about group_size steps per
  /// position, also where the cap makes the walk long.
  Ring(std::vector<Position> positions, std::size_t group_size, std::size_t cap);

  /// Members of the group of `key`. Fewer than group_size where the cap leaves seats empty. Empty
  /// on an empty ring.
  std::span<const std::uint32_t> group(const crypto::Digest& key) const;

  /// The arc with that key; nothing on an empty ring.
  const Arc* arc(const crypto::Digest& key) const;

  /// Covers the whole line without gaps, in order; the arc through zero is two. Neighbours with one
  /// group are merged.
  const std::vector<Arc>& arcs() const { return arcs_; }
  const std::vector<Position>& positions() const { return positions_; }

 private:
  std::vector<std::vector<std::uint32_t>> groups_by_position(std::size_t group_size,
                                                             std::size_t cap) const;

  std::vector<Position> positions_;  // ascending
  std::vector<Arc> arcs_;
};

}  // namespace rosebud::routing
