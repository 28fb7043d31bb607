#include "routing/sim/world.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "crypto/hash.h"

namespace rosebud::routing::sim {
namespace {

/// The part of a peer that every second touches.
constexpr std::size_t kHotBytes = 256;

/// Wall clocks begin here: a time in 2025, so that periods have realistic numbers.
constexpr Duration kWallAtStart = std::chrono::seconds(1'750'000'000);

Member make_member(std::uint64_t seed, std::uint32_t i) {
  Member out;
  for (std::size_t word = 0; word < 4; ++word) {
    const std::uint64_t bits = mix(mix(seed, i), word);
    std::memcpy(out.key.bytes.data() + 8 * word, &bits, 8);
  }
  const auto digest = crypto::tagged_hash("rosebud-routing-sim-position", out.key.view());
  for (std::size_t b = 0; b < 8; ++b) out.at = (out.at << 8) | digest.bytes[b];
  out.address.ip[10] = out.address.ip[11] = 0xff;
  for (std::size_t b = 0; b < 4; ++b) {
    out.address.ip[12 + b] = static_cast<std::uint8_t>(i >> (24 - 8 * b));
  }
  out.address.port = 4500;
  return out;
}

std::shared_ptr<const Roster> make_roster(std::uint64_t seed, std::uint32_t size) {
  std::vector<Member> members;
  members.reserve(size);
  for (std::uint32_t i = 0; i < size; ++i) members.push_back(make_member(seed, i));
  return std::make_shared<const Roster>(std::move(members));
}

/// Eight bytes at a time: it is taken of every datagram.
std::uint64_t hash_of(ByteView bytes) {
  std::uint64_t out = bytes.size();
  while (!bytes.empty()) {
    const std::size_t size = std::min<std::size_t>(bytes.size(), 8);
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), size);
    out = mix(out ^ word);
    bytes = bytes.subspan(size);
  }
  return out;
}

}  // namespace

World::World(const WorldOptions& options)
    : options_(options),
      random_(options.seed),
      roster_(make_roster(options.seed, options.roster)),
      rebase_at_(Instant{} + options.rebase_every) {
  CHECK(options.alive <= options.roster);
  const Settings& settings = options.settings;
  rules_ = std::make_shared<const Rules>(
      Rules{settings, Slices(roster_, settings.slices, settings.units)});
  std::vector<PeerIndex> order;
  for (std::uint32_t i = 0; i < options.roster; ++i) order.emplace_back(i);
  random_.shuffle(order);
  std::vector<PeerState> states(options.roster);
  for (std::uint32_t n = 0; n < options.roster; ++n) {
    // Everybody has been there some times.
    const PeerState state = PeerState::alive(static_cast<std::uint32_t>(random_.between(1, 31)));
    states[order[n].value] = n < options.alive ? state : state.died();
  }
  base_ = std::make_shared<const Snapshot>(std::move(states));
  truth_ = std::make_unique<Table>(roster_, base_);
  peers_.resize(options.roster);
  for (std::uint32_t n = 0; n < options.roster; ++n) {
    const PeerIndex peer = order[n];
    SimPeer& one = peers_[peer.value];
    if (n >= options.alive) {
      one.table = std::make_unique<Table>(roster_, base_);
      continue;
    }
    one.core = std::make_unique<Peer>(rules_, peer, Table(roster_, base_), random_.next());
    one.place = static_cast<std::uint32_t>(taking_part_.size());
    taking_part_.push_back(peer);
    one.core->start(now_of(), effects_);
    perform(peer);
  }
}

Now World::now_of() const { return {now_, kWallAtStart + now_.time_since_epoch()}; }

// ---- What happens ----

void World::crash(PeerIndex peer) {
  if (!is_up(peer)) return;
  if (is_taking_part(peer)) note_truth(peer, peers_[peer.value].core->state().died());
  down(peer);
}

void World::leave(PeerIndex peer) {
  if (!is_up(peer)) return;
  Peer& core = *peers_[peer.value].core;
  if (!core.is_joining()) {
    note_truth(peer, core.state().died());
    core.leave(now_of(), effects_);
    for (const auto& one : effects_.sends()) transmit(peer, one.to, effects_.bytes(one));
    effects_.clear();
  }
  down(peer);
}

