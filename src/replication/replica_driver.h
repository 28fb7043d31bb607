// A replica core with a disk, threads and time, whatever carries its messages.
//
// Everything on the io_context's thread, but signatures that the pool verifies and commits that the
// writer does. A service with connections of its own (a storage node) uses this; replica_host.h
// adds connections of a group's own.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <deque>
#include <functional>
#include <map>

#include "crypto/signature.h"
#include "disk/record_store.h"
#include "pbft/replica.h"
#include "replication/durable_order.h"
#include "replication/record_writer.h"

namespace rosebud::replication {

/// Of this process's clocks.
pbft::Now read_now();

/// Held as long as something that came in takes memory; who made it learns of the end by its
/// deleter, on the io_context's thread.
using Permit = std::shared_ptr<void>;

class ReplicaDriver {
 public:
  struct Events {
    /// Bytes for the link to a member, as pbft::encode makes them.
    std::function<void(pbft::ReplicaId to, const Buffer& message)> send;
    std::function<void(const pbft::ClientId& to, const pbft::Reply&)> reply;
    std::function<void(const pbft::Evidence&)> on_evidence;
    /// After every input: who looks at the replica may compare.
    std::function<void()> on_change;
    /// The disk takes nothing any more. The process ends, which is a crash, and is started again.
    std::function<void(const Explained&)> on_disk_failure;
  };
  struct Statistics {
    std::uint64_t messages_in = 0;
    std::uint64_t requests_in = 0;
    std::uint64_t rejected = 0;  // signatures and proofs that did not hold
    std::uint64_t requests_executed = 0;
    std::uint64_t batches_executed = 0;
    std::uint64_t commits = 0;  // syncs
  };

  /// `machine` in its first state. All references must outlive it. `worker_threads`: that verify.
  static Result<std::unique_ptr<ReplicaDriver>, Explained> open(
      boost::asio::io_context& io, pbft::Identity identity, const pbft::Verifier& verifier,
      const pbft::Settings& settings, pbft::StateMachine& machine, disk::RecordStore& store,
      unsigned worker_threads, Events events);
  ~ReplicaDriver();

  /// Once, when messages can be sent.
  void start();
  /// Nothing is sent or taken any more; what was persisted is written.
  void stop();

  /// From a member; the link proves which. False: no message.
  [[nodiscard]] bool take_message(pbft::ReplicaId from, ByteView bytes, Permit permit);
  /// From a client, or on a client's behalf, over a connection that `source` names: sources take
  /// turns. False: no request. `on_verified` (may be empty) is told whether it passed the second
  /// gate, before it is executed.
  [[nodiscard]] bool take_request(std::uint64_t source, ByteView bytes, Permit permit,
                                  std::function<void(bool, const pbft::ClientId&)> on_verified);
  /// Work for a client beside the io_context: `work` there, where clients' requests are verified,
  /// then what it returns on the io_context.
  void run_for_client(std::function<std::function<void()>()> work);
  void on_link(pbft::ReplicaId peer, bool is_up);

  const pbft::Replica& replica() const { return *replica_; }
  const Statistics& statistics() const { return statistics_; }

 private:
  struct Incoming;
  struct Checked;
  struct Outgoing;
  struct Lane;
  /// Members' seats come first, then clients' connections.
  using Source = std::uint64_t;
  static constexpr Source kFirstClient = 1U << 16;
  using Lanes = std::map<Source, Lane>;

  ReplicaDriver(boost::asio::io_context& io, disk::RecordStore& store, unsigned worker_threads,
                const pbft::Verifier& verifier, Events events);

  Duration cost_of(const Incoming& one) const;
  void verify_later(Source source, Incoming one);
  void verify_together();
  void verify_lanes(Lanes::iterator from, Lanes::iterator to, std::size_t& jobs);
  std::vector<Incoming> take_some(Lane& lane);
  void verify_on_pool(Source source, std::vector<Incoming> some);
  void verify_rest(Source source, std::vector<Checked> checked);
  boost::asio::thread_pool& pool_of(Source source) {
    return source < kFirstClient ? workers_ : client_workers_;
  }
  void end_job(Source source);
  void put_aside(Incoming one);
  void verify_put_aside();
  Checked check(Incoming one) const;
  void go_on(Checked& one) const;
  void feed(std::vector<Checked> checked);
  void feed_one(Checked one, pbft::Effects& out);
  /// Runs on the io_context if the driver is still there.
  template <typename What>
  void post_back(What what);
  void perform(pbft::Effects effects);
  void leave(Outgoing one);
  void on_committed(const Status<Explained>& status, std::uint64_t count);
  bool is_disk_behind() const;
  void wake_at(Instant deadline);

  boost::asio::io_context& io_;
  pbft::Verifier verifier_;
  Events events_;
  std::unique_ptr<pbft::Replica> replica_;
  std::shared_ptr<pbft::ReplicaSessions> sessions_;  // under session keys
  DurableOrder<Outgoing> order_;
  // What waits for verification, in order for each source. One job of a lane at a time, and a long
  // one gives way to others in between, so that nobody waits for more than a piece of each other.
  Lanes lanes_;
  std::size_t member_jobs_ = 0;  // lanes with a job on a pool
  std::size_t client_jobs_ = 0;
  bool is_verifying_posted_ = false;
  // By signer: the newest of its votes that nobody here waits for. What is remembered of them
  // shows a replica after a restart whether it forgot votes, so they are not just dropped.
  std::map<pbft::ReplicaId, Incoming> put_aside_;
  boost::asio::steady_timer put_aside_timer_;
  boost::asio::steady_timer timer_;
  Instant timer_at_ = Instant::max();
  Statistics statistics_;
  bool is_stopped_ = false;
  // Strangers may ask for as much as they like: members' messages do not wait behind it.
  boost::asio::thread_pool workers_;
  boost::asio::thread_pool client_workers_{1};
  std::unique_ptr<RecordWriter> writer_;
  std::shared_ptr<ReplicaDriver*> alive_ = std::make_shared<ReplicaDriver*>(this);
};

}  // namespace rosebud::replication
