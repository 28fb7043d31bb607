// Parts of a file, wherever they stand in its DAG; and what of it is to be fetched ahead.
//
// Everything is checked as fs::read_file() checks it: lengths of pieces, sums, depth. Of the nodes
// on the way those that were used last are kept decoded, one of each level.
#pragma once

#include <mutex>

#include "fs/reader.h"

namespace rosebud::mount {

/// Decides how far ahead of a reader blocks are worth fetching: nothing for one that jumps, more
/// and more for one that goes on.
class ReadAhead {
 public:
  explicit ReadAhead(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}

  /// After a read of [offset, end): how many bytes from `end` on.
  std::uint64_t on_read(std::uint64_t offset, std::uint64_t end);

 private:
  /// A kernel that reads ahead itself asks from several threads, so a little out of order.
  static constexpr std::uint64_t kDisorderMax = 1U << 20;
  static constexpr std::uint64_t kFirstWindow = 1U << 20;

  std::uint64_t bytes_max_;
  std::uint64_t furthest_ = 0;  // end of what was read in a row
  std::uint64_t window_ = 0;    // bytes
};

/// Thread-safe; each call brings its own source.
class FileReader {
 public:
  /// `size`: what the file's head says, or whoever names it.
  FileReader(const fs::Cid& cid, std::uint64_t size) : root_{.cid = cid, .size = size} {}

  std::uint64_t size() const { return root_.size; }
  /// The bytes of [offset, offset + count) as far as the file goes, in pieces, in order.
  Result<std::vector<Buffer>, Explained> read(std::uint64_t offset, std::uint64_t count,
                                              fs::BlockSource& source);
  /// The leaf that begins there, without its bytes; nothing: none does, or it is no raw block.
  Result<std::optional<fs::Leaf>, Explained> leaf_at(std::uint64_t offset, fs::BlockSource& source);
  /// What is to be fetched for [offset, offset + count), as far as the nodes that read() went
  /// through last tell without being asked again.
  std::vector<fs::Cid> ahead(std::uint64_t offset, std::uint64_t count) const;

 private:
  struct Part {
    fs::Cid cid;
    std::uint64_t size = 0;
  };
  /// A node, or a leaf: one without parts.
  struct Node {
    Buffer data;  // bytes that come before those of the parts
    std::vector<Part> parts;
    std::vector<std::uint64_t> ends;  // of each part, from the node's first byte on
  };
  using Shared = std::shared_ptr<const Node>;

  Result<Shared, Explained> node(const Part& part, std::size_t level, fs::BlockSource& source);
  /// The bytes that stand at `offset` and behind it in one block.
  Result<Buffer, Explained> piece_at(std::uint64_t offset, fs::BlockSource& source);

  const Part root_;
  mutable std::mutex mutex_;
  std::vector<std::pair<fs::Cid, Shared>> last_;  // of each level the one that was used last
};

}  // namespace rosebud::mount
