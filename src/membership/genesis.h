// The genesis: the first configuration, signed by every organisation that it lists (design 3.1).
//
// Its SHA-256 is the cluster id, the only trust anchor that a client needs: who has the id can
// check everything else. The randomness R of epoch 1, which places the first nodes, comes from one
// value per organisation. All commitments are handed around before any value is opened, so the last
// to open cannot choose; both stand in the genesis, and an organisation that signs it says that
// these are the commitments that it saw before it opened its own. Layout:
// docs/format/statements.md.
#pragma once

#include "membership/configuration.h"

namespace rosebud::membership {

struct Genesis {
  static constexpr std::string_view kTag = "rosebud genesis 1";

  Timestamp start;
  Timestamp end;  // 0: epoch 1 has no end
  Settings settings;
  std::vector<Organisation> organisations;
  std::vector<crypto::Digest> commitments;  // one per organisation: commitment_of(its reveal)
  std::vector<crypto::Digest> reveals;      // one value per organisation
  std::vector<Node> nodes;                  // their admission_randomness is the genesis's own
  std::vector<ServiceMember> service;

  /// SHA-256 over all reveals.
  crypto::Digest randomness() const;
  /// Requires: as many commitments and reveals as organisations.
  Bytes encode() const;
  static std::optional<Genesis> decode(ByteView bytes);
  friend bool operator==(const Genesis&, const Genesis&) = default;
};

/// What an organisation hands out before values are opened. It binds the authority, so that nobody
/// can pass another one's commitment on as his own and open it after him.
crypto::Digest commitment_of(const crypto::PublicKey& authority, const crypto::Digest& reveal);

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

/// Checks all signatures, the commitments and the content; every seat of a group must be fillable,
/// and the configuration service must have 2F+1 to 3F+1 members. `expected`: the cluster id that
/// the caller trusts, if it has one.
Result<std::shared_ptr<const Configuration>, Explained> verify_genesis(
    const SignedGenesis& genesis, const std::optional<crypto::ClusterId>& expected,
    const crypto::SignatureScheme& scheme);

}  // namespace rosebud::membership
