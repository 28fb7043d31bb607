#include "pbft/sim/checkers.h"

#include <algorithm>

#include "pbft/new_view_choice.h"

namespace rosebud::pbft::sim {

Checkers::Checkers(World& world, std::vector<bool> is_faulty, std::vector<bool> is_mended)
    : world_(world),
      is_faulty_(std::move(is_faulty)),
      is_mended_(std::move(is_mended)),
      commits_(world.seat_count()) {}

void Checkers::watch() {
  World::Watchers watchers;
  watchers.execution = [this](std::size_t seat, const Execution& one) { on_execution(seat, one); };
  watchers.executed = [this](std::size_t seat, const Executed& one) { on_executed(seat, one); };
  watchers.delivered = [this](std::size_t from, std::size_t to, const Message& one) {
    // Whoever was rolled back can be told of a forgotten vote only by somebody who has seen it. A
    // liar that has seen it need not tell, and both are within F.
    const bool is_told_to_liar = is_faulty_[to] && !is_mended_[to];
    if (is_mended_[from] && !is_told_to_liar) check_votes(from, one);
  };
  watchers.sent = [this](std::size_t seat, const Message& one) { on_sent(seat, one); };
  watchers.evidence = [this](std::size_t seat, const Evidence& one) {
    if (!is_faulty_[seat]) on_evidence(one);
  };
  watchers.after_input = [this](std::size_t seat) { after_input(seat); };
  world_.watch(std::move(watchers));
}

void Checkers::fail(const std::string& what) {
  if (!violation_.empty()) return;
  violation_ = what;
  world_.tell("VIOLATION: " + what);
}

// ---- Execution ----

void Checkers::on_execution(std::size_t seat, const Execution& execution) {
  if (is_faulty_[seat]) return;
  const std::string who = "replica " + std::to_string(seat);
  if (execution.index <= executions_.size()) {
    if (executions_[execution.index - 1] != execution) {
      fail(who + " executes something else as number " + std::to_string(execution.index));
    }
    return;
  }
  if (execution.index != executions_.size() + 1) return fail(who + " leaves executions out");
  const std::pair<ClientId, Bytes> what{execution.client, execution.operation};
  if (is_stopped_) fail(who + " executes behind the stop");
  if (!asked_for_.contains(what)) fail(who + " executes what nobody asked for");
  if (executed_at_.contains(what)) fail(who + " executes a request twice");
  if (!executions_.empty() && execution.time < executions_.back().time) {
    fail(who + " sees agreed time go back");
  }
  // The bound, and what clocks of correct replicas may differ.
  const std::uint64_t bound = world_.options().settings.clock_bound_ms + 10'000;
  const std::uint64_t wall = world_.latest_wall().value;
  if (execution.time.value > wall + bound) fail(who + " executes at a time that is not yet");
  executed_at_[what] = execution.index;
  executions_.push_back(execution);
  const crypto::Digest previous = results_.empty() ? crypto::Digest{} : results_.back().chain;
  results_.push_back({execution.index, crypto::Hasher("ledger")
                                           .update(previous.view())
                                           .update_u64(execution.time.value)
                                           .update(execution.client.view())
                                           .update(execution.operation)
                                           .finish()});
  if (!execution.operation.empty() && execution.operation[0] == Ledger::kStop) is_stopped_ = true;
}

void Checkers::on_executed(std::size_t seat, const Executed& executed) {
  if (is_faulty_[seat]) return;
  const auto [at, is_new] = batches_.emplace(executed.number, executed.digest);
  if (at->second != executed.digest) {
    fail("replica " + std::to_string(seat) + " executes another batch as number " +
         std::to_string(executed.number.value) + " than others");
  }
  if (is_new && executed.number.value > 1 &&
      !batches_.contains(SequenceNumber(executed.number.value - 1))) {
    fail("number " + std::to_string(executed.number.value) + " is executed before its predecessor");
  }
}

std::size_t Checkers::on_submitted(const ClientId& client, Bytes operation) {
  asked_for_.insert({client, operation});
  submissions_.push_back({client, std::move(operation), acknowledged_});
  return submissions_.size() - 1;
}

void Checkers::on_finished(std::size_t which, const Finish& finish) {
  if (finish.status != Reply::Status::kExecuted) return;
  const Submission& submission = submissions_[which];
  const auto result = LedgerResult::decode(finish.result.view());
  if (!result) return fail("a client believes a reply that no correct replica gave");
  const auto at = executed_at_.find({submission.client, submission.operation});
  if (at == executed_at_.end()) {
    return fail("a request was acknowledged that no correct replica executed");
  }
  if (result->index != at->second || *result != results_[at->second - 1]) {
    fail("a client got another result than its request had");
  }
  if (result->index <= submission.floor) {
    fail("a request was executed before one that had been acknowledged before it was made");
  }
  acknowledged_ = std::max(acknowledged_, result->index);
}

// ---- Votes and proofs ----

void Checkers::check_vote(std::size_t seat, const Vote& vote) {
  const bool is_by_view = vote.kind == VoteKind::kViewChange || vote.kind == VoteKind::kNewView;
  const VoteKey key{.seat = seat,
                    .kind = vote.kind,
                    .view = vote.view,
                    .number = is_by_view ? SequenceNumber{} : vote.number};
  const auto [at, is_new] = votes_.emplace(key, vote.digest);
  if (at->second != vote.digest) {
    fail("replica " + std::to_string(seat) +
         " contradicts itself: " + std::string(name_of(vote.kind)) + " in view " +
         std::to_string(vote.view.value) + ", number " + std::to_string(vote.number.value));
  }
  if (vote.kind == VoteKind::kCommit) {
    View& newest = commits_[seat][vote.number];
    newest = std::max(newest, vote.view);
  }
}

/// Judged without the code of the core.
void Checkers::check_certificate(const Certificate& certificate, const char* what) {
  const Group& group = world_.group();
  std::set<ReplicaId> signers;
  for (const Endorsement& one : certificate.endorsements) {
    Vote vote{.kind = certificate.kind,
              .view = certificate.view,
              .number = certificate.number,
              .digest = certificate.digest,
              .replica = one.replica,
              .counter = one.counter};
    const bool is_primary = one.replica == group.primary_of(certificate.view);
    if (certificate.kind == VoteKind::kPrepare && is_primary) vote.kind = VoteKind::kPrePrepare;
    if (group.is_member(one.replica) &&
        world_.verifier().scheme().verify(group.key_of(one.replica), Vote::kTag,
                                          vote.statement(group.instance()), one.signature)) {
      signers.insert(one.replica);
    }
  }
  if (signers.size() < 2 * group.faults() + 1) {
    fail("a correct replica shows a " + std::string(what) + " certificate of " +
         std::to_string(signers.size()) + " signatures");
  }
}

void Checkers::check_view_change(std::size_t seat, const ViewChange& change) {
  if (change.stable) check_certificate(*change.stable, "stable");
  std::map<SequenceNumber, View> shown;
  for (const Certificate& one : change.prepared) {
    check_certificate(one, "prepared");
    shown[one.number] = one.view;
  }
  for (const auto& [number, view] : commits_[seat]) {
    if (number <= change.vote.number || view >= change.vote.view) continue;
    const auto at = shown.find(number);
    if (at == shown.end() || at->second < view) {
      fail("replica " + std::to_string(seat) + " leaves a view without showing number " +
           std::to_string(number.value) + ", which it committed");
    }
  }
}

void Checkers::check_new_view(const NewView& message) {
  // The highest view per number, or null; by hand.
  SequenceNumber first;
  for (const ViewChange& one : message.proofs) first = std::max(first, one.vote.number);
  std::map<SequenceNumber, std::pair<View, crypto::Digest>> best;
  for (const ViewChange& one : message.proofs) {
    for (const Certificate& each : one.prepared) {
      if (each.number <= first) continue;
      auto& kept = best[each.number];
      if (kept.first <= each.view) kept = {each.view, each.digest};
    }
  }
  const std::uint64_t last = best.empty() ? first.value : best.rbegin()->first.value;
  if (message.pre_prepares.size() != last - first.value) {
    return fail("a new view does not follow from its view changes");
  }
  for (const Vote& vote : message.pre_prepares) {
    const auto at = best.find(vote.number);
    const crypto::Digest& expected =
        at == best.end() ? world_.verifier().null_batch()->digest() : at->second.second;
    if (vote.digest != expected) {
      fail("a new view does not follow from its view changes");
    }
  }
}

void Checkers::check_votes(std::size_t seat, const Message& message) {
  if (const auto* one = std::get_if<PrePrepare>(&message)) check_vote(seat, one->vote);
  if (const auto* one = std::get_if<Ballot>(&message)) check_vote(seat, one->vote);
  // Others' are handed on.
  const auto* change = std::get_if<ViewChange>(&message);
  if (change && change->vote.replica.value == seat) check_vote(seat, change->vote);
  const auto* view = std::get_if<NewView>(&message);
  if (view && view->vote.replica.value == seat) {
    check_vote(seat, view->vote);
    for (const Vote& each : view->pre_prepares) check_vote(seat, each);
  }
}

void Checkers::on_sent(std::size_t seat, const Message& message) {
  if (is_faulty_[seat] && !is_mended_[seat]) return;
  if (!is_mended_[seat]) check_votes(seat, message);
  if (const auto* one = std::get_if<ViewChange>(&message)) {
    if (!is_mended_[seat] && one->vote.replica.value == seat) check_view_change(seat, *one);
  }
  if (const auto* one = std::get_if<NewView>(&message)) check_new_view(*one);
  if (const auto* one = std::get_if<Committed>(&message)) {
    check_certificate(one->certificate, "commit");
  }
  if (const auto* one = std::get_if<StableCheckpoint>(&message)) {
    check_certificate(one->certificate, "stable");
  }
}

void Checkers::on_evidence(const Evidence& evidence) {
  if (!is_valid(evidence, world_.group(), world_.verifier().scheme())) {
    return fail("evidence that is none");
  }
  const std::size_t seat = evidence.first.replica.value;
  if (!is_faulty_[seat]) fail("replica " + std::to_string(seat) + " is accused and is correct");
}

// ---- Bounds and the end ----

void Checkers::after_input(std::size_t seat) {
  const Replica* replica = world_.replica(seat);
  if (!replica || is_faulty_[seat]) return;
  const Settings& settings = world_.options().settings;
  if (is_calm_ && replica->view() > View{}) {
    fail("replica " + std::to_string(seat) + " leaves a view because of a client");
  }
  if (replica->log_size() > settings.group.window) fail("a log is larger than the window");
  if (world_.event_count() % 16 == 0) replica->check_invariants();
}

std::string Checkers::difference() const {
  const Replica* first = nullptr;
  std::size_t first_seat = 0;
  for (std::size_t seat = 0; seat < world_.seat_count(); ++seat) {
    // A mended replica is demanded to be as far as the others.
    if (is_faulty_[seat] && !is_mended_[seat]) continue;
    const Replica* replica = world_.replica(seat);
    const std::string who = "replica " + std::to_string(seat);
    if (!replica) return who + " is down";
    if (!first) {
      first = replica;
      first_seat = seat;
      continue;
    }
    if (replica->executed() != first->executed()) {
      return who + " has executed " + std::to_string(replica->executed().value) + " and replica " +
             std::to_string(first_seat) + " " + std::to_string(first->executed().value);
    }
    if (world_.ledger(seat).chain() != world_.ledger(first_seat).chain()) {
      return who + " has another state than replica " + std::to_string(first_seat);
    }
    if (!replica->may_vote()) return who + " does not vote";
    if (replica->is_stopped() != first->is_stopped()) return who + " differs about the stop";
  }
  return {};
}

}  // namespace rosebud::pbft::sim
