#include "disk/segments.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/random.h"
#include "base/temporary_folder.h"

namespace rosebud::disk {
namespace {

namespace stdfs = std::filesystem;

class SegmentsTest : public testing::Test {
 protected:
  SegmentsTest() { reopen(); }
  void reopen(std::uint64_t size_max = 10'000) {
    segments.reset();
    segments = *Segments::open(path, size_max);
  }
  static Bytes bytes_of(std::size_t size, std::uint64_t seed) {
    Random random(seed);
    Bytes out(size);
    for (auto& byte : out) byte = static_cast<std::uint8_t>(random.next());
    return out;
  }
  static wire::ObjectId id_of(ByteView bytes) {
    return wire::ObjectId::block(crypto::sha256(bytes));
  }

  TemporaryFolder temporary;
  const stdfs::path& path = temporary.path();
  std::unique_ptr<Segments> segments;
};

TEST_F(SegmentsTest, ManyAtOnceAndAfterReopening_AreReadAsTheyWere) {
  std::vector<Bytes> contents;
  for (std::size_t i = 0; i < 1000; ++i) contents.push_back(bytes_of(i % 50 * 7, i));
  std::vector<SegmentContent> given;
  for (const Bytes& bytes : contents) given.push_back({.id = id_of(bytes), .bytes = bytes});
  const auto places = segments->append(given);
  ASSERT_TRUE(places.has_value());
  ASSERT_EQ(places->size(), contents.size());
  for (const bool is_reopened : {false, true}) {
    if (is_reopened) reopen();
    for (std::size_t i = 0; i < contents.size(); ++i)
      EXPECT_EQ(*segments->read((*places)[i]), Buffer(contents[i]));
  }
  // 1000 contents of 171 bytes on average with heads of 64 do not fit into one file of 10,000.
  EXPECT_GT(segments->closed().size(), 15U);
}

TEST_F(SegmentsTest, WalkFindsWhatWasAppendedInOrder) {
  std::vector<Bytes> contents;
  std::vector<Place> places;
  for (std::size_t i = 0; i < 5; ++i) {
    contents.push_back(bytes_of(300, i));
    places.push_back(
        segments->append({{.id = id_of(contents.back()), .bytes = contents.back()}})->front());
  }
  reopen();
  const auto found = segments->contents_of(SegmentNumber(1));
  ASSERT_TRUE(found.has_value());
  ASSERT_EQ(found->size(), 5U);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ((*found)[i].id, id_of(contents[i]));
    EXPECT_EQ((*found)[i].place, places[i]);
  }
}

TEST_F(SegmentsTest, EarlierRunsSegment_IsNeverAppendedTo) {
  const Bytes bytes = bytes_of(100, 1);
  const auto first = segments->append({{.id = id_of(bytes), .bytes = bytes}})->front();
  reopen();
  const auto second = segments->append({{.id = id_of(bytes), .bytes = bytes}})->front();
  EXPECT_LT(first.segment, second.segment);
}

TEST_F(SegmentsTest, EveryFlippedBit_IsSeen) {
  const Bytes bytes = bytes_of(64, 1);
  const auto place = segments->append({{.id = id_of(bytes), .bytes = bytes}})->front();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    ASSERT_TRUE(segments->flip(place, i));
    EXPECT_EQ(segments->read(place).error(), wire::StorageError::kCorrupt);
    ASSERT_TRUE(segments->flip(place, i));
    EXPECT_TRUE(segments->read(place).has_value());
  }
}

TEST_F(SegmentsTest, PlacesThatMakeNoSense_AreCorrupt) {
  const Bytes bytes = bytes_of(64, 1);
  const auto right = segments->append({{.id = id_of(bytes), .bytes = bytes}})->front();
  Place place = right;
  place.offset += 1;
  EXPECT_EQ(segments->read(place).error(), wire::StorageError::kCorrupt);
  place = right;
  place.size = ~std::uint32_t{0};
  EXPECT_EQ(segments->read(place).error(), wire::StorageError::kCorrupt);
  place = right;
  place.segment = SegmentNumber(77);
  EXPECT_EQ(segments->read(place).error(), wire::StorageError::kCorrupt);
  EXPECT_EQ(Place::decode(right.encode()), right);
  Bytes longer = right.encode();
  longer.push_back(0);
  EXPECT_FALSE(Place::decode(longer).has_value());
}

TEST_F(SegmentsTest, NewestFileRemovedUnderTheNode_WhatFollowsGoesElsewhere) {
  const Bytes bytes = bytes_of(100, 1);
  const std::vector<SegmentContent> one{{.id = id_of(bytes), .bytes = bytes}};
  const auto lost = segments->append(one)->front();
  stdfs::remove(path / "1.segment");
  EXPECT_EQ(segments->read(lost).error(), wire::StorageError::kCorrupt);
  const auto again = segments->append(one)->front();
  EXPECT_GT(again.segment, lost.segment);
  EXPECT_TRUE(segments->read(again).has_value());
}

TEST_F(SegmentsTest, FolderNotWritable_IsAnErrorAndComesBack) {
  const Bytes bytes = bytes_of(100, 1);
  const std::vector<SegmentContent> one{{.id = id_of(bytes), .bytes = bytes}};
  stdfs::remove_all(path);
  EXPECT_FALSE(segments->append(one).has_value());
  stdfs::create_directories(path);
  const auto places = segments->append(one);
  ASSERT_TRUE(places.has_value());
  EXPECT_TRUE(segments->read(places->front()).has_value());
}

}  // namespace
}  // namespace rosebud::disk
