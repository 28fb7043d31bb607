#include "objects/client.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace rosebud::objects {
namespace {

using wire::RefusalReason;

/// Reasons that waiting does not change.
bool is_final(RefusalReason reason) {
  switch (reason) {
    case RefusalReason::kWrongEpoch:
    case RefusalReason::kBusy:
    case RefusalReason::kNotInGroup:
    case RefusalReason::kNoSpace:
      return false;
    case RefusalReason::kMalformed:
    case RefusalReason::kBadHold:
    case RefusalReason::kBadRecord:
    case RefusalReason::kBadBlock:
    case RefusalReason::kQuota:
    case RefusalReason::kNotAllowed:
    case RefusalReason::kTooManyHolds:
      return true;
  }
  return true;
}

/// Outcomes that are believed because so many of a group say so. That somebody wrote a newer record
/// is proven by his signature.
bool relies_on_group(Outcome outcome) {
  return outcome == Outcome::kDone || outcome == Outcome::kNotFound ||
         outcome == Outcome::kDenied || outcome == Outcome::kNoSpace;
}

}  // namespace

std::string_view name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::kDone:
      return "done";
    case Outcome::kNotFound:
      return "not_found";
    case Outcome::kSuperseded:
      return "superseded";
    case Outcome::kNoQuorum:
      return "no_quorum";
    case Outcome::kUnknown:
      return "unknown";
    case Outcome::kDenied:
      return "denied";
    case Outcome::kNoSpace:
      return "no_space";
    case Outcome::kStale:
      return "stale";
    case Outcome::kCancelled:
      return "cancelled";
  }
  return "unknown";
}

Client::Client(Verifier verifier, Random random, ClientSettings settings)
    : verifier_(std::move(verifier)), random_(random), settings_(settings) {}

// ---- Starting ----

OperationId Client::write_block(Instant now, const wire::ObjectId& id, Buffer bytes,
                                wire::Hold hold, bool is_offered_first, Instant deadline,
                                ClientEffects& out) {
  return start(now, id,
               WriteBlock{.bytes = std::move(bytes),
                          .hold = std::move(hold),
                          .is_offered_first = is_offered_first,
                          .tally = BlockWrite(faults())},
               deadline, out);
}

OperationId Client::read_block(Instant now, const wire::ObjectId& id, Instant deadline,
                               ClientEffects& out) {
  return start(now, id, ReadBlock{.absent = Votes(faults())}, deadline, out);
}

OperationId Client::write_record(Instant now, const wire::ObjectId& id, wire::SignedRecord record,
                                 wire::Hold hold, Instant deadline, ClientEffects& out) {
  const auto statement = wire::RecordStatement::decode(record.statement.statement);
  CHECK(statement.has_value());
  RecordWrite tally(faults(), order_of(*statement), RecordWrite::Kind::kOwnWrite);
  return start(now, id,
               WriteRecord{.record = std::move(record), .hold = std::move(hold), .tally = tally},
               deadline, out);
}

OperationId Client::read_record(Instant now, const wire::ObjectId& id, Instant deadline,
                                ClientEffects& out) {
  return start(now, id,
               ReadRecord{.tally = RecordRead(faults(), verifier_.configuration().filled_seats())},
               deadline, out);
}

OperationId Client::start(Instant now, const wire::ObjectId& id, Kind kind, Instant deadline,
                          ClientEffects& out) {
  const OperationId operation_id(++last_operation_);
  const auto [at, is_new] = operations_.emplace(
      operation_id, Operation{.id = id, .deadline = deadline, .kind = std::move(kind)});
  CHECK(is_new);
  begin_phase(now, at->second);
  drive(now, operation_id, out);
  return operation_id;
}

