#include "membership/admission.h"

namespace rosebud::membership {

std::string_view text_of(AdmissionError error) {
  switch (error) {
    case AdmissionError::kMalformed:
      return "the admission statement is malformed";
    case AdmissionError::kOtherCluster:
      return "the admission statement is for another cluster";
    case AdmissionError::kUnknownOrganisation:
      return "no organisation of this cluster signed the admission";
    case AdmissionError::kRevokedOrganisation:
      return "the organisation that signed the admission was revoked";
    case AdmissionError::kBadSignature:
      return "the signature of the admission statement is wrong";
    case AdmissionError::kOtherKey:
      return "the admission statement is for another key";
    case AdmissionError::kOtherRole:
      return "the admission statement is for another role";
    case AdmissionError::kNotYetValid:
      return "the admission statement is not valid yet";
    case AdmissionError::kExpired:
      return "the admission statement has expired";
  }
  return "unknown";
}

Result<wire::AdmissionStatement, AdmissionError> check_admission(
    const Configuration& configuration, const wire::SignedBytes& bytes,
    const crypto::PublicKey& key, wire::Role role, Timestamp now,
    const crypto::SignatureScheme& scheme) {
  auto statement = wire::AdmissionStatement::decode(bytes.statement);
  if (!statement) return fail(AdmissionError::kMalformed);
  if (statement->cluster != configuration.cluster()) return fail(AdmissionError::kOtherCluster);
  if (!configuration.organisation_index(statement->organisation)) {
    return fail(AdmissionError::kUnknownOrganisation);
  }
  if (!configuration.has_say(statement->organisation)) {
    return fail(AdmissionError::kRevokedOrganisation);
  }
  if (!wire::is_signed_by<wire::AdmissionStatement>(scheme, statement->organisation, bytes)) {
    return fail(AdmissionError::kBadSignature);
  }
  if (statement->subject != key) return fail(AdmissionError::kOtherKey);
  if (statement->role != role) return fail(AdmissionError::kOtherRole);
  if (now < statement->not_before) return fail(AdmissionError::kNotYetValid);
  if (now >= statement->not_after) return fail(AdmissionError::kExpired);
  return std::move(*statement);
}

}  // namespace rosebud::membership
