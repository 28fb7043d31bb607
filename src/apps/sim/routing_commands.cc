// rosebud-sim routing: the overlay of many peers, measured.
#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "apps/sim/commands.h"
#include "apps/sim/core_commands.h"
#include "routing/planted_bugs.h"
#include "routing/sim/experiment.h"
#include "routing/sim/swarm.h"

namespace rosebud {
namespace {

using routing::sim::ExperimentOptions;
using routing::sim::ExperimentResult;
using routing::sim::RoleLoad;

struct RoutingCore {
  static constexpr const char* kCommand = "rosebud-sim routing";
  static constexpr std::size_t kStoryLines = 60;
  static constexpr auto& kScenarios = routing::sim::kScenarios;
  static constexpr auto& kPlantedBugs = routing::kPlantedBugs;
  using Plan = routing::sim::Plan;
  using Result = routing::sim::SwarmResult;

  static Plan make_plan(const std::string& scenario, std::uint64_t seed) {
    return routing::sim::make_plan(scenario, seed);
  }
  static bool is_scenario(const std::string& name) { return routing::sim::is_scenario(name); }
  static Result run(const Plan& plan, std::size_t story_lines) {
    return routing::sim::run_plan(plan, story_lines);
  }
  static std::string describe(const routing::sim::Fault& fault) {
    return routing::sim::describe(fault);
  }
  static std::string describe_bug(const routing::PlantedBug& bug) {
    char text[256];
    std::snprintf(text, sizeof text, "%-13s %s", std::string(bug.scenario).c_str(),
                  std::string(bug.breaks).c_str());
    return text;
  }
  static void plant(routing::Bug bug) { rosebud::plant(bug); }

