// Audits between the members of a group (design 6, 8.2, decision 14): does a member still have the
// bytes that it should?
//
//   own audits:               kScanning ─▶ kLoading ─▶ kAsked ─▶ over
//                                             ▲ again, of one that did not show a block
//   checks for the service:      kFetching from the accuser ─▶ kAsked ─▶ over
//                                (of its own accusations: kLoading)
//
// A replica that is complete asks a member chosen at random about a block chosen at random of those
// that both keep. The block that somebody does not show is asked for again, and after several times
// in vain becomes a complaint. A member of the service checks itself what it is told to by
// the complaints: it takes the block from the accuser, whose word counts for nothing, since the
// bytes hash to its name, and asks the accused.
//
// What is no offence: not being reached, and saying that one is not complete, or has no room. It
// makes up for none either: only a proof does. A wrong proof is an offence at once: no correct node
// gives it. Everything else counts only when it goes on.
//
// Whoever has waited longest is next, and an accuser that does not show its block is asked again
// after longer and longer pauses: with accusations that lead to nothing nobody keeps others from
// being checked.
//
// No I/O, clock or exception; one question of its own and one check under way at a time.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/random.h"
#include "objects/reconciler.h"
#include "objects/verify.h"

namespace rosebud::objects {

struct AuditorSettings {
  /// Between two audits of its own; zero: none.
  Duration interval = std::chrono::seconds(10);
  /// Until a block is asked for again that was not shown.
  Duration again_after = std::chrono::seconds(60);
  Duration answer_timeout = std::chrono::seconds(10);
  /// So many times in a row.
  unsigned failures_max = 3;
  /// Between two checks of one accusation. An accuser that does not show its block is left alone
  /// for so long, and twice as long each time, up to 32 times.
  Duration check_interval = std::chrono::seconds(30);
  /// Between two complaints about one member.
  Duration complain_again = std::chrono::hours(1);
};

/// Names a scan or a load of Auditor; one of an earlier task is passed over.
struct AuditStep {
  std::uint64_t number = 0;
};

/// What it asks of its replica.
struct AuditorEffects {
  struct RangeScan {
    AuditStep tag;
    wire::KeyRange range;
    std::size_t limit = 0;
  };
  /// With its content, then on_loaded.
  struct BlockLoad {
    AuditStep tag;
    wire::ObjectId block;
  };
  std::vector<ReconcilerEffects::Request> requests;
  std::vector<RangeScan> scans;
  std::vector<BlockLoad> loads;
  std::vector<wire::Accusation> complaints;  // accuser: itself
  std::vector<Checked> checked;
  std::vector<Report> reports;
};

class Auditor {
 public:
  struct Statistics {
    std::uint64_t asked = 0;  // of its own and for the service
    std::uint64_t proven = 0;
    std::uint64_t failed = 0;      // no proof, though the member was there
    std::uint64_t false_ones = 0;  // a wrong proof
    std::uint64_t complaints = 0;
    std::size_t suspects = 0;  // members that owe a proof now
  };
  /// So many members are suspected at once. Who comes then has to wait, but for one that gave a
  /// wrong proof: for that a suspicion is forgotten.
  static constexpr std::size_t kSuspectsMax = 16;
  /// As many as the service has (service/complaints.h).
  static constexpr std::size_t kChecksMax = 4096;

  /// `secret`: of this start of this node alone. What is asked follows from it, so that nobody who
  /// has seen earlier questions can have the answer to the next ready.
  Auditor(wire::NodeKey self, const crypto::Digest& secret, Random random, AuditorSettings settings)
      : self_(self), secret_(secret), random_(random), usual_(settings), settings_(settings) {}

  /// With every configuration. Who is suspected of a block that both still keep stays so.
  void begin_epoch(Instant now, const Verifier& verifier);
  /// What the service wants to be checked, instead of what it wanted before; again and again, until
  /// it wants something else. What is about this node itself is passed over.
  void check(Instant now, const std::vector<wire::Accusation>& accusations);

