// What the configuration service orders: the operations of its state machine (design 8).
//
// They come from nodes of the configuration in force, each under its node key. What somebody else
// wants (a new node, an organisation) is a signed statement that a node hands in. Layouts:
// docs/format/service.md.
#pragma once

#include <variant>

#include "membership/configuration.h"
#include "service/decree.h"
#include "wire/audit.h"

namespace rosebud::service {

/// "Give me a seat of that epoch": a candidate's fresh epoch key, and its commitment to its share
/// of the draw that is made while it has the seat.
struct Announcement {
  static constexpr std::string_view kTag = "rosebud announcement 1";

  crypto::ClusterId cluster;
  wire::ConfigurationNumber number;  // of the epoch that the seat is in
  wire::NodeKey node;                // signs it
  crypto::PublicKey epoch_key;
  crypto::Digest commitment;  // commitment_of(node, share); not zero

  Bytes encode() const;
  static std::optional<Announcement> decode(ByteView bytes);
  friend bool operator==(const Announcement&, const Announcement&) = default;
};

/// "This node is ours no longer": by its organisation. A key that was revoked never comes back.
struct Revocation {
  static constexpr std::string_view kTag = "rosebud revocation 1";

  crypto::ClusterId cluster;
  crypto::PublicKey organisation;  // the authority that signs
  wire::NodeKey node;

  Bytes encode() const;
  static std::optional<Revocation> decode(ByteView bytes);
  friend bool operator==(const Revocation&, const Revocation&) = default;
};

/// "This node leaves": by its organisation. It may come back with an admission that is valid since
/// later.
struct Retirement {
  static constexpr std::string_view kTag = "rosebud retirement 1";

  crypto::ClusterId cluster;
  crypto::PublicKey organisation;  // the authority that signs
  wire::NodeKey node;
  Timestamp not_before;  // compared with that of admissions; the greatest counts

  Bytes encode() const;
  static std::optional<Retirement> decode(ByteView bytes);
  friend bool operator==(const Retirement&, const Retirement&) = default;
};

/// "End this epoch now": by an organisation, for instance so that its new machine need not wait.
struct EndRequest {
  static constexpr std::string_view kTag = "rosebud end request 1";

  crypto::ClusterId cluster;
  crypto::PublicKey organisation;    // the authority that signs
  wire::ConfigurationNumber number;  // of the epoch that shall end

  Bytes encode() const;
  static std::optional<EndRequest> decode(ByteView bytes);
  friend bool operator==(const EndRequest&, const EndRequest&) = default;
};

/// A service member's probes of a node fail, or it answers (again).
struct Reachability {
  wire::NodeKey node;
  bool is_reachable = false;
};
/// A node that asks to be in, or to be found elsewhere, with the statement of its organisation.
struct AdmitNode {
  wire::SignedBytes admission;
};
struct RevokeNode {
  wire::SignedBytes revocation;
};
/// Fixes who is in the next epoch and who may sit in its service.
struct PrepareEpoch {};
struct Announce {
  wire::SignedBytes announcement;
};
/// "I hold no announcement of this candidate."
struct NoAnnouncement {
  wire::NodeKey candidate;
};
/// Opens the commitment that stands for a seat in the header in force.
struct Reveal {
  wire::NodeKey node;
  crypto::Digest share;
};
/// "I hold no share of this member."
struct NoReveal {
  wire::NodeKey node;
};

/// Decided by more than two thirds of the organisations.
struct Enact {
  SignedDecree decree;
};
struct RetireNode {
  wire::SignedBytes retirement;
};
struct EndEpoch {
  wire::SignedBytes request;
};
/// "It does not show this block, which it should hold": by a member of the block's group about
/// another (complaints.h).
struct Complain {
  wire::NodeKey accused;
  wire::ObjectId block;
};
/// What a service member found when it checked complaints.
struct Verdict {
  wire::NodeKey accused;
  wire::AuditOutcome outcome = wire::AuditOutcome::kProven;
};

using Operation =
    std::variant<Reachability, AdmitNode, RevokeNode, PrepareEpoch, Announce, NoAnnouncement,
                 Reveal, NoReveal, Enact, RetireNode, EndEpoch, Complain, Verdict>;

inline constexpr std::size_t kStatementSizeMax = 1024;

Bytes encode(const Operation& operation);
std::optional<Operation> decode_operation(ByteView bytes);
/// For a person.
std::string_view name_of(const Operation& operation);
/// Which organisation says it, by the statement's own word; zero: a decree, or a node says it.
crypto::PublicKey author_of(const Operation& operation);

/// What an organisation states, if one that has a say in this configuration signed it for this
/// cluster.
template <typename Statement>
std::optional<Statement> said_by_organisation(const membership::Configuration& configuration,
                                              const wire::SignedBytes& bytes,
                                              const crypto::SignatureScheme& scheme) {
  auto out = Statement::decode(bytes.statement);
  if (!out || out->cluster != configuration.cluster() ||
      !configuration.has_say(out->organisation) ||
      !wire::is_signed_by<Statement>(scheme, out->organisation, bytes)) {
    return std::nullopt;
  }
  return out;
}

/// What an operation is answered with.
enum class Answer : std::uint8_t {
  kDone = 0,     // it changed the state, or a vote of it counts now
  kAlready = 1,  // it was so before
  kNotNow = 2,   // not in this part of the epoch: ask again later
  kRefused = 3,  // never: malformed, unsigned, or not the asker's business
};

}  // namespace rosebud::service
