// librosebud: files and records of a Rosebud cluster from C++.
//
// What comes back was verified here: bytes against their id, records against their owner's
// signature, "not found" by 2f+1 replicas. Every call waits until it is done or its timeout passed;
// calls from several threads at once are fine.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace rosebud {

/// Why a call failed. The codes are the exit codes of the command line.
enum class ErrorCode : int {
  kLocal = 1,      // wrong argument, unreadable file, ...
  kNotFound = 2,   // 2f+1 replicas hold nothing
  kConflict = 4,   // superseded, or another version than expected
  kNoQuorum = 5,   // too few replicas answered in time; a write may still become visible
  kIntegrity = 6,  // what was stored makes no sense
  kDenied = 7,     // not admitted, or over quota
  kUnknown = 8,    // sent, but not confirmed in time: call again with the same value
};

struct Error {
  ErrorCode code = ErrorCode::kLocal;
  std::string text;  // what happened; likely cause; what to do next
};

template <typename T>
using Outcome = std::expected<T, Error>;

struct Record {
  std::string value;
  std::uint64_t version = 0;
};

class Cluster {
 public:
  /// `file`: a rosebud.toml, or the folder that has it. Empty: as the command line finds it.
  static Outcome<Cluster> open(const std::filesystem::path& file = {},
                               std::chrono::milliseconds timeout = std::chrono::seconds(30));
  ~Cluster();
  Cluster(Cluster&&) noexcept;
  Cluster& operator=(Cluster&&) noexcept;

  /// Stores bytes as a file; returns its id, the one that IPFS computes (profile unixfs-v1-2025).
  Outcome<std::string> add(std::string_view bytes);
  /// Stores a file or a directory tree.
  Outcome<std::string> add_path(const std::filesystem::path& path);
  /// A whole file. For large ones use read().
  Outcome<std::string> cat(std::string_view id);
  /// Streams a file in order, with bounded memory; `take` returns false to stop early. Returns the
  /// bytes handed over.
  Outcome<std::uint64_t> read(std::string_view id,
                              const std::function<bool(std::span<const std::uint8_t>)>& take);

  /// Publishes a new version of this client's record `name`; returns its version. `expected`: only
  /// when that is the newest.
  Outcome<std::uint64_t> set(std::string_view name, std::string_view value,
                             std::optional<std::uint64_t> expected = std::nullopt);
  /// The newest version of a record: of this client, or of the owner with this public key (64
  /// hexadecimal digits).
  Outcome<Record> get(std::string_view name, std::string_view owner = {});

  /// This client's public key, in hexadecimal digits.
  std::string public_key() const;

 private:
  struct Impl;
  explicit Cluster(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace rosebud
