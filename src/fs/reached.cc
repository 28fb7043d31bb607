#include "fs/reached.h"

#include <set>

namespace rosebud::fs {

std::vector<Cid> reached_among(const std::map<Cid, Buffer>& made, const Cid& root) {
  struct Step {
    Cid cid;
    bool is_ready = false;  // what it links to stands before it
  };
  std::vector<Cid> out;
  std::set<Cid> seen;
  std::vector<Step> todo{{root}};
  while (!todo.empty()) {
    const auto [cid, is_ready] = todo.back();
    todo.pop_back();
    if (is_ready) out.push_back(cid);
    const auto at = made.find(cid);
    // It stood there before, or is done or on the way.
    if (at == made.end() || !seen.insert(cid).second) continue;
    todo.push_back({.cid = cid, .is_ready = true});
    const auto node = DagNode::decode(at->second.view());
    if (!node) continue;  // ours, so it decodes
    for (const Link& link : node->links) {
      if (link.cid.codec == Codec::kDagPb) todo.push_back({.cid = link.cid});
    }
  }
  return out;
}

}  // namespace rosebud::fs
