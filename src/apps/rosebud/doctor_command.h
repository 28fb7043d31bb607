#pragma once

#include "apps/rosebud/commands.h"

namespace rosebud::apps {

void add_doctor_command(CLI::App& app, Globals& globals);

}  // namespace rosebud::apps
