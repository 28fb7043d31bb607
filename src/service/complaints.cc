#include "service/complaints.h"

#include <algorithm>

#include "service/planted_bugs.h"

namespace rosebud::service {
namespace {

constexpr std::uint64_t kDayMs = 86'400'000;
constexpr std::uint64_t kLifeEpochs = 4;

/// No group has more of them than this: of each organisation at most the cap.
std::size_t most_by_cap(const membership::Configuration& configuration,
                        const std::set<wire::NodeKey>& nodes) {
  std::map<std::uint32_t, std::size_t> count_of;
  std::size_t out = 0;
  for (const wire::NodeKey& key : nodes) {
    const auto node = configuration.node_index(key);
    if (!node) continue;
    const std::size_t count = ++count_of[configuration.nodes()[*node].organisation];
    out += count <= configuration.settings().cap ? 1 : 0;
  }
  return out;
}

std::set<wire::NodeKey> accusers_in(const Complaints& complaints, const wire::NodeKey& accused) {
  std::set<wire::NodeKey> out;
  const auto at = complaints.find(accused);
  if (at == complaints.end()) return out;
  for (const auto& [accuser, complaint] : at->second) out.insert(accuser);
  return out;
}

}  // namespace

std::uint64_t complaint_life_ms(const membership::Settings& settings) {
  return settings.epoch_seconds == 0 ? kDayMs : kLifeEpochs * settings.epoch_seconds * 1000;
}

void drop_old(Complaints& complaints, const membership::Configuration& configuration,
              std::uint64_t now_ms) {
  const std::uint64_t life = complaint_life_ms(configuration.settings());
  for (auto& of_it : complaints) {
    const wire::NodeKey& accused = of_it.first;
    std::erase_if(of_it.second, [&](const auto& one) {
      const auto& [accuser, complaint] = one;
      const bool is_old =
          complaint.since_ms + life <= now_ms && !is_planted(Bug::kComplaintsNeverExpire);
      return is_old ||
             !membership::may_accuse(
                 configuration, {.accused = accused, .accuser = accuser, .block = complaint.block});
    });
  }
  std::erase_if(complaints, [](const auto& one) { return one.second.empty(); });
}

std::size_t total_of(const Complaints& complaints) {
  std::size_t out = 0;
  for (const auto& [accused, of_it] : complaints) out += of_it.size();
  return out;
}

std::size_t Groups::most_of_one(const wire::NodeKey& accused,
                                const std::set<wire::NodeKey>& accusers) const {
  const auto index = configuration_->node_index(accused);
  if (!index) return 0;
  if (is_planted(Bug::kAccusersOfAnyGroup)) return accusers.size();
  std::set<std::uint32_t> some;
  for (const wire::NodeKey& key : accusers) {
    if (const auto node = configuration_->node_index(key)) some.insert(*node);
  }
  const auto [at, is_new] = arcs_of_.try_emplace(*index);
  if (is_new) at->second = configuration_->arcs_of(*index);
  std::size_t most = 0;
  for (const routing::Arc& arc : at->second) {
    const auto count =
        std::ranges::count_if(arc.group, [&](std::uint32_t node) { return some.contains(node); });
    most = std::max(most, static_cast<std::size_t>(count));
  }
  return most;
}

bool is_case(const Groups& groups, const Complaints& complaints, const wire::NodeKey& accused) {
  const membership::Configuration& configuration = groups.configuration();
  const std::set<wire::NodeKey> accusers = accusers_in(complaints, accused);
  const std::size_t enough = configuration.f() + (is_planted(Bug::kCaseByF) ? 0 : 1);
  // The arcs are looked through only where it can matter: not for what one organisation says.
  if (most_by_cap(configuration, accusers) < enough && !is_planted(Bug::kAccusersOfAnyGroup)) {
    return false;
  }
  return groups.most_of_one(accused, accusers) >= enough;
}

std::set<wire::NodeKey> cases_in(const Groups& groups, const Complaints& complaints) {
  std::set<wire::NodeKey> out;
  for (const auto& [accused, of_it] : complaints) {
    if (is_case(groups, complaints, accused)) out.insert(accused);
  }
  return out;
}

std::vector<wire::Accusation> accusations_of(const Complaints& complaints,
                                             const std::set<wire::NodeKey>& cases) {
  std::vector<wire::Accusation> out;
  for (const auto& [accused, of_it] : complaints) {
    if (!cases.contains(accused)) continue;
    for (const auto& [accuser, complaint] : of_it) {
      out.push_back({.accused = accused, .accuser = accuser, .block = complaint.block});
    }
  }
  return out;
}

std::optional<wire::AuditOutcome> CheckResults::verdict(const Groups& groups,
                                                        const Complaints& complaints,
                                                        const wire::NodeKey& accused) const {
  const auto at = complaints.find(accused);
  if (at == complaints.end()) return std::nullopt;
  std::set<wire::NodeKey> withheld_of;
  std::set<wire::NodeKey> not_proven_of;  // or not known yet
  for (const auto& [accuser, complaint] : at->second) {
    const auto found =
        outcomes_.find({.accused = accused, .accuser = accuser, .block = complaint.block});
    if (found != outcomes_.end() && found->second == wire::AuditOutcome::kFalse) {
      return wire::AuditOutcome::kFalse;
    }
    const bool is_known = found != outcomes_.end();
    if (is_known && found->second == wire::AuditOutcome::kWithheld) withheld_of.insert(accuser);
    if (!is_known || found->second == wire::AuditOutcome::kWithheld) not_proven_of.insert(accuser);
  }
  const std::size_t enough = groups.configuration().f() + 1;
  if (groups.most_of_one(accused, withheld_of) >= enough) {
    return wire::AuditOutcome::kWithheld;
  }
  if (not_proven_of.size() < at->second.size() &&
      groups.most_of_one(accused, not_proven_of) < enough) {
    return wire::AuditOutcome::kProven;
  }
  return std::nullopt;
}

void CheckResults::keep(const std::vector<wire::Accusation>& accusations) {
  std::erase_if(outcomes_, [&](const auto& one) {
    return !std::ranges::binary_search(accusations, one.first);
  });
}

}  // namespace rosebud::service
