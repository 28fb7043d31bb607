#include "disk/group_commit.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <future>

#include "disk/test_support.h"

namespace rosebud::disk {
namespace {

class GroupCommitTest : public DiskTest {
 protected:
  /// Submits a note whose completion blocks the committer until the returned promise is set.
  static std::promise<void> hold_up(GroupCommitter& committer) {
    std::promise<void> release;
    std::promise<void> reached;
    auto is_reached = reached.get_future();
    EXPECT_TRUE(committer.try_submit(
        {wire::PutNote{.name = {'h'}, .value = {1}}},
        [released = release.get_future().share(),
         reached = std::make_shared<std::promise<void>>(std::move(reached))](auto) {
          reached->set_value();
          released.wait();
        }));
    is_reached.wait();
    return release;
  }
};

TEST_F(GroupCommitTest, ManyWriters_ShareSyncs) {
  const auto store = open();
  std::atomic<int> done{0};
  GroupCommitter::Statistics statistics;
  {
    GroupCommitter committer(*store);
    std::promise<void> release;
    const auto released = release.get_future().share();
    // The first completion blocks the committer until everything else is queued.
    ASSERT_TRUE(committer.try_submit(put(block("first")), [released](auto) { released.wait(); }));
    for (int i = 0; i < 100; ++i) {
      ASSERT_TRUE(committer.try_submit(put(block(std::to_string(i))),
                                       [&](auto status) { done += status ? 1 : 0; }));
    }
    release.set_value();
    while (done < 100) std::this_thread::yield();
    statistics = committer.statistics();
  }
  EXPECT_EQ(statistics.batches, 101U);
  EXPECT_LE(statistics.commits, 3U);
}

TEST_F(GroupCommitTest, FullQueue_TakesNothingAndRecovers) {
  const auto store = open();
  std::atomic<int> done{0};
  const auto count = [&done](auto status) { done += status ? 1 : 0; };
  GroupCommitter committer(*store, 250);
  std::promise<void> release = hold_up(committer);
  // A single batch over the bound is taken by an empty queue: otherwise it could never be written.
  ASSERT_TRUE(committer.try_submit(put(block(std::string(1000, 'a'))), count));
  auto refused = put(block("b"));
  EXPECT_FALSE(committer.try_submit(std::move(refused), count));
  EXPECT_EQ(refused.size(), 1U);
  release.set_value();
  while (done < 1) std::this_thread::yield();
  EXPECT_TRUE(committer.try_submit(std::move(refused), count));
  while (done < 2) std::this_thread::yield();
  EXPECT_TRUE(store->load(block("b").id, wire::LoadPart::kAll)->has_value());
}

// One writer without room must not take the others down with it.
TEST_F(GroupCommitTest, NoSpaceForContent_LetsNotesAndDeletesThrough) {
  const auto store = open();
  ASSERT_TRUE(commit(*store, put(block("old"))));
  free_bytes = 800;
  std::promise<Status<wire::StorageError>> content;
  std::promise<Status<wire::StorageError>> gone;
  GroupCommitter committer(*store);
  std::promise<void> release = hold_up(committer);
  ASSERT_TRUE(
      committer.try_submit(put(block("new")), [&](auto status) { content.set_value(status); }));
  ASSERT_TRUE(committer.try_submit({wire::DeleteObject{block("old").id}},
                                   [&](auto status) { gone.set_value(status); }));
  release.set_value();
  EXPECT_EQ(content.get_future().get(), fail(wire::StorageError::kNoSpace));
  EXPECT_TRUE(gone.get_future().get().has_value());
  EXPECT_FALSE(store->load(block("old").id, wire::LoadPart::kAll)->has_value());
  EXPECT_FALSE(store->load(block("new").id, wire::LoadPart::kAll)->has_value());
}

TEST_F(GroupCommitTest, Ending_CommitsWhatWaits) {
  const auto store = open();
  int done = 0;
  {
    GroupCommitter committer(*store);
    for (int i = 0; i < 20; ++i) {
      ASSERT_TRUE(committer.try_submit(put(block(std::to_string(i))),
                                       [&done](auto status) { done += status ? 1 : 0; }));
    }
  }
  EXPECT_EQ(done, 20);
}

// Later batches win, in one group as in several.
TEST_F(GroupCommitTest, BatchesKeepTheirOrder) {
  const auto store = open();
  {
    GroupCommitter committer(*store);
    for (std::uint8_t i = 1; i <= 200; ++i) {
      ASSERT_TRUE(committer.try_submit({wire::PutNote{.name = {'n'}, .value = {i}}}, [](auto) {}));
    }
  }
  const auto notes = store->notes("n");
  ASSERT_TRUE(notes.has_value());
  ASSERT_EQ(notes->size(), 1U);
  EXPECT_EQ(notes->front().second, Bytes{200});
}

// kill -9 in the middle of writing: what was reported over the pipe must be there.
TEST_F(GroupCommitTest, KilledWriter_LosesNothingAcknowledged) {
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

}  // namespace
}  // namespace rosebud::disk
