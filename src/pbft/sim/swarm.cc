#include "pbft/sim/swarm.h"

#include <algorithm>
#include <array>
#include <set>

#include "pbft/sim/checkers.h"
#include "wire/cursor.h"

namespace rosebud::pbft::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kProgressOperations = 3;  // of every client, after healing
constexpr Duration kProgressLimit = seconds(240);

class Run {
 public:
  Run(const Plan& plan, std::size_t story_lines)
      : plan_(plan),
        world_(plan.world),
        checkers_(world_, bad_seats(), mended_seats()),
        random_(plan.seed ^ 0x636c69) {
    world_.tell(story_lines);
    checkers_.watch();
    if (plan.is_calm) checkers_.expect_calm();
  }

  SwarmResult run() {
    for (const Fault& fault : plan_.faults) {
      if (fault.at == Duration{}) {
        strike(fault);
      } else {
        world_.at(fault.at, [this, &fault] { strike(fault); });
      }
      if (fault.kind == FaultKind::kRollback) {
        world_.at(fault.at - fault.lasts, [this, &fault] { world_.back_up(fault.seat); });
      }
    }
    for (std::size_t client = 0; client < world_.client_count(); ++client) next(client);
    if (plan_.has_hostile_client) be_hostile();
    world_.run_until([this] { return is_over(); }, plan_.safety_time);
    if (!is_over()) heal();
    if (!is_over()) demand_progress();
    if (!is_over()) compare();
    return result();
  }

 private:
  std::vector<bool> bad_seats() const {
    std::vector<bool> out(3 * plan_.world.faults + 1);
    for (const std::size_t seat : plan_.liars) out[seat] = true;
    for (const std::size_t seat : plan_.forgetful) out[seat] = true;
    return out;
  }
  /// Those who forget and do not lie, while the others stay up: they are judged as soon as they
  /// vote again.
  std::vector<bool> mended_seats() const {
    std::vector<bool> out(3 * plan_.world.faults + 1);
    if (plan_.scenario != "rollback") return out;
    for (const std::size_t seat : plan_.forgetful) out[seat] = true;
    return out;
  }
  bool is_over() const { return !checkers_.violation().empty(); }

  /// A client that is hostile, in one of two manners: numbers far ahead too, or never.
  enum Manner : std::uint8_t { kBold, kModest };
  struct Hostile {
    crypto::SecretKey key;
    std::optional<ClientSessions> sessions;  // under session keys
  };

  // ---- Clients ----

  void next(std::size_t client) {
    if (is_ending_ && remaining_[client] > 0) --remaining_[client];
    // All go on until all are served: one that is left aside must not be alone with the primary.
    if (is_ending_ && std::ranges::all_of(remaining_, [](int n) { return n == 0; })) return;
    wire::Writer operation;
    operation.u8(1).u32(static_cast<std::uint32_t>(client)).u64(++operations_);
    // A piece of work of any size.
    operation.raw(Bytes(random_.below(40), 7));
    submit(client, operation.take());
    if (plan_.do_clients_begin_anew && !is_healed_ && random_.chance(1, 16)) {
      world_.at(milliseconds(random_.below(100)), [this, client] {
        if (!is_healed_) world_.begin_client(client);
      });
    }
  }

  void submit(std::size_t client, Bytes operation) {
    const std::size_t which = checkers_.on_submitted(world_.client_id(client), operation);
    ++open_;
    world_.submit(client, std::move(operation), [this, client, which](const Finish& finish) {
      --open_;
      if (finish.status == Reply::Status::kExecuted) ++acknowledged_;
      checkers_.on_finished(which, finish);
      const auto pause = static_cast<std::uint64_t>(plan_.pause_max.count());
      world_.at(Duration(static_cast<std::int64_t>(random_.below(pause + 1))),
                [this, client] { next(client); });
    });
  }

