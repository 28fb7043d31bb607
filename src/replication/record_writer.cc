#include "replication/record_writer.h"

#include <iterator>

namespace rosebud::replication {

RecordWriter::RecordWriter(disk::RecordStore& store, Done done)
    : store_(store), done_(std::move(done)), thread_([this] { run(); }) {}

RecordWriter::~RecordWriter() {
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void RecordWriter::submit(Writes writes) {
  {
    const std::lock_guard lock(mutex_);
    ++waiting_count_;
    for (const auto& write : writes)
      waiting_bytes_ += write.key.size() + (write.value ? write.value->size() : 0);
    waiting_.insert(waiting_.end(), std::make_move_iterator(writes.begin()),
                    std::make_move_iterator(writes.end()));
  }
  changed_.notify_one();
}

std::size_t RecordWriter::waiting_bytes() const {
  const std::lock_guard lock(mutex_);
  return waiting_bytes_;
}

void RecordWriter::run() {
  while (true) {
    Writes together;
    std::uint64_t count = 0;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return is_ending_ || waiting_count_ > 0; });
      if (waiting_count_ == 0) return;
      together = std::exchange(waiting_, {});
      count = std::exchange(waiting_count_, 0);
      waiting_bytes_ = 0;
    }
    const auto status = store_.commit(together);
    done_(status, count);
    if (!status) return;
  }
}

}  // namespace rosebud::replication
