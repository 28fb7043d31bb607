// A tree of a volume that is synchronised: listed, and made anew as a plan says.
#pragma once

#include "apps/rosebud/sync_plan.h"
#include "fs/walk.h"

namespace rosebud::apps {

/// All of a directory, read through `blocks`, without what `heads` (may be none) knows already; of
/// modes `mode_bits` are taken. At most `depth_max` names deep.
Result<Listing, Explained> list_volume(const fs::Link& directory, fs::BlockSource& blocks,
                                       std::uint32_t mode_bits,
                                       std::size_t depth_max = fs::kDepthMax,
                                       fs::HeadMemory* heads = nullptr);

/// Stores the file of the source at that path; the blocks go into the same sink.
using PutFile = std::function<Result<fs::Imported, Explained>(const std::string& path)>;

/// The root of the tree that the plan makes of `target`, a listing of what `blocks` has. Every
/// directory that changes is made once, whatever changes in it; nothing to do: the root as it is.
/// Requires: the plan was made of
/// these two listings, and either it makes the root or `target` has it.
Result<fs::Imported, Explained> carry_out_in_volume(const SyncPlan& plan, const Listing& source,
                                                    Listing target, fs::BlockSource& blocks,
                                                    fs::BlockSink& sink, const PutFile& put_file);

}  // namespace rosebud::apps
