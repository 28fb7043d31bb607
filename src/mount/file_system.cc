#include "mount/file_system.h"

#include <algorithm>
#include <cerrno>

namespace rosebud::mount {
namespace {

/// Of a symbolic link, bytes: what systems follow.
constexpr std::size_t kTargetMax = 4095;

}  // namespace

Status<Explained> FileSystem::switch_to(const fs::Cid& root, const Forewarn& forewarn) {
  OperationSource source(cache_, timeout_);
  const auto directory = directories_.get(root, source);
  if (!directory) return fail(directory.error());
  if (!*directory) return fail(fs::unsound(root, "the root is no directory"));
  {
    // What is looked up from here on is not kept: the list of changes has all that is.
    const std::lock_guard lock(mutex_);
    is_switching_ = true;
  }
  const auto changes = changes_to(root, source);
  if (changes) forewarn(*changes);
  const std::lock_guard lock(mutex_);
  is_switching_ = false;
  if (!changes) return fail(changes.error());
  ++state_.number;
  state_.root = root;
  return {};
}

bool FileSystem::is_settled(std::uint64_t state) const {
  const std::lock_guard lock(mutex_);
  return state == state_.number && !is_switching_;
}

Result<Changes, Explained> FileSystem::changes_to(const fs::Cid& root, OperationSource& source) {
  Changes out;
  std::vector<std::pair<InodeId, fs::Cid>> todo;
  if (state().root != root) todo.emplace_back(kRootInode, root);
  while (!todo.empty()) {
    const auto [id, becomes] = todo.back();
    todo.pop_back();
    out.directories.push_back(id);
    const auto directory = get_sound(becomes, source);
    if (!directory) return fail(directory.error());
    std::vector<Inode> known;
    {
      const std::lock_guard lock(mutex_);
      known = inodes_.below(id);
    }
    for (Inode& inode : known) {
      const auto link = find_sound(*directory, becomes, inode.name, source);
      if (!link) return fail(link.error());
      // Of a directory that was not looked up since an earlier state, the kernel has nothing that
      // is not true of that one too.
      if (*link && (*link)->cid == inode.cid) continue;
      if (*link && inode.is_directory()) {
        const auto below = get_sound((*link)->cid, source);
        if (!below) return fail(below.error());
        if (*below) {
          todo.emplace_back(inode.id, (*link)->cid);
          continue;
        }
      }
      out.names.push_back({.parent = id, .name = std::move(inode.name)});
    }
  }
  return out;
}

Result<Directories::Node, Explained> FileSystem::get_sound(const fs::Cid& cid,
                                                           OperationSource& source) {
  auto found = directories_.get(cid, source);
  if (!found && found.error().trouble == Trouble::kIntegrity) return Directories::Node();
  return found;
}

Result<std::optional<fs::Link>, Explained> FileSystem::find_sound(
    const Directories::Node& directory, const fs::Cid& cid, const std::string& name,
    OperationSource& source) {
  if (!directory) return std::nullopt;
  auto found = directories_.find(directory, cid, name, source);
  if (!found && found.error().trouble == Trouble::kIntegrity) return std::nullopt;
  return found;
}

FileSystem::State FileSystem::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

Answer<Inode> FileSystem::inode(InodeId id) const {
  const std::lock_guard lock(mutex_);
  auto found = inodes_.find(id);
  if (!found) return refuse(ESTALE);
  return std::move(*found);
}

Answer<FileSystem::Place> FileSystem::directory_at(const fs::Cid& cid, OperationSource& source) {
  auto node = directories_.get(cid, source);
  if (!node) return refuse(source);
  if (!*node) return refuse(ENOENT);  // something else has taken its place
  return Place{.cid = cid, .node = std::move(*node)};
}

Answer<FileSystem::Place> FileSystem::place(const Inode& directory, const State& state,
                                            OperationSource& source) {
  // Up to one that was found in this state already, then down again by the names between.
  std::vector<Inode> way;
  Inode at = directory;
  while (at.id != kRootInode && at.state != state.number) {
    auto above = inode(at.parent);
    if (!above) return fail(above.error());
    way.push_back(std::move(at));
    at = std::move(*above);
  }
  auto found = directory_at(at.id == kRootInode ? state.root : at.cid, source);
  for (; found && !way.empty(); way.pop_back()) {
    const auto link = directories_.find(found->node, found->cid, way.back().name, source);
    if (!link) return refuse(source);
    if (!*link) return refuse(ENOENT);
    found = directory_at((*link)->cid, source);
    if (!found) break;
    const std::lock_guard lock(mutex_);
    inodes_.place(way.back().id, found->cid, state.number);
  }
  return found;
}

Attributes FileSystem::attributes_of(const Inode& inode, const fs::Described& described,
                                     const State& state) const {
  return {.id = inode.id,
          .number = inode.number,
          .kind = described.kind,
          .bytes = described.kind == fs::Kind::kFile      ? described.bytes
                   : described.kind == fs::Kind::kSymlink ? described.target.size()
                                                          : 0,
          .mode = described.attributes.mode.value_or(default_mode(described.kind)) & kModeBits,
          .modified = described.attributes.modified.value_or(fs::ModificationTime{}),
          .state = state.number};
}

Answer<Attributes> FileSystem::look_up(InodeId parent, const std::string& name,
                                       const GivenUp* given_up) {
  OperationSource source(cache_, timeout_, given_up);
  if (name.size() > fs::kNameMax) return refuse(ENAMETOOLONG);
  const State now = state();
  const auto above = inode(parent);
  if (!above) return fail(above.error());
  const auto directory = place(*above, now, source);
  if (!directory) return fail(directory.error());
  const auto link = directories_.find(directory->node, directory->cid, name, source);
  if (!link) return refuse(source);
  if (!*link) return refuse(ENOENT);
  const fs::Cid& cid = (*link)->cid;
  fs::Described described;
  if (cid.codec == fs::Codec::kRaw) {
    // A raw block is a file without more; a size that is wrong is found when it is read.
    described.bytes = (*link)->tsize;
  } else {
    auto read = fs::describe(cid, source);
    if (!read) return refuse(source);
    if (read->target.size() > kTargetMax) return refuse(ENAMETOOLONG);
    described = std::move(*read);
  }
  const std::lock_guard lock(mutex_);
  if (!inodes_.find(parent)) return refuse(ESTALE);
  return attributes_of(inodes_.look_up(parent, name, cid, described, now.number), described, now);
}

void FileSystem::forget(InodeId id, std::uint64_t lookups) {
  const std::lock_guard lock(mutex_);
  inodes_.forget(id, lookups);
}

Answer<Attributes> FileSystem::attributes(InodeId id, const GivenUp* given_up) {
  OperationSource source(cache_, timeout_, given_up);
  const State now = state();
  const auto found = inode(id);
  if (!found) return fail(found.error());
  if (!found->is_directory()) return attributes_of(*found, found->described, now);
  const auto directory = place(*found, now, source);
  if (!directory) return fail(directory.error());
  return attributes_of(
      *found, {.kind = fs::Kind::kDirectory, .attributes = directory->node->attributes}, now);
}

Answer<std::string> FileSystem::link_target(InodeId id) {
  auto found = inode(id);
  if (!found) return fail(found.error());
  if (found->described.kind != fs::Kind::kSymlink) return refuse(EINVAL);
  return std::move(found->described.target);
}

Answer<std::shared_ptr<OpenFile>> FileSystem::open(InodeId id) {
  const auto found = inode(id);
  if (!found) return fail(found.error());
  if (found->described.kind != fs::Kind::kFile)
    return refuse(found->is_directory() ? EISDIR : ELOOP);
  return std::make_shared<OpenFile>(found->cid, found->described.bytes, cache_.ahead_bytes_max());
}

Answer<std::vector<Buffer>> FileSystem::read(OpenFile& file, std::uint64_t offset,
                                             std::uint64_t count, const GivenUp* given_up) {
  OperationSource source(cache_, timeout_, given_up);
  std::uint64_t window = 0;
  {
    const std::lock_guard lock(file.mutex);
    window = file.read_ahead.on_read(offset, offset + count);
  }
  // What this read waits for itself goes first; the rest is under way meanwhile.
  source.prefetch(file.reader.ahead(offset, count + window));
  auto pieces = file.reader.read(offset, count, source);
  if (!pieces) return refuse(source);
  return std::move(*pieces);
}

Answer<std::shared_ptr<OpenDirectory>> FileSystem::open_directory(InodeId id,
                                                                  const GivenUp* given_up) {
  OperationSource source(cache_, timeout_, given_up);
  const State now = state();
  const auto found = inode(id);
  if (!found) return fail(found.error());
  if (!found->is_directory()) return refuse(ENOTDIR);
  auto directory = place(*found, now, source);
  if (!directory) return fail(directory.error());
  const auto above = id == kRootInode ? found : inode(found->parent);
  if (!above) return fail(above.error());
  return std::make_shared<OpenDirectory>(OpenDirectory{.cid = directory->cid,
                                                       .node = std::move(directory->node),
                                                       .number = found->number,
                                                       .parent_number = above->number});
}

Answer<std::vector<Entry>> FileSystem::read_directory(const OpenDirectory& directory, Cursor after,
                                                      std::size_t count, const GivenUp* given_up) {
  OperationSource source(cache_, timeout_, given_up);
  auto entries = directories_.page(directory.node, directory.cid, after, count, source);
  if (!entries) return refuse(source);
  return std::move(*entries);
}

Answer<Usage> FileSystem::usage(const GivenUp* given_up) {
  OperationSource source(cache_, timeout_, given_up);
  const auto root = directory_at(state().root, source);
  if (!root) return fail(root.error());
  Usage out;
  for (const fs::Link& link : root->node->links) out.bytes += link.tsize;
  return out;
}

}  // namespace rosebud::mount
