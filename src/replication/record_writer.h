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

  /// Thread-safe. What waits is bounded by who submits: a replica waits for what it persisted.
  void submit(Writes writes);

 private:
  void run();

  disk::RecordStore& store_;
  Done done_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Writes waiting_;
  std::uint64_t waiting_count_ = 0;
  bool is_ending_ = false;
  std::thread thread_;
};

}  // namespace rosebud::replication
