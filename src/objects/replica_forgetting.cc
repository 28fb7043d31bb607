// Handing over for good (design 10.5): a replica says that it has everything of an interval, and
// one that has no share in it any more deletes its own copies. When that may be: forgetting.h.
#include <algorithm>

#include "base/check.h"
#include "objects/replica.h"

namespace rosebud::objects {

// ---- Stating completeness ----

/// Complete durably, and nothing of it is known to be bad here: who hears this may delete its copy.
bool Replica::may_state(const StatementScan& scan) const {
  const membership::Configuration& configuration = verifier_.configuration();
  return scan.context.configuration == configuration.number() &&
         durable_revision_ == reconciler_.tenure_revision() &&
         reconciler_.claim(scan.range).complete_for >= configuration.number().epoch &&
         !reconciler_.is_owing(scan.range);
}

void Replica::begin_statement(const Sender& sender, const wire::MessageContext& context,
                              const wire::KeyRange& range, Effects& out) {
  // As of a comparison: of one arc, so that nobody has everything read at once.
  const auto arc = verifier_.configuration().ring().arc(range.first);
  if (!arc || !arc->range.contains(range.last)) {
    return refuse(sender, context, wire::RefusalReason::kNotAllowed, out);
  }
  StatementScan first{.sender = sender, .context = context, .range = range};
  const bool is_room =
      has_room_for<StatementScan>(sender, limits_.statements_max, limits_.statements_per_peer_max);
  if (!is_room || !may_state(first)) {
    return refuse(sender, context, wire::RefusalReason::kBusy, out);
  }
  scan(std::move(first), range, std::nullopt, kScanLimit, out);
}

/// Damage that an earlier run marked stands in the index alone.
void Replica::go_on_with_statement(Instant now, StatementScan under_way,
                                   const wire::Scanned& scanned, Effects& out) {
  for (const wire::IndexEntry& entry : scanned.entries) {
    if (!entry.is_damaged) continue;
    ReconcilerEffects asked;
    reconciler_.mark_damaged(now, entry.id, asked);
    perform(asked, out);
  }
  if (!may_state(under_way)) {
    return refuse(under_way.sender, under_way.context, wire::RefusalReason::kBusy, out);
  }
  if (!scanned.is_whole && !scanned.entries.empty()) {
    const wire::KeyRange range = under_way.range;
    return scan(std::move(under_way), range, scanned.entries.back().id, kScanLimit, out);
  }
  const wire::CompletenessStatement statement{.cluster = verifier_.configuration().cluster(),
                                              .configuration = verifier_.configuration().number(),
                                              .node = identity_.key.public_key(),
                                              .directory = identity_.directory,
                                              .first = under_way.range.first,
                                              .last = under_way.range.last};
  answer(under_way.sender, under_way.context,
         wire::Completeness{wire::sign(*scheme_, identity_.key, statement)}, out);
}

// ---- Deleting ----

void Replica::perform(ForgettingEffects& asked, Effects& out) {
  for (auto& request : asked.requests) ask(request, out);
  if (asked.scan) {
    scan(asked.scan->tag, asked.scan->range, asked.scan->after, asked.scan->limit, out);
  }
  if (asked.given_up) {
    reconciler_.give_up(*asked.given_up);
    given_up_in_ = reconciler_.tenure_revision();
    write_tenure(out);
    note_given_up(out);
  }
  const wire::ConfigurationNumber now = verifier_.configuration().number();
  for (const wire::ObjectId& id : asked.objects) enqueue(id, ForgetOperation{now}, out);
}

void Replica::note_given_up(Effects& out) {
  if (!given_up_in_ || durable_revision_ < *given_up_in_) return;
  given_up_in_.reset();
  ForgettingEffects asked;
  forgetting_.on_given_up(asked);
  perform(asked, out);
}

/// `held` is nothing when the object is not here or its bytes are bad; `is_readable`: the disk
/// answers. Suppose the disk were slow, the key were this replica's own again for an epoch, in
/// which it is complete with this object, and then another's: what was decided before says nothing
/// of it.
void Replica::run_forget(const wire::ObjectId& id, const ForgetOperation& operation,
                         const wire::StoredObject* held, bool is_readable, Effects& out) {
  const wire::ConfigurationNumber decided_in = operation.decided_in;
  if (decided_in != verifier_.configuration().number() || !is_readable) {
    return on_forgotten(id, decided_in, false, out);
  }
  AfterPersist after{.id = id, .forgotten_in = decided_in};
  if (held) {
    for (const wire::Hold& hold : held->holds) release(hold, after);
  }
  persist(std::move(after), wire::DeleteObject{id}, out);
}

void Replica::on_forgotten(const wire::ObjectId& id, const wire::ConfigurationNumber& decided_in,
                           bool is_deleted, Effects& out) {
  if (is_deleted) {
    ++statistics_.forgotten;
    reconciler_.forget(id);
  }
  finish_front(id, out);
  if (decided_in == verifier_.configuration().number()) {
    forgetting_.on_forgotten(last_instant_, is_deleted);
  }
  if (is_deleting_of_before()) return;
  for (const auto& one : std::exchange(held_scans_, {})) {
    scan(one.tag, one.range, one.after, kScanLimit, out);
  }
}

bool Replica::is_deleting_of_before() const {
  return std::ranges::any_of(persists_, [&](const auto& one) {
    const auto& forgotten_in = one.second.forgotten_in;
    return forgotten_in && *forgotten_in != verifier_.configuration().number();
  });
}

}  // namespace rosebud::objects
