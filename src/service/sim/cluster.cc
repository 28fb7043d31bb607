#include "service/sim/cluster.h"

#include <algorithm>

#include "base/check.h"
#include "service/draw.h"

namespace rosebud::service::sim {
namespace {

std::string numbered(std::string_view name, std::size_t number) {
  return std::string(name) + std::to_string(number);
}

wire::DirectoryId directory_of(std::size_t n) {
  wire::DirectoryId out;
  out.bytes[0] = static_cast<std::uint8_t>(n);
  return out;
}

std::string address_of(std::size_t n) { return "127.0.0.1:" + std::to_string(1000 + n); }

}  // namespace

crypto::SecretKey key_named(std::string_view name) {
  const auto digest = crypto::tagged_hash("rosebud simulated key", as_bytes(name));
  return crypto::SecretKey::from_seed(*FixedBytes<32, struct crypto::SeedTag>::from(digest.view()));
}

crypto::SecretKey secret_of_node(std::size_t n) { return key_named(numbered("node", n)); }

wire::NodeKey key_of_node(std::size_t n) { return secret_of_node(n).public_key(); }

Cluster::Cluster(const ClusterOptions& options) : options_(options) {
  membership::Genesis genesis{.start = Timestamp(1000), .settings = options.settings};
  for (std::size_t i = 0; i < options.organisations; ++i) {
    const std::string name = name_of_organisation(i);
    authorities_.push_back(authority(i));
    const crypto::PublicKey key = authorities_.back().public_key();
    genesis.organisations.push_back({.name = name, .authority = key, .quota_bytes = 1000});
    genesis.reveals.push_back(crypto::tagged_hash("rosebud simulated reveal", as_bytes(name)));
    genesis.commitments.push_back(membership::commitment_of(key, genesis.reveals.back()));
  }
  const crypto::Digest randomness = genesis.randomness();
  for (std::size_t n = 0; n < node_count(); ++n) genesis.nodes.push_back(node(n, randomness));
  const std::size_t seats = 3 * std::size_t{options.settings.service_faults} + 1;
  for (std::size_t seat = 0; seat < seats; ++seat) {
    const std::size_t round = seat / options.organisations;
    CHECK(round < options.nodes_of_each);
    const std::size_t n = (seat % options.organisations) * options.nodes_of_each + round;
    epoch_keys_.push_back(key_named(numbered("epoch key of seat", seat)));
    genesis.service.push_back(
        {.node = static_cast<std::uint32_t>(n),
         .epoch_key = epoch_keys_.back().public_key(),
         .commitment = commitment_of(key_of_node(n), share_of(epoch_keys_.back()))});
  }
  membership::SignedGenesis whole{.genesis = genesis.encode()};
  for (const auto& one : authorities_) {
    whole.signatures.push_back(
        crypto::model_scheme().sign(one, membership::Genesis::kTag, whole.genesis));
  }
  const auto verified = membership::verify_genesis(whole, std::nullopt, crypto::model_scheme());
  CHECK(verified.has_value());
  first_ = *verified;
}

membership::Node Cluster::node(std::size_t n, const crypto::Digest& randomness) const {
  return {.name = numbered("node", n),
          .key = key_of_node(n),
          .organisation = static_cast<std::uint32_t>(organisation_of(n)),
          .directory = directory_of(n),
          .address = address_of(n),
          .capacity_bytes = 1 << 30,
          .position_count = 16,
          .admission_randomness = randomness};
}

wire::AdmissionStatement Cluster::statement(std::size_t n, std::size_t organisation) const {
  return {.cluster = first_->cluster(),
          .organisation = authority(organisation).public_key(),
          .subject = key_of_node(n),
          .role = wire::Role::kNode,
          .capacity_bytes = 1 << 30,
          .directory = directory_of(n),
          .not_before = Timestamp(1),
          .not_after = Timestamp(1'000'000),
          .name = numbered("node", n),
          .address = address_of(n)};
}

AdmitNode Cluster::sign(const wire::AdmissionStatement& statement, std::size_t organisation) const {
  return {wire::sign(crypto::model_scheme(), authority(organisation), statement)};
}

crypto::SecretKey Cluster::authority(std::size_t organisation) {
  return key_named(name_of_organisation(organisation));
}

std::string Cluster::name_of_organisation(std::size_t organisation) {
  return numbered("organisation", organisation);
}

RetireNode Cluster::retirement(std::size_t n, std::size_t organisation,
                               Timestamp not_before) const {
  return {wire::sign(crypto::model_scheme(), authority(organisation),
                     Retirement{.cluster = first_->cluster(),
                                .organisation = authority(organisation).public_key(),
                                .node = key_of_node(n),
                                .not_before = not_before})};
}

EndEpoch Cluster::end_request(wire::ConfigurationNumber number, std::size_t organisation) const {
  return {wire::sign(crypto::model_scheme(), authority(organisation),
                     EndRequest{.cluster = first_->cluster(),
                                .organisation = authority(organisation).public_key(),
                                .number = number})};
}

Enact Cluster::decree(const Decree::What& what, Timestamp now,
                      const std::vector<std::size_t>& signers) const {
  constexpr std::uint64_t kDay = 86400;
  const Decree decree{.cluster = first_->cluster(),
                      .not_before = now,
                      .not_after = Timestamp(now.value + kDay),
                      .what = what};
  SignedDecree out{.decree = decree.encode()};
  for (const std::size_t signer : signers) {
    const crypto::SecretKey key = authority(signer);
    out.signatures.push_back(
        {.authority = key.public_key(),
         .signature = crypto::model_scheme().sign(key, Decree::kTag, out.decree)});
  }
  std::ranges::sort(out.signatures, {}, &AuthoritySignature::authority);
  return {out};
}

RevokeNode Cluster::revocation(std::size_t n, std::size_t organisation) const {
  return {wire::sign(crypto::model_scheme(), authority(organisation),
                     Revocation{.cluster = first_->cluster(),
                                .organisation = authority(organisation).public_key(),
                                .node = key_of_node(n)})};
}

}  // namespace rosebud::service::sim
