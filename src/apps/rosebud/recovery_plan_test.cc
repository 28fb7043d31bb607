// What a recovery is planned from, and the file that is passed around (design 8.6).
#include "apps/rosebud/recovery_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/temporary_folder.h"
#include "base/test_fsync.h"
#include "membership/test_chain.h"

namespace rosebud::apps {
namespace {

using membership::Configuration;
using membership::RecoveryStatement;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr wire::Generation kNext{1};

/// Four organisations with two nodes each, f = F = 1, in epoch 2; nodes 0, 2, 4 and 6 sit.
class RecoveryPlanTest : public testing::Test {
 protected:
  RecoveryPlanTest() {
    first = chain.tip();
    (void)chain.next();
    parent = chain.tip();
    file.cluster = parent->cluster();
    file.generation = kNext;
    shown = {{first->header_hash(), first}, {parent->header_hash(), parent}};
    for (std::uint32_t node = 0; node < 8; ++node) state("node" + std::to_string(node), *parent);
  }

  void state(const std::string& name, const Configuration& entered,
             const std::function<void(RecoveryStatement&)>& change = {}) {
    const auto key = membership::test_key(name);
    const auto index = parent->node_index(key.public_key());
    RecoveryStatement one{
        .cluster = parent->cluster(),
        .generation = kNext,
        .node = key.public_key(),
        .directory = index ? parent->nodes()[*index].directory : wire::DirectoryId{},
        .entered = entered.number(),
        .header_hash = entered.header_hash(),
        .epoch_key = membership::test_key("recovered " + name).public_key(),
        .commitment = crypto::sha256(as_bytes(name))};
    if (change) change(one);
    file.statements.insert_or_assign(one.node, wire::sign(scheme(), key, one));
  }
  const crypto::SignatureScheme& scheme() const { return chain.cluster.scheme; }
  RecoveryOutlook outlook() const {
    return outlook_of(find_parent(file, shown, scheme()), file, {}, parent->start(), scheme());
  }
  wire::NodeKey key(std::uint32_t node) const { return parent->nodes()[node].key; }

  membership::TestChain chain;
  std::shared_ptr<const Configuration> first;
  std::shared_ptr<const Configuration> parent;
  RecoveryFile file;
  ShownConfigurations shown;
};

TEST_F(RecoveryPlanTest, TheHighestThatAMemberNames_IsTheParent) {
  state("node5", *first);
  EXPECT_EQ(find_parent(file, shown, scheme()), parent);
  const RecoveryOutlook seen = outlook();
  EXPECT_THAT(seen.problems, IsEmpty());
  EXPECT_THAT(seen.plan.seats, SizeIs(4));
  EXPECT_THAT(seen.passed_over, IsEmpty());
}

TEST_F(RecoveryPlanTest, WhatNobodyShows_IsPassedOverByName) {
  state("node5", *parent, [](RecoveryStatement& one) {
    one.entered.epoch = wire::Epoch(99);
    one.header_hash.bytes[0] ^= 1;
  });
  EXPECT_EQ(find_parent(file, shown, scheme()), parent);
  const RecoveryOutlook seen = outlook();
  EXPECT_THAT(seen.passed_over, ElementsAre("node5"));
  EXPECT_THAT(seen.silent, ElementsAre("node5"));
  EXPECT_THAT(seen.problems, IsEmpty()) << "three others of each group have stated enough";
}

// The number is that of another epoch than the header.
TEST_F(RecoveryPlanTest, AHeaderUnderAnotherNumber_IsPassedOver) {
  state("node5", *parent, [](RecoveryStatement& one) { one.entered.epoch = wire::Epoch(7); });
  EXPECT_EQ(find_parent(file, shown, scheme()), parent);
  EXPECT_THAT(outlook().passed_over, ElementsAre("node5"));
}

TEST_F(RecoveryPlanTest, OnlyMembersName) {
  file.statements.clear();
  for (std::uint32_t node = 0; node < 8; ++node) state("node" + std::to_string(node), *first);
  state("nobody", *parent);
  EXPECT_EQ(find_parent(file, shown, scheme()), first);
  EXPECT_THAT(outlook().passed_over, SizeIs(1));
  file.statements.clear();
  EXPECT_EQ(find_parent(file, shown, scheme()), nullptr);
}

TEST_F(RecoveryPlanTest, AnEpochKeyThatStandsTwice_GetsOneSeat) {
  const auto copied = membership::test_key("recovered node0").public_key();
  state("node2", *parent, [&](RecoveryStatement& one) { one.epoch_key = copied; });
  const RecoveryOutlook seen = outlook();
  EXPECT_THAT(seen.same_key, ElementsAre("node2"));
  EXPECT_THAT(seen.problems, IsEmpty());
  EXPECT_THAT(seen.plan.seats, SizeIs(4)) << "node3 sits instead";
  const auto draft = membership::draft_recovery(*parent, seen.plan);
  EXPECT_TRUE(membership::check_proposal(*parent, draft, parent->start(), scheme()).has_value());
}

TEST_F(RecoveryPlanTest, ASilentServiceMayLive) {
  const auto at_large = [&](const std::set<wire::NodeKey>& stated,
                            const std::set<wire::NodeKey>& given_up) {
    return seats_at_large(*parent, stated, given_up);
  };
  EXPECT_THAT(at_large({}, {}), ElementsAre("node0", "node2", "node4", "node6"));
  EXPECT_THAT(at_large({key(0)}, {key(4)}), ElementsAre("node2", "node6"));
  EXPECT_EQ(warning_of_old_service(*parent, at_large({key(0)}, {key(4)})), std::nullopt);
  EXPECT_TRUE(warning_of_old_service(*parent, at_large({key(0)}, {})).has_value());
  EXPECT_THAT(outlook().at_large, IsEmpty());
  for (const std::uint32_t node : {0U, 2U, 4U}) file.statements.erase(key(node));
  EXPECT_THAT(outlook().at_large, ElementsAre("node0", "node2", "node4"));
}

// ---- The file ----

TEST_F(RecoveryPlanTest, AFileUnderAnotherClusterOrGeneration_IsRefused) {
  const TemporaryFolder folder;
  const auto read = [&](const RecoveryFile& one) {
    EXPECT_TRUE(write_recovery_file(folder.path() / "file", one).has_value());
    return read_recovery_file(folder.path() / "file");
  };
  RecoveryFile proposed{.cluster = file.cluster, .generation = kNext};
  proposed.proposal = membership::draft_recovery(*parent, outlook().plan);
  EXPECT_TRUE(read(proposed).has_value());
  RecoveryFile other = proposed;
  other.cluster.bytes[0] ^= 1;
  EXPECT_FALSE(read(other).has_value());
  other = proposed;
  other.generation = wire::Generation(2);
  EXPECT_FALSE(read(other).has_value());
}

TEST_F(RecoveryPlanTest, AnAuthoritySignsOneForEachGeneration) {
  const TemporaryFolder folder;
  const auto note = [&](wire::Generation generation, std::string_view header) {
    return note_signed(folder.path(), file.cluster, generation, crypto::sha256(as_bytes(header)))
        .has_value();
  };
  EXPECT_TRUE(note(kNext, "a"));
  EXPECT_TRUE(note(kNext, "a"));
  EXPECT_FALSE(note(kNext, "b"));
  EXPECT_TRUE(note(wire::Generation(2), "b"));
}

// Suppose the tool was killed when the note had its name and the folder was not synced: the note is
// read, the signature leaves, and a power cut takes the name.
TEST_F(RecoveryPlanTest, ANoteThatIsThere_IsMadeDurableBeforeItCounts) {
  const TemporaryFolder folder;
  const auto note = [&] {
    synced_paths().clear();
    EXPECT_TRUE(note_signed(folder.path(), file.cluster, kNext, crypto::sha256(as_bytes("a"))));
    return synced_paths().contains(folder.path());
  };
  EXPECT_TRUE(note());
  EXPECT_TRUE(note());
}

// ---- What was handed to the service ----

class ServiceStateTest : public RecoveryPlanTest {
 protected:
  ServiceStateTest() {
    membership::NextEpoch next = membership::same_again(*parent);
    next.state = membership::service_state_digest(handed_over);
    for (std::uint16_t seat = 0; seat < 4; ++seat) {
      next.service[seat].epoch_key = membership::test_key("3/" + std::to_string(seat)).public_key();
    }
    parent = *membership::apply(
        *parent, membership::make_description(*parent, next, chain.keys(), scheme()), scheme());
    shown.emplace(parent->header_hash(), parent);
    for (std::uint32_t node = 0; node < 8; ++node) state("node" + std::to_string(node), *parent);
  }