  void on_scanned(const AuditStep& tag, const wire::Scanned* scanned, AuditorEffects& out);
  /// Nothing: it is not here, or cannot be read.
  void on_loaded(Instant now, const AuditStep& tag, const wire::StoredObject* held,
                 AuditorEffects& out);
  /// Every answer to this node, whoever asked for it: its sender is there. True: it was to a
  /// question of this one.
  bool on_answer(Instant now, const wire::NodeKey& from, const wire::Answer& answer,
                 AuditorEffects& out);
  /// `is_complete`: this replica has all of its own, so that it may ask others for it.
  void on_time(Instant now, bool is_complete, AuditorEffects& out);
  Instant next_deadline() const;

  Statistics statistics() const;
  /// CHECKs that the bookkeeping agrees with itself.
  void check_invariants() const;

 private:
  enum class Stage : std::uint8_t { kScanning, kLoading, kFetching, kAsked };
  enum class Result : std::uint8_t { kNothing, kExcused, kProven, kFailed, kFalse };
  struct Task {
    std::uint64_t number = 0;
    wire::Accusation about;
    Stage stage = Stage::kScanning;
    Instant deadline;
    std::optional<wire::KeyRange> rest;  // of the arc: scanned when nothing was found
    wire::Nonce nonce;
    crypto::Digest expected;
    bool is_heard = false;  // the accused has answered something since it was asked
  };
  using Slot = std::optional<Task>;
  struct Suspect {
    wire::ObjectId block;
    unsigned failures = 0;  // since it last showed the block
    bool is_false = false;  // it gave a wrong proof
    Instant next_at;
    Instant complain_at{};
  };
  struct Check {
    unsigned failures = 0;
    Instant next_at;  // while it is under way: never
  };
  /// Did not show its block, so many times in a row.
  struct Stalled {
    unsigned times = 0;
    Instant until;
  };

  const membership::Configuration& configuration() const { return verifier_->configuration(); }
  Task begin(Instant now, const wire::Accusation& about, Stage stage);
  void begin_own(Instant now, AuditorEffects& out);
  bool begin_again(Instant now, AuditorEffects& out);
  void begin_check(Instant now, AuditorEffects& out);
  void check_at(const wire::Accusation& about, Instant at);
  void stall_check(Instant now, bool is_accusers_fault);
  crypto::Digest next_challenge();
  void ask(Instant now, Slot& slot, ByteView bytes, AuditorEffects& out);
  void send(Task& task, const wire::NodeKey& to, wire::RequestBody body, AuditorEffects& out);
  bool has_live_hold(const wire::StoredObject& object) const;
  Result result_of(const Task& task, const wire::Answer& answer) const;
  void settle(Instant now, Slot& slot, Result result, AuditorEffects& out);
  void settle_own(Instant now, const Task& task, Result result, AuditorEffects& out);
  Suspect* suspect_of(const Task& task, bool is_false);
  void settle_check(Instant now, const Task& task, Result result, AuditorEffects& out);
  Slot* slot_of(const AuditStep& tag, Stage stage);

  wire::NodeKey self_;
  crypto::Digest secret_;
  std::uint64_t challenges_ = 0;
  Random random_;
  AuditorSettings usual_;
  AuditorSettings settings_;  // as this epoch's length allows
  std::optional<Verifier> verifier_;
  std::vector<routing::Arc> arcs_;  // its own, with somebody else in them
  std::uint64_t tasks_ = 0;
  Slot own_;
  Slot check_;
  Instant next_own_ = Instant::max();
  std::map<wire::NodeKey, Suspect> suspects_;
  bool was_again_ = false;
  std::map<wire::Accusation, Check> checks_;
  std::set<std::pair<Instant, wire::Accusation>> order_;  // of the above, by next_at
  std::map<wire::NodeKey, Stalled> stalled_;              // accusers
  Statistics statistics_;
};

}  // namespace rosebud::objects
