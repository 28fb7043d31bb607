#include "mount/publications.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "fs/test_blocks.h"

namespace rosebud::mount {
namespace {

using namespace std::chrono_literals;

/// Publishes as the test says.
class Scripted final : public Publisher {
 public:
  explicit Scripted(fs::Blocks& blocks) : blocks_(blocks) {}

  Status<Unpublished> publish(const Store& store) override {
    const auto made = store(blocks_);
    std::unique_lock lock(mutex);
    ++begun;
    changed.notify_all();
    changed.wait(lock, [this] { return !is_stuck; });
    if (failure) return fail(Unpublished{.why = *failure, .explained = {.what = "as told"}});
    root = made->cid;
    ++count;
    changed.notify_all();
    return {};
  }
  std::optional<fs::Cid> newer() override {
    const std::lock_guard lock(mutex);
    return std::exchange(theirs, std::nullopt);
  }
  void stand_on_newer() override {}

  template <typename Condition>
  void wait(Condition is_true) {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, 20s, is_true));
  }
  template <typename Change>
  void set(Change change) {
    {
      const std::lock_guard lock(mutex);
      change();
    }
    changed.notify_all();
  }

  std::mutex mutex;
  std::condition_variable changed;
  // Under the mutex:
  bool is_stuck = false;
  std::optional<Unpublished::Why> failure;
  std::optional<fs::Cid> root;
  int begun = 0;
  int count = 0;                  // that were made
  std::optional<fs::Cid> theirs;  // newer, told once
  int told = 0;                   // what the kernel must forget

 private:
  fs::Blocks& blocks_;
};

class PublicationsTest : public testing::Test {
 protected:
  PublicationsTest()
      : cache([this](const fs::Cid& cid, Duration,
                     const BlockCache::Done& done) { done(blocks.get(cid)); },
              16U << 20),
        staging(std::move(*Staging::open(testing::TempDir(), 1U << 20))),
        files(cache, *staging, 1U << 20, 60s, [] { return fs::ModificationTime{.seconds = 1}; }),
        publisher(blocks) {
    fs::Tree empty = *fs::Tree::empty(blocks, {});
    EXPECT_TRUE(empty.store(blocks));
    EXPECT_TRUE(files.start(empty.root()));
  }
  void begin(
      Duration after, Duration ask_every = 1h,
      WritableFileSystem::Forewarn forewarn = [](const Changes&) {}) {
    publications = std::make_unique<Publications>(
        files, publisher,
        Publications::Options{.after = after,
                              .ask_every = ask_every,
                              .forewarn = std::move(forewarn),
                              .tell = [this](const Publications::Pending& pending) {
                                told.push_back(pending.paths);
                              }});
    publications->start();
  }
  void put(const std::string& name) {
    const auto made = files.create(kRootInode, name, 0600);
    ASSERT_TRUE(made);
    ASSERT_TRUE(files.write(made->file->id, 0, as_bytes("x")));
    files.close(*made->file);
    publications->on_change();
  }
  int publish_all() {
    const auto done = publications->publish_all();
    return done ? 0 : static_cast<int>(done.error());
  }

  fs::Blocks blocks;
  BlockCache cache;
  std::unique_ptr<Staging> staging;
  WritableFileSystem files;
  Scripted publisher;
  std::vector<std::vector<std::string>> told;  // by the thread that publishes
  std::unique_ptr<Publications> publications;
};

TEST_F(PublicationsTest, SomebodyWaits_PublishedAtOnce) {
  begin(1h);
  put("one");
  EXPECT_EQ(publish_all(), 0);
  EXPECT_EQ(publisher.count, 1);
  EXPECT_EQ(publish_all(), 0);
  EXPECT_EQ(publisher.count, 1) << "nothing was pending";
}

TEST_F(PublicationsTest, NobodyWaits_PublishedAfterAWhile) {
  begin(1ms);
  put("one");
  publisher.wait([this] { return publisher.count == 1; });
}

TEST_F(PublicationsTest, TheEnd_PublishesWhatIsPending) {
  begin(1h);
  put("one");
  EXPECT_TRUE(publications->end());
  EXPECT_EQ(publisher.count, 1);
  EXPECT_EQ(publish_all(), EIO) << "there is no other";
}

