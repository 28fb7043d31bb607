#include "base/keyed_hash.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace rosebud
