// One replica of a group: practical Byzantine fault tolerance with signatures [CL99].
//
// No I/O, clock, thread, hidden randomness or exception: the same state and input give the same
// effects. The picture, the message table and the files are in README.md.
//
//            all is well                    2F+1 view changes, a new view
//   start ─▶ Normal(v) ──begin_view_change──▶ ViewChanging(v+1) ──enter_view──▶ Normal(v+1)
//               ▲                                    │ in vain: twice the time, v+2
//               └── a new view of a higher number ◀──┘
//
// Whether it may vote is apart from that: not before recovery.h has an answer, and after a rollback
// not until a stable checkpoint and a view above. It follows, executes and helps meanwhile.
//
// Invariants:
//  1. Every vote is durable before it leaves, with all that a restarted replica needs to stand by
//     it: the batch of a prepare, the certificate of a commit, the state of a checkpoint.
//  2. In one view it votes for at most one batch per number, and only between the water marks.
//  3. It executes in the order of numbers, what 2F+1 durable commits name, and each request once.
//  4. What peers and clients can make it keep is bounded: the window, one view change per replica,
//     pending requests (settings.h), vouches (vouches.h).
#pragma once

#include <set>

#include "base/random.h"
#include "pbft/agreed_time.h"
#include "pbft/client_table.h"
#include "pbft/effects.h"
#include "pbft/log.h"
#include "pbft/new_view_choice.h"
#include "pbft/pending_requests.h"
#include "pbft/recovery.h"
#include "pbft/session_keys.h"
#include "pbft/state_machine.h"
#include "pbft/state_transfer.h"
#include "pbft/vouches.h"

namespace rosebud::pbft {

namespace records {
struct Recovered;
}

struct Identity {
  ReplicaId self;
  crypto::SecretKey key;
};

class Replica {
 public:
  /// `machine` in its first state; it must outlive the replica. Requires: `identity` is a member
  /// of the verifier's group.
  Replica(Identity identity, Verifier verifier, const Settings& settings, StateMachine& machine,
          const PersistentState& recovered, Random random);

  /// Call once, before anything else.
  void start(Now now, Effects& out) noexcept;
  /// From a replica; the link proves which.
  void on_message(Now now, ReplicaId from, const Verified<Message>& message, Effects& out) noexcept;
  /// From a client.
  void on_request(Now now, const Verified<Request>& request, Effects& out) noexcept;
  /// The next `count` of its Persists are on disk; what waited for them may leave before or after.
  /// Requires: so many are under way.
  void on_durable(Now now, std::uint64_t count, Effects& out) noexcept;
  /// True of a request that waits here, of a proposal for another view than this one or of one that
  /// is here, and of a vote or proof for what is settled here already in the same way: all that
  /// they would change is what is remembered as a signer's latest vote. A driver may verify them
  /// later than others, or lose them. Its answer holds until the next input.
  bool is_superfluous(const Message& message) const noexcept;
  /// A hint: the connection to a replica broke, or is there again.
  void on_link(Now now, ReplicaId peer, bool is_up, Effects& out) noexcept;
  void on_time(Now now, Effects& out) noexcept;  // early or repeated calls do nothing
  Instant next_deadline() const;                 // ask again after every input

  /// Under session keys, else nothing. A driver lets it look at what passed the second gate before
  /// the core does, on the same thread as the gate: it costs the core agreements otherwise.
  std::shared_ptr<ReplicaSessions> sessions() const {
    return has_session_keys() ? sessions_ : nullptr;
  }

  // ---- Looking on ----
  ReplicaId id() const { return identity_.self; }
  View view() const { return view_; }
  bool is_changing_view() const { return std::holds_alternative<ViewChanging>(role_); }
  bool is_primary() const { return group().primary_of(view_) == identity_.self; }
  ReplicaId primary() const { return group().primary_of(view_); }
  SequenceNumber executed() const { return executed_; }
  SequenceNumber stable() const { return log_.low(); }
  bool may_vote() const { return may_change_view() && view_ >= votes_from_; }
  /// The group has ended here.
  bool is_stopped() const { return is_stopped_; }
  AgreedTime agreed_time() const { return clock_.last_executed(); }
  /// The certificate of the newest stable checkpoint; of a stopped group it names the final state.
  const std::optional<Certificate>& stable_certificate() const { return stable_; }
  const std::map<ReplicaId, Evidence>& evidence() const { return evidence_; }
  std::uint64_t transfer_count() const { return transfers_; }
  std::size_t pending_count() const { return pending_.size(); }
  /// Requests under session keys that too few vouch for.
  std::size_t unready_count() const { return unready_.size(); }
  /// What the disk held made no sense: it begins as with an empty one. Before start().
  bool has_unreadable_records() const { return !unreadable_.empty(); }
  /// Numbers that something is known about.
  std::size_t log_size() const { return log_.last().value - log_.low().value; }

