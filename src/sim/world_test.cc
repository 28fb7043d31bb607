// Short scripted stories of the object store in virtual time.
#include "sim/world.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace rosebud::sim {
namespace {

using objects::Outcome;
using std::chrono::seconds;

class Story : public testing::Test {
 protected:
  explicit Story(const WorldOptions& options = {}) : world(options) {}

  objects::OperationResult put(const Buffer& bytes, Duration timeout = seconds(30)) {
    return wait([&](World::Done done) { world.write_block(0, bytes, timeout, std::move(done)); });
  }
  objects::OperationResult get(const Buffer& bytes, Duration timeout = seconds(30)) {
    const auto id = wire::ObjectId::block(crypto::sha256(bytes.view()));
    return wait([&](World::Done done) { world.read_block(1, id, timeout, std::move(done)); });
  }
  objects::OperationResult set(std::uint64_t version, std::string_view value,
                               Duration timeout = seconds(30)) {
    const auto record =
        world.make_record(0, as_bytes("notes"), wire::Version{version}, as_bytes(value));
    return wait([&](World::Done done) { world.write_record(0, record, timeout, std::move(done)); });
  }
  objects::OperationResult read(Duration timeout = seconds(30)) {
    const auto id = wire::record_id(world.client_key(0), as_bytes("notes"));
    return wait([&](World::Done done) { world.read_record(1, id, timeout, std::move(done)); });
  }
  template <typename Start>
  objects::OperationResult wait(Start start) {
    std::optional<objects::OperationResult> out;
    start([&](const objects::OperationResult& result) { out = result; });
    EXPECT_TRUE(world.run_until([&] { return out.has_value(); }, seconds(120)));
    return out.value_or(objects::OperationResult{});
  }

