// Reconciling with the other replicas of a group: after every start, for single keys that are asked
// for before that is done, for damaged objects, after a change of epoch, and in the background
// (design 6, 10).
//
// The node's share of the ring is a list of arcs. For each arc and each source (another replica
// that may know more) there is an exchange: compare fingerprints of a range, cut what differs,
// fetch what is listed and missing here. An arc is served when the exchanges with enough sources
// came to their end:
//
//     kept arc:   2f others of its group (with oneself 2f+1)          — after a start
//     gained arc: when it is complete                                 — completion.h
//
// A kept arc that was served in the epoch before goes on being served, and completes beside it.
// What the replica is complete for and serves is durable (`tenure`), so a restart cancels neither.
//
// Exchanges with one source that wait begin together, with a survey: one question about all their
// arcs. Where it finds no difference, which is almost everywhere, they came to their end with it;
// the others go on one by one.
//
//   kWaiting ─▶ kSurveying ─▶ kSurveyed ─▶ equal: kDone
//      ▲            │           │ └─▶ different: kWaiting, and then by itself
//      └── kFailed ◀┴───────────┴── unreadable, refused, nonsense: later by itself
//                                   time-out, busy: later, with fewer others
//
//   kWaiting ─▶ kScanning ─▶ kAsked ─▶ equal: next range … kDone
//      ▲                        │ ├──▶ split: its parts are next
//      │                        │ └──▶ entries: kMatching ─▶ kFetching ─▶ next range … kDone
//      └── kFailed, later ◀─────┴── time-out, refusal, nonsense
//
// A lying source can make an exchange long but not large: ranges to do are a stack of bounded
// depth. Only some exchanges are under way at once, so one that takes long gives its place to one
// that waits (kWaiting with ranges still to do) and goes on later: liars that find differences
// without end do not keep the others from being heard. What a source lists and does not show is
// asked of all others before its exchange goes on, so a liar holds up its own exchange alone, and a
// correct source that is busy or damaged makes nobody believe that an object is not there.
#pragma once

#include <map>
#include <set>

#include "base/random.h"
#include "objects/completion.h"
#include "objects/effects.h"
#include "objects/history.h"
#include "objects/interval_epochs.h"
#include "objects/range_survey.h"
#include "objects/verify.h"

namespace rosebud::objects {

/// Names a scan of the reconciler: which exchange it is for.
struct ReconcilerScan {
  std::size_t exchange = 0;
  std::uint64_t round = 0;  // a later round of the exchange ignores it
};

/// What the reconciler asks of its replica.
struct ReconcilerEffects {
  struct Request {
    wire::NodeKey to;
    wire::Nonce nonce;
    wire::RequestBody body;
  };
  struct RangeScan {
    ReconcilerScan tag;
    wire::KeyRange range;
    std::optional<wire::ObjectId> after;
  };
  /// Merge what was found, durably, then call on_merged. `is_key_done`: enough sources were asked
  /// about this object.
  struct Merge {
    wire::ObjectId id;
    std::vector<wire::StoredObject> found;
    bool is_key_done = false;
    bool is_nowhere = false;  // damaged here, and nobody who counts has it: there is no such object
    std::uint64_t era = 0;    // repeated by on_merged
  };
  std::vector<Request> requests;
  std::vector<RangeScan> scans;
  std::vector<Merge> merges;
  std::vector<Report> reports;
};

struct ReconcilerSettings {
  Duration request_timeout = std::chrono::seconds(2);
  Duration retry_delay = std::chrono::milliseconds(500);
  /// Between two rounds of comparing everything with everybody.
  Duration interval = std::chrono::seconds(60);
  /// A source that answers nothing for so long is reported as slow.
  Duration silence_reported = std::chrono::seconds(10);
  std::size_t range_entries_max = wire::kRangeEntriesMax;  // longer lists are cut instead
  /// Exchanges and surveys under way at once: bounds memory, and scans, of which an exchange runs
  /// one in its place and a survey up to RangeSurvey::kScansMax.
  std::size_t exchanges_max = 16;
  /// How long an exchange keeps its place while others wait for one.
  Duration turn = std::chrono::seconds(2);
  std::size_t fetches_max = 8;        // per exchange
  std::size_t key_repairs_max = 512;  // single objects asked for at once
};

inline constexpr std::size_t kScanLimit = 1024;

/// What a replica may claim of the past, kept durably (design 10).
struct Tenure {
  IntervalEpochs complete;  // it holds every write acknowledged before that epoch
  IntervalEpochs served;    // it answered clients in that epoch
  IntervalEpochs gone;      // it may have deleted what it held as a member of epochs before
  friend bool operator==(const Tenure&, const Tenure&) = default;
};

/// Forgets what was claimed of epochs after `last` that were abandoned by a recovery; `next` is in
/// force now, or was after it (design 8.6). Epochs count on through generations, and a claim names
/// no generation: what holds for epoch 9 of one says nothing of epoch 9 of the next.
void abandon_after(Tenure& tenure, wire::Epoch last, wire::Epoch next);

class Reconciler {
 public:
  /// `leaves`: of the store that it reconciles; outlives it.
  Reconciler(wire::NodeKey self, Random random, ReconcilerSettings settings, LeafDigests& leaves);

