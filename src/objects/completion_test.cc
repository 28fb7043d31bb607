#include "objects/completion.h"

#include <gtest/gtest.h>

#include "membership/recovery.h"
#include "objects/interval_epochs.h"
#include "objects/test_group.h"

namespace rosebud::objects {
namespace {

using wire::Epoch;

wire::NodeKey node(std::uint8_t number) {
  wire::NodeKey key;
  key.bytes[0] = number;
  return key;
}

EpochGroup group(std::uint64_t epoch, std::initializer_list<std::uint8_t> members) {
  EpochGroup out{.epoch = Epoch(epoch)};
  for (const std::uint8_t member : members) out.members.push_back(node(member));
  return out;
}

/// They are asked and tell now.
void tell(Completion& completion, std::initializer_list<std::uint8_t> tellers, Epoch complete_for) {
  const std::uint64_t round = completion.round();
  for (const std::uint8_t teller : tellers)
    completion.on_told(node(teller), {.complete_for = complete_for}, round);
}

bool asks(const Completion& completion, std::uint8_t member) {
  const auto sources = completion.sources();
  return std::ranges::find(sources, node(member)) != sources.end() &&
         !completion.has_told(node(member));
}

TEST(Completion, GainerNeedsAQuorumOfTheGroupBefore_ThenOfItsOwn) {
  Completion gainer(1, node(9), Claim{.complete_for = Epoch(0)},
                    {group(2, {1, 2, 3, 9}), group(1, {1, 2, 3, 4})});
  tell(gainer, {1, 4}, Epoch(0));
  tell(gainer, {8}, Epoch(2));  // of neither group
  EXPECT_EQ(gainer.round(), 0U);
  tell(gainer, {2}, Epoch(0));  // members of epoch 1 are complete for it
  EXPECT_EQ(gainer.round(), 1U);
  EXPECT_FALSE(gainer.is_complete());
  EXPECT_TRUE(asks(gainer, 1));
  EXPECT_FALSE(asks(gainer, 4));
  tell(gainer, {3}, Epoch(0));
  EXPECT_FALSE(gainer.is_complete());
  tell(gainer, {1}, Epoch(0));
  EXPECT_TRUE(gainer.is_complete());
}

// Node 2 told before it held a write; then epoch 2 had 2f+1 complete members, and node 1 turned to
// a liar beside node 4. If what node 2 told before counted in its own group too, nobody who holds
// the write would be heard.
TEST(Completion, WhatTheOwnGroupToldBefore_DoesNotCount) {
  Completion gainer(1, node(9), Claim{.complete_for = Epoch(0)},
                    {group(2, {1, 2, 3, 9}), group(1, {1, 2, 3, 4})});
  const std::uint64_t first_round = gainer.round();
  tell(gainer, {2, 4}, Epoch(0));
  tell(gainer, {1}, Epoch(0));
  gainer.on_told(node(3), {.complete_for = Epoch(0)}, first_round);  // asked long ago
  gainer.on_told(node(1), {.complete_for = Epoch(0)}, first_round);
  EXPECT_FALSE(gainer.is_complete());
  tell(gainer, {1}, Epoch(0));
  EXPECT_FALSE(gainer.is_complete());
  tell(gainer, {3}, Epoch(0));
  EXPECT_TRUE(gainer.is_complete());
}

// In epoch 2 nobody became complete before epoch 3 came.
TEST(Completion, GroupsBetween_AreAskedAgainAfterTheOldest) {
  Completion gainer(1, node(9), Claim{.complete_for = Epoch(0)},
                    {group(3, {2, 3, 8, 9}), group(2, {1, 2, 3, 8}), group(1, {1, 2, 3, 4})});
  tell(gainer, {1, 2, 3}, Epoch(0));
  EXPECT_EQ(gainer.round(), 1U) << "the first group has told with the same answers";
  EXPECT_TRUE(asks(gainer, 1));
  EXPECT_FALSE(asks(gainer, 4)) << "its turn is over";
  tell(gainer, {1, 8}, Epoch(0));
  EXPECT_EQ(gainer.round(), 1U);
  tell(gainer, {3}, Epoch(0));
  EXPECT_EQ(gainer.round(), 2U);
  EXPECT_FALSE(asks(gainer, 1));
  tell(gainer, {3, 8}, Epoch(0));
  EXPECT_TRUE(gainer.is_complete());
}

// While the group between is asked, its members complete after all.
TEST(Completion, GroupBetweenSaysToBeComplete_NothingOlderIsNeeded) {
  Completion gainer(1, node(9), Claim{.complete_for = Epoch(0)},
                    {group(3, {2, 3, 8, 9}), group(2, {1, 2, 3, 8}), group(1, {4, 5, 6, 7})});
  tell(gainer, {1, 2, 3}, Epoch(0));
  tell(gainer, {4, 5}, Epoch(1));
  EXPECT_EQ(gainer.round(), 0U);
  tell(gainer, {1, 2}, Epoch(2));
  EXPECT_EQ(gainer.round(), 1U);
  tell(gainer, {2, 3}, Epoch(0));
  EXPECT_TRUE(gainer.is_complete());
}

// Acknowledged by nodes 0, 2 and 3 of epoch 1; node 0 has lost it, node 1 never had it. What the
// two tell is no quorum of epoch 1, whoever else lies.
TEST(Completion, WhoLostItsDirectory_DoesNotSpeakForTheMemberThatItWas) {
  const TestGroup test;
  const auto first = test.configuration(1);
  const auto second = test.configuration(2, 0);
  const crypto::Digest key;
  const auto key_of = [&](std::size_t number) { return test.nodes[number].public_key(); };
  const EpochGroup speakers = members_in(*first, *second, key);
  EXPECT_EQ(speakers.members.size(), 3U);
  EXPECT_FALSE(std::ranges::count(speakers.members, key_of(0)));
  EXPECT_EQ(members_in(*second, *second, key).members.size(), 4U);

  Completion keeper(1, key_of(1), Claim{.complete_for = Epoch(1)},
                    {members_in(*second, *second, key), speakers});
  const auto told = [&](Completion& completion, std::size_t number) {
    completion.on_told(key_of(number), {.complete_for = Epoch(1)}, completion.round());
  };
  keeper.on_told(key_of(0), {.complete_for = Epoch(0)}, 0);
  told(keeper, 3);
  EXPECT_EQ(keeper.round(), 0U);
  told(keeper, 2);
  EXPECT_EQ(keeper.round(), 1U);

  // Nor does the lost one for itself.
  Completion gainer(1, key_of(0), Claim{.complete_for = Epoch(0)},
                    {members_in(*second, *second, key), speakers});
  told(gainer, 1);
  told(gainer, 2);
  EXPECT_EQ(gainer.round(), 0U);
  told(gainer, 3);
  EXPECT_EQ(gainer.round(), 1U);
  told(gainer, 1);
  told(gainer, 2);
  EXPECT_TRUE(gainer.is_complete()) << "of its own group it is a member";
}

TEST(Completion, KeeperCountsItself) {
  Completion keeper(1, node(1), Claim{.complete_for = Epoch(1)},
                    {group(2, {1, 2, 3, 9}), group(1, {1, 2, 3, 4})});
  tell(keeper, {2}, Epoch(1));
  EXPECT_EQ(keeper.round(), 0U);
  tell(keeper, {4}, Epoch(1));
  EXPECT_EQ(keeper.round(), 1U);
  tell(keeper, {2}, Epoch(1));
  EXPECT_FALSE(keeper.is_complete());
  tell(keeper, {3}, Epoch(1));
  EXPECT_TRUE(keeper.is_complete());
}

TEST(Completion, TooFewCompleteTellers_GoesBackAnEpoch) {
  Completion gainer(1, node(9), Claim{.complete_for = Epoch(0)},
                    {group(3, {1, 2, 8, 9}), group(2, {1, 2, 3, 8}), group(1, {3, 4, 5, 6})});
  tell(gainer, {1, 2, 8}, Epoch(0));
  EXPECT_FALSE(gainer.is_complete());
  EXPECT_TRUE(asks(gainer, 6)) << "the first group is asked too";
  tell(gainer, {4, 5, 6}, Epoch(1));
  EXPECT_EQ(gainer.round(), 1U);
  tell(gainer, {1, 2, 8}, Epoch(0));
  tell(gainer, {2, 8}, Epoch(0));
  EXPECT_TRUE(gainer.is_complete());
}

TEST(Completion, OneLiarCompletesNothing) {
  Completion gainer(1, node(9), Claim{.complete_for = Epoch(0)},
                    {group(3, {1, 2, 8, 9}), group(2, {1, 2, 3, 8}), group(1, {3, 4, 5, 6})});
  tell(gainer, {1}, Epoch(99));
  tell(gainer, {2}, Epoch(0));
  tell(gainer, {3}, Epoch(1));
  EXPECT_EQ(gainer.round(), 0U);
  tell(gainer, {8}, Epoch(2));  // with the liar f+1, one of them correct
  EXPECT_EQ(gainer.round(), 1U);
  EXPECT_FALSE(gainer.is_complete());
}

TEST(Completion, FromTheOwnGroupOnceItIsComplete) {
  Completion gainer(1, node(9), Claim{.complete_for = Epoch(0)},
                    {group(5, {1, 2, 8, 9}), group(4, {3, 4, 5, 6})});
  tell(gainer, {1}, Epoch(5));
  EXPECT_FALSE(gainer.is_complete());
  tell(gainer, {2}, Epoch(4));
  EXPECT_FALSE(gainer.is_complete());
  tell(gainer, {8}, Epoch(6));
  EXPECT_TRUE(gainer.is_complete());
}

TEST(Completion, HistoryTooShort_WaitsForTheOwnGroup) {
  Completion gainer(1, node(9), Claim{.complete_for = Epoch(0)}, {group(5, {1, 2, 8, 9})});
  EXPECT_FALSE(gainer.is_complete());
}

crypto::Digest key(std::uint8_t first) {
  crypto::Digest out;
  out.bytes[0] = first;
  return out;
}

// Node 4 has deleted what it held as a member of epoch 1: that it shows nothing says nothing.
TEST(Completion, WhoDeletedSince_TellsNothingOfTheGroupThatItLeft) {
  Completion gainer(1, node(9), Claim{}, {group(3, {1, 2, 4, 9}), group(1, {1, 2, 3, 4})});
  const std::uint64_t first = gainer.round();
  gainer.on_told(node(4), {.gone_before = Epoch(2)}, first);
  gainer.on_told(node(1), {}, first);
  gainer.on_told(node(2), {}, first);
  EXPECT_EQ(gainer.round(), first) << "two have told";
  gainer.on_told(node(3), {}, first);
  ASSERT_EQ(gainer.round(), first + 1);
  // As a member of the group that it is in now it tells like everybody.
  gainer.on_told(node(4), {.gone_before = Epoch(2)}, gainer.round());
  EXPECT_FALSE(gainer.is_complete());
  gainer.on_told(node(1), {}, gainer.round());
  EXPECT_TRUE(gainer.is_complete());
}

// Who deleted can tell nothing; but then a quorum is complete, which may be one's own group.
TEST(Completion, SomebodyDeleted_TheOwnGroupIsWorthAskingAgain) {
  Completion gainer(1, node(9), Claim{}, {group(2, {1, 2, 3, 9}), group(1, {1, 2, 4, 5})});
  tell(gainer, {1, 2}, Epoch(1));
  EXPECT_FALSE(gainer.may_be_complete_now(node(1)));
  gainer.on_told(node(4), {.gone_before = Epoch(2)}, gainer.round());
  EXPECT_EQ(gainer.round(), 0U);
  EXPECT_TRUE(gainer.may_be_complete_now(node(1)));
  EXPECT_FALSE(gainer.may_be_complete_now(node(4))) << "not of the own group";
  tell(gainer, {1}, Epoch(2));
  EXPECT_FALSE(gainer.may_be_complete_now(node(1)));
  tell(gainer, {2}, Epoch(2));
  EXPECT_TRUE(gainer.is_complete());
}

TEST(Completion, WhoDeletedItself_IsNoWitnessOfItsOwn) {
  Completion back(1, node(4), Claim{.gone_before = Epoch(2)},
                  {group(3, {1, 2, 3, 4}), group(1, {1, 2, 3, 4})});
  tell(back, {1, 2}, Epoch(0));
  EXPECT_EQ(back.round(), 0U);
  tell(back, {3}, Epoch(0));
  EXPECT_EQ(back.round(), 1U);
}

TEST(IntervalEpochs, RaisesAndFindsTheLowest) {
  IntervalEpochs epochs;
  EXPECT_EQ(epochs.lowest(wire::whole_key_range()), Epoch(0));
  epochs.raise({key(10), key(20)}, Epoch(3));
  epochs.raise({key(15), key(30)}, Epoch(2));
  EXPECT_EQ(epochs.lowest({key(10), key(20)}), Epoch(3));
  EXPECT_EQ(epochs.lowest({key(12), key(25)}), Epoch(2));
  EXPECT_EQ(epochs.lowest({key(12), key(31)}), Epoch(0));
  EXPECT_EQ(epochs.lowest({key(9), key(12)}), Epoch(0));
  epochs.raise(wire::whole_key_range(), Epoch(1));
  EXPECT_EQ(epochs.lowest({key(9), key(12)}), Epoch(1));
  EXPECT_EQ(epochs.lowest({key(16), key(18)}), Epoch(3));
}

TEST(IntervalEpochs, FindsTheHighest) {
  IntervalEpochs epochs;
  const auto whole = wire::whole_key_range();
  EXPECT_EQ(epochs.highest(whole), Epoch(0));
  crypto::Digest middle;
  middle.bytes[0] = 0x80;
  epochs.raise({middle, whole.last}, Epoch(4));
  EXPECT_EQ(epochs.highest(whole), Epoch(4));
  EXPECT_EQ(epochs.highest({crypto::Digest{}, crypto::Digest{}}), Epoch(0));
}

TEST(IntervalEpochs, SurvivesTheDisk) {
  IntervalEpochs epochs;
  epochs.raise({key(10), key(20)}, Epoch(3));
  EXPECT_EQ(IntervalEpochs::decode(epochs.encode()), epochs);
  Bytes bytes = epochs.encode();
  bytes.pop_back();
  EXPECT_FALSE(IntervalEpochs::decode(bytes));
  EXPECT_FALSE(IntervalEpochs::decode({}));
}

TEST(IntervalEpochs, EqualNeighboursAreOnePiece) {
  IntervalEpochs epochs;
  epochs.raise({key(10), key(20)}, Epoch(3));
  const Bytes once = epochs.encode();
  epochs.raise({key(12), key(14)}, Epoch(3));
  EXPECT_EQ(epochs.encode(), once);
}

// Two of four are gone for good, and their loss was accepted (design 8.6, ADR 13).
TEST(Completion, OfALostGroupAllWhoAreLeftTell_AndNobodyBefore) {
  EpochGroup lost = group(5, {1, 2});
  lost.is_lost = true;
  Completion gainer(1, node(9), Claim{}, {group(6, {1, 2, 8, 9}), lost});
  EXPECT_TRUE(asks(gainer, 1));
  tell(gainer, {1}, Epoch(0));
  tell(gainer, {8}, Epoch(0));
  EXPECT_EQ(gainer.round(), 0U) << "one of them may hold what the other does not";
  tell(gainer, {2}, Epoch(0));
  EXPECT_EQ(gainer.round(), 1U);
  EXPECT_FALSE(gainer.is_complete());
  tell(gainer, {1, 8}, Epoch(0));
  EXPECT_TRUE(gainer.is_complete());
}

TEST(Completion, WhereNobodyIsLeft_TheOwnGroupAloneTells) {
  EpochGroup lost = group(5, {});
  lost.is_lost = true;
  Completion gainer(1, node(9), Claim{}, {group(6, {6, 7, 8, 9}), lost});
  EXPECT_FALSE(gainer.is_complete());
  tell(gainer, {6}, Epoch(0));
  EXPECT_FALSE(gainer.is_complete());
  tell(gainer, {7}, Epoch(0));
  EXPECT_TRUE(gainer.is_complete());
}

TEST(GroupsBack, EndAtAGroupWhoseLossWasAccepted_WithThoseWhoAreLeft) {
  const TestGroup test;
  const auto parent = test.configuration(2);
  const auto key = crypto::Digest{};
  auto recovery = std::make_shared<membership::Recovery>();
  const auto without_loss = test.configuration(3, {}, 1, recovery);
  EXPECT_EQ(groups_back(*without_loss, {parent, test.configuration(1)}, key).size(), 3U);

  auto lossy = std::make_shared<membership::Recovery>();
  lossy->losses.push_back(membership::group_id(*parent, parent->group(key)));
  const auto recovered = test.configuration(3, 1, 1, lossy);  // node 1 came back as another one
  const auto groups = groups_back(*recovered, {parent, test.configuration(1)}, key);
  ASSERT_EQ(groups.size(), 2U);
  EXPECT_FALSE(groups[0].is_lost);
  EXPECT_TRUE(groups[1].is_lost);
  EXPECT_EQ(groups[1].members.size(), 3U);
  // Later epochs know it too.
  const auto later = groups_back(*test.configuration(4, 1, 1), {recovered, parent}, key);
  ASSERT_EQ(later.size(), 3U);
  EXPECT_FALSE(later[1].is_lost);
  EXPECT_TRUE(later[2].is_lost);
}

// What others gave up nobody waits for.
TEST(GroupsBack, OfALostGroup_WhoWasGivenUpIsLeftOut) {
  const TestGroup test;
  const auto parent = test.configuration(2);
  const auto key = crypto::Digest{};
  auto lossy = std::make_shared<membership::Recovery>();
  lossy->losses.push_back(membership::group_id(*parent, parent->group(key)));
  membership::ConfigurationParts parts;
  parts.number = {wire::Generation(1), Epoch(3)};
  parts.organisations = parent->organisations();
  parts.nodes = parent->nodes().to_vector();
  parts.nodes.pop_back();
  parts.recovery = lossy;
  const auto recovered = *membership::Configuration::make(std::move(parts));
  const auto groups = groups_back(*recovered, {parent}, key);
  ASSERT_EQ(groups.size(), 2U);
  EXPECT_EQ(groups[1].members.size(), 3U);
  for (const auto& member : groups[1].members) EXPECT_TRUE(recovered->node_index(member));
}

// A survivor that was evicted later: whoever waited for it would never be complete.
TEST(GroupsBack, OfALostGroup_WhoHasLeftSinceIsNotWaitedFor) {
  const TestGroup test;
  const auto parent = test.configuration(2);
  const auto key = crypto::Digest{};
  auto lossy = std::make_shared<membership::Recovery>();
  lossy->losses.push_back(membership::group_id(*parent, parent->group(key)));
  const auto recovered = test.configuration(3, {}, 1, lossy);
  EXPECT_EQ(groups_back(*recovered, {parent}, key)[1].members.size(), 4U);
  membership::ConfigurationParts parts;
  parts.number = {wire::Generation(1), Epoch(4)};
  parts.organisations = parent->organisations();
  parts.nodes = parent->nodes().to_vector();
  parts.nodes.pop_back();
  const auto later = *membership::Configuration::make(std::move(parts));
  const auto groups = groups_back(*later, {recovered, parent}, key);
  ASSERT_EQ(groups.size(), 3U);
  EXPECT_EQ(groups[1].members.size(), 4U) << "2f+1 of it are waited for, whoever they are";
  ASSERT_TRUE(groups[2].is_lost);
  EXPECT_EQ(groups[2].members.size(), 3U);
  for (const auto& member : groups[2].members) EXPECT_TRUE(later->node_index(member));
}

// It deleted because a later group was complete, which is asked next.
TEST(Completion, OfALostGroup_WhoDeletedCountsToo) {
  EpochGroup lost = group(5, {1, 2});
  lost.is_lost = true;
  Completion gainer(1, node(9), Claim{}, {group(7, {6, 7, 8, 9}), group(6, {2, 7, 8, 9}), lost});
  const std::uint64_t first = gainer.round();
  tell(gainer, {1, 7, 8}, Epoch(0));
  EXPECT_EQ(gainer.round(), first);
  gainer.on_told(node(2), {.gone_before = Epoch(6)}, first);
  EXPECT_EQ(gainer.round(), first + 1);
  EXPECT_FALSE(gainer.is_complete());
  tell(gainer, {7, 8}, Epoch(0));
  tell(gainer, {7, 8}, Epoch(0));
  EXPECT_TRUE(gainer.is_complete());
}

TEST(IntervalEpochs, CappedAtAnEpoch_LowerOnesStay) {
  IntervalEpochs epochs;
  const auto middle = crypto::sha256(as_bytes("middle"));
  const wire::KeyRange low{.first = crypto::Digest{}, .last = middle};
  epochs.raise(wire::whole_key_range(), Epoch(3));
  epochs.raise(low, Epoch(9));
  epochs.cap(Epoch(5));
  EXPECT_EQ(epochs.highest(low), Epoch(5));
  EXPECT_EQ(epochs.lowest(wire::whole_key_range()), Epoch(3));
  epochs.cap(Epoch(3));
  EXPECT_EQ(epochs, [] {
    IntervalEpochs all;
    all.raise(wire::whole_key_range(), Epoch(3));
    return all;
  }());
}

}  // namespace
}  // namespace rosebud::objects