  /// CHECKs that the bookkeeping agrees with itself. For tests and simulation.
  void check_invariants() const;

 private:
  /// Taking part in view_.
  struct Normal {};
  /// Waiting for view_ to begin.
  struct ViewChanging {
    std::optional<ViewChange> own;    // none: what was sent before a restart is gone
    std::optional<Instant> deadline;  // for the new view, once 2F+1 wait for it
  };

  const Group& group() const { return verifier_.group(); }
  /// To one at or above votes_from_.
  bool may_change_view() const { return !recovery_ && silent_until_ <= log_.low(); }
  bool is_normal() const { return std::holds_alternative<Normal>(role_); }
  Duration timeout() const;

  // replica.cc: start, dispatch, timers, voting
  bool restore(const records::Recovered& found);
  void restore_slots(const records::Recovered& found);
  bool restore_checkpoint(const records::Recovered& found);
  Vote sign_vote(VoteKind kind, View view, SequenceNumber number, const crypto::Digest& digest);
  /// The one place where durable comes before said.
  void persist_then_broadcast(std::vector<Write> writes, Message message, Effects& out);
  void persist(std::vector<Write> writes, Effects& out);
  /// Remembers it as its signer's latest.
  void note_vote(const Vote& vote);
  void note_certificate(const Certificate& certificate);
  void report(const Vote& first, const Vote& second, Effects& out);
  void hold_against(const Certificate& certificate, Effects& out);

  // normal_case.cc [CL99 §4.2]
  void on(Now now, ReplicaId from, const Request& request, Effects& out);
  void on(Now now, ReplicaId from, const PrePrepare& message, Effects& out);
  bool is_left_aside(const PrePrepare& proposal) const noexcept;
  void on(Now now, ReplicaId from, const Ballot& message, Effects& out);
  void take_request(Now now, const Request& request, bool is_from_client, Effects& out);
  Reply reply_to(const Request& request) const;
  std::optional<Reply> reply_without_executing(Now now, const Request& request) const;
  bool is_client(const Request& request) const;
  AgreedTime latest_time_for_numbers(Now now) const;
  /// Executed, or never to be executed here.
  bool is_done(const Request& request) const;
  void propose(Now now, Effects& out);
  void propose_batch(Now now, Batch batch, Effects& out);
  bool has_room_for_proposal() const;
  bool is_time_for_batch(Now now) const;
  std::optional<Instant> small_batch_deadline() const;
  bool is_acceptable(Now now, const PrePrepare& message) const;
  /// Votes and certificates that what is known about `number` allows. Changes nothing when called
  /// again.
  void advance(Now now, SequenceNumber number, Effects& out);
  void advance_all(Now now, Effects& out);
  static void store_batch(SequenceNumber number, Slot& slot, const BatchPointer& batch,
                          std::vector<Write>& writes);
  static void forget_superseded(SequenceNumber number, Slot& slot, std::vector<Write>& writes);
  void prepare(Now now, SequenceNumber number, Slot& slot, Effects& out);
  void commit(Now now, SequenceNumber number, Slot& slot, Effects& out);
  void hear_own_commit(Now now, SequenceNumber number, Effects& out);
  void execute_ready(Now now, Effects& out);
  void execute(Now now, SequenceNumber number, const SealedBatch& batch, Effects& out);
  void execute_request(Now now, const Request& request, Effects& out);
  void stop_waiting(Now now, const Request& request);
  /// How long a request may wait for the primary.
  Duration patience() const;
  std::optional<Instant> request_deadline() const;
  std::optional<Instant> waits_since() const;
  bool is_overdue(Now now) const;
  void on_request_timeout(Now now, Effects& out);

