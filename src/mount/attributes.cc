#include "mount/attributes.h"

namespace rosebud::mount {
namespace {

constexpr std::uint32_t kDirectoryMode = 0755;
constexpr std::uint32_t kFileMode = 0644;
constexpr std::uint32_t kLinkMode = 0777;

}  // namespace

std::uint32_t default_mode(fs::Kind kind) {
  switch (kind) {
    case fs::Kind::kFile:
      return kFileMode;
    case fs::Kind::kDirectory:
      return kDirectoryMode;
    case fs::Kind::kSymlink:
      return kLinkMode;
  }
  return 0;
}

}  // namespace rosebud::mount
