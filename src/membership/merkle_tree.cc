#include "membership/merkle_tree.h"

namespace rosebud::membership {
namespace {

using Level = SharedVector<crypto::Digest>;

/// The node above the two that begin at `left`.
template <typename Nodes>
crypto::Digest above(const Nodes& nodes, std::size_t left) {
  if (left + 1 == nodes.size()) return nodes[left];
  return crypto::Hasher("rosebud configuration node 1")
      .update(nodes[left].view())
      .update(nodes[left + 1].view())
      .finish();
}

/// Those above the changed ones, and above the last: it may have lost its sibling.
std::map<std::size_t, crypto::Digest> changed_above(
    const Level& level, const std::map<std::size_t, crypto::Digest>& changed) {
  std::map<std::size_t, crypto::Digest> out;
  const auto add = [&](std::size_t index) {
    if (!out.contains(index / 2)) out.emplace(index / 2, above(level, index / 2 * 2));
  };
  for (const auto& [index, digest] : changed) add(index);
  add(level.size() - 1);
  return out;
}

}  // namespace

MerkleTree::MerkleTree(std::vector<crypto::Digest> leaves) {
  CHECK(!leaves.empty());
  while (leaves.size() > 1) {
    std::vector<crypto::Digest> next;
    next.reserve((leaves.size() + 1) / 2);
    for (std::size_t i = 0; i < leaves.size(); i += 2) next.push_back(above(leaves, i));
    levels_.emplace_back(std::move(leaves));
    leaves = std::move(next);
  }
  levels_.emplace_back(std::move(leaves));
}

MerkleTree MerkleTree::with(const std::map<std::size_t, crypto::Digest>& leaves,
                            std::size_t size) const {
  CHECK(size > 0);
  MerkleTree out;
  std::map<std::size_t, crypto::Digest> changed = leaves;
  for (std::size_t i = 0;; ++i) {
    const Level before = i < levels_.size() ? levels_[i] : Level();
    out.levels_.push_back(before.with(changed, size));
    if (size == 1) return out;
    changed = changed_above(out.levels_.back(), changed);
    size = (size + 1) / 2;
  }
}

}  // namespace rosebud::membership
