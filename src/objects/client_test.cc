// What a client may conclude from which answers: the sentences of design 6, one by one.
#include "objects/client.h"

#include <gtest/gtest.h>

#include "objects/test_group.h"

namespace rosebud::objects {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using wire::RefusalReason;

class ClientOf4 : public testing::Test, protected TestGroup {
 protected:
  /// Takes what was sent, and answers nothing.
  void take(ClientEffects effects) {
    for (ClientEffect& effect : effects) {
      if (auto* request = std::get_if<SendRequest>(&effect)) {
        for (std::size_t i = 0; i < kReplicas; ++i) {
          if (nodes[i].public_key() == request->to) asked[i].push_back(request->request);
        }
      } else if (auto* finish = std::get_if<Finish>(&effect)) {
        result = std::move(finish->result);
      } else if (const auto* report = std::get_if<Report>(&effect)) {
        reports.push_back(*report);
      } else if (std::holds_alternative<AskFreshness>(effect)) {
        ++freshness_asked;
      }
    }
    core.check_invariants();
  }
  /// Replica `i` answers its latest question, in the epoch of the question or another.
  void answer(std::size_t i, wire::AnswerBody body, std::uint64_t epoch = 0) {
    answer_to(i, asked[i].back(), std::move(body), epoch);
  }
  void answer_to(std::size_t i, const wire::Request& request, wire::AnswerBody body,
                 std::uint64_t epoch = 0) {
    wire::Answer out{.context = request.context, .body = std::move(body)};
    if (epoch != 0) out.context.configuration.epoch = wire::Epoch(epoch);
    ClientEffects effects;
    core.on_answer(now, nodes[i].public_key(), std::move(out), effects);
    take(std::move(effects));
  }
  void pass(Duration time) {
    now += time;
    ClientEffects effects;
    core.on_time(now, effects);
    take(std::move(effects));
  }
  void enter(std::uint64_t epoch) {
    ClientEffects effects;
    core.on_configuration(now, verifier(epoch), effects);
    take(std::move(effects));
  }
  void fresh_for(Duration time) {
    ClientEffects effects;
    core.on_fresh_until(now, now + time, effects);
    take(std::move(effects));
  }
  bool is_over() const { return result.has_value(); }
  Outcome outcome() const { return result.value().outcome; }

  void write_block(bool is_offered_first = false) {
    ClientEffects effects;
    core.write_block(now, block, hello, hold(block, hello.size()), is_offered_first,
                     now + seconds(30), effects);
    take(std::move(effects));
  }
  void begin_read_block() {
    ClientEffects effects;
    core.read_block(now, block, now + seconds(30), effects);
    take(std::move(effects));
  }
  void read_block() {
    begin_read_block();
    while (asked[3].empty() || asked[2].empty() || asked[1].empty() || asked[0].empty())
      pass(milliseconds(50));  // hedging
  }
  void write_record(std::uint64_t version) {
    ClientEffects effects;
    core.write_record(now, record_id(), record(version, "mine"), record_hold(), now + seconds(30),
                      effects);
    take(std::move(effects));
  }
  void read_record() {
    ClientEffects effects;
    core.read_record(now, record_id(), now + seconds(30), effects);
    take(std::move(effects));
  }
  wire::RecordHeld held(std::uint64_t version, std::string_view value = "mine") const {
    return {.record = record(version, value), .hold = record_hold()};
  }

