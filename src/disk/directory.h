// The data directory of a node: who it belongs to, and that only one process uses it.
//
// A directory has a random id, made once, which is the node's incarnation in statement and
// configuration (design 6): an empty or foreign directory under a known key would be a replica that
// forgot what it acknowledged. Every mismatch is refused before the database is touched. Layout of
// the identity file in docs/format/disk.md.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "wire/ids.h"

namespace rosebud::disk {

/// The newest layout of a data directory that this program reads and writes.
inline constexpr std::uint64_t kDirectoryFormat = 1;

/// What stands in the identity file.
struct Identity {
  crypto::ClusterId cluster;
  wire::NodeKey node;
  wire::DirectoryId directory;

  friend bool operator==(const Identity&, const Identity&) = default;
};

/// What the caller knows about the directory before it looks.
struct ExpectedIdentity {
  crypto::ClusterId cluster;
  wire::NodeKey node;
  /// The id that statement and configuration name; nothing while the node was never admitted.
  std::optional<wire::DirectoryId> directory;
};

enum class IfEmpty : std::uint8_t { kRefuse, kCreate };

/// Makes the directory (and its parents) and writes this identity durably. Refused when anything is
/// in it already. The directory id is chosen before, because the genesis names it and the cluster
/// id comes from the genesis.
Status<Explained> create_directory(const std::filesystem::path& path, const Identity& identity);

/// A new random directory id.
wire::DirectoryId new_directory_id();

/// A locked data directory whose identity was checked. Movable; the lock ends with the object.
class DataDirectory {
 public:
  /// Locks, then checks. kCreate makes a missing or empty directory, unless `expected` names a
  /// directory id: then a missing identity means that data was lost, and that is refused.
  static Result<DataDirectory, Explained> open(const std::filesystem::path& path,
                                               const ExpectedIdentity& expected, IfEmpty if_empty);
  ~DataDirectory();
  DataDirectory(DataDirectory&& other) noexcept;
  DataDirectory& operator=(DataDirectory&& other) noexcept;

  const std::filesystem::path& path() const { return path_; }
  const Identity& identity() const { return identity_; }
  /// Where the database stands.
  std::filesystem::path database_path() const { return path_ / "db"; }

 private:
  DataDirectory(std::filesystem::path path, int lock) : path_(std::move(path)), lock_(lock) {}

  std::filesystem::path path_;
  Identity identity_;
  int lock_ = -1;  // file descriptor that holds the flock; -1 after a move
};

/// The bytes of an identity file.
std::string encode_identity(const Identity& identity);
/// Refuses newer formats and everything that encode_identity never makes, each with its reason.
Result<Identity, Explained> decode_identity(std::string_view text);

}  // namespace rosebud::disk
