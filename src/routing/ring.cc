#include "routing/ring.h"

#include <algorithm>
#include <utility>

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

namespace {

/// The walk of design 4 from one position, while that position moves against the clock.
///
/// Suppose one organisation has a single position and the cap needs it in every group: a walk from
/// each position would cross the ring each time. Moving back by one position, only its own node can
/// be new, and what it drives out is the farthest of its organisation when that is at the cap, or
/// else the farthest of all.
class Walk {
 public:
  Walk(std::size_t group_size, std::size_t cap) : group_size_(group_size), cap_(cap) {}

  void begin_before(const Position& position) {
    const auto of_organisation = [&](const Position* member) {
      return member->organisation == position.organisation;
    };
    const auto old_place = std::ranges::find(taken_, position.node, &Position::node);
    if (old_place != taken_.end()) {
      taken_.erase(old_place);
    } else if (std::cmp_equal(std::ranges::count_if(taken_, of_organisation), cap_)) {
      const auto farthest = std::find_if(taken_.rbegin(), taken_.rend(), of_organisation);
      taken_.erase(std::next(farthest).base());
    } else if (taken_.size() == group_size_) {
      taken_.pop_back();
    }
    taken_.insert(taken_.begin(), &position);
  }

  std::vector<std::uint32_t> nodes() const {
    std::vector<std::uint32_t> out;
    out.reserve(taken_.size());
    for (const Position* member : taken_) out.push_back(member->node);
    return out;
  }

 private:
  std::size_t group_size_;
  std::size_t cap_;
  std::vector<const Position*> taken_;  // in the order of the walk; at most group_size_
};

}  // namespace

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
  auto groups = groups_by_position(group_size, cap);
  std::vector<std::uint32_t> around_zero = groups.front();
  // A key belongs to the first position at or after it; keys beyond the last position wrap to the
  // first.
  const wire::KeyRange line = wire::whole_key_range();
  crypto::Digest first = line.first;
  for (std::size_t i = 0; i < positions_.size(); ++i) {
    if (i > 0) CHECK(positions_[i - 1].at < positions_[i].at);
    add({first, positions_[i].at}, std::move(groups[i]));
    if (positions_[i].at == line.last) return;
    first = key_after(positions_[i].at);
  }
  add({first, line.last}, std::move(around_zero));
}

std::vector<std::vector<std::uint32_t>> Ring::groups_by_position(std::size_t group_size,
                                                                 std::size_t cap) const {
  std::vector<std::vector<std::uint32_t>> groups(positions_.size());
  Walk walk(group_size, cap);
  // The first round fills the walk; in the second it has seen the whole ring at every position.
  for (std::size_t i = positions_.size(); i-- > 0;) walk.begin_before(positions_[i]);
  for (std::size_t i = positions_.size(); i-- > 0;) {
    walk.begin_before(positions_[i]);
    groups[i] = walk.nodes();
  }
  return groups;
}

const Arc* Ring::arc(const crypto::Digest& key) const {
  const auto after =
      std::ranges::upper_bound(arcs_, key, {}, [](const Arc& one) { return one.range.first; });
  return after == arcs_.begin() ? nullptr : &*std::prev(after);
}

std::span<const std::uint32_t> Ring::group(const crypto::Digest& key) const {
  const Arc* at = arc(key);
  if (!at) return {};
  return at->group;
}

}  // namespace rosebud::routing
