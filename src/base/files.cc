#include "base/files.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <system_error>

namespace rosebud {
namespace {

namespace fs = std::filesystem;

Explained file_error(const fs::path& path, std::string_view doing, int error) {
  return {.what = "cannot " + std::string(doing) + " " + path.string() + ": " +
                  std::generic_category().message(error),
          .cause = error == ENOENT ? "the path is wrong, or the file was not made yet" : "",
          .next = {}};
}

}  // namespace

Result<std::string, Explained> read_text_file(const fs::path& path, std::size_t size_max) {
  // Without waiting for somebody to write, should it be a pipe.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return fail(file_error(path, "read", errno));
  std::string out;
  char part[65536];
  while (true) {
    const ssize_t n = ::read(fd, part, sizeof part);
    if (n < 0 && errno == EINTR) continue;
    const int error = errno;
    if (n <= 0) {
      ::close(fd);
      if (n < 0) return fail(file_error(path, "read", error));
      return out;
    }
    out.append(part, static_cast<std::size_t>(n));
    if (out.size() > size_max) {
      ::close(fd);
      return fail(Explained{.what = path.string() + " is too large to be what was expected"});
    }
  }
}

namespace {

/// A name that no other writer of the same file uses at the same time: two drafts in one would
/// leave a mixture.
fs::path draft_of(const fs::path& path) {
  static std::atomic<unsigned> count{0};
  return path.string() + ".new." + std::to_string(::getpid()) + "." + std::to_string(count++);
}

/// Draft, sync, then its name: in place of what has it now, or only where nothing has it.
Status<Explained> put_file(const fs::path& path, std::string_view text, unsigned mode,
                           bool is_replacing) {
  const fs::path draft = draft_of(path);
  // Left by a process with the same number that was killed. Opening it would keep its permissions.
  ::unlink(draft.c_str());
  const int fd = ::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0) return fail(file_error(path, "write", errno));
  int error = 0;
  while (!text.empty() && error == 0) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno != EINTR) error = errno;
    if (n > 0) text.remove_prefix(static_cast<std::size_t>(n));
  }
  if (error == 0 && ::fsync(fd) != 0) error = errno;
  ::close(fd);
  if (error == 0 && is_replacing && ::rename(draft.c_str(), path.c_str()) != 0) error = errno;
  if (error == 0 && !is_replacing && ::link(draft.c_str(), path.c_str()) != 0) error = errno;
  if (error != 0 || !is_replacing) ::unlink(draft.c_str());
  if (error == 0) error = sync_folder(path.has_parent_path() ? path.parent_path() : fs::path("."));
  if (error != 0) return fail(file_error(path, "write", error));
  return {};
}

}  // namespace

Status<Explained> replace_file(const fs::path& path, std::string_view text, unsigned mode) {
  return put_file(path, text, mode, true);
}

Status<Explained> create_file(const fs::path& path, std::string_view text, unsigned mode) {
  return put_file(path, text, mode, false);
}

int sync_folder(const fs::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno;
  const int error = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  return error;
}

Status<Explained> make_folder(const fs::path& folder) {
  std::error_code error;
  const fs::path whole = fs::absolute(folder, error);
  if (!error) fs::create_directories(whole, error);
  if (!error && !fs::is_directory(whole, error))
    error = std::make_error_code(std::errc::not_a_directory);
  // How many of them are new is not known after a crash in between: all are synced that may be.
  for (fs::path at = whole; !error && at.has_relative_path(); at = at.parent_path()) {
    const int failed = sync_folder(at.parent_path());
    if (failed == EACCES || failed == EROFS) break;  // nobody made anything in there
    if (failed != 0) error = std::error_code(failed, std::generic_category());
  }
  if (!error) return {};
  return fail(
      Explained{.what = "cannot make " + folder.string() + ": " + error.message(),
                .cause = "a part of the path is a file or not writable, or the disk is full",
                .next = "name a path that this user can write, or make room"});
}

Explained wrong_kind(const fs::path& path, std::string_view kind) {
  return {
      .what = path.string() + " is no " + std::string(kind.substr(0, kind.size() - 1)) + " file",
      .cause = "another file stands at this path, or it was damaged",
      .next = "name the right file"};
}

Result<Bytes, Explained> read_kind_file(const fs::path& path, std::string_view kind) {
  auto text = read_text_file(path);
  if (!text) return fail(text.error());
  if (!text->starts_with(kind)) return fail(wrong_kind(path, kind));
  std::string_view digits = std::string_view(*text).substr(kind.size());
  while (!digits.empty() && (digits.back() == '\n' || digits.back() == '\r'))
    digits.remove_suffix(1);
  auto bytes = from_hex(digits);
  if (!bytes) return fail(wrong_kind(path, kind));
  return std::move(*bytes);
}

std::string kind_file_text(std::string_view kind, ByteView bytes) {
  return std::string(kind) + to_hex(bytes) + "\n";
}

}  // namespace rosebud
