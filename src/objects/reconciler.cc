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

bool contains(const std::vector<wire::NodeKey>& keys, const wire::NodeKey& key) {
  return std::ranges::find(keys, key) != keys.end();
}

}  // namespace

Reconciler::Reconciler(wire::NodeKey self, Random random, ReconcilerSettings settings)
    : self_(self), random_(random), settings_(settings) {}

// ---- Arcs ----

void Reconciler::begin_epoch(Instant now, const Verifier& next,
                             const std::shared_ptr<const membership::Configuration>& previous,
                             ReconcilerEffects& out) {
  const std::vector<Arc> before = std::move(arcs_);
  arcs_.clear();
  verifier_ = next;
  exchanges_.clear();
  pending_.clear();
  repairs_.clear();
  served_keys_.clear();
  silent_since_.clear();
  exchanges_running_ = 0;
  ++begun_epochs_;
  const membership::Configuration& configuration = next.configuration();
  const auto keys_of = [](const membership::Configuration& in,
                          std::span<const std::uint32_t> group) {
    std::vector<wire::NodeKey> keys;
    for (std::uint32_t node : group) keys.push_back(in.nodes()[node].key);
    return keys;
  };
  const auto add = [&](const wire::KeyRange& range, const std::vector<wire::NodeKey>& group) {
    const bool was_member =
        !previous || contains(keys_of(*previous, previous->group(range.first)), self_);
    Arc arc{.range = range};
    arc.sources = was_member ? group : keys_of(*previous, previous->group(range.first));
    std::erase(arc.sources, self_);
    arc.sources_needed = was_member ? 2 * configuration.f() : 2 * configuration.f() + 1;
    const bool was_served = std::ranges::any_of(before, [&](const Arc& old) {
      return old.is_served && old.range.first <= range.first && range.last <= old.range.last;
    });
    arc.is_served = (previous && was_member && was_served) || arc.sources_needed == 0;
    arcs_.push_back(std::move(arc));
  };
  for (const auto& arc : configuration.ring().arcs()) {
    const auto group = keys_of(configuration, arc.group);
    if (!contains(group, self_)) continue;
    if (!previous) {
      add(arc.range, group);
      continue;
    }
    // Cut where the previous epoch's arcs end, so that each piece has one group of sources.
    for (const auto& old : previous->ring().arcs()) {
      const wire::KeyRange piece{std::max(arc.range.first, old.range.first),
                                 std::min(arc.range.last, old.range.last)};
      if (piece.first <= piece.last) add(piece, group);
    }
  }
  arcs_served_ = static_cast<std::size_t>(std::ranges::count_if(arcs_, &Arc::is_served));
  for (std::size_t arc = 0; arc < arcs_.size(); ++arc) {
    for (const wire::NodeKey& source : arcs_[arc].sources) {
      // Scans and answers of an earlier epoch must not be taken for this one's.
      exchanges_.push_back({.arc = arc, .source = source, .round = begun_epochs_ << 32});
    }
  }
  random_.shuffle(exchanges_);
  next_round_ = now + settings_.interval;
  on_time(now, out);
}

const Reconciler::Arc* Reconciler::arc_of(const crypto::Digest& key) const {
  auto after =
      std::ranges::upper_bound(arcs_, key, {}, [](const Arc& arc) { return arc.range.first; });
  if (after == arcs_.begin()) return nullptr;
  const Arc& arc = *std::prev(after);
  return arc.range.contains(key) ? &arc : nullptr;
}

bool Reconciler::is_served(const wire::ObjectId& id) const {
  if (damaged_.contains(id)) return false;
  const Arc* arc = arc_of(id.placement);
  return arc && (arc->is_served || served_keys_.contains(id));
}

wire::RangeState Reconciler::state_of(const wire::KeyRange& range) const {
  const bool is_first_epoch = verifier_->configuration().number() ==
                              wire::ConfigurationNumber{wire::Generation(0), wire::Epoch(1)};
  const bool is_served = std::ranges::any_of(arcs_, [&](const Arc& arc) {
    return arc.is_served && arc.range.first <= range.first && range.last <= arc.range.last;
  });
  return {.has_entered = true, .is_complete = is_first_epoch || is_served};
}

// ---- Exchanges ----

