// A replica for tests: what it wants of its disk is done at once, unless the test holds it up, and
// what it says is kept.
#pragma once

#include <algorithm>

#include "objects/test_group.h"

namespace rosebud::objects {

class DrivenReplica : protected TestGroup {
 protected:
  using TestGroup::TestGroup;
  DrivenReplica(const DrivenReplica&) = delete;
  DrivenReplica& operator=(const DrivenReplica&) = delete;
  virtual ~DrivenReplica() = default;

  /// Does what the replica wants of its disk, and tells it.
  virtual void complete(const Effect& effect) = 0;
  virtual bool is_held_up(const Effect& effect) const {
    return (std::holds_alternative<Scan>(effect) && is_scan_held_up) ||
           (std::holds_alternative<Load>(effect) && is_load_held_up) ||
           (std::holds_alternative<Persist>(effect) && is_persist_held_up);
  }

  void take(Effects effects) {
    for (Effect& effect : effects) {
      if (auto* answer = std::get_if<SendAnswer>(&effect)) {
        answers.push_back(std::move(answer->answer));
      } else if (auto* request = std::get_if<SendRequest>(&effect)) {
        requests.push_back(std::move(*request));
      } else if (is_held_up(effect)) {
        waiting.push_back(std::move(effect));
      } else {
        complete(effect);
      }
    }
    core->check_invariants();
  }
  /// What was held up is done.
  void go_on() {
    is_persist_held_up = is_scan_held_up = is_load_held_up = false;
    for (const Effect& effect : std::exchange(waiting, {})) complete(effect);
  }

  void start() {
    Effects effects;
    core->start(now, effects);
    take(std::move(effects));
  }
  void enter(Verifier with) {
    Effects effects;
    core->on_configuration(now, std::move(with), effects);
    take(std::move(effects));
  }
  void pass(Duration time) {
    now += time;
    Effects effects;
    core->on_time(now, effects);
    take(std::move(effects));
  }
  void answer(const SendRequest& request, wire::AnswerBody body) {
    Effects effects;
    core->on_answer(now, request.to, {request.request.context, std::move(body)}, effects);
    take(std::move(effects));
  }

  /// Everybody who is asked for a comparison is complete for the epoch and has nothing else.
  void complete_all(std::uint64_t epoch) {
    const wire::RangeState state{.has_entered = true, .complete_for = wire::Epoch(epoch)};
    while (true) {
      const auto at = std::ranges::find_if(requests, [&](const SendRequest& one) {
        return equal_answer(one.request.body, state).has_value();
      });
      if (at == requests.end()) return;
      const SendRequest request = *at;
      requests.erase(at);
      answer(request, *equal_answer(request.request.body, state));
    }
  }

  /// What it said last.
  template <typename Body>
  const Body* answered() const {
    return answers.empty() ? nullptr : std::get_if<Body>(&answers.back().body);
  }
  std::optional<wire::RefusalReason> refusal() const {
    const auto* refused = answered<wire::Refused>();
    return refused ? std::optional(refused->reason) : std::nullopt;
  }

  Instant now{};
  std::optional<Replica> core;
  std::map<wire::ObjectId, wire::StoredObject> objects;
  std::vector<wire::Answer> answers;
  std::vector<SendRequest> requests;
  std::vector<Effect> waiting;
  bool is_persist_held_up = false;
  bool is_scan_held_up = false;
  bool is_load_held_up = false;
};

}  // namespace rosebud::objects
