// Audits at a replica (design 6): showing what one holds, and asking others to.
#include <algorithm>

#include "objects/replica.h"

namespace rosebud::objects {
namespace {

/// Of one asker; a correct one has one question of its own and one for the service.
constexpr std::size_t kAuditsOfOneMax = 4;
/// So long after it had no room for an object it says so. Longer than the pause before a block is
/// asked for again: what it fetched meanwhile may have found no room.
constexpr Duration kNoRoomRemembered = std::chrono::minutes(10);

}  // namespace

void Replica::note_room(Status<wire::StorageError> status) {
  if (!status && status.error() == wire::StorageError::kNoSpace) no_room_at_ = last_instant_;
}

/// It costs a read of the whole block: for the other members of its group, and for those of the
/// service, who check complaints.
std::optional<wire::RefusalReason> Replica::refusal_of_audit(const Sender& sender,
                                                             const wire::AuditBlock& audit) const {
  const membership::Configuration& configuration = verifier_.configuration();
  const auto asker = configuration.node_index(sender.key);
  if (!asker) return wire::RefusalReason::kNotAllowed;
  if (!is_in_group(audit.id.placement)) return wire::RefusalReason::kNotInGroup;
  const auto& service = configuration.service();
  const bool may_ask =
      configuration.is_in_group(sender.key, audit.id.placement) ||
      std::ranges::find(service, *asker, &membership::ServiceMember::node) != service.end();
  if (!may_ask) return wire::RefusalReason::kNotAllowed;
  const auto under_way = audits_of_.find(sender.key);
  if (under_way != audits_of_.end() && under_way->second >= kAuditsOfOneMax) {
    return wire::RefusalReason::kBusy;
  }
  return std::nullopt;
}

/// What is not here is fetched now: whoever asks for it has it.
void Replica::show_block(const wire::ObjectId& id, const ClientOperation& operation,
                         const wire::AuditBlock& audit, const wire::StoredObject* held,
                         Effects& out) {
  const Sender& sender = operation.sender;
  const wire::MessageContext& context = operation.request.context;
  if (held) {
    const wire::AuditQuestion question{.cluster = verifier_.configuration().cluster(),
                                       .asker = sender.key,
                                       .prover = identity_.key.public_key(),
                                       .challenge = audit.challenge};
    answer(sender, context, wire::BlockProof{wire::audit_proof(question, held->content.view())},
           out);
    return finish_front(id, out);
  }
  if (no_room_at_ && last_instant_ < *no_room_at_ + kNoRoomRemembered) {
    refuse(sender, context, wire::RefusalReason::kNoSpace, out);
  } else {
    const Claim claim = reconciler_.claim({id.placement, id.placement});
    const bool is_served = reconciler_.is_served(id);
    answer(sender, context,
           wire::ObjectAbsent{.complete_for = is_served ? claim.complete_for : wire::Epoch(0),
                              .gone_before = claim.gone_before},
           out);
  }
  finish_front(id, out);
  // What is asked for may not exist at all: it shall not keep out what is owed.
  if (!reconciler_.has_room_for_repairs()) return;
  ReconcilerEffects asked;
  reconciler_.repair(last_instant_, id, asked);
  perform(asked, out);
}

void Replica::run_audit(const wire::ObjectId& id, const AuditOperation& operation,
                        const wire::StoredObject* held, Effects& out) {
  AuditorEffects asked;
  auditor_.on_loaded(last_instant_, operation.tag, held, asked);
  finish_front(id, out);
  perform(asked, out);
}

void Replica::perform(AuditorEffects& asked, Effects& out) {
  for (auto& request : asked.requests) ask(request, out);
  for (const auto& one : asked.scans) scan(one.tag, one.range, std::nullopt, one.limit, out);
  for (const auto& one : asked.loads) enqueue(one.block, AuditOperation{one.tag}, out);
  for (const Report& report : asked.reports) out.push_back(report);
  for (const wire::Accusation& one : asked.complaints) out.push_back(Complain{one});
  for (const Checked& one : asked.checked) out.push_back(one);
}

}  // namespace rosebud::objects
