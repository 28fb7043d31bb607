// Keep-alives, silence, and how a death is found (design 11).
//
//   keep-alive  each second to the successor
//   silence     the predecessor is not heard for Settings::silence
//        │      ping it; ask two witnesses, who ping it too
//        ▼
//   suspicion   it answers anybody ──▶ left alone for a while
//        │      two pings in vain, and a witness says the same
//        ▼
//   death       known here at once; the one behind it and each witness announce it
//
// What one peer says of another's death is not believed: it is pinged first. A peer is believed
// about itself.
#include <algorithm>
#include <utility>

#include "routing/accusers.h"
#include "routing/classic.h"
#include "routing/peer.h"
#include "routing/planted_bugs.h"

namespace rosebud::routing {

// ---- Keep-alives ----

void Peer::keep_alive_timeout(Now now, Effects& out) {
  if (now.time < keep_alive_at_) return;
  // After a jump of time it does not catch up.
  const auto missed = (now.time - keep_alive_at_) / settings().keep_alive;
  keep_alive_at_ += settings().keep_alive * (missed + 1);
  if (!sponsored_.empty()) {
    std::erase_if(sponsored_, [&](const Sponsored& one) { return one.until <= now.time; });
  }
  ++beats_;
  greet_somebody_dead(out);
  if (!successor_ || *successor_ == self_) return;
  KeepAlive message{.low_bits = own_.rank & kLowMask,
                    .compared = std::nullopt,
                    .batches = latest_,
                    .token = {},
                    .events = {}};
  const std::uint32_t regions = region_count(bucket_count(table_.size()));
  std::optional<std::uint32_t> region = std::exchange(repaired_region_, std::nullopt);
  if (!region && beats_ % settings().beats_of_digest == 0) {
    region = beats_ / settings().beats_of_digest % regions;
  }
  if (region) message.compared = {*region, table_.region_digest(*region) & kDigestMask};
  if (!is_classic()) return out.send(*successor_, message);
  add_unit_events(message, *successor_);
  out.send(*successor_, message);
  if (!predecessor_ || *predecessor_ == *successor_) return;
  message.events = {};
  add_unit_events(message, *predecessor_);
  out.send(*predecessor_, message);
}

/// After a partition both sides have the other one for dead, and nobody would ever speak to it. So
/// each peer says now and then to one that is dead by its table that it lives itself, and when one
/// is found to live, to the next one soon. Of a few dead ones among many a peer mostly finds none:
/// others do.
void Peer::greet_somebody_dead(Effects& out) {
  const bool is_time = (beats_ + mix(lot_, 2)) % kGreetingBeats == 0;
  if (!std::exchange(does_greet_soon_, false) && !is_time) return;
  const std::uint32_t size = table_.size();
  const auto first = static_cast<std::uint32_t>(mix(lot_ + beats_, 3) % size);
  for (std::uint32_t i = 0; i < std::min(size, kGreetingLooks); ++i) {
    const PeerIndex peer((first + i) % size);
    const PeerState state = table_.state(peer);
    if (peer == self_ || state.is_alive() || state == PeerState::unseen()) continue;
    return greet(peer, out);
  }
}

void Peer::greet(PeerIndex peer, Effects& out) const {
  out.send(peer, KeepAlive{.low_bits = own_.rank & kLowMask,
                           .compared = std::nullopt,
                           .batches = {},
                           .token = {},
                           .events = {}});
}

void Peer::note_alive(Now now, PeerIndex from, std::uint32_t low_bits, Effects& out) {
  const PeerState known = table_.state(from);
  const PeerState said = nearest(known, low_bits);
  if (!said.is_alive()) return reject();
  if (said > known) {
    // Its announcement has not come yet.
    learn_one(now, {{from, said}, std::nullopt}, out);
  } else if (said < known) {
    // It does not know what is said of it. It will come back in a newer life.
    out.send(from, Tell{{told(from)}});
  }
  if (predecessor_ == from) {
    heard_ = now.time;
    predecessor_bits_ = table_.state(from).rank & kLowMask;
    if (suspicion_ && suspicion_->accused.peer == from) suspicion_.reset();
  }
}

void Peer::on(Now now, PeerIndex from, const KeepAlive& m, Effects& out) {
  if (predecessor_ == from && predecessor_bits_ == m.low_bits && !suspicion_) {
    heard_ = now.time;  // as nearly always
  } else {
    note_alive(now, from, m.low_bits, out);
  }
  if (classic_ && !m.events.events.empty()) take_unit_events(now, from, m, out);
  if (predecessor_ == from) {
    note_batches(now, from, m.batches, out);
    compare(now, from, m, out);
  } else if (successor_ != from && predecessor_ && *predecessor_ != self_ &&
             table_.is_alive(from)) {
    // It does not know of the one between.
    out.send(from, Tell{{told(*predecessor_)}});
  }
}

void Peer::on(Now now, PeerIndex from, const Tell& m, Effects& out) {
  const PeerState own_before = own_;
  for (const Told& one : m.changes) {
    if (!is_plausible(one.change)) {
      reject();
    } else if (one.change.peer == self_) {
      on_own_state(now, one.change.state, out);
    } else if (one.change.state.is_alive() || one.change.peer == from ||
               is_planted(Bug::kHearsayBelieved)) {
      learn_one(now, one, out);
    }
  }
  // It hears of the new life at once: the announcement may not reach it.
  if (own_ != own_before) greet(from, out);
  if (!table_.is_alive(from) && table_.state(from) != PeerState::unseen()) {
    out.send(from, Tell{{told(from)}});
    does_greet_soon_ = true;
  }
}

// ---- Is it dead? ----

void Peer::on(Now, PeerIndex from, const Ping& m, Effects& out) {
  out.send(from, Pong{m.token, own_.rank & kLowMask});
}

void Peer::on(Now now, PeerIndex from, const Pong& m, Effects& out) {
  note_alive(now, from, m.low_bits, out);
  if (predecessor_ == from) exonerate(now);
  std::erase_if(probes_, [&](const Probe& one) {
    if (one.accused.peer != from) return false;
    if (one.accuser) {
      out.send(*one.accuser, Verdict{{from, table_.state(from)}});
    } else if (table_.state(from) < one.accused.state.died()) {
      // Somebody takes it for dead. Only a new life of its own puts that right.
      out.send(from, Tell{{{{from, one.accused.state.died()}, std::nullopt}}});
    }
    return true;
  });
}

/// It lives, though its keep-alives do not come.
void Peer::exonerate(Now now) {
  suspicion_.reset();
  left_alone_ = now.time + settings().exonerated;
}

Instant Peer::silence_deadline() const {
  if (!is_taking_part_ || suspicion_ || !predecessor_ || *predecessor_ == self_) {
    return Instant::max();
  }
  return std::max(heard_ + settings().silence, left_alone_);
}

void Peer::silence_timeout(Now now, Effects& out) {
  if (now.time < silence_deadline()) return;
  suspicion_ = Suspicion{.accused = {*predecessor_, table_.state(*predecessor_)},
                         .period = {},
                         .pings = 0,
                         .rounds = 0,
                         .is_confirmed = false,
                         .at = now.time};
  ask_witnesses(now, out);
  suspicion_timeout(now, out);
}

void Peer::ask_witnesses(Now now, Effects& out) {
  // When the witnesses have their verdict, this period goes on.
  suspicion_->period = rules_->period_at(now.wall + 4 * settings().probe);
  const std::uint32_t skipped = std::min(suspicion_->rounds, kWitnessSlack - 1);
  ++suspicion_->rounds;
  std::optional<PeerIndex> first;
  for (std::uint32_t number = 0; number < kWitnesses; ++number) {
    const auto one = witness(table_, suspicion_->accused, number, skipped);
    if (!one || *one == self_ || one == first) continue;
    first = one;
    out.send(*one, Suspect{suspicion_->accused, suspicion_->period});
  }
}

void Peer::suspicion_timeout(Now now, Effects& out) {
  if (!suspicion_ || now.time < suspicion_->at) return;
  Suspicion& one = *suspicion_;
  one.at = now.time + settings().probe;
  if (one.pings < 2) {
    out.send(one.accused.peer, Ping{new_token()});
    if (++one.pings == 2) one.at = now.time + settings().verdict;
    return;
  }
  if (one.is_confirmed || accusers_needed(table_) == 1) {
    const Suspicion sure = one;
    return declare_dead(now, sure.accused, sure.period, out);
  }
  // No word of a witness: it may be dead itself.
  if (++one.pings % 4 != 0) return;
  ask_witnesses(now, out);
}

void Peer::on(Now now, PeerIndex from, const Suspect& m, Effects& out) {
  if (m.accused.peer == self_ || !may_accuse(table_, from, m.accused) ||
      !may_accuse(table_, self_, m.accused)) {
    return reject();
  }
  if (table_.state(m.accused.peer) > m.accused.state) {
    return out.send(from, Verdict{{m.accused.peer, table_.state(m.accused.peer)}});
  }
  const auto same = [&](const Probe& one) {
    return one.accused == m.accused && one.accuser == from;
  };
  if (std::ranges::any_of(probes_, same)) return;
  probe(now, {m.accused, from, m.period, 0, now.time}, out);
}

void Peer::probe(Now now, Probe probe, Effects& out) {
  if (probes_.size() == kProbesMax) return reject();
  has_errands_ = true;
  probes_.push_back(probe);
  probe_timeout(now, out);
}

void Peer::probe_timeout(Now now, Effects& out) {
  std::vector<Probe> silent;
  for (Probe& one : probes_) {
    if (now.time < one.at) continue;
    one.at = now.time + (one.pings == 0 ? settings().probe : settings().verdict);
    if (one.pings == 2) silent.push_back(one);
    if (one.pings < 2) out.send(one.accused.peer, Ping{new_token()});
    ++one.pings;
  }
  if (silent.empty()) return;
  std::erase_if(probes_, [](const Probe& one) { return one.pings > 2; });
  for (const Probe& one : silent) {
    const Change dead{one.accused.peer, one.accused.state.died()};
    if (!one.accuser) {
      learn_one(now, {dead, std::nullopt}, out);
      // The next one behind may lack it too.
      repaired_region_ = region_of(bucket_of(dead.peer), bucket_count(table_.size()));
      continue;
    }
    out.send(*one.accuser, Verdict{dead});
    declare_dead(now, one.accused, one.period, out);
  }
}

void Peer::on(Now now, PeerIndex from, const Verdict& m, Effects& out) {
  if (!suspicion_ || suspicion_->accused.peer != m.seen.peer ||
      !may_accuse(table_, from, suspicion_->accused)) {
    return;
  }
  if (m.seen.state == suspicion_->accused.state.died()) {
    suspicion_->is_confirmed = true;
    // Its own two pings were in vain too.
    if (suspicion_->pings > 2) {
      const Suspicion sure = *suspicion_;
      declare_dead(now, sure.accused, sure.period, out);
    }
    return;
  }
  if (!m.seen.state.is_alive() || !is_plausible(m.seen)) return;
  learn_one(now, {m.seen, std::nullopt}, out);
  exonerate(now);
}

void Peer::declare_dead(Now now, const Change& accused, Period period, Effects& out) {
  const Told event{{accused.peer, accused.state.died()}, std::nullopt};
  const bool was_predecessor = predecessor_ == accused.peer;
  if (suspicion_ && suspicion_->accused.peer == accused.peer) suspicion_.reset();
  learn_one(now, event, out);
  spread_news(now, event, period, out);
  // The new predecessor does not know that this one is its successor now. Is it alive?
  if (was_predecessor && predecessor_ && *predecessor_ != self_) {
    out.send(*predecessor_, Ping{new_token()});
  }
}

}  // namespace rosebud::routing
