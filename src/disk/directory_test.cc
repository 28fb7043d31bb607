#include "disk/directory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "disk/test_support.h"

namespace rosebud::disk {
namespace {

class DirectoryTest : public DiskTest {
 protected:
  Identity identity{.cluster = *crypto::ClusterId::from(Bytes(32, 1)),
                    .node = *wire::NodeKey::from(Bytes(32, 2)),
                    .directory = *wire::DirectoryId::from(Bytes(16, 3))};
  ExpectedIdentity expected() const {
    return {identity.cluster, identity.node, identity.directory};
  }
};

/// In this process.
std::size_t times_open(const fs::path& file) {
  std::size_t out = 0;
  std::error_code error;
  for (fs::directory_iterator at("/proc/self/fd", error), end; !error && at != end;
       at.increment(error)) {
    std::error_code gone;
    if (fs::read_symlink(at->path(), gone) == file && !gone) ++out;
  }
  return out;
}

TEST_F(DirectoryTest, SecondUser_IsRefused) {
  ASSERT_TRUE(create_directory(path / "data", identity));
  const auto first = DataDirectory::open(path / "data", expected(), IfEmpty::kRefuse);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->identity(), identity);
  const auto second = DataDirectory::open(path / "data", expected(), IfEmpty::kRefuse);
  ASSERT_FALSE(second.has_value());
  EXPECT_NE(second.error().what.find("in use"), std::string::npos);
}

// As `rosebud dev status` does, while a node starts.
TEST_F(DirectoryTest, WhileSomebodyLooksWhetherItIsInUse_IsOpened) {
  ASSERT_TRUE(create_directory(path / "data", identity));
  const int fd =
      ::open((path / "data" / "LOCK.rosebud").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  ASSERT_EQ(::flock(fd, LOCK_SH | LOCK_NB), 0);
  // It goes on looking until the node has the file open too, so that its first attempt fails.
  std::atomic<bool> is_done = false;
  std::thread looking([&, lock = path / "data" / "LOCK.rosebud"] {
    while (!is_done && times_open(lock) < 2) std::this_thread::yield();
    ::close(fd);
  });
  const auto opened = DataDirectory::open(path / "data", expected(), IfEmpty::kRefuse);
  is_done = true;
  looking.join();
  EXPECT_TRUE(opened.has_value()) << opened.error().text();
}

TEST_F(DirectoryTest, ForeignEmptyOrNewerDirectories_AreRefusedWithTheirReason) {
  ASSERT_TRUE(create_directory(path / "data", identity));
  const auto refused = [&](const ExpectedIdentity& by, const fs::path& at) {
    const auto opened = DataDirectory::open(at, by, IfEmpty::kCreate);
    return opened ? std::string("opened") : opened.error().text();
  };
  auto other = expected();
  other.cluster.bytes[0] ^= 1;
  EXPECT_NE(refused(other, path / "data").find("belongs to cluster"), std::string::npos);
  other = expected();
  other.node.bytes[0] ^= 1;
  EXPECT_NE(refused(other, path / "data").find("belongs to node key"), std::string::npos);
  other = expected();
  other.directory->bytes[0] ^= 1;
  EXPECT_NE(refused(other, path / "data").find("has id"), std::string::npos);
  fs::create_directory(path / "empty");
  EXPECT_NE(refused(expected(), path / "empty").find("missing or empty"), std::string::npos);
  std::string text = encode_identity(identity);
  text.replace(text.find("format = 1"), 10, "format = 9");
  EXPECT_NE(decode_identity(text).error().what.find("format 9"), std::string::npos);
  EXPECT_FALSE(decode_identity("garbage"));
}

TEST_F(DirectoryTest, FilesOfSomethingElse_AreLeftAlone) {
  fs::create_directory(path / "home");
  std::ofstream(path / "home" / "letter.txt") << "dear";
  const auto made = create_directory(path / "home", identity);
  ASSERT_FALSE(made.has_value());
  EXPECT_NE(made.error().what.find("not empty"), std::string::npos);
  const auto opened = DataDirectory::open(path / "home", expected(), IfEmpty::kCreate);
  ASSERT_FALSE(opened.has_value());
  EXPECT_NE(opened.error().what.find("has files but no"), std::string::npos);
}

TEST_F(DirectoryTest, MissingDirectory_IsMadeOnlyForANodeThatWasNeverAdmitted) {
  auto never_admitted = expected();
  never_admitted.directory.reset();
  EXPECT_FALSE(DataDirectory::open(path / "data", never_admitted, IfEmpty::kRefuse));
  EXPECT_FALSE(DataDirectory::open(path / "data", expected(), IfEmpty::kCreate));
  EXPECT_FALSE(fs::exists(path / "data"));
  const auto made = DataDirectory::open(path / "data", never_admitted, IfEmpty::kCreate);
  ASSERT_TRUE(made.has_value()) << made.error().text();
  EXPECT_FALSE(made->identity().directory.is_zero());
}

TEST_F(DirectoryTest, EditedIdentity_IsRefused) {
  ASSERT_TRUE(create_directory(path / "data", identity));
  std::ofstream(path / "data" / "rosebud-data.toml", std::ios::app) << "# mine\n";
  const auto opened = DataDirectory::open(path / "data", expected(), IfEmpty::kRefuse);
  ASSERT_FALSE(opened.has_value());
  EXPECT_NE(opened.error().text().find("edited or damaged"), std::string::npos);
  // Every prefix of an identity file is refused, whatever a crash left.
  const std::string text = encode_identity(identity);
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(decode_identity(text.substr(0, size))) << size;
  }
  EXPECT_EQ(decode_identity(text), identity);
}

TEST_F(DirectoryTest, NotWritableOrNoDirectory_IsRefusedWithItsReason) {
  std::ofstream(path / "file") << "x";
  const auto file = DataDirectory::open(path / "file", expected(), IfEmpty::kCreate);
  ASSERT_FALSE(file.has_value());
  EXPECT_NE(file.error().what.find("is not a directory"), std::string::npos);
  // Nobody can make files here, root neither.
  const auto proc = DataDirectory::open("/proc", expected(), IfEmpty::kRefuse);
  ASSERT_FALSE(proc.has_value());
  EXPECT_NE(proc.error().what.find("cannot write"), std::string::npos);
}

}  // namespace
}  // namespace rosebud::disk
