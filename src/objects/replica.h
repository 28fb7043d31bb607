// The replica side of the object store: one node's share of every group that it belongs to (design
// 5, 6, 10).
//
// No I/O, clock, thread, hidden randomness or exception: the same state and input give the same
// effects.
//
//   client ──request──▶ epoch? ─▶ sender? ─▶ in group? ─▶ serving? ─▶ queue of the key ─▶ load ─▶
//   (persist) ─▶ answer
//                                                           │no
//                                                           ▼
//                              reconcile that key first (reconciler.h), answer "busy" meanwhile
//
// Invariants:
//  1. What an answer says is durable: answers are made from a load, or after the persist that they
//  speak of.
//  2. Operations on one object are serialised; operations on different objects never wait for each
//  other.
//  3. No acknowledgement of an epoch leaves after the next one was learnt (design 10.1).
//  4. Before a key is served in an epoch, it was reconciled with 2f other members of its group
//  (6), or completed (completion.h).
//  5. What is not its own any more is deleted when others have said that they have all of it, and
//  nothing else (forgetting.h).
//  6. Everything is bounded: see ReplicaLimits.
//
// Not here: which configuration is right (membership/), what is signed well (verify.h), rates of
// connections (net/).
#pragma once

#include <deque>
#include <map>

#include "base/random.h"
#include "objects/auditor.h"
#include "objects/effects.h"
#include "objects/forgetting.h"
#include "objects/reconciler.h"
#include "objects/verify.h"

namespace rosebud::objects {

struct ReplicaLimits {
  /// Operations under way and waiting, and the bytes that their blocks take in memory. Beyond:
  /// "busy".
  std::size_t operations_max = 4096;
  std::size_t operation_bytes_max = 256U << 20;
  /// One key's queue, so that one hot object cannot take all of operations_max.
  std::size_t operations_per_key_max = 64;
  /// Comparisons answered at once: each is a scan. One peer gets as many as a correct one asks for
  /// (ReconcilerSettings::exchanges_max), so that it does not take the places of the others.
  std::size_t range_answers_max = 256;
  std::size_t range_answers_per_peer_max = 16;
  /// Surveys answered at once: each is RangeSurvey::kScansMax scans. A correct peer asks for one at
  /// a time, and again when it did not hear of it.
  std::size_t survey_answers_max = 32;
  std::size_t survey_answers_per_peer_max = 2;
  /// Statements of completeness under way: each reads the index of its interval.
  std::size_t statements_max = 16;
  std::size_t statements_per_peer_max = 1;
  /// Asked to wait this long when busy.
  std::uint32_t retry_after_ms = 100;
  /// How often the replicas of a group compare what they hold, and how long between two objects
  /// that are re-read.
  Duration reconcile_interval = std::chrono::seconds(60);
  /// Ranges of at most so many objects are compared object by object; at most kRangeEntriesMax.
  std::size_t range_entries_max = wire::kRangeEntriesMax;
  Duration scrub_interval = std::chrono::milliseconds(500);
  /// How often another member of a group is asked to show a block; zero: never. In short epochs
  /// more often.
  Duration audit_interval = std::chrono::seconds(10);
  /// From an epoch's beginning until what is not one's own any more may be deleted.
  Duration forget_delay = std::chrono::seconds(2);
};

struct ReplicaIdentity {
  crypto::SecretKey key;
  wire::DirectoryId directory;
  /// From secure randomness, with each start anew: nobody may foresee what this one asks in audits.
  crypto::Digest audit_secret;
};

/// Notes of an earlier run, as the disk yields them: names that start with kNotePrefix.
struct RecoveredNotes {
  static constexpr std::string_view kPrefix = "objects/";
  std::vector<std::pair<Bytes, Bytes>> notes;
};

/// Who sent a request: what authentication established.
struct Sender {
  ConnectionId connection;
  crypto::PublicKey key;
  wire::Role role = wire::Role::kClient;
};

class Replica {
 public:
  /// `history`: configurations before the verifier's, newest first, as far back as they are known.
  Replica(ReplicaIdentity identity, Verifier verifier, const crypto::SignatureScheme& scheme,
          RecoveredNotes recovered, Random random, ReplicaLimits limits = {}, History history = {});

  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  /// Begins reconciling every arc. Call once, before anything else.
  void start(Instant now, Effects& out) noexcept;

