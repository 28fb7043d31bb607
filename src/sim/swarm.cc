#include "sim/swarm.h"

#include <algorithm>
#include <set>

#include "base/check.h"
#include "sim/workload.h"

namespace rosebud::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Former members, and who is kept from hearing whom because of them.
struct Outdated {
  std::vector<std::size_t> nodes;
  std::vector<std::pair<std::size_t, std::size_t>> cuts;
  bool are_back = false;

  void cut(World& world, std::size_t a, std::size_t b) {
    for (const auto& [from, to] : {std::pair(a, b), std::pair(b, a)}) {
      world.cut(from, to);
      cuts.emplace_back(from, to);
    }
  }
  void mend(World& world) {
    for (const auto& [from, to] : std::exchange(cuts, {})) world.mend(from, to);
  }
};

class Run {
 public:
  Run(const Plan& plan, std::size_t story_lines)
      : plan_(plan),
        world_(plan.world),
        checkers_(world_),
        workload_(world_, checkers_, Random(plan.seed ^ 0x776f726b), plan.clients, plan.pause_max) {
    world_.tell(story_lines);
    set_faulty(plan.bad_organisation);
  }

  SwarmResult run(const std::function<void()>& on_healing) {
    for (const Fault& fault : plan_.faults) {
      if (fault.at == Duration{}) {
        strike(fault);
      } else {
        world_.at(fault.at, [this, &fault] { strike(fault); });
      }
      if (fault.kind == FaultKind::kRollback)
        world_.at(fault.at - fault.lasts, [this, &fault] {
          if (const auto node = node_of(fault)) world_.back_up(*node);
        });
    }
    workload_.start();
    look();
    world_.at(plan_.safety_time, [this] { workload_.stop(); });
    world_.run_until([this] { return is_over(); }, plan_.safety_time);
    if (on_healing) on_healing();
    run_until([this] { return workload_.is_idle(); }, "operations do not come to their end");
    if (!is_over()) heal();
    if (!is_over()) demand_progress();
    if (!is_over()) compare_replicas();
    checkers_.check_completeness();
    checkers_.check_disks();
    return {.violation = checkers_.violation(),
            .trace = world_.trace_hash(),
            .events = world_.event_count(),
            .epochs = epochs_,
            .moves = moves_,
            .deletes = world_.deletes(),
            .operations = workload_.operations(),
            .acknowledged = workload_.acknowledged(),
            .over_quota = workload_.over_quota(),
            .time = world_.now().time_since_epoch(),
            .story = {world_.story().begin(), world_.story().end()}};
  }

 private:
  std::vector<std::size_t> nodes_of(std::uint32_t organisation) const {
    std::vector<std::size_t> out;
    for (std::size_t node = 0; node < world_.node_count(); ++node) {
      if (world_.organisation_of(node) == organisation) out.push_back(node);
    }
    return out;
  }

  void set_faulty(std::uint32_t organisation) {
    faulty_ = organisation;
    for (const std::size_t node : nodes_of(organisation)) checkers_.set_faulty(node);
  }

  bool is_over() const { return !checkers_.violation().empty(); }

  void run_until(const std::function<bool()>& is_done, const char* otherwise) {
    const bool is_reached = world_.run_until([&] { return is_done() || is_over(); }, seconds(120));
    if (!is_reached) checkers_.fail(otherwise);
  }

  /// Once a second.
  void look() {
    checkers_.check_completeness();
    if (!is_healed_) world_.at(seconds(1), [this] { look(); });
  }

  // ---- Faults ----

  /// Whom it strikes; nobody when there is no faulty organisation at this time.
  std::optional<std::size_t> node_of(const Fault& fault) const {
    if (!is_fault_of_node(fault.kind)) return fault.node;
    if (!faulty_) return std::nullopt;
    const std::size_t node = fault.node - plan_.bad_organisation + *faulty_;
    return node < world_.node_count() ? std::optional(node) : std::nullopt;
  }

  void misbehave(adversary::Mode mode) {
    if (!faulty_) return;
    has_stalled_ = has_stalled_ || mode == adversary::Mode::kStall;
    for (const std::size_t node : nodes_of(*faulty_)) world_.misbehaviour(node).set_mode(mode);
  }

