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
  // First, since it listens to all of them: who answers others' questions and not its own is there.
  AuditorEffects audits;
  const bool is_audit = auditor_.on_answer(now, from, answer, audits);
  perform(audits, out);
  if (is_audit) return;
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
  if (const auto* tag = std::get_if<AuditStep>(&after)) {
    AuditorEffects asked;
    auditor_.on_scanned(*tag, scanned ? &*scanned : nullptr, asked);
    return perform(asked, out);
  }
  if (auto* statement = std::get_if<StatementScan>(&after)) {
    if (scanned) return go_on_with_statement(now, std::move(*statement), *scanned, out);
    return refuse(statement->sender, statement->context, wire::RefusalReason::kBusy, out);
  }
  if (const auto* survey = std::get_if<SurveyScan>(&after)) {
    return on_survey_scanned(*survey, scanned ? &*scanned : nullptr, out);
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

/// A scan costs us more than the question costs a peer: about its own arcs alone.
bool Replica::is_arc_of(const Sender& sender, const wire::KeyRange& range) const {
  const membership::Configuration& configuration = verifier_.configuration();
  const auto asker = configuration.node_index(sender.key);
  const auto arc = configuration.ring().arc(range.first);
  return asker && arc && arc->range.contains(range.last) &&
         std::ranges::find(arc->group, *asker) != arc->group.end();
}

/// What is claimed of it now.
wire::RangeState Replica::state_of(const wire::KeyRange& range) const {
  const Claim claim = reconciler_.claim(range);
  return {
      .has_entered = true, .complete_for = claim.complete_for, .gone_before = claim.gone_before};
}

/// The least of it and of what is claimed now.
void Replica::lower(wire::RangeState& state, const wire::KeyRange& range) const {
  const wire::RangeState now = state_of(range);
  state.complete_for = std::min(state.complete_for, now.complete_for);
  state.gone_before = std::max(state.gone_before, now.gone_before);
}

void Replica::begin_range_answer(const Sender& sender, const wire::MessageContext& context,
                                 const wire::CompareRange& compare, Effects& out) {
  if (!is_arc_of(sender, compare.range)) {
    return refuse(sender, context, wire::RefusalReason::kNotAllowed, out);
  }
  if (!has_room_for<AnswerScan>(sender, limits_.range_answers_max,
                                limits_.range_answers_per_peer_max)) {
    return refuse(sender, context, wire::RefusalReason::kBusy, out);
  }
  go_on_with_range_answer(
      {.sender = sender,
       .context = context,
       .range = compare.range,
       .fingerprint = compare.fingerprint,
       .state = state_of(compare.range),
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
  lower(scan.state, scan.range);
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

void Replica::begin_survey_answer(const Sender& sender, const wire::MessageContext& context,
                                  const wire::CompareRanges& compare, Effects& out) {
  const bool are_its_arcs = std::ranges::all_of(
      compare.ranges, [&](const auto& one) { return is_arc_of(sender, one.range); });
  if (!are_its_arcs || is_too_wide(compare.ranges)) {
    return refuse(sender, context, wire::RefusalReason::kNotAllowed, out);
  }
  const auto of_sender = std::ranges::count_if(
      survey_answers_, [&](const auto& one) { return one.second.sender.key == sender.key; });
  if (survey_answers_.size() >= limits_.survey_answers_max ||
      std::cmp_greater_equal(of_sender, limits_.survey_answers_per_peer_max)) {
    return refuse(sender, context, wire::RefusalReason::kBusy, out);
  }
  std::vector<wire::KeyRange> ranges;
  std::vector<wire::RangeState> states;
  for (const wire::CompareRange& one : compare.ranges) {
    ranges.push_back(one.range);
    states.push_back(state_of(one.range));
  }
  const std::uint64_t number = ++survey_answers_begun_;
  survey_answers_.emplace(number, AnswerSurvey{.sender = sender,
                                               .context = context,
                                               .asked = compare.ranges,
                                               .states = std::move(states),
                                               .digest = RangeSurvey(std::move(ranges), leaves_,
                                                                     limits_.range_entries_max)});
  go_on_with_survey_answer(number, out);
}

void Replica::on_survey_scanned(const SurveyScan& under_way, const wire::Scanned* scanned,
                                Effects& out) {
  const auto at = survey_answers_.find(under_way.survey);
  if (at == survey_answers_.end()) return;  // another scan failed, or the epoch ended
  if (scanned) {
    at->second.digest.add(under_way.index, *scanned);
    return go_on_with_survey_answer(under_way.survey, out);
  }
  const AnswerSurvey survey = std::move(at->second);
  survey_answers_.erase(at);
  refuse(survey.sender, survey.context, wire::RefusalReason::kBusy, out);
}

void Replica::go_on_with_survey_answer(std::uint64_t number, Effects& out) {
  const auto at = survey_answers_.find(number);
  for (const RangeSurvey::Scan& next : at->second.digest.next_scans()) {
    scan(SurveyScan{.survey = number, .index = next.index}, next.scan.range, next.scan.after,
         kScanLimit, out);
  }
  if (!at->second.digest.is_done()) return;
  const AnswerSurvey survey = std::move(at->second);
  survey_answers_.erase(at);
  wire::RangesCompared body;
  for (std::size_t i = 0; i < survey.asked.size(); ++i) {
    wire::RangeState state = survey.states[i];
    lower(state, survey.asked[i].range);
    body.ranges.push_back(
        {.state = state,
         .is_equal = survey.digest.fingerprints()[i] == survey.asked[i].fingerprint});
  }
  answer(survey.sender, survey.context, std::move(body), out);
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
