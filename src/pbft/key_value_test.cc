// The example's state machine in the simulator: any service may be tried there.
#include "key_value.h"

#include <gtest/gtest.h>

#include "pbft/sim/world.h"

namespace rosebud::pbft::sim {
namespace {

struct KeyValueTest : ::testing::Test {
  WorldOptions options{.seed = 7, .make_machine = [] { return std::make_unique<KeyValue>(); }};
  std::unique_ptr<World> world;

  void SetUp() override {
    options.settings.group.checkpoint_interval = 4;
    options.settings.group.window = 8;
    world = std::make_unique<World>(options);
  }
  std::string operate(std::size_t client, const std::string& operation) {
    std::optional<std::string> answer;
    world->submit(client, to_bytes(as_bytes(operation)), [&](const Finish& finish) {
      EXPECT_EQ(finish.status, Reply::Status::kExecuted);
      answer = std::string(as_text(finish.result.view()));
    });
    EXPECT_TRUE(world->run_until([&] { return answer.has_value(); }, std::chrono::seconds(60)));
    return answer.value_or("nothing");
  }
};

TEST_F(KeyValueTest, WhatOneClientSets_AnotherGets) {
  EXPECT_EQ(operate(0, "set colour red"), "");
  EXPECT_EQ(operate(1, "set colour blue"), "red");
  EXPECT_EQ(operate(2, "get colour"), "blue");
}

TEST(KeyValue, ClientsCannotMakeItsStateTooLargeForACheckpoint) {
  KeyValue machine;
  const auto operate = [&](const std::string& text) {
    return std::string(as_text(machine.execute({}, {}, as_bytes(text)).result));
  };
  for (int i = 0; i < 20'000; ++i) {
    operate("get other" + std::to_string(i));
    operate("set key" + std::to_string(i) + " 1");
  }
  EXPECT_LT(machine.snapshot().size(), kChunksMax);
  EXPECT_EQ(operate("add new 1"), "full");
  EXPECT_EQ(operate("add key1 1"), "2");
}

TEST_F(KeyValueTest, LiarsAndCrashes_LoseNothing) {
  world->misbehave(3, Mode::kEquivocate);
  for (int i = 1; i <= 40; ++i) {
    if (i % 10 == 5) world->crash(static_cast<std::size_t>(i / 10));
    if (i % 10 == 5) world->restart(static_cast<std::size_t>(i / 10));
    EXPECT_EQ(operate(0, "add count 1"), std::to_string(i));
  }
}

TEST_F(KeyValueTest, WhoLostItsDisk_TakesTheStateOver) {
  for (int i = 1; i <= 30; ++i) EXPECT_EQ(operate(0, "add count 1"), std::to_string(i));
  world->wipe(2);
  world->run_for(std::chrono::seconds(10));
  world->crash(1);
  EXPECT_EQ(operate(0, "get count"), "30");
}

}  // namespace
}  // namespace rosebud::pbft::sim
