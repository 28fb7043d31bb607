// bench: load on a cluster through a client session, and what each operation costs.
#include <fmt/format.h>

#include <filesystem>
#include <mutex>
#include <sstream>

#include "apps/rosebud/commands.h"
#include "base/files.h"
#include "base/processor_time.h"
#include "fs/cid.h"
#include "load/report.h"

namespace rosebud::apps {
namespace {

namespace stdfs = std::filesystem;
using client::Session;

struct BenchOptions {
  std::string work;
  std::uint64_t size = 1024;
  std::size_t in_flight = 16;
  double per_second = 0;
  double seconds = 10;
  double warm_up_seconds = 2;
  std::size_t objects = 1000;
  std::string ids_file;
};

Duration seconds_of(double seconds) { return Duration(static_cast<std::int64_t>(seconds * 1e6)); }

/// Records of this client's own, under salts that nobody used before. Each is written by one lane,
/// so its versions follow each other. The owner's note of record_writer.h is left out: what is
/// measured is the store.
class BenchRecord {
 public:
  BenchRecord(const Session& session, Bytes salt)
      : session_(session),
        salt_(std::move(salt)),
        id_(wire::record_id(session.key().public_key(), salt_)) {}

  const wire::ObjectId& id() const { return id_; }
  wire::SignedRecord next(Bytes value) {
    ++version_;
    wire::RecordStatement statement{.cluster = session_.configuration()->cluster(),
                                    .owner = session_.key().public_key(),
                                    .salt = salt_,
                                    .version = wire::Version{version_},
                                    .value_size = static_cast<std::uint32_t>(value.size()),
                                    .value_hash = wire::record_value_hash(value)};
    return {.statement = wire::sign(session_.scheme(), session_.key(), statement),
            .value = Buffer(std::move(value))};
  }

 private:
  const Session& session_;
  Bytes salt_;
  wire::ObjectId id_;
  std::uint64_t version_ = 0;
};

/// One CID a line.
std::vector<wire::ObjectId> read_ids(const std::string& file) {
  auto text = read_text_file(file, 64U << 20);
  if (!text) stop(ExitCode::kUsage, text.error());
  std::vector<wire::ObjectId> out;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    const auto cid = fs::Cid::parse(line);
    if (!cid) stop(ExitCode::kUsage, cid.error());
    out.push_back(wire::ObjectId::block(cid->digest));
  }
  if (out.empty()) stop(ExitCode::kUsage, {.what = "there is no id in " + file, .next = {}});
  return out;
}

/// Starts one operation of a lane.
using StartOperation = std::function<void(std::size_t lane, Session::Done done)>;

class Workload {
 public:
  Workload(Session& session, const BenchOptions& options, Duration timeout)
      : session_(session), options_(options), timeout_(timeout) {
    std::uint64_t seed = 0;
    crypto::fill_random({reinterpret_cast<std::uint8_t*>(&seed), sizeof seed});
    Random random(seed);
    for (std::size_t i = 0; i < options.in_flight; ++i) lanes_.emplace_back(random.fork());
    // A run's own objects: nothing that somebody stored is touched.
    const Bytes run = load::random_bytes(16, random);
    const bool is_records = options.work.starts_with("record");
    const std::size_t count =
        options.work == "record-write" ? options.in_flight * kRecordsPerLane : options.objects;
    for (std::size_t i = 0; is_records && i < count; ++i) {
      Bytes salt = run;
      for (int shift = 24; shift >= 0; shift -= 8)
        salt.push_back(static_cast<std::uint8_t>(i >> shift));
      records_.emplace_back(session, std::move(salt));
    }
  }

  /// What must be there before measuring.
  void prepare(const Globals& globals) {
    if (options_.work == "record-read") {
      fill(globals, [this](std::size_t i, Session::Done done) {
        session_.write_record(records_[i].id(), records_[i].next(content(lanes_[0])), timeout_,
                              std::move(done));
      });
      // Each once before, so that the client has verified the working set.
      fill(globals, [this](std::size_t i, Session::Done done) {
        session_.read_record(records_[i].id(), timeout_, std::move(done));
      });
    } else if (!options_.ids_file.empty()) {
      blocks_ = read_ids(options_.ids_file);
    } else if (options_.work == "block-read") {
      blocks_.resize(options_.objects);
      fill(globals, [this](std::size_t i, Session::Done done) {
        write_block(lanes_[0], std::move(done), &blocks_[i]);
      });
    }
  }

