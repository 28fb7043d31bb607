#include "base/shared_vector.h"

#include <gtest/gtest.h>

#include <string>

#include "base/random.h"

namespace rosebud {
namespace {

using Texts = SharedVector<std::string>;

std::vector<std::string> numbers(std::size_t count) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(std::to_string(i));
  return out;
}

TEST(SharedVector, HoldsWhatItWasMadeOf) {
  for (const std::size_t count : {0U, 1U, 63U, 64U, 65U, 128U, 1000U}) {
    const Texts all(numbers(count));
    EXPECT_EQ(all.size(), count);
    EXPECT_EQ(all.empty(), count == 0);
    EXPECT_EQ(all, numbers(count));
    EXPECT_EQ(all.to_vector(), numbers(count));
    EXPECT_EQ(std::ranges::distance(all), static_cast<std::ptrdiff_t>(count));
    if (count > 0) {
      EXPECT_EQ(all.back(), std::to_string(count - 1));
    }
  }
  static_assert(std::ranges::random_access_range<Texts>);
}

class Changes : public testing::TestWithParam<int> {};

TEST_P(Changes, AreThoseOfAVector_AndOlderVersionsStayAsTheyWere) {
  Random random(static_cast<std::uint64_t>(GetParam()));
  std::vector<std::string> model = numbers(random.below(300));
  Texts all(model);
  for (int step = 0; step < 50; ++step) {
    const Texts before = all;
    const std::vector<std::string> model_before = model;
    const std::size_t size = random.below(300);
    std::map<std::size_t, std::string> changed;
    for (std::size_t i = model.size(); i < size; ++i) changed[i] = "new" + std::to_string(i);
    for (std::uint64_t n = random.below(5); n > 0 && size > 0; --n) {
      changed[random.below(size)] = "changed" + std::to_string(step);
    }
    model.resize(size);
    for (const auto& [at, value] : changed) model[at] = value;
    all = before.with(changed, size);
    ASSERT_EQ(all, model);
    ASSERT_EQ(before, model_before);
    EXPECT_EQ(all == before, model == model_before);
    // What is passed over is the same.
    std::vector<bool> is_seen(size);
    EXPECT_TRUE(all.all_not_shared(before, [&](std::size_t at) { return is_seen[at] = true; }));
    for (std::size_t i = 0; i < size; ++i) {
      if (!is_seen[i]) {
        EXPECT_EQ(all[i], before[i]);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, Changes, testing::Range(1, 11));

TEST(SharedVector, AChangeCopiesItsChunkAlone) {
  const Texts before(numbers(10 * Texts::kChunk));
  const Texts after = before.with({{3 * Texts::kChunk + 1, "other"}}, before.size());
  std::size_t copied = 0;
  EXPECT_TRUE(after.all_not_shared(before, [&](std::size_t) { return ++copied > 0; }));
  EXPECT_EQ(copied, Texts::kChunk);
  EXPECT_EQ(&after[0], &before[0]);
}

}  // namespace
}  // namespace rosebud
