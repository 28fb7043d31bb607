// One test for each sentence of the rules (docs/protocol/routing.md), on small overlays in virtual
// time, where nothing is lost unless a test says so.
#include "routing/peer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "routing/accusers.h"
#include "routing/sim/swarm.h"
#include "routing/sim/world.h"

namespace rosebud::routing {
namespace {

using sim::World;
using sim::WorldOptions;
using std::chrono::milliseconds;
using std::chrono::seconds;

WorldOptions options(std::uint32_t peers, std::uint32_t slices = 1) {
  WorldOptions out;
  out.roster = peers;
  out.alive = peers;
  out.settings.slices = slices;
  out.moved_percent = 0;
  return out;
}

WorldOptions classic_options(std::uint32_t peers, std::uint32_t slices, std::uint32_t units) {
  WorldOptions out = options(peers, slices);
  out.settings.timing = Timing::kClassic;
  out.settings.units = units;
  out.rebase_lag = seconds(70);
  return out;
}

template <typename Message>
std::optional<Message> read(const World& world, ByteView bytes) {
  const auto datagram = decode(bytes, world.roster_size());
  const Message* const found = datagram ? std::get_if<Message>(&*datagram) : nullptr;
  return found ? std::optional(*found) : std::nullopt;
}

/// How many of those that take part do not have `of` as it is.
std::size_t ignorant(const World& world, PeerIndex of) {
  std::size_t out = 0;
  for (const PeerIndex peer : world.taking_part()) {
    if (world.core(peer)->table().state(of) != world.truth().state(of)) ++out;
  }
  return out;
}

constexpr Duration kWall = seconds(1'750'000'000);

/// One peer without a world around it: what it says to what it hears.
class Single {
 public:
  Single(const World& world, PeerIndex self)
      : size_(world.roster_size()),
        core_(std::make_shared<const Rules>(world.rules()), self, world.core(self)->table(), 1) {
    core_.start(now(), out_);
    out_.clear();
  }

  Now now() const { return {Instant{} + time_, kWall + time_}; }
  Peer& core() { return core_; }
  /// From now on only what goes to those is returned.
  void look_at(IndexRange peers) { only_ = peers; }
  Period period() const { return Period(static_cast<std::uint64_t>((kWall + time_) / seconds(3))); }

  /// The datagrams of that kind that it sends in answer.
  template <typename Answer>
  std::vector<Answer> hear(PeerIndex from, const Datagram& datagram) {
    out_.clear();
    Bytes bytes;
    encode(datagram, bytes);
    core_.on_datagram(now(), from, bytes, out_);
    core_.check_invariants();
    return sent<Answer>();
  }
  template <typename Answer>
  std::vector<Answer> wait(Duration time) {
    out_.clear();
    for (const Duration end = time_ + time; time_ < end; time_ += milliseconds(10)) {
      core_.on_time(now(), out_);
      core_.check_invariants();
    }
    return sent<Answer>();
  }

 private:
  template <typename Answer>
  std::vector<Answer> sent() {
    std::vector<Answer> out;
    for (const auto& one : out_.sends()) {
      const auto read = decode(out_.bytes(one), size_);
      const Answer* const answer = std::get_if<Answer>(&*read);
      if (!answer || (only_ && !only_->contains(one.to))) continue;
      out.push_back(*answer);
    }
    return out;
  }

  std::uint32_t size_;
  std::optional<IndexRange> only_;
  Peer core_;
  Duration time_{};
  Effects out_;
};

struct Draw {
  Period period;
  std::uint32_t attempt = 0;
};

/// For what `peer` is drawn in those periods, the farthest from `from` first.
std::vector<Draw> drawn(const Rules& rules, PeerIndex peer, Period from, std::uint64_t nearest,
                        std::uint64_t farthest) {
  std::vector<Draw> out;
  for (std::uint64_t off = farthest + 1; off-- > nearest;) {
    for (std::uint32_t attempt = kAttemptsMax; attempt-- > 0;) {
      const Period period(from.value + off);
      if (rules.slices.drawn(rules.slices.slice_of(peer), period, attempt) == peer) {
        out.push_back({period, attempt});
      }
    }
  }
  return out;
}

// ---- Neighbours ----

TEST(Neighbours, EachPeerSpeaksToItsSuccessorOnceASecond) {
  World world(options(12));
  std::map<std::uint32_t, int> heard;
  world.watchers.delivered = [&](PeerIndex from, PeerIndex to, ByteView bytes) {
    if (!read<KeepAlive>(world, bytes)) return;
    EXPECT_EQ(to, *world.truth().next_alive(from));
    ++heard[to.value];
  };
  world.run_for(seconds(20));
  ASSERT_EQ(heard.size(), 12U);
  for (const auto& [peer, count] : heard) EXPECT_NEAR(count, 20, 1) << peer;
}

TEST(Neighbours, DeathIsKnownToAllWithinTenSeconds) {
  World world(options(60, 3));
  world.run_for(seconds(10));
  const PeerIndex victim(17);
  world.crash(victim);
  world.run_for(seconds(2));
  EXPECT_EQ(ignorant(world, victim), 59U);  // nobody believes it so early
  world.run_for(seconds(8));
  EXPECT_EQ(ignorant(world, victim), 0U);
}

TEST(Neighbours, OneAccuserIsNotBelieved) {
  World world(options(40));
  world.run_for(seconds(5));
  const PeerIndex victim(9);
  const PeerIndex liar = *world.truth().next_alive(victim);
  const Told dead{{victim, world.truth().state(victim).died()}, std::nullopt};
  for (int round = 0; round < 10; ++round) {
    const Duration wall = kWall + world.now().time_since_epoch();
    const Period period = world.rules().period_at(wall);
    for (std::uint32_t attempt = 0; attempt < kAttemptsMax; ++attempt) {
      const PeerIndex leader = world.rules().slices.drawn(SliceIndex(0), period, attempt);
      if (leader == liar) continue;
      world.send_raw(liar, leader, Announce{Token(1), period, attempt, dead});
    }
    for (std::uint32_t i = 0; i < 40; ++i) {
      if (PeerIndex(i) == liar) continue;
      world.send_raw(liar, PeerIndex(i), Tell{{dead}});
      world.send_raw(liar, PeerIndex(i), Verdict{dead.change});
    }
    world.run_for(seconds(1));
    for (const PeerIndex peer : world.taking_part()) {
      EXPECT_TRUE(world.core(peer)->table().is_alive(victim)) << peer.value;
    }
  }
  // Told of its own death, it took a new life at most; the world knows that one.
  world.run_for(seconds(20));
  EXPECT_EQ(ignorant(world, victim), 0U);
}

TEST(Neighbours, WhoIsNotHeardByItsNeighbourButByOthers_StaysAlive) {
  World world(options(40));
  world.run_for(seconds(5));
  const PeerIndex victim(9);
  const PeerIndex deaf = *world.truth().next_alive(victim);
  const PeerState before = world.truth().state(victim);
  world.is_cut = [&](PeerIndex from, PeerIndex to, ByteView) {
    return from == victim && to == deaf;
  };
  world.run_for(seconds(40));
  EXPECT_EQ(world.truth().state(victim), before);
  EXPECT_EQ(ignorant(world, victim), 0U);
}

TEST(Neighbours, WhoHearsOfItsDeathComesBackInANewLife) {
  World world(options(40));
  world.run_for(seconds(5));
  const PeerIndex victim(9);
  const PeerState before = world.truth().state(victim);
  bool is_mute = true;
  world.is_cut = [&](PeerIndex from, PeerIndex, ByteView) { return is_mute && from == victim; };
  world.run_for(seconds(12));
  is_mute = false;
  world.run_for(seconds(20));
  EXPECT_EQ(world.truth().state(victim), before.returned());
  EXPECT_EQ(ignorant(world, victim), 0U);
}

TEST(Neighbours, WhoLeavesPolitelyIsMissedSooner) {
  World world(options(60, 3));
  world.run_for(seconds(10));
  const PeerIndex victim(17);
  world.leave(victim);
  world.run_for(seconds(1));
  EXPECT_FALSE(world.core(*world.truth().next_alive(victim))->table().is_alive(victim));
  world.run_for(seconds(5));
  EXPECT_EQ(ignorant(world, victim), 0U);
}

// ---- Eager ----

TEST(Eager, EachPeerGetsEachBatchOnce) {
  World world(options(200, 3));
  world.run_for(seconds(10));
  std::map<std::pair<std::uint32_t, std::uint32_t>, int> got;
  world.watchers.delivered = [&](PeerIndex, PeerIndex to, ByteView bytes) {
    if (const auto batch = read<Batch>(world, bytes)) ++got[{to.value, batch->id.value}];
  };
  for (std::uint32_t i = 0; i < 20; i += 2) world.crash(PeerIndex(7 * i));
  world.run_for(seconds(15));
  ASSERT_GT(got.size(), 190U);
  std::size_t again = 0;
  for (const auto& [key, count] : got) again += static_cast<std::size_t>(count - 1);
  EXPECT_LE(again * 50, got.size());  // where an answer took longer than the time-out
}

TEST(Eager, LeaderThatDiesWithWhatItHas_LosesNothing) {
  World world(options(100));
  world.run_for(seconds(10));
  std::set<std::uint32_t> dead;
  world.watchers.delivered = [&](PeerIndex, PeerIndex to, ByteView bytes) {
    const auto announce = read<Announce>(world, bytes);
    if (!announce || announce->event.change.peer != PeerIndex(17) || !dead.empty()) return;
    dead.insert(to.value);
    world.at(milliseconds(200), [&world, to] { world.crash(to); });
  };
  world.crash(PeerIndex(17));
  world.run_for(seconds(25));
  ASSERT_EQ(dead.size(), 1U);
  EXPECT_EQ(ignorant(world, PeerIndex(17)), 0U);
  EXPECT_EQ(ignorant(world, PeerIndex(*dead.begin())), 0U);
}

/// Of itself; all believe that.
Told returned(const World& world, PeerIndex peer) {
  return {{peer, world.truth().state(peer).returned()}, std::nullopt};
}

TEST(Eager, RefusedAnnouncementsTakeNoPlace) {
  const World world(options(24));
  const PeerIndex victim(12);
  PeerIndex liar(13);
  while (may_accuse(world.truth(), liar, {victim, world.truth().state(victim)})) liar = liar.next();
  Single leader(world, PeerIndex(3));
  const auto places = drawn(world.rules(), PeerIndex(3), leader.period(), 0, kPeriodsOff);
  ASSERT_GT(places.size(), kDutiesMax + 1);
  const Told dead{{victim, world.truth().state(victim).died()}, std::nullopt};
  // All but the farthest, so that a place would be the farthest's only if it were free.
  for (std::size_t i = 1; i < places.size(); ++i) {
    leader.hear<Announced>(liar, Announce{Token(1), places[i].period, places[i].attempt, dead});
  }
  EXPECT_FALSE(leader.core().is_leading());
  EXPECT_EQ(leader.core().rejected_count(), places.size() - 1);
  const auto answers = leader.hear<Announced>(
      PeerIndex(7),
      Announce{Token(2), places[0].period, places[0].attempt, returned(world, PeerIndex(7))});
  EXPECT_EQ(answers, (std::vector<Announced>{{Token(2), false}}));
}

TEST(Eager, PeriodsFarFromNowAreRefused) {
  const World world(options(40));
  Single leader(world, PeerIndex(3));
  const Period now = leader.period();
  for (const Draw& far : drawn(world.rules(), PeerIndex(3), now, kPeriodsOff + 1, 200)) {
    leader.hear<Announced>(
        PeerIndex(7), Announce{Token(1), far.period, far.attempt, returned(world, PeerIndex(7))});
  }
  EXPECT_FALSE(leader.core().is_leading());
}

TEST(Eager, WhenItLeadsManyPeriods_TheFarthestGivesWay) {
  const World world(options(24));
  Single leader(world, PeerIndex(3));
  const auto places = drawn(world.rules(), PeerIndex(3), leader.period(), 0, kPeriodsOff);
  ASSERT_GT(places.size(), kDutiesMax + 2);
  // Each of them is nearer than all before it.
  for (const Draw& one : places) {
    const auto answers = leader.hear<Announced>(
        PeerIndex(7), Announce{Token(1), one.period, one.attempt, returned(world, PeerIndex(7))});
    EXPECT_EQ(answers.size(), 1U);
  }
  const auto answers = leader.hear<Announced>(
      PeerIndex(8),
      Announce{Token(1), places[0].period, places[0].attempt, returned(world, PeerIndex(8))});
  EXPECT_TRUE(answers.empty());
}

TEST(Eager, LeaderThatAloneHasSeenADeath_TellsTheNextLeader) {
  const World world(options(40));
  // The predecessor is missed after 10 s, and its death announced for the period of 2.4 s later.
  const Period period = world.rules().period_at(kWall + milliseconds(12'400));
  const SliceIndex slice(0);
  const PeerIndex self = world.rules().slices.drawn(slice, period, 0);
  ASSERT_NE(world.rules().slices.drawn(slice, period.next(), 0), self);
  const PeerIndex victim = *world.truth().previous_alive(self);
  const Change accused{victim, world.truth().state(victim)};
  const Change dead{victim, accused.state.died()};
  Single leader(world, self);
  EXPECT_TRUE(leader.wait<Announce>(seconds(11)).empty());
  const PeerIndex first = *witness(world.truth(), accused, 0);
  leader.hear<Announce>(first != self ? first : *witness(world.truth(), accused, 1), Verdict{dead});
  EXPECT_TRUE(leader.wait<Announce>(seconds(1)).empty());  // it leads itself
  EXPECT_TRUE(leader.core().is_leading());
  EXPECT_TRUE(leader.wait<Batch>(seconds(3)).empty());  // one accuser is not enough
  const auto said = leader.wait<Announce>(milliseconds(1500));
  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(said[0].period, period.next());
  EXPECT_EQ(said[0].event.change, dead);
}

TEST(Eager, WhereNobodyDrawnIsAlive_TheNextPeriodsLeadersAreAsked) {
  const World world(options(100, 2));
  const Slices& slices = world.rules().slices;
  const PeerIndex self(5);
  const SliceIndex other(1 - slices.slice_of(self).value);
  Single announcer(world, self);
  const Period first = announcer.period();
  for (std::uint32_t attempt = 0; attempt < kAttemptsMax; ++attempt) {
    const PeerIndex one = slices.drawn(other, first, attempt);
    announcer.hear<Ping>(one, Tell{{{{one, world.truth().state(one).died()}, std::nullopt}}});
  }
  // It is told of its own death, and says that it lives.
  const Change death{self, world.truth().state(self).died()};
  announcer.hear<Announce>(PeerIndex(6), Tell{{{death, std::nullopt}}});
  announcer.look_at(slices.peers(other));
  std::set<Period> asked;
  for (const Announce& one : announcer.wait<Announce>(seconds(12))) asked.insert(one.period);
  EXPECT_FALSE(asked.contains(first));
  EXPECT_TRUE(asked.contains(first.next()));
}

TEST(Eager, WitnessThatIsGivenAFarPeriod_AnnouncesForTheOneOfItsClock) {
  const World world(options(40));
  const PeerIndex victim(9);
  const Change accused{victim, world.truth().state(victim)};
  const PeerIndex self = *witness(world.truth(), accused, 0);
  const PeerIndex accuser = *world.truth().next_alive(victim);
  ASSERT_NE(self, accuser);
  Single one(world, self);
  one.hear<Ping>(accuser, Suspect{accused, Period(7)});
  const Period period = one.period();
  // Two pings and the time for an answer.
  const auto said = one.wait<Announce>(milliseconds(1800));
  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(said[0].period, period);
}

TEST(Eager, WhoLeavesWhileItLeads_TellsTheNextOneDrawn) {
  World world(options(60));
  world.run_for(seconds(10));
  const Period period = world.rules().period_at(kWall + world.now().time_since_epoch());
  const PeerIndex victim = world.rules().slices.drawn(SliceIndex(0), period, 0);
  world.leave(victim);
  world.run_for(seconds(7));
  EXPECT_EQ(ignorant(world, victim), 0U);
}

TEST(Eager, MissedBatchIsPulledFromThePredecessor) {
  World world(options(50));
  world.run_for(seconds(10));
  const PeerIndex deaf(20);
  const PeerIndex neighbour(19);
  std::size_t pulls = 0;
  world.watchers.delivered = [&](PeerIndex from, PeerIndex to, ByteView bytes) {
    // Others may pull what it did not pass on.
    if (from != deaf || !read<Pull>(world, bytes)) return;
    EXPECT_EQ(to, neighbour);
    ++pulls;
  };
  // Of batches only what it asks for gets through, and of tables nothing.
  world.is_cut = [&](PeerIndex, PeerIndex to, ByteView bytes) {
    if (to != deaf) return false;
    return read<States>(world, bytes) || (read<Batch>(world, bytes) && pulls == 0);
  };
  world.crash(PeerIndex(3));
  world.run_for(seconds(30));
  EXPECT_GE(pulls, 1U);
  EXPECT_LE(pulls, 2U);  // the next keep-alive may come before the answer
  EXPECT_EQ(ignorant(world, PeerIndex(3)), 0U);
}

TEST(Eager, FirstOfASliceHasNobodyToPullFrom_SoItAnswers) {
  World world(options(60, 3));
  world.run_for(seconds(10));
  const PeerIndex first(world.rules().slices.peers(SliceIndex(1)).first);
  std::map<std::uint32_t, int> lost;
  std::map<std::uint32_t, int> got;
  world.is_cut = [&](PeerIndex, PeerIndex to, ByteView bytes) {
    const auto batch = read<Batch>(world, bytes);
    return to == first && batch && ++lost[batch->id.value] == 1;
  };
  world.watchers.delivered = [&](PeerIndex, PeerIndex to, ByteView bytes) {
    if (const auto batch = read<Batch>(world, bytes); batch && to == first) ++got[batch->id.value];
  };
  world.crash(PeerIndex(3));
  world.run_for(seconds(12));
  ASSERT_FALSE(lost.empty());
  for (const auto& [id, count] : lost) EXPECT_GE(got[id], 1) << id;
}

TEST(Eager, PartOfTheSliceIsPassedOn_ThoughTheBatchCameBeforeWithoutOne) {
  const World world(options(40));
  Single one(world, PeerIndex(20));
  const PeerIndex victim(3);
  const Change dead{victim, world.truth().state(victim).died()};
  Batch batch{.id = {1}, .range = {}, .events = coded({&dead, 1}, {}), .coded = {}};
  EXPECT_TRUE(one.hear<Batch>(PeerIndex(9), batch).empty());
  batch.range = {16, 32};
  EXPECT_FALSE(one.hear<Batch>(PeerIndex(8), batch).empty());
  EXPECT_TRUE(one.hear<Batch>(PeerIndex(7), batch).empty());  // once
}

TEST(Eager, ManyDeathsAtOnceFitIntoDatagrams) {
  WorldOptions many = options(3000, 1);
  World world(many);
  world.run_for(seconds(5));
  std::size_t largest = 0;
  world.watchers.delivered = [&](PeerIndex, PeerIndex, ByteView bytes) {
    largest = std::max(largest, bytes.size());
  };
  for (std::uint32_t i = 0; i < 3000; i += 3) world.crash(PeerIndex(i));
  world.run_for(seconds(40));
  EXPECT_LE(largest, kPayloadMax);
  std::size_t wrong = 0;
  for (std::uint32_t i = 0; i < 3000; i += 3) wrong += ignorant(world, PeerIndex(i));
  EXPECT_LE(wrong * 1000, 1000U * world.taking_part().size());
}

// ---- Classic ----

TEST(Classic, EventsAreThereWithinTheTimesOfTheTalk) {
  World world(classic_options(300, 4, 3));  // units of 25
  world.run_for(seconds(30));
  const PeerIndex victim(150);
  world.crash(victim);
  world.run_for(seconds(4));
  // Its own slice may know; the others wait for the exchange.
  EXPECT_GT(ignorant(world, victim), 150U);
  world.run_for(seconds(46));
  EXPECT_EQ(ignorant(world, victim), 0U);
}

TEST(Classic, EventsStayInTheUnit) {
  World world(classic_options(200, 2, 3));
  world.run_for(seconds(5));
  world.watchers.delivered = [&](PeerIndex from, PeerIndex to, ByteView bytes) {
    const auto message = read<KeepAlive>(world, bytes);
    if (!message || message->events.events.empty()) return;
    EXPECT_EQ(world.rules().slices.unit_of(from), world.rules().slices.unit_of(to));
  };
  world.crash(PeerIndex(100));
  world.run_for(seconds(60));
  EXPECT_EQ(ignorant(world, PeerIndex(100)), 0U);
}

// ---- Repair ----

KeepAlive keep_alive(const World& world, PeerIndex from) {
  return {.low_bits = world.truth().state(from).rank & kLowMask,
          .compared = std::nullopt,
          .batches = {},
          .token = {},
          .events = {}};
}

TEST(Repair, DeathThatANeighbourKnew_IsSpokenOfToTheNext) {
  const World world(options(2000));
  const PeerIndex self(700);
  const PeerIndex victim(1500);
  Single one(world, self);
  const std::uint32_t bucket = bucket_of(victim);
  States told{.token = {},
              .purpose = States::Purpose::kCompared,
              .next = bucket + 1,
              .buckets = {bucket},
              .states = {},
              .moved = {}};
  const IndexRange peers = peers_of_bucket(bucket, 2000);
  for (std::uint32_t i = peers.first; i < peers.end; ++i) {
    const PeerState state = world.truth().state(PeerIndex(i));
    told.states.push_back(PeerIndex(i) == victim ? state.died() : state);
  }
  one.hear<Ping>(PeerIndex(699), told);
  one.wait<Ping>(milliseconds(1500));
  ASSERT_TRUE(one.core().table().is_alive(victim));  // it is pinged first
  const auto said = one.wait<KeepAlive>(milliseconds(1150));
  ASSERT_FALSE(one.core().table().is_alive(victim));
  ASSERT_FALSE(said.empty());
  ASSERT_TRUE(said.back().compared);
  EXPECT_EQ(said.back().compared->region, region_of(bucket, bucket_count(2000)));
}

TEST(Repair, RegionThatDifferedWhileABatchWasOnItsWay_IsComparedAfterIt) {
  const World world(options(2000));
  const PeerIndex before(699);
  const PeerIndex victim(1500);
  const Change dead{victim, world.truth().state(victim).died()};
  const std::uint32_t region = region_of(bucket_of(victim), bucket_count(2000));
  Table newer = world.truth();
  newer.merge(dead);
  const std::uint32_t digests[] = {newer.region_digest(region) & kDigestMask, 123};
  for (const std::uint32_t digest : digests) {
    Single one(world, before.next());
    one.hear<Batch>(
        before,
        Batch{.id = {1},
              .range = {},
              .events =
                  coded(std::vector<Change>{{PeerIndex(3), world.truth().state(PeerIndex(3))}}, {}),
              .coded = {}});
    KeepAlive said = keep_alive(world, before);
    said.compared = RegionDigest{region, digest};
    EXPECT_TRUE(one.hear<Digests>(before, said).empty());
    one.hear<Batch>(before,
                    Batch{.id = {2}, .range = {}, .events = coded({&dead, 1}, {}), .coded = {}});
    one.wait<Digests>(milliseconds(1200));
    const auto questions = one.hear<Digests>(before, keep_alive(world, before));
    EXPECT_EQ(questions.size(), digest == 123 ? 1U : 0U);
  }
}

// ---- Joining ----

/// Bytes of tables that were fetched until it takes part.
std::uint64_t join_bytes(World& world, PeerIndex peer) {
  world.begin_measuring();
  world.revive(peer);
  world.run_for(seconds(10));
  EXPECT_TRUE(world.is_taking_part(peer));
  return world.sums().bytes[static_cast<std::size_t>(Traffic::kJoin)];
}

TEST(Joining, WhoReturnsFetchesOnlyWhatHasChanged) {
  std::uint64_t whole = 0;
  std::uint64_t difference = 0;
  for (const bool keeps : {false, true}) {
    WorldOptions some = options(4000);
    some.keeps_old_table = keeps;
    World world(some);
    world.run_for(seconds(5));
    world.crash(PeerIndex(5));
    world.crash(PeerIndex(2500));
    world.run_for(seconds(20));
    (keeps ? difference : whole) = join_bytes(world, PeerIndex(5));
    world.run_for(seconds(20));
    EXPECT_EQ(ignorant(world, PeerIndex(5)), 0U);
    EXPECT_EQ(world.stale_count(PeerIndex(5), seconds(15)), 0U);
  }
  EXPECT_LT(difference * 3, whole);
}

/// A peer that returns to a ring of 100 with an empty table, and its pieces of two buckets each.
class Returning {
 public:
  Returning()
      : world_(options(100, 2)),
        core_(make_rules(world_), kSelf,
              Table(world_.truth().shared_roster(),
                    std::make_shared<const Snapshot>(std::vector<PeerState>(100))),
              1) {
    core_.join(now(), kContact, std::nullopt, out_);
    take_questions();
  }

  static constexpr PeerIndex kSelf{5};
  static constexpr PeerIndex kContact{90};

  const World& world() const { return world_; }
  Peer& core() { return core_; }
  const std::vector<Fetch>& questions() const { return questions_; }
  PeerIndex asked() const { return asked_; }
  void hear(PeerIndex from, const Datagram& datagram) {
    Bytes bytes;
    encode(datagram, bytes);
    core_.on_datagram(now(), from, bytes, out_);
    take_questions();
  }
  void wait(Duration time) {
    time_ += time;
    core_.on_time(now(), out_);
    take_questions();
  }
  /// What the truth says, whole.
  States answer(const Fetch& question) const {
    States out{.token = question.token,
               .purpose = States::Purpose::kFetched,
               .next = question.first + question.count,
               .buckets = {},
               .states = {},
               .moved = {}};
    for (std::uint32_t b = question.first; b < out.next; ++b) {
      out.buckets.push_back(b);
      const IndexRange peers = peers_of_bucket(b, 100);
      for (std::uint32_t i = peers.first; i < peers.end; ++i) {
        out.states.push_back(world_.truth().state(PeerIndex(i)));
      }
    }
    return out;
  }
  Batch batch(std::uint32_t name, const Change& change) const {
    return {.id = {name}, .range = {}, .events = coded({&change, 1}, {}), .coded = {}};
  }

 private:
  static std::shared_ptr<const Rules> make_rules(const World& world) {
    Rules out = world.rules();
    out.settings.fetch_buckets = 2;
    return std::make_shared<const Rules>(out);
  }
  Now now() const { return {Instant{} + time_, kWall + time_}; }
  void take_questions() {
    for (const auto& one : out_.sends()) {
      const auto read = decode(out_.bytes(one), 100);
      if (const Fetch* const fetch = std::get_if<Fetch>(&*read)) {
        questions_.push_back(*fetch);
        asked_ = one.to;
      }
    }
    out_.clear();
  }

  World world_;
  Peer core_;
  Duration time_{};
  Effects out_;
  std::vector<Fetch> questions_;
  PeerIndex asked_;
};

TEST(Joining, WhatSpreadsWhileThePiecesAreOnTheirWay_IsTaken) {
  Returning one;
  ASSERT_EQ(one.questions().size(), 2U);
  one.hear(Returning::kContact, one.answer(one.questions()[0]));
  const PeerIndex victim(7);
  const Change dead{victim, one.world().truth().state(victim).died()};
  one.hear(Returning::kContact, one.batch(1, dead));
  const PeerIndex spared(8);
  one.hear(PeerIndex(40), one.batch(2, {spared, one.world().truth().state(spared).died()}));
  ASSERT_TRUE(one.core().is_joining());
  one.hear(Returning::kContact, one.answer(one.questions()[1]));
  ASSERT_FALSE(one.core().is_joining());
  EXPECT_EQ(one.core().table().state(victim), dead.state);
  // Whom it asked nothing copies nothing.
  EXPECT_TRUE(one.core().table().is_alive(spared));
}

TEST(Joining, AnswerOfAnEarlierContactIsAsGood_OfAStrangerItIsNot) {
  Returning one;
  const std::vector<Fetch> first = one.questions();
  one.hear(PeerIndex(40), one.answer(first[0]));
  one.hear(PeerIndex(40), one.answer(first[1]));
  EXPECT_TRUE(one.core().is_joining());
  one.hear(Returning::kContact, one.answer(first[0]));
  // Two tries in vain, and the third goes to another.
  for (int i = 0; i < 2; ++i) one.wait(seconds(1));
  ASSERT_NE(one.asked(), Returning::kContact);
  one.hear(Returning::kContact, one.answer(first[1]));
  EXPECT_FALSE(one.core().is_joining());
}

TEST(Joining, BatchOfAnotherSliceIsNewWhateverItIsCalled) {
  const World world(options(100, 2));
  Single one(world, PeerIndex(5));
  const auto batch = [&](PeerIndex victim) {
    const Change dead{victim, world.truth().state(victim).died()};
    return Batch{.id = {1}, .range = {}, .events = coded({&dead, 1}, {}), .coded = {}};
  };
  one.hear<Batch>(PeerIndex(6), batch(PeerIndex(20)));
  one.hear<Batch>(PeerIndex(90), batch(PeerIndex(21)));
  EXPECT_FALSE(one.core().table().is_alive(PeerIndex(20)));
  EXPECT_FALSE(one.core().table().is_alive(PeerIndex(21)));
}

TEST(Joining, ContactThatDiesIsReplaced) {
  World world(options(500));
  world.run_for(seconds(5));
  world.crash(PeerIndex(5));
  world.run_for(seconds(15));
  std::optional<PeerIndex> contact;
  world.watchers.delivered = [&](PeerIndex from, PeerIndex to, ByteView bytes) {
    if (from != PeerIndex(5) || !read<Fetch>(world, bytes) || contact) return;
    contact = to;
    world.at(milliseconds(1), [&world, to] { world.crash(to); });
  };
  world.revive(PeerIndex(5));
  world.run_for(seconds(25));
  ASSERT_TRUE(contact);
  EXPECT_TRUE(world.is_taking_part(PeerIndex(5)));
  EXPECT_EQ(ignorant(world, PeerIndex(5)), 0U);
}

// ---- Lookups ----

TEST(Lookups, OneHopWhereTheTableIsRight) {
  World world(options(100));
  world.run_for(seconds(5));
  std::size_t ended = 0;
  world.watchers.looked_up = [&](const World::EndedLookup& one) {
    ++ended;
    EXPECT_TRUE(one.is_right);
    EXPECT_EQ(one.done.hops, 1U);
  };
  Random random(1);
  for (int i = 0; i < 200; ++i) world.lookup(PeerIndex(3), random.next());
  world.run_for(seconds(5));
  EXPECT_GT(ended, 190U);
}

TEST(Lookups, OfWhoHasJustDiedGoesOnToTheNext_OfWhoHasJustComeIsRedirected) {
  World world(options(100));
  world.run_for(seconds(5));
  LookupDone last;
  bool is_last_right = false;
  world.watchers.looked_up = [&](const World::EndedLookup& one) {
    last = one.done;
    is_last_right = one.is_right;
  };
  const PeerIndex peer(50);
  const Point key = world.truth().roster().at(peer);
  world.crash(peer);
  world.lookup(PeerIndex(3), key);
  world.run_for(seconds(10));
  EXPECT_TRUE(last.is_found);
  EXPECT_EQ(last.hops, 2U);
  EXPECT_EQ(last.owner, *world.truth().next_alive(peer));

  world.run_for(seconds(10));
  world.revive(peer);
  while (!world.is_taking_part(peer)) world.run_for(milliseconds(50));
  // Its successor knows it, and one that is far away does not.
  world.run_for(milliseconds(700));
  ASSERT_FALSE(world.core(PeerIndex(3))->table().is_alive(peer));
  world.lookup(PeerIndex(3), key);
  world.run_for(seconds(3));
  EXPECT_TRUE(is_last_right);
  EXPECT_EQ(last.hops, 2U);
  EXPECT_EQ(last.waits, 0U);
  EXPECT_EQ(last.owner, peer);
}

// ---- Bad input ----

TEST(BadInput, GarbageAndUnknownSendersAreCounted) {
  World world(options(10));
  const Peer& somebody = *world.core(PeerIndex(1));
  Peer core(std::make_shared<const Rules>(world.rules()), PeerIndex(1), somebody.table(), 1);
  Effects out;
  core.start({Instant{}, seconds(5)}, out);
  out.clear();
  core.on_datagram({Instant{}, seconds(5)}, PeerIndex(2), Bytes{1, 2, 3}, out);
  Bytes ping;
  encode(Ping{Token(1)}, ping);
  core.on_datagram({Instant{}, seconds(5)}, PeerIndex(99), ping, out);
  core.on_datagram({Instant{}, seconds(5)}, PeerIndex(1), ping, out);
  EXPECT_EQ(core.rejected_count(), 3U);
  EXPECT_TRUE(out.sends().empty());
  core.on_datagram({Instant{}, seconds(5)}, PeerIndex(2), ping, out);
  EXPECT_EQ(out.sends().size(), 1U);
}

TEST(BadInput, IncarnationsThatJumpAreNotTaken) {
  World world(options(10));
  world.run_for(seconds(3));
  const PeerIndex liar(2);
  const PeerState before = world.truth().state(PeerIndex(5));
  for (std::uint32_t i = 0; i < 10; ++i) {
    if (PeerIndex(i) == liar) continue;
    world.send_raw(liar, PeerIndex(i),
                   Tell{{Told{{PeerIndex(5), PeerState::alive(500'000)}, std::nullopt}}});
  }
  world.run_for(seconds(3));
  for (const PeerIndex peer : world.taking_part()) {
    EXPECT_EQ(world.core(peer)->table().state(PeerIndex(5)), before);
  }
}

TEST(BadInput, ClockThatJumpsForwardByYearsDoesNotLoop) {
  World world(options(10));
  Peer core(std::make_shared<const Rules>(world.rules()), PeerIndex(1),
            world.core(PeerIndex(1))->table(), 1);
  Effects out;
  core.start({Instant{}, seconds(5)}, out);
  for (int years = 1; years < 30; ++years) {
    const Duration time = years * std::chrono::hours(24 * 365);
    out.clear();
    core.on_time({Instant{} + time, seconds(5) + time}, out);
    EXPECT_LE(out.sends().size(), 10U);
    core.check_invariants();
  }
}

// ---- The simulator ----

TEST(World, SameSeedSameTrace) {
  std::uint64_t traces[2] = {};
  for (std::uint64_t& trace : traces) {
    WorldOptions some = options(80, 2);
    some.loss_per_mille = 30;
    World world(some);
    for (std::uint32_t i = 0; i < 10; ++i) {
      world.at(seconds(i), [&world, i] { world.crash(PeerIndex(i * 7)); });
      world.at(seconds(i + 15), [&world, i] { world.revive(PeerIndex(i * 7)); });
    }
    world.run_for(seconds(40));
    trace = world.trace();
  }
  EXPECT_EQ(traces[0], traces[1]);
}

TEST(Swarm, WithOneFaultLess_TheOthersHitTheSamePeers) {
  sim::Plan plan = sim::make_plan("mixed", 7);
  const auto crashes = [](const sim::Plan& of) {
    std::vector<std::string> out;
    for (std::string line : sim::run_plan(of, 1000).story) {
      line = line.substr(line.find(": ") + 2);
      if (line.ends_with(" crashes") || line.ends_with(" leaves")) out.push_back(line);
    }
    return out;
  };
  const std::vector<std::string> all = crashes(plan);
  std::ranges::sort(plan.faults, {}, &sim::Fault::at);
  plan.faults.erase(plan.faults.begin());
  const std::vector<std::string> others = crashes(plan);
  ASSERT_GT(all.size(), 4U);
  EXPECT_EQ(others, std::vector<std::string>(all.begin() + 1, all.end()));
}

TEST(World, KnowsWhoseAKeyWas) {
  World world(options(20));
  world.run_for(seconds(5));
  const PeerIndex owner(7);
  const PeerIndex next(8);
  const Point key = world.truth().roster().at(owner);
  EXPECT_TRUE(world.was_owner(owner, key, world.now()));
  EXPECT_FALSE(world.was_owner(next, key, world.now()));
  EXPECT_FALSE(world.was_owner(PeerIndex(6), key, world.now()));
  world.crash(owner);
  const Instant then = world.now();
  world.run_for(seconds(1));
  EXPECT_TRUE(world.was_owner(next, key, world.now()));
  EXPECT_TRUE(world.was_owner(owner, key, then));
  EXPECT_FALSE(world.was_owner(owner, key, world.now()));
  EXPECT_FALSE(world.was_owner(PeerIndex(9), key, then));
}

TEST(World, LookupsThatNeverEndAreCounted_ButNotOfWhoHasGone) {
  World world(options(20));
  world.run_for(seconds(5));
  const Instant begin = world.now();
  world.lookup(PeerIndex(3), world.truth().roster().at(PeerIndex(9)));
  EXPECT_EQ(world.lost_lookups(begin, world.now() + seconds(1)), 1U);
  EXPECT_EQ(world.lost_lookups(begin, begin), 0U);
  world.crash(PeerIndex(3));
  EXPECT_EQ(world.lost_lookups(begin, world.now() + seconds(1)), 0U);
}

TEST(World, TraceTellsWhatWasSent) {
  std::set<std::uint64_t> traces;
  for (const int token : {1, 2}) {
    World world(options(10));
    world.is_cut = [](PeerIndex, PeerIndex, ByteView) { return true; };
    world.send_raw(PeerIndex(1), PeerIndex(2), Pong{Token(static_cast<std::uint16_t>(token)), 3});
    world.run_for(seconds(1));
    traces.insert(world.trace());
  }
  EXPECT_EQ(traces.size(), 2U);
}

TEST(EventWheel, PopsInOrderOfTimeThenNumber) {
  Random random(3);
  sim::EventWheel<int> wheel;
  std::multimap<Instant, int> expected;
  Instant now{};
  for (int i = 0; i < 20'000; ++i) {
    const Instant time = now + milliseconds(random.below(i % 10 == 0 ? 20'000 : 300));
    wheel.push(time, i);
    expected.emplace(time, i);
    if (random.chance(1, 2)) {
      const Instant limit = now + milliseconds(random.below(50));
      Instant when;
      int item = 0;
      while (wheel.pop(limit, when, item)) {
        ASSERT_EQ(when, expected.begin()->first);
        ASSERT_EQ(item, expected.begin()->second);
        expected.erase(expected.begin());
        now = when;
      }
      ASSERT_TRUE(expected.empty() || expected.begin()->first > limit);
      now = limit;
    }
  }
  EXPECT_EQ(wheel.size(), expected.size());
}

// ---- Partitions ----

TEST(Partition, AfterwardsBothSidesKnowEachOther) {
  World world(options(48));
  world.run_for(seconds(5));
  const auto far_dead = [&] {
    std::size_t out = 0;
    for (std::uint32_t i = 0; i < 48; ++i) {
      for (std::uint32_t j = 0; j < 48; ++j) {
        out += world.core(PeerIndex(i))->table().is_alive(PeerIndex(j)) ? 0U : 1U;
      }
    }
    return out;
  };
  world.is_cut = [](PeerIndex from, PeerIndex to, ByteView) {
    return (from.value % 3 == 0) != (to.value % 3 == 0);
  };
  world.run_for(seconds(120));
  EXPECT_EQ(far_dead(), 2U * 16U * 32U);
  world.is_cut = {};
  world.run_for(seconds(90));
  EXPECT_EQ(far_dead(), 0U);
}

TEST(Partition, WhoIsAloneGreetsToo) {
  World world(options(12));
  world.run_for(seconds(5));
  const PeerIndex alone(5);
  world.is_cut = [&](PeerIndex from, PeerIndex to, ByteView) {
    return from == alone || to == alone;
  };
  world.run_for(seconds(120));
  EXPECT_FALSE(world.core(PeerIndex(0))->table().is_alive(alone));
  world.is_cut = {};
  world.run_for(seconds(90));
  EXPECT_EQ(world.core(alone)->table().alive_count(), 12U);
  EXPECT_EQ(ignorant(world, alone), 0U);
}

}  // namespace
}  // namespace rosebud::routing
