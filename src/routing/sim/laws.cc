#include "routing/sim/laws.h"

#include <algorithm>
#include <cmath>

namespace rosebud::routing::sim {
namespace {

constexpr double kMedianRoundTripUs = 150'000;
constexpr double kRoundTripSigma = 0.6;
constexpr double kShortestRoundTripUs = 8'000;
constexpr std::size_t kLots = 4096;
/// ln of mean over median is half its square: median 60, mean 174.
constexpr double kHeavySigma = 1.459;

double uniform(Random& random) {
  return (static_cast<double>(random.next() >> 11) + 0.5) / 9007199254740992.0;
}

/// Where the standard normal law has so much below: by bisection, precise enough for tables.
double normal_quantile(double share) {
  double low = -8;
  double high = 8;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (0.5 * std::erfc(-middle / std::sqrt(2.0)) < share ? low : high) = middle;
  }
  return (low + high) / 2;
}

Duration micros(double value) {
  // A session of more than ten years is as good as one of ten.
  return Duration(static_cast<Duration::rep>(std::clamp(value, 1.0, 3.2e14)));
}

}  // namespace

Latencies::Latencies() {
  for (std::size_t i = 0; i < kLots; ++i) {
    const double share = (static_cast<double>(i) + 0.5) / static_cast<double>(kLots);
    const double round_trip =
        kMedianRoundTripUs * std::exp(kRoundTripSigma * normal_quantile(share));
    one_way_by_lot_.push_back(micros(std::max(round_trip, kShortestRoundTripUs) / 2));
  }
}

Duration Latencies::one_way(PeerIndex from, PeerIndex to, Random& random) const {
  const auto [a, b] = std::minmax(from.value, to.value);
  const Duration base = one_way_by_lot_[mix(a, b) % kLots];
  const auto jitter = static_cast<std::uint64_t>(base.count()) / 10;
  return base + Duration(static_cast<Duration::rep>(random.next() % (jitter + 1)));
}

Duration exponential(Duration mean, Random& random) {
  return micros(-std::log(uniform(random)) * static_cast<double>(mean.count()));
}

Sessions::Sessions(SessionLaw law, Duration mean)
    : law_(law), mean_us_(static_cast<double>(mean.count())) {}

Duration Sessions::whole(Random& random) const {
  if (law_ == SessionLaw::kExponential) return micros(-std::log(uniform(random)) * mean_us_);
  const double median = mean_us_ * std::exp(-kHeavySigma * kHeavySigma / 2);
  return micros(median * std::exp(kHeavySigma * normal_quantile(uniform(random))));
}

Duration Sessions::rest(Random& random) const {
  if (law_ == SessionLaw::kExponential) return whole(random);
  // Who is met at a random moment is in a session that was drawn in proportion to its length, which
  // is log-normal again, with a mean of the logarithm greater by the variance.
  const double median = mean_us_ * std::exp(kHeavySigma * kHeavySigma / 2);
  const double length = median * std::exp(kHeavySigma * normal_quantile(uniform(random)));
  return micros(length * uniform(random));
}

}  // namespace rosebud::routing::sim