/// Everybody of the current configuration's group is to be asked (for a block's bytes: one after
/// the other).
void Client::begin_phase(Instant now, Operation& operation) {
  const membership::Configuration& configuration = verifier_.configuration();
  operation.seats.clear();
  for (std::uint32_t node : configuration.group(operation.id.placement)) {
    operation.seats.push_back(
        {.node = configuration.nodes()[node].key, .is_wanted = true, .send_at = now});
  }
  if (auto* read = std::get_if<ReadBlock>(&operation.kind)) {
    read->order.clear();
    for (Seat seat = 0; seat < operation.seats.size(); ++seat) {
      operation.seats[seat].is_wanted = false;
      read->order.push_back(seat);
    }
    // Nearest first; who is about equally near (or unknown) by lot, so that they share the work.
    random_.shuffle(read->order);
    std::vector<std::pair<int, std::size_t>> by_distance;
    for (std::size_t i = 0; i < read->order.size(); ++i)
      by_distance.emplace_back(distance_of(operation.seats[read->order[i]].node), i);
    std::ranges::sort(by_distance);
    const std::vector<Seat> shuffled = read->order;
    for (std::size_t i = 0; i < by_distance.size(); ++i)
      read->order[i] = shuffled[by_distance[i].second];
    read->asked = 0;
    read->hedge_at = now;
    hedge(now, operation, *read);
  }
}

/// Doublings of latency beyond a millisecond; 0 for the unknown.
int Client::distance_of(const wire::NodeKey& node) const {
  const auto known = latency_.find(node);
  if (known == latency_.end()) return 0;
  return static_cast<int>(
      std::bit_width(static_cast<std::uint64_t>(known->second / std::chrono::milliseconds(1))));
}

/// A newer configuration: what was counted in the older one counts no more (design 6). The result
/// of a finished read phase is kept, if that one could be relied on: a write-back goes on with it.
void Client::reset_tally(Operation& operation, bool was_relied_on) {
  if (is_planted(Bug::kTallyKept)) return;
  if (auto* write = std::get_if<WriteBlock>(&operation.kind)) {
    write->tally = BlockWrite(faults());
  } else if (auto* read = std::get_if<ReadBlock>(&operation.kind)) {
    read->absent = Votes(faults());
  } else if (auto* record = std::get_if<WriteRecord>(&operation.kind)) {
    const auto statement = wire::RecordStatement::decode(record->record.statement.statement);
    record->tally = RecordWrite(faults(), order_of(*statement), RecordWrite::Kind::kOwnWrite);
  } else if (auto* read_record = std::get_if<ReadRecord>(&operation.kind)) {
    if (read_record->written_back && was_relied_on) {
      read_record->write_back.emplace(faults(), read_record->written_back->order,
                                      RecordWrite::Kind::kWriteBack);
      read_record->answers
          .clear();  // by seats of a group that is no more: nobody is accused by them
    } else {
      read_record->tally = RecordRead(faults(), verifier_.configuration().filled_seats());
      read_record->answers.clear();
      read_record->settle_at.reset();
      read_record->written_back.reset();
      read_record->write_back.reset();
    }
  }
}

void Client::on_configuration(Instant now, Verifier next, ClientEffects& out) {
  if (next.configuration().number() <= verifier_.configuration().number()) return;
  verifier_ = std::move(next);
  asked_.clear();
  std::vector<OperationId> ids;
  for (auto& [id, operation] : operations_) {
    operation.nonces.clear();
    reset_tally(operation, now < fresh_until_);
    begin_phase(now, operation);
    ids.push_back(id);
  }
  for (OperationId id : ids) drive(now, id, out);
}

void Client::cancel(OperationId id, ClientEffects& out) {
  const auto at = operations_.find(id);
  if (at != operations_.end()) finish(id, counted(at->second, Outcome::kCancelled), out);
}

// ---- Sending ----

wire::RequestBody Client::request_for(const Operation& operation, Seat seat) const {
  if (const auto* write = std::get_if<WriteBlock>(&operation.kind)) {
    if (write->is_offered_first && !operation.seats[seat].needs_bytes) {
      return wire::OfferBlock{.id = operation.id, .hold = write->hold};
    }
    return wire::PutBlock{.id = operation.id, .hold = write->hold, .bytes = write->bytes};
  }
  if (std::holds_alternative<ReadBlock>(operation.kind)) return wire::GetBlock{operation.id};
  if (const auto* write = std::get_if<WriteRecord>(&operation.kind)) {
    return wire::PutRecord{.id = operation.id, .record = write->record, .hold = write->hold};
  }
  const auto& read = std::get<ReadRecord>(operation.kind);
  if (!read.written_back) return wire::GetRecord{operation.id};
  return wire::PutRecord{
      .id = operation.id, .record = read.written_back->record, .hold = read.written_back->hold};
}