  void start(std::size_t lane, Session::Done done) {
    Random& random = lanes_[lane];
    if (options_.work == "record-write") {
      BenchRecord& record = records_[lane * kRecordsPerLane + random.below(kRecordsPerLane)];
      session_.write_record(record.id(), record.next(content(random)), timeout_, std::move(done));
    } else if (options_.work == "record-read") {
      session_.read_record(records_[random.below(records_.size())].id(), timeout_, std::move(done));
    } else if (options_.work == "block-write") {
      write_block(random, std::move(done), nullptr);
    } else {
      session_.read_block(blocks_[random.below(blocks_.size())], timeout_, std::move(done));
    }
  }

 private:
  static constexpr std::size_t kRecordsPerLane = 16;

  Bytes content(Random& random) const { return load::random_bytes(options_.size, random); }

  void write_block(Random& random, Session::Done done, wire::ObjectId* id_out) {
    const Buffer bytes(content(random));
    const auto id = wire::ObjectId::block(crypto::sha256(bytes.view()));
    if (id_out) *id_out = id;
    session_.write_block(id, bytes, timeout_, std::move(done));
  }

  /// Runs `begin` for every object, some at once; a failure ends the program.
  void fill(const Globals& globals,
            const std::function<void(std::size_t, Session::Done)>& begin) const {
    Progress progress(globals, "preparing", options_.objects * options_.size);
    std::mutex mutex;
    std::optional<Failure> failure;
    const std::size_t in_flight_max =
        std::clamp<std::size_t>((32U << 20) / std::max<std::uint64_t>(options_.size, 1), 1, 64);
    load::run_each(options_.objects, in_flight_max, [&](std::size_t i, load::Ended ended) {
      progress.add(options_.size);
      begin(i, [&, ended = std::move(ended)](const objects::OperationResult& result) {
        const bool is_done = result.outcome == objects::Outcome::kDone;
        if (!is_done) {
          const std::lock_guard guard(mutex);
          failure = client::failure_of(result, "preparing the objects to read", session_);
        }
        ended(is_done ? std::string_view() : objects::name_of(result.outcome));
      });
    });
    if (failure) throw Stop{*failure};
  }

