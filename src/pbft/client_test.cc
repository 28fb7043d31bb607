// The client side [CL99 §4.1].
#include "pbft/client.h"

#include "pbft/test_group.h"

namespace rosebud::pbft {
namespace {

struct ClientTest : testing::Test {
  Client client{test_key("client"), test_group(), crypto::model_scheme()};
  Now now{Instant{}, AgreedTime(1000)};

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
  Request submit(std::string_view operation = "op") {
    ClientEffects out;
    client.submit(now, Buffer::copy_of(as_bytes(operation)), out);
    return sent(out).empty() ? Request{} : sent(out)[0].request;
  }
  ClientEffects reply(std::size_t from, RequestNumber number, std::string_view result,
                      std::uint64_t view = 0) {
    ClientEffects out;
    client.on_reply(
        now, id(from),
        {.view = View(view), .number = number, .result = Buffer::copy_of(as_bytes(result))}, out);
    return out;
  }
  std::optional<Finish> refuse(std::size_t from, RequestNumber number, std::uint64_t floor) {
    ClientEffects out;
    client.on_reply(now, id(from),
                    {.view = {},
                     .number = number,
                     .status = Reply::Status::kNumberForgotten,
                     .result = {},
                     .floor = RequestNumber(floor)},
                    out);
    return finish(out);
  }
};

TEST_F(ClientTest, AsksThePrimaryFirstAndEverybodyAfterATimeout) {
  ClientEffects out;
  client.submit(now, Buffer::copy_of(as_bytes("op")), out);
  ASSERT_EQ(sent(out).size(), 1U);
  EXPECT_EQ(sent(out)[0].to, id(0));
  EXPECT_TRUE(is_valid(sent(out)[0].request, InstanceId{}, crypto::model_scheme()));
  now.instant = client.next_deadline();
  ClientEffects again;
  client.on_time(now, again);
  EXPECT_EQ(sent(again).size(), 4U);
  EXPECT_EQ(client.next_deadline(), now.instant + ClientSettings{}.reply_timeout * 2);
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
  client.submit(now, Buffer::copy_of(as_bytes("op")), out);
  EXPECT_EQ(sent(out).size(), 4U);
  client.give_up(now, out);
  client.on_link(now, id(0), true, out);
  out.clear();
  client.submit(now, Buffer::copy_of(as_bytes("op")), out);
  EXPECT_EQ(sent(out).size(), 1U);
}

TEST_F(ClientTest, AfterARefusedNumberItTakesOneAboveTheFloorOfFPlusOne) {
  const std::uint64_t now_us = now.wall.value * 1000;
  const RequestNumber first = submit().number;
  EXPECT_FALSE(refuse(1, first, now_us + 500));
  const auto done = refuse(2, first, now_us + 700);
  ASSERT_TRUE(done);
  EXPECT_EQ(done->status, Reply::Status::kNumberForgotten);
  const RequestNumber second = submit().number;
  EXPECT_EQ(second, RequestNumber(now_us + 501));
  refuse(0, first, now_us + 600);  // late
  refuse(1, second, now_us + 800);
  refuse(3, second, ~std::uint64_t{0});  // a liar
  EXPECT_EQ(submit().number, RequestNumber(now_us + 801));
}

TEST_F(ClientTest, ALiarThatIsTheFirstToRefuseIsOutvotedTheNextTime) {
  const std::uint64_t hour_us = 3'600'000'000;  // the clock was set back by so much
  const RequestNumber first = submit().number;
  refuse(3, first, 0);
  refuse(1, first, hour_us);
  refuse(2, first, hour_us);
  EXPECT_EQ(submit().number, RequestNumber(hour_us + 1));
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
