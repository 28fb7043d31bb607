// Many commits, one sync: a thread that writes everything that is waiting in one batch.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "disk/record_store.h"

namespace rosebud::replication {

class RecordWriter {
 public:
  using Writes = std::vector<disk::RecordStore::Write>;
  /// On the writer's thread: the next `count` of what was submitted are on disk, or the disk
  /// failed; then nothing is written any more.
  using Done = std::function<void(Status<Explained>, std::uint64_t count)>;

  /// `store` must outlive it.
  RecordWriter(disk::RecordStore& store, Done done);
  /// Writes what is waiting, then ends.
  ~RecordWriter();

  /// Thread-safe. Who submits bounds what waits: by waiting_bytes().
  void submit(Writes writes);
  /// Of keys and values that no commit has taken yet.
  std::size_t waiting_bytes() const;

 private:
  void run();

  disk::RecordStore& store_;
  Done done_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Writes waiting_;
  std::size_t waiting_bytes_ = 0;
  std::uint64_t waiting_count_ = 0;
  bool is_ending_ = false;
  std::thread thread_;
};

}  // namespace rosebud::replication
