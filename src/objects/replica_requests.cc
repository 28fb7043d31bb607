// What clients ask of a replica: the state check of each request, then its effects.
#include <algorithm>

#include "base/check.h"
#include "objects/replica.h"

namespace rosebud::objects {
namespace {

using wire::RefusalReason;

/// What a hold takes beside the content that it pays for: statement, admission, path, index entry.
/// Without it, a quota of a gibibyte would buy a billion holds of empty blocks.
constexpr std::uint64_t kBytesPerHold = 1024;

/// quota × own share of the ring × 2 + floor (design 5).
std::uint64_t allowance(std::uint64_t quota_bytes, std::uint64_t share_of_2_32,
                        std::uint64_t floor_bytes) {
  __extension__ using Wide = unsigned __int128;
  const Wide bytes = ((Wide{quota_bytes} * share_of_2_32) >> 31) + floor_bytes;
  constexpr std::uint64_t kMax = ~std::uint64_t{0};
  return bytes > kMax ? kMax : static_cast<std::uint64_t>(bytes);
}

/// With the hold that expires last: whoever writes the record back needs one that is still valid.
wire::RecordHeld record_held(const wire::StoredObject& held) {
  CHECK(!held.holds.empty());
  return {.record = held.signed_record(),
          .hold = *std::ranges::max_element(held.holds, {}, expiry_of)};
}

}  // namespace

/// Counts a new hold against its holder and its organisation. `after` remembers what to take back
/// when the disk refuses.
void Replica::count(const wire::Hold& hold, AfterPersist& after) {
  const auto admission = wire::AdmissionStatement::decode(hold.admission.statement);
  CHECK(admission.has_value());  // verified
  for (const crypto::PublicKey& who : {admission->subject, admission->organisation}) {
    charged_bytes_[who] += hold.size + kBytesPerHold;
    after.charged.emplace_back(who, hold.size + kBytesPerHold);
  }
}

/// The opposite, for an object that goes.
void Replica::release(const wire::Hold& hold, AfterPersist& after) {
  const auto admission = wire::AdmissionStatement::decode(hold.admission.statement);
  CHECK(admission.has_value());  // verified when it was stored
  for (const crypto::PublicKey& who : {admission->subject, admission->organisation}) {
    const std::uint64_t bytes = std::min(charged_bytes_[who], hold.size + kBytesPerHold);
    charged_bytes_[who] -= bytes;
    after.released.emplace_back(who, bytes);
  }
}

void Replica::take_back(const AfterPersist& after) {
  for (const auto& [who, bytes] : after.charged) {
    charged_bytes_[who] -= std::min(charged_bytes_[who], bytes);
  }
  for (const auto& [who, bytes] : after.released) charged_bytes_[who] += bytes;
}

/// Counts what a client brings, or says why not.
std::optional<RefusalReason> Replica::charge(const wire::Hold& hold, HoldChange change,
                                             AfterPersist& after) {
  if (change == HoldChange::kTooMany) return RefusalReason::kTooManyHolds;
  if (change != HoldChange::kAdded) return std::nullopt;  // charged when it was added
  const auto admission = wire::AdmissionStatement::decode(hold.admission.statement);
  CHECK(admission.has_value());  // verified
  const membership::Configuration& configuration = verifier_.configuration();
  const auto organisation = configuration.organisation_index(admission->organisation);
  // The hold may have been verified just before its organisation left.
  if (!organisation) return RefusalReason::kBadHold;
  const std::uint64_t floor = configuration.settings().client_quota_floor_bytes;
  const std::pair<crypto::PublicKey, std::uint64_t> charged[] = {
      {admission->subject, admission->capacity_bytes},
      {admission->organisation, configuration.organisations()[*organisation].quota_bytes}};
  for (const auto& [who, quota] : charged) {
    const auto at = charged_bytes_.find(who);
    const std::uint64_t used = at == charged_bytes_.end() ? 0 : at->second;
    const std::uint64_t allowed = allowance(quota, own_share_, floor);
    const std::uint64_t size = hold.size + kBytesPerHold;
    const bool is_too_much = size > allowed || used > allowed - size;
    if (is_too_much && !is_planted(Bug::kQuotaNotChecked)) return RefusalReason::kQuota;
  }
  count(hold, after);
  return std::nullopt;
}

void Replica::run(const wire::ObjectId& id, const ClientOperation& operation,
                  wire::StoredObject* held, Effects& out) {
  const wire::RequestBody& body = operation.request.body;
  // The epoch may have changed while the disk was read (design 10.1).
  const bool is_same_epoch =
      operation.request.context.configuration == verifier_.configuration().number() ||
      is_planted(Bug::kEpochIgnored);
  if (!is_same_epoch && !std::holds_alternative<wire::GetBlock>(body)) {
    refuse(operation.sender, operation.request.context, RefusalReason::kWrongEpoch, out);
    return finish_front(id, out);
  }
  const auto finish_with = [&](wire::AnswerBody what) {
    answer(operation.sender, operation.request.context, std::move(what), out);
    finish_front(id, out);
  };
  if (const auto* put = std::get_if<wire::PutBlock>(&body)) {
    put_block(operation, *put, held, out);
  } else if (const auto* offer = std::get_if<wire::OfferBlock>(&body)) {
    offer_block(operation, *offer, held, out);
  } else if (const auto* put_rec = std::get_if<wire::PutRecord>(&body)) {
    put_record(operation, *put_rec, held, out);
  } else if (std::holds_alternative<wire::GetBlock>(body)) {
    get_block(id, operation, held, out);
  } else if (std::holds_alternative<wire::GetRecord>(body)) {
    if (held) return finish_with(record_held(*held));
    finish_with(wire::Absent{});
  } else if (const auto* audit = std::get_if<wire::AuditBlock>(&body)) {
    show_block(id, operation, *audit, held, out);
  } else if (std::holds_alternative<wire::FetchObject>(body)) {
    const auto [complete_for, gone_before] = reconciler_.claim({id.placement, id.placement});
    if (!held) return finish_with(wire::ObjectAbsent{complete_for, gone_before});
    finish_with(wire::ObjectFound{
        .object = std::move(*held), .complete_for = complete_for, .gone_before = gone_before});
  }
}

/// Bytes prove themselves, so whoever has them shows them: in any epoch, before it was reconciled,
/// and after it left the group. That there are none is only said by who serves the key.
void Replica::get_block(const wire::ObjectId& id, const ClientOperation& operation,
                        wire::StoredObject* held, Effects& out) {
  const wire::MessageContext& context = operation.request.context;
  if (held) {
    answer(operation.sender, context, wire::BlockFound{std::move(held->content)}, out);
  } else if (context.configuration < verifier_.configuration().number()) {
    refuse(operation.sender, context, RefusalReason::kWrongEpoch, out);
  } else if (context.configuration > verifier_.configuration().number() || is_entering_) {
    // Asked about the next epoch, which began while the disk was read.
    refuse(operation.sender, context, RefusalReason::kBusy, out);
  } else if (!is_in_group(id.placement)) {
    refuse(operation.sender, context, RefusalReason::kNotInGroup, out);
  } else if (!reconciler_.is_served(id)) {
    ReconcilerEffects asked;
    reconciler_.repair(last_instant_, id, asked);
    refuse(operation.sender, context, RefusalReason::kBusy, out);
    perform(asked, out);
  } else {
    answer(operation.sender, context, wire::Absent{}, out);
  }
  finish_front(id, out);
}

/// [one phase] Durable block and hold, then the acknowledgement (design 6).
void Replica::put_block(const ClientOperation& operation, const wire::PutBlock& put,
                        wire::StoredObject* held, Effects& out) {
  const wire::ObjectId id = put.id;
  wire::PutObject write;
  if (held) {
    write.object = std::move(*held);
    write.is_content_unchanged = true;
  } else {
    write.object = {.id = id, .content = put.bytes};
  }
  write.content_size = put.bytes.size();
  const HoldChange change = add_hold(write.object, put.hold);
  if (held && change == HoldChange::kUnchanged) {
    answer(operation.sender, operation.request.context, wire::Stored{}, out);
    return finish_front(id, out);
  }
  AfterPersist after{.id = id, .answer = wire::Answer{.body = wire::Stored{}}};
  if (const auto refusal = charge(put.hold, change, after)) {
    refuse(operation.sender, operation.request.context, *refusal, out);
    return finish_front(id, out);
  }
  ++statistics_.blocks_stored;
  persist(std::move(after), std::move(write), out);
}

void Replica::offer_block(const ClientOperation& operation, const wire::OfferBlock& offer,
                          wire::StoredObject* held, Effects& out) {
  const wire::ObjectId id = offer.id;
  const auto finish_with = [&](wire::AnswerBody what) {
    answer(operation.sender, operation.request.context, std::move(what), out);
    finish_front(id, out);
  };
  if (!held || held->holds.empty()) return finish_with(wire::Missing{});
  // Every hold of a block was checked against its bytes: theirs is the block's size.
  if (offer.hold.size != held->holds.front().size) {
    return finish_with(wire::Refused{.reason = RefusalReason::kBadHold});
  }
  wire::PutObject write{.object = std::move(*held), .is_content_unchanged = true};
  write.content_size = offer.hold.size;
  const HoldChange change = add_hold(write.object, offer.hold);
  if (change == HoldChange::kUnchanged) return finish_with(wire::Stored{});
  AfterPersist after{.id = id, .answer = wire::Answer{.body = wire::Stored{}}};
  if (const auto refusal = charge(offer.hold, change, after)) {
    return finish_with(wire::Refused{.reason = *refusal});
  }
  persist(std::move(after), std::move(write), out);
}

/// [one phase] Keeps the record if it is newer, and answers with what is durably held then (design
/// 6).
void Replica::put_record(const ClientOperation& operation, const wire::PutRecord& put,
                         wire::StoredObject* held, Effects& out) {
  const wire::ObjectId id = put.id;
  wire::StoredObject object =
      held ? std::move(*held) : wire::StoredObject{.id = id, .is_damaged = true};
  const bool is_newer =
      merge(object, {.id = id, .record = put.record.statement, .content = put.record.value});
  const HoldChange change = add_hold(object, put.hold);
  if (!is_newer && change == HoldChange::kUnchanged) {
    answer(operation.sender, operation.request.context, record_held(object), out);
    return finish_front(id, out);
  }
  AfterPersist after{.id = id};
  if (const auto refusal = charge(put.hold, change, after)) {
    // Who writes back what it read brings a hold that it was shown. That this one's holder may not
    // have more here must not keep a newer record out that other holds keep alive.
    const bool is_holder = holder_of(put.hold) == operation.sender.key;
    std::erase(object.holds, put.hold);
    if (is_holder || object.holds.empty()) {
      refuse(operation.sender, operation.request.context, *refusal, out);
      return finish_front(id, out);
    }
    if (!is_newer) {
      answer(operation.sender, operation.request.context, record_held(object), out);
      return finish_front(id, out);
    }
  }
  if (is_newer) ++statistics_.records_stored;
  after.answer = wire::Answer{.body = record_held(object)};
  wire::PutObject write{.object = std::move(object)};
  write.content_size = write.object.content.size();
  persist(std::move(after), std::move(write), out);
}

}  // namespace rosebud::objects
