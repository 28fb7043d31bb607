// The client side of the object store: operations over a group of 3f+1 replicas, of which f may lie
// (design 6).
//
// No I/O, clock, thread, hidden randomness or exception. A caller starts an operation; the core
// sends, retries, hedges, verifies and counts (write_quorum.h), and ends every operation with
// exactly one Finish, at the latest at its deadline.
//
//   write_block    PutBlock or OfferBlock to all ─▶ 2f+1 Stored ─▶ kDone
//   read_block     GetBlock to one, after `hedge` to one more … ─▶ bytes that hash to the id ─▶
//   kDone write_record   PutRecord to all ─┬▶ 2f+1 hold exactly it ─▶ kDone
//                                    └▶ one holds a newer one ─▶ kSuperseded
//   read_record    GetRecord to all ─┬▶ 2f+1 equal ─▶ kDone or kNotFound
//                                    └▶ mixed: PutRecord of the newest to all ─▶ 2f+1 ─▶ kDone
//
// Invariants:
//  1. Bytes leave here only when they hash to the id; records only when their owner signed them.
//  2. All answers that one phase counts come from one configuration; a newer one restarts the
//  phase.
//  3. An answer is taken once, from the replica that was asked, by its nonce.
//  4. What a group says is passed on only while its configuration may be relied on (design 9.4):
//     else it waits for a lease, or for the next configuration. Bytes that hash to their id, and a
//     newer record that its owner signed, prove themselves.
#pragma once

#include <map>
#include <set>
#include <variant>

#include "base/random.h"
#include "objects/effects.h"
#include "objects/verify.h"

namespace rosebud::objects {

using OperationId = Strong<struct OperationIdTag>;

enum class Outcome : std::uint8_t {
  kDone,
  kNotFound,    // 2f+1 replicas of one epoch hold nothing
  kSuperseded,  // the owner signed a newer record; this one may still become visible
  kNoQuorum,    // fewer than 2f+1 replicas answered until the deadline; a record sent may still
                // become visible
  kUnknown,     // 2f+1 answered, but not enough confirmed until the deadline
  kDenied,      // more than f replicas refused for a reason that waiting does not change
  kNoSpace,     // more than f replicas are full
  kStale,       // answered, but in a configuration that may not be relied on any more until the
                // deadline; a record sent may still become visible
  kCancelled,
};
std::string_view name_of(Outcome outcome);

struct OperationResult {
  Outcome outcome = Outcome::kNoQuorum;
  std::size_t answered = 0;  // replicas that answered with something valid, refusals too
  std::size_t confirmed = 0;
  std::size_t needed = 0;                      // 2f+1
  std::size_t group_size = 0;                  // 3f+1
  std::optional<wire::RefusalReason> refusal;  // of kDenied, or the last one heard
  Buffer bytes;                                // a block that was read
  std::optional<wire::SignedRecord> record;    // read, or the newer one that superseded
  std::optional<wire::Hold> hold;              // of `record`
  std::size_t phases = 1;
};

struct Finish {
  OperationId operation;
  OperationResult result;
};
/// Descriptions of newer epochs that a replica attached: verify them and call on_configuration.
struct LearnDescriptions {
  std::vector<Buffer> descriptions;
};
/// The configuration may not be relied on any more, and operations need it: ask for what follows,
/// or for a lease, and call on_fresh_until.
struct AskFreshness {};
using ClientEffect = std::variant<SendRequest, Report, Finish, LearnDescriptions, AskFreshness>;
using ClientEffects = std::vector<ClientEffect>;

struct ClientSettings {
  /// A replica that has not answered is asked again, with a new nonce, after this and then twice as
  /// long each time.
  Duration attempt_timeout = std::chrono::seconds(1);
  Duration attempt_timeout_max = std::chrono::seconds(8);
  /// An operation that cannot end well, because too many replicas that never answered this client
  /// could not be reached for so long, ends before its deadline. Not set: it never does.
  std::optional<Duration> unreachable_grace;
  /// While something waits for it, freshness is asked for so often.
  Duration ask_freshness_interval = std::chrono::milliseconds(500);
};

class Client {
 public:
  Client(Verifier verifier, Random random, ClientSettings settings = {});

  /// `is_offered_first`: ask whether the block is there before its bytes are sent. Requires:
  /// sha256(bytes) is the id.
  OperationId write_block(Instant now, const wire::ObjectId& id, Buffer bytes, wire::Hold hold,
                          bool is_offered_first, Instant deadline, ClientEffects& out);
  OperationId read_block(Instant now, const wire::ObjectId& id, Instant deadline,
                         ClientEffects& out);
  /// The owner must have made the record durable before (record_writer in client/).
  OperationId write_record(Instant now, const wire::ObjectId& id, wire::SignedRecord record,
                           wire::Hold hold, Instant deadline, ClientEffects& out);
  OperationId read_record(Instant now, const wire::ObjectId& id, Instant deadline,
                          ClientEffects& out);
  void cancel(OperationId id, ClientEffects& out);

