// Merging what two replicas know of one object: the newest record, and per holder the hold that
// wins (design 5).
//
// merge() is a join: commutative, associative, idempotent on verified objects, so replicas that
// exchange what they have in any order end equal.
#pragma once

#include "objects/write_quorum.h"
#include "wire/object.h"

namespace rosebud::objects {

/// Takes into `into` what `from` knows better; both are the same object, already verified. Content
/// comes along where `into` has none or an older record. Returns true when anything changed. At
/// most kHoldsPerObjectMax holds are kept; further holders are left out.
bool merge(wire::StoredObject& into, const wire::StoredObject& from);

/// What adding one hold did.
enum class HoldChange : std::uint8_t { kAdded, kReplaced, kUnchanged, kTooMany };

/// Per holder the highest serial wins, then the greater statement hash.
HoldChange add_hold(wire::StoredObject& object, const wire::Hold& hold);

/// Require: a verified hold, as all of a stored object are.
Timestamp expiry_of(const wire::Hold& hold);
crypto::PublicKey holder_of(const wire::Hold& hold);

/// The hold of `holder`, or nothing.
const wire::Hold* find_hold(const wire::StoredObject& object, const crypto::PublicKey& holder);

}  // namespace rosebud::objects