  /// Whatever a client with a key of its own may do: two operations under one number, to different
  /// replicas; numbers far ahead; others' and its own old requests again.
  void be_hostile() {
    if (is_healed_) return;
    if (has_session_keys()) return random_.chance(1, 8) ? have_it_let_go() : be_right_to_some();
    Hostile& who = hostile(kBold);
    const auto request = [&](std::uint64_t number, std::uint64_t lot) {
      wire::Writer operation;
      operation.u8(2).u64(lot);
      checkers_.allow(who.key.public_key(), operation.bytes());
      return make_request(who, RequestNumber(number), operation.take());
    };
    const std::uint64_t now = world_.wall().value * 1000;
    const std::uint64_t number = now + (random_.chance(1, 4) ? far_ahead() : random_.below(1000));
    for (std::size_t seat = 0; seat < world_.seat_count(); ++seat) {
      if (random_.chance(1, 3)) continue;
      world_.send_raw(0, seat, request(number, random_.below(3) + number));
    }
    world_.at(milliseconds(random_.between(1, 200)), [this] { be_hostile(); });
  }

  bool has_session_keys() const {
    return plan_.world.settings.group.request_authentication == RequestAuthentication::kSessionKeys;
  }

  /// To whom a hostile client's MACs are right.
  std::vector<bool> choose_convinced(std::size_t seat) {
    const std::size_t seats = world_.seat_count();
    const std::size_t faults = plan_.world.faults;
    const std::size_t primary = current_primary();
    std::vector<bool> out(seats);
    const auto convince = [&](std::size_t count) {
      while (static_cast<std::size_t>(std::ranges::count(out, true)) < count) {
        out[random_.below(seats)] = true;
      }
    };
    switch (random_.below(8)) {
      case 0:
        out[primary] = true;
        break;
      case 1:
        out.assign(seats, true);
        out[primary] = false;
        break;
      case 2:
        convince(faults);
        break;
      case 3:
        convince(faults + 1);
        break;
      case 4:
        convince(2 * faults + 1);
        break;
      case 5:
        out[seat] = true;  // everybody by a request of his own
        break;
      case 6:
        out.assign(seats, true);
        break;
      default:
        convince(random_.below(seats));
    }
    return out;
  }

  /// As be_hostile(), and with MACs that are right to some and wrong to others, changing from one
  /// replica to the next and from one time to the next.
  void be_right_to_some() {
    Hostile& who = hostile(kBold);
    const std::uint64_t now = world_.wall().value * 1000;
    if (hostile_number_ == 0 || random_.chance(1, 2)) hostile_number_ = now + random_.below(1000);
    // After one that is far ahead all others are old. Where the queue is strained, that ends it.
    const bool is_far = !plan_.is_narrow && random_.chance(1, 10);
    const std::uint64_t number = is_far ? now + far_ahead() : hostile_number_;
    const std::uint64_t operations = random_.chance(1, 3) ? 2 : 1;
    std::vector<bool> convinced = choose_convinced(0);
    for (std::size_t seat = 0; seat < world_.seat_count(); ++seat) {
      if (random_.chance(1, 4)) convinced = choose_convinced(seat);
      if (random_.chance(1, 8)) continue;
      wire::Writer operation;
      operation.u8(2).u64(number + random_.below(operations));
      Request request = make_request(who, RequestNumber(number), operation.bytes());
      bool is_asked_for = false;
      for (std::size_t i = 0; i < world_.seat_count(); ++i) {
        if (!convinced[i]) request.macs[i].bytes[0] ^= 1;
        is_asked_for |= convinced[i] && !checkers_.is_faulty(i);
      }
      // What nobody correct can verify must not be executed.
      if (is_asked_for) checkers_.allow(who.key.public_key(), operation.bytes());
      world_.send_raw(0, seat, std::move(request));
    }
    world_.at(milliseconds(random_.between(1, 100)), [this] { be_hostile(); });
  }

