// The chain of epochs for a command: from an exported file, or from the cluster's nodes.
#pragma once

#include "apps/rosebud/commands.h"
#include "membership/epoch_file.h"

namespace rosebud::apps {

/// Verifies from the genesis on and hands over epoch by epoch; ends the program when something is
/// wrong. `path`: an exported file; empty: what the nodes of the cluster give. What --cluster names
/// is trusted; without, the genesis in the file is believed, with a warning.
membership::EpochsVerified verify_epochs_of(
    const Globals& globals, const std::string& path,
    const std::function<membership::Onward(const membership::VerifiedEpoch&)>& on_epoch);

}  // namespace rosebud::apps
