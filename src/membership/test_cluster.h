// Four organisations with two nodes each: what the tests of this folder start from.
#pragma once

#include "membership/description.h"
#include "membership/genesis.h"

namespace rosebud::membership {

inline crypto::SecretKey test_key(std::string_view name) {
  const auto digest = crypto::tagged_hash("rosebud test key", as_bytes(name));
  return crypto::SecretKey::from_seed(*FixedBytes<32, struct crypto::SeedTag>::from(digest.view()));
}

struct TestCluster {
  explicit TestCluster(const crypto::SignatureScheme& with = crypto::model_scheme())
      : scheme(with) {
    for (std::uint32_t i = 0; i < 4; ++i) {
      const std::string name = "org" + std::to_string(i);
      authorities.push_back(test_key(name));
      genesis.organisations.push_back(
          {.name = name, .authority = authorities.back().public_key(), .quota_bytes = 1000});
      genesis.reveals.push_back(crypto::tagged_hash("rosebud test reveal", as_bytes(name)));
      genesis.commitments.push_back(
          commitment_of(authorities.back().public_key(), genesis.reveals.back()));
      for (std::uint32_t n = 2 * i; n < 2 * i + 2; ++n) genesis.nodes.push_back(node(n, i));
      epoch_keys.push_back({.seat = static_cast<std::uint16_t>(i), .key = test_key("1/" + name)});
      genesis.service.push_back(
          {.node = 2 * i, .epoch_key = epoch_keys.back().key.public_key(), .commitment = {}});
    }
    genesis.start = Timestamp(1000);
    for (Node& one : genesis.nodes) one.admission_randomness = genesis.randomness();
  }

  static Node node(std::uint32_t n, std::uint32_t organisation) {
    Node out{.name = "node" + std::to_string(n),
             .key = test_key("node" + std::to_string(n)).public_key(),
             .organisation = organisation,
             .address = "127.0.0.1:" + std::to_string(1000 + n),
             .capacity_bytes = 1 << 30,
             .position_count = 16};
    out.directory.bytes[0] = static_cast<std::uint8_t>(n);
    return out;
  }

  SignedGenesis sign() const {
    SignedGenesis out{.genesis = genesis.encode()};
    for (const auto& authority : authorities) {
      out.signatures.push_back(scheme.sign(authority, Genesis::kTag, out.genesis));
    }
    return out;
  }

  std::shared_ptr<const Configuration> first() const {
    return *verify_genesis(sign(), std::nullopt, scheme);
  }

  const crypto::SignatureScheme& scheme;
  Genesis genesis;
  std::vector<crypto::SecretKey> authorities;
  std::vector<SeatKey> epoch_keys;  // of epoch 1
};

}  // namespace rosebud::membership