  World world;
  const Buffer hello = Buffer::copy_of(as_bytes("hello"));
};

TEST_F(Story, BlockGoesInAndOut) {
  EXPECT_EQ(put(hello).outcome, Outcome::kDone);
  const auto result = get(hello);
  EXPECT_EQ(result.outcome, Outcome::kDone);
  EXPECT_EQ(result.bytes, hello);
}

TEST_F(Story, NothingThere_IsNotFoundByAQuorum) {
  EXPECT_EQ(get(hello).outcome, Outcome::kNotFound);
  EXPECT_EQ(read().outcome, Outcome::kNotFound);
}

TEST_F(Story, RecordIsReadInOnePhase) {
  EXPECT_EQ(set(1, "one").outcome, Outcome::kDone);
  EXPECT_EQ(set(2, "two").outcome, Outcome::kDone);
  const auto result = read();
  ASSERT_EQ(result.outcome, Outcome::kDone);
  EXPECT_EQ(as_text(result.record->value.view()), "two");
  EXPECT_EQ(set(1, "late").outcome, Outcome::kSuperseded);
}

TEST_F(Story, OneOrganisationMisbehaves_NothingChangesForClients) {
  for (auto mode : {adversary::Mode::kMute, adversary::Mode::kLie, adversary::Mode::kStale,
                    adversary::Mode::kGarbage, adversary::Mode::kEquivocate}) {
    SCOPED_TRACE(adversary::name_of(mode));
    for (std::size_t node : {1U, 5U}) world.misbehaviour(node).set_mode(mode);
    const Buffer block = Buffer::copy_of(as_bytes(adversary::name_of(mode)));
    EXPECT_EQ(put(block).outcome, Outcome::kDone);
    EXPECT_EQ(get(block).bytes, block);
    const auto version = static_cast<std::uint64_t>(mode) + 10;
    EXPECT_EQ(set(version, adversary::name_of(mode)).outcome, Outcome::kDone);
    EXPECT_EQ(as_text(read().record->value.view()), adversary::name_of(mode));
  }
}

TEST_F(Story, TwoOrganisationsMute_BlocksAreReadButNothingIsWritten) {
  ASSERT_EQ(put(hello).outcome, Outcome::kDone);
  ASSERT_EQ(set(1, "one").outcome, Outcome::kDone);
  world.run_for(seconds(5));
  for (std::size_t node : {1U, 5U, 2U, 6U})
    world.misbehaviour(node).set_mode(adversary::Mode::kMute);
  EXPECT_EQ(get(hello).bytes, hello);
  const auto result = put(Buffer::copy_of(as_bytes("new")));
  EXPECT_EQ(result.outcome, Outcome::kNoQuorum);
  EXPECT_EQ(result.answered, 2U);
  EXPECT_EQ(set(2, "two").outcome, Outcome::kNoQuorum);
  EXPECT_EQ(read().outcome, Outcome::kNoQuorum);
}

TEST_F(Story, EverybodyLosesPower_AcknowledgedWritesStay) {
  ASSERT_EQ(put(hello).outcome, Outcome::kDone);
  ASSERT_EQ(set(1, "one").outcome, Outcome::kDone);
  for (std::size_t node = 0; node < 8; ++node) world.crash(node);
  for (std::size_t node = 0; node < 8; ++node) world.restart(node);
  EXPECT_EQ(get(hello).bytes, hello);
  EXPECT_EQ(as_text(read().record->value.view()), "one");
}

/// As many arcs as nodes of real clusters keep: more than exchanges may be under way at once.
class ManyArcsStory : public Story {
 protected:
  ManyArcsStory() : Story({.positions = 16}) {}
};

TEST_F(ManyArcsStory, OrganisationStaysDownAfterAPowerCut_TheOthersServe) {
  ASSERT_EQ(put(hello).outcome, Outcome::kDone);
  for (std::size_t node = 0; node < 8; ++node) world.crash(node);
  const std::vector<std::size_t> back{0, 2, 3, 4, 6, 7};
  for (const std::size_t node : back) world.restart(node);
  // Its replicas are asked about every range and never answer: that must not keep the others' turn.
  EXPECT_TRUE(world.run_until(
      [&] {
        return std::ranges::all_of(
            back, [&](std::size_t node) { return world.replica(node)->is_serving_everything(); });
      },
      seconds(60)));
  EXPECT_EQ(get(hello).bytes, hello);
  EXPECT_EQ(set(1, "one").outcome, Outcome::kDone);
}

TEST_F(Story, OrganisationWasAway_FillsItsGaps) {
  world.crash(1);
  world.crash(5);
  std::vector<Buffer> blocks;
  for (int i = 0; i < 30; ++i) {
    blocks.push_back(Buffer::copy_of(as_bytes("block " + std::to_string(i))));
    ASSERT_EQ(put(blocks.back()).outcome, Outcome::kDone);
  }
  world.restart(1);
  world.restart(5);
  EXPECT_TRUE(world.run_until(
      [&] {
        return world.replica(1)->is_serving_everything() &&
               world.replica(5)->is_serving_everything();
      },
      seconds(60)));
  world.run_for(seconds(120));
  for (const Buffer& block : blocks) {
    const auto id = wire::ObjectId::block(crypto::sha256(block.view()));
    for (const std::size_t node : world.group_of(id)) {
      EXPECT_TRUE(world.disk(node).index().contains(id)) << "node " << node;
    }
  }
}

TEST_F(Story, RottenBytes_AreFetchedAgain) {
  ASSERT_EQ(put(hello).outcome, Outcome::kDone);
  world.run_for(seconds(5));
  std::size_t rotten = 0;
  for (std::size_t node = 0; node < 8; ++node) {
    if (world.disk(node).index().empty()) continue;
    world.disk(node).rot(0);
    ++rotten;
    break;
  }
  ASSERT_EQ(rotten, 1U);
  world.run_for(seconds(120));
  std::uint64_t healed = 0;
  for (std::size_t node = 0; node < 8; ++node) healed += world.replica(node)->statistics().healed;
  EXPECT_GE(healed, 1U);
  EXPECT_EQ(get(hello).bytes, hello);
}

TEST_F(Story, DiskFull_ClientIsToldAndReadsGoOn) {
  ASSERT_EQ(put(hello).outcome, Outcome::kDone);
  for (std::size_t node = 0; node < 8; ++node) world.disk(node).set_full(true);
  EXPECT_EQ(put(Buffer::copy_of(as_bytes("more"))).outcome, Outcome::kNoSpace);
  EXPECT_EQ(get(hello).bytes, hello);
  for (std::size_t node = 0; node < 8; ++node) world.disk(node).set_full(false);
  EXPECT_EQ(put(Buffer::copy_of(as_bytes("more"))).outcome, Outcome::kDone);
}

// Anybody who may hold can hold anybody's record. That must not take it from its owner.
class Stranger : public Story {
 protected:
  Stranger() : Story({.spares = 4, .clients = 8}) {
    while (world.client_key(stranger) > world.client_key(0)) ++stranger;
  }
  objects::OperationResult hold_as_stranger(const wire::SignedRecord& record, std::uint64_t size,
                                            Timestamp expiry = World::kExpiry) {
    return wait([&](World::Done done) {
      world.write_record(stranger, record, world.make_hold(stranger, id, size, expiry), seconds(30),
                         std::move(done));
    });
  }