  /// A request that the primary cannot verify and that F+1 backups vouch for. Before the primary
  /// asks for it they have let it go, each for something newer that no other has. Then one more
  /// backup gets it, and waits for it.
  void have_it_let_go() {
    const std::uint64_t number = world_.wall().value * 1000;
    // Under a key that has used no number far ahead, after which all others are old. Where the
    // queue is strained none has, and one more client would be one too many.
    Hostile& who = hostile(plan_.is_narrow ? kBold : kModest);
    if (plan_.is_narrow) hostile_number_ = number + 1;
    std::vector<std::size_t> backups;
    for (std::size_t seat = 0; seat < world_.seat_count(); ++seat) {
      if (seat != current_primary()) backups.push_back(seat);
    }
    random_.shuffle(backups);
    const auto at_first = std::span(backups).first(plan_.world.faults + 1);
    const Request request = request_for(who, backups, number, number);
    for (const std::size_t seat : at_first) world_.send_raw(0, seat, request);
    const Duration soon = milliseconds(random_.between(2, 20));
    for (const std::size_t seat : at_first) {
      world_.at(soon, [this, &who, seat, number] {
        if (!is_healed_)
          world_.send_raw(0, seat, request_for(who, {{seat}}, number + 1, number + 1 + seat));
      });
    }
    const Duration late = milliseconds(random_.between(40, 200));
    world_.at(late, [this, request, last = backups.back()] {
      if (!is_healed_) world_.send_raw(0, last, request);
    });
    world_.at(2 * late, [this] { be_hostile(); });
  }

  /// With MACs that are right to these alone, one of them correct at least or it must not matter.
  Request request_for(Hostile& who, std::span<const std::size_t> convinced, std::uint64_t number,
                      std::uint64_t lot) {
    wire::Writer operation;
    operation.u8(2).u64(lot);
    if (std::ranges::any_of(convinced, [&](auto seat) { return !checkers_.is_faulty(seat); })) {
      checkers_.allow(who.key.public_key(), operation.bytes());
    }
    Request out = make_request(who, RequestNumber(number), operation.take());
    for (std::size_t seat = 0; seat < out.macs.size(); ++seat) {
      if (std::ranges::find(convinced, seat) == convinced.end()) out.macs[seat].bytes[0] ^= 1;
    }
    return out;
  }

  /// With all MACs right.
  Request make_request(Hostile& who, RequestNumber number, Bytes operation) {
    const Group& group = world_.group();
    const crypto::SignatureScheme& scheme = world_.verifier().scheme();
    if (!has_session_keys()) {
      return sign_request(group.instance(), scheme, who.key, number, Buffer(std::move(operation)));
    }
    if (!who.sessions) who.sessions.emplace(group, who.key, scheme);
    return who.sessions->authenticate(number, Buffer(std::move(operation)));
  }

  /// About where numbers are refused, or far beyond.
  std::uint64_t far_ahead() {
    const std::uint64_t limit = plan_.world.settings.group.number_ahead_max_ms * 1000;
    return random_.chance(1, 2) ? limit - 12'000'000 + random_.below(14'000'000) : 60 * limit;
  }

  Hostile& hostile(Manner manner) {
    std::optional<Hostile>& out = hostile_[manner];
    if (!out) {
      const crypto::Digest seed =
          crypto::Hasher("hostile").update_u64(plan_.seed).update_u64(manner).finish();
      out = {
          crypto::SecretKey::from_seed(*FixedBytes<32, struct crypto::SeedTag>::from(seed.view())),
          {}};
    }
    return *out;
  }

  // ---- Faults ----

