#include "routing/sim/swarm.h"

#include <algorithm>
#include <map>
#include <set>

#include "routing/accusers.h"

namespace rosebud::routing::sim {
namespace {

using std::chrono::seconds;

class Run {
 public:
  Run(const Plan& plan, std::size_t story_lines)
      : plan_(plan),
        story_max_(story_lines),
        world_(plan.world),
        checkers_(world_, plan.rules),
        askers_(mix(plan.seed, 1)),
        killer_(mix(plan.seed, 2)) {}

  SwarmResult run() {
    checkers_.watch();
    const auto checked = world_.watchers.delivered;
    world_.watchers.delivered = [this, checked](PeerIndex from, PeerIndex to, ByteView bytes) {
      checked(from, to, bytes);
      if (leaders_die_) maybe_kill_leader(to, bytes);
    };
    world_.is_cut = [this](PeerIndex from, PeerIndex to, ByteView) {
      return mute_.contains(from.value) || deaf_.contains(to.value);
    };
    for (const Fault& fault : plan_.faults) {
      world_.at(fault.at, [this, &fault] { begin(fault); });
    }
    look_up();
    go_on(plan_.safety_time);
    heal();
    go_on(seconds(200));
    if (checkers_.violation().empty()) {
      checkers_.check_shares();
      checkers_.check_tables(seconds(30));
      look_up_while_peers_come_and_go();
    }
    return result();
  }

 private:
  void go_on(Duration time) {
    for (Duration left = time; left > Duration(0) && checkers_.violation().empty();
         left -= seconds(1)) {
      world_.run_for(seconds(1));
    }
  }

  /// Where all tables are right, whoever says "it is mine" is right. So some go, and then all of
  /// them return at once, of whom others hear some seconds later.
  void look_up_while_peers_come_and_go() {
    checkers_.expect_lookups();
    lookup_every_ = std::chrono::milliseconds(20);
    for (int round = 0; round < 2; ++round) {
      std::vector<PeerIndex> peers = some_of(static_cast<std::uint64_t>(round));
      // Fewer than a lookup asks.
      peers.resize(std::min<std::size_t>(peers.size() / 4, 4));
      for (const PeerIndex one : peers) go(one, false);
      go_on(seconds(12));
      for (const PeerIndex one : peers) come(one);
      go_on(seconds(12));
    }
    go_on(seconds(15));
    checkers_.check_lookups();
  }

  void tell(const std::string& what) {
    if (story_max_ == 0) return;
    story_.push_back(std::to_string(world_.now().time_since_epoch().count() / 1000) +
                     " ms: " + what);
    if (story_.size() > story_max_) story_.erase(story_.begin());
  }

  /// The first one at or after a place on the ring that takes part: nearly always the same whoever
  /// else has gone, so that a plan with one fault less does the rest to the same peers.
  PeerIndex chosen(std::uint64_t lot) const {
    const std::uint32_t size = world_.roster_size();
    const auto first = static_cast<std::uint32_t>(lot % size);
    for (std::uint32_t i = 0; i < size; ++i) {
      const PeerIndex one((first + i) % size);
      if (world_.is_taking_part(one)) return one;
    }
    return PeerIndex(first);  // nobody does, which may_one_go() prevents
  }
  std::vector<PeerIndex> some_of(std::uint64_t lot) const {
    std::vector<PeerIndex> out;
    for (std::uint32_t i = 0; i < world_.roster_size(); ++i) {
      if (world_.is_taking_part(PeerIndex(i))) out.emplace_back(i);
    }
    std::ranges::sort(out, {}, [&](PeerIndex one) { return mix(lot, one.value); });
    return out;
  }
  /// So that somebody is left to return by way of.
  bool may_one_go() const { return world_.taking_part().size() > 4; }

  void go(PeerIndex peer, bool is_polite) {
    if (!may_one_go() || !world_.is_up(peer) || liars_.contains(peer.value)) return;
    tell("peer " + std::to_string(peer.value) + (is_polite ? " leaves" : " crashes"));
    if (is_polite) {
      world_.leave(peer);
    } else {
      world_.crash(peer);
    }
    down_.insert(peer.value);
  }
  void come(PeerIndex peer) {
    if (!down_.contains(peer.value)) return;
    down_.erase(peer.value);
    tell("peer " + std::to_string(peer.value) + " returns");
    world_.revive(peer);
  }

