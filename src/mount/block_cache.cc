#include "mount/block_cache.h"

#include <algorithm>

namespace rosebud::mount {
namespace {

Explained too_late(const fs::Cid& cid) {
  return {.what = "block " + cid.text() + " did not come in time",
          .cause = "too many replicas are slow or cannot be reached",
          .next = "see `rosebud status`"};
}

Explained given_up_by_asker() { return {.what = "whoever asked does not wait any more"}; }
Explained closed() { return {.what = "the mount is ending"}; }

}  // namespace

BlockCache::BlockCache(Fetch fetch, std::size_t bytes_max)
    : fetch_(std::move(fetch)),
      bytes_max_(bytes_max),
      ahead_count_max_(std::clamp<std::size_t>(bytes_max / 4 / kBlockSizeMax, 1, kAheadCountMax)) {
  way_->cache = this;
}

BlockCache::~BlockCache() {
  const std::lock_guard lock(way_->mutex);
  way_->cache = nullptr;
}

Result<Buffer, Explained> BlockCache::get(const fs::Cid& cid, Deadline deadline,
                                          const GivenUp* given_up) {
  const auto is_given_up = [given_up] { return given_up && *given_up; };
  Lock lock(mutex_);
  while (true) {
    if (const auto at = kept_.find(cid.digest); at != kept_.end()) {
      used_.splice(used_.begin(), used_, at->second.used);
      return at->second.bytes;
    }
    if (is_closed_) return fail(closed());
    if (is_given_up()) return fail(given_up_by_asker());
    if (const auto at = failures_.find(cid.digest); at != failures_.end()) {
      if (Clock::now() < at->second.when + kFailureKeptFor) return fail(at->second.explained);
      failures_.erase(at);
    }
    if (Clock::now() >= deadline) return fail(too_late(cid));
    const auto started = start(lock, cid, deadline);
    const auto at = flights_.find(cid.digest);
    const auto flight = started ? started : at == flights_.end() ? nullptr : at->second;
    if (!flight) continue;  // it came meanwhile
    changed_.wait_until(lock, deadline,
                        [&] { return flight->result.has_value() || is_closed_ || is_given_up(); });
    if (!flight->result && is_closed_) return fail(closed());
    if (!flight->result && is_given_up()) return fail(given_up_by_asker());
    if (!flight->result) return fail(keep_failure(cid.digest, too_late(cid)));
    if (*flight->result) return **flight->result;
    // Who began it may have had less time.
    if (started) return fail(keep_failure(cid.digest, flight->result->error()));
  }
}

std::shared_ptr<BlockCache::Flight> BlockCache::start(Lock& lock, const fs::Cid& cid,
                                                      Deadline deadline) {
  const auto [at, is_new] = flights_.try_emplace(cid.digest);
  if (!is_new) return nullptr;
  auto flight = at->second = std::make_shared<Flight>();
  lock.unlock();
  const auto left = std::chrono::duration_cast<Duration>(deadline - Clock::now());
  fetch_(cid, std::max(left, Duration(1)),
         [way = way_, digest = cid.digest, flight](Result<Buffer, Explained> result) {
           const std::lock_guard held(way->mutex);
           if (way->cache) way->cache->finish(digest, flight, std::move(result));
         });
  lock.lock();
  return flight;
}

void BlockCache::finish(const crypto::Digest& digest, const std::shared_ptr<Flight>& flight,
                        Result<Buffer, Explained> result) {
  const std::lock_guard lock(mutex_);
  if (result) keep(digest, *result);
  flight->result = std::move(result);
  flights_.erase(digest);
  changed_.notify_all();
}

void BlockCache::add(const fs::Cid& cid, const Buffer& bytes) {
  const std::lock_guard lock(mutex_);
  keep(cid.digest, bytes);
}

/// Requires: mutex_ held.
void BlockCache::keep(const crypto::Digest& digest, const Buffer& bytes) {
  if (bytes.size() > bytes_max_ || kept_.contains(digest)) return;
  while (kept_bytes_ + bytes.size() > bytes_max_) {
    const auto oldest = kept_.find(used_.back());
    kept_bytes_ -= oldest->second.bytes.size();
    kept_.erase(oldest);
    used_.pop_back();
  }
  used_.push_front(digest);
  kept_.emplace(digest, Kept{.bytes = bytes, .used = used_.begin()});
  kept_bytes_ += bytes.size();
}

/// Requires: mutex_ held.
Explained BlockCache::keep_failure(const crypto::Digest& digest, Explained explained) {
  if (failures_.size() >= kFailuresMax) failures_.clear();
  failures_.insert_or_assign(digest, Failed{.when = Clock::now(), .explained = explained});
  return explained;
}

void BlockCache::prefetch(std::span<const fs::Cid> cids, Deadline deadline) {
  Lock lock(mutex_);
  for (const fs::Cid& cid : cids) {
    if (is_closed_ || flights_.size() >= ahead_count_max_) return;
    if (!kept_.contains(cid.digest)) start(lock, cid, deadline);
  }
}

void BlockCache::wake() {
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

void BlockCache::close() {
  const std::lock_guard lock(mutex_);
  is_closed_ = true;
  changed_.notify_all();
}

std::size_t BlockCache::kept_bytes() const {
  const std::lock_guard lock(mutex_);
  return kept_bytes_;
}

Result<Buffer, Explained> OperationSource::get(const fs::Cid& cid) {
  // A DAG of blocks that are all here may still be endless.
  if (is_late()) return fail(too_late(cid));
  return cache_.get(cid, deadline_, given_up_);
}

}  // namespace rosebud::mount
