// rosebud-sim: the cores in virtual time.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <mutex>
#include <thread>

#include "apps/sim/pbft_commands.h"
#include "objects/planted_bugs.h"
#include "sim/swarm.h"

namespace rosebud {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kExitViolation = 6;
constexpr std::size_t kStoryLines = 40;

/// Of the whole process: other processes must not make a run look slow.
double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

unsigned long long number(std::uint64_t value) { return value; }

// ---- Planted bugs ----

#ifdef ROSEBUD_PLANTED_BUGS
constexpr bool kHasPlantedBugs = true;
void plant(objects::Bug bug) { objects::planted_bug = bug; }
#else
constexpr bool kHasPlantedBugs = false;
void plant(objects::Bug) {}
#endif

/// False: no such bug.
bool plant(const std::string& name) {
  for (const objects::PlantedBug& one : objects::kPlantedBugs) {
    if (one.name != name) continue;
    plant(one.bug);
    return true;
  }
  std::fprintf(stderr, "rosebud-sim: no bug is called '%s'; `rosebud-sim bugs` lists them\n",
               name.c_str());
  return false;
}

int list_bugs() {
  for (const objects::PlantedBug& one : objects::kPlantedBugs) {
    std::printf("%-30s %s\n", std::string(one.name).c_str(), std::string(one.breaks).c_str());
  }
  return 0;
}

// ---- Runs ----

struct Options {
  std::string scenario = "mixed";
  std::string bug;
  std::uint64_t seed = 1;
  std::string seeds = "1..100";
  unsigned jobs = std::max(1U, std::thread::hardware_concurrency());
  double time_limit_s = 0;
  bool is_until_violation = false;
};

std::string replay_line(const Options& options, std::uint64_t seed) {
  std::string out =
      "rosebud-sim run --scenario " + options.scenario + " --seed " + std::to_string(seed);
  if (!options.bug.empty()) out += " --bug " + options.bug;
  return out;
}

void print_failure(const Options& options, std::uint64_t seed, const sim::Plan& plan,
                   const sim::SwarmResult& result) {
  std::printf("seed %llu: VIOLATION: %s\n  %s\n  replay: %s\n", number(seed),
              result.violation.c_str(), plan.story.c_str(), replay_line(options, seed).c_str());
}

int run_one(const Options& options) {
  const sim::Plan plan = sim::make_plan(options.scenario, options.seed);
  const double begin = cpu_seconds();
  double took = 0;  // under load and faults; what follows is cheap and would flatter
  const sim::SwarmResult result = sim::run_plan(plan, 0, [&] { took = cpu_seconds() - begin; });
  const double simulated = static_cast<double>(plan.safety_time.count()) / 1e6;
  std::printf(
      "seed %llu: %s\n"
      "  events %llu, epochs %llu, moves of the fault %llu, operations %llu, acknowledged %llu, "
      "over quota %llu\n"
      "  %.0f simulated seconds under load in %.2f of one core, which is %.0f times real time\n"
      "  trace %s\n",
      number(options.seed), plan.story.c_str(), number(result.events), number(result.epochs),
      number(result.moves), number(result.operations), number(result.acknowledged),
      number(result.over_quota), simulated, took, simulated / std::max(took, 1e-6),
      to_hex(result.trace.view()).c_str());
  if (result.violation.empty()) return 0;
  print_failure(options, options.seed, plan, result);
  std::fflush(stdout);
  constexpr double kMinimisingSeconds = 60;
  const auto limit = Clock::now();
  const sim::Plan small =
      sim::minimise(plan, [&] { return seconds_since(limit) < kMinimisingSeconds; });
  const sim::SwarmResult told = sim::run_plan(small, kStoryLines);
  std::printf("\nFails with these faults alone (%zu of %zu):\n", small.faults.size(),
              plan.faults.size());
  for (const sim::Fault& fault : small.faults) std::printf("  %s\n", sim::describe(fault).c_str());
  std::printf("\nHow that run ends:\n");
  for (const std::string& line : told.story) std::printf("  %s\n", line.c_str());
  return kExitViolation;
}

class Swarm {
 public:
  Swarm(const Options& options, std::uint64_t first, std::uint64_t last)
      : options_(options), next_(first), first_(first), last_(last) {}

  int run() {
    std::vector<std::thread> workers;
    for (unsigned i = 0; i < options_.jobs; ++i) workers.emplace_back([this] { work(); });
    for (auto& worker : workers) worker.join();
    if (is_on_terminal_) std::fprintf(stderr, "\r\033[K");
    std::printf(
        "%llu seeds, %llu epoch changes, %llu moves of the fault, %llu operations, %llu "
        "acknowledged, %llu over quota, %llu violations, %.0f times real time per core\n",
        number(done_), number(epochs_), number(moves_), number(operations_), number(acknowledged_),
        number(over_quota_), number(violations_), simulated_s_ / std::max(cpu_seconds(), 1e-6));
    return violations_ == 0 ? 0 : kExitViolation;
  }

