// What the drivers of all other systems share: the command line, the load and the report.
//
// The load is that of `rosebud bench`: the same generator, values of random bytes, records that
// belong to one lane each, so that two operations on one record are never under way together. A
// system says only how it reads and writes one record.
#pragma once

#include <filesystem>
#include <memory>

#include "base/bytes.h"
#include "load/generator.h"

namespace rosebud::peers {

struct Options {
  std::string work;  // record-read or record-write
  std::size_t value_size = 1024;
  std::size_t in_flight = 16;
  std::size_t records_to_read = 1000;
  double seconds = 10;
  double warm_up_seconds = 2;
  std::filesystem::path folder;      // of a system that runs inside the driver
  std::vector<std::uint16_t> ports;  // of the servers, on 127.0.0.1
  std::uint16_t own_port = 0;        // of a client that is a node itself
  std::vector<int> server_processes;
};

/// A client of one system. Its calls come from any thread; a lane's next one comes after the last
/// has ended.
class System {
 public:
  virtual ~System() = default;
  /// Stores the value under the number of a record; the driver never uses one number twice at once.
  virtual void write(std::size_t record, Bytes value, load::Ended ended) = 0;
  /// Ends without a failure only when the value is there.
  virtual void read(std::size_t record, load::Ended ended) = 0;
};

/// What cannot go on, in words for a person.
struct Failure {
  std::string what;
};

struct Driver {
  /// Connects, and waits until the system answers; throws Failure when it does not.
  std::function<std::unique_ptr<System>(const Options&)> open;
  /// Of a system that is a library: is one server on a port, knows those on `ports`, never returns.
  std::function<void(std::uint16_t port, const Options&)> serve;
};

/// The whole program: prints one JSON object as `rosebud --json bench` does. Returns the exit code.
int drive(int argc, char** argv, const Driver& driver);

}  // namespace rosebud::peers
