#include "pbft/sim/plan.h"

#include <algorithm>

namespace rosebud::pbft::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint32_t kClientsMax = 8;

/// How often a kind of fault comes: in `percent` of the seeds, up to `count_max` times.
struct Weight {
  FaultKind kind;
  std::uint32_t percent;
  std::uint32_t count_max;
};

std::vector<Weight> weights_of(std::string_view scenario) {
  using enum FaultKind;
  if (scenario == "crashes") {
    return {{kLoss, 60, 1},      {kDuplicates, 50, 1},  {kLatency, 70, 1},   {kClocks, 50, 1},
            {kCrash, 90, 12},    {kKillPrimary, 50, 6}, {kPowerCut, 80, 6},  {kPartition, 40, 3},
            {kOneWayCut, 30, 3}, {kSlowDisk, 60, 4},    {kClocksBack, 20, 1}};
  }
  if (scenario == "byzantine") {
    return {{kMisbehave, 100, 1}, {kLoss, 50, 1},     {kDuplicates, 50, 1},  {kLatency, 70, 1},
            {kClocks, 30, 1},     {kCrash, 30, 4},    {kKillPrimary, 40, 4}, {kPowerCut, 20, 2},
            {kPartition, 30, 2},  {kOneWayCut, 40, 4}};
  }
  if (scenario == "session-keys") {
    return {{kMisbehave, 100, 1}, {kLoss, 30, 1},        {kDuplicates, 50, 1}, {kLatency, 50, 1},
            {kCrash, 30, 4},      {kKillPrimary, 30, 2}, {kOneWayCut, 30, 2}};
  }
  if (scenario == "primaries") {
    return {{kLoss, 30, 1}, {kLatency, 50, 1}, {kKillPrimary, 100, 30}, {kMisbehave, 60, 1}};
  }
  if (scenario == "views") return {{kKillPrimary, 100, 600}, {kMisbehave, 20, 1}};
  if (scenario == "cut-short") {
    return {{kMisbehave, 80, 1}, {kCutAtExecution, 100, 80}, {kKillPrimary, 70, 40}};
  }
  if (scenario == "slow-network") return {{kLatency, 100, 1}, {kCrash, 30, 2}};
  if (scenario == "rollback") {
    return {{kMisbehave, 50, 1}, {kLoss, 30, 1},     {kDuplicates, 30, 1}, {kLatency, 50, 1},
            {kPartition, 40, 3}, {kRollback, 90, 3}, {kWipe, 50, 1},       {kOneWayCut, 40, 3}};
  }
  if (scenario == "stop") {
    return {{kStop, 100, 1}, {kMisbehave, 30, 1}, {kLoss, 40, 1},        {kLatency, 50, 1},
            {kCrash, 60, 6}, {kPowerCut, 40, 3},  {kKillPrimary, 40, 3}, {kRollback, 30, 2}};
  }
  return {{kMisbehave, 50, 1}, {kLoss, 50, 1},      {kDuplicates, 50, 1},  {kLatency, 60, 1},
          {kClocks, 30, 1},    {kCrash, 40, 6},     {kKillPrimary, 40, 4}, {kPowerCut, 25, 2},
          {kPartition, 30, 2}, {kOneWayCut, 30, 3}, {kSlowDisk, 30, 3},    {kRollback, 15, 2},
          {kWipe, 10, 1},      {kClocksBack, 10, 1}};
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
    case FaultKind::kClocks:
      return "clocks";
    case FaultKind::kClocksBack:
      return "clocks-back";
    case FaultKind::kCrash:
      return "crash";
    case FaultKind::kKillPrimary:
      return "kill-primary";
    case FaultKind::kPowerCut:
      return "power-cut";
    case FaultKind::kCutAtExecution:
      return "cut-at-execution";
    case FaultKind::kPartition:
      return "partition";
    case FaultKind::kOneWayCut:
      return "one-way-cut";
    case FaultKind::kSlowDisk:
      return "slow-disk";
    case FaultKind::kRollback:
      return "rollback";
    case FaultKind::kWipe:
      return "wipe";
    case FaultKind::kStop:
      return "stop";
  }
  return "unknown";
}

Duration between(Random& random, Duration low, Duration high) {
  return Duration(static_cast<std::int64_t>(random.between(
      static_cast<std::uint64_t>(low.count()), static_cast<std::uint64_t>(high.count()))));
}

/// Where views change within milliseconds.
bool is_quick(std::string_view scenario) { return scenario == "views" || scenario == "cut-short"; }

