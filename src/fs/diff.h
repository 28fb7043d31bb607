// What differs between two trees, by path.
//
// 1. Where both have the same id nothing is asked for: not below equal directories, and not for the
//    equal shards of large ones.
// 2. Every entry that one tree alone has is told, with all below. One that is a file here and a
//    directory there is told as removed and as added.
// 3. A directory that both have is told itself only when its mode differs: its id and its time
//    differ whenever anything in it does.
#pragma once

#include "fs/walk.h"

namespace rosebud::fs {

struct TreeDifference {
  enum class What : std::uint8_t {
    kAdded,
    kRemoved,
    kChanged,     // another content, or another target of a link
    kAttributes,  // the same content with another mode or modification time
  };
  std::string path;  // names from the root on, "a/b"; of the root itself empty
  What what = What::kChanged;
  std::optional<Described> before;  // not of what is added
  std::optional<Described> after;   // not of what is removed
};

struct DiffOptions {
  /// Names on the way from the root to an entry.
  std::size_t depth_max = kDepthMax;
  std::size_t entries_max = kWalkEntriesMax;
};

/// Calls `visit` for every difference: directories before what is in them, and in the order of
/// names. An error that it returns ends the walk. The roots may be anything, or not be there at
/// all; `tsize` as a directory says it of each, or 0.
Status<Explained> diff_trees(const std::optional<Link>& before, const std::optional<Link>& after,
                             BlockSource& source,
                             const std::function<Status<Explained>(const TreeDifference&)>& visit,
                             const DiffOptions& options = {});

}  // namespace rosebud::fs
