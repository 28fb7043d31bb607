// Whole DAGs as one stream: CAR files of version 1, which other IPFS implementations read and write
// (docs/format/car.md).
//
// An import takes blocks in any order and believes none of them: each must hash to its id, and
// everything that the roots reach must be there in the end, in the file or in the store.
#pragma once

#include <functional>

#include "fs/reader.h"

namespace rosebud::fs {

/// Longest header that is read: about 2,000 roots.
inline constexpr std::size_t kCarHeaderMax = 128 * 1024;
/// Longest block that is read, with its id.
inline constexpr std::size_t kCarSectionMax = 2 * 1024 * 1024 + 64;

struct CarTotals {
  std::uint64_t blocks = 0;
  std::uint64_t bytes = 0;  // of blocks
};

/// Writes every block below `root` once, each before what it links to, from left to right. Memory:
/// 33 bytes for each block. A failure of `sink` or `source` ends it.
Result<CarTotals, Explained> export_car(const Cid& root, BlockSource& source, const ByteSink& sink);

struct ImportedCar {
  std::vector<Cid> roots;
  CarTotals totals;
};

/// Hands every block to `sink`. What is linked to and did not come is looked for in `store`: who is
/// missing there too ends the import with an error that names it. Blocks that no root reaches are
/// stored as well. `on_bytes`: read so far, may be empty.
Result<ImportedCar, Explained> import_car(ByteSource& source, BlockSink& sink, BlockSource& store,
                                          const std::function<void(std::uint64_t)>& on_bytes);

}  // namespace rosebud::fs
