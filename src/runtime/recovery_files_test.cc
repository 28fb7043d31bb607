// What a node keeps for a recovery by the organisations: its promise, and chains that branch; how
// it looks back on them, and how it counts what was lost (design 8.6).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/temporary_folder.h"
#include "crypto/test_counting_scheme.h"
#include "membership/test_chain.h"
#include "runtime/generation_starts.h"
#include "runtime/look_back.h"
#include "runtime/recovery_promise.h"

namespace rosebud::runtime {
namespace {

namespace fs = std::filesystem;

using membership::RecoveryStatement;

wire::ConfigurationNumber number(std::uint32_t generation, std::uint64_t epoch) {
  return {wire::Generation(generation), wire::Epoch(epoch)};
}

class RecoveryFilesTest : public testing::Test {
 protected:
  wire::SignedBytes stated(std::uint32_t generation, wire::ConfigurationNumber entered) const {
    return wire::sign(crypto::model_scheme(), membership::test_key("node0"),
                      RecoveryStatement{.cluster = {},
                                        .generation = wire::Generation(generation),
                                        .node = membership::test_key("node0").public_key(),
                                        .directory = {},
                                        .entered = entered,
                                        .header_hash = {},
                                        .epoch_key = {},
                                        .commitment = {}});
  }
  /// What more than two thirds of the organisations make of `parent`. `silent`: members that are
  /// given up, with the groups that lack their statements.
  std::shared_ptr<const membership::Configuration> recovered(
      const membership::Configuration& parent, std::uint32_t generation,
      const std::set<std::size_t>& silent = {}) const {
    membership::RecoveryPlan plan{.generation = wire::Generation(generation),
                                  .start = parent.start(),
                                  .settings = parent.settings(),
                                  .given_up = {},
                                  .seats = {},
                                  .statements = {},
                                  .losses = {},
                                  .state = {}};
    std::set<wire::NodeKey> stated;
    for (std::size_t i = 0; i < parent.nodes().size(); ++i) {
      const membership::Node& node = parent.nodes()[i];
      if (silent.contains(i)) {
        plan.given_up.insert(node.key);
        continue;
      }
      stated.insert(node.key);
      plan.statements.push_back(wire::sign(
          chain.cluster.scheme, membership::test_key(node.name),
          RecoveryStatement{.cluster = parent.cluster(),
                            .generation = wire::Generation(generation),
                            .node = node.key,
                            .directory = node.directory,
                            .entered = parent.number(),
                            .header_hash = parent.header_hash(),
                            .epoch_key = membership::test_key("r" + node.name).public_key(),
                            .commitment = crypto::sha256(as_bytes(node.name))}));
    }
    for (const auto& group : membership::lacking_groups(parent, stated))
      plan.losses.push_back(group.id);
    for (const char* node : {"node1", "node3", "node5", "node7"})
      plan.seats.push_back(membership::test_key(node).public_key());
    auto draft = membership::draft_recovery(parent, plan);
    for (const std::size_t one : {0U, 1U, 2U}) {
      draft.signatures.push_back(*membership::sign_recovery(
          parent, draft.header, chain.cluster.authorities[one], chain.cluster.scheme));
    }
    return *membership::apply(parent, draft.encode(), chain.cluster.scheme);
  }
  RecoveryPromise promise() const { return *RecoveryPromise::load(file); }
  std::vector<wire::ConfigurationNumber> loaded() const {
    std::vector<wire::ConfigurationNumber> out;
    const auto all = files.load(chain.cluster.first(), chain.cluster.scheme);
    for (const auto& one : *all) out.push_back(one->number());
    return out;
  }

  std::vector<wire::ConfigurationNumber> loaded_as_promised() const {
    const RecoveryPromise made = promise();
    std::vector<wire::ConfigurationNumber> out;
    const auto all = files.load(chain.cluster.first(), chain.cluster.scheme,
                                [&](const auto& one) { return made.may_enter(one.number()); });
    for (const auto& one : *all) out.push_back(one->number());
    return out;
  }

