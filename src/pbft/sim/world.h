// A whole group in one process and in virtual time: the same cores as anywhere, a network that
// loses, delays, duplicates and cuts, disks that forget what was not synced, clocks that differ,
// and replicas that misbehave.
//
// A seed fixes everything. Events run in the order of (time, number); every delivery goes into the
// trace, so two runs of one seed can be compared with one number. Whether a message verifies is
// judged once for all who get it, which is the same as by each of them: verify.h is pure.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <queue>

#include "pbft/client.h"
#include "pbft/replica.h"
#include "pbft/sim/ledger.h"
#include "pbft/sim/misbehaviour.h"

namespace rosebud::pbft::sim {

struct NetworkFaults {
  Duration latency_min = std::chrono::microseconds(200);
  Duration latency_max = std::chrono::milliseconds(10);
  std::uint32_t loss_per_mille = 0;
  std::uint32_t duplicate_per_mille = 0;
};

struct WorldOptions {
  std::uint64_t seed = 1;
  std::uint32_t faults = 1;
  std::uint32_t clients = 4;
  std::uint32_t vacant = 0;  // seats without a replica, the last ones
  bool has_real_signatures = false;
  bool has_encoded_messages = false;
  /// Broken connections are told to the cores.
  bool has_link_hints = false;
  bool loses_superfluous_votes = false;  // as a driver under load
  Settings settings{};
  /// Makes what is replicated; nothing: the ledger, which the checkers need.
  std::function<std::unique_ptr<StateMachine>()> make_machine;
};

/// A disk: what was persisted stays, what was under way at a crash is lost.
using Disk = std::map<Bytes, Bytes>;

class World {
 public:
  explicit World(const WorldOptions& options);
  World(const World&) = delete;  // events point to it
  World& operator=(const World&) = delete;

  // ---- Who there is: seats 0 .. count-1, clients behind them ----
  const Group& group() const { return *group_; }
  const Verifier& verifier() const { return verifier_; }
  std::size_t seat_count() const { return group_->members().size(); }
  std::size_t client_count() const { return clients_.size(); }
  std::size_t endpoint_count() const { return seat_count() + client_count(); }
  const WorldOptions& options() const { return options_; }
  Random& random() { return random_; }
  Instant now() const { return now_; }
  /// What a clock that is right shows.
  AgreedTime wall() const;
  /// The latest that one ever showed.
  AgreedTime latest_wall() const { return std::max(wall(), wall_before_); }
  ClientId client_id(std::size_t client) const { return clients_[client].key.public_key(); }
  /// Nothing while it is down. Of a twin: the first copy.
  const Replica* replica(std::size_t seat) const { return cores_[seat].replica.get(); }
  /// Requires: no other machine was asked for.
  const Ledger& ledger(std::size_t seat) const {
    return dynamic_cast<const Ledger&>(*cores_[seat].machine);
  }
  const StateMachine& machine(std::size_t seat) const { return *cores_[seat].machine; }
  const Disk& disk(std::size_t seat) const { return cores_[seat].disk; }

  // ---- Faults ----
  NetworkFaults& network() { return network_; }
  bool is_up(std::size_t seat) const { return cores_[seat].replica != nullptr; }
  void crash(std::size_t seat);
  void restart(std::size_t seat);
  void misbehave(std::size_t seat, Mode mode);
  Mode mode(std::size_t seat) const { return cores_[seat].misbehaviour.mode(); }
  void back_up(std::size_t seat) { cores_[seat].backup = cores_[seat].disk; }
  /// Crashes the replica and starts it from the copy that was kept, or from nothing.
  void roll_back(std::size_t seat);
  void wipe(std::size_t seat);
  void cut(std::size_t from, std::size_t to) { ++cuts_[from * endpoint_count() + to]; }
  void mend(std::size_t from, std::size_t to) { --cuts_[from * endpoint_count() + to]; }
  void set_sync_max(std::size_t seat, Duration longest) { cores_[seat].sync_max = longest; }
  /// Its clock shows so much more or less than others.
  void set_clock_offset(std::size_t seat, std::int64_t ms) { cores_[seat].clock_offset_ms = ms; }
  /// All replicas' clocks were wrong till now.
  void set_clocks_back(Duration by) {
    wall_before_ = latest_wall();
    clocks_back_ += by;
  }

  // ---- Work ----
  using Done = std::function<void(const Finish&)>;
  void submit(std::size_t client, Bytes operation, Done done);
  void give_up(std::size_t client);
  /// Its process begins anew with the same key. What was under way is heard of no more: it ends as
  /// unknown.
  void begin_client(std::size_t client);
  /// Past the client's core: whatever a hostile client may send.
  void send_raw(std::size_t client, std::size_t seat, Request request);
  const crypto::SecretKey& client_key(std::size_t client) const { return clients_[client].key; }

