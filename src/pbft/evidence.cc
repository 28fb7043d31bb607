#include "pbft/evidence.h"

namespace rosebud::pbft {

Bytes Evidence::encode() const {
  wire::Writer out;
  write(out, first);
  write(out, second);
  return out.take();
}

std::optional<Evidence> Evidence::decode(ByteView bytes) {
  wire::Reader in(bytes);
  Evidence out{.first = read_vote(in), .second = read_vote(in)};
  if (!in.done()) return std::nullopt;
  return out;
}

bool is_contradiction(const Vote& a, const Vote& b) {
  if (a.replica != b.replica || a.kind != b.kind || a.view != b.view || a.digest == b.digest) {
    return false;
  }
  const bool is_by_view = a.kind == VoteKind::kViewChange || a.kind == VoteKind::kNewView;
  return is_by_view || a.number == b.number;
}

bool is_valid(const Evidence& evidence, const Group& group, const crypto::SignatureScheme& scheme) {
  return is_contradiction(evidence.first, evidence.second) &&
         is_valid(evidence.first, group, scheme) && is_valid(evidence.second, group, scheme);
}

}  // namespace rosebud::pbft
