#include "crypto/key_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace rosebud::crypto {
namespace {

namespace fs = std::filesystem;

struct KeyFileTest : ::testing::Test {
  fs::path folder = fs::path(testing::TempDir()) / ("key-file-" + std::to_string(::getpid()));
  fs::path path = folder / "one.key";

  void SetUp() override { fs::create_directories(folder); }
  void TearDown() override { fs::remove_all(folder); }
};

TEST_F(KeyFileTest, WhatIsWrittenIsReadAndNeverReplaced) {
  const SecretKey key = SecretKey::generate();
  ASSERT_TRUE(write_secret_key(path, key));
  const auto read = read_secret_key(path);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->public_key(), key.public_key());
  EXPECT_FALSE(write_secret_key(path, SecretKey::generate()));
  EXPECT_EQ(read_secret_key(path)->public_key(), key.public_key());
}

TEST_F(KeyFileTest, WhatOthersCanReadIsRefused) {
  ASSERT_TRUE(write_secret_key(path, SecretKey::generate()));
  ASSERT_EQ(::chmod(path.c_str(), 0640), 0);
  const auto read = read_secret_key(path);
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().text().find("chmod 600"), std::string::npos);
}

TEST_F(KeyFileTest, AnErasedKeyIsOverwrittenAndGone) {
  ASSERT_TRUE(write_secret_key(path, SecretKey::generate()));
  const auto size = fs::file_size(path);
  const fs::path other_name = folder / "the-same-file";
  fs::create_hard_link(path, other_name);
  ASSERT_TRUE(erase_secret_key(path));
  EXPECT_FALSE(fs::exists(path));
  std::ifstream left(other_name, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(left)), std::istreambuf_iterator<char>());
  EXPECT_EQ(bytes, std::string(size, '\0'));
  EXPECT_TRUE(erase_secret_key(path));  // nothing to do
}

TEST_F(KeyFileTest, WhatCannotBeErasedIsSaid) {
  const fs::path no_file = folder / "folder.key";
  fs::create_directories(no_file / "below");
  EXPECT_FALSE(erase_secret_key(no_file));
  EXPECT_TRUE(fs::exists(no_file));
}

}  // namespace
}  // namespace rosebud::crypto
