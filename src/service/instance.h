// The group that orders the operations of one epoch's service: the members' seats under their epoch
// keys (design 8).
#pragma once

#include <memory>

#include "membership/configuration.h"
#include "pbft/group.h"
#include "pbft/settings.h"

namespace rosebud::service {

/// Names the group of one epoch of one cluster: what its members sign means nothing in another.
pbft::InstanceId instance_of(const membership::Configuration& configuration);

/// Seat i is that of the service's member i; those behind its members are vacant. Requires: the
/// configuration has a service.
std::shared_ptr<const pbft::Group> group_of(const membership::Configuration& configuration);

/// Few operations with long pauses: a small window, so that no message is longer than a notice.
pbft::Settings replica_settings();

std::optional<pbft::ReplicaId> seat_of(const membership::Configuration& configuration,
                                       const wire::NodeKey& node);
/// Requires: `seat` is a member's.
const wire::NodeKey& node_of(const membership::Configuration& configuration, pbft::ReplicaId seat);

}  // namespace rosebud::service
