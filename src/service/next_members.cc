#include "service/next_members.h"

#include <algorithm>
#include <span>

#include "membership/changeable_settings.h"
#include "membership/placing.h"
#include "service/planted_bugs.h"

namespace rosebud::service {
namespace {

using membership::Configuration;
using membership::Node;
using membership::NodeChanges;
using membership::Organisation;

/// Whether a service of at least `quorum` can be drawn of nodes in force that stay and for which
/// `is_able` holds; never more than that is counted. Who is only coming cannot sit yet.
template <typename IsAble>
std::size_t fillable_seats(const Configuration& current, std::size_t quorum, IsAble is_able) {
  const std::size_t most = std::max<std::size_t>(current.settings().service_faults, 1);
  std::map<std::uint32_t, std::size_t> seats_of;
  std::size_t seats = 0;
  for (const Node& node : current.nodes()) {
    if (seats == quorum) break;
    if (is_able(node)) seats += ++seats_of[node.organisation] <= most ? 1 : 0;
  }
  return seats;
}

/// Whether a service can be drawn of them, and of those that answer if it can be now: without one
/// no epoch would follow ever after, and nobody could come back.
bool is_service_left(const Configuration& current, const Wishes& wishes,
                     const NodeChanges& changes) {
  const auto stays = [&](const Node& node) { return !changes.removed.contains(node.key); };
  const auto answers = [&](const Node& node) {
    return !wishes.inactive_since_ms.contains(node.key) || is_planted(Bug::kSilentOnesAreEnough);
  };
  const auto both = [&](const Node& node) { return stays(node) && answers(node); };
  const std::size_t quorum = current.service_quorum();
  return fillable_seats(current, quorum, stays) == quorum &&
         fillable_seats(current, quorum, both) >= fillable_seats(current, quorum, answers);
}

bool is_possible(const Configuration& current, const Wishes& wishes,
                 const std::vector<Organisation>& organisations, const NodeChanges& changes) {
  const auto placed = membership::in_their_places(current, changes);
  return changes.fits() && placed && is_service_left(current, wishes, changes) &&
         !membership::problem_of({.cluster = current.cluster(),
                                  .number = current.number(),
                                  .start = current.start(),
                                  .end = current.end(),
                                  .settings = current.settings(),
                                  .organisations = organisations},
                                 current, *placed);
}

/// The same where the last that was done is that nodes go: that contradicts nobody.
bool may_go(const Configuration& current, const Wishes& wishes, const NodeChanges& changes) {
  return changes.fits() && is_service_left(current, wishes, changes) &&
         membership::fillable_seats_after(current, changes) >= current.quorum();
}

/// Whoever was there keeps its place in the list: nodes name their organisation by it.
std::vector<Organisation> next_organisations(const Configuration& current, const Wishes& wishes) {
  std::vector<Organisation> out = current.organisations();
  for (Organisation& one : out) {
    if (wishes.organisations_revoked.contains(one.authority)) one.is_revoked = true;
    const auto admitted = wishes.organisations_admitted.find(one.authority);
    if (admitted == wishes.organisations_admitted.end()) continue;
    one.quota_bytes = admitted->second.quota_bytes;
    one.is_revoked = false;
  }
  for (const auto& [authority, admitted] : wishes.organisations_admitted) {
    if (current.organisation_index(authority)) continue;
    out.push_back(
        {.name = admitted.name, .authority = authority, .quota_bytes = admitted.quota_bytes});
    // Since it was decided somebody may have taken the key.
    if (!is_possible(current, wishes, out, {})) out.pop_back();
  }
  return out;
}

/// Lets nodes leave that need not go at once: of each group at most f.
class Leaving {
 public:
  Leaving(const Configuration& current, const Wishes& wishes, NextMembers& next)
      : current_(current), wishes_(wishes), next_(next) {}

  void leave(const wire::NodeKey& key) {
    const auto index = current_.node_index(key);
    if (!index || !may_leave(*index)) return;
    NodeChanges without = next_.nodes;
    without.remove(current_, key);
    if (without == next_.nodes) return;
    if (!may_go(current_, wishes_, without)) return;
    next_.nodes = std::move(without);
    left_.insert(*index);
  }

