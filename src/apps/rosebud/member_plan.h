#pragma once

#include "apps/rosebud/commands.h"

namespace rosebud::apps {

/// `member plan`, below `member`.
void add_member_plan_command(CLI::App& member, Globals& globals);

}  // namespace rosebud::apps
