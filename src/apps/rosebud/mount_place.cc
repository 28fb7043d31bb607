#include "apps/rosebud/mount_place.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <system_error>

namespace rosebud::apps {
namespace {

namespace stdfs = std::filesystem;

/// As the kernel writes it: spaces, tabs, line ends and backslashes as \\ooo.
std::string unescaped(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 3 >= text.size()) {
      out.push_back(text[i]);
      continue;
    }
    out.push_back(static_cast<char>(std::stoi(text.substr(i + 1, 3), nullptr, 8)));
    i += 3;
  }
  return out;
}

}  // namespace

std::string text_of(int error) { return std::generic_category().message(error); }

stdfs::path place_of(const std::string& text) {
  stdfs::path path = stdfs::absolute(text).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  std::error_code error;
  const stdfs::path above = stdfs::canonical(path.parent_path(), error);
  return error ? path : above / path.filename();
}

std::optional<std::string> mounted_type(const stdfs::path& place) {
  // Device, place, type, as in fstab.
  std::ifstream list("/proc/self/mounts");
  std::optional<std::string> out;
  for (std::string line; std::getline(list, line);) {
    std::istringstream words(line);
    std::string device, at, type;
    words >> device >> at >> type;
    if (unescaped(at) == place.string()) out = type;
  }
  return out;
}

bool is_dead(const stdfs::path& place) {
  // Not by its status, which the kernel may have kept.
  const int fd = ::open(place.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno == ENOTCONN || errno == ECONNABORTED;
  ::close(fd);
  return false;
}

Status<Explained> unmount(const stdfs::path& place, Detach detach) {
  if (::geteuid() == 0) {
    if (::umount2(place.c_str(), (detach == Detach::kAlways ? MNT_DETACH : 0) | UMOUNT_NOFOLLOW) ==
        0)
      return {};
    const int error = errno;
    return fail(
        Explained{.what = "cannot unmount " + place.string() + ": " + text_of(error),
                  .cause = error == EBUSY ? "a process has a file open there, or works in it" : "",
                  .next = error == EBUSY ? "see which: fuser -vm " + place.string() : ""});
  }
  const pid_t child = ::fork();
  if (child == 0) {
    const char* option = detach == Detach::kAlways ? "-uzq" : "-u";
    ::execlp("fusermount3", "fusermount3", option, "--", place.c_str(), nullptr);
    ::_exit(127);
  }
  int status = 0;
  while (child > 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  const bool is_missing = WIFEXITED(status) && WEXITSTATUS(status) == 127;
  return fail(Explained{.what = "cannot unmount " + place.string(),
                        .cause = is_missing ? "there is no program fusermount3"
                                            : "fusermount3 refused, for the reason above",
                        .next = is_missing ? "install the package fuse3, or do it as root"
                                           : "see who uses it: fuser -vm " + place.string()});
}

void check_place(const stdfs::path& place) {
  const auto type = mounted_type(place);
  if (type == kMountType && is_dead(place)) {
    or_stop(unmount(place, Detach::kAlways));
    return check_place(place);
  }
  if (type) {
    const bool is_ours = type == kMountType;
    stop(ExitCode::kUsage, {.what = place.string() + " is a mount already, of type " + *type,
                            .cause = is_ours ? "a volume was mounted there before" : "",
                            .next = is_ours ? "unmount it first: rosebud umount " + place.string()
                                            : "choose another directory"});
  }
  struct stat status{};
  if (::stat(place.c_str(), &status) != 0) {
    const int error = errno;
    stop(ExitCode::kUsage, {.what = "cannot mount on " + place.string() + ": " + text_of(error),
                            .next = error == ENOENT ? "make it first: mkdir -p " + place.string()
                                                    : "choose another directory"});
  }
  if (!S_ISDIR(status.st_mode)) {
    stop(ExitCode::kUsage, {.what = "cannot mount on " + place.string() + ": it is no directory",
                            .next = "choose or make one: mkdir -p DIR"});
  }
  std::error_code error;
  const bool is_empty = stdfs::is_empty(place, error);
  if (is_empty && !error) return;
  stop(ExitCode::kUsage, {.what = "cannot mount on " + place.string() + ": " +
                                  (error ? error.message() : "it is not empty"),
                          .cause = error ? "" : "what is in it could not be seen under the mount",
                          .next = "choose an empty directory"});
}

void check_fuse() {
  const int fd = ::open("/dev/fuse", O_RDWR | O_CLOEXEC);
  if (fd >= 0) {
    ::close(fd);
    return;
  }
  const int error = errno;
  stop(ExitCode::kUsage,
       {.what = "this machine cannot mount: /dev/fuse: " + text_of(error),
        .cause = error == ENOENT || error == ENODEV || error == ENXIO
                     ? "its kernel has no FUSE, or a container hides it"
                     : "this user may not open it",
        .next = "load it (modprobe fuse) or give the container /dev/fuse; without a mount all of "
                "`rosebud fs` works"});
}

}  // namespace rosebud::apps