 private:
  bool may_leave(std::uint32_t node) const {
    if (is_planted(Bug::kGroupLeavesAtOnce)) return true;
    return std::ranges::none_of(current_.arcs_of(node), [this](const routing::Arc& arc) {
      const auto leaving = std::ranges::count_if(
          arc.group, [this](std::uint32_t member) { return left_.contains(member); });
      return std::cmp_greater_equal(leaving, current_.f());
    });
  }
  const Configuration& current_;
  const Wishes& wishes_;
  NextMembers& next_;
  std::set<std::uint32_t> left_;  // indices in the configuration in force
};

/// Lets them go that can, in their order: all at once where that is possible, and else the first
/// half, then the other. Who goes is the same as one by one, since what is not possible without
/// some is not possible without more; but an organisation of thousands costs a few looks.
void remove(const Configuration& current, const Wishes& wishes,
            std::span<const wire::NodeKey> going, NodeChanges& changes) {
  std::vector<std::span<const wire::NodeKey>> left{going};  // the last first
  while (!left.empty()) {
    const auto some = left.back();
    left.pop_back();
    if (some.empty()) continue;
    NodeChanges without = changes;
    for (const wire::NodeKey& key : some) without.remove(current, key);
    if (may_go(current, wishes, without)) {
      changes = std::move(without);
    } else if (some.size() > 1) {
      left.push_back(some.subspan(some.size() / 2));
      left.push_back(some.first(some.size() / 2));
    }
  }
}

/// A revocation after which a group, or the service, could not be filled waits for others, and so
/// do more than one description can say.
void remove_revoked(const Configuration& current, const Wishes& wishes, NextMembers& next) {
  std::vector<wire::NodeKey> going;
  for (const Node& node : current.nodes()) {
    const Node* after = membership::node_after(current, next.nodes, node.key);
    if (after != nullptr && is_revoked(current, wishes, *after)) going.push_back(node.key);
  }
  const std::size_t room = membership::kRemovedNodesMax - next.nodes.removed.size();
  if (going.size() > room) going.resize(room);
  remove(current, wishes, going, next.nodes);
}

/// By node, since when it has to go: it does not answer for `evict_after_seconds`, or it gave wrong
/// proofs. `next`: the nodes as they would be then.
template <typename Next>
std::map<wire::NodeKey, std::uint64_t> due_to_go(const Configuration& current, const Wishes& wishes,
                                                 const Next& next, std::uint64_t now_ms) {
  std::map<wire::NodeKey, std::uint64_t> out;
  const auto add = [&](const wire::NodeKey& node, std::uint64_t due_ms) {
    if (due_ms > now_ms && !is_planted(Bug::kEvictedAtOnce)) return;
    const auto [at, is_new] = out.emplace(node, due_ms);
    if (!is_new) at->second = std::min(at->second, due_ms);
  };
  const std::uint64_t wait_ms = current.settings().evict_after_seconds * 1000;
  for (const auto& [node, since] : wishes.inactive_since_ms) add(node, since + wait_ms);
  if (is_planted(Bug::kWithholdingEvicts)) {
    for (const auto& [node, since] : wishes.withholding_since_ms) add(node, since + wait_ms);
  }
  for (const auto& [node, since] : wishes.false_since_ms) {
    if (is_convicted(current, wishes, node, next)) add(node, since);
  }
  return out;
}

/// The longest due first.
void evict(const Configuration& current, const Wishes& wishes, const NodeChanges& next,
           std::uint64_t now_ms, Leaving& leaving) {
  std::vector<std::pair<std::uint64_t, wire::NodeKey>> waiting;
  for (const auto& [node, due_ms] : due_to_go(current, wishes, next, now_ms)) {
    waiting.emplace_back(due_ms, node);
  }
  std::ranges::sort(waiting);
  for (const auto& [since, key] : waiting) leaving.leave(key);
}

/// Whoever was retired first.
void retire(const Configuration& current, const Wishes& wishes, Leaving& leaving) {
  std::vector<std::pair<std::uint64_t, wire::NodeKey>> waiting;
  for (const Node& node : current.nodes()) {
    const auto at =
        wishes.retired_s.find({current.organisations()[node.organisation].authority, node.key});
    if (at != wishes.retired_s.end()) waiting.emplace_back(at->second, node.key);
  }
  std::ranges::sort(waiting);
  for (const auto& [since, key] : waiting) leaving.leave(key);
}

std::uint64_t median_capacity(const SharedVector<Node>& nodes) {
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
    const auto organisation =
        std::ranges::find(out.organisations, statement->organisation, &Organisation::authority);
    if (organisation == out.organisations.end()) continue;
    if (organisation->is_revoked && !is_planted(Bug::kRevokedOrganisationAdmits)) continue;
    if (wishes.revoked.contains({statement->organisation, statement->subject})) continue;
    const auto index = static_cast<std::uint32_t>(organisation - out.organisations.begin());
    const Node* in = membership::node_after(current, out.nodes, statement->subject);
    const bool is_new = in == nullptr;
    // Suppose one organisation revokes a node and another one's statement of the same key waits: in
    // one epoch it would leave and be elsewhere on the ring, which nobody accepts
    // (keeps_positions), and no epoch would follow ever after. It is admitted in the next.
    if (is_new && current.node_index(statement->subject)) continue;
    if (!is_new && in->organisation != index) continue;
    Node node = is_new ? Node{.name = statement->name,
                              .key = statement->subject,
                              .organisation = index,
                              .capacity_bytes = statement->capacity_bytes,
                              .position_count =
                                  membership::position_count_for(statement->capacity_bytes, median)}
                       : *in;
    node.directory = statement->directory;
    node.address = statement->address;
    NodeChanges with = out.nodes;
    with.put(current, std::move(node));
    if (is_possible(current, wishes, out.organisations, with)) out.nodes = std::move(with);
  }
}

}  // namespace

