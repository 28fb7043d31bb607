// A client's session with a cluster: the client core on a thread of its own, with connections, keys
// and holds.
//
// Thread-safe: any thread may start operations; completions run on the session's thread and must
// not block.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "base/result.h"
#include "objects/client.h"

namespace rosebud::client {

/// Where a client's things are: what a rosebud.toml says, with absolute paths.
struct ClusterFile {
  std::filesystem::path file;
  std::filesystem::path genesis;
  std::optional<crypto::ClusterId> cluster;  // the trust anchor; checked against the genesis
  std::filesystem::path key;
  std::filesystem::path admission;
  std::filesystem::path state;        // directory of the owner's notes
  std::filesystem::path development;  // directory of a development cluster; empty otherwise
  /// Relies on the newest configuration that is known however old it is (design 9.4).
  bool is_stale_allowed = false;
};

/// Reads a rosebud.toml. Errors name the file, the line and the key.
Result<ClusterFile, Explained> read_cluster_file(const std::filesystem::path& path);
/// --cluster, else ROSEBUD_CLUSTER, else a rosebud.toml here or above, else the user's default.
enum class MayUseDefault : bool { kNo, kYes };
Result<std::filesystem::path, Explained> find_cluster_file(
    const std::string& given, MayUseDefault may_use_default = MayUseDefault::kYes);
/// Where the user's default is kept: a file that holds the path of a rosebud.toml.
std::filesystem::path default_cluster_pointer();

class Session {
 public:
  using Done = std::function<void(objects::OperationResult)>;

  static Result<std::unique_ptr<Session>, Explained> open(const ClusterFile& file);
  virtual ~Session() = default;

  /// The newest that the session knows. It changes with the epochs.
  virtual std::shared_ptr<const membership::Configuration> configuration() const = 0;
  virtual const crypto::SecretKey& key() const = 0;
  /// With which statements are signed; it remembers what it verified and signed.
  virtual const crypto::SignatureScheme& scheme() const = 0;

  virtual void write_block(const wire::ObjectId& id, Buffer bytes, Duration timeout, Done done) = 0;
  virtual void read_block(const wire::ObjectId& id, Duration timeout, Done done) = 0;
  virtual void write_record(const wire::ObjectId& id, wire::SignedRecord record, Duration timeout,
                            Done done) = 0;
  virtual void read_record(const wire::ObjectId& id, Duration timeout, Done done) = 0;

  /// Starts one of the above and waits for its end.
  objects::OperationResult wait(const std::function<void(Done)>& start);

  /// Asks nodes what follows the newest configuration that the session knows, until F+1 members
  /// of the service say that nothing does. Without enough answers by then: what is known.
  virtual std::shared_ptr<const membership::Configuration> learn_newest(Duration timeout) = 0;
  /// Has an operation of the configuration service ordered (service/operations.h, encoded: an
  /// admission or a revocation), and returns what F+1 members of the service say alike: a
  /// service::Answer. Nothing: not in time; asking again does no harm.
  virtual std::optional<std::uint8_t> hand_in(const Bytes& operation, Duration timeout) = 0;

  /// Signed descriptions that follow `after`, oldest first, from some node: a few of them, not
  /// verified. None: nobody gave any in time.
  virtual std::vector<Buffer> descriptions_after(const wire::ConfigurationNumber& after,
                                                 Duration timeout) = 0;

  struct Observed {
    std::string node;
    objects::Observation observation;
    std::uint64_t count = 0;
  };
  virtual std::vector<Observed> observations() const = 0;
  /// "node: problem" of every node that cannot be talked to.
  virtual std::vector<std::string> problems() const = 0;
  /// Of a configuration that may not be relied on any more: ": " and since when, by this machine's
  /// clock. Empty: it may.
  virtual std::string staleness() const = 0;
  /// A reason that no node at all will talk to this client, if all refused it; waiting does not
  /// help then.
  virtual std::optional<std::string> refusal() const = 0;
};

/// Exit codes of design section 17.
enum class ExitCode : int {
  kDone = 0,
  kUsage = 1,
  kNotFound = 2,
  kPartly = 3,
  kConflict = 4,
  kNoQuorum = 5,
  kIntegrity = 6,
  kDenied = 7,
  kTimeout = 8,
};

/// An error with its exit code.
struct Failure {
  ExitCode code = ExitCode::kUsage;
  Explained explained;
  bool is_full = false;  // more than f replicas have no space for it
};

/// The exit code of a failure that is no outcome of an operation.
ExitCode code_of(const Explained& explained);

/// What a result that is not kDone means for a person. `doing`: "storing block bafk…".
Failure failure_of(const objects::OperationResult& result, const std::string& doing,
                   const Session& session);

}  // namespace rosebud::client