  // vouching.cc: requests under session keys
  bool has_session_keys() const {
    return verifier_.settings().request_authentication == RequestAuthentication::kSessionKeys;
  }
  void on(Now now, ReplicaId from, const Vouch& message, Effects& out);
  void on(Now now, ReplicaId from, const FetchRequests& message, Effects& out);
  bool is_genuine(const Request& request, const crypto::Digest& digest,
                  std::size_t& agreements) noexcept;
  void take_genuine(Now now, const Request& request, const crypto::Digest& digest, Effects& out);
  void vouch(Now now, const crypto::Digest& digest, Effects& out);
  std::optional<Vouches::Standing> add_vouch(Now now, ReplicaId from, const crypto::Digest& digest,
                                             Effects& out);
  void take_ready(Now now, const crypto::Digest& digest, Effects& out);
  void miss(Now now, const crypto::Digest& digest);
  std::optional<std::uint64_t> take_kept_place(const crypto::Digest& digest);
  void ask_for_missing(Now now, Effects& out);
  void begin_judging() { agreements_left_ = ReplicaSessions::kAgreementsMax; }
  void send_vouches(Now now, Effects& out);
  void vouch_again(Now now);
  bool is_free_of_doubts(Now now, SequenceNumber number, Slot& slot, Effects& out);
  void review_doubts(Now now, Effects& out);

  // checkpoints.cc [CL99 §4.3]
  void make_checkpoint(Now now, Effects& out);
  void vote_for_checkpoint(const Checkpoint& checkpoint, std::vector<Write> writes, Effects& out);
  void learn_stable(Now now, const Certificate& certificate, Effects& out);
  void make_stable(Now now, const Certificate& certificate, Effects& out);
  void on(Now now, ReplicaId from, const StableCheckpoint& message, Effects& out);
  void erase_slots(SequenceNumber up_to, std::vector<Write>& writes) const;

  // transfer.cc
  void on(Now now, ReplicaId from, const FetchManifest& message, Effects& out);
  void on(Now now, ReplicaId from, const ManifestFound& message, Effects& out);
  void on(Now now, ReplicaId from, const FetchChunk& message, Effects& out);
  void on(Now now, ReplicaId from, const ChunkFound& message, Effects& out);
  void on_transfer_timeout(Now now, Effects& out);
  void go_on_with_transfer(Now now, Effects& out);
  void install(Now now, Effects& out);
  bool take_over(const Checkpoint& checkpoint);
  void pass_on_what_waits(Effects& out);
  void answer_what_is_done(Effects& out);

  // view_change.cc [CL99 §4.4, §4.5.2]
  void on(Now now, ReplicaId from, const ViewChange& message, Effects& out);
  void on(Now now, ReplicaId from, const NewView& message, Effects& out);
  void begin_view_change(Now now, View to, Effects& out);
  std::optional<Certificate> shown_as_prepared(const Slot& slot) const;
  bool may_leave_freely(Now now) const;
  void count_change(Now now, View to);
  void follow_primary(Now now, const ViewChange& message, Effects& out);
  void join_view_change(Now now, Effects& out);
  void look_for_new_view(Now now, Effects& out);
  void make_new_view(Now now, std::vector<ViewChange> proofs, Effects& out);
  void enter_view(Now now, NewView message, Effects& out);
  void apply_proposals_of_view();
  /// What the new view proposes for `number`; nothing outside of it.
  const Vote* proposal_of_view(SequenceNumber number) const;
  SequenceNumber last_of_view() const;

  // helping.cc: what was lost is sent again
  void on(Now now, ReplicaId from, const Status& message, Effects& out);
  void on(Now now, ReplicaId from, const FetchBatch& message, Effects& out);
  void on(Now now, ReplicaId from, const BatchFound& message, Effects& out);
  void on(Now now, ReplicaId from, const Committed& message, Effects& out);
  void on(Now now, ReplicaId from, const RecoveryQuery& message, Effects& out);
  void on(Now now, ReplicaId from, const RecoveryAnswer& message, Effects& out);
  void on_status_timeout(Now now, Effects& out);
  Status status() const;
  bool may_help(Now now, ReplicaId peer, const Status& status);
  bool may_give(Now now, ReplicaId peer, std::size_t bytes);
  void help_with_filling(Now now, ReplicaId peer, const Status& status, Effects& out);
  void help_with_wish(Now now, ReplicaId peer, const Status& status, Effects& out);
  SequenceNumber filling_end(SequenceNumber number) const;
  bool is_fillable(SequenceNumber number) const;
  bool has_urged() const;
  void urge(Now now, Effects& out);
  void join_urging(Now now, Effects& out);
  void help_with_view(ReplicaId peer, const Status& status, Effects& out);
  void help_with_checkpoint(ReplicaId peer, const Status& status, Effects& out);
  void help_with_batches(Now now, ReplicaId peer, const Status& status, Effects& out);
  void help_with_votes(Now now, ReplicaId peer, const Status& status, Effects& out);
  void fetch_missing_batches(Effects& out);
  void finish_recovery(Now now, Effects& out);
  void vote_for_checkpoints(Effects& out);
  void begin_voting(Now now, Effects& out);
  bool is_busy() const;

