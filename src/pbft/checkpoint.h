// A checkpoint: the whole replicated state after one number, as pieces that are named by their
// digests.
//
// The manifest lists the pieces; its hash is the digest that replicas vote on [CL99 §4.3]. So
// whoever has a certificate can take the manifest from anybody, and each piece from anybody else.
#pragma once

#include <map>

#include "pbft/messages.h"

namespace rosebud::pbft {

crypto::Digest chunk_digest(const InstanceId& instance, ByteView chunk);

struct Manifest {
  SequenceNumber number;
  AgreedTime time;                           // of the last batch executed
  bool is_stopped = false;                   // the group has ended
  std::vector<crypto::Digest> client_table;  // pieces of its encoding
  std::vector<crypto::Digest> service;       // pieces of the state machine

  Bytes encode() const;
  static std::optional<Manifest> decode(ByteView bytes);
  static crypto::Digest digest(const InstanceId& instance, ByteView encoded);
};

struct Checkpoint {
  Manifest manifest;
  Buffer encoded;  // the manifest
  crypto::Digest digest;
  std::map<crypto::Digest, Buffer> chunks;

  static Checkpoint make(const InstanceId& instance, SequenceNumber number, AgreedTime time,
                         bool is_stopped, ByteView client_table,
                         const std::vector<Buffer>& service);
  /// Requires: all of the manifest's pieces are there.
  Bytes client_table() const;
  std::vector<Buffer> service() const;
};

/// The checkpoints that a replica keeps: the stable one, the one before it for those who are just
/// fetching it, and its own newer ones.
class CheckpointStore {
 public:
  void add(Checkpoint checkpoint);
  const Checkpoint* find(SequenceNumber number) const;
  const Checkpoint* newest() const;
  const Buffer* find_manifest(const crypto::Digest& digest) const;
  const Buffer* find_chunk(const crypto::Digest& digest) const;
  /// Forgets what is older than the one before `stable`. Returns the numbers that were forgotten
  /// and the pieces that nothing refers to any more. Requires: `stable` is here.
  struct Forgotten {
    std::vector<SequenceNumber> numbers;
    std::vector<crypto::Digest> chunks;
  };
  Forgotten advance(SequenceNumber stable);
  /// Forgets a checkpoint that turned out to be wrong.
  Forgotten remove(SequenceNumber number);
  std::size_t size() const { return checkpoints_.size(); }

 private:
  std::map<SequenceNumber, Checkpoint> checkpoints_;
};

}  // namespace rosebud::pbft
