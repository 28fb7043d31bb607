// The configuration service at one node: service/participant.h with files, time, and the replica of
// its seat.
//
// Everything on the io_context's thread, but what the replica's driver does beside it.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "replication/replica_driver.h"
#include "runtime/evidence_files.h"
#include "runtime/service_files.h"
#include "service/participant.h"

namespace rosebud::runtime {

class ServiceHost {
 public:
  struct Events {
    /// To another node.
    std::function<void(const wire::NodeKey& to, Buffer notice)> send;
    /// The next description, not from within a call of this class.
    std::function<void(Buffer description)> learn;
    std::function<void(service::HandInId, service::Answer)> handed_in;
    /// What this node is to check from now on, not from within a call of this class.
    std::function<void(std::vector<wire::Accusation>)> check;
    /// The records take nothing any more: the process ends, and is started again.
    std::function<void(const Explained&)> on_disk_failure;
  };
  struct Status {
    std::optional<std::uint16_t> seat;  // with its key
    bool is_waiting_for_state = false;
    struct Group {
      service::Phase phase = service::Phase::kRunning;
      std::uint64_t view = 0;
      bool is_primary = false;
      bool may_vote = false;
      std::uint64_t executed = 0;
      std::size_t inactive = 0;                  // members that do not answer
      std::size_t admissions = 0;                // that wait
      std::vector<wire::NodeKey> complained_of;  // by whomever
      std::vector<wire::NodeKey> withholding;    // as 2F+1 found
      std::vector<wire::NodeKey> convicted;      // gave wrong proofs to 2F+1
      std::uint64_t rejected = 0;
      std::size_t evidence = 0;  // members that signed two votes that contradict each other
    };
    std::optional<Group> group;
  };

  /// `scheme` must outlive it.
  ServiceHost(boost::asio::io_context& io, crypto::SecretKey key,
              const crypto::SignatureScheme& scheme, ServiceFiles files, EvidenceFiles evidence,
              Events events);
  ~ServiceHost();

  /// An epoch that was entered, durably; `previous`: nothing at the genesis. `is_member`: the
  /// configuration names this node with its directory; else it takes no seat.
  void begin(std::shared_ptr<const membership::Configuration> configuration,
             std::shared_ptr<const membership::Configuration> previous, bool is_member);
  /// Of this epoch, from another node. False: not what a correct node sends.
  [[nodiscard]] bool take(const wire::NodeKey& from, const Buffer& notice,
                          replication::Permit permit);
  void on_link(const wire::NodeKey& node, bool is_up);
  void hand_in(service::HandInId id, const service::Operation& operation);
  /// This node's own complaint, and what it found about others'.
  void complain(const wire::Accusation& about);
  void on_checked(const wire::Accusation& about, wire::AuditOutcome outcome);
  void stop();
  Status status() const;
  /// What this node can show against members, of this epoch and of earlier ones.
  const std::vector<EvidenceFiles::Kept>& evidence() const { return evidence_.kept(); }
  /// For development clusters: whether its replica votes twice, as a liar does.
  void set_double_voting(bool is_on) { is_double_voting_ = is_on; }
  /// Some node's lease; of another epoch it is passed over.
  void learn_lease(const Buffer& lease) { participant_.learn_lease(lease); }
  /// The newest lease of the epoch (membership::SignedLease, encoded); empty: none.
  Buffer lease() const { return participant_.lease(); }

 private:
  std::optional<crypto::SecretKey> secret_of(const membership::Configuration& configuration) const;
  std::optional<Buffer> state_of(const membership::Configuration& configuration) const;
  void perform(service::Effects effects);
  bool perform_one(const service::Effect& effect);
  static bool is_kept(const rosebud::Status<Explained>& kept, std::string_view what);
  void send(const service::SendNotice& one);
  bool open_group(const service::OpenGroup& wanted);
  rosebud::Status<Explained> try_to_open(const service::OpenGroup& wanted);
  void close_group();
  void send_order(const crypto::SecretKey& epoch_key, pbft::ReplicaId to, const Buffer& message);
  void keep_evidence(const pbft::Evidence& evidence);
  void take_reply(const wire::NodeKey& from, const service::Reply& reply);
  void look_at_machine();
  void wake();
  template <typename Input>
  void feed(Input input);

  boost::asio::io_context& io_;
  crypto::SecretKey key_;
  const crypto::SignatureScheme& scheme_;
  ServiceFiles files_;
  EvidenceFiles evidence_;
  bool is_double_voting_ = false;
  Events events_;
  service::Participant participant_;
  boost::asio::steady_timer timer_;
  Instant timer_at_ = Instant::max();
  bool is_stopped_ = false;
  bool is_look_posted_ = false;
  pbft::SequenceNumber seen_;  // what was executed when the machine was last looked at
  std::unique_ptr<service::Machine> machine_;
  std::unique_ptr<disk::RecordStore> store_;
  std::unique_ptr<replication::ReplicaDriver> driver_;
  std::shared_ptr<ServiceHost*> alive_ = std::make_shared<ServiceHost*>(this);
};

}  // namespace rosebud::runtime
