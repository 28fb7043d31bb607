#include "objects/range_digest.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/random.h"
#include "objects/range_survey.h"
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

/// What a disk answers that holds `entries`, which are in order.
wire::Scanned scanned(const std::vector<wire::IndexEntry>& entries, const RangeDigest::Scan& scan,
                      std::size_t limit) {
  wire::Scanned out{.is_whole = true};
  for (const auto& entry : entries) {
    if (!scan.range.contains(entry.id.placement) || (scan.after && entry.id <= *scan.after))
      continue;
    if (out.entries.size() == limit) {
      out.is_whole = false;
      break;
    }
    out.entries.push_back(entry);
  }
  return out;
}

constexpr std::size_t kScanLimit = 1024;

TEST(RangeDigest, DiffersExactlyWhenEntriesDiffer) {
  Random random(4);
  std::vector<wire::IndexEntry> entries;
  for (int i = 0; i < 300; ++i) entries.push_back(entry_at(random_key(random), 0));
  std::ranges::sort(entries, {}, &wire::IndexEntry::id);
  const auto digest_of = [](const std::vector<wire::IndexEntry>& of) {
    LeafDigests leaves;
    RangeDigest digest(wire::whole_key_range(), leaves, wire::kRangeEntriesMax);
    while (const auto scan = digest.next_scan()) digest.add(scanned(of, *scan, kScanLimit));
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

/// A store that changes, its digests, and how much of it was read.
struct Store {
  std::map<wire::ObjectId, wire::IndexEntry> entries;
  LeafDigests leaves;
  std::size_t read = 0;
  std::size_t entries_max = 8;

  void write(const wire::IndexEntry& entry) {
    leaves.begin_write(entry.id.placement);
    entries[entry.id] = entry;
    leaves.end_write(entry.id.placement);
  }
  std::vector<wire::IndexEntry> list() const {
    std::vector<wire::IndexEntry> out;
    for (const auto& [id, entry] : entries) out.push_back(entry);
    return out;
  }
  /// `amid` is called after every scan was asked for.
  template <typename Amid>
  RangeDigest::Summary digest(const wire::KeyRange& range, std::size_t limit, Amid amid) {
    RangeDigest out(range, leaves, entries_max);
    while (const auto scan = out.next_scan()) {
      auto result = scanned(list(), *scan, limit);
      read += result.entries.size();
      amid();
      out.add(result);
    }
    return out.finish();
  }
  RangeDigest::Summary digest(const wire::KeyRange& range) {
    return digest(range, 16, [] {});
  }
  /// By a store that knows nothing.
  RangeDigest::Summary fresh_digest(const wire::KeyRange& range) const {
    Store other{.entries = entries, .leaves = {}, .read = 0, .entries_max = entries_max};
    return other.digest(range);
  }
};

void expect_same(const RangeDigest::Summary& a, const RangeDigest::Summary& b) {
  EXPECT_EQ(a.fingerprint, b.fingerprint);
  EXPECT_EQ(a.count, b.count);
  EXPECT_EQ(a.entries.size(), b.entries.size());
  ASSERT_EQ(a.parts.size(), b.parts.size());
  for (std::size_t i = 0; i < a.parts.size(); ++i) {
    EXPECT_EQ(a.parts[i].fingerprint, b.parts[i].fingerprint);
    EXPECT_EQ(a.parts[i].count, b.parts[i].count);
  }
}

/// Keys that meet in few leaves, at their ends too.
crypto::Digest crowded_key(Random& random) {
  crypto::Digest key = random_key(random);
  key.bytes[0] = static_cast<std::uint8_t>(random.chance(1, 2) ? 7 : random.below(10));
  key.bytes[1] = static_cast<std::uint8_t>(random.below(4));
  if (random.chance(1, 8)) {
    const auto fill = static_cast<std::uint8_t>(random.chance(1, 2) ? 0 : 255);
    std::fill(key.bytes.begin() + 2, key.bytes.end(), fill);
  }
  return key;
}

// Whatever is remembered, a digest is that of the entries: of ranges of every kind, between and
// amid writes.
TEST(RangeDigest, WhatIsRememberedChangesNothing) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    Store store;
    for (int step = 0; step < 80; ++step) {
      for (std::uint64_t i = random.below(6); i > 0; --i) {
        auto entry = entry_at(crowded_key(random), static_cast<std::uint8_t>(random.below(250)));
        if (random.chance(1, 4)) entry.id.type = wire::ObjectType::kRecord;
        entry.is_damaged = random.chance(1, 20);
        store.write(entry);
      }
      wire::KeyRange range = wire::whole_key_range();
      if (random.chance(9, 10)) {
        auto a = crowded_key(random);
        auto b = crowded_key(random);
        if (a > b) std::swap(a, b);
        range = {a, b};
      }
      if (random.chance(1, 4)) {
        // What this digest shows is of no state; what it leaves must be of one.
        store.digest(range, 1 + random.below(20), [&] {
          if (random.chance(1, 2)) store.write(entry_at(crowded_key(random), 251));
        });
      }
      expect_same(store.digest(range), store.fresh_digest(range));
    }
  }
}

