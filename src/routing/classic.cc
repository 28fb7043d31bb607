// Classic timing: the flow of [Gupta04] with the times of the talk [L03].
//
//   detection ──▶ slice leader            report
//   slice leaders, every t_big (25 s)     exchange, each to each
//   slice leader ──▶ unit leaders, 1 s    unit
//   unit leader ──▶ along the unit        in keep-alives, both directions, one hop a second
//
// As published it has no answer to a leader that dies with what it has taken; digests find that
// later (repair.cc). Differs from the published flow: a death needs two reporters.
#include "routing/classic.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "routing/accusers.h"

namespace rosebud::routing {
namespace {

constexpr std::uint32_t kTriesMax = 4;

/// Adds what is newer; one entry for each peer.
void add(std::vector<Told>& log, const Told& event) {
  const auto place = std::ranges::lower_bound(log, event.change.peer, {},
                                              [](const Told& one) { return one.change.peer; });
  if (place != log.end() && place->change.peer == event.change.peer) {
    if (place->change.state < event.change.state) *place = event;
  } else if (log.size() < kLogMax) {
    log.insert(place, event);
  }
}

/// Takes as many from the front as fit into so many bytes.
std::vector<Told> take_fitting(std::vector<Told>& log, std::size_t bytes_max) {
  std::vector<Change> changes;
  std::vector<Moved> moved;
  for (const Told& one : log) {
    if (changes.size() == kEventsMax) break;
    changes.push_back(one.change);
    if (one.moved && one.change.state.is_alive()) moved.push_back({one.change.peer, *one.moved});
  }
  const auto count = static_cast<std::ptrdiff_t>(fitting(changes, moved, bytes_max));
  std::vector<Told> out(log.begin(), log.begin() + count);
  log.erase(log.begin(), log.begin() + count);
  return out;
}

CodedEvents coded_events(const std::vector<Told>& events) {
  std::vector<Change> changes;
  std::vector<Moved> moved;
  for (const Told& one : events) {
    changes.push_back(one.change);
    if (one.moved && one.change.state.is_alive()) moved.push_back({one.change.peer, *one.moved});
  }
  return coded(changes, moved);
}

std::vector<Told> told_events(const std::vector<Change>& changes, const std::vector<Moved>& moved) {
  std::vector<Told> out;
  auto address = moved.begin();
  for (const Change& one : changes) {
    while (address != moved.end() && address->peer < one.peer) ++address;
    const bool has_moved = address != moved.end() && address->peer == one.peer;
    out.push_back({one, has_moved ? std::optional(address->address) : std::nullopt});
  }
  return out;
}

/// The first beat after `now`; beats go on while there is nothing to send.
Instant next_beat(Instant beat, Duration step, Instant now) {
  return beat > now ? beat : beat + step * ((now - beat) / step + 1);
}

}  // namespace

// ---- To leaders ----

/// To whoever leads that slice or unit by this table. Nobody there: it is dropped.
void Peer::relay(Now now, Stage stage, std::uint32_t place, std::vector<Told> events,
                 std::uint32_t tries, Effects& out) {
  while (!events.empty()) {
    const std::vector<Told> part = take_fitting(events, kEventBytesMax);
    const auto leader = stage == Stage::kUnit ? slices().leader(table_, UnitIndex(place))
                                              : slices().leader(table_, SliceIndex(place));
    if (!leader) return;
    if (*leader == self_) {
      for (const Told& one : part) take_relayed(now, self_, stage, one, out);
      continue;
    }
    const Token token = new_token();
    out.send(*leader, Relay{token, stage, coded_events(part)});
    classic_->sent.push_back(
        {token, *leader, stage, place, part, tries, now.time + settings().retry});
  }
}

void Peer::report(Now now, const Told& event, Effects& out) {
  const SliceIndex slice = slices().slice_of(event.change.peer);
  relay(now, Stage::kReport, slice.value, {event}, 0, out);
}

void Peer::take_report(Now now, PeerIndex from, const Told& event, Effects& out) {
  Classic& own = *classic_;
  const Change& change = event.change;
  if (!is_plausible(change)) return reject();
  if (from != change.peer) {
    if (change.state.is_alive()) return reject();
    if (!may_accuse(table_, from, {change.peer, PeerState{change.state.rank - 1}})) return reject();
    std::erase_if(own.reports, [&](const auto& one) { return one.forget_at <= now.time; });
    auto known = std::ranges::find_if(own.reports,
                                      [&](const auto& one) { return one.event.change == change; });
    if (known == own.reports.end()) {
      if (own.reports.size() == kDutyEventsMax) return reject();
      own.reports.push_back({event, {}, now.time + settings().exonerated});
      known = own.reports.end() - 1;
    }
    if (std::ranges::find(known->reporters, from) == known->reporters.end() &&
        known->reporters.size() < kAccusersNeeded) {
      known->reporters.push_back(from);
    }
    if (known->reporters.size() < accusers_needed(table_)) return;
  }
  add(own.for_exchange, event);
  add(own.for_units, event);
  learn_one(now, event, out);
}

void Peer::take_relayed(Now now, PeerIndex from, Stage stage, const Told& event, Effects& out) {
  switch (stage) {
    case Stage::kReport:
      return take_report(now, from, event, out);
    case Stage::kExchange:
      add(classic_->for_units, event);
      return learn_one(now, event, out);
    case Stage::kUnit:
      add(classic_->to_successor.waiting, event);
      add(classic_->to_predecessor.waiting, event);
      return learn_one(now, event, out);
  }
}

void Peer::on(Now now, PeerIndex from, const Relay& m, Effects& out) {
  if (!classic_) return reject();
  out.send(from, RelayTaken{m.token});
  for (const Told& one : told_events(resolve(m.events), m.events.moved)) {
    take_relayed(now, from, m.stage, one, out);
  }
}

void Peer::on(Now, PeerIndex from, const RelayTaken& m, Effects&) {
  if (!classic_) return reject();
  std::erase_if(classic_->sent,
                [&](const auto& one) { return one.token == m.token && one.to == from; });
  for (Classic::Lane* lane : {&classic_->to_successor, &classic_->to_predecessor}) {
    if (lane->token == m.token) lane->sent.clear();
  }
}

Instant Peer::classic_deadline() const {
  Instant next = Instant::max();
  if (!is_taking_part_) return next;
  if (!classic_->for_exchange.empty()) next = std::min(next, classic_->exchange_at);
  if (!classic_->for_units.empty()) next = std::min(next, classic_->units_at);
  for (const auto& one : classic_->sent) next = std::min(next, one.at);
  return next;
}

void Peer::classic_timeout(Now now, Effects& out) {
  if (!classic_) return;
  Classic& own = *classic_;
  std::vector<Classic::Sent> late;
  std::erase_if(own.sent, [&](Classic::Sent& one) {
    if (now.time < one.at) return false;
    late.push_back(std::move(one));
    return true;
  });
  for (Classic::Sent& one : late) {
    if (one.tries + 1 == kTriesMax) continue;
    // The table may name another leader by now.
    relay(now, one.stage, one.place, std::move(one.events), one.tries + 1, out);
  }
  if (now.time >= own.exchange_at && !own.for_exchange.empty()) {
    const std::vector<Told> events = std::exchange(own.for_exchange, {});
    for (std::uint32_t slice = 0; slice < slices().count(); ++slice) {
      if (slice != own_slice().value) relay(now, Stage::kExchange, slice, events, 0, out);
    }
  }
  own.exchange_at = next_beat(own.exchange_at, settings().exchange, now.time);
  if (now.time >= own.units_at && !own.for_units.empty()) {
    const std::vector<Told> events = std::exchange(own.for_units, {});
    const std::uint32_t first = own_slice().value * slices().units_of_slice();
    for (std::uint32_t i = 0; i < slices().units_of_slice(); ++i) {
      relay(now, Stage::kUnit, first + i, events, 0, out);
    }
  }
  own.units_at = next_beat(own.units_at, settings().to_units, now.time);
}

// ---- Along the unit ----

void Peer::add_unit_events(KeepAlive& message, PeerIndex to) {
  Classic::Lane& lane = to == successor_ ? classic_->to_successor : classic_->to_predecessor;
  if (slices().unit_of(to) != slices().unit_of(self_)) {
    lane.waiting.clear();  // here the unit ends
    lane.sent.clear();
    return;
  }
  for (const Told& one : std::exchange(lane.sent, {})) add(lane.waiting, one);
  if (lane.waiting.empty()) return;
  lane.sent = take_fitting(lane.waiting, kEventBytesMax);
  lane.token = new_token();
  message.token = lane.token;
  message.events = coded_events(lane.sent);
}

void Peer::take_unit_events(Now now, PeerIndex from, const KeepAlive& m, Effects& out) {
  out.send(from, RelayTaken{m.token});
  if (slices().unit_of(from) != slices().unit_of(self_)) return reject();
  const std::vector<Change> changes = resolve(m.events);
  // On to the other side, whatever was known here: those beyond may not know it.
  const bool is_from_before = from == predecessor_;
  Classic::Lane& lane = is_from_before ? classic_->to_successor : classic_->to_predecessor;
  for (const Told& one : told_events(changes, m.events.moved)) add(lane.waiting, one);
  learn(now, changes, m.events.moved, out);
}

}  // namespace rosebud::routing
