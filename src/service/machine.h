// The configuration service as a replicated state machine: one for each epoch (design 8).
//
// It begins with what the epoch before handed over, collects who wants to come, who does not answer
// and who was revoked, and ends with the next description fixed (description.h signs it). The
// group ends with the operation that seals it; what was ordered behind that is asked for again in
// the next epoch.
//
// Whoever asks is a node of the configuration in force, and only members of the service say what
// they found out. Nothing here is taken on anybody's word but by quorum: 2F+1 members that a node
// does not answer, that a candidate did not announce, that a share was withheld, that a node gave
// wrong proofs or none; F+1 that a node answers again, or shows what it holds. Statements carry
// their own signatures.
#pragma once

#include <memory>

#include "pbft/state_machine.h"
#include "service/state.h"

namespace rosebud::service {

class Machine final : public pbft::StateMachine {
 public:
  /// `scheme` must outlive it. Requires: the configuration has a service.
  Machine(std::shared_ptr<const membership::Configuration> configuration, Carried carried,
          const crypto::SignatureScheme& scheme);

  Outcome execute(pbft::AgreedTime time, const pbft::ClientId& client, ByteView operation) override;
  /// Every node of the configuration, and nobody else.
  bool is_client(const pbft::ClientId& client) const override;
  std::vector<Buffer> snapshot() const override;
  bool restore(const std::vector<Buffer>& pieces) override;

  const membership::Configuration& configuration() const { return *configuration_; }
  const State& state() const { return state_; }
  /// Of the last execution, in milliseconds.
  std::uint64_t now_ms() const { return now_ms_; }
  /// Whether prepare-epoch would be executed at this agreed time, and not refused.
  bool may_prepare(std::uint64_t now_ms) const;
  /// A member whose commitment stands in the header, and that has not opened it.
  bool is_share_missing(const wire::NodeKey& node) const;
  /// Whether a candidate may have the seat with this: it is for the next epoch, and nobody else
  /// has its key. Its signature is not looked at.
  bool is_usable(const Announcement& announcement) const;

  // ---- Complaints (complaints.h) ----
  const Groups& groups() const;
  /// Whom the members of the service check, and what about; sorted. All are gone through only when
  /// a complaint is over, and of a new one whom it is about.
  const std::set<wire::NodeKey>& cases() const;
  const std::vector<wire::Accusation>& to_check() const;

  /// New node keys of one organisation in a day (design 3.4).
  static constexpr std::uint64_t kAdmissionsPerDay = 64;
  /// Ends of epochs before their time in an hour (design 7).
  static constexpr std::size_t kEarlyEndsPerHour = 6;

 private:
  struct Asker {
    wire::NodeKey node;
    bool is_member = false;  // of the service
  };
  Answer on(const Asker& asker, const Reachability& operation);
  Answer on(const Asker& asker, const AdmitNode& operation);
  Answer on(const Asker& asker, const RevokeNode& operation);
  Answer on(const Asker& asker, const PrepareEpoch& operation);
  Answer on(const Asker& asker, const Announce& operation);
  Answer on(const Asker& asker, const NoAnnouncement& operation);
  Answer on(const Asker& asker, const Reveal& operation);
  Answer on(const Asker& asker, const NoReveal& operation);
  Answer on(const Asker& asker, const Enact& operation);
  Answer on(const Asker& asker, const RetireNode& operation);
  Answer on(const Asker& asker, const EndEpoch& operation);
  // machine_complaints.cc
  Answer on(const Asker& asker, const Complain& operation);
  Answer on(const Asker& asker, const Verdict& operation);
  void drop_old_complaints();
  std::size_t complaints_of(const wire::NodeKey& accuser) const;
  void note_complaints_changed();

  Answer enact(const AdmitOrganisation& one);
  Answer enact(const RevokeOrganisation& one);
  Answer enact(const RevokeAnyNode& one);
  Answer enact(const ChangeSetting& one);

  bool is_time_to_end(std::uint64_t now_ms) const;
  bool may_end_early(std::uint64_t now_ms) const;
  /// Notes that `by` says it; true when 2F+1 do.
  bool note_said(Said& said, const wire::NodeKey& about, const wire::NodeKey& by) const;
  /// Of the organisation whose node it is.
  const crypto::PublicKey& authority_of(std::uint32_t node) const;
  Answer count_admission(const wire::AdmissionStatement& statement);
  SeatDraw draw() const;
  std::vector<wire::NodeKey> seats() const;
  bool is_everybody_announced() const;
  void replace(const wire::NodeKey& candidate);
  bool give_back_a_seat();
  void ask_all_again();
  void end_announcing();
  void end_revealing();
  void replace_withholders();
  const membership::ServiceMember* member_of(const wire::NodeKey& node) const;
  std::size_t quorum() const { return configuration_->service_quorum(); }

  std::shared_ptr<const membership::Configuration> configuration_;
  const crypto::SignatureScheme& scheme_;
  State state_;
  std::uint64_t now_ms_ = 0;
  // Follow from the configuration and from state_.carried.complaints: no part of the state.
  mutable std::optional<Groups> groups_;
  mutable std::optional<std::set<wire::NodeKey>> cases_;
  mutable std::optional<std::vector<wire::Accusation>> to_check_;
  std::uint64_t first_over_ms_ = 0;  // no complaint is over before
};

}  // namespace rosebud::service
