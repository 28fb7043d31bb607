#include "routing/sim/experiment.h"

#include <algorithm>

#include "base/processor_time.h"

namespace rosebud::routing::sim {
namespace {

double kbps(double bytes, double seconds) { return seconds > 0 ? bytes * 8 / 1000 / seconds : 0; }

/// Peers that come and go for ever.
class Churn {
 public:
  Churn(World& world, const ExperimentOptions& options, Duration away_mean)
      : world_(world),
        sessions_(options.law, options.session_mean),
        away_mean_(away_mean),
        polite_percent_(options.polite_percent),
        random_(world.random().fork()) {
    for (std::uint32_t i = 0; i < world.roster_size(); ++i) {
      const PeerIndex peer(i);
      if (world.is_up(peer)) {
        end_after(sessions_.rest(random_), peer);
      } else {
        begin_after(exponential(away_mean_, random_), peer);
      }
    }
  }

 private:
  void end_after(Duration delay, PeerIndex peer) {
    world_.at(delay, [this, peer] {
      if (random_.chance(polite_percent_, 100)) {
        world_.leave(peer);
      } else {
        world_.crash(peer);
      }
      begin_after(exponential(away_mean_, random_), peer);
    });
  }
  void begin_after(Duration delay, PeerIndex peer) {
    world_.at(delay, [this, peer] {
      if (!world_.is_up(peer)) world_.revive(peer);
      end_after(sessions_.whole(random_), peer);
    });
  }

  World& world_;
  Sessions sessions_;
  Duration away_mean_;
  std::uint32_t polite_percent_;
  Random random_;
};

/// Lookups of random keys by random peers.
class Askers {
 public:
  Askers(World& world, std::uint32_t per_second) : world_(world), random_(world.random().fork()) {
    if (per_second == 0) return;
    mean_ = Duration(1'000'000) / per_second;
    next();
  }

 private:
  void next() {
    world_.at(exponential(mean_, random_), [this] {
      const auto& peers = world_.taking_part();
      if (!peers.empty()) world_.lookup(peers[random_.below(peers.size())], random_.next());
      next();
    });
  }

  World& world_;
  Random random_;
  Duration mean_{};
};

RoleLoad load_of(std::string role, std::vector<double> kbps_each) {
  RoleLoad out{.role = std::move(role), .peers = kbps_each.size()};
  if (kbps_each.empty()) return out;
  std::ranges::sort(kbps_each);
  for (const double one : kbps_each) out.mean_kbps += one;
  out.mean_kbps /= static_cast<double>(kbps_each.size());
  out.p999_kbps = kbps_each[(kbps_each.size() - 1) * 999 / 1000];
  out.max_kbps = kbps_each.back();
  return out;
}

void measure_loads(const World& world, double seconds, ExperimentResult& out) {
  std::vector<double> all;
  std::vector<double> ordinary;
  std::vector<double> units;
  std::vector<double> slices;
  for (const World::Load& one : world.loads()) {
    const double load = kbps(static_cast<double>(one.bytes_up), seconds);
    all.push_back(load);
    const Peer& core = *world.core(one.peer);
    if (core.is_slice_leader() || one.has_led) {
      slices.push_back(load);
    } else if (core.is_unit_leader()) {
      units.push_back(load);
    } else {
      ordinary.push_back(load);
    }
  }
  out.all = load_of("all", std::move(all));
  out.roles.push_back(load_of("ordinary", std::move(ordinary)));
  if (!units.empty()) out.roles.push_back(load_of("unit leader", std::move(units)));
  if (!slices.empty()) out.roles.push_back(load_of("slice leader", std::move(slices)));
}

void measure_staleness(World& world, ExperimentResult& out) {
  constexpr std::size_t kSample = 2000;
  const auto& peers = world.taking_part();
  const std::size_t step = std::max<std::size_t>(peers.size() / kSample, 1);
  std::uint64_t all = 0;
  std::uint64_t looked_at = 0;
  for (std::size_t i = 0; i < peers.size(); i += step) {
    const std::uint64_t stale = world.stale_count(peers[i], std::chrono::seconds(30));
    all += stale;
    out.stale_30s_max = std::max(out.stale_30s_max, stale);
    ++looked_at;
  }
  if (looked_at == 0) return;
  out.stale_30s_share =
      static_cast<double>(all) / static_cast<double>(looked_at) / world.roster_size();
}

}  // namespace

ExperimentResult run_experiment(const ExperimentOptions& options,
                                const std::function<void(double)>& progress) {
  const Duration away =
      options.away_mean > Duration(0) ? options.away_mean : options.session_mean / 4;
  const auto session_us = static_cast<std::uint64_t>(options.session_mean.count());
  const auto away_us = static_cast<std::uint64_t>(away.count());
  WorldOptions world_options;
  world_options.seed = options.seed;
  world_options.roster = static_cast<std::uint32_t>(std::uint64_t{options.peers} *
                                                    (session_us + away_us) / session_us);
  world_options.alive = options.peers;
  world_options.settings = options.settings;
  world_options.loss_per_mille = options.loss_per_mille;
  world_options.moved_percent = options.moved_percent;
  world_options.watched_every = std::max(options.peers / 2000, 1U);
  if (options.settings.timing == Timing::kClassic) {
    world_options.rebase_lag = std::chrono::seconds(70);
  }
  const double begin = processor_seconds();
  World world(world_options);
  const Churn churn(world, options, away);
  const Askers askers(world, options.lookups_per_second);
  const Duration step = std::chrono::seconds(5);
  const Duration whole = options.warm_up + options.measured;
  Duration done{};
  const auto run = [&](Duration time) {
    for (Duration left = time; left > Duration(0); left -= step) {
      world.run_for(std::min(left, step));
      done += std::min(left, step);
      progress(static_cast<double>(done.count()) / static_cast<double>(whole.count()));
    }
  };
  run(options.warm_up);
  world.begin_measuring();
  const Instant measured_since = world.now();
  if (options.crash_percent > 0) {
    std::vector<PeerIndex> peers = world.taking_part();
    world.random().shuffle(peers);
    peers.resize(peers.size() * options.crash_percent / 100);
    for (const PeerIndex one : peers) world.crash(one);
  }
  const std::uint64_t inputs_before = world.input_count();
  run(options.measured);

  ExperimentResult out;
  out.roster = world_options.roster;
  out.seconds = static_cast<double>(options.measured.count()) / 1e6;
  out.sums = world.sums();
  out.lookups_lost = world.lost_lookups(measured_since, world.now() - World::kLookupMax);
  const double peer_seconds = world.peer_seconds();
  out.alive_mean = peer_seconds / out.seconds;
  out.events_per_second = static_cast<double>(out.sums.events) / out.seconds;
  const auto mean_of = [&](Traffic kind) {
    const auto bytes = out.sums.bytes[static_cast<std::size_t>(kind)];
    return kbps(static_cast<double>(bytes), peer_seconds);
  };
  out.maintenance_kbps = mean_of(Traffic::kMaintenance);
  out.join_kbps = mean_of(Traffic::kJoin);
  out.lookup_kbps = mean_of(Traffic::kLookup);
  out.datagrams_per_second = static_cast<double>(out.sums.datagrams) / peer_seconds;
  measure_loads(world, out.seconds, out);
  measure_staleness(world, out);
  out.memory_bytes = world.memory_bytes();
  out.processor_s = processor_seconds() - begin;
  out.inputs = world.input_count() - inputs_before;
  out.trace = world.trace();
  return out;
}

}  // namespace rosebud::routing::sim
