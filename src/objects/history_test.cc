#include "objects/history.h"

#include <gtest/gtest.h>

#include "objects/test_group.h"

namespace rosebud::objects {
namespace {

std::vector<std::uint64_t> epochs_of(const History& history) {
  std::vector<std::uint64_t> out;
  for (const auto& one : history) out.push_back(one->number().epoch.value);
  return out;
}

TEST(History, OfARunTheFirstAndTheLastAreKept) {
  const TestGroup test;
  History history;
  for (std::uint64_t epoch = 1; epoch <= 100; ++epoch) {
    remember(history, test.configuration(epoch), 8);
  }
  EXPECT_EQ(epochs_of(history), (std::vector<std::uint64_t>{100, 1}));
  // A node that lost its directory is another member.
  for (std::uint64_t epoch = 101; epoch <= 150; ++epoch) {
    remember(history, test.configuration(epoch, 2), 8);
  }
  EXPECT_EQ(epochs_of(history), (std::vector<std::uint64_t>{150, 101, 100, 1}));
  remember(history, test.configuration(151), 8);
  EXPECT_EQ(epochs_of(history), (std::vector<std::uint64_t>{151, 150, 101, 100, 1}));
}

// The first epoch of a generation says which groups were lost with the one before (design 8.6).
TEST(History, AGenerationBeginsARun) {
  const TestGroup test;
  History history;
  for (std::uint64_t epoch = 1; epoch <= 10; ++epoch) {
    remember(history, test.configuration(epoch, {}, epoch < 4 ? 0 : 1), 8);
  }
  EXPECT_EQ(epochs_of(history), (std::vector<std::uint64_t>{10, 4, 3, 1}));
}

TEST(History, TheOldestAreForgotten) {
  const TestGroup test;
  History history;
  for (std::uint64_t epoch = 1; epoch <= 10; ++epoch) {
    remember(history, test.configuration(epoch, epoch % 4), 3);
  }
  EXPECT_EQ(epochs_of(history), (std::vector<std::uint64_t>{10, 9, 8}));
}

TEST(History, WhateverMovesKeysMakesOtherGroups) {
  const TestGroup test;
  const auto one = test.configuration(1);
  EXPECT_TRUE(have_same_groups(*one, *test.configuration(2)));
  EXPECT_FALSE(have_same_groups(*one, *test.configuration(2, 1)));
}

}  // namespace
}  // namespace rosebud::objects
