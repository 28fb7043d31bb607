// A configuration: who is a member in one epoch, under which settings, and so which nodes keep
// which keys (design 3, 4, 7).
//
// An immutable value, made only by verified signed bytes (genesis.h, description.h) or by tests,
// and shared by pointer.
#pragma once

#include <map>
#include <memory>

#include "routing/ring.h"
#include "wire/audit.h"
#include "wire/statement.h"

namespace rosebud::membership {

/// Fixed for the life of a configuration. All organisations sign the first ones with the genesis.
struct Settings {
  std::uint32_t faults = 1;          // f: faulty replicas that a group bears
  std::uint32_t cap = 1;             // most members of one organisation in a group
  std::uint32_t service_faults = 1;  // F: faulty members that the configuration service bears
  bool has_leases = false;  // whether a configuration must be backed by a lease (design 9.4)
  std::uint64_t epoch_seconds = 0;             // length of an epoch; 0: it has no end
  std::uint64_t service_term_seconds = 86400;  // how long a member keeps its seat (design 8.4)
  std::uint64_t evict_after_seconds = 21600;   // a node that does not answer is removed (8.2)
  std::uint32_t read_settle_ms = 100;          // how long mixed answers wait for the rest
  std::uint32_t hedge_ms = 50;                 // when a block is asked of one more replica
  std::uint64_t hold_seconds_max = 0;  // longest life of a hold; 0: as long as its admission
  std::uint64_t client_quota_floor_bytes = 64ULL << 20;

  friend bool operator==(const Settings&, const Settings&) = default;
};

struct Organisation {
  std::string name;
  crypto::PublicKey authority;
  std::uint64_t quota_bytes = 0;
  /// It has no say, no new nodes and no clients any more. It stays in the list, so that the holds
  /// of its clients can be verified until they expire (docs/adr/0012).
  bool is_revoked = false;

  friend bool operator==(const Organisation&, const Organisation&) = default;
};

struct Node {
  std::string name;
  wire::NodeKey key;
  std::uint32_t organisation = 0;  // index into organisations
  wire::DirectoryId directory;
  std::string address;  // "host:port", at most kAddressSizeMax characters
  std::uint64_t capacity_bytes = 0;
  std::uint32_t position_count = 1;     // 1 to kPositionsMax
  crypto::Digest admission_randomness;  // R of the epoch that admitted it (design 3.3)

  friend bool operator==(const Node&, const Node&) = default;
};

/// A seat of the configuration service in one epoch.
struct ServiceMember {
  std::uint32_t node = 0;       // index into nodes
  crypto::PublicKey epoch_key;  // fresh each epoch; signs the next description
  crypto::Digest commitment;    // to its share of the next randomness (design 8.3); zero: none yet

  friend bool operator==(const ServiceMember&, const ServiceMember&) = default;
};

/// Largest f and F that a configuration may have.
inline constexpr std::uint32_t kFaultsMax = 20;
inline constexpr std::uint32_t kPositionsMax = 64;
inline constexpr std::uint32_t kPositionsUsual = 16;
inline constexpr std::size_t kAddressSizeMax = wire::kAddressSizeMax;
inline constexpr std::size_t kOrganisationsMax = 256;
inline constexpr std::size_t kNodesMax = 4096;

/// The least number that is more than two thirds of `count`: of organisations, what they decide
/// together (design 3.4, 8.6).
constexpr std::size_t more_than_two_thirds(std::size_t count) { return 2 * count / 3 + 1; }

/// Positions by capacity: kPositionsUsual for a node of the median capacity, in proportion for
/// others, 1 to kPositionsMax. More positions mean a more even share; all members must compute the
/// same, so it is integer arithmetic.
std::uint32_t position_count_for(std::uint64_t capacity_bytes, std::uint64_t median_capacity_bytes);

/// SHA-256(tag ‖ key ‖ i ‖ R): nobody can choose where a node stands (design 3.3).
crypto::Digest position_of(const wire::NodeKey& key, std::uint32_t index,
                           const crypto::Digest& randomness);

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
  Buffer signed_description;           // the exact bytes that it was made from
  std::vector<ServiceMember> service;  // empty: no other configuration can follow
  crypto::Digest header_hash;          // what the next description names as its predecessor
  crypto::Digest service_state;        // of what the service begins with; zero: nothing (genesis)
  std::shared_ptr<const Recovery> recovery{};  // of the first of a generation above 0
};

/// What is wrong with them, for a person: they contradict each other or the bounds above, or the
/// cap leaves fewer than 2f+1 seats of a group to fill. Costs a few steps per node, without the
/// ring.
std::optional<Explained> problem_of(const ConfigurationParts& parts);

class Configuration {
 public:
  /// Returns what is wrong, for a person, when the parts contradict each other or the bounds above,
  /// or when the cap leaves fewer than 2f+1 seats of a group to fill, so that nothing could be
  /// written. Up to f exposed seats are allowed (design 4). An empty service is left to the caller.
  static Result<std::shared_ptr<const Configuration>, Explained> make(ConfigurationParts parts);

  const crypto::ClusterId& cluster() const { return parts_.cluster; }
  wire::ConfigurationNumber number() const { return parts_.number; }
  Timestamp start() const { return parts_.start; }
  Timestamp end() const { return parts_.end; }
  const crypto::Digest& randomness() const { return parts_.randomness; }
  const Settings& settings() const { return parts_.settings; }
  const std::vector<Organisation>& organisations() const { return parts_.organisations; }
  /// Whether it has an organisation with this authority, and that was not revoked.
  bool has_say(const crypto::PublicKey& authority) const;
  const std::vector<Node>& nodes() const { return parts_.nodes; }
  const Buffer& signed_description() const { return parts_.signed_description; }
  const routing::Ring& ring() const { return ring_; }

  std::size_t f() const { return parts_.settings.faults; }
  std::size_t quorum() const { return 2 * f() + 1; }
  std::size_t group_size() const { return 3 * f() + 1; }

  std::span<const std::uint32_t> group(const crypto::Digest& key) const { return ring_.group(key); }
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
  /// of all nodes add up to filled_seats() times 2^32 exactly.
  std::uint64_t own_share(std::uint32_t node) const { return shares_[node]; }

 private:
  explicit Configuration(ConfigurationParts parts);

  ConfigurationParts parts_;
  routing::Ring ring_;
  std::map<wire::NodeKey, std::uint32_t> node_of_;
  std::map<crypto::PublicKey, std::uint32_t> organisation_of_;
  std::vector<std::uint64_t> shares_;
  std::size_t filled_seats_ = 0;
};

/// Whether accuser and accused are two members of the group of the block: nobody else can know
/// whether it should be there (decision 14).
bool may_accuse(const Configuration& configuration, const wire::Accusation& accusation);

/// Whether the node is in both with the same directory: who lost that is another one (decision 6).
/// `after`: the nodes of a later epoch.
bool stays_as_it_is(const wire::NodeKey& node, const Configuration& before,
                    const std::vector<Node>& after);

}  // namespace rosebud::membership
