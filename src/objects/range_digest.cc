#include "objects/range_digest.h"

#include "base/check.h"
#include "objects/planted_bugs.h"

namespace rosebud::objects {
namespace {

using Key = crypto::Digest;

/// a - b as numbers of 256 bits. Requires: a >= b.
Key minus(const Key& a, const Key& b) {
  Key out;
  int borrow = 0;
  for (int i = 31; i >= 0; --i) {
    const auto at = static_cast<std::size_t>(i);
    int digit = int{a.bytes[at]} - int{b.bytes[at]} - borrow;
    borrow = digit < 0 ? 1 : 0;
    out.bytes[at] = static_cast<std::uint8_t>(digit & 0xff);
  }
  return out;
}

Key plus(const Key& a, const Key& b) {
  Key out;
  int carry = 0;
  for (int i = 31; i >= 0; --i) {
    const auto at = static_cast<std::size_t>(i);
    const int digit = int{a.bytes[at]} + int{b.bytes[at]} + carry;
    out.bytes[at] = static_cast<std::uint8_t>(digit & 0xff);
    carry = digit >> 8;
  }
  return out;
}

/// A sixteenth, rounded down.
Key sixteenth(const Key& a) {
  Key out;
  int high = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    out.bytes[i] = static_cast<std::uint8_t>((high << 4) | (a.bytes[i] >> 4));
    high = a.bytes[i] & 0xf;
  }
  return out;
}

Key one() {
  Key out;
  out.bytes[31] = 1;
  return out;
}

}  // namespace

static_assert(wire::kRangePartsMax == 16);

std::vector<wire::KeyRange> split(const wire::KeyRange& range) {
  CHECK(range.first <= range.last);
  const Key step = sixteenth(minus(range.last, range.first));
  std::vector<wire::KeyRange> parts;
  Key first = range.first;
  // A narrow range is cut key by key until it is used up.
  while (parts.size() + 1 < wire::kRangePartsMax) {
    const Key last = plus(first, step);
    if (last >= range.last || last < first) break;
    parts.push_back({first, last});
    first = plus(last, one());
  }
  parts.push_back({first, range.last});
  return parts;
}

RangeDigest::RangeDigest(const wire::KeyRange& range) {
  for (const wire::KeyRange& part : split(range)) {
    parts_.push_back({.range = part, .hasher = crypto::Hasher("rosebud range 1")});
  }
}

void RangeDigest::add(const wire::IndexEntry& entry) {
  while (!parts_[part_].range.contains(entry.id.placement)) {
    ++part_;
    CHECK(part_ < parts_.size());
  }
  Part& part = parts_[part_];
  const std::uint8_t damaged = entry.is_damaged ? 1 : 0;
  if (!is_planted(Bug::kFingerprintOfCount)) part.hasher.update(entry.id.encode().view());
  if (!is_planted(Bug::kFingerprintOfCount)) part.hasher.update(entry.state.view());
  part.hasher.update({&damaged, 1});
  ++part.count;
  ++count_;
  if (count_ <= wire::kRangeEntriesMax) {
    entries_.push_back({.id = entry.id, .state = entry.state, .is_damaged = entry.is_damaged});
  }
}

RangeDigest::Summary RangeDigest::finish() {
  Summary out{.count = count_};
  crypto::Hasher whole("rosebud ranges 1");
  for (Part& part : parts_) {
    out.parts.push_back(
        {.range = part.range, .fingerprint = part.hasher.finish(), .count = part.count});
    whole.update(out.parts.back().fingerprint.view());
  }
  out.fingerprint = whole.finish();
  if (count_ <= wire::kRangeEntriesMax) out.entries = std::move(entries_);
  return out;
}

}  // namespace rosebud::objects
