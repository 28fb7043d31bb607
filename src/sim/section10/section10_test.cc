// The rules of design section 10 hold in every state of the small bound, and each rule that can be
// broken is missed in some state of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>

#include "sim/section10/bounds.h"
#include "sim/section10/run.h"

namespace rosebud::sim::section10 {

/// How GoogleTest shows a parameter.
static void PrintTo(const BrokenRule& rule, std::ostream* out) { *out << rule.name; }

namespace {

std::string told(const Outcome& outcome) {
  std::string out = outcome.where ? outcome.where->describe() : "nothing";
  for (const std::string& line : outcome.story) out += "\n" + line;
  return out + "\n" + outcome.violation;
}

TEST(Section10, AllRulesKept_EverythingHolds) {
  const Outcome outcome = search_all(scenarios(Reach::kSmall), Broken::kNothing);
  EXPECT_EQ(outcome.violation, "") << told(outcome);
  EXPECT_TRUE(outcome.is_whole);
  EXPECT_GT(outcome.states, 1'000'000U);
}

class BrokenRuleTest : public testing::TestWithParam<BrokenRule> {};

TEST_P(BrokenRuleTest, IsFound) {
  const BrokenRule& broken = GetParam();
  const Outcome outcome = search_all(scenarios_for(broken.rule, Reach::kSmall), broken.rule);
  EXPECT_NE(outcome.violation, "") << broken.breaks;
}

std::string name_of(const testing::TestParamInfo<BrokenRule>& info) {
  std::string name(info.param.name);
  std::ranges::replace(name, '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Section10, BrokenRuleTest, testing::ValuesIn(kBrokenRules), name_of);

TEST(Section10, FaultsMove_EverythingHolds) {
  const Outcome outcome = search_all(moving_scenarios(Reach::kSmall), Broken::kNothing);
  EXPECT_EQ(outcome.violation, "") << told(outcome);
  EXPECT_TRUE(outcome.is_whole);
  EXPECT_GT(outcome.states, 1'000'000U);
}

/// Design 2 by its word. Whoever is left behind in the epoch of a group that was handed over has
/// nobody to ask but liars, and serves what they told it in the next epoch too.
TEST(Section10, PromiseEndsWhen2f1AreComplete_AReadMayMissAWrite) {
  const Outcome outcome = search_all(moving_scenarios(Reach::kSmall, true), Broken::kNothing);
  EXPECT_THAT(outcome.violation, testing::HasSubstr("a read in epoch 3 returns less"));
  EXPECT_THAT(told(outcome), testing::HasSubstr("turns faulty"));
}

TEST(Section10, Scenarios_HaveOneFaultyMemberOfEachGroupAtMost) {
  for (const Reach reach : {Reach::kSmall, Reach::kDefault, Reach::kDeep}) {
    for (const Scenario& scenario : scenarios(reach)) {
      for (int e = 1; e <= kEpochs; ++e) {
        int members = 0;
        int faulty = 0;
        for (std::size_t node = 0; node < scenario.nodes; ++node) {
          members += scenario.is_member(node, e) ? 1 : 0;
          faulty += scenario.is_member(node, e) && scenario.is_faulty[node] ? 1 : 0;
        }
        ASSERT_EQ(members, kReplicas) << scenario.describe();
        ASSERT_LE(faulty, kFaults) << scenario.describe();
      }
    }
  }
}

TEST(Section10, PackedReplica_IsTheSame) {
  Replica replica{.epoch = 3, .version = 2, .complete = 3, .serving = Serving::kArc, .gone = 1};
  replica.is_owing = true;
  replica.answers[1] = {.entered = 2, .complete = 1};
  replica.answers_before_gone[2] = {.entered = 3, .complete = 2};
  replica.acknowledged = {0, 1, 2, 1};
  replica.stale = {0, 2, 4, 6};
  replica.asked[1] = {.asking = Asking::kOwn, .told = 9};
  EXPECT_EQ(Replica::unpack(replica.pack()), replica);
}

}  // namespace
}  // namespace rosebud::sim::section10
