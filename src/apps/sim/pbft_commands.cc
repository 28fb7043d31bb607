#include "apps/sim/pbft_commands.h"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <mutex>
#include <thread>

#include "pbft/planted_bugs.h"
#include "pbft/sim/swarm.h"

namespace rosebud {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kExitViolation = 6;
constexpr std::size_t kStoryLines = 60;
constexpr double kMinimisingSeconds = 60;

struct Options {
  std::string scenario = "mixed";
  std::string bug;
  std::uint64_t seed = 1;
  std::string seeds = "1..100";
  unsigned jobs = std::max(1U, std::thread::hardware_concurrency());
  double time_limit_s = 0;
  bool is_until_violation = false;
};

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }
double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}
unsigned long long number(std::uint64_t value) { return value; }

#ifdef ROSEBUD_PLANTED_BUGS
constexpr bool kHasPlantedBugs = true;
void plant(pbft::Bug bug) { pbft::planted_bug = bug; }
#else
constexpr bool kHasPlantedBugs = false;
void plant(pbft::Bug) {}
#endif

/// False: no such bug.
bool plant(const std::string& name) {
  for (const pbft::PlantedBug& one : pbft::kPlantedBugs) {
    if (one.name != name) continue;
    plant(one.bug);
    return true;
  }
  std::fprintf(stderr, "rosebud-sim: no bug is called '%s'; `rosebud-sim pbft bugs` lists them\n",
               name.c_str());
  return false;
}

int list_bugs() {
  for (const pbft::PlantedBug& one : pbft::kPlantedBugs) {
    std::printf("%-30s %-13s %s\n", std::string(one.name).c_str(),
                std::string(one.scenario).c_str(), std::string(one.breaks).c_str());
  }
  return 0;
}

int list_scenarios() {
  for (const auto& one : pbft::sim::kScenarios) {
    std::printf("%-13s %s\n", std::string(one.name).c_str(), std::string(one.what).c_str());
  }
  return 0;
}

void print_failure(const Options& options, std::uint64_t seed, const pbft::sim::Plan& plan,
                   const pbft::sim::SwarmResult& result) {
  std::printf(
      "seed %llu: VIOLATION: %s\n  %s\n  replay: rosebud-sim pbft run --scenario %s --seed "
      "%llu%s%s\n",
      number(seed), result.violation.c_str(), plan.story.c_str(), options.scenario.c_str(),
      number(seed), options.bug.empty() ? "" : " --bug ", options.bug.c_str());
}

int run_one(const Options& options) {
  const pbft::sim::Plan plan = pbft::sim::make_plan(options.scenario, options.seed);
  const double begin = cpu_seconds();
  const pbft::sim::SwarmResult result = pbft::sim::run_plan(plan);
  const double took = cpu_seconds() - begin;
  const double simulated = static_cast<double>(result.time.count()) / 1e6;
  std::printf(
      "seed %llu: %s\n"
      "  events %llu, operations %llu, acknowledged %llu, view %llu, transfers %llu, accused %llu\n"
      "  %.1f simulated seconds in %.2f of one core, which is %.0f times real time\n"
      "  trace %016llx\n",
      number(options.seed), plan.story.c_str(), number(result.events), number(result.operations),
      number(result.acknowledged), number(result.views), number(result.transfers),
      number(result.evidence), simulated, took, simulated / std::max(took, 1e-6),
      number(result.trace));
  if (result.violation.empty()) return 0;
  print_failure(options, options.seed, plan, result);
  std::fflush(stdout);
  const auto limit = Clock::now();
  const pbft::sim::Plan small =
      pbft::sim::minimise(plan, [&] { return seconds_since(limit) < kMinimisingSeconds; });
  const pbft::sim::SwarmResult told = pbft::sim::run_plan(small, kStoryLines);
  std::printf("\nFails with these faults alone (%zu of %zu):\n", small.faults.size(),
              plan.faults.size());
  for (const auto& fault : small.faults) std::printf("  %s\n", describe(fault).c_str());
  std::printf("\nHow that run ends:\n");
  for (const std::string& line : told.story) std::printf("  %s\n", line.c_str());
  return kExitViolation;
}

class Swarm {
 public:
  Swarm(const Options& options, std::uint64_t first, std::uint64_t last)
      : options_(options), next_(first), last_(last) {}

  int run() {
    std::vector<std::thread> workers;
    for (unsigned i = 0; i < options_.jobs; ++i) workers.emplace_back([this] { work(); });
    for (auto& worker : workers) worker.join();
    std::printf(
        "%llu seeds, %llu view changes, %llu transfers, %llu operations, %llu acknowledged, %llu "
        "violations, %.0f times real time per core\n",
        number(done_), number(views_), number(transfers_), number(operations_),
        number(acknowledged_), number(violations_), simulated_s_ / std::max(cpu_seconds(), 1e-6));
    return violations_ == 0 ? 0 : kExitViolation;
  }