  void on_request(Instant now, const Sender& sender, Verified<wire::Request> request,
                  Effects& out) noexcept;
  /// A request that did not pass the second gate for `reason`. The epoch is judged first: another
  /// one's configuration says nothing of a hold.
  void on_rejected(Instant now, const Sender& sender, const wire::MessageContext& context,
                   wire::RefusalReason reason, Effects& out) noexcept;
  /// An answer to one of the replica's own requests, from the authenticated node `from`.
  void on_answer(Instant now, const wire::NodeKey& from, wire::Answer answer,
                 Effects& out) noexcept;

  void on_loaded(Instant now, Token token, wire::Loaded loaded, Effects& out) noexcept;
  void on_scanned(Instant now, Token token, Result<wire::Scanned, wire::StorageError> scanned,
                  Effects& out) noexcept;
  void on_persisted(Instant now, Token token, Status<wire::StorageError> status,
                    Effects& out) noexcept;

  /// The next configuration in order, verified by membership/.
  void on_configuration(Instant now, Verifier next, Effects& out) noexcept;

  /// What was entered after `parent` is abandoned: the next configuration is of a higher generation
  /// and follows that one (design 8.6). Until it comes, which is at once, nothing else may be
  /// called.
  void go_back_to(std::shared_ptr<const membership::Configuration> parent) noexcept;

  /// What the service wants this node to check from now on (service/complaints.h).
  void check(Instant now, const std::vector<wire::Accusation>& accusations) noexcept {
    auditor_.check(now, accusations);
  }

  void on_time(Instant now, Effects& out) noexcept;
  Instant next_deadline() const;

  const Verifier& verifier() const { return verifier_; }
  struct Statistics {
    std::uint64_t requests = 0;
    std::uint64_t refused = 0;
    std::uint64_t blocks_stored = 0;
    std::uint64_t records_stored = 0;
    std::uint64_t damaged_found = 0;
    std::uint64_t healed = 0;
    std::uint64_t scrubbed = 0;
    std::uint64_t forgotten = 0;  // deleted because the key is another group's now
    std::size_t operations = 0;
    std::size_t arcs = 0;
    std::size_t arcs_serving = 0;
    Auditor::Statistics audits;
  };
  Statistics statistics() const;
  /// What it says of an interval when it is asked what it holds there.
  Claim claim(const wire::KeyRange& range) const { return reconciler_.claim(range); }
  /// The newest epoch for which it is complete in the whole interval.
  wire::Epoch complete_for(const wire::KeyRange& range) const {
    return reconciler_.claim(range).complete_for;
  }
  bool is_serving_everything() const { return reconciler_.is_everything_served(); }

  /// CHECKs that the bookkeeping agrees with itself. For tests and simulation.
  void check_invariants() const;

 private:
  /// What waits for its turn at one object.
  struct ClientOperation {
    Sender sender;
    wire::Request request;
  };
  struct MergeOperation {
    std::vector<wire::StoredObject> found;  // verified; what peers hold
    bool is_key_done = false;               // serve the key afterwards
    bool is_nowhere = false;                // the damaged object is to be forgotten
    std::uint64_t era = 0;                  // the reconciler's
  };
  struct ScrubOperation {};
  struct ForgetOperation {
    wire::ConfigurationNumber decided_in;  // what was decided in an earlier one is not done
  };
  /// Reads a block for the auditor.
  struct AuditOperation {
    AuditStep tag;
  };
  using Operation = std::variant<ClientOperation, MergeOperation, ScrubOperation, ForgetOperation,
                                 AuditOperation>;

