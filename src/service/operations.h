// What the configuration service orders: the operations of its state machine (design 8).
//
// They come from nodes of the configuration in force, each under its node key. What somebody else
// wants (a new node, an organisation) is a signed statement that a node hands in. Layouts:
// docs/format/service.md.
#pragma once

#include <variant>

#include "membership/configuration.h"

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

using Operation = std::variant<Reachability, AdmitNode, RevokeNode, PrepareEpoch, Announce,
                               NoAnnouncement, Reveal, NoReveal>;

inline constexpr std::size_t kStatementSizeMax = 1024;

Bytes encode(const Operation& operation);
std::optional<Operation> decode_operation(ByteView bytes);
/// For a person.
std::string_view name_of(const Operation& operation);

/// What an operation is answered with.
enum class Answer : std::uint8_t {
  kDone = 0,     // it changed the state, or a vote of it counts now
  kAlready = 1,  // it was so before
  kNotNow = 2,   // not in this part of the epoch: ask again later
  kRefused = 3,  // never: malformed, unsigned, or not the asker's business
};

}  // namespace rosebud::service
