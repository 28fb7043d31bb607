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

GroupCommitter::GroupCommitter(Store& store) : store_(store), thread_([this] { run(); }) {}

GroupCommitter::~GroupCommitter() {
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void GroupCommitter::submit(std::vector<wire::StorageWrite> writes, Done done) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back({std::move(writes), std::move(done)});
  }
  changed_.notify_one();
}

void GroupCommitter::run() {
  while (true) {
    std::vector<Waiting> together;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return is_ending_ || !queue_.empty(); });
      if (queue_.empty()) return;
      std::uint64_t bytes = 0;
      while (!queue_.empty() && bytes < kTogetherBytesMax) {
        bytes += size_of(queue_.front().writes);
        together.push_back(std::move(queue_.front()));
        queue_.pop_front();
      }
      ++statistics_.commits;
      statistics_.batches += together.size();
    }
    commit(together);
  }
}

void GroupCommitter::commit(std::vector<Waiting>& together) {
  std::vector<const std::vector<wire::StorageWrite>*> batches;
  for (const Waiting& one : together) batches.push_back(&one.writes);
  const auto status = store_.commit(batches);
  if (status || together.size() == 1) {
    for (Waiting& one : together) one.done(status);
    return;
  }
  // Nothing of it was written. Small writes may still fit where the whole did not.
  for (Waiting& one : together) one.done(store_.commit({&one.writes}));
}

GroupCommitter::Statistics GroupCommitter::statistics() const {
  const std::lock_guard lock(mutex_);
  return statistics_;
}

}  // namespace rosebud::disk