  void strike(const Fault& fault) {
    if (is_healed_) return;
    if (fault.at > Duration{}) world_.tell(describe(fault));
    const std::size_t seat = fault.seat;
    Random random(fault.lot);
    switch (fault.kind) {
      case FaultKind::kMisbehave:
        for (const std::size_t liar : plan_.liars) {
          world_.misbehave(liar, static_cast<Mode>(fault.lot));
        }
        return;
      case FaultKind::kLoss:
        world_.network().loss_per_mille = static_cast<std::uint32_t>(fault.lot);
        return;
      case FaultKind::kDuplicates:
        world_.network().duplicate_per_mille = static_cast<std::uint32_t>(fault.lot);
        return;
      case FaultKind::kLatency:
        world_.network().latency_max = milliseconds(fault.lot);
        if (plan_.scenario == "slow-network") {
          world_.network().latency_min = milliseconds(fault.lot / 2);
        }
        return;
      case FaultKind::kClocks:
        for (std::size_t i = 0; i < world_.seat_count(); ++i) {
          world_.set_clock_offset(i, static_cast<std::int64_t>(random.below(4000)) - 2000);
        }
        return;
      case FaultKind::kClocksBack:
        // Longer than the run: agreed time stands still to the end.
        return world_.set_clocks_back(seconds(random.between(600, 3600)));
      case FaultKind::kCrash:
        return crash(seat, fault.lasts);
      case FaultKind::kKillPrimary:
        return crash(current_primary(), fault.lasts);
      case FaultKind::kPowerCut:
        for (std::size_t i = 0; i < world_.seat_count(); ++i) crash(i, fault.lasts);
        return;
      case FaultKind::kCutAtExecution:
        return cut_at_execution(seat, fault.lasts, random);
      case FaultKind::kPartition: {
        std::vector<bool> is_left;
        for (std::size_t i = 0; i < world_.seat_count(); ++i) {
          is_left.push_back(random.chance(1, 2));
        }
        return cut_while(fault, [&](std::size_t from, std::size_t to) {
          return from < is_left.size() && to < is_left.size() && is_left[from] != is_left[to];
        });
      }
      case FaultKind::kOneWayCut: {
        const std::size_t from_one = random.below(world_.endpoint_count());
        std::vector<bool> is_deaf;
        for (std::size_t i = 0; i < world_.endpoint_count(); ++i) {
          is_deaf.push_back(random.chance(1, 2));
        }
        return cut_while(fault, [&](std::size_t from, std::size_t to) {
          return from == from_one && is_deaf[to];
        });
      }
      case FaultKind::kSlowDisk:
        world_.set_sync_max(seat, milliseconds(random.between(20, 300)));
        world_.at(fault.lasts, [this, seat] { world_.set_sync_max(seat, milliseconds(2)); });
        return;
      case FaultKind::kRollback:
        return world_.roll_back(seat);
      case FaultKind::kWipe:
        return world_.wipe(seat);
      case FaultKind::kStop: {
        Bytes operation{Ledger::kStop};
        Hostile& who = hostile(kModest);
        checkers_.allow(who.key.public_key(), operation);
        const Request request =
            make_request(who, RequestNumber(world_.wall().value * 1000), std::move(operation));
        for (std::size_t i = 0; i < world_.seat_count(); ++i) world_.send_raw(0, i, request);
        return;
      }
    }
  }

  /// F replicas, the primary among them, have quick disks, all others slow ones. The moment one of
  /// these executes something all lose power: the F for so long that the next view begins with what
  /// is on the slow disks, and with what liars want to show.
  void cut_at_execution(std::size_t seat, Duration lasts, Random random) {
    std::set<std::size_t> quick{current_primary()};
    while (quick.size() < plan_.world.faults) quick.insert(random.below(world_.seat_count()));
    while (quick.contains(seat)) seat = (seat + 1) % world_.seat_count();
    for (std::size_t i = 0; i < world_.seat_count(); ++i)
      world_.set_sync_max(i, milliseconds(quick.contains(i) ? 1 : 20));
    world_.at_execution(seat, [this, quick, lasts, random]() mutable {
      for (std::size_t i = 0; i < world_.seat_count(); ++i) {
        world_.set_sync_max(i, milliseconds(2));
        if (!is_healed_) crash(i, quick.contains(i) ? lasts : milliseconds(random.between(1, 5)));
      }
    });
  }

  void crash(std::size_t seat, Duration lasts) {
    if (!world_.is_up(seat)) return;
    world_.crash(seat);
    world_.at(lasts, [this, seat] {
      if (!world_.is_up(seat)) world_.restart(seat);
    });
  }

