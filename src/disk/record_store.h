// A small database of keys and values, all of which fits into memory: what a protocol must remember
// (votes, views, checkpoints). Every commit is atomic and on disk when it returns.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace rosebud::disk {

class RecordStore {
 public:
  /// Opens or makes the folder. `owner` names whose records these are (at most 1 KiB); a folder
  /// with another owner's is refused. One process at a time.
  static Result<std::unique_ptr<RecordStore>, Explained> open(const std::filesystem::path& folder,
                                                              ByteView owner);
  virtual ~RecordStore() = default;

  struct Write {
    Bytes key;                    // at most 1 KiB
    std::optional<Buffer> value;  // nothing: the key is erased
  };
  /// All of it in one synced batch, in order. After a failure nobody knows what of it is on disk:
  /// the process ends and begins from what open() finds.
  virtual Status<Explained> commit(std::span<const Write> writes) = 0;

  /// Every key with its value, keys ascending.
  virtual Result<std::vector<std::pair<Bytes, Bytes>>, Explained> read_all() const = 0;
};

}  // namespace rosebud::disk
