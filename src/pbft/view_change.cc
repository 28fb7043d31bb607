// View changes [CL99 §4.4] and when they happen [CL99 §4.5.2].
#include <algorithm>

#include "pbft/records.h"
#include "pbft/replica.h"

namespace rosebud::pbft {
namespace {

constexpr Duration kFreeChangesInterval = std::chrono::seconds(30);

}  // namespace

// ---- Leaving a view ----

/// From now on nothing of the old view is voted on. The message shows everything that this replica
/// may have helped to commit above the stable checkpoint.
void Replica::begin_view_change(Now now, View to, Effects& out) {
  // Never further than the others are (recovery.h): who may vote only in a later view waits for
  // them.
  if (!may_change_view() || to <= view_ || to < votes_from_) return;
  const bool was_silent = !may_vote();
  count_change(now, to);
  // A view is in vain that ends because something waits too long, here or at F+1 others. It is not
  // where nothing waits: in an idle group nothing is executed that would take the doubling back.
  // Nor when its primary leaves it, or is to leave it for somebody's wish: where power is cut again
  // and again, or liars wish, patience would be minutes (seed 678 of the scenario `cut-short`).
  const auto& of_primary = view_changes_[primary().value];
  const bool is_given_up =
      is_primary() || has_urged() || (of_primary && of_primary->vote.view > view_);
  if (!is_normal() || is_overdue(now) || (waits_since() && !is_given_up)) {
    doublings_ += static_cast<unsigned>(
        std::min<std::uint64_t>(to.value - view_.value, settings_.time_out_doublings_max));
    doublings_ = std::min(doublings_, settings_.time_out_doublings_max);
  }
  view_ = to;
  new_view_.reset();
  ViewChange message{.stable = stable_};
  for (SequenceNumber n = log_.low().next(); n <= log_.last(); n = n.next()) {
    if (auto shown = shown_as_prepared(*log_.find(n))) message.prepared.push_back(*shown);
  }
  message.vote =
      sign_vote(VoteKind::kViewChange, view_, log_.low(), message.digest(group().instance()));
  role_ = ViewChanging{.own = message, .deadline = {}};
  view_changes_[identity_.self.value] = message;
  reached_.note(message.vote);
  persist_then_broadcast({records::view(view_, true), records::view_change(message),
                          records::reached(reached_.votes())},
                         message, out);
  if (was_silent) vote_for_checkpoints(out);
  look_for_new_view(now, out);
}

/// For somebody's wish: so many view changes without need as a silent replica may
/// wish for, whoever led them, then none for a while.
bool Replica::may_leave_freely(Now now) const {
  return now.instant >= free_changes_until_ || free_changes_ <= Recovery::kViewsAhead;
}

/// Every change of which this replica had no need itself, whatever brings it there. Suppose only
/// those counted it who began: the first to go takes all others along, and each of these would have
/// its own changes left for F liars to use up.
void Replica::count_change(Now now, View to) {
  const bool has_need = !is_normal() || is_overdue(now);
  if (has_need || to <= view_) return;
  if (now.instant >= free_changes_until_) {
    free_changes_until_ = now.instant + kFreeChangesInterval;
    free_changes_ = 0;
  }
  free_changes_ += to.value - view_.value;
}

/// A primary that leaves its own view orders nothing there any more: nobody waits for a time-out.
/// Handed on, so that a faulty one does not make a single replica leave.
void Replica::follow_primary(Now now, const ViewChange& message, Effects& out) {
  const Vote& vote = message.vote;
  const bool is_of_primary = is_normal() && vote.replica == primary() && vote.view == view_.next();
  if (!is_of_primary || !may_vote()) return;
  out.push_back(Broadcast{message});
  begin_view_change(now, view_.next(), out);
}

std::optional<Certificate> Replica::shown_as_prepared(const Slot& slot) const {
  if (is_planted(Bug::kPrePreparedIsPrepared) && slot.proposal) {
    const Vote& vote = slot.proposal->vote;
    return Certificate{.kind = VoteKind::kPrepare,
                       .view = vote.view,
                       .number = vote.number,
                       .digest = vote.digest,
                       .endorsements = {{vote.replica, vote.counter, vote.signature}}};
  }
  return slot.prepared ? std::optional(slot.prepared->certificate) : std::nullopt;
}

void Replica::on(Now now, ReplicaId, const ViewChange& message, Effects& out) {
  const Vote& vote = message.vote;
  note_vote(vote);
  reached_.note(vote);
  if (vote.replica == identity_.self) return;
  if (message.stable) learn_stable(now, *message.stable, out);
  std::optional<ViewChange>& kept = view_changes_[vote.replica.value];
  if (kept && is_contradiction(kept->vote, vote)) return report(kept->vote, vote, out);
  for (const Certificate& one : message.prepared) hold_against(one, out);
  if (kept && kept->vote.view >= vote.view) return;
  if (vote.view < view_ || (vote.view == view_ && is_normal())) return;
  kept = message;
  follow_primary(now, message, out);
  join_view_change(now, out);
  join_urging(now, out);
  look_for_new_view(now, out);
}

/// F+1 replicas beyond this view: one of them is correct and had a reason. Differs from [CL99
/// §4.5.2], which takes the smallest of their views: the greatest that F+1 have reached brings a
/// replica that was away up to the others at once, and no further than a correct one.
void Replica::join_view_change(Now now, Effects& out) {
  std::vector<View> beyond;
  for (const auto& one : view_changes_) {
    if (one && one->vote.replica != identity_.self) beyond.push_back(one->vote.view);
  }
  const std::size_t enough = is_planted(Bug::kOneStartsViewChange) ? 1 : group().weak_quorum();
  if (beyond.size() < enough) return;
  std::ranges::sort(beyond, std::greater());
  begin_view_change(now, beyond[enough - 1], out);
}

// ---- The new view ----

void Replica::look_for_new_view(Now now, Effects& out) {
  auto* changing = std::get_if<ViewChanging>(&role_);
  if (!changing) return;
  std::vector<ViewChange> proofs;
  std::size_t arrived = 0;
  for (std::size_t seat = 0; seat < view_changes_.size(); ++seat) {
    const auto& one = view_changes_[seat];
    // One that is silent up to a later view waits for all others to get there.
    if ((one && one->vote.view >= view_) || wishes_[seat].votes_from > view_) ++arrived;
    if (one && one->vote.view == view_) proofs.push_back(*one);
  }
  // Differs from [CL99 §4.5.2], where 2F+1 for this very view start the timer. Suppose a faulty
  // replica gave one of three correct ones the third view change, and fell silent: that one went on
  // to the next view in time, and the two others waited here for ever.
  if (arrived >= group().quorum() && !changing->deadline) {
    // A primary that may not vote here yet makes no new view: nobody waits for it.
    const bool is_in_vain = wishes_[primary().value].votes_from > view_;
    changing->deadline = now.instant + (is_in_vain ? Duration::zero() : timeout());
  }
  if (proofs.size() < group().quorum() || !is_primary() || !may_vote()) return;
  proofs.resize(group().quorum());
  make_new_view(now, std::move(proofs), out);
}

void Replica::make_new_view(Now now, std::vector<ViewChange> proofs, Effects& out) {
  const NewViewChoice choice = choose_new_view(proofs, verifier_.null_batch()->digest());
  NewView message{.proofs = std::move(proofs)};
  SequenceNumber number = choice.first();
  for (const crypto::Digest& digest : choice.digests) {
    message.pre_prepares.push_back(sign_vote(VoteKind::kPrePrepare, view_, number, digest));
    number = number.next();
  }
  message.vote =
      sign_vote(VoteKind::kNewView, view_, SequenceNumber{}, message.digest(group().instance()));
  persist_then_broadcast({records::view(view_, false), records::new_view(message)}, message, out);
  enter_view(now, std::move(message), out);
}

void Replica::on(Now now, ReplicaId, const NewView& message, Effects& out) {
  const Vote& vote = message.vote;
  note_vote(vote);
  if (new_view_ && is_contradiction(new_view_->vote, vote)) {
    return report(new_view_->vote, vote, out);
  }
  if (vote.replica == identity_.self) return;
  if (vote.view < view_ || (vote.view == view_ && is_normal())) return;
  persist({records::view(vote.view, false), records::new_view(message)}, out);
  enter_view(now, message, out);
}

void Replica::enter_view(Now now, NewView message, Effects& out) {
  const bool was_silent = !may_vote();
  count_change(now, message.vote.view);
  view_ = message.vote.view;
  role_ = Normal{};
  new_view_ = std::move(message);
  proposed_ = {};
  pending_.restart(now.instant);
  end_since_ = now.instant;
  for (const ViewChange& one : new_view_->proofs) {
    reached_.note(one.vote);
    for (const Certificate& shown : one.prepared) hold_against(shown, out);
  }
  const NewViewChoice choice = choose_new_view(new_view_->proofs, verifier_.null_batch()->digest());
  if (choice.stable) learn_stable(now, *choice.stable, out);
  apply_proposals_of_view();
  for (SequenceNumber n = log_.low().next(); n <= log_.last(); n = n.next()) {
    const Slot& slot = *log_.find(n);
    if (!slot.proposal || slot.proposal->vote.view != view_ || !slot.proposal->batch) continue;
    for (const Request& request : slot.proposal->batch->batch().requests) {
      pending_.mark_proposed(request.client, request.number);
    }
  }
  if (was_silent && may_vote()) {
    begin_voting(now, out);
  } else {
    advance_all(now, out);
  }
  fetch_missing_batches(out);
  pass_on_what_waits(out);
  propose(now, out);
  // Suppose its primary has left it before this replica came: nobody says so again (seed 980134 of
  // the scenario `rollback`).
  if (const auto left = view_changes_[primary().value]) follow_primary(now, *left, out);
}

/// Puts what the view began with into the window; what lies beyond follows when the window moves.
void Replica::apply_proposals_of_view() {
  if (!new_view_) return;
  for (const Vote& vote : new_view_->pre_prepares) {
    Slot* slot = log_.is_inside(vote.number) ? log_.open(vote.number) : nullptr;
    if (!slot || (slot->proposal && slot->proposal->vote.view >= view_)) continue;
    BatchPointer batch = vote.digest == verifier_.null_batch()->digest()
                             ? verifier_.null_batch()
                             : slot->find_batch(vote.digest);
    slot->proposal = {vote, std::move(batch)};
  }
}

const Vote* Replica::proposal_of_view(SequenceNumber number) const {
  if (!new_view_) return nullptr;
  const auto at = std::ranges::find(new_view_->pre_prepares, number, &Vote::number);
  return at == new_view_->pre_prepares.end() ? nullptr : &*at;
}

/// max-s: numbers beyond are free for the primary of this view.
SequenceNumber Replica::last_of_view() const {
  if (!new_view_) return {};
  if (!new_view_->pre_prepares.empty()) return new_view_->pre_prepares.back().number;
  SequenceNumber out;
  for (const ViewChange& one : new_view_->proofs) out = std::max(out, one.vote.number);
  return out;
}

}  // namespace rosebud::pbft
