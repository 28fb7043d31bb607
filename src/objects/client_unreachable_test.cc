#include <gtest/gtest.h>

#include <algorithm>

#include "membership/test_cluster.h"
#include "objects/client.h"

namespace rosebud::objects {
namespace {

constexpr Duration kGrace = std::chrono::seconds(3);

/// A client of the test cluster, driven by hand.
struct UnreachableTest : testing::Test {
  membership::TestCluster cluster;
  std::shared_ptr<const membership::Configuration> configuration = cluster.first();
  Client client{Verifier(configuration, cluster.scheme), Random(1), {.unreachable_grace = kGrace}};
  wire::ObjectId id = wire::ObjectId::block(crypto::sha256(as_bytes("block")));
  Instant now{};
  ClientEffects effects;

  std::vector<wire::NodeKey> group() const {
    std::vector<wire::NodeKey> out;
    for (const std::uint32_t node : configuration->group(id.placement))
      out.push_back(configuration->nodes()[node].key);
    return out;
  }
  /// Lets the client act until nothing is due before `until`; the first `dead` of the group cannot
  /// be reached.
  void run(Instant until, std::size_t dead) {
    const auto members = group();
    for (int step = 0; step < 10'000; ++step) {
      const ClientEffects taken = std::exchange(effects, {});
      for (const auto& effect : taken) {
        if (const auto* finish = std::get_if<Finish>(&effect)) result = finish->result;
        const auto* request = std::get_if<SendRequest>(&effect);
        if (!request) continue;
        const auto at = std::ranges::find(members, request->to) - members.begin();
        if (static_cast<std::size_t>(at) < dead)
          client.on_unreachable(now, request->to, effects);
        else if (answers)
          answer(*request);
      }
      if (!effects.empty()) continue;
      const Instant next = client.next_deadline();
      if (next > until) return;
      ASSERT_GE(next, now);
      now = next;
      client.on_time(now, effects);
    }
    FAIL() << "the client spins";
  }
  void answer(const SendRequest& request) {
    client.on_answer(now, request.to, {.context = request.request.context, .body = wire::Absent{}},
                     effects);
  }

  std::optional<OperationResult> result;
  bool answers = false;
};

TEST_F(UnreachableTest, NobodyReachable_EndsAfterTheGrace) {
  client.read_record(now, id, now + std::chrono::seconds(30), effects);
  run(now + kGrace, 4);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->outcome, Outcome::kNoQuorum);
  EXPECT_EQ(now, Instant{} + kGrace);
}

TEST_F(UnreachableTest, MoreThanFUnreachable_EndsAWriteButNotTheReadOfABlock) {
  client.read_record(now, id, now + std::chrono::seconds(30), effects);
  run(now + kGrace, 2);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->outcome, Outcome::kNoQuorum);
  // The two that are silent may still have the block.
  result.reset();
  client.read_block(now, id, now + std::chrono::seconds(30), effects);
  run(now + std::chrono::seconds(29), 2);
  EXPECT_FALSE(result);
}

TEST_F(UnreachableTest, BlockThatTheRestHasNot_EndsAfterTheGrace) {
  answers = true;
  client.read_block(now, id, now + std::chrono::seconds(30), effects);
  run(now + std::chrono::seconds(8), 2);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->outcome, Outcome::kNoQuorum);
}

TEST_F(UnreachableTest, FUnreachable_IsWaitedFor) {
  client.read_record(now, id, now + std::chrono::seconds(30), effects);
  run(now + std::chrono::seconds(29), 1);
  EXPECT_FALSE(result);
}

TEST_F(UnreachableTest, WhoAnsweredOnce_IsWaitedForUntilTheDeadline) {
  answers = true;
  client.read_record(now, id, now + std::chrono::seconds(30), effects);
  run(now, 0);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->outcome, Outcome::kNotFound);
  result.reset();
  const Instant begin = now;
  client.read_record(now, id, now + std::chrono::seconds(30), effects);
  run(begin + std::chrono::seconds(29), 4);
  EXPECT_FALSE(result);
  run(begin + std::chrono::seconds(30), 4);
  EXPECT_TRUE(result);
}

TEST_F(UnreachableTest, NoGraceSet_EndsAtTheDeadline) {
  client = Client(Verifier(configuration, cluster.scheme), Random(1));
  client.read_record(now, id, now + std::chrono::seconds(30), effects);
  run(now + std::chrono::seconds(29), 4);
  EXPECT_FALSE(result);
}

}  // namespace
}  // namespace rosebud::objects
