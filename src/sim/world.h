// A whole cluster in one process and in virtual time: the same cores as in the node, a network that
// loses, delays, duplicates, reorders and cuts, disks that forget what was not synced, and replicas
// that misbehave.
//
// A seed fixes everything. Events run in the order of (time, number); every delivered message and
// every completion goes into the trace, so two runs of one seed can be compared with one number.
// Messages are handed over as values; a share of the seeds encodes and decodes each of them.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <queue>
#include <unordered_map>
#include <utility>

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
  bool has_encoded_messages = false;
  bool has_leases = false;
  objects::ReplicaLimits limits{};
};

/// A running hash of all that happens. Not for keeping secrets: for telling runs apart.
class Trace {
 public:
  void mix(std::uint64_t value) {
    first_ = (first_ ^ value) * 0x9e3779b97f4a7c15U;
    first_ ^= first_ >> 29;
    second_ = ((second_ << 23) | (second_ >> 41)) + first_;
  }
  crypto::Digest digest() const {
    return crypto::Hasher("trace").update_u64(first_).update_u64(second_).finish();
  }

 private:
  std::uint64_t first_ = 1;
  std::uint64_t second_ = 2;
};

/// Values under numbers that are used again when a value was taken.
template <typename T>
class Slots {
 public:
  std::size_t put(T value) {
    if (free_.empty()) {
      values_.push_back(std::move(value));
      return values_.size() - 1;
    }
    const std::size_t slot = free_.back();
    free_.pop_back();
    values_[slot] = std::move(value);
    return slot;
  }
  T take(std::size_t slot) {
    free_.push_back(slot);
    return std::move(values_[slot]);
  }

 private:
  std::deque<T> values_;
  std::vector<std::size_t> free_;
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
  std::vector<std::size_t> group_of(const wire::ObjectId& id) const {
    return group_of(configuration(), id);
  }
  std::vector<std::size_t> group_of(const membership::Configuration& configuration,
                                    const wire::ObjectId& id) const;

  // ---- Epochs ----
  /// The next epoch, with these nodes as members, signed by the service of the newest one. Nodes
  /// learn it one by one within `spread`, those that are down after their restart; clients when a
  /// replica tells them. False when such a configuration cannot be.
  bool change_membership(const std::vector<std::size_t>& members, Duration spread);
  /// Every client learns the newest epoch, as it does when the lease of its own has run out. For
  /// runs without leases.
  void tell_all_clients();
  /// A configuration may be relied on for so long after its service last said that it is the newest
  /// (design 9.4).
  static constexpr Duration kLease = std::chrono::seconds(2);
  /// Whether no client may rely on an earlier epoch than the newest any more.
  bool have_leases_run_out() const;
  NetworkFaults& network() { return network_; }

  // ---- Faults ----
  void crash(std::size_t node);
  void restart(std::size_t node);
  bool is_up(std::size_t node) const { return nodes_[node].replica != nullptr; }
  adversary::Misbehaviour& misbehaviour(std::size_t node) { return nodes_[node].misbehaviour; }
  Disk& disk(std::size_t node) { return nodes_[node].disk; }
  objects::Replica* replica(std::size_t node) { return nodes_[node].replica.get(); }
  /// When its present life began.
  Instant started_at(std::size_t node) const { return nodes_[node].started_at; }
  /// Nodes are 0 .., clients follow.
  using Endpoint = std::size_t;
  Endpoint endpoint_of(const wire::NodeKey& key) const;
  std::size_t endpoint_count() const { return nodes_.size() + clients_.size(); }
  /// What `from` sends does not arrive at `to` until it was mended as often as it was cut.
  void cut(Endpoint from, Endpoint to) { ++cuts_[from * endpoint_count() + to]; }
  void mend(Endpoint from, Endpoint to) { --cuts_[from * endpoint_count() + to]; }
  /// The clock of a node advances by so much in a second of everybody's. Requires: time 0.
  void set_clock_rate(std::size_t node, std::int64_t per_mille) {
    nodes_[node].clock_per_mille = per_mille;
  }
  /// The longest sync of its disk.
  static constexpr Duration kSyncMax = std::chrono::milliseconds(5);
  void set_sync_max(std::size_t node, Duration longest) { nodes_[node].sync_max = longest; }
  /// Keeps a copy of the disk; `roll_back` crashes the node and starts it from that copy.
  void back_up(std::size_t node);
  void roll_back(std::size_t node);
  /// The same, and what the node learnt since is kept from it, until return_to_the_present().
  void return_to_the_past(std::size_t node);
  void return_to_the_present(std::size_t node);
  /// An empty directory: a new incarnation, which stays down until an epoch names it.
  void wipe(std::size_t node);
  bool is_waiting_for_admission(std::size_t node) const { return nodes_[node].is_wiped; }
  /// How often a disk was wiped or rolled back.
  std::uint64_t lost_disks() const { return lost_disks_; }
  /// How many objects have left disks.
  std::uint64_t deletes() const { return deletes_; }

