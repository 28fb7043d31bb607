// Bytes that were written and are not published yet, on this machine's disk: one unlinked file in
// which everybody gets places.
//
// 1. It is gone with the process: what was not published is then absent, never half there.
// 2. It holds at most what was allowed, in at most kExtentsMax extents; beyond, ENOSPC.
// 3. A place is an offset that is given out once while anything is held, so places that are let go
//    become holes. All of them let go: it begins anew.
//
// Thread-safe; who writes and reads one place at the same time sees to that.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <mutex>

#include "base/bytes.h"
#include "mount/answer.h"

namespace rosebud::mount {

class Staging {
 public:
  using Place = std::uint64_t;
  /// Each takes some 100 bytes of memory.
  static constexpr std::size_t kExtentsMax = 1'000'000;

  /// In `folder`, which is there. `bytes_max`: of what is held.
  static Result<std::unique_ptr<Staging>, Explained> open(const std::filesystem::path& folder,
                                                          std::uint64_t bytes_max);
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  /// Writes the bytes to a place of their own, behind which hold() may add up to `room` bytes in
  /// all. Requires: some bytes, no more than `room`. ENOSPC, EIO: nothing is held.
  Answer<Place> put(ByteView bytes, std::uint64_t room);
  /// Writes there, and holds it from now on. Requires: it is in the room behind what is held.
  /// ENOSPC, EIO: it is not held.
  Answer<void> hold(Place place, ByteView bytes);
  /// Writes over what is held.
  Answer<void> overwrite(Place place, ByteView bytes);
  Answer<void> read(Place place, std::span<std::uint8_t> into) const;
  /// Requires: held.
  void let_go(Place place, std::uint64_t count);

  /// Of who remembers where things stand: how many more or fewer extents there are.
  void count_extents(std::ptrdiff_t more) { extents_count_ += more; }
  std::size_t extents_count() const { return static_cast<std::size_t>(extents_count_.load()); }

  std::uint64_t held_bytes() const;
  std::uint64_t bytes_max() const { return bytes_max_; }

 private:
  Staging(int fd, std::uint64_t bytes_max) : fd_(fd), bytes_max_(bytes_max) {}
  Answer<void> write(Place place, ByteView bytes);
  Answer<void> write_held(Place place, ByteView bytes);

  const int fd_;
  const std::uint64_t bytes_max_;
  mutable std::mutex mutex_;
  std::uint64_t held_ = 0;  // bytes. Invariant: held_ <= bytes_max_.
  Place end_ = 0;           // what lies behind was given to nobody
  std::atomic<std::ptrdiff_t> extents_count_ = 0;
};

}  // namespace rosebud::mount