  Session& session_;
  BenchOptions options_;
  Duration timeout_;
  std::vector<Random> lanes_;
  std::vector<BenchRecord> records_;
  std::vector<wire::ObjectId> blocks_;
};

// ---- What an operation costs ----

/// Sums over the nodes of a development cluster, from their metrics.
struct NodeCosts {
  double processor_seconds = 0;
  double bytes = 0;
  double syncs = 0;
  std::size_t nodes = 0;
};

NodeCosts costs_of_nodes(const stdfs::path& development) {
  NodeCosts out;
  if (development.empty()) return out;
  std::error_code error;
  for (const auto& folder : stdfs::directory_iterator(development / "nodes", error)) {
    const auto port = read_text_file(folder.path() / "admin.port", 16);
    if (!port) continue;
    const auto text = admin_request(
        static_cast<std::uint16_t>(std::strtoul(port->c_str(), nullptr, 10)), "GET", "/metrics");
    if (!text) continue;
    ++out.nodes;
    std::istringstream lines(*text);
    std::string name;
    for (std::string line; std::getline(lines, line);) {
      double value = 0;
      std::istringstream words(line);
      if (!(words >> name >> value)) continue;
      if (name == "process_cpu_seconds_total") out.processor_seconds += value;
      if (name == "rosebud_commits_total") out.syncs += value;
      if (name == "rosebud_received_bytes_total" || name == "rosebud_sent_bytes_total")
        out.bytes += value;
    }
  }
  return out;
}

struct Moment {
  double own_seconds = 0;
  NodeCosts nodes;
};

void report(const Globals& globals, const BenchOptions& options, const load::Plan& plan,
            const load::Measured& measured, const Moment& before, const Moment& after) {
  const double operations = std::max<double>(1, static_cast<double>(measured.latency.count()));
  const double rate = measured.per_second();
  const double mebibytes = rate * static_cast<double>(options.size) / (1U << 20);
  std::uint64_t failed = 0;
  for (const auto& [name, count] : measured.failures) failed += count;
  nlohmann::json json = load::to_json(plan, measured);
  json["work"] = options.work;
  json["size"] = options.size;
  json["user_mib_per_second"] = mebibytes;
  const double own_us = (after.own_seconds - before.own_seconds) * 1e6 / operations;
  json["client_processor_us_per_operation"] = own_us;
  std::string text = fmt::format("{}: {:.0f}/s, {:.1f} MiB/s of user data, {} done, {} failed\n",
                                 options.work, rate, mebibytes, measured.latency.count(), failed);
  for (const auto& [name, count] : measured.failures)
    text += fmt::format("  {}: {}\n", name, count);
  const auto& ms = json["latency_ms"];
  text += fmt::format(
      "  latency ms: p50 {:.3f}, p90 {:.3f}, p99 {:.3f}, p99.9 {:.3f}, greatest {:.3f}\n",
      ms["p50"].get<double>(), ms["p90"].get<double>(), ms["p99"].get<double>(),
      ms["p999"].get<double>(), ms["max"].get<double>());
  text += fmt::format("  per operation: client {:.0f} us of processor", own_us);
  const bool has_nodes = before.nodes.nodes > 0 && before.nodes.nodes == after.nodes.nodes;
  if (has_nodes) {
    const double us =
        (after.nodes.processor_seconds - before.nodes.processor_seconds) * 1e6 / operations;
    const double bytes = (after.nodes.bytes - before.nodes.bytes) / operations;
    const double syncs = (after.nodes.syncs - before.nodes.syncs) / operations;
    json["nodes_processor_us_per_operation"] = us;
    json["nodes_bytes_per_operation"] = bytes;
    json["nodes_syncs_per_operation"] = syncs;
    text += fmt::format(", {} nodes {:.0f} us, {:.0f} bytes, {:.2f} syncs", after.nodes.nodes, us,
                        bytes, syncs);
  }
  print(globals, json, text);
}

void bench(const Globals& globals, const BenchOptions& options) {
  if (options.work.starts_with("record") && options.size > wire::kRecordValueSizeMax) {
    stop(ExitCode::kUsage,
         {.what = "a record's value takes at most 65536 bytes", .next = "give a smaller --size"});
  }
  const OpenSession session(globals);
  Workload workload(*session, options, globals.timeout());
  workload.prepare(globals);
  const auto now = [&] {
    return Moment{.own_seconds = processor_seconds(),
                  .nodes = costs_of_nodes(session.file().development)};
  };
  Moment before;
  Moment after;
  const load::Plan plan{
      .in_flight = options.in_flight,
      .per_second = options.per_second > 0 ? std::optional(options.per_second) : std::nullopt,
      .warm_up = seconds_of(options.warm_up_seconds),
      .measured = seconds_of(options.seconds)};
  const auto measured = load::run(
      plan,
      [&](std::size_t lane, load::Ended ended) {
        workload.start(lane, [ended = std::move(ended)](const objects::OperationResult& result) {
          const bool is_done = result.outcome == objects::Outcome::kDone;
          ended(is_done ? std::string_view() : objects::name_of(result.outcome));
        });
      },
      [&] { before = now(); }, [&] { after = now(); });
  report(globals, options, plan, measured, before, after);
  if (measured.latency.count() == 0) {
    stop(ExitCode::kNoQuorum, {.what = "no operation was done",
                               .cause = "too few replicas answer",
                               .next = "see `rosebud status`"});
  }
}

}  // namespace

void add_bench_commands(CLI::App& app, Globals& globals) {
  auto options = std::make_shared<BenchOptions>();
  auto* command = app.add_subcommand(
      "bench", "Load the cluster and measure: rates, percentiles, what an operation costs");
  command->add_option("work", options->work, "record-read, record-write, block-read or block-write")
      ->required()
      ->check(CLI::IsMember({"record-read", "record-write", "block-read", "block-write"}));
  command->add_option("--size", options->size, "Bytes of a value or block, also 4kb, 1mb")
      ->transform(CLI::AsSizeValue(false))
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{wire::kBlockSizeMax}))
      ->capture_default_str();
  command->add_option("--in-flight", options->in_flight, "Operations under way at once, at most")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  command
      ->add_option("--rate", options->per_second,
                   "Operations due per second; latency counts from when each was due. Default: as "
                   "many as go with --in-flight")
      ->check(CLI::Range(0.1, 1e6));
  command->add_option("--seconds", options->seconds, "Measured time")
      ->check(CLI::Range(0.1, 86'400.0))
      ->capture_default_str();
  command->add_option("--warm-up", options->warm_up_seconds, "Time before measuring, in seconds")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  command->add_option("--objects", options->objects, "Objects to read from; made before measuring")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  command->add_option("--ids", options->ids_file,
                      "block-read: read these blocks instead, one CID a line");
  command->footer(
      "What it writes stays in the cluster, under names of its own, and counts in your quota.");
  command->callback([&globals, options] { bench(globals, *options); });
}

}  // namespace rosebud::apps
