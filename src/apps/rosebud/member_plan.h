#pragma once

#include "apps/rosebud/commands.h"

namespace rosebud::apps {

/// Ends the program when groups would have fewer replicas without this member, or it could not go.
void require_safe_without(const Globals& globals, const std::string& name);

/// `member plan`, below `member`.
void add_member_plan_command(CLI::App& member, Globals& globals);

}  // namespace rosebud::apps
