// What a kernel knows of the tree: numbers for the names that it looked up, until it forgets them.
//
// 1. A directory is its path: it goes on being the same while publications change what is in it.
// 2. A file or symbolic link is its path and its content: another content is another inode, so that
//    whoever has the old one open, and whatever the kernel keeps of it, stays as it is.
// 3. An id is never used again. A number (what people see) depends on the path alone.
// 4. An inode stays while the kernel has looked it up more often than forgotten it, or knows
// another
//    one below it.
//
// Not thread-safe.
#pragma once

#include <map>
#include <string>
#include <tuple>

#include "fs/reader.h"

namespace rosebud::mount {

using InodeId = std::uint64_t;
inline constexpr InodeId kRootInode = 1;

struct Inode {
  InodeId id = 0;
  std::uint64_t number = 0;
  InodeId parent = 0;  // of the root: none
  std::string name;
  fs::Cid cid;              // of a directory: in the state with the number below
  fs::Described described;  // of a directory: its kind alone
  std::uint64_t state = 0;  // of directories: in which they were looked up last

  bool is_directory() const { return described.kind == fs::Kind::kDirectory; }
};

/// What people see as the number of the entry of that name.
std::uint64_t inode_number(std::uint64_t parent_number, std::string_view name);

class Inodes {
 public:
  /// With the root, a directory that is never forgotten.
  explicit Inodes(const fs::Cid& root);

  /// Nothing: the kernel has forgotten it, or made it up.
  std::optional<Inode> find(InodeId id) const;
  /// Counts one lookup of it. Requires: `parent` is known to the kernel, which asked below it.
  Inode look_up(InodeId parent, const std::string& name, const fs::Cid& cid,
                const fs::Described& described, std::uint64_t state);
  /// Where a directory is in a later state. Those of an earlier one change nothing.
  void place(InodeId directory, const fs::Cid& cid, std::uint64_t state);
  void forget(InodeId id, std::uint64_t lookups);
  /// Those that are known below a directory, by name: several files where one took another's place.
  std::vector<Inode> below(InodeId directory) const;
  std::size_t size() const { return by_id_.size(); }

 private:
  struct Known {
    Inode inode;
    std::uint64_t lookups = 0;
    std::size_t below = 0;  // inodes whose parent it is
  };
  /// Of directories without content.
  using Key = std::tuple<InodeId, std::string, std::optional<fs::Cid>>;
  static Key key_of(InodeId parent, const std::string& name, const fs::Cid& cid,
                    const fs::Described& described);

  std::map<InodeId, Known> by_id_;
  std::map<Key, InodeId> by_key_;
  InodeId next_ = kRootInode + 1;
};

}  // namespace rosebud::mount