  /// Begins after a start. `tenure`: what an earlier run left; nothing in a new data directory.
  void start(Instant now, const Verifier& verifier, const History& history,
             std::optional<Tenure> tenure, ReconcilerEffects& out);
  /// Takes over the arcs of `next`; `history` begins with the configuration that was in force.
  void begin_epoch(Instant now, const Verifier& next, const History& history,
                   ReconcilerEffects& out);

  const Tenure& tenure() const { return tenure_; }
  /// Grows with every change of it.
  std::uint64_t tenure_revision() const { return tenure_revision_; }

  /// True when clients may be answered about this object.
  bool is_served(const wire::ObjectId& id) const;
  bool is_everything_served() const { return arcs_served_ == arcs_.size(); }
  /// In the groups of some arcs, and complete for the epoch in force in all of them.
  bool is_everything_complete() const;
  std::size_t arc_count() const { return arcs_.size(); }
  std::size_t arcs_served() const { return arcs_served_; }
  /// What this replica says of the interval when it is asked what it holds there.
  Claim claim(const wire::KeyRange& range) const;
  /// From now on nothing is claimed of what was held there before this epoch. Requires: no key of
  /// it is this replica's own.
  void give_up(const wire::KeyRange& range);
  /// Bytes of an object in it are known to be bad here.
  bool is_owing(const wire::KeyRange& range) const;
  /// The object was deleted here, by whoever gave its interval up.
  void forget(const wire::ObjectId& id) {
    next_deadline_.reset();
    damaged_.erase(id);
  }

  /// Asks the sources about one object at once, ahead of everything. Repeated calls do nothing.
  void repair(Instant now, const wire::ObjectId& id, ReconcilerEffects& out);
  /// Whether fewer than half of those that may be asked about at once are.
  bool has_room_for_repairs() const { return repairs_.size() < settings_.key_repairs_max / 2; }
  /// The same as repair(), and again until the object is whole, or nobody else has it: its bytes
  /// were bad.
  void mark_damaged(Instant now, const wire::ObjectId& id, ReconcilerEffects& out);

  void on_answer(Instant now, const wire::NodeKey& from, wire::Answer answer,
                 ReconcilerEffects& out);
  void on_scanned(Instant now, const ReconcilerScan& tag, const wire::Scanned* scanned,
                  ReconcilerEffects& out);
  /// A merge came to its end; `is_whole` says that the object is durable and undamaged now (or
  /// nobody has it).
  void on_merged(Instant now, const wire::ObjectId& id, bool is_key_done, bool is_whole,
                 std::uint64_t era, ReconcilerEffects& out);

  void on_time(Instant now, ReconcilerEffects& out);
  Instant next_deadline() const;
  void check_invariants() const;

