// A configuration: who is a member in one epoch, under which settings, and so which nodes keep
// which keys (design 3, 4, 7).
//
// An immutable value, made only by verified signed bytes (genesis.h, description.h) or by tests,
// and shared by pointer. One that is made as a successor shares with the one before what did not
// change: nodes, what finds them, positions, and the Merkle tree. Nothing can be told from how it
// was made but the time that it took.
#pragma once

#include <map>
#include <memory>

#include "membership/members.h"
#include "membership/merkle_tree.h"
#include "routing/ring.h"
#include "wire/audit.h"

namespace rosebud::membership {

struct Recovery;  // description.h

/// What a Configuration is made of.
struct ConfigurationParts {
  crypto::ClusterId cluster;
  wire::ConfigurationNumber number;
  Timestamp start;
  Timestamp end;  // 0: none
  crypto::Digest randomness;
  Settings settings;
  std::vector<Organisation> organisations;
  std::vector<Node> nodes;
  /// The exact bytes that made it of the one before; empty: it was made of a full list
  /// (full_members.h).
  Buffer signed_description;
  std::vector<ServiceMember> service;  // empty: no other configuration can follow
  crypto::Digest header_hash;          // what the next description names as its predecessor
  crypto::Digest service_state;        // of what the service begins with; zero: nothing (genesis)
  std::shared_ptr<const Recovery> recovery{};  // of the first of a generation above 0
};

/// What is wrong with them, for a person: they contradict each other or the bounds of parts.h, or
/// the cap leaves fewer than 2f+1 seats of a group to fill. Costs a few steps per node, without the
/// ring.
std::optional<Explained> problem_of(const ConfigurationParts& parts);

class Configuration;
/// The same of the nodes of `before` with others at some places: what did not change is not looked
/// at again. Requires: `parts` has no nodes.
std::optional<Explained> problem_of(const ConfigurationParts& parts, const Configuration& before,
                                    const PlacedNodes& change);

class Configuration {
 public:
  /// Returns what is wrong, for a person, when the parts contradict each other or the bounds above,
  /// or when the cap leaves fewer than 2f+1 seats of a group to fill, so that nothing could be
  /// written. Up to f exposed seats are allowed (design 4). An empty service is left to the caller.
  static Result<std::shared_ptr<const Configuration>, Explained> make(ConfigurationParts parts);

  /// The same of the nodes of `before` with others at some places. Costs in proportion to what has
  /// changed, and a little for each node, whose lists are copied (bench/README.md); a change of how
  /// many organisations there are makes it hash all leaves again. Requires: `parts` has no nodes.
  static Result<std::shared_ptr<const Configuration>, Explained> make(ConfigurationParts parts,
                                                                      const Configuration& before,
                                                                      const PlacedNodes& change);

  const crypto::ClusterId& cluster() const { return parts_.cluster; }
  wire::ConfigurationNumber number() const { return parts_.number; }
  Timestamp start() const { return parts_.start; }
  Timestamp end() const { return parts_.end; }
  const crypto::Digest& randomness() const { return parts_.randomness; }
  const Settings& settings() const { return parts_.settings; }
  const std::vector<Organisation>& organisations() const { return parts_.organisations; }
  /// Whether it has an organisation with this authority, and that was not revoked.
  bool has_say(const crypto::PublicKey& authority) const;
  const SharedVector<Node>& nodes() const { return members_.nodes(); }
  /// How many each organisation has, by its index; as far as the last that has one.
  const std::vector<std::uint32_t>& nodes_of() const { return members_.nodes_of(); }
  /// Merkle root over settings, organisations and nodes, each with its place.
  const crypto::Digest& root() const { return tree_.root(); }
  const MerkleTree& tree() const { return tree_; }
  /// The root with others at some places, and with the settings and organisations of `parts`.
  crypto::Digest root_after(const ConfigurationParts& parts, const PlacedNodes& change) const;
  const Buffer& signed_description() const { return parts_.signed_description; }
  const routing::Ring& ring() const { return ring_; }

  std::size_t f() const { return parts_.settings.faults; }
  std::size_t quorum() const { return 2 * f() + 1; }
  std::size_t group_size() const { return 3 * f() + 1; }

  std::vector<std::uint32_t> group(const crypto::Digest& key) const { return ring_.group(key); }
  /// The arcs in whose groups the node is, in order. Costs as these arcs.
  std::vector<routing::Arc> arcs_of(std::uint32_t node) const;
  /// Whether the node keeps this key.
  bool is_in_group(const wire::NodeKey& node, const crypto::Digest& key) const;
  const std::vector<ServiceMember>& service() const { return parts_.service; }
  /// Signatures of members of this service that make the next configuration: 2F+1.
  std::size_t service_quorum() const { return 2 * std::size_t{parts_.settings.service_faults} + 1; }
  const crypto::Digest& header_hash() const { return parts_.header_hash; }
  /// Digest of what the service of the epoch before handed over; zero: nothing was.
  const crypto::Digest& service_state() const { return parts_.service_state; }

  /// What led to its generation; nothing: its generation is that of the epoch before.
  const std::shared_ptr<const Recovery>& recovery() const { return parts_.recovery; }

  /// Members that the group of a key has under the cap: group_size() unless seats are exposed.
  std::size_t filled_seats() const { return filled_seats_; }
  std::optional<std::uint32_t> node_index(const wire::NodeKey& key) const;
  std::optional<std::uint32_t> organisation_index(const crypto::PublicKey& authority) const;
  /// Part of the ring in whose groups the node is, in units of 2^-32; 2^32 is all of it. The shares
  /// of all nodes add up to filled_seats() times 2^32 exactly. Costs as arcs_of().
  std::uint64_t own_share(std::uint32_t node) const;
  /// Of all nodes, in their order: a walk over the whole ring.
  std::vector<std::uint64_t> own_shares() const;

 private:
  friend std::optional<Explained> problem_of(const ConfigurationParts&, const Configuration&,
                                             const PlacedNodes&);
  Configuration(ConfigurationParts parts, Members members, routing::Ring ring, MerkleTree tree);
  MerkleTree tree_after(const ConfigurationParts& parts, const PlacedNodes& change,
                        const SharedVector<Node>& nodes) const;

  ConfigurationParts parts_;  // without the nodes
  Members members_;
  routing::Ring ring_;
  MerkleTree tree_;
  std::map<crypto::PublicKey, std::uint32_t> organisation_of_;
  std::size_t filled_seats_ = 0;
};

/// Whether accuser and accused are two members of the group of the block: nobody else can know
/// whether it should be there (decision 14).
bool may_accuse(const Configuration& configuration, const wire::Accusation& accusation);

/// Whether the node is in both with the same directory: who lost that is another one (decision 6).
bool stays_as_it_is(const wire::NodeKey& node, const Configuration& before,
                    const Configuration& after);

}  // namespace rosebud::membership
