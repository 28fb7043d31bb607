// Evidence: two votes that no correct replica signs both. Anybody who knows the group can verify
// it, long after and off line.
#pragma once

#include "pbft/vote.h"

namespace rosebud::pbft {

struct Evidence {
  Vote first;
  Vote second;

  Bytes encode() const;
  static std::optional<Evidence> decode(ByteView bytes);
  friend bool operator==(const Evidence&, const Evidence&) = default;
};

/// True when the two contradict each other: one replica, kind and view, one number (of view
/// changes and new views the view alone says what they are for), and two digests.
bool is_contradiction(const Vote& a, const Vote& b);

/// A contradiction, and both signed.
bool is_valid(const Evidence& evidence, const Group& group, const crypto::SignatureScheme& scheme);

}  // namespace rosebud::pbft
