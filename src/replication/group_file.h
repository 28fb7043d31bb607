// The file that says who a group is: the same at every replica and client
// (docs/format/replication.md).
#pragma once

#include <filesystem>

#include "base/result.h"
#include "pbft/group.h"
#include "pbft/settings.h"

namespace rosebud::replication {

struct Member {
  std::string name;  // for people
  crypto::PublicKey key;
  std::string address;  // "host:port"
};

struct GroupFile {
  /// Random, so that two groups of the same keys are not the same.
  FixedBytes<32, struct SaltTag> salt;
  pbft::GroupSettings settings;
  std::vector<std::optional<Member>> seats;  // 3F+1; nothing: vacant

  /// Hash of the salt, the settings and the keys. So whoever has another file is in another group,
  /// and nothing that is signed there means anything here. Addresses and names may differ.
  pbft::InstanceId instance() const;
  std::shared_ptr<const pbft::Group> group() const;
  std::optional<pbft::ReplicaId> seat_of(const crypto::PublicKey& key) const;

  std::string text() const;
  static Result<GroupFile, Explained> parse(const std::string& text,
                                            const std::filesystem::path& path);
  static Result<GroupFile, Explained> read(const std::filesystem::path& path);
};

/// No message between the replicas of this group is longer: a batch, or a new view with the view
/// changes of a full window.
std::size_t message_size_max(const GroupFile& group);

}  // namespace rosebud::replication
