#include "routing/ring.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

#include "base/random.h"

namespace rosebud::routing {
namespace {

crypto::Digest random_key(Random& random) {
  wire::Writer out;
  for (int i = 0; i < 4; ++i) out.u64(random.next());
  return *crypto::Digest::from(out.bytes());
}

struct Node {
  std::uint32_t organisation;
  std::vector<crypto::Digest> at;
};

std::vector<Position> positions_of(const std::map<std::uint32_t, Node>& nodes) {
  std::vector<Position> out;
  for (const auto& [index, node] : nodes) {
    for (const auto& at : node.at) out.push_back({at, index, node.organisation});
  }
  return out;
}

std::map<std::uint32_t, Node> random_nodes(Random& random, std::size_t organisations,
                                           std::size_t count) {
  std::map<std::uint32_t, Node> nodes;
  for (std::uint32_t i = 0; i < count; ++i) {
    Node node{.organisation = static_cast<std::uint32_t>(i % organisations)};
    const auto positions = random.between(1, 8);
    for (std::uint64_t p = 0; p < positions; ++p) node.at.push_back(random_key(random));
    nodes[i] = std::move(node);
  }
  return nodes;
}

/// The rule of design 4 word by word, without arcs.
std::vector<std::uint32_t> naive_group(std::vector<Position> positions, const crypto::Digest& key,
                                       std::size_t size, std::size_t cap) {
  std::ranges::sort(positions, {}, &Position::at);
  std::ranges::rotate(positions, std::ranges::lower_bound(positions, key, {}, &Position::at));
  std::vector<std::uint32_t> group;
  std::map<std::uint32_t, std::size_t> taken;
  for (const Position& position : positions) {
    if (group.size() == size) break;
    const bool is_taken = std::ranges::find(group, position.node) != group.end();
    if (!is_taken && taken[position.organisation] < cap) {
      ++taken[position.organisation];
      group.push_back(position.node);
    }
  }
  return group;
}

class RandomRings : public testing::TestWithParam<int> {};

TEST_P(RandomRings, GroupsFollowTheRuleAndTheCap) {
  Random random(static_cast<std::uint64_t>(GetParam()));
  const std::size_t f = random.between(1, 3);
  const std::size_t cap = random.between(1, f);
  const auto nodes = random_nodes(random, random.between(2, 9), random.between(1, 30));
  const auto positions = positions_of(nodes);
  const Ring ring(positions, 3 * f + 1, cap);
  for (int i = 0; i < 200; ++i) {
    const auto key = i == 0 ? positions.front().at : random_key(random);
    const auto group = ring.group(key);
    EXPECT_EQ(std::vector(group.begin(), group.end()), naive_group(positions, key, 3 * f + 1, cap));
    std::map<std::uint32_t, std::size_t> of;
    std::set<std::uint32_t> distinct(group.begin(), group.end());
    EXPECT_EQ(distinct.size(), group.size());
    for (std::uint32_t node : group) EXPECT_LE(++of[nodes.at(node).organisation], cap);
  }
}

TEST_P(RandomRings, ArcsCoverTheLineWithoutGaps) {
  Random random(static_cast<std::uint64_t>(GetParam()));
  const Ring ring(positions_of(random_nodes(random, 4, random.between(1, 20))), 4, 1);
  const auto arcs = ring.arcs();
  EXPECT_EQ(arcs.front().range.first, wire::whole_key_range().first);
  EXPECT_EQ(arcs.back().range.last, wire::whole_key_range().last);
  for (std::size_t i = 1; i < arcs.size(); ++i) {
    EXPECT_EQ(key_after(arcs[i - 1].range.last), arcs[i].range.first);
    EXPECT_EQ(key_before(arcs[i].range.first), arcs[i - 1].range.last);
    EXPECT_NE(arcs[i - 1].group, arcs[i].group);
  }
}

TEST_P(RandomRings, ArcsHoldTheGroupOfBothTheirEnds) {
  Random random(static_cast<std::uint64_t>(GetParam()));
  const std::size_t f = random.between(1, 3);
  const auto positions =
      positions_of(random_nodes(random, random.between(1, 9), random.between(1, 20)));
  const Ring ring(positions, 3 * f + 1, f);
  for (const Arc& arc : ring.arcs()) {
    EXPECT_EQ(arc.group, naive_group(positions, arc.range.first, 3 * f + 1, f));
    EXPECT_EQ(arc.group, naive_group(positions, arc.range.last, 3 * f + 1, f));
  }
}

/// The arc of `arcs` with that key.
Arc arc_in(const std::vector<Arc>& arcs, const crypto::Digest& key) {
  return *std::ranges::find_if(arcs, [&](const Arc& arc) { return arc.range.contains(key); });
}

TEST_P(RandomRings, OneArcIsThatOfAll) {
  Random random(static_cast<std::uint64_t>(GetParam()));
  const std::size_t f = random.between(1, 3);
  // Of one node alone, too.
  const auto positions =
      positions_of(random_nodes(random, random.between(1, 9), random.between(1, 20)));
  const Ring ring(positions, 3 * f + 1, f);
  const auto arcs = ring.arcs();
  for (const Arc& arc : arcs) {
    EXPECT_EQ(ring.arc(arc.range.first), arc);
    EXPECT_EQ(ring.arc(arc.range.last), arc);
  }
  for (int i = 0; i < 50; ++i) {
    const auto key = random_key(random);
    EXPECT_EQ(ring.arc(key), arc_in(arcs, key));
  }
}

TEST_P(RandomRings, ArcsOfARange_AreThoseOfAllCutToIt) {
  Random random(static_cast<std::uint64_t>(GetParam()));
  const auto positions =
      positions_of(random_nodes(random, random.between(1, 9), random.between(1, 20)));
  const Ring ring(positions, 4, 1);
  for (int i = 0; i < 50; ++i) {
    wire::KeyRange range{i % 5 == 0 ? positions[0].at : random_key(random),
                         i % 7 == 0 ? wire::whole_key_range().last : random_key(random)};
    if (range.last < range.first) std::swap(range.first, range.last);
    std::vector<Arc> expected;
    for (Arc arc : ring.arcs()) {
      arc.range = {std::max(arc.range.first, range.first), std::min(arc.range.last, range.last)};
      if (arc.range.first <= arc.range.last) expected.push_back(arc);
    }
    EXPECT_EQ(ring.arcs_in(range), expected);
  }
}

TEST_P(RandomRings, ArcsOfANode_AreThoseOfAllThatHaveIt) {
  Random random(static_cast<std::uint64_t>(GetParam()));
  const std::size_t f = random.between(1, 3);
  const std::size_t cap = random.between(1, f);
  const auto nodes = random_nodes(random, random.between(1, 9), random.between(1, 30));
  const Ring ring(positions_of(nodes), 3 * f + 1, cap);
  for (const auto& [index, node] : nodes) {
    std::vector<Arc> expected;
    for (const Arc& arc : ring.arcs()) {
      if (std::ranges::find(arc.group, index) != arc.group.end()) expected.push_back(arc);
    }
    EXPECT_EQ(ring.arcs_of(index, node.at), expected);
  }
}

TEST_P(RandomRings, AWalkMeetsEveryPositionFromItsKeyOn) {
  Random random(static_cast<std::uint64_t>(GetParam()));
  auto positions = positions_of(random_nodes(random, 4, random.between(1, 20)));
  const Ring ring(positions, 4, 1);
  const auto key = random_key(random);
  std::vector<std::uint32_t> met;
  ring.walk_from(key, [&](std::uint32_t node) {
    met.push_back(node);
    return true;
  });
  std::ranges::sort(positions, {}, &Position::at);
  std::ranges::rotate(positions, std::ranges::lower_bound(positions, key, {}, &Position::at));
  std::vector<std::uint32_t> expected;
  for (const Position& one : positions) expected.push_back(one.node);
  EXPECT_EQ(met, expected);
}

TEST_P(RandomRings, AChangedOneIsAsIfMadeAnew) {
  Random random(static_cast<std::uint64_t>(GetParam()));
  auto nodes = random_nodes(random, random.between(1, 9), random.between(1, 60));
  Ring ring(positions_of(nodes), 4, 1);
  for (int step = 0; step < 20; ++step) {
    std::map<std::uint32_t, Node> gone;
    std::map<std::uint32_t, Node> come;
    const std::size_t count = step % 7 == 6 ? 200 : 3;
    for (std::size_t i = 0; i < count; ++i) {
      const auto index = static_cast<std::uint32_t>(random.below(300));
      if (const auto at = nodes.find(index); at != nodes.end() && nodes.size() > 1) {
        if (come.contains(index)) continue;
        gone.insert(*at);
        nodes.erase(at);
      } else if (at == nodes.end()) {
        auto one = random_nodes(random, 9, random.between(1, 9)).rbegin()->second;
        come[index] = one;
        nodes[index] = std::move(one);
      }
    }
    const std::size_t f = random.between(1, 3);
    const std::size_t cap = random.between(1, f);
    ring = ring.changed(positions_of(gone), positions_of(come), 3 * f + 1, cap);
    ASSERT_EQ(ring.arcs(), Ring(positions_of(nodes), 3 * f + 1, cap).arcs());
    ASSERT_EQ(ring.position_count(), positions_of(nodes).size());
    const auto key = random_key(random);
    ASSERT_EQ(ring.group(key), naive_group(positions_of(nodes), key, 3 * f + 1, cap));
  }
}

// Suppose one organisation has a single position among thousands: walks pass over what lies
// between.
TEST_P(RandomRings, OneThatIsNeededEverywhereIsFoundFromEverywhere) {
  Random random(static_cast<std::uint64_t>(GetParam()));
  std::vector<Position> positions;
  for (std::uint32_t i = 0; i < 2000; ++i) positions.push_back({random_key(random), i, i % 2});
  const std::vector<crypto::Digest> own{random_key(random)};
  positions.push_back({own[0], 2000, 300});
  const Ring ring(positions, 4, 1);
  for (int i = 0; i < 10; ++i) {
    const auto key = random_key(random);
    EXPECT_EQ(ring.group(key), naive_group(positions, key, 4, 1));
  }
  EXPECT_EQ(ring.arcs_of(2000, own), ring.arcs());
}

/// Members of `b` that are not in `a`.
std::size_t gained(std::span<const std::uint32_t> a, std::span<const std::uint32_t> b) {
  const std::set<std::uint32_t> old_members(a.begin(), a.end());
  return static_cast<std::size_t>(
      std::ranges::count_if(b, [&](std::uint32_t node) { return !old_members.contains(node); }));
}

// Design 4: adding or removing one node changes at most one member of any key's group. Read from
// `fewer` to `more` it is an addition. Rings that cannot fill every group are among them.
TEST_P(RandomRings, OneNodeMoreOrLess_ChangesAtMostOneMemberOfAnyGroup) {
  Random random(static_cast<std::uint64_t>(GetParam()));
  const std::size_t f = random.between(1, 3);
  const std::size_t cap = random.between(1, f);
  const auto nodes = random_nodes(random, random.between(2, 12), random.between(2, 30));
  auto fewer = nodes;
  fewer.erase(static_cast<std::uint32_t>(random.below(nodes.size())));
  const Ring with(positions_of(nodes), 3 * f + 1, cap);
  const Ring without(positions_of(fewer), 3 * f + 1, cap);
  for (int i = 0; i < 200; ++i) {
    const auto key = random_key(random);
    EXPECT_LE(gained(with.group(key), without.group(key)), 1U);
    EXPECT_LE(gained(without.group(key), with.group(key)), 1U);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomRings, testing::Range(1, 41));

TEST(Ring, PositionsAtBothEndsOfTheLine_AreInsideArcs) {
  const wire::KeyRange line = wire::whole_key_range();
  const Ring ring({{line.first, 0, 0}, {line.last, 1, 1}}, 1, 1);
  ASSERT_EQ(ring.arcs().size(), 2U);
  EXPECT_EQ(ring.arcs()[0].range, (wire::KeyRange{line.first, line.first}));
  EXPECT_EQ(ring.group(line.first)[0], 0U);
  EXPECT_EQ(ring.group(key_after(line.first))[0], 1U);
  EXPECT_EQ(ring.group(line.last)[0], 1U);
}

// No bound is asserted: the figure is for whoever chooses the number of positions.
TEST(Ring, BalanceOfTheUsualPositions_IsPrinted) {
  constexpr std::size_t kNodes = 100;
  for (const std::size_t positions_per_node : {1U, 4U, 16U, 64U}) {
    Random random(1);
    std::vector<Position> positions;
    for (std::uint32_t i = 0; i < kNodes; ++i) {
      for (std::size_t p = 0; p < positions_per_node; ++p) {
        positions.push_back({random_key(random), i, i % 10});
      }
    }
    const Ring ring(positions, 4, 1);
    std::vector<std::size_t> keys_of(kNodes);
    constexpr std::size_t kKeys = 20'000;
    for (std::size_t i = 0; i < kKeys; ++i) {
      for (std::uint32_t node : ring.group(random_key(random))) ++keys_of[node];
    }
    const double mean = 4.0 * kKeys / kNodes;
    std::printf("positions=%zu nodes=%zu least=%.2f most=%.2f of the mean\n", positions_per_node,
                kNodes, static_cast<double>(*std::ranges::min_element(keys_of)) / mean,
                static_cast<double>(*std::ranges::max_element(keys_of)) / mean);
  }
}

TEST(Ring, EmptyHasNoGroups) { EXPECT_TRUE(Ring({}, 4, 1).group({}).empty()); }

}  // namespace
}  // namespace rosebud::routing
