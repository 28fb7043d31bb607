#include "base/sorted_buckets.h"

#include <gtest/gtest.h>

#include <set>

#include "base/random.h"

namespace rosebud {
namespace {

struct Value {
  std::uint64_t number = 0;
  std::uint64_t leading_bits() const { return number; }
  friend auto operator<=>(const Value&, const Value&) = default;
};

using Values = SortedBuckets<Value>;

std::vector<Value> in_order(const Values& values) {
  std::vector<Value> out;
  for (auto at = values.begin(); at != values.end(); at = values.next(at)) {
    out.push_back(values[at]);
  }
  return out;
}

/// Spread evenly, or all of them in one bucket.
Value random_value(Random& random, bool is_crowded) {
  return {is_crowded ? random.below(100'000) : random.next()};
}

void expect_same(const Values& values, const std::set<Value>& model, Random& random) {
  const std::vector<Value> sorted(model.begin(), model.end());
  ASSERT_EQ(in_order(values), sorted);
  ASSERT_EQ(values.to_vector(), sorted);
  ASSERT_EQ(values.size(), model.size());
  if (!model.empty()) {
    ASSERT_EQ(values[values.last()], *model.rbegin());
  }
  for (int i = 0; i < 20; ++i) {
    const Value from = random_value(random, i % 2 == 0);
    const auto at =
        values.partition_point(from.leading_bits(), [&](const Value& one) { return one < from; });
    const auto expected = model.lower_bound(from);
    ASSERT_EQ(at == values.end(), expected == model.end());
    if (expected != model.end()) {
      ASSERT_EQ(values[at], *expected);
    }
    const auto before = values.before(at);
    ASSERT_EQ(before.has_value(), expected != model.begin());
    if (before) {
      ASSERT_EQ(values[*before], *std::prev(expected));
    }
  }
}

class Sets : public testing::TestWithParam<int> {};

TEST_P(Sets, ChangeAsASetDoes_AndOlderVersionsStayAsTheyWere) {
  Random random(static_cast<std::uint64_t>(GetParam()));
  const bool is_crowded = GetParam() % 3 == 0;
  std::set<Value> model;
  Values values;
  for (int step = 0; step < 30; ++step) {
    const Values before = values;
    const std::set<Value> model_before = model;
    std::vector<Value> gone;
    std::vector<Value> come;
    // Now and then nearly all of them, so that there are other buckets.
    const std::uint64_t one_in = step % 10 == 9 ? 1 : 10;
    for (const Value& one : model_before) {
      if (random.chance(1, one_in)) gone.push_back(one);
    }
    for (const Value& one : gone) model.erase(one);
    if (!gone.empty()) come.push_back(gone.front());  // comes back
    for (std::uint64_t n = random.below(step % 10 == 5 ? 5000 : 50); n > 0; --n) {
      come.push_back(random_value(random, is_crowded));
    }
    std::erase_if(come, [&](const Value& one) { return !model.insert(one).second; });
    values = before.changed(gone, come);
    expect_same(values, model, random);
    expect_same(before, model_before, random);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, Sets, testing::Range(1, 13));

TEST(SortedBuckets, AChangeCopiesItsBucketAlone) {
  Random random(1);
  std::vector<Value> some;
  for (int i = 0; i < 10'000; ++i) some.push_back({random.next()});
  const Values before(some);
  const Values after = before.changed({some[7]}, {{some[7].number ^ 1}});
  std::size_t copied = 0;
  for (std::size_t i = 0; i < after.bucket_count(); ++i) {
    copied += after.shares_bucket(before, i) ? 0 : 1;
  }
  EXPECT_EQ(copied, 1U);
  EXPECT_GE(after.bucket_count(), 10'000 / Values::kUsual / 2);
}

}  // namespace
}  // namespace rosebud