  RecoveryOutlook accepting(std::vector<std::string> losses) const {
    return outlook_of(parent, file, {.gone = {}, .losses = std::move(losses), .service_faults = {}},
                      parent->start(), scheme());
  }
  /// What would be proposed passes what every authority's tool looks at.
  std::shared_ptr<const Configuration> proposed(const RecoveryOutlook& seen) const {
    const auto out = membership::check_proposal(
        *parent, membership::draft_recovery(*parent, seen.plan), parent->start(), scheme());
    return out ? *out : nullptr;
  }

  Bytes handed_over = to_bytes(as_bytes("revoked: mallory"));
};

TEST_F(ServiceStateTest, WhatAMemberHas_GoesOn) {
  file.add_state(handed_over);
  const RecoveryOutlook seen = accepting({});
  EXPECT_FALSE(seen.is_state_lost);
  EXPECT_THAT(seen.problems, IsEmpty());
  EXPECT_TRUE(equal(seen.plan.state, handed_over));
  ASSERT_NE(proposed(seen), nullptr);
  EXPECT_EQ(proposed(seen)->service_state(), parent->service_state());
}

TEST_F(ServiceStateTest, WhatNobodyHas_IsAcceptedByName) {
  // Of another epoch: a member that is behind.
  file.add_state(as_bytes("revoked: nobody"));
  const RecoveryOutlook seen = accepting({});
  EXPECT_TRUE(seen.is_state_lost);
  ASSERT_THAT(seen.problems, SizeIs(1));
  EXPECT_THAT(seen.problems[0].next, testing::HasSubstr("--accept-loss service"));
  for (const char* accepted : {"service", "all"}) {
    const RecoveryOutlook without = accepting({accepted});
    EXPECT_TRUE(without.is_state_lost);
    EXPECT_THAT(without.problems, IsEmpty());
    EXPECT_THAT(without.plan.state, IsEmpty());
    ASSERT_NE(proposed(without), nullptr);
    EXPECT_TRUE(proposed(without)->service_state().is_zero());
  }
}

TEST_F(ServiceStateTest, StatesInTheFile_AreBounded) {
  file.add_state({});
  file.add_state(Bytes(membership::kRecoveredStateSizeMax + 1));
  EXPECT_THAT(file.states, IsEmpty());
  for (std::uint8_t i = 0; i < 2 * kStatesMax; ++i) file.add_state(Bytes{i});
  EXPECT_THAT(file.states, SizeIs(kStatesMax));
}

}  // namespace
}  // namespace rosebud::apps
