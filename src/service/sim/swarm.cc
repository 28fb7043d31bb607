#include "service/sim/swarm.h"

#include "service/sim/checkers.h"

namespace rosebud::service::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kProgressEpochs = 3;
/// Beyond the length of an epoch: patience with everybody, and views that took long to settle.
constexpr Duration kProgressSlack = seconds(45);
/// The same where one organisation alone fails: a quarter of the length for each of its candidates
/// and shares, and a few primaries that say nothing.
constexpr Duration kPaceSlack = seconds(20);
constexpr Duration kAllThereLimit = seconds(40);
constexpr std::size_t kNewNodesMax = 3;
constexpr std::size_t kNewOrganisationsMax = 2;
constexpr std::size_t kFloodCount = 80;  // over Machine::kAdmissionsPerDay
constexpr std::int64_t kDayMs = 86'400'000;

class Run {
 public:
  Run(const Plan& plan, std::size_t story_lines)
      : plan_(plan), world_(plan.world), checkers_(world_), random_(plan.seed ^ 0x737663) {
    world_.keep_story(story_lines);
    if (!plan.is_quiet) return;
    checkers_.expect_quiet();
    world_.every(seconds(1), [this] { check_pace(); });
  }

  SwarmResult run() {
    for (const Fault& fault : plan_.faults) {
      if (fault.at == Duration{}) {
        strike(fault);
      } else {
        world_.agenda().after(fault.at, [this, &fault] { strike(fault); });
      }
    }
    if (plan_.scenario == "one-organisation") {
      for (const std::size_t n : plan_.bad) world_.call_faulty(n);
    }
    world_.start_all();
    world_.every(milliseconds(300), [this] { lie(); });
    if (plan_.has_audits) world_.every(milliseconds(500), [this] { world_.audit(); });
    if (plan_.has_assembly) world_.every(milliseconds(900), [this] { decide_something(); });
    if (plan_.has_office) world_.every(milliseconds(1500), [this] { hand_in_something(); });
    run_until([] { return false; }, plan_.safety_time);
    if (!is_over()) heal();
    if (!is_over()) demand_progress();
    return result();
  }