Fault choose_fault(FaultKind kind, const Plan& plan, Random& random) {
  Fault out{.kind = kind, .lot = random.next()};
  out.at = between(random, milliseconds(100), plan.safety_time * 9 / 10);
  out.lasts = between(random, milliseconds(20), seconds(2));
  out.seat = random.below(3 * plan.world.faults + 1 - plan.world.vacant);
  switch (kind) {
    case FaultKind::kMisbehave:
      out.at = {};
      out.lot = 1 + random.below(static_cast<std::uint64_t>(kModeLast));
      if (plan.scenario == "session-keys" && random.chance(1, 2)) {
        out.lot = static_cast<std::uint64_t>(Mode::kForgeRequest);
      }
      if (plan.scenario == "primaries" && random.chance(2, 3)) {
        out.lot = static_cast<std::uint64_t>(Mode::kHoard);
      }
      if (plan.scenario == "cut-short" && random.chance(2, 3)) {
        out.lot = static_cast<std::uint64_t>(Mode::kForgeViewChange);
      }
      if (plan.scenario == "rollback" && random.chance(2, 3)) {
        out.lot = static_cast<std::uint64_t>(Mode::kIgnoreWishes);
      }
      break;
    case FaultKind::kLoss:
      out.at = {};
      out.lot = 1 + random.below(150);
      break;
    case FaultKind::kDuplicates:
      out.at = {};
      out.lot = 1 + random.below(100);
      break;
    case FaultKind::kLatency:
      out.at = {};
      out.lot = plan.scenario == "slow-network" ? random.between(400, 1000) : random.between(1, 60);
      break;
    case FaultKind::kClocks:
      out.at = {};
      break;
    case FaultKind::kRollback:
      out.seat = plan.forgetful[random.below(plan.forgetful.size())];
      // Now and then so late that few requests come after it, and the primary has to fill numbers.
      if (random.chance(1, 3)) {
        out.at = between(random, plan.safety_time * 95 / 100, plan.safety_time * 99 / 100);
      }
      out.lasts = between(random, milliseconds(1), std::min<Duration>(out.at, seconds(3)));
      break;
    case FaultKind::kWipe:
      out.seat = plan.forgetful[random.below(plan.forgetful.size())];
      break;
    case FaultKind::kKillPrimary:
      // One is back before the next view has begun.
      if (is_quick(plan.scenario)) out.lasts = between(random, milliseconds(5), milliseconds(40));
      break;
    case FaultKind::kCutAtExecution:
      out.lasts = between(random, milliseconds(20), milliseconds(80));
      break;
    case FaultKind::kCrash:
    case FaultKind::kPowerCut:
    case FaultKind::kPartition:
    case FaultKind::kOneWayCut:
    case FaultKind::kSlowDisk:
    case FaultKind::kClocksBack:
    case FaultKind::kStop:
      break;
  }
  return out;
}

/// Who lies and who forgets: all of `bad` do whatever is planned, but nobody both. So of two of
/// them each may do one thing.
void share_out(const std::vector<std::size_t>& bad, Random& random, Plan& plan) {
  plan.liars = plan.forgetful = bad;
  if (bad.size() < 2 || random.chance(1, 3)) return;
  plan.liars.resize(1);
  plan.forgetful.erase(plan.forgetful.begin());
}

WorldOptions choose_world(std::string_view scenario, std::uint64_t seed, Random& random) {
  WorldOptions out{.seed = seed};
  // Where one may lie and another forget, more often both.
  out.faults = static_cast<std::uint32_t>(random.chance(scenario == "rollback" ? 2 : 3, 4) ? 1 : 2);
  out.clients = static_cast<std::uint32_t>(random.between(3, kClientsMax));
  out.vacant = random.chance(1, 6) ? 1 : 0;
  out.has_real_signatures = seed % 50 == 0;
  out.has_encoded_messages = seed % 10 == 0;
  out.has_link_hints = random.chance(1, 2);
  out.loses_superfluous_votes = random.chance(1, 2);
  Settings& settings = out.settings;
  settings.group.checkpoint_interval = random.chance(1, 2) ? 4 : 8;
  settings.group.window = settings.group.checkpoint_interval * random.between(2, 4);
  if (random.chance(1, 8)) settings.group.clients_max = 4;
  settings.instances_in_flight_max = random.between(1, 8);
  settings.small_batches_in_flight_max = random.between(1, 4);
  settings.small_batch_requests = random.between(1, 6);
  settings.small_batch_wait = milliseconds(random.between(1, 50));
  settings.batch_requests_max = random.between(1, 8);
  settings.request_timeout = milliseconds(300);
  settings.status_interval = milliseconds(50);
  settings.idle_status_interval = milliseconds(300);
  settings.transfer_delay = milliseconds(60);
  settings.fetch_timeout = milliseconds(150);
  settings.clock_bound_ms = 10'000;
  if (scenario == "slow-network") settings.fetch_timeout = seconds(3);
  if (is_quick(scenario)) {
    out.has_link_hints = true;
    settings.lost_link_timeout = milliseconds(5);
    settings.request_timeout = milliseconds(100);
  }
  // A share of all others too.
  if (scenario == "session-keys" || seed % 4 == 3) {
    settings.group.request_authentication = RequestAuthentication::kSessionKeys;
  }
  return out;
}