void Reconciler::start_waiting(Instant now, ReconcilerEffects& out) {
  for (std::size_t i = 0; i < exchanges_.size(); ++i) {
    if (exchanges_running_ >= settings_.exchanges_max) return;
    if (exchanges_[i].stage != Stage::kWaiting) continue;
    ++exchanges_running_;
    exchanges_[i].todo = {arcs_[exchanges_[i].arc].range};
    next_range(now, i, out);
  }
}

void Reconciler::next_range(Instant now, std::size_t index, ReconcilerEffects& out) {
  Exchange& exchange = exchanges_[index];
  if (exchange.todo.empty()) return finish(now, index, out);
  exchange.range = exchange.todo.back();
  exchange.todo.pop_back();
  exchange.stage = Stage::kScanning;
  exchange.digest.emplace(exchange.range);
  exchange.mine.reset();
  exchange.listed.clear();
  ask_scan(index, std::nullopt, out);
}

void Reconciler::ask_scan(std::size_t index, std::optional<wire::ObjectId> after,
                          ReconcilerEffects& out) {
  Exchange& exchange = exchanges_[index];
  ++exchange.round;
  out.scans.push_back({.tag = {.exchange = index, .round = exchange.round},
                       .range = exchange.range,
                       .after = after});
}

void Reconciler::on_scanned(Instant now, const ReconcilerScan& tag, const wire::Scanned* scanned,
                            ReconcilerEffects& out) {
  if (tag.exchange >= exchanges_.size()) return;  // of an earlier epoch or round
  Exchange& exchange = exchanges_[tag.exchange];
  const bool is_scanning = exchange.stage == Stage::kScanning || exchange.stage == Stage::kMatching;
  if (!is_scanning || exchange.round != tag.round) return;
  if (!scanned) return fail(now, tag.exchange);
  for (const wire::IndexEntry& entry : scanned->entries) {
    if (exchange.stage == Stage::kScanning) {
      exchange.digest->add(entry);
    } else if (const auto listed = exchange.listed.find(entry.id);
               listed != exchange.listed.end()) {
      if (listed->second.state == entry.state && !entry.is_damaged) exchange.listed.erase(listed);
    }
  }
  if (!scanned->is_whole && !scanned->entries.empty()) {
    return ask_scan(tag.exchange, scanned->entries.back().id, out);
  }
  if (exchange.stage == Stage::kScanning) {
    scanned_all(now, tag.exchange, out);
  } else {
    matched_all(now, tag.exchange, out);
  }
}

void Reconciler::scanned_all(Instant now, std::size_t index, ReconcilerEffects& out) {
  Exchange& exchange = exchanges_[index];
  exchange.mine = exchange.digest->finish();
  exchange.digest.reset();
  exchange.stage = Stage::kAsked;
  exchange.deadline = now + settings_.request_timeout;
  ++exchange.round;
  send(now, exchange.source,
       wire::CompareRange{.range = exchange.range, .fingerprint = exchange.mine->fingerprint},
       {.exchange = index, .round = exchange.round}, out);
}

void Reconciler::on_range_answer(Instant now, std::size_t index, const wire::Answer& answer,
                                 ReconcilerEffects& out) {
  Exchange& exchange = exchanges_[index];
  if (exchange.stage != Stage::kAsked) return;
  const auto counts = [](const wire::RangeState& state) { return state.has_entered; };
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
    exchange.stage = Stage::kMatching;
    return ask_scan(index, std::nullopt, out);
  }
  fail(now, index);
}

void Reconciler::matched_all(Instant now, std::size_t index, ReconcilerEffects& out) {
  Exchange& exchange = exchanges_[index];
  exchange.stage = Stage::kFetching;
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
         exchange.fetching + exchange.merging.size() < settings_.fetches_max) {
    const wire::ObjectId id = exchange.to_fetch.back();
    exchange.to_fetch.pop_back();
    ++exchange.fetching;
    send(now, exchange.source, wire::FetchObject{id},
         {.exchange = index, .round = exchange.round, .id = id}, out);
  }
  exchange.deadline = now + settings_.request_timeout;
  if (exchange.fetching == 0 && exchange.merging.empty()) next_range(now, index, out);
}

