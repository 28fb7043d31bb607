#include "routing/ring.h"

#include <algorithm>
#include <set>
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

std::vector<std::uint32_t> nodes_of(const std::vector<const Position*>& taken) {
  std::vector<std::uint32_t> out;
  out.reserve(taken.size());
  for (const Position* member : taken) out.push_back(member->node);
  return out;
}

/// The walk of design 4 from one position, while that position moves against the clock.
///
/// Suppose one organisation has a single position and the cap needs it in every group: a walk from
/// each position would cross the ring each time. Moving back by one position, only its own node can
/// be new, and what it drives out is the farthest of its organisation when that is at the cap, or
/// else the farthest of all.
class Walk {
 public:
  /// `taken`: what the walk takes that begins where this one stands.
  Walk(std::size_t group_size, std::size_t cap, std::vector<const Position*> taken)
      : group_size_(group_size), cap_(cap), taken_(std::move(taken)) {}

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

  bool takes(std::uint32_t node) const {
    return std::ranges::find(taken_, node, &Position::node) != taken_.end();
  }
  std::vector<std::uint32_t> nodes() const { return nodes_of(taken_); }

 private:
  std::size_t group_size_;
  std::size_t cap_;
  std::vector<const Position*> taken_;  // in the order of the walk; at most group_size_
};

/// Whether the two are neighbours on the line with one group, `one` first.
bool is_continued(const Arc& one, const Arc& next) {
  return one.group == next.group && one.range.last < next.range.first &&
         key_after(one.range.last) == next.range.first;
}

/// Ascending pieces, with those merged that are neighbours and have one group.
std::vector<Arc> merged(std::vector<Arc> pieces) {
  std::vector<Arc> out;
  for (Arc& piece : pieces) {
    if (!out.empty() && is_continued(out.back(), piece)) {
      out.back().range.last = piece.range.last;
    } else {
      out.push_back(std::move(piece));
    }
  }
  return out;
}

/// Adds `by` to the number of nodes of each organisation, a node once however many positions.
void count_nodes(std::vector<std::uint32_t>& nodes_of, const std::vector<Position>& positions,
                 std::uint32_t by) {
  std::vector<std::pair<std::uint32_t, std::uint32_t>> nodes;
  nodes.reserve(positions.size());
  for (const Position& one : positions) nodes.emplace_back(one.node, one.organisation);
  std::ranges::sort(nodes);
  const auto doubled = std::ranges::unique(nodes);
  nodes.erase(doubled.begin(), doubled.end());
  for (const auto& [node, organisation] : nodes) {
    if (organisation >= nodes_of.size()) nodes_of.resize(organisation + 1);
    nodes_of[organisation] += by;
  }
}

}  // namespace

// ---- Making one ----

Ring::Ring(std::vector<Position> positions, std::size_t group_size, std::size_t cap) {
  count_nodes(nodes_of_, positions, 1);
  positions_ = Positions(std::move(positions));
  organisations_in_.resize(positions_.bucket_count());
  for (std::size_t i = 0; i < organisations_in_.size(); ++i) {
    organisations_in_[i] = organisations_in(i);
  }
  use(group_size, cap);
}

Ring Ring::changed(const std::vector<Position>& gone, const std::vector<Position>& come,
                   std::size_t group_size, std::size_t cap) const {
  Ring out = *this;
  count_nodes(out.nodes_of_, gone, UINT32_MAX);  // less one each
  count_nodes(out.nodes_of_, come, 1);
  out.positions_ = positions_.changed(gone, come);
  out.organisations_in_.resize(out.positions_.bucket_count());
  for (std::size_t i = 0; i < out.organisations_in_.size(); ++i) {
    if (out.positions_.shares_bucket(positions_, i)) continue;
    out.organisations_in_[i] = out.organisations_in(i);
  }
  out.use(group_size, cap);
  return out;
}

void Ring::use(std::size_t group_size, std::size_t cap) {
  CHECK(group_size > 0);
  CHECK(cap > 0);
  group_size_ = group_size;
  cap_ = cap;
  seats_ = 0;
  for (std::uint32_t i = 0; i < nodes_of_.size(); ++i) seats_ += room_of(i);
  seats_ = std::min(seats_, group_size);
}

Ring::Organisations Ring::organisations_in(std::size_t bucket) const {
  Organisations out;
  for (const Position& one : positions_.bucket(bucket)) out.set(one.organisation % out.size());
  return out;
}

/// Most members of a group that this organisation can be.
std::size_t Ring::room_of(std::uint32_t organisation) const {
  return std::min<std::size_t>(nodes_of_[organisation], cap_);
}

// ---- Walking ----

/// Where a key's walk begins: at the first position at or after it; keys beyond the last position
/// wrap to the first. Requires of what follows: the ring is not empty.
Ring::Place Ring::at_or_after(const crypto::Digest& key) const {
  const Place at = positions_.partition_point(key.leading_bits(),
                                              [&](const Position& one) { return one.at < key; });
  return at == positions_.end() ? positions_.begin() : at;
}

Ring::Place Ring::next_around(const Place& at) const {
  const Place next = positions_.next(at);
  return next == positions_.end() ? positions_.begin() : next;
}

Ring::Place Ring::before_around(const Place& at) const {
  return positions_.before(at).value_or(positions_.last());
}

/// Organisations of which a group with these members can still take somebody.
Ring::Organisations Ring::open_after(const std::vector<const Position*>& taken) const {
  std::vector<std::size_t> taken_of(nodes_of_.size());
  for (const Position* one : taken) ++taken_of[one->organisation];
  Organisations out;
  for (std::uint32_t i = 0; i < nodes_of_.size(); ++i) {
    if (taken_of[i] < room_of(i)) out.set(i % out.size());
  }
  return out;
}

