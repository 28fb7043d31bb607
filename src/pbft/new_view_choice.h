// What a new view begins with: the choice that the new primary makes and every backup repeats.
//
// A pure function of 2F+1 view changes [CL99 §4.4]. min-s is the newest stable checkpoint among
// them, max-s the highest number that any of them shows as prepared. Every number between gets the
// digest prepared in the newest view, or null where none was prepared.
//
// Why that is safe: suppose (v, n, d) was committed at a correct replica. Then 2F+1 replicas voted
// commit, F+1 correct ones among them, and each of those had a certificate of prepared durable. Of
// any 2F+1 view changes one comes from them, and shows it unless its stable checkpoint has passed
// n. A certificate for n of a later view names d too, since that view began by the same rule.
#pragma once

#include <span>

#include "pbft/messages.h"

namespace rosebud::pbft {

struct NewViewChoice {
  /// The proof of min-s; nothing: no checkpoint yet, min-s is 0.
  std::optional<Certificate> stable;
  /// For min-s + 1 and so on to max-s: the digest to propose.
  std::vector<crypto::Digest> digests;

  SequenceNumber first() const { return stable ? stable->number.next() : SequenceNumber(1); }
  friend bool operator==(const NewViewChoice&, const NewViewChoice&) = default;
};

/// Requires: `changes` are verified. `null_digest` is the null batch's.
NewViewChoice choose_new_view(std::span<const ViewChange> changes,
                              const crypto::Digest& null_digest);

}  // namespace rosebud::pbft
