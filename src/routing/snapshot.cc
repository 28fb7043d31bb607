#include "routing/snapshot.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace rosebud::routing {

Snapshot::Snapshot(std::vector<PeerState> states, std::vector<Moved> moved)
    : states_(std::move(states)), moved_(std::move(moved)) {
  digests_.assign(bucket_count(size()), 0);
  for (std::uint32_t i = 0; i < size(); ++i) {
    digests_[i / kBucketPeers] += digest_of({PeerIndex(i), states_[i]});
    if (states_[i].is_alive()) ++alive_;
  }
}

std::shared_ptr<const Snapshot> Snapshot::with(std::span<const Change> changes,
                                               std::span<const Moved> moved) const {
  auto next = std::make_shared<Snapshot>(*this);
  for (const Change& one : changes) {
    PeerState& state = next->states_[one.peer.value];
    next->digests_[bucket_of(one.peer)] += digest_of(one) - digest_of({one.peer, state});
    next->alive_ -= state.is_alive() ? 1 : 0;
    next->alive_ += one.state.is_alive() ? 1 : 0;
    state = one.state;
  }
  for (const Moved& one : moved) {
    const auto place = std::ranges::lower_bound(next->moved_, one.peer, {}, &Moved::peer);
    if (place != next->moved_.end() && place->peer == one.peer) {
      place->address = one.address;
    } else {
      next->moved_.insert(place, one);
    }
  }
  return next;
}

std::size_t Snapshot::memory_bytes() const {
  return states_.capacity() * sizeof(PeerState) + moved_.capacity() * sizeof(Moved) +
         digests_.capacity() * sizeof(std::uint32_t);
}

}  // namespace rosebud::routing
