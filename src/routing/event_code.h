// A set of events in few bits: about 19 for each of 60 events about 125,000 peers.
//
//   9 bits   count
//   5 bits   parameter of the gaps
//   each     the gap to the peer before (Golomb-Rice), 6 low bits of its state; alive: a bit
//            whether it has moved, then a bit for IPv6, 32 or 128 bits of address and 16 of port
//
// Who hears of a peer knows a state near the new one, so six bits of it are enough (types.h). The
// gaps of random peers are geometric, for which Golomb-Rice is within 0.05 bits of the best.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "routing/bits.h"
#include "routing/types.h"

namespace rosebud::routing {

inline constexpr std::uint32_t kEventsMax = 511;

/// An event as it travels.
struct CodedEvent {
  PeerIndex peer;
  std::uint32_t low_bits = 0;
  friend auto operator<=>(const CodedEvent&, const CodedEvent&) = default;
};
struct CodedEvents {
  std::vector<CodedEvent> events;  // ascending, one for each peer
  std::vector<Moved> moved;        // of events that say alive, ascending
  friend bool operator==(const CodedEvents&, const CodedEvents&) = default;
};

/// Requires: ascending, one for each peer, at most kEventsMax; `moved` names peers among them that
/// are alive.
CodedEvents coded(std::span<const Change> changes, std::span<const Moved> moved);

/// Ends at a whole byte. Requires: as above.
void encode(const CodedEvents& events, BitWriter& out);
/// Fails for peers at or above `peer_count`, and for any other encoding than that of encode().
CodedEvents decode_events(BitReader& in, std::uint32_t peer_count);

/// How many of `changes`, from the first on, fit into so many bytes; at least one fits into 32.
std::size_t fitting(std::span<const Change> changes, std::span<const Moved> moved,
                    std::size_t bytes_max);

void encode(const Address& address, BitWriter& out);
Address decode_address(BitReader& in);

}  // namespace rosebud::routing
