#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/random.h"
#include "load/generator.h"

namespace rosebud::load {
namespace {

using std::chrono::milliseconds;

TEST(Histogram, Percentiles_AgreeWithTheSortedSamples) {
  Random random(7);
  Histogram histogram;
  std::vector<std::int64_t> samples;
  for (int i = 0; i < 20'000; ++i) {
    const auto width = random.below(36);
    const auto us = static_cast<std::int64_t>(random.below(std::uint64_t{1} << width));
    samples.push_back(us);
    histogram.record(Duration(us));
  }
  std::ranges::sort(samples);
  for (const double share : {0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const std::size_t rank = std::max<std::size_t>(
        1, static_cast<std::size_t>(std::ceil(share * static_cast<double>(samples.size()))));
    const std::int64_t right = samples[rank - 1];
    const std::int64_t found = histogram.percentile(share).count();
    EXPECT_GE(found, right) << share;
    EXPECT_LE(found, right + right / 64 + 1) << share;
  }
  EXPECT_EQ(histogram.max().count(), samples.back());
  EXPECT_EQ(histogram.count(), samples.size());
}

TEST(Histogram, Merged_IsAsIfRecordedInOne) {
  Histogram one;
  Histogram two;
  Histogram both;
  for (int us : {1, 5, 900}) one.record(Duration(us)), both.record(Duration(us));
  for (int us : {70, 80'000}) two.record(Duration(us)), both.record(Duration(us));
  one.merge(two);
  for (const double share : {0.2, 0.5, 0.9, 1.0})
    EXPECT_EQ(one.percentile(share), both.percentile(share));
  EXPECT_EQ(one.mean(), both.mean());
}

TEST(Histogram, Empty_IsZeroEverywhere) {
  const Histogram histogram;
  EXPECT_EQ(histogram.percentile(0.99), Duration::zero());
  EXPECT_EQ(histogram.mean(), Duration::zero());
}

/// A server of one thread that takes the requests one by one and stalls once.
class Server {
 public:
  explicit Server(milliseconds stall_at, milliseconds stall)
      : stall_at_(std::chrono::steady_clock::now() + stall_at), stall_(stall) {
    thread_ = std::jthread([this](const std::stop_token& stop) { serve(stop); });
  }
  void ask(Ended ended) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(ended));
    changed_.notify_one();
  }

 private:
  void serve(const std::stop_token& stop) {
    while (true) {
      std::unique_lock lock(mutex_);
      if (!changed_.wait(lock, stop, [this] { return !waiting_.empty(); })) return;
      if (!has_stalled_ && std::chrono::steady_clock::now() >= stall_at_) {
        has_stalled_ = true;
        changed_.wait_for(lock, stop, stall_, [] { return false; });
      }
      const Ended ended = std::move(waiting_.front());
      waiting_.erase(waiting_.begin());
      lock.unlock();
      ended({});
    }
  }
  std::chrono::steady_clock::time_point stall_at_;
  milliseconds stall_;
  bool has_stalled_ = false;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::vector<Ended> waiting_;
  std::jthread thread_;
};

TEST(FixedRate, ServerStalls_EverythingThatWasDueMeanwhileIsCharged) {
  Server server(milliseconds(100), milliseconds(200));
  const auto measured = run({.in_flight = 4,
                             .per_second = 1000,
                             .warm_up = Duration::zero(),
                             .measured = milliseconds(500)},
                            [&](std::size_t, Ended ended) { server.ask(std::move(ended)); });
  // 200 of 500 operations were due during the stall, though only 4 could be under way: at least a
  // fifth of all waited 50 ms or more. A generator that forgets what was due shows 4 slow ones.
  EXPECT_EQ(measured.latency.count(), 500U);
  EXPECT_GE(measured.latency.percentile(0.8), milliseconds(50));
}

TEST(ClosedLoop, KeepsItsLanesBusyAndCountsFailures) {
  Server server(milliseconds(0), milliseconds(0));
  std::atomic<std::size_t> under_way = 0;
  std::atomic<std::size_t> most = 0;
  std::atomic<std::uint64_t> number = 0;
  const auto measured =
      run({.in_flight = 8, .warm_up = milliseconds(20), .measured = milliseconds(100)},
          [&](std::size_t lane, Ended ended) {
            EXPECT_LT(lane, 8U);
            most = std::max<std::size_t>(most, ++under_way);
            server.ask([&, ended](std::string_view) {
              --under_way;
              ended(number++ % 10 == 0 ? "no_quorum" : "");
            });
          });
  EXPECT_EQ(under_way, 0U);
  EXPECT_EQ(most, 8U);
  EXPECT_GT(measured.latency.count(), 0U);
  EXPECT_GT(measured.failures.at("no_quorum"), 0U);
  EXPECT_EQ(measured.elapsed, milliseconds(100));
}

TEST(RunEach, StartsAllAndNeverMoreAtOnceThanAllowed) {
  std::mutex mutex;
  std::vector<std::size_t> begun;
  std::vector<std::thread> threads;
  std::size_t at_once = 0;
  std::size_t most = 0;
  const auto failure = run_each(40, 3, [&](std::size_t i, Ended ended) {
    const std::lock_guard lock(mutex);
    begun.push_back(i);
    most = std::max(most, ++at_once);
    threads.emplace_back([&, ended = std::move(ended)] {
      {
        const std::lock_guard guard(mutex);
        --at_once;
      }
      ended("");
    });
  });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(failure, "");
  EXPECT_EQ(begun.size(), 40U);
  EXPECT_TRUE(std::ranges::is_sorted(begun));
  EXPECT_LE(most, 3U);
}

TEST(RunEach, AFailure_IsNamedAndEndsIt) {
  std::size_t begun = 0;
  const auto failure = run_each(40, 1, [&](std::size_t i, const Ended& ended) {
    ++begun;
    ended(i < 7 ? "" : "no_quorum");
  });
  EXPECT_EQ(failure, "no_quorum");
  EXPECT_EQ(begun, 8U);
}

}  // namespace
}  // namespace rosebud::load
