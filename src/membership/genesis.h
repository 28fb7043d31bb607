// The genesis: the first configuration, signed by every organisation that it lists (design 3.1).
//
// Its SHA-256 is the cluster id, the only trust anchor that a client needs: who has the id can
// check everything else. The randomness R of epoch 1, which places the first nodes, comes from one
// value per organisation; each organisation signs a commitment to its value before any value is
// opened, so the last to open cannot choose.
#pragma once

#include "membership/configuration.h"

namespace rosebud::membership {

/// A member of the first configuration service and its signing key of epoch 1.
struct ServiceMember {
  std::uint32_t node = 0;
  crypto::PublicKey epoch_key;
  friend bool operator==(const ServiceMember&, const ServiceMember&) = default;
};

struct Genesis {
  static constexpr std::string_view kTag = "rosebud genesis 1";

  Timestamp start;
  Timestamp end;  // 0: epoch 1 has no end
  Settings settings;
  std::vector<Organisation> organisations;
  std::vector<crypto::Digest> reveals;  // one value per organisation
  std::vector<Node> nodes;              // their admission_randomness is the genesis's own
  std::vector<ServiceMember> service;

  /// SHA-256 over all reveals.
  crypto::Digest randomness() const;
  Bytes encode() const;
  static std::optional<Genesis> decode(ByteView bytes);
  friend bool operator==(const Genesis&, const Genesis&) = default;
};

/// What an organisation commits to before values are opened.
crypto::Digest commitment_of(const crypto::Digest& reveal);

/// A genesis as it is kept in files and handed around: the encoded genesis and one signature per
/// organisation, in order.
struct SignedGenesis {
  Bytes genesis;
  std::vector<crypto::Signature> signatures;

  crypto::ClusterId cluster() const;
  Bytes encode() const;
  static std::optional<SignedGenesis> decode(ByteView bytes);
};

inline constexpr std::size_t kGenesisSizeMax = 2U << 20;

/// Checks all signatures and the content. `expected`: the cluster id that the caller trusts, if it
/// has one.
Result<std::shared_ptr<const Configuration>, Explained> verify_genesis(
    const SignedGenesis& genesis, const std::optional<crypto::ClusterId>& expected,
    const crypto::SignatureScheme& scheme);

}  // namespace rosebud::membership
