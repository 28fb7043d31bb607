// The table against a dumb one that forgets nothing and shares nothing.
#include "routing/table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/random.h"
#include "routing/test_roster.h"

namespace rosebud::routing {
namespace {

/// A state for each peer, walked one by one.
struct DumbTable {
  std::vector<PeerState> states;
  std::vector<Point> at;

  void merge(const Change& one) {
    states[one.peer.value] = std::max(states[one.peer.value], one.state);
  }
  std::optional<PeerIndex> step(PeerIndex from, std::uint32_t by) const {
    const auto size = static_cast<std::uint32_t>(states.size());
    for (std::uint32_t i = 1; i <= size; ++i) {
      const std::uint32_t at_step = (from.value + by * i) % size;
      if (states[at_step].is_alive()) return PeerIndex(at_step);
    }
    return std::nullopt;
  }
  std::optional<PeerIndex> owner(Point key) const {
    std::optional<PeerIndex> first;
    for (std::uint32_t i = 0; i < states.size(); ++i) {
      if (!states[i].is_alive()) continue;
      if (at[i] >= key) return PeerIndex(i);
      if (!first) first = PeerIndex(i);
    }
    return first;
  }
};

PeerState random_state(Random& random) {
  return {static_cast<std::uint32_t>(random.between(1, 9))};
}

std::vector<Change> random_changes(Random& random, std::uint32_t size) {
  std::map<PeerIndex, PeerState> out;
  for (std::uint64_t i = random.between(0, 12); i > 0; --i) {
    out[PeerIndex(static_cast<std::uint32_t>(random.below(size)))] = random_state(random);
  }
  std::vector<Change> list;
  for (const auto& [peer, state] : out) list.push_back({peer, state});
  return list;
}

void expect_same(const Table& table, const DumbTable& dumb, Random& random) {
  table.check_invariants();
  const auto size = static_cast<std::uint32_t>(dumb.states.size());
  std::uint32_t alive = 0;
  for (std::uint32_t i = 0; i < size; ++i) {
    const PeerIndex peer(i);
    ASSERT_EQ(table.state(peer), dumb.states[i]);
    alive += dumb.states[i].is_alive() ? 1 : 0;
    EXPECT_EQ(table.next_alive(peer), dumb.step(peer, 1));
    EXPECT_EQ(table.previous_alive(peer), dumb.step(peer, size - 1));
  }
  EXPECT_EQ(table.alive_count(), alive);
  for (int i = 0; i < 20; ++i) {
    const Point key =
        i < 3 ? dumb.at[random.below(size)] + static_cast<Point>(i) - 1 : random.next();
    EXPECT_EQ(table.owner(key), dumb.owner(key));
  }
  // A table with the same states and no delta has the same digests.
  const Table fresh(table.shared_roster(), std::make_shared<const Snapshot>(dumb.states));
  for (std::uint32_t b = 0; b < bucket_count(size); ++b) {
    EXPECT_EQ(table.bucket_digest(b), fresh.bucket_digest(b));
  }
  for (std::uint32_t r = 0; r < region_count(bucket_count(size)); ++r) {
    EXPECT_EQ(table.region_digest(r), fresh.region_digest(r));
  }
}

class RandomTables : public testing::TestWithParam<int> {};

TEST_P(RandomTables, MergesAndRebases_LikeADumbTable) {
  Random random(static_cast<std::uint64_t>(GetParam()));
  const auto size = static_cast<std::uint32_t>(random.between(1, 150));
  const auto roster = random_roster(random, size);
  DumbTable dumb;
  for (std::uint32_t i = 0; i < size; ++i) {
    dumb.states.push_back(random_state(random));
    dumb.at.push_back(roster->at(PeerIndex(i)));
  }
  auto base = std::make_shared<const Snapshot>(dumb.states);
  Table table(roster, base);
  for (int round = 0; round < 30; ++round) {
    const auto changes = random_changes(random, size);
    std::vector<Change> news;
    std::vector<Change> expected;
    for (const Change& one : changes) {
      if (one.state > dumb.states[one.peer.value]) expected.push_back(one);
      dumb.merge(one);
    }
    table.merge(changes, &news);
    EXPECT_EQ(news, expected);
    if (random.chance(1, 3)) {
      // Another base, which knows some of it, and some that this table does not.
      const auto others = random_changes(random, size);
      const auto next = base->with(others, {});
      std::vector<PeerIndex> changed;
      for (std::uint32_t i = 0; i < size; ++i) {
        const bool is_different = base->state(PeerIndex(i)) != next->state(PeerIndex(i));
        if (is_different || random.chance(1, 9)) changed.emplace_back(i);
      }
      table.rebase(next, changed);
      base = next;
    }
    if (random.chance(1, 5)) {
      // Its own base: nothing is left in the delta.
      std::vector<PeerIndex> changed;
      for (const Change& one : table.delta()) changed.push_back(one.peer);
      base = table.folded();
      table.rebase(base, changed);
      EXPECT_TRUE(table.delta().empty());
    }
    expect_same(table, dumb, random);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomTables, testing::Range(1, 25));

TEST(Table, AddressStaysWithTheLastWordAndSurvivesARebase) {
  Random random(1);
  const auto roster = random_roster(random, 5);
  const auto base = std::make_shared<const Snapshot>(std::vector<PeerState>(5, PeerState{2}));
  Table table(roster, base);
  const PeerIndex peer(3);
  EXPECT_EQ(table.address(peer), roster->address(peer));
  EXPECT_FALSE(table.moved_to(peer));
  Address there = roster->address(peer);
  there.port = 77;
  table.move({peer, there});
  EXPECT_EQ(table.moved_to(peer), there);
  const auto next = table.folded();
  table.rebase(next, {});
  EXPECT_EQ(table.address(peer), there);
  there.port = 78;
  table.move({peer, there});
  EXPECT_EQ(table.address(peer), there);
}

TEST(Table, NobodyAlive_NobodyOwnsAnything) {
  Random random(2);
  const Table table(random_roster(random, 4),
                    std::make_shared<const Snapshot>(std::vector<PeerState>(4)));
  EXPECT_FALSE(table.owner(7));
  EXPECT_FALSE(table.next_alive(PeerIndex(1)));
  EXPECT_FALSE(table.previous_alive(PeerIndex(1)));
}

TEST(Roster, SuccessorAndBetween_LikeALinearSearch) {
  Random random(3);
  for (const std::uint32_t size : {1U, 2U, 3U, 17U, 300U}) {
    const auto roster = random_roster(random, size);
    for (int i = 0; i < 200; ++i) {
      const Point point =
          i % 2 == 0 ? random.next() : roster->at(PeerIndex(static_cast<std::uint32_t>(i) % size));
      std::uint32_t expected = 0;
      while (expected < size && roster->at(PeerIndex(expected)) < point) ++expected;
      EXPECT_EQ(roster->successor(point).value, expected % size);
      EXPECT_EQ(roster->between(point, 0), (IndexRange{expected, size}));
    }
    EXPECT_EQ(roster->successor(UINT64_MAX).value,
              roster->at(PeerIndex(size - 1)) == UINT64_MAX ? size - 1 : 0);
  }
}

// Issue: one real peer with a million entries has a table of at most 100 MB.
TEST(Table, AMillionPeers_FitIntoAHundredMegabytes) {
  Random random(4);
  const auto roster = random_roster(random, 1'000'000);
  const auto base =
      std::make_shared<const Snapshot>(std::vector<PeerState>(roster->size(), PeerState{2}));
  Table table(roster, base);
  // A tenth of them have changed since the base.
  std::vector<Change> changes;
  for (std::uint32_t i = 0; i < roster->size(); i += 10) changes.push_back({PeerIndex(i), {3}});
  table.merge(changes);
  EXPECT_LE(roster->memory_bytes() + base->memory_bytes() + table.memory_bytes(), 100'000'000U);
  EXPECT_EQ(table.alive_count(), 900'000U);
}

TEST(Regions, PartTheBuckets) {
  for (std::uint32_t buckets = 1; buckets < 200; ++buckets) {
    std::uint32_t next = 0;
    for (std::uint32_t region = 0; region < region_count(buckets); ++region) {
      const IndexRange part = buckets_of_region(region, buckets);
      EXPECT_EQ(part.first, next);
      EXPECT_GT(part.size(), 0U);
      for (; next < part.end; ++next) EXPECT_EQ(region_of(next, buckets), region);
    }
    EXPECT_EQ(next, buckets);
  }
}

TEST(PeerState, OrderIsThatOfLives) {
  const PeerState third = PeerState::alive(3);
  EXPECT_LT(third, third.died());
  EXPECT_LT(third.died(), third.returned());
  EXPECT_EQ(third.died().returned(), PeerState::alive(4));
  EXPECT_EQ(third.died().died(), third.died());
  EXPECT_FALSE(PeerState::unseen().is_alive());
}

TEST(PeerState, SixBitsNameTheNearestState) {
  for (std::uint32_t known = 1; known < 400; ++known) {
    for (std::uint32_t real = known > 32 ? known - 32 : 1; real < known + 32; ++real) {
      EXPECT_EQ(nearest({known}, real & kLowMask).rank, real) << known;
    }
  }
}

}  // namespace
}  // namespace rosebud::routing
