// A client of a group on real sockets: client cores on a thread of their own, with a connection to
// every replica.
//
// Thread-safe: any thread may submit; completions run on the host's thread and must not block.
#pragma once

#include <functional>
#include <memory>

#include "base/result.h"
#include "pbft/client.h"
#include "replication/group_file.h"

namespace rosebud::replication {

struct ClientOptions {
  GroupFile group;
  /// Requests are signed with the first; with more of them as many requests are in flight at a
  /// time.
  std::vector<crypto::SecretKey> keys;
  /// An operation that is not done by then ends as unknown.
  Duration timeout = std::chrono::seconds(30);
  Duration reply_timeout = std::chrono::milliseconds(500);
};

struct Outcome {
  enum class Status : std::uint8_t {
    kExecuted,    // with the result that F+1 replicas gave
    kNotAClient,  // the service does not hear this key, as far as F+1 replicas have got
    // Whether it was executed is not known: a later request of this key was (somebody else uses it,
    // or an earlier process' request came late), or the group has forgotten the key.
    kOvertaken,
    kUnknown,  // it may be executed still, or was: nobody said so in time
  };
  Status status = Status::kUnknown;
  Buffer result;
};

class ClientHost {
 public:
  using Done = std::function<void(Outcome)>;

  /// Requires: at least one key, at most 512.
  static std::unique_ptr<ClientHost> open(ClientOptions options);
  /// What is under way ends as unknown, on the thread that calls this, which is not the host's.
  virtual ~ClientHost() = default;

  /// Operations of one key go one after the other; this takes a key that is free, or waits for
  /// one. Requires: at most kOperationSizeMax bytes.
  virtual void submit(Buffer operation, Done done) = 0;
  /// Submits and waits.
  Outcome wait(Buffer operation);
  /// "name: problem" of every replica that cannot be talked to.
  virtual std::vector<std::string> problems() = 0;
};

}  // namespace rosebud::replication
