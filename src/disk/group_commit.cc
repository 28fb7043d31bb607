#include "disk/group_commit.h"

namespace rosebud::disk {
namespace {

/// One batch is in memory several times over (queue, batch, log buffer); beyond this a second sync
/// is cheaper.
constexpr std::uint64_t kTogetherBytesMax = 16U << 20;

std::uint64_t size_of(const std::vector<wire::StorageWrite>& writes) {
  std::uint64_t bytes = 0;
  for (const auto& write : writes) {
    if (const auto* put = std::get_if<wire::PutObject>(&write)) bytes += put->object.content.size();
  }
  return bytes;
}

}  // namespace

GroupCommitter::GroupCommitter(Store& store, std::uint64_t queue_bytes_max)
    : store_(store), queue_bytes_max_(queue_bytes_max), thread_([this] { run(); }) {}

GroupCommitter::~GroupCommitter() {
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

bool GroupCommitter::try_submit(std::vector<wire::StorageWrite>&& writes, Done&& done) {
  const std::uint64_t bytes = size_of(writes);
  {
    const std::lock_guard lock(mutex_);
    const bool is_full =
        queue_bytes_ + bytes > queue_bytes_max_ || queue_.size() >= kQueueBatchesMax;
    if (is_full && !queue_.empty()) return false;
    queue_bytes_ += bytes;
    queue_.push_back({std::move(writes), std::move(done), bytes});
  }
  changed_.notify_one();
  return true;
}

void GroupCommitter::run() {
  while (true) {
    std::vector<Waiting> together;
    // In quiet moments, step by step: whoever comes meanwhile waits for one step.
    while (is_idle() && store_.reclaim()) {
    }
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return is_ending_ || !queue_.empty(); });
      if (queue_.empty()) return;
      std::uint64_t bytes = 0;
      while (!queue_.empty() &&
             (together.empty() || bytes + queue_.front().bytes <= kTogetherBytesMax)) {
        bytes += queue_.front().bytes;
        together.push_back(std::move(queue_.front()));
        queue_.pop_front();
      }
      queue_bytes_ -= bytes;
      statistics_.batches += together.size();
      statistics_.bytes += bytes;
    }
    commit(together);
  }
}

bool GroupCommitter::is_idle() const {
  const std::lock_guard lock(mutex_);
  return queue_.empty() && !is_ending_;
}

Status<wire::StorageError> GroupCommitter::commit_timed(
    const std::vector<const std::vector<wire::StorageWrite>*>& batches) {
  const auto begin = std::chrono::steady_clock::now();
  const auto status = store_.commit(batches);
  const auto took = std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - begin);
  const std::lock_guard lock(mutex_);
  ++statistics_.commits;
  statistics_.commit_time += took;
  return status;
}

void GroupCommitter::commit(std::vector<Waiting>& together) {
  std::vector<const std::vector<wire::StorageWrite>*> batches;
  for (const Waiting& one : together) batches.push_back(&one.writes);
  const auto status = commit_timed(batches);
  const bool is_shared_refusal =
      !status && status.error() == wire::StorageError::kNoSpace && together.size() > 1;
  if (!is_shared_refusal) {
    for (Waiting& one : together) one.done(status);
    return;
  }
  // Nothing of it was written. Deletes and small writes may still fit where the whole did not.
  for (Waiting& one : together) one.done(commit_timed({&one.writes}));
}

GroupCommitter::Statistics GroupCommitter::statistics() const {
  const std::lock_guard lock(mutex_);
  return statistics_;
}

}  // namespace rosebud::disk