  void strike(const Fault& fault) {
    if (is_healed_ || !node_of(fault)) return;
    if (fault.at > Duration{}) world_.tell(describe(fault));
    const std::size_t node = *node_of(fault);
    Random random(fault.lot);
    const auto later = [&](auto what) { world_.at(fault.lasts, what); };
    switch (fault.kind) {
      case FaultKind::kMisbehave:
        return misbehave(static_cast<adversary::Mode>(fault.lot));
      case FaultKind::kLoss:
        world_.network().loss_per_mille = static_cast<std::uint32_t>(fault.lot);
        return;
      case FaultKind::kDuplicates:
        world_.network().duplicate_per_mille = static_cast<std::uint32_t>(fault.lot);
        return;
      case FaultKind::kLatency:
        world_.network().latency_max = milliseconds(fault.lot);
        return;
      case FaultKind::kDrift:
        for (std::size_t i = 0; i < world_.node_count(); ++i)
          world_.set_clock_rate(i, static_cast<std::int64_t>(random.between(900, 1100)));
        return;
      case FaultKind::kCrash:
        if (!world_.is_up(node)) return;
        world_.crash(node);
        return later([this, node] {
          if (!world_.is_up(node)) world_.restart(node);
        });
      case FaultKind::kPowerCut:
        for (std::size_t i = 0; i < world_.node_count(); ++i) {
          if (world_.is_up(i)) world_.crash(i);
        }
        return later([this] { start_everybody(); });
      case FaultKind::kPartition: {
        std::vector<bool> is_left;
        for (std::size_t i = 0; i < world_.node_count(); ++i)
          is_left.push_back(random.chance(1, 2));
        cut_while(fault, [&](std::size_t from, std::size_t to) {
          return from < is_left.size() && to < is_left.size() && is_left[from] != is_left[to];
        });
        return;
      }
      case FaultKind::kOneWayCut: {
        const std::size_t from_one = random.below(world_.endpoint_count());
        std::vector<bool> is_deaf;
        for (std::size_t i = 0; i < world_.endpoint_count(); ++i)
          is_deaf.push_back(random.chance(1, 2));
        cut_while(fault, [&](std::size_t from, std::size_t to) {
          return from == from_one && is_deaf[to];
        });
        return;
      }
      case FaultKind::kRot:
        return world_.disk(node).rot(fault.lot);
      case FaultKind::kRollback:
        return world_.roll_back(node);
      case FaultKind::kWipe:
        return world_.wipe(node);
      case FaultKind::kFullDisk:
        world_.disk(node).set_full(true);
        return later([this, node] { world_.disk(node).set_full(false); });
      case FaultKind::kSlowDisk: {
        const Duration sync = milliseconds(random.between(20, 300));
        const bool is_everybody = random.chance(1, 2);
        for (std::size_t i = 0; i < world_.node_count(); ++i) {
          if (is_everybody || i == node) world_.set_sync_max(i, sync);
        }
        return later([this] { set_sync_max(World::kSyncMax); });
      }
      case FaultKind::kEpoch:
        return change_membership(random, fault.lasts);
      case FaultKind::kReturn:
        return leave_and_return(random, fault.lasts);
      case FaultKind::kMove:
        return begin_to_move(fault);
      case FaultKind::kHandOver:
        return begin_to_hand_over(fault, random);
      case FaultKind::kOutdated:
        return begin_to_outdate(random);
    }
  }

  void cut_while(const Fault& fault, const std::function<bool(std::size_t, std::size_t)>& is_cut) {
    std::vector<std::pair<std::size_t, std::size_t>> cuts;
    for (std::size_t from = 0; from < world_.endpoint_count(); ++from) {
      for (std::size_t to = 0; to < world_.endpoint_count(); ++to) {
        if (is_cut(from, to)) cuts.emplace_back(from, to);
      }
    }
    for (const auto& [from, to] : cuts) world_.cut(from, to);
    world_.at(fault.lasts, [this, cuts] {
      for (const auto& [from, to] : cuts) world_.mend(from, to);
    });
  }

  void start_everybody() {
    for (std::size_t i = 0; i < world_.node_count(); ++i) {
      if (!world_.is_up(i)) world_.restart(i);
    }
  }

  void set_sync_max(Duration longest) {
    for (std::size_t i = 0; i < world_.node_count(); ++i) world_.set_sync_max(i, longest);
  }

