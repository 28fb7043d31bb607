// How settings, organisations and nodes are laid out: the same in the genesis and in the body of an
// epoch description (docs/format/statements.md). Private to membership/.
#pragma once

#include "membership/configuration.h"

namespace rosebud::membership {

void write(wire::Writer& out, const Settings& settings);
Settings read_settings(wire::Reader& in);

void write(wire::Writer& out, const Organisation& organisation);
Organisation read_organisation(wire::Reader& in);

/// Without the admission randomness: in the genesis it is the same for all.
void write(wire::Writer& out, const Node& node);
Node read_node(wire::Reader& in);

/// What is wrong with the configuration service of `parts`, for a person. A service may have up to
/// F vacant seats, and no organisation more than F of them (one at F = 0).
std::optional<Explained> problem_of_service(const ConfigurationParts& parts);

/// Most members that a group can have under the cap; less than 3f+1 leaves seats exposed.
std::size_t fillable_seats(const ConfigurationParts& parts);

}  // namespace rosebud::membership
