// What leaves, and when.
#include <gtest/gtest.h>

#include "replication/durable_order.h"

namespace rosebud::replication {
namespace {

struct Order : ::testing::Test {
  DurableOrder<int> order;
  std::vector<int> left;

  void add(int one) {
    order.add(one, [&](int what) { left.push_back(what); });
  }
  void durable(std::uint64_t count) {
    order.on_durable(count, [&](int what) { left.push_back(what); });
  }
};

TEST_F(Order, NothingPersisted_LeavesAtOnce) {
  add(1);
  EXPECT_EQ(left, std::vector{1});
}

TEST_F(Order, BehindAPersist_WaitsForIt) {
  order.persist();
  add(1);
  EXPECT_TRUE(left.empty());
  durable(1);
  EXPECT_EQ(left, std::vector{1});
  EXPECT_EQ(order.waiting_count(), 0U);
}

TEST_F(Order, EachWaitsForThosePersistsThatWereBeforeIt) {
  order.persist();
  add(1);
  order.persist();
  add(2);
  add(3);
  durable(1);
  EXPECT_EQ(left, std::vector{1});
  EXPECT_FALSE(order.is_all_durable());
  durable(1);
  EXPECT_EQ(left, (std::vector{1, 2, 3}));
  EXPECT_TRUE(order.is_all_durable());
}

TEST_F(Order, AddedWhenAllIsDurable_OvertakesNothing) {
  order.persist();
  add(1);
  durable(1);
  add(2);
  EXPECT_EQ(left, (std::vector{1, 2}));
}

}  // namespace
}  // namespace rosebud::replication
