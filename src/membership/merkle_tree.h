// The Merkle tree over a configuration, kept from one epoch to the next: after a change of a few
// leaves only the paths from them to the root are hashed again. Layout: docs/format/statements.md.
//
// An inner node is the tagged hash of left ‖ right; a node without a sibling is carried up
// unchanged.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <vector>

#include "base/shared_vector.h"
#include "crypto/hash.h"

namespace rosebud::membership {

class MerkleTree {
 public:
  /// Requires: there is a leaf.
  explicit MerkleTree(std::vector<crypto::Digest> leaves);

  const crypto::Digest& root() const { return levels_.back().front(); }
  std::size_t size() const { return levels_.front().size(); }

  /// The tree of the first `size` leaves with others at some places, which shares what is the same.
  /// Requires: as of SharedVector::with(); size > 0.
  MerkleTree with(const std::map<std::size_t, crypto::Digest>& leaves, std::size_t size) const;

  /// What root_with() needs beside these leaves: the nodes left and right of them, from the leaves
  /// up, of each level the left one first. Requires: count > 0, first + count <= size().
  std::vector<crypto::Digest> proof(std::size_t first, std::size_t count) const;

 private:
  MerkleTree() = default;

  std::vector<SharedVector<crypto::Digest>> levels_;  // leaves first; the last has one node
};

/// The root of a tree of `size` leaves that has these from place `first` on; nothing: they would
/// not fit, or the proof is longer or shorter than it is for these places.
std::optional<crypto::Digest> root_with(std::vector<crypto::Digest> leaves, std::size_t first,
                                        std::size_t size, std::span<const crypto::Digest> proof);

}  // namespace rosebud::membership
