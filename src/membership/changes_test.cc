// What one description says makes the same of a configuration as all nodes anew would.
#include "membership/changes.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "membership/full_members.h"
#include "membership/placing.h"
#include "membership/test_cluster.h"

namespace rosebud::membership {
namespace {

// ---- Plain changes of a small cluster ----

class Changes : public testing::Test {
 protected:
  const Node& node(std::size_t place) const { return first_->nodes()[place]; }
  wire::NodeKey key(std::size_t place) const { return node(place).key; }
  Node moved(std::size_t place) const {
    Node out = node(place);
    out.address = "elsewhere:" + std::to_string(place);
    return out;
  }
  bool is_one(const NodeChanges& changes) const {
    return in_their_places(*first_, changes).has_value();
  }

  std::shared_ptr<const Configuration> first_ = TestCluster().first();
  const Node stranger_ = TestCluster::node(9, 1);
};

TEST_F(Changes, AreWhatRemovingAndPuttingMake) {
  NodeChanges changes;
  changes.put(*first_, node(2));
  changes.remove(*first_, stranger_.key);
  EXPECT_TRUE(changes.is_empty());
  changes.put(*first_, moved(2));
  EXPECT_EQ(changes, (NodeChanges{.removed = {}, .changed = {{key(2), moved(2)}}, .added = {}}));
  changes.remove(*first_, key(2));
  EXPECT_EQ(changes, (NodeChanges{.removed = {key(2)}, .changed = {}, .added = {}}));
  changes.put(*first_, moved(2));
  EXPECT_EQ(changes, (NodeChanges{.removed = {}, .changed = {{key(2), moved(2)}}, .added = {}}));
  changes.put(*first_, node(2));
  EXPECT_TRUE(changes.is_empty());
  changes.put(*first_, stranger_);
  EXPECT_EQ(changes,
            (NodeChanges{.removed = {}, .changed = {}, .added = {{stranger_.key, stranger_}}}));
  changes.remove(*first_, stranger_.key);
  EXPECT_TRUE(changes.is_empty());
}

TEST_F(Changes, SayWhoIsThereAfterwards) {
  const NodeChanges changes{
      .removed = {key(0)}, .changed = {{key(2), moved(2)}}, .added = {{stranger_.key, stranger_}}};
  EXPECT_EQ(node_after(*first_, changes, key(0)), nullptr);
  EXPECT_EQ(*node_after(*first_, changes, key(1)), node(1));
  EXPECT_EQ(*node_after(*first_, changes, key(2)), moved(2));
  EXPECT_EQ(*node_after(*first_, changes, stranger_.key), stranger_);
  EXPECT_EQ(node_after(*first_, {}, stranger_.key), nullptr);
  EXPECT_EQ(node_count_after(*first_, changes), 8U);
  EXPECT_TRUE(stays_as_it_is(key(1), *first_, changes));
  EXPECT_TRUE(stays_as_it_is(key(2), *first_, changes));
  EXPECT_FALSE(stays_as_it_is(key(0), *first_, changes));
  EXPECT_FALSE(stays_as_it_is(stranger_.key, *first_, changes));
  Node emptied = node(3);
  emptied.directory.bytes[9] = 1;
  NodeChanges another;
  another.put(*first_, emptied);
  EXPECT_FALSE(stays_as_it_is(key(3), *first_, another));
}

TEST_F(Changes, ThatAreNone_HaveNoPlaces) {
  EXPECT_TRUE(is_one({}));
  EXPECT_TRUE(is_one({.removed = {key(0)},
                      .changed = {{key(2), moved(2)}},
                      .added = {{stranger_.key, stranger_}}}));
  EXPECT_FALSE(is_one({.removed = {stranger_.key}, .changed = {}, .added = {}}));
  EXPECT_FALSE(is_one({.removed = {}, .changed = {{stranger_.key, stranger_}}, .added = {}}));
  EXPECT_FALSE(is_one({.removed = {}, .changed = {{key(2), node(2)}}, .added = {}}));
  EXPECT_FALSE(is_one({.removed = {key(2)}, .changed = {{key(2), moved(2)}}, .added = {}}));
  EXPECT_FALSE(is_one({.removed = {}, .changed = {}, .added = {{key(2), moved(2)}}}));
  EXPECT_FALSE(is_one({.removed = {key(2)}, .changed = {}, .added = {{key(2), moved(2)}}}));
  EXPECT_FALSE(
      is_one({.removed = {}, .changed = {{key(2), moved(2)}}, .added = {{key(2), moved(2)}}}));
}

TEST_F(Changes, SayHowManySeatsOfAGroupCanBeFilled) {
  EXPECT_EQ(fillable_seats_after(*first_, {}), 4U);
  NodeChanges changes;
  changes.remove(*first_, key(6));
  EXPECT_EQ(fillable_seats_after(*first_, changes), 4U);
  changes.remove(*first_, key(7));  // the last of its organisation
  EXPECT_EQ(fillable_seats_after(*first_, changes), 3U);
  changes.put(*first_, TestCluster::node(9, 3));
  EXPECT_EQ(fillable_seats_after(*first_, changes), 4U);
  changes.put(*first_, TestCluster::node(10, 5));
  EXPECT_EQ(fillable_seats_after(*first_, changes), 4U);  // 3f+1 is the most
}

TEST_F(Changes, OneThatIsChangedMayMoveToAnotherPlace) {
  const NodeChanges changes{.removed = {key(1)}, .changed = {{key(7), moved(7)}}, .added = {}};
  const auto after = nodes_after(*first_, changes);
  ASSERT_EQ(after.size(), 7U);
  EXPECT_EQ(after[1], moved(7));
}

TEST_F(Changes, FitOneDescriptionOrNot) {
  NodeChanges changes;
  const auto some_key = [](std::size_t number) {
    wire::NodeKey out;
    out.bytes[0] = static_cast<std::uint8_t>(number >> 8);
    out.bytes[1] = static_cast<std::uint8_t>(number);
    return out;
  };
  for (std::size_t i = 0; i < kRemovedNodesMax; ++i) changes.removed.insert(some_key(i));
  for (std::size_t i = 1; i < kPlacedNodesMax; ++i) changes.added.emplace(some_key(i), stranger_);
  changes.changed.emplace(some_key(0), stranger_);
  EXPECT_TRUE(changes.fits());
  NodeChanges more = changes;
  more.removed.insert(some_key(kRemovedNodesMax));
  EXPECT_FALSE(more.fits());
  more = changes;
  more.changed.emplace(some_key(1), stranger_);
  EXPECT_FALSE(more.fits());
  more = changes;
  more.added.emplace(some_key(0), stranger_);
  EXPECT_FALSE(more.fits());
}

// ---- A chain of random changes beside a plain list ----

class RandomChanges : public testing::TestWithParam<int> {
 protected:
  /// Every node of its own in everything, of one of four organisations.
  Node fresh() {
    const std::uint32_t number = numbers_++;
    Node out = TestCluster::node(number, number % 4);
    out.directory = *wire::DirectoryId::from(out.key.view().first(wire::DirectoryId::kSize));
    out.admission_randomness = current_->randomness();
    return out;
  }

