#include "disk/store.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "disk/test_support.h"

namespace rosebud::disk {
namespace {

TEST_F(DiskTest, ObjectsSurviveReopening) {
  const auto object = block(std::string(10'000, 'x'));
  {
    const auto store = open();
    ASSERT_TRUE(commit(*store, put(object)));
    ASSERT_TRUE(commit(*store, {wire::PutNote{.name = {'a', '1'}, .value = {1}}}));
    EXPECT_EQ(*store->load(object.id, wire::LoadPart::kAll), object);
  }
  const auto store = open();
  EXPECT_EQ(*store->load(object.id, wire::LoadPart::kAll), object);
  EXPECT_TRUE((*store->load(object.id, wire::LoadPart::kMeta))->content.empty());
  EXPECT_EQ(store->notes("a")->size(), 1U);
  EXPECT_TRUE(store->notes("b")->empty());
  EXPECT_FALSE(store->load(block("other").id, wire::LoadPart::kAll)->has_value());
  ASSERT_TRUE(commit(*store, {wire::DeleteObject{object.id}}));
  EXPECT_FALSE(store->load(object.id, wire::LoadPart::kAll)->has_value());
}

TEST_F(DiskTest, ScanIsOrderedAndResumes) {
  const auto store = open();
  std::vector<wire::ObjectId> ids;
  for (int i = 0; i < 50; ++i) {
    const auto object = block("object " + std::to_string(i));
    ids.push_back(object.id);
    ASSERT_TRUE(commit(*store, put(object)));
  }
  std::ranges::sort(ids);
  std::vector<wire::ObjectId> seen;
  std::optional<wire::ObjectId> after;
  while (true) {
    const auto part = store->scan(wire::whole_key_range(), after, 7);
    ASSERT_TRUE(part.has_value());
    for (const auto& entry : part->entries) seen.push_back(entry.id);
    if (part->is_whole) break;
    after = part->entries.back().id;
  }
  EXPECT_EQ(seen, ids);
  const auto one = store->scan({ids[3].placement, ids[3].placement}, std::nullopt, 10);
  ASSERT_EQ(one->entries.size(), 1U);
  EXPECT_EQ(one->entries[0].id, ids[3]);
}

TEST_F(DiskTest, FlippedBitsAreSeen_OthersStillRead) {
  const auto store = open();
  const auto a = block(std::string(100'000, 'a'));
  ASSERT_TRUE(commit(*store, put(a)));
  EXPECT_EQ(store->damage(1, 1), 1U);
  const auto b = block("b");
  ASSERT_TRUE(commit(*store, put(b)));
  EXPECT_EQ(store->load(a.id, wire::LoadPart::kAll).error(), wire::StorageError::kCorrupt);
  EXPECT_TRUE(store->load(b.id, wire::LoadPart::kAll)->has_value());
}

TEST_F(DiskTest, BelowTheReserve_ContentIsRefusedAndComesBack) {
  const auto store = open();
  free_bytes = 500;
  EXPECT_EQ(commit(*store, put(block("x"))).error(), wire::StorageError::kNoSpace);
  EXPECT_TRUE(commit(*store, {wire::PutNote{.name = {'n'}, .value = {1}}}));
  free_bytes = 1ULL << 40;
  EXPECT_TRUE(commit(*store, put(block("x"))));
}

}  // namespace
}  // namespace rosebud::disk