  struct KeyQueue {
    std::deque<Operation> operations;  // the front one is under way
  };
  /// What follows a completion of the disk.
  struct AfterLoad {
    wire::ObjectId id;
  };
  struct AfterPersist {
    std::optional<wire::ObjectId> id;  // nothing: the note of the tenure
    std::optional<wire::Answer> answer;
    bool is_answered = false;  // the client was told before
    bool was_healed = false;
    /// Taken back when the disk refuses.
    std::vector<std::pair<crypto::PublicKey, std::uint64_t>> charged;
    std::vector<std::pair<crypto::PublicKey, std::uint64_t>> released;
    /// The object is deleted, as not this replica's own in this configuration.
    std::optional<wire::ConfigurationNumber> forgotten_in;
  };
  struct AnswerScan {
    Sender sender;
    wire::MessageContext context;
    wire::KeyRange range;
    crypto::Digest fingerprint;
    /// What may be claimed of the entries: the least of what it is before the first is read and
    /// after the last. Suppose it were the latter: an object that came while the scan was beyond it
    /// would make the interval complete, and the answer would say so without listing it. Suppose it
    /// were the former: what was deleted meanwhile would seem never to have been there.
    wire::RangeState state;
    RangeDigest digest;
  };
  struct AnswerSurvey {
    Sender sender;
    wire::MessageContext context;
    std::vector<wire::CompareRange> asked;
    std::vector<wire::RangeState> states;  // as AnswerScan::state
    RangeSurvey digest;
  };
  struct SurveyScan {
    std::uint64_t survey = 0;
    std::size_t index = 0;  // of the range
  };
  /// Looks for an object that is damaged here, before completeness is stated.
  struct StatementScan {
    Sender sender;
    wire::MessageContext context;
    wire::KeyRange range;
  };
  using AfterScan = std::variant<AnswerScan, SurveyScan, StatementScan, ReconcilerScan,
                                 ForgettingScan, AuditStep, ScrubOperation>;

  // replica.cc: entry and the queue of a key
  std::optional<wire::RefusalReason> refusal_of(const Sender& sender,
                                                const wire::Request& request) const;
  bool is_in_group(const crypto::Digest& placement) const;
  void measure_own_share();
  bool enqueue(const wire::ObjectId& id, Operation operation, Effects& out);
  void begin_front(const wire::ObjectId& id, Effects& out);
  void finish_front(const wire::ObjectId& id, Effects& out);
  void tell_unreadable(const Operation& front, Effects& out);
  void answer(const Sender& sender, const wire::MessageContext& context, wire::AnswerBody body,
              Effects& out);
  void refuse(const Sender& sender, const wire::MessageContext& context, wire::RefusalReason reason,
              Effects& out);
  void persist(AfterPersist after, wire::StorageWrite write, Effects& out);
  std::vector<Buffer> descriptions_after(const wire::ConfigurationNumber& known) const;
  void abandon_of_before(const wire::ConfigurationNumber& entered, Tenure& tenure) const;
  void enter(Effects& out);
  void write_tenure(Effects& out);
  Token next_token() { return Token(++tokens_); }

  // replica_requests.cc: what clients ask
  void run(const wire::ObjectId& id, const ClientOperation& operation, wire::StoredObject* held,
           Effects& out);
  void get_block(const wire::ObjectId& id, const ClientOperation& operation,
                 wire::StoredObject* held, Effects& out);
  void put_block(const ClientOperation& operation, const wire::PutBlock& put,
                 wire::StoredObject* held, Effects& out);
  void offer_block(const ClientOperation& operation, const wire::OfferBlock& offer,
                   wire::StoredObject* held, Effects& out);
  void put_record(const ClientOperation& operation, const wire::PutRecord& put,
                  wire::StoredObject* held, Effects& out);
  void count(const wire::Hold& hold, AfterPersist& after);
  void release(const wire::Hold& hold, AfterPersist& after);
  void take_back(const AfterPersist& after);
  std::optional<wire::RefusalReason> charge(const wire::Hold& hold, HoldChange change,
                                            AfterPersist& after);

  // replica_repair.cc: what other replicas ask, healing, scrubbing
  void run_merge(const wire::ObjectId& id, MergeOperation& operation, wire::StoredObject* held,
                 bool is_corrupt, Effects& out);
  void mark_damaged(const wire::ObjectId& id, Effects& out);
  void begin_range_answer(const Sender& sender, const wire::MessageContext& context,
                          const wire::CompareRange& compare, Effects& out);
  bool is_arc_of(const Sender& sender, const wire::KeyRange& range) const;
  wire::RangeState state_of(const wire::KeyRange& range) const;
  void lower(wire::RangeState& state, const wire::KeyRange& range) const;
  void begin_survey_answer(const Sender& sender, const wire::MessageContext& context,
                           const wire::CompareRanges& compare, Effects& out);
  void go_on_with_survey_answer(std::uint64_t number, Effects& out);
  void on_survey_scanned(const SurveyScan& scan, const wire::Scanned* scanned, Effects& out);
  void go_on_with_range_answer(AnswerScan scan, Effects& out);
  void finish_range_answer(AnswerScan scan, Effects& out);
  void perform(ReconcilerEffects& asked, Effects& out);
  void ask(ReconcilerEffects::Request& request, Effects& out);
  void scan(AfterScan then, const wire::KeyRange& range, const std::optional<wire::ObjectId>& after,
            std::size_t limit, Effects& out);
  /// Room for one more scan of that kind for a peer.
  template <typename Kind>
  bool has_room_for(const Sender& sender, std::size_t all_max, std::size_t per_peer_max) const {
    std::size_t all = 0;
    std::size_t of_sender = 0;
    for (const auto& [token, after] : scans_) {
      const auto* other = std::get_if<Kind>(&after);
      all += other ? 1 : 0;
      of_sender += other && other->sender.key == sender.key ? 1 : 0;
    }
    return all < all_max && of_sender < per_peer_max;
  }
  void scrub_next(Effects& out);

