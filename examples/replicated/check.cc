// Load on a group, for tests and measurements.
#include <atomic>
#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>

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

}  // namespace

int check(const std::string& folder, double seconds) {
  std::signal(SIGTERM, [](int) { is_ending = true; });
  const auto client = open_client(folder, 1, std::chrono::seconds(60));
  // A counter of its own, so that nobody else adds to it.
  std::uint64_t name = 0;
  crypto::fill_random({reinterpret_cast<std::uint8_t*>(&name), sizeof name});
  const std::string operation = "add check-" + std::to_string(name) + " 1";
  const Instant end = now() + std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
  load::Histogram latency;
  std::vector<double> slow_ms;
  std::uint64_t right = 0;
  std::uint64_t wrong = 0;
  std::uint64_t unknown = 0;
  while (!is_ending && now() < end && wrong + unknown == 0) {
    const Instant begin = now();
    const auto outcome = client->wait(Buffer::copy_of(as_bytes(operation)));
    const Duration took = now() - begin;
    if (outcome.status != replication::Outcome::Status::kExecuted) {
      ++unknown;
    } else if (as_text(outcome.result.view()) == std::to_string(right + 1)) {
      ++right;
    } else {
      ++wrong;
      std::fprintf(stderr, "wrong: '%s' instead of %llu\n",
                   std::string(as_text(outcome.result.view())).c_str(),
                   static_cast<unsigned long long>(right + 1));
    }
    latency.record(took);
    if (took > std::chrono::milliseconds(50)) slow_ms.push_back(ms(took));
  }
  for (const std::string& problem : client->problems())
    std::fprintf(stderr, "%s\n", problem.c_str());
  std::puts(nlohmann::json({{"right", right},
                            {"wrong", wrong},
                            {"unknown", unknown},
                            {"p50_ms", ms(latency.percentile(0.5))},
                            {"p99_ms", ms(latency.percentile(0.99))},
                            {"max_ms", ms(latency.max())},
                            {"over_50_ms", slow_ms}})
                .dump()
                .c_str());
  return right > 0 && wrong + unknown == 0 ? 0 : 1;
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