  /// Members leave and others come, returning ones among them. Who left answers on.
  void change_membership(Random& random, Duration spread) {
    std::vector<std::size_t> inside;
    std::vector<std::size_t> outside;
    for (std::size_t i = 0; i < world_.node_count(); ++i) {
      if (has_left(i)) continue;
      (world_.is_member(i) ? inside : outside).push_back(i);
    }
    const auto move_some = [&](std::vector<std::size_t>& from, std::vector<std::size_t>& to,
                               std::size_t count) {
      for (; count > 0 && !from.empty(); --count) {
        const auto at = from.begin() + static_cast<std::ptrdiff_t>(random.below(from.size()));
        to.push_back(*at);
        from.erase(at);
      }
    };
    std::vector<std::size_t> leaving;
    move_some(inside, leaving, random.below(3));
    move_some(outside, inside, random.below(3));
    if (world_.change_membership(inside, spread)) ++epochs_;
  }

  /// Those who leave are members again when the first of them has deleted an object that may be its
  /// own again. Slow disks, so that other deletes are under way then.
  void leave_and_return(Random& random, Duration spread) {
    std::vector<std::size_t> before;
    for (std::size_t i = 0; i < world_.node_count(); ++i) {
      if (world_.is_member(i)) before.push_back(i);
    }
    const std::uint64_t epochs = epochs_;
    change_membership(random, spread);
    if (epochs_ == epochs) return;
    set_sync_max(milliseconds(200));
    return_soon(before, world_.deletes(), epochs_, spread);
  }
  void return_soon(const std::vector<std::size_t>& members, std::uint64_t deletes,
                   std::uint64_t epochs, Duration spread) {
    world_.at(milliseconds(2), [this, members, deletes, epochs, spread] {
      const bool is_over = epochs_ != epochs || world_.now() > Instant(plan_.safety_time);
      if (!is_over && world_.deletes() == deletes) {
        return return_soon(members, deletes, epochs, spread);
      }
      set_sync_max(World::kSyncMax);
      if (is_over) return;
      if (world_.change_membership(members, spread)) ++epochs_;
    });
  }

  // ---- A faulty organisation that moves ----

  /// The nodes of the faulty organisation begin anew, as other incarnations in a new epoch: there,
  /// nobody is faulty.
  void begin_to_move(const Fault& fault) {
    if (!faulty_) return;
    misbehave(adversary::Mode::kHonest);
    for (const std::size_t node : nodes_of(*faulty_)) {
      world_.wipe(node);
      checkers_.set_healed(node);
    }
    faulty_.reset();
    admit_the_wiped(fault.lasts);
    go_on_moving(fault.lot);
  }

  /// Another organisation may be faulty when every group of earlier epochs was followed by one with
  /// 2f+1 complete members, its correct members are in a later epoch (ADR 11), and the leases of
  /// those epochs have run out (design 2).
  void go_on_moving(std::uint64_t lot) {
    if (is_healed_) return;
    if (!are_earlier_epochs_over()) {
      return world_.at(milliseconds(200), [this, lot] { go_on_moving(lot); });
    }
    ++moves_;
    Random random(lot);
    set_faulty(static_cast<std::uint32_t>(random.below(plan_.world.organisations)));
    const auto mode = choose_mode(random, false);
    if (random.chance(2, 3)) misbehave(mode);
    world_.tell("organisation " + std::to_string(*faulty_) + " is faulty now");
  }

  /// Short enough that everybody is heard when healing begins.
  static constexpr Duration kUnheardMax = seconds(12);

  /// The nodes of the faulty organisation leave. They answer on about the groups that they were in,
  /// and lie on. Meanwhile one node misses some writes and hears hardly any others but these; then
  /// the next liars, and everybody else only seconds after them.
  void begin_to_hand_over(const Fault& fault, Random& random) {
    if (!faulty_ || left_) return;
    if (world_.organisation_of(fault.node) == *faulty_) return;
    std::vector<bool> is_heard;
    for (std::size_t from = 0; from < world_.endpoint_count(); ++from) {
      const bool is_client = from >= world_.node_count();
      is_heard.push_back(from == fault.node ||
                         (is_client
                              ? random.chance(1, 2)
                              : world_.organisation_of(from) == *faulty_ || random.chance(1, 10)));
    }
    for (std::size_t from = 0; from < world_.endpoint_count(); ++from) {
      if (!is_heard[from]) unheard_.insert(from);
    }
    for (const std::size_t from : unheard_) world_.cut(from, fault.node);
    world_.at(kUnheardMax, [this, node = fault.node] { hear_again(node, unheard_); });
    world_.at(fault.lasts, [this, node = fault.node, spread = fault.lasts / 2,
                            lot = random.next()] { hand_over(node, spread, lot); });
  }

