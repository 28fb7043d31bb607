// The view of each member's newest view change, with its signature: proof of how far the group is.
//
// A liar may sign any view. What F+1 have signed, a correct one has reached.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <vector>

#include "pbft/vote.h"

namespace rosebud::pbft {

class ReachedViews {
 public:
  explicit ReachedViews(std::size_t seat_count) : by_seat_(seat_count) {}

  /// Requires: a verified vote for a view change, of a member.
  void note(const Vote& view_change) {
    std::optional<Vote>& kept = by_seat_[view_change.replica.value];
    if (!kept || kept->view < view_change.view) kept = view_change;
  }
  /// The greatest view that `count` members have reached; 0 when fewer have left it.
  View reached_by(std::size_t count) const {
    std::vector<View> views;
    for (const auto& one : by_seat_) views.push_back(one ? one->view : View{});
    std::ranges::sort(views, std::greater());
    return views[count - 1];
  }
  View reached_by(ReplicaId replica) const {
    const auto& one = by_seat_[replica.value];
    return one ? one->view : View{};
  }
  /// At most one for each seat; seats ascending.
  std::vector<Vote> votes() const {
    std::vector<Vote> out;
    for (const auto& one : by_seat_) {
      if (one) out.push_back(*one);
    }
    return out;
  }

 private:
  std::vector<std::optional<Vote>> by_seat_;
};

}  // namespace rosebud::pbft