  void begin(const Fault& fault) {
    if (is_healed_) return;
    tell(describe(fault));
    switch (fault.kind) {
      case FaultKind::kCrash:
      case FaultKind::kLeave: {
        const PeerIndex peer = chosen(fault.lot);
        go(peer, fault.kind == FaultKind::kLeave);
        return world_.at(fault.lasts, [this, peer] { come(peer); });
      }
      case FaultKind::kCrashMany: {
        std::vector<PeerIndex> peers = some_of(fault.lot);
        peers.resize(peers.size() * (fault.lot % 100) / 100);
        for (const PeerIndex peer : peers) go(peer, false);
        return world_.at(fault.lasts, [this, peers] {
          for (const PeerIndex peer : peers) come(peer);
        });
      }
      case FaultKind::kLoss:
        return world_.set_loss(static_cast<std::uint32_t>(fault.lot));
      case FaultKind::kMute:
      case FaultKind::kDeaf: {
        auto& cut = fault.kind == FaultKind::kMute ? mute_ : deaf_;
        const std::uint32_t peer = chosen(fault.lot).value;
        cut.insert(peer);
        return world_.at(fault.lasts, [&cut, peer] { cut.erase(peer); });
      }
      case FaultKind::kKillLeaders:
        leaders_die_ = true;
        kills_left_ = fault.lot;
        return;
      case FaultKind::kAccuse: {
        const PeerIndex liar = chosen(fault.lot);
        if (liars_.try_emplace(liar.value, fault.lot).second) accuse(liar);
        return;
      }
      case FaultKind::kFlood: {
        const PeerIndex liar = chosen(fault.lot);
        if (liars_.try_emplace(liar.value, fault.lot).second) flood(liar);
        return;
      }
    }
  }

  void maybe_kill_leader(PeerIndex to, ByteView bytes) {
    const auto datagram = decode(bytes, world_.roster_size());
    if (!datagram || !std::holds_alternative<Announce>(*datagram)) return;
    // Few enough that deaths of leaders do not breed deaths of leaders.
    if (kills_left_ == 0 || !killer_.chance(1, 12) || doomed_.contains(to.value)) return;
    --kills_left_;
    doomed_.insert(to.value);
    world_.at(std::chrono::milliseconds(killer_.between(50, 600)), [this, to] {
      doomed_.erase(to.value);
      if (is_healed_) return;
      go(to, false);
      world_.at(seconds(killer_.between(8, 40)), [this, to] { come(to); });
    });
  }

  /// A liar has what it needs of a real peer: whom it may accuse, who leads, what is the state.
  void accuse(PeerIndex liar) {
    if (is_healed_ || !world_.is_taking_part(liar)) return;
    const Table& table = world_.core(liar)->table();
    // Another liar is not its victim: two of them together may do what one may not.
    std::vector<PeerIndex> victims;
    for (std::uint32_t i = 0; i < table.size(); ++i) {
      const PeerIndex one(i);
      if (one != liar && world_.truth().is_alive(one) &&
          may_accuse(table, liar, {one, world_.truth().state(one)}) && is_only_liar_of(one, liar)) {
        victims.push_back(one);
      }
    }
    for (const PeerIndex victim : victims) lie_about(liar, victim, table);
    world_.at(seconds(liars_.at(liar.value).between(1, 4)), [this, liar] { accuse(liar); });
  }

