#include "objects/range_digest.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"
#include "routing/ring.h"

namespace rosebud::objects {
namespace {

crypto::Digest random_key(Random& random) {
  wire::Writer out;
  for (int i = 0; i < 4; ++i) out.u64(random.next());
  return *crypto::Digest::from(out.bytes());
}

void expect_covers(const wire::KeyRange& range) {
  const auto parts = split(range);
  ASSERT_FALSE(parts.empty());
  ASSERT_LE(parts.size(), wire::kRangePartsMax);
  EXPECT_EQ(parts.front().first, range.first);
  EXPECT_EQ(parts.back().last, range.last);
  for (std::size_t i = 1; i < parts.size(); ++i) {
    EXPECT_EQ(routing::key_after(parts[i - 1].last), parts[i].first);
  }
}

TEST(Split, PartsCoverTheRangeWithoutGaps) {
  Random random(3);
  expect_covers(wire::whole_key_range());
  EXPECT_EQ(split(wire::whole_key_range()).size(), wire::kRangePartsMax);
  for (int i = 0; i < 500; ++i) {
    auto a = random_key(random);
    auto b = random_key(random);
    if (a > b) std::swap(a, b);
    expect_covers({a, b});
    auto near = a;  // narrow ranges: only the last byte differs
    near.bytes[31] = static_cast<std::uint8_t>(random.between(a.bytes[31], 255));
    expect_covers({a, near});
    expect_covers({a, a});
  }
}

// Cutting again and again ends at single keys: an exchange has a bounded depth.
TEST(Split, EndsAtSingleKeys) {
  wire::KeyRange range = wire::whole_key_range();
  int levels = 0;
  while (range.first != range.last) {
    range = split(range)[1];
    ASSERT_LT(++levels, 66);
  }
  EXPECT_EQ(split(range).size(), 1U);
}

wire::IndexEntry entry_at(const crypto::Digest& key, std::uint8_t state) {
  wire::IndexEntry out{.id = wire::ObjectId::block(key)};
  out.state.bytes[0] = state;
  return out;
}

TEST(RangeDigest, DiffersExactlyWhenEntriesDiffer) {
  Random random(4);
  std::vector<wire::IndexEntry> entries;
  for (int i = 0; i < 300; ++i) entries.push_back(entry_at(random_key(random), 0));
  std::ranges::sort(entries, {}, &wire::IndexEntry::id);
  const auto digest_of = [](const std::vector<wire::IndexEntry>& of) {
    RangeDigest digest(wire::whole_key_range());
    for (const auto& entry : of) digest.add(entry);
    return digest.finish();
  };
  const auto before = digest_of(entries);
  EXPECT_EQ(before.fingerprint, digest_of(entries).fingerprint);
  EXPECT_FALSE(before.has_all_entries());
  auto changed = entries;
  changed[150].state.bytes[0] = 1;
  const auto after = digest_of(changed);
  EXPECT_NE(before.fingerprint, after.fingerprint);
  int parts_changed = 0;
  for (std::size_t i = 0; i < before.parts.size(); ++i) {
    parts_changed += before.parts[i].fingerprint == after.parts[i].fingerprint ? 0 : 1;
  }
  EXPECT_EQ(parts_changed, 1);
  auto damaged = entries;
  damaged[7].is_damaged = true;
  EXPECT_NE(before.fingerprint, digest_of(damaged).fingerprint);
  entries.resize(200);
  EXPECT_TRUE(digest_of(entries).has_all_entries());
  EXPECT_EQ(digest_of(entries).entries.size(), 200U);
}

}  // namespace
}  // namespace rosebud::objects
