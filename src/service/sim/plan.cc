#include "service/sim/plan.h"

#include <algorithm>

#include "base/check.h"

namespace rosebud::service::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// How often a kind of fault comes: in `percent` of the seeds, up to `count_max` times.
struct Weight {
  FaultKind kind;
  std::uint32_t percent;
  std::uint32_t count_max;
};

std::vector<Weight> weights_of(std::string_view scenario, bool is_quiet) {
  using enum FaultKind;
  if (scenario == "calm") return {{kDuplicates, 30, 1}, {kLatency, 50, 1}, {kRevoke, 30, 1}};
  if (scenario == "crashes") {
    return {{kLoss, 50, 1},    {kDuplicates, 50, 1}, {kLatency, 60, 1},   {kClocks, 50, 1},
            {kCrash, 100, 30}, {kLag, 60, 6},        {kPartition, 40, 3}, {kOneWayCut, 40, 4}};
  }
  if (scenario == "power") {
    return {{kLoss, 30, 1}, {kLatency, 50, 1}, {kPowerCut, 100, 8}, {kCrash, 40, 6}};
  }
  if (scenario == "disks") {
    return {
        {kLoss, 30, 1}, {kLatency, 40, 1}, {kDisk, 100, 12}, {kCrash, 60, 8}, {kPowerCut, 30, 2}};
  }
  if (scenario == "byzantine" && is_quiet) {
    return {{kLie, 100, 1}, {kDuplicates, 40, 1}, {kLatency, 40, 1}};
  }
  if (scenario == "byzantine") {
    return {{kLie, 100, 1},     {kLoss, 50, 1},      {kDuplicates, 50, 1},
            {kLatency, 50, 1},  {kCrash, 50, 8},     {kLag, 40, 4},
            {kPowerCut, 20, 2}, {kOneWayCut, 30, 3}, {kWipe, 30, 2}};
  }
  if (scenario == "one-organisation") {
    return {{kLie, 80, 1},        {kDuplicates, 30, 1}, {kLatency, 40, 1},  {kTurn, 60, 6},
            {kCrash, 70, 20},     {kDisk, 40, 6},       {kLag, 40, 6},      {kWipe, 50, 5},
            {kOneWayCut, 50, 10}, {kWildClock, 20, 1},  {kClockJump, 30, 5}};
  }
  if (scenario == "churn") {
    return {{kLie, 40, 1},     {kLoss, 20, 1},  {kCrash, 40, 6}, {kOutage, 70, 8},
            {kRevoke, 70, 10}, {kFlood, 30, 1}, {kWipe, 30, 2}};
  }
  if (scenario == "organisations") {
    return {{kLie, 60, 1}, {kLoss, 20, 1}, {kLatency, 40, 1}, {kCrash, 40, 6}, {kOutage, 30, 3}};
  }
  if (scenario == "complaints") {
    return {{kLie, 100, 1},  {kTurn, 70, 8},   {kLoss, 20, 1}, {kLatency, 40, 1},
            {kCrash, 50, 8}, {kOutage, 30, 3}, {kLag, 30, 4},  {kWipe, 30, 2}};
  }
  if (scenario == "clocks") {
    return {{kClocks, 100, 1}, {kClockJump, 80, 10}, {kWildClock, 40, 1},
            {kLie, 50, 1},     {kLatency, 40, 1},    {kCrash, 40, 5}};
  }
  return {{kLie, 50, 1},       {kLoss, 40, 1},      {kDuplicates, 40, 1}, {kLatency, 50, 1},
          {kClocks, 40, 1},    {kClockJump, 20, 3}, {kCrash, 60, 12},     {kOutage, 20, 3},
          {kPowerCut, 25, 2},  {kDisk, 40, 5},      {kLag, 30, 4},        {kPartition, 25, 2},
          {kOneWayCut, 25, 3}, {kWipe, 20, 2},      {kRevoke, 25, 2}};
}

std::string_view name_of(FaultKind kind) {
  switch (kind) {
    case FaultKind::kLie:
      return "lie";
    case FaultKind::kTurn:
      return "turn";
    case FaultKind::kLoss:
      return "loss";
    case FaultKind::kDuplicates:
      return "duplicates";
    case FaultKind::kLatency:
      return "latency";
    case FaultKind::kClocks:
      return "clocks";
    case FaultKind::kClockJump:
      return "clock-jump";
    case FaultKind::kWildClock:
      return "wild-clock";
    case FaultKind::kCrash:
      return "crash";
    case FaultKind::kOutage:
      return "outage";
    case FaultKind::kPowerCut:
      return "power-cut";
    case FaultKind::kDisk:
      return "disk";
    case FaultKind::kLag:
      return "lag";
    case FaultKind::kPartition:
      return "partition";
    case FaultKind::kOneWayCut:
      return "one-way-cut";
    case FaultKind::kWipe:
      return "wipe";
    case FaultKind::kRevoke:
      return "revoke";
    case FaultKind::kFlood:
      return "flood";
  }
  return "unknown";
}

