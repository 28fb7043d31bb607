// What heads of files and links say, from one run to the next: an unchanged tree of 100,000 files
// is then compared without asking for any of them. Format: docs/format/volume.md.
#pragma once

#include <filesystem>
#include <map>

#include "fs/walk.h"

namespace rosebud::client {

/// Some 150 bytes each in memory, 60 in the file.
inline constexpr std::size_t kKnownHeadsMax = 1'000'000;

class KnownHeads final : public fs::HeadMemory {
 public:
  /// Nothing is known where there is no such file, or where it is damaged.
  static KnownHeads load(const std::filesystem::path& path);

  std::optional<fs::Described> find(const fs::Cid& cid) override;
  /// Directories are not remembered.
  void add(const fs::Cid& cid, const fs::Described& described) override;

  /// Writes the file anew if something was added. Beyond `entries_max` those go that this run did
  /// not ask for, then any.
  Status<Explained> save(const std::filesystem::path& path,
                         std::size_t entries_max = kKnownHeadsMax);

  std::size_t size() const { return heads_.size(); }

 private:
  struct Head {
    fs::Described described;
    bool is_used = false;  // in this run
  };
  std::string encode() const;

  std::map<crypto::Digest, Head> heads_;  // of dag-pb nodes
  bool has_new_ = false;
};

}  // namespace rosebud::client