  void on_answer(Instant now, const wire::NodeKey& from, wire::Answer answer, ClientEffects& out);
  /// The connection to a node failed: what was asked of it is asked again later.
  void on_unreachable(Instant now, const wire::NodeKey& node, ClientEffects& out);
  void on_configuration(Instant now, Verifier next, ClientEffects& out);
  /// Until when the configuration in force may be relied on (membership/lease.h); for ever unless
  /// told. Of a next one it is said behind on_configuration, before anything else.
  void on_fresh_until(Instant now, Instant until, ClientEffects& out);
  void on_time(Instant now, ClientEffects& out);
  /// Far in the future when nothing is under way.
  Instant next_deadline() const;

  const Verifier& verifier() const { return verifier_; }
  std::size_t operation_count() const { return operations_.size(); }
  void check_invariants() const;

 private:
  struct SeatState {
    wire::NodeKey node;
    bool is_wanted = false;   // to be asked
    bool is_settled = false;  // gave an answer that counts
    bool has_answered = false;
    bool needs_bytes = false;  // said "missing" to an offer
    int attempts = 0;
    Instant send_at;
    std::optional<wire::RefusalReason> refusal;
    std::optional<Instant> lost_at;  // set by the first failure to reach it; passed: is_lost
    bool is_lost = false;            // not to be hoped for, unless it answers
  };
  struct WriteBlock {
    Buffer bytes;
    wire::Hold hold;
    bool is_offered_first = false;
    BlockWrite tally;
  };
  struct ReadBlock {
    Votes absent;
    std::vector<Seat> order;
    std::size_t asked = 0;
    Instant hedge_at;
  };
  struct WriteRecord {
    wire::SignedRecord record;
    wire::Hold hold;
    RecordWrite tally;
  };
  struct HeldAnswer {
    wire::SignedRecord record;
    wire::Hold hold;
    RecordOrder order;
  };
  struct ReadRecord {
    RecordRead tally;
    std::vector<std::optional<HeldAnswer>> answers;  // by seat
    std::optional<Instant> settle_at;                // set when 2f+1 answers are mixed
    std::optional<HeldAnswer> written_back;          // second phase
    std::optional<RecordWrite> write_back;
  };
  using Kind = std::variant<WriteBlock, ReadBlock, WriteRecord, ReadRecord>;
  struct Operation {
    wire::ObjectId id;
    Instant deadline;
    std::vector<SeatState> seats;
    Kind kind;
    std::optional<wire::SignedRecord> newer;  // what superseded
    std::optional<wire::Hold> newer_hold;
    std::vector<wire::Nonce> nonces;
    Instant due;  // when to look at it again without an input
  };
  struct Asked {
    OperationId operation;
    Seat seat = 0;
    wire::ConfigurationNumber configuration;
    Instant sent_at;
  };

  OperationId start(Instant now, const wire::ObjectId& id, Kind kind, Instant deadline,
                    ClientEffects& out);
  void begin_phase(Instant now, Operation& operation);
  void reset_tally(Operation& operation, bool was_relied_on);
  /// Sends what is due, looks at the clock and the counts; ends the operation when it can.
  void drive(Instant now, OperationId id, ClientEffects& out);
  void send(Instant now, OperationId id, Operation& operation, Seat seat, ClientEffects& out);
  wire::RequestBody request_for(const Operation& operation, Seat seat) const;
  void take(Instant now, OperationId id, Operation& operation, const Asked& asked,
            wire::Answer& answer, ClientEffects& out);
  void take_refusal(Instant now, Operation& operation, Seat seat, wire::Refused& refused,
                    ClientEffects& out);
  void take_record(Instant now, Operation& operation, Seat seat, wire::Answer& answer,
                   ClientEffects& out);
  void hedge(Instant now, Operation& operation, ReadBlock& read);
  void settle_read(Instant now, Operation& operation, ReadRecord& read);
  void give_up_lost(Instant now, Operation& operation) const;
  bool is_hopeless(const Operation& operation) const;
  std::optional<OperationResult> verdict(Instant now, Operation& operation, ClientEffects& out);
  std::optional<OperationResult> outcome_of(Instant now, Operation& operation, ClientEffects& out);
  bool is_held_back(Instant now, const Operation& operation, const OperationResult& result) const;
  void ask_freshness(Instant now, ClientEffects& out);
  OperationResult counted(const Operation& operation, Outcome outcome) const;
  void finish(OperationId id, OperationResult result, ClientEffects& out);
  void report_stale(const Operation& operation, const ReadRecord& read, const HeldAnswer& returned,
                    ClientEffects& out) const;
  static Instant next_deadline_of(const Operation& operation);
  int distance_of(const wire::NodeKey& node) const;
  std::size_t faults() const { return verifier_.configuration().f(); }

  Verifier verifier_;
  Random random_;
  ClientSettings settings_;
  Instant fresh_until_ = Instant::max();
  Instant ask_freshness_at_{};
  std::uint64_t last_operation_ = 0;
  std::map<OperationId, Operation> operations_;
  // Invariant: (due, id) of every operation.
  std::set<std::pair<Instant, OperationId>> due_;
  std::map<wire::Nonce, Asked> asked_;
  std::map<wire::NodeKey, Duration> latency_;  // smoothed; orders whom to ask first
  Duration block_latency_{};                   // smoothed; of those blocks that came
};

}  // namespace rosebud::objects
