// Complaints: members of a group say of another that it does not show what it should hold, and the
// service finds out by itself (design 8.2, decision 14).
//
// A complaint alone does nothing: up to f members of a group may lie. When f+1 members of one group
// have complained, one of them is correct, and the members of the service check: each takes the
// blocks from those who complained, and asks the accused for a proof. Pure functions of what was
// agreed on, but for CheckResults, which is what one member has found.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "membership/configuration.h"
#include "wire/audit.h"

namespace rosebud::service {

struct Complaint {
  wire::ObjectId block;
  std::uint64_t since_ms = 0;  // agreed time; a later complaint takes its place
  friend bool operator==(const Complaint&, const Complaint&) = default;
};
/// About whom -> by whom. One of each about each.
using Complaints = std::map<wire::NodeKey, std::map<wire::NodeKey, Complaint>>;

/// One member complains of so many at a time.
inline constexpr std::size_t kComplaintsOfOneMax = 8;
/// So many count at a time, of all: what is handed over has to fit its notice (notices.h).
inline constexpr std::size_t kComplaintsMax = 4096;

/// How long a complaint counts that is not repeated: four lengths of an epoch, a day where epochs
/// have none.
std::uint64_t complaint_life_ms(const membership::Settings& settings);

/// Removes those that are older than that, or whose accuser may not make them (any more).
void drop_old(Complaints& complaints, const membership::Configuration& configuration,
              std::uint64_t now_ms);

std::size_t total_of(const Complaints& complaints);

/// The groups of whoever is accused, each walked for once in an epoch.
class Groups {
 public:
  /// `configuration` must outlive it.
  explicit Groups(const membership::Configuration& configuration)
      : configuration_(&configuration) {}

  const membership::Configuration& configuration() const { return *configuration_; }
  /// The most of these that are in one group with the accused, whichever group that is.
  std::size_t most_of_one(const wire::NodeKey& accused,
                          const std::set<wire::NodeKey>& accusers) const;

 private:
  const membership::Configuration* configuration_;
  mutable std::map<std::uint32_t, std::vector<routing::Arc>> arcs_of_;  // by node; of some
};

/// Whether f+1 members of one group complain of it.
bool is_case(const Groups& groups, const Complaints& complaints, const wire::NodeKey& accused);

std::set<wire::NodeKey> cases_in(const Groups& groups, const Complaints& complaints);

/// All complaints about these, sorted: what every member of the service checks.
std::vector<wire::Accusation> accusations_of(const Complaints& complaints,
                                             const std::set<wire::NodeKey>& cases);

/// What one member of the service found in one epoch.
class CheckResults {
 public:
  /// A wrong proof stays one, whatever is shown afterwards.
  void add(const wire::Accusation& about, wire::AuditOutcome outcome) {
    auto& known = outcomes_.try_emplace(about, outcome).first->second;
    if (known != wire::AuditOutcome::kFalse) known = outcome;
  }
  /// What it says of the accused: kFalse when one proof was wrong; kWithheld when the blocks of f+1
  /// members of one group were not shown, of whom one is correct; kProven when so many were shown
  /// that it cannot come to that. Nothing: it does not know.
  std::optional<wire::AuditOutcome> verdict(const Groups& groups, const Complaints& complaints,
                                            const wire::NodeKey& accused) const;
  /// Forgets what is not among these, sorted.
  void keep(const std::vector<wire::Accusation>& accusations);

 private:
  std::map<wire::Accusation, wire::AuditOutcome> outcomes_;
};

}  // namespace rosebud::service
