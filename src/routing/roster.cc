#include "routing/roster.h"

#include <algorithm>
#include <bit>
#include <tuple>

#include "base/check.h"

namespace rosebud::routing {

Roster::Roster(std::vector<Member> members) {
  CHECK(!members.empty());
  CHECK(members.size() < (1U << 31));
  std::ranges::sort(members, {}, [](const Member& one) { return std::tie(one.at, one.key); });
  at_.reserve(members.size());
  keys_.reserve(members.size());
  addresses_.reserve(members.size());
  for (const Member& one : members) {
    at_.push_back(one.at);
    keys_.push_back(one.key);
    addresses_.push_back(one.address);
  }
  const auto bits = std::max(1, static_cast<int>(std::bit_width(members.size())) - 2);
  shift_ = 64 - static_cast<std::uint32_t>(bits);
  starts_.assign((std::size_t{1} << bits) + 1, 0);
  for (const Point at : at_) ++starts_[(at >> shift_) + 1];
  for (std::size_t i = 1; i < starts_.size(); ++i) starts_[i] += starts_[i - 1];
}

std::uint32_t Roster::rank_of(Point point) const {
  const std::size_t slot = point >> shift_;
  const auto begin = at_.begin() + starts_[slot];
  const auto end = at_.begin() + starts_[slot + 1];
  return static_cast<std::uint32_t>(std::lower_bound(begin, end, point) - at_.begin());
}

PeerIndex Roster::successor(Point point) const {
  const std::uint32_t rank = rank_of(point);
  return PeerIndex(rank == size() ? 0 : rank);
}

IndexRange Roster::between(Point from, Point to) const {
  return {rank_of(from), to == 0 ? size() : rank_of(to)};
}

std::size_t Roster::memory_bytes() const {
  return at_.capacity() * sizeof(Point) + keys_.capacity() * sizeof(crypto::PublicKey) +
         addresses_.capacity() * sizeof(Address) + starts_.capacity() * sizeof(std::uint32_t);
}

}  // namespace rosebud::routing