  membership::TestChain chain;
  TemporaryFolder own;
  fs::path file = own.path() / "recovery.promise";
  EpochFiles files{own.path() / "epochs"};
};

TEST_F(RecoveryFilesTest, WhoPromisedNothing_FollowsTheService) {
  EXPECT_EQ(promise().statement(), std::nullopt);
  EXPECT_FALSE(promise().binds(number(0, 1)));
  EXPECT_TRUE(promise().may_enter(number(0, 2)));
}

TEST_F(RecoveryFilesTest, APromiseOutlivesTheProcess) {
  ASSERT_TRUE(promise().make(stated(1, number(0, 8))));
  EXPECT_EQ(promise().statement(), stated(1, number(0, 8)));
  EXPECT_TRUE(promise().binds(number(0, 8)));
  EXPECT_TRUE(promise().may_enter(number(0, 8)));  // it has
  EXPECT_FALSE(promise().may_enter(number(0, 9)));
  EXPECT_TRUE(promise().may_enter(number(1, 9)));
  EXPECT_FALSE(promise().binds(number(1, 9)));
}

TEST_F(RecoveryFilesTest, APromiseForALaterGeneration_KeepsOutTheOneBefore) {
  ASSERT_TRUE(promise().make(stated(1, number(0, 8))));
  ASSERT_TRUE(promise().make(stated(2, number(0, 8))));
  EXPECT_FALSE(promise().may_enter(number(1, 9)));
  EXPECT_TRUE(promise().may_enter(number(2, 9)));
}

TEST_F(RecoveryFilesTest, APromiseThatCannotBeRead_StopsTheNode) {
  std::ofstream(file) << "rosebud-statement-1 00\n";
  EXPECT_FALSE(RecoveryPromise::load(file).has_value());
}

TEST_F(RecoveryFilesTest, AStepOfGenerationsIsBounded) {
  const auto is_too_far = [&](std::uint32_t asked, std::uint32_t is_in) {
    return promise().is_too_far(wire::Generation(asked), wire::Generation(is_in));
  };
  EXPECT_FALSE(is_too_far(64, 0));
  EXPECT_TRUE(is_too_far(65, 0));
  EXPECT_FALSE(is_too_far(70, 6));
  EXPECT_TRUE(is_too_far(UINT32_MAX, 6));
  ASSERT_TRUE(promise().make(stated(64, number(0, 8))));
  EXPECT_FALSE(is_too_far(128, 0));
  EXPECT_TRUE(is_too_far(129, 0));
  EXPECT_FALSE(is_too_far(UINT32_MAX, UINT32_MAX - 1));
}

TEST_F(RecoveryFilesTest, WhatWasWrittenDownAndNotEntered_IsNotTheEnd) {
  for (int i = 0; i < 3; ++i) {
    (void)chain.next();
    ASSERT_TRUE(files.add(*chain.tip()));
  }
  ASSERT_TRUE(promise().make(stated(1, number(0, 2))));
  EXPECT_THAT(loaded_as_promised(), testing::ElementsAre(number(0, 1), number(0, 2)));
}

// A recovery of a generation that it promised not to enter is kept all the same: it may be the
// parent of what it enters at last, and must not hide what it has entered.
TEST_F(RecoveryFilesTest, AHeldRecovery_IsNoEndAndMayBeAParent) {
  (void)chain.next();
  const auto second = chain.tip();
  ASSERT_TRUE(files.add(*second));
  (void)chain.next();
  ASSERT_TRUE(files.add(*chain.tip()));
  const auto held = recovered(*second, 1);
  ASSERT_TRUE(files.add(*held));
  ASSERT_TRUE(promise().make(stated(2, number(0, 3))));
  EXPECT_THAT(loaded_as_promised(), testing::ElementsAre(number(0, 1), number(0, 2), number(0, 3)));
  ASSERT_TRUE(files.add(*recovered(*held, 2)));
  EXPECT_THAT(loaded_as_promised(),
              testing::ElementsAre(number(0, 1), number(0, 2), number(1, 3), number(2, 4)));
}

TEST_F(RecoveryFilesTest, TheChainToAnyParentIsFound) {
  (void)chain.next();
  const auto second = chain.tip();
  ASSERT_TRUE(files.add(*second));
  (void)chain.next();
  const auto third = chain.tip();
  ASSERT_TRUE(files.add(*third));
  ASSERT_TRUE(files.add(*recovered(*second, 1)));
  const auto to = [&](const crypto::Digest& hash) {
    return (*files.load(chain.cluster.first(), chain.cluster.scheme,
                        [&](const auto& one) { return one.header_hash() == hash; }))
        .back()
        ->number();
  };
  EXPECT_EQ(to(third->header_hash()), number(0, 3));
  EXPECT_EQ(to(second->header_hash()), number(0, 2));
  EXPECT_EQ(to(crypto::sha256(as_bytes("nothing"))), number(0, 1));
}

TEST_F(RecoveryFilesTest, AStrayFileOfAnotherBranch_KeepsNobodyFromStarting) {
  (void)chain.next();
  const auto second = chain.tip();
  ASSERT_TRUE(files.add(*second));
  ASSERT_TRUE(files.add(*recovered(*second, 1)));
  const fs::path folder = own.path() / "epochs";
  fs::create_symlink("0-3.description", folder / "0-3.description");  // cannot be read
  std::ofstream(folder / "2-3.description").close();
  fs::resize_file(folder / "2-3.description", 64U << 20);
  fs::create_directory(folder / "3-3.description");
  EXPECT_EQ(loaded().back(), number(1, 3));
  // One that may be what the node has entered last does.
  fs::create_symlink("1-4.description", folder / "1-4.description");
  EXPECT_FALSE(files.load(chain.cluster.first(), chain.cluster.scheme).has_value());
}

TEST_F(RecoveryFilesTest, TheHigherGenerationIsFollowed) {
  (void)chain.next();
  const auto second = chain.tip();
  ASSERT_TRUE(files.add(*second));
  for (int i = 0; i < 2; ++i) {
    (void)chain.next();
    ASSERT_TRUE(files.add(*chain.tip()));
  }
  EXPECT_EQ(loaded().back(), number(0, 4));
  ASSERT_TRUE(files.add(*recovered(*second, 1)));
  EXPECT_THAT(loaded(), testing::ElementsAre(number(0, 1), number(0, 2), number(1, 3)));
  // Two from the same parent: the higher one, whatever came first.
  ASSERT_TRUE(files.add(*recovered(*second, 3)));
  EXPECT_THAT(loaded(), testing::ElementsAre(number(0, 1), number(0, 2), number(3, 3)));
  EXPECT_THAT(files.numbers(), testing::ElementsAre(number(0, 2), number(0, 3), number(0, 4),
                                                    number(1, 3), number(3, 3)));
}

TEST_F(RecoveryFilesTest, AFileThatDoesNotFollow_IsPassedOver) {
  (void)chain.next();
  const auto second = chain.tip();
  ASSERT_TRUE(files.add(*second));
  (void)chain.next();
  ASSERT_TRUE(files.add(*chain.tip()));
  std::ofstream(own.path() / "epochs" / "1-3.description") << "something";
  EXPECT_EQ(loaded().back(), number(0, 3));
  // One that follows another epoch: this chain goes on as before.
  ASSERT_TRUE(files.add(*recovered(*chain.cluster.first(), 1)));
  EXPECT_THAT(loaded(), testing::ElementsAre(number(0, 1), number(1, 2)));
}

// ---- Looking back ----

class LookBackTest : public RecoveryFilesTest {
 protected:
  LookBackTest() {
    (void)chain.next();
    second = chain.tip();
    (void)chain.next();
    third = chain.tip();
    for (const auto& one : {second, third, recovered(*second, 1)})
      CHECK(files.add(*one).has_value());
  }