 private:
  struct Arc {
    wire::KeyRange range;
    std::vector<EpochGroup> groups;    // of this epoch, then of those before
    bool is_kept = false;              // clients were answered here before the start or the epoch
    Completion completion;             // from exchanges that came to their end
    std::set<wire::NodeKey> compared;  // the others of the group among them
    std::set<wire::NodeKey> sources;   // with whom there is an exchange
    std::size_t scanning = 0;          // of these exchanges: kScanning or kSurveying
    bool is_served = false;
  };
  enum class Stage : std::uint8_t {
    kWaiting,
    kSurveying,  // in a survey that is being made
    kSurveyed,   // in one that its source was asked about
    kScanning,
    kAsked,
    kMatching,
    kFetching,
    kDone,
    kFailed
  };
  struct Exchange {
    std::size_t arc = 0;
    wire::NodeKey source;
    Stage stage = Stage::kWaiting;
    std::uint64_t round = 0;  // raised at every scan and request; answers to older ones are ignored
    std::uint64_t asked_in = 0;  // round of the arc's completion when this comparison began
    std::size_t place = 0;       // in the survey: which range
    /// Compared by itself next, not in a survey: one found a difference there, or one that it was
    /// in came to nothing.
    bool is_alone = false;
    std::vector<wire::KeyRange> todo;
    wire::KeyRange range;  // being compared
    std::optional<RangeDigest> digest;
    std::optional<RangeDigest::Summary> mine;
    std::map<wire::ObjectId, wire::RangeEntry>
        listed;  // kMatching: what the source has and we may lack
    std::vector<wire::ObjectId> to_fetch;
    std::set<wire::ObjectId> merging;  // being made durable, or asked of everybody
    std::size_t fetching = 0;
    Claim claim;       // the least of the source's answers
    Instant deadline;  // kAsked, kFetching: time-out; kFailed: retry
    Instant turn_ends;
  };
  /// One question about the arcs of many exchanges with one source.
  struct Survey {
    std::vector<std::size_t> exchanges;  // in the order of their arcs
    RangeSurvey digest;
    std::uint64_t number = 0;
    std::optional<Instant> deadline;  // once it was asked
  };
  enum class SurveyFailure : std::uint8_t {
    kTooLarge,  // it took too long, or its source is busy: the next one asks less
    kBroken     // something in it is bad, perhaps a single arc: each is compared by itself next
  };
  struct Pending {
    std::optional<std::uint64_t> survey;
    std::optional<std::size_t> exchange;
    std::uint64_t round = 0;
    std::uint64_t asked_in = 0;  // round of the single object's completion
    wire::NodeKey to;
    wire::ObjectId id;
    Instant deadline;
  };
  struct KeyRepair {
    std::size_t arc = 0;
    Completion completion;
    std::set<wire::NodeKey> answered;       // in whatever round
    std::vector<wire::StoredObject> found;  // at most one: what all answers together show
    bool is_damaged = false;  // then what this replica is complete for says nothing of the object
    bool is_merging = false;
    Instant deadline;  // ask again those who did not answer
    int rounds_left = 0;
  };

