#include "objects/write_quorum.h"

#include <gtest/gtest.h>

namespace rosebud::objects {
namespace {

RecordOrder order(std::uint64_t version, std::uint8_t value = 0) {
  RecordOrder out{.version = wire::Version{version}};
  out.value_hash.bytes[0] = value;
  return out;
}

TEST(Quorum, TwoQuorumsShareACorrectReplica) {
  for (std::size_t f = 0; f < 20; ++f) {
    EXPECT_GE(2 * quorum_of(f), group_size_of(f) + f + 1);
    EXPECT_EQ(quorum_of(f) + f, group_size_of(f));  // f silent replicas never block
  }
}

TEST(BlockWrite, TwoFPlusOneDistinctReplicas) {
  for (std::size_t f = 0; f <= 3; ++f) {
    BlockWrite write(f);
    for (Seat seat = 0; seat < 2 * f + 1; ++seat) {
      EXPECT_FALSE(write.is_done());
      write.on_stored(seat);
      write.on_stored(seat);
      write.on_stored(group_size_of(f));  // no such seat
    }
    EXPECT_TRUE(write.is_done());
  }
}

TEST(RecordWrite, OlderAnswersDoNotCount) {
  RecordWrite write(1, order(5), RecordWrite::Kind::kOwnWrite);
  for (Seat seat = 0; seat < 4; ++seat) write.on_held(seat, order(4));
  EXPECT_EQ(write.verdict(), RecordWrite::Verdict::kWaiting);
  for (Seat seat = 0; seat < 3; ++seat) write.on_held(seat, order(5));
  EXPECT_EQ(write.verdict(), RecordWrite::Verdict::kDone);
}

TEST(RecordWrite, OneNewerRecordSupersedes_EqualVersionOrderedByValue) {
  RecordWrite write(1, order(5, 1), RecordWrite::Kind::kOwnWrite);
  write.on_held(0, order(5, 2));
  EXPECT_EQ(write.verdict(), RecordWrite::Verdict::kSuperseded);
}

TEST(RecordWrite, WriteBackIsContentWithNewer) {
  RecordWrite write(1, order(5), RecordWrite::Kind::kWriteBack);
  write.on_held(0, order(6));
  write.on_held(1, order(5));
  EXPECT_EQ(write.verdict(), RecordWrite::Verdict::kWaiting);
  write.on_held(2, order(7));
  EXPECT_EQ(write.verdict(), RecordWrite::Verdict::kDone);
}

TEST(RecordRead, OneLiarWithAnOldVersionCannotForceASecondPhase) {
  RecordRead read(1, 4);
  read.on_answer(0, order(1));
  read.on_answer(1, order(2));
  read.on_answer(2, order(2));
  EXPECT_EQ(read.verdict(), RecordRead::Verdict::kMixed);
  read.on_answer(3, order(2));
  EXPECT_EQ(read.verdict(), RecordRead::Verdict::kAgreed);
  EXPECT_NE(*read.agreed_seat(), 0U);
}

TEST(RecordRead, NoneNeedsAQuorumToo) {
  RecordRead read(1, 4);
  read.on_answer(0, std::nullopt);
  read.on_answer(1, std::nullopt);
  EXPECT_EQ(read.verdict(), RecordRead::Verdict::kWaiting);
  read.on_answer(1, order(9));  // its first answer stands
  read.on_answer(2, std::nullopt);
  EXPECT_EQ(read.verdict(), RecordRead::Verdict::kAgreed);
  EXPECT_FALSE(read.newest_seat());
}

TEST(RecordRead, NewestOfAMixedQuorum) {
  RecordRead read(1, 4);
  read.on_answer(3, order(2));
  read.on_answer(1, std::nullopt);
  read.on_answer(0, order(3));
  EXPECT_EQ(read.verdict(), RecordRead::Verdict::kMixed);
  EXPECT_EQ(*read.newest_seat(), 0U);
}

TEST(RecordRead, AgreementIsReturnedBesideSomethingNewer) {
  // An unfinished write reached one replica: nobody has read it, and it was not acknowledged.
  RecordRead read(1, 4);
  read.on_answer(0, order(2));
  for (Seat seat = 1; seat < 4; ++seat) read.on_answer(seat, order(1));
  EXPECT_EQ(read.verdict(), RecordRead::Verdict::kAgreed);
  EXPECT_EQ(read.agreed_seat(), 1U);
}

TEST(RecordRead, ExposedSeatsAreNotWaitedFor) {
  RecordRead read(2, 6);
  for (Seat seat = 0; seat < 5; ++seat) read.on_answer(seat, order(seat));
  EXPECT_FALSE(read.has_everyone_answered());
  read.on_answer(5, order(5));
  EXPECT_TRUE(read.has_everyone_answered());
}

}  // namespace
}  // namespace rosebud::objects
