// Leases of one epoch: members in one slot sign the same, a quorum makes one, everybody keeps the
// newest (nodes_test.cc lets whole nodes do it).
#include "service/leases.h"

#include <gtest/gtest.h>

#include "membership/test_cluster.h"

namespace rosebud::service {
namespace {

class LeasesTest : public testing::Test {
 protected:
  LeasesTest() {
    cluster.genesis.settings.has_leases = true;
    cluster.genesis.settings.epoch_seconds = 80;
    cluster.genesis.end = Timestamp(1240);
  }
  Leases make() const { return {cluster.first(), cluster.scheme}; }
  membership::SeatSignature signature(std::uint16_t seat, Timestamp until) const {
    return make().sign(until, seat, cluster.epoch_keys[seat].key);
  }
  membership::TestCluster cluster;
};

TEST_F(LeasesTest, OnceASlotAndTheSameForAllOfThem) {
  Leases first = make();
  Leases second = make();
  EXPECT_EQ(first.due(Timestamp(1003)), Timestamp(1080));
  EXPECT_EQ(second.due(Timestamp(1009)), Timestamp(1080));
  EXPECT_EQ(first.due(Timestamp(1007)), std::nullopt);
  EXPECT_EQ(first.due(Timestamp(1008)), Timestamp(1080));  // nothing came of it
  EXPECT_EQ(first.due(Timestamp(1010)), Timestamp(1090));
  EXPECT_EQ(first.due(Timestamp(1005)), Timestamp(1080));  // its clock was ahead, and was set
}

TEST_F(LeasesTest, NoneWhereTheSettingsWantNone) {
  cluster.genesis.settings.has_leases = false;
  EXPECT_EQ(make().due(Timestamp(1003)), std::nullopt);
}

TEST_F(LeasesTest, AQuorumMakesOneThatEverybodyTakes) {
  Leases member = make();
  const Timestamp until(1080);
  EXPECT_FALSE(member.add(Timestamp(1000), until, signature(0, until)));
  EXPECT_FALSE(member.add(Timestamp(1000), until, signature(0, until)));  // once each
  EXPECT_FALSE(member.add(Timestamp(1000), until, signature(2, until)));
  const auto whole = member.add(Timestamp(1000), until, signature(1, until));
  ASSERT_TRUE(whole);
  Leases other = make();
  EXPECT_TRUE(other.take(*whole));
  EXPECT_EQ(other.until(), until);
  EXPECT_EQ(other.newest(), *whole);
  EXPECT_FALSE(member.add(Timestamp(1000), until, signature(3, until)));  // it is there
}

TEST_F(LeasesTest, SignaturesOfOthersCountNothing) {
  Leases member = make();
  const Timestamp until(1080);
  for (std::uint16_t seat = 1; seat < 4; ++seat) {
    membership::SeatSignature stolen = signature(0, until);
    stolen.seat = seat;
    EXPECT_FALSE(member.add(Timestamp(1000), until, stolen));
  }
  EXPECT_FALSE(member.add(Timestamp(1000), until, signature(0, until)));
  EXPECT_FALSE(member.add(Timestamp(1000), until, signature(1, Timestamp(1090))));
  EXPECT_FALSE(member.add(Timestamp(1000), until, signature(2, until)));
}

TEST_F(LeasesTest, WhatIsTooFarAheadIsPassedOver) {
  Leases member = make();
  for (const Timestamp far : {Timestamp(1000 + 80 + 10 + 10 + 10), Timestamp(990)}) {
    for (std::uint16_t seat = 0; seat < 4; ++seat)
      EXPECT_FALSE(member.add(Timestamp(1000), far, signature(seat, far)));
  }
}

/// One member would fill the memory of others with a lease for each second.
TEST_F(LeasesTest, OnlyEndsOfSlotsCount) {
  Leases member = make();
  for (std::uint64_t until = 1000; until <= 1100; ++until) {
    if (until % 10 == 0) continue;
    for (std::uint16_t seat = 0; seat < 4; ++seat)
      EXPECT_FALSE(
          member.add(Timestamp(1000), Timestamp(until), signature(seat, Timestamp(until))));
  }
}

TEST_F(LeasesTest, TheNewestStays) {
  Leases member = make();
  std::vector<Buffer> whole;
  for (const Timestamp until : {Timestamp(1080), Timestamp(1090)}) {
    for (std::uint16_t seat = 0; seat < 3; ++seat) {
      if (auto one = member.add(Timestamp(1010), until, signature(seat, until)))
        whole.push_back(*one);
    }
  }
  ASSERT_EQ(whole.size(), 2U);
  Leases other = make();
  EXPECT_TRUE(other.take(whole[1]));
  EXPECT_TRUE(other.take(whole[0]));  // no news, and no fault
  EXPECT_EQ(other.until(), Timestamp(1090));
  EXPECT_FALSE(other.take(Buffer(Bytes{1, 2, 3})));
}

}  // namespace
}  // namespace rosebud::service
