#include "service/next_members.h"

#include <algorithm>

#include "service/planted_bugs.h"

namespace rosebud::service {
namespace {

using membership::Configuration;
using membership::Node;

membership::ConfigurationParts parts_with(const Configuration& current, std::vector<Node> nodes) {
  return {.cluster = current.cluster(),
          .number = current.number(),
          .start = current.start(),
          .end = current.end(),
          .settings = current.settings(),
          .organisations = current.organisations(),
          .nodes = std::move(nodes)};
}

bool is_possible(const Configuration& current, const std::vector<Node>& nodes) {
  return !membership::problem_of(parts_with(current, nodes));
}

/// How many members of each group leave because they do not answer.
class Leaving {
 public:
  explicit Leaving(const Configuration& current)
      : current_(current), of_arc_(current.ring().arcs().size()) {}

  bool may_leave(std::uint32_t node) const {
    if (is_planted(Bug::kGroupLeavesAtOnce)) return true;
    const auto& arcs = current_.ring().arcs();
    for (std::size_t i = 0; i < arcs.size(); ++i) {
      if (is_in(arcs[i], node) && of_arc_[i] >= current_.f()) return false;
    }
    return true;
  }
  void leave(std::uint32_t node) {
    const auto& arcs = current_.ring().arcs();
    for (std::size_t i = 0; i < arcs.size(); ++i) {
      if (is_in(arcs[i], node)) ++of_arc_[i];
    }
  }