  static MeasuredRun<Result> measure(const Plan& plan) {
    const double begin = processor_seconds();
    MeasuredRun<Result> out{.result = run(plan, 0)};
    out.processor_s = processor_seconds() - begin;
    out.simulated_s = static_cast<double>(out.result.time.count()) / 1e6;
    return out;
  }
  static Counts counts(const Result& result) {
    return {{"inputs", result.inputs},   {"events", result.events}, {"lookups", result.lookups},
            {"timely", result.timely},   {"late", result.late},     {"batches", result.batches},
            {"came again", result.again}};
  }
  static std::string trace(const Result& result) {
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(result.trace));
    return text;
  }
};

struct RoutingOptions {
  std::string scheme = "one-hop";
  std::string sessions = "heavy";
  double session_min = 174;
  double away_min = 0;
  double minutes = 10;
  double warm_up_min = 2;
  std::uint32_t slices = 0;
  std::uint32_t units = 0;
  bool is_json = false;
  ExperimentOptions experiment;
};

Duration minutes_of(double minutes) { return Duration(static_cast<Duration::rep>(minutes * 60e6)); }

double seconds_of(Duration time) { return static_cast<double>(time.count()) / 1e6; }

double share(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

nlohmann::json ages_json(const load::Histogram& ages) {
  return {{"count", ages.count()},
          {"p50_s", seconds_of(ages.percentile(0.5))},
          {"p99_s", seconds_of(ages.percentile(0.99))},
          {"p999_s", seconds_of(ages.percentile(0.999))},
          {"max_s", seconds_of(ages.max())}};
}

nlohmann::json load_json(const RoleLoad& load) {
  return {{"role", load.role},
          {"peers", load.peers},
          {"mean_kbps", load.mean_kbps},
          {"p999_kbps", load.p999_kbps},
          {"max_kbps", load.max_kbps}};
}

void print_json(const RoutingOptions& options, const ExperimentResult& result) {
  nlohmann::json out = {
      {"scheme", options.scheme},
      {"peers", options.experiment.peers},
      {"roster", result.roster},
      {"seed", options.experiment.seed},
      {"session_mean_min", options.session_min},
      {"sessions", options.sessions},
      {"loss_per_mille", options.experiment.loss_per_mille},
      {"slices", options.experiment.settings.slices},
      {"units", options.experiment.settings.units},
      {"measured_s", result.seconds},
      {"alive_mean", result.alive_mean},
      {"events_per_s", result.events_per_second},
      {"lookups", result.sums.lookups},
      {"lookups_right_table", share(result.sums.lookups_right_table, result.sums.lookups)},
      {"lookups_right_first_try", share(result.sums.lookups_right_first, result.sums.lookups)},
      {"lookups_right_at_once", share(result.sums.lookups_right_once, result.sums.lookups)},
      {"lookups_completed", share(result.sums.lookups_completed, result.sums.lookups)},
      {"lookups_wrong", result.sums.lookups_wrong},
      {"lookups_lost", result.lookups_lost},
      {"hops_mean", share(result.sums.hops, result.sums.lookups_completed)},
      {"age", ages_json(result.sums.ages)},
      {"age_of_deaths", ages_json(result.sums.ages_of_deaths)},
      {"age_of_lives", ages_json(result.sums.ages_of_lives)},
      {"up_kbps",
       {{"maintenance", result.maintenance_kbps},
        {"join", result.join_kbps},
        {"lookup", result.lookup_kbps}}},
      {"datagrams_per_s", result.datagrams_per_second},
      {"load", load_json(result.all)},
      {"stale_30s_share", result.stale_30s_share},
      {"stale_30s_max", result.stale_30s_max},
      {"memory_bytes", result.memory_bytes},
      {"processor_s", result.processor_s},
      {"inputs", result.inputs},
      {"trace", result.trace},
  };
  for (const RoleLoad& one : result.roles) out["roles"].push_back(load_json(one));
  std::printf("%s\n", out.dump().c_str());
}

void print_ages(const char* what, const load::Histogram& ages) {
  std::printf("  %-18s p50 %.2f s, p99 %.2f s, p99.9 %.2f s, max %.2f s (%llu seen)\n", what,
              seconds_of(ages.percentile(0.5)), seconds_of(ages.percentile(0.99)),
              seconds_of(ages.percentile(0.999)), seconds_of(ages.max()),
              static_cast<unsigned long long>(ages.count()));
}

void print_text(const RoutingOptions& options, const ExperimentResult& result) {
  const auto& sums = result.sums;
  const double simulated_s = result.seconds + options.warm_up_min * 60;
  std::printf(
      "%s, %u peers alive of a roster of %u, %u slices, %.0f s measured\n"
      "  events             %.2f per second\n",
      options.scheme.c_str(), options.experiment.peers, result.roster,
      options.experiment.settings.slices, result.seconds, result.events_per_second);
  print_ages("age of events", sums.ages);
  print_ages("  of deaths", sums.ages_of_deaths);
  print_ages("  of lives", sums.ages_of_lives);
  std::printf(
      "  lookups            %llu: %.3f %% asked the owner first, %.3f %% were answered by it, "
      "%.3f %% by its first datagram; %.3f %% completed in %.4f hops, %llu wrong, %llu lost\n",
      static_cast<unsigned long long>(sums.lookups),
      100 * share(sums.lookups_right_table, sums.lookups),
      100 * share(sums.lookups_right_first, sums.lookups),
      100 * share(sums.lookups_right_once, sums.lookups),
      100 * share(sums.lookups_completed, sums.lookups), share(sums.hops, sums.lookups_completed),
      static_cast<unsigned long long>(sums.lookups_wrong),
      static_cast<unsigned long long>(result.lookups_lost));
  std::printf(
      "  up, mean peer      %.3f kbps maintenance, %.3f join, %.3f lookups; %.2f datagrams/s\n",
      result.maintenance_kbps, result.join_kbps, result.lookup_kbps, result.datagrams_per_second);
  std::vector<RoleLoad> loads = result.roles;
  loads.insert(loads.begin(), result.all);
  for (const RoleLoad& one : loads) {
    std::printf("  up, %-14s mean %.3f, p99.9 %.3f, max %.3f kbps (%llu peers, all the time)\n",
                one.role.c_str(), one.mean_kbps, one.p999_kbps, one.max_kbps,
                static_cast<unsigned long long>(one.peers));
  }
  std::printf(
      "  stale after 30 s   %.2e of the entries of a peer, at most %llu entries\n"
      "  %.0f MB of tables and peers, %.1f s of one core: %.1f times real time; trace %016llx\n",
      result.stale_30s_share, static_cast<unsigned long long>(result.stale_30s_max),
      static_cast<double>(result.memory_bytes) / 1e6, result.processor_s,
      simulated_s / std::max(result.processor_s, 1e-6),
      static_cast<unsigned long long>(result.trace));
}

/// Nothing: it is said what is wrong.
bool is_ready(RoutingOptions& options) {
  ExperimentOptions& experiment = options.experiment;
  routing::Timing timing{};
  if (options.scheme == "one-hop") {
    timing = routing::Timing::kEager;
  } else if (options.scheme == "one-hop-classic") {
    timing = routing::Timing::kClassic;
  } else {
    std::fprintf(stderr, "rosebud-sim: '%s' is no scheme; one-hop and one-hop-classic are\n",
                 options.scheme.c_str());
    return false;
  }
  if (options.sessions != "heavy" && options.sessions != "exponential") {
    std::fprintf(stderr, "rosebud-sim: '%s' is no law; heavy and exponential are\n",
                 options.sessions.c_str());
    return false;
  }
  experiment.law = options.sessions == "heavy" ? routing::sim::SessionLaw::kHeavy
                                               : routing::sim::SessionLaw::kExponential;
  experiment.settings = routing::Settings::for_peers(timing, experiment.peers);
  if (options.slices > 0) experiment.settings.slices = options.slices;
  if (options.units > 0) experiment.settings.units = options.units;
  experiment.session_mean = minutes_of(options.session_min);
  experiment.away_mean = minutes_of(options.away_min);
  experiment.measured = minutes_of(options.minutes);
  experiment.warm_up = minutes_of(options.warm_up_min);
  return true;
}

int measure(RoutingOptions& options) {
  if (!is_ready(options)) return 1;
  const bool is_on_terminal = isatty(STDERR_FILENO) == 1;
  const auto result = run_experiment(options.experiment, [&](double done) {
    if (is_on_terminal) std::fprintf(stderr, "\r%3.0f %%", 100 * done);
  });
  if (is_on_terminal) std::fprintf(stderr, "\r\033[K");
  if (options.is_json) {
    print_json(options, result);
  } else {
    print_text(options, result);
  }
  return 0;
}

}  // namespace

void add_routing_commands(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<RoutingOptions>();
  ExperimentOptions& experiment = options->experiment;
  auto* routing = app.add_subcommand(
      "routing",
      "The overlay: what one-hop routing costs and how right its tables are; run, swarm: "
      "small ones with faults and checkers");
  routing->add_option("--scheme", options->scheme, "one-hop or one-hop-classic")
      ->capture_default_str();
  routing->add_option("--peers", experiment.peers, "Alive, in the mean")
      ->capture_default_str()
      ->check(CLI::Range(4, 2'000'000));
  routing->add_option("--session", options->session_min, "Mean session, in minutes")
      ->capture_default_str()
      ->check(CLI::Range(0.5, 1e6));
  routing->add_option("--sessions", options->sessions, "Their law: heavy or exponential")
      ->capture_default_str();
  routing->add_option("--away", options->away_min,
                      "Mean time between two sessions, in minutes; 0: a quarter of a session");
  routing->add_option("--minutes", options->minutes, "Measured")
      ->capture_default_str()
      ->check(CLI::Range(0.1, 1e5));
  routing->add_option("--warm-up", options->warm_up_min, "Minutes before that")
      ->capture_default_str()
      ->check(CLI::Range(0.1, 1e5));
  routing->add_option("--seed", experiment.seed, "Seed")->capture_default_str();
  routing->add_option("--loss", experiment.loss_per_mille, "Datagrams lost, per mille")
      ->capture_default_str()
      ->check(CLI::Range(0, 1000));
  routing
      ->add_option("--moved", experiment.moved_percent,
                   "Of those that return: at another address, per cent")
      ->capture_default_str()
      ->check(CLI::Range(0, 100));
  routing
      ->add_option("--polite", experiment.polite_percent,
                   "Of those that go: say good-bye, per cent")
      ->capture_default_str()
      ->check(CLI::Range(0, 100));
  routing
      ->add_option("--crash", experiment.crash_percent,
                   "Of all: crash at once when measuring begins, per cent")
      ->capture_default_str()
      ->check(CLI::Range(0, 90));
  routing->add_option("--lookups", experiment.lookups_per_second, "Per second, of all peers")
      ->capture_default_str()
      ->check(CLI::Range(0, 100'000));
  routing->add_option("--slices", options->slices, "0: by the number of peers")
      ->check(CLI::Range(0, 65'536));
  routing->add_option("--units", options->units, "Of a slice; 0: by the number of peers")
      ->check(CLI::Range(0, 999));
  routing->add_flag("--json", options->is_json, "One object");
  CoreCommands<RoutingCore>::add(*routing, exit_code);
  routing->callback([options, routing, &exit_code] {
    if (routing->get_subcommands().empty()) exit_code = measure(*options);
  });
}

}  // namespace rosebud
