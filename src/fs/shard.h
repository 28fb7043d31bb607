// Large directories: hash array mapped tries with fan-out 256 over MurmurHash3 of the name, as
// UnixFS has them.
#pragma once

#include "fs/importer.h"

namespace rosebud::fs {

inline constexpr std::uint64_t kShardFanout = 256;
/// multicodec murmur3-x64-64
inline constexpr std::uint64_t kShardHash = 0x22;
/// The hash has eight bytes, one for each level.
inline constexpr std::size_t kShardLevels = 8;
/// A link's name in a shard starts with its slot: two hexadecimal digits.
inline constexpr std::size_t kSlotDigits = 2;

/// First half of MurmurHash3 x64 128 with seed 0, big-endian: byte i is the slot at level i.
std::array<std::uint8_t, kShardLevels> shard_slots(std::string_view name);

/// Writes the shards of a directory, the deepest first; the attributes stand in the uppermost.
/// Requires: distinct names.
Result<Imported, Explained> import_sharded(std::vector<Link> entries, BlockSink& sink,
                                           const Attributes& attributes);

}  // namespace rosebud::fs
