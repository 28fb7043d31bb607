#include "mount/file_reader.h"

#include <gtest/gtest.h>

#include <random>

#include "fs/test_blocks.h"

namespace rosebud::mount {
namespace {

Bytes random_bytes(std::size_t size) {
  std::mt19937 random(7);
  Bytes out(size);
  for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(random());
  return out;
}

Bytes joined(const std::vector<Buffer>& pieces) {
  Bytes out;
  for (const Buffer& piece : pieces)
    out.insert(out.end(), piece.view().begin(), piece.view().end());
  return out;
}

/// Names the blocks that were asked for.
class Noting final : public fs::BlockSource {
 public:
  explicit Noting(fs::BlockSource& source) : source_(source) {}
  Result<Buffer, Explained> get(const fs::Cid& cid) override {
    asked.push_back(cid);
    return source_.get(cid);
  }
  std::vector<fs::Cid> asked;

 private:
  fs::BlockSource& source_;
};

/// A file of leaves of ten bytes, and nodes with `width` parts each.
fs::Imported narrow_file(ByteView bytes, std::size_t width, fs::Blocks& blocks) {
  struct Part {
    fs::Cid cid;
    std::uint64_t size;
  };
  std::vector<Part> parts;
  for (std::size_t at = 0; at < bytes.size(); at += 10) {
    const ByteView leaf = bytes.subspan(at, std::min<std::size_t>(10, bytes.size() - at));
    const auto cid = fs::Cid::of(fs::Codec::kRaw, leaf);
    EXPECT_TRUE(blocks.put(cid, Buffer::copy_of(leaf)));
    parts.push_back({cid, leaf.size()});
  }
  while (parts.size() > 1) {
    std::vector<Part> above;
    for (std::size_t at = 0; at < parts.size(); at += width) {
      fs::DagNode node{.filesize = 0};
      for (std::size_t i = at; i < std::min(at + width, parts.size()); ++i) {
        node.links.push_back({.name = {}, .cid = parts[i].cid, .tsize = 1});
        node.blocksizes.push_back(parts[i].size);
        *node.filesize += parts[i].size;
      }
      above.push_back({fs::put_node(node, blocks)->cid, *node.filesize});
    }
    parts = std::move(above);
  }
  return {.cid = parts.front().cid, .bytes = parts.front().size};
}

TEST(FileReader, EveryRangeOfEveryShape) {
  fs::Blocks blocks;
  for (const std::size_t size : {1U, 9U, 10U, 11U, 95U, 333U}) {
    const Bytes bytes = random_bytes(size);
    const auto file = narrow_file(bytes, 3, blocks);
    FileReader reader(file.cid, size);
    for (std::size_t offset = 0; offset <= size + 1; ++offset) {
      for (const std::size_t count : {0U, 1U, 7U, 10U, 64U, 1000U}) {
        const auto read = reader.read(offset, count, blocks);
        ASSERT_TRUE(read) << read.error().text();
        const std::size_t from = std::min(offset, size);
        const ByteView expected = ByteView(bytes).subspan(from, std::min(count, size - from));
        ASSERT_TRUE(equal(joined(*read), expected)) << size << " " << offset << " " << count;
      }
    }
  }
}

TEST(FileReader, WhatImportMakes) {
  fs::Blocks blocks;
  const Bytes bytes = random_bytes(3'000'000);
  for (const fs::Attributes& attributes : {fs::Attributes{}, fs::Attributes{.mode = 0644}}) {
    for (const auto chunking : {fs::Chunking::kFixed, fs::Chunking::kByContent}) {
      for (const std::size_t size : {std::size_t{0}, std::size_t{5}, bytes.size()}) {
        const ByteView part = ByteView(bytes).first(size);
        fs::MemorySource source(part);
        const auto file = fs::import_file(source, blocks, attributes, chunking);
        FileReader reader(file->cid, size);
        const auto read = reader.read(0, size + 1, blocks);
        ASSERT_TRUE(read) << read.error().text();
        EXPECT_TRUE(equal(joined(*read), part));
        const auto end = reader.read(size - size / 3, size, blocks);
        ASSERT_TRUE(end);
        EXPECT_TRUE(equal(joined(*end), part.subspan(size - size / 3)));
      }
    }
  }
}

TEST(FileReader, NodesOnTheWayAreDecodedOnce) {
  fs::Blocks blocks;
  const Bytes bytes = random_bytes(270);
  const auto file = narrow_file(bytes, 3, blocks);
  FileReader reader(file.cid, bytes.size());
  Noting source(blocks);
  for (std::size_t at = 0; at < bytes.size(); at += 10) ASSERT_TRUE(reader.read(at, 10, source));
  // 27 leaves below 9 nodes below 3 below one.
  EXPECT_EQ(source.asked.size(), 27 + 9 + 3 + 1);
}

TEST(FileReader, AheadNamesWhatComesNext) {
  fs::Blocks blocks;
  const Bytes bytes = random_bytes(270);
  const auto file = narrow_file(bytes, 3, blocks);
  FileReader reader(file.cid, bytes.size());
  const auto leaf = [&](std::size_t i) {
    return fs::Cid::of(fs::Codec::kRaw, ByteView(bytes).subspan(i * 10, 10));
  };
  EXPECT_EQ(reader.ahead(0, 50), std::vector{file.cid});
  ASSERT_TRUE(reader.read(0, 1, blocks));
  EXPECT_EQ(reader.ahead(10, 15), (std::vector{leaf(1), leaf(2)}));
  // Leaves of the node that is known, then the nodes beside it.
  const auto more = reader.ahead(25, 40);
  ASSERT_EQ(more.size(), 3);
  EXPECT_EQ(more.front(), leaf(2));
  EXPECT_EQ(more[1].codec, fs::Codec::kDagPb);
  EXPECT_NE(more[1], more[2]);
  EXPECT_TRUE(reader.ahead(270, 10).empty());
  EXPECT_TRUE(reader.ahead(5, 0).empty());
}

TEST(FileReader, WhatCannotBeIsSaid) {
  fs::Blocks blocks;
  const Bytes bytes = random_bytes(30);
  const auto cid = fs::Cid::of(fs::Codec::kRaw, bytes);
  ASSERT_TRUE(blocks.put(cid, Buffer::copy_of(bytes)));
  const auto expect_unsound = [&](const fs::Cid& root, std::uint64_t size) {
    FileReader reader(root, size);
    const auto read = reader.read(0, 100, blocks);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().trouble, Trouble::kIntegrity);
  };
  const auto file = [&](std::vector<std::uint64_t> sizes, std::uint64_t filesize) {
    fs::DagNode node{.filesize = filesize, .blocksizes = std::move(sizes)};
    node.links.push_back({.name = {}, .cid = cid, .tsize = 30});
    return fs::put_node(node, blocks)->cid;
  };
  expect_unsound(cid, 31);                   // another length than was said
  expect_unsound(file({30}, 30), 31);        // than the directory said
  expect_unsound(file({31}, 31), 31);        // a part of another length
  expect_unsound(file({}, 0), 1);            // links without sizes
  expect_unsound(file({30, 1}, 31), 31);     // sizes without links
  expect_unsound(file({30}, 29), 30);        // sums that contradict
  expect_unsound(file({~0ULL}, ~0ULL), 30);  // and such that run over
  expect_unsound(fs::import_directory({}, blocks)->cid, 5);
  expect_unsound(fs::import_symlink("x", blocks)->cid, 1);
  fs::Cid deep = cid;
  for (int level = 0; level < 10; ++level) {
    fs::DagNode node{.filesize = 30, .blocksizes = {30}};
    node.links.push_back({.name = {}, .cid = deep, .tsize = 30});
    deep = fs::put_node(node, blocks)->cid;
  }
  expect_unsound(deep, 30);
}

TEST(ReadAhead, GrowsForWhoGoesOnAndEndsForWhoJumps) {
  constexpr std::uint64_t kMebibyte = 1U << 20;
  ReadAhead ahead(8 * kMebibyte);
  EXPECT_EQ(ahead.on_read(0, 1000), kMebibyte);
  EXPECT_EQ(ahead.on_read(1000, 2000), 2 * kMebibyte);
  EXPECT_EQ(ahead.on_read(3000, 4000), 4 * kMebibyte);  // a little out of order
  EXPECT_EQ(ahead.on_read(2000, 3000), 8 * kMebibyte);
  EXPECT_EQ(ahead.on_read(4000, 5000), 8 * kMebibyte);
  EXPECT_EQ(ahead.on_read(50 * kMebibyte, 51 * kMebibyte), 0);
  EXPECT_EQ(ahead.on_read(51 * kMebibyte, 52 * kMebibyte), kMebibyte);
  EXPECT_EQ(ahead.on_read(0, 1000), 0);
}

}  // namespace
}  // namespace rosebud::mount
