#include "disk/store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <future>

#include "base/random.h"
#include "disk/directory.h"
#include "disk/group_commit.h"

namespace rosebud::disk {
namespace {

namespace fs = std::filesystem;

class DiskTest : public testing::Test {
 protected:
  DiskTest() {
    std::string name = (fs::temp_directory_path() / "rosebud-disk-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~DiskTest() override { fs::remove_all(path); }

  std::unique_ptr<Store> open() {
    auto store = Store::open({.path = path / "db", .reserve_bytes = 1000, .free_bytes = [this] {
                                return free_bytes.load();
                              }});
    EXPECT_TRUE(store.has_value()) << (store ? "" : store.error().text());
    return std::move(*store);
  }
  static wire::StoredObject block(std::string_view bytes) {
    const auto key = crypto::SecretKey::from_seed({});
    const wire::HoldStatement hold{.holder = key.public_key(), .serial = 1, .count = 1};
    wire::Hold one{.statement = wire::sign(crypto::ed25519(), key, hold), .size = bytes.size()};
    return {.id = wire::ObjectId::block(crypto::sha256(as_bytes(bytes))),
            .holds = {one},
            .content = Buffer::copy_of(as_bytes(bytes))};
  }
  static std::vector<wire::StorageWrite> put(const wire::StoredObject& object) {
    return {wire::PutObject{.object = object, .content_size = object.content.size()}};
  }
  static Status<wire::StorageError> commit(Store& store,
                                           const std::vector<wire::StorageWrite>& writes) {
    return store.commit({&writes});
  }

  fs::path path;
  std::atomic<std::uint64_t> free_bytes{1ULL << 40};
};

TEST_F(DiskTest, ObjectsSurviveReopening) {
  const auto object = block(std::string(10'000, 'x'));
  {
    const auto store = open();
    ASSERT_TRUE(commit(*store, put(object)));
    ASSERT_TRUE(commit(*store, {wire::PutNote{.name = {'a', '1'}, .value = {1}}}));
    EXPECT_EQ(*store->load(object.id, wire::LoadPart::kAll), object);
  }
  const auto store = open();
  EXPECT_EQ(*store->load(object.id, wire::LoadPart::kAll), object);
  EXPECT_TRUE((*store->load(object.id, wire::LoadPart::kMeta))->content.empty());
  EXPECT_EQ(store->notes("a").size(), 1U);
  EXPECT_TRUE(store->notes("b").empty());
  EXPECT_FALSE(store->load(block("other").id, wire::LoadPart::kAll)->has_value());
  ASSERT_TRUE(commit(*store, {wire::DeleteObject{object.id}}));
  EXPECT_FALSE(store->load(object.id, wire::LoadPart::kAll)->has_value());
}

TEST_F(DiskTest, ScanIsOrderedAndResumes) {
  const auto store = open();
  std::vector<wire::ObjectId> ids;
  for (int i = 0; i < 50; ++i) {
    const auto object = block("object " + std::to_string(i));
    ids.push_back(object.id);
    ASSERT_TRUE(commit(*store, put(object)));
  }
  std::ranges::sort(ids);
  std::vector<wire::ObjectId> seen;
  std::optional<wire::ObjectId> after;
  while (true) {
    const auto part = store->scan(wire::whole_key_range(), after, 7);
    ASSERT_TRUE(part.has_value());
    for (const auto& entry : part->entries) seen.push_back(entry.id);
    if (part->is_whole) break;
    after = part->entries.back().id;
  }
  EXPECT_EQ(seen, ids);
  const auto one = store->scan({ids[3].placement, ids[3].placement}, std::nullopt, 10);
  ASSERT_EQ(one->entries.size(), 1U);
  EXPECT_EQ(one->entries[0].id, ids[3]);
}

TEST_F(DiskTest, FlippedBitsAreSeen_OthersStillRead) {
  const auto store = open();
  const auto a = block(std::string(100'000, 'a'));
  ASSERT_TRUE(commit(*store, put(a)));
  EXPECT_EQ(store->damage(1, 1), 1U);
  const auto b = block("b");
  ASSERT_TRUE(commit(*store, put(b)));
  EXPECT_EQ(store->load(a.id, wire::LoadPart::kAll).error(), wire::StorageError::kCorrupt);
  EXPECT_TRUE(store->load(b.id, wire::LoadPart::kAll)->has_value());
}

TEST_F(DiskTest, BelowTheReserve_ContentIsRefusedAndComesBack) {
  const auto store = open();
  free_bytes = 500;
  EXPECT_EQ(commit(*store, put(block("x"))).error(), wire::StorageError::kNoSpace);
  EXPECT_TRUE(commit(*store, {wire::PutNote{.name = {'n'}, .value = {1}}}));
  free_bytes = 1ULL << 40;
  EXPECT_TRUE(commit(*store, put(block("x"))));
}

TEST_F(DiskTest, ManyWriters_ShareSyncs) {
  const auto store = open();
  std::atomic<int> done{0};
  GroupCommitter::Statistics statistics;
  {
    GroupCommitter committer(*store);
    std::promise<void> release;
    const auto released = release.get_future().share();
    // The first completion blocks the committer until everything else is queued.
    committer.submit(put(block("first")), [released](auto) { released.wait(); });
    for (int i = 0; i < 100; ++i) {
      committer.submit(put(block(std::to_string(i))), [&](auto status) { done += status ? 1 : 0; });
    }
    release.set_value();
    while (done < 100) std::this_thread::yield();
    statistics = committer.statistics();
  }
  EXPECT_EQ(statistics.batches, 101U);
  EXPECT_LE(statistics.commits, 3U);
}

// kill -9 in the middle of writing: what was reported over the pipe must be there.
TEST_F(DiskTest, KilledWriter_LosesNothingAcknowledged) {
  int pipe_ends[2];
  ASSERT_EQ(::pipe(pipe_ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    auto store = Store::open({.path = path / "db"});
    for (std::uint32_t i = 0; store; ++i) {
      if (!commit(**store, put(block("write " + std::to_string(i))))) break;
      if (::write(pipe_ends[1], &i, sizeof i) != sizeof i) break;
    }
    ::_exit(1);
  }
  ::close(pipe_ends[1]);
  std::uint32_t acknowledged = 0;
  while (acknowledged < 200) ASSERT_EQ(::read(pipe_ends[0], &acknowledged, sizeof acknowledged), 4);
  ::kill(child, SIGKILL);
  while (::read(pipe_ends[0], &acknowledged, sizeof acknowledged) == 4) {
  }
  ::close(pipe_ends[0]);
  ::waitpid(child, nullptr, 0);
  const auto store = open();
  for (std::uint32_t i = 0; i <= acknowledged; ++i) {
    EXPECT_TRUE(
        store->load(block("write " + std::to_string(i)).id, wire::LoadPart::kAll)->has_value())
        << i;
  }
}

class DirectoryTest : public DiskTest {
 protected:
  Identity identity{.cluster = *crypto::ClusterId::from(Bytes(32, 1)),
                    .node = *wire::NodeKey::from(Bytes(32, 2)),
                    .directory = *wire::DirectoryId::from(Bytes(16, 3))};
  ExpectedIdentity expected() const {
    return {identity.cluster, identity.node, identity.directory};
  }
};

TEST_F(DirectoryTest, SecondUser_IsRefused) {
  ASSERT_TRUE(create_directory(path / "data", identity));
  const auto first = DataDirectory::open(path / "data", expected(), IfEmpty::kRefuse);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->identity(), identity);
  const auto second = DataDirectory::open(path / "data", expected(), IfEmpty::kRefuse);
  ASSERT_FALSE(second.has_value());
  EXPECT_NE(second.error().what.find("in use"), std::string::npos);
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

}  // namespace
}  // namespace rosebud::disk
