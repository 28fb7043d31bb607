// At the end of a trial everything that was acknowledged is read again.
#include <fmt/format.h>

#include <atomic>
#include <set>
#include <thread>

#include "apps/trial/commands.h"
#include "apps/trial/file_operations.h"

namespace rosebud::trial {
namespace {

using history::Outcome;

constexpr std::size_t kThreads = 8;
constexpr std::size_t kToldMax = 20;

std::set<std::string> acknowledged_in(const history::History& history) {
  std::set<std::string> out;
  for (const history::Operation& one : history) {
    if (one.action == history::Action::kWrite && one.outcome == Outcome::kOk)
      out.insert(one.object);
  }
  return out;
}

/// "block:HEX", "record:HEX", "file:CID".
Outcome read_object(client::Session& session, history::Recorder& recorder,
                    const std::string& object, Duration timeout) {
  const std::string id = object.substr(object.find(':') + 1);
  if (object.starts_with("file:")) {
    const auto cid = fs::Cid::parse(id);
    return cid ? read_file(session, recorder, *cid, timeout) : Outcome::kWrong;
  }
  const auto digest = from_hex(id);
  if (!digest) return Outcome::kWrong;
  crypto::Digest placement;
  if (digest->size() != placement.bytes.size()) return Outcome::kWrong;
  std::ranges::copy(*digest, placement.bytes.begin());
  const auto result = session.wait([&](client::Session::Done done) {
    if (object.starts_with("block:")) {
      session.read_block(wire::ObjectId::block(placement), timeout, std::move(done));
    } else {
      session.read_record(wire::ObjectId::record(placement), timeout, std::move(done));
    }
  });
  return outcome_of(result.outcome);
}

}  // namespace

Result<bool, Explained> read_back(const ReadbackOptions& options) {
  const auto history = history::read_history(options.histories);
  if (!history) return fail(history.error());
  const auto acknowledged = acknowledged_in(*history);
  const std::vector<std::string> objects(acknowledged.begin(), acknowledged.end());
  client::ClusterFile file;
  const auto inner = open_session(options.client, file);
  if (!inner) return fail(inner.error());
  const auto recorder = history::Recorder::open(options.histories / "readback.jsonl", "readback");
  if (!recorder) return fail(recorder.error());
  RecordingSession session(**inner, **recorder);

  std::atomic<std::size_t> next = 0;
  std::atomic<std::size_t> missing = 0;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (std::size_t at = next++; at < objects.size(); at = next++) {
        const Outcome outcome =
            read_object(session, **recorder, objects[at], duration_of(options.timeout_seconds));
        if (outcome == Outcome::kOk || missing++ >= kToldMax) continue;
        fmt::print(stderr, "NOT READ BACK: {}: {}\n", objects[at], history::name_of(outcome));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  std::map<std::string, std::size_t> kinds;
  for (const std::string& object : objects) ++kinds[object.substr(0, object.find(':'))];
  fmt::print(
      "read back: {} blocks, {} files, {} records that were acknowledged; {} did not come back\n",
      kinds["block"], kinds["file"], kinds["record"], missing.load());
  return missing == 0;
}

}  // namespace rosebud::trial
