#include "client/snapshots.h"

#include <gtest/gtest.h>

#include "base/temporary_folder.h"
#include "client/fake_session.h"

namespace rosebud::client {
namespace {

constexpr Duration kTimeout = std::chrono::seconds(5);

fs::Cid root(std::string_view text) { return fs::Cid::of(fs::Codec::kDagPb, as_bytes(text)); }

Snapshot snapshot(const std::string& name, std::uint64_t number = 1) {
  return {.name = name,
          .number = number,
          .published = Timestamp(10 * number),
          .made = Timestamp(10 * number + 1),
          .root = root(name)};
}

SnapshotList list_of(const std::vector<Snapshot>& all) {
  SnapshotList out;
  for (const Snapshot& one : all) EXPECT_TRUE(out.add(one));
  return out;
}

TEST(SnapshotName, WhatIsOneAndWhatIsNot) {
  const std::string longest(kSnapshotNameMax, 'a');
  for (const std::string& good :
       {std::string("a"), std::string("2026-11-30T18-20-05Z"), std::string("A_b.c-D"), longest})
    EXPECT_TRUE(is_snapshot_name(good)) << good;
  for (const std::string& bad :
       {std::string(), longest + "a", std::string("previous"), std::string("a/b"),
        std::string("a:b"), std::string("a@b"), std::string("-a"), std::string(".a"),
        std::string(".."), std::string("a b"), std::string("a\n"), std::string("a\0b", 3),
        std::string("b\xc3\xbc"), std::string("a\x1b[31m")})
    EXPECT_FALSE(is_snapshot_name(bad)) << bad;
  EXPECT_TRUE(is_state_name("previous"));
  EXPECT_FALSE(is_state_name("-1"));
}

// ---- The list ----

TEST(SnapshotList, ComesBackAsItWasInWhateverOrderItWasMade) {
  const auto list = list_of({snapshot("b", 7), snapshot("c", 2), snapshot("a", 9)});
  EXPECT_EQ(list, list_of({snapshot("a", 9), snapshot("b", 7), snapshot("c", 2)}));
  EXPECT_EQ(SnapshotList::decode(list.encode()), list);
  EXPECT_EQ(list.find("c")->number, 2U);
  EXPECT_EQ(list.find("d"), nullptr);
}

TEST(SnapshotList, ANameIsThereOnce) {
  auto list = list_of({snapshot("a"), snapshot("b")});
  EXPECT_FALSE(list.add(snapshot("a", 5)));
  EXPECT_EQ(list.find("a")->number, 1U);
  EXPECT_FALSE(list.remove("c"));
  EXPECT_TRUE(list.remove("a"));
  EXPECT_FALSE(list.remove("a"));
  EXPECT_EQ(list, list_of({snapshot("b")}));
}

TEST(SnapshotList, TestVectorOfTheFormat) {
  SnapshotList list;
  ASSERT_TRUE(
      list.add({.name = "monday",
                .number = 2,
                .published = Timestamp(1'700'000'000),
                .made = Timestamp(1'700'000'060),
                .root = {.codec = fs::Codec::kDagPb, .digest = crypto::sha256(as_bytes("root"))}}));
  EXPECT_EQ(to_hex(list.encode()),
            "726f736562756420736e617073686f747320310a0001066d6f6e6461790000000000000002000000"
            "006553f100000000006553f13c4813494d137e1631bba301d5acab6e7bb7aa74ce1185d456565ef5"
            "1d737677b2");
}

TEST(SnapshotList, WhatNobodyMakesIsRefused) {
  const Bytes good = list_of({snapshot("aa"), snapshot("ab")}).encode();
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(SnapshotList::decode(ByteView(good).first(size))) << size;
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_FALSE(SnapshotList::decode(longer));
  const auto with = [&](std::size_t offset, std::uint8_t value) {
    Bytes out = good;
    out[offset] = value;
    return SnapshotList::decode(out).has_value();
  };
  constexpr std::size_t kCount = 20;
  constexpr std::size_t kFirst = 22;
  constexpr std::size_t kSecond = kFirst + 1 + 2 + 3 * 8 + 32;
  EXPECT_TRUE(with(kSecond + 2, 'c'));
  EXPECT_FALSE(with(0, 'R'));
  EXPECT_FALSE(with(18, '2'));          // a later layout
  EXPECT_FALSE(with(kCount + 1, 0));    // none
  EXPECT_FALSE(with(kCount + 1, 1));    // fewer than are there
  EXPECT_FALSE(with(kCount + 1, 3));    // more
  EXPECT_FALSE(with(kCount, 0xff));     // more than may be there
  EXPECT_FALSE(with(kFirst, 0));        // a name that is empty
  EXPECT_FALSE(with(kFirst + 1, '/'));  // names that are none
  EXPECT_FALSE(with(kFirst + 1, '.'));
  EXPECT_FALSE(with(kFirst + 2, 0));
  EXPECT_FALSE(with(kFirst + 2, 'b'));    // twice
  EXPECT_FALSE(with(kFirst + 2, 'c'));    // out of order
  EXPECT_FALSE(with(kFirst + 3 + 7, 0));  // publication 0
}

TEST(SnapshotList, AsManyAsMayBeFitIntoABlock) {
  SnapshotList list;
  for (std::size_t i = 0; i < kSnapshotsMax; ++i) {
    std::string name = std::to_string(i);
    name.resize(kSnapshotNameMax, 'x');
    ASSERT_TRUE(list.add(snapshot(name, i + 1)));
  }
  EXPECT_LE(list.encode().size(), wire::kBlockSizeMax);
  EXPECT_EQ(SnapshotList::decode(list.encode()), list);
}

// ---- In a volume ----

class SnapshotsTest : public testing::Test {
 protected:
  VolumeId id() const { return {session.key().public_key(), "v"}; }
  VolumeWriter writer() { return {session, folder.path() / "one", "v"}; }
  VolumeState state() { return read_volume(session, id(), kTimeout)->state; }
  void publish(std::string_view what) {
    auto at = writer();
    ASSERT_TRUE(at.begin(kTimeout));
    ASSERT_TRUE(at.publish(root(what), Timestamp(1), kTimeout));
  }
  /// As a snapshot command does it.
  void keep(const SnapshotList& list) {
    auto at = writer();
    const auto base = at.begin(kTimeout);
    ASSERT_TRUE(base && *base);
    const auto stored = store_snapshots(session, list, kTimeout);
    ASSERT_TRUE(stored);
    ASSERT_TRUE(at.publish((*base)->state.root, *stored, Timestamp(2), kTimeout));
  }
  Result<SnapshotList, Failure> read() { return read_snapshots(session, state(), "v", kTimeout); }

  TemporaryFolder folder;
  FakeSession session{membership::TestCluster().first()};
};

TEST_F(SnapshotsTest, ThoseWhoReadFindWhatIsKeptWhateverIsPublishedLater) {
  publish("first");
  EXPECT_EQ(*read(), SnapshotList());
  const auto list = list_of({snapshot("a", 1)});
  keep(list);
  EXPECT_EQ(*read(), list);
  EXPECT_EQ(state().root, root("first"));
  EXPECT_EQ(state().number, 2U);
  publish("second");
  publish("third");
  EXPECT_EQ(*read(), list);
  EXPECT_EQ(state().root, root("third"));
  EXPECT_EQ(find_state(session, state(), "a", "v", kTimeout)->root, root("a"));
  const auto previous = find_state(session, state(), "previous", "v", kTimeout);
  EXPECT_EQ(previous->root, root("second"));
  EXPECT_EQ(previous->number, 3U);
  EXPECT_EQ(find_state(session, state(), "b", "v", kTimeout).error().code, ExitCode::kNotFound);
}

TEST_F(SnapshotsTest, WithoutAnyARecordIsAsTheFirstReleaseWroteIt) {
  publish("first");
  keep(list_of({snapshot("a", 1)}));
  EXPECT_EQ(session.held->value.size(), 145U);
  keep({});
  EXPECT_FALSE(state().snapshots);
  EXPECT_EQ(session.held->value.size(), 145U) << "it names the list before";
  publish("second");
  EXPECT_EQ(session.held->value.size(), 81U);
}

TEST_F(SnapshotsTest, WhoKeepsAndWhoPublishesAtOnceAreToldApart) {
  publish("first");
  auto early = writer();
  ASSERT_TRUE(early.begin(kTimeout));
  keep(list_of({snapshot("a", 1)}));
  EXPECT_EQ(early.publish(root("mine"), Timestamp(1), kTimeout).error().code, ExitCode::kConflict);
  EXPECT_EQ(*read(), list_of({snapshot("a", 1)}));
  EXPECT_EQ(state().root, root("first"));
}

TEST_F(SnapshotsTest, AVolumeThatWasPublishedOnceHasNoPreviousState) {
  publish("first");
  const auto found = find_state(session, state(), "previous", "v", kTimeout);
  EXPECT_EQ(found.error().code, ExitCode::kNotFound);
}

TEST_F(SnapshotsTest, AListThatIsMissingOrMakesNoSenseIsToldAndFilesGoOn) {
  publish("first");
  auto list = list_of({snapshot("a", 1)});
  keep(list);
  const auto good = session.blocks;
  const auto told = [&](std::string_view words) {
    const auto failed = read();
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, ExitCode::kIntegrity);
    EXPECT_NE(failed.error().explained.what.find(words), std::string::npos);
    EXPECT_NE(failed.error().explained.next.find("snapshot delete v --all --yes"),
              std::string::npos);
  };
  session.blocks.clear();
  told("is missing");
  session.blocks = good;
  session.blocks.begin()->second = Buffer::copy_of(as_bytes("something else"));
  told("makes no sense");
  publish("second");
  EXPECT_EQ(state().root, root("second"));
  told("makes no sense");
  // It keeps what was not published before it was.
  keep(list_of({snapshot("a", state().number + 1)}));
  told("makes no sense");
  keep(list_of({snapshot("a", state().number)}));
  EXPECT_TRUE(read());
}

}  // namespace
}  // namespace rosebud::client
