// The randomness of an epoch, and who sits in its service (design 8.3, 8.4).
//
// Pure functions: all members, and whoever looks on, compute the same.
#pragma once

#include <map>
#include <set>

#include "membership/configuration.h"

namespace rosebud::service {

/// What a candidate publishes before anybody opens anything. It binds the node, so that nobody can
/// pass another one's commitment on as its own.
crypto::Digest commitment_of(const wire::NodeKey& node, const crypto::Digest& share);

/// The share that belongs to an epoch key: one secret to keep, and to erase. Opening the share says
/// nothing of the key.
crypto::Digest share_of(const crypto::SecretKey& epoch_key);

/// R of the epoch after `current`: over R in force and the shares, by seat. Who withheld its share
/// has none; a bias of one bit for each (design 8.3).
crypto::Digest next_randomness(const membership::Configuration& current,
                               const std::map<wire::NodeKey, crypto::Digest>& shares);

struct SeatRules {
  /// Nodes of the configuration in force that must not sit: on their way out, or not reachable.
  std::set<wire::NodeKey> barred;
  /// When each member took its seat, in milliseconds of agreed time.
  std::map<wire::NodeKey, std::uint64_t> seated_since_ms;
  std::uint64_t now_ms = 0;
};

/// Members that stay, in the order of their seats, then those that are drawn: at most 3F+1, at most
/// F (one at F = 0) of one organisation.
struct SeatDraw {
  std::vector<wire::NodeKey> seats;
  /// Who takes the place of one that does not announce, in turn; the bound per organisation is to
  /// be kept then too (next_in_reserve).
  std::vector<wire::NodeKey> reserve;
};

/// Walks clockwise over the ring in force from SHA-256(tag ‖ e+1 ‖ R of header e). At most F
/// members leave because their term is over, the longest serving first, and only for somebody else.
SeatDraw draw_seats(const membership::Configuration& current, const SeatRules& rules);

/// The first of `draw.reserve` that is not in `passed_over` and whose organisation has room beside
/// `seats`.
std::optional<wire::NodeKey> next_in_reserve(const membership::Configuration& current,
                                             const SeatDraw& draw,
                                             const std::vector<wire::NodeKey>& seats,
                                             const std::set<wire::NodeKey>& passed_over);

}  // namespace rosebud::service