void World::down(PeerIndex peer) {
  SimPeer& one = peers_[peer.value];
  remove_from_taking_part(peer);
  sums_.peer_seconds +=
      static_cast<double>((now_ - std::max(one.up_since, measured_since_)).count()) / 1e6;
  if (options_.keeps_old_table) {
    one.table = std::make_unique<Table>(one.core->table());
  } else {
    one.table = std::make_unique<Table>(
        roster_, std::make_shared<const Snapshot>(std::vector<PeerState>(options_.roster)));
  }
  one.core.reset();
  one.wake_at = Instant::max();
  one.is_counted = false;
}

void World::remove_from_taking_part(PeerIndex peer) {
  const std::uint32_t place = peers_[peer.value].place;
  if (place >= taking_part_.size() || taking_part_[place] != peer) return;
  taking_part_[place] = taking_part_.back();
  peers_[taking_part_[place].value].place = place;
  taking_part_.pop_back();
}

void World::revive(PeerIndex peer) {
  CHECK(!is_up(peer));
  CHECK(!taking_part_.empty());
  SimPeer& one = peers_[peer.value];
  one.core = std::make_unique<Peer>(rules_, peer, std::move(*one.table), random_.next());
  one.table.reset();
  one.up_since = now_;
  one.bytes_up = 0;
  one.has_led = false;
  std::optional<Address> moved;
  if (random_.chance(options_.moved_percent, 100)) {
    Address address = roster_->address(peer);
    address.port = static_cast<std::uint16_t>(random_.between(1024, 65535));
    moved = address;
  }
  const PeerIndex contact = taking_part_[random_.below(taking_part_.size())];
  one.core->join(now_of(), contact, moved, effects_);
  perform(peer);
}

void World::joined(PeerIndex peer) {
  SimPeer& one = peers_[peer.value];
  one.place = static_cast<std::uint32_t>(taking_part_.size());
  taking_part_.push_back(peer);
  ++sums_.rejoins;
  // It has an older base; what it learned is in its delta. All of it is compared once.
  std::vector<PeerIndex> changed;
  const Snapshot& before = *one.core->table().base();
  for (std::uint32_t i = 0; i < options_.roster; ++i) {
    if (before.state(PeerIndex(i)) != base_->state(PeerIndex(i))) changed.emplace_back(i);
  }
  one.core->rebase(base_, changed);
}

void World::note_truth(PeerIndex peer, PeerState state) {
  SimPeer& one = peers_[peer.value];
  truth_->merge({peer, state});
  one.changed_at = now_;
  ++sums_.events;
  if (!state.is_alive()) ++sums_.deaths;
  std::optional<Moved> moved;
  if (one.core) {
    if (const auto address = one.core->table().moved_to(peer)) moved = Moved{peer, *address};
  }
  happened_.push_back({now_, {peer, state}, moved});
}

void World::rebase() {
  std::vector<Change> changes;
  std::vector<Moved> moved;
  while (!happened_.empty() && happened_.front().time + options_.rebase_lag <= now_) {
    changes.push_back(happened_.front().change);
    if (happened_.front().moved) moved.push_back(*happened_.front().moved);
    happened_.pop_front();
  }
  if (changes.empty()) return;
  // The last of each peer.
  std::ranges::sort(changes);  // a later state of a peer is greater
  std::vector<Change> last;
  for (const Change& one : changes) {
    if (!last.empty() && last.back().peer == one.peer) {
      last.back() = one;
    } else {
      last.push_back(one);
    }
  }
  std::vector<PeerIndex> changed;
  for (const Change& one : last) changed.push_back(one.peer);
  base_ = base_->with(last, moved);
  truth_->rebase(base_, changed);
  for (const PeerIndex peer : taking_part_) peers_[peer.value].core->rebase(base_, changed);
}

// ---- Events ----

std::uint32_t World::take_slot() {
  if (free_slots_.empty()) {
    slots_.emplace_back();
    return static_cast<std::uint32_t>(slots_.size() - 1);
  }
  const std::uint32_t slot = free_slots_.back();
  free_slots_.pop_back();
  return slot;
}

void World::at(Duration delay, std::function<void()> what) {
  std::uint32_t slot = static_cast<std::uint32_t>(actions_.size());
  if (free_actions_.empty()) {
    actions_.push_back(std::move(what));
  } else {
    slot = free_actions_.back();
    free_actions_.pop_back();
    actions_[slot] = std::move(what);
  }
  wheel_.push(now_ + delay, {Kind::kAction, {}, {}, slot});
}

void World::send_raw(PeerIndex from, PeerIndex to, const Datagram& datagram) {
  Bytes bytes;
  encode(datagram, bytes);
  transmit(from, to, bytes);
}

