#include "service/draw.h"

#include <algorithm>

#include "service/planted_bugs.h"

namespace rosebud::service {
namespace {

using membership::Configuration;

std::size_t organisation_bound(const Configuration& current) {
  return std::max<std::size_t>(current.settings().service_faults, 1);
}

std::uint32_t organisation_of(const Configuration& current, const wire::NodeKey& node) {
  return current.nodes()[*current.node_index(node)].organisation;
}

/// Seats as they fill up, under the bound per organisation.
class Filling {
 public:
  Filling(const Configuration& current, std::size_t seats, bool is_bounded = true)
      : current_(current), room_(seats), is_bounded_(is_bounded) {}

  bool add(const wire::NodeKey& node) {
    if (seats_.size() == room_ || std::ranges::find(seats_, node) != seats_.end()) return false;
    std::size_t& taken = taken_[organisation_of(current_, node)];
    if (is_bounded_ && taken == organisation_bound(current_)) return false;
    ++taken;
    seats_.push_back(node);
    return true;
  }
  bool has_room() const { return seats_.size() < room_; }
  const std::vector<wire::NodeKey>& seats() const { return seats_; }

 private:
  const Configuration& current_;
  std::size_t room_;
  bool is_bounded_;
  std::vector<wire::NodeKey> seats_;
  std::map<std::uint32_t, std::size_t> taken_;
};

/// All nodes in the order in which a walk over the ring meets them.
std::vector<wire::NodeKey> walk(const Configuration& current) {
  const crypto::Digest from = crypto::Hasher("rosebud seats 1")
                                  .update(current.cluster().view())
                                  .update_u64(current.number().generation.value)
                                  .update_u64(current.number().epoch.next().value)
                                  .update(current.randomness().view())
                                  .finish();
  std::vector<wire::NodeKey> out;
  std::vector<bool> is_met(current.nodes().size());
  current.ring().walk_from(from, [&](std::uint32_t node) {
    if (!is_met[node]) out.push_back(current.nodes()[node].key);
    is_met[node] = true;
    return out.size() < is_met.size();
  });
  return out;
}

/// Whether somebody who has no seat could take that of `leaving`, under the bound per organisation.
bool has_successor(const Configuration& current, const SeatRules& rules,
                   const std::vector<wire::NodeKey>& staying, const wire::NodeKey& leaving) {
  Filling filling(current, staying.size());
  for (const wire::NodeKey& node : staying) {
    if (node != leaving) filling.add(node);
  }
  return std::ranges::any_of(current.nodes(), [&](const membership::Node& node) {
    return node.key != leaving && !rules.barred.contains(node.key) && filling.add(node.key);
  });
}

/// Members whose term is over and for whom there is somebody else, at most F, the longest serving
/// first. Suppose the only node of its organisation that is left were counted: it keeps its seat,
/// serves longest from then on, and no other seat would ever change again.
std::set<wire::NodeKey> term_is_over(const Configuration& current, const SeatRules& rules,
                                     const std::vector<wire::NodeKey>& staying) {
  std::vector<std::pair<std::uint64_t, wire::NodeKey>> over;
  for (const wire::NodeKey& node : staying) {
    const std::uint64_t since = rules.seated_since_ms.at(node);
    if (since + current.settings().service_term_seconds * 1000 <= rules.now_ms &&
        has_successor(current, rules, staying, node)) {
      over.emplace_back(since, node);
    }
  }
  std::ranges::sort(over);
  std::set<wire::NodeKey> out;
  for (const auto& [since, node] : over) {
    const bool is_full = out.size() == organisation_bound(current);
    if (is_full && !is_planted(Bug::kAllTermsEndAtOnce)) break;
    out.insert(node);
  }
  return out;
}

}  // namespace

crypto::Digest commitment_of(const wire::NodeKey& node, const crypto::Digest& share) {
  return crypto::Hasher("rosebud share commitment 1")
      .update(node.view())
      .update(share.view())
      .finish();
}

crypto::Digest share_of(const crypto::SecretKey& epoch_key) {
  return crypto::tagged_hash("rosebud epoch share 1", epoch_key.seed().view());
}

crypto::Digest next_randomness(const Configuration& current,
                               const std::map<wire::NodeKey, crypto::Digest>& shares) {
  crypto::Hasher hasher("rosebud randomness 1");
  hasher.update(current.cluster().view())
      .update_u64(current.number().generation.value)
      .update_u64(current.number().epoch.next().value)
      .update(current.randomness().view());
  for (const membership::ServiceMember& member : current.service()) {
    const auto share = shares.find(current.nodes()[member.node].key);
    const bool is_there = share != shares.end() || is_planted(Bug::kWithheldShareCounts);
    hasher.update_u64(is_there ? 1 : 0);
    if (share != shares.end()) hasher.update(share->second.view());
  }
  return hasher.finish();
}

SeatDraw draw_seats(const Configuration& current, const SeatRules& rules) {
  std::vector<wire::NodeKey> staying;
  for (const membership::ServiceMember& member : current.service()) {
    const wire::NodeKey& node = current.nodes()[member.node].key;
    if (!rules.barred.contains(node)) staying.push_back(node);
  }
  const std::set<wire::NodeKey> over = term_is_over(current, rules, staying);
  const std::size_t seats = 3 * std::size_t{current.settings().service_faults} + 1;
  Filling filling(current, seats, !is_planted(Bug::kDrawIgnoresBound));
  for (const wire::NodeKey& node : staying) {
    if (!over.contains(node)) filling.add(node);
  }
  SeatDraw out;
  for (const wire::NodeKey& node : walk(current)) {
    if (rules.barred.contains(node) || over.contains(node)) continue;
    if (!filling.add(node) && std::ranges::find(filling.seats(), node) == filling.seats().end()) {
      out.reserve.push_back(node);
    }
  }
  // Nobody else for the seat: who has it keeps it.
  for (const wire::NodeKey& node : staying) {
    if (over.contains(node) && !filling.add(node)) out.reserve.push_back(node);
  }
  out.seats = filling.seats();
  return out;
}

std::optional<wire::NodeKey> next_in_reserve(const Configuration& current, const SeatDraw& draw,
                                             const std::vector<wire::NodeKey>& seats,
                                             const std::set<wire::NodeKey>& passed_over) {
  Filling filling(current, seats.size() + 1, !is_planted(Bug::kReserveIgnoresBound));
  for (const wire::NodeKey& node : seats) filling.add(node);
  for (const wire::NodeKey& node : draw.reserve) {
    if (!passed_over.contains(node) && filling.add(node)) return node;
  }
  return std::nullopt;
}

}  // namespace rosebud::service
