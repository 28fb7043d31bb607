// One measurement: so many peers, sessions of a law, lookups, and what it cost (issue's table).
#pragma once

#include <functional>
#include <string>

#include "routing/sim/world.h"

namespace rosebud::routing::sim {

struct ExperimentOptions {
  std::uint32_t peers = 1000;  // alive, in the mean
  Duration session_mean = std::chrono::minutes(174);
  Duration away_mean{};  // 0: a quarter of a session
  SessionLaw law = SessionLaw::kHeavy;
  Settings settings{};
  std::uint64_t seed = 1;
  Duration warm_up = std::chrono::minutes(2);
  Duration measured = std::chrono::minutes(10);
  std::uint32_t loss_per_mille = 10;
  std::uint32_t moved_percent = 10;
  std::uint32_t polite_percent = 0;  // of those that go: say so
  std::uint32_t lookups_per_second = 200;
  /// At this moment of the measurement a share of all crash at once.
  std::uint32_t crash_percent = 0;
};

struct RoleLoad {
  std::string role;
  std::uint64_t peers = 0;
  double mean_kbps = 0;
  double p999_kbps = 0;
  double max_kbps = 0;
};

struct ExperimentResult {
  std::uint32_t roster = 0;
  double alive_mean = 0;
  double seconds = 0;
  double events_per_second = 0;
  World::Sums sums;
  std::uint64_t lookups_lost = 0;  // that never ended, though who asked stayed
  double maintenance_kbps = 0;     // up, mean of all peers
  double join_kbps = 0;
  double lookup_kbps = 0;
  double datagrams_per_second = 0;  // of one peer
  RoleLoad all;
  std::vector<RoleLoad> roles;
  double stale_30s_share = 0;       // of the entries of a peer, changed more than 30 s before
  std::uint64_t stale_30s_max = 0;  // entries, of the worst of those looked at
  std::size_t memory_bytes = 0;
  double processor_s = 0;
  std::uint64_t inputs = 0;
  std::uint64_t trace = 0;
};

/// `progress` is called now and then with the share done.
ExperimentResult run_experiment(const ExperimentOptions& options,
                                const std::function<void(double)>& progress);

}  // namespace rosebud::routing::sim
