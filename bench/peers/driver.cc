#include "driver.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>

#include "load/report.h"
#include "load/run_cost.h"

namespace rosebud::peers {
namespace {

Duration duration_of(double seconds) { return Duration(static_cast<std::int64_t>(seconds * 1e6)); }

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
  load::RunCost cost(options.server_processes);
  const auto measured = load::run(
      plan, [&](std::size_t lane, load::Ended ended) { workload.start(lane, std::move(ended)); },
      [&] { cost.begin(); }, [&] { cost.end(); });
  nlohmann::json json = load::to_json(plan, measured);
  json["work"] = options.work;
  json["size"] = options.value_size;
  if (!cost.put(json, measured)) throw Failure{"a server ended under the load"};
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