  std::size_t stranger = 1;  // whose hold stands before the owner's
  const wire::ObjectId id = wire::record_id(world.client_key(0), as_bytes("notes"));
};

TEST_F(Stranger, HoldsARecordForLessThanItGrowsTo_ItStaysReadable) {
  const auto record = world.make_record(0, as_bytes("notes"), wire::Version{1}, as_bytes("one"));
  ASSERT_EQ(set(1, "one").outcome, Outcome::kDone);
  hold_as_stranger(record, 3);
  EXPECT_EQ(set(2, "longer than before").outcome, Outcome::kDone);
  const auto result = read();
  ASSERT_EQ(result.outcome, Outcome::kDone);
  EXPECT_EQ(as_text(result.record->value.view()), "longer than before");
  world.run_for(seconds(200));
  for (std::size_t node = 0; node < 8; ++node) {
    EXPECT_EQ(world.observations(node, objects::Observation::kInvalidAnswer), 0U);
  }
}

TEST_F(Stranger, HoldExpires_MixedAnswersAreStillWrittenBack) {
  const auto record = world.make_record(0, as_bytes("notes"), wire::Version{1}, as_bytes("one"));
  ASSERT_EQ(set(1, "one").outcome, Outcome::kDone);
  const Timestamp soon(world.configuration().start().value + 10);
  ASSERT_EQ(hold_as_stranger(record, wire::kRecordValueSizeMax, soon).outcome, Outcome::kDone);
  ASSERT_TRUE(world.change_membership({0, 1, 2, 3, 4, 5, 6, 7}, Duration(0)));
  world.run_for(seconds(5));
  ASSERT_EQ(read().outcome, Outcome::kDone);
  const auto group = world.group_of(id);
  // Two of four take the new version.
  for (std::size_t i = 0; i < 2; ++i) world.disk(group[i]).set_full(true);
  EXPECT_EQ(set(2, "two", seconds(2)).outcome, Outcome::kNoSpace);
  world.run_for(std::chrono::milliseconds(100));  // what was sent last must not find room
  for (std::size_t i = 0; i < 2; ++i) world.disk(group[i]).set_full(false);
  const auto result = read();
  EXPECT_EQ(result.phases, 2U);
  EXPECT_EQ(result.outcome, Outcome::kDone) << objects::name_of(result.outcome);
}

class ManyArcs : public Story {
 protected:
  ManyArcs() : Story({.nodes = 4, .positions = 16}) {}
};

// One liar stands in every arc, and each comparison with it takes half a minute. They must not take
// the places of all others, which have something to bring for every arc.
TEST_F(ManyArcs, ComparisonsWithOneReplicaTakeLong_TheOthersAreReconciledWith) {
  world.crash(0);
  for (int i = 0; i < 200; ++i) {
    ASSERT_EQ(put(Buffer::copy_of(as_bytes("block " + std::to_string(i)))).outcome, Outcome::kDone);
  }
  world.misbehaviour(3).set_mode(adversary::Mode::kStall);
  world.network().latency_min = world.network().latency_max = std::chrono::milliseconds(200);
  world.restart(0);
  EXPECT_TRUE(
      world.run_until([&] { return world.replica(0)->is_serving_everything(); }, seconds(30)));
}

// ---- Epochs (design 10) ----

class EpochStory : public Story {
 protected:
  explicit EpochStory(const WorldOptions& options = {.spares = 8}) : Story(options) {}

  bool all_serve() {
    for (std::size_t node = 0; node < world.node_count(); ++node) {
      if (!world.replica(node) || !world.replica(node)->is_serving_everything()) return false;
      if (world.replica(node)->verifier().configuration().number() !=
          world.configuration().number()) {
        return false;
      }
    }
    return true;
  }
  void fill() {
    for (int i = 0; i < 20; ++i) {
      blocks.push_back(Buffer::copy_of(as_bytes("block " + std::to_string(i))));
      ASSERT_EQ(put(blocks.back()).outcome, Outcome::kDone);
    }
    ASSERT_EQ(set(7, "seven").outcome, Outcome::kDone);
  }
  void expect_everything() {
    for (const Buffer& block : blocks) {
      const auto got = get(block);
      ASSERT_EQ(got.outcome, Outcome::kDone) << objects::name_of(got.outcome);
      EXPECT_TRUE(got.bytes == block);
    }
    const auto result = read();
    ASSERT_EQ(result.outcome, Outcome::kDone) << objects::name_of(result.outcome);
    EXPECT_EQ(as_text(result.record->value.view()), "seven");
  }

