// What a program does to the files below one folder, written down call by call, and what a disk may
// show after the power went at any of those calls. For tests of crashes.
//
// The calls of the C library that change files (write, fdatasync, rename, ...) are replaced in the
// executable that recorded_disk.cc is linked to, so RocksDB and our own code are seen alike and
// neither knows of it. Syncs are written down and not done: the disk of these tests is the record.
//
// A disk promises no more than this: what was written to a file is there after a sync of the file,
// and a name is there (or gone) after a sync of its folder. Everything else may be there or not.
//
// Not seen: mapped memory, streams of the C library (RocksDB's own log for people), folders
// renamed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"

namespace rosebud::disk {

/// What the loss of power takes with it.
enum class Loss : std::uint8_t {
  kNothing,   // the process was killed, the machine goes on
  kUnsynced,  // all that no sync had to save
  kSome,  // of the writes and names that were not synced the later ones; the last write is torn,
          // and some left only zeros
};

/// One call that changed something. `inode` names a file whatever it is called.
struct DiskCall {
  enum class Kind : std::uint8_t {
    kCreate,      // `path` is `inode` now
    kWrite,       // `data` at `offset`
    kTruncate,    // to `offset` bytes
    kSync,        // of a file
    kSyncFolder,  // of `path`
    kRename,      // `path` is called `to` now
    kLink,        // `path` is called `to` too
    kRemove,
    kMakeFolder,
  };
  Kind kind = Kind::kWrite;
  int inode = 0;
  std::string path;
  std::string to;
  std::uint64_t offset = 0;
  Bytes data;
};

/// Records while it exists; one at a time. The folder must be there and empty.
class RecordedDisk {
 public:
  explicit RecordedDisk(const std::filesystem::path& folder);
  ~RecordedDisk();
  RecordedDisk(const RecordedDisk&) = delete;
  RecordedDisk& operator=(const RecordedDisk&) = delete;

  /// Calls so far.
  std::size_t count() const;
  /// Ends the recording. Nothing may be written below the folder any more.
  std::vector<DiskCall> take();
};

/// Plays a record up to any of its calls.
class DiskReplay {
 public:
  explicit DiskReplay(const std::vector<DiskCall>& calls) : calls_(calls) {}

  std::size_t position() const { return next_; }
  bool is_at_end() const { return next_ == calls_.size(); }
  /// The last call was a sync, or there was none yet.
  bool is_after_sync() const;
  void advance();
  /// Writes what the disk shows now, with what is lost, into the folder `to`, which is made.
  void show(Loss loss, Random& random, const std::filesystem::path& to) const;

 private:
  struct File {
    Bytes now;
    Bytes synced;
    std::vector<DiskCall> unsynced;
  };
  /// One change of names in a folder; a rename is two at once.
  using NameChange = std::vector<std::pair<std::string, std::optional<int>>>;
  using Names = std::map<std::string, int>;  // path below the folder -> inode; folders: kFolder
  static constexpr int kFolder = -1;

  void rename(const DiskCall& call, bool is_moved);
  void change(const std::string& folder, NameChange change);
  Bytes content(const File& file, Loss loss, Random& random) const;
  Names names(Loss loss, Random& random) const;

  const std::vector<DiskCall>& calls_;
  std::size_t next_ = 0;
  std::map<int, File> files_;
  Names now_;
  Names synced_;
  std::map<std::string, std::vector<NameChange>> unsynced_;  // by folder, in order
};

}  // namespace rosebud::disk
