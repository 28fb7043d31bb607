// What every node does for the configuration service, from one epoch to the next (design 8): it
// answers members' probes, announces itself when it may get a seat, has operations ordered that
// people handed in, and, with a seat, does a member's duties and begins with what was handed over.
//
//   begin ─▶ [state is here? else GetState … StateFound] ─▶ OpenGroup ─▶ duties (member.h) ─▶
//   sealed: KeepState, then Signed to the others ─▶ 2F+1 signatures: Learn ─▶ begin of the next
//
// No I/O, clock or thread. The replica of the group is beside it: whoever drives both passes
// `machine`, the state of that replica, or nothing as long as there is none.
//
// Effects are in order, and order means durability: what is kept is on disk before what follows
// leaves. If it cannot be kept, what follows is dropped and on_failed() called.
#pragma once

#include <deque>
#include <functional>

#include "pbft/client.h"
#include "service/leases.h"
#include "service/member.h"
#include "service/notices.h"

namespace rosebud::service {

/// Names what was handed in, for whoever waits for the answer.
using HandInId = Strong<struct HandInIdTag>;

struct SendNotice {
  wire::NodeKey to;  // itself too: Ask and Reply
  Notice notice;
};
struct KeepSecret {
  wire::ConfigurationNumber number;  // of the epoch that the key signs in
  crypto::SecretKey key;
};
/// Of all epochs below, for ever (design 7). A description that follows them is durable.
struct EraseSecrets {
  wire::ConfigurationNumber below;
};
struct KeepState {
  wire::ConfigurationNumber number;  // of the epoch that begins with it
  Buffer state;
};
/// The replica of this node's seat, with a machine that begins so.
struct OpenGroup {
  pbft::ReplicaId seat;
  crypto::SecretKey key;
  Carried carried;
};
/// The next description, signed by 2F+1: to be applied like any other. Comes again until it is.
struct Learn {
  Buffer description;
};
struct HandedIn {
  HandInId id;
  Answer answer = Answer::kNotNow;
};
/// Find out about these from now on, and about nothing else: on_checked says what came of it. What
/// is about this node itself is not for it to find out.
struct Check {
  std::vector<wire::Accusation> accusations;
};
using Effect = std::variant<SendNotice, KeepSecret, EraseSecrets, KeepState, OpenGroup, Learn,
                            HandedIn, Check>;
using Effects = std::vector<Effect>;

/// An epoch as it begins at one node: what it has entered, and what lies on its disk.
struct Entered {
  std::shared_ptr<const membership::Configuration> configuration;
  std::shared_ptr<const membership::Configuration> previous;  // nothing at the genesis
  std::optional<crypto::SecretKey> secret;                    // for this epoch
  std::optional<crypto::SecretKey> next_secret;               // announced for the next
  std::optional<Buffer> state;                                // handed over to this epoch
  bool has_next_state = false;  // what this one hands over was kept: it may have been signed
};

struct ParticipantSettings {
  MemberSettings member;
  Duration probe_timeout = std::chrono::seconds(3);
  Duration ask_interval = std::chrono::milliseconds(500);
  /// What nobody answers is asked for anew, under a greater number. Suppose the clock went back
  /// over a restart: then the group passes the numbers over that it shows, without a word.
  Duration answer_timeout = std::chrono::seconds(5);
  /// What was handed in waits so long for being ordered.
  Duration hand_in_timeout = std::chrono::seconds(20);
  std::size_t hand_ins_max = 64;
  std::size_t hand_ins_of_one_max = 8;  // of one organisation, and of decrees
};

class Participant {
 public:
  /// `scheme` must outlive it. `make_key` gives a fresh secret key, every time.
  Participant(crypto::SecretKey node_key, const crypto::SignatureScheme& scheme,
              std::function<crypto::SecretKey()> make_key, ParticipantSettings settings,
              Random random);

  /// At the start, and with every epoch that is entered.
  void begin(pbft::Now now, Entered entered, Effects& out);
  /// Of this node's epoch; Order and Ask are for the replica. False: not what a correct node sends.
  [[nodiscard]] bool on_notice(pbft::Now now, const wire::NodeKey& from, const Notice& notice,
                               const Machine* machine, Effects& out);
  void on_time(pbft::Now now, const Machine* machine, Effects& out);
  /// The machine has executed something.
  void on_executed(pbft::Now now, const Machine& machine, Effects& out);
  /// A KeepSecret, KeepState or OpenGroup could not be done. It is tried again.
  void on_failed(const Effect& effect);
  Instant next_deadline() const;

  /// An admission or a revocation that somebody handed in. Answered by HandedIn, once: kNotNow when
  /// it was not ordered in time or too much waits.
  void hand_in(pbft::Now now, HandInId id, const Operation& operation, Effects& out);