  Instant now{};
  Client core{verifier(1), Random(1)};
  std::vector<wire::Request> asked[kReplicas];
  std::vector<Report> reports;
  std::optional<OperationResult> result;
  std::size_t freshness_asked = 0;
};

// ---- A configuration that may not be relied on any more (design 9.4) ----

TEST_F(ClientOf4, Stale_NothingIsWrittenUntilALeaseComes) {
  fresh_for(seconds(1));
  pass(seconds(2));
  write_record(3);
  EXPECT_EQ(freshness_asked, 1U);  // at once, beside the replicas
  for (std::size_t i = 0; i < 4; ++i) answer(i, held(3));
  EXPECT_FALSE(is_over());
  pass(seconds(1));
  EXPECT_EQ(freshness_asked, 2U);
  fresh_for(seconds(1));
  EXPECT_EQ(outcome(), Outcome::kDone);
}

TEST_F(ClientOf4, Stale_WhatIsReadWaitsTooAndEndsAtItsDeadline) {
  fresh_for(Duration(0));
  read_record();
  for (std::size_t i = 0; i < 4; ++i) answer(i, held(3));
  EXPECT_FALSE(is_over());
  pass(seconds(30));
  EXPECT_EQ(outcome(), Outcome::kStale);
  EXPECT_FALSE(result->record);
}

TEST_F(ClientOf4, Stale_BytesProveThemselvesAndTheirAbsenceDoesNot) {
  fresh_for(Duration(0));
  begin_read_block();
  for (std::size_t i = 0; i < 4; ++i) {
    if (!asked[i].empty()) answer(i, wire::BlockFound{hello});
  }
  EXPECT_EQ(outcome(), Outcome::kDone);
  result.reset();
  for (auto& one : asked) one.clear();
  read_block();
  for (std::size_t i = 0; i < 4; ++i) answer(i, wire::Absent{});
  EXPECT_FALSE(is_over());
  fresh_for(seconds(1));
  EXPECT_EQ(outcome(), Outcome::kNotFound);
}

/// One that held something older stands between, and all the same nothing is due in the past.
TEST_F(ClientOf4, Stale_WhatIsHeldBackIsNotLookedAtAllTheTime) {
  fresh_for(Duration(0));
  read_record();
  for (std::size_t i = 0; i < 4; ++i) answer(i, held(i == 1 ? 2 : 3));
  EXPECT_FALSE(is_over());
  pass(milliseconds(200));
  EXPECT_GT(core.next_deadline(), now);
  EXPECT_FALSE(is_over());
}

TEST_F(ClientOf4, Stale_RefusalsOfAGroupThatIsOverDenyNothing) {
  fresh_for(Duration(0));
  write_block();
  for (std::size_t i = 0; i < 4; ++i) answer(i, wire::Refused{.reason = RefusalReason::kQuota});
  EXPECT_FALSE(is_over());
  fresh_for(seconds(1));
  EXPECT_EQ(outcome(), Outcome::kDenied);
}

TEST_F(ClientOf4, Stale_ANewerRecordProvesItself) {
  fresh_for(Duration(0));
  write_record(3);
  answer(0, held(4));
  EXPECT_EQ(outcome(), Outcome::kSuperseded);
}

/// Those who are asked under an epoch that is over may all lie.
TEST_F(ClientOf4, Stale_WhatWasReadIsReadAnewInTheNextConfiguration) {
  fresh_for(Duration(0));
  read_record();
  for (std::size_t i = 0; i < 4; ++i) answer(i, held(3));
  enter(2);
  fresh_for(seconds(60));
  EXPECT_FALSE(is_over());
  for (std::size_t i = 0; i < 4; ++i) answer(i, held(4));
  EXPECT_EQ(outcome(), Outcome::kDone);
  const auto statement = wire::RecordStatement::decode(result->record->statement.statement);
  EXPECT_EQ(statement->version.value, 4U);
}

TEST_F(ClientOf4, Stale_WhatWasToBeWrittenBackIsReadAnewInTheNextConfiguration) {
  fresh_for(Duration(0));
  read_record();
  for (std::size_t i = 0; i < 4; ++i) answer(i, held(i < 2 ? 3 : 2));
  // Mixed: the newest is written back.
  ASSERT_TRUE(std::holds_alternative<wire::PutRecord>(asked[1].back().body));
  enter(2);
  fresh_for(seconds(60));
  ASSERT_TRUE(std::holds_alternative<wire::GetRecord>(asked[1].back().body));
  for (std::size_t i = 0; i < 4; ++i) answer(i, held(4));
  const auto statement = wire::RecordStatement::decode(result->record->statement.statement);
  EXPECT_EQ(statement->version.value, 4U);
}

TEST_F(ClientOf4, Stale_AFreshOneAsksNobody) {
  fresh_for(seconds(60));
  write_block();
  for (std::size_t i = 0; i < 3; ++i) answer(i, wire::Stored{});
  EXPECT_EQ(outcome(), Outcome::kDone);
  EXPECT_EQ(freshness_asked, 0U);
}

TEST_F(ClientOf4, BlockWrite_DoneAtAQuorumOfOneEpoch) {
  write_block();
  answer(0, wire::Stored{});
  answer(1, wire::Stored{}, 2);  // of another epoch
  answer(2, wire::Stored{});
  EXPECT_FALSE(is_over());
  answer(3, wire::Stored{});
  EXPECT_EQ(outcome(), Outcome::kDone);
}

TEST_F(ClientOf4, BlockWrite_AnAnswerCountsOnceAndFromWhomWasAsked) {
  write_block();
  const wire::Request first = asked[0].back();
  answer_to(0, first, wire::Stored{});
  answer_to(0, first, wire::Stored{});
  answer_to(1, asked[3].back(), wire::Stored{});  // somebody else's nonce
  answer(2, wire::Stored{});
  EXPECT_FALSE(is_over());
}

TEST_F(ClientOf4, BlockWrite_NewEpochBeginsAnew) {
  write_block();
  answer(0, wire::Stored{});
  answer(1, wire::Stored{});
  enter(2);
  answer(2, wire::Stored{});
  EXPECT_FALSE(is_over());
  answer(0, wire::Stored{});
  answer(1, wire::Stored{});
  EXPECT_EQ(outcome(), Outcome::kDone);
}

TEST_F(ClientOf4, Offer_RepeatedAndTwiceMissing_NobodyIsAccused) {
  write_block(true);
  pass(seconds(1));
  ASSERT_EQ(asked[0].size(), 2U);
  answer_to(0, asked[0][0], wire::Missing{});
  answer_to(0, asked[0][1], wire::Missing{});
  EXPECT_TRUE(reports.empty());
  ASSERT_EQ(asked[0].size(), 3U);
  EXPECT_TRUE(std::holds_alternative<wire::PutBlock>(asked[0].back().body));
}

TEST_F(ClientOf4, BlockRead_BytesCountInAnyEpochAndMustHashToTheId) {
  read_block();
  answer(0, wire::BlockFound{Buffer::copy_of(as_bytes("hallo"))});
  EXPECT_FALSE(is_over());
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_EQ(reports[0].observation, Observation::kInvalidAnswer);
  answer(1, wire::BlockFound{hello}, 7);
  EXPECT_EQ(outcome(), Outcome::kDone);
  EXPECT_EQ(result->bytes, hello);
}

// Suppose the replicas are slow because they are asked too much: one more question each would make
// it worse, and that again.
TEST_F(ClientOf4, BlockRead_SlowIsUsual_OthersAreAskedLater) {
  const auto asked_count = [&] {
    std::size_t count = 0;
    for (const auto& requests : asked) count += requests.size();
    return count;
  };
  const auto asked_one = [&] {
    for (std::size_t i = 0; i < kReplicas; ++i) {
      if (!asked[i].empty()) return i;
    }
    return kReplicas;
  };
  begin_read_block();
  pass(milliseconds(60));
  EXPECT_EQ(asked_count(), 2U) << "nothing is usual yet";
  for (int i = 0; i < 30; ++i) {
    pass(milliseconds(400));
    answer(asked_one(), wire::BlockFound{hello});
    ASSERT_TRUE(is_over());
    result.reset();
    for (auto& requests : asked) requests.clear();
    begin_read_block();
  }
  pass(milliseconds(600));
  EXPECT_EQ(asked_count(), 1U);
  pass(milliseconds(300));
  EXPECT_EQ(asked_count(), 2U);
}

TEST_F(ClientOf4, BlockRead_NotFoundNeedsAQuorumOfOneEpoch) {
  read_block();
  answer(0, wire::Absent{});
  answer(1, wire::Absent{}, 2);
  answer(2, wire::Absent{});
  EXPECT_FALSE(is_over());
  answer(3, wire::Absent{});
  EXPECT_EQ(outcome(), Outcome::kNotFound);
}

TEST_F(ClientOf4, BlockRead_TooFewAnswers_IsNoQuorumAndNotNotFound) {
  read_block();
  answer(0, wire::Absent{});
  answer(1, wire::Absent{});
  pass(seconds(30));
  EXPECT_EQ(outcome(), Outcome::kNoQuorum);
}

TEST_F(ClientOf4, RecordWrite_OnlyWhoHoldsExactlyItCounts) {
  write_record(5);
  answer(0, held(5));
  answer(1, held(4));
  answer(2, held(5));
  answer(3, wire::Absent{});
  EXPECT_FALSE(is_over());
  pass(seconds(1));
  answer(1, held(5));
  EXPECT_EQ(outcome(), Outcome::kDone);
}

TEST_F(ClientOf4, RecordWrite_OneVerifiedNewerRecordSupersedes) {
  write_record(5);
  wire::RecordHeld forged = held(6);
  forged.record.statement.signature.bytes[0] ^= 1;
  answer(0, forged);
  EXPECT_FALSE(is_over());
  answer(1, held(6));
  EXPECT_EQ(outcome(), Outcome::kSuperseded);
  EXPECT_EQ(result->record, record(6, "mine"));
}

TEST_F(ClientOf4, RecordWrite_OlderAnswersToTheDeadline_IsUnknown) {
  write_record(5);
  for (std::size_t i = 0; i < 3; ++i) answer(i, held(4));
  pass(seconds(30));
  EXPECT_EQ(outcome(), Outcome::kUnknown);
}

TEST_F(ClientOf4, RecordRead_EqualQuorumEndsInOnePhase) {
  read_record();
  answer(0, held(1));
  answer(1, held(2));
  answer(2, held(2));
  EXPECT_FALSE(is_over());
  answer(3, held(2));
  EXPECT_EQ(outcome(), Outcome::kDone);
  EXPECT_EQ(result->phases, 1U);
  EXPECT_EQ(result->record, record(2, "mine"));
}

TEST_F(ClientOf4, RecordRead_InvalidAnswersAreNotCounted) {
  read_record();
  wire::RecordHeld forged = held(9);
  forged.record.value = Buffer::copy_of(as_bytes("else"));
  wire::RecordHeld unheld = held(9);
  unheld.hold = hold(record_id(), 5);
  answer(0, forged);
  answer(1, unheld);
  answer(2, held(2));
  pass(milliseconds(500));
  EXPECT_EQ(asked[3].size(), 1U) << "nothing is written back yet";
  EXPECT_FALSE(is_over());
}

TEST_F(ClientOf4, RecordRead_MixedAnswers_TheNewestIsWrittenBackBeforeItIsReturned) {
  read_record();
  answer(0, held(3));
  answer(1, held(2));
  answer(2, wire::Absent{});
  for (const auto& questions : asked) EXPECT_EQ(questions.size(), 1U) << "the fourth is waited for";
  pass(milliseconds(100));  // read_settle
  for (std::size_t i = 0; i < kReplicas; ++i) {
    const auto* put = std::get_if<wire::PutRecord>(&asked[i].back().body);
    ASSERT_NE(put, nullptr);
    EXPECT_EQ(put->record, record(3, "mine"));
  }
  answer(0, held(3));
  answer(1, held(4));  // past what was read
  answer(2, held(2));
  EXPECT_FALSE(is_over());
  answer(3, held(3));
  EXPECT_EQ(outcome(), Outcome::kDone);
  EXPECT_EQ(result->phases, 2U);
  EXPECT_EQ(result->record, record(3, "mine"));
}

TEST_F(ClientOf4, RecordRead_WrittenBackUnderTheHoldThatExpiresLast) {
  read_record();
  wire::RecordHeld newest = held(3);
  newest.hold = hold(test_key("stranger"), record_id(), wire::kRecordValueSizeMax, 1,
                     Timestamp(500));  // before this epoch
  answer(0, newest);
  for (std::size_t i = 1; i < kReplicas; ++i) answer(i, held(i < 3 ? 2 : 1));
  const auto* put = std::get_if<wire::PutRecord>(&asked[0].back().body);
  ASSERT_NE(put, nullptr);
  EXPECT_EQ(put->record, record(3, "mine"));
  EXPECT_EQ(put->hold, record_hold());
}

TEST_F(ClientOf4, RecordRead_NewEpoch_RestartsTheFirstPhaseAndKeepsAFinishedOne) {
  read_record();
  answer(0, held(2));
  answer(1, held(2));
  enter(2);
  answer(2, held(2));
  EXPECT_FALSE(is_over());
  answer(0, held(3));
  answer(1, held(1));
  answer(3, held(1));
  ASSERT_TRUE(std::holds_alternative<wire::PutRecord>(asked[0].back().body));
  enter(3);
  const auto* put = std::get_if<wire::PutRecord>(&asked[0].back().body);
  ASSERT_NE(put, nullptr) << "what was read is still written back";
  EXPECT_EQ(put->record, record(3, "mine"));
  EXPECT_EQ(asked[0].back().context.configuration.epoch, wire::Epoch(3));
  for (std::size_t i = 0; i < 3; ++i) answer(i, held(3));
  EXPECT_EQ(outcome(), Outcome::kDone);
  EXPECT_TRUE(reports.empty()) << "answers of an earlier epoch accuse nobody";
}

TEST_F(ClientOf4, FinalRefusals_MoreThanFEndIt) {
  write_block();
  answer(0, wire::Refused{.reason = RefusalReason::kQuota});
  EXPECT_FALSE(is_over()) << "one may be a liar";
  answer(1, wire::Refused{.reason = RefusalReason::kBusy});
  answer(2, wire::Refused{.reason = RefusalReason::kBadHold});
  EXPECT_EQ(outcome(), Outcome::kDenied);
}

}  // namespace
}  // namespace rosebud::objects
