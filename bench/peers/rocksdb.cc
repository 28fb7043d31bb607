// RocksDB alone, in the driver's process: one thread for each operation in flight. Writes are
// synced; RocksDB itself commits in one go what waits together.
#include <rocksdb/db.h>
#include <rocksdb/options.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "driver.h"

namespace rosebud::peers {
namespace {

/// Runs what it is given, in order, on a thread of its own.
class Lane {
 public:
  Lane() : thread_([this] { run(); }) {}
  ~Lane() {
    give({});
    thread_.join();
  }
  void give(std::function<void()> work) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(work));
    changed_.notify_one();
  }

 private:
  void run() {
    for (;;) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return !waiting_.empty(); });
      const auto work = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      if (!work) return;
      work();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> waiting_;
  std::thread thread_;
};

class RocksDb : public System {
 public:
  explicit RocksDb(const Options& options) : lanes_(options.in_flight) {
    rocksdb::Options settings;
    settings.create_if_missing = true;
    rocksdb::DB* db = nullptr;
    const auto opened = rocksdb::DB::Open(settings, options.folder.string(), &db);
    if (!opened.ok()) throw Failure{"opening the database: " + opened.ToString()};
    db_.reset(db);
  }

  void write(std::size_t record, Bytes value, load::Ended ended) override {
    lane_of(record).give([this, record, value = std::move(value), ended = std::move(ended)] {
      rocksdb::WriteOptions synced;
      synced.sync = true;
      ended(failure_of(db_->Put(synced, key_of(record), rocksdb::Slice(as_text(value)))));
    });
  }

  void read(std::size_t record, load::Ended ended) override {
    lane_of(record).give([this, record, ended = std::move(ended)] {
      std::string value;
      ended(failure_of(db_->Get(rocksdb::ReadOptions(), key_of(record), &value)));
    });
  }

 private:
  static std::string key_of(std::size_t record) { return "record-" + std::to_string(record); }
  static std::string_view failure_of(const rocksdb::Status& status) {
    if (status.ok()) return {};
    return status.IsNotFound() ? "not_found" : "storage_error";
  }
  Lane& lane_of(std::size_t record) { return lanes_[record % lanes_.size()]; }

  std::unique_ptr<rocksdb::DB> db_;
  std::vector<Lane> lanes_;  // ends before the database closes
};

}  // namespace
}  // namespace rosebud::peers

int main(int argc, char** argv) {
  using namespace rosebud::peers;
  return drive(argc, argv,
               {.open = [](const Options& options) { return std::make_unique<RocksDb>(options); }});
}
