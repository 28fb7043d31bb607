#include "disk/directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <system_error>
#include <thread>

#include "base/files.h"

namespace rosebud::disk {
namespace {

namespace fs = std::filesystem;

constexpr const char* kIdentityFile = "rosebud-data.toml";
constexpr const char* kIdentityDraft = "rosebud-data.toml.new";
constexpr const char* kLockFile = "LOCK.rosebud";

/// More than any identity file has; a longer one is refused for what it is.
constexpr std::size_t kIdentitySizeMax = 4096;

/// Who only looks whether a node runs has its lock for a moment. A node that meets it waits so
/// long: far more than a look takes, and little for who started a second one.
constexpr auto kLockTime = std::chrono::milliseconds(500);
constexpr auto kLockInterval = std::chrono::milliseconds(10);

constexpr std::string_view kHead =
    "# A Rosebud data directory. Made once; a changed or copied file is refused.\n";

std::string reason(int error) { return std::generic_category().message(error); }

/// The first digits say enough to compare two ids by eye.
std::string short_hex(ByteView bytes) { return to_hex(bytes.first(8)) + "…"; }

Explained not_writable(const fs::path& path, int error) {
  return {.what = "cannot write to the data directory " + path.string() + ": " + reason(error),
          .cause = "it belongs to another user, or its file system is read-only or full",
          .next = "give the directory to the user that runs the node, or name another one"};
}

/// True when nothing but what this file itself makes (or a file system's own folder) is in it.
bool holds_nothing(const fs::path& path, std::error_code& error) {
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name != kLockFile && name != kIdentityDraft && name != "lost+found") return false;
  }
  return !error;
}

/// Writes all or says why not.
int write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return 0;
}

/// Draft, sync, rename, sync of the folder: after a crash the file is there whole or not at all.
Status<Explained> write_identity(const fs::path& path, const Identity& identity) {
  const fs::path draft = path / kIdentityDraft;
  const int fd = ::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return fail(not_writable(path, errno));
  int error = write_all(fd, encode_identity(identity));
  if (error == 0 && ::fsync(fd) != 0) error = errno;
  ::close(fd);
  if (error == 0 && ::rename(draft.c_str(), (path / kIdentityFile).c_str()) != 0) error = errno;
  if (error == 0) error = sync_folder(path);
  if (error != 0) return fail(not_writable(path, error));
  return {};
}

/// 0, or the number of the error.
int lock_soon(int fd) {
  const auto end = std::chrono::steady_clock::now() + kLockTime;
  while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    if (error != EWOULDBLOCK && error != EINTR) return error;
    if (std::chrono::steady_clock::now() >= end) return error;
    std::this_thread::sleep_for(kLockInterval);
  }
  return 0;
}

/// Opens and locks the lock file. The process id in it is for the message alone.
Result<int, Explained> lock(const fs::path& path) {
  const fs::path file = path / kLockFile;
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return fail(not_writable(path, errno));
  if (const int error = lock_soon(fd); error != 0) {
    char text[32] = {};
    const ssize_t n = ::pread(fd, text, sizeof text - 1, 0);
    ::close(fd);
    if (error != EWOULDBLOCK) return fail(not_writable(path, error));
    std::string holder(text, n > 0 ? static_cast<std::size_t>(n) : 0);
    while (!holder.empty() && holder.back() == '\n') holder.pop_back();
    return fail(Explained{.what = "the data directory " + path.string() + " is in use" +
                                  (holder.empty() ? "" : " by process " + holder),
                          .cause = "two nodes were started on one directory",
                          .next = "stop the other node, or give this one a directory of its own"});
  }
  const std::string holder = std::to_string(::getpid()) + "\n";
  if (::ftruncate(fd, 0) != 0 || write_all(fd, holder) != 0) {
    const int error = errno;
    ::close(fd);
    return fail(not_writable(path, error));
  }
  return fd;
}

