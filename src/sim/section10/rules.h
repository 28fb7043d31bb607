// Design section 10 as steps from one state to the next, and what must hold in every state.
//
// Each rule stands once, under the number that it has in the design. A step is one thing that one
// node does at one moment; nothing is promised about which step comes next, so messages are late,
// out of order and lost as they like:
//
//  - Answers to collections (10.3). All that a node ever answered is remembered (Answers), and
//    completing uses any of it, of any age, from any members of the first group that is asked. Of
//    those that are asked after it, all that they answer from then on.
//  - Writes, and answers to clients. A node may take a write at any moment while it serves.
//    What it holds while it serves counts as acknowledged, and as read by whoever began to read
//    before. A client that hears less, or later, is owed no more than that.
//  - Statements (10.5) are never withdrawn: they may be read at any moment after they were
//    made.
//  - A faulty node has no state. Wherever an answer, acknowledgement or statement of it would
//    help a step, it is there, and says what the step wants.
//
// Steps that only help are left out unless Scenario::has_helping_steps asks for them: a replica
// that hears of the record without completing or being written to (background comparisons, writes
// under way that become durable late). Whoever holds more shows, acknowledges and lists more, and
// nothing that any rule allows needs anybody to hold less; so a run without such a step goes wrong
// whenever the run with it does.
//
// When faults move. A group may have more than f faulty members as soon as 2f+1 of a later one are
// complete (design 2) and its own correct members are complete for its epoch or in a later one (ADR
// 11). Suppose a gainer has an early answer of a member, from before that one held a write, and
// hears the rest of the group only when that group was handed over and lies. That is why 10.3 asks
// in order, and one's own group last: if an older group was handed over before it told everything,
// there are f+1 correct members of a later one that are complete. Either one of them is among the
// 2f+1 of that later group, which was asked afterwards; or they are ahead of the asker, with f+1 of
// its own group, so that it finds no 2f others in its epoch.
//
// What was told counts as long as its asker is in the epoch in which it asked. So nothing is lost
// by asking and hearing as early as possible, and Model::ask does that; what a group told is noted
// (Asked) and not looked up when the asker completes.
//
// A node turns faulty at once or when the promise for an earlier group ends: turning later allows
// nothing more, since a faulty node may do all that the rules say.
#pragma once

#include <functional>
#include <optional>

#include "sim/section10/broken_rules.h"
#include "sim/section10/state.h"

namespace rosebud::sim::section10 {

enum class StepKind : std::uint8_t {
  kEnter,        // 10.1, 10.2
  kWrite,        // 6
  kLateWrite,    // a broken rule's
  kHear,         // a helping step
  kComplete,     // 10.3, 10.4
  kServeObject,  // 10.2
  kOwe,          // a broken rule's
  kCrash,        // 6
  kReconcile,    // 6
  kDelete,       // 10.5
  kTurnFaulty,   // 2
};

struct Step {
  StepKind kind;
  std::size_t node = 0;
  int version = 0;  // that it holds afterwards
};

class Model {
 public:
  using Visitor = std::function<void(const Step&, const State&)>;

  Model(Scenario scenario, Broken broken);

  const Scenario& scenario() const { return scenario_; }
  State first() const;
  /// Calls `visit` with every step that is possible in `state` and with what it leads to.
  void for_each_step(const State& state, const Visitor& visit) const;
  /// What must hold and does not; empty when all is well.
  std::string violation(const State& state) const;
  /// Who told what a step was taken on; for stories.
  std::string reason(const State& before, const Step& step) const;

 private:
  /// Whose answers a replica may use, and which: those that show at most `limit`, because it holds
  /// that when it is done.
  struct Asker {
    std::size_t self;
    int limit;
    bool only_correct = false;  // and only what is true now; to see who can go on in the end
  };

  bool is(Broken rule) const { return broken_ == rule; }
  bool is_member(std::size_t node, int epoch) const { return scenario_.is_member(node, epoch); }
  int last_epoch_of(std::size_t node, int before) const;
  int next_epoch_of(std::size_t node, int after) const;
  int faulty_in(const State& state, int epoch) const;

  // 10.1, 10.2
  void enter(Replica& replica, std::size_t node) const;
  bool is_keeper(const Replica& replica, std::size_t node) const;
  // 10.3, 10.4
  bool has_told(const State& state, const Asker& asker, std::size_t member, int group, int entered,
                int complete) const;
  int count_told(const State& state, const Asker& asker, int group, int entered,
                 int complete) const;
  int quorum() const;
  bool has_group_told(const State& state, const Asker& asker, int group) const;
  bool is_old_enough(const State& state, const Asker& asker, int group) const;
  bool can_complete_from_groups_before(const State& state, const Asker& asker) const;
  void ask(State& state, std::size_t node, int limit) const;
  void note_told(State& state, const Asker& asker, int group, int entered_max) const;
  bool tells(const Replica& member, int group, int entered, int entered_max) const;
  int count_noted(const State& state, const Asker& asker, int group) const;
  bool can_complete_in_the_end(const State& state, const Asker& asker) const;
  bool can_complete_from_own_group(const State& state, const Asker& asker) const;
  bool can_complete(const State& state, const Asker& asker) const;
  bool can_reconcile(const State& state, const Asker& asker) const;
  // 10.5
  int statements(const State& state, int epoch) const;
  bool can_delete(const State& state, std::size_t node) const;
  void remove_data(Replica& replica, std::size_t node) const;
  // 2
  bool is_handed_over(const State& state, int epoch) const;
  bool turn_faulty(State& state, std::size_t node) const;

  void visit_steps_of(const State& state, std::size_t node, const Visitor& visit) const;
  void visit_completing(const State& state, std::size_t node, const Visitor& visit) const;
  void visit_broken(const State& state, std::size_t node, const Visitor& visit) const;

  /// What follows from a step by itself: acknowledgements, answers, and forgetting what can matter
  /// no more.
  void settle(State& state) const;
  void answer_everybody(State& state) const;
  void establish(State& state) const;
  void forget(State& state) const;
  void forget_acknowledgements(State& state, int epoch) const;
  void forget_answers(Replica& replica, std::size_t node) const;

  // What must hold
  std::string incomplete_member(const State& state) const;
  std::string stale_read(const State& state) const;
  std::string lost_write(const State& state) const;
  std::string early_deletion(const State& state) const;
  std::string stuck_member(const State& state) const;

  Scenario scenario_;
  Broken broken_;
  /// Of each node: the first epoch in whose group it is, and of each epoch the members of its
  /// group.
  std::array<int, kNodesMax> first_epoch_{};
  PerEpoch<std::vector<std::size_t>> members_;
};

}  // namespace rosebud::sim::section10