  // ---- Work of clients; `done` is called once ----
  using Done = std::function<void(const objects::OperationResult&)>;
  void write_block(std::size_t client, const Buffer& bytes, Duration timeout, Done done);
  /// Under a hold of the caller's choice.
  void write_block(std::size_t client, const Buffer& bytes, wire::Hold hold, bool is_offered_first,
                   Duration timeout, Done done);
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
  /// Admitted anew, with this quota.
  void admit(std::size_t client, std::uint64_t quota_bytes);
  static constexpr std::uint64_t kQuotaFloor = 1024;
  const crypto::PublicKey& client_key(std::size_t client) const {
    return clients_[client].key.public_key();
  }
  static constexpr Timestamp kExpiry{4'000'000'000};
  wire::Hold make_hold(std::size_t client, const wire::ObjectId& id, std::uint64_t size,
                       Timestamp expiry = kExpiry);
  const crypto::SignatureScheme& scheme() const { return *scheme_; }
  const crypto::SecretKey& client_secret(std::size_t client) const { return clients_[client].key; }
  /// Past the client's core: whatever a hostile client may send, once.
  void send_raw(std::size_t client, std::size_t node, wire::RequestBody body);

  /// The configuration under which a client counts answers.
  const membership::Configuration& configuration_of(std::size_t client) const {
    return clients_[client].core->verifier().configuration();
  }
  wire::Epoch epoch_of(std::size_t client) const { return configuration_of(client).number().epoch; }

  // ---- Looking on ----
  /// Sees every answer that a node sends and does not falsify, and which object was asked about.
  using Watcher = std::function<void(std::size_t node, Endpoint to, const wire::Answer& answer,
                                     const std::optional<wire::ObjectId>& about)>;
  void watch(Watcher watcher) { watcher_ = std::move(watcher); }
  /// Is called before an object leaves the disk of a node that tells the truth.
  using DeleteWatcher = std::function<void(std::size_t node, const wire::ObjectId& id)>;
  void watch_deletes(DeleteWatcher watcher) { delete_watcher_ = std::move(watcher); }
  /// Is called with what a node that tells the truth noticed about another.
  using ReportWatcher = std::function<void(std::size_t node, const objects::Report& report)>;
  void watch_reports(ReportWatcher watcher) { report_watcher_ = std::move(watcher); }
  /// Remembers the last `lines` events as sentences.
  void tell(std::size_t lines) { story_max_ = lines; }
  void tell(const std::string& what);
  const std::deque<std::string>& story() const { return story_; }

  /// Runs `what` after `delay`.
  void at(Duration delay, std::function<void()> what);
  /// Runs events until `is_done` or until virtual time passed `limit`. True when done.
  bool run_until(const std::function<bool()>& is_done, Duration limit);
  void run_for(Duration time);

  /// Hash of all that happened.
  crypto::Digest trace_hash() const { return trace_.digest(); }
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
    Instant started_at;
    Duration sync_max = kSyncMax;
    std::int64_t clock_per_mille = 1000;
    bool is_wiped = false;
    bool is_of_the_past = false;  // learns no epoch
    struct Backup {
      Disk disk;
      std::size_t known = 0;
    };
    std::optional<Backup> backup;
  };
  /// What is to be done lies apart, so that the queue moves small things.
  struct Event {
    Instant time;
    std::uint64_t number;
    std::size_t action;
    bool operator<(const Event& other) const {  // priority_queue: the greatest first
      return std::tie(time, number) > std::tie(other.time, other.number);
    }
  };
  using Action = std::move_only_function<void()>;
  /// What goes into the trace.
  enum class Mark : std::uint8_t {
    kRequest = 1,
    kAnswer,
    kPersisted,
    kEpoch,
    kCrash,
    kRestart,
    kFinish
  };

