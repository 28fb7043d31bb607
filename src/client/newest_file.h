// The newest configuration that a client has verified, kept among its own things between commands:
// nobody has to follow all epochs from the genesis again, whose nodes may be gone.
#pragma once

#include <filesystem>

#include "membership/configuration.h"

namespace rosebud::client {

/// What is kept in the client's folder, or `genesis` when nothing usable of its cluster is there.
/// What stands there was verified before it was written, and is trusted like the key beside it.
std::shared_ptr<const membership::Configuration> newest_kept(
    const std::filesystem::path& folder, std::shared_ptr<const membership::Configuration> genesis);

/// Best effort: without it the next command begins where this one did.
void keep_newest(const std::filesystem::path& folder,
                 const membership::Configuration& configuration);

}  // namespace rosebud::client
