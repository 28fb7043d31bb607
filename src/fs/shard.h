// Large directories: hash array mapped tries with fan-out 256 over MurmurHash3 of the name, as
// UnixFS has them.
#pragma once

#include "fs/reader.h"

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

/// One entry of a directory that is set (in place of one of its name, if there is one), or removed.
struct EntryChange {
  std::string name;
  std::optional<Imported> becomes;  // nothing: the entry goes
};

/// The link to the entry of that name below `top`, the node of `at` and uppermost shard of a
/// directory; nothing when there is none. Asks for the shards on its way alone, and believes of
/// them nothing that the hashes of the names do not say.
Result<std::optional<Link>, Explained> find_sharded(const DagNode& top, const Cid& at,
                                                    const std::string& name, BlockSource& source);
/// An entry of a sharded directory: no two have one hash.
struct HashedEntry {
  std::uint64_t hash = 0;  // shard_slots() of the name, as a big-endian number
  Link link;
};
/// The first `count` entries below `top`, the node of `at` and uppermost shard of a directory,
/// whose hashes are at least `from`, in the order of hashes: a directory of any size page by page.
/// Asks for the shards of that page alone, and for what may follow ahead of time.
Result<std::vector<HashedEntry>, Explained> list_sharded(const DagNode& top, const Cid& at,
                                                         std::uint64_t from, std::size_t count,
                                                         BlockSource& source);

/// What only one of two directories has, or both with another id.
struct Differing {
  std::vector<Link> before;
  std::vector<Link> after;
};
/// Of two sharded directories, in no order; without the shards that both have in one place, which
/// are not asked for. At most `entries_max` on each side.
Result<Differing, Explained> differing_sharded(const DagNode& before, const Cid& before_cid,
                                               const DagNode& after, const Cid& after_cid,
                                               std::size_t entries_max, BlockSource& source);

/// The uppermost shard after the change, not stored yet; those below that it makes anew are. The
/// shards are those that import_sharded() makes of the same entries. What is to go and is not there
/// is an error of kNotFound.
Result<DagNode, Explained> edit_sharded(const DagNode& top, const Cid& at,
                                        const EntryChange& change, BlockSource& source,
                                        BlockSink& sink);

}  // namespace rosebud::fs
