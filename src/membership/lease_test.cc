// How long a configuration may be relied on, and what proves it.
#include "membership/lease.h"

#include <gtest/gtest.h>

#include "membership/test_cluster.h"

namespace rosebud::membership {
namespace {

class LeaseTest : public testing::Test {
 protected:
  LeaseTest() {
    cluster.genesis.settings.has_leases = true;
    cluster.genesis.settings.epoch_seconds = 100;
    cluster.genesis.end = Timestamp(1300);
    configuration = cluster.first();
  }
  SignedLease signed_by(std::initializer_list<std::uint16_t> seats, const Lease& lease) const {
    SignedLease out{.lease = lease.encode()};
    for (const std::uint16_t seat : seats) {
      out.signatures.push_back(
          {.seat = seat,
           .signature = cluster.scheme.sign(cluster.epoch_keys[seat].key, Lease::kTag, out.lease)});
    }
    return out;
  }
  std::optional<Timestamp> check(const SignedLease& lease) const {
    return check_lease(*configuration, lease.encode(), cluster.scheme);
  }
  Lease lease() const { return lease_of(*configuration, Timestamp(1180)); }

  TestCluster cluster;
  std::shared_ptr<const Configuration> configuration;
};

TEST_F(LeaseTest, AQuorumOfTheServiceMakesOne) {
  EXPECT_EQ(check(signed_by({0, 1, 2}, lease())), Timestamp(1180));
  EXPECT_EQ(check(signed_by({0, 1, 2, 3}, lease())), Timestamp(1180));
  EXPECT_EQ(check(signed_by({1, 3}, lease())), std::nullopt);  // F+1 are not enough
}

TEST_F(LeaseTest, OfAnotherEpochClusterOrDescriptionIsNone) {
  Lease other = lease();
  other.number.epoch = wire::Epoch(2);
  EXPECT_EQ(check(signed_by({0, 1, 2}, other)), std::nullopt);
  other = lease();
  other.number.generation = wire::Generation(1);
  EXPECT_EQ(check(signed_by({0, 1, 2}, other)), std::nullopt);
  other = lease();
  other.cluster.bytes[0] ^= 1;
  EXPECT_EQ(check(signed_by({0, 1, 2}, other)), std::nullopt);
  other = lease();
  other.header_hash.bytes[0] ^= 1;
  EXPECT_EQ(check(signed_by({0, 1, 2}, other)), std::nullopt);
}

TEST_F(LeaseTest, EveryByteMatters) {
  const Bytes good = signed_by({0, 1, 2}, lease()).encode();
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes bad = good;
    bad[i] ^= 1;
    EXPECT_EQ(check_lease(*configuration, bad, cluster.scheme), std::nullopt) << "byte " << i;
    EXPECT_EQ(check_lease(*configuration, ByteView(good).first(i), cluster.scheme), std::nullopt);
  }
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_EQ(check_lease(*configuration, longer, cluster.scheme), std::nullopt);
}

TEST_F(LeaseTest, ASeatThatStandsTwiceIsNone) {
  SignedLease twice = signed_by({0, 1, 1}, lease());
  EXPECT_EQ(check(twice), std::nullopt);
}

TEST_F(LeaseTest, ASeatThatIsNotThereCountsNothing) {
  SignedLease lease_of_three = signed_by({0, 1, 2}, lease());
  lease_of_three.signatures[2].seat = 9;
  EXPECT_EQ(check(lease_of_three), std::nullopt);
}

TEST_F(LeaseTest, ADescriptionIsAsGoodAsALeaseForOneEpoch) {
  const auto until = [&](std::optional<Timestamp> leased) {
    return usable_until(*configuration, leased);
  };
  EXPECT_EQ(until({}), Timestamp(1100 + kClockBoundSeconds));
  EXPECT_EQ(until(Timestamp(1050)), Timestamp(1100 + kClockBoundSeconds));
  EXPECT_EQ(until(Timestamp(1180)), Timestamp(1180 + kClockBoundSeconds));
  // No lease outlives the end.
  EXPECT_EQ(until(Timestamp(9000)), Timestamp(1300 + kClockBoundSeconds));
}

TEST_F(LeaseTest, WithoutLeasesTheEndCountsAndWithoutAnEndNothing) {
  cluster.genesis.settings.has_leases = false;
  EXPECT_EQ(usable_until(*cluster.first(), {}), Timestamp(1300 + kClockBoundSeconds));
  cluster.genesis.end = {};
  cluster.genesis.settings.has_leases = true;
  EXPECT_EQ(usable_until(*cluster.first(), {}), std::nullopt);
}

}  // namespace
}  // namespace rosebud::membership
