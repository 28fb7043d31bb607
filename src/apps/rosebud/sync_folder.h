// A tree on this machine that is synchronised: listed, and made equal to one in a volume.
//
// What comes from a volume is hostile: nothing is written outside the folder. Every path is walked
// from the folder on, name by name, and no symbolic link on it is followed, whoever made it, and
// when.
#pragma once

#include <filesystem>
#include <utility>

#include "apps/rosebud/sync_plan.h"

namespace rosebud::apps {

/// A file descriptor that is closed at its end.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  /// Negative: opening failed.
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

class SyncFolder {
 public:
  /// A directory; symbolic links in what the user names are followed.
  static Result<SyncFolder, Explained> open(const std::filesystem::path& path);

  /// Everything below. Of modes `mode_bits` are taken. Directories nest at most `depth_max` deep.
  Result<Listing, Explained> list(std::uint32_t mode_bits, std::size_t depth_max) const;

  // Changes. `path`: as in listings. Directories that forbid it to their owner are opened for it.

  /// Nothing stands there.
  Status<Explained> make_directory(const std::string& path);
  /// Written beside its place under a hidden name, `.ID.part` with the first 24 characters of its
  /// id, and renamed when it is whole and durable; what is right of a part that was left is kept,
  /// and pieces that the file in its place has already are taken from there.
  Status<Explained> put_file(const std::string& path, const SyncEntry& entry,
                             fs::BlockSource& blocks,
                             const std::function<void(std::uint64_t)>& on_bytes);
  Status<Explained> put_symlink(const std::string& path, const SyncEntry& entry);
  /// Of what stands there; a symbolic link has no mode.
  Status<Explained> set_attributes(const std::string& path, const fs::Attributes& attributes);
  /// No error when it is gone. A directory must be empty.
  Status<Explained> remove(const std::string& path, SyncKind kind);
  /// To be called when all changes are made: directories that were changed get the attributes of
  /// `wanted` again, and where it keeps no mode the one that they had.
  Status<Explained> finish(const Listing& wanted);

 private:
  SyncFolder(std::filesystem::path path, Descriptor root)
      : path_(std::move(path)), root_(std::move(root)) {}
  Result<Descriptor, Explained> folder(std::string_view path) const;
  Result<Descriptor, Explained> folder_to_change(const std::string& path);
  std::filesystem::path named(std::string_view path) const { return path_ / path; }

  std::filesystem::path path_;  // for words
  Descriptor root_;
  std::map<std::string, std::uint32_t, PathOrder> changed_;  // directories, and their modes before
};

}  // namespace rosebud::apps
