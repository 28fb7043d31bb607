// What must be true, looked at from outside the peers.
//
//  1. A table never goes back: no entry becomes an older state, in one life of its peer.
//  2. Nobody knows what is not: no state beyond the true one, but for a death of who lives.
//  3. Where nothing is lost or cut, nobody alive is ever taken for dead.
//  4. Each peer gets each batch once; few of them again, because an answer was late.
//  5. Events reach those who were there before within `kTimely`, nearly all of them.
//  6. In the end, after healing, every table is right, and every lookup ends with the owner, though
//     peers go and come: who was it within `kNearby` before the question.
//
// Besides, Peer::check_invariants after every input. The first violation stays.
#pragma once

#include <set>
#include <string>

#include "routing/sim/world.h"

namespace rosebud::routing::sim {

class Checkers {
 public:
  struct Rules {
    bool is_nobody_falsely_dead = false;
    /// Of events and peers that should know them, so many of a thousand may be late.
    std::uint64_t late_per_mille_max = 1000;
    /// Of batches delivered, so many of a hundred may come again.
    std::uint64_t again_percent_max = 100;
  };

  Checkers(World& world, Rules rules);
  void watch();

  const std::string& violation() const { return violation_; }
  void fail(const std::string& what);

  /// Rule 6, the tables. `age`: what changed later may be unknown.
  void check_tables(Duration age);
  /// Rules 4 and 5, of all that was seen.
  void check_shares();
  /// From now on every lookup has to succeed.
  void expect_lookups() { healed_at_ = world_.now(); }
  /// Rule 6: those have ended that had the time. Requires: expect_lookups().
  void check_lookups();

  std::uint64_t late() const { return late_; }
  std::uint64_t timely() const { return timely_; }
  std::uint64_t batches() const { return batches_; }
  std::uint64_t again() const { return again_; }

 private:
  static constexpr Duration kTimely = std::chrono::seconds(16);
  /// Until a peer next to one that came knows of it: a keep-alive each way.
  static constexpr Duration kNearby = std::chrono::seconds(3);

  void after_input(PeerIndex peer);
  void on_delivered(PeerIndex to, ByteView bytes);
  void judge_event(PeerIndex of, PeerState state, Instant since);
  void judge_lookup(const World::EndedLookup& lookup);

  World& world_;
  Rules rules_;
  std::string violation_;
  std::vector<std::vector<PeerState>> seen_;  // by peer: its table, empty before it takes part
  std::vector<Instant> up_since_;
  std::vector<PeerState> judged_;  // by peer: the newest true state that was put on the clock
  std::set<std::pair<std::uint32_t, std::uint32_t>> got_;  // peer, batch
  std::uint64_t batches_ = 0;
  std::uint64_t again_ = 0;
  std::uint64_t timely_ = 0;
  std::uint64_t late_ = 0;
  std::optional<Instant> healed_at_;
};

}  // namespace rosebud::routing::sim
