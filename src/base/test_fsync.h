// For tests: fsync of a test program that notes what was synced. Include it in one file of a
// program.
#pragma once

#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <set>
#include <string>

namespace rosebud {

/// What was synced, by its path.
inline std::set<std::filesystem::path>& synced_paths() {
  static std::set<std::filesystem::path> paths;
  return paths;
}

}  // namespace rosebud

// NOLINTNEXTLINE(misc-definitions-in-headers): it takes the place of the C library's.
extern "C" int fsync(int fd) {
  std::error_code error;
  rosebud::synced_paths().insert(
      std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), error));
  return static_cast<int>(::syscall(SYS_fsync, fd));
}
