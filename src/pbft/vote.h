// Votes, and the certificates that quorums of them make.
//
// Everything that a replica puts its name under is one kind of statement: (instance, kind, view,
// number, digest, replica, counter). A certificate is the common part once, and 2F+1 signatures.
// With signatures a certificate convinces everybody, so a view change carries its own proof
// [CL99 §4.4]; the P and Q sets of the later protocol with MACs are not needed.
#pragma once

#include <optional>
#include <vector>

#include "pbft/group.h"
#include "pbft/planted_bugs.h"
#include "wire/cursor.h"

namespace rosebud::pbft {

enum class VoteKind : std::uint8_t {
  kPrePrepare = 1,  // the primary proposes; digest of the batch
  kPrepare = 2,     // a backup accepts the proposal
  kCommit = 3,      // the sender has a certificate of prepared
  kCheckpoint = 4,  // the sender's state after `number` has this digest and is durable; view 0
  kViewChange = 5,  // digest of a view-change message
  kNewView = 6,     // digest of a new-view message
};
inline constexpr std::uint8_t kVoteKindMax = 6;
std::string_view name_of(VoteKind kind);

struct Vote {
  static constexpr std::string_view kTag = "rosebud pbft vote 1";
  /// Bytes in an encoding: kind, view, number, digest, replica, counter, signature.
  static constexpr std::size_t kSize = 1 + 8 + 8 + 32 + 2 + 8 + 64;

  VoteKind kind = VoteKind::kPrepare;
  View view;
  SequenceNumber number;
  crypto::Digest digest;
  ReplicaId replica;
  VoteCounter counter;
  crypto::Signature signature;

  /// The exact bytes that are signed: the instance, then all fields but the signature.
  Bytes statement(const InstanceId& instance) const;
  friend bool operator==(const Vote&, const Vote&) = default;
};

void write(wire::Writer& out, const Vote& vote);
Vote read_vote(wire::Reader& in);

/// True when a member of the group signed exactly this.
bool is_valid(const Vote& vote, const Group& group, const crypto::SignatureScheme& scheme);

/// One replica's part of a certificate.
struct Endorsement {
  ReplicaId replica;
  VoteCounter counter;
  crypto::Signature signature;
  friend bool operator==(const Endorsement&, const Endorsement&) = default;
};

/// 2F+1 votes for the same thing.
struct Certificate {
  /// kPrepare: the request was prepared; the primary's endorsement is its pre-prepare. kCommit: it
  /// was committed. kCheckpoint: the state is stable.
  VoteKind kind = VoteKind::kPrepare;
  View view;
  SequenceNumber number;
  crypto::Digest digest;
  std::vector<Endorsement> endorsements;  // Invariant: replicas ascending.

  /// The vote that an endorsement stands for.
  Vote vote_of(const Endorsement& endorsement, const Group& group) const;
  friend bool operator==(const Certificate&, const Certificate&) = default;
};

/// Makes a certificate of the first 2F+1 of `votes`, which are by replica and all for the same
/// thing. Nothing when there are fewer, or when a certificate of prepared would lack the primary.
std::optional<Certificate> make_certificate(VoteKind kind, const std::vector<Vote>& votes,
                                            const Group& group);

void write(wire::Writer& out, const Certificate& certificate);
Certificate read_certificate(wire::Reader& in);

/// True when 2F+1 different members signed it, the primary of the view among them where it says
/// "prepared".
bool is_valid(const Certificate& certificate, const Group& group,
              const crypto::SignatureScheme& scheme);

}  // namespace rosebud::pbft
