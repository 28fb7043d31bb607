#include "base/random.h"

#include <gtest/gtest.h>

namespace rosebud {
namespace {

TEST(Random, SameSeedSameSequence) {
  Random a(42);
  Random b(42);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(a.next(), b.next());
  EXPECT_NE(Random(1).next(), Random(2).next());
}

TEST(Random, StaysInsideItsBoundsAndReachesThem) {
  Random random(7);
  std::array<int, 5> seen{};
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t value = random.between(10, 14);
    ASSERT_GE(value, 10U);
    ASSERT_LE(value, 14U);
    ++seen[value - 10];
  }
  for (int count : seen) EXPECT_GT(count, 100);
}

}  // namespace
}  // namespace rosebud
