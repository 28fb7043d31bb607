#include "objects/verify.h"

namespace rosebud::objects {
namespace {

using wire::ObjectType;
using wire::RefusalReason;

}  // namespace

Verifier::Verifier(std::shared_ptr<const membership::Configuration> configuration,
                   const crypto::SignatureScheme& scheme)
    : configuration_(std::move(configuration)), scheme_(&scheme) {}

Result<Verified<wire::Request>, RefusalReason> Verifier::request(wire::Request request) const {
  // A hold means nothing under another epoch's configuration: whose organisation has just come
  // would be denied by a replica that is a little behind.
  const bool has_hold = std::holds_alternative<wire::PutBlock>(request.body) ||
                        std::holds_alternative<wire::OfferBlock>(request.body) ||
                        std::holds_alternative<wire::PutRecord>(request.body);
  if (has_hold && request.context.configuration != configuration_->number()) {
    return fail(RefusalReason::kWrongEpoch);
  }
  if (const auto* put = std::get_if<wire::PutBlock>(&request.body)) {
    const bool is_hashed = !is_planted(Bug::kPutBytesNotHashed);
    if (is_hashed && crypto::sha256(put->bytes.view()) != put->id.placement)
      return fail(RefusalReason::kBadBlock);
    if (!hold(put->id, put->bytes.size(), put->hold)) return fail(RefusalReason::kBadHold);
  } else if (const auto* offer = std::get_if<wire::OfferBlock>(&request.body)) {
    // The size is compared with the block's own when the replica knows it.
    if (!hold(offer->id, offer->hold.size, offer->hold)) return fail(RefusalReason::kBadHold);
  } else if (const auto* put_record = std::get_if<wire::PutRecord>(&request.body)) {
    if (!is_record(put_record->id, put_record->record)) return fail(RefusalReason::kBadRecord);
    if (!hold(put_record->id, put_record->record.value.size(), put_record->hold)) {
      return fail(RefusalReason::kBadHold);
    }
  }
  return Verified<wire::Request>(std::move(request));
}

std::optional<wire::RecordStatement> Verifier::record(const wire::ObjectId& id,
                                                      const wire::SignedRecord& record) const {
  auto statement = wire::RecordStatement::decode(record.statement.statement);
  if (!statement) return std::nullopt;
  if (statement->cluster != configuration_->cluster()) return std::nullopt;
  if (!is_planted(Bug::kRecordIdNotChecked) && statement->id() != id) return std::nullopt;
  if (statement->value_size != record.value.size()) return std::nullopt;
  if (statement->value_hash != wire::record_value_hash(record.value.view())) return std::nullopt;
  if (!is_planted(Bug::kRecordSignatureNotChecked) &&
      !wire::is_signed_by<wire::RecordStatement>(*scheme_, statement->owner, record.statement)) {
    return std::nullopt;
  }
  return statement;
}

bool Verifier::is_record(const wire::ObjectId& id, const wire::SignedRecord& signed_record) const {
  return record(id, signed_record).has_value();
}

std::optional<CheckedHold> Verifier::hold(const wire::ObjectId& id, std::uint64_t content_size,
                                          const wire::Hold& hold, bool may_be_expired) const {
  const auto statement = wire::HoldStatement::decode(hold.statement.statement);
  const auto admission = wire::AdmissionStatement::decode(hold.admission.statement);
  if (!statement || !admission) return std::nullopt;
  const membership::Configuration& configuration = *configuration_;
  if (statement->cluster != configuration.cluster()) return std::nullopt;
  if (admission->cluster != configuration.cluster()) return std::nullopt;
  if (admission->role != wire::Role::kClient) return std::nullopt;
  if (admission->subject != statement->holder) return std::nullopt;
  if (admission->organisation != statement->organisation) return std::nullopt;
  const auto organisation = configuration.organisation_index(statement->organisation);
  if (!organisation) return std::nullopt;
  // A hold lives no longer than the admission of its holder, and is judged by the epoch's start,
  // never by a clock.
  if (statement->expiry > admission->not_after) return std::nullopt;
  may_be_expired = may_be_expired || is_planted(Bug::kExpiredHoldRevived);
  if (!may_be_expired && statement->expiry <= configuration.start()) return std::nullopt;
  // A block is charged for what it is; a record for the most that it may become. Were a record's
  // size a matter of its value, anybody could hold it at its size of today and so take it from its
  // owner, whose longer value of tomorrow would come with an invalid hold.
  if (hold.size != (id.type == ObjectType::kBlock ? content_size : wire::kRecordValueSizeMax)) {
    return std::nullopt;
  }
  if (!is_planted(Bug::kHoldPathNotChecked) &&
      !wire::hold_path_leads(wire::hold_leaf(id, hold.size), hold.index, statement->count,
                             hold.path, statement->root)) {
    return std::nullopt;
  }
  if (!is_planted(Bug::kHoldNotSigned) &&
      !wire::is_signed_by<wire::HoldStatement>(*scheme_, statement->holder, hold.statement)) {
    return std::nullopt;
  }
  if (!is_planted(Bug::kAdmissionNotSigned) &&
      !wire::is_signed_by<wire::AdmissionStatement>(*scheme_, statement->organisation,
                                                    hold.admission)) {
    return std::nullopt;
  }
  return CheckedHold{.statement = *statement,
                     .quota_bytes = admission->capacity_bytes,
                     .organisation = *organisation};
}

bool Verifier::is_object(const wire::ObjectId& id, const wire::StoredObject& object) const {
  if (object.id != id || object.is_damaged || object.holds.empty()) return false;
  if (id.type == ObjectType::kBlock) {
    if (!object.record.statement.empty()) return false;
    const bool is_hashed = !is_planted(Bug::kFetchedBytesNotHashed);
    if (is_hashed && crypto::sha256(object.content.view()) != id.placement) return false;
  } else if (!is_record(id, object.signed_record())) {
    return false;
  }
  std::optional<crypto::PublicKey> previous;
  for (const wire::Hold& one : object.holds) {
    const auto checked = hold(id, object.content.size(), one, true);
    if (!checked) return false;
    if (previous && checked->statement.holder <= *previous) return false;
    previous = checked->statement.holder;
  }
  return true;
}

}  // namespace rosebud::objects
