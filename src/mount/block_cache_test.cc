#include "mount/block_cache.h"

#include <gtest/gtest.h>

#include <thread>

namespace rosebud::mount {
namespace {

using namespace std::chrono_literals;

Buffer block_of(std::uint8_t fill, std::size_t size) { return Buffer(Bytes(size, fill)); }
fs::Cid cid_of(const Buffer& block) { return fs::Cid::of(fs::Codec::kRaw, block.view()); }

/// Holds every fetch until the test ends it.
struct Fetches {
  struct One {
    fs::Cid cid;
    Duration timeout;
    BlockCache::Done done;
  };
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<One> begun;

  BlockCache::Fetch function() {
    return [this](const fs::Cid& cid, Duration timeout, BlockCache::Done done) {
      const std::lock_guard lock(mutex);
      begun.push_back({.cid = cid, .timeout = timeout, .done = std::move(done)});
      changed.notify_all();
    };
  }
  std::size_t count() {
    const std::lock_guard lock(mutex);
    return begun.size();
  }
  /// The one of that index, as soon as it has begun.
  BlockCache::Done wait_for(std::size_t index) {
    std::unique_lock lock(mutex);
    EXPECT_TRUE(changed.wait_for(lock, 20s, [&] { return begun.size() > index; }));
    return begun.at(index).done;
  }
};

Deadline far() { return Clock::now() + 60s; }

TEST(BlockCache, WhatSeveralAskForIsFetchedOnceAndKept) {
  Fetches fetches;
  const Buffer block = block_of(1, 1000);
  BlockCache cache(fetches.function(), 1 << 20);
  const fs::Cid cid = cid_of(block);
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i) {
    readers.emplace_back([&] {
      const auto got = cache.get(cid, far());
      ASSERT_TRUE(got);
      EXPECT_EQ(*got, block);
    });
  }
  fetches.wait_for(0)(block);
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(fetches.count(), 1);
  // It is here whatever the time.
  EXPECT_TRUE(cache.get(cid, Clock::now() - 1s));
  EXPECT_EQ(cache.kept_bytes(), 1000);
}

TEST(BlockCache, WhatWasUsedLastStaysWithinTheBound) {
  constexpr std::size_t kSize = 1000;
  std::map<fs::Cid, Buffer> store;
  std::vector<fs::Cid> asked;
  BlockCache cache(
      [&](const fs::Cid& cid, Duration, const BlockCache::Done& done) {
        asked.push_back(cid);
        done(store.at(cid));
      },
      4 * kSize);
  std::vector<fs::Cid> cids;
  for (std::uint8_t i = 0; i < 6; ++i) {
    const Buffer block = block_of(i, kSize);
    cids.push_back(cid_of(block));
    store.emplace(cids.back(), block);
  }
  for (std::size_t i = 0; i < 4; ++i) ASSERT_TRUE(cache.get(cids[i], far()));
  ASSERT_TRUE(cache.get(cids[0], far()));
  ASSERT_TRUE(cache.get(cids[4], far()));  // in the place of 1
  ASSERT_TRUE(cache.get(cids[0], far()));
  EXPECT_EQ(asked.size(), 5);
  EXPECT_EQ(cache.kept_bytes(), 4 * kSize);
  ASSERT_TRUE(cache.get(cids[1], far()));
  EXPECT_EQ(asked.size(), 6);
  EXPECT_EQ(cache.kept_bytes(), 4 * kSize);
  // One that is larger than all is handed out, and pushes nothing out.
  const Buffer large = block_of(9, 5 * kSize);
  store.emplace(cid_of(large), large);
  EXPECT_EQ(*cache.get(cid_of(large), far()), large);
  EXPECT_EQ(cache.kept_bytes(), 4 * kSize);
}

TEST(BlockCache, WhoComesLaterIsNotBoundToAnEarlierDeadline) {
  Fetches fetches;
  const Buffer block = block_of(1, 10);
  const fs::Cid cid = cid_of(block);
  BlockCache cache(fetches.function(), 1 << 20);
  const std::vector<fs::Cid> ahead{cid};
  cache.prefetch(ahead, Clock::now() + 1s);
  EXPECT_LE(fetches.begun.at(0).timeout, 1s);
  std::thread reader([&] {
    const auto got = cache.get(cid, far());
    ASSERT_TRUE(got);
    EXPECT_EQ(*got, block);
  });
  fetches.wait_for(0)(fail(Explained{.what = "late"}));
  fetches.wait_for(1)(block);
  reader.join();
}

TEST(BlockCache, AFailureIsToldForAWhileThenAskedForAgain) {
  int asked = 0;
  BlockCache cache(
      [&](const fs::Cid&, Duration, const BlockCache::Done& done) {
        if (++asked == 1) return done(fail(Explained{.what = "lost"}));
        done(block_of(1, 10));
      },
      1 << 20);
  const fs::Cid cid = cid_of(block_of(1, 10));
  const auto begin = Clock::now();
  for (bool is_first = true; !cache.get(cid, far()); is_first = false) {
    EXPECT_TRUE(is_first || asked == 1);
    ASSERT_LT(Clock::now(), begin + 20s);
    std::this_thread::yield();
  }
  EXPECT_EQ(asked, 2);
  EXPECT_GE(Clock::now(), begin + 1s);
}

TEST(BlockCache, NobodyWaitsBeyondItsDeadlineOrTheEnd) {
  Fetches fetches;
  const fs::Cid cid = cid_of(block_of(1, 10));
  BlockCache cache(fetches.function(), 1 << 20);
  EXPECT_FALSE(cache.get(cid, Clock::now() + 5ms));
  std::thread reader([&] { EXPECT_FALSE(cache.get(cid, far())); });
  cache.close();
  reader.join();
  EXPECT_FALSE(cache.get(cid_of(block_of(2, 10)), far()));
  EXPECT_EQ(fetches.count(), 1);
  fetches.wait_for(0)(fail(Explained{.what = "late"}));
}

TEST(BlockCache, WhoGaveUpWaitsNoLonger) {
  Fetches fetches;
  const Buffer block = block_of(1, 10);
  BlockCache cache(fetches.function(), 1 << 20);
  GivenUp given_up = false;
  std::thread one([&] { EXPECT_FALSE(cache.get(cid_of(block), far(), &given_up)); });
  std::thread other([&] { EXPECT_TRUE(cache.get(cid_of(block), far())); });
  const auto done = fetches.wait_for(0);
  given_up = true;
  cache.wake();
  one.join();
  done(block);
  other.join();
  EXPECT_EQ(fetches.count(), 1);
  EXPECT_TRUE(cache.get(cid_of(block), far(), &given_up));  // it is here
}

TEST(BlockCache, WhatComesAfterItsEndComesToNobody) {
  Fetches fetches;
  {
    BlockCache cache(fetches.function(), 1 << 20);
    const std::vector<fs::Cid> ahead{cid_of(block_of(1, 10))};
    cache.prefetch(ahead, far());
  }
  fetches.wait_for(0)(block_of(1, 10));
}

TEST(BlockCache, FewAreFetchedAheadAtOnce) {
  Fetches fetches;
  {
    BlockCache cache(fetches.function(), 32U << 20);
    std::vector<fs::Cid> cids;
    for (std::uint8_t i = 0; i < 100; ++i) cids.push_back(cid_of(block_of(i, 10)));
    cache.prefetch(cids, far());
    EXPECT_EQ(fetches.count(), 4);  // of two mebibytes: a quarter of the cache
    EXPECT_EQ(cache.ahead_bytes_max(), 8U << 20);
    cache.prefetch(cids, far());
    EXPECT_EQ(fetches.count(), 4);
    for (const auto& one : fetches.begun) one.done(block_of(0, 10));
    cache.prefetch(cids, far());
    EXPECT_EQ(fetches.count(), 8);
    for (std::size_t i = 4; i < 8; ++i) fetches.begun.at(i).done(block_of(0, 10));
  }
}

TEST(OperationSource, WhatIsHereDoesNotMakeItEndless) {
  BlockCache cache(
      [](const fs::Cid&, Duration, const BlockCache::Done& done) { done(block_of(1, 10)); },
      1 << 20);
  OperationSource now(cache, 60s);
  const fs::Cid cid = cid_of(block_of(1, 10));
  EXPECT_TRUE(now.get(cid));
  EXPECT_FALSE(now.is_late());
  OperationSource late(cache, Duration(-1));
  EXPECT_FALSE(late.get(cid));
  EXPECT_TRUE(late.is_late());
}

}  // namespace
}  // namespace rosebud::mount
