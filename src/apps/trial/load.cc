// The load of a trial: lanes, each a thread that does one operation after the other, over one
// session whose operations are all recorded.
#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <condition_variable>
#include <nlohmann/json.hpp>
#include <thread>

#include "apps/trial/commands.h"
#include "apps/trial/file_operations.h"
#include "base/random.h"
#include "client/record_writer.h"
#include "crypto/key_file.h"

namespace rosebud::trial {
namespace {

namespace stdfs = std::filesystem;
using client::RecordWriter;

constexpr std::string_view kFilesRecord = "files";

Bytes salt_of(std::string_view name) { return to_bytes(as_bytes(name)); }
std::string own_record(std::uint32_t which) { return fmt::format("own-{}", which); }
std::string contested_record(std::uint32_t which) { return fmt::format("contested-{}", which); }

Bytes random_bytes(std::size_t size, Random& random) {
  Bytes out(size);
  for (auto& byte : out) byte = static_cast<std::uint8_t>(random.next());
  return out;
}

/// Small ones mostly, now and then one near the greatest.
std::size_t random_size(std::size_t usual, std::size_t greatest, Random& random) {
  return 1 + random.below(random.chance(1, 12) ? greatest : usual);
}

class Load {
 public:
  Load(const LoadOptions& options, client::Session& inner, history::Recorder& recorder,
       stdfs::path state, std::vector<crypto::PublicKey> peers)
      : options_(options),
        recorder_(recorder),
        session_(inner, recorder),
        state_(std::move(state)),
        peers_(std::move(peers)),
        timeout_(duration_of(options.timeout_seconds)) {}

  void run() {
    Random random(options_.seed);
    start(options_.records, random,
          [this](std::uint32_t i, Random r) { write_record(own_record(i), r); });
    start(options_.contested, random,
          [this](std::uint32_t i, Random r) { write_record(contested_record(i), r); });
    start(options_.readers, random, [this](std::uint32_t, Random r) { read_records(r); });
    start(options_.blocks, random, [this](std::uint32_t, Random r) { blocks(r); });
    start(options_.files, random, [this](std::uint32_t i, Random r) { files(i, r); });
    wait_for_the_end();
    for (auto& lane : lanes_) lane.join();
    print_counts();
  }

 private:
  template <typename Lane>
  void start(std::uint32_t count, Random& random, Lane lane) {
    for (std::uint32_t i = 0; i < count; ++i) {
      lanes_.emplace_back([lane, i, fork = random.fork()] { lane(i, fork); });
    }
  }

  bool is_stopping() const { return is_stopping_; }