  /// All who may lead one of the next periods get it: a death that is not this one's business, and
  /// the own life, for periods of a day in which they are drawn.
  void flood(PeerIndex liar) {
    if (is_healed_ || !world_.is_taking_part(liar)) return;
    const Slices& slices = world_.rules().slices;
    const Period now = current_period();
    Random& lots = liars_.at(liar.value);
    const PeerIndex spared = chosen(lots.next());
    const Told dead{{spared, world_.truth().state(spared).died()}, std::nullopt};
    const Told own{{liar, world_.truth().state(liar)}, std::nullopt};
    const SliceIndex slice(static_cast<std::uint32_t>(lots.below(slices.count())));
    for (int i = 0; i < 80 && slices.peers(slice).size() > 0; ++i) {
      const Period period(now.value + lots.below(i % 2 == 0 ? 4 : 28'800));
      const auto attempt = static_cast<std::uint32_t>(lots.below(kAttemptsMax));
      const PeerIndex leader = slices.drawn(slice, period, attempt);
      if (leader == liar) continue;
      world_.send_raw(liar, leader, Announce{Token(9), period, attempt, i % 4 < 2 ? dead : own});
    }
    world_.at(seconds(lots.between(1, 3)), [this, liar] { flood(liar); });
  }

  Period current_period() const {
    return world_.rules().period_at(seconds(1'750'000'000) + world_.now().time_since_epoch());
  }

  bool is_only_liar_of(PeerIndex victim, PeerIndex liar) const {
    return std::ranges::none_of(liars_, [&](const auto& other) {
      return other.first != liar.value &&
             may_accuse(world_.core(liar)->table(), PeerIndex(other.first),
                        {victim, world_.truth().state(victim)});
    });
  }

  void lie_about(PeerIndex liar, PeerIndex victim, const Table& table) {
    const Change alive{victim, world_.truth().state(victim)};
    const Told dead{{victim, alive.state.died()}, std::nullopt};
    const Period period = current_period();
    for (std::uint32_t slice = 0; slice < world_.rules().slices.count(); ++slice) {
      for (std::uint32_t attempt = 0; attempt < kAttemptsMax; ++attempt) {
        const SliceIndex of(slice);
        if (world_.rules().slices.peers(of).size() == 0) break;
        const PeerIndex leader = world_.rules().slices.drawn(of, period, attempt);
        if (leader == liar || !table.is_alive(leader)) continue;
        world_.send_raw(liar, leader, Announce{Token(9), period, attempt, dead});
        break;
      }
    }
    const PeerIndex other = chosen(liars_.at(liar.value).next());
    if (other == liar) return;
    world_.send_raw(liar, other, Tell{{dead}});
    world_.send_raw(liar, other, Verdict{dead.change});
    world_.send_raw(liar, other, Suspect{alive, period});
    if (const auto next = table.next_alive(victim); next && *next != liar) {
      world_.send_raw(liar, *next, Verdict{dead.change});
    }
  }

  void look_up() {
    if (!world_.taking_part().empty()) {
      const PeerIndex asker = chosen(askers_.next());
      world_.lookup(asker, askers_.next());
      ++lookups_;
    }
    world_.at(lookup_every_, [this] { look_up(); });
  }

  void heal() {
    is_healed_ = true;
    leaders_die_ = false;
    mute_.clear();
    deaf_.clear();
    world_.set_loss(0);
    tell("all is healed");
    const std::set<std::uint32_t> down = down_;
    for (const std::uint32_t peer : down) come(PeerIndex(peer));
  }

  SwarmResult result() {
    SwarmResult out;
    out.violation = checkers_.violation();
    out.trace = world_.trace();
    out.inputs = world_.input_count();
    out.events = world_.sums().events;
    out.lookups = lookups_;
    out.timely = checkers_.timely();
    out.late = checkers_.late();
    out.batches = checkers_.batches();
    out.again = checkers_.again();
    out.time = world_.now().time_since_epoch();
    out.story = story_;
    return out;
  }

  const Plan& plan_;
  std::size_t story_max_;
  World world_;
  Checkers checkers_;
  Random askers_;
  Random killer_;
  std::set<std::uint32_t> mute_;
  std::set<std::uint32_t> deaf_;
  std::set<std::uint32_t> down_;  // by a fault
  std::set<std::uint32_t> doomed_;
  std::map<std::uint32_t, Random> liars_;
  bool leaders_die_ = false;
  std::uint64_t kills_left_ = 0;
  bool is_healed_ = false;
  std::uint64_t lookups_ = 0;
  Duration lookup_every_ = std::chrono::milliseconds(100);
  std::vector<std::string> story_;
};

}  // namespace

SwarmResult run_plan(const Plan& plan, std::size_t story_lines) {
  return Run(plan, story_lines).run();
}

}  // namespace rosebud::routing::sim
