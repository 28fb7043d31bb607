#include "membership/changeable_settings.h"

#include <algorithm>
#include <iterator>

namespace rosebud::membership {
namespace {

constexpr std::uint64_t kDay = 86400;

template <auto kMember>
std::uint64_t get(const Settings& settings) {
  return settings.*kMember;
}
template <auto kMember>
void set(Settings& settings, std::uint64_t value) {
  using Value = std::remove_reference_t<decltype(settings.*kMember)>;
  settings.*kMember = static_cast<Value>(value);  // within bounds that fit it
}
template <auto kMember>
constexpr ChangeableSetting setting(std::string_view name, std::uint64_t min, std::uint64_t max,
                                    std::string_view meaning) {
  return {name, min, max, meaning, get<kMember>, set<kMember>};
}

constexpr ChangeableSetting kAll[] = {
    setting<&Settings::epoch_seconds>("epoch-seconds", 1, 7 * kDay, "length of an epoch"),
    setting<&Settings::has_leases>("leases", 0, 1,
                                   "whether an epoch is used only while its service says that it "
                                   "is the newest"),
    setting<&Settings::service_term_seconds>("service-term-seconds", 1, 365 * kDay,
                                             "how long a member keeps its seat in the service"),
    setting<&Settings::evict_after_seconds>("evict-after-seconds", 1, 30 * kDay,
                                            "after how much silence a node is removed"),
    setting<&Settings::read_settle_ms>("read-settle-ms", 0, 10'000,
                                       "how long mixed answers wait for the rest"),
    setting<&Settings::hedge_ms>("hedge-ms", 1, 10'000,
                                 "when a block is asked of one more replica"),
    setting<&Settings::hold_seconds_max>("hold-seconds-max", 0, 36'500 * kDay,
                                         "longest life of a hold; 0: as long as its admission"),
    setting<&Settings::client_quota_floor_bytes>("client-quota-floor-bytes", 0,
                                                 std::uint64_t{1} << 50,
                                                 "what a client may keep on one node at least"),
};

}  // namespace

std::span<const ChangeableSetting> changeable_settings() { return kAll; }

const ChangeableSetting* find_setting(std::string_view name) {
  const auto at = std::ranges::find(kAll, name, &ChangeableSetting::name);
  return at == std::end(kAll) ? nullptr : at;
}

std::optional<Settings> with_setting(const Settings& settings, std::string_view name,
                                     std::uint64_t value) {
  const ChangeableSetting* setting = find_setting(name);
  if (!setting || value < setting->min || value > setting->max) return std::nullopt;
  Settings out = settings;
  setting->set(out, value);
  if (out.has_leases && out.epoch_seconds == 0) return std::nullopt;
  return out;
}

}  // namespace rosebud::membership
