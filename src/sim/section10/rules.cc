#include "sim/section10/rules.h"

#include <algorithm>

namespace rosebud::sim::section10 {
namespace {

constexpr int kNewest = kEpochs;

template <typename T>
auto& at(PerEpoch<T>& by_epoch, int epoch) {
  return by_epoch[static_cast<std::size_t>(epoch)];
}
template <typename T>
const auto& at(const PerEpoch<T>& by_epoch, int epoch) {
  return by_epoch[static_cast<std::size_t>(epoch)];
}

std::uint8_t narrow(int value) { return static_cast<std::uint8_t>(value); }

bool answers_clients(const Replica& replica) {
  return !replica.is_owing &&
         (replica.serving == Serving::kArc || replica.serving == Serving::kObject);
}

/// Complete for the epoch, and the data is still there.
bool is_complete(const Replica& replica, int epoch) {
  return !replica.is_faulty && replica.complete >= epoch && replica.gone < epoch;
}

}  // namespace

Model::Model(Scenario scenario, Broken broken) : scenario_(std::move(scenario)), broken_(broken) {
  for (std::size_t node = 0; node < scenario_.nodes; ++node) {
    first_epoch_[node] = next_epoch_of(node, 0);
    for (int e = 1; e <= kNewest; ++e) {
      if (is_member(node, e)) at(members_, e).push_back(node);
    }
  }
}

State Model::first() const {
  State state;
  for (std::size_t node = 0; node < scenario_.nodes; ++node) {
    Replica& replica = state.replicas[node];
    if (scenario_.is_faulty[node]) {
      replica = Replica{.is_faulty = true};
    } else if (is_member(node, 1)) {
      // Before the first epoch nothing was written.
      replica.complete = 1;
      replica.serving = Serving::kArc;
    } else {
      // Nobody asks in which epoch a node is that no group had yet.
      replica.epoch = narrow(std::max(1, first_epoch_[node] - 1));
    }
  }
  state.crashes_left = narrow(scenario_.crashes);
  settle(state);
  return state;
}

void Model::for_each_step(const State& state, const Visitor& visit) const {
  for (std::size_t node = 0; node < scenario_.nodes; ++node) {
    if (!state.replicas[node].is_faulty) visit_steps_of(state, node, visit);
  }
}

void Model::visit_steps_of(const State& state, std::size_t node, const Visitor& visit) const {
  const Replica& replica = state.replicas[node];
  const auto change = [&](StepKind kind, auto what) {
    State next = state;
    what(next.replicas[node], next);
    const Step step{.kind = kind, .node = node, .version = next.replicas[node].version};
    settle(next);
    visit(step, next);
  };
  if (replica.epoch < kNewest) {
    change(StepKind::kEnter, [&](Replica& r, State&) { enter(r, node); });
  }
  for (int version = replica.version + 1; version <= scenario_.versions; ++version) {
    if (answers_clients(replica) && !at(state.ended, replica.epoch)) {
      change(StepKind::kWrite, [&](Replica& r, State&) { r.version = narrow(version); });
    }
    if (scenario_.has_helping_steps && is_member(node, replica.epoch)) {
      change(StepKind::kHear, [&](Replica& r, State&) { r.version = narrow(version); });
    }
  }
  if (is_member(node, replica.epoch)) visit_completing(state, node, visit);
  if (state.crashes_left > 0 &&
      (replica.serving == Serving::kArc || is(Broken::kEnteredNotDurable))) {
    change(StepKind::kCrash, [&](Replica& r, State& next) {
      --next.crashes_left;
      if (is(Broken::kEnteredNotDurable) && r.epoch > 1) {
        --r.epoch;
        r.complete = std::min(r.complete, r.epoch);
      }
      r.serving = is_member(node, r.epoch) ? Serving::kRestarted : Serving::kNot;
    });
  }
  if (can_delete(state, node)) {
    change(StepKind::kDelete, [&](Replica& r, State&) { remove_data(r, node); });
  }
  State turned = state;
  if (scenario_.do_faults_move && turn_faulty(turned, node)) {
    settle(turned);
    visit({.kind = StepKind::kTurnFaulty, .node = node}, turned);
  }
  visit_broken(state, node, visit);
}

/// What a member does with the answers that it has. `version` is what it holds afterwards: at least
/// the newest that it was shown.
void Model::visit_completing(const State& state, std::size_t node, const Visitor& visit) const {
  const Replica& replica = state.replicas[node];
  const auto change = [&](StepKind kind, int version, auto what) {
    State next = state;
    next.replicas[node].version = narrow(version);
    what(next.replicas[node]);
    settle(next);
    visit({.kind = kind, .node = node, .version = version}, next);
  };
  for (int version = replica.version; version <= scenario_.versions; ++version) {
    const Asker asker{.self = node, .limit = version};
    if (replica.complete < replica.epoch && can_complete(state, asker)) {
      change(StepKind::kComplete, version, [](Replica& r) {
        r.complete = r.epoch;
        r.serving = Serving::kArc;
      });
      if (replica.serving == Serving::kNot) {
        change(StepKind::kServeObject, version, [](Replica& r) { r.serving = Serving::kObject; });
      }
    }
    if (replica.serving == Serving::kRestarted && can_reconcile(state, asker)) {
      change(StepKind::kReconcile, version, [](Replica& r) { r.serving = Serving::kArc; });
    }
  }
}

void Model::visit_broken(const State& state, std::size_t node, const Visitor& visit) const {
  const Replica& replica = state.replicas[node];
  const int before = replica.epoch - 1;
  State next = state;
  Replica& changed = next.replicas[node];
  if (is(Broken::kAcknowledgedAfterEntering) && before == 1 && is_member(node, before) &&
      replica.version < scenario_.versions) {
    ++changed.version;
    at(changed.acknowledged, before) = changed.version;
    settle(next);
    visit({.kind = StepKind::kLateWrite, .node = node, .version = changed.version}, next);
  }
  if (!is(Broken::kOwingStated)) return;
  const Asker asker{.self = node, .limit = scenario_.versions};
  if (replica.is_owing) {
    const bool is_delivered = std::ranges::any_of(
        state.replicas, [&](const Replica& other) { return other.version > replica.version; });
    if (!is_delivered) return;
    changed.version = narrow(scenario_.versions);
    changed.is_owing = false;
    settle(next);
    visit({.kind = StepKind::kHear, .node = node, .version = changed.version}, next);
  } else if (is_member(node, replica.epoch) && replica.complete < replica.epoch &&
             replica.version < scenario_.versions && can_complete(state, asker)) {
    changed.complete = changed.epoch;
    changed.serving = Serving::kArc;
    changed.is_owing = true;
    settle(next);
    visit({.kind = StepKind::kOwe, .node = node, .version = changed.version}, next);
  }
}

// ---- 10.1, 10.2 ----

/// Stop first: from here on nothing of the epoch before is acknowledged, and that is durable before
/// anything is answered in the new one.
void Model::enter(Replica& replica, std::size_t node) const {
  const bool is_kept = is_keeper(replica, node);
  ++replica.epoch;
  replica.asked = {};
  const bool serves = is_kept || is(Broken::kServedWhileTransferring);
  replica.serving = is_member(node, replica.epoch) && serves ? Serving::kArc : Serving::kNot;
}

/// In the group of e and serving there. Who was in an earlier group only is a gainer, whatever it
/// still holds.
bool Model::is_keeper(const Replica& replica, std::size_t node) const {
  if (is(Broken::kOldTenureIsKept) && last_epoch_of(node, replica.epoch + 1) > replica.gone)
    return true;
  const bool is_serving = replica.serving == Serving::kArc || is(Broken::kGainerIsKept);
  return is_member(node, replica.epoch) && is_serving;
}

int Model::last_epoch_of(std::size_t node, int before) const {
  for (int e = before - 1; e > 0; --e) {
    if (is_member(node, e)) return e;
  }
  return 0;
}

/// Of the epochs after `after`, the first in which the node is a member; 0 for none.
int Model::next_epoch_of(std::size_t node, int after) const {
  for (int e = after + 1; e <= kNewest; ++e) {
    if (is_member(node, e)) return e;
  }
  return 0;
}

// ---- 10.3, 10.4 ----

/// True when there is an answer of `member` as a member of `group` that the asker may use, given by
/// one who had entered `entered` and was complete for `complete`.
bool Model::has_told(const State& state, const Asker& asker, std::size_t member, int group,
                     int entered, int complete) const {
  const Replica& replica = state.replicas[member];
  if (replica.is_faulty) return !asker.only_correct;
  const bool is_gone = replica.gone >= group && !is(Broken::kGoneIsEmpty);
  if (member == asker.self || asker.only_correct) {
    return !is_gone && replica.epoch >= entered && replica.complete >= complete;
  }
  const Answers& answers = is_gone ? replica.answers_before_gone : replica.answers;
  for (int version = 0; version <= asker.limit; ++version) {
    const Told& told = answers[static_cast<std::size_t>(version)];
    const int claim = is(Broken::kClaimReadLast) ? replica.complete : told.complete;
    if (told.entered > 0 && told.entered >= entered && claim >= complete) return true;
  }
  return false;
}

int Model::count_told(const State& state, const Asker& asker, int group, int entered,
                      int complete) const {
  if (is(Broken::kOlderCompletenessCounts)) complete = std::min(complete, 1);
  int count = 0;
  for (const std::size_t member : at(members_, group)) {
    count += has_told(state, asker, member, group, entered, complete) ? 1 : 0;
  }
  return count;
}

int Model::quorum() const { return kQuorum - (is(Broken::kCompleteFrom2f) ? 1 : 0); }

/// 2f+1 members of a group, oneself included, that have entered a later epoch.
bool Model::has_group_told(const State& state, const Asker& asker, int group) const {
  const int entered = is(Broken::kNotEnteredTells) ? 0 : group + 1;
  return count_told(state, asker, group, entered, 0) >= quorum();
}

/// f+1 of them were complete for that group's epoch: nobody older need be asked.
bool Model::is_old_enough(const State& state, const Asker& asker, int group) const {
  const int enough = is(Broken::kNoFallingBack)     ? 0
                     : is(Broken::kCompleteFromFew) ? kFaults
                                                    : kFaults + 1;
  const int entered = is(Broken::kNotEnteredTells) ? 0 : group + 1;
  return has_group_told(state, asker, group) &&
         count_told(state, asker, group, entered, group) >= enough;
}

/// 10.3 but for the order: of the group of e, and as far back as it takes.
bool Model::can_complete_from_groups_before(const State& state, const Asker& asker) const {
  for (int group = state.replicas[asker.self].epoch - 1; group > 0; --group) {
    if (is_old_enough(state, asker, group)) return true;
    if (!has_group_told(state, asker, group)) return false;
  }
  return false;
}

/// 10.3 for one who is shown at most `limit`: who has told, and who is asked next. Nothing is lost
/// by asking and by hearing as early as possible: what was told counts as long as its asker is in
/// that epoch.
void Model::ask(State& state, std::size_t node, int limit) const {
  Replica& replica = state.replicas[node];
  Asked& asked = replica.asked[static_cast<std::size_t>(limit)];
  const int epoch = replica.epoch;
  const bool is_asking = !replica.is_faulty && is_member(node, epoch) && replica.complete < epoch &&
                         replica.version <= limit;
  if (!is_asking) {
    asked = {};
    return;
  }
  static_assert(kEpochs == 3, "between the oldest group and one's own there is one at most");
  const Asker asker{.self = node, .limit = limit};
  if (asked.asking == Asking::kOldest && epoch > 2 && is_old_enough(state, asker, epoch - 2)) {
    asked = {.asking = Asking::kBetween};
  }
  const bool is_between = asked.asking == Asking::kBetween;
  if (is_between) note_told(state, asker, epoch - 1, kNewest);
  const bool have_told =
      asked.asking < Asking::kOwn &&
      (is_old_enough(state, asker, epoch - 1) ||
       (is_between &&
        (count_noted(state, asker, epoch - 1) >= quorum() ||
         (is(Broken::kGroupsBetweenAtOnce) && has_group_told(state, asker, epoch - 1)))));
  if (have_told) asked = {.asking = Asking::kOwn};
  if (asked.asking != Asking::kOwn) return;
  note_told(state, asker, epoch, is(Broken::kOwnGroupAheadTells) ? kNewest : epoch);
  const bool is_told =
      count_noted(state, asker, epoch) >= quorum() || is(Broken::kOwnGroupNotAsked) ||
      (is(Broken::kOwnGroupAtOnce) && count_told(state, asker, epoch, epoch, 0) >= quorum());
  if (is_told) asked = {.asking = Asking::kNobody};
}

/// Members of the group that is asked, who tell now: they are in the asker's epoch or a later one,
/// up to `entered_max`.
void Model::note_told(State& state, const Asker& asker, int group, int entered_max) const {
  Replica& replica = state.replicas[asker.self];
  std::uint8_t& told = replica.asked[static_cast<std::size_t>(asker.limit)].told;
  const auto& members = at(members_, group);
  for (std::size_t i = 0; i < members.size(); ++i) {
    const Replica& member = state.replicas[members[i]];
    const auto bit = narrow(1 << i);
    if (member.is_faulty) {
      told &= narrow(~bit);
    } else if (members[i] != asker.self && tells(member, group, replica.epoch, entered_max) &&
               member.version <= asker.limit) {
      told |= bit;
    }
  }
}

bool Model::tells(const Replica& member, int group, int entered, int entered_max) const {
  return !member.is_faulty && member.epoch >= entered && member.epoch <= entered_max &&
         member.gone < group && !member.is_owing;
}

int Model::count_noted(const State& state, const Asker& asker, int group) const {
  const Replica& replica = state.replicas[asker.self];
  const std::uint8_t told = replica.asked[static_cast<std::size_t>(asker.limit)].told;
  const auto& members = at(members_, group);
  int count = 0;
  for (std::size_t i = 0; i < members.size(); ++i) {
    const bool is_oneself = members[i] == asker.self && replica.gone < group;
    count += is_oneself || state.replicas[members[i]].is_faulty || (told >> i & 1) != 0 ? 1 : 0;
  }
  return count;
}

/// What 10.3 leads to when nothing happens meanwhile and the faulty ones are silent.
bool Model::can_complete_in_the_end(const State& state, const Asker& asker) const {
  const int epoch = state.replicas[asker.self].epoch;
  const auto tell = std::ranges::count_if(at(members_, epoch), [&](std::size_t member) {
    return tells(state.replicas[member], epoch, epoch, epoch);
  });
  return tell >= kQuorum && can_complete_from_groups_before(state, asker);
}

/// 10.4: f+1 members of the group of the newest epoch that one knows, who are complete for it.
bool Model::can_complete_from_own_group(const State& state, const Asker& asker) const {
  if (is(Broken::kNotFromOwnGroup)) return false;
  const int epoch = state.replicas[asker.self].epoch;
  const int enough = kFaults + (is(Broken::kCompleteFromFew) ? 0 : 1);
  return count_told(state, asker, epoch, epoch, epoch) >= enough;
}

bool Model::can_complete(const State& state, const Asker& asker) const {
  if (is(Broken::kCompleteFromNobody) || can_complete_from_own_group(state, asker)) return true;
  if (asker.only_correct) return can_complete_in_the_end(state, asker);
  if (asker.limit < scenario_.versions && !is(Broken::kAskedInAnyOrder)) {
    const Replica& replica = state.replicas[asker.self];
    return replica.asked[static_cast<std::size_t>(asker.limit)].asking == Asking::kNobody;
  }
  return can_complete_from_groups_before(state, asker);
}

/// Design 6: after a start, with 2f others of the group.
bool Model::can_reconcile(const State& state, const Asker& asker) const {
  const int epoch = state.replicas[asker.self].epoch;
  return count_told(state, asker, epoch, epoch, 0) >= kQuorum;  // oneself is one of them
}

// ---- 10.5 ----

int Model::statements(const State& state, int epoch) const {
  int count = 0;
  for (const std::size_t node : at(members_, epoch)) {
    const Replica& replica = state.replicas[node];
    count += replica.is_faulty || replica.complete >= epoch ? 1 : 0;
  }
  return count;
}

/// A former holder, with statements of 2f+1 members of the group of one later epoch.
bool Model::can_delete(const State& state, std::size_t node) const {
  const Replica& replica = state.replicas[node];
  const int last = last_epoch_of(node, replica.epoch);
  if (is_member(node, replica.epoch) || last <= replica.gone) return false;
  const int enough = is(Broken::kDeletedAtFirstStatement) ? 1 : kQuorum;
  int all = 0;
  for (int e = last + (is(Broken::kDeletedForOwnEpoch) ? 0 : 1); e <= replica.epoch; ++e) {
    all = statements(state, e) + (is(Broken::kStatementsMixed) ? all : 0);
    if (all >= enough) return true;
  }
  return false;
}

/// "Gone", durably before the first byte is deleted: a crash in between changes nothing.
void Model::remove_data(Replica& replica, std::size_t node) const {
  replica.answers_before_gone = replica.answers;
  replica.answers = {};
  replica.version = 0;
  replica.gone = narrow(last_epoch_of(node, replica.epoch));
}

// ---- 2: how many are faulty ----

int Model::faulty_in(const State& state, int epoch) const {
  int count = 0;
  for (const std::size_t node : at(members_, epoch)) {
    count += state.replicas[node].is_faulty ? 1 : 0;
  }
  return count;
}

/// 2f+1 members of one later group, at most f of them faulty, are complete; and nobody collects for
/// this one's epoch any more.
bool Model::is_handed_over(const State& state, int epoch) const {
  const bool is_collecting = std::ranges::any_of(at(members_, epoch), [&](std::size_t node) {
    const Replica& replica = state.replicas[node];
    return !replica.is_faulty && replica.epoch <= epoch && replica.complete < epoch;
  });
  if (is_collecting && !scenario_.does_promise_end_early) return false;
  for (int later = epoch + 1; later <= kNewest; ++later) {
    if (statements(state, later) >= kQuorum && faulty_in(state, later) <= kFaults) return true;
  }
  return false;
}

/// One more faulty node, if the promise lets it be. Who shares no group with a faulty node could
/// have been faulty from the beginning, and is in another scenario.
bool Model::turn_faulty(State& state, std::size_t node) const {
  bool is_later_only = false;
  for (int e = 1; e <= kNewest; ++e) {
    if (!is_member(node, e) || faulty_in(state, e) == 0) continue;
    is_later_only = true;
    if (!at(state.ended, e) && !is_handed_over(state, e)) return false;
    at(state.ended, e) = true;
  }
  if (is_later_only) state.replicas[node] = Replica{.is_faulty = true};
  return is_later_only;
}

// ---- What follows by itself ----

void Model::settle(State& state) const {
  answer_everybody(state);
  for (std::size_t node = 0; node < scenario_.nodes; ++node) {
    for (int limit = 0; limit < scenario_.versions; ++limit) ask(state, node, limit);
  }
  establish(state);
  forget(state);
}

void Model::answer_everybody(State& state) const {
  for (std::size_t node = 0; node < scenario_.nodes; ++node) {
    Replica& replica = state.replicas[node];
    if (replica.is_faulty || replica.is_owing) continue;
    Told& told = replica.answers[replica.version];
    if (replica.epoch >= told.entered) {
      told = {.entered = replica.epoch, .complete = replica.complete};
    }
    if (!answers_clients(replica)) continue;
    auto& acknowledged = at(replica.acknowledged, replica.epoch);
    acknowledged = std::max(acknowledged, replica.version);
  }
}

/// Which versions a quorum acknowledged, and who shows less from now on.
void Model::establish(State& state) const {
  int established = 0;  // up to this epoch
  for (int e = 1; e <= kNewest; ++e) {
    auto& here = at(state.established, e);
    here = narrow(std::max<int>(here, established));
    for (int version = here + 1; version <= scenario_.versions && !at(state.ended, e); ++version) {
      int count = 0;
      for (const std::size_t node : at(members_, e)) {
        const Replica& replica = state.replicas[node];
        count += replica.is_faulty || at(replica.acknowledged, e) >= version ? 1 : 0;
      }
      if (count >= kQuorum) here = narrow(version);
    }
    established = here;
  }
  for (std::size_t node = 0; node < scenario_.nodes; ++node) {
    Replica& replica = state.replicas[node];
    if (replica.is_faulty || !answers_clients(replica)) continue;
    for (int version = replica.version + 1; version <= at(state.established, replica.epoch);
         ++version) {
      at(replica.stale, replica.epoch) |= narrow(1 << version);
    }
  }
}

/// States that differ in nothing that can matter any more are one state.
void Model::forget(State& state) const {
  for (int e = 1; e <= kNewest; ++e) forget_acknowledgements(state, e);
  for (std::size_t node = 0; node < scenario_.nodes; ++node) {
    if (!state.replicas[node].is_faulty) forget_answers(state.replicas[node], node);
  }
}

/// What was acknowledged and read in an epoch in which no quorum can come together any more, or
/// about a version that has one.
void Model::forget_acknowledgements(State& state, int epoch) const {
  const bool may_go_back = is(Broken::kAcknowledgedAfterEntering) || is(Broken::kEnteredNotDurable);
  // One may still turn faulty.
  int acknowledging = scenario_.do_faults_move && faulty_in(state, epoch) == 0 ? 1 : 0;
  int reading = acknowledging;
  const int established = at(state.established, epoch);
  for (const std::size_t node : at(members_, epoch)) {
    const Replica& replica = state.replicas[node];
    const bool is_open = replica.is_faulty || replica.epoch <= epoch || may_go_back;
    acknowledging += is_open || at(replica.acknowledged, epoch) > established ? 1 : 0;
    reading += is_open || at(replica.stale, epoch) != 0 ? 1 : 0;
  }
  const bool is_ended = at(state.ended, epoch);
  for (const std::size_t node : at(members_, epoch)) {
    Replica& replica = state.replicas[node];
    const bool is_known = at(replica.acknowledged, epoch) <= established;
    if (is_ended || acknowledging < kQuorum || is_known) at(replica.acknowledged, epoch) = 0;
    if (is_ended || reading < kQuorum) at(replica.stale, epoch) = 0;
  }
}

void Model::forget_answers(Replica& replica, std::size_t node) const {
  // An answer that showed less, from the same epoch and as complete, serves every asker as well.
  for (std::size_t version = kVersionsMax; version > 0; --version) {
    Told& told = replica.answers[version];
    if (told.entered == 0) continue;
    for (std::size_t less = 0; less < version; ++less) {
      const Told& other = replica.answers[less];
      if (other.entered >= told.entered && other.complete >= told.complete) told = {};
    }
  }
  // It counts when its sender had entered the epoch after the group's, or that of the group itself
  // where completeness (10.4) or a restart (6) is meant.
  const int first = first_epoch_[node];
  const int useful = scenario_.crashes > 0 ? first : std::max(first, 2);
  for (Told& told : replica.answers) {
    if (told.entered < useful && !is(Broken::kNotEnteredTells)) told = {};
  }
  if (replica.gone > 0 && next_epoch_of(node, replica.gone) == 0) {
    replica.epoch = kNewest;  // where it goes from here concerns nobody
    if (!is(Broken::kGoneIsEmpty)) replica.answers = {};
  }
}

// ---- What must hold ----

std::string Model::violation(const State& state) const {
  for (const auto judge : {&Model::incomplete_member, &Model::stale_read, &Model::lost_write,
                           &Model::early_deletion, &Model::stuck_member}) {
    std::string what = (this->*judge)(state);
    if (!what.empty()) return what;
  }
  return {};
}

std::string Model::incomplete_member(const State& state) const {
  for (std::size_t node = 0; node < scenario_.nodes; ++node) {
    const Replica& replica = state.replicas[node];
    const int complete = replica.complete;
    if (complete < 2 || !is_complete(replica, complete) || replica.is_owing) continue;
    if (replica.version >= at(state.established, complete - 1)) continue;
    // With an early end one who was left behind has nobody but liars to ask. Whether that leads to
    // a wrong answer is judged below.
    if (at(state.ended, complete) && scenario_.does_promise_end_early) continue;
    return std::string(1, letter_of(node)) + " is complete for " + std::to_string(complete) +
           " and does not hold what was acknowledged before";
  }
  return {};
}

std::string Model::stale_read(const State& state) const {
  for (int e = 1; e <= kNewest; ++e) {
    for (int version = 1; version <= at(state.established, e) && !at(state.ended, e); ++version) {
      int count = 0;
      for (const std::size_t node : at(members_, e)) {
        const Replica& replica = state.replicas[node];
        count += replica.is_faulty || (at(replica.stale, e) >> version & 1) != 0 ? 1 : 0;
      }
      if (count >= kQuorum) {
        return "a read in epoch " + std::to_string(e) + " returns less than write " +
               std::to_string(version) + ", which was acknowledged before the read began";
      }
    }
  }
  return {};
}

std::string Model::lost_write(const State& state) const {
  const auto acknowledged = at(state.established, kNewest);
  const bool is_held = std::ranges::any_of(
      state.replicas, [&](const Replica& replica) { return replica.version >= acknowledged; });
  return is_held ? "" : "no correct node holds what was acknowledged";
}

std::string Model::early_deletion(const State& state) const {
  for (std::size_t node = 0; node < scenario_.nodes; ++node) {
    const int gone = state.replicas[node].gone;
    if (gone == 0) continue;
    bool is_covered = false;
    for (int later = gone + 1; later <= kNewest; ++later) {
      int complete = 0;
      for (const std::size_t other : at(members_, later)) {
        complete += is_complete(state.replicas[other], later) ? 1 : 0;
      }
      is_covered |= complete > kFaults;
    }
    if (!is_covered) {
      return std::string(1, letter_of(node)) +
             " deleted, and fewer than f+1 correct members of each later group are complete";
    }
  }
  return {};
}

/// When all correct nodes are in the newest epoch, every message arrives and no faulty node says a
/// word, all correct members of its group become complete.
std::string Model::stuck_member(const State& state) const {
  State end = state;
  for (std::size_t node = 0; node < scenario_.nodes; ++node) {
    if (!end.replicas[node].is_faulty && end.replicas[node].epoch < kNewest) return {};
  }
  for (bool is_moving = true; is_moving;) {
    is_moving = false;
    for (std::size_t node = 0; node < scenario_.nodes; ++node) {
      Replica& replica = end.replicas[node];
      if (replica.is_faulty || !is_member(node, kNewest) || replica.complete >= kNewest) continue;
      if (!can_complete(end, {.self = node, .limit = kVersionsMax, .only_correct = true})) continue;
      replica.complete = kNewest;
      is_moving = true;
    }
  }
  for (std::size_t node = 0; node < scenario_.nodes; ++node) {
    const Replica& replica = end.replicas[node];
    if (!replica.is_faulty && is_member(node, kNewest) && replica.complete < kNewest) {
      return std::string(1, letter_of(node)) + " can never complete for the newest epoch";
    }
  }
  return {};
}

// ---- For stories ----

std::string Model::reason(const State& before, const Step& step) const {
  const Asker asker{.self = step.node, .limit = step.version};
  const int epoch = before.replicas[step.node].epoch;
  const auto tellers = [&](int group, int entered, int complete) {
    std::string names;
    for (std::size_t member = 0; member < scenario_.nodes; ++member) {
      if (!is_member(member, group)) continue;
      if (has_told(before, asker, member, group, entered, complete)) names += letter_of(member);
    }
    return names.empty() ? "nobody" : names;
  };
  if (can_complete_from_own_group(before, asker)) {
    return "of its own group " + tellers(epoch, epoch, epoch) + " said to be complete";
  }
  std::string out;
  for (int group = epoch - 1; group > 0; --group) {
    const int entered = is(Broken::kNotEnteredTells) ? 0 : group + 1;
    const std::string complete = tellers(group, entered, group);
    out += (out.empty() ? "" : "; ") + std::string("of the group of epoch ") +
           std::to_string(group) + " " + tellers(group, entered, 0) + " had told, complete " +
           complete;
    if (complete != "nobody" && complete.size() > kFaults) break;
  }
  return out;
}

}  // namespace rosebud::sim::section10
