#include "client/files.h"

namespace rosebud::client {
namespace {

/// Enough to keep four replicas busy over a round trip, and little enough for any machine.
constexpr std::size_t kInFlightMax = 64;
constexpr std::size_t kBytesInFlightMax = 24U << 20;
constexpr std::size_t kFetchesMax = 32;

wire::ObjectId object_of(const fs::Cid& cid) { return wire::ObjectId::block(cid.digest); }

}  // namespace

StoreSink::~StoreSink() { finish(); }

Status<Explained> StoreSink::put(const fs::Cid& cid, Buffer block) {
  const std::size_t size = block.size();
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] {
      return failure_ || (in_flight_ < kInFlightMax &&
                          (in_flight_ == 0 || bytes_in_flight_ + size <= kBytesInFlightMax));
    });
    if (failure_) return fail(failure_->explained);
    ++in_flight_;
    bytes_in_flight_ += size;
  }
  session_.write_block(object_of(cid), std::move(block), timeout_,
                       [this, cid, size](objects::OperationResult result) {
                         const bool is_stored = result.outcome == objects::Outcome::kDone;
                         std::optional<Failure> failure;
                         if (!is_stored)
                           failure = failure_of(result, "storing block " + cid.text(), session_);
                         const std::lock_guard lock(mutex_);
                         --in_flight_;
                         bytes_in_flight_ -= size;
                         if (is_stored) stored_bytes_ += size;
                         if (failure && !failure_) failure_ = std::move(failure);
                         changed_.notify_all();
                       });
  return {};
}

std::optional<Failure> StoreSink::finish() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return in_flight_ == 0; });
  return failure_;
}

std::optional<Failure> StoreSink::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

std::uint64_t StoreSink::stored_bytes() const {
  const std::lock_guard lock(mutex_);
  return stored_bytes_;
}

StoreSource::~StoreSource() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return in_flight_ == 0; });
}

/// Requires: mutex_ held.
void StoreSource::start(const crypto::Digest& digest) {
  Fetched& fetched = fetched_[digest];
  if (fetched.is_started) return;
  fetched.is_started = true;
  ++in_flight_;
  session_.read_block(wire::ObjectId::block(digest), timeout_,
                      [this, digest](objects::OperationResult result) {
                        const std::lock_guard lock(mutex_);
                        --in_flight_;
                        fetched_[digest].result = std::move(result);
                        changed_.notify_all();
                      });
}

void StoreSource::prefetch(std::span<const fs::Cid> cids) {
  const std::lock_guard lock(mutex_);
  for (const fs::Cid& cid : cids) {
    if (fetched_.size() >= kFetchesMax) return;
    start(cid.digest);
  }
}

Result<Buffer, Explained> StoreSource::get(const fs::Cid& cid) {
  std::unique_lock lock(mutex_);
  start(cid.digest);
  changed_.wait(lock, [&] { return fetched_[cid.digest].result.has_value(); });
  objects::OperationResult result = std::move(*fetched_[cid.digest].result);
  fetched_.erase(cid.digest);
  lock.unlock();
  if (result.outcome == objects::Outcome::kDone) {
    fetched_bytes_ += result.bytes.size();
    return std::move(result.bytes);
  }
  failure_ = failure_of(result, "reading block " + cid.text(), session_);
  return fail(failure_->explained);
}

}  // namespace rosebud::client
