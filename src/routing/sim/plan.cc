#include "routing/sim/plan.h"

#include <algorithm>

namespace rosebud::routing::sim {
namespace {

class Planner {
 public:
  Planner(std::string_view scenario, std::uint64_t seed)
      : random_(mix(seed, 0x726f7574696e67)), begin_(begin_plan(scenario, seed)) {}

  Plan make() {
    Plan& plan = begin_;
    plan.world.roster = static_cast<std::uint32_t>(random_.between(24, 160));
    plan.world.alive =
        plan.world.roster * static_cast<std::uint32_t>(random_.between(60, 95)) / 100;
    plan.world.settings =
        Settings::for_peers(is("classic") ? Timing::kClassic : Timing::kEager, plan.world.alive);
    plan.world.settings.slices = static_cast<std::uint32_t>(random_.between(1, 4));
    if (is("classic")) plan.world.settings.units = random_.chance(1, 2) ? 1 : 3;
    plan.world.settings.fan_out = static_cast<std::uint32_t>(random_.between(2, 5));
    plan.world.keeps_old_table = random_.chance(3, 4);
    // Some move their base on all the time, so that what is in the delta goes into the base early.
    plan.world.rebase_lag = std::chrono::seconds(random_.between(2, 60));
    plan.world.loss_per_mille =
        is("accusers") || is("many") ? 0 : static_cast<std::uint32_t>(random_.between(0, 20));
    if (is("classic")) plan.world.rebase_lag = std::chrono::seconds(70);
    come_and_go();
    if (is("leaders")) {
      add(FaultKind::kKillLeaders, Duration(0), plan.safety_time, random_.between(5, 20));
    }
    if (is("lossy")) add(FaultKind::kLoss, Duration(0), plan.safety_time, random_.between(60, 120));
    if (is("cuts")) {
      for (std::uint64_t i = random_.between(2, 6); i > 0; --i) {
        add(random_.chance(2, 3) ? FaultKind::kMute : FaultKind::kDeaf, seconds(2, 80),
            seconds(2, 25), random_.next());
      }
    }
    if (is("accusers") || is("flood")) {
      const std::uint64_t liars = std::max<std::uint64_t>(plan.world.alive / 10, 1);
      for (std::uint64_t i = liars; i > 0; --i) {
        add(is("flood") ? FaultKind::kFlood : FaultKind::kAccuse, seconds(0, 20), plan.safety_time,
            random_.next());
      }
    }
    if (is("many")) {
      const std::uint64_t percent = random_.between(20, 50);
      add(FaultKind::kCrashMany, seconds(10, 20), seconds(20, 60),
          random_.below(1'000'000) * 100 + percent);
    }
    set_rules();
    tell();
    return plan;
  }

 private:
  static Plan begin_plan(std::string_view scenario, std::uint64_t seed) {
    Plan out;
    out.scenario = scenario;
    out.seed = seed;
    out.world.seed = seed;
    return out;
  }
  bool is(std::string_view scenario) const { return begin_.scenario == scenario; }
  Duration seconds(std::uint64_t low, std::uint64_t high) {
    return std::chrono::milliseconds(random_.between(low * 1000, high * 1000));
  }
  void add(FaultKind kind, Duration at, Duration lasts, std::uint64_t lot) {
    begin_.faults.push_back({kind, at, lasts, lot});
  }

  void come_and_go() {
    const std::uint64_t most = is("accusers") ? 6 : std::max(begin_.world.alive / 5, 4U);
    for (std::uint64_t i = random_.between(3, most); i > 0; --i) {
      add(random_.chance(1, 4) ? FaultKind::kLeave : FaultKind::kCrash, seconds(1, 80),
          seconds(6, 60), random_.next());
    }
  }

  /// What may be late or twice where that is strained; measured, with room.
  void set_rules() {
    Checkers::Rules& rules = begin_.rules;
    rules.is_nobody_falsely_dead = is("accusers");
    rules.again_percent_max = 20;
    rules.late_per_mille_max = 15;
    if (is("leaders") || is("cuts")) rules.late_per_mille_max = 50;
    // Up to 42 in seeds 1..160: liars drive announcements out, and repair brings the events.
    if (is("flood")) rules.late_per_mille_max = 60;
    if (is("many")) rules.late_per_mille_max = 150;
    if (is("classic")) rules.late_per_mille_max = 1000;
  }

  void tell() {
    const Plan& plan = begin_;
    begin_.story = plan.scenario + ": " + std::to_string(plan.world.alive) + " peers of " +
                   std::to_string(plan.world.roster) + ", " +
                   std::to_string(plan.world.settings.slices) + " slices, " +
                   std::to_string(plan.world.loss_per_mille) + " of 1000 datagrams lost, " +
                   std::to_string(plan.faults.size()) + " faults";
  }

  Random random_;
  Plan begin_;
};

std::string_view name(FaultKind kind) {
  switch (kind) {
    case FaultKind::kCrash:
      return "crash";
    case FaultKind::kLeave:
      return "leave";
    case FaultKind::kCrashMany:
      return "crash of many";
    case FaultKind::kLoss:
      return "loss";
    case FaultKind::kMute:
      return "mute";
    case FaultKind::kDeaf:
      return "deaf";
    case FaultKind::kKillLeaders:
      return "leaders die";
    case FaultKind::kAccuse:
      return "accuse";
    case FaultKind::kFlood:
      return "flood";
  }
  return "";
}

}  // namespace

std::string describe(const Fault& fault) {
  return std::string(name(fault.kind)) + " at " + std::to_string(fault.at.count() / 1000) +
         " ms for " + std::to_string(fault.lasts.count() / 1000) + " ms, lot " +
         std::to_string(fault.lot);
}

bool is_scenario(std::string_view name) {
  return std::ranges::any_of(kScenarios, [&](const Scenario& one) { return one.name == name; });
}

Plan make_plan(std::string_view scenario, std::uint64_t seed) {
  return Planner(scenario, seed).make();
}

}  // namespace rosebud::routing::sim
