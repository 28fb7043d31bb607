// Fetching a checkpoint that others have made stable: the manifest first, then its pieces, from
// whoever signed, each checked by its digest [CL99 §5.3.2 has a tree of partitions; here one level,
// and pieces that are already here are not fetched].
//
// 2F+1 replicas signed, so F+1 correct ones had the state; one that does not answer in time, has no
// link, or lies, is passed over for the next. When they all have moved on, a newer certificate
// comes with the next status, and what was fetched so far, or was asked for, counts for it too
// (retarget). So a state arrives while it changes, if less of it changes than can be fetched.
#pragma once

#include <map>
#include <set>

#include "base/random.h"
#include "pbft/checkpoint.h"

namespace rosebud::pbft {

class StateTransfer {
 public:
  /// Requires: a verified certificate of a checkpoint, signed by others than `self` too.
  StateTransfer(const Group& group, ReplicaId self, const Settings& settings, Certificate target,
                Random random);

  const Certificate& target() const { return target_; }
  void retarget(Certificate target);

  struct Ask {
    ReplicaId from;
    Message message;
  };
  /// What to ask now, with pieces that `known` can give taken from there. Whose link is down (by
  /// replica) is not waited for, and asked only when no source has one.
  std::vector<Ask> ask(Instant now, const CheckpointStore& known,
                       const std::vector<bool>& is_link_down);
  /// When ask() has something to do again though nothing came.
  Instant next_deadline() const;

  /// What was not asked for and is not missing is dropped.
  void on_manifest(const Buffer& manifest);
  void on_chunk(const Buffer& chunk);

  bool is_complete() const;
  /// Requires: is_complete().
  Checkpoint take();

  std::size_t chunks_left() const { return missing_.size(); }

 private:
  struct Asked {
    ReplicaId from;
    Instant until;  // when the next one is asked
  };

  ReplicaId next_source(const std::vector<bool>& is_link_down);

  InstanceId instance_;
  std::vector<ReplicaId> sources_;
  ReplicaId self_;
  Settings settings_;
  Certificate target_;
  Random random_;
  std::size_t turn_ = 0;
  std::optional<Manifest> manifest_;
  Buffer encoded_;
  std::optional<Asked> manifest_asked_;
  std::map<crypto::Digest, Buffer> chunks_;  // of the manifest; before there is one: of the last
  std::set<crypto::Digest> missing_;         // Invariant: of the manifest, not in chunks_.
  std::map<crypto::Digest, Asked> in_flight_;
};

}  // namespace rosebud::pbft