  std::vector<Buffer> blocks;
};

TEST_F(EpochStory, NodesAreReplaced_NothingIsLostAndGapsAreFilled) {
  fill();
  ASSERT_TRUE(world.change_membership({0, 1, 2, 3, 4, 5, 10, 11}, seconds(2)));
  expect_everything();
  ASSERT_TRUE(world.run_until([&] { return all_serve(); }, seconds(60)));
  for (const Buffer& block : blocks) {
    const auto id = wire::ObjectId::block(crypto::sha256(block.view()));
    for (const std::size_t node : world.group_of(id)) {
      EXPECT_TRUE(world.disk(node).index().contains(id)) << "node " << node;
    }
  }
}

TEST_F(EpochStory, EverybodyIsReplacedAtOnce_NewGroupsHoldEverything) {
  fill();
  ASSERT_TRUE(world.change_membership({8, 9, 10, 11, 12, 13, 14, 15}, seconds(2)));
  ASSERT_TRUE(world.run_until([&] { return all_serve(); }, seconds(60)));
  expect_everything();
  for (std::size_t node = 0; node < 8; ++node) world.crash(node);
  expect_everything();
}

TEST_F(EpochStory, TwoEpochsInARow_AreCompletedFromTheFirst) {
  fill();
  // Nobody can complete for the second epoch before the third begins.
  for (std::size_t node = 8; node < 16; ++node)
    world.misbehaviour(node).set_mode(adversary::Mode::kMute);
  ASSERT_TRUE(world.change_membership({8, 9, 10, 11, 12, 13, 14, 15}, Duration(0)));
  world.run_for(std::chrono::milliseconds(1));
  for (std::size_t node = 8; node < 16; ++node)
    world.misbehaviour(node).set_mode(adversary::Mode::kHonest);
  ASSERT_TRUE(world.change_membership({0, 1, 2, 3, 12, 13, 14, 15}, Duration(0)));
  expect_everything();
  EXPECT_TRUE(world.run_until([&] { return all_serve(); }, seconds(60)));
}

// Twelve epochs are longer than the history that a complete replica keeps.
TEST_F(EpochStory, ManyEpochsBeforeAnybodyCompletes_AllServeInTheEnd) {
  fill();
  const std::vector<std::size_t> some{0, 1, 2, 3, 4, 5, 6, 7};
  const std::vector<std::size_t> others{8, 9, 10, 11, 12, 13, 14, 15};
  for (int epoch = 0; epoch < 12; ++epoch) {
    ASSERT_TRUE(world.change_membership(epoch % 2 == 0 ? others : some, Duration(0)));
    world.run_for(std::chrono::microseconds(50));  // less than any message takes
  }
  ASSERT_TRUE(world.run_until([&] { return all_serve(); }, seconds(120)));
  expect_everything();
}

/// Suppose a group is without a quorum for days: epochs go by, and nobody can complete for any.
/// More of them than anybody remembers, but all with the same members.
TEST_F(EpochStory, AHundredEpochsPassBeforeAnybodyCompletes_AllServeInTheEnd) {
  fill();
  const std::vector<std::size_t> members{0, 1, 2, 3, 4, 5, 10, 11};
  world.crash(3);
  for (int epoch = 0; epoch < 100; ++epoch) {
    ASSERT_TRUE(world.change_membership(members, Duration(0)));
    world.run_for(std::chrono::microseconds(50));  // less than any message takes
  }
  world.restart(3);
  ASSERT_TRUE(world.run_until([&] { return all_serve(); }, seconds(120)));
  world.tell_all_clients();
  expect_everything();
}

TEST_F(EpochStory, GainersLosePowerWhileTheyComplete_NothingIsLost) {
  fill();
  ASSERT_TRUE(world.change_membership({8, 9, 10, 11, 12, 13, 14, 15}, Duration(0)));
  for (int round = 0; round < 5; ++round) {
    world.run_for(std::chrono::milliseconds(15));
    for (std::size_t node = 8; node < 16; ++node) world.crash(node);
    for (std::size_t node = 8; node < 16; ++node) world.restart(node);
  }
  expect_everything();
  EXPECT_TRUE(world.run_until([&] { return all_serve(); }, seconds(60)));
}

TEST_F(EpochStory, FormerHoldersGone_MissingIsNeverSaidToBeAbsent) {
  fill();
  ASSERT_TRUE(world.change_membership({8, 9, 10, 11, 12, 13, 14, 15}, Duration(0)));
  world.run_for(std::chrono::milliseconds(1));  // they entered, and hold nothing yet
  for (std::size_t node = 0; node < 8; ++node) world.crash(node);
  EXPECT_EQ(get(blocks[0]).outcome, Outcome::kNoQuorum);
  EXPECT_EQ(read().outcome, Outcome::kNoQuorum);
  for (std::size_t node = 0; node < 8; ++node) world.restart(node);
  expect_everything();
}

TEST_F(EpochStory, ClientSleptThroughManyEpochs_IsToldAllOfThem) {
  fill();
  for (int i = 0; i < 6; ++i) {
    ASSERT_TRUE(world.change_membership({0, 1, 2, 3, 4, 5, 6, 7}, Duration(0)));
    world.run_for(std::chrono::milliseconds(500));
  }
  world.run_for(seconds(10));
  expect_everything();
}

class EpochWithALiar : public EpochStory, public testing::WithParamInterface<adversary::Mode> {};

TEST_P(EpochWithALiar, NothingIsLost) {
  fill();
  for (std::size_t node = 1; node < 16; node += 4) world.misbehaviour(node).set_mode(GetParam());
  ASSERT_TRUE(world.change_membership({0, 1, 8, 9, 10, 11, 14, 15}, seconds(1)));
  expect_everything();
}
INSTANTIATE_TEST_SUITE_P(Modes, EpochWithALiar,
                         testing::Values(adversary::Mode::kLie, adversary::Mode::kStale,
                                         adversary::Mode::kGarbage, adversary::Mode::kMute,
                                         adversary::Mode::kEquivocate),
                         [](const auto& one) {
                           return std::string(adversary::name_of(one.param));
                         });

TEST_F(EpochStory, WritesGoOnWhileTheEpochChanges) {
  ASSERT_EQ(set(1, "1").outcome, Outcome::kDone);
  for (std::uint64_t version = 2; version < 12; ++version) {
    if (version % 3 == 0) {
      const bool is_even = version % 2 == 0;
      const std::vector<std::size_t> some{0, 1, 2, 3, 4, 5, 6, 7};
      const std::vector<std::size_t> others{2, 3, 4, 5, 8, 9, 14, 15};
      ASSERT_TRUE(world.change_membership(is_even ? some : others, seconds(1)));
    }
    const std::string value = std::to_string(version);
    ASSERT_EQ(set(version, value).outcome, Outcome::kDone) << version;
    EXPECT_EQ(as_text(read().record->value.view()), value);
  }
}

/// Node 3 is alone in its organisation, so every key is its own. One member is replaced in each
/// epoch of ten seconds.
class MemberWasAway : public EpochStory {
 protected:
  MemberWasAway() : EpochStory({.spares = 4, .positions = 16}) {}

