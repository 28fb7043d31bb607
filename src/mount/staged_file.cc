#include "mount/staged_file.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace rosebud::mount {
namespace {

/// Of a new extent: whoever appends a line at a time makes few of them. It costs no disk.
constexpr std::uint64_t kRoomMin = 256 << 10;

}  // namespace

StagedFile::~StagedFile() {
  staging_.count_extents(-static_cast<std::ptrdiff_t>(extents_.size()));
  for (const auto& [place, count] : let_go_later_) staging_.let_go(place, count);
  for (const auto& [offset, extent] : extents_) staging_.let_go(extent.place, extent.size);
}

StagedFile::Extents::const_iterator StagedFile::first_behind(std::uint64_t offset) const {
  auto at = extents_.upper_bound(offset);
  if (at != extents_.begin()) {
    const auto before = std::prev(at);
    if (before->first + before->second.size > offset) at = before;
  }
  return at;
}

StagedFile::Extents::iterator StagedFile::first_behind(std::uint64_t offset) {
  const auto at = std::as_const(*this).first_behind(offset);
  return extents_.erase(at, at);  // the same, to change
}

Answer<void> StagedFile::write(std::uint64_t offset, ByteView bytes) {
  if (bytes.empty()) return {};
  const std::uint64_t end = offset + bytes.size();
  const auto over = first_behind(offset);
  if (over != extents_.end() && !over->second.is_pinned && over->first <= offset &&
      over->first + over->second.size >= end)
    return staging_.overwrite(over->second.place + (offset - over->first), bytes);
  const auto next = extents_.lower_bound(offset);
  const auto before = next == extents_.begin() ? extents_.end() : std::prev(next);
  if (before != extents_.end() && before->first + before->second.size == offset &&
      !before->second.is_pinned && before->second.room >= bytes.size()) {
    Extent& extent = before->second;
    if (auto held = staging_.hold(extent.place + extent.size, bytes); !held) return held;
    cut(offset, end);  // behind it: it stays as it is
    extent.size += bytes.size();
    extent.room -= bytes.size();
  } else {
    const std::uint64_t room = std::max<std::uint64_t>(bytes.size(), kRoomMin);
    const auto place = staging_.put(bytes, room);
    if (!place) return fail(place.error());
    cut(offset, end);
    add(offset, {.place = *place, .size = bytes.size(), .room = room - bytes.size()});
  }
  size_ = std::max(size_, end);
  return {};
}

void StagedFile::truncate(std::uint64_t size) {
  if (size < size_) cut(size, std::numeric_limits<std::uint64_t>::max());
  shown_bytes_ = std::min(shown_bytes_, size);
  kept_bytes_ = std::min(kept_bytes_, size);
  size_ = size;
}

void StagedFile::add(std::uint64_t offset, const Extent& extent) {
  extents_.emplace(offset, extent);
  staging_.count_extents(1);
}

void StagedFile::cut(std::uint64_t begin, std::uint64_t end) {
  auto at = first_behind(begin);
  while (at != extents_.end() && at->first < end) {
    const std::uint64_t start = at->first;
    const Extent extent = at->second;
    const std::uint64_t stop = start + extent.size;
    at = extents_.erase(at);
    staging_.count_extents(-1);
    // What is cut off at its end is its own no longer.
    if (start < begin)
      add(start,
          {.place = extent.place, .size = begin - start, .room = 0, .is_pinned = extent.is_pinned});
    if (stop > end) {
      add(end, {.place = extent.place + (end - start),
                .size = stop - end,
                .room = extent.room,
                .is_pinned = extent.is_pinned});
    }
    const std::uint64_t from = std::max(start, begin);
    let_go(extent.place + (from - start), std::min(stop, end) - from);
  }
}

void StagedFile::let_go(Staging::Place place, std::uint64_t count) {
  if (is_pinned_) {
    let_go_later_.emplace_back(place, count);
  } else {
    staging_.let_go(place, count);
  }
}

void StagedFile::pin() {
  CHECK(!is_pinned_);
  is_pinned_ = true;
  kept_bytes_ = size_;
  for (auto& [offset, extent] : extents_) extent.is_pinned = true;
}

void StagedFile::unpin() {
  CHECK(is_pinned_);
  is_pinned_ = false;
  for (auto& [offset, extent] : extents_) extent.is_pinned = false;
  for (const auto& [place, count] : let_go_later_) staging_.let_go(place, count);
  let_go_later_.clear();
}

void StagedFile::rebase(std::uint64_t published_bytes) {
  CHECK(is_pinned_);
  for (auto at = extents_.begin(); at != extents_.end();) {
    if (!at->second.is_pinned) {
      ++at;
      continue;
    }
    let_go(at->second.place, at->second.size);
    at = extents_.erase(at);
    staging_.count_extents(-1);
  }
  published_bytes_ = published_bytes;
  shown_bytes_ = kept_bytes_;
}

std::vector<StagedFile::Piece> StagedFile::pieces(std::uint64_t offset, std::uint64_t count) const {
  std::vector<Piece> out;
  if (offset >= size_) return out;
  const std::uint64_t end = offset + std::min(count, size_ - offset);
  auto next = first_behind(offset);
  while (offset < end) {
    Piece piece{.offset = offset};
    if (next != extents_.end() && next->first <= offset) {
      piece.from = From::kStaged;
      piece.place = next->second.place + (offset - next->first);
      piece.size = std::min(end, next->first + next->second.size) - offset;
      ++next;
    } else {
      const std::uint64_t gap = next == extents_.end() ? end : std::min(end, next->first);
      piece.from = offset < shown_bytes_ ? From::kPublished : From::kZeros;
      piece.size = (piece.from == From::kPublished ? std::min(gap, shown_bytes_) : gap) - offset;
    }
    offset += piece.size;
    out.push_back(piece);
  }
  return out;
}

}  // namespace rosebud::mount
