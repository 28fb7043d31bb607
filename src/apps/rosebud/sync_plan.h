// What makes one tree equal to another: two listings in, ordered actions out. No I/O.
//
// 1. Without may_delete nothing of the target goes: what it has beyond the source stays, and what
//    stands where the source has something of another sort stays too, is named, and all below its
//    place is left out.
// 2. An action finds what it needs: directories are made before what goes into them, and what is in
//    the way goes directly before what takes its place.
// 3. What the source does not have goes when everything else is there; of that, what is in a
//    directory before the directory.
// 4. Directories get their attributes last, the deepest first: changing what is in them changes
//    their times.
// 5. A special file of the source (device, pipe, socket) is passed over, with whatever the target
//    has in its place.
#pragma once

#include <functional>
#include <map>

#include "fs/reader.h"

namespace rosebud::apps {

/// Orders paths "a/b" as trees are walked: a directory, then all below it, then its next neighbour.
struct PathOrder {
  bool operator()(std::string_view a, std::string_view b) const;
};
/// "a" of "a/b", and "" of "a". Requires: not the root.
std::string_view folder_of(std::string_view path);
bool is_below(std::string_view path, std::string_view folder);

enum class SyncKind : std::uint8_t { kFile, kDirectory, kSymlink, kSpecial };

struct SyncEntry {
  SyncKind kind = SyncKind::kFile;
  std::uint64_t bytes = 0;  // of files
  std::string target;       // of symlinks
  fs::Attributes attributes;
  fs::Cid cid;              // in volumes
  std::uint64_t tsize = 0;  // in volumes
};

/// A tree by paths from its root, which has the path "". Invariant: the directories above every
/// entry are in it. Empty: there is no such tree.
using Listing = std::map<std::string, SyncEntry, PathOrder>;

/// Fills a listing, and bounds it: whoever made the tree may have meant to fill this machine's
/// memory.
class ListingBuilder {
 public:
  static constexpr std::size_t kBytesMax = 2UL << 30;

  explicit ListingBuilder(std::size_t bytes_max = kBytesMax) : bytes_max_(bytes_max) {}
  /// An error when the whole becomes too large.
  Status<Explained> add(std::string path, SyncEntry entry);
  Listing take() { return std::move(listing_); }

 private:
  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  Listing listing_;
};

enum class SyncStep : std::uint8_t {
  kMakeDirectory,
  kPutFile,
  kPutSymlink,
  kSetAttributes,  // of what is there and stays
  kRemove,         // a directory is empty by then
};
struct SyncAction {
  SyncStep step;
  std::string path;

  friend bool operator==(const SyncAction&, const SyncAction&) = default;
};

struct SyncPlan {
  std::vector<SyncAction> actions;
  std::vector<std::string> in_the_way;  // something of another sort, which may not be deleted
  std::size_t unchanged_count = 0;      // entries of the source that the target has as they are
  std::size_t extra_count = 0;          // entries of the target that may not be deleted
  std::uint64_t bytes = 0;              // of the files to put

  std::size_t count(SyncStep step) const;
};

struct SyncOptions {
  bool may_delete = false;
  /// Whether two files of one size have the same content. Not set: they have when their
  /// modification times are known and equal.
  std::function<Result<bool, Explained>(const std::string& path, const SyncEntry& source,
                                        const SyncEntry& target)>
      has_same_content;
};

/// Attributes that the source does not keep are not compared. An error: has_same_content's.
/// Requires: a source that is not empty; if there is a target, both roots are directories.
Result<SyncPlan, Explained> plan_sync(const Listing& source, const Listing& target,
                                      const SyncOptions& options = {});

}  // namespace rosebud::apps
