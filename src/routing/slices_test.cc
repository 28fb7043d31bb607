// Slices, leaders, and who may accuse, against the words of the rules.
#include "routing/slices.h"

#include <gtest/gtest.h>

#include <set>

#include "base/random.h"
#include "routing/accusers.h"
#include "routing/test_roster.h"

namespace rosebud::routing {
namespace {

Table random_table(Random& random, const std::shared_ptr<const Roster>& roster) {
  std::vector<PeerState> states;
  for (std::uint32_t i = 0; i < roster->size(); ++i) {
    states.push_back({static_cast<std::uint32_t>(random.between(1, 9))});
  }
  return {roster, std::make_shared<const Snapshot>(std::move(states))};
}

/// [Gupta04]: successor of the midpoint, predecessor if that lies outside.
std::optional<PeerIndex> dumb_leader(const Table& table, long double from, long double to) {
  const long double middle = (from + to) / 2;
  std::optional<PeerIndex> before;
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    const auto at = static_cast<long double>(table.roster().at(PeerIndex(i)));
    if (!table.is_alive(PeerIndex(i)) || at < from || at >= to) continue;
    if (at >= middle) return PeerIndex(i);
    before = PeerIndex(i);
  }
  return before;
}

class RandomSlices : public testing::TestWithParam<int> {};

TEST_P(RandomSlices, SlicesAndUnitsPartThePeers_AndLeadersAreByTheRule) {
  Random random(static_cast<std::uint64_t>(GetParam()));
  const auto roster = random_roster(random, static_cast<std::uint32_t>(random.between(1, 200)));
  const Table table = random_table(random, roster);
  const auto count = static_cast<std::uint32_t>(random.between(1, 12));
  const auto units = static_cast<std::uint32_t>(2 * random.below(4) + 1);
  const Slices slices(roster, count, units);
  const long double ring = 18446744073709551616.0L;
  std::uint32_t next = 0;
  for (std::uint32_t s = 0; s < count; ++s) {
    const IndexRange peers = slices.peers(SliceIndex(s));
    EXPECT_EQ(peers.first, next);
    next = peers.end;
    for (std::uint32_t i = peers.first; i < peers.end; ++i) {
      EXPECT_EQ(slices.slice_of(PeerIndex(i)).value, s);
      EXPECT_EQ(slices.unit_of(PeerIndex(i)).value / units, s);
    }
    const auto leader = slices.leader(table, SliceIndex(s));
    EXPECT_EQ(leader, dumb_leader(table, ring * s / count, ring * (s + 1) / count));
    // Units are odd, so that the middle one has the slice's midpoint for its own.
    if (const auto middle = slices.leader(table, UnitIndex(s * units + units / 2))) {
      const auto at = static_cast<long double>(roster->at(*middle));
      if (at >= ring * (2 * s + 1) / (2 * count)) {
        EXPECT_EQ(middle, leader);
      }
    }
  }
  EXPECT_EQ(next, roster->size());
}

TEST_P(RandomSlices, DrawnLeadersAreOfTheSlice) {
  Random random(static_cast<std::uint64_t>(GetParam()));
  const auto roster = random_roster(random, 120);
  const Slices slices(roster, 5, 1);
  std::set<PeerIndex> all;
  for (std::uint64_t period = 0; period < 200; ++period) {
    for (std::uint32_t s = 0; s < 5; ++s) {
      const PeerIndex one = slices.drawn(SliceIndex(s), Period(period), 0);
      EXPECT_EQ(slices.slice_of(one), SliceIndex(s));
      all.insert(one);
    }
  }
  EXPECT_GT(all.size(), 100U);  // nobody is spared
}

TEST_P(RandomSlices, WitnessesMayAccuse_AndSoMayThoseBehind) {
  Random random(static_cast<std::uint64_t>(GetParam()));
  const auto roster = random_roster(random, static_cast<std::uint32_t>(random.between(4, 120)));
  const Table table = random_table(random, roster);
  if (table.alive_count() < 3) return;
  const PeerIndex victim = *table.next_alive(PeerIndex(0));
  const Change accused{victim, table.state(victim)};
  for (std::uint32_t number = 0; number < kWitnesses; ++number) {
    for (std::uint32_t skipped = 0; skipped < kWitnessSlack; ++skipped) {
      const auto one = witness(table, accused, number, skipped);
      ASSERT_TRUE(one);
      EXPECT_NE(*one, victim);
      EXPECT_TRUE(table.is_alive(*one));
      EXPECT_TRUE(may_accuse(table, *one, accused));
    }
  }
  EXPECT_TRUE(may_accuse(table, *table.next_alive(victim), accused));
  std::uint32_t may = 0;
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    if (table.is_alive(PeerIndex(i)) && may_accuse(table, PeerIndex(i), accused)) ++may;
  }
  EXPECT_LE(may, 1 + kAccusersBehind + kWitnesses * (kWitnessSlack + 1));
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomSlices, testing::Range(1, 31));

TEST(Accusers, AnotherLifeHasOtherWitnesses) {
  Random random(5);
  const auto roster = random_roster(random, 1000);
  const Table table(
      roster, std::make_shared<const Snapshot>(std::vector<PeerState>(1000, PeerState::alive(1))));
  std::set<PeerIndex> all;
  for (std::uint32_t life = 1; life <= 50; ++life) {
    all.insert(*witness(table, {PeerIndex(7), PeerState::alive(life)}, 0));
  }
  EXPECT_GT(all.size(), 40U);
}

TEST(Draw, EveryoneAliveIsDrawnAboutEquallyOften) {
  Random random(6);
  const auto roster = random_roster(random, 64);
  std::vector<PeerState> states(64, PeerState{3});
  for (std::uint32_t i = 0; i < 64; i += 4) states[i] = {2};  // behind gaps of three
  states[1] = {2};                                            // and one behind none
  const Table table(roster, std::make_shared<const Snapshot>(states));
  std::vector<int> drawn(64);
  for (std::uint64_t seed = 0; seed < 17'000; ++seed) {
    ++drawn[draw_alive(table, {0, 64}, mix(seed))->value];
  }
  for (std::uint32_t i = 0; i < 64; ++i) {
    if (states[i].is_alive()) {
      EXPECT_NEAR(drawn[i], 1000, 200) << i;
    } else {
      EXPECT_EQ(drawn[i], 0) << i;
    }
  }
  EXPECT_FALSE(draw_alive(table, {2, 4}, 1));
  EXPECT_FALSE(draw_alive(table, {2, 2}, 1));
}

}  // namespace
}  // namespace rosebud::routing
