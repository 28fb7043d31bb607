#include "sim/plan.h"

#include <algorithm>

#include "base/check.h"

namespace rosebud::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// How often a kind of fault comes: in `percent` of the seeds, up to `count_max` times.
struct Weight {
  FaultKind kind;
  std::uint32_t percent;
  std::uint32_t count_max;
};

std::vector<Weight> weights_of(std::string_view scenario) {
  using enum FaultKind;
  if (scenario == "crashes") {
    return {{kMisbehave, 30, 1}, {kLoss, 50, 1},     {kDuplicates, 50, 1}, {kLatency, 100, 1},
            {kDrift, 50, 1},     {kCrash, 90, 20},   {kPowerCut, 80, 6},   {kPartition, 30, 2},
            {kOneWayCut, 30, 3}, {kSlowDisk, 60, 4}, {kEpoch, 30, 3}};
  }
  if (scenario == "byzantine") {
    return {{kMisbehave, 100, 1}, {kLoss, 60, 1},      {kDuplicates, 60, 1},
            {kLatency, 100, 1},   {kCrash, 40, 6},     {kPowerCut, 30, 2},
            {kOneWayCut, 40, 4},  {kPartition, 30, 2}, {kEpoch, 30, 3}};
  }
  if (scenario == "epochs") {
    return {{kMisbehave, 60, 1}, {kLoss, 40, 1},     {kLatency, 100, 1},  {kDrift, 20, 1},
            {kCrash, 40, 6},     {kPowerCut, 20, 1}, {kOneWayCut, 30, 3}, {kSlowDisk, 60, 3},
            {kWipe, 20, 1},      {kEpoch, 100, 12},  {kMove, 50, 3}};
  }
  if (scenario == "disks") {
    return {{kMisbehave, 20, 1}, {kLoss, 40, 1},     {kLatency, 100, 1}, {kCrash, 40, 6},
            {kPowerCut, 40, 2},  {kRot, 60, 10},     {kRollback, 60, 4}, {kWipe, 30, 2},
            {kFullDisk, 60, 5},  {kSlowDisk, 60, 4}, {kEpoch, 30, 3},    {kMove, 20, 2}};
  }
  if (scenario == "moving") {
    return {{kMisbehave, 100, 1},
            {kLatency, 100, 1},
            {kSlowDisk, 40, 2},
            {kEpoch, 30, 3},
            {kHandOver, 100, 1}};
  }
  if (scenario == "returning") {
    return {{kMisbehave, 60, 1}, {kLatency, 60, 1}, {kCrash, 30, 3},
            {kPowerCut, 20, 1},  {kEpoch, 20, 1},   {kReturn, 100, 4}};
  }
  if (scenario == "outdated") {
    return {{kMisbehave, 40, 1}, {kLoss, 30, 1},     {kLatency, 100, 1},
            {kCrash, 30, 3},     {kSlowDisk, 30, 1}, {kOutdated, 100, 1}};
  }
  if (scenario == "load") {
    return {{kMisbehave, 100, 1}, {kLoss, 100, 1}, {kLatency, 100, 1}, {kCrash, 100, 4}};
  }
  return {{kMisbehave, 65, 1}, {kLoss, 50, 1},     {kDuplicates, 50, 1}, {kLatency, 100, 1},
          {kDrift, 30, 1},     {kCrash, 35, 8},    {kPowerCut, 25, 2},   {kPartition, 25, 2},
          {kOneWayCut, 25, 3}, {kRot, 25, 5},      {kRollback, 15, 2},   {kWipe, 10, 1},
          {kFullDisk, 15, 3},  {kSlowDisk, 25, 3}, {kEpoch, 50, 6},      {kMove, 15, 2}};
}

std::string_view name_of(FaultKind kind) {
  switch (kind) {
    case FaultKind::kMisbehave:
      return "misbehave";
    case FaultKind::kLoss:
      return "loss";
    case FaultKind::kDuplicates:
      return "duplicates";
    case FaultKind::kLatency:
      return "latency";
    case FaultKind::kDrift:
      return "drift";
    case FaultKind::kCrash:
      return "crash";
    case FaultKind::kPowerCut:
      return "power-cut";
    case FaultKind::kPartition:
      return "partition";
    case FaultKind::kOneWayCut:
      return "one-way-cut";
    case FaultKind::kRot:
      return "rot";
    case FaultKind::kRollback:
      return "rollback";
    case FaultKind::kWipe:
      return "wipe";
    case FaultKind::kFullDisk:
      return "full-disk";
    case FaultKind::kSlowDisk:
      return "slow-disk";
    case FaultKind::kEpoch:
      return "epoch";
    case FaultKind::kMove:
      return "move";
    case FaultKind::kReturn:
      return "return";
    case FaultKind::kHandOver:
      return "hand-over";
    case FaultKind::kOutdated:
      return "outdated";
  }
  return "unknown";
}

