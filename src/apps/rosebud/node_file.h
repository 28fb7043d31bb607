// The settings of a node: node.toml, and what stands above it in the environment.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "runtime/node.h"

namespace rosebud::apps {

/// Reads a node.toml. ROSEBUD_KEY in the environment (the key in capitals) overrides a key of it.
/// Errors name the file, the line and the key.
Result<runtime::NodeOptions, Explained> read_node_file(const std::filesystem::path& path);

}  // namespace rosebud::apps
