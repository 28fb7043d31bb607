// cluster recover collect|plan|propose|show|sign|apply: what the organisations do when more than F
// members of the configuration service are gone for good (design 8.6).
#pragma once

#include "apps/rosebud/commands.h"

namespace rosebud::apps {

void add_recover_commands(CLI::App& cluster, Globals& globals);

}  // namespace rosebud::apps
