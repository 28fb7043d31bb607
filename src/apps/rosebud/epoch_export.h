// All epochs of a running cluster, from its nodes into a file.
#pragma once

#include "apps/rosebud/commands.h"

namespace rosebud::apps {

struct Exported {
  crypto::ClusterId cluster;
  std::uint64_t epochs_count = 0;
};
/// Headers are verified as they come; ends the program when no node gives what is missing. What
/// the bodies say is for who reads the file (verified_epochs.h).
Exported export_epochs(const Globals& globals, const std::string& path);

void add_epoch_export(CLI::App& epoch, Globals& globals);

}  // namespace rosebud::apps
