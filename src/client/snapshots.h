// Snapshots: states of a volume that its owner keeps under names.
//
// They stand in one list, a block whose hash the volume's signed record has beside the root. So no
// replica can hide a snapshot or make one up, every reader of the volume has the list, and keeping
// one is one publication like any other. The bytes are in docs/format/volume.md, the rules in
// docs/protocol/volumes.md.
//
// 1. A list is in the order of its names, each once; there is one encoding of each.
// 2. What a list says of times is its writer's word: nothing but retention.h looks at it.
// 3. That a root is there, and a directory, shows where it is used.
#pragma once

#include "client/volume.h"

namespace rosebud::client {

/// Most snapshots of a volume: one an hour for five months. Their list is half a mebibyte then, and
/// written anew with each. More than 17,000 would not fit into a block.
inline constexpr std::size_t kSnapshotsMax = 4096;
inline constexpr std::size_t kSnapshotNameMax = 64;  // bytes
/// Stands for the state before the one that is published, which the record names too. No snapshot
/// is called so.
inline constexpr std::string_view kPreviousState = "previous";

/// 1 to 64 characters a-z, A-Z, 0-9, '.', '_' and '-', of which the first is a letter or digit.
bool is_snapshot_name(std::string_view text);
/// A snapshot may be called so, or it is kPreviousState.
bool is_state_name(std::string_view text);

struct Snapshot {
  std::string name;
  std::uint64_t number = 1;  // of the publication that it keeps
  Timestamp published;       // that publication; 0: nobody knows
  Timestamp made;            // the snapshot, by its maker's clock
  fs::Cid root;              // Invariant: dag-pb.

  friend bool operator==(const Snapshot&, const Snapshot&) = default;
};

class SnapshotList {
 public:
  /// In the order of their names.
  const std::vector<Snapshot>& all() const { return all_; }
  const Snapshot* find(std::string_view name) const;
  /// False: one has that name. Requires: its name is one, and fewer than kSnapshotsMax are there.
  [[nodiscard]] bool add(Snapshot snapshot);
  /// False: none has that name.
  [[nodiscard]] bool remove(std::string_view name);

  /// Requires: not empty.
  Bytes encode() const;
  /// Nothing for bytes that encode() never makes.
  static std::optional<SnapshotList> decode(ByteView bytes);
  friend bool operator==(const SnapshotList&, const SnapshotList&) = default;

 private:
  std::vector<Snapshot> all_;  // Invariant: ascending by name.
};

/// Those of a published state. A list that no quorum has, that makes no sense, or that has a
/// publication that was not before this state: a Failure with kIntegrity. `named`: how the volume
/// is called in words.
Result<SnapshotList, Failure> read_snapshots(Session& session, const VolumeState& state,
                                             const std::string& named, Duration timeout);
/// Stores the list, for VolumeWriter::publish(); nothing for an empty one.
Result<std::optional<crypto::Digest>, Failure> store_snapshots(Session& session,
                                                               const SnapshotList& list,
                                                               Duration timeout);

/// The state that is called so: a snapshot's, or the previous one's. None: a Failure with
/// kNotFound.
Result<Snapshot, Failure> find_state(Session& session, const VolumeState& state,
                                     const std::string& called, const std::string& named,
                                     Duration timeout);

}  // namespace rosebud::client
