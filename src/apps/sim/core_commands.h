// run, swarm, scenarios and bugs for a core with a simulator: the same words and the same output
// whichever core it is.
//
// A Core names what differs:
//   kCommand                       "rosebud-sim" and what stands behind it
//   Plan, Result                   of its simulator: Plan{story, faults},
//                                  Result{violation, time, story}
//   make_plan, run, describe
//   kScenarios, is_scenario
//   kPlantedBugs, describe_bug, plant
//   measure(plan)                  a run, and what of it counts as simulated time
//   counts(result), trace(result)  what a summary adds up; what two equal runs have in common
#pragma once

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <mutex>
#include <thread>

#include "base/planted.h"
#include "base/processor_time.h"

namespace rosebud {

inline constexpr int kExitViolation = 6;

/// Names and numbers, in the order in which they are shown.
using Counts = std::vector<std::pair<std::string_view, std::uint64_t>>;

struct CoreOptions {
  std::string scenario = "mixed";
  std::string bug;
  std::uint64_t seed = 1;
  std::string seeds = "1..100";
  unsigned jobs = std::max(1U, std::thread::hardware_concurrency());
  double time_limit_s = 0;
  bool is_until_violation = false;
  std::size_t story_lines = 0;
};

template <typename Result>
struct MeasuredRun {
  Result result;
  double simulated_s = 0;
  double processor_s = 0;  // that this much took
};

template <typename Core>
class CoreCommands {
 public:
  static void add(CLI::App& app, int& exit_code) {
    auto options = std::make_shared<CoreOptions>();
    std::string names;
    for (const auto& one : Core::kScenarios) names += " " + std::string(one.name);
    auto* run = app.add_subcommand("run", "One seed; where it fails, why, and its end as a story");
    run->add_option("--seed", options->seed, "Seed")->required();
    options->story_lines = Core::kStoryLines;
    run->add_option("--story", options->story_lines, "Last events of a failure to tell, in lines")
        ->capture_default_str();
    auto* swarm = app.add_subcommand("swarm", "Many seeds");
    swarm->add_option("--seeds", options->seeds, "First..last")->capture_default_str();
    swarm->add_option("--jobs", options->jobs, "Threads")->capture_default_str();
    swarm->add_option("--limit", options->time_limit_s, "Begin no seed after so many seconds");
    swarm->add_flag("--until-violation", options->is_until_violation,
                    "Begin no seed after the first violation");
    for (CLI::App* one : {run, swarm}) {
      one->add_option("--scenario", options->scenario, "One of:" + names)->capture_default_str();
      if (kHasPlantedBugs) one->add_option("--bug", options->bug, "Break this rule on purpose");
    }
    run->callback([options, &exit_code] {
      exit_code = is_ready(*options) ? CoreCommands(*options).run_one() : 1;
    });
    swarm->callback([options, &exit_code] {
      exit_code = is_ready(*options) ? CoreCommands(*options).run_swarm() : 1;
    });
    app.add_subcommand("scenarios", "Lists what --scenario knows")->callback([&exit_code] {
      exit_code = list_scenarios();
    });
    if (!kHasPlantedBugs) return;
    app.add_subcommand("bugs", "Lists the rules that --bug can break")->callback([&exit_code] {
      exit_code = list_bugs();
    });
  }

 private:
  using Plan = typename Core::Plan;
  using Result = typename Core::Result;
  using Clock = std::chrono::steady_clock;
  static constexpr double kMinimisingSeconds = 60;

  explicit CoreCommands(const CoreOptions& options) : options_(options) {}

  static double seconds_since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
  }
  static unsigned long long number(std::uint64_t value) { return value; }

  // ---- What there is ----

  static bool is_ready(const CoreOptions& options) {
    if (!Core::is_scenario(options.scenario)) {
      std::fprintf(stderr, "rosebud-sim: '%s' is no scenario; `%s scenarios` lists them\n",
                   options.scenario.c_str(), Core::kCommand);
      return false;
    }
    if (options.bug.empty()) return true;
    for (const auto& one : Core::kPlantedBugs) {
      if (one.name != options.bug) continue;
      Core::plant(one.bug);
      return true;
    }
    std::fprintf(stderr, "rosebud-sim: no bug is called '%s'; `%s bugs` lists them\n",
                 options.bug.c_str(), Core::kCommand);
    return false;
  }

  static int list_scenarios() {
    for (const auto& one : Core::kScenarios) {
      std::printf("%-13s %s\n", std::string(one.name).c_str(), std::string(one.what).c_str());
    }
    return 0;
  }

  static int list_bugs() {
    for (const auto& one : Core::kPlantedBugs) {
      std::printf("%-30s %s\n", std::string(one.name).c_str(), Core::describe_bug(one).c_str());
    }
    return 0;
  }

  // ---- One seed ----

  int run_one() const {
    const Plan plan = Core::make_plan(options_.scenario, options_.seed);
    const MeasuredRun<Result> run = Core::measure(plan);
    std::printf("seed %llu: %s\n ", number(options_.seed), plan.story.c_str());
    const char* separator = "";
    for (const auto& [name, count] : Core::counts(run.result)) {
      std::printf("%s %s %llu", separator, std::string(name).c_str(), number(count));
      separator = ",";
    }
    std::printf(
        "\n  %.1f simulated seconds in %.2f of one core, which is %.0f times real time\n"
        "  trace %s\n",
        run.simulated_s, run.processor_s, run.simulated_s / std::max(run.processor_s, 1e-6),
        Core::trace(run.result).c_str());
    if (run.result.violation.empty()) return 0;
    print_failure(options_.seed, plan, run.result);
    std::fflush(stdout);
    tell_smallest(plan);
    return kExitViolation;
  }