void Client::send(Instant now, OperationId id, Operation& operation, Seat seat,
                  ClientEffects& out) {
  SeatState& state = operation.seats[seat];
  const wire::Nonce nonce(random_.next());
  asked_.insert_or_assign(nonce, Asked{.operation = id,
                                       .seat = seat,
                                       .configuration = verifier_.configuration().number(),
                                       .sent_at = now});
  operation.nonces.push_back(nonce);
  const Duration wait = std::min(settings_.attempt_timeout * (1 << std::min(state.attempts, 3)),
                                 settings_.attempt_timeout_max);
  state.send_at = now + wait;
  ++state.attempts;
  out.push_back(SendRequest{
      .to = state.node,
      .request = {.context = {.configuration = verifier_.configuration().number(), .nonce = nonce},
                  .body = request_for(operation, seat)}});
}

void Client::hedge(Instant now, Operation& operation, ReadBlock& read) {
  while (read.asked < read.order.size() && read.hedge_at <= now) {
    operation.seats[read.order[read.asked]].is_wanted = true;
    operation.seats[read.order[read.asked]].send_at = now;
    // Suppose all replicas are slow because they are asked too much: asking one more of each block
    // would make it worse. What is usual is waited for, and twice as long for each further one.
    constexpr Duration kUsualMax = std::chrono::seconds(2);
    const Duration least = std::chrono::milliseconds(verifier_.configuration().settings().hedge_ms);
    const Duration usual = std::min(block_latency_ * 2, kUsualMax);
    read.hedge_at = now + std::max(least, usual) * (1 << read.asked);
    ++read.asked;
  }
}

/// Mixed answers: wait a little for the rest, then write the newest back (design 6).
void Client::settle_read(Instant now, Operation& operation, ReadRecord& read) {
  if (read.written_back) return;
  if (read.tally.verdict() != RecordRead::Verdict::kMixed) return read.settle_at.reset();
  if (!read.settle_at) {
    read.settle_at =
        now + std::chrono::milliseconds(verifier_.configuration().settings().read_settle_ms);
  }
  if (now < *read.settle_at && !read.tally.has_everyone_answered()) return;
  const auto newest = read.tally.newest_seat();
  if (!newest) return;
  read.written_back = read.answers[*newest];
  // A hold names the record once for all its versions. Suppose the newest was shown with one that
  // has expired or will not be accepted, by a liar or by chance: the one that lives longest serves.
  for (const auto& answer : read.answers) {
    if (answer && expiry_of(answer->hold) > expiry_of(read.written_back->hold))
      read.written_back->hold = answer->hold;
  }
  read.write_back.emplace(faults(), read.written_back->order, RecordWrite::Kind::kWriteBack);
  for (wire::Nonce nonce : operation.nonces) asked_.erase(nonce);
  operation.nonces.clear();
  begin_phase(now, operation);
}

void Client::drive(Instant now, OperationId id, ClientEffects& out) {
  const auto at = operations_.find(id);
  if (at == operations_.end()) return;
  Operation& operation = at->second;
  due_.erase({operation.due, id});
  give_up_lost(now, operation);
  if (auto* read = std::get_if<ReadBlock>(&operation.kind)) hedge(now, operation, *read);
  if (auto* read = std::get_if<ReadRecord>(&operation.kind)) settle_read(now, operation, *read);
  if (auto result = outcome_of(now, operation, out)) return finish(id, std::move(*result), out);
  const bool is_stale = now >= fresh_until_;
  if (is_stale) ask_freshness(now, out);
  for (Seat seat = 0; seat < operation.seats.size(); ++seat) {
    const SeatState& state = operation.seats[seat];
    if (state.is_wanted && !state.is_settled && state.send_at <= now)
      send(now, id, operation, seat, out);
  }
  operation.due = next_deadline_of(operation);
  if (is_stale) operation.due = std::min(operation.due, ask_freshness_at_);
  due_.emplace(operation.due, id);
}

void Client::on_time(Instant now, ClientEffects& out) {
  // Each of those that are due now, once: driving sets its next moment.
  std::vector<OperationId> ids;
  for (const auto& [due, id] : due_) {
    if (due > now) break;
    ids.push_back(id);
  }
  std::ranges::sort(ids);
  for (OperationId id : ids) drive(now, id, out);
}

