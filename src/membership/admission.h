// Whether a statement admits a client under a configuration, and why not (design 3.2).
#pragma once

#include "membership/configuration.h"

namespace rosebud::membership {

enum class AdmissionError : std::uint8_t {
  kMalformed,
  kOtherCluster,
  kUnknownOrganisation,
  kRevokedOrganisation,
  kBadSignature,
  kOtherKey,  // the statement admits another key than the one that was proven
  kOtherRole,
  kNotYetValid,
  kExpired,
};
/// For a person who was refused.
std::string_view text_of(AdmissionError error);

/// `key` is what the connection proved. `now` is wall time.
Result<wire::AdmissionStatement, AdmissionError> check_admission(
    const Configuration& configuration, const wire::SignedBytes& statement,
    const crypto::PublicKey& key, wire::Role role, Timestamp now,
    const crypto::SignatureScheme& scheme);

}  // namespace rosebud::membership
