#include <gtest/gtest.h>

#include <map>

#include "base/random.h"
#include "fs/importer.h"
#include "fs/test_blocks.h"

namespace rosebud::fs {
namespace {

/// What the test vectors of docs/format/chunking.md are cut from: the SHA-256 of 0, 1, 2, ... as
/// eight bytes, one after the other.
Bytes counted_hashes(std::size_t size) {
  Bytes out;
  for (std::uint64_t i = 0; out.size() < size; ++i) {
    const auto digest = crypto::Hasher().update_u64(i).finish();
    out.insert(out.end(), digest.view().begin(), digest.view().end());
  }
  out.resize(size);
  return out;
}

Bytes random_bytes(std::uint64_t seed, std::size_t size) {
  Random random(seed);
  Bytes out;
  out.reserve(size + 8);
  while (out.size() < size) {
    for (std::uint64_t word = random.next(), i = 0; i < 8; ++i, word >>= 8)
      out.push_back(static_cast<std::uint8_t>(word));
  }
  out.resize(size);
  return out;
}

std::vector<std::size_t> lengths(ByteSource& source, Chunking chunking) {
  Chunker chunker(source, chunking);
  std::vector<std::size_t> out;
  for (auto chunk = chunker.next(); chunk && !chunk->empty(); chunk = chunker.next())
    out.push_back(chunk->size());
  return out;
}
std::vector<std::size_t> lengths(ByteView bytes, Chunking chunking = Chunking::kByContent) {
  MemorySource source(bytes);
  return lengths(source, chunking);
}

TEST(Chunker, Vectors) {
  EXPECT_EQ(
      lengths(counted_hashes(4U << 20)),
      (std::vector<std::size_t>{529922, 699794, 205573, 855509, 546779, 526405, 604031, 226291}));
  EXPECT_EQ(lengths(Bytes(2'500'000)), (std::vector<std::size_t>{1048576, 1048576, 402848}));
}

TEST(Chunker, FewBytesAreOneChunk) {
  EXPECT_TRUE(lengths(Bytes()).empty());
  for (const std::size_t size : {std::size_t{1}, kContentChunkMin - 1, kContentChunkMin})
    EXPECT_EQ(lengths(random_bytes(1, size)), std::vector{size});
}

TEST(Chunker, ChunksKeepToTheirBounds) {
  const Bytes bytes = random_bytes(7, 48U << 20);
  const auto cuts = lengths(bytes);
  std::size_t near = 0;
  for (std::size_t i = 0; i + 1 < cuts.size(); ++i) {
    EXPECT_GT(cuts[i], kContentChunkMin);
    EXPECT_LE(cuts[i], kChunkSize);
    if (cuts[i] > kContentChunkNormal / 2 && cuts[i] < kChunkSize) ++near;
  }
  EXPECT_GT(near, cuts.size() * 3 / 4);
}

/// Yields as many bytes at a time as chance says, and counts how often it is asked after its end.
class Dribble final : public ByteSource {
 public:
  explicit Dribble(ByteView bytes) : rest_(bytes) {}
  Result<std::size_t, Explained> read(std::span<std::uint8_t> into) override {
    if (rest_.empty()) ++ends;
    const std::size_t n =
        std::min<std::size_t>({into.size(), rest_.size(), 1 + random_.below(90'000)});
    std::copy_n(rest_.begin(), n, into.begin());
    rest_ = rest_.subspan(n);
    return n;
  }
  std::size_t ends = 0;

 private:
  ByteView rest_;
  Random random_{3};
};

TEST(Chunker, HowASourceYieldsMakesNoDifference) {
  const Bytes bytes = random_bytes(11, 5'000'000);
  for (const auto chunking : {Chunking::kFixed, Chunking::kByContent}) {
    Dribble dribble(bytes);
    EXPECT_EQ(lengths(dribble, chunking), lengths(bytes, chunking));
    EXPECT_EQ(dribble.ends, 1);
  }
}

Imported import_by_content(ByteView bytes, Blocks& blocks) {
  MemorySource source(bytes);
  return *import_file(source, blocks, {.mode = 0644}, Chunking::kByContent);
}

TEST(ByContent, AFileComesBackAsItWas) {
  for (const std::size_t size : std::initializer_list<std::size_t>{
           0, 1, kContentChunkMin, kChunkSize, kChunkSize + 1, 9'000'000}) {
    const Bytes bytes = random_bytes(size, size);
    Blocks blocks;
    const auto imported = import_by_content(bytes, blocks);
    Bytes back;
    ASSERT_TRUE(read_file(imported.cid, blocks, [&](ByteView some) -> Status<Explained> {
      back.insert(back.end(), some.begin(), some.end());
      return {};
    }));
    EXPECT_EQ(back, bytes);
    EXPECT_EQ(imported.bytes, size);
    EXPECT_EQ(describe(imported.cid, blocks)->attributes.mode, 0644U);
  }
}

TEST(ByContent, AnInsertionStoresOnlyWhatChanged) {
  Bytes bytes = random_bytes(5, 64U << 20);
  Blocks blocks;
  import_by_content(bytes, blocks);
  const auto before = blocks.blocks;
  bytes.insert(bytes.begin() + (32 << 20), {'n', 'e', 'w'});
  import_by_content(bytes, blocks);
  std::size_t added = 0;
  for (const auto& [cid, block] : blocks.blocks) added += before.contains(cid) ? 0 : block.size();
  EXPECT_GT(added, 0U);
  EXPECT_LT(added, 4U * kChunkSize);
}

TEST(ByContent, AnInsertionLeavesMostNodesOfALargeFile) {
  // Bytes for which four nodes stand above the chunks; of nodes alone, for the sake of memory.
  Bytes bytes = random_bytes(7, 256U << 20);
  Blocks blocks(false);
  import_by_content(bytes, blocks);
  const auto before = blocks.blocks;
  EXPECT_EQ(before.size(), 5U);
  bytes.insert(bytes.begin(), 'x');
  import_by_content(bytes, blocks);
  // The first node above the chunks, and the root.
  EXPECT_EQ(blocks.blocks.size(), before.size() + 2);
}

}  // namespace
}  // namespace rosebud::fs
