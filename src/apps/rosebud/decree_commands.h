#pragma once

#include "apps/rosebud/commands.h"

namespace rosebud::apps {

/// `org list|admit|revoke|revoke-node|show|sign|enact`, below `org`.
void add_decree_commands(CLI::App& org, Globals& globals);

}  // namespace rosebud::apps
