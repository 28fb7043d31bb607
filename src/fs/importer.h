// Files and directories to UnixFS DAGs of the profile `unixfs-v1-2025` ([IPIP-499],
// docs/format/unixfs.md): CIDv1, raw leaves, chunks of 1 MiB, balanced with at most 1024 links, so
// that other IPFS implementations compute the same ids. Chunking by content
// (docs/format/chunking.md) gives other ids, and ones that an edit changes little.
//
// Memory: three chunks, and the open node of each level (a file of a petabyte has four).
#pragma once

#include <filesystem>
#include <functional>

#include "fs/chunker.h"
#include "fs/node.h"

namespace rosebud::fs {

inline constexpr std::size_t kLinksMax = 1024;
/// Chunking by content, a node ends after a child whose hash begins with a zero byte, too, so that
/// an insertion does not shift the links of all nodes behind it; but not before it has so many.
inline constexpr std::size_t kContentLinksMin = 32;
/// A directory whose block would be larger is sharded.
inline constexpr std::size_t kDirectoryBlockMax = 256 * 1024;
/// Directories nest at most so deep on import and export.
inline constexpr std::size_t kDepthMax = 256;

/// Takes the blocks of a DAG, children before their parents. May wait for its store.
class BlockSink {
 public:
  virtual ~BlockSink() = default;
  virtual Status<Explained> put(const Cid& cid, Buffer block) = 0;
};

/// Bytes that are in memory already, and outlive it.
class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(ByteView bytes) : rest_(bytes) {}
  Result<std::size_t, Explained> read(std::span<std::uint8_t> into) override;

 private:
  ByteView rest_;
};

struct Imported {
  Cid cid;
  std::uint64_t tsize = 0;  // what a link to it says
  std::uint64_t bytes = 0;  // of files below
};

/// Stores a node that is whole.
Result<Imported, Explained> put_node(const DagNode& node, BlockSink& sink);

/// With attributes a file of one chunk becomes one node with the bytes inside: a raw block has no
/// place for them.
Result<Imported, Explained> import_file(ByteSource& source, BlockSink& sink,
                                        const Attributes& attributes = {},
                                        Chunking chunking = Chunking::kFixed);
/// A chunk that is stored.
struct Leaf {
  Cid cid;  // a raw block
  std::uint64_t bytes = 0;
};

/// Content of a file, parts of which are known as the chunks that they are.
class EditedContent {
 public:
  virtual ~EditedContent() = default;
  virtual std::uint64_t size() const = 0;
  /// Requires: offset + into.size() <= size().
  virtual Status<Explained> read(std::uint64_t offset, std::span<std::uint8_t> into) = 0;
  /// The chunk that cutting by content would make from `offset` on, if it is known to be stored;
  /// may put it itself.
  virtual Result<std::optional<Leaf>, Explained> leaf_at(std::uint64_t offset, BlockSink& sink) = 0;
};

/// As import_file() by content, with the same ids; what is known is neither read nor put again.
Result<Imported, Explained> import_edited(EditedContent& content, BlockSink& sink,
                                          const Attributes& attributes);
/// `entries` in any order; names are distinct.
Result<Imported, Explained> import_directory(std::vector<Link> entries, BlockSink& sink,
                                             const Attributes& attributes = {});
Result<Imported, Explained> import_symlink(std::string_view target, BlockSink& sink,
                                           const Attributes& attributes = {});

struct ImportObserver {
  std::function<void(std::uint64_t bytes)> on_bytes;  // read since the last call
  std::function<void(const std::filesystem::path&, const Imported&)>
      on_imported;  // every file and directory
  /// What below a directory cannot be read. Set: it is told here and left out. Not set: it ends the
  /// import.
  std::function<void(const Explained&)> on_skipped;
};

struct ImportOptions {
  /// Modes (of symlinks: none) and modification times are stored too.
  bool preserves_attributes = false;
  /// Not preserving: what every file and directory gets.
  Attributes given = {};
  Chunking chunking = Chunking::kFixed;
};

/// A file, a symlink or a whole tree; hidden files too. A file that changes, vanishes or cannot be
/// read ends the import with an error that names it, unless on_skipped takes it. Sockets, devices
/// and pipes are refused in the same way.
Result<Imported, Explained> import_path(const std::filesystem::path& path, BlockSink& sink,
                                        const ImportObserver& observer,
                                        const ImportOptions& options = {});

}  // namespace rosebud::fs
