// A configuration that was made of the one before says the same as one that was made anew.
#include <gtest/gtest.h>

#include "base/random.h"
#include "membership/full_members.h"
#include "membership/parts_internal.h"
#include "membership/test_cluster.h"

namespace rosebud::membership {
namespace {

crypto::Digest random_key(Random& random) {
  wire::Writer out;
  for (int i = 0; i < 4; ++i) out.u64(random.next());
  return *crypto::Digest::from(out.bytes());
}

Node random_node(Random& random, std::uint32_t number, std::size_t organisations) {
  Node out = TestCluster::node(number, static_cast<std::uint32_t>(random.below(organisations)));
  out.directory = *wire::DirectoryId::from(random_key(random).view().first(16));
  out.position_count = static_cast<std::uint32_t>(random.between(1, 20));
  out.admission_randomness = random_key(random);
  return out;
}

ConfigurationParts parts_of(const std::vector<Organisation>& organisations,
                            const Settings& settings) {
  return {.cluster = {},
          .number = {wire::Generation(0), wire::Epoch(2)},
          .settings = settings,
          .organisations = organisations};
}

void expect_same(const Configuration& one, const Configuration& other, Random& random) {
  ASSERT_EQ(one.nodes(), other.nodes());
  ASSERT_EQ(one.root(), other.root());
  ASSERT_EQ(one.ring().arcs(), other.ring().arcs());
  ASSERT_EQ(one.filled_seats(), other.filled_seats());
  const auto shares = one.own_shares();
  ASSERT_EQ(shares, other.own_shares());
  for (std::uint32_t i = 0; i < one.nodes().size(); ++i) {
    ASSERT_EQ(one.node_index(one.nodes()[i].key), i);
    ASSERT_EQ(other.node_index(one.nodes()[i].key), i);
    ASSERT_EQ(one.own_share(i), shares[i]);
    ASSERT_EQ(one.arcs_of(i), other.arcs_of(i));
  }
  const auto key = random_key(random);
  ASSERT_EQ(one.group(key), other.group(key));
  EXPECT_FALSE(one.node_index(test_key("nobody").public_key()));
}

class Successors : public testing::TestWithParam<int> {};

TEST_P(Successors, SayTheSameAsOnesMadeAnew) {
  Random random(static_cast<std::uint64_t>(GetParam()));
  std::vector<Organisation> organisations = TestCluster().genesis.organisations;
  Settings settings{.cap = 1};
  std::uint32_t numbers = 0;
  std::vector<Node> nodes;
  for (std::size_t i = 0; i < 4; ++i) {
    nodes.push_back(random_node(random, numbers++, 1));
    nodes.back().organisation = static_cast<std::uint32_t>(i);
  }
  const auto made_anew = [&] {
    ConfigurationParts parts = parts_of(organisations, settings);
    parts.nodes = nodes;
    return *Configuration::make(std::move(parts));
  };
  auto current = made_anew();
  for (int step = 0; step < 25; ++step) {
    // The first four stay, so that groups can be filled.
    PlacedNodes change{.at = {}, .count = std::max<std::size_t>(4, random.below(150))};
    if (step % 5 != 0) change.count = std::max<std::size_t>(4, nodes.size() + random.below(5) - 2);
    for (std::size_t i = nodes.size(); i < change.count; ++i) {
      change.at[i] = random_node(random, numbers++, organisations.size());
    }
    for (std::uint64_t n = random.below(4); n > 0; --n) {
      const std::size_t place = random.below(change.count);
      if (place < nodes.size() && random.chance(1, 2)) {
        change.at[place] = nodes[place];
        change.at[place].address += "0";
      } else if (place >= 4) {
        change.at[place] = random_node(random, numbers++, organisations.size());
      }
    }
    // Somebody moves to a place that is free, as when lists are closed up.
    if (change.count < nodes.size() && change.count > 4) change.at[4] = nodes.back();
    nodes.resize(change.count);
    for (const auto& [place, node] : change.at) nodes[place] = node;
    if (step == 10) {
      organisations.push_back(
          {.name = "org4", .authority = test_key("org4").public_key(), .quota_bytes = 1});
    }
    if (step == 15) organisations[1].is_revoked = true;
    settings.hedge_ms = static_cast<std::uint32_t>(step);
    const auto next = Configuration::make(parts_of(organisations, settings), *current, change);
    ASSERT_TRUE(next.has_value()) << next.error().what;
    expect_same(**next, *made_anew(), random);
    ASSERT_EQ((*next)->root(), (FullMembers{settings, organisations, nodes}.root()));
    current = *next;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, Successors, testing::Range(1, 9));

/// What is said of a successor whose nodes differ in this.
class Refused : public testing::Test {
 protected:
  std::string after(const std::function<void(PlacedNodes&)>& change) const {
    PlacedNodes placed{.at = {}, .count = 8};
    change(placed);
    const auto made = Configuration::make(
        parts_of(cluster_.genesis.organisations, cluster_.genesis.settings), *first_, placed);
    return made ? "" : made.error().what;
  }
  Node node(std::uint32_t place) const { return first_->nodes()[place]; }

  TestCluster cluster_;
  std::shared_ptr<const Configuration> first_ = cluster_.first();
};

TEST_F(Refused, WhatNoTwoMayHaveAlike_AlsoBesideNodesThatDidNotChange) {
  const auto with = [&](auto&& set) {
    return after([&](PlacedNodes& change) {
      change.count = 9;
      Node one = TestCluster::node(8, 0);
      set(one);
      change.at[8] = one;
    });
  };
  EXPECT_EQ(with([](Node&) {}), "");
  EXPECT_EQ(with([&](Node& one) { one.name = node(3).name; }), "two nodes are called 'node3'");
  EXPECT_EQ(with([&](Node& one) { one.key = node(3).key; }),
            "node 'node8' has a key that another member has");
  EXPECT_EQ(with([&](Node& one) { one.key = cluster_.authorities[2].public_key(); }),
            "node 'node8' has a key that another member has");
  EXPECT_EQ(with([&](Node& one) { one.directory = node(3).directory; }),
            "node 'node8' has another node's directory id");
  EXPECT_EQ(with([&](Node& one) { one.address = node(3).address; }),
            "node 'node8' has another node's address");
  EXPECT_EQ(with([](Node& one) { one.name = "No"; }), "bad node name 'No'");
  EXPECT_EQ(with([](Node& one) { one.address.clear(); }), "node 'node8' has no address");
  EXPECT_EQ(with([](Node& one) { one.organisation = 4; }), "node 'node8' has no organisation");
  EXPECT_EQ(with([](Node& one) { one.organisation = UINT32_MAX; }),
            "node 'node8' has no organisation");
  EXPECT_EQ(with([](Node& one) { one.position_count = 65; }),
            "node 'node8' needs 1 to 64 positions");
}

TEST_F(Refused, WhatTwoThatComeHaveAlike) {
  EXPECT_EQ(after([](PlacedNodes& change) {
              change.count = 10;
              change.at[8] = TestCluster::node(8, 0);
              change.at[9] = TestCluster::node(9, 1);
              change.at[9].address = change.at[8].address;
            }),
            "node 'node9' has another node's address");
}

// What somebody leaves behind another one may have.
TEST_F(Refused, NotWhatIsFreeAgain) {
  EXPECT_EQ(after([this](PlacedNodes& change) {
              change.at[3] = node(3);
              change.at[3].address = "elsewhere:1";
              change.at[5] = node(5);
              change.at[5].address = node(3).address;
            }),
            "");
}

TEST_F(Refused, NodesWhoseOrganisationIsGone) {
  auto organisations = cluster_.genesis.organisations;
  organisations.pop_back();
  const auto made = Configuration::make(parts_of(organisations, cluster_.genesis.settings), *first_,
                                        PlacedNodes{.at = {}, .count = 8});
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().what, "a node has no organisation");
}

TEST_F(Refused, AnAuthorityThatIsANodesKey) {
  auto organisations = cluster_.genesis.organisations;
  organisations.push_back({.name = "org4", .authority = node(2).key});
  const auto made = Configuration::make(parts_of(organisations, cluster_.genesis.settings), *first_,
                                        PlacedNodes{.at = {}, .count = 8});
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().what, "node 'node2' has a key that another member has");
}

TEST_F(Refused, AnEpochKeyThatIsANodesKey) {
  ConfigurationParts parts = parts_of(cluster_.genesis.organisations, cluster_.genesis.settings);
  parts.service = first_->service();
  parts.service[1].epoch_key = node(7).key;
  const auto made =
      Configuration::make(std::move(parts), *first_, PlacedNodes{.at = {}, .count = 8});
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().what, "the epoch key of node 'node2' is used elsewhere");
}

}  // namespace
}  // namespace rosebud::membership
