// Making organisations, nodes, clients and a genesis: keys and statements in files (design 3).
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "membership/genesis.h"
#include "wire/statement.h"

namespace rosebud::apps {

/// Statements are valid since so many seconds before they are made: clocks of machines differ by
/// minutes, not by an hour.
inline constexpr std::uint64_t kStatementsEarlier = 3600;

/// Since 1970, by this machine's clock.
std::uint64_t wall_seconds();

/// What an organisation keeps: its authority's key. Anyone with this file is the organisation.
crypto::SecretKey make_organisation(const std::filesystem::path& folder, const std::string& name);
/// The same key again; ends the program when the folder is no organisation's.
crypto::SecretKey authority_in(const std::filesystem::path& organisation);

/// What a node's operator hands to the organisation: everything public about it.
struct NodeRequest {
  std::string name;
  wire::NodeKey key;
  wire::DirectoryId directory;
  std::string address;
  std::uint64_t capacity_bytes = 0;
  /// For a seat in the first service. Zero: it made none, and gets no seat then.
  crypto::PublicKey epoch_key{};
  crypto::Digest commitment{};
};
/// Makes a node's keys and request in `folder`.
NodeRequest make_node(const std::filesystem::path& folder, const std::string& name,
                      const std::string& address, std::uint64_t capacity_bytes);
/// The request of a node whose disk was replaced: the same key, and a directory that is new.
NodeRequest renew_node(const std::filesystem::path& folder);
/// The text of that name in what was read from a file; empty: there is none.
std::string text_in(const nlohmann::json& json, const char* name);
NodeRequest read_node_request(const std::filesystem::path& file);

/// Writes the epochs that a node of the cluster gives into a new node's data directory: the nodes
/// of the genesis, which it returns, may all be gone. `key` and `admission`: of the new node.
membership::SignedGenesis fetch_into(const std::filesystem::path& data, const std::string& at,
                                     const crypto::SecretKey& key,
                                     const wire::SignedBytes& admission, Duration timeout);

struct OrganisationPlan {
  std::string name;
  crypto::SecretKey authority;
  std::uint64_t quota_bytes = 0;
  std::vector<NodeRequest> nodes;
};
/// Builds, signs and returns a genesis. Ends the program with an explanation when the plan cannot
/// work.
membership::SignedGenesis make_genesis(const std::vector<OrganisationPlan>& plan,
                                       const membership::Settings& settings);

/// The statement that admits a client, signed by an organisation.
wire::SignedBytes admit_client(const crypto::SecretKey& authority, const crypto::ClusterId& cluster,
                               const crypto::PublicKey& subject, const std::string& name,
                               std::uint64_t capacity_bytes, std::uint64_t days);
/// A node, as it asked.
wire::SignedBytes admit_node(const crypto::SecretKey& authority, const crypto::ClusterId& cluster,
                             const NodeRequest& node, std::uint64_t days);

/// Where a client's notes are, in its folder.
inline constexpr std::string_view kClientState = "client-state";

/// A folder with which a client finds its cluster: rosebud.toml, key, admission.
void write_client_folder(const std::filesystem::path& folder,
                         const membership::SignedGenesis& genesis,
                         const std::filesystem::path& genesis_file,
                         const wire::SignedBytes& admission, const std::filesystem::path& key_file,
                         const std::filesystem::path& development);

}  // namespace rosebud::apps
