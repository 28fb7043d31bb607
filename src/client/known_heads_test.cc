#include "client/known_heads.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/files.h"
#include "base/temporary_folder.h"

namespace rosebud::client {
namespace {

fs::Cid node(std::string_view content) { return fs::Cid::of(fs::Codec::kDagPb, as_bytes(content)); }

fs::Described file(std::uint64_t bytes) {
  return {.bytes = bytes,
          .attributes = {.mode = 0640,
                         .modified = fs::ModificationTime{.seconds = -5, .nanoseconds = 7}}};
}

class KnownHeadsTest : public testing::Test {
 public:
  std::filesystem::path path() const { return folder.path() / "notes" / "heads"; }
  std::string saved() const { return read_text_file(path()).value(); }
  TemporaryFolder folder;
};

void expect_same(const fs::Described& a, const fs::Described& b) {
  EXPECT_EQ(a.kind, b.kind);
  EXPECT_EQ(a.bytes, b.bytes);
  EXPECT_EQ(a.target, b.target);
  EXPECT_EQ(a.attributes, b.attributes);
}

TEST_F(KnownHeadsTest, WhatWasAddedIsKnownToTheNextRun) {
  const fs::Described link{.kind = fs::Kind::kSymlink, .target = "../there"};
  KnownHeads heads;
  heads.add(node("a"), file(10));
  heads.add(node("b"), link);
  heads.add(node("c"), {.bytes = 3});
  ASSERT_TRUE(heads.save(path()));
  KnownHeads again = KnownHeads::load(path());
  ASSERT_EQ(again.size(), 3U);
  expect_same(*again.find(node("a")), file(10));
  expect_same(*again.find(node("b")), link);
  expect_same(*again.find(node("c")), {.bytes = 3});
  EXPECT_FALSE(again.find(node("d")));
}

TEST_F(KnownHeadsTest, DirectoriesAndRawBlocksAreNotRemembered) {
  KnownHeads heads;
  heads.add(node("a"), {.kind = fs::Kind::kDirectory});
  heads.add(fs::Cid::of(fs::Codec::kRaw, as_bytes("b")), file(1));
  EXPECT_EQ(heads.size(), 0U);
  // The same digest under another codec is another object.
  heads.add(node("b"), file(1));
  EXPECT_FALSE(heads.find(fs::Cid::of(fs::Codec::kRaw, as_bytes("b"))));
}

TEST_F(KnownHeadsTest, ADamagedFileIsWorthNothing) {
  KnownHeads heads;
  heads.add(node("a"), file(10));
  heads.add(node("b"), file(11));
  ASSERT_TRUE(heads.save(path()));
  const std::string whole = saved();
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    std::ofstream(path(), std::ios::binary) << damaged;
    EXPECT_EQ(KnownHeads::load(path()).size(), 0U) << at;
    std::ofstream(path(), std::ios::binary) << whole.substr(0, at);
    EXPECT_EQ(KnownHeads::load(path()).size(), 0U) << at;
  }
  EXPECT_EQ(KnownHeads::load(folder.path() / "nothing").size(), 0U);
}

TEST_F(KnownHeadsTest, BeyondItsBoundWhatNobodyAskedForGoesFirst) {
  KnownHeads heads;
  for (const char* one : {"a", "b", "c", "d"}) heads.add(node(one), file(1));
  ASSERT_TRUE(heads.save(path()));
  KnownHeads again = KnownHeads::load(path());
  ASSERT_TRUE(again.find(node("c")));
  again.add(node("e"), file(1));
  ASSERT_TRUE(again.save(path(), 3));
  KnownHeads last = KnownHeads::load(path());
  EXPECT_EQ(last.size(), 2U);
  EXPECT_TRUE(last.find(node("c")));
  EXPECT_TRUE(last.find(node("e")));
}

TEST_F(KnownHeadsTest, NothingNew_NothingIsWritten) {
  KnownHeads heads;
  heads.add(node("a"), file(1));
  ASSERT_TRUE(heads.save(path()));
  std::filesystem::remove(path());
  KnownHeads nothing;
  ASSERT_TRUE(nothing.save(path()));
  heads.add(node("a"), file(1));
  ASSERT_TRUE(heads.save(path()));
  EXPECT_FALSE(std::filesystem::exists(path()));
}

}  // namespace
}  // namespace rosebud::client