void Reconciler::on_fetched(Instant now, const Pending& pending, wire::Answer& answer,
                            ReconcilerEffects& out) {
  const std::size_t index = *pending.exchange;
  Exchange& exchange = exchanges_[index];
  if (exchange.stage != Stage::kFetching || exchange.round != pending.round) return;
  --exchange.fetching;
  auto* found = std::get_if<wire::ObjectFound>(&answer.body);
  if (found && is_valid(pending.id, answer)) {
    exchange.merging.insert(pending.id);
    ReconcilerEffects::Merge merge{.id = pending.id};
    merge.found.push_back(std::move(found->object));
    out.merges.push_back(std::move(merge));
  } else {
    // Listed, but not shown: nothing waits for it here. A client that asks for it makes it be asked
    // for singly.
    out.reports.push_back(
        {pending.to, found ? Observation::kInvalidAnswer : Observation::kEmptyListing});
  }
  fetch_more(now, index, out);
}

void Reconciler::fail(Instant now, std::size_t index) {
  Exchange& exchange = exchanges_[index];
  exchange.stage = Stage::kFailed;
  ++exchange.round;
  exchange.todo.clear();
  exchange.to_fetch.clear();
  exchange.deadline = now + settings_.retry_delay;
  --exchanges_running_;
}

/// One time-out is weather; one report for each time of silence.
void Reconciler::note_silence(Instant now, const wire::NodeKey& source, ReconcilerEffects& out) {
  const auto [since, is_new] = silent_since_.emplace(source, now);
  if (is_new || now - since->second < settings_.silence_reported) return;
  out.reports.push_back({source, Observation::kSlow});
  since->second = now;
}

void Reconciler::finish(Instant now, std::size_t index, ReconcilerEffects& out) {
  Exchange& exchange = exchanges_[index];
  exchange.stage = Stage::kDone;
  --exchanges_running_;
  Arc& arc = arcs_[exchange.arc];
  arc.done.insert(exchange.source);
  if (!arc.is_served && arc.done.size() >= arc.sources_needed) {
    arc.is_served = true;
    ++arcs_served_;
    std::erase_if(served_keys_,
                  [&](const wire::ObjectId& id) { return arc.range.contains(id.placement); });
  }
  start_waiting(now, out);
}

// ---- Single objects ----

void Reconciler::repair(Instant now, const wire::ObjectId& id, ReconcilerEffects& out) {
  const Arc* arc = arc_of(id.placement);
  if (!arc || repairs_.contains(id) || repairs_.size() >= settings_.key_repairs_max) return;
  KeyRepair& repair = repairs_[id];
  repair.arc = static_cast<std::size_t>(arc - arcs_.data());
  repair.rounds_left = kRepairRounds;
  send_repair(now, id, repair, out);
}

void Reconciler::mark_damaged(Instant now, const wire::ObjectId& id, ReconcilerEffects& out) {
  damaged_.insert(id);
  repair(now, id, out);
}

void Reconciler::send_repair(Instant now, const wire::ObjectId& id, KeyRepair& repair,
                             ReconcilerEffects& out) {
  --repair.rounds_left;
  repair.deadline = now + settings_.request_timeout;
  for (const wire::NodeKey& source : arcs_[repair.arc].sources) {
    if (!repair.answered.contains(source))
      send(now, source, wire::FetchObject{id}, {.id = id}, out);
  }
}

void Reconciler::on_repair_answer(Instant now, const Pending& pending, wire::Answer& answer,
                                  ReconcilerEffects& out) {
  (void)now;
  const auto at = repairs_.find(pending.id);
  if (at == repairs_.end() || at->second.is_merging) return;
  KeyRepair& repair = at->second;
  if (auto* found = std::get_if<wire::ObjectFound>(&answer.body)) {
    if (!is_valid(pending.id, answer)) {
      out.reports.push_back({pending.to, Observation::kInvalidAnswer});
      return;
    }
    repair.found.push_back(std::move(found->object));
  } else if (!std::holds_alternative<wire::Absent>(answer.body)) {
    return;  // busy or refused: asked again at the deadline
  }
  repair.answered.insert(pending.to);
  const Arc& arc = arcs_[repair.arc];
  if (repair.answered.size() < arc.sources_needed) return;
  repair.is_merging = true;
  out.merges.push_back({.id = pending.id, .found = std::move(repair.found), .is_key_done = true});
}