Duration between(Random& random, Duration low, Duration high) {
  return Duration(static_cast<std::int64_t>(random.between(
      static_cast<std::uint64_t>(low.count()), static_cast<std::uint64_t>(high.count()))));
}

/// Of the network and of clocks: from the beginning to the healing.
bool is_lasting(FaultKind kind) {
  using enum FaultKind;
  return kind == kLie || kind == kLoss || kind == kDuplicates || kind == kLatency ||
         kind == kClocks || kind == kWildClock;
}

Fault choose_fault(FaultKind kind, const Plan& plan, Random& random) {
  Fault out{.kind = kind, .lot = random.next()};
  out.at = between(random, milliseconds(100), plan.safety_time * 9 / 10);
  out.lasts = between(random, milliseconds(20), seconds(3));
  out.node = random.below(plan.world.organisations * plan.world.nodes_of_each);
  if (is_lasting(kind)) out.at = {};
  if (kind == FaultKind::kLoss) out.lot = 1 + random.below(60);
  if (kind == FaultKind::kDuplicates) out.lot = 1 + random.below(100);
  if (kind == FaultKind::kLatency) out.lot = random.between(2, 65);
  if (kind == FaultKind::kOutage) out.lasts = between(random, seconds(8), seconds(25));
  if (kind == FaultKind::kWipe || plan.scenario == "one-organisation")
    out.node = plan.bad[random.below(plan.bad.size())];
  if (kind == FaultKind::kCrash && plan.scenario == "one-organisation") {
    out.lasts = between(random, milliseconds(20), seconds(30));
  }
  // One of each organisation at most: the others make a service and groups all the same.
  if (kind == FaultKind::kRevoke) {
    out.node -= out.node % plan.world.nodes_of_each;
  }
  return out;
}

WorldOptions choose_world(std::string_view scenario, std::uint64_t seed, Random& random) {
  WorldOptions out{.seed = seed};
  const bool is_large = scenario == "churn" || scenario == "organisations" ||
                        scenario == "complaints" || random.chance(1, 4);
  out.organisations = is_large ? 5 : 4;
  out.nodes_of_each = is_large ? 3 : 2;
  membership::Settings& settings = out.settings;
  if (is_large && random.chance(1, 3)) settings.service_faults = 2;
  settings.epoch_seconds = random.between(6, 12);
  // Ends before their time are the rule rather than the exception.
  if (scenario == "churn" && random.chance(1, 2)) settings.epoch_seconds = 40;
  settings.service_term_seconds = random.chance(1, 2) ? 0 : random.between(5, 30);
  settings.evict_after_seconds = random.chance(1, 2) ? 600 : random.between(4, 25);
  if (scenario == "complaints") settings.evict_after_seconds = random.between(3, 15);
  if (scenario == "churn") settings.evict_after_seconds = random.between(2, 8);
  return out;
}

}  // namespace

std::string describe(const Fault& fault) {
  const std::string name(name_of(fault.kind));
  if (is_lasting(fault.kind)) return name + " " + std::to_string(fault.lot);
  char text[120];
  std::snprintf(text, sizeof text, "%-12s at %7.3f s for %6.3f s, node %zu", name.c_str(),
                static_cast<double>(fault.at.count()) / 1e6,
                static_cast<double>(fault.lasts.count()) / 1e6, fault.node);
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
  out.is_quiet = scenario == "calm" || scenario == "one-organisation" ||
                 (scenario == "byzantine" && random.chance(1, 2));
  out.has_office =
      scenario == "calm" || scenario == "churn" || scenario == "complaints" || random.chance(1, 2);
  out.has_assembly = scenario == "organisations";
  out.has_audits = scenario == "complaints" || seed % 3 == 0;
  out.is_misbehaving_after_healing = random.chance(1, 2);
  const std::size_t each = out.world.nodes_of_each;
  const std::size_t faulty = random.below(out.world.organisations);
  for (std::size_t i = 0; i < each; ++i) out.bad.push_back(faulty * each + i);
  out.story = "F=" + std::to_string(out.world.settings.service_faults) + " " +
              std::to_string(out.world.organisations) + "x" + std::to_string(each) +
              " epoch=" + std::to_string(out.world.settings.epoch_seconds) +
              " term=" + std::to_string(out.world.settings.service_term_seconds) +
              " evict=" + std::to_string(out.world.settings.evict_after_seconds) +
              " bad=" + std::to_string(out.bad.front()) + "..";
  if (out.is_quiet) out.story += " quiet";
  for (const Weight& weight : weights_of(scenario, out.is_quiet)) {
    if (!random.chance(weight.percent, 100)) continue;
    const std::uint64_t count = random.between(1, weight.count_max);
    for (std::uint64_t i = 0; i < count; ++i) {
      out.faults.push_back(choose_fault(weight.kind, out, random));
    }
    out.story += " " + std::string(name_of(weight.kind));
    if (count > 1) out.story += "*" + std::to_string(count);
  }
  return out;
}

}  // namespace rosebud::service::sim
