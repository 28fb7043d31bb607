#include "apps/rosebud/ring_drawing.h"

#include <gtest/gtest.h>

namespace rosebud::apps {
namespace {

constexpr std::uint64_t kQuarter = 1ULL << 62;

TEST(RingDrawing, BeginsAtTheTopAndGoesClockwise) {
  EXPECT_EQ(draw_ring({{.at = 0, .letter = 'A'},
                       {.at = kQuarter, .letter = 'B'},
                       {.at = 2 * kQuarter, .letter = 'C'},
                       {.at = 3 * kQuarter, .letter = 'D'}},
                      5),
            "    ..A..\n"
            "  ..     ..\n"
            "  D       B\n"
            "  ..     ..\n"
            "    ..C..\n");
}

TEST(RingDrawing, WhoLooksIsSeenAndWhoIsDeadToo) {
  const std::string drawn = draw_ring({{.at = 5, .letter = 'A'},
                                       {.at = 6, .letter = 'B', .is_alive = false},
                                       {.at = kQuarter, .letter = 'C', .is_alive = false},
                                       {.at = kQuarter + 1, .letter = 'D', .is_self = true}},
                                      5);
  EXPECT_EQ(drawn.find('A'), std::string::npos);
  EXPECT_NE(drawn.find('x'), std::string::npos);
  EXPECT_NE(drawn.find('@'), std::string::npos);
}

}  // namespace
}  // namespace rosebud::apps
