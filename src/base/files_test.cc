#include "base/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/temporary_folder.h"
#include "base/test_fsync.h"

namespace rosebud {
namespace {

namespace fs = std::filesystem;

// Suppose a power cut takes the name of the upper one: all that was synced below goes with it.
TEST(Files, AFolderIsMadeWithAllAboveIt_EachDurableInItsParent) {
  const TemporaryFolder own;
  synced_paths().clear();
  ASSERT_TRUE(make_folder(own.path() / "a" / "b" / "c"));
  EXPECT_TRUE(fs::is_directory(own.path() / "a" / "b" / "c"));
  EXPECT_THAT(synced_paths(),
              testing::IsSupersetOf({own.path(), own.path() / "a", own.path() / "a" / "b"}));
}

// It may have been made by a process that a crash ended before it synced.
TEST(Files, AFolderThatIsThere_IsMadeDurable) {
  const TemporaryFolder own;
  fs::create_directories(own.path() / "a" / "b");
  synced_paths().clear();
  ASSERT_TRUE(make_folder(own.path() / "a" / "b"));
  EXPECT_THAT(synced_paths(), testing::IsSupersetOf({own.path(), own.path() / "a"}));
}

TEST(Files, WhereAFileStands_NoFolderIsMade) {
  const TemporaryFolder own;
  ASSERT_TRUE(replace_file(own.path() / "file", "text"));
  EXPECT_FALSE(make_folder(own.path() / "file"));
  EXPECT_FALSE(make_folder(own.path() / "file" / "below"));
}

TEST(Files, CreateFile_RefusesWhatIsThere) {
  const TemporaryFolder own;
  ASSERT_TRUE(create_file(own.path() / "file", "first"));
  EXPECT_FALSE(create_file(own.path() / "file", "second"));
  EXPECT_EQ(*read_text_file(own.path() / "file"), "first");
}

}  // namespace
}  // namespace rosebud