void World::transmit(PeerIndex from, PeerIndex to, ByteView bytes) {
  const std::size_t size = bytes.size() + kSealBytes + kHeaderBytes;
  const Traffic traffic = traffic_of(bytes);
  ++sums_.datagrams;
  sums_.bytes[static_cast<std::size_t>(traffic)] += size;
  if (traffic == Traffic::kMaintenance) peers_[from.value].bytes_up += size;
  trace_ = mix(trace_ ^ hash_of(bytes), (std::uint64_t{from.value} << 32) | to.value);
  if (options_.loss_per_mille > 0 && random_.below(1000) < options_.loss_per_mille) return;
  if (is_cut && is_cut(from, to, bytes)) return;
  const std::uint32_t slot = take_slot();
  slots_[slot].assign(bytes.begin(), bytes.end());
  wheel_.push(now_ + latencies_.one_way(from, to, random_), {Kind::kDatagram, to, from, slot});
}

void World::run_for(Duration time) {
  const Instant end = now_ + time;
  while (now_ < end) {
    const Instant until = std::min(end, rebase_at_);
    Instant when;
    Event event;
    while (wheel_.pop(until, when, event)) {
      now_ = when;
      fetch_ahead();
      process(event);
    }
    now_ = until;
    if (now_ >= rebase_at_) {
      rebase();
      rebase_at_ = now_ + options_.rebase_every;
    }
  }
}

/// Peers lie all over the memory: they are fetched while the events before theirs are processed.
void World::fetch_ahead() const {
  if (const Event* const far = wheel_.ahead(10)) {
    __builtin_prefetch(&peers_[far->to.value]);
    if (far->kind == Kind::kDatagram) __builtin_prefetch(&slots_[far->slot]);
  }
  const Event* const near = wheel_.ahead(4);
  if (!near) return;
  const auto* const core = reinterpret_cast<const std::uint8_t*>(peers_[near->to.value].core.get());
  if (!core) return;
  constexpr std::size_t kLine = 64;
  for (std::size_t at = 0; at < kHotBytes; at += kLine) __builtin_prefetch(core + at);
  if (near->kind == Kind::kDatagram) __builtin_prefetch(slots_[near->slot].data());
}

void World::process(const Event& event) {
  if (event.kind == Kind::kAction) {
    const auto action = std::exchange(actions_[event.slot], nullptr);
    free_actions_.push_back(event.slot);
    return action();
  }
  SimPeer& one = peers_[event.to.value];
  if (event.kind == Kind::kWake) {
    if (one.wake_at != now_ || !one.core) return;
    one.wake_at = Instant::max();
    ++inputs_;
    effects_.is_watching = event.to.value % options_.watched_every == 0;
    one.core->on_time(now_of(), effects_);
    return perform(event.to);
  }
  if (one.core) {
    ++inputs_;
    Bytes& bytes = slots_[event.slot];
    trace_ = mix(trace_ ^ static_cast<std::uint64_t>(now_.time_since_epoch().count()),
                 (std::uint64_t{event.from.value} << 32) | event.to.value);
    if (watchers.delivered) watchers.delivered(event.from, event.to, bytes);
    effects_.is_watching = event.to.value % options_.watched_every == 0;
    one.core->on_datagram(now_of(), event.from, bytes, effects_);
    perform(event.to);
  }
  free_slots_.push_back(event.slot);
}

void World::perform(PeerIndex peer) {
  SimPeer& one = peers_[peer.value];
  for (const auto& send : effects_.sends()) transmit(peer, send.to, effects_.bytes(send));
  for (const Change& change : effects_.learned) {
    if (change.peer == peer || truth_->state(change.peer) != change.state) continue;
    const Duration age = now_ - peers_[change.peer.value].changed_at;
    sums_.ages.record(age);
    (change.state.is_alive() ? sums_.ages_of_lives : sums_.ages_of_deaths).record(age);
  }
  if (effects_.has_joined) {
    note_truth(peer, one.core->state());
    joined(peer);
  } else if (!one.core->is_joining() && truth_->state(peer) != one.core->state()) {
    note_truth(peer, one.core->state());  // it refuted its death
  }
  if (!effects_.lookups.empty()) {
    const auto lookups = std::exchange(effects_.lookups, {});
    for (const LookupDone& done : lookups) finish_lookup(peer, done);
  }
  one.has_led |= one.core->is_leading();
  effects_.clear();
  if (watchers.after_input) watchers.after_input(peer);
  const Instant next = std::max(one.core->next_deadline(), now_);
  if (next < one.wake_at) {
    one.wake_at = next;
    wheel_.push(next, {Kind::kWake, peer, {}, 0});
  }
}

