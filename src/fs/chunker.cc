#include "fs/chunker.h"

#include <algorithm>
#include <array>

#include "crypto/hash.h"

namespace rosebud::fs {
namespace {

constexpr std::size_t kHashBits = 64;
/// Highest bits that must be zero for a cut: two more than the normal size says (2^19), so that few
/// chunks are much shorter, and two fewer from the normal size on, so that few are much longer.
constexpr std::size_t kStrictBits = 21;
constexpr std::size_t kEasyBits = 17;

using GearTable = std::array<std::uint64_t, 256>;

/// Numbers that mean nothing, one for each value of a byte. Hashed rather than drawn: whoever reads
/// the page of the format can make them.
GearTable make_gear() {
  GearTable out{};
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto byte = static_cast<std::uint8_t>(i);
    const crypto::Digest digest = crypto::tagged_hash("rosebud gear 1", ByteView(&byte, 1));
    for (const std::uint8_t one : digest.view().first(sizeof(std::uint64_t)))
      out[i] = out[i] << 8 | one;
  }
  return out;
}

}  // namespace

std::size_t content_cut(ByteView bytes) {
  static const GearTable gear = make_gear();
  const std::size_t size = std::min(bytes.size(), kChunkSize);
  const std::size_t normal = std::min(size, kContentChunkNormal);
  std::uint64_t hash = 0;
  std::size_t at = std::min(size, kContentChunkMin);
  for (; at < normal; ++at) {
    hash = (hash << 1) + gear[bytes[at]];
    if (hash >> (kHashBits - kStrictBits) == 0) return at + 1;
  }
  for (; at < size; ++at) {
    hash = (hash << 1) + gear[bytes[at]];
    if (hash >> (kHashBits - kEasyBits) == 0) return at + 1;
  }
  return size;
}

Status<Explained> Chunker::fill() {
  if (is_at_end_) return {};
  const std::size_t kept = ahead_.size();
  ahead_.resize(kChunkSize);
  std::size_t filled = kept;
  while (filled < ahead_.size() && !is_at_end_) {
    const auto n = source_.read(std::span(ahead_).subspan(filled));
    if (!n) return fail(n.error());
    is_at_end_ = *n == 0;
    filled += *n;
  }
  ahead_.resize(filled);
  return {};
}

Result<Bytes, Explained> Chunker::next() {
  if (auto filled = fill(); !filled) return fail(filled.error());
  const std::size_t cut = chunking_ == Chunking::kFixed ? ahead_.size() : content_cut(ahead_);
  if (cut == ahead_.size()) {
    Bytes whole = std::exchange(ahead_, {});
    if (whole.size() < kChunkSize) whole.shrink_to_fit();
    return whole;
  }
  const auto end = ahead_.begin() + static_cast<std::ptrdiff_t>(cut);
  Bytes chunk(ahead_.begin(), end);
  ahead_.erase(ahead_.begin(), end);
  return chunk;
}

}  // namespace rosebud::fs
