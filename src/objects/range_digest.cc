#include "objects/range_digest.h"

#include "base/check.h"
#include "objects/planted_bugs.h"
#include "routing/ring.h"

namespace rosebud::objects {
namespace {

using Key = crypto::Digest;

/// A key as a number of 256 bits, the highest word first.
using Words = std::array<std::uint64_t, 4>;

Words words_of(const Key& key) {
  Words out{};
  for (std::size_t i = 0; i < Key::kSize; ++i) out[i / 8] = out[i / 8] << 8 | key.bytes[i];
  return out;
}

Key key_of(const Words& words) {
  Key out;
  for (std::size_t i = 0; i < Key::kSize; ++i) {
    out.bytes[i] = static_cast<std::uint8_t>(words[i / 8] >> (56 - 8 * (i % 8)));
  }
  return out;
}

/// a - b. Requires: a >= b.
Words minus(const Words& a, const Words& b) {
  Words out{};
  std::uint64_t borrow = 0;
  for (std::size_t i = 4; i-- > 0;) {
    out[i] = a[i] - b[i] - borrow;
    borrow = a[i] < b[i] || (a[i] == b[i] && borrow == 1) ? 1 : 0;
  }
  return out;
}

/// a + b + carry, as long as it fits.
Words plus(const Words& a, const Words& b, std::uint64_t carry = 0) {
  Words out{};
  for (std::size_t i = 4; i-- > 0;) {
    out[i] = a[i] + b[i] + carry;
    carry = out[i] < a[i] || (out[i] == a[i] && carry == 1) ? 1 : 0;
  }
  return out;
}

/// A sixteenth, rounded down.
Words sixteenth(const Words& a) {
  Words out{};
  for (std::size_t i = 0; i < 4; ++i) out[i] = a[i] >> 4 | (i > 0 ? a[i - 1] << 60 : 0);
  return out;
}

crypto::Hasher part_hasher() { return crypto::Hasher("rosebud range 3"); }

const crypto::Digest& empty_part() {
  static const crypto::Digest fingerprint = part_hasher().finish();
  return fingerprint;
}

}  // namespace

static_assert(wire::kRangePartsMax == 16);

std::vector<wire::KeyRange> split(const wire::KeyRange& range) {
  CHECK(range.first <= range.last);
  const Words end = words_of(range.last);
  Words first = words_of(range.first);
  const Words step = sixteenth(minus(end, first));
  std::vector<wire::KeyRange> parts;
  parts.reserve(wire::kRangePartsMax);
  // A narrow range is cut key by key until it is used up.
  while (parts.size() + 1 < wire::kRangePartsMax) {
    const Words last = plus(first, step);
    if (last >= end || last < first) break;
    parts.push_back({key_of(first), key_of(last)});
    first = plus(last, {}, 1);
  }
  parts.push_back({key_of(first), range.last});
  return parts;
}

RangeDigest::RangeDigest(const wire::KeyRange& range, LeafDigests& leaves, std::size_t entries_max)
    : leaves_(&leaves),
      entries_max_(entries_max),
      // Few entries are listed one by one, so they must be read.
      uses_known_(leaves.known_entries(range) > entries_max),
      rest_(range) {
  CHECK(entries_max <= wire::kRangeEntriesMax);
  parts_.reserve(wire::kRangePartsMax);
  for (const wire::KeyRange& part : split(range)) parts_.push_back({.range = part});
}

// ---- What must be read ----

std::optional<RangeDigest::Scan> RangeDigest::next_scan() {
  if (scan_) {  // the rest of it
    since_ = leaves_->revision();
    return scan_;
  }
  if (uses_known_) take_known();
  if (is_done_) return std::nullopt;
  scan_ = Scan{.range = unknown_run(), .after = std::nullopt};
  since_ = leaves_->revision();
  const LeafNumber first = leaf_of(rest_.first);
  next_leaf_ = leaf_range(first).first == rest_.first ? first : first + 1;
  return scan_;
}

/// Takes over the leaves that are known, up to the first that is not.
void RangeDigest::take_known() {
  while (!is_done_) {
    const LeafNumber number = leaf_of(rest_.first);
    const wire::KeyRange whole = leaf_range(number);
    while (rest_.first > parts_[part_].range.last) ++part_;
    const LeafDigests::Leaf* leaf = leaves_->known(number);
    if (!leaf || whole.first != rest_.first || !is_in_part(whole)) return;
    if (leaf->count > 0) add_to_part(number, *leaf);
    count_ += leaf->count;
    is_done_ = whole.last == rest_.last;
    if (!is_done_) rest_.first = routing::key_after(whole.last);
  }
}

/// From here to the next leaf that take_known() can take.
wire::KeyRange RangeDigest::unknown_run() const {
  if (!uses_known_) return rest_;
  std::size_t part = part_;
  for (LeafNumber number = leaf_of(rest_.first) + 1; number < kLeafCount; ++number) {
    const wire::KeyRange whole = leaf_range(number);
    if (whole.last > rest_.last) break;
    while (whole.first > parts_[part].range.last) ++part;
    const bool is_taken = leaves_->known(number) && whole.last <= parts_[part].range.last;
    if (is_taken) return {rest_.first, routing::key_before(whole.first)};
  }
  return rest_;
}

// ---- What was read ----

void RangeDigest::add(const wire::Scanned& scanned) {
  CHECK(scan_.has_value());
  for (const wire::IndexEntry& entry : scanned.entries) add(entry);
  if (!scanned.is_whole && !scanned.entries.empty()) {
    scan_->after = scanned.entries.back().id;
    return;
  }
  if (cell_) close_cell();
  const crypto::Digest last = scan_->range.last;
  scan_.reset();
  const LeafNumber end = leaf_of(last);
  fill_empty(leaf_range(end).last == last ? end + 1 : end);
  is_done_ = last == rest_.last;
  if (!is_done_) rest_.first = routing::key_after(last);
}

void RangeDigest::add(const wire::IndexEntry& entry) {
  const crypto::Digest& key = entry.id.placement;
  const LeafNumber leaf = leaf_of(key);
  const bool is_next_part = key > parts_[part_].range.last;
  if (cell_ && (is_next_part || cell_->leaf != leaf)) close_cell();
  while (key > parts_[part_].range.last) {
    ++part_;
    CHECK(part_ < parts_.size());
  }
  if (!cell_) open_cell(leaf);
  const std::uint8_t damaged = entry.is_damaged ? 1 : 0;
  if (!is_planted(Bug::kFingerprintOfCount)) cell_->hasher.update(entry.id.encode().view());
  if (!is_planted(Bug::kFingerprintOfCount)) cell_->hasher.update(entry.state.view());
  cell_->hasher.update({&damaged, 1});
  ++cell_->count;
  if (entries_.size() < entries_max_)
    entries_.push_back({.id = entry.id, .state = entry.state, .is_damaged = entry.is_damaged});
  // A store this large is worth remembering what was read of it.
  if (++count_ > entries_max_) leaves_->enable();
}

void RangeDigest::open_cell(LeafNumber leaf) {
  fill_empty(leaf);
  cell_ = Cell{.leaf = leaf, .hasher = crypto::Hasher("rosebud leaf 1"), .since = since_};
  cell_->is_whole_leaf = leaf >= next_leaf_ && is_in_part(leaf_range(leaf));
  next_leaf_ = std::max(next_leaf_, leaf + 1);
}

void RangeDigest::close_cell() {
  const LeafDigests::Leaf leaf{.fingerprint = cell_->hasher.finish(), .count = cell_->count};
  if (cell_->is_whole_leaf) leaves_->fill(cell_->leaf, leaf, cell_->since);
  add_to_part(cell_->leaf, leaf);
  cell_.reset();
}

/// The leaves up to `end` that the scan passed hold nothing.
void RangeDigest::fill_empty(LeafNumber end) {
  if (leaves_->is_enabled()) {
    for (LeafNumber number = next_leaf_; number < end; ++number)
      leaves_->fill(number, {.fingerprint = {}, .count = 0}, since_);
  }
  next_leaf_ = std::max(next_leaf_, end);
}

bool RangeDigest::is_in_part(const wire::KeyRange& range) const {
  const wire::KeyRange& part = parts_[part_].range;
  return part.first <= range.first && range.last <= part.last;
}

void RangeDigest::add_to_part(LeafNumber leaf, const LeafDigests::Leaf& cell) {
  Part& part = parts_[part_];
  if (!part.hasher) part.hasher = part_hasher();
  part.hasher->update_u64(leaf);
  part.hasher->update(cell.fingerprint.view());
  part.count += cell.count;
}

RangeDigest::Summary RangeDigest::finish() {
  CHECK(is_done_);
  Summary out{.count = count_};
  out.parts.reserve(parts_.size());
  crypto::Hasher whole("rosebud ranges 2");
  for (Part& part : parts_) {
    out.parts.push_back({.range = part.range,
                         .fingerprint = part.hasher ? part.hasher->finish() : empty_part(),
                         .count = part.count});
    whole.update(out.parts.back().fingerprint.view());
  }
  out.fingerprint = whole.finish();
  if (count_ <= entries_max_) out.entries = std::move(entries_);
  return out;
}

}  // namespace rosebud::objects
