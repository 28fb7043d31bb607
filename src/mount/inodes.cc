#include "mount/inodes.h"

#include <algorithm>

#include "crypto/hash.h"

namespace rosebud::mount {

std::uint64_t inode_number(std::uint64_t parent_number, std::string_view name) {
  Bytes bytes;
  for (unsigned shift = 0; shift < 64; shift += 8)
    bytes.push_back(static_cast<std::uint8_t>(parent_number >> shift));
  const ByteView text = as_bytes(name);
  bytes.insert(bytes.end(), text.begin(), text.end());
  const auto digest = crypto::sha256(bytes);
  std::uint64_t out = 0;
  for (const std::uint8_t byte : digest.view().first(8)) out = out << 8 | byte;
  return std::max<std::uint64_t>(out, kRootInode + 1);  // 0 is none, 1 the root
}

Inodes::Inodes(const fs::Cid& root) {
  const Inode inode{.id = kRootInode,
                    .number = kRootInode,
                    .cid = root,
                    .described = {.kind = fs::Kind::kDirectory}};
  by_id_.emplace(kRootInode, Known{.inode = inode, .lookups = 1});
}

Inodes::Key Inodes::key_of(InodeId parent, const std::string& name, const fs::Cid& cid,
                           const fs::Described& described) {
  const bool is_directory = described.kind == fs::Kind::kDirectory;
  return {parent, name, is_directory ? std::nullopt : std::optional(cid)};
}

std::optional<Inode> Inodes::find(InodeId id) const {
  const auto at = by_id_.find(id);
  if (at == by_id_.end()) return std::nullopt;
  return at->second.inode;
}

Inode Inodes::look_up(InodeId parent, const std::string& name, const fs::Cid& cid,
                      const fs::Described& described, std::uint64_t state) {
  const auto [at, is_new] = by_key_.try_emplace(key_of(parent, name, cid, described), next_);
  if (!is_new) {
    Known& known = by_id_.at(at->second);
    ++known.lookups;
    place(at->second, cid, state);
    return known.inode;
  }
  Known& above = by_id_.at(parent);
  ++above.below;
  Inode inode{.id = next_++,
              .number = inode_number(above.inode.number, name),
              .parent = parent,
              .name = name,
              .cid = cid,
              .described = described,
              .state = state};
  by_id_.emplace(inode.id, Known{.inode = inode, .lookups = 1});
  return inode;
}

void Inodes::place(InodeId directory, const fs::Cid& cid, std::uint64_t state) {
  const auto at = by_id_.find(directory);
  if (at == by_id_.end()) return;
  Inode& inode = at->second.inode;
  if (!inode.is_directory() || inode.state >= state) return;
  inode.cid = cid;
  inode.state = state;
}

void Inodes::forget(InodeId id, std::uint64_t lookups) {
  const auto forgotten = by_id_.find(id);
  if (forgotten == by_id_.end()) return;
  forgotten->second.lookups -= std::min(lookups, forgotten->second.lookups);
  while (id != kRootInode) {
    const auto at = by_id_.find(id);
    if (at->second.lookups > 0 || at->second.below > 0) return;
    const Inode& inode = at->second.inode;
    const InodeId above = inode.parent;
    by_key_.erase(key_of(above, inode.name, inode.cid, inode.described));
    by_id_.erase(at);
    --by_id_.at(above).below;
    id = above;
  }
}

std::vector<Inode> Inodes::below(InodeId directory) const {
  std::vector<Inode> out;
  for (auto at = by_key_.lower_bound({directory, {}, {}});
       at != by_key_.end() && std::get<InodeId>(at->first) == directory; ++at) {
    out.push_back(by_id_.at(at->second).inode);
  }
  return out;
}

}  // namespace rosebud::mount
