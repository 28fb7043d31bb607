// The nodes of a development cluster: their folders, processes, and what they say of themselves.
#pragma once

#include <sys/types.h>

#include "apps/rosebud/commands.h"

namespace rosebud::apps {

struct DevNode {
  std::string name;
  std::string organisation;
  std::string address;
  std::filesystem::path folder;
};

/// In the folder of a node that was removed: its key never comes back.
constexpr const char* kRemoved = "removed";

/// Nodes that the genesis names, then those that were added; not those that were removed.
/// "alpha-1" belongs to alpha.
std::vector<DevNode> nodes_in(const std::filesystem::path& folder);
/// The process of a node, if it runs: the one that holds the lock of its data directory.
std::optional<pid_t> pid_of(const DevNode& node);
/// The number that a file begins with.
std::optional<std::uint64_t> number_in(const std::filesystem::path& path);
std::string without_last_slash(const std::filesystem::path& path);
/// The development cluster that is meant: `given`, or the cluster that every command finds.
std::filesystem::path folder_of(const Globals& globals, const std::string& given);

/// What every node says of itself, and the state of its process.
nlohmann::json all_status(const std::vector<DevNode>& nodes);

}  // namespace rosebud::apps
