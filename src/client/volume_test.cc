#include "client/volume.h"

#include <gtest/gtest.h>

#include "base/temporary_folder.h"
#include "client/fake_session.h"

namespace rosebud::client {
namespace {

using objects::Outcome;
constexpr Duration kTimeout = std::chrono::seconds(5);

fs::Cid root(std::string_view text) { return fs::Cid::of(fs::Codec::kDagPb, as_bytes(text)); }

TEST(VolumeState, ComesBackAsItWas) {
  const VolumeState first{.root = root("a"), .published = Timestamp(7)};
  const VolumeState later{.root = root("b"),
                          .number = 1'000'000'000'000,
                          .published = Timestamp(1'800'000'000),
                          .parent = root("a").digest};
  VolumeState kept = later;
  kept.snapshots = root("list").digest;
  VolumeState more = kept;
  more.parent_snapshots = root("list before").digest;
  VolumeState none = more;  // the last snapshot was removed
  none.snapshots.reset();
  for (const VolumeState& state : {first, later, kept, more, none})
    EXPECT_EQ(VolumeState::decode(state.encode()), state);
}

TEST(VolumeState, TestVectorOfTheFormat) {
  const VolumeState state{
      .root = {.codec = fs::Codec::kDagPb, .digest = crypto::sha256(as_bytes("root"))},
      .number = 2,
      .published = Timestamp(1'700'000'000),
      .parent = crypto::sha256(as_bytes("parent"))};
  EXPECT_EQ(to_hex(state.encode()),
            "010000000000000002000000006553f1004813494d137e1631bba301d5acab6e7bb7aa74ce1185d456"
            "565ef51d737677b2e47125968b3b71049fbc4802d1e40a71ea1359decfabacf70b34588037d4ff0c");
  VolumeState kept = state;
  kept.snapshots = crypto::sha256(as_bytes("snapshots"));
  EXPECT_EQ(to_hex(kept.encode()),
            "020000000000000002000000006553f1004813494d137e1631bba301d5acab6e7bb7aa74ce1185d4"
            "56565ef51d737677b2e47125968b3b71049fbc4802d1e40a71ea1359decfabacf70b34588037d4ff"
            "0c2b36a6e663158ffd942c174de74dbe163bfdb1b18f6d0ffc647e00647abca9bb00000000000000"
            "00000000000000000000000000000000000000000000000000");
}

TEST(VolumeState, WhatNoVolumeHasIsRefused) {
  const Bytes good =
      VolumeState{.root = root("a"), .number = 2, .parent = root("b").digest}.encode();
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(VolumeState::decode(ByteView(good).first(size))) << size;
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_FALSE(VolumeState::decode(longer));
  for (const std::uint8_t layout : Bytes{0, 2, 3}) {
    Bytes other = good;
    other[0] = layout;
    EXPECT_FALSE(VolumeState::decode(other));
    other.resize(good.size() + 2 * crypto::Digest::kSize);
    EXPECT_FALSE(VolumeState::decode(other)) << "layout 2 without lists is layout 1";
  }
  EXPECT_FALSE(VolumeState::decode(VolumeState{.root = root("a"), .number = 0}.encode()));
  EXPECT_FALSE(VolumeState::decode(VolumeState{.root = root("a"), .number = 2}.encode()));
  EXPECT_FALSE(VolumeState::decode(
      VolumeState{.root = root("a"), .number = 1, .parent = root("b").digest}.encode()));
  // In the first publication nothing is there that could be kept.
  EXPECT_FALSE(
      VolumeState::decode(VolumeState{.root = root("a"), .snapshots = root("b").digest}.encode()));
}

TEST(VolumeState, WithListsWhatNoVolumeHasIsRefused) {
  const Bytes good = VolumeState{.root = root("a"),
                                 .number = 2,
                                 .parent = root("b").digest,
                                 .snapshots = root("list").digest}
                         .encode();
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(VolumeState::decode(ByteView(good).first(size))) << size;
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_FALSE(VolumeState::decode(longer));
}

class VolumeTest : public testing::Test {
 protected:
  /// A machine with the owner's key.
  VolumeWriter machine(const std::string& name) { return {session, folder.path() / name, "v"}; }
  Result<PublishedVolume, Failure> publish(VolumeWriter& writer, std::string_view what) {
    return writer.publish(root(what), Timestamp(1), kTimeout);
  }
  void publish_from(const std::string& name, std::string_view what) {
    auto writer = machine(name);
    ASSERT_TRUE(writer.begin(kTimeout));
    ASSERT_TRUE(publish(writer, what));
  }
  Result<PublishedVolume, Failure> read() {
    return read_volume(session, {session.key().public_key(), "v"}, kTimeout);
  }
  wire::RecordStatement held() {
    return *wire::RecordStatement::decode(session.held->statement.statement);
  }
  /// From now on a quorum shows this as the newest; without a value: that the owner removed it.
  void show(wire::Version version, const std::optional<VolumeState>& state) {
    const Bytes value = state ? state->encode() : Bytes();
    auto other = held();
    other.version = version;
    other.is_tombstone = !state;
    other.value_size = static_cast<std::uint32_t>(value.size());
    other.value_hash = wire::record_value_hash(value);
    session.held =
        wire::SignedRecord{.statement = wire::sign(session.scheme(), session.key(), other),
                           .value = Buffer::copy_of(value)};
  }

  TemporaryFolder folder;
  FakeSession session{membership::TestCluster().first()};
};

TEST_F(VolumeTest, PublicationsFollowEachOther) {
  EXPECT_EQ(read().error().code, ExitCode::kNotFound);
  auto writer = machine("one");
  EXPECT_FALSE(writer.begin(kTimeout)->has_value());
  publish_from("one", "first");
  EXPECT_EQ(read()->state.number, 1U);
  EXPECT_FALSE(read()->state.parent);
  publish_from("one", "second");
  const auto state = read()->state;
  EXPECT_EQ(state.root, root("second"));
  EXPECT_EQ(state.number, 2U);
  EXPECT_EQ(state.parent, root("first").digest);
}

TEST_F(VolumeTest, WhoMakesOneThatIsThereIsTold) {
  auto early = machine("two");
  ASSERT_TRUE(early.begin(kTimeout));
  publish_from("one", "first");
  const auto done = publish(early, "mine");
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ExitCode::kConflict);
  EXPECT_NE(done.error().explained.what.find("already"), std::string::npos);
  EXPECT_EQ(read()->state.root, root("first"));
}

TEST_F(VolumeTest, WhatWasPublishedMeanwhileIsNotOverwritten) {
  publish_from("one", "first");
  for (const std::string& other : {std::string("one"), std::string("two")}) {
    auto early = machine("one");
    ASSERT_TRUE(early.begin(kTimeout));
    publish_from(other, "theirs " + other);
    const auto done = publish(early, "mine");
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ExitCode::kConflict);
    EXPECT_EQ(read()->state.root, root("theirs " + other));
    publish_from("one", "after " + other);  // the next command goes on from theirs
    EXPECT_EQ(read()->state.parent, root("theirs " + other).digest);
  }
}

TEST_F(VolumeTest, WhoHoldsItPublishesNothing) {
  EXPECT_EQ(hold_volume(session, {session.key().public_key(), "v"}, kTimeout).error().code,
            ExitCode::kNotFound);
  publish_from("one", "first");
  const auto record = session.sent.back();
  const auto held_now = hold_volume(session, {session.key().public_key(), "v"}, kTimeout);
  ASSERT_TRUE(held_now);
  EXPECT_EQ(held_now->state.root, root("first"));
  ASSERT_EQ(session.sent.size(), 2U);
  EXPECT_EQ(session.sent.back(), record);
  session.outcomes = {Outcome::kSuperseded};
  EXPECT_EQ(hold_volume(session, {session.key().public_key(), "v"}, kTimeout).error().code,
            ExitCode::kConflict);
}

TEST_F(VolumeTest, WhatWasLeftHalfSentIsFinishedFirst) {
  publish_from("one", "first");
  auto writer = machine("one");
  ASSERT_TRUE(writer.begin(kTimeout));
  session.outcomes = {Outcome::kUnknown};
  EXPECT_EQ(publish(writer, "second").error().code, ExitCode::kTimeout);
  EXPECT_EQ(read()->state.root, root("first"));
  auto again = machine("one");
  const auto base = again.begin(kTimeout);
  ASSERT_TRUE(base);
  EXPECT_EQ((*base)->state.root, root("second"));
  ASSERT_TRUE(publish(again, "third"));
  EXPECT_EQ(read()->state.parent, root("second").digest);
}

TEST_F(VolumeTest, ADisplacedPublicationIsToldOnce) {
  publish_from("one", "mine");
  // What a quorum shows has the same version and another value: both were sent at one moment.
  show(held().version, VolumeState{.root = root("theirs")});
  auto told = machine("one");
  const auto begun = told.begin(kTimeout);
  ASSERT_FALSE(begun);
  EXPECT_EQ(begun.error().code, ExitCode::kConflict);
  EXPECT_NE(begun.error().explained.next.find(root("mine").text()), std::string::npos);
  publish_from("one", "after");
  EXPECT_EQ(read()->state.root, root("after"));
  EXPECT_EQ(read()->state.parent, root("theirs").digest);
  // Theirs has the same files, and another list of snapshots.
  auto theirs = read()->state;
  theirs.snapshots = root("their list").digest;
  show(held().version, theirs);
  EXPECT_NE(machine("one").begin(kTimeout).error().explained.next.find("snapshot list v"),
            std::string::npos);
}

TEST_F(VolumeTest, APublicationThatATakeOverOvertookIsToldOnce) {
  // Another machine took the record over under a raised term and had not seen what was published
  // here: what a quorum shows is newer and leads past it.
  publish_from("one", "first");
  publish_from("one", "mine");
  const wire::Version mine = held().version;
  const auto raised =
      wire::Version::of(static_cast<std::uint16_t>(mine.term() + 1), mine.counter() + 1);
  const auto number = [](std::string_view what, std::uint64_t n, std::string_view before) {
    VolumeState out{.root = root(what), .number = n, .published = Timestamp(1)};
    if (n > 1) out.parent = root(before).digest;
    return out;
  };
  int cases = 0;
  const auto told = [&](const VolumeState& theirs) {
    const std::string copy = "copy " + std::to_string(++cases);
    std::filesystem::copy(folder.path() / "one", folder.path() / copy);
    show(raised, theirs);
    const bool is_told = !machine(copy).begin(kTimeout);
    EXPECT_TRUE(machine(copy).begin(kTimeout)) << "told twice";
    return is_told;
  };
  EXPECT_TRUE(told(number("first", 1, "")));        // raised, and not further yet
  EXPECT_TRUE(told(number("theirs", 2, "first")));  // the same number
  EXPECT_TRUE(told(number("after", 3, "theirs")));  // and one on it
  VolumeState other_list = number("after", 3, "mine");
  other_list.parent_snapshots = root("their list").digest;
  EXPECT_TRUE(told(other_list));                       // on the same files, with other snapshots
  EXPECT_FALSE(told(number("after", 3, "mine")));      // it follows ours
  EXPECT_FALSE(told(number("mine", 2, "first")));      // it is ours, raised
  EXPECT_FALSE(told(number("later", 4, "whatever")));  // nobody can tell any more
}

TEST_F(VolumeTest, OneThatItsOwnerRemovedIsNotThereAndCanBeMadeAnew) {
  publish_from("one", "first");
  show(wire::Version{held().version.value + 1}, std::nullopt);
  EXPECT_EQ(read().error().code, ExitCode::kNotFound);
  EXPECT_EQ(read().error().explained.cause, "its owner removed it");
  for (const std::string& name : {std::string("one"), std::string("two")}) {
    auto writer = machine(name);
    const auto begun = writer.begin(kTimeout);
    ASSERT_TRUE(begun);
    EXPECT_FALSE(begun->has_value());
  }
  const auto removed = held().version;
  publish_from("one", "anew");
  EXPECT_EQ(read()->state.root, root("anew"));
  EXPECT_EQ(read()->state.number, 1U);
  EXPECT_FALSE(read()->state.parent);
  EXPECT_GT(read()->version, removed);
}

TEST_F(VolumeTest, GarbageOfTheOwnerIsToldAsSuchAndReplacedOnlyWhenThatIsAsked) {
  RecordWriter raw(session, folder.path() / "one",
                   VolumeId{session.key().public_key(), "v"}.salt());
  ASSERT_TRUE(raw.write(as_bytes("garbage"), std::nullopt, kTimeout));
  EXPECT_EQ(read().error().code, ExitCode::kIntegrity);
  EXPECT_NE(read().error().explained.next.find("fs create v --yes"), std::string::npos);
  EXPECT_EQ(machine("one").begin(kTimeout).error().code, ExitCode::kIntegrity);
  auto late = machine("two");
  ASSERT_TRUE(late.begin(kTimeout, VolumeWriter::Garbage::kReplace));
  auto writer = machine("one");
  const auto begun = writer.begin(kTimeout, VolumeWriter::Garbage::kReplace);
  ASSERT_TRUE(begun);
  EXPECT_FALSE(begun->has_value());
  ASSERT_TRUE(publish(writer, "new"));
  EXPECT_EQ(read()->state.root, root("new"));
  EXPECT_EQ(read()->state.number, 1U);
  EXPECT_EQ(publish(late, "later").error().code, ExitCode::kConflict);
  EXPECT_EQ(read()->state.root, root("new"));
  // What is no garbage is not replaced.
  EXPECT_TRUE(machine("one").begin(kTimeout, VolumeWriter::Garbage::kReplace)->has_value());
}

}  // namespace
}  // namespace rosebud::client
