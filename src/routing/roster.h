// Who may be in the overlay: the peers of one configuration, in the order of their positions.
//
// Immutable and shared: a hundred thousand simulated peers have one. What changes (who is alive,
// who has moved) stands in snapshot.h and table.h and names peers by their index here.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "crypto/signature.h"
#include "routing/types.h"

namespace rosebud::routing {

struct Member {
  Point at = 0;  // the beginning of its position
  crypto::PublicKey key;
  Address address;  // where it was when the roster was made
};

class Roster {
 public:
  /// Any order. Requires: not empty, fewer than 2^31, distinct keys.
  explicit Roster(std::vector<Member> members);

  std::uint32_t size() const { return static_cast<std::uint32_t>(at_.size()); }
  Point at(PeerIndex peer) const { return at_[peer.value]; }
  const crypto::PublicKey& key(PeerIndex peer) const { return keys_[peer.value]; }
  const Address& address(PeerIndex peer) const { return addresses_[peer.value]; }

  /// The first peer at or after `point`, past the end the first of all: whose key it is while
  /// everybody lives.
  PeerIndex successor(Point point) const;

  /// The peers with positions from `from` to just before `to`; to == 0 is the end of the line.
  IndexRange between(Point from, Point to) const;

  std::size_t memory_bytes() const;

 private:
  /// Peers before `point`.
  std::uint32_t rank_of(Point point) const;

  std::vector<Point> at_;  // ascending
  std::vector<crypto::PublicKey> keys_;
  std::vector<Address> addresses_;
  // starts_[b]: peers whose point has leading bits below b. Positions are hashes, so a search
  // begins within a few peers of its end.
  std::vector<std::uint32_t> starts_;
  std::uint32_t shift_ = 63;
};

}  // namespace rosebud::routing
