// From a sealed state to the next epoch's signed description (design 7, 8.3).
//
// Every member of the service computes the same header from the same state and signs it with its
// epoch key; whoever has 2F+1 signatures has the description.
#pragma once

#include "service/machine.h"

namespace rosebud::service {

/// What the next service begins with. Requires: sealed.
Carried handed_over(const Machine& machine);

/// The description without signatures. Requires: sealed.
membership::SignedDescription draft(const Machine& machine);

/// Collects signatures of one draft.
class SignatureShares {
 public:
  SignatureShares(const membership::Configuration& signers, membership::SignedDescription draft)
      : signers_(signers), description_(std::move(draft)) {}

  /// False when it is not valid, or known already.
  bool add(const membership::SeatSignature& share, const crypto::SignatureScheme& scheme);
  bool is_enough() const { return description_.signatures.size() >= signers_.service_quorum(); }
  const membership::SignedDescription& description() const { return description_; }

 private:
  const membership::Configuration& signers_;
  membership::SignedDescription description_;
};

}  // namespace rosebud::service