  /// This node's own complaint, to be ordered. Nobody is told what becomes of it: whoever still
  /// has a reason repeats it.
  void complain(pbft::Now now, const wire::Accusation& about, const Machine* machine, Effects& out);
  /// What a check of this epoch found that was asked for.
  void on_checked(pbft::Now now, const wire::Accusation& about, wire::AuditOutcome outcome,
                  const Machine* machine, Effects& out);

  const std::shared_ptr<const membership::Configuration>& shared_configuration() const {
    return entered_.configuration;
  }
  const membership::Configuration& configuration() const { return *entered_.configuration; }
  /// Its seat in the epoch, if it can do what that takes.
  bool has_seat() const { return member_.has_value(); }
  /// Some node's lease; of another epoch it is passed over.
  void learn_lease(const Buffer& lease) {
    if (leases_) (void)leases_->take(lease);
  }
  /// The newest lease of the epoch (membership::SignedLease, encoded); empty: none.
  Buffer lease() const { return leases_ ? leases_->newest() : Buffer{}; }
  bool is_waiting_for_state() const { return member_.has_value() && !is_open_; }
  /// For tests: bounded by the nodes and how often one is probed.
  std::size_t probes_under_way() const { return probing_.size(); }

 private:
  struct Waiting {
    HandInId id;
    crypto::PublicKey author;
    Buffer operation;
    Instant until;
    Instant not_before{};  // it was asked for at a wrong time of the epoch
  };

  bool is_member(const wire::NodeKey& node) const;
  bool on_reply(pbft::Now now, const wire::NodeKey& from, const Reply& notice,
                const Machine* machine, Effects& out);
  bool on_state_found(const wire::NodeKey& from, const StateFound& notice, Effects& out);
  bool on_signed(const wire::NodeKey& from, const Signed& notice, const Machine* machine,
                 Effects& out);
  bool on_lease_share(pbft::Now now, const wire::NodeKey& from, const LeaseShare& notice,
                      Effects& out);
  void sign_lease(pbft::Now now, Effects& out);
  void add_lease_share(pbft::Now now, const LeaseShare& share, Effects& out);
  void on_probed(const wire::NodeKey& from, const Probed& notice);
  void answer_state(const wire::NodeKey& from, const GetState& notice, Effects& out) const;
  void open_group(const Buffer& state, Effects& out);
  void try_to_open(Instant now, Effects& out);
  void ask_for_state(Effects& out);
  void do_duties(pbft::Now now, const Machine& machine, Effects& out);
  void probe(Instant now, Effects& out);
  void ask_candidates(Instant now, const Machine& machine, Effects& out);
  void sign(Instant now, const Machine& machine, Effects& out);
  wire::SignedBytes own_announcement(Effects& out);
  void forget_next_secret();
  bool is_node() const { return configuration().node_index(key_.public_key()).has_value(); }
  void learn(Effects& out) const;
  void choose_checks(const Machine& machine, Effects& out);
  void ask_next(pbft::Now now, const Machine* machine, Effects& out);
  void ask_complaint(pbft::Now now, Effects& out);
  bool choose_handed_in(Instant now);
  void ask(pbft::Now now, Buffer operation, Effects& out);
  void perform(pbft::Now now, pbft::ClientEffects effects, Effects& out);
  void end_asking(pbft::Now now, Answer answer, Effects& out);
  void end_handed_in(pbft::Now now, Answer answer, Effects& out);
  void stop_asking();
  void give_up_old(pbft::Now now, Effects& out);

  crypto::SecretKey key_;
  const crypto::SignatureScheme& scheme_;
  std::function<crypto::SecretKey()> make_key_;
  ParticipantSettings settings_;
  Random random_;

  Entered entered_;
  std::shared_ptr<const pbft::Group> group_;
  std::optional<pbft::ReplicaId> seat_;
  std::optional<Member> member_;  // with a seat and its secret
  bool is_open_ = false;          // OpenGroup was said
  std::optional<Buffer> next_state_;
  std::optional<Leases> leases_;

  // ---- What it asks the group for, one after the other ----
  std::optional<pbft::Client> client_;
  // kHandedIn: the first of handed_in_
  enum class Asking : std::uint8_t { kNothing, kOwn, kHandedIn, kComplaint };
  Asking asking_ = Asking::kNothing;
  std::deque<Waiting> handed_in_;
  std::deque<Complain> complaints_;         // not asked for yet; one about each
  bool was_complaint_ = false;              // what was asked last
  std::vector<wire::Accusation> to_check_;  // as the machine names it; sorted
  Instant asked_at_;
  bool was_own_ = false;  // what was asked last: they take turns
  Instant own_again_at_;  // after an answer that changed nothing

  struct Probing {
    wire::NodeKey node;
    Instant until;
  };
  std::map<std::uint64_t, Probing> probing_;
  Instant tick_at_;
  Instant ask_for_state_at_;
  Instant sign_at_;
};

}  // namespace rosebud::service