Result<Identity, Explained> read_identity(const fs::path& path) {
  std::string text(kIdentitySizeMax, '\0');
  const int fd = ::open((path / kIdentityFile).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  const ssize_t size = fd < 0 ? -1 : ::pread(fd, text.data(), text.size(), 0);
  const int failed = errno;
  if (fd >= 0) ::close(fd);
  if (size < 0) {
    return fail(
        Explained{.what = "cannot read " + (path / kIdentityFile).string() + ": " + reason(failed),
                  .cause = "it belongs to another user, or the disk fails",
                  .next = "make it readable for the user that runs the node"});
  }
  text.resize(static_cast<std::size_t>(size));
  auto identity = decode_identity(text);
  if (!identity) {
    Explained error = identity.error();
    error.what = (path / kIdentityFile).string() + ": " + error.what;
    return fail(error);
  }
  return identity;
}

Explained lost_data(const fs::path& path, const wire::DirectoryId& expected) {
  return {.what = "the data directory " + path.string() +
                  " is missing or empty, but this node is admitted with directory id " +
                  to_hex(expected.view()),
          .cause = "the disk is not mounted, the path is wrong, or the data was lost",
          .next =
              "mount or name the right directory; if the data is lost, have the node's "
              "organisation admit it again with a new directory"};
}

Status<Explained> check_identity(const fs::path& path, const Identity& found,
                                 const ExpectedIdentity& expected) {
  if (found.cluster != expected.cluster) {
    return fail(Explained{
        .what = "the data directory " + path.string() + " belongs to cluster " +
                short_hex(found.cluster.view()) + ", not to " + short_hex(expected.cluster.view()),
        .cause = "it was made for another cluster, or the genesis is the wrong one",
        .next = "check the cluster file, or name this cluster's directory"});
  }
  if (found.node != expected.node) {
    return fail(Explained{
        .what = "the data directory " + path.string() + " belongs to node key " +
                short_hex(found.node.view()) + ", not to " + short_hex(expected.node.view()),
        .cause = "it is the directory of another node, or the key file was changed",
        .next = "start this node with its own directory and key"});
  }
  if (expected.directory && found.directory != *expected.directory) {
    return fail(Explained{.what = "the data directory " + path.string() + " has id " +
                                  to_hex(found.directory.view()) +
                                  ", but this node is admitted with " +
                                  to_hex(expected.directory->view()),
                          .cause = "an older or newly made directory stands at this path",
                          .next = "name the directory that was admitted, or have the node's "
                                  "organisation admit it again with this one"});
  }
  return {};
}

/// The value of `key` in a line `key = value`, or nothing.
std::optional<std::string_view> value_of(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    if (!line.starts_with(key)) continue;
    line.remove_prefix(key.size());
    if (line.starts_with(" = ")) return line.substr(3);
  }
  return std::nullopt;
}

template <typename Fixed>
std::optional<Fixed> hex_value(std::string_view text, std::string_view key) {
  const auto value = value_of(text, key);
  if (!value || value->size() < 2 || value->front() != '"' || value->back() != '"')
    return std::nullopt;
  const auto bytes = from_hex(value->substr(1, value->size() - 2));
  return bytes ? Fixed::from(*bytes) : std::nullopt;
}

}  // namespace

std::string encode_identity(const Identity& identity) {
  std::string out(kHead);
  out += "format = " + std::to_string(kDirectoryFormat) + "\n";
  out += "cluster = \"" + to_hex(identity.cluster.view()) + "\"\n";
  out += "node = \"" + to_hex(identity.node.view()) + "\"\n";
  out += "directory = \"" + to_hex(identity.directory.view()) + "\"\n";
  return out;
}

