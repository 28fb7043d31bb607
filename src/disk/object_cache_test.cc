#include "disk/object_cache.h"

#include <gtest/gtest.h>

#include "disk/test_support.h"

namespace rosebud::disk {
namespace {

class ObjectCacheTest : public DiskTest {
 protected:
  using Writes = std::vector<wire::StorageWrite>;
  static Writes touch(const wire::StoredObject& object) {
    wire::StoredObject without = object;
    without.content = {};
    return {wire::PutObject{
        .object = without, .is_content_unchanged = true, .content_size = object.content.size()}};
  }
  void commit(const Writes& writes, bool is_written = true) {
    cache.begin({&writes});
    cache.end({&writes}, is_written);
  }

  ObjectCache cache{1U << 20};
  wire::StoredObject old = record("a", 1, "old");
  wire::StoredObject fresh = record("a", 2, "fresh");
};

TEST_F(ObjectCacheTest, HoldsWhatWasCommitted_NothingWhileItIsWritten) {
  commit(put(old));
  EXPECT_EQ(cache.find(old.id), old);
  const Writes writes = put(fresh);
  cache.begin({&writes});
  EXPECT_FALSE(cache.find(old.id));
  cache.end({&writes}, true);
  EXPECT_EQ(cache.find(old.id), fresh);
}

TEST_F(ObjectCacheTest, WhatMayNotHaveBeenWrittenIsLeftToTheDisk) {
  commit(put(old));
  commit(put(fresh), false);
  EXPECT_FALSE(cache.find(old.id));
}

TEST_F(ObjectCacheTest, ReadBeforeACommitEnded_IsNotKept) {
  const auto before = cache.generation();
  const Writes writes = put(fresh);
  cache.begin({&writes});
  const auto amid = cache.generation();
  cache.fill(before, old);
  EXPECT_FALSE(cache.find(old.id));
  cache.end({&writes}, true);
  cache.fill(before, old);
  cache.fill(amid, old);
  EXPECT_EQ(cache.find(old.id), fresh);
  commit({wire::DeleteObject{old.id}});
  cache.fill(amid, old);
  EXPECT_FALSE(cache.find(old.id));
  cache.fill(cache.generation(), fresh);
  EXPECT_EQ(cache.find(old.id), fresh);
}

TEST_F(ObjectCacheTest, ContentStaysWhereAWriteLeavesItUnchanged) {
  auto held_longer = old;
  held_longer.holds.push_back(held_longer.holds.front());
  commit(touch(held_longer));
  EXPECT_FALSE(cache.find(old.id)) << "the content is not known here";
  commit(put(old));
  commit(touch(held_longer));
  EXPECT_EQ(cache.find(old.id), held_longer);
  // Both in one commit.
  Writes both = put(fresh);
  held_longer = fresh;
  held_longer.holds.push_back(held_longer.holds.front());
  both.push_back(touch(held_longer).front());
  commit(both);
  EXPECT_EQ(cache.find(old.id), held_longer);
}

TEST_F(ObjectCacheTest, DamagedAndLargeObjectsAreNotKept) {
  commit(put(old));
  commit({wire::PutObject{.object = {.id = old.id, .is_damaged = true}}});
  EXPECT_FALSE(cache.find(old.id));
  const auto large = block(std::string(ObjectCache::kContentBytesMax + 1, 'x'));
  commit(put(large));
  EXPECT_FALSE(cache.find(large.id));
  EXPECT_EQ(cache.bytes(), 0U);
}

TEST_F(ObjectCacheTest, TheLeastRecentlyUsedGoesFirst) {
  std::vector<wire::StoredObject> objects;
  for (int i = 0; i < 40; ++i)
    objects.push_back(block(std::to_string(i) + std::string(40'000, 'x')));
  for (const auto& object : objects) {
    commit(put(object));
    EXPECT_TRUE(cache.find(objects.front().id));
    EXPECT_LE(cache.bytes(), 1U << 20);
  }
  EXPECT_FALSE(cache.find(objects[1].id));
  EXPECT_TRUE(cache.find(objects.back().id));
}

TEST_F(ObjectCacheTest, AStoreAnswersFromMemory_ButScrubsTheDisk) {
  const auto store = open();
  ASSERT_TRUE(DiskTest::commit(*store, put(old)));
  const auto kept = store->load_cached(old.id, wire::LoadPart::kAll);
  ASSERT_TRUE(kept && *kept);
  EXPECT_EQ(**kept, old);
  EXPECT_TRUE((**store->load_cached(old.id, wire::LoadPart::kMeta))->content.empty());
  EXPECT_FALSE(store->load_cached(old.id, wire::LoadPart::kAllFromDisk));
  EXPECT_EQ(*store->load(old.id, wire::LoadPart::kAllFromDisk), old);
  ASSERT_TRUE(DiskTest::commit(*store, put(fresh)));
  EXPECT_EQ(**store->load_cached(old.id, wire::LoadPart::kAll), fresh);
  ASSERT_TRUE(DiskTest::commit(*store, {wire::DeleteObject{old.id}}));
  EXPECT_FALSE((*store->load(old.id, wire::LoadPart::kAll)).has_value());
}

}  // namespace
}  // namespace rosebud::disk
