// Keys of epochs and what is handed over, on a disk: kept whole, found again, and erased.
#include "runtime/service_files.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "base/temporary_folder.h"
#include "service/state.h"

namespace rosebud::runtime {
namespace {

namespace fs = std::filesystem;

wire::ConfigurationNumber number(std::uint32_t generation, std::uint64_t epoch) {
  return {wire::Generation(generation), wire::Epoch(epoch)};
}

class ServiceFilesTest : public testing::Test {
 protected:
  ServiceFiles files() const { return {folder / "node.key", folder / "service"}; }

 private:
  TemporaryFolder own_;

 protected:
  const fs::path& folder = own_.path();
};

TEST_F(ServiceFilesTest, ASecretIsKeptOnceAndErasedWithItsEpoch) {
  const auto key = crypto::SecretKey::generate();
  ASSERT_TRUE(files().keep_secret(number(0, 9), key));
  ASSERT_TRUE(files().keep_secret(number(0, 10), crypto::SecretKey::generate()));
  ASSERT_TRUE(files().keep_secret(number(1, 2), crypto::SecretKey::generate()));
  EXPECT_FALSE(files().keep_secret(number(0, 9), crypto::SecretKey::generate()));
  ASSERT_TRUE(files().secret(number(0, 9)));
  EXPECT_EQ(files().secret(number(0, 9))->public_key(), key.public_key());
  EXPECT_FALSE(files().secret(number(0, 8)));

  // What looks like one and is none stays.
  ASSERT_TRUE(replace_file(folder / "node.epoch-x-1.key", "mine\n"));
  ASSERT_TRUE(replace_file(folder / "node.key", "the node's\n"));
  ASSERT_TRUE(replace_file(folder / "other.epoch-0-1.key", "another node's\n"));
  ASSERT_TRUE(files().erase_secrets(number(0, 10)));
  EXPECT_FALSE(files().secret(number(0, 9)));
  EXPECT_TRUE(files().secret(number(0, 10)));  // by number, not by the letters of its name
  EXPECT_TRUE(files().secret(number(1, 2)));
  EXPECT_TRUE(fs::exists(folder / "node.epoch-x-1.key"));
  EXPECT_TRUE(fs::exists(folder / "node.key"));
  EXPECT_TRUE(fs::exists(folder / "other.epoch-0-1.key"));
}

TEST_F(ServiceFilesTest, ASecretThatCannotBeErasedKeepsNoOther) {
  for (std::uint64_t epoch = 1; epoch <= 8; ++epoch) {
    if (epoch % 2 == 0) {
      ASSERT_TRUE(files().keep_secret(number(0, epoch), crypto::SecretKey::generate()));
    } else {
      fs::create_directory(epoch_key_path(folder / "node.key", number(0, epoch)));
    }
  }
  EXPECT_FALSE(files().erase_secrets(number(0, 9)));
  for (std::uint64_t epoch = 2; epoch <= 8; epoch += 2) {
    EXPECT_FALSE(files().secret(number(0, epoch))) << epoch;
  }
}

TEST_F(ServiceFilesTest, ASecretThatOthersCanReadIsNone) {
  ASSERT_TRUE(files().keep_secret(number(0, 2), crypto::SecretKey::generate()));
  fs::permissions(epoch_key_path(folder / "node.key", number(0, 2)), fs::perms::group_read,
                  fs::perm_options::add);
  EXPECT_FALSE(files().secret(number(0, 2)));
}

TEST_F(ServiceFilesTest, AStateIsFoundByItsDigestAlone) {
  const Bytes state = service::Carried{.early_ends_ms = {7}}.encode();
  const auto digest = service::Carried::digest(state);
  EXPECT_FALSE(files().state(number(0, 3), digest));
  ASSERT_TRUE(files().keep_state(number(0, 3), state));
  ASSERT_TRUE(files().state(number(0, 3), digest));
  EXPECT_TRUE(equal(files().state(number(0, 3), digest)->view(), state));
  EXPECT_FALSE(files().state(number(0, 3), crypto::Digest{}));
  EXPECT_FALSE(files().state(number(0, 4), digest));
}

TEST_F(ServiceFilesTest, WhatBelongsToEndedGroupsGoes) {
  const Bytes state = service::Carried{}.encode();
  for (std::uint64_t epoch = 8; epoch <= 11; ++epoch) {
    ASSERT_TRUE(files().keep_state(number(0, epoch), state));
    fs::create_directories(files().records(number(0, epoch)) / "below");
  }
  files().remove_old(number(0, 10));
  const auto digest = service::Carried::digest(state);
  for (std::uint64_t epoch = 8; epoch <= 11; ++epoch) {
    EXPECT_EQ(files().state(number(0, epoch), digest).has_value(), epoch >= 10) << epoch;
    EXPECT_EQ(fs::exists(files().records(number(0, epoch))), epoch >= 10) << epoch;
  }
}

}  // namespace
}  // namespace rosebud::runtime
