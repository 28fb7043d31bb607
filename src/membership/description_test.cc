#include "membership/description.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/random.h"
#include "membership/test_cluster.h"

namespace rosebud::membership {
namespace {

class DescriptionTest : public testing::Test {
 protected:
  std::shared_ptr<const Configuration> current = TestCluster().first();
  TestCluster cluster;
  NextEpoch next = same_again(*current);

  Bytes made() const {
    return make_description(*current, next, cluster.epoch_keys, cluster.scheme);
  }

  std::optional<DescriptionError> refusal(ByteView bytes) const {
    const auto result = apply(*current, bytes, cluster.scheme);
    return result ? std::nullopt : std::optional(result.error());
  }
  std::optional<DescriptionError> refusal() const { return refusal(made()); }

  /// Changes the header after the fact and signs it again with everybody's keys.
  Bytes with_header(const std::function<void(DescriptionHeader&)>& change) const {
    auto description = *SignedDescription::decode(made());
    auto header = *DescriptionHeader::decode(description.header);
    change(header);
    description.header = header.encode();
    for (std::size_t i = 0; i < description.signatures.size(); ++i) {
      description.signatures[i].signature = cluster.scheme.sign(
          cluster.epoch_keys[i].key, DescriptionHeader::kTag, description.header);
    }
    return description.encode();
  }
};

TEST_F(DescriptionTest, TheHeaderStandsAtItsBeginning) {
  Bytes bytes = made();
  ASSERT_TRUE(header_in(bytes).has_value());
  EXPECT_EQ(*header_in(bytes),
            *DescriptionHeader::decode(SignedDescription::decode(bytes)->header));
  EXPECT_EQ(header_in(current->signed_description()), std::nullopt);
  bytes.push_back(0);
  EXPECT_EQ(header_in(bytes), std::nullopt);
  EXPECT_EQ(header_in({}), std::nullopt);
}

TEST_F(DescriptionTest, NodesAddedAndRemoved_MakeTheNextConfiguration) {
  next.start = Timestamp(2000);
  next.end = Timestamp(3000);
  next.randomness = crypto::sha256(as_bytes("R2"));
  next.body.nodes.erase(next.body.nodes.begin() + 1);
  Node added = TestCluster::node(9, 3);
  added.admission_randomness = next.randomness;
  next.body.nodes.push_back(added);
  next.service = {{.node = 7, .epoch_key = test_key("2/9").public_key()},
                  {.node = 1, .epoch_key = test_key("2/2").public_key()},
                  {.node = 0, .epoch_key = test_key("2/0").public_key()}};
  const Bytes bytes = made();
  const auto result = apply(*current, bytes, cluster.scheme);
  ASSERT_TRUE(result.has_value()) << text_of(result.error());
  const Configuration& after = **result;
  EXPECT_EQ(after.cluster(), current->cluster());
  EXPECT_EQ(after.number(), (wire::ConfigurationNumber{wire::Generation(0), wire::Epoch(2)}));
  EXPECT_EQ(after.start(), Timestamp(2000));
  EXPECT_EQ(after.end(), Timestamp(3000));
  EXPECT_EQ(after.randomness(), next.randomness);
  EXPECT_EQ(after.nodes(), next.body.nodes);
  EXPECT_EQ(after.organisations(), current->organisations());
  EXPECT_EQ(after.service(), next.service);
  EXPECT_TRUE(equal(after.signed_description().view(), bytes));
  EXPECT_FALSE(after.node_index(cluster.genesis.nodes[1].key).has_value());
}

TEST_F(DescriptionTest, Chain_IsSignedByTheServiceOfTheEpochBefore) {
  std::vector<SeatKey> second_keys;
  for (std::uint16_t seat = 0; seat < 4; ++seat) {
    second_keys.push_back({.seat = seat, .key = test_key("2/" + std::to_string(seat))});
    next.service[seat].epoch_key = second_keys.back().key.public_key();
  }
  const auto second = apply(*current, made(), cluster.scheme);
  ASSERT_TRUE(second.has_value());
  const NextEpoch third = same_again(**second);
  const Bytes by_second = make_description(**second, third, second_keys, cluster.scheme);
  ASSERT_TRUE(apply(**second, by_second, cluster.scheme).has_value());
  const Bytes by_first = make_description(**second, third, cluster.epoch_keys, cluster.scheme);
  EXPECT_EQ(apply(**second, by_first, cluster.scheme).error(), DescriptionError::kTooFewSignatures);
  EXPECT_EQ(refusal(by_second), DescriptionError::kGap);
  EXPECT_EQ(apply(**second, made(), cluster.scheme).error(), DescriptionError::kNotNewer);
}

TEST_F(DescriptionTest, EpochOneIsThePredecessor_ByTheClusterId) {
  const auto header = *DescriptionHeader::decode(SignedDescription::decode(made())->header);
  EXPECT_TRUE(equal(header.previous.view(), current->cluster().view()));
}

TEST_F(DescriptionTest, EveryReasonForRefusingAHeader) {
  EXPECT_EQ(refusal(), std::nullopt);
  EXPECT_EQ(refusal(ByteView()), DescriptionError::kMalformed);
  using H = DescriptionHeader;
  EXPECT_EQ(refusal(with_header([](H& h) { h.cluster.bytes[0] ^= 1; })),
            DescriptionError::kOtherCluster);
  EXPECT_EQ(refusal(with_header([](H& h) { h.number.generation = wire::Generation(1); })),
            DescriptionError::kTooFewSignatures);  // of organisations (recovery_test.cc)
  EXPECT_EQ(refusal(with_header([](H& h) { h.number.epoch = wire::Epoch(1); })),
            DescriptionError::kNotNewer);
  EXPECT_EQ(refusal(with_header([](H& h) { h.number.epoch = wire::Epoch(3); })),
            DescriptionError::kGap);
  EXPECT_EQ(refusal(with_header([](H& h) { h.previous.bytes[31] ^= 1; })),
            DescriptionError::kOtherHistory);
  EXPECT_EQ(refusal(with_header([](H& h) { h.body.bytes[0] ^= 1; })),
            DescriptionError::kBodyMismatch);
  for (const auto& change : std::vector<std::function<void(H&)>>{
           [](H& h) { h.members_root.bytes[0] ^= 1; },
           [](H& h) { h.seats.clear(); },
           [](H& h) { h.seats.resize(2); },
           [](H& h) { h.seats[0].node.bytes[0] ^= 1; },
           [](H& h) { h.seats[0] = h.seats[1]; },
           [](H& h) { h.start = Timestamp(999); },
           [](H& h) { h.end = h.start; },
       }) {
    EXPECT_EQ(refusal(with_header(change)), DescriptionError::kImpossible);
  }
}

TEST_F(DescriptionTest, FewerThanAQuorumOfSignatures_AreRefused) {
  const auto good = *SignedDescription::decode(made());
  auto changed = good;
  changed.signatures.erase(changed.signatures.begin());
  EXPECT_EQ(refusal(changed.encode()), std::nullopt);  // three of four: 2F+1
  changed.signatures.pop_back();
  EXPECT_EQ(refusal(changed.encode()), DescriptionError::kTooFewSignatures);

  changed = good;
  changed.signatures[0].signature.bytes[0] ^= 1;  // spoilt on the way; three are left
  EXPECT_EQ(refusal(changed.encode()), std::nullopt);
  changed.signatures[1].signature = changed.signatures[2].signature;
  EXPECT_EQ(refusal(changed.encode()), DescriptionError::kTooFewSignatures);

  changed = good;
  changed.signatures.resize(3);
  changed.signatures[2].seat = 4;  // a seat that does not exist
  EXPECT_EQ(refusal(changed.encode()), DescriptionError::kTooFewSignatures);
  changed.signatures[2] = changed.signatures[1];  // one seat twice
  EXPECT_EQ(refusal(changed.encode()), DescriptionError::kMalformed);
}

TEST_F(DescriptionTest, SignaturesOfAnotherKind_DoNotCount) {
  auto description = *SignedDescription::decode(made());
  for (std::size_t i = 0; i < 4; ++i) {
    description.signatures[i].signature =
        cluster.scheme.sign(cluster.epoch_keys[i].key, Genesis::kTag, description.header);
  }
  EXPECT_EQ(refusal(description.encode()), DescriptionError::kTooFewSignatures);
}

TEST_F(DescriptionTest, QuorumIsTheOneOfTheCurrentSettings) {
  // The description claims F = 0; one member alone must not be able to bring that about.
  next.body.settings.service_faults = 0;
  next.service.resize(1);
  const Bytes by_one =
      make_description(*current, next, std::span(cluster.epoch_keys).first(1), cluster.scheme);
  EXPECT_EQ(refusal(by_one), DescriptionError::kTooFewSignatures);
  EXPECT_EQ(refusal(), std::nullopt);
}

TEST_F(DescriptionTest, BodyExchangedAfterSigning_IsRefused) {
  auto description = *SignedDescription::decode(made());
  next.body.nodes[0].address = "6.6.6.6:6";
  description.body = next.body.encode();
  EXPECT_EQ(refusal(description.encode()), DescriptionError::kBodyMismatch);
}

TEST_F(DescriptionTest, MemberThatWouldMoveOnTheRing_IsRefused) {
  next.body.nodes[3].admission_randomness.bytes[0] ^= 1;
  EXPECT_EQ(refusal(), DescriptionError::kImpossible);
}

TEST_F(DescriptionTest, ExposedSeatsAreAllowed_WhileAQuorumIsLeft) {
  next.body.nodes.resize(6);  // the fourth organisation has no node left
  next.service.resize(3);
  const auto after = apply(*current, made(), cluster.scheme);
  ASSERT_TRUE(after.has_value()) << text_of(after.error());
  EXPECT_EQ((*after)->filled_seats(), 3U);
  EXPECT_EQ((*after)->group({}).size(), 3U);
  // Two of four seats: nothing could be written. The service alone would be possible.
  next.body.nodes.resize(4);
  next.body.settings.service_faults = 0;
  next.service.resize(1);
  EXPECT_EQ(refusal(), DescriptionError::kImpossible);
  next.body.nodes = current->nodes().to_vector();
  EXPECT_EQ(refusal(), std::nullopt);
}

TEST_F(DescriptionTest, ConfigurationWithoutService_IsFollowedByNothing) {
  const auto alone = Configuration::make({.cluster = current->cluster(),
                                          .number = current->number(),
                                          .start = current->start(),
                                          .settings = current->settings(),
                                          .organisations = current->organisations(),
                                          .nodes = current->nodes().to_vector(),
                                          .header_hash = current->header_hash()});
  ASSERT_TRUE(alone.has_value());
  EXPECT_EQ(apply(**alone, made(), cluster.scheme).error(), DescriptionError::kTooFewSignatures);
}

TEST_F(DescriptionTest, DamagedBytes_NeverCrash_AndNeverMakeAnotherConfiguration) {
  const Bytes bytes = made();
  Random random(1);
  const auto expected = DescriptionHeader::decode(SignedDescription::decode(bytes)->header);
  for (int i = 0; i < 3000; ++i) {
    Bytes changed = bytes;
    changed[random.below(changed.size())] = static_cast<std::uint8_t>(random.next());
    if (random.chance(1, 4)) changed.resize(random.below(changed.size()));
    if (const auto decoded = SignedDescription::decode(changed)) {
      EXPECT_EQ(decoded->encode(), changed);
      if (const auto body = DescriptionBody::decode(decoded->body)) {
        EXPECT_EQ(body->encode(), decoded->body);
      }
      if (const auto header = DescriptionHeader::decode(decoded->header)) {
        EXPECT_EQ(header->encode(), decoded->header);
      }
    }
    // Only a spoilt signature is borne.
    if (const auto made = apply(*current, changed, cluster.scheme)) {
      EXPECT_EQ((*made)->nodes(), next.body.nodes);
      EXPECT_EQ((*made)->randomness(), expected->randomness);
    }
  }
}

TEST(DescriptionLayout, LargestHeaderFitsItsBound) {
  DescriptionHeader header;
  header.seats.resize(kSeatsMax);
  EXPECT_EQ(header.encode().size(), kDescriptionHeaderSizeMax);
}

TEST(DescriptionBodyRoot, DependsOnEveryMemberAndItsPlace) {
  const TestCluster cluster;
  const DescriptionBody body{.settings = cluster.genesis.settings,
                             .organisations = cluster.genesis.organisations,
                             .nodes = cluster.genesis.nodes};
  auto other = body;
  std::swap(other.nodes[0], other.nodes[1]);
  EXPECT_NE(other.root(), body.root());
  other = body;
  other.nodes.pop_back();
  EXPECT_NE(other.root(), body.root());
  other = body;
  other.settings.hedge_ms += 1;
  EXPECT_NE(other.root(), body.root());
  other = body;
  other.nodes[7].admission_randomness.bytes[0] ^= 1;
  EXPECT_NE(other.root(), body.root());
  other = body;
  other.organisations[1].quota_bytes += 1;
  EXPECT_NE(other.root(), body.root());
}

}  // namespace
}  // namespace rosebud::membership
