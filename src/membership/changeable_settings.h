// Which settings the organisations may change together while the cluster lives, under which names,
// and within which bounds (docs/adr/0012).
//
// f, F and the cap are not among them: with another f or cap every group has other members, so that
// more than f of one group would change in one epoch (design 10).
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "membership/configuration.h"

namespace rosebud::membership {

struct ChangeableSetting {
  std::string_view name;  // as in decrees and on the command line
  std::uint64_t min;
  std::uint64_t max;
  std::string_view meaning;  // for a person
  std::uint64_t (*get)(const Settings&);
  void (*set)(Settings&, std::uint64_t);
};

/// In the order in which they are shown.
std::span<const ChangeableSetting> changeable_settings();
/// Nothing when no setting of this name may be changed.
const ChangeableSetting* find_setting(std::string_view name);
/// Nothing when there is no such setting, the value is out of its bounds, or the result contradicts
/// itself (leases need epochs that end by time).
std::optional<Settings> with_setting(const Settings& settings, std::string_view name,
                                     std::uint64_t value);

}  // namespace rosebud::membership