  /// Between two operations of a lane.
  void pause(Random& random) const {
    std::this_thread::sleep_for(
        std::chrono::microseconds(random.below(2'000 * std::uint64_t{options_.pause_ms} + 1)));
  }

  // ---- Lanes ----

  void write_record(const std::string& name, Random random) {
    RecordWriter writer(session_, state_, salt_of(name));
    std::optional<wire::Version> last;
    for (std::uint64_t count = 0; !is_stopping(); ++count) {
      const Bytes padding = random_bytes(random_size(200, 4000, random), random);
      const std::string value =
          fmt::format("{} {} {} {}", options_.name, name, count, as_text(padding));
      // Now and then only if nobody wrote in between.
      const auto expected = random.chance(1, 8) ? last : std::nullopt;
      const auto written = writer.write(as_bytes(value), expected, timeout_);
      last = written ? std::optional(written->version) : std::nullopt;
      pause(random);
    }
  }

  void read_records(Random random) {
    while (!is_stopping()) {
      const auto& owner = peers_[random.below(peers_.size())];
      const std::string name = random_record(random);
      const auto record = client::read_record(session_, owner, as_bytes(name), timeout_);
      if (record && name.starts_with(kFilesRecord)) follow(as_text(record->value.view()));
      pause(random);
    }
  }

  /// Reads the file that a record names: whoever published it had all of it acknowledged before.
  void follow(std::string_view id) {
    if (const auto cid = fs::Cid::parse(id)) read_file(session_, recorder_, *cid, timeout_);
  }

  std::string random_record(Random& random) const {
    const auto which = static_cast<std::uint32_t>(
        random.below(std::uint64_t{options_.peer_records} + options_.peer_contested + 1));
    if (which < options_.peer_records) return own_record(which);
    if (which < options_.peer_records + options_.peer_contested)
      return contested_record(which - options_.peer_records);
    return fmt::format("{}-0", kFilesRecord);
  }

  void blocks(Random random) {
    constexpr std::size_t kRememberedMax = 5'000;
    std::vector<wire::ObjectId> written;
    while (!is_stopping()) {
      if (written.empty() || random.chance(1, 2)) {
        const Buffer bytes(random_bytes(random_size(4'000, 120'000, random), random));
        const auto id = wire::ObjectId::block(crypto::sha256(bytes.view()));
        session_.wait([&](client::Session::Done done) {
          session_.write_block(id, bytes, timeout_, std::move(done));
        });
        // Those of unknown outcome too.
        if (written.size() < kRememberedMax)
          written.push_back(id);
        else
          written[random.below(written.size())] = id;
      } else {
        const auto& id = written[random.below(written.size())];
        session_.wait([&](client::Session::Done done) {
          session_.read_block(id, timeout_, std::move(done));
        });
      }
      pause(random);
    }
  }

  void files(std::uint32_t which, Random random) {
    RecordWriter writer(session_, state_, salt_of(fmt::format("{}-{}", kFilesRecord, which)));
    constexpr int kPauses = 25;  // files are large
    while (!is_stopping()) {
      const Bytes bytes = random_bytes(random_size(60'000, 3'000'000, random), random);
      const auto cid = add_file(session_, recorder_, bytes, timeout_);
      if (cid) (void)writer.write(as_bytes(cid->text()), std::nullopt, timeout_);
      for (int i = 0; i < kPauses && !is_stopping(); ++i) pause(random);
    }
  }

  // ---- Until the end ----

  /// Prints counts each second until SIGTERM.
  void wait_for_the_end() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    constexpr timespec kSecond{.tv_sec = 1, .tv_nsec = 0};
    while (::sigtimedwait(&signals, nullptr, &kSecond) < 0) print_counts();
    is_stopping_ = true;
  }

  void print_counts() const {
    nlohmann::json out = nlohmann::json::object();
    for (const auto& [what, count] : recorder_.counts()) {
      out[std::string(history::name_of(what.first)) + " " +
          std::string(history::name_of(what.second))] = count;
    }
    fmt::print("{}\n", out.dump());
    std::fflush(stdout);
  }

  const LoadOptions& options_;
  history::Recorder& recorder_;
  RecordingSession session_;
  stdfs::path state_;
  std::vector<crypto::PublicKey> peers_;
  Duration timeout_;
  std::atomic<bool> is_stopping_ = false;
  std::vector<std::thread> lanes_;
};

Result<std::vector<crypto::PublicKey>, Explained> keys_of(const std::vector<stdfs::path>& clients) {
  std::vector<crypto::PublicKey> out;
  for (const auto& folder : clients) {
    const auto file = client::read_cluster_file(folder / "rosebud.toml");
    if (!file) return fail(file.error());
    const auto key = crypto::read_secret_key(file->key);
    if (!key) return fail(key.error());
    out.push_back(key->public_key());
  }
  return out;
}

}  // namespace

Result<std::unique_ptr<client::Session>, Explained> open_session(const stdfs::path& folder,
                                                                 client::ClusterFile& file_out) {
  auto file = client::read_cluster_file(folder / "rosebud.toml");
  if (!file) return fail(file.error());
  file_out = std::move(*file);
  return client::Session::open(file_out);
}

Status<Explained> run_load(const LoadOptions& options) {
  // Before any thread exists, so that all of them inherit it: one waits for these signals.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);

  auto peers = keys_of(options.peers);
  if (!peers) return fail(peers.error());
  client::ClusterFile file;
  const auto session = open_session(options.client, file);
  if (!session) return fail(session.error());
  if (peers->empty()) peers->push_back((*session)->key().public_key());
  const auto recorder = history::Recorder::open(options.history, options.name);
  if (!recorder) return fail(recorder.error());
  Load(options, **session, **recorder, file.state, std::move(*peers)).run();
  return {};
}

}  // namespace rosebud::trial
