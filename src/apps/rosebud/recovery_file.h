// The file that people pass around when the organisations recover the configuration service: what
// members have stated, then what is proposed, then who has signed it (docs/format/service.md).
#pragma once

#include <filesystem>
#include <map>

#include "base/result.h"
#include "membership/recovery.h"

namespace rosebud::apps {

struct RecoveryFile {
  crypto::ClusterId cluster;
  wire::Generation generation;
  std::map<wire::NodeKey, wire::SignedBytes> statements;  // each signed by its node
  std::map<crypto::Digest, Bytes> states;                 // handed to services, by their digest
  std::optional<membership::SignedDescription> proposal;

  /// Of other members, other clusters, other generations or without a signature of its node: false.
  bool add(const wire::SignedBytes& statement);
  void add_state(ByteView handed_over);
};

/// States of different epochs, of members that are behind.
inline constexpr std::size_t kStatesMax = 16;

/// What is wrong with the proposal of a file, before anything is verified: it is of another cluster
/// or generation than the file.
std::optional<Explained> problem_of_proposal(const RecoveryFile& file);

/// Refuses one whose proposal is not the file's (problem_of_proposal).
Result<RecoveryFile, Explained> read_recovery_file(const std::filesystem::path& path);
Status<Explained> write_recovery_file(const std::filesystem::path& path, const RecoveryFile& file);

/// An authority signs one proposal for each generation of a cluster. Beside its key, and on disk
/// when it returns: before the signature is made. Nothing: it may sign this one; else what it has
/// signed before.
/// `cluster`: of the verified parent, never what a file says: by another name for the cluster it
/// would sign a second time.
Status<Explained> note_signed(const std::filesystem::path& organisation,
                              const crypto::ClusterId& cluster, wire::Generation generation,
                              const crypto::Digest& header_hash);

}  // namespace rosebud::apps
