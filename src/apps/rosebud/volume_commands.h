// Commands of `rosebud fs` that have files of their own.
#pragma once

#include "apps/rosebud/commands.h"

namespace rosebud::apps {

/// fs du, fs check.
void add_counting_commands(CLI::App& fs_command, Globals& globals);
/// fs snapshot.
void add_snapshot_commands(CLI::App& fs_command, Globals& globals);
/// fs snapshot delete, prune, diff, restore.
void add_delete_command(CLI::App& snapshot_command, Globals& globals);
void add_prune_command(CLI::App& snapshot_command, Globals& globals);
void add_diff_command(CLI::App& snapshot_command, Globals& globals);
void add_restore_command(CLI::App& snapshot_command, Globals& globals);
/// fs sync.
void add_sync_command(CLI::App& fs_command, Globals& globals);

}  // namespace rosebud::apps