  void schedule(Instant time, Action run);
  void note(Mark mark, std::uint64_t a, std::uint64_t b = 0);
  std::string name_of(Endpoint endpoint) const;
  /// What the clock of a node shows, and when it will show that.
  Instant local(std::size_t node) const;
  Instant global(std::size_t node, Instant local) const;
  /// A message under way. They lie apart and their places are used again: a message is large.
  struct Letter {
    Endpoint from = 0;
    Endpoint to = 0;
    wire::Message message;
  };
  void transmit(Endpoint from, Endpoint to, wire::Message message);
  void post(Endpoint from, Endpoint to, wire::Message message, Duration latency);
  void deliver(Letter letter);
  void deliver_request(Endpoint from, std::size_t node, wire::Request request);
  void tell(const Letter& letter);
  void send_answer(std::size_t node, objects::SendAnswer& effect);
  /// Gives a core an input, `give(core, effects)`, and performs what it asks for. The effects'
  /// memory is used again.
  template <typename Input>
  void feed_node(std::size_t node, const Input& give) {
    objects::Effects effects = std::exchange(effects_, {});
    give(*nodes_[node].replica, effects);
    perform(node, effects);
    effects.clear();
    effects_ = std::move(effects);
  }
  template <typename Input>
  void feed_client(std::size_t client, const Input& give) {
    objects::ClientEffects effects = std::exchange(client_effects_, {});
    give(*clients_[client].core, effects);
    perform(client, effects);
    effects.clear();
    client_effects_ = std::move(effects);
  }
  void perform(std::size_t node, objects::Effects& effects);
  void perform(std::size_t client, objects::ClientEffects& effects);
  /// Feeds the node after `delay`, unless it crashed meanwhile.
  template <typename Input>
  void feed_later(std::size_t node, Duration delay, Input give) {
    schedule(now_ + delay, [this, node, life = nodes_[node].life, give = std::move(give)] {
      if (nodes_[node].life == life && nodes_[node].replica) feed_node(node, give);
    });
  }
  std::optional<wire::Answer> false_statement(std::size_t node, const wire::Request& request);
  void watch_deletes(std::size_t node, const std::vector<wire::StorageWrite>& writes);
  bool is_time_for_invariants();
  void learn_as_client(std::size_t client);
  void renew_lease_now_and_then(std::size_t client);
  void renew_lease(std::size_t client);
  Instant leased_until(std::size_t known) const;
  void wake_node(std::size_t node);
  void wake_client(std::size_t client);
  /// Verifies what follows configuration `known`, as a peer would.
  objects::Verifier next_verifier(std::size_t known, ByteView description) const;
  void learn_later(std::size_t node, Duration spread);
  void learn(std::size_t node);

  Random random_;
  const crypto::SignatureScheme* scheme_;
  Instant now_{};
  std::priority_queue<Event> events_;
  Slots<Action> actions_;  // by Event::action
  Slots<Letter> letters_;
  objects::Effects effects_;  // empty
  objects::ClientEffects client_effects_;
  std::uint64_t event_count_ = 0;
  std::uint64_t inputs_ = 0;
  std::uint64_t lost_disks_ = 0;
  std::uint64_t deletes_ = 0;
  bool has_encoded_messages_;
  objects::ReplicaLimits limits_;
  Trace trace_;
  NetworkFaults network_;
  std::vector<std::uint16_t> cuts_;  // by from and to
  Watcher watcher_;
  DeleteWatcher delete_watcher_;
  ReportWatcher report_watcher_;
  std::unordered_map<std::uint64_t, wire::ObjectId> asked_about_;  // by nonce, while watched
  std::size_t story_max_ = 0;
  std::deque<std::string> story_;
  std::vector<crypto::SecretKey> authorities_;
  std::vector<membership::SeatKey> service_keys_;
  bool has_leases_;
  std::vector<std::shared_ptr<const membership::Configuration>> chain_;
  std::vector<Instant> followed_at_;  // when each of chain_ but the newest was followed by the next
  std::map<wire::NodeKey, Endpoint> endpoint_of_;
  std::vector<SimNode> nodes_;
  std::vector<SimClient> clients_;
  std::map<std::pair<std::size_t, objects::Observation>, std::uint64_t> observations_;
};

}  // namespace rosebud::sim