// ---- Lookups ----

void World::lookup(PeerIndex from, Point key) {
  if (!is_taking_part(from)) return;
  const LookupId id(asked_.size());
  const auto owner = truth_->owner(key);
  const auto believed = peers_[from.value].core->table().owner(key);
  if (believed == from) return;  // nobody is asked
  asked_.push_back({from, key, now_, believed == owner, false});
  peers_[from.value].core->lookup(now_of(), id, key, effects_);
  perform(from);
}

bool World::was_owner(PeerIndex peer, Point key, Instant since) const {
  // From the key on: whoever was alive all the time has it.
  std::uint32_t i = roster_->successor(key).value;
  for (std::uint32_t left = roster_->size(); left > 0; --left) {
    const PeerIndex one(i);
    const bool has_changed = changed_at(one) >= since;
    if (one == peer) return truth_->is_alive(one) || has_changed;
    if (truth_->is_alive(one) && !has_changed) return false;
    i = i + 1 == roster_->size() ? 0 : i + 1;
  }
  return false;
}

std::uint64_t World::lost_lookups(Instant begin, Instant end) const {
  const auto is_lost = [&](const Asked& one) {
    return one.at >= begin && one.at < end && !one.is_over && is_up(one.asker) &&
           peers_[one.asker.value].up_since <= one.at;
  };
  return static_cast<std::uint64_t>(std::ranges::count_if(asked_, is_lost));
}

void World::finish_lookup(PeerIndex asker, const LookupDone& done) {
  Asked& asked = asked_[done.id.value];
  asked.is_over = true;
  const bool is_right = done.is_found && was_owner(done.owner, asked.key, asked.at);
  if (asked.at >= measured_since_) {
    ++sums_.lookups;
    if (asked.is_first_right) ++sums_.lookups_right_table;
    if (is_right && done.hops == 1) ++sums_.lookups_right_first;
    if (is_right && done.hops == 1 && done.waits == 0) ++sums_.lookups_right_once;
    if (done.is_found) {
      ++sums_.lookups_completed;
      sums_.hops += done.hops;
      if (!is_right) ++sums_.lookups_wrong;
    }
  }
  if (watchers.looked_up) watchers.looked_up({asker, done, asked.key, asked.at, is_right});
}

// ---- Measures ----

void World::begin_measuring() {
  sums_ = {};
  measured_since_ = now_;
  for (SimPeer& one : peers_) {
    one.bytes_up = 0;
    one.has_led = false;
    one.is_counted = one.core != nullptr && !one.core->is_joining();
  }
}

std::vector<World::Load> World::loads() const {
  std::vector<Load> out;
  for (std::uint32_t i = 0; i < peers_.size(); ++i) {
    const SimPeer& one = peers_[i];
    if (one.is_counted) out.push_back({PeerIndex(i), one.bytes_up, one.has_led});
  }
  return out;
}

double World::peer_seconds() const {
  double out = sums_.peer_seconds;
  for (const SimPeer& one : peers_) {
    if (!one.core) continue;
    out += static_cast<double>((now_ - std::max(one.up_since, measured_since_)).count()) / 1e6;
  }
  return out;
}

std::uint64_t World::stale_count(PeerIndex peer, Duration age) const {
  const Table& known = core(peer)->table();
  std::uint64_t out = 0;
  const auto judge = [&](PeerIndex of) {
    if (known.state(of) != truth_->state(of) && peers_[of.value].changed_at + age <= now_) ++out;
  };
  // Both have the same base.
  for (const Change& one : known.delta()) judge(one.peer);
  for (const Change& one : truth_->delta()) {
    const auto in_delta = std::ranges::lower_bound(known.delta(), one.peer, {}, &Change::peer);
    if (in_delta == known.delta().end() || in_delta->peer != one.peer) judge(one.peer);
  }
  return out;
}

std::size_t World::memory_bytes() const {
  std::size_t out = roster_->memory_bytes() + base_->memory_bytes();
  for (const SimPeer& one : peers_) {
    out += sizeof one;
    if (one.core) out += one.core->memory_bytes();
    if (one.table) out += sizeof(Table) + one.table->memory_bytes();
  }
  return out;
}

}  // namespace rosebud::routing::sim
