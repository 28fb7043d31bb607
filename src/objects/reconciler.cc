#include "objects/reconciler.h"

#include <algorithm>

#include "base/check.h"

namespace rosebud::objects {
namespace {

/// Single objects served ahead of their arc are remembered up to here; the arc will be served soon
/// after.
constexpr std::size_t kServedKeysMax = 100'000;
/// A single object is asked for this often before its client has to ask again.
constexpr int kRepairRounds = 5;
/// Ranges that one exchange may still have to do: 16 parts on each of the 64 levels of a key's
/// half-bytes.
constexpr std::size_t kTodoMax = wire::kRangePartsMax * 64;

constexpr wire::ConfigurationNumber kFirstConfiguration{wire::Generation(0), wire::Epoch(1)};

bool contains(const std::vector<wire::NodeKey>& keys, const wire::NodeKey& key) {
  return std::ranges::find(keys, key) != keys.end();
}

std::vector<routing::Arc> arcs_of(const membership::Configuration& configuration,
                                  const wire::NodeKey& node) {
  const auto index = configuration.node_index(node);
  return index ? configuration.arcs_of(*index) : std::vector<routing::Arc>{};
}

/// Where pieces of the range begin, but the first, on which every known epoch has one group. Who is
/// in it counts, not in which order: in small clusters most neighbours differ in nothing else.
std::set<crypto::Digest> cuts_in(const wire::KeyRange& range, const History& history) {
  std::set<crypto::Digest> out;
  for (const auto& earlier : history) {
    std::vector<std::uint32_t> last;
    for (routing::Arc& arc : earlier->ring().arcs_in(range)) {
      std::ranges::sort(arc.group);
      if (arc.range.first != range.first && arc.group != last) out.insert(arc.range.first);
      last = std::move(arc.group);
    }
  }
  return out;
}

}  // namespace

Reconciler::Reconciler(wire::NodeKey self, Random random, ReconcilerSettings settings,
                       LeafDigests& leaves)
    : self_(self), random_(random), settings_(settings), leaves_(&leaves) {}

// ---- Arcs ----

void Reconciler::start(Instant now, const Verifier& verifier, const History& history,
                       std::optional<Tenure> tenure, ReconcilerEffects& out) {
  if (tenure) {
    tenure_ = std::move(*tenure);
  } else if (verifier.configuration().number() == kFirstConfiguration) {
    // Before the first epoch nothing was written: its members are complete and have always served.
    for (const auto& arc : arcs_of(verifier.configuration(), self_)) {
      tenure_.complete.raise(arc.range, kFirstConfiguration.epoch);
      tenure_.served.raise(arc.range, kFirstConfiguration.epoch);
    }
  }
  take_arcs(now, verifier, history, true, out);
}

void abandon_after(Tenure& tenure, wire::Epoch last, wire::Epoch next) {
  tenure.complete.cap(last);
  tenure.served.cap(last);
  tenure.gone.cap(next);
}

void Reconciler::begin_epoch(Instant now, const Verifier& next, const History& history,
                             ReconcilerEffects& out) {
  const wire::ConfigurationNumber number = next.configuration().number();
  if (verifier_->configuration().number().generation != number.generation) {
    const Tenure before = tenure_;
    abandon_after(tenure_, wire::Epoch(number.epoch.value - 1), number.epoch);
    tenure_revision_ += tenure_ == before ? 0 : 1;
  }
  take_arcs(now, next, history, false, out);
}

void Reconciler::take_arcs(Instant now, const Verifier& next, const History& history, bool is_start,
                           ReconcilerEffects& out) {
  next_deadline_.reset();
  const wire::Epoch epoch = next.configuration().number().epoch;
  const bool is_abandoning = !is_start && verifier_->configuration().number().epoch >= epoch;
  const std::vector<Arc> before = std::move(arcs_);
  arcs_.clear();
  verifier_ = next;
  exchanges_.clear();
  surveys_.clear();
  pending_.clear();
  repairs_.clear();
  served_keys_.clear();
  silent_since_.clear();
  exchanges_running_ = 0;
  next_exchange_ = 0;
  arcs_served_ = 0;
  ++era_;
  const membership::Configuration& configuration = next.configuration();
  const auto add = [&](const wire::KeyRange& range) {
    Arc arc{.range = range, .groups = groups_back(configuration, history, range.first)};
    if (is_start) {
      arc.is_kept = tenure_.served.lowest(range) >= epoch;
      arc.is_served = is_planted(Bug::kServedBeforeReconciled);
    } else if (is_abandoning) {
      // What it had after the parent says nothing of what it had there.
      arc.is_kept =
          contains(arc.groups[1].members, self_) && tenure_.served.lowest(range).next() >= epoch;
      arc.is_served = arc.is_kept;
    } else {
      // Who was still reconciling after a start enters the next epoch as a gainer.
      arc.is_kept =
          contains(arc.groups[1].members, self_) &&
          std::ranges::all_of(before, [&](const Arc& old) {
            return old.is_served || old.range.last < range.first || range.last < old.range.first;
          });
      arc.is_served = arc.is_kept;
    }
    arc.completion = new_completion(arc, true);
    if (arc.is_served) raise(tenure_.served, range);
    arcs_served_ += arc.is_served ? 1 : 0;
    arcs_.push_back(std::move(arc));
  };
  for (const auto& arc : arcs_of(configuration, self_)) {
    crypto::Digest first = arc.range.first;
    for (const crypto::Digest& cut : cuts_in(arc.range, history)) {
      add({first, routing::key_before(cut)});
      first = cut;
    }
    add({first, arc.range.last});
  }
  std::erase_if(damaged_, [&](const auto& one) { return !arc_of(one.first.placement); });
  for (std::size_t arc = 0; arc < arcs_.size(); ++arc) {
    add_sources(arc);
    judge(arc);
  }
  std::erase_if(survey_ranges_max_, [&](const auto& one) {
    return std::ranges::find(exchanges_, one.first, &Exchange::source) == exchanges_.end();
  });
  random_.shuffle(exchanges_);
  std::ranges::partition(exchanges_,
                         [&](const Exchange& one) { return !arcs_[one.arc].is_served; });
  next_round_ = now + settings_.interval;
  on_time(now, out);
}

Completion Reconciler::new_completion(const Arc& arc, bool has_own) const {
  Claim own = claim(arc.range);
  if (!has_own) own = {.complete_for = {}, .gone_before = tenure_.gone.highest(arc.range)};
  return {verifier_->configuration().f(), self_, own, arc.groups};
}

void Reconciler::add_sources(std::size_t index) {
  Arc& arc = arcs_[index];
  for (const wire::NodeKey& source : arc.completion.sources()) {
    // Scans and answers of an earlier epoch must not be taken for this one's.
    if (arc.sources.insert(source).second) {
      exchanges_.push_back({.arc = index, .source = source, .round = era_ << 32});
    }
  }
}

void Reconciler::ask_again(Instant now, std::size_t index) {
  const Arc& arc = arcs_[index];
  if (arc.completion.is_complete()) return;
  const std::vector<wire::NodeKey> sources = arc.completion.sources();
  for (Exchange& exchange : exchanges_) {
    if (exchange.arc != index || exchange.stage != Stage::kDone ||
        !contains(sources, exchange.source)) {
      continue;
    }
    if (!arc.completion.has_told(exchange.source)) {
      enter(exchange, Stage::kWaiting);
    } else if (arc.completion.may_be_complete_now(exchange.source)) {
      enter(exchange, Stage::kFailed);
      exchange.deadline = now + settings_.retry_delay;
    }
  }
}

bool Reconciler::is_compared_enough(const Arc& arc, const std::set<wire::NodeKey>& with) const {
  const auto count =
      std::ranges::count_if(arc.groups.front().members,
                            [&](const wire::NodeKey& member) { return with.contains(member); });
  return std::cmp_greater_equal(count, 2 * verifier_->configuration().f());
}

void Reconciler::raise(IntervalEpochs& what, const wire::KeyRange& range) {
  const wire::Epoch epoch = verifier_->configuration().number().epoch;
  if (what.lowest(range) >= epoch) return;
  what.raise(range, epoch);
  ++tenure_revision_;
}

void Reconciler::judge(std::size_t index) {
  Arc& arc = arcs_[index];
  const bool is_complete = arc.completion.is_complete();
  if (is_complete) raise(tenure_.complete, arc.range);
  if (arc.is_served || !(arc.is_kept ? is_compared_enough(arc, arc.compared) : is_complete)) return;
  arc.is_served = true;
  ++arcs_served_;
  raise(tenure_.served, arc.range);
  std::erase_if(served_keys_,
                [&](const wire::ObjectId& id) { return arc.range.contains(id.placement); });
}

Claim Reconciler::claim(const wire::KeyRange& range) const {
  const wire::Epoch complete = tenure_.complete.lowest(range);
  const wire::Epoch gone = tenure_.gone.highest(range);
  if (gone > complete) return {.complete_for = {}, .gone_before = gone};
  return {.complete_for = complete, .gone_before = {}};
}

void Reconciler::give_up(const wire::KeyRange& range) {
  CHECK(std::ranges::all_of(arcs_, [&](const Arc& arc) {
    return arc.range.last < range.first || range.last < arc.range.first;
  }));
  raise(tenure_.gone, range);
}

bool Reconciler::is_owing(const wire::KeyRange& range) const {
  return std::ranges::any_of(damaged_,
                             [&](const auto& one) { return range.contains(one.first.placement); });
}

bool Reconciler::is_everything_complete() const {
  const wire::Epoch epoch = verifier_->configuration().number().epoch;
  return !arcs_.empty() && std::ranges::all_of(arcs_, [&](const Arc& arc) {
    return tenure_.complete.lowest(arc.range) >= epoch;
  });
}

const Reconciler::Arc* Reconciler::arc_of(const crypto::Digest& key) const {
  auto after =
      std::ranges::upper_bound(arcs_, key, {}, [](const Arc& arc) { return arc.range.first; });
  if (after == arcs_.begin()) return nullptr;
  const Arc& arc = *std::prev(after);
  return arc.range.contains(key) ? &arc : nullptr;
}

bool Reconciler::is_served(const wire::ObjectId& id) const {
  if (damaged_.contains(id) && !is_planted(Bug::kDamagedIsAbsent)) return false;
  const Arc* arc = arc_of(id.placement);
  return arc && (arc->is_served || served_keys_.contains(id));
}

// ---- Exchanges ----

void Reconciler::start_waiting(Instant now, ReconcilerEffects& out) {
  for (std::size_t looked_at = 0; looked_at < exchanges_.size(); ++looked_at) {
    if (exchanges_running_ >= settings_.exchanges_max) return;
    const std::size_t index = next_exchange_ % exchanges_.size();
    next_exchange_ = index + 1;
    Exchange& exchange = exchanges_[index];
    if (exchange.stage != Stage::kWaiting) continue;
    if (is_better_later(exchange)) continue;
    if (exchange.todo.empty() && !exchange.is_alone) {
      if (surveys_.contains(exchange.source)) continue;
      std::vector<std::size_t> together = exchanges_to_survey(index);
      // One that is slow or dead keeps one place, however many wait for it.
      const bool is_slow = survey_ranges_max(exchange.source) == 1;
      if (together.size() > 1 || (is_slow && !together.empty())) {
        begin_survey(now, std::move(together), out);
        continue;
      }
    }
    ++exchanges_running_;
    exchange.turn_ends = now + settings_.turn;
    if (exchange.todo.empty()) begin(index);
    next_range(now, index, out);
  }
}

/// What its source tells counts from here on.
void Reconciler::begin(std::size_t index) {
  Exchange& exchange = exchanges_[index];
  exchange.todo = {arcs_[exchange.arc].range};
  exchange.claim = {.complete_for = wire::Epoch(~std::uint64_t{0}), .gone_before = {}};
  exchange.asked_in = arcs_[exchange.arc].completion.round();
}

void Reconciler::enter(Exchange& exchange, Stage stage) {
  const auto is_scan = [](Stage one) {
    return one == Stage::kScanning || one == Stage::kSurveying;
  };
  Arc& arc = arcs_[exchange.arc];
  arc.scanning -= is_scan(exchange.stage) ? 1 : 0;
  arc.scanning += is_scan(stage) ? 1 : 0;
  exchange.stage = stage;
}

bool Reconciler::is_better_later(const Exchange& exchange) const {
  return leaves_->is_enabled() && arcs_[exchange.arc].scanning > 0;
}

bool Reconciler::must_make_room(Instant now, const Exchange& exchange) const {
  if (is_planted(Bug::kNoTurns)) return false;
  if (exchanges_running_ < settings_.exchanges_max) return false;
  return now >= exchange.turn_ends && std::ranges::any_of(exchanges_, [](const Exchange& other) {
           return other.stage == Stage::kWaiting;
         });
}

void Reconciler::next_range(Instant now, std::size_t index, ReconcilerEffects& out) {
  Exchange& exchange = exchanges_[index];
  if (exchange.todo.empty()) return finish(now, index, out);
  if (must_make_room(now, exchange)) {
    enter(exchange, Stage::kWaiting);
    ++exchange.round;
    --exchanges_running_;
    return start_waiting(now, out);
  }
  exchange.range = exchange.todo.back();
  exchange.todo.pop_back();
  enter(exchange, Stage::kScanning);
  exchange.digest.emplace(exchange.range, *leaves_, settings_.range_entries_max);
  exchange.mine.reset();
  exchange.listed.clear();
  scan_more(now, index, out);
}

void Reconciler::ask_scan(std::size_t index, const RangeDigest::Scan& scan,
                          ReconcilerEffects& out) {
  Exchange& exchange = exchanges_[index];
  ++exchange.round;
  out.scans.push_back({.tag = {.exchange = index, .round = exchange.round},
                       .range = scan.range,
                       .after = scan.after});
}

void Reconciler::scan_more(Instant now, std::size_t index, ReconcilerEffects& out) {
  const auto scan = exchanges_[index].digest->next_scan();
  if (scan) return ask_scan(index, *scan, out);
  scanned_all(now, index, out);
}

void Reconciler::on_scanned(Instant now, const ReconcilerScan& tag, const wire::Scanned* scanned,
                            ReconcilerEffects& out) {
  next_deadline_.reset();
  if (tag.exchange >= exchanges_.size()) return;  // of an earlier epoch or round
  Exchange& exchange = exchanges_[tag.exchange];
  const bool is_scanning = exchange.stage == Stage::kScanning ||
                           exchange.stage == Stage::kSurveying ||
                           exchange.stage == Stage::kMatching;
  if (!is_scanning || exchange.round != tag.round) return;
  if (exchange.stage == Stage::kSurveying) {
    if (!scanned) {
      fail_survey(now, exchange.source, SurveyFailure::kBroken);
      return start_waiting(now, out);
    }
    surveys_.at(exchange.source).digest.add(exchange.place, *scanned);
    return go_on_with_survey(now, exchange.source, out);
  }
  if (!scanned) return fail(now, tag.exchange);
  if (exchange.stage == Stage::kScanning) {
    exchange.digest->add(*scanned);
    return scan_more(now, tag.exchange, out);
  }
  for (const wire::IndexEntry& entry : scanned->entries) {
    const auto listed = exchange.listed.find(entry.id);
    if (listed == exchange.listed.end()) continue;
    if (listed->second.state == entry.state && !entry.is_damaged) exchange.listed.erase(listed);
  }
  if (!scanned->is_whole && !scanned->entries.empty()) {
    return ask_scan(tag.exchange, {exchange.range, scanned->entries.back().id}, out);
  }
  matched_all(now, tag.exchange, out);
}

void Reconciler::scanned_all(Instant now, std::size_t index, ReconcilerEffects& out) {
  Exchange& exchange = exchanges_[index];
  exchange.mine = exchange.digest->finish();
  exchange.digest.reset();
  enter(exchange, Stage::kAsked);
  exchange.deadline = now + settings_.request_timeout;
  ++exchange.round;
  send(now, exchange.source,
       wire::CompareRange{.range = exchange.range, .fingerprint = exchange.mine->fingerprint},
       {.exchange = index, .round = exchange.round}, out);
  if (leaves_->is_enabled()) start_waiting(now, out);
}

void Reconciler::on_range_answer(Instant now, std::size_t index, const wire::Answer& answer,
                                 ReconcilerEffects& out) {
  Exchange& exchange = exchanges_[index];
  if (exchange.stage != Stage::kAsked) return;
  const auto counts = [&](const wire::RangeState& state) {
    exchange.claim.complete_for = std::min(exchange.claim.complete_for, state.complete_for);
    exchange.claim.gone_before = std::max(exchange.claim.gone_before, state.gone_before);
    return state.has_entered;
  };
  if (const auto* equal = std::get_if<wire::RangeEqual>(&answer.body)) {
    return counts(equal->state) ? next_range(now, index, out) : fail(now, index);
  }
  if (const auto* cut = std::get_if<wire::RangeSplit>(&answer.body)) {
    // The parts are ours to choose: what the source says about them only saves questions.
    const auto& parts = exchange.mine->parts;
    if (!counts(cut->state) || parts.size() < 2 || exchange.todo.size() + parts.size() > kTodoMax) {
      return fail(now, index);
    }
    for (std::size_t i = parts.size(); i-- > 0;) {
      const bool is_known_equal = i < cut->parts.size() && cut->parts[i].range == parts[i].range &&
                                  cut->parts[i].fingerprint == parts[i].fingerprint;
      if (!is_known_equal) exchange.todo.push_back(parts[i].range);
    }
    return next_range(now, index, out);
  }
  if (const auto* entries = std::get_if<wire::RangeEntries>(&answer.body)) {
    if (!counts(entries->state)) return fail(now, index);
    for (const wire::RangeEntry& entry : entries->entries) {
      if (!exchange.range.contains(entry.id.placement)) return fail(now, index);
      if (!entry.is_damaged) exchange.listed.emplace(entry.id, entry);
    }
    enter(exchange, Stage::kMatching);
    return ask_scan(index, {exchange.range, std::nullopt}, out);
  }
  if (is_planted(Bug::kBusyIsTold)) return next_range(now, index, out);
  fail(now, index);
}

void Reconciler::matched_all(Instant now, std::size_t index, ReconcilerEffects& out) {
  Exchange& exchange = exchanges_[index];
  enter(exchange, Stage::kFetching);
  exchange.to_fetch.clear();
  for (const auto& [id, entry] : exchange.listed) exchange.to_fetch.push_back(id);
  exchange.listed.clear();
  ++exchange.round;
  exchange.fetching = 0;
  exchange.merging.clear();
  fetch_more(now, index, out);
}

void Reconciler::fetch_more(Instant now, std::size_t index, ReconcilerEffects& out) {
  Exchange& exchange = exchanges_[index];
  while (!exchange.to_fetch.empty() &&
         exchange.fetching + exchange.merging.size() < settings_.fetches_max &&
         !must_make_room(now, exchange)) {
    const wire::ObjectId id = exchange.to_fetch.back();
    exchange.to_fetch.pop_back();
    ++exchange.fetching;
    send(now, exchange.source, wire::FetchObject{id},
         {.exchange = index, .round = exchange.round, .id = id}, out);
  }
  exchange.deadline = now + settings_.request_timeout;
  if (exchange.fetching > 0) return;
  if (!exchange.merging.empty() && !is_planted(Bug::kCompleteBeforeMerged)) return;
  // What is left of this range when the turn is over is found again in the next one.
  if (!exchange.to_fetch.empty()) exchange.todo.push_back(exchange.range);
  exchange.to_fetch.clear();
  next_range(now, index, out);
}

void Reconciler::on_fetched(Instant now, const Pending& pending, wire::Answer& answer,
                            ReconcilerEffects& out) {
  const std::size_t index = *pending.exchange;
  Exchange& exchange = exchanges_[index];
  if (exchange.stage != Stage::kFetching || exchange.round != pending.round) return;
  --exchange.fetching;
  if (auto* found = std::get_if<wire::ObjectFound>(&answer.body);
      found && is_valid(pending.id, answer)) {
    exchange.merging.insert(pending.id);
    ReconcilerEffects::Merge merge{.id = pending.id, .era = era_};
    merge.found.push_back(std::move(found->object));
    out.merges.push_back(std::move(merge));
  } else if (std::holds_alternative<wire::Refused>(answer.body)) {
    return fail(now, index);  // busy, or damaged there: it says nothing about the object
  } else {
    // Listed, but not shown: who else has it?
    const auto* absent = std::get_if<wire::ObjectAbsent>(&answer.body);
    const bool is_deleted = absent && absent->gone_before.value > 0;  // meanwhile, as it may
    if (!is_deleted) {
      out.reports.push_back(
          {pending.to, found ? Observation::kInvalidAnswer : Observation::kEmptyListing});
    }
    repair(now, pending.id, out);
    if (!repairs_.contains(pending.id)) return fail(now, index);
    exchange.merging.insert(pending.id);
  }
  fetch_more(now, index, out);
}

void Reconciler::fail(Instant now, std::size_t index) {
  try_later(now, exchanges_[index]);
  --exchanges_running_;
}

void Reconciler::try_later(Instant now, Exchange& exchange) {
  enter(exchange, Stage::kFailed);
  ++exchange.round;
  exchange.todo.clear();
  exchange.to_fetch.clear();
  exchange.deadline = now + settings_.retry_delay;
}

/// One time-out is weather; one report for each time of silence.
void Reconciler::note_silence(Instant now, const wire::NodeKey& source, ReconcilerEffects& out) {
  const auto [since, is_new] = silent_since_.emplace(source, now);
  if (is_new || now - since->second < settings_.silence_reported) return;
  out.reports.push_back({source, Observation::kSlow});
  since->second = now;
}

void Reconciler::finish(Instant now, std::size_t index, ReconcilerEffects& out) {
  --exchanges_running_;
  note_told(now, index);
  start_waiting(now, out);
}

/// The source told all that it holds there, and this replica has it.
void Reconciler::note_told(Instant now, std::size_t index) {
  Exchange& exchange = exchanges_[index];
  enter(exchange, Stage::kDone);
  exchange.is_alone = false;
  const std::size_t index_of_arc = exchange.arc;
  Arc& arc = arcs_[index_of_arc];
  arc.compared.insert(exchange.source);
  arc.completion.on_told(exchange.source, exchange.claim, exchange.asked_in);
  judge(index_of_arc);
  add_sources(index_of_arc);  // `exchange` may be gone now
  ask_again(now, index_of_arc);
}

// ---- Single objects ----

void Reconciler::repair(Instant now, const wire::ObjectId& id, ReconcilerEffects& out) {
  next_deadline_.reset();
  const Arc* arc = arc_of(id.placement);
  if (!arc || repairs_.contains(id) || repairs_.size() >= settings_.key_repairs_max) return;
  KeyRepair& repair = repairs_[id];
  repair.arc = static_cast<std::size_t>(arc - arcs_.data());
  repair.is_damaged = damaged_.contains(id);
  // Not from where the arc stands: who told the arc that it is not complete may be so by now.
  repair.completion = new_completion(*arc, !repair.is_damaged);
  repair.rounds_left = kRepairRounds;
  send_repair(now, id, repair, out);
}

void Reconciler::mark_damaged(Instant now, const wire::ObjectId& id, ReconcilerEffects& out) {
  if (!arc_of(id.placement)) return;  // not its own: nobody needs it here
  const auto [at, is_new] = damaged_.emplace(id, now);
  if (at->second > now) return;
  at->second = now + settings_.retry_delay;
  repair(now, id, out);
}

void Reconciler::send_repair(Instant now, const wire::ObjectId& id, KeyRepair& repair,
                             ReconcilerEffects& out) {
  --repair.rounds_left;
  repair.deadline = now + settings_.request_timeout;
  const std::uint64_t round = repair.completion.round();
  for (const wire::NodeKey& source : repair.completion.sources()) {
    if (!repair.completion.has_told(source) || repair.completion.may_be_complete_now(source)) {
      send(now, source, wire::FetchObject{id}, {.asked_in = round, .id = id}, out);
    }
  }
}

bool Reconciler::is_being_asked(const wire::NodeKey& source, const wire::ObjectId& id,
                                std::uint64_t round) const {
  return std::ranges::any_of(pending_, [&](const auto& one) {
    const Pending& pending = one.second;
    const bool is_repair = !pending.exchange && !pending.survey;
    return pending.to == source && is_repair && pending.id == id && pending.asked_in == round;
  });
}

void Reconciler::on_repair_answer(Instant now, const Pending& pending, wire::Answer& answer,
                                  ReconcilerEffects& out) {
  const auto at = repairs_.find(pending.id);
  if (at == repairs_.end() || at->second.is_merging) return;
  KeyRepair& repair = at->second;
  Claim claim;
  if (auto* found = std::get_if<wire::ObjectFound>(&answer.body)) {
    if (!is_valid(pending.id, answer)) {
      out.reports.push_back({pending.to, Observation::kInvalidAnswer});
      return;
    }
    claim = {.complete_for = found->complete_for, .gone_before = found->gone_before};
    // Merged at once, so that the copies of many sources take the memory of one.
    if (repair.found.empty()) {
      repair.found.push_back(std::move(found->object));
    } else {
      merge(repair.found.front(), found->object);
    }
  } else if (const auto* absent = std::get_if<wire::ObjectAbsent>(&answer.body)) {
    claim = {.complete_for = absent->complete_for, .gone_before = absent->gone_before};
  } else {
    return;  // busy or refused: asked again at the deadline
  }
  repair.answered.insert(pending.to);
  repair.completion.on_told(pending.to, claim, pending.asked_in);
  if (is_asked_enough(repair)) {
    repair.is_merging = true;
    const bool is_nowhere = repair.is_damaged && repair.found.empty();
    out.merges.push_back({.id = pending.id,
                          .found = std::move(repair.found),
                          .is_key_done = true,
                          .is_nowhere = is_nowhere,
                          .era = era_});
    return;
  }
  const std::uint64_t round = repair.completion.round();
  for (const wire::NodeKey& source : repair.completion.sources()) {
    if (!is_being_asked(source, pending.id, round) && !repair.completion.has_told(source)) {
      send(now, source, wire::FetchObject{pending.id}, {.asked_in = round, .id = pending.id}, out);
    }
  }
}

/// Where clients are answered already, an object is repaired because its bytes were bad: that the
/// interval is complete says nothing of it any more, and one liar's answer must not end it.
bool Reconciler::is_asked_enough(const KeyRepair& repair) const {
  const Arc& arc = arcs_[repair.arc];
  if (!arc.is_kept && !arc.is_served) return repair.completion.is_complete();
  if (!is_compared_enough(arc, repair.answered)) return false;
  // That nobody has it counts only from those who know: suppose all the others came with this
  // epoch and did not complete yet.
  return !repair.found.empty() || !repair.is_damaged || repair.completion.is_complete();
}

void Reconciler::on_merged(Instant now, const wire::ObjectId& id, bool is_key_done, bool is_whole,
                           std::uint64_t era, ReconcilerEffects& out) {
  next_deadline_.reset();
  if (is_whole) damaged_.erase(id);
  if (era != era_) return;
  if (is_key_done) {
    repairs_.erase(id);
    const Arc* arc = arc_of(id.placement);
    if (is_whole && arc && !arc->is_served) {
      if (served_keys_.size() >= kServedKeysMax) served_keys_.clear();
      served_keys_.insert(id);
    }
  }
  for (std::size_t i = 0; i < exchanges_.size(); ++i) {
    if (exchanges_[i].merging.erase(id) == 0 || exchanges_[i].stage != Stage::kFetching) continue;
    if (is_whole) {
      fetch_more(now, i, out);
    } else {
      fail(now, i);
    }
  }
}

// ---- Questions and time ----

void Reconciler::send(Instant now, const wire::NodeKey& to, wire::RequestBody body, Pending pending,
                      ReconcilerEffects& out) {
  const wire::Nonce nonce(random_.next());
  pending.to = to;
  pending.deadline = now + settings_.request_timeout;
  pending_.insert_or_assign(nonce, pending);
  out.requests.push_back({.to = to, .nonce = nonce, .body = std::move(body)});
}

bool Reconciler::is_valid(const wire::ObjectId& id, const wire::Answer& answer) const {
  const auto* found = std::get_if<wire::ObjectFound>(&answer.body);
  return found && verifier_->is_object(id, found->object);
}

void Reconciler::on_answer(Instant now, const wire::NodeKey& from, wire::Answer answer,
                           ReconcilerEffects& out) {
  next_deadline_.reset();
  const auto at = pending_.find(answer.context.nonce);
  if (at == pending_.end() || at->second.to != from) return;
  const Pending pending = at->second;
  pending_.erase(at);
  silent_since_.erase(from);
  // Answers of another epoch count for nothing; the question is asked again after its time-out.
  if (answer.context.configuration != verifier_->configuration().number()) return;
  if (pending.survey) return on_survey_answer(now, pending, answer, out);
  if (!pending.exchange) return on_repair_answer(now, pending, answer, out);
  Exchange& exchange = exchanges_[*pending.exchange];
  if (exchange.round != pending.round) return;
  if (exchange.stage == Stage::kAsked) return on_range_answer(now, *pending.exchange, answer, out);
  on_fetched(now, pending, answer, out);
}

/// Members of earlier groups are asked until the arc is complete, and not again.
bool Reconciler::is_still_source(const Exchange& exchange) const {
  const Arc& arc = arcs_[exchange.arc];
  return contains(arc.groups.front().members, exchange.source) || !arc.completion.is_complete();
}

void Reconciler::on_time(Instant now, ReconcilerEffects& out) {
  next_deadline_.reset();
  std::erase_if(pending_, [&](const auto& one) { return one.second.deadline <= now; });
  on_survey_time(now, out);
  for (std::size_t i = 0; i < exchanges_.size(); ++i) {
    Exchange& exchange = exchanges_[i];
    if (exchange.deadline > now) continue;
    if (exchange.stage == Stage::kAsked ||
        (exchange.stage == Stage::kFetching && exchange.fetching > 0)) {
      note_silence(now, exchange.source, out);
      // Suppose its source died: those that are compared by themselves would take a place each.
      exchange.is_alone = false;
      fail(now, i);
    } else if (exchange.stage == Stage::kFailed) {
      enter(exchange, is_still_source(exchange) ? Stage::kWaiting : Stage::kDone);
    }
  }
  for (auto at = repairs_.begin(); at != repairs_.end();) {
    auto& [id, repair] = *at;
    if (repair.is_merging || repair.deadline > now) {
      ++at;
    } else if (repair.rounds_left == 0) {
      for (std::size_t i = 0; i < exchanges_.size(); ++i) {
        const bool is_waiting = exchanges_[i].merging.erase(id) > 0;
        if (is_waiting && exchanges_[i].stage == Stage::kFetching) fail(now, i);
      }
      at = repairs_.erase(at);
    } else {
      send_repair(now, id, repair, out);
      ++at;
    }
  }
  for (auto& [id, again_at] : damaged_) {
    if (again_at > now) continue;
    again_at = now + settings_.retry_delay;
    repair(now, id, out);
  }
  if (now >= next_round_) {
    next_round_ = now + settings_.interval;
    // Those that are not done yet go on: a dead source must not keep the others from being compared
    // again.
    for (Exchange& exchange : exchanges_) {
      if (exchange.stage == Stage::kDone && is_still_source(exchange)) {
        enter(exchange, Stage::kWaiting);
      }
    }
  }
  start_waiting(now, out);
}

Instant Reconciler::next_deadline() const {
  if (!next_deadline_) next_deadline_ = earliest_deadline();
  return *next_deadline_;
}

Instant Reconciler::earliest_deadline() const {
  Instant next = next_round_;
  for (const Exchange& exchange : exchanges_) {
    const bool is_timed = exchange.stage == Stage::kAsked || exchange.stage == Stage::kFailed ||
                          (exchange.stage == Stage::kFetching && exchange.fetching > 0);
    if (is_timed) next = std::min(next, exchange.deadline);
  }
  for (const auto& [source, survey] : surveys_) {
    if (survey.deadline) next = std::min(next, *survey.deadline);
  }
  for (const auto& [id, repair] : repairs_) {
    if (!repair.is_merging) next = std::min(next, repair.deadline);
  }
  for (const auto& [id, again_at] : damaged_) next = std::min(next, again_at);
  return next;
}

void Reconciler::check_invariants() const {
  std::size_t running = surveys_.size();
  std::size_t surveyed = 0;
  for (const auto& [source, survey] : surveys_) {
    surveyed += survey.exchanges.size();
    CHECK(survey.exchanges.size() <= wire::kComparedRangesMax);
    for (std::size_t place = 0; place < survey.exchanges.size(); ++place) {
      const Exchange& exchange = exchanges_[survey.exchanges[place]];
      CHECK(exchange.stage == (survey.deadline ? Stage::kSurveyed : Stage::kSurveying));
      CHECK(exchange.source == source);
      CHECK(exchange.place == place);
    }
  }
  std::vector<std::size_t> scanning(arcs_.size());
  for (const Exchange& exchange : exchanges_) {
    const bool is_surveyed =
        exchange.stage == Stage::kSurveying || exchange.stage == Stage::kSurveyed;
    surveyed -= is_surveyed ? 1 : 0;
    CHECK(exchange.arc < arcs_.size());
    const bool is_scanning =
        exchange.stage == Stage::kScanning || exchange.stage == Stage::kSurveying;
    scanning[exchange.arc] += is_scanning ? 1 : 0;
    CHECK(exchange.todo.size() <= kTodoMax);
    if (exchange.stage == Stage::kDone || exchange.stage == Stage::kFailed || is_surveyed)
      CHECK(exchange.todo.empty());
    const bool is_running = exchange.stage != Stage::kWaiting && exchange.stage != Stage::kDone &&
                            exchange.stage != Stage::kFailed && !is_surveyed;
    if (is_running) ++running;
  }
  for (const auto& [source, ranges_max] : survey_ranges_max_) {
    CHECK(ranges_max >= 1);
    CHECK(ranges_max < wire::kComparedRangesMax);
  }
  for (std::size_t i = 0; i < arcs_.size(); ++i) CHECK(scanning[i] == arcs_[i].scanning);
  CHECK(surveyed == 0);
  CHECK(running == exchanges_running_);
  CHECK(running <= settings_.exchanges_max);
  CHECK(arcs_served_ == static_cast<std::size_t>(std::ranges::count_if(arcs_, &Arc::is_served)));
  CHECK(repairs_.size() <= settings_.key_repairs_max);
  CHECK(next_deadline() == earliest_deadline());
  for (std::size_t i = 1; i < arcs_.size(); ++i)
    CHECK(arcs_[i - 1].range.last < arcs_[i].range.first);
}

}  // namespace rosebud::objects
