// The parts of rosebud-trial. Each command returns when it is done; failures say what to do.
#pragma once

#include <chrono>
#include <filesystem>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "client/session.h"

namespace rosebud::trial {

struct LoadOptions {
  std::filesystem::path client;              // folder with the client's rosebud.toml
  std::vector<std::filesystem::path> peers;  // of clients whose records are read
  std::uint32_t peer_records = 4;            // how many of each sort every peer has, at most
  std::uint32_t peer_contested = 2;
  std::filesystem::path history;  // file that is appended to
  std::string name;               // of this client in the history
  std::uint64_t seed = 1;
  std::uint32_t records = 4;    // of its own: one lane writes each
  std::uint32_t contested = 0;  // that another client with the same key writes too
  std::uint32_t readers = 4;    // lanes that read records of all peers
  std::uint32_t blocks = 1;     // lanes that write and read blocks
  std::uint32_t files = 1;      // lanes that add files and publish their ids
  std::uint32_t pause_ms = 20;  // of each lane between two operations, on average
  double timeout_seconds = 4;
};
/// Until SIGTERM. Prints a line of JSON each second: how many operations ended so, since the start.
Status<Explained> run_load(const LoadOptions& options);

struct ReadbackOptions {
  std::filesystem::path client;
  std::filesystem::path histories;  // folder; this command's own goes there too
  double timeout_seconds = 30;
};
/// Reads everything that was ever acknowledged. False: something did not come back; said on
/// standard error.
Result<bool, Explained> read_back(const ReadbackOptions& options);

struct CheckOptions {
  std::filesystem::path histories;
  std::filesystem::path faults;  // lines of {"kind","begin","end"}; empty: none
};
/// Prints what is wrong with the history, and operations by outcome and by fault. False: it is
/// wrong.
Result<bool, Explained> check_history(const CheckOptions& options);

struct ProxyOptions {
  std::string listen;
  std::string to;
  std::uint64_t seed = 1;
};
/// Passes connections on until standard input ends, which gives the orders (proxy.cc).
Status<Explained> run_proxy(const ProxyOptions& options);

struct NextEpochOptions {
  std::filesystem::path genesis;
  std::filesystem::path keys;    // folder with NAME.epoch-1.key of the first service's members
  std::filesystem::path epochs;  // folder "epochs" in a node's data directory
  std::vector<std::string> remove;
  std::vector<std::string> add;  // names of nodes in the genesis
  std::uint32_t count = 1;       // epochs; all behind the first keep its members
};
/// Writes the descriptions that follow the newest one in the folder.
Status<Explained> make_next_epoch(const NextEpochOptions& options);

/// The session of the client in this folder.
Result<std::unique_ptr<client::Session>, Explained> open_session(
    const std::filesystem::path& folder, client::ClusterFile& file_out);

inline Duration duration_of(double seconds) {
  return Duration(static_cast<std::int64_t>(seconds * 1e6));
}

struct EpochsOptions {
  std::filesystem::path out;
  std::uint64_t count = 10;     // epochs, the genesis among them
  std::uint64_t bodies_to = 0;  // epochs from 2 to this have their bodies; 0: none
};
/// Writes a chain of epochs (docs/format/epochs.md) with real signatures; prints its cluster id.
Status<Explained> write_epochs(const EpochsOptions& options);

}  // namespace rosebud::trial
