#include "driver.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "base/processor_time.h"
#include "load/report.h"

namespace rosebud::peers {
namespace {

Duration duration_of(double seconds) { return Duration(static_cast<std::int64_t>(seconds * 1e6)); }

/// User and system time of other processes, from /proc/PID/stat (proc(5)); nothing when one is
/// gone.
std::optional<double> processor_seconds_of(const std::vector<int>& processes) {
  double ticks = 0;
  for (const int process : processes) {
    std::ifstream file("/proc/" + std::to_string(process) + "/stat");
    std::string line;
    if (!std::getline(file, line)) return std::nullopt;
    // The name in parentheses may hold spaces; utime and stime are the 12th and 13th after it.
    std::istringstream words(line.substr(line.rfind(')') + 1));
    std::string word;
    for (int i = 1; i <= 13 && words >> word; ++i)
      if (i >= 12) ticks += std::stod(word);
  }
  return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

/// The records are shared out over the lanes: lane, lane + in_flight, and so on.
class Workload {
 public:
  Workload(System& system, const Options& options) : system_(system), options_(options) {
    Random random(std::random_device{}());
    for (std::size_t i = 0; i < options.in_flight; ++i) lanes_.push_back(random.fork());
  }

  void prepare() {
    if (!is_read()) return;
    const auto each = [&](const char* what, const load::Start& start) {
      const auto failure = load::run_each(records_per_lane() * options_.in_flight, kAtOnce, start);
      if (!failure.empty()) throw Failure{std::string(what) + ": " + failure};
    };
    each("writing what is to be read", [this](std::size_t record, load::Ended ended) {
      system_.write(record, value(lanes_[0]), std::move(ended));
    });
    each("reading for the first time",
         [this](std::size_t record, load::Ended ended) { system_.read(record, std::move(ended)); });
  }

  void start(std::size_t lane, load::Ended ended) {
    Random& random = lanes_[lane];
    const std::size_t record = lane + options_.in_flight * random.below(records_per_lane());
    if (is_read()) {
      system_.read(record, std::move(ended));
    } else {
      system_.write(record, value(random), std::move(ended));
    }
  }

 private:
  static constexpr std::size_t kAtOnce = 16;
  static constexpr std::size_t kRecordsWrittenPerLane = 16;  // as in `rosebud bench`

  bool is_read() const { return options_.work == "record-read"; }
  std::size_t records_per_lane() const {
    return is_read() ? (options_.records_to_read + options_.in_flight - 1) / options_.in_flight
                     : kRecordsWrittenPerLane;
  }
  Bytes value(Random& random) const { return load::random_bytes(options_.value_size, random); }

  System& system_;
  const Options& options_;
  std::vector<Random> lanes_;
};

void measure(const Options& options, const Driver& driver) {
  const auto system = driver.open(options);
  Workload workload(*system, options);
  workload.prepare();
  const load::Plan plan{.in_flight = options.in_flight,
                        .warm_up = duration_of(options.warm_up_seconds),
                        .measured = duration_of(options.seconds)};
  struct Moment {
    double own = 0;
    std::optional<double> servers;
  };
  const auto now = [&] {
    return Moment{.own = processor_seconds(),
                  .servers = processor_seconds_of(options.server_processes)};
  };
  Moment before;
  Moment after;
  const auto measured = load::run(
      plan, [&](std::size_t lane, load::Ended ended) { workload.start(lane, std::move(ended)); },
      [&] { before = now(); }, [&] { after = now(); });
  if (!before.servers || !after.servers) throw Failure{"a server ended under the load"};
  const double operations = std::max<double>(1, static_cast<double>(measured.latency.count()));
  nlohmann::json json = load::to_json(plan, measured);
  json["work"] = options.work;
  json["size"] = options.value_size;
  json["client_processor_us_per_operation"] = (after.own - before.own) * 1e6 / operations;
  if (!options.server_processes.empty())
    json["nodes_processor_us_per_operation"] =
        (*after.servers - *before.servers) * 1e6 / operations;
  std::cout << json.dump() << "\n";
}

}  // namespace

int drive(int argc, char** argv, const Driver& driver) {
  CLI::App app("Drives one system for bench/peers/run");
  Options options;
  std::uint16_t serve_port = 0;
  app.add_option("work", options.work, "record-read or record-write")
      ->check(CLI::IsMember({"record-read", "record-write"}));
  app.add_option("--size", options.value_size, "Bytes of a value")->check(CLI::Range(1, 65'536));
  app.add_option("--in-flight", options.in_flight)->check(CLI::Range(1, 10'000));
  app.add_option("--records", options.records_to_read)->check(CLI::Range(1, 1'000'000));
  app.add_option("--seconds", options.seconds)->check(CLI::Range(0.1, 3600.0));
  app.add_option("--warm-up", options.warm_up_seconds)->check(CLI::Range(0.0, 3600.0));
  app.add_option("--folder", options.folder, "Of a system that runs inside the driver");
  app.add_option("--ports", options.ports, "Of the servers, on 127.0.0.1")->delimiter(',');
  app.add_option("--own-port", options.own_port, "Of a driver that is a node itself");
  app.add_option("--processes", options.server_processes, "Ids of the servers")->delimiter(',');
  if (driver.serve) app.add_option("--serve", serve_port, "Be a server on this port");
  CLI11_PARSE(app, argc, argv);
  try {
    if (serve_port != 0) {
      driver.serve(serve_port, options);
    } else {
      measure(options, driver);
    }
    return 0;
  } catch (const Failure& failure) {
    std::cerr << failure.what << "\n";
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
  }
  return 1;
}

}  // namespace rosebud::peers
