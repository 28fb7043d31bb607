// rosebud-sim: the cores in virtual time.
#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdio>
#include <mutex>
#include <thread>

#include "sim/swarm.h"

namespace rosebud {
namespace {

void print_failure(std::uint64_t seed, const sim::SwarmResult& result) {
  std::printf("seed %llu: VIOLATION: %s\n  %s\n  replay: rosebud-sim run --seed %llu\n",
              static_cast<unsigned long long>(seed), result.violation.c_str(), result.story.c_str(),
              static_cast<unsigned long long>(seed));
}

int run_one(std::uint64_t seed) {
  const auto result = sim::run_seed(seed);
  std::printf(
      "seed %llu: %s\n  events %llu, epochs %llu, operations %llu, acknowledged %llu\n  trace %s\n",
      static_cast<unsigned long long>(seed), result.story.c_str(),
      static_cast<unsigned long long>(result.events),
      static_cast<unsigned long long>(result.epochs),
      static_cast<unsigned long long>(result.operations),
      static_cast<unsigned long long>(result.acknowledged), to_hex(result.trace.view()).c_str());
  if (result.violation.empty()) return 0;
  print_failure(seed, result);
  return 6;
}

int run_swarm(std::uint64_t first, std::uint64_t last, unsigned jobs) {
  std::atomic<std::uint64_t> next = first;
  std::atomic<std::uint64_t> epochs = 0;
  std::atomic<std::uint64_t> operations = 0;
  std::atomic<std::uint64_t> acknowledged = 0;
  std::atomic<std::uint64_t> violations = 0;
  std::mutex printing;
  std::vector<std::thread> workers;
  for (unsigned i = 0; i < jobs; ++i) {
    workers.emplace_back([&] {
      for (std::uint64_t seed = next++; seed <= last; seed = next++) {
        const auto result = sim::run_seed(seed);
        // One seed in twenty runs twice: the same seed is the same run.
        const bool is_same = seed % 20 != 1 || sim::run_seed(seed).trace == result.trace;
        epochs += result.epochs;
        operations += result.operations;
        acknowledged += result.acknowledged;
        const std::lock_guard lock(printing);
        if (!result.violation.empty()) {
          ++violations;
          print_failure(seed, result);
        }
        if (!is_same) {
          ++violations;
          std::printf("seed %llu: two runs differ\n", static_cast<unsigned long long>(seed));
        }
      }
    });
  }
  for (auto& worker : workers) worker.join();
  std::printf(
      "%llu seeds, %llu epoch changes, %llu operations, %llu acknowledged, %llu violations\n",
      static_cast<unsigned long long>(last - first + 1),
      static_cast<unsigned long long>(epochs.load()),
      static_cast<unsigned long long>(operations.load()),
      static_cast<unsigned long long>(acknowledged.load()),
      static_cast<unsigned long long>(violations.load()));
  return violations == 0 ? 0 : 6;
}

}  // namespace
}  // namespace rosebud

int main(int argc, char** argv) {
  CLI::App app{"The cores of Rosebud in virtual time, with faults and checkers"};
  app.require_subcommand(1);
  std::uint64_t seed = 1;
  std::string seeds = "1..100";
  unsigned jobs = std::max(1U, std::thread::hardware_concurrency());
  auto* run = app.add_subcommand("run", "One seed; prints its story and trace hash");
  run->add_option("--seed", seed, "Seed")->required();
  auto* swarm = app.add_subcommand("swarm", "Many seeds");
  swarm->add_option("--seeds", seeds, "First..last")->capture_default_str();
  swarm->add_option("--jobs", jobs, "Threads")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (run->parsed()) return rosebud::run_one(seed);
  unsigned long long first = 0;
  unsigned long long last = 0;
  if (std::sscanf(seeds.c_str(), "%llu..%llu", &first, &last) != 2 || first > last) {
    std::fprintf(stderr, "rosebud-sim: '%s' is no range of seeds; give FIRST..LAST\n",
                 seeds.c_str());
    return 1;
  }
  return rosebud::run_swarm(first, last, jobs);
}
