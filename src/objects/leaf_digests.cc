#include "objects/leaf_digests.h"

#include "base/check.h"
#include "objects/planted_bugs.h"

namespace rosebud::objects {

LeafNumber leaf_of(const crypto::Digest& key) {
  return LeafNumber{key.bytes[0]} << 8 | LeafNumber{key.bytes[1]};
}

wire::KeyRange leaf_range(LeafNumber leaf) {
  CHECK(leaf < kLeafCount);
  wire::KeyRange out = wire::whole_key_range();
  for (crypto::Digest* end : {&out.first, &out.last}) {
    end->bytes[0] = static_cast<std::uint8_t>(leaf >> 8);
    end->bytes[1] = static_cast<std::uint8_t>(leaf);
  }
  return out;
}

void LeafDigests::change(LeafNumber number) {
  ++revision_;
  if (!is_enabled()) return;
  if (is_planted(Bug::kLeafKeptOverWrite)) return;
  leaves_[number].changed = revision_;
  leaves_[number].is_known = false;
}

void LeafDigests::begin_write(const crypto::Digest& key) {
  ++writes_[leaf_of(key)];
  change(leaf_of(key));
}

void LeafDigests::end_write(const crypto::Digest& key) {
  const auto at = writes_.find(leaf_of(key));
  CHECK(at != writes_.end());
  if (--at->second == 0) writes_.erase(at);
  change(leaf_of(key));
}

void LeafDigests::enable() {
  if (is_enabled()) return;
  // What changed before was not written down: no scan under way may leave anything.
  ++revision_;
  leaves_.resize(kLeafCount, State{.changed = revision_});
}

void LeafDigests::fill(LeafNumber number, const Leaf& leaf, Revision since) {
  if (!is_enabled()) return;
  State& state = leaves_[number];
  if (state.changed > since || writes_.contains(number)) return;
  state.leaf = leaf;
  state.is_known = true;
}

const LeafDigests::Leaf* LeafDigests::known(LeafNumber number) const {
  if (!is_enabled() || !leaves_[number].is_known) return nullptr;
  return &leaves_[number].leaf;
}

std::size_t LeafDigests::known_entries(const wire::KeyRange& range) const {
  std::size_t entries = 0;
  if (!is_enabled()) return 0;
  const LeafNumber last = leaf_of(range.last);
  for (LeafNumber number = leaf_of(range.first); number <= last; ++number) {
    const Leaf* leaf = known(number);
    if (!leaf || leaf->count == 0) continue;
    const wire::KeyRange whole = leaf_range(number);
    if (range.first <= whole.first && whole.last <= range.last) entries += leaf->count;
  }
  return entries;
}

}  // namespace rosebud::objects