  /// Changes the plain list: who goes, who is changed, who comes.
  void change_some() {
    const bool is_large = random_.chance(1, 4);
    for (std::uint64_t n = random_.below(is_large ? 60 : 4); n > 0 && nodes_.size() > 8; --n) {
      // The first eight have the seats.
      const std::size_t at = 8 + random_.below(nodes_.size() - 8);
      nodes_.erase(nodes_.begin() + static_cast<std::ptrdiff_t>(at));
    }
    for (std::uint64_t n = random_.below(4); n > 0; --n) {
      Node& one = nodes_[random_.below(nodes_.size())];
      one.address = "moved-" + std::to_string(numbers_++) + ":1";
      if (random_.chance(1, 2)) one.capacity_bytes += 1;
    }
    for (std::uint64_t n = random_.below(is_large ? 60 : 4); n > 0; --n) nodes_.push_back(fresh());
  }

  std::vector<SeatKey> keys_for(NextEpoch& next) const {
    std::vector<SeatKey> out;
    for (std::uint16_t seat = 0; seat < next.service.size(); ++seat) {
      out.push_back({.seat = seat,
                     .key = test_key(std::to_string(current_->number().epoch.value + 1) + "/" +
                                     std::to_string(seat))});
      next.service[seat].epoch_key = out.back().key.public_key();
    }
    return out;
  }

  Random random_{static_cast<std::uint64_t>(GetParam())};
  TestCluster cluster_;
  std::shared_ptr<const Configuration> current_ = cluster_.first();
  std::vector<Node> nodes_ = current_->nodes().to_vector();
  std::uint32_t numbers_ = 100;
};

TEST_P(RandomChanges, MakeWhatAllNodesAnewMake) {
  std::vector<SeatKey> keys = cluster_.epoch_keys;
  std::vector<Organisation> organisations = cluster_.genesis.organisations;
  for (int epoch = 2; epoch < 30; ++epoch) {
    change_some();
    if (epoch == 10) {
      organisations.push_back(
          {.name = "org4", .authority = test_key("org4").public_key(), .quota_bytes = 1});
    }
    if (epoch == 20) organisations[1].is_revoked = true;
    NextEpoch next = same_again(*current_);
    next.body.organisations = organisations;
    next.body.settings.hedge_ms = static_cast<std::uint32_t>(epoch);
    std::vector<Node> shuffled = nodes_;
    random_.shuffle(shuffled);
    next.body.nodes = changes_between(*current_, shuffled);
    const std::vector<SeatKey> next_keys = keys_for(next);
    const Bytes bytes = make_description(*current_, next, keys, cluster_.scheme);
    const auto made = apply(*current_, bytes, cluster_.scheme);
    ASSERT_TRUE(made.has_value()) << text_of(made.error());

    // The plain list says who is there; anew, from that and the header alone, it is the same.
    ASSERT_TRUE(std::ranges::is_permutation((*made)->nodes(), nodes_));
    const auto header = DescriptionHeader::decode(SignedDescription::decode(bytes)->header);
    FullMembers all{.settings = next.body.settings,
                    .organisations = organisations,
                    .nodes = nodes_after(*current_, next.body.nodes)};
    ASSERT_EQ(all.root(), header->members_root);
    const auto anew = configuration_of(*header, std::move(all));
    ASSERT_TRUE(anew.has_value()) << text_of(anew.error());
    ASSERT_EQ((*anew)->nodes(), (*made)->nodes());
    ASSERT_EQ((*anew)->root(), (*made)->root());
    ASSERT_EQ((*anew)->ring().arcs(), (*made)->ring().arcs());
    ASSERT_EQ((*anew)->service(), (*made)->service());
    ASSERT_EQ((*anew)->header_hash(), (*made)->header_hash());

    // What it says is no more than what changed, and the same whoever says it.
    const auto body = DescriptionBody::decode(SignedDescription::decode(bytes)->body);
    ASSERT_EQ(body->nodes, changes_between(*current_, (*made)->nodes().to_vector()));
    current_ = *made;
    nodes_ = current_->nodes().to_vector();
    keys = next_keys;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomChanges, testing::Range(1, 9));

}  // namespace
}  // namespace rosebud::membership
