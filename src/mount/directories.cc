#include "mount/directories.h"

#include <algorithm>

namespace rosebud::mount {
namespace {

/// A decoded link and its name on the heap, beside what the encoded one has.
constexpr std::size_t kLinkBytes = sizeof(fs::Link) + 32;

/// Cursors are offsets of the system, signed numbers: two bits of a hash do not fit. A cursor is
/// how many groups of hashes, those that differ in these bits alone, come before.
constexpr unsigned kHashBitsLost = 2;
constexpr std::uint64_t kGroupCount = std::uint64_t{1} << (64 - kHashBitsLost);
constexpr std::size_t kGroupSizeMax = std::size_t{1} << kHashBitsLost;

std::uint64_t group_of(const fs::HashedEntry& entry) { return entry.hash >> kHashBitsLost; }

Result<std::vector<Entry>, Explained> sharded_page(const fs::DagNode& top, const fs::Cid& cid,
                                                   Cursor after, std::size_t count,
                                                   fs::BlockSource& source) {
  if (after >= kGroupCount) return std::vector<Entry>();
  count = std::max(count, kGroupSizeMax + 1);
  auto found = fs::list_sharded(top, cid, after << kHashBitsLost, count, source);
  if (!found) return fail(found.error());
  if (found->size() == count) {
    // The last group may go on behind the page: the next one has it whole.
    const std::uint64_t last = group_of(found->back());
    while (group_of(found->back()) == last) found->pop_back();
  }
  std::vector<Entry> out;
  for (std::size_t i = 0; i < found->size(); ++i) {
    const std::uint64_t group = group_of((*found)[i]);
    const bool is_last_of_it = i + 1 == found->size() || group_of((*found)[i + 1]) != group;
    // Behind another one of a group the group comes again, rather than that any is left out.
    out.push_back({.link = std::move((*found)[i].link), .next = is_last_of_it ? group + 1 : group});
  }
  return out;
}

}  // namespace

Result<Directories::Node, Explained> Directories::get(const fs::Cid& cid, fs::BlockSource& source) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto at = kept_.find(cid); at != kept_.end()) {
      used_.splice(used_.begin(), used_, at->second.used);
      return at->second.node;
    }
  }
  if (cid.codec == fs::Codec::kRaw) return Node();
  auto node = fs::get_node(cid, source);
  if (!node) return fail(node.error());
  if (node->type == fs::NodeType::kDirectory) {
    if (auto sound = fs::check_entries(*node, cid); !sound) return fail(sound.error());
  } else if (node->type != fs::NodeType::kShard) {
    return Node();
  }
  std::size_t bytes = sizeof(Kept) + node->data.size();
  for (const fs::Link& link : node->links) bytes += kLinkBytes + link.name.size();
  auto shared = std::make_shared<const fs::DagNode>(std::move(*node));
  const std::lock_guard lock(mutex_);
  if (bytes > bytes_max_ || kept_.contains(cid)) return shared;
  while (bytes_ + bytes > bytes_max_) {
    const auto oldest = kept_.find(used_.back());
    bytes_ -= oldest->second.bytes;
    kept_.erase(oldest);
    used_.pop_back();
  }
  used_.push_front(cid);
  kept_.emplace(cid, Kept{.node = shared, .bytes = bytes, .used = used_.begin()});
  bytes_ += bytes;
  return shared;
}

Result<std::optional<fs::Link>, Explained> Directories::find(const Node& directory,
                                                             const fs::Cid& cid,
                                                             const std::string& name,
                                                             fs::BlockSource& source) {
  return fs::find_entry(*directory, cid, name, source);
}

Result<std::vector<Entry>, Explained> Directories::page(const Node& directory, const fs::Cid& cid,
                                                        Cursor after, std::size_t count,
                                                        fs::BlockSource& source) {
  if (directory->type == fs::NodeType::kShard)
    return sharded_page(*directory, cid, after, count, source);
  std::vector<Entry> out;
  const auto& links = directory->links;
  for (auto i = static_cast<std::size_t>(after); i < links.size() && out.size() < count; ++i)
    out.push_back({.link = links[i], .next = i + 1});
  return out;
}

}  // namespace rosebud::mount