/// One request at a time, of as many clients as there are: some 20 ms for each.
void make_narrow(WorldOptions& options) {
  options.faults = 2;
  options.clients = kClientsMax;
  options.settings.instances_in_flight_max = 1;
  options.settings.batch_requests_max = 1;
}

}  // namespace

std::string describe(const Fault& fault) {
  const std::string name(name_of(fault.kind));
  switch (fault.kind) {
    case FaultKind::kMisbehave:
      return name + " " + std::string(name_of(static_cast<Mode>(fault.lot)));
    case FaultKind::kLoss:
    case FaultKind::kDuplicates:
      return name + " " + std::to_string(fault.lot) + " per mille";
    case FaultKind::kLatency:
      return name + " up to " + std::to_string(fault.lot) + " ms";
    case FaultKind::kClocks:
      return name;
    default:
      break;
  }
  char text[120];
  std::snprintf(text, sizeof text, "%-12s at %7.3f s for %6.3f s, replica %zu", name.c_str(),
                static_cast<double>(fault.at.count()) / 1e6,
                static_cast<double>(fault.lasts.count()) / 1e6, fault.seat);
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
  const std::size_t seats = 3 * out.world.faults + 1 - out.world.vacant;
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < seats; ++i) order.push_back(i);
  random.shuffle(order);
  out.has_hostile_client = scenario == "byzantine" || random.chance(1, 4);
  if (scenario == "rollback" || scenario == "slow-network") out.has_hostile_client = false;
  out.is_misbehaving_after_healing = random.chance(1, 2);
  if (scenario == "session-keys") out.has_hostile_client = true;
  out.is_calm = scenario == "session-keys" && random.chance(1, 2);
  out.is_narrow = out.is_calm && seed % 2 == 1;
  if (out.is_narrow) make_narrow(out.world);
  out.do_clients_begin_anew = !out.is_calm && seed % 3 == 1;
  order.resize(out.is_calm ? 0 : out.world.faults - out.world.vacant);
  share_out(order, random, out);
  if (scenario == "slow-network") out.safety_time = seconds(2);
  out.story = "f=" + std::to_string(out.world.faults) +
              " k=" + std::to_string(out.world.settings.group.checkpoint_interval) +
              " l=" + std::to_string(out.world.settings.group.window) +
              " vacant=" + std::to_string(out.world.vacant) + " bad=";
  for (const std::size_t seat : order) out.story += std::to_string(seat) + ",";
  const bool has_session_keys =
      out.world.settings.group.request_authentication == RequestAuthentication::kSessionKeys;
  if (has_session_keys) out.story += " session-keys";
  if (out.is_calm) {
    out.story += out.is_narrow ? " calm narrow" : " calm";
    return out;
  }
  bool is_lying = false;
  for (const Weight& weight : weights_of(scenario)) {
    if (!random.chance(weight.percent, 100)) continue;
    // What lies is not judged by what it forgets too.
    const bool is_of_disk = weight.kind == FaultKind::kRollback || weight.kind == FaultKind::kWipe;
    const bool is_of_bad = is_of_disk || weight.kind == FaultKind::kMisbehave;
    if (is_of_bad && order.empty()) continue;
    if (is_of_disk && is_lying && out.liars == out.forgetful) continue;
    const bool is_of_others = weight.kind == FaultKind::kMisbehave && scenario == "rollback";
    if (is_of_others && out.liars == out.forgetful) continue;
    const std::uint64_t count = random.between(1, weight.count_max);
    for (std::uint64_t i = 0; i < count; ++i) {
      out.faults.push_back(choose_fault(weight.kind, out, random));
    }
    out.story += " " + std::string(name_of(weight.kind));
    if (count > 1) out.story += "*" + std::to_string(count);
    if (weight.kind != FaultKind::kMisbehave) continue;
    is_lying = true;
    out.story += "=" + std::string(name_of(static_cast<Mode>(out.faults.back().lot)));
  }
  return out;
}

}  // namespace rosebud::pbft::sim
