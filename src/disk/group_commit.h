// Many writers, one sync: a thread that commits everything that is waiting in one synced batch
// (design 13).
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "disk/store.h"

namespace rosebud::disk {

class GroupCommitter {
 public:
  using Done = std::function<void(Status<wire::StorageError>)>;

  explicit GroupCommitter(Store& store);
  /// Commits what is queued, then ends.
  ~GroupCommitter();

  /// `done` is called on the committer's thread when the writes are durable, or were refused as a
  /// whole. Commits keep the order of submission.
  void submit(std::vector<wire::StorageWrite> writes, Done done);

  struct Statistics {
    std::uint64_t commits = 0;  // syncs
    std::uint64_t batches = 0;  // what was submitted
  };
  Statistics statistics() const;

 private:
  struct Waiting {
    std::vector<wire::StorageWrite> writes;
    Done done;
  };
  void run();
  void commit(std::vector<Waiting>& together);

  Store& store_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Waiting> queue_;
  bool is_ending_ = false;
  Statistics statistics_;
  std::thread thread_;
};

}  // namespace rosebud::disk
