#include "routing/ring.h"

#include <algorithm>
#include <map>

#include "base/check.h"

namespace rosebud::routing {

crypto::Digest key_after(const crypto::Digest& key) {
  crypto::Digest out = key;
  for (std::size_t i = 32; i-- > 0;) {
    if (++out.bytes[i] != 0) return out;
  }
  CHECK(false && "the last key has no successor on the line");
  return out;
}

crypto::Digest key_before(const crypto::Digest& key) {
  crypto::Digest out = key;
  for (std::size_t i = 32; i-- > 0;) {
    if (out.bytes[i]-- != 0) return out;
  }
  CHECK(false && "zero has no predecessor on the line");
  return out;
}

Ring::Ring(std::vector<Position> positions, std::size_t group_size, std::size_t cap)
    : positions_(std::move(positions)) {
  CHECK(group_size > 0);
  CHECK(cap > 0);
  std::ranges::sort(positions_, {}, &Position::at);
  if (positions_.empty()) return;
  const auto add = [&](const wire::KeyRange& range, std::vector<std::uint32_t> group) {
    if (!arcs_.empty() && arcs_.back().group == group) {
      arcs_.back().range.last = range.last;
    } else {
      arcs_.push_back({.range = range, .group = std::move(group)});
    }
  };
  // A key belongs to the first position at or after it; keys beyond the last position wrap to the
  // first.
  const wire::KeyRange line = wire::whole_key_range();
  crypto::Digest first = line.first;
  for (std::size_t i = 0; i < positions_.size(); ++i) {
    if (i > 0) CHECK(positions_[i - 1].at < positions_[i].at);
    add({first, positions_[i].at}, walk_from(i, group_size, cap));
    if (positions_[i].at == line.last) return;
    first = key_after(positions_[i].at);
  }
  add({first, line.last}, walk_from(0, group_size, cap));
}

std::vector<std::uint32_t> Ring::walk_from(std::size_t index, std::size_t group_size,
                                           std::size_t cap) const {
  std::vector<std::uint32_t> group;
  std::map<std::uint32_t, std::size_t> taken_of;  // organisation -> members
  for (std::size_t step = 0; step < positions_.size() && group.size() < group_size; ++step) {
    const Position& position = positions_[(index + step) % positions_.size()];
    if (std::ranges::find(group, position.node) != group.end()) continue;
    if (taken_of[position.organisation] >= cap) continue;
    ++taken_of[position.organisation];
    group.push_back(position.node);
  }
  return group;
}

std::span<const std::uint32_t> Ring::group(const crypto::Digest& key) const {
  const auto after =
      std::ranges::upper_bound(arcs_, key, {}, [](const Arc& arc) { return arc.range.first; });
  if (after == arcs_.begin()) return {};
  return std::prev(after)->group;
}

}  // namespace rosebud::routing
