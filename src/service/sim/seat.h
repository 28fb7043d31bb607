// The replica of one seat in virtual time, as replication/replica_driver.h runs one: what it says
// leaves when everything that it persisted before is on disk.
#pragma once

#include "pbft/replica.h"
#include "service/instance.h"
#include "service/sim/agenda.h"

namespace rosebud::service::sim {

/// From a start to a crash. What it has planned is forgotten with it.
class SeatReplica {
 public:
  struct Events {
    std::function<void(pbft::ReplicaId, const Buffer&)> send;
    std::function<void(const pbft::ClientId&, const pbft::Reply&)> reply;
    std::function<void()> on_change;
    std::function<pbft::Now()> now;
  };

  /// `agenda`, `machine` and `records`, its disk, must outlive it.
  SeatReplica(Agenda& agenda, pbft::Identity identity, std::shared_ptr<const pbft::Group> group,
              pbft::StateMachine& machine, std::map<Bytes, Bytes>& records, Random random,
              Events events);
  SeatReplica(const SeatReplica&) = delete;  // what it has planned points to it
  SeatReplica& operator=(const SeatReplica&) = delete;

  void start();
  const pbft::Replica& replica() const { return replica_; }

  /// False: no message.
  bool take_message(pbft::ReplicaId from, ByteView bytes);
  /// False: no request.
  bool take_request(ByteView bytes);
  void on_link(pbft::ReplicaId peer, bool is_up);

 private:
  template <typename Input>
  void later(Input input);
  template <typename Input>
  void feed(Input input);
  void perform(pbft::Effect effect);
  void write(pbft::Persist persist);
  void leave(const pbft::Effect& effect);
  void wake();

  Agenda& agenda_;
  std::map<Bytes, Bytes>& records_;
  Random random_;
  Events events_;
  pbft::Verifier verifier_;
  pbft::Replica replica_;
  Instant sync_begins_;
  Instant synced_at_;
  std::size_t syncing_ = 0;  // persists that are not durable yet
  Instant wake_at_ = Instant::max();
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

}  // namespace rosebud::service::sim
