// Load on a group, for tests and measurements.
#include <atomic>
#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "commands.h"
#include "load/generator.h"
#include "load/report.h"
#include "load/run_cost.h"

using namespace rosebud;

namespace {

std::atomic<bool> is_ending = false;

Instant now() {
  return Instant(
      std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

double ms(Duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

/// What the clients of a check have seen.
struct Seen {
  load::Histogram latency;
  std::vector<double> slow_ms;
  std::uint64_t right = 0;
  std::uint64_t wrong = 0;
  std::uint64_t unknown = 0;

  void add(const Seen& other) {
    latency.merge(other.latency);
    slow_ms.insert(slow_ms.end(), other.slow_ms.begin(), other.slow_ms.end());
    right += other.right;
    wrong += other.wrong;
    unknown += other.unknown;
  }
};

/// One operation after the other on a counter of its own, so that nobody else adds to it.
Seen count_and_check(replication::ClientHost& client, Instant end) {
  std::uint64_t name = 0;
  crypto::fill_random({reinterpret_cast<std::uint8_t*>(&name), sizeof name});
  const std::string operation = "add check-" + std::to_string(name) + " 1";
  Seen seen;
  while (!is_ending && now() < end) {
    const Instant begin = now();
    const auto outcome = client.wait(Buffer::copy_of(as_bytes(operation)));
    const Duration took = now() - begin;
    if (outcome.status != replication::Outcome::Status::kExecuted) {
      ++seen.unknown;
    } else if (as_text(outcome.result.view()) == std::to_string(seen.right + 1)) {
      ++seen.right;
    } else {
      ++seen.wrong;
      std::fprintf(stderr, "wrong: '%s' instead of %llu\n",
                   std::string(as_text(outcome.result.view())).c_str(),
                   static_cast<unsigned long long>(seen.right + 1));
    }
    if (seen.wrong + seen.unknown > 0) is_ending = true;
    seen.latency.record(took);
    if (took > std::chrono::milliseconds(50)) seen.slow_ms.push_back(ms(took));
  }
  return seen;
}

}  // namespace

int check(const std::string& folder, double seconds, std::size_t clients) {
  std::signal(SIGTERM, [](int) { is_ending = true; });
  const auto client = open_client(folder, clients, std::chrono::seconds(60));
  const Instant end = now() + std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
  std::vector<Seen> all(clients);
  std::vector<std::thread> threads;
  threads.reserve(clients);
  for (Seen& one : all) threads.emplace_back([&] { one = count_and_check(*client, end); });
  for (std::thread& thread : threads) thread.join();
  Seen seen;
  for (const Seen& one : all) seen.add(one);
  for (const std::string& problem : client->problems())
    std::fprintf(stderr, "%s\n", problem.c_str());
  std::puts(nlohmann::json({{"right", seen.right},
                            {"wrong", seen.wrong},
                            {"unknown", seen.unknown},
                            {"p50_ms", ms(seen.latency.percentile(0.5))},
                            {"p99_ms", ms(seen.latency.percentile(0.99))},
                            {"max_ms", ms(seen.latency.max())},
                            {"over_50_ms", seen.slow_ms}})
                .dump()
                .c_str());
  return seen.right > 0 && seen.wrong + seen.unknown == 0 ? 0 : 1;
}

int bench(const std::string& folder, std::size_t in_flight, double seconds,
          const std::vector<int>& servers) {
  const auto client = open_client(folder, in_flight, std::chrono::seconds(30));
  const load::Plan plan{
      .in_flight = in_flight,
      .per_second = {},
      .measured = std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000))};
  load::RunCost cost(servers);
  const auto measured = load::run(
      plan,
      [&](std::size_t, const load::Ended& ended) {
        client->submit(
            Buffer::copy_of(as_bytes("null")), [ended](const replication::Outcome& outcome) {
              const bool is_done = outcome.status == replication::Outcome::Status::kExecuted;
              ended(is_done ? "" : "unknown");
            });
      },
      [&] { cost.begin(); }, [&] { cost.end(); });
  nlohmann::json json = load::to_json(plan, measured);
  if (!cost.put(json, measured)) {
    std::fputs("rosebud-kv: a server ended under the load\n", stderr);
    return 1;
  }
  std::puts(json.dump().c_str());
  return measured.failures.empty() ? 0 : 1;
}
