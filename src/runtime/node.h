// One storage node: the replica core on real sockets, disk and time.
//
// Threads: the core, all connections and timers on one (the caller's, in run()); hashing,
// signatures and reads of the disk on a small pool; commits on the committer's. What waits is
// bounded: per connection by pausing its reading, in the core by its limits, towards peers by the
// queues of the links, and all of it together by shares of memory_bytes.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>

#include "base/result.h"
#include "objects/replica.h"

namespace rosebud::runtime {

struct NodeOptions {
  std::filesystem::path genesis;
  std::filesystem::path key;
  std::filesystem::path data;
  /// For a node that no configuration names yet: its organisation's statement. Empty: it is a
  /// member.
  std::filesystem::path admission;
  std::string listen;                     // "host:port"; empty: the address in the configuration
  std::uint16_t admin_port = 0;           // 0: any free one
  std::filesystem::path admin_port_file;  // where the chosen port is written; empty: nowhere
  bool is_development =
      false;  // allows misbehaviour to be switched on (design: development clusters only)
  std::uint64_t reserve_bytes = 256ULL << 20;
  std::uint64_t memory_bytes = 512ULL << 20;
  std::uint32_t worker_threads = 2;
  std::uint32_t reconcile_seconds = 60;
  std::uint32_t scrub_interval_ms = 500;
  std::uint32_t audit_seconds = 10;  // between two audits; 0: it asks nobody
};

class Node {
 public:
  /// Checks everything that can be checked before serving: files, identity, lock, port.
  static Result<std::unique_ptr<Node>, Explained> open(NodeOptions options);
  ~Node();

  const std::string& name() const;
  const std::string& address() const;
  std::uint16_t admin_port() const;
  /// Serves until stop().
  void run();
  /// From any thread and from signal handlers' threads: takes nothing new, finishes what is under
  /// way, at most 2 s of it, and returns from run().
  void stop();

 private:
  class Impl;
  explicit Node(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace rosebud::runtime
