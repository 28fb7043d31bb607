#pragma once

#include "apps/rosebud/commands.h"

namespace rosebud::apps {

/// `epoch end`, below `epoch`.
void add_epoch_end_command(CLI::App& epoch, Globals& globals);

}  // namespace rosebud::apps
