#include "mount/file_reader.h"

#include <algorithm>

namespace rosebud::mount {
namespace {

/// As deep as a file may be (fs/reader.cc).
constexpr std::size_t kFileDepthMax = 6;
/// A node with more bytes of the file inside is not kept: it is decoded again from its block, whose
/// memory is counted, and files that are open are not.
constexpr std::size_t kKeptDataMax = 64U << 10;

}  // namespace

std::uint64_t ReadAhead::on_read(std::uint64_t offset, std::uint64_t end) {
  const bool goes_on = offset <= furthest_ + kDisorderMax && offset + kDisorderMax >= furthest_;
  if (!goes_on) {
    furthest_ = end;
    window_ = 0;
    return 0;
  }
  furthest_ = std::max(furthest_, end);
  window_ = std::min(std::max(window_ * 2, kFirstWindow), bytes_max_);
  return window_;
}

Result<FileReader::Shared, Explained> FileReader::node(const Part& part, std::size_t level,
                                                       fs::BlockSource& source) {
  {
    const std::lock_guard lock(mutex_);
    if (level < last_.size() && last_[level].first == part.cid) return last_[level].second;
  }
  if (level >= kFileDepthMax) return fail(fs::unsound(part.cid, "it nests too deeply"));
  const bool is_leaf = part.cid.codec == fs::Codec::kRaw;
  auto block = is_leaf ? source.get_leaf(part.cid, part.size) : source.get(part.cid);
  if (!block) return fail(block.error());
  if (is_leaf) {
    if (block->size() != part.size)
      return fail(fs::unsound(part.cid, "a piece has another length than was said"));
    return std::make_shared<const Node>(Node{.data = std::move(*block)});
  }
  auto decoded = fs::DagNode::decode(block->view());
  if (!decoded) return fail(fs::unsound(part.cid, "it is no UnixFS node"));
  const bool is_file = decoded->type == fs::NodeType::kFile || decoded->type == fs::NodeType::kRaw;
  if (!is_file) return fail(fs::unsound(part.cid, "it is no part of a file"));
  Node out;
  std::uint64_t sum = decoded->data.size();
  bool is_sound = decoded->blocksizes.size() == decoded->links.size();
  for (std::size_t i = 0; is_sound && i < decoded->links.size(); ++i) {
    const std::uint64_t size = decoded->blocksizes[i];
    is_sound = size <= part.size && sum + size <= part.size;  // and no sum runs over
    sum += size;
    out.parts.push_back({.cid = decoded->links[i].cid, .size = size});
    out.ends.push_back(sum);
  }
  if (!is_sound || sum != part.size || decoded->filesize.value_or(sum) != sum)
    return fail(fs::unsound(part.cid, "its sizes contradict each other"));
  out.data = Buffer(std::move(decoded->data));
  auto shared = std::make_shared<const Node>(std::move(out));
  if (shared->data.size() > kKeptDataMax) return shared;
  const std::lock_guard lock(mutex_);
  last_.resize(std::max(last_.size(), level + 1));
  last_[level] = {part.cid, shared};
  return shared;
}

Result<Buffer, Explained> FileReader::piece_at(std::uint64_t offset, fs::BlockSource& source) {
  Part part = root_;
  for (std::size_t level = 0;; ++level) {
    const auto found = node(part, level, source);
    if (!found) return fail(found.error());
    const Node& at = **found;
    if (offset < at.data.size()) {
      const auto from = static_cast<std::size_t>(offset);
      return at.data.slice(from, at.data.size() - from);
    }
    // Parts without bytes have no end behind the offset, so they are passed over.
    const auto end = std::ranges::upper_bound(at.ends, offset);
    if (end == at.ends.end()) return fail(fs::unsound(part.cid, "its sizes contradict each other"));
    part = at.parts[static_cast<std::size_t>(end - at.ends.begin())];
    offset -= *end - part.size;
  }
}

Result<std::optional<fs::Leaf>, Explained> FileReader::leaf_at(std::uint64_t offset,
                                                               fs::BlockSource& source) {
  Part part = root_;
  for (std::size_t level = 0; offset < part.size; ++level) {
    if (part.cid.codec == fs::Codec::kRaw) {
      if (offset != 0) break;
      return fs::Leaf{.cid = part.cid, .bytes = part.size};
    }
    const auto found = node(part, level, source);
    if (!found) return fail(found.error());
    const Node& at = **found;
    if (offset < at.data.size()) break;
    const auto end = std::ranges::upper_bound(at.ends, offset);
    if (end == at.ends.end()) return fail(fs::unsound(part.cid, "its sizes contradict each other"));
    part = at.parts[static_cast<std::size_t>(end - at.ends.begin())];
    offset -= *end - part.size;
  }
  return std::nullopt;
}

Result<std::vector<Buffer>, Explained> FileReader::read(std::uint64_t offset, std::uint64_t count,
                                                        fs::BlockSource& source) {
  std::vector<Buffer> out;
  std::uint64_t left = offset < size() ? std::min(count, size() - offset) : 0;
  while (left > 0) {
    auto piece = piece_at(offset, source);
    if (!piece) return fail(piece.error());
    const auto taken = static_cast<std::size_t>(std::min<std::uint64_t>(left, piece->size()));
    out.push_back(piece->slice(0, taken));
    offset += taken;
    left -= taken;
  }
  return out;
}

std::vector<fs::Cid> FileReader::ahead(std::uint64_t offset, std::uint64_t count) const {
  std::vector<fs::Cid> out;
  const std::uint64_t end = offset + std::min(count, size() - std::min(offset, size()));
  if (offset >= end) return out;
  const std::lock_guard lock(mutex_);
  if (last_.empty()) return {root_.cid};
  // From the root down to the lowest node that is here; below it, its parts are what is wanted.
  std::uint64_t begin = 0;  // of the node
  fs::Cid expected = root_.cid;
  for (std::size_t level = 0; level < last_.size() && last_[level].first == expected; ++level) {
    const Node& at = *last_[level].second;
    const std::uint64_t within = offset - begin;
    const auto first = std::ranges::upper_bound(at.ends, within) - at.ends.begin();
    std::vector<fs::Cid> parts;
    for (auto i = static_cast<std::size_t>(first); i < at.parts.size(); ++i) {
      if (begin + at.ends[i] - at.parts[i].size >= end) break;
      parts.push_back(at.parts[i].cid);
    }
    // What the level above wanted first is this node: in its place come its parts.
    if (!out.empty()) out.erase(out.begin());
    out.insert(out.begin(), parts.begin(), parts.end());
    const auto index = static_cast<std::size_t>(first);
    if (index >= at.parts.size()) break;
    expected = at.parts[index].cid;
    begin += at.ends[index] - at.parts[index].size;
  }
  return out;
}

}  // namespace rosebud::mount