  Identity identity_;
  Verifier verifier_;
  Settings settings_;
  StateMachine& machine_;
  Random random_;
  std::uint64_t hash_secret_;  // of the tables: known to nobody else

  std::vector<Write> unreadable_;  // erases what the disk held

  // ---- Voting ----
  View view_;
  std::variant<Normal, ViewChanging> role_;
  VoteCounter counter_;
  std::uint64_t persisted_ = 0;       // Persists of this life
  std::uint64_t durable_ = 0;         // of them on disk, the first ones
  std::optional<Recovery> recovery_;  // until 2F have answered
  Instant ask_again_at_;
  SequenceNumber silent_until_;  // after a rollback: votes on nothing till stable
  View votes_from_;              // and in no view below
  ReachedViews reached_;
  std::vector<std::optional<Vote>> latest_votes_;  // by replica: that of the highest counter
  std::set<ReplicaId> unwritten_;                  // whose latest vote is not durable
  std::map<ReplicaId, Evidence> evidence_;         // the first of each

  // ---- The log and the state ----
  Log log_;
  SequenceNumber executed_;
  bool is_stopped_ = false;
  Instant end_since_;  // after the stop: since when this view is to make it stable
  AgreedClock clock_;
  ClientTable clients_;
  CheckpointStore checkpoints_;
  std::optional<Certificate> stable_;  // of log_.low(); nothing: 0
  std::optional<Certificate> ahead_;   // a stable checkpoint that was not reached yet
  std::optional<Instant> transfer_at_;
  std::optional<StateTransfer> transfer_;
  std::uint64_t transfers_ = 0;  // finished

  // ---- Requests ----
  PendingRequests pending_;
  SequenceNumber proposed_;    // at the primary: the last number proposed
  Instant proposed_at_;        // and when
  bool is_proposing_ = false;  // inside propose()
  SequenceNumber fill_up_to_;  // empty batches are proposed so far, to help a silent replica
  std::vector<Instant> may_ask_for_filling_at_;  // by replica

  // ---- Requests under session keys ----
  std::shared_ptr<ReplicaSessions> sessions_;
  Vouches vouches_;
  UnreadyRequests unready_;
  std::vector<crypto::Digest> to_vouch_for_;  // is said, once each, when vouch_at_ has come
  Instant vouch_at_;
  std::set<SequenceNumber> doubtful_;  // numbers with a proposal that waits for vouches
  SequenceNumber reviewed_at_;         // what was executed when all of them were looked at
  std::size_t agreements_left_ = 0;    // that judging proposals may cost in this input
  std::set<crypto::Digest> missing_;   // at the primary: ready, not here; at most kVouchedMax
  Instant missing_at_;                 // when they are asked for; set with the first of them
  /// Of those that it lacked last, the places in the queue that they had when they were ready.
  std::deque<std::pair<crypto::Digest, std::uint64_t>> kept_places_;

  // ---- Views ----
  std::optional<NewView> new_view_;                      // what began view_
  std::vector<std::optional<ViewChange>> view_changes_;  // by replica: that of the highest view
  unsigned doublings_ = 0;                               // of the time-out
  /// Status::votes_from, and since when it stands in a view of this replica's.
  struct Wish {
    View votes_from;
    View in;
    std::optional<SequenceNumber> executed;  // here, while it lacks numbers: they are being filled
    Instant since;
    bool is_same(const Wish& other) const {
      return votes_from == other.votes_from && in == other.in && executed == other.executed;
    }
  };
  std::vector<Wish> wishes_;                // by replica
  std::vector<std::optional<View>> urged_;  // by replica: whose primary it last wanted replaced
  Instant free_changes_until_;
  std::uint64_t free_changes_ = 0;  // without need of its own, in the interval that ends there
  std::vector<bool> is_link_down_;  // by replica

  // ---- Telling ----
  Instant status_at_;
  SequenceNumber asked_from_;         // what the last status said that it had executed
  std::vector<Instant> may_help_at_;  // by replica
  struct Given {
    Instant until;  // the end of the interval
    std::size_t bytes = 0;
  };
  std::vector<Given> given_;               // by replica: what it fetched
  std::vector<SequenceNumber> last_told_;  // by replica: what it had executed
};

}  // namespace rosebud::pbft
