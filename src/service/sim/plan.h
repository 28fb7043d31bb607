// What will happen to a cluster in one run, chosen from a seed before it begins: its size, and a
// list of faults and of what organisations want. These are data with a lot of their own, so that
// one of them can be left out without changing the others; that is how a failure is made small.
#pragma once

#include <string>
#include <vector>

#include "service/sim/world.h"

namespace rosebud::service::sim {

enum class FaultKind : std::uint8_t {
  kLie,         // the nodes of one organisation lie; the lot says how
  kTurn,        // they lie in another way from now on, or no longer
  kLoss,        // the lot is per mille
  kDuplicates,  // the lot is per mille
  kLatency,     // the lot is the longest, in milliseconds
  kClocks,      // everybody's clock is off by up to 2 seconds
  kClockJump,   // one node starts again with another clock
  kWildClock,   // the clocks of the lying organisation are off by days
  kCrash,       // one node
  kOutage,      // one node that has no seat, for as long as it takes to be evicted
  kPowerCut,    // everybody at once
  kDisk,        // one node's disk takes few writes, or none
  kLag,         // one node enters nothing for a while
  kPartition,   // nodes of two sides do not hear each other
  kOneWayCut,   // one node is not heard by some others
  kWipe,        // a node of the lying organisation starts from an empty disk
  kRevoke,      // an organisation revokes one of its nodes
  kFlood,       // an organisation hands in more new keys than it may have in a day
};

struct Fault {
  FaultKind kind = FaultKind::kCrash;
  Duration at{};
  Duration lasts{};
  std::size_t node = 0;
  std::uint64_t lot = 0;
};
std::string describe(const Fault& fault);

struct Plan {
  std::string scenario;
  std::uint64_t seed = 1;
  WorldOptions world;
  /// The nodes of one organisation, which has at most F seats: they lie, or lose what was durable.
  std::vector<std::size_t> bad;
  std::vector<Fault> faults;
  Duration safety_time = std::chrono::seconds(60);
  /// Nothing fails but at one organisation: then no correct node is ever inactive, and epochs go on
  /// all the time.
  bool is_quiet = false;
  bool is_misbehaving_after_healing = false;
  /// Whether people hand in admissions, right ones and wrong ones.
  bool has_office = false;
  /// Whether members of groups complain, with reason and without.
  bool has_audits = false;
  /// Whether organisations decide together, or pretend to.
  bool has_assembly = false;
  std::string story;
};

struct Scenario {
  std::string_view name;
  std::string_view what;
};
inline constexpr Scenario kScenarios[] = {
    {"mixed", "a little of everything"},
    {"calm", "nothing fails; people hand in what they want"},
    {"crashes", "nodes, links and partitions; nobody lies"},
    {"power", "power cuts of everybody, at any moment"},
    {"disks", "disks that take few writes or none, and crashes"},
    {"byzantine", "one organisation lies; in half of the seeds nothing else fails"},
    {"one-organisation",
     "one organisation lies, is down, forgets, all the time; nothing else fails"},
    {"churn", "nodes are admitted, revoked, evicted and admitted again; statements without end"},
    {"organisations",
     "organisations come and go by decree, retire nodes, end epochs; decrees by too few, forged"},
    {"complaints", "members without blocks, slanderers, and complaints by mistake"},
    {"clocks", "clocks that are off and jump; one organisation lies, or is off by days"},
};
bool is_scenario(std::string_view name);

/// Requires: is_scenario(scenario).
Plan make_plan(std::string_view scenario, std::uint64_t seed);

}  // namespace rosebud::service::sim
