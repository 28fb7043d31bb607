// What every peer of a roster was at one moment: the immutable base of a table, shared by whoever
// agrees on it. Digests of its parts are kept beside it, so that a table's digest costs what it
// differs from its base.
//
//   bucket   32 peers next to each other in the roster: what is compared and sent in one piece
//   region   a 32nd of the buckets, at least one: what one keep-alive speaks of
#pragma once

#include <memory>

#include "routing/roster.h"

namespace rosebud::routing {

inline constexpr std::uint32_t kBucketPeers = 32;
inline constexpr std::uint32_t kRegions = 32;

/// What one peer adds to the digest of its bucket. Sums of these compare sets.
inline std::uint32_t digest_of(const Change& one) {
  return static_cast<std::uint32_t>(mix(one.peer.value, one.state.rank) >> 32);
}

constexpr std::uint32_t bucket_count(std::uint32_t peers) {
  return (peers + kBucketPeers - 1) / kBucketPeers;
}
constexpr std::uint32_t bucket_of(PeerIndex peer) { return peer.value / kBucketPeers; }
/// The peers of a bucket, of a roster of so many.
constexpr IndexRange peers_of_bucket(std::uint32_t bucket, std::uint32_t peers) {
  const std::uint32_t end = (bucket + 1) * kBucketPeers;
  return {bucket * kBucketPeers, end < peers ? end : peers};
}
constexpr std::uint32_t region_count(std::uint32_t buckets) {
  return buckets < kRegions ? buckets : kRegions;
}
/// The buckets of a region, at least one. Requires: region < region_count(buckets).
constexpr IndexRange buckets_of_region(std::uint32_t region, std::uint32_t buckets) {
  const auto edge = [&](std::uint32_t r) {
    return static_cast<std::uint32_t>(std::uint64_t{r} * buckets / region_count(buckets));
  };
  return {edge(region), edge(region + 1)};
}
constexpr std::uint32_t region_of(std::uint32_t bucket, std::uint32_t buckets) {
  const auto near =
      static_cast<std::uint32_t>(std::uint64_t{bucket} * region_count(buckets) / buckets);
  return bucket < buckets_of_region(near, buckets).end ? near : near + 1;
}

class Snapshot {
 public:
  /// Requires: one state for each peer; `moved` ascending by peer, one for each at most.
  explicit Snapshot(std::vector<PeerState> states, std::vector<Moved> moved = {});

  /// This one with some peers changed. Requires: ascending.
  std::shared_ptr<const Snapshot> with(std::span<const Change> changes,
                                       std::span<const Moved> moved) const;

  std::uint32_t size() const { return static_cast<std::uint32_t>(states_.size()); }
  PeerState state(PeerIndex peer) const { return states_[peer.value]; }
  const std::vector<Moved>& moved() const { return moved_; }
  std::uint32_t alive_count() const { return alive_; }
  std::uint32_t bucket_digest(std::uint32_t bucket) const { return digests_[bucket]; }
  std::size_t memory_bytes() const;

 private:
  std::vector<PeerState> states_;
  std::vector<Moved> moved_;
  std::vector<std::uint32_t> digests_;  // by bucket
  std::uint32_t alive_ = 0;
};

}  // namespace rosebud::routing
