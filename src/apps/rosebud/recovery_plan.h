// What a recovery by the organisations would be, from what members have stated: who sits, who is
// given up, what may be lost, and what stands in the way. Pure (design 8.6, membership/recovery.h).
#pragma once

#include "apps/rosebud/recovery_file.h"

namespace rosebud::apps {

/// What the one who proposes accepts, beside what was stated.
struct RecoveryChoices {
  std::vector<std::string> gone;    // names of nodes that are given up
  std::vector<std::string> losses;  // ids of groups, "service", or "all"
  std::optional<std::uint32_t> service_faults;
};

struct RecoveryOutlook {
  std::shared_ptr<const membership::Configuration> parent;
  membership::RecoveryPlan plan;
  std::vector<membership::LackingGroup> lacking;
  std::vector<std::string> silent;       // members of the parent that have stated nothing
  std::vector<std::string> passed_over;  // whose statement does not count
  bool is_state_lost = false;
  /// What keeps it from being proposed, each with the way out.
  std::vector<Explained> problems;
};

/// The highest configuration that statements name.
std::optional<membership::RecoveryStatement> highest_named(const RecoveryFile& file);

RecoveryOutlook outlook_of(std::shared_ptr<const membership::Configuration> parent,
                           const RecoveryFile& file, const RecoveryChoices& choices, Timestamp now,
                           const crypto::SignatureScheme& scheme);

}  // namespace rosebud::apps
