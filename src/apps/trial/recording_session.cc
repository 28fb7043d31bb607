#include "apps/trial/recording_session.h"

#include "base/check.h"

namespace rosebud::trial {
namespace {

using history::Action;
using history::Outcome;
using history::Point;
using objects::OperationResult;

/// Nothing: it is not that record, or not its owner's.
std::optional<Point> verified_point(const wire::ObjectId& id,
                                    const std::optional<wire::SignedRecord>& record) {
  if (!record) return std::nullopt;
  const auto statement = wire::RecordStatement::decode(record->statement.statement);
  if (!statement || wire::record_id(statement->owner, statement->salt) != id ||
      wire::record_value_hash(record->value.view()) != statement->value_hash ||
      !wire::is_signed_by<wire::RecordStatement>(crypto::ed25519(), statement->owner,
                                                 record->statement)) {
    return std::nullopt;
  }
  return trial::point_of(statement->version.value, statement->value_hash);
}

}  // namespace

Point point_of(std::uint64_t version, const crypto::Digest& value_hash) {
  return {.version = version, .value = to_hex(value_hash.view()).substr(0, 32)};
}

Outcome outcome_of(objects::Outcome outcome) {
  using enum objects::Outcome;
  switch (outcome) {
    case kDone:
      return Outcome::kOk;
    case kNotFound:
      return Outcome::kNotFound;
    case kSuperseded:
      return Outcome::kConflict;
    case kNoQuorum:
      return Outcome::kNoQuorum;
    case kUnknown:
    case kStale:
    case kCancelled:
      return Outcome::kUnknown;
    case kDenied:
    case kNoSpace:
      return Outcome::kDenied;
  }
  return Outcome::kUnknown;
}

std::string object_name(const wire::ObjectId& id) {
  const bool is_block = id.type == wire::ObjectType::kBlock;
  return (is_block ? "block:" : "record:") + to_hex(id.placement.view());
}

void RecordingSession::write_block(const wire::ObjectId& id, Buffer bytes, Duration timeout,
                                   Done done) {
  const auto call =
      recorder_.begin(Action::kWrite, object_name(id), trial::point_of(1, id.placement));
  inner_.write_block(id, std::move(bytes), timeout,
                     [this, call, done = std::move(done)](OperationResult result) {
                       recorder_.end(call, Action::kWrite, outcome_of(result.outcome));
                       done(std::move(result));
                     });
}

void RecordingSession::read_block(const wire::ObjectId& id, Duration timeout, Done done) {
  const auto call = recorder_.begin(Action::kRead, object_name(id));
  inner_.read_block(id, timeout, [this, call, id, done = std::move(done)](OperationResult result) {
    Outcome outcome = outcome_of(result.outcome);
    Point returned;
    if (outcome == Outcome::kOk) {
      returned = trial::point_of(1, id.placement);
      if (crypto::sha256(result.bytes.view()) != id.placement) outcome = Outcome::kWrong;
    }
    recorder_.end(call, Action::kRead, outcome, returned);
    done(std::move(result));
  });
}

void RecordingSession::write_record(const wire::ObjectId& id, wire::SignedRecord record,
                                    Duration timeout, Done done) {
  const auto statement = wire::RecordStatement::decode(record.statement.statement);
  CHECK(statement.has_value());  // our own
  const auto call =
      recorder_.begin(Action::kWrite, object_name(id),
                      trial::point_of(statement->version.value, statement->value_hash));
  inner_.write_record(id, std::move(record), timeout,
                      [this, call, id, done = std::move(done)](OperationResult result) {
                        Outcome outcome = outcome_of(result.outcome);
                        std::optional<Point> newer;
                        if (outcome == Outcome::kConflict) {
                          newer = verified_point(id, result.record);
                          if (!newer) outcome = Outcome::kWrong;
                        }
                        recorder_.end(call, Action::kWrite, outcome, newer.value_or(Point{}));
                        done(std::move(result));
                      });
}

void RecordingSession::read_record(const wire::ObjectId& id, Duration timeout, Done done) {
  const auto call = recorder_.begin(Action::kRead, object_name(id));
  inner_.read_record(id, timeout, [this, call, id, done = std::move(done)](OperationResult result) {
    Outcome outcome = outcome_of(result.outcome);
    std::optional<Point> returned;
    if (outcome == Outcome::kOk) {
      returned = verified_point(id, result.record);
      if (!returned) outcome = Outcome::kWrong;
    }
    recorder_.end(call, Action::kRead, outcome, returned.value_or(Point{}));
    done(std::move(result));
  });
}

}  // namespace rosebud::trial
