// What a member of the configuration service does by itself in one epoch (design 8.2, 8.3, 7): it
// probes, asks candidates for their announcements, opens its share, says who does not do his part,
// and signs what was sealed.
//
// The group's order is elsewhere: this looks at the local copy of the state and says what it would
// have ordered next. No I/O, no clock, no thread; the same answers to the same questions. It ends
// with the epoch, and so does its secret.
#pragma once

#include "base/random.h"
#include "base/time.h"
#include "service/sealing.h"

namespace rosebud::service {

/// Of one seat in one epoch. The file that keeps it is erased when the successor is durable
/// (design 7).
struct EpochSecret {
  crypto::SecretKey key;
  crypto::Digest share;
};

/// A candidate's word for a seat of the epoch after `current`, whoever asks for it. One secret for
/// one epoch: a second announcement of the same node would be refused.
wire::SignedBytes announce(const membership::Configuration& current,
                           const crypto::SecretKey& node_key, const EpochSecret& secret,
                           const crypto::SignatureScheme& scheme);

struct MemberSettings {
  /// A candidate or member that does not do its part for so long is passed over. Long enough for a
  /// restart of its machine.
  Duration patience = std::chrono::seconds(15);
  Duration ask_interval = std::chrono::milliseconds(500);
  Duration probe_interval = std::chrono::seconds(10);
  /// So many probes in a row that nobody answered: the node is not reachable.
  unsigned failed_probes = 3;
};

class Member {
 public:
  /// `self` has a seat in `configuration`. Without its secret (a wiped disk) it signs nothing and
  /// reveals nothing, and does the rest.
  Member(wire::NodeKey self, std::shared_ptr<const membership::Configuration> configuration,
         std::optional<EpochSecret> secret, const MemberSettings& settings,
         const crypto::SignatureScheme& scheme, Random random);

  /// What it would have ordered next, if anything. Ask again when that was answered, when the state
  /// has changed, and every tick(). `wall_ms`: of its own clock.
  std::optional<Operation> wish(Instant now, std::uint64_t wall_ms, const Machine& machine);

  /// Candidates whose announcement this member asks for at this moment; itself too.
  std::vector<wire::NodeKey> to_ask(Instant now, const Machine& machine);
  /// False when it is not a valid one for the next epoch.
  bool on_announcement(const wire::SignedBytes& announcement);
  /// It is asked for again: the key that it names was lost.
  void forget_announcement(const wire::NodeKey& node);

  /// Nodes to be probed now.
  std::vector<wire::NodeKey> to_probe(Instant now);
  void on_probe(const wire::NodeKey& node, bool is_answered);

  // ---- Complaints ----
  void on_checked(const wire::Accusation& about, wire::AuditOutcome outcome) {
    checked_.add(about, outcome);
  }
  /// Only these are checked from now on (complaints.h); sorted.
  void keep_checked(const std::vector<wire::Accusation>& accusations) {
    checked_.keep(accusations);
  }

  /// Its signature of the next description. Nothing before the state is sealed, or without secret.
  std::optional<membership::SeatSignature> sign(const Machine& machine);
  /// Signatures count when the own state is sealed: until then they are to be sent again. False:
  /// not valid, known, or too early.
  bool on_signature(const Machine& machine, const membership::SeatSignature& signature);
  /// The next description, when 2F+1 have signed it.
  const membership::SignedDescription* description() const;

  static constexpr Duration kTick = std::chrono::milliseconds(250);

 private:
  struct Probed {
    Instant due;
    unsigned failed = 0;
    bool is_answered = false;  // the last time
  };
  std::optional<Operation> wish_while_running(std::uint64_t wall_ms, const Machine& machine) const;
  std::optional<Operation> wish_for_verdicts(const Machine& machine) const;
  std::optional<Operation> wish_for_announcements(Instant now, const Machine& machine);
  std::optional<Operation> wish_for_shares(Instant now, const Machine& machine);
  /// True when `node` has been waited for longer than patience, since the first time of asking.
  bool is_overdue(Instant now, const wire::NodeKey& node);
  SignatureShares* shares_of(const Machine& machine);

  wire::NodeKey self_;
  std::shared_ptr<const membership::Configuration> configuration_;
  std::optional<EpochSecret> secret_;
  MemberSettings settings_;
  const crypto::SignatureScheme& scheme_;
  Random random_;
  std::map<wire::NodeKey, Probed> probed_;
  CheckResults checked_;
  std::map<wire::NodeKey, wire::SignedBytes> announcements_;
  std::map<wire::NodeKey, Instant> ask_at_;
  std::map<wire::NodeKey, Instant> waited_since_;
  Phase phase_ = Phase::kRunning;  // that waited_since_ is of
  std::optional<SignatureShares> signatures_;
};

}  // namespace rosebud::service
