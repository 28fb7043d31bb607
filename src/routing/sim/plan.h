// What will happen to an overlay in one run, chosen from a seed before it begins: its size, and a
// list of faults. Faults are data, so that one can be left out without changing the others.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "routing/sim/checkers.h"

namespace rosebud::routing::sim {

enum class FaultKind : std::uint8_t {
  kCrash,        // one peer; it returns when the fault is over
  kLeave,        // politely; it returns when the fault is over
  kCrashMany,    // lot % 100 of a hundred at once; they return when the fault is over
  kLoss,         // lot of a thousand datagrams
  kMute,         // what one peer sends is lost
  kDeaf,         // what others send to one peer is lost
  kKillLeaders,  // lot of those who were announced something crash soon
  kAccuse,       // one liar says of its victims, again and again, that they are dead
  kFlood,        // one liar has leaders lead all periods that it can find
};

struct Fault {
  FaultKind kind = FaultKind::kCrash;
  Duration at{};
  Duration lasts{};
  std::uint64_t lot = 0;  // which peer, how many
};
std::string describe(const Fault& fault);

struct Plan {
  std::string scenario;
  std::uint64_t seed = 1;
  WorldOptions world;
  Checkers::Rules rules;
  std::vector<Fault> faults;
  Duration safety_time = std::chrono::seconds(100);
  std::string story;
};

struct Scenario {
  std::string_view name;
  std::string_view what;
};
inline constexpr Scenario kScenarios[] = {
    {"mixed", "peers come and go, a few datagrams are lost"},
    {"leaders", "leaders die with what they were told"},
    {"accusers", "one peer in ten says of others that they are dead"},
    {"flood",
     "one peer in ten announces for far and near periods, what it may and what it may not"},
    {"lossy", "one datagram in ten is lost"},
    {"cuts", "peers that are not heard for a while, or do not hear"},
    {"many", "a fifth to half of all crash at once, and return at once"},
    {"classic", "the talk's timing: peers come and go, a few datagrams are lost"},
};
bool is_scenario(std::string_view name);

/// Requires: is_scenario(scenario).
Plan make_plan(std::string_view scenario, std::uint64_t seed);

}  // namespace rosebud::routing::sim