 private:
  bool is_over() const { return !checkers_.violation().empty(); }
  bool run_until(const std::function<bool()>& is_done, Duration limit) {
    return world_.agenda().run_until([&] { return is_over() || is_done(); }, limit);
  }
  std::int64_t random_ms(Random& random, std::int64_t longest) const {
    return static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(2 * longest))) -
           longest;
  }

  // ---- Liars ----

  void lie() {
    for (const std::size_t n : plan_.bad) {
      if (world_.is_correct(n)) continue;
      world_.lie(n);
      if (random_.chance(1, 3)) world_.babble(n);
    }
  }

  /// Epochs do not wait for the healing where so little fails.
  void check_pace() {
    if (world_.epoch() != paced_epoch_) {
      paced_epoch_ = world_.epoch();
      paced_since_ = world_.now();
    }
    const Duration longest = seconds(plan_.world.settings.epoch_seconds) + kPaceSlack;
    if (world_.now() > paced_since_ + longest) {
      checkers_.fail("no progress though one organisation alone fails");
    }
  }

  // ---- Faults ----

  void strike(const Fault& fault) {
    if (is_healed_) return;
    if (fault.at > Duration{}) world_.tell(describe(fault));
    const std::size_t n = fault.node;
    Random random(fault.lot);
    switch (fault.kind) {
      case FaultKind::kLie:
        return begin_to_lie(random);
      case FaultKind::kTurn:
        return random.chance(1, 4) ? stop_lying() : begin_to_lie(random);
      case FaultKind::kLoss:
        return world_.set_loss(static_cast<std::uint32_t>(fault.lot));
      case FaultKind::kDuplicates:
        return world_.set_duplicates(static_cast<std::uint32_t>(fault.lot));
      case FaultKind::kLatency:
        return world_.set_latency_max(milliseconds(fault.lot));
      case FaultKind::kClocks:
        for (std::size_t i = 0; i < world_.cluster().node_count(); ++i) {
          world_.set_clock_offset(i, random_ms(random, 2000));
        }
        return;
      case FaultKind::kClockJump:
        world_.set_clock_offset(n, random_ms(random, 3000));
        return world_.restart(n);
      case FaultKind::kWildClock:
        for (const std::size_t bad : plan_.bad) {
          world_.call_faulty(bad);
          // Not before the genesis: a clock shows no time below zero.
          world_.set_clock_offset(bad, random.chance(1, 2) ? kDayMs : -kWallBeginMs / 2);
        }
        return;
      case FaultKind::kCrash:
        return crash(n, fault.lasts);
      case FaultKind::kOutage:
        if (!world_.members().contains(n)) crash(n, fault.lasts);
        return;
      case FaultKind::kPowerCut:
        world_.power_cut();
        return world_.agenda().after(fault.lasts, [this] { world_.start_all(); });
      case FaultKind::kDisk:
        world_.fail_writes(n, static_cast<std::uint32_t>(random.between(200, 1000)));
        return world_.agenda().after(fault.lasts, [this, n] { world_.fail_writes(n, 0); });
      case FaultKind::kLag:
        return world_.lag(n, fault.lasts);
      case FaultKind::kPartition:
        return cut_sides(fault, random);
      case FaultKind::kOneWayCut:
        return cut_one_way(fault, random);
      case FaultKind::kWipe:
        return wipe(n);
      case FaultKind::kRevoke:
        return revoke(n);
      case FaultKind::kFlood:
        return flood(fault, random);
    }
  }

  /// All in one way, or each in its own.
  void begin_to_lie(Random& random) {
    Conduct conduct = choose_conduct(random);
    const bool is_each = random.chance(1, 3);
    for (const std::size_t n : plan_.bad) {
      if (is_each) conduct = choose_conduct(random);
      world_.set_conduct(n, conduct);
      world_.tell("node " + std::to_string(n) + " is " + std::string(name_of(conduct)));
    }
  }

  Conduct choose_conduct(Random& random) const {
    const bool is_strained = plan_.scenario == "complaints" && random.chance(4, 5);
    if (is_strained) return random.chance(1, 2) ? Conduct::kHollow : Conduct::kSlanderer;
    return kFaulty[random.below(std::size(kFaulty))];
  }

  void stop_lying() {
    for (const std::size_t n : plan_.bad) world_.set_conduct(n, Conduct::kCorrect);
  }

  void crash(std::size_t n, Duration lasts) {
    if (!world_.is_up(n)) return;
    world_.crash(n);
    world_.agenda().after(lasts, [this, n] {
      if (!world_.is_up(n)) world_.start(n);
    });
  }

  /// One silent member beside a vacant seat is one too many (design 8.4).
  void wipe(std::size_t n) {
    const std::size_t seats = 3 * std::size_t{plan_.world.settings.service_faults} + 1;
    if (plan_.is_quiet || world_.newest().service().size() == seats) world_.wipe(n);
  }

  void cut_sides(const Fault& fault, Random& random) {
    std::vector<bool> is_left;
    for (std::size_t n = 0; n < world_.cluster().node_count(); ++n) {
      is_left.push_back(random.chance(1, 2));
    }
    cut_while(fault,
              [&](std::size_t from, std::size_t to) { return is_left[from] != is_left[to]; });
  }
  void cut_one_way(const Fault& fault, Random& random) {
    std::vector<bool> is_deaf;
    for (std::size_t n = 0; n < world_.cluster().node_count(); ++n) {
      is_deaf.push_back(random.chance(1, 2));
    }
    cut_while(fault,
              [&](std::size_t from, std::size_t to) { return from == fault.node && is_deaf[to]; });
  }
  template <typename IsCut>
  void cut_while(const Fault& fault, IsCut is_cut) {
    const std::size_t count = world_.cluster().node_count();
    for (std::size_t from = 0; from < count; ++from) {
      for (std::size_t to = 0; to < count; ++to) {
        if (from == to || !is_cut(from, to)) continue;
        world_.cut(from, to);
        world_.agenda().after(fault.lasts, [this, from, to] {
          if (!is_healed_) world_.mend(from, to);
        });
      }
    }
  }

  // ---- What organisations want ----

  std::uint64_t wall_s() const {
    return static_cast<std::uint64_t>(
        kWallBeginMs / 1000 +
        std::chrono::duration_cast<seconds>(world_.now().time_since_epoch()).count());
  }
  std::size_t organisation_of(std::size_t n) const {
    const std::size_t count = world_.cluster().node_count();
    return n < count ? world_.cluster().organisation_of(n) : n % plan_.world.organisations;
  }
  void hand_in(const Operation& operation) {
    const std::size_t n = random_.below(world_.cluster().node_count());
    if (world_.is_up(n)) world_.hand_in(n, operation);
  }

  void revoke(std::size_t n) { hand_in(world_.cluster().revocation(n, organisation_of(n))); }

  /// Statements that wait for ever: another node has the address.
  void flood(const Fault& fault, Random& random) {
    const std::size_t organisation = random.below(plan_.world.organisations);
    for (std::size_t i = 0; i < kFloodCount; ++i) {
      world_.agenda().after(fault.lasts * static_cast<int>(i) / 4, [this, organisation, i] {
        auto statement = world_.cluster().statement(1000 + i, organisation);
        statement.address = world_.newest().nodes().front().address;
        hand_in(world_.cluster().sign(statement, organisation));
      });
    }
  }

  void hand_in_something() {
    if (is_healed_) return bring_back();
    const std::size_t n = random_.below(world_.cluster().node_count());
    const std::size_t organisation = organisation_of(n);
    auto statement = world_.cluster().statement(n, organisation);
    switch (random_.below(7)) {
      case 0:
        return admit_new_one();
      case 1:
        return bring_back();
      case 2:  // to another address, or back
        statement.not_before = Timestamp(wall_s() - 1);
        statement.address += std::to_string(random_.below(3));
        return hand_in(world_.cluster().sign(statement, organisation));
      case 3:  // older than what it may be in by
        statement.not_before = Timestamp(random_.between(1, wall_s()));
        statement.address += std::to_string(random_.below(3));
        return hand_in(world_.cluster().sign(statement, organisation));
      case 4:  // another organisation's claim
        statement = world_.cluster().statement(n, (organisation + 1) % plan_.world.organisations);
        statement.address += std::to_string(random_.below(3));
        return hand_in(
            world_.cluster().sign(statement, (organisation + 1) % plan_.world.organisations));
      case 5:  // signed by somebody else
        return hand_in(
            world_.cluster().sign(statement, (organisation + 1) % plan_.world.organisations));
      default:  // another's revocation
        return hand_in(
            world_.cluster().revocation(n, (organisation + 1) % plan_.world.organisations));
    }
  }

  void admit_new_one() {
    const std::size_t first = world_.cluster().node_count();
    const std::size_t n = first + random_.below(kNewNodesMax);
    hand_in(world_.cluster().admission(n, organisation_of(n)));
    if (world_.is_there(n)) return;
    world_.add(n);
    world_.give_chain(n);
    world_.start(n);
  }

  // ---- What organisations decide together ----

  Timestamp wall_before(std::uint64_t seconds_ago) const {
    return Timestamp(wall_s() - seconds_ago);
  }
  /// Those that have a say, by number.
  std::vector<std::size_t> voters() const {
    std::vector<std::size_t> out;
    for (std::size_t i = 0; i < plan_.world.organisations + kNewOrganisationsMax; ++i) {
      if (world_.newest().has_say(Cluster::authority(i).public_key())) out.push_back(i);
    }
    return out;
  }
  std::optional<std::size_t> revoked_organisation() const {
    for (std::size_t i = 0; i < plan_.world.organisations + kNewOrganisationsMax; ++i) {
      const auto key = Cluster::authority(i).public_key();
      if (world_.newest().organisation_index(key) && !world_.newest().has_say(key)) return i;
    }
    return std::nullopt;
  }
  std::vector<std::size_t> some(std::vector<std::size_t> of, std::size_t count) {
    while (of.size() > count) {
      of.erase(of.begin() + static_cast<std::ptrdiff_t>(random_.below(of.size())));
    }
    return of;
  }

  AdmitOrganisation admission_of(std::size_t organisation) {
    return {.name = Cluster::name_of_organisation(organisation),
            .authority = Cluster::authority(organisation).public_key(),
            .quota_bytes = random_.between(1, 1000)};
  }
  static RevokeOrganisation revocation_of(std::size_t organisation) {
    return {.name = Cluster::name_of_organisation(organisation),
            .authority = Cluster::authority(organisation).public_key()};
  }
  /// One that would change something.
  Decree::What choose_decree() {
    const std::size_t organisations = plan_.world.organisations;
    switch (random_.below(5)) {
      case 4:  // one of those that the service has no use for
        return ChangeSetting{.name = random_.chance(1, 2) ? "hedge-ms" : "read-settle-ms",
                             .value = random_.between(1, 100)};
      case 0:  // one at a time: the others make a service and groups all the same
        if (!is_anybody_to_go_) {
          is_anybody_to_go_ = true;
          return revocation_of(random_.below(organisations));
        }
        [[fallthrough]];
      case 1:
        if (const auto out = revoked_organisation()) {
          is_anybody_to_go_ = false;
          return admission_of(*out);
        }
        [[fallthrough]];
      case 2:
        return admission_of(random_.below(organisations + kNewOrganisationsMax));
      default: {
        const std::size_t n = random_.below(world_.cluster().node_count());
        const std::size_t first = n - n % plan_.world.nodes_of_each;
        return RevokeAnyNode{.name = world_.cluster().statement(first, 0).name,
                             .node = world_.key(first)};
      }
    }
  }
  void hand_in_decree(Enact decree) {
    decrees_.push_back(decree);
    hand_in(decree);
  }

  void decide_something() {
    if (is_healed_) return;
    const std::size_t n = random_.below(world_.cluster().node_count());
    const std::size_t organisation = organisation_of(n);
    const auto all = voters();
    const std::size_t too_few = 2 * all.size() / 3;
    switch (random_.below(12)) {
      case 10: {  // now and then of an epoch that is over
        auto number = world_.newest().number();
        if (number.epoch.value > 2 && random_.chance(1, 3)) number.epoch.value -= 1;
        auto request = world_.cluster().end_request(number, organisation);
        if (random_.chance(1, 4)) request.request.signature = {};
        return hand_in(request);
      }
      case 0:
      case 1:
        return hand_in_decree(
            world_.cluster().decree(choose_decree(), wall_before(1), some(all, too_few + 1)));
      case 2:
        return hand_in_decree(
            world_.cluster().decree(choose_false_decree(), wall_before(1), some(all, too_few)));
      case 3: {
        auto signers = some(all, too_few);
        signers.push_back(signers.front());
        return hand_in_decree(
            world_.cluster().decree(choose_false_decree(), wall_before(1), signers));
      }
      case 4: {  // signatures of a liar under others' names
        Enact forged =
            world_.cluster().decree(choose_false_decree(), wall_before(1), some(all, too_few + 1));
        for (auto& one : forged.decree.signatures) {
          one.signature = crypto::model_scheme().sign(Cluster::authority(organisation),
                                                      Decree::kTag, forged.decree.decree);
        }
        return hand_in_decree(forged);
      }
      case 5: {  // one that has no say any more is among those who sign
        auto signers = some(all, too_few);
        if (const auto out = revoked_organisation()) signers.push_back(*out);
        return hand_in_decree(
            world_.cluster().decree(choose_false_decree(), wall_before(1), signers));
      }
      case 6:
        if (!decrees_.empty()) hand_in(decrees_[random_.below(decrees_.size())]);
        return;
      case 7:
        return hand_in(world_.cluster().retirement(n, organisation, wall_before(1)));
      case 8: {  // another's, or an old one
        const bool is_foreign = random_.chance(1, 2);
        const std::size_t by =
            is_foreign ? (organisation + 1) % plan_.world.organisations : organisation;
        auto retirement =
            world_.cluster().retirement(n, by, Timestamp(random_.between(1, wall_s())));
        if (random_.chance(1, 2)) retirement.retirement.signature = {};
        hand_in(retirement);
        return hand_in(world_.cluster().admission(n, organisation));
      }
      default:
        return admit_of_new_organisation();
    }
  }
  /// One that must not be carried out: nothing depends on it.
  Decree::What choose_false_decree() {
    if (random_.chance(1, 2)) return admission_of(random_.below(plan_.world.organisations));
    return revocation_of(random_.below(plan_.world.organisations));
  }

  void admit_of_new_organisation() {
    const std::size_t which = random_.below(kNewOrganisationsMax);
    const std::size_t n = world_.cluster().node_count() + kNewNodesMax + which;
    hand_in(world_.cluster().admission(n, plan_.world.organisations + which));
    if (world_.is_there(n)) return;
    world_.add(n);
    world_.give_chain(n);
    world_.start(n);
  }

  /// Those who are out, of whatever reason; a node that was revoked is to be refused.
  void bring_back() {
    if (const auto out = revoked_organisation(); out && is_healed_) {
      const auto all = voters();
      hand_in(world_.cluster().decree(admission_of(*out), wall_before(1), all));
    }
    for (std::size_t n = 0; n < world_.cluster().node_count(); ++n) {
      if (world_.newest().node_index(world_.key(n))) continue;
      auto statement = world_.cluster().statement(n, organisation_of(n));
      statement.not_before = Timestamp(wall_s() - 1);
      hand_in(world_.cluster().sign(statement, organisation_of(n)));
    }
  }

  // ---- Healing ----

  void heal() {
    is_healed_ = true;
    world_.tell("everything is healed");
    world_.set_loss(0);
    world_.set_duplicates(0);
    world_.set_latency_max(milliseconds(10));
    world_.mend_all();
    for (std::size_t n = 0; n < world_.cluster().node_count(); ++n) world_.fail_writes(n, 0);
    if (!plan_.is_misbehaving_after_healing) stop_lying();
    world_.start_all();
    if (!plan_.has_office) world_.every(milliseconds(1500), [this] { bring_back(); });
  }

  /// Whether so few seats are left that speak that nothing needs to go on (design 8.4).
  bool is_excused() const {
    std::size_t speaking = 0;
    for (const std::size_t n : world_.members()) {
      if (!world_.is_faulty(n) && world_.is_up(n) && world_.node(n).participant().has_seat()) {
        ++speaking;
      }
    }
    return speaking < world_.newest().service_quorum() || are_too_few_left();
  }
  /// Whether the next service needs a liar: organisations have let so many nodes go.
  bool are_too_few_left() const {
    const Machine* machine = nullptr;
    for (const std::size_t n : world_.members()) {
      if (!world_.is_faulty(n) && world_.is_up(n) && !machine) machine = world_.node(n).machine();
    }
    if (!machine || machine->state().phase == Phase::kRunning) return false;
    const std::size_t most = std::max<std::size_t>(plan_.world.settings.service_faults, 1);
    std::map<std::uint32_t, std::size_t> able_of;
    std::size_t seats = 0;
    for (const membership::Node& node :
         membership::nodes_after(machine->configuration(), machine->state().next.nodes)) {
      const auto n = world_.number_of(node.key);
      if (!world_.newest().node_index(node.key) || world_.is_faulty(*n)) continue;
      seats += ++able_of[node.organisation] <= most ? 1 : 0;
    }
    return seats < world_.newest().service_quorum();
  }

  void demand_progress() {
    const Duration each = seconds(plan_.world.settings.epoch_seconds) + kProgressSlack;
    for (int i = 0; i < kProgressEpochs && !is_over(); ++i) {
      const std::uint64_t before = world_.epoch();
      if (run_until([&] { return world_.epoch() > before; }, each)) continue;
      if (is_excused()) return void(++excused_);
      return checkers_.fail("no progress after everything was healed");
    }
    const bool is_reached = run_until([this] { return world_.are_all_there(); }, kAllThereLimit);
    if (!is_reached) checkers_.fail("not everybody comes to the newest epoch");
  }

  SwarmResult result() {
    return {.violation = checkers_.violation(),
            .trace = world_.trace(),
            .events = world_.agenda().count(),
            .epochs = world_.epoch(),
            .steps = checkers_.steps(),
            .admitted = checkers_.admissions(),
            .removed = checkers_.evictions(),
            .excused = excused_,
            .time = world_.now().time_since_epoch(),
            .story = {world_.story().begin(), world_.story().end()}};
  }

  const Plan& plan_;
  World world_;
  Checkers checkers_;
  Random random_;
  std::vector<Enact> decrees_;  // all that were handed in
  bool is_anybody_to_go_ = false;
  std::uint64_t excused_ = 0;
  std::uint64_t paced_epoch_ = 0;
  Instant paced_since_;
  bool is_healed_ = false;
};

}  // namespace

SwarmResult run_plan(const Plan& plan, std::size_t story_lines) {
  return Run(plan, story_lines).run();
}

}  // namespace rosebud::service::sim
