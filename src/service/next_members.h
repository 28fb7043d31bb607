// Who is in the next epoch: admissions, revocations, retirements and evictions, and decrees about
// organisations, decided from what the group agreed on (design 3.4, 8.2). A pure function.
#pragma once

#include <map>
#include <set>

#include "membership/description.h"
#include "service/decree.h"

namespace rosebud::service {

/// A node as this organisation's: nobody's word counts for what is another's.
struct OwnedNode {
  crypto::PublicKey organisation;  // its authority
  wire::NodeKey node;
  friend auto operator<=>(const OwnedNode&, const OwnedNode&) = default;
};

struct Wishes {
  /// Statements that were verified when they were handed in, in the order in which they came.
  std::vector<wire::SignedBytes> admissions;
  std::set<OwnedNode> revoked;
  /// Since when (seconds): a later admission brings the node back, an older one does not.
  std::map<OwnedNode, std::uint64_t> retired_s;
  /// Members that do not answer, and since when, in milliseconds of agreed time.
  std::map<wire::NodeKey, std::uint64_t> inactive_since_ms;
  /// Members that do not show what they should hold, as 2F+1 of the service have checked, and since
  /// when, in milliseconds of agreed time (complaints.h). A person decides what follows: a correct
  /// member may have no room (decision 14).
  std::map<wire::NodeKey, std::uint64_t> withholding_since_ms;
  /// Members that gave 2F+1 of the service a wrong proof, and since when; it is not taken back.
  std::map<wire::NodeKey, std::uint64_t> false_since_ms;
  /// By decree; an authority stands in one of them at most.
  std::map<crypto::PublicKey, AdmitOrganisation> organisations_admitted;
  std::set<crypto::PublicKey> organisations_revoked;
  /// By decree: names of membership/changeable_settings.h.
  std::map<std::string, std::uint64_t> settings;
};

struct NextMembers {
  /// Of new ones the admission randomness is not known yet. They fit one description.
  membership::NodeChanges nodes;
  /// Who has an index keeps it.
  std::vector<membership::Organisation> organisations;
};

/// Revoked nodes, and those of revoked organisations, go at once, or as soon as the groups can be
/// filled to 2f+1 without them, and the service to 2F+1 of those that answer. A node that has been
/// inactive for `evict_after_seconds` goes, the longest due first, and one that gave wrong proofs,
/// unless it comes back with another directory in this epoch, and one that is retired, but never
/// more than f such of one group in one epoch, and never so that a group could not be filled to
/// 2f+1.
/// Admissions that have become invalid, or that contradict what is there (a name, an address, a
/// directory id of somebody else), are passed over. Who is more than one description can say waits
/// for the next. Costs in proportion to the changes, and a look or two at each node.
NextMembers next_members(const membership::Configuration& current, const Wishes& wishes,
                         std::uint64_t now_ms);

/// Settings of the next epoch.
membership::Settings next_settings(const membership::Configuration& current, const Wishes& wishes);

/// What is left of `wishes` when these members are in.
Wishes left_over(const membership::Configuration& current, const Wishes& wishes,
                 const membership::DescriptionBody& next, std::uint64_t now_ms);

/// Whether a member's own organisation has revoked it, or was revoked, or will be.
bool is_revoked(const membership::Configuration& current, const Wishes& wishes,
                const membership::Node& node);

/// Whether a member gave wrong proofs, and is in `next` with the same directory: what an old one
/// did says nothing of another.
bool is_convicted(const membership::Configuration& current, const Wishes& wishes,
                  const wire::NodeKey& node, const membership::NodeChanges& next);
bool is_convicted(const membership::Configuration& current, const Wishes& wishes,
                  const wire::NodeKey& node, const membership::Configuration& next);

/// Whether the node is in with the directory and the address that its statement names; null: it is
/// not in.
bool is_in_as_stated(const wire::AdmissionStatement& statement, const membership::Node* node);
bool is_in_as_stated(const wire::AdmissionStatement& statement,
                     const membership::Configuration& in);

/// A reason to end an epoch early: true when the next epoch, begun now, would be without a node
/// that was revoked or evicted, or an organisation would be revoked.
bool is_there_a_reason(const membership::Configuration& current, const Wishes& wishes,
                       std::uint64_t now_ms);

}  // namespace rosebud::service
