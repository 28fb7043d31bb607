// A replica as a process of its own: sockets, links to the other members, clients' connections, and
// records on disk.
//
// Everything runs on the thread that calls run(); stop() may come from any. Every member dials
// every other; messages go over the link that their sender dialled. Clients are whoever has a key:
// whose requests are executed is the state machine's business.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "base/result.h"
#include "pbft/state_machine.h"
#include "replication/group_file.h"

namespace rosebud::replication {

struct ReplicaOptions {
  GroupFile group;
  crypto::SecretKey key;               // of a member
  std::filesystem::path data;          // folder of the records; made when it is missing
  std::string listen;                  // "host:port"; empty: the address in the group
  pbft::Settings settings;             // `group` in it is taken from the group file
  unsigned worker_threads = 1;         // that verify signatures
  std::size_t connections_max = 1024;  // that come in; some of them are members' alone
  /// Lines for people: started, members reached and lost, views. May be empty.
  std::function<void(const std::string&)> on_event;
};

struct ReplicaStatus {
  pbft::ReplicaId self;
  pbft::View view;
  bool is_changing_view = false;
  bool may_vote = false;
  bool is_stopped = false;
  std::uint64_t executed = 0;
  std::uint64_t stable = 0;
  std::uint64_t requests_executed = 0;
  std::uint64_t syncs = 0;
  std::uint64_t rejected = 0;
  std::size_t members_reached = 0;
  std::size_t connections = 0;
};

class ReplicaHost {
 public:
  /// Checks everything that can be checked before serving: key, records, port. `machine` in its
  /// first state; it must outlive the host.
  static Result<std::unique_ptr<ReplicaHost>, Explained> open(ReplicaOptions options,
                                                              pbft::StateMachine& machine);
  virtual ~ReplicaHost() = default;

  virtual std::uint16_t port() const = 0;
  /// Serves until stop(). An error: the disk takes nothing any more; start the process again.
  virtual Status<Explained> run() = 0;
  virtual void stop() = 0;
  /// From any thread, once run() was called. After its end: how it was then.
  virtual ReplicaStatus status() = 0;
};

}  // namespace rosebud::replication
