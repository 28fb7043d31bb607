// Blocks of files in and out of a cluster, several in flight, with bounded memory.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>

#include "client/session.h"
#include "fs/importer.h"
#include "fs/reader.h"

namespace rosebud::client {

/// Stores blocks; put() waits while too much is in flight. Call finish() before believing anything
/// is stored.
class StoreSink final : public fs::BlockSink {
 public:
  StoreSink(Session& session, Duration timeout) : session_(session), timeout_(timeout) {}
  ~StoreSink() override;

  Status<Explained> put(const fs::Cid& cid, Buffer block) override;
  /// Waits for everything. The first failure, with its exit code, if any.
  std::optional<Failure> finish();
  std::optional<Failure> failure() const;
  std::uint64_t stored_bytes() const;

 private:
  Session& session_;
  Duration timeout_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t in_flight_ = 0;
  std::size_t bytes_in_flight_ = 0;
  std::uint64_t stored_bytes_ = 0;
  std::optional<Failure> failure_;
};

/// Fetches blocks; what was announced by prefetch() is already on its way when get() asks for it.
class StoreSource final : public fs::BlockSource {
 public:
  StoreSource(Session& session, Duration timeout) : session_(session), timeout_(timeout) {}
  ~StoreSource() override;

  Result<Buffer, Explained> get(const fs::Cid& cid) override;
  void prefetch(std::span<const fs::Cid> cids) override;
  std::optional<Failure> failure() const { return failure_; }
  std::uint64_t fetched_bytes() const { return fetched_bytes_; }

 private:
  struct Fetched {
    std::optional<objects::OperationResult> result;
    bool is_started = false;
  };
  void start(const crypto::Digest& digest);

  Session& session_;
  Duration timeout_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<crypto::Digest, Fetched> fetched_;
  std::size_t in_flight_ = 0;
  std::uint64_t fetched_bytes_ = 0;
  std::optional<Failure> failure_;
};

}  // namespace rosebud::client
