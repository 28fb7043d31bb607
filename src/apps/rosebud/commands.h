// What all commands share: global options, printing, and how a failure ends the program.
#pragma once

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "client/session.h"

namespace rosebud::apps {

using client::ExitCode;
using client::Failure;

/// Options that every command takes.
struct Globals {
  bool is_json = false;
  bool is_quiet = false;
  double timeout_seconds = 30;
  std::string cluster;
  bool is_stale_allowed = false;

  Duration timeout() const { return Duration(static_cast<std::int64_t>(timeout_seconds * 1e6)); }
};

/// Thrown inside commands only, and caught in main: ends the program with an explanation and an
/// exit code.
struct Stop {
  Failure failure;
};
[[noreturn]] void stop(ExitCode code, Explained explained);

/// The value, or the end of the program.
template <typename T>
T or_stop(Result<T, Explained> result, ExitCode code = ExitCode::kUsage) {
  if (!result) stop(code, std::move(result.error()));
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}
template <typename T>
T or_stop(Result<T, Failure> result) {
  if (!result) throw Stop{std::move(result.error())};
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

/// A session whose observations of nodes (wrong bytes, old records) are added to what this client
/// keeps, at its end.
class OpenSession {
 public:
  explicit OpenSession(const Globals& globals);
  ~OpenSession();
  OpenSession(const OpenSession&) = delete;
  OpenSession& operator=(const OpenSession&) = delete;

  client::Session& operator*() const { return *session_; }
  client::Session* operator->() const { return session_.get(); }
  const client::ClusterFile& file() const { return file_; }

 private:
  client::ClusterFile file_;
  std::unique_ptr<client::Session> session_;
};
/// What this client has seen nodes do: a list of {node, kind, count}.
nlohmann::json kept_observations(const std::filesystem::path& state);

/// A failure that does not end the program, on standard error; JSON with --json.
void warn(const Globals& globals, const Explained& explained);

/// One JSON object a line with --json, else the text; nothing of the text with -q.
void print(const Globals& globals, const nlohmann::json& json, const std::string& text);

/// The text with what would move a terminal's cursor, or is no UTF-8, written as \xNN: names and
/// values come from others.
std::string visible(const std::string& text);
/// Puts text that others chose. JSON takes UTF-8 only: what is not is put with replacements, and
/// its exact bytes as KEY_hex beside it.
void put_text(nlohmann::json& into, const std::string& key, const std::string& text);
/// Sends on what was printed, for whoever waits for it; ends the program when that cannot be done.
void flush_output();
/// Why standard output took no more; `error`: an errno, 0 when it is not known.
Explained cannot_print(int error);

/// Rate and time left on standard error, when that is a terminal and more than two seconds passed.
class Progress {
 public:
  Progress(const Globals& globals, std::string doing, std::uint64_t total_bytes);
  ~Progress();
  void add(std::uint64_t bytes);
  double seconds() const;

 private:
  void show(bool is_last);
  bool is_shown_;
  std::string doing_;
  std::uint64_t total_;
  std::uint64_t done_ = 0;
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point last_ = started_;
  bool has_shown_ = false;
};

std::string human_bytes(double bytes);

/// GET or POST on a node's admin listener. The body, or what went wrong.
Result<std::string, Explained> admin_request(std::uint16_t port, const std::string& method,
                                             const std::string& target);

void add_file_commands(CLI::App& app, Globals& globals);
/// fs create, list, ls, cat, stat, du, check, cp, sync, mkdir, mv, rm, share, snapshot: volumes.
void add_fs_commands(CLI::App& app, Globals& globals);
/// mount, umount.
void add_mount_commands(CLI::App& app, Globals& globals);
void add_ref_commands(CLI::App& app, Globals& globals);
void add_node_commands(CLI::App& app, Globals& globals);
/// Runs a node until it is told to stop. `watch`: on a thread beside it, with the port of its admin
/// listener; may be empty.
void run_node(const std::string& node_file, const std::function<void(std::uint16_t)>& watch);
void add_join_command(CLI::App& node, Globals& globals);
void add_identity_commands(CLI::App& app, Globals& globals);
void add_dev_commands(CLI::App& app, Globals& globals);
void add_status_command(CLI::App& app, Globals& globals);
void add_car_commands(CLI::App& app, Globals& globals);
void add_evidence_commands(CLI::App& app, Globals& globals);
void add_epoch_commands(CLI::App& app, Globals& globals);
/// Revokes a node as its organisation, whose folder has the authority's key, and waits for the
/// epoch without it. Ends the program when that cannot be.
void revoke_member(const Globals& globals, const std::string& name,
                   const std::filesystem::path& organisation);
void add_member_commands(CLI::App& app, Globals& globals);
void add_bench_commands(CLI::App& app, Globals& globals);
/// lookup, ring: the overlay as one node sees it.
void add_overlay_commands(CLI::App& app, Globals& globals);

}  // namespace rosebud::apps
