// How a mount that writes gets its publications into the cluster.
#pragma once

#include "client/volume.h"
#include "mount/publications.h"

namespace rosebud::apps {

class VolumePublisher final : public mount::Publisher {
 public:
  /// `session` outlives it. `state`: where the client keeps its notes of records. `standing`: what
  /// the mount begins with. `timeout`: of each step. Requires: the volume is of the session's key.
  VolumePublisher(client::Session& session, std::filesystem::path state, client::VolumeId id,
                  client::PublishedVolume standing, Duration timeout);

  Status<mount::Unpublished> publish(const Store& store) override;
  std::optional<fs::Cid> newer() override;
  void stand_on_newer() override { standing_ = newer_; }

 private:
  /// That nobody else has published other files since.
  Status<mount::Unpublished> check_standing(const client::PublishedVolume& there);

  client::Session& session_;
  const std::filesystem::path state_;
  const client::VolumeId id_;
  const Duration timeout_;
  client::PublishedVolume standing_;
  client::PublishedVolume newer_;  // that newer() returned last
  /// Which may be published or not: nobody knew at the end of its time.
  std::optional<fs::Cid> tried_;
};

}  // namespace rosebud::apps
