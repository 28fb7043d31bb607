// One node in virtual time, as far as the configuration service goes: a Participant, the replica of
// its seat when it has one, and a disk that outlives it.
//
// What runtime/service_host.h and runtime/node_epochs.cc do with files and links is done here in
// the same order.
#pragma once

#include "service/participant.h"
#include "service/sim/seat.h"

namespace rosebud::service::sim {

using Number = wire::ConfigurationNumber;
using ConfigurationPointer = std::shared_ptr<const membership::Configuration>;

/// Wall time of the world when its agenda begins, in milliseconds.
inline constexpr std::int64_t kWallBeginMs = 1'000'000;

inline Number next_of(const Number& number) { return {number.generation, number.epoch.next()}; }

/// What a node has written. What is here was synced: records come only when their sync is over.
struct NodeDisk {
  std::vector<ConfigurationPointer> chain;  // that it entered, the genesis first
  std::map<Number, crypto::SecretKey> secrets;
  std::map<Number, Buffer> states;
  std::map<Number, std::map<Bytes, Bytes>> records;

  std::optional<crypto::SecretKey> secret(const Number& number) const;
  /// Nothing when what is there is not what the digest says.
  std::optional<Buffer> state(const Number& number, const crypto::Digest& digest) const;
  void remove_old(const Number& below);
  /// All but the genesis and the node's own key.
  void wipe();
};

/// What travels. Everything says its sender's epoch.
struct GetDescriptions {
  Number after;
};
struct Descriptions {
  std::vector<Buffer> descriptions;
};
struct Packet {
  Number number;
  std::variant<Buffer, GetDescriptions, Descriptions> body;  // Buffer: a notice
};

/// One operation that a machine executed.
struct Step {
  const State& before;
  const Machine& machine;  // after it
  wire::NodeKey asker;
  std::optional<Operation> operation;  // nothing: malformed
  std::uint64_t time_ms = 0;           // agreed
};

/// What a node asks of the world, and tells it.
struct NodeEvents {
  std::function<void(const wire::NodeKey& to, Packet)> send;
  std::function<void(const SendNotice&)> on_notice;  // before anybody makes something else of it
  std::function<void(HandInId, Answer)> on_answer;
  std::function<void(const Effect&)> on_effect;  // when it has been done
  std::function<bool(const Effect&)> may_keep;   // false: the disk does not take it
  std::function<void()> on_entered;
  std::function<void()> on_look;  // its machine has executed something
  std::function<void(const Step&)> on_step;
  std::function<void(const wire::NodeKey& from)> on_nonsense;
  std::function<void(const char* what)> on_broken;  // by the node's own doing
};

/// The state machine of a node, and whoever looks on at each step.
class WatchedMachine final : public pbft::StateMachine {
 public:
  WatchedMachine(Machine machine, std::function<void(const Step&)> on_step)
      : machine_(std::move(machine)), on_step_(std::move(on_step)) {}

  Outcome execute(pbft::AgreedTime time, const pbft::ClientId& client, ByteView operation) override;
  std::vector<Buffer> snapshot() const override { return machine_.snapshot(); }
  bool restore(const std::vector<Buffer>& pieces) override { return machine_.restore(pieces); }

  const Machine& machine() const { return machine_; }

 private:
  Machine machine_;
  std::function<void(const Step&)> on_step_;
};

/// From a start to a crash.
class SimNode {
 public:
  /// `agenda` and `disk` must outlive it.
  SimNode(Agenda& agenda, crypto::SecretKey key, NodeDisk& disk, std::int64_t clock_offset_ms,
          ParticipantSettings settings, Random random, NodeEvents events);
  SimNode(const SimNode&) = delete;  // what it has planned points to it
  SimNode& operator=(const SimNode&) = delete;

  void start();

  const membership::Configuration& configuration() const { return *disk_.chain.back(); }
  const Number& number() const { return number_; }
  const Participant& participant() const { return participant_; }
  /// Nothing without a seat.
  const Machine* machine() const { return machine_ ? &machine_->machine() : nullptr; }
  const pbft::Replica* replica() const { return replica_ ? &replica_->replica() : nullptr; }
  pbft::Now now() const { return {.instant = agenda_.now(), .wall = pbft::AgreedTime(wall_ms())}; }

  // ---- What comes in ----
  void take(const wire::NodeKey& from, const Packet& packet);
  void on_link(const wire::NodeKey& node, bool is_up);
  void hand_in(HandInId id, const Operation& operation);
  void complain(const wire::Accusation& about);
  void on_checked(const wire::Accusation& about, wire::AuditOutcome outcome);
  /// What it is to check, with what its replica of objects would do.
  const std::vector<wire::Accusation>& checks() const { return checks_; }
  /// Does not enter anything before.
  void learn_not_before(Instant time) { learns_at_ = time; }

 private:
  std::uint64_t wall_ms() const;
  crypto::SecretKey fresh_key();
  template <typename Action>
  void plan(Instant time, Action action);
  template <typename Input>
  void feed(Input input);

  void ask_for_descriptions(const wire::NodeKey& node);
  void hear_of(const wire::NodeKey& from) { ask_again(ask_again_at_[from], from); }
  void tell(const wire::NodeKey& node) { ask_again(tell_again_at_[node], node); }
  void ask_again(Instant& again, const wire::NodeKey& node);
  void answer_descriptions(const wire::NodeKey& to, const Number& after);
  void learn(const std::vector<Buffer>& descriptions);
  void tell_others();
  void ask_somebody_later();

  void begin(ConfigurationPointer configuration, ConfigurationPointer previous);
  bool take_notice(const wire::NodeKey& from, const Buffer& bytes);
  void perform(const Effects& effects);
  void perform_one(const Effect& effect);
  void keep_secret(const KeepSecret& secret);
  void send(const SendNotice& one);
  void open_group(const OpenGroup& wanted);
  void close_group();
  void send_reply(const pbft::ClientId& to, const pbft::Reply& reply);
  void look_later();
  void wake();

  Agenda& agenda_;
  crypto::SecretKey key_;
  NodeDisk& disk_;
  std::int64_t clock_offset_ms_;
  Random random_;
  NodeEvents events_;
  Participant participant_;
  Number number_;
  std::unique_ptr<WatchedMachine> machine_;
  std::unique_ptr<SeatReplica> replica_;
  bool is_look_posted_ = false;
  pbft::SequenceNumber seen_;
  std::vector<wire::Accusation> checks_;
  Instant wake_at_ = Instant::max();
  Instant learns_at_;
  std::map<wire::NodeKey, Instant> ask_again_at_;
  std::map<wire::NodeKey, Instant> tell_again_at_;
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

}  // namespace rosebud::service::sim
