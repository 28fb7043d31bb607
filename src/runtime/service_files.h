// What the configuration service needs a node to keep: secret keys of epochs in files of their own,
// which are erased (design 7), and what an epoch hands over (docs/format/disk.md).
#pragma once

#include <filesystem>

#include "base/result.h"
#include "crypto/signature.h"
#include "wire/ids.h"

namespace rosebud::runtime {

/// Where a node's secret key for an epoch is: beside its own key, so that nobody takes one into a
/// backup and leaves the other: node.key, node.epoch-0-7.key (generation, epoch).
std::filesystem::path epoch_key_path(const std::filesystem::path& node_key,
                                     const wire::ConfigurationNumber& number);

class ServiceFiles {
 public:
  /// `folder`: for everything but the keys; made when something is kept.
  ServiceFiles(std::filesystem::path node_key, std::filesystem::path folder)
      : node_key_(std::move(node_key)), folder_(std::move(folder)) {}

  /// Nothing when there is none, or it cannot be read: then the node has no seat in that epoch.
  std::optional<crypto::SecretKey> secret(const wire::ConfigurationNumber& number) const;
  /// On disk when it returns.
  Status<Explained> keep_secret(const wire::ConfigurationNumber& number,
                                const crypto::SecretKey& key) const;
  /// Overwrites and unlinks all of epochs below.
  Status<Explained> erase_secrets(const wire::ConfigurationNumber& below) const;

  /// What was handed over to that epoch, if it is here and has this digest.
  std::optional<Buffer> state(const wire::ConfigurationNumber& number,
                              const crypto::Digest& digest) const;
  /// Whether anything was handed over to that epoch here; also when that cannot be known.
  bool has_state(const wire::ConfigurationNumber& number) const;
  Status<Explained> keep_state(const wire::ConfigurationNumber& number, ByteView state) const;

  /// The folder of the records of the replica in that epoch's group.
  std::filesystem::path records(const wire::ConfigurationNumber& number) const;
  /// Removes states and records of epochs below: their groups have ended.
  void remove_old(const wire::ConfigurationNumber& below) const;

 private:
  std::filesystem::path node_key_;
  std::filesystem::path folder_;
};

}  // namespace rosebud::runtime