 private:
  bool is_over() const {
    if (options_.is_until_violation && violations_ > 0) return true;
    return options_.time_limit_s > 0 && seconds_since(begin_) > options_.time_limit_s;
  }

  void work() {
    for (std::uint64_t seed = next_++; seed <= last_; seed = next_++) {
      {
        const std::lock_guard lock(mutex_);
        if (is_over()) return;
      }
      const sim::Plan plan = sim::make_plan(options_.scenario, seed);
      const sim::SwarmResult result = sim::run_plan(plan);
      // One seed in twenty runs twice: the same seed is the same run.
      const bool is_same = seed % 20 != 1 || sim::run_plan(plan).trace == result.trace;
      take(seed, plan, result, is_same);
    }
  }

  void take(std::uint64_t seed, const sim::Plan& plan, const sim::SwarmResult& result,
            bool is_same) {
    const std::lock_guard lock(mutex_);
    ++done_;
    epochs_ += result.epochs;
    moves_ += result.moves;
    over_quota_ += result.over_quota;
    operations_ += result.operations;
    acknowledged_ += result.acknowledged;
    simulated_s_ += static_cast<double>(result.time.count()) / 1e6;
    if (is_on_terminal_) std::fprintf(stderr, "\r\033[K");
    if (!result.violation.empty()) {
      ++violations_;
      print_failure(options_, seed, plan, result);
    }
    if (!is_same) {
      ++violations_;
      std::printf("seed %llu: two runs differ\n", number(seed));
    }
    std::fflush(stdout);
    show_progress();
  }

  void show_progress() {
    if (!is_on_terminal_) return;
    const double rate = static_cast<double>(done_) / seconds_since(begin_);
    const std::uint64_t all = last_ - first_ + 1;
    std::fprintf(stderr, "%llu of %llu seeds, %.1f per second, %.0f s left, %llu violations",
                 number(done_), number(all), rate, static_cast<double>(all - done_) / rate,
                 number(violations_));
    std::fflush(stderr);
  }

  const Options& options_;
  std::atomic<std::uint64_t> next_;
  const std::uint64_t first_;
  const std::uint64_t last_;
  const Clock::time_point begin_ = Clock::now();
  const bool is_on_terminal_ = isatty(STDERR_FILENO) == 1;
  std::mutex mutex_;  // guards what follows
  std::uint64_t done_ = 0;
  std::uint64_t epochs_ = 0;
  std::uint64_t moves_ = 0;
  std::uint64_t operations_ = 0;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t over_quota_ = 0;
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

}  // namespace
}  // namespace rosebud

int main(int argc, char** argv) {
  CLI::App app{"The cores of Rosebud in virtual time, with faults and checkers"};
  app.require_subcommand(1);
  rosebud::Options options;
  auto* run = app.add_subcommand("run", "One seed; where it fails, why, and its end as a story");
  run->add_option("--seed", options.seed, "Seed")->required();
  auto* swarm = app.add_subcommand("swarm", "Many seeds");
  swarm->add_option("--seeds", options.seeds, "First..last")->capture_default_str();
  swarm->add_option("--jobs", options.jobs, "Threads")->capture_default_str();
  swarm->add_option("--limit", options.time_limit_s, "Begin no seed after so many seconds");
  swarm->add_flag("--until-violation", options.is_until_violation,
                  "Begin no seed after the first violation");
  auto* scenarios = app.add_subcommand("scenarios", "Lists what --scenario knows");
  std::string names;
  for (const auto& one : rosebud::sim::kScenarios) names += " " + std::string(one.name);
  for (CLI::App* one : {run, swarm}) {
    one->add_option("--scenario", options.scenario, "One of:" + names)->capture_default_str();
  }
  CLI::App* bugs = nullptr;
  if (rosebud::kHasPlantedBugs) {
    for (CLI::App* one : {run, swarm}) {
      one->add_option("--bug", options.bug, "Break this rule on purpose");
    }
    bugs = app.add_subcommand("bugs", "Lists the rules that --bug can break");
  }
  int pbft_exit_code = -1;
  rosebud::add_pbft_commands(app, pbft_exit_code);
  CLI11_PARSE(app, argc, argv);
  if (pbft_exit_code >= 0) return pbft_exit_code;
  if (bugs && bugs->parsed()) return rosebud::list_bugs();
  if (scenarios->parsed()) {
    for (const auto& one : rosebud::sim::kScenarios) {
      std::printf("%-10s %s\n", std::string(one.name).c_str(), std::string(one.what).c_str());
    }
    return 0;
  }
  if (!rosebud::sim::is_scenario(options.scenario)) {
    std::fprintf(stderr, "rosebud-sim: '%s' is no scenario; there are%s\n",
                 options.scenario.c_str(), names.c_str());
    return 1;
  }
  if (!options.bug.empty() && !rosebud::plant(options.bug)) return 1;
  return run->parsed() ? rosebud::run_one(options) : rosebud::run_swarm(options);
}
