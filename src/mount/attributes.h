// What people see of a file, directory or link of a mount, and what a kernel may have kept of it.
#pragma once

#include "mount/answer.h"
#include "mount/inodes.h"

namespace rosebud::mount {

/// Of a mode.
inline constexpr std::uint32_t kModeBits = 07777;

struct Attributes {
  InodeId id = 0;
  std::uint64_t number = 0;
  fs::Kind kind = fs::Kind::kFile;
  std::uint64_t bytes = 0;        // of a directory: 0
  std::uint32_t mode = 0;         // the twelve bits below the kind
  fs::ModificationTime modified;  // 1970 where the volume keeps none
  /// When it changed here last; nothing: as `modified`.
  std::optional<fs::ModificationTime> touched;
  std::uint64_t state = 0;  // of which this is true
};

/// What a kernel may have kept, and will not be true of the next state.
struct Changes {
  struct Name {
    InodeId parent = 0;
    std::string name;
  };
  std::vector<Name> names;           // that lead to nothing or something else
  std::vector<InodeId> directories;  // whose attributes may differ
};

struct Usage {
  std::uint64_t bytes = 0;       // of the whole tree, as its links say
  std::uint64_t free_bytes = 0;  // that can be written until the next publication
};

/// Where the volume keeps none.
std::uint32_t default_mode(fs::Kind kind);

}  // namespace rosebud::mount
