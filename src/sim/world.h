// A whole cluster in one process and in virtual time: the same cores as in the node, a network that
// loses, delays, duplicates, reorders and cuts, disks that forget what was not synced, and replicas
// that misbehave.
//
// A seed fixes everything. Events run in the order of (time, number); every delivered message and
// every completion goes into the trace hash, so two runs of one seed can be compared with one
// number.
#pragma once

#include <functional>
#include <map>
#include <queue>

#include "adversary/misbehaviour.h"
#include "membership/description.h"
#include "objects/client.h"
#include "objects/replica.h"
#include "sim/disk.h"
#include "wire/codec.h"

namespace rosebud::sim {

struct NetworkFaults {
  Duration latency_min = std::chrono::microseconds(200);
  Duration latency_max = std::chrono::milliseconds(20);
  std::uint32_t loss_per_mille = 0;
  std::uint32_t duplicate_per_mille = 0;
};

struct WorldOptions {
  std::uint64_t seed = 1;
  std::uint32_t faults = 1;
  std::uint32_t organisations = 4;
  std::uint32_t nodes = 8;   // members of the first epoch
  std::uint32_t spares = 0;  // machines that may join later
  std::uint32_t clients = 3;
  std::uint32_t positions = 4;  // of each node on the ring
  bool has_real_signatures = false;
};

/// An owner, holder and reader: keys, and the statements that they sign.
struct SimClient {
  crypto::SecretKey key;
  wire::SignedBytes admission;
  std::uint64_t serial = 0;
  std::unique_ptr<objects::Client> core;
  std::size_t known = 0;  // the newest configuration that it has learnt
  std::optional<Instant> wake_at;
  std::map<objects::OperationId, std::function<void(const objects::OperationResult&)>> waiting;
};

class World {
 public:
  explicit World(const WorldOptions& options);
  World(const World&) = delete;  // events point to it
  World& operator=(const World&) = delete;

  Instant now() const { return now_; }
  Random& random() { return random_; }
  /// The newest one, whoever knows it.
  const membership::Configuration& configuration() const { return *chain_.back(); }
  std::size_t node_count() const { return nodes_.size(); }
  std::uint32_t organisation_of(std::size_t node) const { return nodes_[node].member.organisation; }
  bool is_member(std::size_t node) const {
    return configuration().node_index(nodes_[node].key.public_key()).has_value();
  }
  std::vector<std::size_t> group_of(const wire::ObjectId& id) const;

  // ---- Epochs ----
  /// The next epoch, with these nodes as members, signed by the service of the newest one. Nodes
  /// learn it one by one within `spread`, those that are down after their restart; clients when a
  /// replica tells them. False when such a configuration cannot be.
  bool change_membership(const std::vector<std::size_t>& members, Duration spread);
  NetworkFaults& network() { return network_; }

  // ---- Faults ----
  void crash(std::size_t node);
  void restart(std::size_t node);
  bool is_up(std::size_t node) const { return nodes_[node].replica != nullptr; }
  adversary::Misbehaviour& misbehaviour(std::size_t node) { return nodes_[node].misbehaviour; }
  Disk& disk(std::size_t node) { return nodes_[node].disk; }
  objects::Replica* replica(std::size_t node) { return nodes_[node].replica.get(); }
  /// Nodes of different sides do not hear each other; clients hear everybody. Empty: no partition.
  void partition(std::vector<int> side_of_node) { sides_ = std::move(side_of_node); }

  // ---- Work of clients; `done` is called once ----
  using Done = std::function<void(const objects::OperationResult&)>;
  void write_block(std::size_t client, const Buffer& bytes, Duration timeout, Done done);
  void read_block(std::size_t client, const wire::ObjectId& id, Duration timeout, Done done);
  void write_record(std::size_t client, const wire::SignedRecord& record, Duration timeout,
                    Done done);
  /// Under a hold of the caller's choice.
  void write_record(std::size_t client, const wire::SignedRecord& record, wire::Hold hold,
                    Duration timeout, Done done);
  void read_record(std::size_t client, const wire::ObjectId& id, Duration timeout, Done done);
  /// A signed record of this client's own.
  wire::SignedRecord make_record(std::size_t client, ByteView salt, wire::Version version,
                                 ByteView value);
  const crypto::PublicKey& client_key(std::size_t client) const {
    return clients_[client].key.public_key();
  }
  static constexpr Timestamp kExpiry{4'000'000'000};
  wire::Hold make_hold(std::size_t client, const wire::ObjectId& id, std::uint64_t size,
                       Timestamp expiry = kExpiry);
  const crypto::SignatureScheme& scheme() const { return *scheme_; }

  /// The configuration under which a client counts answers.
  wire::Epoch epoch_of(std::size_t client) const {
    return clients_[client].core->verifier().configuration().number().epoch;
  }

  /// Runs `what` after `delay`.
  void at(Duration delay, std::function<void()> what);
  /// Runs events until `is_done` or until virtual time passed `limit`. True when done.
  bool run_until(const std::function<bool()>& is_done, Duration limit);
  void run_for(Duration time);

  /// Hash of all that happened.
  crypto::Digest trace_hash() const { return trace_; }
  std::uint64_t event_count() const { return event_count_; }
  std::uint64_t observations(std::size_t node, objects::Observation what) const;

 private:
  struct SimNode {
    crypto::SecretKey key;
    membership::Node member;  // as configurations name it
    std::size_t known = 0;    // the newest configuration that it has learnt
    wire::DirectoryId directory;
    Disk disk;
    adversary::Misbehaviour misbehaviour{Random(0)};
    std::unique_ptr<objects::Replica> replica;
    std::uint64_t life = 0;  // completions of an earlier life are lost
    std::optional<Instant> wake_at;
    Instant disk_free_at;
  };
  struct Event {
    Instant time;
    std::uint64_t number;
    std::function<void()> run;
    bool operator<(const Event& other) const {  // priority_queue: the greatest first
      return std::tie(time, number) > std::tie(other.time, other.number);
    }
  };
  /// Nodes are 0 .., clients follow.
  using Endpoint = std::size_t;

  void schedule(Instant time, std::function<void()> run);
  void note(std::string_view what, ByteView details);
  void transmit(Endpoint from, Endpoint to, wire::EncodedMessage message);
  void deliver(Endpoint from, Endpoint to, const wire::EncodedMessage& message);
  void perform(std::size_t node, objects::Effects effects);
  void perform(std::size_t client, objects::ClientEffects effects);
  void wake_node(std::size_t node);
  void wake_client(std::size_t client);
  Endpoint endpoint_of(const wire::NodeKey& key) const;
  /// Verifies what follows configuration `known`, as a peer would.
  objects::Verifier next_verifier(std::size_t known, ByteView description) const;
  void learn_later(std::size_t node, Duration spread);
  void learn(std::size_t node);

  Random random_;
  const crypto::SignatureScheme* scheme_;
  Instant now_{};
  std::priority_queue<Event> events_;
  std::uint64_t event_count_ = 0;
  crypto::Digest trace_;
  NetworkFaults network_;
  std::vector<int> sides_;
  std::vector<crypto::SecretKey> authorities_;
  std::vector<membership::SeatKey> service_keys_;
  std::vector<std::shared_ptr<const membership::Configuration>> chain_;
  std::map<wire::NodeKey, Endpoint> endpoint_of_;
  std::vector<SimNode> nodes_;
  std::vector<SimClient> clients_;
  std::map<std::pair<std::size_t, objects::Observation>, std::uint64_t> observations_;
};

}  // namespace rosebud::sim
