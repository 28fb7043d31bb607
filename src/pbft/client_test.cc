// The client side [CL99 §4.1].
#include "pbft/client.h"

#include "pbft/test_group.h"

namespace rosebud::pbft {
namespace {

struct ClientTest : testing::Test {
  Client client{test_key("client"), test_group(), crypto::model_scheme(), Random(1)};
  Instant now;
  Request last;  // that was sent

  std::vector<SendRequest> sent(const ClientEffects& effects) const {
    std::vector<SendRequest> out;
    for (const auto& effect : effects) {
      if (const auto* one = std::get_if<SendRequest>(&effect)) out.push_back(*one);
    }
    return out;
  }
  std::optional<Finish> finish(const ClientEffects& effects) const {
    for (const auto& effect : effects) {
      if (const auto* one = std::get_if<Finish>(&effect)) return *one;
    }
    return std::nullopt;
  }
  ClientEffects note(ClientEffects effects) {
    for (const SendRequest& one : sent(effects)) last = one.request;
    return effects;
  }
  ClientEffects submitted(std::string_view operation = "op") {
    ClientEffects out;
    client.submit(now, Buffer::copy_of(as_bytes(operation)), out);
    return note(std::move(out));
  }
  /// To what was sent last, unless `number` is another one's.
  ClientEffects hear(std::size_t from, RequestNumber number, Reply reply) {
    reply.number = number;
    reply.operation = operation_digest(last.operation.view());
    ClientEffects out;
    client.on_reply(now, id(from), reply, out);
    return note(std::move(out));
  }
  ClientEffects reply(std::size_t from, RequestNumber number, std::string_view result,
                      std::uint64_t view = 0) {
    return hear(from, number, {.view = View(view), .result = Buffer::copy_of(as_bytes(result))});
  }
  ClientEffects refuse(std::size_t from, RequestNumber number, std::uint64_t floor = 0,
                       std::uint64_t time = 0) {
    return hear(from, number,
                {.status = Reply::Status::kNumberForgotten,
                 .floor = RequestNumber(floor),
                 .time = AgreedTime(time)});
  }
  /// 2F+1 answer the question for numbers.
  std::vector<SendRequest> give_numbers(std::uint64_t floor = 0, std::uint64_t time = 1000) {
    refuse(0, kNumbersQuestion, floor, time);
    refuse(1, kNumbersQuestion, floor, time);
    return sent(refuse(2, kNumbersQuestion, floor, time));
  }
  std::vector<SendRequest> submit_after_the_question() {
    submitted();
    return give_numbers();
  }
  /// The request that is sent now, of a client that has its numbers.
  Request submit(std::string_view operation = "op") {
    const auto out = sent(submitted(operation));
    if (out.empty()) return {};
    if (out[0].request.number != kNumbersQuestion) return out[0].request;
    return give_numbers().at(0).request;
  }
  static std::uint64_t ms_of(const Request& request) { return request.number.value / 1000; }
};

TEST_F(ClientTest, AsksAllForItsNumbersBeforeItsFirstRequest) {
  const auto question = sent(submitted());
  ASSERT_EQ(question.size(), 4U);
  EXPECT_EQ(question[0].request.number, kNumbersQuestion);
  EXPECT_TRUE(is_valid(question[0].request, InstanceId{}, crypto::model_scheme()));
  // It waits for more than F+1, so who was not there yet is asked again before long.
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(client.next_deadline(), now + ClientSettings{}.reply_timeout);
    now = client.next_deadline();
    ClientEffects again;
    client.on_time(now, again);
    EXPECT_EQ(sent(again).size(), 4U);
  }
  ClientEffects to_one;
  client.on_link(now, id(3), true, to_one);
  EXPECT_EQ(sent(to_one).size(), 1U);
  // A replica that says it twice is one, and liars go to either side of the median.
  EXPECT_TRUE(refuse(3, kNumbersQuestion, ~std::uint64_t{0}, ~std::uint64_t{0}).empty());
  EXPECT_TRUE(refuse(3, kNumbersQuestion, ~std::uint64_t{0}, ~std::uint64_t{0}).empty());
  EXPECT_TRUE(refuse(1, kNumbersQuestion, 7, 2000).empty());
  now += std::chrono::milliseconds(3);
  const auto first = sent(refuse(2, kNumbersQuestion, 9, 2001));
  ASSERT_EQ(first.size(), 1U);
  EXPECT_EQ(first[0].to, id(0));
  EXPECT_EQ(ms_of(first[0].request), 2001U);
  EXPECT_EQ(as_text(first[0].request.operation.view()), "op");
}

TEST_F(ClientTest, NumbersFollowTheGroupsTimeAndASteadyClock) {
  EXPECT_EQ(ms_of(submit()), 1000U);
  ClientEffects out;
  client.give_up(now, out);
  now += std::chrono::milliseconds(5);
  EXPECT_EQ(ms_of(submit()), 1005U);
}

TEST_F(ClientTest, AReadingThatIsOldIsNotReliedOn) {
  const Request first = submit();
  now += ClientSettings{}.reading_age_max;
  reply(0, first.number, "r");
  reply(1, first.number, "r");
  const Request second = submit();
  EXPECT_EQ(ms_of(second), 1000U + 20'000U);
  now += std::chrono::milliseconds(1);
  reply(0, second.number, "r");
  reply(1, second.number, "r");
  EXPECT_EQ(sent(submitted()).at(0).request.number, kNumbersQuestion);
  // All clocks were set back: agreed time stands still, and numbers go on one by one.
  EXPECT_EQ(give_numbers(second.number.value, 1001).at(0).request.number.value / 1000,
            ms_of(second));
  EXPECT_GT(last.number, second.number);
}

TEST_F(ClientTest, AfterANumberThatIsFarAheadItGoesBackToTheGroupsTime) {
  submitted();
  const Request ahead = give_numbers(0, 5'000'000).at(0).request;  // before clocks were set back
  const auto refuse_as_ahead = [&](std::size_t from) {
    return finish(hear(from, ahead.number, {.status = Reply::Status::kNumberAhead}));
  };
  EXPECT_FALSE(refuse_as_ahead(1));
  const auto done = refuse_as_ahead(2);
  ASSERT_TRUE(done);
  EXPECT_EQ(done->status, Reply::Status::kNumberAhead);
  EXPECT_EQ(ms_of(submit()), 1000U);
}

TEST_F(ClientTest, NumbersBeginAboveTheFloor_WhicheverTimeItIs) {
  submitted();
  const std::uint64_t floor = 3'600'000'000;  // of an earlier life; clocks were set back since
  refuse(0, kNumbersQuestion, 0, 1000);       // it lost its disk
  refuse(1, kNumbersQuestion, floor, 1000);
  const auto first = sent(refuse(2, kNumbersQuestion, floor, 1000));
  ASSERT_EQ(first.size(), 1U);
  EXPECT_GT(first[0].request.number, RequestNumber(floor));
  EXPECT_LE(first[0].request.number, RequestNumber(floor + 1000));
}

TEST_F(ClientTest, TwoLivesInOneMillisecondTakeOtherNumbers) {
  const RequestNumber first = submit().number;
  client = Client(test_key("client"), test_group(), crypto::model_scheme(), Random(2));
  EXPECT_NE(submit().number, first);
}

TEST_F(ClientTest, AnAnswerToAnotherOperationWithItsNumberIsNone) {
  const Request request = submit();
  last.operation = Buffer::copy_of(as_bytes("of another life"));
  EXPECT_FALSE(finish(reply(1, request.number, "r")));
  EXPECT_FALSE(finish(reply(2, request.number, "r")));
  last = request;
  EXPECT_FALSE(finish(reply(1, request.number, "r")));
  EXPECT_TRUE(finish(reply(2, request.number, "r")));
}

TEST_F(ClientTest, AnswersToAnEarlierQuestionSayNothing) {
  submitted();
  const Request earlier = last;
  ClientEffects out;
  client.give_up(now, out);
  submitted();
  const Request question = last;
  EXPECT_NE(earlier.operation, question.operation);
  last = earlier;
  EXPECT_TRUE(give_numbers().empty());
  last = question;
  EXPECT_EQ(give_numbers().size(), 1U);
}

TEST_F(ClientTest, WhoIsNoClientIsToldSoInsteadOfNumbers) {
  submitted();
  const auto refuse_key = [this](std::size_t from) {
    return finish(hear(from, kNumbersQuestion, {.status = Reply::Status::kNotAClient}));
  };
  EXPECT_FALSE(refuse_key(1));
  const auto done = refuse_key(2);
  ASSERT_TRUE(done);
  EXPECT_EQ(done->status, Reply::Status::kNotAClient);
  EXPECT_TRUE(client.is_idle());
}

TEST_F(ClientTest, AsksThePrimaryFirstAndEverybodyAfterATimeout) {
  const auto out = submit_after_the_question();
  ASSERT_EQ(out.size(), 1U);
  EXPECT_EQ(out[0].to, id(0));
  EXPECT_TRUE(is_valid(out[0].request, InstanceId{}, crypto::model_scheme()));
  now = client.next_deadline();
  ClientEffects again;
  client.on_time(now, again);
  EXPECT_EQ(sent(again).size(), 4U);
  EXPECT_EQ(client.next_deadline(), now + ClientSettings{}.reply_timeout * 2);
}

TEST_F(ClientTest, BelievesFPlusOneEqualReplies) {
  const RequestNumber number = submit().number;
  EXPECT_FALSE(finish(reply(3, number, "lie")));
  EXPECT_FALSE(finish(reply(1, number, "truth")));
  EXPECT_FALSE(finish(reply(1, number, "truth")));  // the same replica again
  EXPECT_FALSE(finish(reply(2, RequestNumber(number.value - 1), "truth")));  // of another request
  const auto done = finish(reply(2, number, "truth"));
  ASSERT_TRUE(done);
  EXPECT_EQ(as_text(done->result.view()), "truth");
  EXPECT_TRUE(client.is_idle());
  EXPECT_FALSE(finish(reply(0, number, "truth")));  // late
}

TEST_F(ClientTest, OneRequestIsUnderWayAndNumbersGrow) {
  const Request first = submit("first");
  submit("second");
  EXPECT_EQ(client.waiting_count(), 1U);
  reply(1, first.number, "r");
  const ClientEffects out = reply(2, first.number, "r");
  ASSERT_EQ(sent(out).size(), 1U);
  EXPECT_EQ(as_text(sent(out)[0].request.operation.view()), "second");
  EXPECT_GT(sent(out)[0].request.number, first.number);
}

TEST_F(ClientTest, LearnsTheViewThatACorrectReplicaIsIn) {
  const RequestNumber number = submit().number;
  reply(0, number, "r", 1'000'000);  // one may lie
  reply(2, number, "r", 2);
  EXPECT_EQ(client.believed_primary(), id(2));
}

TEST_F(ClientTest, ALostLinkToThePrimaryIsNotWaitedFor) {
  submit();
  ClientEffects out;
  client.on_link(now, id(2), false, out);
  EXPECT_TRUE(out.empty());
  client.on_link(now, id(0), false, out);
  EXPECT_EQ(sent(out).size(), 4U);
}

TEST_F(ClientTest, APrimaryWithoutALinkIsNotAskedAlone) {
  ClientEffects out;
  client.on_link(now, id(0), false, out);
  EXPECT_TRUE(out.empty());
  EXPECT_EQ(submit_after_the_question().size(), 4U);
  client.give_up(now, out);
  client.on_link(now, id(0), true, out);
  EXPECT_EQ(sent(submitted()).size(), 1U);
}

TEST_F(ClientTest, ARefusedNumberIsNoAnswerToWhetherItWasExecuted_AndTheGroupIsAskedAnew) {
  const RequestNumber first = submit().number;
  EXPECT_FALSE(finish(refuse(1, first, 5'000'000)));
  const auto done = finish(refuse(2, first, 7'000'000));
  ASSERT_TRUE(done);
  EXPECT_EQ(done->status, Reply::Status::kNumberForgotten);
  EXPECT_EQ(sent(submitted()).at(0).request.number, kNumbersQuestion);
  EXPECT_GT(give_numbers(5'000'000).at(0).request.number, RequestNumber(5'000'000));
}

TEST_F(ClientTest, WhatWasGivenUpMakesRoomForTheNext) {
  const Request first = submit("first");
  submit("second");
  ClientEffects out;
  client.give_up(now, out);
  ASSERT_EQ(sent(out).size(), 1U);
  EXPECT_EQ(as_text(sent(out)[0].request.operation.view()), "second");
  EXPECT_FALSE(finish(reply(1, first.number, "r")));
}

}  // namespace
}  // namespace rosebud::pbft
