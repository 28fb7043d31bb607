// The cluster of a simulation: its organisations with their keys, its genesis, and the statements
// that organisations sign.
#pragma once

#include "membership/description.h"
#include "membership/genesis.h"
#include "service/operations.h"

namespace rosebud::service::sim {

/// Of a simulation: made from a name, so that every run has the same.
crypto::SecretKey key_named(std::string_view name);
crypto::SecretKey secret_of_node(std::size_t n);
wire::NodeKey key_of_node(std::size_t n);

struct ClusterOptions {
  std::size_t organisations = 4;
  std::size_t nodes_of_each = 2;  // nodes of organisation i come behind those of i - 1
  membership::Settings settings{
      .has_leases = true, .epoch_seconds = 10, .service_term_seconds = 10};
};

class Cluster {
 public:
  /// The first 3F+1 seats go round the organisations. Requires: nodes for them, at most max(F, 1)
  /// of one organisation.
  explicit Cluster(const ClusterOptions& options);

  const std::shared_ptr<const membership::Configuration>& first() const { return first_; }
  std::size_t node_count() const { return options_.organisations * options_.nodes_of_each; }
  std::size_t organisation_count() const { return options_.organisations; }
  std::size_t organisation_of(std::size_t n) const { return n / options_.nodes_of_each; }
  /// Of epoch 1, by seat.
  const std::vector<crypto::SecretKey>& epoch_keys() const { return epoch_keys_; }

  /// What one organisation signs about one node.
  wire::AdmissionStatement statement(std::size_t n, std::size_t organisation) const;
  AdmitNode sign(const wire::AdmissionStatement& statement, std::size_t organisation) const;
  AdmitNode admission(std::size_t n, std::size_t organisation) const {
    return sign(statement(n, organisation), organisation);
  }
  RevokeNode revocation(std::size_t n, std::size_t organisation) const;
  RetireNode retirement(std::size_t n, std::size_t organisation, Timestamp not_before) const;
  EndEpoch end_request(wire::ConfigurationNumber number, std::size_t organisation) const;
  /// `organisation`: of the genesis, or one that may come later.
  static crypto::SecretKey authority(std::size_t organisation);
  static std::string name_of_organisation(std::size_t organisation);
  /// Valid for a day; `signers`: organisations, one twice where it stands there twice.
  Enact decree(const Decree::What& what, Timestamp now,
               const std::vector<std::size_t>& signers) const;

 private:
  membership::Node node(std::size_t n, const crypto::Digest& randomness) const;

  ClusterOptions options_;
  std::vector<crypto::SecretKey> authorities_;
  std::vector<crypto::SecretKey> epoch_keys_;
  std::shared_ptr<const membership::Configuration> first_;
};

}  // namespace rosebud::service::sim
