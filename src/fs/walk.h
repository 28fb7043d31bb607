// Every entry of a tree, without files' contents.
#pragma once

#include "fs/reader.h"

namespace rosebud::fs {

/// Entries of one walk. A tree that holds one directory twice on each of its levels is small, and
/// yet has more entries than can ever be seen.
inline constexpr std::size_t kWalkEntriesMax = 10'000'000;

struct WalkedEntry {
  std::string path;  // names from the root on, "a/b"; of the root itself empty
  Cid cid;
  std::uint64_t tsize = 0;  // as the directory says, which may be wrong
  Described described;
};

/// Remembers what heads of files and links say, perhaps for the next run: an id never means
/// anything else.
class HeadMemory {
 public:
  virtual ~HeadMemory() = default;
  virtual std::optional<Described> find(const Cid& cid) = 0;
  virtual void add(const Cid& cid, const Described& described) = 0;
};

struct WalkOptions {
  /// Names on the way from the root to an entry.
  std::size_t depth_max = kDepthMax;
  std::size_t entries_max = kWalkEntriesMax;
  /// What cannot be read or makes no sense, by its path, is told here and left out. An error that
  /// it returns ends the walk. Not set: what it would be told ends the walk.
  std::function<Status<Explained>(const std::string& path, const Explained&)> on_damage;
  /// Heads that it has are not asked for; those that are, are added. May be none.
  HeadMemory* heads = nullptr;
};

/// Calls `visit` for the root and all below it: directories before what is in them, and in the
/// order of their names. An error that it returns ends the walk. `tsize`: what is known of the
/// root's.
Status<Explained> walk_tree(const Cid& root, std::uint64_t tsize, BlockSource& source,
                            const std::function<Status<Explained>(const WalkedEntry&)>& visit,
                            const WalkOptions& options = {});

/// Reads all of a file, and that it is as long as was said; of anything else its head, which was
/// read, is all. `on_bytes` may be empty.
Status<Explained> check_entry(const WalkedEntry& entry, BlockSource& source,
                              const std::function<void(std::uint64_t)>& on_bytes);

}  // namespace rosebud::fs
