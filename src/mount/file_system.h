// A volume as a file system that a kernel may ask: inodes, attributes, directories, bytes. It knows
// neither the kernel's messages (fuse_mount.cc) nor where blocks come from (block_cache.h).
//
// 1. There is one current state, a published one whose root is a directory. switch_to() replaces it
//    at once for all operations that begin afterwards; none sees parts of two.
// 2. What is open, file or directory, stays in the state in which it was opened.
// 3. Everything was verified: blocks by their hashes, what stands in them as src/fs does it.
// 4. Every operation ends by its deadline, with an error when it must.
// 5. What a kernel may keep of answers (names and what they lead to, attributes of directories) it
//    keeps of the current state alone: before another one takes its place, the kernel is told what
//    differs, and from then until the change answers must not be kept (is_settled()).
//
// Thread-safe.
#pragma once

#include <memory>

#include "mount/attributes.h"
#include "mount/block_cache.h"
#include "mount/directories.h"
#include "mount/file_reader.h"
#include "mount/inodes.h"

namespace rosebud::mount {

/// One opened file.
class OpenFile {
 public:
  OpenFile(const fs::Cid& cid, std::uint64_t size, std::uint64_t ahead_bytes_max)
      : reader(cid, size), read_ahead(ahead_bytes_max) {}

  FileReader reader;
  std::mutex mutex;
  ReadAhead read_ahead;  // under the mutex
};

/// One opened directory.
struct OpenDirectory {
  fs::Cid cid;
  Directories::Node node;
  std::uint64_t number = 0;         // of the inode
  std::uint64_t parent_number = 0;  // of the root: its own
};

class FileSystem {
 public:
  /// `cache` outlives it. `directory_bytes_max`: of decoded directories. `timeout`: of each
  /// operation. Call switch_to() before anything else.
  FileSystem(BlockCache& cache, std::size_t directory_bytes_max, Duration timeout)
      : cache_(cache), directories_(directory_bytes_max), timeout_(timeout), inodes_({}) {}

  using Forewarn = std::function<void(const Changes&)>;
  /// From now on `root` is what there is; `forewarn` tells the kernel before. An error, and nothing
  /// changed, when it cannot be had or is no directory. Not from two threads at once.
  Status<Explained> switch_to(
      const fs::Cid& root, const Forewarn& forewarn = [](const Changes&) {});
  /// Whether answers of that state may be kept.
  bool is_settled(std::uint64_t state) const;

  // What a kernel asks. ENOENT also for a directory that is not there any more; ETIMEDOUT when the
  // deadline passed; EINTR when whoever asked has given up; EIO when blocks cannot be had or make
  // no sense.

  /// Counts as one lookup of the inode that is returned.
  Answer<Attributes> look_up(InodeId parent, const std::string& name,
                             const GivenUp* given_up = nullptr);
  void forget(InodeId id, std::uint64_t lookups);
  Answer<Attributes> attributes(InodeId id, const GivenUp* given_up = nullptr);
  Answer<std::string> link_target(InodeId id);
  Answer<std::shared_ptr<OpenFile>> open(InodeId id);
  /// As far as the file goes; starts to fetch what comes next for one who reads in a row.
  Answer<std::vector<Buffer>> read(OpenFile& file, std::uint64_t offset, std::uint64_t count,
                                   const GivenUp* given_up = nullptr);
  Answer<std::shared_ptr<OpenDirectory>> open_directory(InodeId id,
                                                        const GivenUp* given_up = nullptr);
  /// Without "." and "..".
  Answer<std::vector<Entry>> read_directory(const OpenDirectory& directory, Cursor after,
                                            std::size_t count, const GivenUp* given_up = nullptr);
  Answer<Usage> usage(const GivenUp* given_up = nullptr);

 private:
  struct State {
    std::uint64_t number = 0;
    fs::Cid root;
  };
  struct Place {
    fs::Cid cid;
    Directories::Node node;
  };

  State state() const;
  /// Of what the kernel knows, what is another in the tree of that root.
  Result<Changes, Explained> changes_to(const fs::Cid& root, OperationSource& source);
  /// What is under that name there; nothing also where the directory makes no sense.
  Result<std::optional<fs::Link>, Explained> find_sound(const Directories::Node& directory,
                                                        const fs::Cid& cid, const std::string& name,
                                                        OperationSource& source);
  /// As Directories::get(); nothing also for what makes no sense.
  Result<Directories::Node, Explained> get_sound(const fs::Cid& cid, OperationSource& source);
  Answer<Inode> inode(InodeId id) const;
  /// Where a directory is in that state, by its path.
  Answer<Place> place(const Inode& directory, const State& state, OperationSource& source);
  Answer<Place> directory_at(const fs::Cid& cid, OperationSource& source);
  Attributes attributes_of(const Inode& inode, const fs::Described& described,
                           const State& state) const;

  BlockCache& cache_;
  Directories directories_;
  const Duration timeout_;
  mutable std::mutex mutex_;
  State state_;                // under the mutex
  bool is_switching_ = false;  // under the mutex
  Inodes inodes_;              // under the mutex
};

}  // namespace rosebud::mount
