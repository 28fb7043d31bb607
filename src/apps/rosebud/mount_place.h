// The directory on which something is mounted, as the system knows it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "apps/rosebud/commands.h"

namespace rosebud::apps {

/// Of its type in the kernel's list of mounts.
inline constexpr std::string_view kMountType = "fuse.rosebud";

/// `error`: an errno.
std::string text_of(int error);

/// Absolute, without links above its last name: what it leads to may be a mount whose process is
/// gone, which cannot be asked for anything.
std::filesystem::path place_of(const std::string& text);
/// The type of what is mounted there last; nothing: it is no mount.
std::optional<std::string> mounted_type(const std::filesystem::path& place);
/// Its process is gone, as after kill -9, and the mount was left.
bool is_dead(const std::filesystem::path& place);

enum class Detach : bool { kWhenFree, kAlways };
/// Without root by fusermount3, which may do for its user what only root may.
Status<Explained> unmount(const std::filesystem::path& place, Detach detach);

/// That something may be mounted there, or the end of the program; what a dead mount of ours left
/// is taken away.
void check_place(const std::filesystem::path& place);
/// That this machine mounts, or the end of the program.
void check_fuse();

}  // namespace rosebud::apps