 private:
  bool is_over() {
    const std::lock_guard lock(mutex_);
    if (options_.is_until_violation && violations_ > 0) return true;
    return options_.time_limit_s > 0 && seconds_since(begin_) > options_.time_limit_s;
  }

  void work() {
    for (std::uint64_t seed = next_++; seed <= last_ && !is_over(); seed = next_++) {
      const pbft::sim::Plan plan = pbft::sim::make_plan(options_.scenario, seed);
      const pbft::sim::SwarmResult result = pbft::sim::run_plan(plan);
      // One seed in twenty runs twice: the same seed is the same run.
      const bool is_same = seed % 20 != 1 || pbft::sim::run_plan(plan).trace == result.trace;
      take(seed, plan, result, is_same);
    }
  }

  void take(std::uint64_t seed, const pbft::sim::Plan& plan, const pbft::sim::SwarmResult& result,
            bool is_same) {
    const std::lock_guard lock(mutex_);
    ++done_;
    views_ += result.views;
    transfers_ += result.transfers;
    operations_ += result.operations;
    acknowledged_ += result.acknowledged;
    simulated_s_ += static_cast<double>(result.time.count()) / 1e6;
    if (!result.violation.empty()) {
      ++violations_;
      print_failure(options_, seed, plan, result);
    }
    if (!is_same) {
      ++violations_;
      std::printf("seed %llu: two runs differ\n", number(seed));
    }
    std::fflush(stdout);
  }

  const Options& options_;
  std::atomic<std::uint64_t> next_;
  const std::uint64_t last_;
  const Clock::time_point begin_ = Clock::now();
  std::mutex mutex_;  // guards what follows
  std::uint64_t done_ = 0;
  std::uint64_t views_ = 0;
  std::uint64_t transfers_ = 0;
  std::uint64_t operations_ = 0;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t violations_ = 0;
  double simulated_s_ = 0;
};

int run_swarm(const Options& options) {
  unsigned long long first = 0;
  unsigned long long last = 0;
  if (std::sscanf(options.seeds.c_str(), "%llu..%llu", &first, &last) != 2 || first > last) {
    std::fprintf(stderr, "rosebud-sim: '%s' is no range of seeds; give FIRST..LAST\n",
                 options.seeds.c_str());
    return 1;
  }
  return Swarm(options, first, last).run();
}

bool is_ready(const Options& options) {
  if (!pbft::sim::is_scenario(options.scenario)) {
    std::fprintf(stderr,
                 "rosebud-sim: '%s' is no scenario; `rosebud-sim pbft scenarios` lists them\n",
                 options.scenario.c_str());
    return false;
  }
  return options.bug.empty() || plant(options.bug);
}

}  // namespace

void add_pbft_commands(CLI::App& app, int& exit_code) {
  static Options options;
  auto* pbft = app.add_subcommand("pbft", "A group of replicas that agree on an order");
  pbft->require_subcommand(1);
  auto* run = pbft->add_subcommand("run", "One seed; where it fails, why, and its end as a story");
  run->add_option("--seed", options.seed, "Seed")->required();
  auto* swarm = pbft->add_subcommand("swarm", "Many seeds");
  swarm->add_option("--seeds", options.seeds, "First..last")->capture_default_str();
  swarm->add_option("--jobs", options.jobs, "Threads")->capture_default_str();
  swarm->add_option("--limit", options.time_limit_s, "Begin no seed after so many seconds");
  swarm->add_flag("--until-violation", options.is_until_violation,
                  "Begin no seed after the first violation");
  for (CLI::App* one : {run, swarm}) {
    one->add_option("--scenario", options.scenario, "`rosebud-sim pbft scenarios` lists them")
        ->capture_default_str();
    if (kHasPlantedBugs) one->add_option("--bug", options.bug, "Break this rule on purpose");
  }
  run->callback([&exit_code] { exit_code = is_ready(options) ? run_one(options) : 1; });
  swarm->callback([&exit_code] { exit_code = is_ready(options) ? run_swarm(options) : 1; });
  pbft->add_subcommand("scenarios", "Lists what --scenario knows")->callback([&exit_code] {
    exit_code = list_scenarios();
  });
  pbft->add_subcommand("bugs", "Lists the rules that --bug can break")->callback([&exit_code] {
    exit_code = list_bugs();
  });
}

}  // namespace rosebud
