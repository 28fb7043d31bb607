// What a replica keeps on disk, key by key, and how it is read back (docs/format/pbft.md).
//
//   counter            votes signed so far
//   view               view, and whether it is being changed to
//   view-change        the last view-change message of its own
//   new-view           the message that began the view
//   silence            after a rollback: until which number, below which view (recovery.h)
//   latest/R           the latest vote of another replica R that is known
//   reached            the newest view changes of all that are known
//   stable             certificate of the stable checkpoint
//   proposal/N         vote of the primary that was accepted, and own prepare
//   prepared/N         certificate of prepared, and own commit
//   batch/N/D          a batch that one of the two names
//   checkpoint/N       manifest of a checkpoint of its own, and its vote
//   chunk/D            a piece of one
//   evidence/R         two votes of replica R that contradict each other
#pragma once

#include <map>

#include "pbft/checkpoint.h"
#include "pbft/effects.h"

namespace rosebud::pbft::records {

/// Names the format of all that follows. A store of another one belongs to another program, which
/// can read it: it is refused, and not taken for nonsense.
inline constexpr std::string_view kFormat = "rosebud pbft records 3";

Write counter(VoteCounter value);
Write view(View value, bool is_changing);
Write view_change(const ViewChange& message);
Write new_view(const NewView& message);
Write silence(SequenceNumber until, View below);
Write reached(const std::vector<Vote>& view_changes);
Write latest(const Vote& of_another);
Write stable(const Certificate& certificate);
Write proposal(SequenceNumber number, const Vote& accepted, const std::optional<Vote>& own);
Write prepared(SequenceNumber number, const Certificate& certificate, const Vote& own);
Write batch(SequenceNumber number, const SealedBatch& batch);
Write checkpoint(SequenceNumber number, const Buffer& manifest, const std::optional<Vote>& own);
Write chunk(const crypto::Digest& digest, const Buffer& chunk);
Write evidence(const Evidence& evidence);

Write erase_proposal(SequenceNumber number);
Write erase_prepared(SequenceNumber number);
Write erase_batch(SequenceNumber number, const crypto::Digest& digest);
Write erase_checkpoint(SequenceNumber number);
Write erase_chunk(const crypto::Digest& digest);

/// All of it, as it was last written.
struct Recovered {
  VoteCounter counter;
  View view;
  bool is_changing_view = false;
  std::optional<ViewChange> view_change;
  std::optional<NewView> new_view;
  SequenceNumber silent_until;
  View votes_from;
  std::vector<Vote> reached;
  std::vector<Vote> latest;
  std::optional<Certificate> stable;
  struct Proposal {
    Vote accepted;
    std::optional<Vote> own;
  };
  std::map<SequenceNumber, Proposal> proposals;
  struct Prepared {
    Certificate certificate;
    Vote own;
  };
  std::map<SequenceNumber, Prepared> prepared;
  std::map<std::pair<SequenceNumber, crypto::Digest>, BatchPointer> batches;
  struct OwnCheckpoint {
    Buffer manifest;
    std::optional<Vote> own;
  };
  std::map<SequenceNumber, OwnCheckpoint> checkpoints;
  std::map<crypto::Digest, Buffer> chunks;
  std::map<ReplicaId, Evidence> evidence;
};
/// Nothing when a record makes no sense: then the disk is worth as much as an empty one.
std::optional<Recovered> read(const Group& group, const PersistentState& state);

}  // namespace rosebud::pbft::records
