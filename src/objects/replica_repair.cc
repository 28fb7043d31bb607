// What other replicas ask, and what heals: answering comparisons, merging what was fetched, damage,
// scrubbing.
#include <algorithm>
#include <set>

#include "base/check.h"
#include "objects/replica.h"

namespace rosebud::objects {

/// Hands the reconciler's wishes to the driver.
void Replica::perform(ReconcilerEffects& asked, Effects& out) {
  for (auto& request : asked.requests) ask(request, out);
  // Suppose it began to delete an object, and the next epoch gives it the key back: read now, the
  // object would be taken for one that is here, and then be deleted all the same.
  const bool is_too_early = !asked.scans.empty() && is_deleting_of_before();
  for (const auto& one : asked.scans) {
    if (is_too_early) {
      held_scans_.push_back(one);
    } else {
      scan(one.tag, one.range, one.after, kScanLimit, out);
    }
  }
  for (Report& report : asked.reports) out.push_back(report);
  for (auto& merge : asked.merges) {
    enqueue(merge.id,
            MergeOperation{.found = std::move(merge.found),
                           .is_key_done = merge.is_key_done,
                           .is_nowhere = merge.is_nowhere,
                           .era = merge.era},
            out);
  }
  write_tenure(out);
}

void Replica::ask(ReconcilerEffects::Request& request, Effects& out) {
  out.push_back(SendRequest{
      .to = request.to,
      .request = {
          .context = {.configuration = verifier_.configuration().number(), .nonce = request.nonce},
          .body = std::move(request.body)}});
}

void Replica::scan(AfterScan then, const wire::KeyRange& range,
                   const std::optional<wire::ObjectId>& after, std::size_t limit, Effects& out) {
  const Token token = next_token();
  scans_.emplace(token, std::move(then));
  out.push_back(Scan{.token = token, .range = range, .after = after, .limit = limit});
}

void Replica::on_answer(Instant now, const wire::NodeKey& from, wire::Answer answer,
                        Effects& out) noexcept {
  last_instant_ = now;
  ForgettingEffects forgetting;
  if (forgetting_.on_answer(now, from, answer, forgetting)) return perform(forgetting, out);
  ReconcilerEffects asked;
  reconciler_.on_answer(now, from, std::move(answer), asked);
  perform(asked, out);
}

void Replica::on_scanned(Instant now, Token token,
                         Result<wire::Scanned, wire::StorageError> scanned, Effects& out) noexcept {
  last_instant_ = now;
  const auto at = scans_.find(token);
  if (at == scans_.end()) return;
  AfterScan after = std::move(at->second);
  scans_.erase(at);
  if (const auto* tag = std::get_if<ReconcilerScan>(&after)) {
    // Damage that an earlier run marked shows in the index: fetch it again.
    ReconcilerEffects asked;
    if (scanned) {
      for (const wire::IndexEntry& entry : scanned->entries) {
        if (entry.is_damaged) reconciler_.mark_damaged(now, entry.id, asked);
      }
    }
    reconciler_.on_scanned(now, *tag, scanned ? &*scanned : nullptr, asked);
    return perform(asked, out);
  }
  if (const auto* tag = std::get_if<ForgettingScan>(&after)) {
    ForgettingEffects asked;
    forgetting_.on_scanned(now, *tag, scanned ? &*scanned : nullptr, asked);
    return perform(asked, out);
  }
  if (auto* statement = std::get_if<StatementScan>(&after)) {
    if (scanned) return go_on_with_statement(now, std::move(*statement), *scanned, out);
    return refuse(statement->sender, statement->context, wire::RefusalReason::kBusy, out);
  }
  if (auto* range = std::get_if<AnswerScan>(&after)) {
    if (!scanned) return refuse(range->sender, range->context, wire::RefusalReason::kBusy, out);
    range->digest.add(*scanned);
    return go_on_with_range_answer(std::move(*range), out);
  }
  is_scrub_scanning_ = false;
  if (!scanned) return;
  for (const wire::IndexEntry& entry : scanned->entries) {
    if (!entry.is_damaged) scrub_queue_.push_back(entry.id);
  }
  scrub_cursor_.reset();  // begins again at the start, unless something follows
  if (!scanned->is_whole && !scanned->entries.empty()) scrub_cursor_ = scanned->entries.back().id;
}

void Replica::begin_range_answer(const Sender& sender, const wire::MessageContext& context,
                                 const wire::CompareRange& compare, Effects& out) {
  // A scan costs us more than the question costs a peer: about its own arcs alone, and only so many
  // at once.
  const membership::Configuration& configuration = verifier_.configuration();
  const auto asker = configuration.node_index(sender.key);
  const routing::Arc* arc = configuration.ring().arc(compare.range.first);
  const bool is_its_arc = asker && arc && arc->range.contains(compare.range.last) &&
                          std::ranges::find(arc->group, *asker) != arc->group.end();
  if (!is_its_arc) return refuse(sender, context, wire::RefusalReason::kNotAllowed, out);
  if (!has_room_for<AnswerScan>(sender, limits_.range_answers_max,
                                limits_.range_answers_per_peer_max)) {
    return refuse(sender, context, wire::RefusalReason::kBusy, out);
  }
  const Claim claim = reconciler_.claim(compare.range);
  go_on_with_range_answer(
      {.sender = sender,
       .context = context,
       .range = compare.range,
       .fingerprint = compare.fingerprint,
       .state = {.has_entered = true,
                 .complete_for = claim.complete_for,
                 .gone_before = claim.gone_before},
       .digest = RangeDigest(compare.range, leaves_, limits_.range_entries_max)},
      out);
}

void Replica::go_on_with_range_answer(AnswerScan scan, Effects& out) {
  const auto next = scan.digest.next_scan();
  if (!next) return finish_range_answer(std::move(scan), out);
  this->scan(std::move(scan), next->range, next->after, kScanLimit, out);
}

void Replica::finish_range_answer(AnswerScan scan, Effects& out) {
  if (scan.context.configuration != verifier_.configuration().number()) {
    return refuse(scan.sender, scan.context, wire::RefusalReason::kWrongEpoch, out);
  }
  const Claim now = reconciler_.claim(scan.range);
  scan.state.complete_for = std::min(scan.state.complete_for, now.complete_for);
  scan.state.gone_before = std::max(scan.state.gone_before, now.gone_before);
  RangeDigest::Summary mine = scan.digest.finish();
  wire::AnswerBody body;
  if (mine.fingerprint == scan.fingerprint) {
    body = wire::RangeEqual{scan.state};
  } else if (mine.has_all_entries()) {
    body = wire::RangeEntries{.state = scan.state, .entries = std::move(mine.entries)};
  } else {
    body = wire::RangeSplit{.state = scan.state, .parts = std::move(mine.parts)};
  }
  answer(scan.sender, scan.context, std::move(body), out);
}

/// `held` is nothing when the object is not here or its bytes are bad (`is_corrupt`).
void Replica::run_merge(const wire::ObjectId& id, MergeOperation& operation,
                        wire::StoredObject* held, bool is_corrupt, Effects& out) {
  const bool is_healing = is_corrupt || (held && held->is_damaged);
  wire::StoredObject object =
      held ? std::move(*held) : wire::StoredObject{.id = id, .is_damaged = true};
  std::set<crypto::PublicKey> holders;
  for (const wire::Hold& hold : object.holds) holders.insert(holder_of(hold));
  bool is_changed = false;
  for (const wire::StoredObject& found : operation.found) is_changed |= merge(object, found);
  // Damaged, and those who would have it if it had ever been acknowledged do not: it was not
  // (design 6). Kept, the mark would be asked for and answered "busy" for ever.
  if (is_healing && operation.is_nowhere) return persist({.id = id}, wire::DeleteObject{id}, out);
  if (!is_changed) {
    // Nothing new. An object that nobody showed and that is not here is simply not there.
    ReconcilerEffects asked;
    const bool is_whole = !is_healing;
    const bool is_key_done = operation.is_key_done;
    const std::uint64_t era = operation.era;
    finish_front(id, out);
    reconciler_.on_merged(last_instant_, id, is_key_done, is_whole, era, asked);
    return perform(asked, out);
  }
  if (object.is_damaged || object.holds.empty()) {
    ReconcilerEffects asked;
    const bool is_key_done = operation.is_key_done;
    const std::uint64_t era = operation.era;
    finish_front(id, out);
    reconciler_.on_merged(last_instant_, id, is_key_done, false, era, asked);
    return perform(asked, out);
  }
  AfterPersist after{.id = id, .was_healed = true};
  // What reached a quorum is taken whatever its holder has here, but it is counted like everything
  // else. The holds of an object that is healed were counted when it was stored.
  for (const wire::Hold& hold : object.holds) {
    const bool is_counted = is_healing || holders.contains(holder_of(hold));
    if (!is_counted && !is_planted(Bug::kMergedNotCounted)) count(hold, after);
  }
  wire::PutObject write{.object = std::move(object)};
  write.content_size = write.object.content.size();
  persist(std::move(after), std::move(write), out);
}

/// The durable mark: no content, no holds; other replicas have both. Runs as the front operation of
/// the object.
void Replica::mark_damaged(const wire::ObjectId& id, Effects& out) {
  persist({.id = id, .is_answered = true},
          wire::PutObject{.object = {.id = id, .is_damaged = true}}, out);
}

/// Reads one object after the other; a load checks the bytes, and bad ones are healed like any
/// others.
void Replica::scrub_next(Effects& out) {
  if (!scrub_queue_.empty()) {
    const wire::ObjectId id = scrub_queue_.front();
    scrub_queue_.pop_front();
    enqueue(id, ScrubOperation{}, out);
    return;
  }
  if (is_scrub_scanning_) return;
  is_scrub_scanning_ = true;
  scan(ScrubOperation{}, wire::whole_key_range(), scrub_cursor_, kScanLimit, out);
}

}  // namespace rosebud::objects
