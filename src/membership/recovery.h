// Recovery by the organisations, when more than F members of the service are gone for good (design
// 8.6, docs/adr/0013).
//
// A description of a higher *generation* follows a configuration, its parent, like any other, but
// that more than two thirds of the parent's organisations that have a say sign it, with their
// authorities; that it changes nothing but the seats of the service and who is given up, and at
// most makes F smaller; that it shows by statements of members which configuration is the highest
// that any acknowledged write may depend on; and that it takes over what was handed to the parent's
// service, or nothing. R follows from the parent and the generation, and the end from the start and
// the length of an epoch (three of them; none where epochs have no end), so that no proposer
// chooses who comes to stand where, or how long clients rely on it.
//
//   call ──▶ statement (a durable promise) ──▶ proposal ──▶ signatures of organisations ──▶ entered
//            by 2f+1 of every group
//
// Why a promise: suppose a member stated that it is in epoch 8 and went on to epoch 9. A write that
// is acknowledged there would be lost with epoch 9, which no statement names. A member that stated
// something for generation g enters nothing of a lower generation any more.
//
// Why 2f+1 of every group: whoever serves an epoch after the parent was in the parent's group, or
// completed, directly or through others, from 2f+1 of it that had left the parent. Both meet the
// 2f+1 who stated in a correct member, which named a later epoch, or promised to enter none.
//
// Pure functions and values; who asks whom and what is kept is in runtime/node_recovery.cc.
#pragma once

#include <set>

#include "membership/description.h"

namespace rosebud::membership {

/// "Say what you hold, for this generation": to an organisation's own nodes, which promise with the
/// answer to enter nothing of a lower generation.
struct RecoveryCall {
  static constexpr std::string_view kTag = "rosebud recovery call 1";

  crypto::ClusterId cluster;
  crypto::PublicKey organisation;  // the authority that signs
  wire::Generation generation;     // that is to come

  Bytes encode() const;
  static std::optional<RecoveryCall> decode(ByteView bytes);
  friend bool operator==(const RecoveryCall&, const RecoveryCall&) = default;
};

/// A member's word: the highest configuration that it has entered, and its promise. A member makes
/// one for each generation, and gives the same whenever it is asked again.
struct RecoveryStatement {
  static constexpr std::string_view kTag = "rosebud recovery statement 1";

  crypto::ClusterId cluster;
  wire::Generation generation;  // that is to come
  wire::NodeKey node;           // signs it
  wire::DirectoryId directory;
  wire::ConfigurationNumber entered;
  crypto::Digest header_hash;   // of the configuration that it has entered
  crypto::PublicKey epoch_key;  // fresh, for a seat of the recovered service
  crypto::Digest commitment;    // to its share of the draw after that

  Bytes encode() const;
  static std::optional<RecoveryStatement> decode(ByteView bytes);
  friend bool operator==(const RecoveryStatement&, const RecoveryStatement&) = default;
};

/// What a proposal is signed with by an authority: never what an epoch key signs.
inline constexpr std::string_view kRecoveryHeaderTag = "rosebud recovery header 1";

/// Of the members of a group, in whatever order.
GroupId group_id(const Configuration& configuration, std::span<const std::uint32_t> group);

/// R of the first epoch of a generation. Nobody is admitted there, so nobody's position depends on
/// it, and whoever proposes cannot choose it.
crypto::Digest recovery_randomness(const Configuration& parent, wire::Generation generation);

/// Digest of what is handed to a service; it stands in the header.
crypto::Digest service_state_digest(ByteView handed_over);

/// A statement for this generation and this parent whose signature and directory are right: by a
/// member of the parent, naming the parent or a configuration below.
std::optional<RecoveryStatement> checked_statement(const Configuration& parent,
                                                   wire::Generation generation,
                                                   const wire::SignedBytes& statement,
                                                   const crypto::SignatureScheme& scheme);

/// A group of the parent of which fewer than 2f+1 members have stated something.
struct LackingGroup {
  GroupId id;
  std::vector<std::uint32_t> members;  // indices of the parent
  std::size_t stated_count = 0;
  std::uint64_t share = 0;  // of the ring, in units of 2^-32
};
/// Ascending by id. `stated`: members of the parent with a statement.
std::vector<LackingGroup> lacking_groups(const Configuration& parent,
                                         const std::set<wire::NodeKey>& stated);

/// Whether `recovered` may follow `parent`, beside what its header and the signatures say. Errors:
/// kNotAsStated, kLossNotAccepted, kImpossible. `scheme` verifies every statement.
std::optional<DescriptionError> problem_of_recovery(const Configuration& parent,
                                                    const Configuration& recovered,
                                                    const crypto::SignatureScheme& scheme);

/// What a recovery shall be.
struct RecoveryPlan {
  wire::Generation generation;
  Timestamp start;
  Settings settings;                          // the parent's; F may be lower
  std::set<wire::NodeKey> given_up;           // they leave with this description
  std::vector<wire::NodeKey> seats;           // with statements; 2F+1 to 3F+1 of them
  std::vector<wire::SignedBytes> statements;  // checked ones, of different members
  std::vector<GroupId> losses;
  Bytes state;  // handed to the parent's service; empty: nothing was, or it is lost
};
/// The description without signatures. Nothing is checked but that every seat has a statement.
SignedDescription draft_recovery(const Configuration& parent, const RecoveryPlan& plan);

/// All that apply() checks but the signatures, and that it does not start more than the bound of
/// clocks after `now` (kClockBoundSeconds): what an authority looks at before it signs.
Result<std::shared_ptr<const Configuration>, DescriptionError> check_proposal(
    const Configuration& parent, const SignedDescription& proposal, Timestamp now,
    const crypto::SignatureScheme& scheme);

/// Whether enough organisations that `parent` lists have signed `recovery`, which names it as its
/// predecessor. Says nothing of where the parent comes from: a look at two descriptions, before
/// somebody verifies a chain that may be long.
bool is_signed_by_organisations_of(const SignedDescription& parent,
                                   const SignedDescription& recovery,
                                   const crypto::SignatureScheme& scheme);

/// An authority's signature of a proposal. Nothing: it has no say in the parent.
std::optional<SeatSignature> sign_recovery(const Configuration& parent, ByteView header,
                                           const crypto::SecretKey& authority,
                                           const crypto::SignatureScheme& scheme);

/// Signatures of a recovery that follows this configuration: more than two thirds of those that
/// have a say.
std::size_t authorities_needed(const Configuration& parent);

}  // namespace rosebud::membership
