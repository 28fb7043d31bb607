#include "service/sim/checkers.h"

#include "service/sim/rules.h"

namespace rosebud::service::sim {

Checkers::Checkers(World& world) : world_(world), newest_(world.shared_newest()) {
  headers_[newest_->number()] = newest_->header_hash();
  World::Watchers& watchers = world_.watchers();
  watchers.on_started = [this](std::size_t n) { check_disk(n); };
  watchers.on_wiped = [this](std::size_t n) {
    std::erase_if(announced_, [n](const auto& one) { return one.first.first == n; });
  };
  watchers.on_entered = [this](std::size_t n) { on_entered(n); };
  watchers.on_notice = [this](std::size_t n, const Notice& notice) { on_notice(n, notice); };
  watchers.on_effect = [this](std::size_t n, const Effect& effect) { on_effect(n, effect); };
  watchers.on_step = [this](std::size_t n, const Step& step) { on_step(n, step); };
  watchers.on_nonsense = [this](std::size_t n, std::size_t from) {
    if (!is_faulty(from)) fail(n, "makes no sense of what a correct one says");
  };
  watchers.on_broken = [this](std::size_t n, const char* what) { fail(n, what); };
  watchers.on_answer = [this](HandInId id, Answer) {
    if (!answered_.insert(id).second) fail("what was handed in is answered twice");
  };
}

void Checkers::fail(const std::string& what) {
  if (!violation_.empty()) return;
  violation_ = what;
  world_.tell("VIOLATION: " + what);
}

void Checkers::fail(std::size_t n, const std::string& what) {
  fail("node " + std::to_string(n) + " " + what);
}

// ---- What is said is on disk, and does not contradict what was said before ----

void Checkers::on_notice(std::size_t n, const Notice& notice) {
  if (const auto* one = std::get_if<Announced>(&notice)) on_announced(n, *one);
  if (const auto operation = operation_in(notice)) on_asked(n, *operation);
  if (std::holds_alternative<Signed>(notice)) on_signed(n);
  if (std::holds_alternative<LeaseShare>(notice) &&
      world_.disk(n).states.contains(next_of(world_.node(n).number()))) {
    fail(n, "prolongs an epoch whose successor it may have signed");
  }
}

void Checkers::on_announced(std::size_t n, const Announced& notice) {
  const Number next = next_of(world_.node(n).number());
  const auto announcement = Announcement::decode(notice.announcement.statement);
  if (!announcement || announcement->number != next) {
    return fail(n, "announces itself for another epoch");
  }
  const auto kept = world_.disk(n).secret(next);
  if (!kept || kept->public_key() != announcement->epoch_key) {
    return fail(n, "may forget the key that it announces");
  }
  const auto at = announced_.emplace(std::pair(n, next), announcement->epoch_key).first;
  if (at->second != announcement->epoch_key) fail(n, "announces two keys");
}

void Checkers::on_asked(std::size_t n, const Operation& operation) {
  const SimNode& node = world_.node(n);
  const wire::NodeKey& key = world_.key(n);
  if (const auto* asked = std::get_if<Announce>(&operation)) {
    const auto own = Announcement::decode(asked->announcement.statement);
    if (!own || own->node != key || own->number != next_of(node.number())) return;
    const auto kept = world_.disk(n).secret(own->number);
    if (!kept || kept->public_key() != own->epoch_key) {
      fail(n, "asks for a seat whose key it may forget");
    }
  }
  const auto* opened = std::get_if<Reveal>(&operation);
  if (!opened || opened->node != key || is_faulty(n)) return;
  // What it asks for was wished for in an earlier state; the phase goes back only where shares are
  // settled.
  const State* state = node.machine() ? &node.machine()->state() : nullptr;
  if (state && state->phase < Phase::kRevealing && !state->is_withholding_settled) {
    fail(n, "opens its share before all candidates announced");
  }
}

void Checkers::on_signed(std::size_t n) {
  const SimNode& node = world_.node(n);
  if (!node.machine()) return fail(n, "signs without a state");
  const auto header = membership::DescriptionHeader::decode(draft(*node.machine()).header);
  if (!world_.disk(n).state(next_of(node.number()), header->state)) {
    fail(n, "may forget the state that it signed");
  }
}

void Checkers::on_effect(std::size_t n, const Effect& effect) {
  if (const auto* kept = std::get_if<KeepState>(&effect)) on_kept_state(n, *kept);
  if (const auto* group = std::get_if<OpenGroup>(&effect)) on_opened(n, *group);
  if (const auto* learn = std::get_if<Learn>(&effect)) on_learnt(n, *learn);
}

/// Of what it hands over itself; what it was handed has its digest in the header.
void Checkers::on_kept_state(std::size_t n, const KeepState& kept) {
  const SimNode& node = world_.node(n);
  const auto sealed = sealed_.find(node.number());
  if (kept.number != next_of(node.number()) || sealed == sealed_.end()) return;
  const auto handed = Carried::decode(kept.state.view());
  if (!handed) return fail(n, "hands over what cannot be read");
  const std::string problem =
      problem_of_handing_over(node.configuration(), sealed->second, *handed);
  if (!problem.empty()) return fail(n, "hands over: " + problem);
  handed_over_[kept.number] = Carried::digest(kept.state.view());
}

void Checkers::on_opened(std::size_t n, const OpenGroup& group) {
  const crypto::Digest& state = world_.node(n).configuration().service_state();
  if (state != crypto::Digest{} && Carried::digest(group.carried.encode()) != state) {
    fail(n, "begins with another state than the header names");
  }
}

/// Whoever signed has the state: no description with its signature leaves before.
void Checkers::on_learnt(std::size_t n, const Learn& learn) {
  const SimNode& node = world_.node(n);
  const auto description = membership::SignedDescription::decode(learn.description.view());
  if (!description) return fail(n, "makes a description that cannot be read");
  const auto made =
      membership::apply(node.configuration(), learn.description.view(), crypto::model_scheme());
  if (!made) {
    return fail(n, "makes a bad description: " + std::string(membership::text_of(made.error())));
  }
  const auto seat = seat_of(node.configuration(), world_.key(n));
  const bool is_signer = seat && std::ranges::any_of(description->signatures, [&](const auto& one) {
                           return one.seat == seat->value;
                         });
  if (is_signer && !world_.disk(n).state(next_of(node.number()), (*made)->service_state())) {
    fail(n, "may forget the state of a description that it signed");
  }
}

// ---- The agreed state ----

void Checkers::on_step(std::size_t n, const Step& step) {
  ++steps_;
  const std::string problem = problem_of_step(step);
  if (!problem.empty()) {
    const auto name = step.operation ? name_of(*step.operation) : "nothing";
    return fail(n, "executes " + std::string(name) + ": " + problem);
  }
  const State& after = step.machine.state();
  if (after.phase == Phase::kSealed && step.before.phase != Phase::kSealed) {
    on_sealed(n, step.machine);
  }
  for (const auto* wanting :
       {&after.carried.wishes.withholding_since_ms, &after.carried.wishes.false_since_ms}) {
    for (const auto& [node, since] : *wanting) {
      const auto number = world_.number_of(node);
      if (number && !is_faulty(*number)) fail(*number, "is found wanting though it is correct");
    }
  }
  if (!is_quiet_) return;
  for (const auto& [node, since] : after.carried.wishes.inactive_since_ms) {
    const auto number = world_.number_of(node);
    if (number && !is_faulty(*number)) fail(*number, "is inactive though nothing fails");
  }
}

void Checkers::on_sealed(std::size_t n, const Machine& machine) {
  const auto [at, is_first] = sealed_.emplace(machine.configuration().number(), machine.state());
  if (!is_first && at->second.encode() != machine.state().encode()) {
    fail(n, "seals another state than others");
  }
}

// ---- Configurations ----

void Checkers::on_entered(std::size_t n) {
  const ConfigurationPointer& entered = world_.disk(n).chain.back();
  const auto [at, is_first] = headers_.emplace(entered->number(), entered->header_hash());
  if (at->second != entered->header_hash()) fail(n, "enters a second description of one epoch");
  if (is_first) check_newest(entered);
  check_disk(n);
}

void Checkers::check_newest(const ConfigurationPointer& next) {
  const auto sealed = sealed_.find(newest_->number());
  if (sealed == sealed_.end()) return fail("an epoch begins that nobody sealed");
  const std::string problem = problem_of_successor(*newest_, sealed->second, *next);
  if (!problem.empty()) {
    fail("epoch " + std::to_string(next->number().epoch.value) + ": " + problem);
  }
  const auto handed = handed_over_.find(next->number());
  if (handed == handed_over_.end() || handed->second != next->service_state()) {
    fail("an epoch begins with a state that nobody handed over");
  }
  check_seats(*next, sealed->second);
  count_changes(*next);
  newest_ = next;
}

/// The bound of design 8.4 is of those that do their part: while messages are lost, a correct
/// member's share may come too late, and its seat is another's (decision 10; seed 5172 of the
/// scenario `organisations`).
void Checkers::check_seats(const membership::Configuration& next, const State& sealed) {
  const std::uint64_t before = newest_->number().epoch.value;
  std::vector<std::size_t> gone;
  for (const auto& member : newest_->service()) {
    const wire::NodeKey& key = newest_->nodes()[member.node].key;
    const std::size_t n = *world_.number_of(key);
    const bool is_late = !is_quiet_ && sealed.withholders.contains(key);
    const bool is_excused = is_late || world_.disturbed(n).epoch.value + 1 >= before ||
                            is_faulty(n) || world_.failing_writes(n) > 0 || !world_.is_up(n) ||
                            !next.node_index(key);
    if (!is_excused && !seat_of(next, key)) gone.push_back(n);
  }
  if (gone.size() > std::max<std::size_t>(newest_->settings().service_faults, 1)) {
    std::string who;
    for (const std::size_t n : gone) who += " " + std::to_string(n);
    fail("more than F correct members that are there lose their seats:" + who);
  }
}

void Checkers::count_changes(const membership::Configuration& next) {
  for (const auto& node : newest_->nodes()) evictions_ += next.node_index(node.key) ? 0U : 1U;
  for (const auto& node : next.nodes()) admissions_ += newest_->node_index(node.key) ? 0U : 1U;
}

/// No key of an epoch that is over; that of the epoch only where there is its seat.
void Checkers::check_disk(std::size_t n) {
  const NodeDisk& disk = world_.disk(n);
  const membership::Configuration& configuration = world_.node(n).configuration();
  for (const auto& [number, secret] : disk.secrets) {
    if (number < configuration.number()) fail(n, "keeps an old key");
    if (number == configuration.number() && !seat_of(configuration, world_.key(n))) {
      fail(n, "keeps a key without a seat");
    }
  }
  if (disk.secrets.size() > 2) fail(n, "keeps more than two keys");
  if (disk.states.size() > 2) fail(n, "keeps more than two states");
  if (disk.records.size() > 1) fail(n, "keeps records of epochs that are over");
}

}  // namespace rosebud::service::sim
