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

std::vector<crypto::Digest> MerkleTree::proof(std::size_t first, std::size_t count) const {
  CHECK(count > 0);
  CHECK(first + count <= size());
  std::vector<crypto::Digest> out;
  std::size_t end = first + count;
  for (const Level& level : levels_) {
    if (first % 2 == 1) out.push_back(level[--first]);
    if (end % 2 == 1 && end < level.size()) out.push_back(level[end++]);
    first /= 2;
    end = (end + 1) / 2;
  }
  return out;
}

std::optional<crypto::Digest> root_with(std::vector<crypto::Digest> leaves, std::size_t first,
                                        std::size_t size, std::span<const crypto::Digest> proof) {
  if (leaves.empty() || first > size || leaves.size() > size - first) return std::nullopt;
  const auto take = [&proof]() -> std::optional<crypto::Digest> {
    if (proof.empty()) return std::nullopt;
    const crypto::Digest out = proof.front();
    proof = proof.subspan(1);
    return out;
  };
  std::vector<crypto::Digest> level = std::move(leaves);
  for (; size > 1; size = (size + 1) / 2) {
    if (first % 2 == 1) {
      const auto left = take();
      if (!left) return std::nullopt;
      level.insert(level.begin(), *left);
      --first;
    }
    if ((first + level.size()) % 2 == 1 && first + level.size() < size) {
      const auto right = take();
      if (!right) return std::nullopt;
      level.push_back(*right);
    }
    // An odd one left over is the last of its level, and has no sibling.
    std::vector<crypto::Digest> next;
    next.reserve((level.size() + 1) / 2);
    for (std::size_t i = 0; i < level.size(); i += 2) next.push_back(above(level, i));
    level = std::move(next);
    first /= 2;
  }
  return proof.empty() ? std::optional(level.front()) : std::nullopt;
}

}  // namespace rosebud::membership