  void take_arcs(Instant now, const Verifier& next, const History& history, bool is_start,
                 ReconcilerEffects& out);
  /// `has_own`: what this replica is complete for counts.
  Completion new_completion(const Arc& arc, bool has_own) const;
  void add_sources(std::size_t arc);
  /// Lets those be compared with again who have told, but not in this round of the completion; and
  /// after a while those who may have become complete since.
  void ask_again(Instant now, std::size_t arc);
  /// Looks whether the arc is complete, and whether it may be served.
  void judge(std::size_t arc);
  void raise(IntervalEpochs& what, const wire::KeyRange& range);
  bool is_compared_enough(const Arc& arc, const std::set<wire::NodeKey>& with) const;
  const Arc* arc_of(const crypto::Digest& key) const;
  void start_waiting(Instant now, ReconcilerEffects& out);
  void begin(std::size_t index);
  /// The only way to another stage.
  void enter(Exchange& exchange, Stage stage);
  /// What it would read is being read: soon it is remembered.
  bool is_better_later(const Exchange& exchange) const;
  std::vector<std::size_t> exchanges_to_survey(std::size_t first) const;
  void begin_survey(Instant now, std::vector<std::size_t> exchanges, ReconcilerEffects& out);
  void go_on_with_survey(Instant now, const wire::NodeKey& source, ReconcilerEffects& out);
  void fail_survey(Instant now, const wire::NodeKey& source, SurveyFailure why);
  std::size_t survey_ranges_max(const wire::NodeKey& source) const;
  void on_survey_answer(Instant now, const Pending& pending, const wire::Answer& answer,
                        ReconcilerEffects& out);
  void on_survey_time(Instant now, ReconcilerEffects& out);
  bool must_make_room(Instant now, const Exchange& exchange) const;
  void next_range(Instant now, std::size_t index, ReconcilerEffects& out);
  void ask_scan(std::size_t index, const RangeDigest::Scan& scan, ReconcilerEffects& out);
  void scan_more(Instant now, std::size_t index, ReconcilerEffects& out);
  void scanned_all(Instant now, std::size_t index, ReconcilerEffects& out);
  void matched_all(Instant now, std::size_t index, ReconcilerEffects& out);
  void fetch_more(Instant now, std::size_t index, ReconcilerEffects& out);
  void fail(Instant now, std::size_t index);
  void try_later(Instant now, Exchange& exchange);
  void note_silence(Instant now, const wire::NodeKey& source, ReconcilerEffects& out);
  void finish(Instant now, std::size_t index, ReconcilerEffects& out);
  void note_told(Instant now, std::size_t index);
  void on_range_answer(Instant now, std::size_t index, const wire::Answer& answer,
                       ReconcilerEffects& out);
  bool is_still_source(const Exchange& exchange) const;
  void on_fetched(Instant now, const Pending& pending, wire::Answer& answer,
                  ReconcilerEffects& out);
  void on_repair_answer(Instant now, const Pending& pending, wire::Answer& answer,
                        ReconcilerEffects& out);
  void send_repair(Instant now, const wire::ObjectId& id, KeyRepair& repair,
                   ReconcilerEffects& out);
  bool is_being_asked(const wire::NodeKey& source, const wire::ObjectId& id,
                      std::uint64_t round) const;
  void send(Instant now, const wire::NodeKey& to, wire::RequestBody body, Pending pending,
            ReconcilerEffects& out);
  bool is_valid(const wire::ObjectId& id, const wire::Answer& answer) const;
  bool is_asked_enough(const KeyRepair& repair) const;
  Instant earliest_deadline() const;

  wire::NodeKey self_;
  Random random_;
  ReconcilerSettings settings_;
  LeafDigests* leaves_;
  std::optional<Verifier> verifier_;
  std::vector<Arc> arcs_;  // ordered by range
  std::size_t arcs_served_ = 0;
  std::vector<Exchange> exchanges_;
  /// At most one with each source: what has to wait meanwhile is asked together afterwards.
  std::map<wire::NodeKey, Survey> surveys_;
  std::uint64_t surveys_begun_ = 0;
  /// Of sources whose last surveys were too large: how many ranges the next one may have, at least
  /// 1 and less than kComparedRangesMax. Only those with whom there is an exchange.
  std::map<wire::NodeKey, std::size_t> survey_ranges_max_;
  std::size_t exchanges_running_ = 0;  // surveys too, each once
  std::size_t next_exchange_ = 0;      // whose turn is next, if it waits
  std::uint64_t era_ = 0;  // raised with every epoch: what is left of an earlier one is ignored
  Tenure tenure_;
  std::uint64_t tenure_revision_ = 1;
  std::map<wire::Nonce, Pending> pending_;
  std::map<wire::ObjectId, KeyRepair> repairs_;
  std::set<wire::ObjectId> served_keys_;       // single objects served before their arc is
  std::map<wire::ObjectId, Instant> damaged_;  // when they may be asked for again, until whole
  std::map<wire::NodeKey, Instant>
      silent_since_;  // sources that let a question time out, until they answer
  Instant next_round_;
  /// What next_deadline() found, until an input that may change it. A node asks after every input,
  /// and most of them are of clients.
  mutable std::optional<Instant> next_deadline_;
};

}  // namespace rosebud::objects
