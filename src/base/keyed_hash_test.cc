#include "base/keyed_hash.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace rosebud {
namespace {

using Key = FixedBytes<32, struct KeyTag>;

TEST(KeyedHash, EveryByteCountsAndTheSecretToo) {
  const KeyedHash hash(1);
  std::set<std::size_t> seen{hash(Key{})};
  for (std::size_t at = 0; at < Key::kSize; ++at) {
    Key key;
    key.bytes[at] = 1;
    seen.insert(hash(key));
    EXPECT_EQ(hash(key), KeyedHash(1)(key));
    EXPECT_NE(hash(key), KeyedHash(2)(key));
  }
  EXPECT_EQ(seen.size(), Key::kSize + 1);
}

TEST(KeyedHash, KeysThatDifferLittleAreSpread) {
  const KeyedHash hash(3);
  constexpr std::size_t kBuckets = 1024;
  std::vector<std::size_t> buckets(kBuckets);
  for (std::uint32_t i = 0; i < 16 * kBuckets; ++i) {
    Key key;
    std::memcpy(key.bytes.data() + 28, &i, sizeof i);  // what a first-bytes hash would not see
    ++buckets[hash(key) % kBuckets];
  }
  for (const std::size_t count : buckets) EXPECT_LE(count, 64U);
}

TEST(KeyedTable, IsThatOfTheDumbVersion) {
  Random random(7);
  KeyedTable<Key, int> table(1);
  std::map<Key, int> dumb;
  for (int step = 0; step < 20'000; ++step) {
    Key key;
    key.bytes[31] = static_cast<std::uint8_t>(random.below(200));
    switch (random.below(8)) {
      case 0:
        EXPECT_EQ(table.emplace(key, step), dumb.emplace(key, step).second);
        break;
      case 1:
        EXPECT_EQ(table.erase(key), dumb.erase(key) > 0);
        break;
      case 2:
        table[key] += step;
        dumb[key] += step;
        break;
      case 3:
        if (random.chance(1, 500)) {
          table.clear();
          dumb.clear();
        }
        break;
      default: {
        const int* found = table.find(key);
        const auto at = dumb.find(key);
        ASSERT_EQ(found != nullptr, at != dumb.end());
        if (found) {
          EXPECT_EQ(*found, at->second);
        }
      }
    }
    ASSERT_EQ(table.size(), dumb.size());
  }
}

}  // namespace
}  // namespace rosebud