Instant Client::next_deadline() const {
  return due_.empty() ? Instant::max() : due_.begin()->first;
}

Instant Client::next_deadline_of(const Operation& operation) {
  Instant next = operation.deadline;
  for (const SeatState& state : operation.seats) {
    if (state.is_wanted && !state.is_settled) next = std::min(next, state.send_at);
    if (state.lost_at) next = std::min(next, *state.lost_at);
  }
  if (const auto* read = std::get_if<ReadBlock>(&operation.kind)) {
    if (read->asked < read->order.size()) next = std::min(next, read->hedge_at);
  }
  if (const auto* read = std::get_if<ReadRecord>(&operation.kind)) {
    if (read->settle_at && !read->written_back) next = std::min(next, *read->settle_at);
  }
  return next;
}

void Client::on_unreachable(Instant now, const wire::NodeKey& node, ClientEffects& out) {
  std::vector<OperationId> ids;
  for (auto& [id, operation] : operations_) {
    for (SeatState& state : operation.seats) {
      if (state.node != node || !state.is_wanted || state.is_settled) continue;
      const bool is_first = !state.lost_at && !state.is_lost && !latency_.contains(node);
      if (settings_.unreachable_grace && is_first)
        state.lost_at = now + *settings_.unreachable_grace;
      if (auto* read = std::get_if<ReadBlock>(&operation.kind)) read->hedge_at = now;
      ids.push_back(id);
    }
  }
  for (OperationId id : ids) drive(now, id, out);
}

// ---- How long the configuration may be relied on ----

void Client::on_fresh_until(Instant now, Instant until, ClientEffects& out) {
  fresh_until_ = until;
  std::vector<OperationId> ids;
  for (const auto& [id, operation] : operations_) ids.push_back(id);
  for (const OperationId id : ids) drive(now, id, out);
}

/// Suppose a client is shown nothing but an epoch that is over, by nodes that have left and changed
/// hands: they would make a quorum of it.
bool Client::is_held_back(Instant now, const Operation& operation,
                          const OperationResult& result) const {
  if (now < fresh_until_ || is_planted(Bug::kLeaseIgnored)) return false;
  const bool proves_itself =
      std::holds_alternative<ReadBlock>(operation.kind) && result.outcome == Outcome::kDone;
  return relies_on_group(result.outcome) && !proves_itself;
}

/// The verdict, as soon as it may be said.
std::optional<OperationResult> Client::outcome_of(Instant now, Operation& operation,
                                                  ClientEffects& out) {
  ClientEffects seen;  // on the way to the verdict
  auto result = verdict(now, operation, seen);
  if (!result) return std::nullopt;
  if (is_held_back(now, operation, *result)) {
    if (now < operation.deadline) return std::nullopt;
    return counted(operation, Outcome::kStale);
  }
  out.insert(out.end(), seen.begin(), seen.end());
  return result;
}

void Client::ask_freshness(Instant now, ClientEffects& out) {
  if (now < ask_freshness_at_) return;
  ask_freshness_at_ = now + settings_.ask_freshness_interval;
  out.push_back(AskFreshness{});
}

// ---- Ending ----

OperationResult Client::counted(const Operation& operation, Outcome outcome) const {
  OperationResult out{
      .outcome = outcome, .needed = quorum_of(faults()), .group_size = operation.seats.size()};
  for (const SeatState& state : operation.seats) {
    if (state.has_answered) ++out.answered;
    if (state.is_settled) ++out.confirmed;
    if (state.refusal) out.refusal = state.refusal;
  }
  return out;
}

void Client::give_up_lost(Instant now, Operation& operation) const {
  for (SeatState& state : operation.seats) {
    if (!state.lost_at || *state.lost_at > now) continue;
    state.lost_at.reset();
    state.is_lost = true;
  }
}