 private:
  static bool is_in(const routing::Arc& arc, std::uint32_t node) {
    return std::ranges::find(arc.group, node) != arc.group.end();
  }
  const Configuration& current_;
  std::vector<std::size_t> of_arc_;
};

/// A revocation after which nothing could be written waits until others take over.
void remove_revoked(const Configuration& current, const Wishes& wishes, std::vector<Node>& nodes) {
  std::vector<wire::NodeKey> going;
  for (const Node& node : nodes) {
    if (is_revoked(current, wishes, node)) going.push_back(node.key);
  }
  for (const wire::NodeKey& key : going) {
    std::vector<Node> without = nodes;
    std::erase_if(without, [&key](const Node& node) { return node.key == key; });
    if (is_possible(current, without)) nodes = std::move(without);
  }
}

void evict(const Configuration& current, const Wishes& wishes, std::uint64_t now_ms,
           std::vector<Node>& nodes) {
  std::vector<std::pair<std::uint64_t, wire::NodeKey>> waiting;
  for (const auto& [node, since] : wishes.inactive_since_ms) {
    if (since + current.settings().evict_after_seconds * 1000 <= now_ms ||
        is_planted(Bug::kEvictedAtOnce)) {
      waiting.emplace_back(since, node);
    }
  }
  std::ranges::sort(waiting);
  Leaving leaving(current);
  for (const auto& [since, key] : waiting) {
    const auto index = current.node_index(key);
    if (!index || !leaving.may_leave(*index)) continue;
    std::vector<Node> without = nodes;
    std::erase_if(without, [&key](const Node& node) { return node.key == key; });
    if (without.size() == nodes.size() || !is_possible(current, without)) continue;
    leaving.leave(*index);
    nodes = std::move(without);
  }
}

std::uint64_t median_capacity(const std::vector<Node>& nodes) {
  std::vector<std::uint64_t> capacities;
  for (const Node& node : nodes) capacities.push_back(node.capacity_bytes);
  if (capacities.empty()) return 0;
  std::ranges::sort(capacities);
  return capacities[capacities.size() / 2];
}

bool is_valid_at(const wire::AdmissionStatement& statement, std::uint64_t now_ms) {
  const Timestamp now(now_ms / 1000);
  return statement.not_before <= now && now < statement.not_after;
}

/// A key that is in already changes directory or address and keeps its place.
void admit(const Configuration& current, const Wishes& wishes, std::uint64_t now_ms,
           NextMembers& out) {
  const std::uint64_t median = median_capacity(current.nodes());
  for (const wire::SignedBytes& one : wishes.admissions) {
    const auto statement = wire::AdmissionStatement::decode(one.statement);
    if (!statement || !is_valid_at(*statement, now_ms)) continue;
    const auto organisation = current.organisation_index(statement->organisation);
    if (!organisation || wishes.revoked.contains({statement->organisation, statement->subject}))
      continue;
    std::vector<Node> with = out.nodes;
    const auto at = std::ranges::find(with, statement->subject, &Node::key);
    const bool is_new = at == with.end();
    // Suppose one organisation revokes a node and another one's statement of the same key waits: in
    // one epoch it would leave and be elsewhere on the ring, which nobody accepts
    // (keeps_positions), and no epoch would follow ever after. It is admitted in the next.
    if (is_new && current.node_index(statement->subject)) continue;
    if (is_new) {
      with.push_back(
          {.name = statement->name,
           .key = statement->subject,
           .organisation = *organisation,
           .directory = statement->directory,
           .address = statement->address,
           .capacity_bytes = statement->capacity_bytes,
           .position_count = membership::position_count_for(statement->capacity_bytes, median)});
    } else {
      if (at->organisation != *organisation) continue;
      at->directory = statement->directory;
      at->address = statement->address;
    }
    if (!is_possible(current, with)) continue;
    out.nodes = std::move(with);
    if (is_new) out.added.insert(statement->subject);
  }
}

}  // namespace

NextMembers next_members(const Configuration& current, const Wishes& wishes, std::uint64_t now_ms) {
  NextMembers out{.nodes = current.nodes()};
  remove_revoked(current, wishes, out.nodes);
  admit(current, wishes, now_ms, out);
  remove_revoked(current, wishes, out.nodes);  // those whose place somebody new has taken
  evict(current, wishes, now_ms, out.nodes);
  return out;
}

bool is_revoked(const Configuration& current, const Wishes& wishes, const Node& node) {
  return wishes.revoked.contains({current.organisations()[node.organisation].authority, node.key});
}

bool is_in_as_stated(const wire::AdmissionStatement& statement, const std::vector<Node>& nodes) {
  const auto at = std::ranges::find(nodes, statement.subject, &Node::key);
  return at != nodes.end() && at->directory == statement.directory &&
         at->address == statement.address;
}

bool would_anybody_leave(const Configuration& current, const Wishes& wishes, std::uint64_t now_ms) {
  // Asked for again and again: where nobody can be meant it costs a look at each node.
  const bool is_any_revoked = std::ranges::any_of(
      current.nodes(), [&](const Node& node) { return is_revoked(current, wishes, node); });
  const std::uint64_t evict_after_ms = current.settings().evict_after_seconds * 1000;
  const bool is_any_due = std::ranges::any_of(wishes.inactive_since_ms, [&](const auto& one) {
    return one.second + evict_after_ms <= now_ms;
  });
  if (!is_any_revoked && !is_any_due) return false;
  const NextMembers next = next_members(current, wishes, now_ms);
  return std::ranges::any_of(current.nodes(), [&](const Node& node) {
    return std::ranges::find(next.nodes, node.key, &Node::key) == next.nodes.end();
  });
}

Wishes left_over(const Wishes& wishes, const std::vector<Node>& nodes, std::uint64_t now_ms) {
  const auto is_in = [&](const wire::NodeKey& key) {
    return std::ranges::find(nodes, key, &Node::key) != nodes.end();
  };
  Wishes out;
  if (!is_planted(Bug::kRevocationsLost)) out.revoked = wishes.revoked;
  for (const auto& [node, since] : wishes.inactive_since_ms) {
    if (is_in(node)) out.inactive_since_ms.emplace(node, since);
  }
  for (const wire::SignedBytes& one : wishes.admissions) {
    const auto statement = wire::AdmissionStatement::decode(one.statement);
    const bool is_over = !statement || Timestamp(now_ms / 1000) >= statement->not_after ||
                         wishes.revoked.contains({statement->organisation, statement->subject}) ||
                         is_in_as_stated(*statement, nodes);
    if (!is_over && !is_planted(Bug::kWishesLost)) out.admissions.push_back(one);
  }
  return out;
}

}  // namespace rosebud::service
