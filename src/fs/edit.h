// Many entries of one directory changed at once: its node, or the shards that differ, are made once
// for all of them. Whole trees, one change after the other: tree.h.
#pragma once

#include <span>

#include "fs/shard.h"

namespace rosebud::fs {

/// The directory `at` (nothing: an empty one) with these entries set or removed, and with these
/// attributes. What is to go and is not there is passed over. Nothing differs: `at` as it is. Hands
/// over what the result reaches and `at` does not, children first. Names of `changes` are distinct,
/// and names (is_entry_name()). An error of kIntegrity when `at` is no directory or makes no sense.
Result<Imported, Explained> edit_directory(const std::optional<Cid>& at,
                                           std::span<const EntryChange> changes,
                                           const Attributes& attributes, BlockSource& source,
                                           BlockSink& sink);

}  // namespace rosebud::fs