TEST(RangeDigest, OnlyWhatChangedIsReadAgain) {
  Random random(5);
  Store store;
  for (int i = 0; i < 5000; ++i) store.write(entry_at(random_key(random), 0));
  const auto whole = wire::whole_key_range();
  store.digest(whole);  // finds out that the store is worth it
  store.digest(whole);
  store.read = 0;
  const auto before = store.digest(whole);
  EXPECT_EQ(store.read, 0U);
  auto changed = store.entries.begin()->second;
  changed.state.bytes[0] = 1;
  store.write(changed);
  EXPECT_NE(store.digest(whole).fingerprint, before.fingerprint);
  EXPECT_LT(store.read, 10U);
}

TEST(RangeDigest, AWriteUnderWayLeavesNothingKnown) {
  Random random(6);
  Store store;
  for (int i = 0; i < 100; ++i) store.write(entry_at(random_key(random), 0));
  const auto whole = wire::whole_key_range();
  store.digest(whole);
  const LeafNumber leaf = leaf_of(store.entries.begin()->first.placement);
  store.leaves.begin_write(store.entries.begin()->first.placement);
  store.digest(whole);
  EXPECT_EQ(store.leaves.known(leaf), nullptr);
  EXPECT_EQ(store.leaves.known_entries(whole), 99U);
  store.leaves.end_write(store.entries.begin()->first.placement);
  store.digest(whole);
  EXPECT_EQ(store.leaves.known_entries(whole), 100U);
}

// Scans come back in any order, page by page.
TEST(RangeSurvey, ShowsOfEachRangeWhatItsDigestShows_AndReadsFewAtATime) {
  Random random(9);
  std::vector<wire::IndexEntry> entries;
  for (int i = 0; i < 500; ++i) entries.push_back(entry_at(random_key(random), 0));
  std::ranges::sort(entries, {}, &wire::IndexEntry::id);
  std::vector<wire::KeyRange> ranges = split(wire::whole_key_range());
  ranges.erase(ranges.begin() + 3);  // they need not be neighbours
  LeafDigests leaves;
  std::size_t most = 0;
  const auto read = [&](RangeSurvey& survey) {
    std::vector<RangeSurvey::Scan> under_way;
    while (true) {
      for (auto& next : survey.next_scans()) under_way.push_back(std::move(next));
      most = std::max(most, under_way.size());
      if (under_way.empty()) return;
      std::swap(under_way[random.below(under_way.size())], under_way.back());
      const RangeSurvey::Scan scan = under_way.back();
      under_way.pop_back();
      survey.add(scan.index, scanned(entries, scan.scan, 10));
    }
  };
  RangeSurvey survey(ranges, leaves, 8);
  read(survey);
  ASSERT_TRUE(survey.is_done());
  EXPECT_EQ(most, RangeSurvey::kScansMax);
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    LeafDigests none;
    RangeDigest digest(ranges[i], none, 8);
    while (const auto scan = digest.next_scan()) digest.add(scanned(entries, *scan, kScanLimit));
    EXPECT_EQ(survey.fingerprints()[i], digest.finish().fingerprint) << "range " << i;
  }
  RangeSurvey second(ranges, leaves, 8);
  read(second);
  EXPECT_EQ(second.fingerprints(), survey.fingerprints());
  // By now all is remembered, and nothing is read again.
  RangeSurvey again(ranges, leaves, 8);
  EXPECT_TRUE(again.next_scans().empty());
  EXPECT_TRUE(again.is_done());
  EXPECT_EQ(again.fingerprints(), survey.fingerprints());
}

}  // namespace
}  // namespace rosebud::objects
