// Complaints in the agreed state, and what members of the service found about them (design 8.2,
// decision 14).
#include <algorithm>

#include "service/machine.h"
#include "service/planted_bugs.h"

namespace rosebud::service {

/// A complaint that is not repeated is over, and with it what stands on it.
void Machine::drop_old_complaints() {
  Complaints& complaints = state_.carried.complaints;
  drop_old(complaints, *configuration_, now_ms_);
  const auto is_over = [&](const auto& one) {
    return !is_case(*configuration_, complaints, one.first);
  };
  for (Said* said : {&state_.withheld, &state_.shown_false, &state_.shown}) {
    std::erase_if(*said, is_over);
  }
  std::erase_if(state_.carried.wishes.withholding_since_ms, is_over);
}

std::size_t Machine::complaints_of(const wire::NodeKey& accuser) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      state_.carried.complaints,
      [&accuser](const auto& of_it) { return of_it.second.contains(accuser); }));
}

Answer Machine::on(const Asker& asker, const Complain& operation) {
  if (state_.phase != Phase::kRunning) return Answer::kNotNow;
  const wire::Accusation accusation{
      .accused = operation.accused, .accuser = asker.node, .block = operation.block};
  if (!is_possible(*configuration_, accusation)) return Answer::kRefused;
  drop_old_complaints();
  Complaints& complaints = state_.carried.complaints;
  const auto of_it = complaints.find(operation.accused);
  const bool is_known = of_it != complaints.end() && of_it->second.contains(asker.node);
  if (is_known) {
    // Repeated all the time it would be an order for nothing.
    const Complaint& known = of_it->second.at(asker.node);
    const std::uint64_t life = complaint_life_ms(configuration_->settings());
    if (now_ms_ < known.since_ms + life / 2) return Answer::kAlready;
  } else if (complaints_of(asker.node) >= kComplaintsOfOneMax &&
             !is_planted(Bug::kComplaintsNotCounted)) {
    return Answer::kNotNow;
  }
  complaints[operation.accused][asker.node] = {.block = operation.block, .since_ms = now_ms_};
  if (is_planted(Bug::kUnconfirmedComplaintRemoves) &&
      is_case(*configuration_, complaints, operation.accused)) {
    state_.carried.wishes.false_since_ms.try_emplace(operation.accused, now_ms_);
  }
  return Answer::kDone;
}

Answer Machine::on(const Asker& asker, const Verdict& operation) {
  const wire::NodeKey& accused = operation.accused;
  const bool is_its_own = asker.node == accused;
  if (!asker.is_member || is_its_own || !configuration_->node_index(accused)) {
    return Answer::kRefused;
  }
  if (state_.phase != Phase::kRunning) return Answer::kNotNow;
  drop_old_complaints();
  if (!is_case(*configuration_, state_.carried.complaints, accused)) return Answer::kNotNow;
  const auto has_said = [&](const Said& said) {
    const auto at = said.find(accused);
    return at != said.end() && at->second.contains(asker.node);
  };
  auto& wishes = state_.carried.wishes;
  if (operation.outcome == wire::AuditOutcome::kProven) {
    if (has_said(state_.shown)) return Answer::kAlready;
    for (Said* said : {&state_.withheld, &state_.shown_false}) {
      if (const auto at = said->find(accused); at != said->end()) at->second.erase(asker.node);
    }
    says(state_.shown, accused, asker.node);
    // F+1: one of them is correct, and has seen the proof. Whoever misses one says so anew.
    if (state_.shown[accused].size() >= configuration_->settings().service_faults + 1) {
      wishes.withholding_since_ms.erase(accused);
      state_.withheld.erase(accused);
    }
    return Answer::kDone;
  }
  const bool is_false = operation.outcome == wire::AuditOutcome::kFalse;
  if (has_said(is_false ? state_.shown_false : state_.withheld)) return Answer::kAlready;
  if (const auto at = state_.shown.find(accused); at != state_.shown.end()) {
    at->second.erase(asker.node);
  }
  const bool is_enough = is_planted(Bug::kOneVerdictIsEnough);
  if (says(state_.withheld, accused, asker.node) || is_enough) {
    wishes.withholding_since_ms.try_emplace(accused, now_ms_);
  }
  if (is_false && (says(state_.shown_false, accused, asker.node) || is_enough)) {
    wishes.false_since_ms.try_emplace(accused, now_ms_);
  }
  return Answer::kDone;
}

}  // namespace rosebud::service