Duration between(Random& random, Duration low, Duration high) {
  return Duration(static_cast<std::int64_t>(random.between(
      static_cast<std::uint64_t>(low.count()), static_cast<std::uint64_t>(high.count()))));
}

Fault choose_fault(FaultKind kind, const Plan& plan, Random& random) {
  const std::size_t nodes = plan.world.nodes + plan.world.spares;
  Fault out{.kind = kind, .lot = random.next()};
  out.at = between(random, milliseconds(200), plan.safety_time * 9 / 10);
  out.lasts = between(random, milliseconds(100), seconds(4));
  out.node = random.below(nodes);
  if (is_fault_of_node(kind)) {
    const std::size_t lots = (nodes - 1 - plan.bad_organisation) / plan.world.organisations + 1;
    out.node = plan.bad_organisation + random.below(lots) * plan.world.organisations;
  }
  switch (kind) {
    case FaultKind::kMisbehave:
      out.at = {};
      out.lot = static_cast<std::uint64_t>(choose_mode(random, plan.scenario == "byzantine"));
      break;
    case FaultKind::kLoss:
      out.at = {};
      out.lot = 1 + random.below(100);
      break;
    case FaultKind::kDuplicates:
      out.at = {};
      out.lot = 1 + random.below(50);
      break;
    case FaultKind::kLatency:
      out.at = {};
      out.lot = random.between(1, 200);
      break;
    case FaultKind::kDrift:
      out.at = {};
      break;
    case FaultKind::kPowerCut:
      out.lasts = between(random, milliseconds(10), seconds(2));
      break;
    case FaultKind::kEpoch:
    case FaultKind::kMove:
      out.lasts = between(random, milliseconds(1), seconds(3));
      break;
    case FaultKind::kReturn:
      out.lasts = between(random, milliseconds(1), milliseconds(100));
      break;
    case FaultKind::kHandOver:
      out.at = between(random, milliseconds(200), plan.safety_time / 2);
      out.lasts = between(random, milliseconds(100), seconds(1));
      break;
    case FaultKind::kOutdated:
      out.at = between(random, milliseconds(500), plan.safety_time / 4);
      out.lasts = {};
      break;
    case FaultKind::kRollback:
      // How old the copy is.
      out.lasts = between(random, milliseconds(100), out.at);
      break;
    case FaultKind::kCrash:
    case FaultKind::kPartition:
    case FaultKind::kOneWayCut:
    case FaultKind::kRot:
    case FaultKind::kWipe:
    case FaultKind::kFullDisk:
    case FaultKind::kSlowDisk:
      break;
  }
  return out;
}

WorldOptions choose_world(std::string_view scenario, std::uint64_t seed, Random& random) {
  WorldOptions out{.seed = seed};
  out.faults = static_cast<std::uint32_t>(random.chance(3, 4) ? 1 : random.between(2, 3));
  if (scenario == "load") out.faults = 1;
  out.organisations = 3 * out.faults + 1 + static_cast<std::uint32_t>(random.below(2));
  if (random.chance(1, 2)) {
    out.organisations = std::max<std::uint32_t>(4, out.organisations / 2);
  }
  if (scenario == "moving") {
    // Enough for every group when one of them has left.
    out.faults = 1;
    out.organisations = 5;
  }
  out.nodes = std::max<std::uint32_t>(out.organisations * 2, 3 * out.faults + 1);
  if (out.faults > 1) out.nodes = std::max(out.nodes, out.organisations * out.faults);
  out.spares = static_cast<std::uint32_t>(random.between(0, 4));
  if (scenario == "load") {
    out.organisations = 4;
    out.nodes = 16;
    out.spares = 0;
  }
  if (scenario == "byzantine" && random.chance(2, 3)) out.positions = 16;  // many arcs
  if (scenario == "outdated") out.spares = out.nodes;
  out.has_leases = scenario == "outdated" || seed % 3 == 0;
  out.has_real_signatures = seed % 20 == 0;
  out.has_encoded_messages = seed % 10 == 0;
  if (scenario != "load") {  // which measures what nodes do in earnest
    out.limits.reconcile_interval = seconds(10);
    // Small stores that compare as large ones do.
    if (random.chance(1, 4)) out.limits.range_entries_max = 4;
    out.limits.scrub_interval = milliseconds(100);
    out.limits.forget_delay = milliseconds(500);
    out.limits.audit_interval = seconds(1);
  }
  return out;
}

}  // namespace

