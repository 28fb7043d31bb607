// The normal case [CL99 §4.2]: requests, pre-prepare, prepare, commit, execution.
//
// Handlers only take note of what came; advance() then does all that it allows, and does nothing
// when called again. So a vote that came twice, late or in another order makes no difference.
#include <algorithm>

#include "pbft/records.h"
#include "pbft/replica.h"

namespace rosebud::pbft {

// ---- Requests ----

void Replica::on(Now now, ReplicaId, const Request& request, Effects& out) {
  take_request(now, request, false, out);
}

/// Of status kExecuted, without a result.
Reply Replica::reply_to(const Request& request) const {
  return {.view = view_,
          .number = request.number,
          .operation = operation_digest(request.operation.view())};
}

/// What is said at once: it was executed, or it will not be.
std::optional<Reply> Replica::reply_without_executing(Now now, const Request& request) const {
  Reply reply{.view = view_, .number = request.number};
  if (!is_client(request)) {
    reply.status = Reply::Status::kNotAClient;
  } else {
    switch (clients_.judge(request, latest_time_for_numbers(now))) {
      case ClientTable::Verdict::kNew:
        return std::nullopt;
      case ClientTable::Verdict::kLast:
        // Executed before; the reply may have been lost [CL99 §4.1].
        reply.result = clients_.find(request.client)->result;
        break;
      case ClientTable::Verdict::kOld:
      case ClientTable::Verdict::kForgotten:
        reply.status = Reply::Status::kNumberForgotten;
        reply.floor = clients_.floor_of(request.client);
        reply.time = clock_.propose(now.wall);
        break;
      case ClientTable::Verdict::kAhead:
        reply.status = Reply::Status::kNumberAhead;
        break;
    }
  }
  reply.operation = operation_digest(request.operation.view());  // not of every new request
  return reply;
}

void Replica::take_request(Now now, const Request& request, bool is_from_client, Effects& out) {
  const crypto::Digest digest =
      has_session_keys() ? request.digest(group().instance()) : crypto::Digest{};
  std::size_t agreements = 1;
  if (has_session_keys() && is_client(request) && !is_genuine(request, digest, agreements)) return;
  if (auto reply = reply_without_executing(now, request)) {
    // Who hands requests on cannot have replies sent by others: a client asks everybody itself.
    if (is_from_client) out.push_back(SendReply{request.client, std::move(*reply)});
    return;
  }
  if (is_stopped_) return;
  if (has_session_keys()) return take_genuine(now, request, digest, out);
  if (!pending_.add(request, now.instant)) return;
  if (is_normal() && is_primary()) {
    propose(now, out);
  } else if (is_normal() && is_from_client) {
    out.push_back(Send{primary(), request});
  }
}

/// In a new view. Suppose a request came to the primary of the last one when that was leaving:
/// nobody else has it, and its client would wait for its time-out. At most what one batch takes.
/// Under session keys everybody has it, or the primary asks (fetch-requests).
void Replica::pass_on_what_waits(Effects& out) {
  if (is_primary() || has_session_keys()) return;
  for (Request& request :
       pending_.first_unproposed(settings_.batch_requests_max, settings_.batch_bytes_max)) {
    out.push_back(Send{primary(), std::move(request)});
  }
}

/// Who was one may still ask what became of its last request.
bool Replica::is_client(const Request& request) const {
  return clients_.find(request.client) || machine_.is_client(request.client);
}

/// A backup waits for nothing that a correct primary may refuse, whose clock may be behind its own
/// by the bound: or a client whose number is far ahead ends views in which nobody is faulty. Where
/// clocks were set back, agreed time counts, which is what clients are told then too.
AgreedTime Replica::latest_time_for_numbers(Now now) const {
  const std::uint64_t bound = is_primary() ? 0 : settings_.clock_bound_ms;
  return clock_.propose(AgreedTime(now.wall.value - std::min(now.wall.value, bound)));
}

bool Replica::is_done(const Request& request) const {
  if (!is_client(request)) return true;
  const auto verdict = clients_.judge(request, clock_.last_executed());
  return verdict != ClientTable::Verdict::kNew && verdict != ClientTable::Verdict::kAhead;
}

Duration Replica::patience() const {
  if (!is_link_down_[primary().value]) return timeout();
  return std::min(timeout(), settings_.lost_link_timeout);
}

/// At half of the time all are told, so that not one backup alone gives the primary up. A primary
/// waits like the others: where some have left its view it may be one too few without it.
std::optional<Instant> Replica::request_deadline() const {
  const auto since = waits_since();
  if (!is_normal() || !may_vote() || !since) return std::nullopt;
  Instant out = *since + patience();
  if (const auto untold = pending_.first_untold_since()) {
    out = std::min(out, *untold + patience() / 2);
  }
  return out;
}

/// Since when something waits here for the primary: a request; after the stop, that the end is
/// stable. Suppose nobody waited for that: after a power cut of all, one that was away from the
/// view in which another one committed a number may need a new view to get there, and nobody asks
/// for anything any more (seed 56 of the scenario `stop`).
std::optional<Instant> Replica::waits_since() const {
  if (is_stopped_) {
    const bool is_stable = log_.low() >= executed_;
    return is_stable ? std::nullopt : std::optional(end_since_);
  }
  return pending_.empty() ? std::nullopt : std::optional(pending_.oldest_since());
}

/// The primary has had its time.
bool Replica::is_overdue(Now now) const {
  const auto since = waits_since();
  return since && now.instant >= *since + patience();
}

void Replica::on_request_timeout(Now now, Effects& out) {
  const auto is_over = [&] {
    const auto deadline = request_deadline();
    return deadline && now.instant >= *deadline;
  };
  if (!is_over()) return;
  // Suppose its number was forgotten meanwhile: a correct primary refuses it, and is not to blame.
  pending_.remove_if([this](const Request& request) { return is_done(request); });
  if (!is_over()) return;
  if (is_overdue(now)) return begin_view_change(now, view_.next(), out);
  for (Request& request : pending_.tell(now.instant - patience() / 2)) {
    out.push_back(Broadcast{std::move(request)});
  }
}

// ---- Pre-prepare ----

bool Replica::has_room_for_proposal() const {
  const SequenceNumber next = proposed_.next();
  return next.value <= executed_.value + settings_.instances_in_flight_max && log_.is_inside(next);
}

bool Replica::is_time_for_batch(Now now) const {
  const std::uint64_t in_flight = proposed_.value - std::min(proposed_, executed_).value;
  return pending_.unproposed_count() > 0 &&
         (in_flight < settings_.small_batches_in_flight_max || proposed_ < fill_up_to_ ||
          pending_.unproposed_count() >= settings_.small_batch_requests ||
          now.instant >= proposed_at_ + settings_.small_batch_wait);
}

/// When a small batch is proposed although others are under way.
std::optional<Instant> Replica::small_batch_deadline() const {
  if (!is_normal() || !is_primary() || !may_vote() || is_stopped_) return std::nullopt;
  if (pending_.unproposed_count() == 0 || !has_room_for_proposal()) return std::nullopt;
  return proposed_at_ + settings_.small_batch_wait;
}

void Replica::propose(Now now, Effects& out) {
  // Executing what was proposed makes room for more: the loop below takes it, not a call inside.
  if (is_proposing_ || !is_normal() || !is_primary() || !may_vote()) return;
  is_proposing_ = true;
  proposed_ = std::max({proposed_, log_.low(), executed_, last_of_view()});
  while (has_room_for_proposal() && !is_stopped_) {
    const AgreedTime time = clock_.propose(now.wall);
    if (is_time_for_batch(now)) {
      propose_batch(now,
                    {.time = time,
                     .requests = pending_.take_batch(settings_.batch_requests_max,
                                                     settings_.batch_bytes_max)},
                    out);
    } else if (proposed_ < fill_up_to_) {
      propose_batch(now, {.time = time, .requests = {}}, out);
    } else {
      break;
    }
  }
  is_proposing_ = false;
}

void Replica::propose_batch(Now now, Batch batch, Effects& out) {
  proposed_ = proposed_.next();
  proposed_at_ = now.instant;
  const SequenceNumber number = proposed_;
  BatchPointer sealed = SealedBatch::seal(group().instance(), std::move(batch));
  Slot* slot = log_.open(number);
  CHECK(slot);
  slot->proposal = {sign_vote(VoteKind::kPrePrepare, view_, number, sealed->digest()), sealed};
  slot->told_at = now.instant;
  std::vector<Write> writes{records::proposal(number, slot->proposal->vote, {})};
  store_batch(number, *slot, sealed, writes);
  persist_then_broadcast(std::move(writes), PrePrepare{slot->proposal->vote, sealed}, out);
  advance(now, number, out);
}

/// What a backup asks of a proposal beyond its signatures [CL99 §4.2].
bool Replica::is_acceptable(Now now, const PrePrepare& message) const {
  const SequenceNumber number = message.vote.number;
  // What the new view says about a number is the only proposal for it.
  if (new_view_ && number <= last_of_view()) {
    const Vote* proposed = proposal_of_view(number);
    return proposed && proposed->digest == message.vote.digest;
  }
  if (is_stopped_) return false;
  return clock_.is_acceptable(message.batch->batch().time, now.wall, settings_.clock_bound_ms);
}

void Replica::on(Now now, ReplicaId, const PrePrepare& message, Effects& out) {
  const Vote& vote = message.vote;
  note_vote(vote);
  if (!is_normal() || vote.view != view_ || vote.replica == identity_.self) return;
  Slot* slot = log_.open(vote.number);
  if (!slot) return;
  const bool is_second = slot->proposal && slot->proposal->vote.view == view_;
  if (is_second && slot->proposal->vote.digest != vote.digest) {
    report(slot->proposal->vote, vote, out);
    if (!is_planted(Bug::kAcceptsTwoProposals)) return;
    slot->prepares[identity_.self.value].reset();
  } else if (is_second) {
    if (slot->proposal->batch) return;
  } else if (!is_acceptable(now, message)) {
    return;
  }
  slot->proposal = {vote, message.batch};
  advance(now, vote.number, out);
}

// ---- Prepare and commit ----

/// It would be left aside. Suppose such ones were verified, with a signature for each of 4096
/// requests: any replica could occupy the others with proposals for views that it is to lead.
bool Replica::is_left_aside(const PrePrepare& proposal) const noexcept {
  const Vote& vote = proposal.vote;
  if (!is_normal() || vote.view != view_ || vote.number <= log_.low()) return true;
  // The window may move before it would be looked at, by no more than its size.
  if (vote.number.value > log_.high().value + settings_.group.window) return true;
  const Slot* slot = log_.find(vote.number);
  if (!slot || !slot->proposal || slot->proposal->vote.view != view_) return false;
  // A second one is evidence, once.
  if (slot->proposal->vote.digest != vote.digest) return evidence_.contains(vote.replica);
  return slot->proposal->batch != nullptr;
}

bool Replica::is_superfluous(const Message& message) const noexcept {
  if (const auto* request = std::get_if<Request>(&message)) {
    // Under session keys what comes again is vouched for again.
    return !has_session_keys() && pending_.holds(*request);
  }
  if (const auto* proposal = std::get_if<PrePrepare>(&message)) return is_left_aside(*proposal);
  if (const auto* committed = std::get_if<Committed>(&message)) {
    const SequenceNumber number = committed->certificate.number;
    const Slot* slot = log_.find(number);
    return slot ? slot->committed && slot->committed->batch : !log_.is_inside(number);
  }
  const auto* ballot = std::get_if<Ballot>(&message);
  if (!ballot) return false;
  const Vote& vote = ballot->vote;
  const Slot* slot = log_.find(vote.number);
  if (!slot) return vote.number <= log_.low();
  const auto settles = [&](const std::optional<Slot::Proof>& proof) {
    return proof && proof->certificate.view == vote.view &&
           proof->certificate.digest == vote.digest;
  };
  switch (vote.kind) {
    case VoteKind::kPrepare:
      return settles(slot->prepared) || settles(slot->committed);
    case VoteKind::kCommit:
      return settles(slot->committed);
    case VoteKind::kCheckpoint:
    case VoteKind::kPrePrepare:
    case VoteKind::kViewChange:
    case VoteKind::kNewView:
      return false;
  }
  return false;
}

void Replica::on(Now now, ReplicaId, const Ballot& message, Effects& out) {
  const Vote& vote = message.vote;
  note_vote(vote);
  if (vote.replica == identity_.self) return;
  Slot* slot = log_.open(vote.number);
  if (!slot) return;
  if (const auto contradicted = Log::add_vote(*slot, vote)) {
    report(*contradicted, vote, out);
    return;
  }
  if (vote.kind != VoteKind::kCheckpoint) return advance(now, vote.number, out);
  if (const auto certificate = log_.checkpoint_certificate(*slot)) {
    learn_stable(now, *certificate, out);
  }
}

void Replica::advance(Now now, SequenceNumber number, Effects& out) {
  Slot* slot = log_.find(number);
  if (!slot) return;
  const bool is_proposed = slot->proposal && slot->proposal->vote.view == view_;
  if (is_normal() && is_proposed && slot->proposal->batch) {
    prepare(now, number, *slot, out);
    if (!slot->prepared || slot->prepared->certificate.view < view_) {
      if (auto certificate = log_.prepared_certificate(*slot)) {
        slot->prepared = {std::move(*certificate), slot->proposal->batch};
      }
    }
    commit(now, number, *slot, out);
  }
  if (!slot->committed) {
    if (auto certificate = log_.commit_certificate(*slot)) {
      BatchPointer batch = slot->find_batch(certificate->digest);
      slot->committed = {std::move(*certificate), std::move(batch)};
    }
  } else if (!slot->committed->batch) {
    slot->committed->batch = slot->find_batch(slot->committed->certificate.digest);
  }
  if (number == executed_.next()) execute_ready(now, out);
}

void Replica::advance_all(Now now, Effects& out) {
  for (SequenceNumber n = log_.low().next(); n <= log_.last(); n = n.next()) advance(now, n, out);
}

/// After a power cut of everybody some replica must still have what was committed.
void Replica::store_batch(SequenceNumber number, Slot& slot, const BatchPointer& batch,
                          std::vector<Write>& writes) {
  const auto is_it = [&](const BatchPointer& one) { return one->digest() == batch->digest(); };
  if (std::ranges::any_of(slot.stored, is_it)) return;
  writes.push_back(records::batch(number, *batch));
  slot.stored.push_back(batch);
}

/// Once this replica has a certificate of this view, it names what it voted for before no more.
/// Suppose a new view must propose an earlier batch anyway, of which others show the newest
/// certificate: 2F+1 voted for it, so of those who say so one is correct, has voted for it and has
/// no later certificate of its own. That one has it.
void Replica::forget_superseded(SequenceNumber number, Slot& slot, std::vector<Write>& writes) {
  std::erase_if(slot.stored, [&](const BatchPointer& one) {
    const bool is_named = one->digest() == slot.prepared->certificate.digest ||
                          (slot.committed && one->digest() == slot.committed->certificate.digest);
    if (!is_named) writes.push_back(records::erase_batch(number, one->digest()));
    return !is_named;
  });
}

/// A backup's vote for the proposal; the primary's is the pre-prepare.
void Replica::prepare(Now now, SequenceNumber number, Slot& slot, Effects& out) {
  if (is_primary() || !may_vote() || (is_stopped_ && number > executed_)) return;
  std::optional<Vote>& own = slot.prepares[identity_.self.value];
  if (own && own->view == view_) return;
  // Something else was committed here: whoever proposes this lies.
  const crypto::Digest& digest = slot.proposal->vote.digest;
  if (slot.committed && slot.committed->certificate.digest != digest) return;
  if (!is_free_of_doubts(now, number, slot, out)) return;
  own = sign_vote(VoteKind::kPrepare, view_, number, digest);
  slot.told_at = now.instant;
  std::vector<Write> writes{records::proposal(number, slot.proposal->vote, own)};
  store_batch(number, slot, slot.proposal->batch, writes);
  persist_then_broadcast(std::move(writes), Ballot{*own}, out);
}

void Replica::commit(Now now, SequenceNumber number, Slot& slot, Effects& out) {
  if (!slot.prepared || slot.prepared->certificate.view != view_ || !may_vote()) return;
  if (slot.own_commit && slot.own_commit->vote.view == view_) return;
  const Certificate& certificate = slot.prepared->certificate;
  const Vote own = sign_vote(VoteKind::kCommit, view_, number, certificate.digest);
  slot.told_at = now.instant;
  std::vector<Write> writes{records::prepared(number, certificate, own)};
  if (slot.prepared->batch) store_batch(number, slot, slot.prepared->batch, writes);
  forget_superseded(number, slot, writes);
  persist_then_broadcast(std::move(writes), Ballot{own}, out);
  slot.own_commit = {.vote = own, .persist = persisted_};
  if (is_planted(Bug::kExecutesBeforeDurable)) Log::add_vote(slot, own);
}

/// Suppose it counted as soon as it is signed, 2F others have committed, and this replica loses
/// power before that vote is on disk: if F of the others lie, a new view may put something else in
/// the place of what was executed here, and whoever embeds this may have acted on it.
void Replica::hear_own_commit(Now now, SequenceNumber number, Effects& out) {
  Slot& slot = *log_.find(number);
  Log::add_vote(slot, slot.own_commit->vote);
  advance(now, number, out);
}

// ---- Execution ----

void Replica::execute_ready(Now now, Effects& out) {
  const std::uint64_t interval = settings_.group.checkpoint_interval;
  while (!is_stopped_ || is_planted(Bug::kExecutesAfterStop)) {
    const Slot* slot = std::as_const(log_).find(executed_.next());
    if (!slot || !slot->committed || !slot->committed->batch) break;
    const BatchPointer batch = slot->committed->batch;
    execute(now, executed_.next(), *batch, out);
    if (is_stopped_ || executed_.value % interval == 0) make_checkpoint(now, out);
  }
  propose(now, out);
}

void Replica::execute(Now now, SequenceNumber number, const SealedBatch& batch, Effects& out) {
  executed_ = number;
  if (!batch.is_null()) clock_.execute(batch.batch().time);
  for (const Request& request : batch.batch().requests) {
    if (is_stopped_ && !is_planted(Bug::kExecutesAfterStop)) break;
    execute_request(now, request, out);
  }
  out.push_back(Executed{number, batch.digest(), batch.batch().requests.size()});
  if (is_stopped_) {
    pending_.clear();
    unready_.clear();
    end_since_ = now.instant;
  }
  if (is_planted(Bug::kCensoredWaitForever)) pending_.wait_anew(now.instant);
}

/// It waits no more. Suppose half of the present patience would have been enough twice over: then
/// so much is not needed any more. [CL99 §4.5.2] goes back to the first time-out at once, and so
/// through all doublings again for every request while messages are slow.
void Replica::stop_waiting(Now now, const Request& request) {
  unready_.remove(request.client, request.number);
  const auto since = pending_.remove(request.client, request.number);
  if (since && doublings_ > 0 && now.instant - *since < timeout() / 4) --doublings_;
}

void Replica::execute_request(Now now, const Request& request, Effects& out) {
  Reply reply = reply_to(request);
  if (!is_client(request)) {
    reply.status = Reply::Status::kNotAClient;
    stop_waiting(now, request);
    out.push_back(SendReply{request.client, std::move(reply)});
    return;
  }
  switch (clients_.judge(request, clock_.last_executed())) {
    case ClientTable::Verdict::kNew: {
      StateMachine::Outcome outcome =
          machine_.execute(clock_.last_executed(), request.client, request.operation.view());
      outcome.result.resize(std::min(outcome.result.size(), kResultSizeMax));
      reply.result = Buffer(std::move(outcome.result));
      clients_.record(request, reply.result);
      if (outcome.is_stop) is_stopped_ = true;
      break;
    }
    case ClientTable::Verdict::kLast:
      reply.result = clients_.find(request.client)->result;
      break;
    case ClientTable::Verdict::kForgotten:
      reply.status = Reply::Status::kNumberForgotten;
      reply.floor = clients_.floor_of(request.client);
      reply.time = clock_.last_executed();
      break;
    case ClientTable::Verdict::kAhead:
      reply.status = Reply::Status::kNumberAhead;
      break;
    case ClientTable::Verdict::kOld:
      // Ordered twice, or behind a later one of its client: exactly once means not now.
      stop_waiting(now, request);
      return;
  }
  stop_waiting(now, request);
  out.push_back(SendReply{request.client, std::move(reply)});
}

}  // namespace rosebud::pbft
