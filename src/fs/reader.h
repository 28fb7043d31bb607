// Reading UnixFS DAGs: files in order, directories as lists, paths, and whole trees onto a disk.
//
// A BlockSource hands out verified blocks; everything in them is still checked, because whoever
// made the DAG may have been careless or hostile: sizes must agree, depths are bounded, names must
// be names.
#pragma once

#include <filesystem>
#include <functional>

#include "fs/importer.h"

namespace rosebud::fs {

class BlockSource {
 public:
  virtual ~BlockSource() = default;
  virtual Result<Buffer, Explained> get(const Cid& cid) = 0;
  /// As get(): a leaf of a file, by whoever knows how many bytes it should have. Those that are
  /// returned may be others.
  virtual Result<Buffer, Explained> get_leaf(const Cid& cid, std::uint64_t size) {
    (void)size;
    return get(cid);
  }
  /// These will be asked for soon, in this order.
  virtual void prefetch(std::span<const Cid> cids) { (void)cids; }
};

/// One node; a raw block as one of kRaw that has a size and nothing else.
Result<DagNode, Explained> get_node(const Cid& cid, BlockSource& source);

using ByteSink = std::function<Status<Explained>(ByteView)>;

/// Streams a file from its first byte to its last. Returns its size. A directory is an error that
/// says so.
Result<std::uint64_t, Explained> read_file(const Cid& cid, BlockSource& source,
                                           const ByteSink& sink);

struct DirectoryEntry {
  std::string name;
  Cid cid;
  std::uint64_t tsize = 0;
};

/// All entries of a directory, plain or sharded, ordered by name.
Result<std::vector<DirectoryEntry>, Explained> list_directory(const Cid& cid, BlockSource& source);

enum class Kind : std::uint8_t { kFile, kDirectory, kSymlink };
struct Described {
  Kind kind = Kind::kFile;
  std::uint64_t bytes = 0;  // of a file; of a directory what its links say, which may be wrong
  std::string target;       // of a symlink
  Attributes attributes;    // where whoever added it kept them
};
Result<Described, Explained> describe(const Cid& cid, BlockSource& source);
Described describe_node(const DagNode& node);

/// "ID", "ID/a/b": follows the names.
Result<Cid, Explained> resolve(std::string_view path, BlockSource& source);

struct ExportOptions {
  bool may_overwrite = false;
  /// Of a mode that is stored, setuid, setgid and sticky too: a stranger's tree must not bring a
  /// program that runs as whoever fetched it.
  bool keeps_special_bits = false;
};
/// Writes a file or tree to `to`, with the modes and modification times that are stored in it. Each
/// file is written beside its place and renamed when whole; one that is there already with the same
/// id is kept, and of a part file the leaves that are right, so an interrupted export that is run
/// again moves only what is missing.
Status<Explained> export_path(const Cid& cid, BlockSource& source, const std::filesystem::path& to,
                              const ExportOptions& options,
                              const std::function<void(std::uint64_t)>& on_bytes);

// ---- For whoever decides for each entry ----

/// A regular file's bytes are those of `cid`, whatever mode and time it has. `attributes`: those of
/// `cid`. False as well for one that was cut in no way that is known here, and when it cannot be
/// read.
bool has_content(const std::filesystem::path& path, const Cid& cid, const Attributes& attributes);
/// Makes the file that is open to read and write the one of `cid`, and durable; its name is not.
/// Leaves that are right already are kept and not asked for. `named`: for words on what failed.
Status<Explained> fill_file(int fd, const Cid& cid, BlockSource& source,
                            const std::filesystem::path& named,
                            const std::function<void(std::uint64_t)>& on_bytes);
/// `error`: an errno.
Explained cannot_write(const std::filesystem::path& path, std::string_view what, int error);

}  // namespace rosebud::fs
