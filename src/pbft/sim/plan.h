// What will happen to a group in one run, chosen from a seed before it begins: its size, and a list
// of faults. Faults are data with a lot of their own, so that one of them can be left out without
// changing the others; that is how a failure is made small.
#pragma once

#include <string>
#include <vector>

#include "pbft/sim/world.h"

namespace rosebud::pbft::sim {

enum class FaultKind : std::uint8_t {
  kMisbehave,       // a bad replica lies; the lot is the mode
  kLoss,            // the lot is per mille
  kDuplicates,      // the lot is per mille
  kLatency,         // the lot is the longest, in milliseconds
  kClocks,          // everybody's clock is off by up to 2 seconds
  kClocksBack,      // every replica's clock is set back by far more than the bound
  kCrash,           // one replica
  kKillPrimary,     // whoever is primary then
  kPowerCut,        // everybody at once
  kCutAtExecution,  // all lose power the moment a replica with a slow disk executes
  kPartition,       // replicas of two sides do not hear each other
  kOneWayCut,       // one replica or client is not heard by some others
  kSlowDisk,        // one replica
  kRollback,        // a bad replica is started from an old copy of its disk
  kWipe,            // a bad replica is started from an empty disk
  kStop,            // a client ends the group
};

struct Fault {
  FaultKind kind = FaultKind::kCrash;
  Duration at{};
  Duration lasts{};
  std::size_t seat = 0;
  std::uint64_t lot = 0;
};
std::string describe(const Fault& fault);

struct Plan {
  std::string scenario;
  std::uint64_t seed = 1;
  WorldOptions world;
  /// Replicas that lie, and replicas that lose what was durable: at most F, vacant seats with them.
  /// The same ones unless some of each are planned.
  std::vector<std::size_t> liars;
  std::vector<std::size_t> forgetful;
  std::vector<Fault> faults;
  Duration safety_time = std::chrono::seconds(12);
  Duration pause_max = std::chrono::milliseconds(60);  // of a client between two operations
  bool has_hostile_client = false;
  /// Now and then a client's process begins anew while something of it is under way.
  bool do_clients_begin_anew = false;
  /// Nothing fails but clients: then no view may end.
  bool is_calm = false;
  /// Half of the calm ones: many clients share a narrow pipeline. The queue takes more than half of
  /// the time-out, so that a primary which learns of a request late, or puts it off, has no time
  /// left.
  bool is_narrow = false;
  bool is_misbehaving_after_healing = false;
  std::string story;
};

struct Scenario {
  std::string_view name;
  std::string_view what;
};
inline constexpr Scenario kScenarios[] = {
    {"mixed", "a little of everything"},
    {"crashes", "replicas and power, slow disks, a bad network; nobody lies"},
    {"byzantine", "F replicas lie, a client too; a bad network"},
    {"primaries", "one primary after the other is killed"},
    {"views", "hundreds of primaries are killed, as fast as views change"},
    {"cut-short", "all lose power the moment one executes something; one hides what it voted for"},
    {"slow-network", "messages take longer than the first time-out"},
    {"rollback",
     "F replicas lose their disks or parts of them, or one lies instead; the others stay up"},
    {"session-keys",
     "a client is right to some replicas and wrong to others; alone, or liars help"},
    {"stop", "the group ends, whatever else happens"},
};
bool is_scenario(std::string_view name);

/// Requires: is_scenario(scenario).
Plan make_plan(std::string_view scenario, std::uint64_t seed);

}  // namespace rosebud::pbft::sim