/// True when too few replicas are left to hope for: nobody runs, or the client is cut off. Who has
/// answered once is waited for until the deadline, because it may be restarting.
bool Client::is_hopeless(const Operation& operation) const {
  std::size_t lost = 0;
  std::size_t settled = 0;
  for (const SeatState& state : operation.seats) {
    if (state.is_settled) {
      ++settled;
    } else if (state.is_lost && !latency_.contains(state.node)) {
      ++lost;
    }
  }
  // One replica alone can deliver a block.
  if (std::holds_alternative<ReadBlock>(operation.kind))
    return lost > 0 && lost + settled == operation.seats.size();
  return lost > operation.seats.size() - quorum_of(faults());
}

std::optional<OperationResult> Client::verdict(Instant now, Operation& operation,
                                               ClientEffects& out) {
  if (const auto* write = std::get_if<WriteBlock>(&operation.kind)) {
    const bool is_one_enough = is_planted(Bug::kOneAlreadyThere) && write->is_offered_first;
    if (write->tally.is_done() || (is_one_enough && write->tally.stored().count() > 0)) {
      return counted(operation, Outcome::kDone);
    }
  } else if (const auto* read = std::get_if<ReadBlock>(&operation.kind)) {
    const bool is_few_enough = is_planted(Bug::kAbsentFromFew);
    if (read->absent.is_quorum() || (is_few_enough && read->absent.count() > faults())) {
      return counted(operation, Outcome::kNotFound);
    }
  } else if (const auto* record = std::get_if<WriteRecord>(&operation.kind)) {
    const RecordWrite::Verdict verdict = record->tally.verdict();
    if (verdict == RecordWrite::Verdict::kDone) return counted(operation, Outcome::kDone);
    if (verdict == RecordWrite::Verdict::kSuperseded) {
      OperationResult result = counted(
          operation, is_planted(Bug::kSupersededIsDone) ? Outcome::kDone : Outcome::kSuperseded);
      result.record = operation.newer;
      result.hold = operation.newer_hold;
      return result;
    }
  } else if (const auto* read_record = std::get_if<ReadRecord>(&operation.kind)) {
    const auto returning = [&](const std::optional<HeldAnswer>& held, std::size_t phases) {
      OperationResult result = counted(operation, held ? Outcome::kDone : Outcome::kNotFound);
      result.phases = phases;
      if (held) {
        result.record = held->record;
        result.hold = held->hold;
        report_stale(operation, *read_record, *held, out);
      }
      return result;
    };
    if (read_record->written_back) {
      if (is_planted(Bug::kNoWriteBack) ||
          read_record->write_back->verdict() == RecordWrite::Verdict::kDone) {
        return returning(read_record->written_back, 2);
      }
    } else if (const auto seat = read_record->tally.agreed_seat()) {
      return returning(read_record->answers[*seat], 1);
    }
  }
  std::size_t denied = 0;
  std::size_t full = 0;
  for (const SeatState& state : operation.seats) {
    if (!state.refusal) continue;
    denied += is_final(*state.refusal) ? 1 : 0;
    full += *state.refusal == RefusalReason::kNoSpace ? 1 : 0;
  }
  if (denied > (is_planted(Bug::kDeniedByOne) ? 0 : faults()))
    return counted(operation, Outcome::kDenied);
  if (now < operation.deadline && !is_hopeless(operation)) return std::nullopt;
  if (full > faults()) return counted(operation, Outcome::kNoSpace);
  OperationResult result = counted(operation, Outcome::kNoQuorum);
  const bool is_record_write = std::holds_alternative<WriteRecord>(operation.kind);
  if (is_record_write && result.answered >= result.needed) result.outcome = Outcome::kUnknown;
  return result;
}

void Client::finish(OperationId id, OperationResult result, ClientEffects& out) {
  const auto at = operations_.find(id);
  CHECK(at != operations_.end());
  for (wire::Nonce nonce : at->second.nonces) asked_.erase(nonce);
  due_.erase({at->second.due, id});
  operations_.erase(at);
  out.push_back(Finish{.operation = id, .result = std::move(result)});
}

void Client::check_invariants() const {
  for (const auto& [nonce, asked] : asked_) {
    CHECK(operations_.contains(asked.operation));
    CHECK(asked.configuration == verifier_.configuration().number());
  }
  CHECK(due_.size() == operations_.size());
  for (const auto& [id, operation] : operations_) {
    CHECK(due_.contains({operation.due, id}));
    CHECK(operation.due <= next_deadline_of(operation));
  }
}

}  // namespace rosebud::objects
