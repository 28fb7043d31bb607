// What organisations decide together (design 3.4): which organisation comes, which goes, which node
// of somebody else, and other settings (design 7).
//
// A decree is a signed statement like any other, but by many: more than two thirds of the
// organisations that have a say in the configuration in force. It holds for a limited time, and the
// service remembers it as long: what was decided once is not done again when the same file is
// handed in again. Layout: docs/format/service.md.
#pragma once

#include <variant>

#include "membership/configuration.h"

namespace rosebud::service {

/// A new organisation, one that was revoked and is to come back, or another quota for one that is
/// there. A name belongs to its authority for ever.
struct AdmitOrganisation {
  std::string name;
  crypto::PublicKey authority;
  std::uint64_t quota_bytes = 0;
  friend bool operator==(const AdmitOrganisation&, const AdmitOrganisation&) = default;
};
/// Its nodes leave, its clients are refused, its signature counts no longer. Names stand in decrees
/// for those who sign on a machine that knows no configuration; a wrong one is refused.
struct RevokeOrganisation {
  std::string name;
  crypto::PublicKey authority;
  friend bool operator==(const RevokeOrganisation&, const RevokeOrganisation&) = default;
};
/// As its own organisation would revoke it.
struct RevokeAnyNode {
  std::string name;
  wire::NodeKey node;
  friend bool operator==(const RevokeAnyNode&, const RevokeAnyNode&) = default;
};

/// One of membership/changeable_settings.h, from the next epoch on.
struct ChangeSetting {
  std::string name;
  std::uint64_t value = 0;
  friend bool operator==(const ChangeSetting&, const ChangeSetting&) = default;
};

struct Decree {
  static constexpr std::string_view kTag = "rosebud decree 1";
  using What = std::variant<AdmitOrganisation, RevokeOrganisation, RevokeAnyNode, ChangeSetting>;

  crypto::ClusterId cluster;
  Timestamp not_before;
  Timestamp not_after;  // Invariant: not_before < not_after, at most kDecreeSecondsMax later.
  What what;

  Bytes encode() const;
  static std::optional<Decree> decode(ByteView bytes);
  friend bool operator==(const Decree&, const Decree&) = default;
};

/// Long enough to pass a file round all organisations.
inline constexpr std::uint64_t kDecreeSecondsMax = 31 * 86400;

struct AuthoritySignature {
  crypto::PublicKey authority;
  crypto::Signature signature;
  friend bool operator==(const AuthoritySignature&, const AuthoritySignature&) = default;
};

/// As it is passed around and handed in: the exact bytes that were signed.
struct SignedDecree {
  Bytes decree;
  std::vector<AuthoritySignature> signatures;  // ascending by authority, each at most once

  /// Signs it too, or again.
  void sign(const crypto::SecretKey& authority, const crypto::SignatureScheme& scheme);
  Bytes encode() const;
  static std::optional<SignedDecree> decode(ByteView bytes);
  friend bool operator==(const SignedDecree&, const SignedDecree&) = default;
};

void write(wire::Writer& out, const SignedDecree& decree);
SignedDecree read_signed_decree(wire::Reader& in);

/// What the service remembers it by: who signed is no matter.
crypto::Digest decree_hash(ByteView decree);

/// Organisations that have to sign: more than two thirds of those that have a say.
std::size_t signatures_needed(const membership::Configuration& configuration);

enum class DecreeError : std::uint8_t {
  kMalformed,
  kOtherCluster,
  kNotYetValid,
  kExpired,
  kNoSay,             // somebody signed who is no organisation of the configuration, or revoked
  kTooFewSignatures,  // nobody has looked at those that are there
  kBadSignature,
};
/// For a person.
std::string_view text_of(DecreeError error);

/// Whether it is decided. A single signature that does not count is an error, so that nobody makes
/// others verify what decides nothing.
Result<Decree, DecreeError> check_decree(const membership::Configuration& configuration,
                                         const SignedDecree& decree, Timestamp now,
                                         const crypto::SignatureScheme& scheme);

}  // namespace rosebud::service
