#include "pbft/new_view_choice.h"

#include <map>

namespace rosebud::pbft {

NewViewChoice choose_new_view(std::span<const ViewChange> changes,
                              const crypto::Digest& null_digest) {
  NewViewChoice out;
  for (const ViewChange& change : changes) {
    if (change.stable && (!out.stable || change.stable->number > out.stable->number)) {
      out.stable = change.stable;
    }
  }
  const SequenceNumber first = out.first();
  std::map<SequenceNumber, const Certificate*> newest;
  for (const ViewChange& change : changes) {
    for (const Certificate& prepared : change.prepared) {
      if (prepared.number < first) continue;
      const Certificate*& known = newest[prepared.number];
      const bool is_better =
          !known || (is_planted(Bug::kNewViewTakesLowestView) ? prepared.view < known->view
                                                              : prepared.view > known->view);
      if (is_better) known = &prepared;
    }
  }
  if (newest.empty()) return out;
  const SequenceNumber last = newest.rbegin()->first;
  for (SequenceNumber n = first; n <= last; n = n.next()) {
    const auto at = newest.find(n);
    const bool is_prepared = at != newest.end() && !is_planted(Bug::kNewViewDropsPrepared);
    out.digests.push_back(is_prepared ? at->second->digest : null_digest);
  }
  return out;
}

}  // namespace rosebud::pbft