Result<Identity, Explained> decode_identity(std::string_view text) {
  const Explained damaged{.what = "this is no identity file of a data directory",
                          .cause = "it was edited or damaged",
                          .next = "restore it from a backup of this very directory"};
  const auto format_text = value_of(text, "format");
  if (!format_text) return fail(damaged);
  std::uint64_t format = 0;
  const char* end = format_text->data() + format_text->size();
  if (const auto [rest, error] = std::from_chars(format_text->data(), end, format);
      error != std::errc{} || rest != end) {
    return fail(damaged);
  }
  if (format > kDirectoryFormat) {
    return fail(Explained{.what = "the data directory has format " + std::to_string(format) +
                                  ", this program knows up to " + std::to_string(kDirectoryFormat),
                          .cause = "a newer version of the program has used it",
                          .next = "start that version or a newer one"});
  }
  const auto cluster = hex_value<crypto::ClusterId>(text, "cluster");
  const auto node = hex_value<wire::NodeKey>(text, "node");
  const auto directory = hex_value<wire::DirectoryId>(text, "directory");
  if (!cluster || !node || !directory) return fail(damaged);
  const Identity identity{.cluster = *cluster, .node = *node, .directory = *directory};
  if (encode_identity(identity) != text) return fail(damaged);
  return identity;
}

wire::DirectoryId new_directory_id() {
  wire::DirectoryId out;
  crypto::fill_random(out.bytes);
  return out;
}

Status<Explained> create_directory(const fs::path& path, const Identity& identity) {
  if (auto made = make_folder(path); !made) return fail(made.error());
  std::error_code error;
  if (!holds_nothing(path, error)) {
    return fail(Explained{.what = "the directory " + path.string() + " is not empty",
                          .cause = "a data directory, or files of something else, are in it",
                          .next = "name an empty directory"});
  }
  return write_identity(path, identity);
}

Result<DataDirectory, Explained> DataDirectory::open(const fs::path& path,
                                                     const ExpectedIdentity& expected,
                                                     IfEmpty if_empty) {
  std::error_code error;
  if (!fs::exists(path, error)) {
    if (expected.directory) return fail(lost_data(path, *expected.directory));
    if (if_empty == IfEmpty::kRefuse) {
      return fail(Explained{.what = "there is no data directory at " + path.string(),
                            .cause = "the path is wrong, or it was never made",
                            .next = "name the node's directory, or let it be made"});
    }
    if (auto made = make_folder(path); !made) return fail(made.error());
  } else if (!fs::is_directory(path, error)) {
    return fail(Explained{.what = path.string() + " is not a directory",
                          .cause = "the path of the data directory names a file",
                          .next = "name a directory"});
  }

  auto locked = lock(path);
  if (!locked) return fail(locked.error());
  DataDirectory out(path, *locked);

  if (!fs::exists(path / kIdentityFile, error)) {
    const bool empty = holds_nothing(path, error);
    if (!empty) {
      return fail(
          Explained{.what = "the directory " + path.string() + " has files but no " + kIdentityFile,
                    .cause = "it is no data directory, or its identity file was removed",
                    .next = "name the node's directory, or restore the file from a backup "
                            "of this very directory"});
    }
    if (expected.directory) return fail(lost_data(path, *expected.directory));
    if (if_empty == IfEmpty::kRefuse) {
      return fail(Explained{.what = "the data directory " + path.string() + " is empty",
                            .cause = "the disk is not mounted, or it was never made",
                            .next = "mount or name the right directory, or let it be made"});
    }
    out.identity_ = {
        .cluster = expected.cluster, .node = expected.node, .directory = new_directory_id()};
    if (auto made = write_identity(path, out.identity_); !made) return fail(made.error());
    return out;
  }

  auto found = read_identity(path);
  if (!found) return fail(found.error());
  if (auto checked = check_identity(path, *found, expected); !checked) return fail(checked.error());
  out.identity_ = *found;
  return out;
}

DataDirectory::~DataDirectory() {
  if (lock_ >= 0) ::close(lock_);
}

DataDirectory::DataDirectory(DataDirectory&& other) noexcept
    : path_(std::move(other.path_)),
      identity_(other.identity_),
      lock_(std::exchange(other.lock_, -1)) {}

DataDirectory& DataDirectory::operator=(DataDirectory&& other) noexcept {
  if (this != &other) {
    if (lock_ >= 0) ::close(lock_);
    path_ = std::move(other.path_);
    identity_ = other.identity_;
    lock_ = std::exchange(other.lock_, -1);
  }
  return *this;
}

}  // namespace rosebud::disk
