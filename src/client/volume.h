// Volumes: a record whose value names the root directory of a tree (design 12), and the list of the
// states that are kept as snapshots.
//
// A publication is one write of the record; everything that it names is stored before. Only the
// owner's key publishes; readers see published states, whole and in order. The bytes of the value
// are in docs/format/volume.md, the rules in docs/protocol/volumes.md.
#pragma once

#include "client/record_writer.h"
#include "fs/cid.h"

namespace rosebud::client {

/// Whose volume, and its name: as a node's, 1 to 32 characters a-z, 0-9 and '-'.
struct VolumeId {
  crypto::PublicKey owner;
  std::string name;

  /// Under which the owner keeps the record.
  Bytes salt() const;
  friend bool operator==(const VolumeId&, const VolumeId&) = default;
};

/// A published state.
struct VolumeState {
  fs::Cid root;                             // Invariant: dag-pb.
  std::uint64_t number = 1;                 // of publications up to this one
  Timestamp published;                      // by the writer's clock
  std::optional<crypto::Digest> parent;     // of the root published before; none in the first
  std::optional<crypto::Digest> snapshots;  // of their list (client/snapshots.h); none: no snapshot
  std::optional<crypto::Digest> parent_snapshots;  // of the list published before
  // Invariant: in the first publication there is no list, here or before.

  Bytes encode() const;
  /// Nothing for bytes that encode() never makes.
  static std::optional<VolumeState> decode(ByteView bytes);
  friend bool operator==(const VolumeState&, const VolumeState&) = default;
};

struct PublishedVolume {
  wire::Version version;  // of the record
  VolumeState state;
};

/// The newest published state. Not found: a Failure with kNotFound; a value that no volume has, or
/// one that its owner deleted: one with kIntegrity or kNotFound.
Result<PublishedVolume, Failure> read_volume(Session& session, const VolumeId& id,
                                             Duration timeout);

/// As read_volume(), and 2f+1 replicas keep the record under a hold of this client too, whoever
/// owns it. Nothing is published: it is the same record. kConflict: somebody published meanwhile.
Result<PublishedVolume, Failure> hold_volume(Session& session, const VolumeId& id,
                                             Duration timeout);

/// The owner's side: begin(), change the tree, publish(). Two that publish from the same state are
/// told apart, the second gets kConflict and has overwritten nothing.
class VolumeWriter {
 public:
  /// `state`: where the client keeps its notes of records.
  VolumeWriter(Session& session, std::filesystem::path state, std::string name);

  enum class Garbage : bool { kRefuse, kReplace };

  /// Finishes what an earlier run left half sent, then reads what is published; nothing: there is
  /// no such volume yet, or its owner removed it. kConflict: what was published from here last does
  /// not stand before what is published now, as far as that shows (docs/protocol/volumes.md); told
  /// once. A value that no volume has: kIntegrity, or with kReplace nothing, and the first
  /// publication takes its place.
  Result<std::optional<PublishedVolume>, Failure> begin(Duration timeout,
                                                        Garbage garbage = Garbage::kRefuse);
  /// Publishes the root as what follows the state that begin() found, with the snapshots as they
  /// are. Requires: begin() succeeded, and all blocks below the root are stored.
  Result<PublishedVolume, Failure> publish(const fs::Cid& root, Timestamp now, Duration timeout);
  /// With this list of snapshots, whose block is stored; nothing: with none. Requires: begin()
  /// found a volume.
  Result<PublishedVolume, Failure> publish(const fs::Cid& root,
                                           const std::optional<crypto::Digest>& snapshots,
                                           Timestamp now, Duration timeout);

 private:
  Session& session_;
  VolumeId id_;
  RecordWriter writer_;
  std::optional<PublishedVolume> base_;
  wire::Version base_version_;  // of whatever record begin() found
};

}  // namespace rosebud::client
