// Whom a node of a development cluster sends nothing to: a network that lost what it sends, made by
// `rosebud dev partition`, for trying out what a cluster does then.
//
// The file lies in the node's data directory (docs/format/disk.md) and lasts through restarts. Only
// a node whose node.toml says `development = true` ever looks at it.
#pragma once

#include <filesystem>
#include <set>

#include "base/result.h"
#include "crypto/signature.h"

namespace rosebud::runtime {

/// Keys of nodes and clients.
using Cut = std::set<crypto::PublicKey>;

/// Empty when there is no file.
Result<Cut, Explained> read_cut(const std::filesystem::path& data);
/// Removes the file when nobody is cut off.
Status<Explained> write_cut(const std::filesystem::path& data, const Cut& cut);

}  // namespace rosebud::runtime
