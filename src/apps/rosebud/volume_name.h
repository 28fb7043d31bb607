// How people name volumes.
#pragma once

#include "apps/rosebud/commands.h"
#include "client/volume.h"

namespace rosebud::apps {

/// NAME of this client's key, OWNER/NAME, or CLUSTER/OWNER/NAME; behind it perhaps @SNAPSHOT, of
/// which the word "previous" stands for the state before the one that is published.
struct VolumeName {
  std::optional<crypto::ClusterId> cluster;
  std::optional<crypto::PublicKey> owner;
  std::string name;
  std::optional<std::string> snapshot;
  std::string text;         // as it was given
  std::string volume_text;  // without the snapshot
};

/// Nothing: it names none.
std::optional<VolumeName> volume_of(std::string_view text);
/// The end of the program when it is in another cluster than the session's.
client::VolumeId id_of(const VolumeName& name, const client::Session& session);
/// The same volume, as a snapshot of it.
VolumeName at_snapshot(VolumeName name, const std::string& snapshot);

}  // namespace rosebud::apps
