// Wrong histories that must be told from right ones, and what is said about them.
#include "history/checker.h"

#include <gmock/gmock.h>

#include "history/search.h"

namespace rosebud::history {
namespace {

using testing::HasSubstr;

/// Writes histories of one record as one reads them: who, from when to when, what. Times are
/// milliseconds.
class Told {
 public:
  Told& wrote(const std::string& client, int from, int to, const Point& point,
              Outcome outcome = Outcome::kOk, const Point& newer = {}) {
    return add({.client = client,
                .action = Action::kWrite,
                .written = point,
                .returned = newer,
                .invoked = ms(from),
                .completed = ms(to),
                .outcome = outcome});
  }
  /// The client died, or the history ends before it came back.
  Told& began_to_write(const std::string& client, int from, const Point& point) {
    return add({.client = client,
                .action = Action::kWrite,
                .written = point,
                .returned = {},
                .invoked = ms(from),
                .completed = std::nullopt});
  }
  Told& read(const std::string& client, int from, int to, const Point& point) {
    return read_as(client, from, to, Outcome::kOk, point);
  }
  Told& read_as(const std::string& client, int from, int to, Outcome outcome,
                const Point& point = {}) {
    return add({.client = client,
                .action = Action::kRead,
                .written = {},
                .returned = point,
                .invoked = ms(from),
                .completed = ms(to),
                .outcome = outcome});
  }
  Told& of(std::string object) {
    object_ = std::move(object);
    return *this;
  }

  /// Empty when the history is right. The general search must agree.
  std::string violation() const {
    const auto found = check(history_);
    if (object_.starts_with("record:")) {
      EXPECT_EQ(found.empty(), is_linearizable(history_)) << "the search says otherwise";
    }
    return found.empty() ? std::string() : found.front().text();
  }
  std::vector<Violation> violations() const { return check(history_); }

 private:
  static Nanoseconds ms(int time) { return Nanoseconds{time} * 1'000'000; }
  Told& add(Operation operation) {
    operation.object = object_;
    history_.push_back(std::move(operation));
    return *this;
  }

