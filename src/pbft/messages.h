// Every message of the protocol, and its encoding.
//
// Encodings are canonical: fixed widths, big-endian, lengths in front (wire/cursor.h); one byte of
// type comes first. Types are never used again for something else. What decodes is within limits
// and nothing more: verify.h judges signatures, replica.h the state.
#pragma once

#include <variant>

#include "pbft/request.h"
#include "pbft/vote.h"

namespace rosebud::pbft {

// ---- Normal case and checkpoints ----

struct PrePrepare {
  Vote vote;           // kPrePrepare of the view's primary
  BatchPointer batch;  // Invariant of a verified one: its digest is the vote's.
};
/// A prepare, commit or checkpoint.
struct Ballot {
  Vote vote;
};

// ---- View change ----

struct ViewChange {
  Vote vote;                          // kViewChange for the new view; number: the stable checkpoint
  std::optional<Certificate> stable;  // proof of it; nothing for number 0
  std::vector<Certificate> prepared;  // above it, numbers ascending, the newest view of each

  /// Digest of all but the vote.
  crypto::Digest digest(const InstanceId& instance) const;
};
struct NewView {
  Vote vote;                       // kNewView of the new primary; number 0
  std::vector<ViewChange> proofs;  // 2F+1, replicas ascending
  std::vector<Vote> pre_prepares;  // what the new primary proposes because of them, in order

  crypto::Digest digest(const InstanceId& instance) const;
};

// ---- Telling and helping ----

/// How far the sender is. Whoever is ahead sends what it lacks.
struct Status {
  View view;
  bool is_changing_view = false;
  SequenceNumber stable;
  SequenceNumber executed;
  /// Bit i: the sender has the proposal of `executed + 1 + i` in its view.
  std::uint32_t proposals = 0;
  /// A stable checkpoint at or above this would let the sender vote again; 0: it may.
  SequenceNumber silent_until;
  /// The sender votes in no view below this (recovery.h); 0: in all.
  View votes_from;
  /// Another one has wished for a later view so long that the sender wants the primary of `view`
  /// replaced (helping.cc).
  bool is_urging = false;
  /// By seat: the view of the newest view change that the sender holds; 0: none.
  std::vector<View> view_changes;
};
struct FetchBatch {
  crypto::Digest digest;
};
struct BatchFound {
  BatchPointer batch;
};
/// A batch that was committed, with the proof.
struct Committed {
  Certificate certificate;  // kCommit
  BatchPointer batch;
};
struct StableCheckpoint {
  Certificate certificate;  // kCheckpoint
};

// ---- State transfer ----

struct FetchManifest {
  crypto::Digest checkpoint;
};
struct ManifestFound {
  Buffer manifest;  // hashes to the checkpoint's digest
};
struct FetchChunk {
  crypto::Digest chunk;
};
struct ChunkFound {
  Buffer chunk;
};

// ---- Recovery ----

/// "What is the latest vote of mine that you can show?"
struct RecoveryQuery {
  std::uint64_t nonce = 0;
};
struct RecoveryAnswer {
  std::uint64_t nonce = 0;
  std::optional<Vote> latest;         // of the asker
  std::optional<Certificate> stable;  // the newest stable checkpoint that the sender knows
  std::vector<Vote> view_changes;     // the newest of each member that it knows; seats ascending
};

// ---- Requests under session keys ----

/// "These requests are their clients' own": it says so of each by its digest (vouches.h). Not
/// signed: it convinces who hears it over the link.
struct Vouch {
  std::vector<crypto::Digest> requests;  // at most kVouchedMax
};
/// 32 KiB. A replica that has more to say says it in several messages.
inline constexpr std::size_t kVouchedMax = 1024;
/// "So many vouch for these, and I have none of them": a primary asks who has them.
struct FetchRequests {
  std::vector<crypto::Digest> requests;  // at most kVouchedMax
};

using Message =
    std::variant<PrePrepare, Ballot, ViewChange, NewView, Status, FetchBatch, BatchFound, Committed,
                 StableCheckpoint, FetchManifest, ManifestFound, FetchChunk, ChunkFound,
                 RecoveryQuery, RecoveryAnswer, Request, Vouch, FetchRequests>;

/// From a replica to a client, over a link that names the replica.
struct Reply {
  enum class Status : std::uint8_t {
    kExecuted = 0,
    kNumberForgotten = 1,  // at or under `floor`: take a greater number
    kNumberAhead = 2,      // far ahead of agreed time: not now
    kNotAClient = 3,       // the state machine hears no such client (StateMachine::is_client)
  };
  View view;  // of the replica: who the primary is
  RequestNumber number;
  crypto::Digest operation;  // operation_digest() of the request that this answers
  Status status = Status::kExecuted;
  Buffer result;  // at most kResultSizeMax
  // With kNumberForgotten:
  RequestNumber floor;  // no number up to this is executed for the client any more
  AgreedTime time;      // at the replica: numbers near it (in us) are taken

  friend bool operator==(const Reply&, const Reply&) = default;
};

/// No message is longer: a new view with 2F+1 view changes of a full window.
inline constexpr std::size_t kMessageSizeMax = 64U << 20;

Bytes encode(const Message& message);
std::optional<Message> decode(const InstanceId& instance, ByteView bytes);
Bytes encode(const Reply& reply);
std::optional<Reply> decode_reply(ByteView bytes);

std::string_view name_of(const Message& message);
/// For a person: the name and what it is about.
std::string describe(const Message& message);

}  // namespace rosebud::pbft
