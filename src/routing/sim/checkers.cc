#include "routing/sim/checkers.h"

#include <algorithm>

namespace rosebud::routing::sim {
namespace {

std::string name(PeerIndex peer) { return "peer " + std::to_string(peer.value); }

std::string text(PeerState state) {
  return (state.is_alive() ? "alive in life " : "dead after life ") +
         std::to_string(state.incarnation());
}

}  // namespace

Checkers::Checkers(World& world, Rules rules)
    : world_(world),
      rules_(rules),
      seen_(world.roster_size()),
      up_since_(world.roster_size(), Instant::max()),
      judged_(world.roster_size()) {
  for (std::uint32_t i = 0; i < world.roster_size(); ++i) {
    const PeerIndex peer(i);
    judged_[i] = world.truth().state(peer);
    if (world.is_taking_part(peer)) after_input(peer);
  }
}

void Checkers::fail(const std::string& what) {
  if (!violation_.empty()) return;
  violation_ =
      "at " + std::to_string(world_.now().time_since_epoch().count() / 1000) + " ms: " + what;
}

void Checkers::watch() {
  world_.watchers.delivered = [this](PeerIndex, PeerIndex to, ByteView bytes) {
    on_delivered(to, bytes);
  };
  world_.watchers.after_input = [this](PeerIndex peer) { after_input(peer); };
  world_.watchers.looked_up = [this](const World::EndedLookup& one) { judge_lookup(one); };
}

void Checkers::judge_lookup(const World::EndedLookup& lookup) {
  if (!healed_at_ || lookup.asked_at < *healed_at_) return;
  const std::string what = "a lookup of " + name(lookup.asker);
  if (!lookup.done.is_found) {
    fail(what + " failed after healing");
  } else if (!world_.was_owner(lookup.done.owner, lookup.key, lookup.asked_at - kNearby)) {
    fail(what + " found " + name(lookup.done.owner) + ", who was not the owner");
  }
}

void Checkers::check_lookups() {
  const std::uint64_t lost = world_.lost_lookups(*healed_at_, world_.now() - World::kLookupMax);
  if (lost > 0) fail(std::to_string(lost) + " lookups never ended");
}

void Checkers::after_input(PeerIndex peer) {
  if (!world_.is_up(peer) || !world_.is_taking_part(peer)) {
    seen_[peer.value].clear();
    up_since_[peer.value] = Instant::max();
    return;
  }
  const Peer& core = *world_.core(peer);
  core.check_invariants();
  auto& seen = seen_[peer.value];
  const bool is_new = seen.empty();
  if (is_new) {
    up_since_[peer.value] = world_.now();
    seen.resize(world_.roster_size());
  }
  for (std::uint32_t i = 0; i < world_.roster_size(); ++i) {
    const PeerIndex of(i);
    const PeerState state = core.table().state(of);
    if (!is_new && state == seen[i]) continue;
    const PeerState truth = world_.truth().state(of);
    if (!is_new && state < seen[i]) {
      fail(name(peer) + " went back on " + name(of) + ": " + text(state) + " after " +
           text(seen[i]));
    }
    if (state > truth.died()) {
      fail(name(peer) + " has " + name(of) + " " + text(state) + ", which is " + text(truth));
    }
    if (rules_.is_nobody_falsely_dead && truth.is_alive() && state == truth.died()) {
      fail(name(peer) + " takes " + name(of) + " for dead, who is " + text(truth));
    }
    seen[i] = state;
  }
  // Its own input may have been an event: put it on the clock.
  const PeerState truth = world_.truth().state(peer);
  if (truth != judged_[peer.value]) {
    judged_[peer.value] = truth;
    const Instant since = world_.now();
    world_.at(kTimely, [this, peer, truth, since] { judge_event(peer, truth, since); });
  }
}

void Checkers::judge_event(PeerIndex of, PeerState state, Instant since) {
  if (healed_at_) return;
  for (const PeerIndex peer : world_.taking_part()) {
    if (up_since_[peer.value] == Instant::max() || up_since_[peer.value] + kTimely > since)
      continue;
    if (world_.core(peer)->table().state(of) >= state) {
      ++timely_;
    } else {
      ++late_;
    }
  }
}

void Checkers::on_delivered(PeerIndex to, ByteView bytes) {
  const auto datagram = decode(bytes, world_.roster_size());
  const Batch* const batch = datagram ? std::get_if<Batch>(&*datagram) : nullptr;
  if (!batch || !world_.is_taking_part(to)) return;
  ++batches_;
  if (!got_.emplace(to.value, batch->id.value).second) ++again_;
}

void Checkers::check_shares() {
  const std::uint64_t all = timely_ + late_;
  // A few events are no share.
  if (all >= 500 && late_ * 1000 > all * rules_.late_per_mille_max) {
    fail(std::to_string(late_) + " of " + std::to_string(all) +
         " times an event was not known in time");
  }
  if (batches_ >= 500 && again_ * 100 > batches_ * rules_.again_percent_max) {
    fail(std::to_string(again_) + " of " + std::to_string(batches_) + " batches came again");
  }
}

void Checkers::check_tables(Duration age) {
  for (const PeerIndex peer : world_.taking_part()) {
    for (std::uint32_t i = 0; i < world_.roster_size(); ++i) {
      const PeerIndex of(i);
      const PeerState state = world_.core(peer)->table().state(of);
      const PeerState truth = world_.truth().state(of);
      if (state == truth || world_.changed_at(of) + age > world_.now()) continue;
      fail(name(peer) + " still has " + name(of) + " " + text(state) + ", which is " + text(truth));
      return;
    }
  }
}

}  // namespace rosebud::routing::sim
