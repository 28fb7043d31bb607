// Lookups: the own table says whose a key is; that peer says yes, or who is between [design 11].
// Who is silent is asked twice; then the next one is asked and told who was silent: it may not know
// yet that the one before it is dead, and would send the asker back.
#include <algorithm>

#include "routing/peer.h"
#include "routing/planted_bugs.h"

namespace rosebud::routing {

void Peer::lookup(Now now, LookupId id, Point key, Effects& out) noexcept {
  LookupDone done{.id = id, .is_found = false, .owner = self_, .hops = 0, .waits = 0};
  const auto owner = table_.owner(key);
  if (!is_taking_part_ || !owner || lookups_.size() == kLookupsMax) {
    out.lookups.push_back(done);
  } else if (*owner == self_) {
    done.is_found = true;
    out.lookups.push_back(done);
  } else {
    has_errands_ = true;
    lookups_.push_back({id, key, new_token(), *owner, 0, 0, {}, now.time});
    ask(now, lookups_.back(), *owner, out);
  }
}

void Peer::ask(Now now, PendingLookup& one, PeerIndex to, Effects& out) {
  one.to = to;
  one.token = new_token();
  one.at = now.time + settings().lookup_retry;
  ++one.hops;
  out.send(to, Lookup{one.token, one.key, one.silent});
}

std::optional<PeerIndex> Peer::owner_without(Point key,
                                             const std::vector<PeerIndex>& silent) const {
  auto owner = table_.owner(key);
  for (std::size_t i = 0; i < silent.size() && owner; ++i) {
    if (std::ranges::find(silent, *owner) == silent.end()) break;
    owner = table_.next_alive(*owner);
  }
  return owner;
}

void Peer::on(Now, PeerIndex from, const Lookup& m, Effects& out) {
  const auto owner = owner_without(m.key, m.without);
  if (!owner || *owner == self_ || is_planted(Bug::kAnybodyIsOwner)) {
    return out.send(from, Found{m.token});
  }
  // All from the key to its owner, those that are dead too: the asker's table has one of them
  // otherwise, or lacks one.
  Redirect answer{.token = m.token, .changes = {}};
  const std::uint32_t size = table_.size();
  const PeerIndex first = table_.roster().successor(m.key);
  std::uint32_t count = (owner->value + size - first.value) % size + 1;
  count = std::min(count, kToldMax);
  for (std::uint32_t back = count; back-- > 0;) {
    answer.changes.push_back(told(PeerIndex((owner->value + size - back) % size)));
  }
  out.send(from, answer);
}

void Peer::on(Now, PeerIndex from, const Found& m, Effects& out) {
  const auto one = std::ranges::find(lookups_, m.token, &PendingLookup::token);
  if (one == lookups_.end() || one->to != from) return;
  out.lookups.push_back({one->id, true, from, one->hops, one->waits});
  lookups_.erase(one);
}

void Peer::on(Now now, PeerIndex from, const Redirect& m, Effects& out) {
  auto one = std::ranges::find(lookups_, m.token, &PendingLookup::token);
  if (one == lookups_.end() || one->to != from) return;
  for (const Told& told : m.changes) {
    if (!is_plausible(told.change)) {
      reject();
    } else if (told.change.state.is_alive() && told.change.peer != self_) {
      learn_one(now, told, out);
    }
  }
  const PeerIndex next = m.changes.back().change.peer;
  if (one->hops >= settings().lookup_tries || next == from || next == self_) {
    out.lookups.push_back({one->id, next == self_, self_, one->hops, one->waits});
    lookups_.erase(one);
    return;
  }
  ask(now, *one, next, out);
}

void Peer::lookup_timeout(Now now, Effects& out) {
  std::vector<LookupId> over;
  std::vector<LookupId> found_here;  // with others silent it is this peer's
  for (PendingLookup& one : lookups_) {
    if (now.time < one.at) continue;
    if (is_planted(Bug::kSilentOwnerWaitedFor)) {
      one.at = Instant::max();
      continue;
    }
    ++one.waits;
    if (one.waits % 2 == 1) {
      // A datagram may be lost. The accused is asked before anybody else is believed.
      one.at = now.time + settings().lookup_retry;
      out.send(one.to, Lookup{one.token, one.key, one.silent});
      continue;
    }
    if (one.silent.size() < kSilentMax) one.silent.push_back(one.to);
    const auto next = owner_without(one.key, one.silent);
    if (one.hops >= settings().lookup_tries || !next || *next == one.to) {
      over.push_back(one.id);
    } else if (*next == self_) {
      found_here.push_back(one.id);
    } else {
      ask(now, one, *next, out);
    }
  }
  if (over.empty() && found_here.empty()) return;
  std::erase_if(lookups_, [&](const PendingLookup& one) {
    const bool is_own = std::ranges::find(found_here, one.id) != found_here.end();
    if (!is_own && std::ranges::find(over, one.id) == over.end()) return false;
    out.lookups.push_back({one.id, is_own, is_own ? self_ : one.to, one.hops, one.waits});
    return true;
  });
}

}  // namespace rosebud::routing
