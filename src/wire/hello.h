// The first frame in each direction of a connection: who asks, for which cluster, and whether it is
// let in.
//
// TLS has proven a key; the hello says in which role it is used. Canonical encoding
// (docs/format/wire.md). A refusal names its reason, so that a wrong key, an expired statement and
// another cluster can be told apart.
#pragma once

#include "wire/statement.h"

namespace rosebud::wire {

/// Versions of the protocol that this program speaks. N and N-1 talk to each other.
inline constexpr std::uint16_t kProtocolVersion = 1;
inline constexpr std::uint16_t kProtocolVersionMin = 1;

/// From the side that connects.
struct Hello {
  std::uint16_t version_min = kProtocolVersionMin;
  std::uint16_t version = kProtocolVersion;
  crypto::ClusterId cluster;
  ConfigurationNumber configuration;
  Role role = Role::kClient;
  SignedBytes admission;  // a client's; empty for a node, which the configuration names

  Bytes encode() const;
  static std::optional<Hello> decode(ByteView bytes);
};

enum class HelloVerdict : std::uint8_t {
  kWelcome = 0,
  kOtherCluster = 1,
  kOtherVersion = 2,
  kUnknownNode = 3,         // the configuration knows no node with this key
  kAdmissionMalformed = 4,  // and the rest: why a client's statement is not good
  kAdmissionOtherCluster = 5,
  kAdmissionUnknownOrganisation = 6,
  kAdmissionBadSignature = 7,
  kAdmissionOtherKey = 8,
  kAdmissionOtherRole = 9,
  kAdmissionNotYetValid = 10,
  kAdmissionExpired = 11,
  kAdmissionRevokedOrganisation = 12,
};
/// For a person.
std::string_view text_of(HelloVerdict verdict);

/// From the side that listens.
struct HelloAnswer {
  HelloVerdict verdict = HelloVerdict::kWelcome;
  std::uint16_t version = kProtocolVersion;
  crypto::ClusterId cluster;
  ConfigurationNumber configuration;

  Bytes encode() const;
  static std::optional<HelloAnswer> decode(ByteView bytes);
};

}  // namespace rosebud::wire
