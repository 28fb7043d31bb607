// Complaints in the agreed state, and what members of the service found about them (design 8.2,
// decision 14).
#include <algorithm>

#include "service/machine.h"
#include "service/planted_bugs.h"

namespace rosebud::service {

const Groups& Machine::groups() const {
  if (!groups_) groups_.emplace(*configuration_);
  return *groups_;
}

const std::set<wire::NodeKey>& Machine::cases() const {
  if (!cases_) {
    const Complaints& complaints = state_.carried.complaints;
    cases_ = complaints.empty() ? std::set<wire::NodeKey>{} : cases_in(groups(), complaints);
  }
  return *cases_;
}

const std::vector<wire::Accusation>& Machine::to_check() const {
  if (!to_check_) to_check_ = accusations_of(state_.carried.complaints, cases());
  return *to_check_;
}

/// Others than before, all of them perhaps.
void Machine::note_complaints_changed() {
  cases_.reset();
  to_check_.reset();
  first_over_ms_ = 0;
}

/// A complaint that is not repeated is over, and with it what stands on it. Until one is over
/// nothing can have changed: whether they are possible was looked at when the epoch began, and when
/// they were made.
void Machine::drop_old_complaints() {
  if (now_ms_ < first_over_ms_) return;
  Complaints& complaints = state_.carried.complaints;
  note_complaints_changed();
  drop_old(complaints, *configuration_, now_ms_);
  first_over_ms_ = ~std::uint64_t{0};
  const std::uint64_t life = complaint_life_ms(configuration_->settings());
  for (const auto& [accused, of_it] : complaints) {
    for (const auto& [accuser, complaint] : of_it) {
      first_over_ms_ = std::min(first_over_ms_, complaint.since_ms + life);
    }
  }
  const auto is_over = [&](const auto& one) { return !cases().contains(one.first); };
  for (Said* said : {&state_.withheld, &state_.shown_false, &state_.shown}) {
    std::erase_if(*said, is_over);
  }
  std::erase_if(state_.carried.wishes.withholding_since_ms, is_over);
}

/// That still count.
std::size_t Machine::complaints_of(const wire::NodeKey& accuser) const {
  const std::uint64_t life = complaint_life_ms(configuration_->settings());
  return static_cast<std::size_t>(
      std::ranges::count_if(state_.carried.complaints, [&](const auto& of_it) {
        const auto by = of_it.second.find(accuser);
        return by != of_it.second.end() && now_ms_ < by->second.since_ms + life;
      }));
}

/// What is refused most often comes first, since it costs least.
Answer Machine::on(const Asker& asker, const Complain& operation) {
  if (state_.phase != Phase::kRunning) return Answer::kNotNow;
  const wire::Accusation accusation{
      .accused = operation.accused, .accuser = asker.node, .block = operation.block};
  if (!membership::may_accuse(*configuration_, accusation)) return Answer::kRefused;
  Complaints& complaints = state_.carried.complaints;
  const auto find_known = [&]() -> const Complaint* {
    const auto of_it = complaints.find(operation.accused);
    if (of_it == complaints.end()) return nullptr;
    const auto by = of_it->second.find(asker.node);
    return by == of_it->second.end() ? nullptr : &by->second;
  };
  const std::uint64_t life = complaint_life_ms(configuration_->settings());
  // Repeated all the time it would be an order for nothing.
  const Complaint* known = find_known();
  if (known && now_ms_ < known->since_ms + life / 2) return Answer::kAlready;
  const bool is_one_more = !known || known->since_ms + life <= now_ms_;
  if (is_one_more && complaints_of(asker.node) >= kComplaintsOfOneMax &&
      !is_planted(Bug::kComplaintsNotCounted)) {
    return Answer::kNotNow;
  }
  drop_old_complaints();
  if (!find_known() && total_of(complaints) >= kComplaintsMax) return Answer::kNotNow;
  complaints[operation.accused][asker.node] = {.block = operation.block, .since_ms = now_ms_};
  first_over_ms_ = std::min(first_over_ms_, now_ms_ + life);
  to_check_.reset();
  if (cases_ && is_case(groups(), complaints, operation.accused)) {
    cases_->insert(operation.accused);
  }
  if (is_planted(Bug::kUnconfirmedComplaintRemoves) && cases().contains(operation.accused)) {
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
  if (!cases().contains(accused)) return Answer::kNotNow;
  auto& wishes = state_.carried.wishes;
  if (operation.outcome == wire::AuditOutcome::kProven) {
    if (has_said(state_.shown, accused, asker.node)) return Answer::kAlready;
    take_back(state_.withheld, accused, asker.node);
    take_back(state_.shown_false, accused, asker.node);
    note_said(state_.shown, accused, asker.node);
    // F+1: one of them is correct, and has seen the proof. Whoever misses one says so anew.
    if (state_.shown[accused].size() >= configuration_->settings().service_faults + 1) {
      wishes.withholding_since_ms.erase(accused);
      state_.withheld.erase(accused);
    }
    return Answer::kDone;
  }
  const bool is_false = operation.outcome == wire::AuditOutcome::kFalse;
  if (has_said(is_false ? state_.shown_false : state_.withheld, accused, asker.node)) {
    return Answer::kAlready;
  }
  take_back(state_.shown, accused, asker.node);
  const bool is_enough = is_planted(Bug::kOneVerdictIsEnough);
  if (note_said(state_.withheld, accused, asker.node) || is_enough) {
    wishes.withholding_since_ms.try_emplace(accused, now_ms_);
  }
  if (is_false && (note_said(state_.shown_false, accused, asker.node) || is_enough)) {
    wishes.false_since_ms.try_emplace(accused, now_ms_);
  }
  return Answer::kDone;
}

}  // namespace rosebud::service
