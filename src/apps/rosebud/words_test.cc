#include "apps/rosebud/words.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace rosebud::apps {
namespace {

TEST(Words, NamesAreJoined) {
  EXPECT_EQ(joined(std::vector<std::string>{"alpha", "beta"}, "nobody"), "alpha, beta");
  EXPECT_EQ(joined(std::set<std::string>{}, "nobody"), "nobody");
  EXPECT_EQ(joined(std::set<std::string>{}), "");
}

// A time in a decree or a proposal may be any number.
TEST(Words, EveryTimeCanBeSaid) {
  EXPECT_EQ(time_text(Timestamp(0)), "1970-01-01T00:00:00Z");
  EXPECT_EQ(time_text(Timestamp(253'402'300'799)), "9999-12-31T23:59:59Z");
  EXPECT_EQ(time_text(Timestamp(253'402'300'800)), "@253402300800");
  EXPECT_EQ(time_text(Timestamp(UINT64_MAX)), "@18446744073709551615");
  EXPECT_EQ(time_text(-62'167'219'200), "0000-01-01T00:00:00Z");
  EXPECT_EQ(time_text(-62'167'219'201), "@-62167219201");
  EXPECT_EQ(time_text(0, 5), "1970-01-01T00:00:00.000000005Z");
  EXPECT_EQ(end_text(Timestamp(0)), "none");
  EXPECT_EQ(end_text(Timestamp(1)), "1970-01-01T00:00:01Z");
}

}  // namespace
}  // namespace rosebud::apps
