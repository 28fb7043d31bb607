// Eager spreading (docs/adr, docs/protocol/routing.md).
//
//   whoever saw it ──▶ in each slice the leader drawn for this period        announce
//                      gathers to the end of the period
//                ◀──   "taken", and when it is on its way "spread"           announced
//   leader ──▶ its slice, cut into `fan_out` parts around itself; one peer
//              of each part takes that part on in the same way               batch
//
// The leader of a period, and who takes on a part, are drawn anew each time from all that are
// alive: no peer carries much more than the mean. What a dying leader had taken is announced to the
// next one by those who wait for its "spread".
#include <algorithm>
#include <set>

#include "base/check.h"
#include "routing/accusers.h"
#include "routing/peer.h"
#include "routing/planted_bugs.h"

namespace rosebud::routing {

namespace {

/// In each slice, each a second to a period after the one before. After a mass failure it takes
/// some periods until those who announce and those who lead agree on who may accuse.
constexpr std::uint8_t kTriesMax = 20;

}  // namespace

// ---- Announcing ----

void Peer::announce(Now now, const Told& event, Period period, Effects& out) {
  // What was said of the same peer before is old.
  std::erase_if(announcements_, [&](const Announcement& one) {
    return one.event.change.peer == event.change.peer;
  });
  if (announcements_.size() == kAnnouncementsMax) announcements_.erase(announcements_.begin());
  // Whoever asked this witness may have named any.
  if (periods_off(now, period) > kPeriodsOff) period = rules_->period_at(now.wall);
  Announcement one{.event = event, .token = new_token(), .targets = {}};
  for (std::uint32_t slice = 0; slice < slices().count(); ++slice) {
    if (slices().peers(SliceIndex(slice)).size() == 0) continue;
    one.targets.push_back({.slice = SliceIndex(slice),
                           .to = self_,
                           .period = period,
                           .attempt = 0,
                           .tries = 0,
                           .is_taken = false,
                           .at = now.time});
  }
  for (auto& target : one.targets) aim(now, one, target, out);
  std::erase_if(one.targets, [](const auto& target) { return target.at == Instant::max(); });
  if (one.targets.empty()) return;
  has_errands_ = true;
  announcements_.push_back(std::move(one));
}

/// Gives it to the first drawn leader from target.attempt on that is alive. There is nothing to
/// wait for: at = max.
void Peer::aim(Now now, const Announcement& of, Announcement::Target& target, Effects& out) {
  target.is_taken = false;
  for (; target.attempt < kAttemptsMax; ++target.attempt) {
    target.to = slices().drawn(target.slice, target.period, target.attempt);
    if (target.to == self_) {
      if (!lead_own(now, of, target)) continue;
    } else if (table_.is_alive(target.to)) {
      out.send(target.to, Announce{.token = of.token,
                                   .period = target.period,
                                   .attempt = target.attempt,
                                   .event = of.event});
      target.at = now.time + settings().retry;
    } else {
      continue;
    }
    ++target.tries;
    return;
  }
  // Nobody of those drawn is alive, or none answers: the next period draws others.
  ++target.tries;
  target.at = now.time + settings().period;
}

/// It is the leader itself, and waits for its own word as for another's: alone with what it has
/// seen it spreads nothing, and has to tell the next leader. False: it does not lead.
bool Peer::lead_own(Now now, const Announcement& of, Announcement::Target& target) {
  if (!is_taking_part_ || !may_announce(self_, of.event.change)) return false;
  Duty* const own = duty(now, target.period, target.attempt);
  if (!own) return false;
  if (std::ranges::binary_search(own->spread, of.event.change)) {
    target.at = Instant::max();
    return true;
  }
  if (!take_event(now, *own, {self_, of.token}, of.event)) return false;
  await_spread(now, target);
  return true;
}

void Peer::await_spread(Now now, Announcement::Target& target) const {
  target.is_taken = true;
  const Duration end = settings().period * static_cast<Duration::rep>(target.period.value + 1);
  const Duration left = std::clamp(end - now.wall, Duration(0), 2 * settings().period);
  target.at = now.time + left + settings().grace + settings().spread_wait;
}

void Peer::announcement_timeout(Now now, Effects& out) {
  for (Announcement& one : announcements_) {
    bool has_left = false;
    for (auto& target : one.targets) {
      if (now.time < target.at) continue;
      const Period current = rules_->period_at(now.wall);
      if (target.tries >= kTriesMax) {
        target.at = Instant::max();
      } else if (target.is_taken || target.attempt == kAttemptsMax ||
                 target.period.value + 1 < current.value) {
        // The leader died with it, nobody leads, or its period is long over.
        target.period = current == target.period ? current.next() : current;
        target.attempt = 0;
        aim(now, one, target, out);
      } else {
        ++target.attempt;
        aim(now, one, target, out);
      }
      has_left |= target.at == Instant::max();
    }
    if (has_left) {
      std::erase_if(one.targets, [](const auto& target) { return target.at == Instant::max(); });
    }
  }
  std::erase_if(announcements_, [](const Announcement& one) { return one.targets.empty(); });
}

void Peer::on(Now now, PeerIndex from, const Announced& m, Effects&) {
  for (Announcement& one : announcements_) {
    if (one.token != m.token) continue;
    std::erase_if(one.targets, [&](Announcement::Target& target) {
      if (target.to != from) return false;
      if (m.is_spread || is_planted(Bug::kLogLostWithLeader)) return true;
      await_spread(now, target);
      return false;
    });
  }
  std::erase_if(announcements_, [](const Announcement& one) { return one.targets.empty(); });
}

// ---- Leading a slice for a period ----

/// Of deaths that one has seen, and of oneself.
bool Peer::may_announce(PeerIndex announcer, const Change& change) const {
  if (!is_plausible(change)) return false;
  if (announcer == change.peer) return true;
  return !change.state.is_alive() &&
         may_accuse(table_, announcer, {change.peer, PeerState{change.state.rank - 1}});
}

std::uint64_t Peer::periods_off(Now now, Period period) const {
  const std::uint64_t current = rules_->period_at(now.wall).value;
  return std::max(current, period.value) - std::min(current, period.value);
}

Peer::Duty* Peer::duty(Now now, Period period, std::uint32_t attempt) {
  for (Duty& one : duties_) {
    if (one.period == period && one.attempt == attempt) return &one;
  }
  if (duties_.size() == kDutiesMax) {
    if (is_planted(Bug::kRefusedTakesPlace)) return nullptr;
    // Those who gave it something hear nothing, and ask the leader of the next period.
    const auto distance = [&](const Duty& one) {
      return std::pair(periods_off(now, one.period), one.attempt);
    };
    const auto farthest = std::ranges::max_element(duties_, {}, distance);
    if (std::pair(periods_off(now, period), attempt) >= distance(*farthest)) return nullptr;
    duties_.erase(farthest);
  }
  has_errands_ = true;
  duties_.push_back({.period = period,
                     .attempt = attempt,
                     .next_part = 0,
                     .taken = {},
                     .spread = {},
                     .close_at = std::nullopt,
                     .forget_at = now.time + 4 * settings().period});
  return &duties_.back();
}

/// False: no more fit. Requires: may_announce().
bool Peer::take_event(Now now, Duty& duty, Duty::Announcer announcer, const Told& event) {
  if (duty.taken.size() >= kDutyEventsMax && !duty.taken.contains(event.change)) return false;
  Duty::Taken& taken = duty.taken[event.change];
  if (event.moved) taken.moved = event.moved;
  const auto known = std::ranges::find(taken.announcers, announcer.peer, &Duty::Announcer::peer);
  if (known != taken.announcers.end() && !is_planted(Bug::kAccuserCountedTwice)) {
    known->token = announcer.token;
  } else if (taken.announcers.size() < kAnnouncersMax) {
    taken.announcers.push_back(announcer);
  }
  if (!duty.close_at) {
    const Duration end = settings().period * static_cast<Duration::rep>(duty.period.value + 1);
    // By a clock that is wrong it still waits no longer than a period.
    const Duration left = std::clamp(end - now.wall, Duration(0), settings().period);
    duty.close_at = now.time + left + settings().grace;
    duty.forget_at = *duty.close_at + 4 * settings().period;
  }
  return true;
}

void Peer::on(Now now, PeerIndex from, const Announce& m, Effects& out) {
  // What is refused takes no place.
  if (is_planted(Bug::kRefusedTakesPlace)) duty(now, m.period, m.attempt);
  if (!may_announce(from, m.event.change) || periods_off(now, m.period) > kPeriodsOff ||
      slices().drawn(own_slice(), m.period, m.attempt) != self_) {
    return reject();
  }
  Duty* const own = duty(now, m.period, m.attempt);
  if (!own) return reject();
  if (std::ranges::binary_search(own->spread, m.event.change)) {
    // Enough others have said it in time.
    return out.send(from, Announced{m.token, true});
  }
  if (!take_event(now, *own, {from, m.token}, m.event)) return reject();
  out.send(from, Announced{m.token, false});
}

void Peer::duty_timeout(Now now, Effects& out) {
  // By place: closing one may make this peer lead another.
  for (std::size_t i = 0; i < duties_.size(); ++i) {
    if (!duties_[i].close_at || now.time < *duties_[i].close_at) continue;
    Duty closing = std::move(duties_[i]);
    duties_.erase(duties_.begin() + static_cast<std::ptrdiff_t>(i));
    close(now, closing, out);
    if (duties_.size() < kDutiesMax) {
      duties_.insert(duties_.begin() + static_cast<std::ptrdiff_t>(std::min(i, duties_.size())),
                     std::move(closing));
    }
  }
  std::erase_if(duties_,
                [&](const Duty& one) { return !one.close_at && one.forget_at <= now.time; });
}

void Peer::close(Now now, Duty& duty, Effects& out) {
  duty.close_at.reset();
  // What too few have said is forgotten: they hear nothing, and say it to the next leader.
  const std::size_t needed = accusers_needed(table_);
  std::erase_if(duty.taken, [&](const auto& entry) {
    const auto& [change, one] = entry;
    return !one.is_settled && one.announcers.size() < needed &&
           std::ranges::find(one.announcers, change.peer, &Duty::Announcer::peer) ==
               one.announcers.end();
  });
  std::vector<Change> changes;
  std::vector<Moved> moved;
  for (const auto& [change, one] : duty.taken) {
    // In order, so the newest of each peer is the last of it.
    if (!changes.empty() && changes.back().peer == change.peer) {
      changes.pop_back();
      if (!moved.empty() && moved.back().peer == change.peer) moved.pop_back();
    }
    changes.push_back(change);
    if (one.moved && change.state.is_alive()) moved.push_back({change.peer, *one.moved});
  }
  learn(now, changes, moved, out);
  const IndexRange slice = slices().peers(own_slice());
  std::span<const Change> left(changes);
  std::span<const Moved> left_moved(moved);
  std::uint32_t parts = 0;
  while (!left.empty() && parts < kPartsAtOnce && duty.next_part < kPartsMax) {
    const std::size_t count = fitting(left, left_moved, kEventBytesMax);
    const PeerIndex end = left[count - 1].peer.next();
    const auto moved_end = std::ranges::lower_bound(left_moved, end, {}, &Moved::peer);
    const auto moved_count = static_cast<std::size_t>(moved_end - left_moved.begin());
    Bytes block;
    BitWriter writer(block);
    encode(coded(left.first(count), left_moved.first(moved_count)), writer);
    left = left.subspan(count);
    left_moved = left_moved.subspan(moved_count);
    const BatchId id = BatchId::of(duty.period, duty.attempt, duty.next_part++);
    take_batch(now, id, slice, block, out);
    ++parts;
  }
  const auto sent = std::span(changes).first(changes.size() - left.size());
  duty.spread.insert(duty.spread.end(), sent.begin(), sent.end());
  std::ranges::sort(duty.spread);
  // What did not fit follows one period later; its announcers wait.
  const std::set<Change> later(left.begin(), left.end());
  std::erase_if(duty.taken, [&](const auto& entry) {
    const auto& [change, one] = entry;
    if (later.contains(change)) return false;
    for (const Duty::Announcer& announcer : one.announcers) {
      const Announced spread{announcer.token, true};
      if (announcer.peer == self_) {
        on(now, self_, spread, out);
      } else {
        out.send(announcer.peer, spread);
      }
    }
    return true;
  });
  if (later.empty()) return;
  for (auto& [change, one] : duty.taken) one.is_settled = true;
  duty.close_at = now.time + settings().period;
  duty.forget_at = *duty.close_at + 4 * settings().period;
}

// ---- Batches in the slice ----

bool Peer::knows(BatchId id) const {
  if (std::ranges::find(latest_.list(), id) != latest_.list().end()) return true;
  // The newest first: it is nearly always one of them.
  for (std::size_t i = 1; i <= known_.size(); ++i) {
    if (known_[(next_known_ + known_.size() - i) % known_.size()] == id) return true;
  }
  return false;
}

const Peer::KeptBatch* Peer::kept(BatchId id) const {
  const auto found = std::ranges::find(kept_, id, &KeptBatch::id);
  return found == kept_.end() ? nullptr : &*found;
}

/// A batch that is new here: kept for neighbours, passed on, copied to those who are joining.
void Peer::take_batch(Now now, BatchId id, IndexRange range, ByteView coded, Effects& out) {
  last_batch_ = now.time;
  latest_.ids[1] = latest_.ids[0];
  latest_.ids[0] = id;
  latest_.count = std::min(latest_.count + 1, kBatchesTold);
  if (known_.size() < kBatchesKnown) {
    known_.push_back(id);
    next_known_ = 0;
  } else {
    known_[next_known_] = id;
    next_known_ = (next_known_ + 1) % kBatchesKnown;
  }
  if (kept_.size() < kBatchesKept) {
    kept_.push_back({id, to_bytes(coded), range.size() > 0});
    next_kept_ = 0;
  } else {
    kept_[next_kept_].id = id;
    kept_[next_kept_].coded.assign(coded.begin(), coded.end());
    kept_[next_kept_].is_passed_on = range.size() > 0;
    next_kept_ = (next_kept_ + 1) % kBatchesKept;
  }
  pass_on(now, id, range, coded, out);
  for (const Sponsored& one : sponsored_) {
    if (one.until > now.time) out.send_batch(one.peer, id, {}, coded);
  }
}

void Peer::pass_on(Now now, BatchId id, IndexRange range, ByteView coded, Effects& out) {
  // Around itself, so that nobody below sends it back.
  const IndexRange before{range.first, std::clamp(self_.value, range.first, range.end)};
  const IndexRange behind{std::clamp(self_.value + 1, range.first, range.end), range.end};
  const std::uint32_t all = before.size() + behind.size();
  if (all == 0) return;
  const std::uint32_t parts = std::min(settings().fan_out, all);
  std::uint32_t parts_before = (parts * before.size() + all / 2) / all;
  if (before.size() > 0) parts_before = std::max(parts_before, 1U);
  if (behind.size() > 0) parts_before = std::min(parts_before, std::max(parts, 2U) - 1);
  const std::uint32_t parts_behind =
      behind.size() == 0 ? 0 : std::max(parts - std::min(parts, parts_before), 1U);
  const auto cut = [&](IndexRange whole, std::uint32_t count) {
    count = std::min(count, whole.size());
    for (std::uint32_t i = 0; i < count; ++i) {
      const IndexRange part{whole.first + whole.size() * i / count,
                            whole.first + whole.size() * (i + 1) / count};
      pass_to(now, id, part, 0, coded, out);
      if (is_planted(Bug::kForwardedTwice)) pass_to(now, id, part, 1, coded, out);
    }
  };
  if (before.size() > 0) cut(before, parts_before);
  cut(behind, parts_behind);
}

bool Peer::is_first_of_slice(PeerIndex peer) const {
  const auto before = table_.previous_alive(peer);
  return before && slices().slice_of(*before) != slices().slice_of(peer);
}

void Peer::pass_to(Now now, BatchId id, IndexRange range, std::uint32_t tries, ByteView coded,
                   Effects& out) {
  const std::uint64_t lot = mix(mix(id.value, own_slice().value), range.first) + tries;
  const auto child = draw_alive(table_, range, lot);
  if (!child) return;
  bool is_answered = range.size() > 2 * kAttemptsMax;
  for (std::uint32_t i = range.first; i < range.end && !is_answered; ++i) {
    is_answered = PeerIndex(i) != *child && table_.is_alive(PeerIndex(i));
  }
  // Whom nobody else depends on need not answer: who misses it asks its neighbour. But the first of
  // the slice has none that could be asked.
  is_answered = is_answered || is_first_of_slice(*child);
  out.send_batch(*child, id, is_answered ? range : IndexRange{}, coded);
  if (!is_answered) return;
  has_errands_ = true;
  children_.push_back({id, range, tries, now.time + settings().retry});
}

void Peer::child_timeout(Now now, Effects& out) {
  constexpr std::uint32_t kChildrenMax = 3;
  std::vector<Child> late;
  std::erase_if(children_, [&](const Child& one) {
    if (now.time < one.at) return false;
    const bool is_last = one.tries + 1 == kChildrenMax || is_planted(Bug::kPartLeftToSilentPeer);
    if (!is_last) late.push_back(one);
    return true;
  });
  for (const Child& one : late) {
    const KeptBatch* const batch = kept(one.id);
    if (!batch) continue;
    const Bytes block = batch->coded;
    pass_to(now, one.id, one.range, one.tries + 1, block, out);
  }
}

void Peer::on(Now now, PeerIndex from, const Batch& m, Effects& out) {
  const IndexRange slice = slices().peers(own_slice());
  const bool is_of_slice = slices().slice_of(from) == own_slice();
  const bool is_whole = m.range.size() > 0;
  if (is_whole && (m.range.first < slice.first || m.range.end > slice.end || !is_of_slice)) {
    return reject();
  }
  if (is_whole) out.send(from, BatchTaken{m.id});
  // Each slice has batches of the same names. What a sponsor in another one copied is new whatever
  // it is called, and not for the neighbours here.
  if (is_of_slice && knows(m.id)) {
    // Suppose a sponsor's copy, or what was pulled, came first: whoever sends it now relies on this
    // peer for the part of the slice all the same.
    const auto before = std::ranges::find(kept_, m.id, &KeptBatch::id);
    if (!is_whole || before == kept_.end() || before->is_passed_on) return;
    before->is_passed_on = true;
    return pass_on(now, m.id, m.range, m.coded, out);
  }
  learn(now, resolve(m.events), m.events.moved, out);
  if (!is_of_slice) return;
  std::erase_if(missed_, [&](const Missed& one) { return one.id == m.id; });
  take_batch(now, m.id, m.range, m.coded, out);
}

void Peer::on(Now, PeerIndex from, const BatchTaken& m, Effects&) {
  std::erase_if(children_,
                [&](const Child& one) { return one.id == m.id && one.range.contains(from); });
}

// ---- What was missed ----

void Peer::note_batches(Now now, PeerIndex from, const LatestBatches& batches, Effects& out) {
  std::vector<Missed> missed;
  for (const BatchId id : batches.list()) {
    if (knows(id) || is_planted(Bug::kMissedBatchNotPulled)) continue;
    if (slices().slice_of(from) != own_slice()) return;
    const auto before = std::ranges::find(missed_, id, &Missed::id);
    if (before == missed_.end()) {
      missed.push_back({id, now.time});
      continue;
    }
    missed.push_back(*before);
    // Named twice: it is not just late.
    out.send(from, Pull{id});
  }
  missed_ = std::move(missed);
}

void Peer::on(Now, PeerIndex from, const Pull& m, Effects& out) {
  if (const KeptBatch* const batch = kept(m.id)) out.send_batch(from, m.id, {}, batch->coded);
}

}  // namespace rosebud::routing
