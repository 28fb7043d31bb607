// Words of the overlay: who, where, and what is known of a peer.
#pragma once

#include <array>
#include <compare>
#include <cstdint>

#include "base/bytes.h"
#include "base/strong.h"
#include "base/time.h"

namespace rosebud::routing {

/// Place of a peer in the roster. The same at all who have the same roster.
using PeerIndex = Strong<struct PeerIndexTag, std::uint32_t>;

/// The first eight bytes of a position, as a big-endian number. A million random ones hold two
/// equal ones with probability 3e-8; the roster orders those by key.
using Point = std::uint64_t;

/// Two clocks. `wall` is time since 1970; leaders are chosen by it. Where it is wrong, events come
/// late and take more datagrams; where it is wrong by more than kPeriodsOff periods, leaders refuse
/// what this peer announces, and only repair spreads it. Nothing else depends on it.
struct Now {
  Instant time;
  Duration wall{};
};

/// Incarnation and life of a peer in one number that only grows:
///   2 x incarnation      alive
///   2 x incarnation + 1  dead
/// The greater of two is the newer, so all who have heard the same have the same, in whatever order
/// they heard it. A peer that hears of its own death takes the next incarnation (design 11).
struct PeerState {
  std::uint32_t rank = 1;

  /// Of one that was never seen.
  static constexpr PeerState unseen() { return {1}; }
  static constexpr PeerState alive(std::uint32_t incarnation) { return {2 * incarnation}; }

  constexpr bool is_alive() const { return (rank & 1) == 0; }
  constexpr std::uint32_t incarnation() const { return rank / 2; }
  constexpr PeerState died() const { return {rank | 1}; }
  /// The next life.
  constexpr PeerState returned() const { return {2 * (incarnation() + 1)}; }

  friend constexpr auto operator<=>(PeerState, PeerState) = default;
};

/// A billion lives of ten minutes each are 10^4 years; beyond is a lie.
inline constexpr std::uint32_t kRankMax = 1U << 30;

/// Six bits of a state are enough for whoever knows a state near it.
inline constexpr std::uint32_t kLowBits = 6;
inline constexpr std::uint32_t kLowMask = (1U << kLowBits) - 1;

/// The state with those low bits that is nearest to the known one: from 32 below to 31 above. So a
/// wrong or malicious event moves an incarnation by 16 at most.
constexpr PeerState nearest(PeerState known, std::uint32_t low_bits) {
  const std::uint32_t ahead = (low_bits - known.rank) & kLowMask;
  if (ahead < (1U << (kLowBits - 1))) return {known.rank + ahead};
  const std::uint32_t behind = (1U << kLowBits) - ahead;
  return known.rank > behind ? PeerState{known.rank - behind} : PeerState{known.rank + ahead};
}

/// What a peer is known to be now.
struct Change {
  PeerIndex peer;
  PeerState state;
  friend constexpr auto operator<=>(const Change&, const Change&) = default;
};

/// A UDP address: IPv4 as ::ffff:a.b.c.d.
struct Address {
  std::array<std::uint8_t, 16> ip{};
  std::uint16_t port = 0;

  bool is_v4() const {
    for (std::size_t i = 0; i < 10; ++i) {
      if (ip[i] != 0) return false;
    }
    return ip[10] == 0xff && ip[11] == 0xff;
  }
  friend auto operator<=>(const Address&, const Address&) = default;
};

/// A peer that has come with another address than the roster's.
struct Moved {
  PeerIndex peer;
  Address address;
  friend auto operator<=>(const Moved&, const Moved&) = default;
};

/// Indices first, first + 1, .., end - 1.
struct IndexRange {
  std::uint32_t first = 0;
  std::uint32_t end = 0;

  std::uint32_t size() const { return end - first; }
  bool contains(PeerIndex peer) const { return peer.value >= first && peer.value < end; }
  friend auto operator<=>(const IndexRange&, const IndexRange&) = default;
};

/// A good hash of small numbers, the same everywhere. Not against an enemy: who could choose what
/// is hashed has a key that fixes it (positions), or is one of those that everybody checks.
constexpr std::uint64_t mix(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15U;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31);
}
constexpr std::uint64_t mix(std::uint64_t a, std::uint64_t b) { return mix(mix(a) ^ b); }

}  // namespace rosebud::routing