  void hear_again(std::size_t node, std::set<std::size_t> from) {
    for (const std::size_t one : from) {
      if (unheard_.erase(one) > 0) world_.mend(one, node);
    }
  }

  void hand_over(std::size_t victim, Duration spread, std::uint64_t lot) {
    if (!faulty_ || is_healed_) return;
    std::vector<std::size_t> members;
    for (std::size_t i = 0; i < world_.node_count(); ++i) {
      if (world_.organisation_of(i) != *faulty_ && world_.is_member(i)) members.push_back(i);
    }
    if (!world_.change_membership(members, spread)) return;
    ++epochs_;
    misbehave(adversary::Mode::kLie);
    left_ = faulty_;
    faulty_.reset();
    take_over_when_handed_over(victim, lot);
  }

  /// The next ones lie at the first moment at which it is allowed.
  void take_over_when_handed_over(std::size_t victim, std::uint64_t lot) {
    if (is_healed_) return;
    checkers_.check_completeness();
    if (!are_earlier_epochs_over()) {
      return world_.at(milliseconds(5),
                       [this, victim, lot] { take_over_when_handed_over(victim, lot); });
    }
    ++moves_;
    Random random(lot);
    std::vector<std::uint32_t> others;
    for (std::uint32_t one = 0; one < plan_.world.organisations; ++one) {
      if (one != *left_ && one != world_.organisation_of(victim)) others.push_back(one);
    }
    const std::uint32_t next = others[random.below(others.size())];
    set_faulty(next);
    misbehave(adversary::Mode::kLie);
    const std::vector<std::size_t> liars = nodes_of(next);
    hear_again(victim, {liars.begin(), liars.end()});
    world_.at(seconds(3), [this, victim] { hear_again(victim, unheard_); });
    world_.tell("organisation " + std::to_string(next) + " is faulty now");
    look_closely(100);
  }

  /// What is wrong may be mended by the next comparison.
  void look_closely(int times) {
    checkers_.check_completeness();
    if (times > 0 && !is_over())
      world_.at(milliseconds(20), [this, times] { look_closely(times - 1); });
  }

  bool has_left(std::size_t node) const { return left_ && world_.organisation_of(node) == *left_; }

  // ---- Members of an epoch that is over ----

  /// Everybody leaves. One client hears nobody meanwhile.
  void begin_to_outdate(Random& random) {
    if (outdated_) return;
    outdated_.emplace();
    const std::size_t client = world_.node_count() + random.below(plan_.clients);
    std::vector<std::size_t> next;
    for (std::size_t node = 0; node < world_.node_count(); ++node) {
      outdated_->cut(world_, client, node);
      (world_.is_member(node) ? outdated_->nodes : next).push_back(node);
    }
    for (const std::size_t node : outdated_->nodes) {
      world_.back_up(node);
    }
    if (!world_.change_membership(next, milliseconds(random.between(1, 500)))) return;
    ++epochs_;
    outdate_when_over(client);
  }

  /// Whoever gets hold of machines, disks and keys of all former members makes of them what they
  /// were. The client hears them alone.
  void outdate_when_over(std::size_t client) {
    if (is_healed_) return;
    if (!are_earlier_epochs_over()) {
      return world_.at(milliseconds(20), [this, client] { outdate_when_over(client); });
    }
    ++moves_;
    const std::set<std::size_t> old(outdated_->nodes.begin(), outdated_->nodes.end());
    outdated_->mend(world_);
    for (std::size_t node = 0; node < world_.node_count(); ++node) {
      if (old.contains(node)) continue;
      outdated_->cut(world_, client, node);
      for (const std::size_t one : old) outdated_->cut(world_, one, node);
    }
    for (const std::size_t node : old) {
      checkers_.set_outdated(node);
      world_.return_to_the_past(node);
    }
    outdated_->are_back = true;
    world_.tell("those who left are what they were");
  }

  void end_what_is_outdated() {
    if (!outdated_) return;
    outdated_->mend(world_);
    if (!outdated_->are_back) return;
    for (const std::size_t node : outdated_->nodes) world_.return_to_the_present(node);
  }

  /// No client relies on them any more, and nothing that was acknowledged in them is with their
  /// members alone.
  bool are_earlier_epochs_over() {
    if (!is_every_group_complete() || !is_everybody_in_the_newest_epoch()) return false;
    if (plan_.world.has_leases) return world_.have_leases_run_out();
    world_.tell_all_clients();
    return true;
  }

