// Operations as bytes, and the draw of seats.
#include "service/draw.h"

#include <algorithm>

#include "base/random.h"
#include "service/test_service.h"

namespace rosebud::service {
namespace {

TEST(Operations, EncodingsAreReadBackAndCanonical) {
  TestService service;
  const std::vector<Operation> all = {
      Reachability{.node = node_key(1), .is_reachable = true},
      service.admission(20, 1),
      service.revocation(3, 1),
      PrepareEpoch{},
      service.announcement(node_key(2)),
      NoAnnouncement{node_key(2)},
      Reveal{.node = node_key(4), .share = TestService::share(node_key(4), 1)},
      NoReveal{node_key(4)},
      Enact{{.decree = Bytes{1, 2}, .signatures = {{.authority = node_key(1), .signature = {}}}}},
      RetireNode{service.revocation(3, 1).revocation},
      EndEpoch{service.revocation(3, 1).revocation},
      Complain{.accused = node_key(1),
               .block = wire::ObjectId::block(TestService::share(node_key(4), 1))},
      Verdict{.accused = node_key(1), .outcome = wire::AuditOutcome::kFalse}};
  ASSERT_EQ(all.size(), std::variant_size_v<Operation>);
  for (std::size_t kind = 0; kind < all.size(); ++kind) {
    ASSERT_EQ(all[kind].index(), kind);
    const Bytes encoded = encode(all[kind]);
    const auto decoded = decode_operation(encoded);
    ASSERT_TRUE(decoded) << name_of(all[kind]);
    EXPECT_EQ(encode(*decoded), encoded);
    for (std::size_t size = 0; size < encoded.size(); ++size) {
      EXPECT_FALSE(decode_operation(ByteView(encoded).first(size)));
    }
    Bytes longer = encoded;
    longer.push_back(0);
    EXPECT_FALSE(decode_operation(longer));
  }
}

TEST(Draw, EverySeatIsTakenOnceWithinTheBoundPerOrganisation) {
  TestService service;
  Random random(1);
  for (int i = 0; i < 200; ++i) {
    SeatRules rules{.now_ms = service.now_ms + 90'000'000};
    for (const wire::NodeKey& member : service.members()) {
      rules.seated_since_ms[member] = random.chance(1, 2) ? service.now_ms : rules.now_ms;
    }
    for (std::size_t n = 0; n < 8; ++n) {
      if (random.chance(1, 5)) rules.barred.insert(node_key(n));
    }
    const SeatDraw drawn = draw_seats(*service.configuration, rules);
    std::map<std::uint32_t, int> of_organisation;
    std::set<wire::NodeKey> seats(drawn.seats.begin(), drawn.seats.end());
    EXPECT_EQ(seats.size(), drawn.seats.size());
    for (const wire::NodeKey& node : drawn.seats) {
      EXPECT_FALSE(rules.barred.contains(node));
      const auto index = service.configuration->node_index(node);
      EXPECT_EQ(++of_organisation[service.configuration->nodes()[*index].organisation], 1);
    }
    for (const wire::NodeKey& node : drawn.reserve) EXPECT_FALSE(seats.contains(node));
    std::set<std::uint32_t> able;
    for (std::size_t n = 0; n < 8; ++n) {
      if (!rules.barred.contains(node_key(n))) able.insert(static_cast<std::uint32_t>(n / 2));
    }
    EXPECT_EQ(drawn.seats.size(), able.size());  // one node of each organisation that has any
    std::size_t left = 0;
    for (const wire::NodeKey& member : service.members()) {
      if (!rules.barred.contains(member) && !seats.contains(member)) ++left;
    }
    EXPECT_LE(left, 1U);
  }
}

TEST(Draw, AnotherRandomnessDrawsOthers) {
  TestService service({.epoch_seconds = 60, .service_term_seconds = 60});
  std::set<wire::NodeKey> seen;
  for (int i = 0; i < 12; ++i) {
    for (const wire::NodeKey& node : service.members()) seen.insert(node);
    service.end_epoch();
  }
  EXPECT_EQ(seen.size(), 8U);  // everybody has had a seat
}

/// It keeps its seat, and the others' seats change all the same.
TEST(Draw, OneThatNobodyCanFollowDoesNotHoldUpTheOthers) {
  TestService service({.epoch_seconds = 60, .service_term_seconds = 60});
  SeatRules rules{.barred = {node_key(7)}, .now_ms = 1'000'000};
  for (const wire::NodeKey& member : service.members()) rules.seated_since_ms[member] = 1000;
  rules.seated_since_ms[node_key(6)] = 0;  // the longest serving
  const SeatDraw drawn = draw_seats(*service.configuration, rules);
  const std::set<wire::NodeKey> seats(drawn.seats.begin(), drawn.seats.end());
  EXPECT_EQ(seats.size(), 4U);
  EXPECT_TRUE(seats.contains(node_key(6)));
  const auto kept = std::ranges::count_if(
      service.members(), [&](const wire::NodeKey& member) { return seats.contains(member); });
  EXPECT_EQ(kept, 3);
}

TEST(Draw, TheNextInReserveKeepsTheBound) {
  TestService service;
  SeatRules rules;
  for (const wire::NodeKey& member : service.members()) rules.seated_since_ms[member] = 0;
  const SeatDraw drawn = draw_seats(*service.configuration, rules);
  // Without node 2 only its organisation has room: node 3.
  const std::vector<wire::NodeKey> seats{node_key(0), node_key(4), node_key(6)};
  EXPECT_EQ(next_in_reserve(*service.configuration, drawn, seats, {node_key(2)}), node_key(3));
  EXPECT_EQ(next_in_reserve(*service.configuration, drawn, seats, {node_key(2), node_key(3)}),
            std::nullopt);
}

TEST(Randomness, AShareBelongsToItsKey) {
  const crypto::SecretKey one = membership::test_key("one");
  EXPECT_EQ(share_of(one), share_of(crypto::SecretKey::from_seed(one.seed())));
  EXPECT_NE(share_of(one), share_of(membership::test_key("two")));
}

TEST(Randomness, EveryShareCounts) {
  TestService service;
  std::map<wire::NodeKey, crypto::Digest> shares;
  std::set<crypto::Digest> seen{next_randomness(*service.configuration, shares)};
  for (const wire::NodeKey& member : service.members()) {
    shares[member] = TestService::share(member, 1);
    EXPECT_TRUE(seen.insert(next_randomness(*service.configuration, shares)).second);
  }
}

}  // namespace
}  // namespace rosebud::service
