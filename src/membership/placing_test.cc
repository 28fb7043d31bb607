#include "membership/placing.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "membership/test_cluster.h"

namespace rosebud::membership {
namespace {

std::shared_ptr<const Configuration> configuration_with(std::vector<Node> nodes) {
  return *Configuration::make({.cluster = {},
                               .number = {wire::Generation(0), wire::Epoch(2)},
                               .settings = {.faults = 0},
                               .organisations = TestCluster().genesis.organisations,
                               .nodes = std::move(nodes)});
}

std::string names_of(const std::vector<Node>& nodes) {
  std::string out;
  for (const Node& node : nodes) out += node.name.substr(4) + " ";
  return out;
}

std::vector<Node> placed(const Configuration& before, const std::vector<Node>& nodes) {
  return nodes_after(before, changes_between(before, nodes));
}

class Places : public testing::Test {
 protected:
  /// The list after some have left, in whatever order, and others have come. The keys of 9, 8, 10
  /// and 11 ascend.
  std::string after(const std::vector<std::uint32_t>& gone,
                    const std::vector<std::uint32_t>& come) const {
    std::vector<Node> nodes;
    for (std::uint32_t n = 8; n-- > 0;) {
      if (std::ranges::find(gone, n) == gone.end()) nodes.push_back(TestCluster::node(n, n / 2));
    }
    for (const std::uint32_t n : come) nodes.push_back(TestCluster::node(n, 0));
    return names_of(placed(*first_, nodes));
  }

  std::shared_ptr<const Configuration> first_ = TestCluster().first();
};

TEST_F(Places, WhoStaysKeepsItsOwn) { EXPECT_EQ(after({}, {}), "0 1 2 3 4 5 6 7 "); }

TEST_F(Places, NewcomersTakeWhatIsFree_ThenStandBehind) {
  EXPECT_EQ(after({2, 5}, {9}), "0 1 9 3 4 7 6 ");
  EXPECT_EQ(after({2, 5}, {9, 8}), "0 1 9 3 4 8 6 7 ");
  EXPECT_EQ(after({2, 5}, {8, 11, 10, 9}), "0 1 9 3 4 8 6 7 10 11 ");
  EXPECT_EQ(after({}, {9, 8}), "0 1 2 3 4 5 6 7 9 8 ");
}

TEST_F(Places, TheLastMoveWhereNobodyComes) {
  EXPECT_EQ(after({0}, {}), "7 1 2 3 4 5 6 ");
  EXPECT_EQ(after({1, 3}, {}), "0 6 2 7 4 5 ");
  EXPECT_EQ(after({7, 1}, {}), "0 6 2 3 4 5 ");
  EXPECT_EQ(after({6, 7}, {}), "0 1 2 3 4 5 ");
  EXPECT_EQ(after({0, 1, 2, 3, 4, 5, 6, 7}, {8}), "8 ");
}

TEST_F(Places, WhoChangesItsAddressKeepsItsOwn) {
  std::vector<Node> nodes = first_->nodes().to_vector();
  nodes[3].address = "elsewhere:1";
  std::vector<Node> reversed(nodes.rbegin(), nodes.rend());
  EXPECT_EQ(placed(*first_, reversed), nodes);
}

class RandomPlaces : public testing::TestWithParam<int> {};

/// A change of a few is a change of a few places.
TEST_P(RandomPlaces, AllAreThere_AndAsFewAsPossibleHaveOthers) {
  Random random(static_cast<std::uint64_t>(GetParam()));
  std::uint32_t numbers = 0;
  std::vector<Node> nodes;
  const auto node = [&] {
    Node out = TestCluster::node(numbers, numbers % 4);
    out.directory = *wire::DirectoryId::from(out.key.view().first(wire::DirectoryId::kSize));
    ++numbers;
    return out;
  };
  for (std::uint64_t n = random.between(1, 40); n > 0; --n) nodes.push_back(node());
  const auto before = configuration_with(nodes);
  std::size_t gone = 0;
  std::size_t come = 0;
  for (std::uint64_t n = random.below(6); n > 0 && nodes.size() > 1; --n, ++gone) {
    nodes.erase(nodes.begin() + static_cast<std::ptrdiff_t>(random.below(nodes.size())));
  }
  for (std::uint64_t n = random.below(6); n > 0; --n, ++come) nodes.push_back(node());
  random.shuffle(nodes);
  const std::vector<Node> placed = membership::placed(*before, nodes);
  EXPECT_TRUE(std::ranges::is_permutation(placed, nodes));
  std::size_t others = 0;
  for (std::size_t i = 0; i < placed.size(); ++i) {
    others += i < before->nodes().size() && placed[i].key == before->nodes()[i].key ? 0 : 1;
  }
  EXPECT_LE(others, std::max(gone, come));
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomPlaces, testing::Range(1, 41));

}  // namespace
}  // namespace rosebud::membership