TEST_F(PublicationsTest, ManyWait_TheyShareWhatBeganAfterThem) {
  begin(1h);
  put("one");
  publisher.set([this] { publisher.is_stuck = true; });
  std::vector<std::thread> waiting;
  waiting.emplace_back([this] { EXPECT_EQ(publish_all(), 0); });
  publisher.wait([this] { return publisher.begun == 1; });
  put("two");
  for (int i = 0; i < 10; ++i) waiting.emplace_back([this] { EXPECT_EQ(publish_all(), 0); });
  publisher.set([this] { publisher.is_stuck = false; });
  for (std::thread& thread : waiting) thread.join();
  EXPECT_GE(publisher.count, 2);
  fs::Tree tree(*publisher.root, blocks);
  EXPECT_TRUE(*tree.find({"two"}));
}

TEST_F(PublicationsTest, OneFails_WhoWaitsIsToldAndTheNextHasAll) {
  begin(1h);
  put("one");
  publisher.set([this] { publisher.failure = Unpublished::Why::kTimedOut; });
  EXPECT_EQ(publish_all(), ETIMEDOUT);
  publisher.set([this] { publisher.failure = Unpublished::Why::kNoRoom; });
  EXPECT_EQ(publish_all(), ENOSPC);
  ASSERT_TRUE(publications->unpublished());
  EXPECT_EQ(publications->unpublished()->paths, std::vector<std::string>{"/one"});
  publisher.set([this] { publisher.failure.reset(); });
  EXPECT_EQ(publish_all(), 0);
  EXPECT_FALSE(publications->unpublished());
  EXPECT_TRUE(publications->end());
  EXPECT_EQ(told.size(), 1U) << "once for a series of failures";
}

TEST_F(PublicationsTest, Overtaken_ItIsTheLastAndNothingCanBeChanged) {
  begin(1h);
  put("one");
  publisher.set([this] { publisher.failure = Unpublished::Why::kOvertaken; });
  EXPECT_EQ(publish_all(), EIO);
  publisher.set([this] { publisher.failure.reset(); });
  EXPECT_EQ(publish_all(), EIO);
  EXPECT_EQ(publisher.begun, 1);
  const auto refused = files.create(kRootInode, "two", 0600);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), ErrorNumber{EROFS});
  const auto ended = publications->end();
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().why, Unpublished::Why::kOvertaken);
  EXPECT_EQ(publisher.count, 0);
}

TEST_F(PublicationsTest, WhoGaveUp_WaitsNoLonger) {
  begin(1h);
  put("one");
  publisher.set([this] { publisher.is_stuck = true; });
  GivenUp given_up = false;
  std::thread waiting([&] {
    const auto done = publications->publish_all(&given_up);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error(), ErrorNumber{EINTR});
  });
  publisher.wait([this] { return publisher.begun == 1; });
  given_up = true;
  publications->wake();
  waiting.join();
  publisher.set([this] { publisher.is_stuck = false; });
}

/// The kernel is told, and waits for an operation that waits for a publication.
TEST_F(PublicationsTest, WhileTheKernelIsTold_PublicationsGoOn) {
  fs::Tree theirs = *fs::Tree::empty(blocks, {});
  fs::MemorySource source(as_bytes("theirs"));
  const auto file = fs::import_file(source, blocks);
  ASSERT_TRUE(theirs.put({"theirs"}, *file, {}));
  ASSERT_TRUE(theirs.store(blocks));
  publisher.theirs = theirs.root();
  begin(1h, 1ms, [this](const Changes&) {
    publisher.set([this] { ++publisher.told; });
    publisher.wait([this] { return publisher.count == 1; });
  });
  publisher.wait([this] { return publisher.told == 1; });
  put("one");
  EXPECT_EQ(publish_all(), 0);
  fs::Tree tree(*publisher.root, blocks);
  EXPECT_TRUE(*tree.find({"theirs"}));
  EXPECT_TRUE(*tree.find({"one"}));
  publications->stop_following();
}

TEST_F(PublicationsTest, MuchIsPending_PublishedBeforeItsTime) {
  begin(1h);
  const auto made = files.create(kRootInode, "large", 0600);
  ASSERT_TRUE(made);
  ASSERT_TRUE(files.write(made->file->id, 0, as_bytes(std::string(600'000, 'x'))));
  publications->on_change();
  publisher.wait([this] { return publisher.count == 1; });
  // It is open, so it is stored, and no more.
  fs::Tree tree(*publisher.root, blocks);
  EXPECT_FALSE(*tree.find({"large"}));
  files.close(*made->file);
  EXPECT_EQ(publish_all(), 0);
  EXPECT_EQ(staging->held_bytes(), 0U);
  fs::Tree after(*publisher.root, blocks);
  EXPECT_TRUE(*after.find({"large"}));
}

}  // namespace
}  // namespace rosebud::mount
