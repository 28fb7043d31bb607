// What will happen to a cluster in one run, chosen from a seed before it begins: its size, and a
// list of faults.
//
// Faults are data. Each carries a lot of its own for what is decided when it strikes, so that one
// of them can be left out without changing the others; that is how a failure is made small.
#pragma once

#include <string>
#include <vector>

#include "sim/world.h"

namespace rosebud::sim {

enum class FaultKind : std::uint8_t {
  kMisbehave,   // the nodes of the bad organisation lie; the lot is the mode
  kLoss,        // the lot is per mille
  kDuplicates,  // the lot is per mille
  kLatency,     // the lot is the longest, in milliseconds
  kDrift,       // every clock advances by up to a tenth more or less
  kCrash,       // one node
  kPowerCut,    // everybody at once
  kPartition,   // nodes of two sides do not hear each other
  kOneWayCut,   // one node or client is not heard by some others
  kRot,         // a bit of one object flips
  kRollback,    // a node is started from an old copy of its disk
  kWipe,        // a node loses its directory and comes back as a new incarnation
  kFullDisk,    // one node
  kSlowDisk,    // every disk, or one
  kEpoch,       // members leave and come
  kMove,        // the faulty organisation begins anew, and later another one is faulty
  kReturn,      // members leave, and are back when the first of them deletes what it held
  kHandOver,    // it leaves and stays faulty, and another one is faulty when its groups are over
  kOutdated,    // all leave; when no lease of theirs holds, they serve a client from old copies
};

struct Fault {
  FaultKind kind = FaultKind::kCrash;
  Duration at{};
  Duration lasts{};
  std::size_t node = 0;
  std::uint64_t lot = 0;
};
std::string describe(const Fault& fault);
/// A fault of a disk is a fault of its node, so it strikes the faulty organisation alone; crashes
/// and full disks may strike anybody.
bool is_fault_of_node(FaultKind kind);
/// How a liar lies. A patient run may have those who make comparisons endless, which takes ten
/// times the events of any other.
adversary::Mode choose_mode(Random& random, bool is_patient);

struct Plan {
  std::string scenario;
  std::uint64_t seed = 1;
  WorldOptions world;
  std::uint32_t bad_organisation = 0;
  std::vector<Fault> faults;
  /// Clients that keep to the rules; two more do not (workload.h).
  std::uint32_t clients = 3;
  Duration safety_time = std::chrono::seconds(20);
  /// Of a client between two operations, at most.
  Duration pause_max = std::chrono::milliseconds(50);
  bool is_misbehaving_after_healing = false;
  std::string story;
};

struct Scenario {
  std::string_view name;
  std::string_view what;
};
inline constexpr Scenario kScenarios[] = {
    {"mixed", "a little of everything"},
    {"crashes", "nodes and power, slow disks, clocks that drift, a bad network"},
    {"byzantine", "one organisation lies; a bad network"},
    {"epochs", "members come and go all the time, liars among them"},
    {"disks", "full, slow, rotten, rolled back and lost disks"},
    {"moving", "the liars leave, and others lie as soon as the groups before are handed over"},
    {"returning", "members leave and come back while they delete what they held; slow disks"},
    {"outdated",
     "all members are replaced; later old copies of them serve a client that hears no others"},
    {"load", "16 nodes, 200 operations in a second, a liar, crashes and loss"},
};
bool is_scenario(std::string_view name);

/// Requires: is_scenario(scenario).
Plan make_plan(std::string_view scenario, std::uint64_t seed);

}  // namespace rosebud::sim
