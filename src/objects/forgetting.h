// Deleting what a replica holds of keys that are not its own any more (design 10.5).
//
// Others may have to ask a former member what it holds, so it keeps all of it until 2f+1 members of
// the interval's group in the epoch in force have signed that they hold every write acknowledged
// there before: f+1 correct ones are then asked first (completion.h), for ever after. That it is
// gone is durable before the first object is deleted, so that "deleted" is never taken for "was
// never there".
//
//   kResting ─▶ kLooking ── nothing foreign here ──▶ kResting, until the next epoch
//                 │ ▲
//       an object │ └── too few statements in time, or the interval is empty now
//                 ▼
//              kAsking ── 2f+1 statements ──▶ kNoting ── durable ──▶ kListing ⇄ kDeleting
//
// One interval after the other, and a pause after every few objects: clients come first. Whatever
// is not done when the epoch ends begins anew, with statements of the next one.
//
// No I/O, clock or exception; bounded by one interval's answers and one list of objects.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "base/random.h"
#include "objects/reconciler.h"
#include "objects/verify.h"

namespace rosebud::objects {

/// Names a scan of Forgetting; one of an earlier epoch is passed over.
struct ForgettingScan {
  std::uint64_t number = 0;
};

/// What it asks of its replica.
struct ForgettingEffects {
  struct RangeScan {
    ForgettingScan tag;
    wire::KeyRange range;
    std::optional<wire::ObjectId> after;  // continue behind this entry
    std::size_t limit = 0;
  };
  std::vector<ReconcilerEffects::Request> requests;
  std::optional<RangeScan> scan;
  /// Give it up durably, then call on_given_up.
  std::optional<wire::KeyRange> given_up;
  /// Delete each, then call on_forgotten.
  std::vector<wire::ObjectId> objects;
};

struct ForgettingSettings {
  /// From an epoch's beginning to the first look: the others have to complete.
  Duration delay = std::chrono::seconds(2);
  /// Until another look when something could not be deleted; twice as long after each in vain.
  Duration retry = std::chrono::seconds(5);
  /// For statements; twice as long after each time in which they did not come.
  Duration answer_timeout = std::chrono::seconds(2);
  Duration waits_max = std::chrono::minutes(2);  // of both
  Duration pause = std::chrono::milliseconds(20);
  std::size_t objects_at_once = 32;
};

class Forgetting {
 public:
  Forgetting(wire::NodeKey self, Random random, ForgettingSettings settings,
             const crypto::SignatureScheme& scheme)
      : self_(self), random_(random), settings_(settings), scheme_(&scheme) {}

  /// Begins, anew with every configuration.
  void begin_epoch(Instant now, std::shared_ptr<const membership::Configuration> configuration);

  /// False: it was not asked for here.
  bool on_answer(Instant now, const wire::NodeKey& from, const wire::Answer& answer,
                 ForgettingEffects& out);
  void on_scanned(Instant now, const ForgettingScan& tag, const wire::Scanned* scanned,
                  ForgettingEffects& out);
  void on_given_up(ForgettingEffects& out);
  /// One of the objects is deleted, or could not be.
  void on_forgotten(Instant now, bool is_deleted);

  /// `is_idle`: the replica has nothing of its own to complete, which goes first.
  void on_time(Instant now, bool is_idle, ForgettingEffects& out);
  Instant next_deadline() const;

 private:
  enum class Stage : std::uint8_t { kResting, kLooking, kAsking, kNoting, kListing, kDeleting };

  void rest(Instant until);
  void look(Instant now, ForgettingEffects& out);
  void go_on_behind(Instant now, const crypto::Digest& key, ForgettingEffects& out);
  void ask(Instant now, ForgettingEffects& out);
  void list(ForgettingEffects& out);
  void scan(const wire::KeyRange& range, const std::optional<wire::ObjectId>& after,
            std::size_t limit, ForgettingEffects& out);
  void pass_over(Instant now, const crypto::Digest& key, ForgettingEffects& out);
  bool is_complete(const wire::NodeKey& from, const wire::SignedBytes& statement) const;

  wire::NodeKey self_;
  Random random_;
  ForgettingSettings settings_;
  const crypto::SignatureScheme* scheme_;
  std::shared_ptr<const membership::Configuration> configuration_;
  std::vector<wire::KeyRange> foreign_;  // what is not this replica's own, ascending
  Stage stage_ = Stage::kResting;
  Instant wakes_at_ = Instant::max();  // kResting, kAsking, kListing after a pause
  std::uint64_t scan_number_ = 0;
  std::size_t foreign_index_ = 0;
  crypto::Digest cursor_;      // in foreign_[foreign_index_]
  wire::KeyRange interval_{};  // being given up: one group keeps it
  std::map<wire::Nonce, wire::NodeKey> asked_;
  std::map<wire::NodeKey, bool> answered_;  // members of the group, whether they are complete
  std::optional<wire::ObjectId> listed_;    // the last of the interval that was listed
  std::size_t deleting_ = 0;
  bool is_left_over_ = false;  // something was passed over since the last rest
  Duration retry_{};
  Duration answer_timeout_{};
};

}  // namespace rosebud::objects
