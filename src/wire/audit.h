// Audits: one node asks another to show that it holds a block (design 6, decision 14).
#pragma once

#include "wire/object.h"

namespace rosebud::wire {

/// "The accused should hold this block, and does not show it": by one member of the block's group
/// about another.
struct Accusation {
  NodeKey accused;
  NodeKey accuser;
  ObjectId block;
  friend auto operator<=>(const Accusation&, const Accusation&) = default;
};

/// What became of asking.
enum class AuditOutcome : std::uint8_t {
  kProven = 0,    // the proof was right
  kWithheld = 1,  // several times there was no proof, though the accused is there
  kFalse = 2,     // the proof was wrong: no correct node gives one
};

/// Who asks and who is asked, with a challenge that was not known before: nothing can be computed
/// ahead of the question, and what another node answers proves nothing for this one.
struct AuditQuestion {
  crypto::ClusterId cluster;
  NodeKey asker;
  NodeKey prover;
  crypto::Digest challenge;
};
/// SHA-256(tag ‖ cluster ‖ asker ‖ prover ‖ challenge ‖ bytes). Reads the whole block.
crypto::Digest audit_proof(const AuditQuestion& question, ByteView bytes);

}  // namespace rosebud::wire
