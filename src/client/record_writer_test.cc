#include "client/record_writer.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <thread>

#include "base/files.h"
#include "base/temporary_folder.h"
#include "client/fake_session.h"
#include "membership/test_cluster.h"

namespace rosebud::client {
namespace {

namespace stdfs = std::filesystem;
using objects::Outcome;

class RecordWriterTest : public testing::Test {
 protected:
  Result<Written, Failure> write(std::string_view value,
                                 std::optional<wire::Version> expected = std::nullopt) {
    return RecordWriter(session, folder / "state", to_bytes(as_bytes("name")))
        .write(as_bytes(value), expected, std::chrono::seconds(5));
  }
  wire::Version version_of(const wire::SignedRecord& record) const {
    return wire::RecordStatement::decode(record.statement.statement)->version;
  }
  /// What somebody else with the same key wrote.
  void another_wrote(wire::Version version, std::string_view value) {
    const wire::RecordStatement statement{.cluster = session.configuration()->cluster(),
                                          .owner = session.key().public_key(),
                                          .salt = to_bytes(as_bytes("name")),
                                          .version = version,
                                          .value_size = static_cast<std::uint32_t>(value.size()),
                                          .value_hash = wire::record_value_hash(as_bytes(value))};
    session.held = {.statement = wire::sign(session.scheme(), session.key(), statement),
                    .value = Buffer::copy_of(as_bytes(value))};
  }

  TemporaryFolder temporary;
  const stdfs::path& folder = temporary.path();
  FakeSession session{membership::TestCluster().first()};
};

TEST_F(RecordWriterTest, NewKey_CountsFromOne) {
  ASSERT_TRUE(begin_notes_of_new_key(folder / "state"));
  EXPECT_EQ(write("a")->version, wire::Version{1});
  EXPECT_EQ(write("b")->version, wire::Version{2});
}

// An earlier writer may have left its first version at one replica, where 2f+1 others know nothing.
TEST_F(RecordWriterTest, NotesMayBeLost_FirstWriteIsUnderARaisedTerm) {
  EXPECT_EQ(write("a")->version, wire::Version::of(1, 1));
}

TEST_F(RecordWriterTest, CopyOfTheNotes_IsNotBelieved) {
  ASSERT_TRUE(begin_notes_of_new_key(folder / "first"));
  stdfs::copy(folder / "first", folder / "state");
  EXPECT_EQ(write("a")->version, wire::Version::of(1, 1));
}

// What would be sent again is checked before: a note that everybody refuses would block the record.
TEST_F(RecordWriterTest, DamagedNote_IsSaidAndNothingIsSent) {
  ASSERT_TRUE(begin_notes_of_new_key(folder / "state"));
  ASSERT_TRUE(write("a").has_value());
  const auto id = wire::record_id(session.key().public_key(), as_bytes("name"));
  const stdfs::path note = folder / "state" / (to_hex(id.placement.view()) + ".note");
  const std::string whole = *read_text_file(note);
  const std::size_t sent = session.sent.size();
  std::string other_value = whole;
  other_value[other_value.size() - 2] ^= 1;
  std::string done_twice = whole;
  done_twice[1] = '2';
  for (const std::string& text : {other_value, done_twice, whole.substr(2), whole + "00",
                                  std::string("nonsense"), std::string()}) {
    ASSERT_TRUE(replace_file(note, text));
    const auto result = write("b");
    ASSERT_FALSE(result.has_value());
    EXPECT_NE(result.error().explained.what.find("is damaged"), std::string::npos);
  }
  EXPECT_EQ(session.sent.size(), sent);
  ASSERT_TRUE(replace_file(note, whole));
  EXPECT_EQ(write("b")->version, wire::Version{2});
}

TEST_F(RecordWriterTest, NoteOfAnotherRecord_IsNotSentAsThisOne) {
  ASSERT_TRUE(begin_notes_of_new_key(folder / "state"));
  ASSERT_TRUE(write("a").has_value());
  const auto path_of = [&](std::string_view salt) {
    const auto id = wire::record_id(session.key().public_key(), as_bytes(salt));
    return folder / "state" / (to_hex(id.placement.view()) + ".note");
  };
  stdfs::rename(path_of("name"), path_of("other"));
  const auto result = RecordWriter(session, folder / "state", to_bytes(as_bytes("other")))
                          .write(as_bytes("b"), std::nullopt, std::chrono::seconds(5));
  ASSERT_FALSE(result.has_value());
  EXPECT_NE(result.error().explained.what.find("is damaged"), std::string::npos);
}

TEST_F(RecordWriterTest, UnknownOutcome_TheSameIsSentFirst) {
  ASSERT_TRUE(begin_notes_of_new_key(folder / "state"));
  session.outcomes = {Outcome::kUnknown};
  const auto unknown = write("a");
  ASSERT_FALSE(unknown.has_value());
  EXPECT_EQ(unknown.error().code, ExitCode::kTimeout);
  EXPECT_EQ(write("b")->version, wire::Version{2});
  ASSERT_EQ(session.sent.size(), 3U);
  EXPECT_EQ(session.sent[0], session.sent[1]);
  EXPECT_EQ(as_text(session.sent[2].value.view()), "b");
}

TEST_F(RecordWriterTest, TakingOver_FirstTheValueReadUnderARaisedTerm) {
  another_wrote({7}, "theirs");
  EXPECT_EQ(write("mine")->version, wire::Version::of(1, 9));
  ASSERT_EQ(session.sent.size(), 2U);
  EXPECT_EQ(version_of(session.sent[0]), wire::Version::of(1, 8));
  EXPECT_EQ(as_text(session.sent[0].value.view()), "theirs");
}

TEST_F(RecordWriterTest, ExpectedVersionIsNotTheNewest_NothingIsSent) {
  another_wrote({7}, "theirs");
  const auto refused = write("mine", wire::Version{6});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ExitCode::kConflict);
  EXPECT_TRUE(session.sent.empty());
}

TEST_F(RecordWriterTest, LastVersions_AreAnErrorAndNoStepBack) {
  another_wrote({~std::uint64_t{0}}, "last");
  EXPECT_EQ(write("mine").error().code, ExitCode::kUsage);
  // Under the last term, at the last counter but one: one more can be written by who knows it.
  another_wrote(wire::Version::of(0xfffe, wire::Version::kCounterMax), "nearly last");
  EXPECT_FALSE(write("mine").has_value());
  for (const auto& record : session.sent)
    EXPECT_GT(version_of(record), wire::Version::of(0xfffe, wire::Version::kCounterMax));
}

TEST_F(RecordWriterTest, ManyAtOnce_NeverTwoValuesAtOneVersion) {
  ASSERT_TRUE(begin_notes_of_new_key(folder / "state"));
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([this, i] {
      for (int j = 0; j < 5; ++j) EXPECT_TRUE(write(std::to_string(i * 10 + j)).has_value());
    });
  }
  for (auto& thread : threads) thread.join();
  std::set<wire::Version> versions;
  for (const auto& record : session.sent) EXPECT_TRUE(versions.insert(version_of(record)).second);
  EXPECT_EQ(versions.size(), 40U);
}

}  // namespace
}  // namespace rosebud::client
