// The window of instances between the water marks, and what is known about each number in it.
//
// Invariants:
//  1. There is a slot for n only when low < n <= low + window [CL99 §4.2, §4.3].
//  2. Of each replica a slot keeps one prepare and one commit: that of the newest view. So a faulty
//     replica takes no more memory than a correct one, and cannot make another's vote be forgotten.
#pragma once

#include <deque>

#include "pbft/messages.h"

namespace rosebud::pbft {

/// What is known about one sequence number.
struct Slot {
  /// What the primary of `vote.view` proposes. The batch is missing after a view change, until it
  /// was fetched.
  struct Proposal {
    Vote vote;
    BatchPointer batch;
  };
  struct Proof {
    Certificate certificate;
    BatchPointer batch;  // missing: it is fetched
  };
  /// Under session keys: which requests of a proposed batch are not known to be authentic.
  struct Doubts {
    crypto::Digest batch;
    std::vector<crypto::Digest> requests;
  };
  /// Signed here. It is heard like those of the others: not before it is durable.
  struct OwnCommit {
    Vote vote;
    std::uint64_t persist = 0;  // which of the replica's, from 1; 0: of an earlier life
  };
  std::optional<Proposal> proposal;              // of the newest view that made one here
  std::optional<Doubts> doubts;                  // of the batch that was looked at last
  std::vector<std::optional<Vote>> prepares;     // by replica
  std::vector<std::optional<Vote>> commits;      // by replica; the own one when it is durable
  std::vector<std::optional<Vote>> checkpoints;  // by replica; the number ends a checkpoint
  std::optional<OwnCommit> own_commit;           // of the newest view
  std::optional<Proof> prepared;                 // the certificate of the newest view
  std::optional<Proof> committed;
  /// Under this number on disk: what this replica has voted for since its last own commit. A
  /// certificate that others hold may name any of them in a later view, and its primary will not
  /// propose what nobody correct can show: so they outlive the proposal (pbft.md, View change 7).
  std::vector<BatchPointer> stored;
  Instant told_at;  // when own votes were last sent

  /// The batch with this digest, if it is known here.
  BatchPointer find_batch(const crypto::Digest& digest) const;
  /// The vote of a kind and a replica that is kept here; nothing where there is none.
  const Vote* find_vote(VoteKind kind, ReplicaId replica) const;
};

class Log {
 public:
  Log(std::shared_ptr<const Group> group, std::uint64_t window);

  /// h: the number of the stable checkpoint.
  SequenceNumber low() const { return low_; }
  /// H: the highest number that may be voted on.
  SequenceNumber high() const { return SequenceNumber(low_.value + window_); }
  bool is_inside(SequenceNumber number) const { return number > low_ && number <= high(); }

  /// Nothing where nothing is known.
  Slot* find(SequenceNumber number);
  const Slot* find(SequenceNumber number) const;
  /// Makes a slot where there is none; nothing outside the window. It lives until advance() passes
  /// it.
  Slot* open(SequenceNumber number);
  /// The highest number that anything is known about; low() when there is none.
  SequenceNumber last() const { return SequenceNumber(low_.value + slots_.size()); }

  /// Forgets everything up to `stable`. Requires: stable >= low().
  void advance(SequenceNumber stable);

  /// Keeps a prepare, commit or checkpoint vote. An earlier vote that contradicts it is returned:
  /// together they prove that their replica is faulty.
  static std::optional<Vote> add_vote(Slot& slot, const Vote& vote);

  /// Pre-prepare and 2F prepares for what is proposed in its view [CL99 §4.2: prepared]. Requires:
  /// no prepare of the view's primary was added (verify.h lets none pass).
  std::optional<Certificate> prepared_certificate(const Slot& slot) const;
  /// 2F+1 commits of one view for one digest, whatever is proposed here: they convince anybody
  /// [CL99 §4.2: committed-local].
  std::optional<Certificate> commit_certificate(const Slot& slot) const;
  std::optional<Certificate> checkpoint_certificate(const Slot& slot) const;

 private:
  std::shared_ptr<const Group> group_;
  std::uint64_t window_;
  SequenceNumber low_;
  std::deque<Slot> slots_;  // slots_[i] is number low + 1 + i
};

}  // namespace rosebud::pbft