void Reconciler::on_merged(Instant now, const wire::ObjectId& id, bool is_key_done, bool is_whole,
                           ReconcilerEffects& out) {
  if (is_whole) damaged_.erase(id);
  if (is_key_done) {
    repairs_.erase(id);
    const Arc* arc = arc_of(id.placement);
    if (is_whole && arc && !arc->is_served) {
      if (served_keys_.size() >= kServedKeysMax) served_keys_.clear();
      served_keys_.insert(id);
    }
    return;
  }
  for (std::size_t i = 0; i < exchanges_.size(); ++i) {
    if (exchanges_[i].merging.erase(id) > 0 && exchanges_[i].stage == Stage::kFetching) {
      fetch_more(now, i, out);
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
  const auto at = pending_.find(answer.context.nonce);
  if (at == pending_.end() || at->second.to != from) return;
  const Pending pending = at->second;
  pending_.erase(at);
  silent_since_.erase(from);
  // Answers of another epoch count for nothing; the question is asked again after its time-out.
  if (answer.context.configuration != verifier_->configuration().number()) return;
  if (!pending.exchange) return on_repair_answer(now, pending, answer, out);
  Exchange& exchange = exchanges_[*pending.exchange];
  if (exchange.round != pending.round) return;
  if (exchange.stage == Stage::kAsked) return on_range_answer(now, *pending.exchange, answer, out);
  on_fetched(now, pending, answer, out);
}

void Reconciler::on_time(Instant now, ReconcilerEffects& out) {
  std::erase_if(pending_, [&](const auto& one) { return one.second.deadline <= now; });
  for (std::size_t i = 0; i < exchanges_.size(); ++i) {
    Exchange& exchange = exchanges_[i];
    if (exchange.deadline > now) continue;
    if (exchange.stage == Stage::kAsked ||
        (exchange.stage == Stage::kFetching && exchange.fetching > 0)) {
      note_silence(now, exchange.source, out);
      fail(now, i);
    } else if (exchange.stage == Stage::kFailed) {
      exchange.stage = Stage::kWaiting;
    }
  }
  for (auto at = repairs_.begin(); at != repairs_.end();) {
    auto& [id, repair] = *at;
    if (repair.is_merging || repair.deadline > now) {
      ++at;
    } else if (repair.rounds_left == 0) {
      at = repairs_.erase(at);
    } else {
      send_repair(now, id, repair, out);
      ++at;
    }
  }
  for (const wire::ObjectId& id : damaged_) repair(now, id, out);
  if (now >= next_round_) {
    next_round_ = now + settings_.interval;
    // Those that are not done yet go on: a dead source must not keep the others from being compared
    // again.
    for (Exchange& exchange : exchanges_) {
      if (exchange.stage == Stage::kDone) exchange.stage = Stage::kWaiting;
    }
  }
  start_waiting(now, out);
}

Instant Reconciler::next_deadline() const {
  Instant next = next_round_;
  for (const Exchange& exchange : exchanges_) {
    const bool is_timed = exchange.stage == Stage::kAsked || exchange.stage == Stage::kFailed ||
                          (exchange.stage == Stage::kFetching && exchange.fetching > 0);
    if (is_timed) next = std::min(next, exchange.deadline);
  }
  for (const auto& [id, repair] : repairs_) {
    if (!repair.is_merging) next = std::min(next, repair.deadline);
  }
  return next;
}

void Reconciler::check_invariants() const {
  std::size_t running = 0;
  for (const Exchange& exchange : exchanges_) {
    CHECK(exchange.arc < arcs_.size());
    CHECK(exchange.todo.size() <= kTodoMax);
    const bool is_running = exchange.stage != Stage::kWaiting && exchange.stage != Stage::kDone &&
                            exchange.stage != Stage::kFailed;
    if (is_running) ++running;
  }
  CHECK(running == exchanges_running_);
  CHECK(running <= settings_.exchanges_max);
  CHECK(arcs_served_ == static_cast<std::size_t>(std::ranges::count_if(arcs_, &Arc::is_served)));
  CHECK(repairs_.size() <= settings_.key_repairs_max);
  for (std::size_t i = 1; i < arcs_.size(); ++i)
    CHECK(arcs_[i - 1].range.last < arcs_[i].range.first);
}

}  // namespace rosebud::objects
