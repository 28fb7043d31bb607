// What a change of members moves, against counting key by key.
#include "membership/movement.h"

#include <gtest/gtest.h>

#include <set>

#include "base/random.h"
#include "membership/test_cluster.h"

namespace rosebud::membership {
namespace {

constexpr double kWhole = 4294967296.0;

std::shared_ptr<const Configuration> with_nodes(const Configuration& current,
                                                std::vector<Node> nodes) {
  return *Configuration::make({.cluster = current.cluster(),
                               .number = current.number(),
                               .start = current.start(),
                               .settings = current.settings(),
                               .organisations = current.organisations(),
                               .nodes = std::move(nodes)});
}

TEST(Movement, NothingMovesWhenNobodyComesOrGoes) {
  const auto current = TestCluster().first();
  const Movement none = movement(*current, *current);
  EXPECT_EQ(none.gained, 0U);
  EXPECT_EQ(none.replaced_max, 0U);
  EXPECT_EQ(none.exposed_after, 0U);
  ASSERT_EQ(none.nodes.size(), 8U);
  for (std::uint32_t i = 0; i < 8; ++i) {
    EXPECT_EQ(none.nodes[i].before, current->own_share(i));
    EXPECT_EQ(none.nodes[i].after, none.nodes[i].before);
  }
}

TEST(Movement, WhoComesGetsItsShareAndOthersLoseAsMuch) {
  const auto current = TestCluster().first();
  std::vector<Node> nodes = current->nodes().to_vector();
  nodes.push_back(TestCluster::node(9, 3));
  nodes.back().admission_randomness = crypto::sha256(as_bytes("R"));
  const auto after = with_nodes(*current, nodes);
  const Movement seen = movement(*current, *after);
  ASSERT_EQ(seen.nodes.size(), 9U);
  EXPECT_EQ(seen.nodes[8].before, 0U);
  EXPECT_EQ(seen.nodes[8].gained, seen.nodes[8].after);
  EXPECT_EQ(seen.nodes[8].after, after->own_share(8));
  for (const NodeMovement& one : seen.nodes)
    EXPECT_EQ(one.before + one.gained, one.after + one.lost) << one.name;
  // At most the new one's share comes anew, and what the cap sends on for it.
  EXPECT_EQ(seen.replaced_max, 1U);
}

TEST(Movement, WhatIsCountedIsWhatKeysSay) {
  Random random(7);
  const auto current = TestCluster().first();
  for (int round = 0; round < 20; ++round) {
    std::vector<Node> nodes = current->nodes().to_vector();
    nodes.erase(nodes.begin() + static_cast<std::ptrdiff_t>(random.below(nodes.size())));
    const auto organisation = static_cast<std::uint32_t>(random.below(4));
    nodes.push_back(TestCluster::node(10 + static_cast<std::uint32_t>(round), organisation));
    nodes.back().admission_randomness = crypto::sha256(as_bytes(std::to_string(round)));
    const auto after = with_nodes(*current, nodes);
    const Movement seen = movement(*current, *after);
    double gained = 0;
    std::size_t replaced_max = 0;
    constexpr int kKeys = 20'000;
    for (int i = 0; i < kKeys; ++i) {
      crypto::Digest key;
      for (auto& byte : key.bytes) byte = static_cast<std::uint8_t>(random.below(256));
      std::set<wire::NodeKey> old_group;
      for (const auto node : current->group(key)) old_group.insert(current->nodes()[node].key);
      for (const auto node : after->group(key)) {
        if (old_group.erase(after->nodes()[node].key) == 0) gained += 1.0 / kKeys;
      }
      replaced_max = std::max(replaced_max, old_group.size());
    }
    EXPECT_NEAR(static_cast<double>(seen.gained) / kWhole, gained, 0.03);
    EXPECT_GE(seen.replaced_max, replaced_max);  // the rarest group is met by no key
  }
}

TEST(Movement, WhoComesWithAnEmptyDirectoryFetchesAllAgain) {
  const auto current = TestCluster().first();
  std::vector<Node> nodes = current->nodes().to_vector();
  nodes[2].directory.bytes[5] ^= 1;
  const Movement seen = movement(*current, *with_nodes(*current, nodes));
  EXPECT_TRUE(seen.nodes[2].has_lost_directory);
  EXPECT_FALSE(seen.nodes[3].has_lost_directory);
  EXPECT_EQ(seen.nodes[2].gained, current->own_share(2));
  EXPECT_EQ(seen.gained, current->own_share(2));
  EXPECT_EQ(seen.replaced_max, 1U);
}

TEST(Movement, AGroupWithAnEmptySeatIsExposed) {
  const auto current = TestCluster().first();
  std::vector<Node> nodes = current->nodes().to_vector();
  // Organisation 3 is gone: with a cap of one each group has three members.
  std::erase_if(nodes, [](const Node& node) { return node.organisation == 3; });
  const auto after = with_nodes(*current, nodes);
  const Movement seen = movement(*current, *after);
  EXPECT_EQ(seen.exposed_before, 0U);
  EXPECT_NEAR(static_cast<double>(seen.exposed_after) / kWhole, 1.0, 1e-6);
  EXPECT_EQ(seen.nodes[7].after, 0U);
  EXPECT_EQ(seen.nodes[7].lost, seen.nodes[7].before);
  EXPECT_EQ(seen.gained, 0U);
}

}  // namespace
}  // namespace rosebud::membership
