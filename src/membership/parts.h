// What a configuration is made of: settings, organisations, nodes and seats (design 3, 4, 8). Plain
// values; how they are laid out is in docs/format/statements.md.
#pragma once

#include <string>

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
/// Nodes of a configuration; 100,000 were measured (bench/README.md).
inline constexpr std::size_t kNodesMax = 131'072;
/// Nodes that a genesis lists: a cluster begins with so many at most, and grows.
inline constexpr std::size_t kGenesisNodesMax = 4096;

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
/// All of a node, in the order of their numbers.
std::vector<crypto::Digest> positions_of(const Node& node);

}  // namespace rosebud::membership