  std::string object_ = "record:1";
  History history_;
};

const Point kOne{1, "aa"};
const Point kTwo{2, "bb"};
const Point kThree{3, "cc"};

// ---- Right ----

TEST(Checker, NothingHappened_IsRight) {
  EXPECT_EQ(Told().violation(), "");
  EXPECT_EQ(Told().read_as("r", 0, 1, Outcome::kNotFound).violation(), "");
}

TEST(Checker, ReadDuringAWrite_MayReturnOldOrNew) {
  const auto told = [] { return Told().wrote("w", 0, 1, kOne).wrote("w", 10, 20, kTwo); };
  EXPECT_EQ(told().read("r", 12, 14, kOne).violation(), "");
  EXPECT_EQ(told().read("r", 12, 14, kTwo).violation(), "");
  EXPECT_EQ(told().read("r", 12, 14, kOne).read("q", 13, 15, kTwo).violation(), "");
  EXPECT_EQ(told().read("r", 12, 14, kTwo).read("q", 13, 15, kOne).violation(), "");
}

TEST(Checker, UnknownOutcome_TakesEffectLaterOrNever) {
  for (const Outcome outcome : {Outcome::kUnknown, Outcome::kNoQuorum, Outcome::kDenied}) {
    const auto told = [&] { return Told().wrote("w", 0, 1, kOne).wrote("w", 2, 3, kTwo, outcome); };
    EXPECT_EQ(told().read("r", 100, 101, kOne).violation(), "");
    EXPECT_EQ(told().read("r", 100, 101, kTwo).violation(), "");
    EXPECT_EQ(told().read("r", 100, 101, kOne).read("r", 102, 103, kTwo).violation(), "");
  }
}

TEST(Checker, ClientThatDied_MayHaveWritten) {
  const auto told = [] { return Told().wrote("w", 0, 1, kOne).began_to_write("w", 2, kTwo); };
  EXPECT_EQ(told().read("r", 50, 51, kOne).read("r", 60, 61, kTwo).violation(), "");
}

TEST(Checker, SameWriteSentAgain_IsTheSameWrite) {
  EXPECT_EQ(Told()
                .wrote("w", 0, 1, kOne, Outcome::kUnknown)
                .read("r", 2, 3, kOne)
                .wrote("w", 4, 5, kOne)
                .read("r", 6, 7, kOne)
                .violation(),
            "");
}

TEST(Checker, EqualVersions_AreOrderedByTheirValues) {
  const Point low{1, "aa"};
  const Point high{1, "bb"};
  EXPECT_EQ(Told().wrote("w", 0, 1, low).wrote("v", 2, 3, high).read("r", 4, 5, high).violation(),
            "");
  EXPECT_THAT(Told().wrote("w", 0, 1, high).wrote("v", 2, 3, low).violation(),
              HasSubstr("older than what was settled"));
}

TEST(Checker, Conflict_NamesANewerWriteAndSettlesNothing) {
  EXPECT_EQ(Told()
                .wrote("w", 0, 1, kOne)
                .began_to_write("v", 2, kThree)
                .wrote("w", 3, 5, kTwo, Outcome::kConflict, kThree)
                .read("r", 6, 7, kOne)
                .read("r", 8, 9, kTwo)  // it may still become visible
                .violation(),
            "");
}

TEST(Checker, FailedRead_SaysNothing) {
  EXPECT_EQ(Told().wrote("w", 0, 1, kOne).read_as("r", 2, 3, Outcome::kNoQuorum).violation(), "");
}

// ---- Wrong ----

TEST(Checker, StaleRead_IsFound) {
  EXPECT_THAT(
      Told().wrote("w", 0, 1, kOne).wrote("w", 2, 3, kTwo).read("r", 4, 5, kOne).violation(),
      HasSubstr("older than what was settled"));
}

TEST(Checker, LostAcknowledgedWrite_IsFound) {
  EXPECT_THAT(Told().wrote("w", 0, 1, kOne).read_as("r", 2, 3, Outcome::kNotFound).violation(),
              HasSubstr("\"not found\" is older than what was settled"));
}

TEST(Checker, ReadOfWhatNobodyWrote_IsFound) {
  EXPECT_THAT(Told().wrote("w", 0, 1, kOne).read("r", 2, 3, kTwo).violation(),
              HasSubstr("nobody had begun to write"));
  // Right version, another value.
  EXPECT_THAT(Told().wrote("w", 0, 1, kOne).read("r", 2, 3, {1, "ff"}).violation(),
              HasSubstr("nobody had begun to write"));
}

TEST(Checker, ReadBeforeTheWriteBegan_IsFound) {
  EXPECT_THAT(
      Told().wrote("w", 0, 1, kOne).read("r", 2, 3, kTwo).wrote("w", 4, 5, kTwo).violation(),
      HasSubstr("nobody had begun to write"));
}

TEST(Checker, NewThenOldAmongTwoReaders_IsFound) {
  EXPECT_THAT(Told()
                  .wrote("w", 0, 1, kOne)
                  .wrote("w", 2, 100, kTwo)
                  .read("r", 10, 20, kTwo)
                  .read("q", 30, 40, kOne)
                  .violation(),
              HasSubstr("older than what was settled"));
}

TEST(Checker, UnknownWriteThatWasReadAndThenGone_IsFound) {
  EXPECT_THAT(Told()
                  .wrote("w", 0, 1, kOne, Outcome::kUnknown)
                  .read("r", 2, 3, kOne)
                  .read_as("q", 4, 5, Outcome::kNotFound)
                  .violation(),
              HasSubstr("not found"));
}

TEST(Checker, AcknowledgedWriteBelowASettledOne_IsFound) {
  // It should have been told that it is superseded.
  EXPECT_THAT(Told().wrote("w", 0, 1, kThree).wrote("v", 2, 3, kTwo).violation(),
              HasSubstr("a write that is older"));
}

TEST(Checker, WriteBegunAfterANewerOneWasSettled_IsNeverRead) {
  // The read itself overlaps everything: only the beginning of its write gives it away.
  EXPECT_THAT(Told()
                  .read("q", 0, 100, kOne)
                  .wrote("w", 1, 2, kTwo)
                  .wrote("v", 3, 100, kOne, Outcome::kUnknown)
                  .violation(),
              HasSubstr("began after something newer was settled"));
}

TEST(Checker, ConflictWithNothingNewer_IsFound) {
  EXPECT_THAT(
      Told().wrote("w", 0, 1, kOne).wrote("w", 2, 3, kTwo, Outcome::kConflict, kOne).violation(),
      HasSubstr("superseded by something that is not newer"));
  EXPECT_THAT(Told().wrote("w", 2, 3, kTwo, Outcome::kConflict, kThree).violation(),
              HasSubstr("nobody had begun to write"));
}

TEST(Checker, WrongBytes_AreFound) {
  EXPECT_THAT(Told().wrote("w", 0, 1, kOne).read_as("r", 2, 3, Outcome::kWrong).violation(),
              HasSubstr("not what their id or their owner says"));
}

// ---- Blocks ----

TEST(Checker, HalfWrittenBlock_MayBeReadAndThenNotFound) {
  EXPECT_EQ(Told()
                .of("block:1")
                .wrote("w", 0, 9, kOne, Outcome::kNoQuorum)
                .read("r", 2, 3, kOne)
                .read_as("r", 4, 5, Outcome::kNotFound)
                .violation(),
            "");
}

TEST(Checker, AcknowledgedBlockNotFound_IsFound) {
  EXPECT_THAT(Told()
                  .of("block:1")
                  .wrote("w", 0, 1, kOne)
                  .read("r", 2, 3, kOne)
                  .read_as("r", 4, 5, Outcome::kNotFound)
                  .violation(),
              HasSubstr("not found"));
}

// ---- What is said ----

TEST(Checker, Proof_HasWhatContradictsAndNothingElse) {
  const auto found = Told()
                         .wrote("w", 0, 1, kOne)
                         .wrote("w", 2, 3, kTwo)
                         .read("r", 4, 5, kTwo)
                         .wrote("x", 6, 90, kThree, Outcome::kUnknown)
                         .read("q", 7, 8, kOne)
                         .violations();
  ASSERT_EQ(found.size(), 1U);
  ASSERT_EQ(found[0].proof.size(), 3U);  // what was settled, who wrote what was read, the read
  EXPECT_EQ(found[0].proof[0].written, kOne);
  EXPECT_EQ(found[0].proof[1].written, kTwo);
  EXPECT_EQ(found[0].proof[2].client, "q");
  ASSERT_EQ(found[0].around.size(), 2U);
  EXPECT_THAT(found[0].text(), HasSubstr("7.000 to      8.000 ms  q  read ok: version 1 (aa)"));
  EXPECT_THAT(found[0].text(), HasSubstr("meanwhile:\n       4.000"));
}

TEST(Checker, EveryObject_IsJudgedByItself) {
  Told told;
  told.wrote("w", 0, 1, kTwo).of("record:2").read_as("r", 2, 3, Outcome::kNotFound);
  EXPECT_TRUE(told.violations().empty());
  told.of("record:1").read_as("r", 4, 5, Outcome::kNotFound);
  ASSERT_EQ(told.violations().size(), 1U);
  EXPECT_EQ(told.violations()[0].object, "record:1");
}

}  // namespace
}  // namespace rosebud::history