/// The first position of this bucket, or of the first after it that has such an organisation.
/// Requires: there is one.
Ring::Place Ring::skip_to(std::size_t bucket, const Organisations& open) const {
  for (std::size_t i = 0; i < organisations_in_.size(); ++i) {
    const std::size_t at = (bucket + i) % organisations_in_.size();
    if ((organisations_in_[at] & open).any()) return {.bucket = at, .index = 0};
  }
  CHECK(false && "no position of an organisation that has nodes");
  return {};
}

/// Suppose one organisation has a single position and the cap needs it in every group: what lies
/// between is passed over by the bucket.
std::vector<const Position*> Ring::taken_from(Place at) const {
  std::vector<const Position*> taken;
  taken.reserve(seats_);
  Organisations open;
  std::size_t open_as_of = SIZE_MAX;
  for (;;) {
    const Position& one = positions_[at];
    const bool is_taken = std::ranges::find(taken, one.node, &Position::node) != taken.end();
    if (!is_taken && std::cmp_less(std::ranges::count(
                                       taken, one.organisation,
                                       [](const Position* member) { return member->organisation; }),
                                   cap_)) {
      taken.push_back(&one);
      if (taken.size() == seats_) return taken;
    }
    const Place next = next_around(at);
    if (next.bucket == at.bucket) {
      at = next;
      if (at.index != 0) continue;
    }
    // A ring of one bucket comes to its begin this way too.
    if (open_as_of != taken.size()) {
      open = open_after(taken);
      open_as_of = taken.size();
    }
    at = skip_to(next.bucket, open);
  }
}

std::vector<std::uint32_t> Ring::group_from(const Place& at) const {
  return nodes_of(taken_from(at));
}

std::vector<std::uint32_t> Ring::group(const crypto::Digest& key) const {
  if (positions_.empty()) return {};
  return group_from(at_or_after(key));
}

// ---- Arcs ----

std::vector<Arc> Ring::arcs_in(const wire::KeyRange& range) const {
  if (positions_.empty()) return {};
  std::vector<Arc> out;  // descending, since a Walk moves against the clock
  const auto add = [&](const crypto::Digest& first, const crypto::Digest& last,
                       std::vector<std::uint32_t> group) {
    Arc piece{.range = {first, last}, .group = std::move(group)};
    if (!out.empty() && is_continued(piece, out.back())) {
      out.back().range.first = first;
    } else {
      out.push_back(std::move(piece));
    }
  };
  Place at = positions_.partition_point(range.last.leading_bits(),
                                        [&](const Position& one) { return one.at < range.last; });
  if (at == positions_.end()) {
    at = positions_.last();
    const crypto::Digest& last = positions_[at].at;
    add(std::max(range.first, key_after(last)), range.last, group_from(positions_.begin()));
    if (last < range.first) return out;
  }
  Walk walk(group_size_, cap_, taken_from(at));
  for (;;) {
    const auto before = positions_.before(at);
    const bool is_over = !before || positions_[*before].at < range.first;
    add(is_over ? range.first : key_after(positions_[*before].at),
        std::min(range.last, positions_[at].at), walk.nodes());
    if (is_over) break;
    at = *before;
    walk.begin_before(positions_[at]);
  }
  std::ranges::reverse(out);
  return out;
}

std::vector<Arc> Ring::arcs_of(std::uint32_t node,
                               std::span<const crypto::Digest> positions) const {
  std::vector<Arc> pieces;
  const wire::KeyRange line = wire::whole_key_range();
  const auto add = [&](const Place& at, const std::vector<std::uint32_t>& group) {
    const auto before = positions_.before(at);
    const crypto::Digest& first = before ? key_after(positions_[*before].at) : line.first;
    pieces.push_back({.range = {first, positions_[at].at}, .group = group});
    const crypto::Digest& last = positions_[positions_.last()].at;
    if (before || last == line.last) return;
    pieces.push_back({.range = {key_after(last), line.last}, .group = group});
  };
  // A node is in a key's group by its first position behind the key or by none: all that lies
  // between can only drive it out.
  for (const crypto::Digest& one : positions) {
    Place at = at_or_after(one);
    CHECK(positions_[at].node == node);
    Walk walk(group_size_, cap_, taken_from(at));
    for (;;) {
      add(at, walk.nodes());
      at = before_around(at);
      if (positions_[at].node == node) break;
      walk.begin_before(positions_[at]);
      if (!walk.takes(node)) break;
    }
  }
  std::ranges::sort(pieces, {}, [](const Arc& piece) { return piece.range.first; });
  return merged(std::move(pieces));
}

std::optional<Arc> Ring::arc(const crypto::Digest& key) const {
  if (positions_.empty()) return std::nullopt;
  // Groups begin with the node of their position: neighbours have one group when they are one
  // node's, and in no other case.
  const wire::KeyRange line = wire::whole_key_range();
  const Place first = positions_.begin();
  const Place last = positions_.last();
  const Place begin = at_or_after(key);
  const std::uint32_t node = positions_[begin].node;
  const bool is_behind_all = positions_[last].at < key;
  Arc out{.range = line, .group = group_from(begin)};
  Place at = begin;
  while (at != last && !is_behind_all) {
    const Place next = positions_.next(at);
    if (positions_[next].node != node) break;
    at = next;
  }
  const bool is_to_end =
      is_behind_all || (at == last && positions_[first].node == positions_[last].node);
  if (!is_to_end) out.range.last = positions_[at].at;
  auto before = positions_.before(is_behind_all ? positions_.end() : begin);
  while (before && positions_[*before].node == node) before = positions_.before(*before);
  if (before) out.range.first = key_after(positions_[*before].at);
  return out;
}

}  // namespace rosebud::routing
