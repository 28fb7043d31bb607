#include "routing/table.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "routing/planted_bugs.h"

namespace rosebud::routing {

Table::Table(std::shared_ptr<const Roster> roster, std::shared_ptr<const Snapshot> base)
    : roster_(std::move(roster)), base_(std::move(base)), alive_(base_->alive_count()) {
  CHECK(base_->size() == roster_->size());
}

std::vector<Change>::const_iterator Table::find(PeerIndex peer) const {
  return std::ranges::lower_bound(delta_, peer, {}, &Change::peer);
}

PeerState Table::state(PeerIndex peer) const {
  const auto known = find(peer);
  return known != delta_.end() && known->peer == peer ? known->state : base_->state(peer);
}

std::optional<Address> Table::moved_to(PeerIndex peer) const {
  for (const std::vector<Moved>* list : {&moved_, &base_->moved()}) {
    const auto found = std::ranges::lower_bound(*list, peer, {}, &Moved::peer);
    if (found != list->end() && found->peer == peer) return found->address;
  }
  return std::nullopt;
}

Address Table::address(PeerIndex peer) const {
  return moved_to(peer).value_or(roster_->address(peer));
}

void Table::merge(std::span<const Change> changes, std::vector<Change>* news) {
  std::vector<Change> added;
  auto place = delta_.begin();
  for (const Change& one : changes) {
    place = std::lower_bound(place, delta_.end(), one.peer,
                             [](const Change& a, PeerIndex b) { return a.peer < b; });
    const bool is_in_delta = place != delta_.end() && place->peer == one.peer;
    const PeerState known = is_in_delta ? place->state : base_->state(one.peer);
    const bool is_news =
        is_planted(Bug::kIncarnationIgnored) ? one.state != known : one.state > known;
    if (!is_news) continue;
    if (is_in_delta) {
      place->state = one.state;
    } else {
      added.push_back(one);
    }
    alive_ += one.state.is_alive() ? 1 : 0;
    alive_ -= known.is_alive() ? 1 : 0;
    if (news) news->push_back(one);
  }
  if (added.empty()) return;
  // From behind, so that each entry moves once.
  auto from = delta_.size();
  auto left = added.size();
  delta_.resize(from + left);
  for (auto to = delta_.size(); left > 0;) {
    const bool is_old = from > 0 && delta_[from - 1].peer > added[left - 1].peer;
    delta_[--to] = is_old ? delta_[--from] : added[--left];
  }
}

bool Table::merge(const Change& change) {
  std::vector<Change> news;
  merge({&change, 1}, &news);
  return !news.empty();
}

void Table::move(const Moved& moved) {
  const auto place = std::ranges::lower_bound(moved_, moved.peer, {}, &Moved::peer);
  if (place != moved_.end() && place->peer == moved.peer) {
    place->address = moved.address;
  } else {
    moved_.insert(place, moved);
  }
}

std::optional<PeerIndex> Table::owner(Point key) const {
  const PeerIndex first = roster_->successor(key);
  if (is_alive(first)) return first;
  const auto next = next_alive(first);
  if (next && *next == first) return std::nullopt;
  return next;
}

std::optional<PeerIndex> Table::next_alive(PeerIndex peer) const {
  if (alive_ == 0) return std::nullopt;
  do {
    peer = PeerIndex(peer.value + 1 == size() ? 0 : peer.value + 1);
  } while (!is_alive(peer));
  return peer;
}

std::optional<PeerIndex> Table::previous_alive(PeerIndex peer) const {
  if (alive_ == 0) return std::nullopt;
  do {
    peer = PeerIndex(peer.value == 0 ? size() - 1 : peer.value - 1);
  } while (!is_alive(peer));
  return peer;
}

std::uint32_t Table::bucket_digest(std::uint32_t bucket) const {
  std::uint32_t out = base_->bucket_digest(bucket);
  const PeerIndex end(peers_of_bucket(bucket, size()).end);
  for (auto at = find(PeerIndex(bucket * kBucketPeers)); at != delta_.end() && at->peer < end;
       ++at) {
    out += digest_of(*at) - digest_of({at->peer, base_->state(at->peer)});
  }
  return out;
}

std::uint32_t Table::region_digest(std::uint32_t region) const {
  const IndexRange buckets = buckets_of_region(region, bucket_count(size()));
  std::uint32_t out = 0;
  for (std::uint32_t b = buckets.first; b < buckets.end; ++b) out += base_->bucket_digest(b);
  const PeerIndex end(buckets.end * kBucketPeers);
  for (auto at = find(PeerIndex(buckets.first * kBucketPeers));
       at != delta_.end() && at->peer < end; ++at) {
    out += digest_of(*at) - digest_of({at->peer, base_->state(at->peer)});
  }
  return out;
}

void Table::rebase(std::shared_ptr<const Snapshot> next, std::span<const PeerIndex> changed) {
  CHECK(next->size() == size());
  std::vector<Change> kept;
  kept.reserve(delta_.size());
  auto known = delta_.begin();
  const auto keep = [&](const Change& one) {
    if (next->state(one.peer) != one.state) kept.push_back(one);
  };
  for (const PeerIndex peer : changed) {
    for (; known != delta_.end() && known->peer < peer; ++known) keep(*known);
    const bool is_known = known != delta_.end() && known->peer == peer;
    keep(is_known ? *known++ : Change{peer, base_->state(peer)});
  }
  for (; known != delta_.end(); ++known) keep(*known);
  delta_ = std::move(kept);
  std::erase_if(moved_, [&](const Moved& one) {
    const auto there = std::ranges::lower_bound(next->moved(), one.peer, {}, &Moved::peer);
    return there != next->moved().end() && *there == one;
  });
  base_ = std::move(next);
}

std::size_t Table::memory_bytes() const {
  return delta_.capacity() * sizeof(Change) + moved_.capacity() * sizeof(Moved);
}

void Table::check_invariants() const {
  std::uint32_t alive = base_->alive_count();
  for (std::size_t i = 0; i < delta_.size(); ++i) {
    if (i > 0) CHECK(delta_[i - 1].peer < delta_[i].peer);
    alive += delta_[i].state.is_alive() ? 1 : 0;
    alive -= base_->state(delta_[i].peer).is_alive() ? 1 : 0;
  }
  CHECK(alive == alive_);
  for (std::size_t i = 1; i < moved_.size(); ++i) CHECK(moved_[i - 1].peer < moved_[i].peer);
}

}  // namespace rosebud::routing