  bool is_everybody_in_the_newest_epoch() {
    const wire::ConfigurationNumber newest = world_.configuration().number();
    for (std::size_t i = 0; i < world_.node_count(); ++i) {
      if (has_left(i) || world_.is_waiting_for_admission(i)) continue;
      if (world_.disk(i).entered() < newest) return false;
    }
    return true;
  }

  bool is_every_group_complete() {
    const membership::Configuration& newest = world_.configuration();
    const auto is_complete = [&](const routing::Arc& arc) {
      return std::cmp_greater_equal(
          std::ranges::count_if(
              arc.group,
              [&](std::uint32_t member) {
                const std::size_t node = world_.endpoint_of(newest.nodes()[member].key);
                return world_.is_up(node) &&
                       world_.replica(node)->complete_for(arc.range) >= newest.number().epoch;
              }),
          2 * newest.f() + 1);
    };
    return std::ranges::all_of(newest.ring().arcs(), is_complete);
  }

  // ---- Healing ----

  void heal() {
    world_.tell("healing begins");
    world_.network().loss_per_mille = 0;
    world_.network().duplicate_per_mille = 0;
    world_.run_for(seconds(5));  // what was cut is mended, what is full is emptied
    is_healed_ = true;
    end_what_is_outdated();
    if (!plan_.is_misbehaving_after_healing) stop_misbehaving();
    start_everybody();
    admit_the_wiped(seconds(1));
  }

  void admit_the_wiped(Duration spread) {
    std::vector<std::size_t> members;
    bool is_anybody_wiped = false;
    for (std::size_t i = 0; i < world_.node_count(); ++i) {
      const bool is_wiped = world_.is_waiting_for_admission(i);
      is_anybody_wiped = is_anybody_wiped || is_wiped;
      if (world_.is_member(i) || is_wiped) members.push_back(i);
    }
    if (is_anybody_wiped) CHECK(world_.change_membership(members, spread));
  }

  void stop_misbehaving() {
    for (std::size_t i = 0; i < world_.node_count(); ++i)
      world_.misbehaviour(i).set_mode(adversary::Mode::kHonest);
  }

  void demand_progress() {
    run_until(
        [this] {
          for (std::size_t i = 0; i < world_.node_count(); ++i) {
            const bool is_correct = world_.misbehaviour(i).mode() == adversary::Mode::kHonest;
            if (is_correct && !world_.replica(i)->is_serving_everything()) return false;
          }
          return true;
        },
        "replicas do not come to serve after healing");
    std::size_t left = 0;
    const auto finish = [&] { run_until([&] { return left == 0; }, "no progress after healing"); };
    if (!is_over()) workload_.read_everything(left);
    finish();
    if (!is_over()) workload_.write_records(left);
    finish();
    if (!is_over()) workload_.read_records(left);
    finish();
    // Their results would count down what is gone.
    if (left > 0) world_.run_for(seconds(70));
  }

  /// What 2f+1 hold soon stands on all 3f+1: after a few rounds of background reconciling everybody
  /// has everything, in one version and under the same holds.
  void compare_replicas() {
    stop_misbehaving();
    // Who made comparisons endless leaves each of them with up to a thousand ranges to ask about.
    const int rounds = has_stalled_ ? 400 : 40;
    std::string difference;
    for (int i = 0; i < rounds && !is_over(); ++i) {
      world_.run_for(seconds(5));
      difference = checkers_.difference();
      if (difference.empty()) return;
    }
    if (!is_over()) checkers_.fail(difference);
  }

  const Plan& plan_;
  World world_;
  Checkers checkers_;
  Workload workload_;
  std::optional<std::uint32_t> faulty_;  // the organisation that is faulty now
  std::optional<std::uint32_t> left_;    // the one that was before and is in no group any more
  std::optional<Outdated> outdated_;
  std::set<std::size_t> unheard_;  // while it hands over: endpoints that one node does not hear
  std::uint64_t epochs_ = 0;
  std::uint64_t moves_ = 0;
  bool has_stalled_ = false;
  bool is_healed_ = false;
};

}  // namespace

SwarmResult run_plan(const Plan& plan, std::size_t story_lines,
                     const std::function<void()>& on_healing) {
  return Run(plan, story_lines).run(on_healing);
}

}  // namespace rosebud::sim
