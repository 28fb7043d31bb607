// node join: from a statement and one address to a node that holds its data.
#include <fmt/format.h>
#include <unistd.h>

#include <thread>

#include "apps/rosebud/commands.h"
#include "apps/rosebud/identity.h"
#include "base/files.h"
#include "client/fetch_epochs.h"
#include "crypto/key_file.h"
#include "disk/directory.h"
#include "runtime/epoch_files.h"
#include "runtime/statement_file.h"

namespace rosebud::apps {
namespace {

namespace stdfs = std::filesystem;

struct JoinOptions {
  std::string folder = ".";
  std::string statement;
  std::string at;
};

/// Genesis, epochs, data directory and node.toml, as far as they are missing: an interrupted join
/// goes on.
void prepare(const Globals& globals, const JoinOptions& options) {
  const stdfs::path folder = options.folder;
  const stdfs::path admission_file =
      options.statement.empty() ? folder / "node.admission" : stdfs::path(options.statement);
  const NodeRequest request = read_node_request(folder / "node.request.json");
  const auto key = or_stop(crypto::read_secret_key(folder / "node.key"));
  const auto admission = or_stop(runtime::read_statement(admission_file));
  const auto statement = wire::AdmissionStatement::decode(admission.statement);
  if (!statement || statement->role != wire::Role::kNode ||
      statement->subject != key.public_key() || statement->directory != request.directory) {
    stop(ExitCode::kUsage,
         {.what = admission_file.string() + " does not admit the node in " + folder.string(),
          .cause = "it is another node's, or the node's key was made again since",
          .next = "have the organisation sign this node.request.json: rosebud org admit-node"});
  }
  std::error_code error;
  const bool is_begun = stdfs::exists(folder / "genesis", error);
  if (!stdfs::exists(folder / "data", error)) {
    or_stop(disk::create_directory(
        folder / "data",
        {.cluster = statement->cluster, .node = request.key, .directory = request.directory}));
  }
  if (!is_begun) {
    or_stop(runtime::write_genesis(folder / "genesis", fetch_into(folder / "data", options.at, key,
                                                                  admission, globals.timeout())));
  }
  if (!stdfs::exists(folder / "node.toml", error)) {
    or_stop(replace_file(folder / "node.toml",
                         fmt::format("genesis = \"genesis\"\nkey = \"node.key\"\ndata = \"data\"\n"
                                     "admin_port_file = \"admin.port\"\nadmission = \"{}\"\n",
                                     stdfs::absolute(admission_file).string())));
  }
}

/// What it has come to, in a line; "" when it cannot be asked.
std::string progress_of(std::uint16_t port, bool& is_done) {
  const auto body = admin_request(port, "GET", "/v1/status");
  const auto status = body ? nlohmann::json::parse(*body, nullptr, false) : nlohmann::json();
  if (!status.is_object()) return {};
  is_done = status.value("member", false) && status.value("serving", false);
  const auto epoch = status.value("epoch", std::uint64_t{0});
  if (!status.value("member", false))
    return fmt::format("waits for the epoch that admits it; this is epoch {}", epoch);
  return fmt::format("epoch {}: {} of {} arcs are complete, {} objects here", epoch,
                     status.value("arcs_serving", 0), status.value("arcs", 0),
                     status.value("objects", std::uint64_t{0}));
}

void watch(const Globals& globals, std::uint16_t port) {
  const bool is_terminal = ::isatty(STDERR_FILENO) == 1;
  std::string told;
  for (bool is_done = false; !is_done;) {
    const std::string now = progress_of(port, is_done);
    if (now.empty()) return;  // it has ended
    if (now != told && is_terminal && !globals.is_quiet) fmt::print(stderr, "{}\n", now);
    told = now;
    if (!is_done) std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
  print(globals, {{"serving", true}, {"admin_port", port}},
        "it is a member and holds its data; it serves until it is stopped (SIGTERM)");
  flush_output();
}

}  // namespace

membership::SignedGenesis fetch_into(const stdfs::path& data, const std::string& at,
                                     const crypto::SecretKey& key,
                                     const wire::SignedBytes& admission, Duration timeout) {
  const auto fetched = or_stop(client::fetch_epochs(at, key, admission, timeout));
  const runtime::EpochFiles epochs(data / "epochs");
  for (const auto& one : fetched.after) or_stop(epochs.add(*one));
  return fetched.genesis;
}

void add_join_command(CLI::App& node, Globals& globals) {
  auto options = std::make_shared<JoinOptions>();
  auto* join = node.add_subcommand(
      "join", "Join a cluster with its organisation's statement and one address, and serve");
  join->add_option("--dir", options->folder,
                   "The node's folder, with node.key and node.request.json (rosebud node new)")
      ->capture_default_str();
  join->add_option("--statement", options->statement,
                   "Its node.admission (rosebud org admit-node); default: in the folder");
  join->add_option("--at", options->at, "host:port of any node of the cluster")->required();
  join->callback([&globals, options] {
    prepare(globals, *options);
    run_node((stdfs::path(options->folder) / "node.toml").string(),
             [&globals](std::uint16_t port) { watch(globals, port); });
  });
}

}  // namespace rosebud::apps