NextMembers next_members(const Configuration& current, const Wishes& wishes, std::uint64_t now_ms) {
  NextMembers out{.nodes = {}, .organisations = next_organisations(current, wishes)};
  remove_revoked(current, wishes, out);
  admit(current, wishes, now_ms, out);
  remove_revoked(current, wishes, out);  // those whose place somebody new has taken
  Leaving leaving(current, wishes, out);
  evict(current, wishes, out.nodes, now_ms, leaving);
  retire(current, wishes, leaving);
  return out;
}

membership::Settings next_settings(const Configuration& current, const Wishes& wishes) {
  membership::Settings out = current.settings();
  if (is_planted(Bug::kSettingsLost)) return out;
  for (const auto& [name, value] : wishes.settings) {
    if (const auto changed = membership::with_setting(out, name, value)) out = *changed;
  }
  return out;
}

bool is_revoked(const Configuration& current, const Wishes& wishes, const Node& node) {
  const Organisation& own = current.organisations()[node.organisation];
  if (wishes.revoked.contains({own.authority, node.key})) return true;
  if (is_planted(Bug::kNodesOfRevokedStay)) return false;
  return wishes.organisations_revoked.contains(own.authority) ||
         (own.is_revoked && !wishes.organisations_admitted.contains(own.authority));
}

bool is_convicted(const Configuration& current, const Wishes& wishes, const wire::NodeKey& node,
                  const NodeChanges& next) {
  return wishes.false_since_ms.contains(node) && membership::stays_as_it_is(node, current, next);
}

bool is_convicted(const Configuration& current, const Wishes& wishes, const wire::NodeKey& node,
                  const Configuration& next) {
  return wishes.false_since_ms.contains(node) && membership::stays_as_it_is(node, current, next);
}

bool is_in_as_stated(const wire::AdmissionStatement& statement, const Node* node) {
  return node != nullptr && node->directory == statement.directory &&
         node->address == statement.address;
}

bool is_in_as_stated(const wire::AdmissionStatement& statement, const Configuration& in) {
  const auto index = in.node_index(statement.subject);
  return is_in_as_stated(statement, index ? &in.nodes()[*index] : nullptr);
}

bool is_there_a_reason(const Configuration& current, const Wishes& wishes, std::uint64_t now_ms) {
  const bool does_organisation_go = std::ranges::any_of(
      wishes.organisations_revoked,
      [&](const crypto::PublicKey& authority) { return current.has_say(authority); });
  if (does_organisation_go) return true;
  // Asked for again and again: where nobody can be meant it costs a look at each node.
  const auto due = due_to_go(current, wishes, current, now_ms);
  const auto has_to_go = [&](const Node& node) {
    return is_revoked(current, wishes, node) || due.contains(node.key);
  };
  if (std::ranges::none_of(current.nodes(), has_to_go)) return false;
  const NextMembers next = next_members(current, wishes, now_ms);
  return std::ranges::any_of(current.nodes(), [&](const Node& node) {
    return next.nodes.removed.contains(node.key) && has_to_go(node);
  });
}

Wishes left_over(const Configuration& current, const Wishes& wishes,
                 const membership::DescriptionBody& next, std::uint64_t now_ms) {
  Wishes out;
  if (!is_planted(Bug::kRevocationsLost)) out.revoked = wishes.revoked;
  if (!is_planted(Bug::kRetirementsLost)) out.retired_s = wishes.retired_s;
  using Since = std::map<wire::NodeKey, std::uint64_t> Wishes::*;
  for (const Since since :
       {&Wishes::inactive_since_ms, &Wishes::withholding_since_ms, &Wishes::false_since_ms}) {
    out.*since = wishes.*since;
    std::erase_if(out.*since, [&](const auto& one) {
      return membership::node_after(current, next.nodes, one.first) == nullptr;
    });
  }
  for (const wire::SignedBytes& one : wishes.admissions) {
    const auto statement = wire::AdmissionStatement::decode(one.statement);
    const auto organisation = statement
                                  ? std::ranges::find(next.organisations, statement->organisation,
                                                      &Organisation::authority)
                                  : next.organisations.end();
    const bool is_over = organisation == next.organisations.end() || organisation->is_revoked ||
                         Timestamp(now_ms / 1000) >= statement->not_after ||
                         wishes.revoked.contains({statement->organisation, statement->subject}) ||
                         is_in_as_stated(*statement, membership::node_after(current, next.nodes,
                                                                            statement->subject));
    if (!is_over && !is_planted(Bug::kWishesLost)) out.admissions.push_back(one);
  }
  return out;
}

}  // namespace rosebud::service
