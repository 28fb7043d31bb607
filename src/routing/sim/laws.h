// The random laws of the simulated world: round trips and sessions. Drawn by tables or by
// arithmetic of our own, so that a seed means the same wherever it runs.
#pragma once

#include <string_view>
#include <vector>

#include "base/random.h"
#include "routing/types.h"

namespace rosebud::routing::sim {

/// Round trips between peers: log-normal with a median of 150 ms; 10 % above 320 ms, 1 % above
/// 600 ms. One pair always has about the same: a tenth of it is jitter.
class Latencies {
 public:
  Latencies();
  Duration one_way(PeerIndex from, PeerIndex to, Random& random) const;

 private:
  std::vector<Duration> one_way_by_lot_;
};

enum class SessionLaw : std::uint8_t {
  kExponential,
  kHeavy,  // log-normal with a median of 60 minutes where the mean is 174 (Gnutella)
};

class Sessions {
 public:
  Sessions(SessionLaw law, Duration mean);
  Duration whole(Random& random) const;
  /// What is left of one that is met at a random moment.
  Duration rest(Random& random) const;

 private:
  SessionLaw law_;
  double mean_us_;
};

/// Exponential with this mean.
Duration exponential(Duration mean, Random& random);

}  // namespace rosebud::routing::sim
