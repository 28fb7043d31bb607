// The list of snapshots of a volume of this client's key, as commands show and change it.
#pragma once

#include "apps/rosebud/open_volume.h"

namespace rosebud::apps {

/// By the clock of this machine.
Timestamp now_in_seconds();
nlohmann::json json_of(const client::Snapshot& one);
/// The oldest first.
std::vector<client::Snapshot> in_time(const client::SnapshotList& list);

/// What fails ends the program.
class OwnSnapshots {
 public:
  /// `globals`, `session` and `name` outlive it.
  OwnSnapshots(const Globals& globals, OpenSession& session, const VolumeName& name);

  const client::PublishedVolume& published() const { return published_; }
  client::SnapshotList read();
  /// The files stay as they are.
  void publish(const client::SnapshotList& list);

 private:
  const Globals& globals_;
  OpenSession& session_;
  const VolumeName& name_;
  client::VolumeWriter writer_;
  client::PublishedVolume published_;
};

}  // namespace rosebud::apps