  void print_failure(std::uint64_t seed, const Plan& plan, const Result& result) const {
    std::printf("seed %llu: VIOLATION: %s\n  %s\n  replay: %s run --scenario %s --seed %llu%s%s\n",
                number(seed), result.violation.c_str(), plan.story.c_str(), Core::kCommand,
                options_.scenario.c_str(), number(seed), options_.bug.empty() ? "" : " --bug ",
                options_.bug.c_str());
  }

  /// Every fault is left out without which the run fails all the same; then how that run ends.
  void tell_smallest(const Plan& plan) const {
    const auto begin = Clock::now();
    Plan small = plan;
    for (std::size_t i = small.faults.size(); i > 0 && seconds_since(begin) < kMinimisingSeconds;) {
      Plan without = small;
      without.faults.erase(without.faults.begin() + static_cast<std::ptrdiff_t>(--i));
      if (!Core::run(without, 0).violation.empty()) small = std::move(without);
    }
    std::printf("\nFails with these faults alone (%zu of %zu):\n", small.faults.size(),
                plan.faults.size());
    for (const auto& fault : small.faults) std::printf("  %s\n", Core::describe(fault).c_str());
    std::printf("\nHow that run ends:\n");
    for (const std::string& line : Core::run(small, options_.story_lines).story)
      std::printf("  %s\n", line.c_str());
  }

  // ---- Many ----

  int run_swarm() {
    unsigned long long first = 0;
    unsigned long long last = 0;
    if (std::sscanf(options_.seeds.c_str(), "%llu..%llu", &first, &last) != 2 || first > last) {
      std::fprintf(stderr, "rosebud-sim: '%s' is no range of seeds; give FIRST..LAST\n",
                   options_.seeds.c_str());
      return 1;
    }
    next_ = first;
    first_ = first;
    last_ = last;
    std::vector<std::thread> workers;
    for (unsigned i = 0; i < options_.jobs; ++i) workers.emplace_back([this] { work(); });
    for (auto& worker : workers) worker.join();
    if (is_on_terminal_) std::fprintf(stderr, "\r\033[K");
    std::printf("%llu seeds", number(done_));
    for (const auto& [name, count] : sums_)
      std::printf(", %llu %s", number(count), std::string(name).c_str());
    // Of the whole process: other processes must not make a run look slow.
    std::printf(", %llu violations, %.0f times real time per core\n", number(violations_),
                simulated_s_ / std::max(processor_seconds(), 1e-6));
    return violations_ == 0 ? 0 : kExitViolation;
  }

  bool is_over() {
    const std::lock_guard lock(mutex_);
    if (options_.is_until_violation && violations_ > 0) return true;
    return options_.time_limit_s > 0 && seconds_since(begin_) > options_.time_limit_s;
  }

  void work() {
    for (std::uint64_t seed = next_++; seed <= last_ && !is_over(); seed = next_++) {
      const Plan plan = Core::make_plan(options_.scenario, seed);
      const Result result = Core::run(plan, 0);
      // One seed in twenty runs twice: the same seed is the same run.
      const bool is_same = seed % 20 != 1 || Core::trace(Core::run(plan, 0)) == Core::trace(result);
      take(seed, plan, result, is_same);
    }
  }

  void take(std::uint64_t seed, const Plan& plan, const Result& result, bool is_same) {
    const std::lock_guard lock(mutex_);
    ++done_;
    const Counts counts = Core::counts(result);
    if (sums_.empty()) sums_ = Counts(counts.size());
    for (std::size_t i = 0; i < counts.size(); ++i)
      sums_[i] = {counts[i].first, sums_[i].second + counts[i].second};
    simulated_s_ += static_cast<double>(result.time.count()) / 1e6;
    if (is_on_terminal_) std::fprintf(stderr, "\r\033[K");
    if (!result.violation.empty()) {
      ++violations_;
      print_failure(seed, plan, result);
    }
    if (!is_same) {
      ++violations_;
      std::printf("seed %llu: two runs differ\n", number(seed));
    }
    std::fflush(stdout);
    show_progress();
  }

  void show_progress() const {
    if (!is_on_terminal_) return;
    const double rate = static_cast<double>(done_) / seconds_since(begin_);
    const std::uint64_t all = last_ - first_ + 1;
    std::fprintf(stderr, "%llu of %llu seeds, %.1f per second, %.0f s left, %llu violations",
                 number(done_), number(all), rate, static_cast<double>(all - done_) / rate,
                 number(violations_));
    std::fflush(stderr);
  }

  const CoreOptions& options_;
  std::atomic<std::uint64_t> next_ = 0;
  std::uint64_t first_ = 0;
  std::uint64_t last_ = 0;
  const Clock::time_point begin_ = Clock::now();
  const bool is_on_terminal_ = isatty(STDERR_FILENO) == 1;
  std::mutex mutex_;  // guards what follows
  std::uint64_t done_ = 0;
  Counts sums_;
  std::uint64_t violations_ = 0;
  double simulated_s_ = 0;
};

}  // namespace rosebud