bool is_fault_of_node(FaultKind kind) {
  return kind == FaultKind::kRot || kind == FaultKind::kRollback || kind == FaultKind::kWipe;
}

adversary::Mode choose_mode(Random& random, bool is_patient) {
  using enum adversary::Mode;
  constexpr adversary::Mode kModes[] = {kMute,  kLie,    kStale,  kGarbage, kEquivocate,
                                        kForge, kRefuse, kReplay, kHollow,  kStall};
  const auto mode = kModes[random.below(std::size(kModes))];
  return mode == kStall && !is_patient && random.chance(2, 3) ? kLie : mode;
}

std::string describe(const Fault& fault) {
  char text[160];
  std::snprintf(text, sizeof text, "%-12s at %7.3f s for %6.3f s, node %zu",
                std::string(name_of(fault.kind)).c_str(),
                static_cast<double>(fault.at.count()) / 1e6,
                static_cast<double>(fault.lasts.count()) / 1e6, fault.node);
  const std::string name(name_of(fault.kind));
  switch (fault.kind) {
    case FaultKind::kMisbehave:
      return name + " " + std::string(adversary::name_of(static_cast<adversary::Mode>(fault.lot)));
    case FaultKind::kLoss:
    case FaultKind::kDuplicates:
      return name + " " + std::to_string(fault.lot) + " per mille";
    case FaultKind::kLatency:
      return name + " up to " + std::to_string(fault.lot) + " ms";
    case FaultKind::kDrift:
      return name;
    case FaultKind::kCrash:
    case FaultKind::kPowerCut:
    case FaultKind::kPartition:
    case FaultKind::kOneWayCut:
    case FaultKind::kRot:
    case FaultKind::kRollback:
    case FaultKind::kWipe:
    case FaultKind::kFullDisk:
    case FaultKind::kSlowDisk:
    case FaultKind::kEpoch:
    case FaultKind::kReturn:
    case FaultKind::kMove:
    case FaultKind::kHandOver:
    case FaultKind::kOutdated:
      break;
  }
  return text;
}

bool is_scenario(std::string_view name) {
  return std::ranges::any_of(kScenarios, [&](const Scenario& one) { return one.name == name; });
}

Plan make_plan(std::string_view scenario, std::uint64_t seed) {
  CHECK(is_scenario(scenario));
  Random random(seed);
  Plan out{.scenario = std::string(scenario), .seed = seed};
  out.world = choose_world(scenario, seed, random);
  if (scenario == "load") {
    out.clients = 24;
    out.pause_max = milliseconds(80);
    out.safety_time = seconds(60);
  }
  out.world.clients = out.clients + 2;
  out.bad_organisation = static_cast<std::uint32_t>(random.below(out.world.organisations));
  out.is_misbehaving_after_healing = random.chance(1, 2);
  out.story = "f=" + std::to_string(out.world.faults) +
              " organisations=" + std::to_string(out.world.organisations) +
              " nodes=" + std::to_string(out.world.nodes) + "+" + std::to_string(out.world.spares) +
              " bad=" + std::to_string(out.bad_organisation);
  for (const Weight& weight : weights_of(scenario)) {
    if (!random.chance(weight.percent, 100)) continue;
    const std::uint64_t count = random.between(1, weight.count_max);
    for (std::uint64_t i = 0; i < count; ++i) {
      out.faults.push_back(choose_fault(weight.kind, out, random));
    }
    out.story += " " + std::string(name_of(weight.kind));
    if (count > 1) out.story += "*" + std::to_string(count);
    if (weight.kind == FaultKind::kMisbehave) {
      const auto mode = static_cast<adversary::Mode>(out.faults.back().lot);
      out.story += "=" + std::string(adversary::name_of(mode));
    }
  }
  if (scenario == "load") {
    for (Fault& fault : out.faults) {
      if (fault.kind == FaultKind::kLatency) fault.lot = 20;
      if (fault.kind == FaultKind::kLoss) fault.lot = 10;
    }
  }
  return out;
}

}  // namespace rosebud::sim
