#include "wire/audit.h"

namespace rosebud::wire {

crypto::Digest audit_proof(const AuditQuestion& question, ByteView bytes) {
  return crypto::Hasher("rosebud audit proof 1")
      .update(question.cluster.view())
      .update(question.asker.view())
      .update(question.prover.view())
      .update(question.challenge.view())
      .update(bytes)
      .finish();
}

}  // namespace rosebud::wire