  static Bytes without_signatures(const membership::Configuration& one) {
    auto out = *membership::SignedDescription::decode(one.signed_description());
    out.signatures.clear();
    return out.encode();
  }
  std::vector<wire::ConfigurationNumber> looked(ByteView description) {
    std::vector<wire::ConfigurationNumber> out;
    for (const auto& one :
         look_back.chain_to_parent(*membership::header_in(description), description))
      out.push_back(one->number());
    return out;
  }
  std::vector<wire::ConfigurationNumber> looked(const membership::Configuration& recovery) {
    return looked(recovery.signed_description());
  }

  std::shared_ptr<const membership::Configuration> second;
  std::shared_ptr<const membership::Configuration> third;
  crypto::CountingScheme scheme;
  Instant now{std::chrono::seconds(1000)};
  Duration step{};  // how long everything takes
  LookBack look_back{chain.cluster.first(), files, scheme, [this] { return now += step; }};
};

// The chain that ends highest goes another way: by the recovery from the second epoch.
TEST_F(LookBackTest, AParentOnAnotherBranch_IsFoundOnTheDisk) {
  EXPECT_EQ(loaded().back(), number(1, 3));
  EXPECT_THAT(looked(*recovered(*third, 2)),
              testing::ElementsAre(number(0, 1), number(0, 2), number(0, 3)));
}

TEST_F(LookBackTest, AParentThatIsNotThere_IsNotFound) {
  (void)chain.next();
  EXPECT_THAT(looked(*recovered(*chain.tip(), 2)), testing::IsEmpty());
}

TEST_F(LookBackTest, WhereEpochsAreMissing_NothingIsFound) {
  const auto recovery = recovered(*third, 2);
  fs::remove(own.path() / "epochs" / "0-2.description");
  EXPECT_THAT(looked(*recovery), testing::IsEmpty());
}

TEST_F(LookBackTest, TheGenesisMayBeTheParent) {
  EXPECT_THAT(looked(*recovered(*chain.cluster.first(), 2)), testing::ElementsAre(number(0, 1)));
}

// Anybody can send it, as often as he likes: it must not cost a verification of the genesis, or of
// a chain.
TEST_F(LookBackTest, WhatNobodySigned_CostsNoVerification) {
  for (const auto& parent : {chain.cluster.first(), second, third}) {
    EXPECT_THAT(looked(without_signatures(*recovered(*parent, 2))), testing::IsEmpty());
  }
  EXPECT_EQ(scheme.verified, 0U);
  // Nor does it keep out what was signed.
  EXPECT_THAT(looked(*recovered(*second, 2)), testing::ElementsAre(number(0, 1), number(0, 2)));
  EXPECT_GT(scheme.verified, 0U);
}

TEST_F(LookBackTest, WhatFewSigned_IsNotLookedFor) {
  auto few = *membership::SignedDescription::decode(recovered(*third, 2)->signed_description());
  few.signatures.pop_back();
  EXPECT_THAT(looked(few.encode()), testing::IsEmpty());
  EXPECT_EQ(scheme.verified, few.signatures.size());
}

TEST_F(LookBackTest, AMomentPassesBetweenTwoLooks) {
  const auto recovery = recovered(*third, 2);
  EXPECT_THAT(looked(*recovery), testing::SizeIs(3));
  const std::size_t before = scheme.verified;
  now += kLookBackInterval - Duration(1);
  EXPECT_THAT(looked(*recovery), testing::IsEmpty());
  EXPECT_EQ(scheme.verified, before);
  now += Duration(1);
  EXPECT_THAT(looked(*recovery), testing::SizeIs(3));
}

TEST_F(LookBackTest, ALongChainIsReadSeldom) {
  const auto recovery = recovered(*third, 2);
  step = std::chrono::seconds(1);
  EXPECT_THAT(looked(*recovery), testing::SizeIs(3));
  step = Duration(0);
  now += kLookBackShare * std::chrono::seconds(1) - Duration(1);
  EXPECT_THAT(looked(*recovery), testing::IsEmpty());
  now += Duration(1);
  EXPECT_THAT(looked(*recovery), testing::SizeIs(3));
}

// ---- What was lost ----

// The organisations recovered twice from the same parent: what they accepted the first time is
// abandoned with it, since more members have come back.
TEST_F(RecoveryFilesTest, LossesOfAnAbandonedGeneration_AreNotCounted) {
  (void)chain.next();
  const auto second = chain.tip();
  const auto lossy = recovered(*second, 1, {0, 2});
  const std::size_t lost = lossy->recovery()->losses.size();
  ASSERT_GT(lost, 0U);
  GenerationStarts starts;
  starts.add(*chain.cluster.first());
  starts.add(*second);
  EXPECT_EQ(starts.lost_groups_count(), 0U);
  starts.add(*lossy);
  EXPECT_EQ(starts.lost_groups_count(), lost);
  EXPECT_EQ(starts.at_epoch(wire::Epoch(3)), number(1, 3));
  starts.go_back_to(second->number());
  EXPECT_EQ(starts.lost_groups_count(), 0U);
  EXPECT_EQ(starts.at_epoch(wire::Epoch(3)), number(0, 3));
  starts.add(*recovered(*second, 2));
  EXPECT_EQ(starts.lost_groups_count(), 0U);
  EXPECT_EQ(starts.at_epoch(wire::Epoch(2)), number(0, 2));
  EXPECT_EQ(starts.at_epoch(wire::Epoch(9)), number(2, 9));
}

TEST_F(RecoveryFilesTest, LossesAddUpAlongAChain) {
  (void)chain.next();
  const auto lossy = recovered(*chain.tip(), 1, {0, 2});
  GenerationStarts starts;
  starts.add(*lossy);
  starts.add(*recovered(*lossy, 2));
  EXPECT_EQ(starts.lost_groups_count(), lossy->recovery()->losses.size());
  // Who knows generation 0 alone needs the beginning of the first one after it.
  EXPECT_EQ(starts.following(number(0, 7)), number(1, 3));
  EXPECT_EQ(starts.following(number(1, 9)), number(2, 4));
  EXPECT_EQ(starts.following(number(2, 4)), number(2, 5));
  EXPECT_EQ(starts.following({}), number(0, 2));
  starts.go_back_to(lossy->number());
  EXPECT_EQ(starts.lost_groups_count(), lossy->recovery()->losses.size());
}

}  // namespace
}  // namespace rosebud::runtime
