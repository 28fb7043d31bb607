#include "wire/hold.h"

#include "base/check.h"

namespace rosebud::wire {
namespace {

crypto::Digest inner_node(const crypto::Digest& left, const crypto::Digest& right) {
  return crypto::Hasher("rosebud hold node 1").update(left.view()).update(right.view()).finish();
}

}  // namespace

crypto::Digest hold_leaf(const ObjectId& id, std::uint64_t size) {
  return crypto::Hasher("rosebud hold leaf 1").update(id.encode().view()).update_u64(size).finish();
}

HoldTree::HoldTree(std::vector<crypto::Digest> leaves) {
  CHECK(!leaves.empty());
  CHECK(leaves.size() <= kHoldLeavesMax);
  levels_.push_back(std::move(leaves));
  while (levels_.back().size() > 1) {
    const auto& below = levels_.back();
    std::vector<crypto::Digest> level;
    for (std::size_t i = 0; i < below.size(); i += 2) {
      level.push_back(i + 1 < below.size() ? inner_node(below[i], below[i + 1]) : below[i]);
    }
    levels_.push_back(std::move(level));
  }
}

std::vector<crypto::Digest> HoldTree::path(std::uint32_t index) const {
  CHECK(index < levels_.front().size());
  std::vector<crypto::Digest> out;
  std::size_t at = index;
  for (std::size_t level = 0; level + 1 < levels_.size(); ++level, at /= 2) {
    const std::size_t sibling = at ^ 1;
    if (sibling < levels_[level].size()) out.push_back(levels_[level][sibling]);
  }
  return out;
}

bool hold_path_leads(const crypto::Digest& leaf, std::uint32_t index, std::uint32_t count,
                     const std::vector<crypto::Digest>& path, const crypto::Digest& root) {
  if (index >= count) return false;
  crypto::Digest node = leaf;
  std::size_t at = index;
  std::size_t used = 0;
  for (std::size_t width = count; width > 1; width = (width + 1) / 2, at /= 2) {
    if ((at ^ 1) >= width) continue;  // carried up unchanged
    if (used == path.size()) return false;
    const crypto::Digest& sibling = path[used++];
    node = at % 2 == 0 ? inner_node(node, sibling) : inner_node(sibling, node);
  }
  return used == path.size() && node == root;
}

void write(Writer& out, const Hold& hold) {
  CHECK(hold.path.size() <= kHoldPathMax);
  write(out, hold.statement);
  write(out, hold.admission);
  out.u64(hold.size).u32(hold.index).u8(static_cast<std::uint8_t>(hold.path.size()));
  for (const auto& sibling : hold.path) out.raw(sibling.view());
}

Hold read_hold(Reader& in) {
  Hold out;
  out.statement = read_signed_bytes(in, kStatementSizeMax);
  out.admission = read_signed_bytes(in, kStatementSizeMax);
  out.size = in.u64();
  out.index = in.u32();
  const std::size_t steps = in.u8();
  if (steps > kHoldPathMax) in.fail();
  for (std::size_t i = 0; in.ok() && i < steps; ++i) out.path.push_back(in.fixed<crypto::Digest>());
  return out;
}

Bytes Hold::encode() const {
  Writer out;
  write(out, *this);
  return out.take();
}

std::optional<Hold> Hold::decode(ByteView bytes) {
  Reader in(bytes);
  Hold out = read_hold(in);
  if (!in.done()) return std::nullopt;
  return out;
}

}  // namespace rosebud::wire