  // ---- Looking on ----
  struct Watchers {
    /// What a core sends, before misbehaviour edits it.
    std::function<void(std::size_t seat, const Message&)> sent;
    /// Somebody takes it, a liar perhaps.
    std::function<void(std::size_t from_seat, std::size_t to_seat, const Message&)> delivered;
    std::function<void(std::size_t seat, const Execution&)> execution;
    std::function<void(std::size_t seat, const Executed&)> executed;
    std::function<void(std::size_t seat, const Evidence&)> evidence;
    /// After every input of a core.
    std::function<void(std::size_t seat)> after_input;
  };
  /// At the moment when it executes something next, and before anything else happens to it.
  void at_execution(std::size_t seat, std::function<void()> what) {
    at_execution_.insert_or_assign(seat, Action(std::move(what)));
  }
  void watch(Watchers watchers) { watchers_ = std::move(watchers); }
  /// Remembers the last `lines` events as sentences.
  void tell(std::size_t lines) { story_max_ = lines; }
  void tell(const std::string& what);
  const std::deque<std::string>& story() const { return story_; }

  void at(Duration delay, std::function<void()> what);
  /// Runs events until `is_done` or until virtual time passed `limit`. True when done.
  bool run_until(const std::function<bool()>& is_done, Duration limit);
  void run_for(Duration time) {
    run_until([] { return false; }, time);
  }

  std::uint64_t trace() const { return trace_; }
  std::uint64_t event_count() const { return event_count_; }
  std::uint64_t verified_count() const { return verified_; }
  std::uint64_t rejected_count(RejectReason reason) const {
    const auto at = rejected_.find(reason);
    return at == rejected_.end() ? 0 : at->second;
  }

 private:
  /// One running copy of a replica. A twin has a second one.
  struct Core {
    std::size_t seat = 0;
    crypto::SecretKey key;
    Disk disk;
    std::optional<Disk> backup;
    std::unique_ptr<StateMachine> machine;
    std::unique_ptr<Replica> replica;
    Misbehaviour misbehaviour;
    std::uint64_t life = 0;  // completions of an earlier life are lost
    std::optional<Instant> wake_at;
    Instant sync_begins;  // of the last one that was begun or is to begin
    Instant sync_ends;
    std::size_t syncing = 0;  // Persists that are not durable yet
    Duration sync_max = std::chrono::milliseconds(2);
    std::int64_t clock_offset_ms = 0;
  };
  struct SimClient {
    crypto::SecretKey key;
    std::unique_ptr<Client> core;
    std::optional<Instant> wake_at;
    std::map<SubmissionId, Done> waiting;
  };
  struct Event {
    Instant time;
    std::uint64_t number;
    std::size_t action;
    bool operator<(const Event& other) const {  // priority_queue: the greatest first
      return std::tie(time, number) > std::tie(other.time, other.number);
    }
  };
  using Action = std::move_only_function<void()>;
  using Shared = std::shared_ptr<const Verified<Message>>;

  Now now_of(const Core& core) const;
  void schedule(Instant time, Action run);
  void note(std::uint64_t a, std::uint64_t b, std::uint64_t c);
  std::unique_ptr<StateMachine> make_ledger(std::size_t seat);
  void start_core(std::size_t core);
  void perform(std::size_t core, Effects effects);
  void perform(std::size_t client, ClientEffects effects);
  void persist(std::size_t core, std::vector<Write> writes);
  void reply_to(std::size_t core, const ClientId& to, const Reply& said);
  void leave_to_all(std::size_t core, const Message& message);
  void leave(std::size_t core, ReplicaId to, const Message& message);
  Shared verify(const Message& message);
  void transmit(std::size_t from_core, std::size_t to_seat, Shared message, Duration delay);
  void deliver(std::size_t from_seat, std::size_t to_core, const Verified<Message>& message);
  bool is_lost(std::size_t from, std::size_t to);
  Duration latency();
  void wake(std::size_t core);
  void wake_client(std::size_t client);
  void tell_links(std::size_t seat, bool is_up);
  void misbehave_unasked(std::size_t core);

  WorldOptions options_;
  Random random_;
  const crypto::SignatureScheme* scheme_;
  std::vector<crypto::SecretKey> keys_;
  std::shared_ptr<const Group> group_;
  Verifier verifier_;
  Instant now_{};
  Duration clocks_back_{};
  AgreedTime wall_before_;  // clocks were last set back
  std::priority_queue<Event> events_;
  std::vector<Action> actions_;  // by Event::action
  std::vector<std::size_t> free_actions_;
  std::uint64_t event_count_ = 0;
  std::uint64_t at_this_instant_ = 0;  // events at now_, one after the other
  std::uint64_t trace_ = 0;
  std::uint64_t verified_ = 0;
  std::map<RejectReason, std::uint64_t> rejected_;
  NetworkFaults network_;
  std::vector<std::uint16_t> cuts_;  // by from and to
  std::deque<Core> cores_;           // by seat, then twins
  std::vector<SimClient> clients_;
  Watchers watchers_;
  std::map<std::size_t, Action> at_execution_;  // by seat
  std::size_t story_max_ = 0;
  std::deque<std::string> story_;
};

}  // namespace rosebud::pbft::sim
