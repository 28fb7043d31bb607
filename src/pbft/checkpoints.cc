// Checkpoints and water marks [CL99 §4.3].
//
// A checkpoint is durable before it is voted for: 2F+1 votes let everybody forget the log below, so
// after a power cut of everybody the state must still be there.
#include "pbft/records.h"
#include "pbft/replica.h"

namespace rosebud::pbft {

/// After every `checkpoint_interval` numbers, and at the end of the group.
void Replica::make_checkpoint(Now now, Effects& out) {
  Checkpoint checkpoint = Checkpoint::make(group().instance(), executed_, clock_.last_executed(),
                                           is_stopped_, clients_.encode(), machine_.snapshot());
  std::vector<Write> writes;
  for (const auto& [digest, chunk] : checkpoint.chunks) {
    if (!checkpoints_.find_chunk(digest)) writes.push_back(records::chunk(digest, chunk));
  }
  checkpoints_.add(std::move(checkpoint));
  vote_for_checkpoint(*checkpoints_.find(executed_), std::move(writes), out);
  if (ahead_ && ahead_->number == executed_) {
    learn_stable(now, *ahead_, out);
  } else if (Slot* slot = log_.find(executed_)) {
    if (const auto certificate = log_.checkpoint_certificate(*slot)) {
      learn_stable(now, *certificate, out);
    }
  }
}

/// Makes it durable and tells the others, unless that was done or must not be done yet.
void Replica::vote_for_checkpoint(const Checkpoint& checkpoint, std::vector<Write> writes,
                                  Effects& out) {
  const SequenceNumber number = checkpoint.manifest.number;
  Slot* slot = log_.open(number);
  std::optional<Vote> own = slot ? slot->checkpoints[identity_.self.value] : std::nullopt;
  const bool is_new = slot && !own && may_vote();
  if (is_new) own = sign_vote(VoteKind::kCheckpoint, View{}, number, checkpoint.digest);
  writes.push_back(records::checkpoint(number, checkpoint.encoded, own));
  if (!is_new) return persist(std::move(writes), out);
  slot->checkpoints[identity_.self.value] = own;
  persist_then_broadcast(std::move(writes), Ballot{*own}, out);
}

void Replica::on(Now now, ReplicaId, const StableCheckpoint& message, Effects& out) {
  learn_stable(now, message.certificate, out);
}

/// 2F+1 replicas have this state. Either this one has it too, or it will soon, or it fetches it.
void Replica::learn_stable(Now now, const Certificate& certificate, Effects& out) {
  if (certificate.number <= log_.low()) return;
  note_certificate(certificate);
  hold_against(certificate, out);
  const Checkpoint* own = checkpoints_.find(certificate.number);
  if (own && own->digest == certificate.digest) return make_stable(now, certificate, out);
  if (ahead_ && ahead_->number >= certificate.number) return;
  ahead_ = certificate;
  if (transfer_) {
    transfer_->retarget(certificate);
    return go_on_with_transfer(now, out);
  }
  // Behind the window, or with a state that the others do not have, it will not get there alone.
  const bool is_lost = certificate.number > log_.high() || certificate.number <= executed_;
  const Instant at = is_lost ? now.instant : now.instant + settings_.transfer_delay;
  transfer_at_ = transfer_at_ ? std::min(*transfer_at_, at) : at;
}

void Replica::erase_slots(SequenceNumber up_to, std::vector<Write>& writes) const {
  for (SequenceNumber n = log_.low().next(); n <= std::min(up_to, log_.last()); n = n.next()) {
    const Slot& slot = *log_.find(n);
    if (slot.proposal) writes.push_back(records::erase_proposal(n));
    if (slot.prepared) writes.push_back(records::erase_prepared(n));
    for (const BatchPointer& batch : slot.stored) {
      writes.push_back(records::erase_batch(n, batch->digest()));
    }
  }
}

/// Requires: the checkpoint is among its own, and durable.
void Replica::make_stable(Now now, const Certificate& certificate, Effects& out) {
  std::vector<Write> writes{records::stable(certificate)};
  erase_slots(certificate.number, writes);
  const CheckpointStore::Forgotten forgotten = checkpoints_.advance(certificate.number);
  for (const SequenceNumber n : forgotten.numbers) writes.push_back(records::erase_checkpoint(n));
  for (const auto& digest : forgotten.chunks) writes.push_back(records::erase_chunk(digest));
  const bool was_silent = !may_change_view();
  stable_ = certificate;
  log_.advance(certificate.number);
  if (ahead_ && ahead_->number <= certificate.number) {
    ahead_.reset();
    transfer_.reset();
    transfer_at_.reset();
  }
  if (silent_until_ != SequenceNumber{} && silent_until_ <= log_.low()) {
    silent_until_ = {};
    writes.push_back(records::silence(silent_until_, votes_from_));
  }
  persist(std::move(writes), out);
  if (is_normal()) apply_proposals_of_view();
  if (was_silent && may_change_view()) {
    begin_voting(now, out);
  } else {
    propose(now, out);
  }
}

}  // namespace rosebud::pbft
