// What of a file differs from its published content: extents of bytes that stand in the staging,
// and where the file was cut off.
//
// 1. Nothing that was not written is copied: the rest is read from what is published, and what lies
//    behind its end, or was cut off once, is zeros.
// 2. While it is pinned, every byte that was staged by then stays as it is in its place: whoever
//    pinned it reads one content, however it is written meanwhile.
//
// Not thread-safe, but that who pinned it may read its places.
#pragma once

#include <map>
#include <vector>

#include "mount/staging.h"

namespace rosebud::mount {

class StagedFile {
 public:
  /// `staging` outlives it. `published_bytes`: how much is there already.
  StagedFile(Staging& staging, std::uint64_t published_bytes)
      : staging_(staging),
        published_bytes_(published_bytes),
        shown_bytes_(published_bytes),
        size_(published_bytes) {}
  ~StagedFile();
  StagedFile(const StagedFile&) = delete;
  StagedFile& operator=(const StagedFile&) = delete;

  std::uint64_t size() const { return size_; }
  /// Whether the content may be another one than the published.
  bool is_changed() const {
    return !extents_.empty() || shown_bytes_ != published_bytes_ || size_ != published_bytes_;
  }
  /// ENOSPC, EIO: nothing changed, as far as anybody sees.
  Answer<void> write(std::uint64_t offset, ByteView bytes);
  void truncate(std::uint64_t size);

  enum class From : std::uint8_t { kStaged, kPublished, kZeros };
  struct Piece {
    From from = From::kZeros;
    std::uint64_t offset = 0;  // in the file
    std::uint64_t size = 0;
    Staging::Place place = 0;  // kStaged
  };
  /// Of [offset, offset + count) as far as the file goes, in order.
  std::vector<Piece> pieces(std::uint64_t offset, std::uint64_t count) const;

  /// Requires: not pinned.
  void pin();
  void unpin();
  /// What was there when it was pinned is published, so many bytes: what changed since stays.
  /// Requires: pinned.
  void rebase(std::uint64_t published_bytes);

 private:
  struct Extent {
    Staging::Place place = 0;
    std::uint64_t size = 0;  // > 0
    std::uint64_t room = 0;  // bytes behind it that are its own
    bool is_pinned = false;  // it was there when the file was pinned
  };
  using Extents = std::map<std::uint64_t, Extent>;  // by offset; none overlaps another

  /// The first one that reaches behind `offset`.
  Extents::iterator first_behind(std::uint64_t offset);
  Extents::const_iterator first_behind(std::uint64_t offset) const;
  void add(std::uint64_t offset, const Extent& extent);
  /// Nothing is staged of [begin, end) any more.
  void cut(std::uint64_t begin, std::uint64_t end);
  void let_go(Staging::Place place, std::uint64_t count);

  Staging& staging_;
  std::uint64_t published_bytes_;
  std::uint64_t shown_bytes_;     // of what is published. Invariant: at most both sizes.
  std::uint64_t kept_bytes_ = 0;  // of the content that is pinned: what was not cut off since
  std::uint64_t size_;
  Extents extents_;
  bool is_pinned_ = false;
  std::vector<std::pair<Staging::Place, std::uint64_t>> let_go_later_;  // pinned
};

}  // namespace rosebud::mount