  /// In the view that most have reached.
  std::size_t current_primary() const {
    View view;
    for (std::size_t i = 0; i < world_.seat_count(); ++i) {
      if (world_.is_up(i) && !world_.replica(i)->is_changing_view()) {
        view = std::max(view, world_.replica(i)->view());
      }
    }
    return world_.group().primary_of(view).value;
  }

  template <typename IsCut>
  void cut_while(const Fault& fault, IsCut is_cut) {
    std::vector<std::pair<std::size_t, std::size_t>> pairs;
    for (std::size_t from = 0; from < world_.endpoint_count(); ++from) {
      for (std::size_t to = 0; to < world_.endpoint_count(); ++to) {
        if (from != to && is_cut(from, to)) pairs.emplace_back(from, to);
      }
    }
    for (const auto& [from, to] : pairs) world_.cut(from, to);
    cuts_.push_back(pairs);
    const std::size_t which = cuts_.size() - 1;
    world_.at(fault.lasts, [this, which] { mend(which); });
  }
  void mend(std::size_t which) {
    for (const auto& [from, to] : cuts_[which]) world_.mend(from, to);
    cuts_[which].clear();
  }

  // ---- Healing ----

  void heal() {
    is_healed_ = true;
    world_.tell("everything is healed");
    const bool is_slow = plan_.scenario == "slow-network";
    if (!is_slow) world_.network() = {};
    for (std::size_t which = 0; which < cuts_.size(); ++which) mend(which);
    for (std::size_t seat = 0; seat < world_.seat_count(); ++seat) {
      world_.set_sync_max(seat, milliseconds(2));
      if (!plan_.is_misbehaving_after_healing) world_.misbehave(seat, Mode::kHonest);
      if (!world_.is_up(seat)) world_.restart(seat);
    }
  }

  /// Every client gets a few more operations done.
  void demand_progress() {
    remaining_.assign(world_.client_count(), 1 + kProgressOperations);
    is_ending_ = true;
    const bool is_reached = world_.run_until(
        [this] {
          const bool is_worked = std::ranges::all_of(remaining_, [](int n) { return n == 0; });
          return is_over() || (is_worked && open_ == 0) || checkers_.is_stopped();
        },
        kProgressLimit);
    if (!is_reached) checkers_.fail("no progress after everything was healed");
  }

  void compare() {
    std::string difference;
    // One look every tenth of a second: it costs as much as many events.
    for (int i = 0; i < 600; ++i) {
      world_.run_until([this] { return is_over(); }, milliseconds(100));
      difference = checkers_.difference();
      if (difference.empty() || is_over()) return;
    }
    checkers_.fail("in the end " + difference);
  }

  SwarmResult result() {
    SwarmResult out{.violation = checkers_.violation(),
                    .trace = world_.trace(),
                    .events = world_.event_count(),
                    .operations = operations_,
                    .acknowledged = acknowledged_,
                    .time = world_.now().time_since_epoch(),
                    .story = {world_.story().begin(), world_.story().end()}};
    std::set<ReplicaId> accused;
    for (std::size_t seat = 0; seat < world_.seat_count(); ++seat) {
      const Replica* replica = world_.replica(seat);
      if (!replica) continue;
      if (!checkers_.is_faulty(seat)) out.views = std::max(out.views, replica->view().value);
      out.transfers += replica->transfer_count();
      for (const auto& [who, evidence] : replica->evidence()) accused.insert(who);
    }
    out.evidence = accused.size();
    return out;
  }

  const Plan& plan_;
  World world_;
  Checkers checkers_;
  Random random_;
  std::array<std::optional<Hostile>, 2> hostile_;  // by manner
  std::uint64_t hostile_number_ = 0;
  std::vector<std::vector<std::pair<std::size_t, std::size_t>>> cuts_;
  std::uint64_t operations_ = 0;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t open_ = 0;
  bool is_healed_ = false;
  bool is_ending_ = false;
  std::vector<int> remaining_;  // by client, once it is ending
};

}  // namespace

SwarmResult run_plan(const Plan& plan, std::size_t story_lines) {
  return Run(plan, story_lines).run();
}

}  // namespace rosebud::pbft::sim
