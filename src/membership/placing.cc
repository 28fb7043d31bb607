#include "membership/placing.h"

#include <algorithm>

namespace rosebud::membership {

std::vector<Node> in_their_places(const Configuration& before, std::vector<Node> nodes) {
  std::vector<Node> out(nodes.size());
  std::vector<bool> is_taken(nodes.size());
  std::vector<Node> newcomers;
  std::vector<std::pair<std::uint32_t, Node>> movers;  // whose places the list does not have now
  for (Node& node : nodes) {
    const auto place = before.node_index(node.key);
    if (!place) {
      newcomers.push_back(std::move(node));
    } else if (*place >= out.size()) {
      movers.emplace_back(*place, std::move(node));
    } else {
      is_taken[*place] = true;
      out[*place] = std::move(node);
    }
  }
  std::ranges::sort(movers, {}, [](const auto& one) { return one.first; });
  for (auto& [place, node] : movers) newcomers.push_back(std::move(node));
  auto next = newcomers.begin();
  for (std::size_t place = 0; place < out.size(); ++place) {
    if (!is_taken[place]) out[place] = std::move(*next++);
  }
  return out;
}

}  // namespace rosebud::membership
