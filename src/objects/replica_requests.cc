// What clients ask of a replica: the state check of each request, then its effects.
#include "base/check.h"
#include "objects/replica.h"

namespace rosebud::objects {
namespace {

using wire::RefusalReason;

constexpr std::string_view kQuotaNote = "objects/quota/";

wire::PutNote quota_note(const crypto::PublicKey& who, std::uint64_t bytes) {
  Bytes name = to_bytes(as_bytes(kQuotaNote));
  name.insert(name.end(), who.bytes.begin(), who.bytes.end());
  return {.name = std::move(name), .value = wire::Writer().u64(bytes).take()};
}

/// quota × own share of the ring × 2 + floor (design 5).
std::uint64_t allowance(std::uint64_t quota_bytes, std::uint64_t share_of_2_32,
                        std::uint64_t floor_bytes) {
  __extension__ using Wide = unsigned __int128;
  const Wide bytes = ((Wide{quota_bytes} * share_of_2_32) >> 31) + floor_bytes;
  constexpr std::uint64_t kMax = ~std::uint64_t{0};
  return bytes > kMax ? kMax : static_cast<std::uint64_t>(bytes);
}

wire::RecordHeld record_held(const wire::StoredObject& held) {
  CHECK(!held.holds.empty());
  return {.record = held.signed_record(), .hold = held.holds.front()};
}

}  // namespace

/// Counts a new hold's bytes against its holder and its organisation, or says why not. `after`
/// remembers what to take back when the disk refuses.
std::optional<RefusalReason> Replica::charge(const wire::Hold& hold, HoldChange change,
                                             std::uint64_t size, AfterPersist& after) {
  if (change == HoldChange::kTooMany) return RefusalReason::kTooManyHolds;
  if (change != HoldChange::kAdded) return std::nullopt;  // charged when it was added
  const auto admission = wire::AdmissionStatement::decode(hold.admission.statement);
  CHECK(admission.has_value());  // verified
  const membership::Configuration& configuration = verifier_.configuration();
  const auto organisation = configuration.organisation_index(admission->organisation);
  const auto self = configuration.node_index(identity_.key.public_key());
  CHECK(self.has_value());  // it is in the object's group
  // The hold may have been verified just before its organisation left.
  if (!organisation) return RefusalReason::kBadHold;
  const std::uint64_t share = configuration.own_share(*self);
  const std::uint64_t floor = configuration.settings().client_quota_floor_bytes;
  const std::pair<crypto::PublicKey, std::uint64_t> charged[] = {
      {admission->subject, admission->capacity_bytes},
      {admission->organisation, configuration.organisations()[*organisation].quota_bytes}};
  for (const auto& [who, quota] : charged) {
    const auto at = charged_bytes_.find(who);
    const std::uint64_t used = at == charged_bytes_.end() ? 0 : at->second;
    const std::uint64_t allowed = allowance(quota, share, floor);
    if (size > allowed || used > allowed - size) return RefusalReason::kQuota;
  }
  for (const auto& [who, quota] : charged) {
    charged_bytes_[who] += size;
    after.charged.emplace_back(who, static_cast<std::int64_t>(size));
  }
  return std::nullopt;
}

void Replica::run(const wire::ObjectId& id, const ClientOperation& operation,
                  wire::StoredObject* held, Effects& out) {
  const wire::RequestBody& body = operation.request.body;
  // The epoch may have changed while the disk was read (design 10.1).
  const bool is_same_epoch =
      operation.request.context.configuration == verifier_.configuration().number();
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
  } else if (std::holds_alternative<wire::FetchObject>(body)) {
    const wire::Epoch complete_for = reconciler_.complete_for({id.placement, id.placement});
    if (!held) return finish_with(wire::ObjectAbsent{complete_for});
    finish_with(wire::ObjectFound{.object = std::move(*held), .complete_for = complete_for});
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
  } else if (context.configuration > verifier_.configuration().number()) {
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
  if (const auto refusal = charge(put.hold, change, put.hold.size, after)) {
    refuse(operation.sender, operation.request.context, *refusal, out);
    return finish_front(id, out);
  }
  ++statistics_.blocks_stored;
  std::vector<wire::StorageWrite> writes;
  writes.emplace_back(std::move(write));
  for (const auto& [who, bytes] : after.charged)
    writes.emplace_back(quota_note(who, charged_bytes_[who]));
  persist(std::move(after), std::move(writes), out);
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
  if (const auto refusal = charge(offer.hold, change, offer.hold.size, after)) {
    return finish_with(wire::Refused{.reason = *refusal});
  }
  std::vector<wire::StorageWrite> writes;
  writes.emplace_back(std::move(write));
  for (const auto& [who, bytes] : after.charged)
    writes.emplace_back(quota_note(who, charged_bytes_[who]));
  persist(std::move(after), std::move(writes), out);
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
  if (const auto refusal = charge(put.hold, change, put.hold.size, after)) {
    refuse(operation.sender, operation.request.context, *refusal, out);
    return finish_front(id, out);
  }
  if (is_newer) ++statistics_.records_stored;
  after.answer = wire::Answer{.body = record_held(object)};
  wire::PutObject write{.object = std::move(object)};
  write.content_size = write.object.content.size();
  std::vector<wire::StorageWrite> writes;
  writes.emplace_back(std::move(write));
  for (const auto& [who, bytes] : after.charged)
    writes.emplace_back(quota_note(who, charged_bytes_[who]));
  persist(std::move(after), std::move(writes), out);
}

}  // namespace rosebud::objects
