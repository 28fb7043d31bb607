#include "objects/leaf_digests.h"

#include "base/check.h"
#include "objects/planted_bugs.h"

namespace rosebud::objects {

static_assert(kLeafBits > 16 && kLeafBits <= 24);  // the first three bytes of a key

LeafNumber leaf_of(const crypto::Digest& key) {
  const LeafNumber first =
      LeafNumber{key.bytes[0]} << 16 | LeafNumber{key.bytes[1]} << 8 | LeafNumber{key.bytes[2]};
  return first >> (24 - kLeafBits);
}

wire::KeyRange leaf_range(LeafNumber leaf) {
  CHECK(leaf < kLeafCount);
  constexpr unsigned kRest = 24 - kLeafBits;
  const auto set = [](crypto::Digest& key, LeafNumber first) {
    key.bytes[0] = static_cast<std::uint8_t>(first >> 16);
    key.bytes[1] = static_cast<std::uint8_t>(first >> 8);
    key.bytes[2] = static_cast<std::uint8_t>(first);
  };
  wire::KeyRange out = wire::whole_key_range();
  set(out.first, leaf << kRest);
  set(out.last, ((leaf + 1) << kRest) - 1);
  return out;
}

void LeafDigests::change(LeafNumber number) {
  ++revision_;
  if (!is_enabled()) return;
  if (is_planted(Bug::kLeafKeptOverWrite)) return;
  Page& page = pages_[number / kPageLeaves];
  if (page.leaves.empty()) {
    page.changed = revision_;
    return;
  }
  State& state = page.leaves[number % kPageLeaves];
  state.changed = revision_;
  state.is_known = false;
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
  pages_.resize(kLeafCount / kPageLeaves, Page{.leaves = {}, .changed = revision_});
}

void LeafDigests::fill(LeafNumber number, const Leaf& leaf, Revision since) {
  if (!is_enabled() || writes_.contains(number)) return;
  Page& page = pages_[number / kPageLeaves];
  if (page.leaves.empty()) {
    if (page.changed > since) return;
    page.leaves.resize(kPageLeaves, State{.changed = page.changed});
  }
  State& state = page.leaves[number % kPageLeaves];
  if (state.changed > since) return;
  state.leaf = leaf;
  state.is_known = true;
}

const LeafDigests::Leaf* LeafDigests::known(LeafNumber number) const {
  if (!is_enabled()) return nullptr;
  const Page& page = pages_[number / kPageLeaves];
  if (page.leaves.empty()) return nullptr;
  const State& state = page.leaves[number % kPageLeaves];
  return state.is_known ? &state.leaf : nullptr;
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
