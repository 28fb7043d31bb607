// `rosebud-sim pbft ...`: a group of PBFT replicas in virtual time.
#pragma once

#include <CLI/CLI.hpp>

namespace rosebud {

/// Adds the command and its parts. Whichever was chosen, `exit_code` is set when it has run.
void add_pbft_commands(CLI::App& app, int& exit_code);

}  // namespace rosebud
