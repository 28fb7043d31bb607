// Whom a node of a development cluster sends nothing to: what was written is read, no file means
// nobody, and what is none is a failure.
#include "runtime/cut_file.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "base/temporary_folder.h"

namespace rosebud::runtime {
namespace {

TEST(CutFile, WhatWasWrittenIsRead) {
  const TemporaryFolder folder;
  EXPECT_EQ(*read_cut(folder.path()), Cut{});
  const Cut cut{crypto::SecretKey::generate().public_key(),
                crypto::SecretKey::generate().public_key()};
  ASSERT_TRUE(write_cut(folder.path(), cut));
  EXPECT_EQ(*read_cut(folder.path()), cut);
  ASSERT_TRUE(write_cut(folder.path(), {}));
  EXPECT_EQ(*read_cut(folder.path()), Cut{});
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "cut"));
  EXPECT_TRUE(write_cut(folder.path(), {}));
}

TEST(CutFile, WhatIsNone_IsAFailure) {
  const TemporaryFolder folder;
  ASSERT_TRUE(replace_file(folder.path() / "cut", "rosebud-cut-1 0011\n"));
  EXPECT_FALSE(read_cut(folder.path()));
  ASSERT_TRUE(replace_file(folder.path() / "cut", "everybody\n"));
  EXPECT_FALSE(read_cut(folder.path()));
}

}  // namespace
}  // namespace rosebud::runtime
