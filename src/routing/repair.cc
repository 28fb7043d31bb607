// Repair: a keep-alive carries the digest of one region of the table now and then, each time a
// different one. Neighbours that differ compare the region's buckets, then exchange those that
// differ.
//
// Two neighbours of one slice compare only when no batch has come for a moment: what is on its way
// to one of them makes no difference then; a region that differed before is remembered until then,
// for its turn comes again in two minutes only. Neighbours of two slices always do, so what a whole
// slice has missed gets in at its ends; once in `kCompareEvery` at most.
//
// Whoever has learned something so speaks of that region in its next keep-alive: a gap in a row of
// peers closes by one peer a second or two.
//
// Who is alive is believed; a death is pinged first (neighbours.cc).
#include <algorithm>
#include <utility>

#include "routing/peer.h"
#include "routing/planted_bugs.h"

namespace rosebud::routing {
namespace {

constexpr Duration kCompareEvery = std::chrono::seconds(10);

/// From the first peer of a slice that has a batch to nearly the last.
constexpr Duration kSettled = std::chrono::seconds(1);

/// Bits of a States datagram besides the states and addresses: kind, token, lengths.
constexpr std::size_t kStatesHeadBits = 8 + 16 + 2 + 36 + 36 + 5 + 36 + 8;
constexpr std::size_t kBucketBits = 36;  // at most, for its number
constexpr std::size_t kAddressBits = 36 + 1 + 128 + 16;

}  // namespace

States Peer::states_of(std::span<const std::uint32_t> buckets, States::Purpose purpose) const {
  States out{.token = {}, .purpose = purpose, .next = 0, .buckets = {}, .states = {}, .moved = {}};
  std::uint32_t all = 1;
  for (const std::uint32_t bucket : buckets) {
    if (out.buckets.size() == kBucketsMax) break;
    const IndexRange peers = peers_of_bucket(bucket, table_.size());
    std::vector<PeerState> states;
    std::vector<Moved> moved;
    std::uint32_t all_here = all;
    for (std::uint32_t i = peers.first; i < peers.end; ++i) {
      states.push_back(table_.state(PeerIndex(i)));
      all_here |= states.back().rank;
      if (const auto at = table_.moved_to(PeerIndex(i))) moved.push_back({PeerIndex(i), *at});
    }
    const auto width = static_cast<std::size_t>(std::bit_width(all_here));
    const std::size_t size = kStatesHeadBits + (out.buckets.size() + 1) * kBucketBits +
                             (out.states.size() + states.size()) * width +
                             (out.moved.size() + moved.size()) * kAddressBits;
    if (size > kPayloadMax * 8) break;
    all = all_here;
    out.buckets.push_back(bucket);
    out.states.insert(out.states.end(), states.begin(), states.end());
    out.moved.insert(out.moved.end(), moved.begin(), moved.end());
    out.next = bucket + 1;
  }
  return out;
}

void Peer::compare(Now now, PeerIndex from, const KeepAlive& m, Effects& out) {
  if (is_planted(Bug::kTablesNotCompared)) return;
  const auto differs = [&](const RegionDigest& one) {
    return one.digest != (table_.region_digest(one.region) & kDigestMask);
  };
  if (m.compared && differs(*m.compared)) doubted_ = m.compared;
  if (!doubted_ || now.time < compare_at_) return;
  const bool is_same_slice = slices().slice_of(from) == own_slice();
  if (is_same_slice && (now.time < last_batch_ + kSettled || !missed_.empty())) return;
  const RegionDigest doubted = *std::exchange(doubted_, std::nullopt);
  if (!differs(doubted)) return;  // that was on its way
  const std::uint32_t number = doubted.region;
  const IndexRange region = buckets_of_region(number, bucket_count(table_.size()));
  compare_at_ = now.time + kCompareEvery;
  // A large region in pieces, one at a time.
  const std::uint32_t pieces = (region.size() + kBucketsMax - 1) / kBucketsMax;
  const std::uint32_t first =
      region.first + beats_ / (kRegions * settings().beats_of_digest) % pieces * kBucketsMax;
  const std::uint32_t end = std::min(region.end, first + kBucketsMax);
  Digests question{.first = first, .digests = {}};
  for (std::uint32_t b = first; b < end; ++b) {
    question.digests.push_back(static_cast<std::uint16_t>(table_.bucket_digest(b)));
  }
  out.send(from, question);
}

void Peer::on(Now, PeerIndex from, const Digests& m, Effects& out) {
  std::vector<std::uint32_t> differ;
  for (std::uint32_t i = 0; i < m.digests.size(); ++i) {
    const auto own = static_cast<std::uint16_t>(table_.bucket_digest(m.first + i));
    if (own != m.digests[i]) differ.push_back(m.first + i);
  }
  if (differ.empty()) return;
  const States answer = states_of(differ, States::Purpose::kCompared);
  if (!answer.buckets.empty()) out.send(from, answer);
}

void Peer::take_compared(Now now, PeerIndex from, const States& m, Effects& out) {
  std::vector<std::uint32_t> newer_here;
  std::size_t place = 0;
  for (const std::uint32_t bucket : m.buckets) {
    bool is_newer_here = false;
    bool is_news = false;
    const IndexRange peers = peers_of_bucket(bucket, table_.size());
    for (std::uint32_t i = peers.first; i < peers.end; ++i) {
      const Change said{PeerIndex(i), m.states[place++]};
      const PeerState known = table_.state(said.peer);
      is_newer_here |= known > said.state;
      if (said.state <= known) continue;
      is_news = true;
      if (!is_plausible(said)) {
        reject();
      } else if (said.peer == self_) {
        on_own_state(now, said.state, out);
      } else if (said.state.is_alive() || !known.is_alive()) {
        const auto moved = std::ranges::lower_bound(m.moved, said.peer, {}, &Moved::peer);
        const bool has_moved = moved != m.moved.end() && moved->peer == said.peer;
        learn_one(now, {said, has_moved ? std::optional(moved->address) : std::nullopt}, out);
      } else {
        probe(now, {{said.peer, PeerState{said.state.rank - 1}}, std::nullopt, {}, 0, now.time},
              out);
      }
    }
    if (is_newer_here) newer_here.push_back(bucket);
    if (is_news) repaired_region_ = region_of(bucket, bucket_count(table_.size()));
  }
  if (m.purpose != States::Purpose::kCompared || newer_here.empty()) return;
  out.send(from, states_of(newer_here, States::Purpose::kReturned));
}

}  // namespace rosebud::routing
