// Names of a file system that can be changed: finding, making, removing, renaming, listing.
#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "mount/writable_file_system.h"

namespace rosebud::mount {
namespace {

/// Of a symbolic link, bytes: what systems follow.
constexpr std::size_t kTargetMax = 4095;
/// Names that are pending, some 500 bytes each.
constexpr std::size_t kChangesMax = 1'000'000;
/// Cursors of what was added, behind all those of published directories (directories.cc).
constexpr Cursor kAddedBegin = (Cursor{1} << 62) + 1;

}  // namespace

// ---- Finding ----

Answer<PendingNode*> WritableFileSystem::child(Lock& lock, InodeId parent, const std::string& name,
                                               OperationSource& source, bool& has_waited) {
  if (name.size() > fs::kNameMax) return refuse(ENAMETOOLONG);
  while (true) {
    const auto found = node(parent);
    if (!found) return found;
    const PendingNode& directory = **found;
    if (!directory.is_directory()) return refuse(ENOTDIR);
    if (const auto at = directory.children.find(name); at != directory.children.end())
      return tree_.find(at->second);
    if (!directory.base || directory.hidden.contains(name) || directory.absent.contains(name))
      return nullptr;

    const fs::Cid base = *directory.base;
    lock.unlock();
    std::optional<fs::Link> link;
    fs::Described described;
    const bool is_had = [&] {
      const auto published = directories_.get(base, source);
      if (!published || !*published) return false;
      auto entry = directories_.find(*published, base, name, source);
      if (!entry) return false;
      link = std::move(*entry);
      if (!link) return true;
      if (link->cid.codec == fs::Codec::kRaw) {
        // A raw block is a file without more; a size that is wrong is found when it is read.
        described.bytes = link->tsize;
        return true;
      }
      auto read = fs::describe(link->cid, source);
      if (!read) return false;
      described = std::move(*read);
      return true;
    }();
    lock.lock();
    has_waited = true;
    if (!is_had) return refuse(source);
    if (described.target.size() > kTargetMax) return refuse(ENAMETOOLONG);
    followed_.wait(lock, [&] { return !is_following_; });

    // It may have become something else meanwhile.
    const auto again = node(parent);
    if (!again) return again;
    PendingNode& now = **again;
    if (now.base != base || now.children.contains(name) || now.hidden.contains(name)) continue;
    if (link) return &tree_.add_published(now, *link, described);
    if (now.absent.size() >= PendingTree::kAbsentMax) now.absent.clear();
    now.absent.insert(name);
    return nullptr;
  }
}

Answer<PendingNode*> WritableFileSystem::child(Lock& lock, InodeId parent, const std::string& name,
                                               OperationSource& source) {
  bool has_waited = false;
  return child(lock, parent, name, source, has_waited);
}

Answer<Attributes> WritableFileSystem::look_up(InodeId parent, const std::string& name,
                                               const GivenUp* given_up) {
  OperationSource source(cache_, timeout_, given_up);
  Lock lock(mutex_);
  const auto found = child(lock, parent, name, source);
  if (!found) return fail(found.error());
  if (!*found) return refuse(ENOENT);
  ++(*found)->lookups;
  return attributes_of(**found);
}

// ---- Making ----

Answer<PendingNode*> WritableFileSystem::directory_to_change(InodeId id) {
  if (is_refusing_) return refuse(EROFS);
  const auto found = node(id);
  if (!found) return found;
  if (!(*found)->is_directory()) return refuse(ENOTDIR);
  if ((*found)->is_removed()) return refuse(ENOENT);
  return found;
}

Answer<PendingNode*> WritableFileSystem::free_place(Lock& lock, InodeId parent,
                                                    const std::string& name,
                                                    OperationSource& source) {
  const auto there = child(lock, parent, name, source);
  if (!there) return there;
  if (*there) return refuse(EEXIST);
  if (!fs::check_name(name)) return refuse(EINVAL);
  const auto directory = directory_to_change(parent);
  if (!directory) return directory;
  if (tree_.depth_of(**directory) >= fs::kDepthMax) return refuse(ENAMETOOLONG);
  return directory;
}

Answer<PendingNode*> WritableFileSystem::make(Lock& lock, const Place& place, fs::Kind kind,
                                              const fs::Attributes& attributes,
                                              const GivenUp* given_up) {
  OperationSource source(cache_, timeout_, given_up);
  const auto directory = free_place(lock, place.parent, place.name, source);
  if (!directory) return directory;
  if (tree_.changes_count() >= kChangesMax) return refuse(ENOSPC);
  PendingNode& made = tree_.add_new(**directory, place.name, kind, attributes);
  ++made.lookups;
  touch_content(**directory);
  return &made;
}

Answer<WritableFileSystem::Created> WritableFileSystem::create(InodeId parent,
                                                               const std::string& name,
                                                               std::uint32_t mode,
                                                               const GivenUp* given_up) {
  Lock lock(mutex_);
  const auto made = make(lock, {parent, name}, fs::Kind::kFile,
                         {.mode = mode & kModeBits, .modified = now_()}, given_up);
  if (!made) return fail(made.error());
  PendingNode& file = **made;
  auto out = opened(file, true);
  file.is_half_written = true;
  return Created{.attributes = attributes_of(file), .file = std::move(out)};
}

Answer<Attributes> WritableFileSystem::make_directory(InodeId parent, const std::string& name,
                                                      std::uint32_t mode, const GivenUp* given_up) {
  Lock lock(mutex_);
  const auto made = make(lock, {parent, name}, fs::Kind::kDirectory,
                         {.mode = mode & kModeBits, .modified = now_()}, given_up);
  if (!made) return fail(made.error());
  return attributes_of(**made);
}

Answer<Attributes> WritableFileSystem::make_link(InodeId parent, const std::string& name,
                                                 const std::string& target,
                                                 const GivenUp* given_up) {
  if (target.size() > kTargetMax) return refuse(ENAMETOOLONG);
  Lock lock(mutex_);
  const auto made =
      make(lock, {parent, name}, fs::Kind::kSymlink, {.mode = {}, .modified = now_()}, given_up);
  if (!made) return fail(made.error());
  (*made)->target = target;
  return attributes_of(**made);
}

// ---- Removing ----

Answer<bool> WritableFileSystem::is_empty(Lock& lock, InodeId id, OperationSource& source,
                                          bool& has_waited) {
  const auto found = node(id);
  if (!found) return fail(found.error());
  const PendingNode& directory = **found;
  if (!directory.children.empty()) return false;
  if (!directory.base) return true;
  const fs::Cid base = *directory.base;
  const std::map<std::string, Generation> hidden = directory.hidden;
  lock.unlock();
  std::optional<bool> out;
  if (const auto published = directories_.get(base, source); published && *published) {
    for (Cursor after = 0; !out;) {
      const auto page = directories_.page(*published, base, after, hidden.size() + 1, source);
      if (!page) break;
      if (page->empty()) out = true;
      for (const Entry& entry : *page) {
        after = entry.next;
        if (!hidden.contains(entry.link.name)) out = false;
      }
    }
  }
  lock.lock();
  has_waited = true;
  if (!out) return refuse(source);
  return *out;
}

Answer<void> WritableFileSystem::remove(InodeId parent, const std::string& name,
                                        const GivenUp* given_up) {
  OperationSource source(cache_, timeout_, given_up);
  Lock lock(mutex_);
  const auto found = child(lock, parent, name, source);
  if (!found) return fail(found.error());
  const auto directory = directory_to_change(parent);
  if (!directory) return fail(directory.error());
  if (!*found) return refuse(ENOENT);
  PendingNode& removed = **found;
  if (removed.is_directory()) return refuse(EISDIR);
  const InodeId id = removed.id;
  removed.touched = now_();
  tree_.remove(removed);
  touch_content(**directory);
  tree_.forget_unneeded(id);
  return {};
}

Answer<void> WritableFileSystem::remove_directory(InodeId parent, const std::string& name,
                                                  const GivenUp* given_up) {
  OperationSource source(cache_, timeout_, given_up);
  Lock lock(mutex_);
  std::optional<InodeId> known_empty;  // it, in the state of `tree_` at that moment
  std::uint64_t then = 0;
  while (true) {
    const auto found = child(lock, parent, name, source);
    if (!found) return fail(found.error());
    const auto directory = directory_to_change(parent);
    if (!directory) return fail(directory.error());
    if (!*found) return refuse(ENOENT);
    PendingNode& removed = **found;
    if (!removed.is_directory()) return refuse(ENOTDIR);
    if (known_empty != removed.id || then != tree_.edits()) {
      then = tree_.edits();
      known_empty = removed.id;
      bool has_waited = false;
      const auto empty = is_empty(lock, removed.id, source, has_waited);
      if (!empty) return fail(empty.error());
      if (!*empty) return refuse(ENOTEMPTY);
      if (has_waited) continue;
    }
    tree_.remove(removed);
    touch_content(**directory);
    tree_.forget_unneeded(*known_empty);
    return {};
  }
}

// ---- Renaming ----

Answer<void> WritableFileSystem::rename(const Place& from, const Place& to, Replacing replacing,
                                        const GivenUp* given_up) {
  OperationSource source(cache_, timeout_, given_up);
  Lock lock(mutex_);
  std::optional<InodeId> known_empty;
  std::uint64_t then = 0;
  while (true) {
    bool has_waited = false;
    const auto found = child(lock, from.parent, from.name, source, has_waited);
    if (!found) return fail(found.error());
    const auto there = child(lock, to.parent, to.name, source, has_waited);
    if (!there) return fail(there.error());
    if (has_waited) continue;  // all is here now, unless it was forgotten meanwhile
    const auto before = directory_to_change(from.parent);
    if (!before) return fail(before.error());
    const auto after = directory_to_change(to.parent);
    if (!after) return fail(after.error());
    if (!*found) return refuse(ENOENT);
    PendingNode& moved = **found;
    PendingNode* const replaced = *there;
    if (replaced == &moved) return {};
    if (!fs::check_name(to.name)) return refuse(EINVAL);
    if (replaced && replacing == Replacing::kRefused) return refuse(EEXIST);
    if (moved.is_directory() && tree_.is_below(**after, moved.id)) return refuse(EINVAL);
    if (tree_.depth_of(**after) >= fs::kDepthMax) return refuse(ENAMETOOLONG);
    if (replaced && replaced->is_directory() != moved.is_directory())
      return refuse(replaced->is_directory() ? EISDIR : ENOTDIR);
    if (replaced && replaced->is_directory() &&
        (known_empty != replaced->id || then != tree_.edits())) {
      then = tree_.edits();
      known_empty = replaced->id;
      const auto empty = is_empty(lock, replaced->id, source, has_waited);
      if (!empty) return fail(empty.error());
      if (!*empty) return refuse(ENOTEMPTY);
      if (has_waited) continue;
    }
    if (replaced) {
      const InodeId id = replaced->id;
      replaced->touched = now_();
      tree_.remove(*replaced);
      tree_.forget_unneeded(id);
    }
    tree_.move(moved, **after, to.name);
    moved.touched = now_();
    touch_content(**before);
    touch_content(**after);
    return {};
  }
}

// ---- Listing ----

Answer<std::shared_ptr<ListedDirectory>> WritableFileSystem::open_directory(InodeId id) {
  const Lock lock(mutex_);
  const auto found = node(id);
  if (!found) return fail(found.error());
  if (!(*found)->is_directory()) return refuse(ENOTDIR);
  return listed(**found);
}

std::shared_ptr<ListedDirectory> WritableFileSystem::listed(const PendingNode& directory) {
  auto out = std::make_shared<ListedDirectory>();
  const PendingNode* const above =
      directory.parent == 0 ? &directory : tree_.find(directory.parent);
  out->id = directory.id;
  out->number = directory.number;
  out->parent_number = above->number;
  out->base = directory.base;
  for (const auto& [name, since] : directory.hidden) out->hidden.insert(name);
  for (const auto& [name, id] : directory.children) {
    const PendingNode& one = *tree_.find(id);
    if (one.is_added) {
      // It may stand in `base` as well: who asks between a publication and its end.
      out->hidden.insert(name);
      out->added.push_back({.name = name, .number = one.number, .kind = one.kind});
    } else if (one.number != inode_number(directory.number, name)) {
      out->numbers.emplace(name, one.number);
    }
  }
  return out;
}

Answer<std::vector<ListedEntry>> WritableFileSystem::read_directory(
    const ListedDirectory& directory, Cursor after, std::size_t count, const GivenUp* given_up) {
  OperationSource source(cache_, timeout_, given_up);
  std::vector<ListedEntry> out;
  Directories::Node published;
  if (directory.base && after < kAddedBegin) {
    const auto found = directories_.get(*directory.base, source);
    if (!found || !*found) return refuse(source);
    published = *found;
  }
  while (published && out.size() < count) {
    const auto page = directories_.page(published, *directory.base, after, count, source);
    if (!page) return refuse(source);
    if (page->empty()) break;
    for (const Entry& entry : *page) {
      after = entry.next;
      const std::string& name = entry.link.name;
      if (directory.hidden.contains(name)) continue;
      const auto number = directory.numbers.find(name);
      out.push_back(
          {.name = name,
           .number = number == directory.numbers.end() ? inode_number(directory.number, name)
                                                       : number->second,
           // Only a raw block says by its id what it is.
           .kind = entry.link.cid.codec == fs::Codec::kRaw ? std::optional(fs::Kind::kFile)
                                                           : std::nullopt,
           .next = after});
    }
  }
  if (out.size() >= count) return out;
  std::size_t next = after < kAddedBegin ? 0 : static_cast<std::size_t>(after - kAddedBegin);
  for (; next < directory.added.size() && out.size() < count; ++next) {
    const ListedDirectory::Added& one = directory.added[next];
    out.push_back(
        {.name = one.name, .number = one.number, .kind = one.kind, .next = kAddedBegin + next + 1});
  }
  return out;
}

}  // namespace rosebud::mount
