// manual, completion.
#pragma once

#include "apps/rosebud/commands.h"
#include "apps/rosebud/manual.h"

namespace rosebud::apps {

/// After all others: they speak of what is there when they run.
void add_manual_commands(CLI::App& app, ManualCommons commons);

}  // namespace rosebud::apps