  // replica_forgetting.cc: stating completeness, and deleting because others state it
  void begin_statement(const Sender& sender, const wire::MessageContext& context,
                       const wire::KeyRange& range, Effects& out);
  bool may_state(const StatementScan& scan) const;
  void go_on_with_statement(Instant now, StatementScan under_way, const wire::Scanned& scanned,
                            Effects& out);
  void perform(ForgettingEffects& asked, Effects& out);
  void note_given_up(Effects& out);
  void run_forget(const wire::ObjectId& id, const ForgetOperation& operation,
                  const wire::StoredObject* held, bool is_readable, Effects& out);
  void on_forgotten(const wire::ObjectId& id, const wire::ConfigurationNumber& decided_in,
                    bool is_deleted, Effects& out);
  bool is_deleting_of_before() const;

  // replica_audits.cc: showing what one holds, and asking others to
  std::optional<wire::RefusalReason> refusal_of_audit(const Sender& sender,
                                                      const wire::AuditBlock& audit) const;
  void show_block(const wire::ObjectId& id, const ClientOperation& operation,
                  const wire::AuditBlock& audit, const wire::StoredObject* held, Effects& out);
  void run_audit(const wire::ObjectId& id, const AuditOperation& operation,
                 const wire::StoredObject* held, Effects& out);
  void perform(AuditorEffects& asked, Effects& out);
  void note_room(Status<wire::StorageError> status);

  ReplicaIdentity identity_;
  Verifier verifier_;
  std::uint64_t own_share_ = 0;  // Configuration::own_share of this epoch
  const crypto::SignatureScheme* scheme_;
  ReplicaLimits limits_;
  History history_;  // for completing
  History recent_;   // newest first, without gaps: for peers that are behind
  std::shared_ptr<const membership::Configuration> parent_;  // of the next one, if not this one
  std::optional<Tenure> recovered_tenure_;                   // taken by start()
  bool is_entering_ = false;             // that this epoch was entered is not durable yet
  std::optional<Token> tenure_persist_;  // under way
  std::uint64_t written_revision_ = 0;   // of the tenure that it writes
  std::uint64_t durable_revision_ = 0;
  LeafDigests leaves_;
  Reconciler reconciler_;
  Forgetting forgetting_;
  Auditor auditor_;
  std::map<wire::NodeKey, std::size_t> audits_of_;  // under way, by who asked
  std::optional<Instant> no_room_at_;               // when an object last found none
  std::optional<std::uint64_t> given_up_in_;        // revision of the tenure that has to be durable
  std::vector<ReconcilerEffects::RangeScan> held_scans_;  // until deletes of before are done

  std::uint64_t tokens_ = 0;
  std::map<wire::ObjectId, KeyQueue> queues_;
  std::size_t operations_ = 0;
  std::size_t operation_bytes_ = 0;
  std::map<Token, AfterLoad> loads_;
  std::map<Token, AfterPersist> persists_;
  std::map<Token, AfterScan> scans_;
  std::map<std::uint64_t, AnswerSurvey> survey_answers_;
  std::uint64_t survey_answers_begun_ = 0;
  std::map<crypto::PublicKey, std::uint64_t>
      charged_bytes_;  // by holder, and by organisation's authority

  Instant last_instant_;  // of the input under way
  Instant next_scrub_;
  std::optional<wire::ObjectId> scrub_cursor_;
  std::deque<wire::ObjectId> scrub_queue_;
  bool is_scrub_scanning_ = false;
  Statistics statistics_;
};

}  // namespace rosebud::objects
