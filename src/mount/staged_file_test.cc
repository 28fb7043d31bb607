#include "mount/staged_file.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <random>

namespace rosebud::mount {
namespace {

constexpr std::uint64_t kPublished = 1'000;

std::string published_text() {
  std::string out(kPublished, '\0');
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<char>('a' + i % 26);
  return out;
}

std::unique_ptr<Staging> new_staging(std::uint64_t bytes_max = 1U << 20) {
  auto out = Staging::open(testing::TempDir(), bytes_max);
  EXPECT_TRUE(out);
  return std::move(*out);
}

std::string text_of(const std::vector<StagedFile::Piece>& pieces, const Staging& staging,
                    const std::string& published) {
  std::string out;
  for (const StagedFile::Piece& piece : pieces) {
    const auto size = static_cast<std::size_t>(piece.size);
    switch (piece.from) {
      case StagedFile::From::kPublished:
        out += published.substr(static_cast<std::size_t>(piece.offset), size);
        break;
      case StagedFile::From::kZeros:
        out += std::string(size, '\0');
        break;
      case StagedFile::From::kStaged: {
        Bytes bytes(size);
        EXPECT_TRUE(staging.read(piece.place, bytes));
        out += as_text(bytes);
      }
    }
  }
  return out;
}

std::string text_of(const StagedFile& file, const Staging& staging,
                    const std::string& published = published_text()) {
  return text_of(file.pieces(0, file.size()), staging, published);
}

TEST(StagedFile, NothingWritten_AsPublished) {
  const auto staging = new_staging();
  const StagedFile file(*staging, kPublished);
  EXPECT_FALSE(file.is_changed());
  EXPECT_EQ(text_of(file, *staging), published_text());
  EXPECT_TRUE(file.pieces(kPublished, 10).empty());
}

TEST(StagedFile, CutOffAndLongerAgain_Zeros) {
  const auto staging = new_staging();
  StagedFile file(*staging, kPublished);
  file.truncate(10);
  file.truncate(20);
  EXPECT_TRUE(file.is_changed());
  EXPECT_EQ(text_of(file, *staging), published_text().substr(0, 10) + std::string(10, '\0'));
  ASSERT_TRUE(file.write(25, as_bytes("end")));
  EXPECT_EQ(text_of(file, *staging),
            published_text().substr(0, 10) + std::string(15, '\0') + "end");
}

TEST(StagedFile, AppendedInSmallPieces_OneExtent) {
  const auto staging = new_staging();
  StagedFile one(*staging, 0), other(*staging, 0);
  for (int i = 0; i < 1'000; ++i) {
    ASSERT_TRUE(one.write(one.size(), as_bytes("line\n")));
    ASSERT_TRUE(other.write(other.size(), as_bytes("another\n")));
  }
  EXPECT_EQ(staging->extents_count(), 2U);
  EXPECT_EQ(staging->held_bytes(), 13'000U);
  EXPECT_EQ(text_of(one, *staging).substr(0, 10), "line\nline\n");
}

TEST(StagedFile, StagingFull_NothingChanges) {
  const auto staging = new_staging(100);
  {
    StagedFile file(*staging, kPublished);
    ASSERT_TRUE(file.write(0, as_bytes(std::string(100, 'x'))));
    const auto refused = file.write(500, as_bytes("y"));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error(), ErrorNumber{ENOSPC});
    EXPECT_EQ(text_of(file, *staging), std::string(100, 'x') + published_text().substr(100));
    // What is there is written over all the same, and what is cut off makes room.
    ASSERT_TRUE(file.write(50, as_bytes("zz")));
    file.truncate(50);
    ASSERT_TRUE(file.write(500, as_bytes("y")));
    EXPECT_EQ(staging->held_bytes(), 51U);
  }
  EXPECT_EQ(staging->held_bytes(), 0U);
  EXPECT_EQ(staging->extents_count(), 0U);
}

/// Against a string, with pins that see what was there when they began, and become what is
/// published.
TEST(StagedFile, RandomWrites_AsAString) {
  std::mt19937 random(3);
  const auto staging = new_staging(64U << 20);
  {
    StagedFile file(*staging, kPublished);
    std::string published = published_text();
    std::string model = published;
    std::vector<StagedFile::Piece> pinned;
    std::optional<std::string> pinned_text;
    for (int i = 0; i < 20'000; ++i) {
      const std::size_t offset = random() % 3'000;
      switch (random() % 12) {
        case 0:
          file.truncate(offset);
          model.resize(offset);
          break;
        case 1:
          if (pinned_text) {
            ASSERT_EQ(text_of(pinned, *staging, published), *pinned_text);
            if (random() % 2 == 0) {
              published = *pinned_text;
              file.rebase(published.size());
            }
            file.unpin();
            pinned_text.reset();
          } else {
            file.pin();
            pinned = file.pieces(0, file.size());
            pinned_text = model;
          }
          break;
        default: {
          // Mostly at the end.
          const std::size_t at = random() % 2 == 0 ? model.size() : offset;
          if (at > 3'000) break;
          const std::string text(1 + random() % 200, static_cast<char>('A' + i % 26));
          ASSERT_TRUE(file.write(at, as_bytes(text)));
          if (model.size() < at + text.size()) model.resize(at + text.size());
          model.replace(at, text.size(), text);
        }
      }
      ASSERT_EQ(file.size(), model.size());
      if (i % 10 == 0) {
        ASSERT_EQ(text_of(file, *staging, published), model) << i;
      }
    }
    if (pinned_text) file.unpin();
    EXPECT_LE(staging->held_bytes(), model.size());
  }
  EXPECT_EQ(staging->held_bytes(), 0U);
}

}  // namespace
}  // namespace rosebud::mount
