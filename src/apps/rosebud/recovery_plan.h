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
  std::vector<std::string> same_key;     // no seat: their epoch key is somebody else's too
  std::vector<std::string> at_large;     // seats_at_large
  bool is_state_lost = false;
  /// What keeps it from being proposed, each with the way out.
  std::vector<Explained> problems;
};

/// A configuration that statements name as the one that their members have entered.
struct NamedConfiguration {
  wire::ConfigurationNumber number;
  crypto::Digest header_hash;
};
/// From the highest to the lowest, each once.
std::vector<NamedConfiguration> named_configurations(const RecoveryFile& file);

using ShownConfigurations =
    std::map<crypto::Digest, std::shared_ptr<const membership::Configuration>>;

/// The highest of those named that is `shown` (verified; by header hash) and that one of its own
/// members names with a good statement. Nothing: there is none. What nobody shows is passed over: a
/// statement that names it does not count then, and 2f+1 others of each group have to say that
/// they entered nothing after the parent.
std::shared_ptr<const membership::Configuration> find_parent(const RecoveryFile& file,
                                                             const ShownConfigurations& shown,
                                                             const crypto::SignatureScheme& scheme);

/// Names of the parent's seats that have stated nothing and are not given up. When they are 2F+1,
/// the old service may live and go on beside the recovered one.
std::vector<std::string> seats_at_large(const membership::Configuration& parent,
                                        const std::set<wire::NodeKey>& stated,
                                        const std::set<wire::NodeKey>& given_up);
/// For a person; nothing when they are fewer than 2F+1.
std::optional<Explained> warning_of_old_service(const membership::Configuration& parent,
                                                const std::vector<std::string>& at_large);

RecoveryOutlook outlook_of(std::shared_ptr<const membership::Configuration> parent,
                           const RecoveryFile& file, const RecoveryChoices& choices, Timestamp now,
                           const crypto::SignatureScheme& scheme);

}  // namespace rosebud::apps
