// How people name volumes.
#pragma once

#include "apps/rosebud/commands.h"
#include "client/volume.h"

namespace rosebud::apps {

/// NAME of this client's key, OWNER/NAME, or CLUSTER/OWNER/NAME.
struct VolumeName {
  std::optional<crypto::ClusterId> cluster;
  std::optional<crypto::PublicKey> owner;
  std::string name;
  std::string text;
};

/// Nothing: it names none.
std::optional<VolumeName> volume_of(std::string_view text);
/// The end of the program when it is in another cluster than the session's.
client::VolumeId id_of(const VolumeName& name, const client::Session& session);

}  // namespace rosebud::apps
