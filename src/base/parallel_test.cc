#include "base/parallel.h"

#include <gtest/gtest.h>

#include <vector>

namespace rosebud {
namespace {

TEST(Parallel, EveryPieceIsDoneOnce_AndSeenAfterwards) {
  for (const std::size_t count : {0U, 1U, 2U, 1000U}) {
    std::vector<int> done(count);
    for_each_in_parallel(count, [&](std::size_t i) { ++done[i]; });
    EXPECT_EQ(done, std::vector<int>(count, 1));
  }
}

}  // namespace
}  // namespace rosebud
