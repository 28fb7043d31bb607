// What commands on files share, whether they are named by an id or stand in a volume.
#pragma once

#include <filesystem>

#include "apps/rosebud/commands.h"
#include "client/files.h"

namespace rosebud::apps {

/// What can be read from a descriptor, whose end is not known before. It stays its opener's.
class DescriptorSource final : public fs::ByteSource {
 public:
  /// `name`: for errors. `progress` may be missing.
  DescriptorSource(int fd, std::string name, Progress* progress = nullptr)
      : fd_(fd), name_(std::move(name)), progress_(progress) {}
  Result<std::size_t, Explained> read(std::span<std::uint8_t> into) override;

 private:
  int fd_;
  std::string name_;
  Progress* progress_;
};

/// For progress: bytes of the files there and below, as far as they can be seen.
std::uint64_t size_below(const std::filesystem::path& path);

/// An error of reading: the store's own failure, where there is one, has the better exit code.
[[noreturn]] void stop_reading(const client::StoreSource& source, const Explained& explained);

Status<Explained> write_to_stdout(ByteView bytes);

/// One entry with all that is known of it.
nlohmann::json entry_json(const fs::DirectoryEntry& entry, const fs::Described& described);
std::string entry_text(const fs::DirectoryEntry& entry, const fs::Described& described);
/// Every entry of a directory; `is_long`: asks for the head of each. `blocks` may stand before the
/// store, and keep what was read.
void list(const Globals& globals, const fs::Cid& directory, fs::BlockSource& blocks,
          const client::StoreSource& store, bool is_long);

/// Ctrl-C ends the program as always, with a word on what is lost: nothing.
void tell_interruption();

}  // namespace rosebud::apps
