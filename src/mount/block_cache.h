// Blocks that were fetched and verified, kept in bounded memory and shared by all threads of a
// mount.
//
// 1. A block is on its way once, however many ask for it.
// 2. What is kept is at most what was allowed; whatever was used last stays longest. Blocks that
// are
//    on their way ahead of time come to at most a quarter beside it.
// 3. Everybody who waits has a deadline of its own, and close() ends all waiting: nothing hangs.
//
// A failure is told to all who ask within a second, then asked for again: a kernel makes those who
// look up one name wait for each other, and the last would otherwise wait as often as there are
// others. Thread-safe.
#pragma once

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <functional>
#include <list>
#include <map>
#include <mutex>

#include "base/time.h"
#include "fs/reader.h"
#include "mount/answer.h"

namespace rosebud::mount {

using Clock = std::chrono::steady_clock;
using Deadline = Clock::time_point;
/// Set when whoever asked does not want the answer any more.
using GivenUp = std::atomic<bool>;

class BlockCache {
 public:
  using Done = std::function<void(Result<Buffer, Explained>)>;
  /// Fetches one block and verifies it. `done` is called once, on any thread, also before this
  /// returns, and after `timeout` at the latest; or never, when there is no cache any more.
  using Fetch = std::function<void(const fs::Cid&, Duration timeout, Done done)>;

  BlockCache(Fetch fetch, std::size_t bytes_max);
  /// What is on its way then comes to nobody.
  ~BlockCache();
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;

  /// Waits until `deadline` at most, or until it is given up. What is here is handed out whatever
  /// the time.
  Result<Buffer, Explained> get(const fs::Cid& cid, Deadline deadline,
                                const GivenUp* given_up = nullptr);
  /// What is had anyway. Requires: it is the block of that id.
  void add(const fs::Cid& cid, const Buffer& bytes);
  /// Those who wait look whether they were given up.
  void wake();
  /// These will be asked for soon: fetches as many as may be under way at once.
  void prefetch(std::span<const fs::Cid> cids, Deadline deadline);
  /// From now on whatever is not here fails at once, also for those who wait already.
  void close();

  /// Of prefetch(): more bytes ahead than these only push each other out.
  std::size_t ahead_bytes_max() const { return ahead_count_max_ * kBlockSizeMax; }
  std::size_t kept_bytes() const;

 private:
  /// No block is larger.
  static constexpr std::size_t kBlockSizeMax = 2U << 20;
  /// Fetches that keep a few replicas busy over a round trip.
  static constexpr std::size_t kAheadCountMax = 32;
  static constexpr std::chrono::seconds kFailureKeptFor{1};
  static constexpr std::size_t kFailuresMax = 1'000;

  struct Kept {
    Buffer bytes;
    std::list<crypto::Digest>::iterator used;
  };
  /// One fetch; whoever waits for it shares it.
  struct Flight {
    std::optional<Result<Buffer, Explained>> result;
  };

  /// By which what comes finds the cache, if there is one.
  struct Way {
    std::mutex mutex;
    BlockCache* cache = nullptr;  // under the mutex
  };
  struct Failed {
    Clock::time_point when;
    Explained explained;
  };

  using Lock = std::unique_lock<std::mutex>;
  /// Nothing: it is on its way already. Releases the lock while it starts.
  std::shared_ptr<Flight> start(Lock& lock, const fs::Cid& cid, Deadline deadline);
  void finish(const crypto::Digest& digest, const std::shared_ptr<Flight>& flight,
              Result<Buffer, Explained> result);
  void keep(const crypto::Digest& digest, const Buffer& bytes);
  Explained keep_failure(const crypto::Digest& digest, Explained explained);

  const std::shared_ptr<Way> way_ = std::make_shared<Way>();
  const Fetch fetch_;
  const std::size_t bytes_max_;
  const std::size_t ahead_count_max_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool is_closed_ = false;
  std::map<crypto::Digest, Kept> kept_;
  std::list<crypto::Digest> used_;  // the latest first. Invariant: the keys of kept_.
  std::size_t kept_bytes_ = 0;      // Invariant: kept_bytes_ <= bytes_max_.
  std::map<crypto::Digest, std::shared_ptr<Flight>> flights_;
  std::map<crypto::Digest, Failed> failures_;
};

/// The cache as one operation sees it: until its deadline, or until whoever asked gives up.
class OperationSource final : public fs::BlockSource {
 public:
  OperationSource(BlockCache& cache, Duration timeout, const GivenUp* given_up = nullptr)
      : cache_(cache), deadline_(Clock::now() + timeout), given_up_(given_up) {}

  Result<Buffer, Explained> get(const fs::Cid& cid) override;
  void prefetch(std::span<const fs::Cid> cids) override { cache_.prefetch(cids, deadline_); }
  bool is_late() const { return Clock::now() >= deadline_; }
  bool is_given_up() const { return given_up_ && *given_up_; }

 private:
  BlockCache& cache_;
  Deadline deadline_;
  const GivenUp* given_up_;
};

/// What cannot be had or makes no sense. People see the number alone: a mount has nobody to tell.
inline std::unexpected<ErrorNumber> refuse(const OperationSource& source) {
  return refuse(source.is_given_up() ? EINTR : source.is_late() ? ETIMEDOUT : EIO);
}

}  // namespace rosebud::mount
