// Many writers, one sync: a thread that commits everything that is waiting in one synced batch
// (design 13).
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "base/time.h"
#include "disk/store.h"

namespace rosebud::disk {

/// What may wait for a commit: four times what one commit takes.
inline constexpr std::uint64_t kQueueBytesMax = 64U << 20;
/// Batches that may wait, whatever their size.
inline constexpr std::size_t kQueueBatchesMax = 16'384;

class GroupCommitter {
 public:
  using Done = std::function<void(Status<wire::StorageError>)>;

  /// At most `queue_bytes_max` of content wait (one batch of any size when nothing does).
  explicit GroupCommitter(Store& store, std::uint64_t queue_bytes_max = kQueueBytesMax);
  /// Commits what is queued, then ends.
  ~GroupCommitter();

  /// `done` is called once, on the committer's thread, when the writes are durable or were refused
  /// as a whole. Commits keep the order of submission. False when the queue is full: nothing was
  /// taken, and `done` is not called.
  [[nodiscard]] bool try_submit(std::vector<wire::StorageWrite>&& writes, Done&& done);

  struct Statistics {
    std::uint64_t commits = 0;  // syncs
    std::uint64_t batches = 0;  // what was submitted
    std::uint64_t bytes = 0;    // of content
    Duration commit_time{};     // spent in commits
  };
  Statistics statistics() const;

 private:
  struct Waiting {
    std::vector<wire::StorageWrite> writes;
    Done done;
    std::uint64_t bytes = 0;
  };
  void run();
  bool is_idle() const;
  Status<wire::StorageError> commit_timed(
      const std::vector<const std::vector<wire::StorageWrite>*>& batches);
  void commit(std::vector<Waiting>& together);

  Store& store_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Waiting> queue_;
  std::uint64_t queue_bytes_ = 0;
  const std::uint64_t queue_bytes_max_;
  bool is_ending_ = false;
  Statistics statistics_;
  std::thread thread_;
};

}  // namespace rosebud::disk
