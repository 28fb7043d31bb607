// What a client makes of each answer: verified first, then counted by the rules of write_quorum.h.
#include <algorithm>

#include "base/check.h"
#include "objects/client.h"

namespace rosebud::objects {
namespace {

using wire::RefusalReason;

/// Smoothed latency: seven parts old, one part new.
void smooth(Duration& into, Duration sample) {
  into = into == Duration::zero() ? sample : (into * 7 + sample) / 8;
}

/// "Busy" shows that somebody is there, but not that it serves.
bool is_answer(RefusalReason reason) {
  return reason != RefusalReason::kBusy && reason != RefusalReason::kWrongEpoch;
}

}  // namespace

void Client::on_answer(Instant now, const wire::NodeKey& from, wire::Answer answer,
                       ClientEffects& out) {
  auto at = asked_.find(answer.context.nonce);
  if (is_planted(Bug::kNonceIgnored) && at == asked_.end()) {
    at = std::ranges::find_if(asked_, [&](const auto& one) {
      return operations_.at(one.second.operation).seats[one.second.seat].node == from;
    });
  }
  if (at == asked_.end()) return;
  const Asked asked = at->second;
  const auto operation = operations_.find(asked.operation);
  CHECK(operation != operations_.end());
  if (operation->second.seats[asked.seat].node != from) return;  // somebody else's nonce
  asked_.erase(at);
  std::erase(operation->second.nonces, answer.context.nonce);
  smooth(latency_[from], now - asked.sent_at);
  take(now, asked.operation, operation->second, asked, answer, out);
  drive(now, asked.operation, out);
}

void Client::take(Instant now, OperationId id, Operation& operation, const Asked& asked,
                  wire::Answer& answer, ClientEffects& out) {
  SeatState& seat = operation.seats[asked.seat];
  if (seat.is_settled) return;
  if (auto* refused = std::get_if<wire::Refused>(&answer.body)) {
    return take_refusal(now, operation, asked.seat, *refused, out);
  }
  // The bytes of a block prove themselves, whatever the epoch of the answer.
  if (auto* read = std::get_if<ReadBlock>(&operation.kind)) {
    if (auto* found = std::get_if<wire::BlockFound>(&answer.body)) {
      const bool is_believed = is_planted(Bug::kReadBytesNotHashed) && read->asked > 1;
      if (is_believed || crypto::sha256(found->bytes.view()) == operation.id.placement) {
        seat.has_answered = true;
        smooth(block_latency_, now - asked.sent_at);
        OperationResult result = counted(operation, Outcome::kDone);
        result.bytes = std::move(found->bytes);
        return finish(id, std::move(result), out);
      }
    } else if (std::holds_alternative<wire::Absent>(answer.body)) {
      if (answer.context.configuration != asked.configuration) return;
      seat.has_answered = seat.is_settled = true;
      read->absent.add(asked.seat);
      read->hedge_at = now;
      return;
    }
    out.push_back(Report{seat.node, Observation::kInvalidAnswer});
    seat.is_settled = true;  // its bytes are wrong: not asked again in this operation
    read->hedge_at = now;
    return;
  }
  if (answer.context.configuration != asked.configuration) return;
  if (auto* write = std::get_if<WriteBlock>(&operation.kind)) {
    if (std::holds_alternative<wire::Stored>(answer.body)) {
      seat.has_answered = seat.is_settled = true;
      seat.refusal.reset();
      write->tally.on_stored(asked.seat);
    } else if (std::holds_alternative<wire::Missing>(answer.body)) {
      // A second one answers an offer that was repeated: the bytes are on their way already.
      if (!seat.needs_bytes) seat.send_at = now;
      seat.has_answered = seat.needs_bytes = true;
    } else {
      out.push_back(Report{seat.node, Observation::kInvalidAnswer});
    }
    return;
  }
  take_record(now, operation, asked.seat, answer, out);
}

void Client::take_refusal(Instant now, Operation& operation, Seat index, wire::Refused& refused,
                          ClientEffects& out) {
  SeatState& seat = operation.seats[index];
  seat.has_answered = seat.has_answered || is_answer(refused.reason);
  seat.refusal = refused.reason;
  // At least a little later, however small the hint: a liar must not make us spin.
  const Duration hint =
      std::chrono::milliseconds(std::min<std::uint32_t>(refused.retry_after_ms, 5000));
  const Duration jitter(random_.below(20'000));
  seat.send_at = now + std::max<Duration>(hint, std::chrono::milliseconds(20)) + jitter;
  if (!refused.descriptions.empty() && refused.reason == RefusalReason::kWrongEpoch) {
    out.push_back(LearnDescriptions{std::move(refused.descriptions)});
  }
  if (auto* read = std::get_if<ReadBlock>(&operation.kind)) read->hedge_at = now;
}

void Client::take_record(Instant now, Operation& operation, Seat index, wire::Answer& answer,
                         ClientEffects& out) {
  (void)now;
  SeatState& seat = operation.seats[index];
  std::optional<HeldAnswer> held;
  if (auto* answered = std::get_if<wire::RecordHeld>(&answer.body)) {
    const auto statement = verifier_.record(operation.id, answered->record);
    const bool is_held = statement && verifier_.hold(operation.id, answered->record.value.size(),
                                                     answered->hold, true);
    if (!is_held) {
      out.push_back(Report{seat.node, Observation::kInvalidAnswer});
      return;
    }
    held = HeldAnswer{.record = std::move(answered->record),
                      .hold = std::move(answered->hold),
                      .order = order_of(*statement)};
  } else if (!std::holds_alternative<wire::Absent>(answer.body)) {
    out.push_back(Report{seat.node, Observation::kInvalidAnswer});
    return;
  }
  seat.has_answered = true;
  seat.refusal.reset();
  if (auto* write = std::get_if<WriteRecord>(&operation.kind)) {
    if (!held) return;  // "nothing" in answer to a write says nothing: asked again
    const std::size_t before = write->tally.held().count();
    write->tally.on_held(index, held->order);
    seat.is_settled = write->tally.held().count() > before;
    if (write->tally.verdict() == RecordWrite::Verdict::kSuperseded && !operation.newer) {
      operation.newer = std::move(held->record);
      operation.newer_hold = std::move(held->hold);
    }
    return;
  }
  auto& read = std::get<ReadRecord>(operation.kind);
  if (read.write_back) {
    if (!held) return;
    read.write_back->on_held(index, held->order);
    seat.is_settled = read.write_back->held().has(index);
    return;
  }
  seat.is_settled = true;
  read.tally.on_answer(index, held ? std::optional(held->order) : std::nullopt);
  read.answers.resize(operation.seats.size());
  read.answers[index] = std::move(held);
}

/// Who answered with an older record than what is returned: a suspicion, not a proof.
void Client::report_stale(const Operation& operation, const ReadRecord& read,
                          const HeldAnswer& returned, ClientEffects& out) const {
  for (Seat seat = 0; seat < read.answers.size(); ++seat) {
    if (!read.tally.answered().has(seat) || seat >= operation.seats.size()) continue;
    const auto& held = read.answers[seat];
    if (!held || held->order < returned.order) {
      out.push_back(Report{operation.seats[seat].node, Observation::kStaleRecord});
    }
  }
}

}  // namespace rosebud::objects
