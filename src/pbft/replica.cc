// Start, dispatch, timers, and the one way in which votes are made.
#include "pbft/replica.h"

#include "pbft/records.h"

namespace rosebud::pbft {

Replica::Replica(Identity identity, Verifier verifier, const Settings& settings,
                 StateMachine& machine, const PersistentState& recovered, Random random)
    : identity_(std::move(identity)),
      verifier_(std::move(verifier)),
      settings_(settings),
      machine_(machine),
      random_(random),
      hash_secret_(random_.next()),
      reached_(group().seat_count()),
      latest_votes_(group().seat_count()),
      log_(verifier_.shared_group(), settings.group.window),
      clients_(settings.group, hash_secret_),
      pending_(settings.pending_requests_max, settings.pending_bytes_max, hash_secret_),
      may_ask_for_filling_at_(group().seat_count()),
      sessions_(std::make_shared<ReplicaSessions>(group(), identity_.self, identity_.key,
                                                  verifier_.scheme(), settings.pending_requests_max,
                                                  hash_secret_)),
      vouches_(verifier_.shared_group(), identity_.self, 2 * settings.pending_requests_max,
               hash_secret_),
      unready_(settings.pending_requests_max, settings.pending_bytes_max, hash_secret_),
      view_changes_(group().seat_count()),
      wishes_(group().seat_count()),
      urged_(group().seat_count()),
      is_link_down_(group().seat_count()),
      may_help_at_(group().seat_count()),
      given_(group().seat_count()),
      last_told_(group().seat_count()) {
  CHECK(group().is_member(identity_.self));
  CHECK(group().key_of(identity_.self) == identity_.key.public_key());
  CHECK(settings_.group.window >= 2 * settings_.group.checkpoint_interval);
  CHECK(settings_.group.window <= kWindowMax);
  CHECK(settings_.group.clients_max <= kRememberedClientsMax);
  CHECK(settings_.group.number_ahead_max_ms >= 2 * settings_.clock_bound_ms);
  // A disk that makes no sense is worth as much as an empty one: the others say what was forgotten.
  const auto found = records::read(group(), recovered);
  if (found && restore(*found)) return;
  for (const auto& [key, value] : recovered.records) unreadable_.push_back({key, {}});
}

// ---- From the disk ----

bool Replica::restore(const records::Recovered& found) {
  if (!restore_checkpoint(found)) return false;
  counter_ = found.counter;
  silent_until_ = found.silent_until;
  votes_from_ = found.votes_from;
  for (const Vote& one : found.reached) reached_.note(one);
  if (found.view_change) reached_.note(found.view_change->vote);
  for (const Vote& one : found.latest) note_vote(one);
  unwritten_.clear();
  if (found.new_view) {
    for (const ViewChange& one : found.new_view->proofs) reached_.note(one.vote);
  }
  if (!is_planted(Bug::kViewForgotten)) {
    view_ = found.view;
    if (found.new_view && found.new_view->vote.view == view_) new_view_ = found.new_view;
    if (found.is_changing_view) {
      role_ = ViewChanging{.own = found.view_change, .deadline = {}};
      view_changes_[identity_.self.value] = found.view_change;
    }
  }
  for (const auto& [replica, evidence] : found.evidence) evidence_.emplace(replica, evidence);
  restore_slots(found);
  if (is_normal()) apply_proposals_of_view();
  return true;
}

/// False, and nothing changed, when the state that was made durable is not there: then nothing else
/// is worth anything.
bool Replica::restore_checkpoint(const records::Recovered& found) {
  CheckpointStore checkpoints;
  for (const auto& [number, record] : found.checkpoints) {
    const auto manifest = Manifest::decode(record.manifest.view());
    if (!manifest || manifest->number != number) return false;
    Checkpoint checkpoint{.manifest = *manifest,
                          .encoded = record.manifest,
                          .digest = Manifest::digest(group().instance(), record.manifest.view())};
    for (const auto* list : {&manifest->client_table, &manifest->service}) {
      for (const crypto::Digest& digest : *list) {
        const auto at = found.chunks.find(digest);
        if (at == found.chunks.end()) return false;
        checkpoint.chunks[digest] = at->second;
      }
    }
    checkpoints.add(std::move(checkpoint));
  }
  if (found.stable && !checkpoints.find(found.stable->number)) return false;
  if (checkpoints.newest() && !take_over(*checkpoints.newest())) return false;
  checkpoints_ = std::move(checkpoints);
  if (found.stable) {
    stable_ = found.stable;
    log_.advance(stable_->number);
    note_certificate(*stable_);
  }
  return true;
}

void Replica::restore_slots(const records::Recovered& found) {
  for (const auto& [where, batch] : found.batches) {
    if (Slot* slot = log_.open(where.first)) slot->stored.push_back(batch);
  }
  const auto batch_of = [&](SequenceNumber number, const crypto::Digest& digest) -> BatchPointer {
    const auto at = found.batches.find({number, digest});
    if (at != found.batches.end()) return at->second;
    return digest == verifier_.null_batch()->digest() ? verifier_.null_batch() : nullptr;
  };
  for (const auto& [number, record] : found.proposals) {
    Slot* slot = log_.open(number);
    if (!slot) continue;
    slot->proposal = {record.accepted, batch_of(number, record.accepted.digest)};
    slot->prepares[identity_.self.value] = record.own;
    note_vote(record.accepted);
    // Of this view alone: beyond what a new view took over, others may stand for the same number.
    if (record.accepted.view == view_) proposed_ = std::max(proposed_, number);
  }
  if (is_planted(Bug::kPreparedForgotten)) return;
  for (const auto& [number, record] : found.prepared) {
    Slot* slot = log_.open(number);
    if (!slot) continue;
    slot->prepared = {record.certificate, batch_of(number, record.certificate.digest)};
    slot->own_commit = {.vote = record.own};
    slot->commits[identity_.self.value] = record.own;
    note_certificate(record.certificate);
  }
  for (const auto& [number, record] : found.checkpoints) {
    Slot* slot = log_.open(number);
    if (slot && record.own) slot->checkpoints[identity_.self.value] = record.own;
  }
}

// ---- Inputs ----

void Replica::start(Now now, Effects& out) noexcept {
  // Or each start would be one with an empty disk.
  if (!unreadable_.empty()) {
    ++persisted_;
    out.push_back(Persist{std::exchange(unreadable_, {})});
  }
  recovery_.emplace(identity_.self, 2 * group().faults(), random_.next());
  ask_again_at_ = now.instant;
  end_since_ = now.instant;
  // Not all at the same moment.
  const auto interval = static_cast<std::uint64_t>(settings_.status_interval.count());
  status_at_ = now.instant + Duration(static_cast<std::int64_t>(random_.below(interval + 1)));
  finish_recovery(now, out);
  on_time(now, out);
}

void Replica::on_message(Now now, ReplicaId from, const Verified<Message>& message,
                         Effects& out) noexcept {
  if (!group().is_member(from) || from == identity_.self) return;
  begin_judging();
  std::visit([&](const auto& body) { on(now, from, body, out); }, *message);
  if (executed_ > reviewed_at_) review_doubts(now, out);
  send_vouches(now, out);
}

void Replica::on_request(Now now, const Verified<Request>& request, Effects& out) noexcept {
  begin_judging();
  take_request(now, *request, true, out);
  send_vouches(now, out);
}

void Replica::on_link(Now now, ReplicaId peer, bool is_up, Effects& out) noexcept {
  if (!group().is_member(peer)) return;
  is_link_down_[peer.value] = !is_up;
  if (transfer_) go_on_with_transfer(now, out);
  on_time(now, out);
}

void Replica::on_durable(Now now, std::uint64_t count, Effects& out) noexcept {
  const std::uint64_t before = durable_;
  durable_ += count;
  CHECK(durable_ <= persisted_);
  begin_judging();
  for (SequenceNumber n = log_.low().next(); n <= log_.last(); n = n.next()) {
    const Slot* slot = log_.find(n);  // none: the window has moved since
    if (!slot || !slot->own_commit) continue;
    const std::uint64_t persist = slot->own_commit->persist;
    if (persist > before && persist <= durable_) hear_own_commit(now, n, out);
  }
  if (executed_ > reviewed_at_) review_doubts(now, out);
  send_vouches(now, out);
}

// ---- Timers ----
//
// Each has one line here and one in next_deadline(). Set by: what is said beside it.

void Replica::on_time(Now now, Effects& out) noexcept {
  begin_judging();
  // Recovery: start() and every status interval until 2F have answered.
  if (recovery_ && now.instant >= ask_again_at_) {
    ask_again_at_ = now.instant + settings_.status_interval;
    out.push_back(Broadcast{RecoveryQuery{recovery_->nonce()}});
  }
  // Requests: since they arrived, or since the view began.
  on_request_timeout(now, out);
  // New view: since 2F+1 view changes were there [CL99 §4.5.2].
  if (const auto* changing = std::get_if<ViewChanging>(&role_)) {
    if (changing->deadline && may_vote() && now.instant >= *changing->deadline) {
      begin_view_change(now, view_.next(), out);
    }
  }
  // State transfer: since a stable checkpoint was heard of, or something was asked for.
  on_transfer_timeout(now, out);
  // Status: since the last one.
  if (now.instant >= status_at_) on_status_timeout(now, out);
  // Small batches: since the last one was proposed.
  if (small_batch_deadline()) propose(now, out);
  // Requests that a primary lacks: since the first was ready.
  ask_for_missing(now, out);
  // Vouches: since the last ones were sent.
  send_vouches(now, out);
}

Instant Replica::next_deadline() const {
  Instant out = status_at_;
  const auto consider = [&](Instant when) { out = std::min(out, when); };
  if (recovery_) consider(ask_again_at_);
  if (const auto* changing = std::get_if<ViewChanging>(&role_)) {
    if (changing->deadline && may_vote()) consider(*changing->deadline);
  }
  if (const auto when = request_deadline()) consider(*when);
  if (const auto when = small_batch_deadline()) consider(*when);
  if (!to_vouch_for_.empty()) consider(vouch_at_);
  if (!missing_.empty()) consider(missing_at_);
  if (transfer_) {
    consider(transfer_->next_deadline());
  } else if (transfer_at_) {
    consider(*transfer_at_);
  }
  return out;
}

/// Doubled with every view change in vain [CL99 §4.5.2].
Duration Replica::timeout() const {
  const unsigned doublings = is_planted(Bug::kTimeoutsDoNotGrow)
                                 ? 0
                                 : std::min(doublings_, settings_.time_out_doublings_max);
  return settings_.request_timeout * (std::int64_t{1} << doublings);
}

// ---- Votes ----

/// Requires: may_vote(). It must be durable before it leaves: see persist_then_broadcast().
Vote Replica::sign_vote(VoteKind kind, View view, SequenceNumber number,
                        const crypto::Digest& digest) {
  CHECK(may_vote());
  counter_ = counter_.next();
  Vote out{.kind = kind,
           .view = view,
           .number = number,
           .digest = digest,
           .replica = identity_.self,
           .counter = counter_};
  out.signature =
      verifier_.scheme().sign(identity_.key, Vote::kTag, out.statement(group().instance()));
  return out;
}

/// With every vote of its own the latest of the others: what they say after a restart of all shows
/// a replica that it was rolled back.
void Replica::persist(std::vector<Write> writes, Effects& out) {
  for (const ReplicaId replica : unwritten_) {
    writes.push_back(records::latest(*latest_votes_[replica.value]));
  }
  unwritten_.clear();
  writes.push_back(records::counter(counter_));
  ++persisted_;
  out.push_back(Persist{std::move(writes)});
}

/// A replica that forgets what it signed is a faulty one (design 7).
void Replica::persist_then_broadcast(std::vector<Write> writes, Message message, Effects& out) {
  if (is_planted(Bug::kVoteBeforeDurable)) {
    out.push_back(Broadcast{std::move(message)});
    persist(std::move(writes), out);
    return;
  }
  persist(std::move(writes), out);
  out.push_back(Broadcast{std::move(message)});
}

void Replica::note_vote(const Vote& vote) {
  std::optional<Vote>& latest = latest_votes_[vote.replica.value];
  if (latest && latest->counter >= vote.counter) return;
  latest = vote;
  if (vote.replica != identity_.self) unwritten_.insert(vote.replica);
}

void Replica::note_certificate(const Certificate& certificate) {
  for (const Endorsement& one : certificate.endorsements) {
    note_vote(certificate.vote_of(one, group()));
  }
}

/// Keeps the first evidence against each replica, durably.
void Replica::report(const Vote& first, const Vote& second, Effects& out) {
  if (first.replica == identity_.self || evidence_.contains(first.replica)) return;
  const Evidence evidence{first, second};
  evidence_.emplace(first.replica, evidence);
  persist({records::evidence(evidence)}, out);
  out.push_back(Report{evidence});
}

/// Suppose a primary showed one proposal to each backup: none of them sees the other one but in a
/// certificate.
void Replica::hold_against(const Certificate& certificate, Effects& out) {
  const Slot* slot = log_.find(certificate.number);
  if (!slot) return;
  for (const Endorsement& one : certificate.endorsements) {
    const Vote shown = certificate.vote_of(one, group());
    const Vote* known = slot->find_vote(shown.kind, shown.replica);
    if (known && is_contradiction(*known, shown)) report(*known, shown, out);
  }
}

void Replica::check_invariants() const {
  CHECK(executed_ >= log_.low() || ahead_);
  CHECK(log_size() <= settings_.group.window || is_planted(Bug::kWaterMarksIgnored));
  CHECK(!stable_ || stable_->number == log_.low());
  CHECK(stable_ || log_.low() == SequenceNumber{});
  CHECK(pending_.size() <= settings_.pending_requests_max);
  CHECK(clients_.size() <= settings_.group.clients_max);
  CHECK(unready_.size() <= settings_.pending_requests_max);
  CHECK(vouches_.size() <= 2 * settings_.pending_requests_max * group().seat_count());
  CHECK(missing_.size() <= kVouchedMax);
  CHECK(doubtful_.size() <= settings_.group.window || is_planted(Bug::kWaterMarksIgnored));
  for (SequenceNumber n = log_.low().next(); n <= log_.last(); n = n.next()) {
    const Slot& slot = *log_.find(n);
    if (slot.proposal) CHECK(slot.proposal->vote.number == n);
    if (slot.prepared) CHECK(slot.prepared->certificate.number == n);
    if (slot.prepared) CHECK(slot.prepared->certificate.view <= view_);
    if (slot.committed) CHECK(slot.committed->certificate.number == n);
    if (n <= executed_ && n > log_.low() && !ahead_ && !checkpoints_.newest()) {
      CHECK(slot.committed.has_value());
    }
  }
}

}  // namespace rosebud::pbft