  void next_epoch() {
    std::ranges::rotate(nodes[replaced % nodes.size()], nodes[replaced % nodes.size()].begin() + 1);
    ++replaced;
    std::vector<std::size_t> members{3};
    for (const auto& two_of : nodes) members.insert(members.end(), {two_of[0], two_of[1]});
    ASSERT_TRUE(world.change_membership(members, seconds(1)));
  }
  std::array<std::array<std::size_t, 3>, 3> nodes{{{0, 4, 8}, {1, 5, 9}, {2, 6, 10}}};
  std::size_t replaced = 0;
};

// It was away for eight epochs, and answers take 40 to 400 ms. One by one, three comparisons for
// each of 143 arcs and each group take longer than an epoch, and the next one begins anew.
TEST_F(MemberWasAway, EpochsAreShort_ServesInTheFirst) {
  fill();
  world.crash(3);
  for (int epoch = 0; epoch < 8; ++epoch) {
    next_epoch();
    world.run_for(seconds(10));
  }
  std::size_t comparisons = 0;
  world.watch([&](std::size_t, World::Endpoint to, const wire::Answer& answer,
                  const std::optional<wire::ObjectId>&) {
    if (to == 3 && wire::name_of(answer.body).starts_with("range")) ++comparisons;
  });
  world.network().latency_min = std::chrono::milliseconds(20);
  world.network().latency_max = std::chrono::milliseconds(200);
  world.restart(3);
  EXPECT_TRUE(
      world.run_until([&] { return world.replica(3)->is_serving_everything(); }, seconds(10)));
  const std::size_t arcs = world.replica(3)->statistics().arcs;
  EXPECT_GT(arcs, 100U);
  EXPECT_LE(comparisons, 60U) << "three for each arc and more, one by one";
  RecordProperty("comparisons", static_cast<int>(comparisons));
}

}  // namespace
}  // namespace rosebud::sim
