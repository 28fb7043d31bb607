// What the network lost is sent again: replicas tell how far they are, and who is ahead helps.
//
// Nothing is acknowledged and nothing retried by its sender. A status says where its sender stands,
// and everybody else sends what it lacks; so the cost of a message that was lost lies with whoever
// lacks it, and one that is far away takes no memory [CL99 §5.2 of the technical report; the OSDI
// paper only says that messages are sent again].
#include <algorithm>

#include "pbft/records.h"
#include "pbft/replica.h"

namespace rosebud::pbft {
namespace {

constexpr std::size_t kHelpBytesMax = 1U << 20;                  // of one answer
constexpr std::size_t kBatchFetchesMax = 16;                     // asked for at once
constexpr std::size_t kGivenOverhead = 512;                      // of an answer without content
constexpr Duration kFillingInterval = std::chrono::seconds(30);  // between two wishes of a replica

}  // namespace

// ---- Telling ----

Status Replica::status() const {
  Status out{.view = view_,
             .is_changing_view = is_changing_view(),
             .stable = log_.low(),
             .executed = executed_,
             .silent_until = silent_until_ > log_.low() ? silent_until_ : SequenceNumber{},
             .votes_from = votes_from_ > view_ ? votes_from_ : View{},
             .is_urging = has_urged()};
  for (std::uint32_t i = 0; i < 32; ++i) {
    const Slot* slot = log_.find(SequenceNumber(executed_.value + 1 + i));
    if (!slot || !slot->proposal || slot->proposal->vote.view != view_) continue;
    out.proposals |= std::uint32_t{1} << i;
  }
  for (const auto& one : view_changes_) out.view_changes.push_back(one ? one->vote.view : View{});
  return out;
}

bool Replica::is_busy() const {
  return !may_vote() || is_changing_view() || ahead_ || waits_since() || log_.last() > executed_;
}

void Replica::on_status_timeout(Now now, Effects& out) {
  status_at_ =
      now.instant + (is_busy() ? settings_.status_interval : settings_.idle_status_interval);
  asked_from_ = executed_;
  out.push_back(Broadcast{status()});
  fetch_missing_batches(out);
  if (has_session_keys()) vouch_again(now);
}

void Replica::fetch_missing_batches(Effects& out) {
  std::size_t count = 0;
  for (SequenceNumber n = log_.low().next(); n <= log_.last(); n = n.next()) {
    const Slot& slot = *log_.find(n);
    const crypto::Digest* wanted = nullptr;
    if (slot.committed && !slot.committed->batch) {
      wanted = &slot.committed->certificate.digest;
    } else if (slot.proposal && !slot.proposal->batch) {
      wanted = &slot.proposal->vote.digest;
    }
    if (!wanted) continue;
    out.push_back(Broadcast{FetchBatch{*wanted}});
    if (++count == kBatchFetchesMax) return;
  }
}

// ---- Helping ----

/// One answer per peer and half an interval, however often it asks; another at once to one that has
/// used the last.
bool Replica::may_help(Now now, ReplicaId peer, const Status& status) {
  const bool has_used_help =
      status.executed < executed_ &&
      status.executed.value >= last_told_[peer.value].value + settings_.help_instances_max;
  if (now.instant < may_help_at_[peer.value] && !has_used_help) return false;
  may_help_at_[peer.value] = now.instant + settings_.status_interval / 2;
  return true;
}

/// What a peer fetches is small to ask for and large to send: it gets so much in an interval.
bool Replica::may_give(Now now, ReplicaId peer, std::size_t bytes) {
  Given& given = given_[peer.value];
  if (now.instant >= given.until)
    given = {.until = now.instant + settings_.status_interval, .bytes = 0};
  if (given.bytes >= settings_.given_bytes_max) return false;
  given.bytes += kGivenOverhead + bytes;
  return true;
}

void Replica::on(Now now, ReplicaId from, const Status& message, Effects& out) {
  if (message.is_urging) urged_[from.value] = message.view;
  join_urging(now, out);
  if (!may_help(now, from, message)) return;
  help_with_view(from, message, out);
  help_with_checkpoint(from, message, out);
  // One that moves and is near needs no batches: they are on their way. One that is far behind may
  // move more slowly than all others, and would hold them up when its vote is needed.
  const bool is_far = message.executed.value + settings_.instances_in_flight_max < executed_.value;
  if (last_told_[from.value] == message.executed || is_far) {
    help_with_batches(now, from, message, out);
  }
  help_with_votes(now, from, message, out);
  last_told_[from.value] = message.executed;
  help_with_filling(now, from, message, out);
  help_with_wish(now, from, message, out);
}

void Replica::help_with_view(ReplicaId peer, const Status& status, Effects& out) {
  const bool is_behind = status.view < view_ || (status.view == view_ && status.is_changing_view);
  if (!is_behind) return;
  if (is_normal()) {
    if (new_view_) out.push_back(Send{peer, *new_view_});
    return;
  }
  const auto& own = std::get<ViewChanging>(role_).own;
  const std::size_t seat = identity_.self.value;
  const bool is_known = seat < status.view_changes.size() && status.view_changes[seat] >= view_;
  if (own && !is_known) out.push_back(Send{peer, *own});
}

void Replica::help_with_checkpoint(ReplicaId peer, const Status& status, Effects& out) {
  if (status.stable < log_.low()) {
    out.push_back(Send{peer, StableCheckpoint{*stable_}});
    return;
  }
  for (SequenceNumber n = log_.low().next(); n <= log_.last() && n <= executed_; n = n.next()) {
    const auto& own = log_.find(n)->checkpoints[identity_.self.value];
    if (own && n > status.stable) out.push_back(Send{peer, Ballot{*own}});
  }
}

void Replica::help_with_batches(Now now, ReplicaId peer, const Status& status, Effects& out) {
  std::size_t bytes = 0;
  std::size_t count = 0;
  for (SequenceNumber n = std::max(status.executed, log_.low()).next();
       n <= executed_ && count < settings_.help_instances_max && bytes < kHelpBytesMax;
       n = n.next()) {
    const Slot* slot = log_.find(n);
    if (!slot || !slot->committed || !slot->committed->batch) return;
    if (!may_give(now, peer, slot->committed->batch->encoded().size())) return;
    out.push_back(Send{peer, Committed{slot->committed->certificate, slot->committed->batch}});
    bytes += slot->committed->batch->encoded().size();
    ++count;
  }
}

/// Votes of its own that may have been lost, for what cannot be given with its proof: what is not
/// executed here either, or was executed in an earlier life that has left its votes alone. Commits
/// of the latter are proof in any view. Suppose they were given to those of the own view only: with
/// a vacant seat, a power cut and the end of the group one that had left the view alone would wait
/// for ever (seed 910194 of the scenario `stop`).
void Replica::help_with_votes(Now now, ReplicaId peer, const Status& status, Effects& out) {
  const bool is_of_view = is_normal() && !status.is_changing_view && status.view == view_;
  for (std::uint32_t i = 0; i < 32 && i < settings_.help_instances_max; ++i) {
    const SequenceNumber n(status.executed.value + 1 + i);
    const bool is_executed = n <= executed_;
    const Slot* slot = log_.find(n);
    if (slot && slot->committed && is_executed) continue;
    if (!slot || now.instant < slot->told_at + settings_.status_interval) continue;
    const bool is_known = (status.proposals >> i & 1U) != 0;
    if (is_of_view && slot->proposal && slot->proposal->vote.replica == identity_.self &&
        !is_known && slot->proposal->vote.view == view_ && slot->proposal->batch) {
      out.push_back(Send{peer, PrePrepare{slot->proposal->vote, slot->proposal->batch}});
    }
    const auto& prepare = slot->prepares[identity_.self.value];
    if (is_of_view && prepare && prepare->view == view_) {
      out.push_back(Send{peer, Ballot{*prepare}});
    }
    const auto& commit = slot->commits[identity_.self.value];
    if (commit && (is_executed || (is_of_view && commit->view == view_))) {
      out.push_back(Send{peer, Ballot{*commit}});
    }
  }
}

/// The end of what a primary fills for whoever is silent until `number`: a checkpoint.
SequenceNumber Replica::filling_end(SequenceNumber number) const {
  const std::uint64_t interval = settings_.group.checkpoint_interval;
  return SequenceNumber((number.value + interval - 1) / interval * interval);
}

/// As far as a window may need: more is a lie.
bool Replica::is_fillable(SequenceNumber number) const {
  return filling_end(number).value <= log_.low().value + 3 * settings_.group.window;
}

/// A replica that must be silent until a checkpoint gets there in an idle group too: the primary
/// orders empty batches. Seldom, since the wish may be a lie.
void Replica::help_with_filling(Now now, ReplicaId peer, const Status& status, Effects& out) {
  const SequenceNumber end = filling_end(status.silent_until);
  if (!is_normal() || !is_primary() || status.silent_until <= log_.low()) return;
  if (end <= fill_up_to_ || !is_fillable(status.silent_until)) return;
  if (now.instant < may_ask_for_filling_at_[peer.value]) return;
  may_ask_for_filling_at_[peer.value] = now.instant + kFillingInterval;
  fill_up_to_ = end;
  propose(now, out);
}

/// A replica that votes in no view below some later one gets there though all is well: the primary
/// leaves the view, and all follow (follow_primary). Not often, since the wish may be a lie. A
/// primary that does not, or fills no numbers, is urged to when the wish has stood for a time-out
/// more (seed 532 of the scenario `rollback`: a liar led an idle group, and filled nothing for
/// ever).
///
/// Where requests wait, every view lasts for a whole time-out all the same. Suppose it did not:
/// where messages take long, or time-outs are long since a liar led, the changes that liars wish
/// for would fill the time of all correct primaries, and nothing would be executed for ever.
void Replica::help_with_wish(Now now, ReplicaId peer, const Status& status, Effects& out) {
  // After the stop nothing is filled, by whomever.
  const bool lacks_numbers = !is_stopped_ && status.silent_until > log_.low();
  const bool lacks_view = status.votes_from > view_;
  // While numbers are filled, the one for numbers is heeded.
  const Wish wish{.votes_from = status.votes_from,
                  .in = view_,
                  .executed = lacks_numbers ? std::optional(executed_) : std::nullopt,
                  .since = now.instant};
  Wish& standing = wishes_[peer.value];
  if (!standing.is_same(wish)) standing = wish;
  if ((!lacks_numbers && !lacks_view) || !may_vote()) return;
  if (!is_normal()) {
    if (lacks_view) look_for_new_view(now, out);
    return;
  }
  if (!may_leave_freely(now)) return;
  if (lacks_numbers && (is_primary() || !is_fillable(status.silent_until))) return;
  if (lacks_numbers && is_planted(Bug::kNumbersNotUrged)) return;
  const bool is_idle = !waits_since();
  const Instant heeded_at = standing.since + (is_idle ? Duration::zero() : timeout());
  if (is_primary()) {
    // Numbers first: till then it could not vote in the later view either, nor lead it.
    if (now.instant >= heeded_at) begin_view_change(now, view_.next(), out);
    return;
  }
  // With F = 1 the one that wishes is the faulty one: the primary will hear it.
  if (group().faults() == 1) return;
  // Doublings are for requests; an idle group may have them from long ago.
  const Duration patience = is_idle ? settings_.request_timeout : timeout();
  if (now.instant >= heeded_at + patience) urge(now, out);
}

/// Suppose backups left by themselves: one that lies tells a single one its wish, and that one is
/// alone outside of the view. So leaving is agreed on as in a reliable broadcast [Bracha87]: who
/// has heard the wish urges, and so does who hears F+1 others urge; with 2F+1 it leaves. Then F+1
/// correct ones urge, and all others will. It is of one view alone: in the next one a correct
/// replica must have waited again, and must have changes left.
void Replica::urge(Now now, Effects& out) {
  if (is_planted(Bug::kNobodyUrges) || has_urged()) return;
  urged_[identity_.self.value] = view_;
  status_at_ = now.instant;  // the others are told at once
  join_urging(now, out);
}

bool Replica::has_urged() const { return urged_[identity_.self.value] == view_; }

void Replica::join_urging(Now now, Effects& out) {
  if (!is_normal() || !may_vote()) return;
  std::size_t count = 0;
  for (std::size_t seat = 0; seat < urged_.size(); ++seat) {
    // Who has left says no more that others should.
    const bool has_left = view_changes_[seat] && view_changes_[seat]->vote.view > view_;
    if (has_left || urged_[seat] == view_) ++count;
  }
  if (has_urged() && count >= group().quorum()) return begin_view_change(now, view_.next(), out);
  if (!has_urged() && count >= group().weak_quorum()) urge(now, out);
}

// ---- Batches ----

void Replica::on(Now now, ReplicaId from, const FetchBatch& message, Effects& out) {
  for (SequenceNumber n = log_.low().next(); n <= log_.last(); n = n.next()) {
    if (BatchPointer batch = log_.find(n)->find_batch(message.digest)) {
      if (may_give(now, from, batch->encoded().size()))
        out.push_back(Send{from, BatchFound{std::move(batch)}});
      return;
    }
  }
}

void Replica::on(Now now, ReplicaId, const BatchFound& message, Effects& out) {
  const crypto::Digest& digest = message.batch->digest();
  for (SequenceNumber n = log_.low().next(); n <= log_.last(); n = n.next()) {
    Slot* slot = log_.find(n);
    if (!slot) continue;  // advance() moved the window
    const bool is_proposed =
        slot->proposal && !slot->proposal->batch && slot->proposal->vote.digest == digest;
    const bool is_committed =
        slot->committed && !slot->committed->batch && slot->committed->certificate.digest == digest;
    if (is_proposed) slot->proposal->batch = message.batch;
    if (is_committed) slot->committed->batch = message.batch;
    if (is_proposed || is_committed) advance(now, n, out);
  }
}

void Replica::on(Now now, ReplicaId, const Committed& message, Effects& out) {
  note_certificate(message.certificate);
  hold_against(message.certificate, out);
  Slot* slot = log_.open(message.certificate.number);
  if (!slot || (slot->committed && slot->committed->batch)) return;
  slot->committed = {message.certificate, message.batch};
  execute_ready(now, out);
  // As much as one answer brings is done: it asks for more at once.
  if (executed_.value >= asked_from_.value + settings_.help_instances_max) status_at_ = now.instant;
}

// ---- Recovery ----

/// Answered by silent replicas too, or nobody would ever begin.
void Replica::on(Now, ReplicaId from, const RecoveryQuery& message, Effects& out) {
  out.push_back(Send{from, RecoveryAnswer{.nonce = message.nonce,
                                          .latest = latest_votes_[from.value],
                                          .stable = stable_,
                                          .view_changes = reached_.votes()}});
}

void Replica::on(Now now, ReplicaId from, const RecoveryAnswer& message, Effects& out) {
  if (message.stable) learn_stable(now, *message.stable, out);
  if (!recovery_) return;
  for (const Vote& one : message.view_changes) reached_.note(one);
  recovery_->on_answer(from, message);
  finish_recovery(now, out);
}

void Replica::finish_recovery(Now now, Effects& out) {
  if (!recovery_ || !recovery_->has_enough()) return;
  const Recovery::Verdict verdict = recovery_->verdict(
      {counter_, view_, log_.low()}, reached_, settings_.group.window, group().weak_quorum());
  recovery_.reset();
  counter_ = verdict.counter;
  if (verdict.silent_until > silent_until_ || verdict.votes_from > votes_from_) {
    silent_until_ = std::max(silent_until_, verdict.silent_until);
    votes_from_ = std::max(votes_from_, verdict.votes_from);
    persist({records::silence(silent_until_, votes_from_)}, out);
  }
  if (may_change_view()) begin_voting(now, out);
}

void Replica::vote_for_checkpoints(Effects& out) {
  for (SequenceNumber n = log_.low().next(); n <= executed_ && may_vote(); n = n.next()) {
    if (const Checkpoint* own = checkpoints_.find(n)) vote_for_checkpoint(*own, {}, out);
  }
}

/// What it was silent about till now.
void Replica::begin_voting(Now now, Effects& out) {
  vote_for_checkpoints(out);
  join_view_change(now, out);
  look_for_new_view(now, out);
  advance_all(now, out);
  propose(now, out);
}

}  // namespace rosebud::pbft
