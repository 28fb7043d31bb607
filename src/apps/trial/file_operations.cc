#include "apps/trial/file_operations.h"

#include "client/files.h"
#include "fs/importer.h"
#include "fs/reader.h"

namespace rosebud::trial {
namespace {

using history::Action;
using history::Outcome;

Outcome outcome_of(client::ExitCode code) {
  using enum client::ExitCode;
  switch (code) {
    case kNotFound:
      return Outcome::kNotFound;
    case kNoQuorum:
      return Outcome::kNoQuorum;
    case kIntegrity:
      return Outcome::kWrong;
    case kDenied:
      return Outcome::kDenied;
    default:
      return Outcome::kUnknown;
  }
}

/// Only to learn the id, which an operation must have when it begins.
class NullSink final : public fs::BlockSink {
 public:
  Status<Explained> put(const fs::Cid&, Buffer) override { return {}; }
};

}  // namespace

std::optional<fs::Cid> add_file(client::Session& session, history::Recorder& recorder,
                                ByteView bytes, Duration timeout) {
  NullSink nowhere;
  fs::MemorySource first(bytes);
  const auto known = fs::import_file(first, nowhere);
  if (!known) return std::nullopt;
  const auto call =
      recorder.begin(Action::kWrite, object_name(known->cid), point_of(1, crypto::sha256(bytes)));
  client::StoreSink sink(session, timeout);
  fs::MemorySource source(bytes);
  const auto stored = fs::import_file(source, sink);
  const auto failure = sink.finish();
  Outcome outcome = Outcome::kOk;
  if (failure) {
    outcome = outcome_of(failure->code);
  } else if (!stored || stored->cid != known->cid) {
    outcome = Outcome::kWrong;
  }
  recorder.end(call, Action::kWrite, outcome);
  return outcome == Outcome::kOk ? std::optional(known->cid) : std::nullopt;
}

Outcome read_file(client::Session& session, history::Recorder& recorder, const fs::Cid& cid,
                  Duration timeout) {
  const auto call = recorder.begin(Action::kRead, object_name(cid));
  client::StoreSource source(session, timeout);
  Bytes all;
  const auto read = fs::read_file(cid, source, [&](ByteView bytes) -> Status<Explained> {
    all.insert(all.end(), bytes.begin(), bytes.end());
    return {};
  });
  Outcome outcome = Outcome::kOk;
  history::Point returned;
  if (read) {
    returned = point_of(1, crypto::sha256(all));
  } else {
    outcome = source.failure() ? outcome_of(source.failure()->code) : Outcome::kWrong;
  }
  recorder.end(call, Action::kRead, outcome, returned);
  return outcome;
}

}  // namespace rosebud::trial
