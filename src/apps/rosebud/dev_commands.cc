// dev: a whole cluster on this machine, of real processes with real keys and disks.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <thread>

#include "apps/rosebud/commands.h"
#include "apps/rosebud/dev_nodes.h"
#include "apps/rosebud/dev_partition.h"
#include "apps/rosebud/identity.h"
#include "base/files.h"
#include "client/record_writer.h"
#include "crypto/key_file.h"
#include "disk/directory.h"
#include "runtime/cut_file.h"
#include "runtime/statement_file.h"

namespace rosebud::apps {
namespace {

namespace stdfs = std::filesystem;

constexpr const char* kOrganisationNames[] = {"alpha",  "beta", "gamma", "delta", "epsilon",
                                              "zeta",   "eta",  "theta", "iota",  "kappa",
                                              "lambda", "mu",   "nu",    "xi"};

struct DevOptions {
  std::string folder;
  std::uint32_t organisations = 4;
  std::uint32_t nodes = 8;
  std::uint32_t faults = 1;
  std::uint64_t epoch_seconds = 0;
  std::string organisation;
  std::string node;
  std::string mode;
  std::vector<std::string> sides;  // of partition
  bool is_one_way = false;
  bool is_deleting = false;
  bool is_confirmed = false;
  bool is_shape_given = false;  // --orgs, --nodes or --faults was typed
};

/// Ports that nobody uses now, below the range from which the system takes ports for outgoing
/// connections: a node that is down must find its port free again, and a dial to it must not meet
/// itself.
std::vector<std::uint16_t> free_ports(std::size_t count) {
  constexpr std::uint32_t kFirst = 15'000;
  constexpr std::uint32_t kCount = 17'000;
  boost::asio::io_context io;
  std::vector<boost::asio::ip::tcp::acceptor>
      held;  // all are held until all are known, so none comes twice
  std::vector<std::uint16_t> out;
  std::uint32_t start = 0;
  crypto::fill_random({reinterpret_cast<std::uint8_t*>(&start), sizeof start});
  for (std::uint32_t i = 0; i < kCount && out.size() < count; ++i) {
    const boost::asio::ip::tcp::endpoint at(
        boost::asio::ip::address_v4::loopback(),
        static_cast<std::uint16_t>(kFirst + (start + i) % kCount));
    boost::asio::ip::tcp::acceptor acceptor(io);
    boost::system::error_code error;
    acceptor.open(at.protocol(), error);
    if (!error) acceptor.bind(at, error);
    if (error) continue;
    held.push_back(std::move(acceptor));
    out.push_back(at.port());
  }
  if (out.size() < count)
    stop(ExitCode::kUsage, {.what = "there are not enough free ports on this machine"});
  return out;
}

/// Of the nodes that this command started, by name; nothing for one that was seen to end.
using Processes = std::map<std::string, std::optional<pid_t>>;

pid_t spawn(const DevNode& node) {
  std::error_code error;
  stdfs::remove(node.folder / "admin.port", error);
  const std::string log = (node.folder / "log").string();
  const std::string config = (node.folder / "node.toml").string();
  const std::string self = stdfs::read_symlink("/proc/self/exe", error).string();
  const pid_t child = ::fork();
  if (child < 0) stop(ExitCode::kUsage, {.what = "cannot start a process for node " + node.name});
  if (child == 0) {
    ::setsid();  // it outlives this command
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    const int in = ::open("/dev/null", O_RDONLY);
    ::dup2(in, 0);
    ::dup2(out, 1);
    ::dup2(out, 2);
    ::execl(self.c_str(), "rosebud", "node", "run", "--config", config.c_str(), nullptr);
    ::_exit(127);
  }
  return child;
}

/// A process that was just started holds no lock yet, for seconds where much else runs: whether it
/// still lives is asked of the system.
bool has_ended(const DevNode& node, Processes& started) {
  if (const auto own = started.find(node.name); own != started.end() && own->second) {
    if (::waitpid(*own->second, nullptr, WNOHANG) == 0) return false;
    own->second.reset();
  }
  return !pid_of(node);
}

std::string last_line_of(const stdfs::path& log) {
  std::ifstream file(log);
  std::string line;
  std::string last;
  while (std::getline(file, line)) last = line;
  return last;
}

bool is_ready(const DevNode& node) {
  const auto port = number_in(node.folder / "admin.port");
  return port && admin_request(static_cast<std::uint16_t>(*port), "GET", "/readyz").has_value();
}

enum class IfEnded : bool {
  kGiveUp,
  /// Once. Suppose somebody killed a node a moment ago: its process holds the lock until the system
  /// has taken it down, and looks as one that runs.
  kStart,
};

/// Waits until all these nodes serve. Reconciling needs 2f others, so they are waited for together.
/// A node that this command started, and whose process ended, is not waited for.
void wait_ready(const std::vector<DevNode>& nodes, Processes started, IfEnded if_ended,
                Duration timeout) {
  const auto end = std::chrono::steady_clock::now() + timeout;
  std::vector<DevNode> waiting = nodes;
  std::vector<DevNode> ended;
  while (true) {
    std::erase_if(waiting, is_ready);
    std::erase_if(waiting, [&](const DevNode& node) {
      if (!has_ended(node, started)) return false;
      if (if_ended == IfEnded::kStart && !started.contains(node.name)) {
        started.emplace(node.name, spawn(node));
        return false;
      }
      ended.push_back(node);
      return true;
    });
    if (waiting.empty() && ended.empty()) return;
    if (waiting.empty()) {
      stop(ended.size() == nodes.size() ? ExitCode::kUsage : ExitCode::kPartly,
           {.what = fmt::format("{} of {} nodes did not start, {} among them", ended.size(),
                                nodes.size(), ended.front().name),
            .cause = "its log ends with: " + last_line_of(ended.front().folder / "log"),
            .next = "remove the cause, then run rosebud dev up again"});
    }
    if (std::chrono::steady_clock::now() > end) {
      stop(ExitCode::kTimeout,
           {.what = fmt::format("{} of {} nodes do not serve yet, {} among them", waiting.size(),
                                nodes.size(), waiting.front().name),
            .cause = "its log ends with: " + last_line_of(waiting.front().folder / "log"),
            .next = "rosebud dev status, and see " + (waiting.front().folder / "log").string()});
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

/// Starts those that do not run, and waits until all serve.
void start_all(const Globals& globals, const std::vector<DevNode>& nodes, Duration at_least) {
  Processes started;
  for (const DevNode& node : nodes) {
    if (!pid_of(node)) started.emplace(node.name, spawn(node));
  }
  wait_ready(nodes, std::move(started), IfEnded::kStart, std::max(globals.timeout(), at_least));
}

void set_default_cluster(const stdfs::path& file) {
  const stdfs::path pointer = client::default_cluster_pointer();
  std::error_code error;
  const auto now = read_text_file(pointer, 4096);
  std::string target = now ? *now : std::string();
  while (!target.empty() && target.back() == '\n') target.pop_back();
  if (!target.empty() && stdfs::exists(target, error)) return;
  stdfs::create_directories(pointer.parent_path(), error);
  // Not being able to set a default is no reason to fail: the folder and --cluster work without.
  (void)replace_file(pointer, file.string() + "\n");
}

/// Left in a folder while a cluster is made in it: what stands beside it is not yet of use to
/// anybody.
constexpr const char* kUnfinished = "unfinished";

/// Whether these organisations can fill every group; ends the program before anything is made.
void check_shape(const DevOptions& options) {
  const auto refuse = [&](std::string cause, std::string next) {
    stop(ExitCode::kUsage,
         {.what = fmt::format("{} nodes in {} organisations cannot bear f = {}", options.nodes,
                              options.organisations, options.faults),
          .cause = std::move(cause),
          .next = std::move(next)});
  };
  constexpr std::uint32_t kFaultsMax = 4;  // 13 replicas of everything: enough for a machine
  if (options.organisations > std::size(kOrganisationNames) || options.organisations == 0 ||
      options.nodes < options.organisations || options.nodes > 256 || options.faults > kFaultsMax) {
    refuse(fmt::format("there are 1 to {} organisations with at least one node each, at most 256 "
                       "nodes, and f is at most {}",
                       std::size(kOrganisationNames), kFaultsMax),
           "rosebud dev up --orgs 4 --nodes 8");
  }
  const std::uint32_t seats = 3 * options.faults + 1;
  const std::uint32_t cap = std::max(options.faults, 1U);
  std::uint32_t fillable = 0;
  for (std::uint32_t i = 0; i < options.organisations; ++i) {
    const std::uint32_t nodes =
        options.nodes / options.organisations + (i < options.nodes % options.organisations ? 1 : 0);
    fillable += std::min(nodes, cap);
  }
  if (fillable >= seats) return;
  const std::uint32_t organisations = std::max(options.organisations, (seats + cap - 1) / cap);
  refuse(
      fmt::format("every object stands on {} nodes, at most {} of one organisation; these fill {}",
                  seats, cap, fillable),
      fmt::format("rosebud dev up --faults {} --orgs {} --nodes {}", options.faults, organisations,
                  std::max(options.nodes, organisations * cap)));
}

/// Removes what an interrupted `dev up` left; refuses a folder that holds something else.
void prepare_folder(const stdfs::path& folder) {
  constexpr const char* kMade[] = {"orgs", "nodes", "client.key", "client.admission",
                                   "rosebud.toml"};
  std::error_code error;
  if (stdfs::exists(folder / kUnfinished, error)) {
    for (const char* made : kMade) stdfs::remove_all(folder / made, error);
  }
  for (const char* taken : kMade) {
    if (!stdfs::exists(folder / taken, error)) continue;
    stop(ExitCode::kUsage,
         {.what = (folder / taken).string() + " stands where a cluster is to be made",
          .cause = "the folder is in use for something else",
          .next = "choose another folder with --dir"});
  }
  stdfs::create_directories(folder, error);
  if (error) {
    stop(ExitCode::kUsage, {.what = "cannot make " + folder.string() + ": " + error.message(),
                            .cause = "this user may not write there, or the path is wrong",
                            .next = "choose another folder with --dir"});
  }
  or_stop(replace_file(folder / kUnfinished, "\n"));
}

constexpr const char* kNodeFile =
    "genesis = \"../../genesis\"\nkey = \"node.key\"\ndata = \"data\"\n"
    "admin_port_file = \"admin.port\"\ndevelopment = true\n"
    "memory_bytes = 134217728\nreconcile_seconds = 5\nscrub_interval_ms = 50\n";

void make_cluster(const stdfs::path& folder, const DevOptions& options) {
  check_shape(options);
  prepare_folder(folder);
  const auto ports = free_ports(options.nodes);
  std::vector<OrganisationPlan> plan;
  for (std::uint32_t i = 0; i < options.organisations; ++i) {
    const std::string name = kOrganisationNames[i];
    plan.push_back({.name = name,
                    .authority = make_organisation(folder / "orgs" / name, name),
                    .quota_bytes = 1ULL << 40});
  }
  for (std::uint32_t i = 0; i < options.nodes; ++i) {
    OrganisationPlan& organisation = plan[i % options.organisations];
    const std::string name = fmt::format("{}-{}", organisation.name, i / options.organisations + 1);
    organisation.nodes.push_back(make_node(folder / "nodes" / name, name,
                                           fmt::format("127.0.0.1:{}", ports[i]), 100ULL << 30));
  }
  const membership::Settings settings{
      .faults = options.faults,
      .cap = std::max(options.faults, 1U),
      .service_faults = options.faults,
      .epoch_seconds = options.epoch_seconds,
      .service_term_seconds = std::max<std::uint64_t>(options.epoch_seconds, 1),
      // Where epochs do not end by time nobody who was removed could come back.
      .evict_after_seconds = options.epoch_seconds == 0
                                 ? std::uint64_t{10} * 365 * 86400
                                 : std::max<std::uint64_t>(30 * options.epoch_seconds, 300)};
  const auto genesis = make_genesis(plan, settings);
  for (const auto& organisation : plan) {
    for (const NodeRequest& node : organisation.nodes) {
      const stdfs::path at = folder / "nodes" / node.name;
      or_stop(disk::create_directory(
          at / "data",
          {.cluster = genesis.cluster(), .node = node.key, .directory = node.directory}));
      or_stop(replace_file(at / "node.toml", kNodeFile));
    }
  }
  const auto key = crypto::SecretKey::generate();
  or_stop(crypto::write_secret_key(folder / "client.key", key));
  or_stop(client::begin_notes_of_new_key(folder / kClientState));
  write_client_folder(folder, genesis, "genesis",
                      admit_client(plan.front().authority, genesis.cluster(), key.public_key(),
                                   "developer", 1ULL << 40, 3650),
                      "client.key", ".");
  // Last: with it, the folder is a cluster.
  or_stop(runtime::write_genesis(folder / "genesis", genesis));
  std::error_code error;
  stdfs::remove(folder / kUnfinished, error);
}

/// Where `dev up` works: --dir, else a development cluster that is named or stands here or above,
/// else rosebud-dev here.
stdfs::path folder_to_start(const Globals& globals, const DevOptions& options) {
  if (!options.folder.empty()) return without_last_slash(stdfs::absolute(options.folder));
  std::error_code error;
  const stdfs::path usual = stdfs::absolute("rosebud-dev");
  if (stdfs::exists(usual / "genesis", error)) return usual;
  const auto found = client::find_cluster_file(globals.cluster, client::MayUseDefault::kNo);
  if (!found) return usual;
  const auto file = client::read_cluster_file(*found);
  if (!file || file->development.empty()) return usual;
  return without_last_slash(file->development);
}

/// An existing cluster is started as it is; options that want another are not passed over.
void check_existing(const stdfs::path& folder, const DevOptions& options) {
  DevOptions found;
  found.folder = folder.string();
  (void)folder_of({}, found.folder);  // refuses what is no development cluster
  if (!options.is_shape_given) return;
  const auto configuration = or_stop(membership::verify_genesis(
      or_stop(runtime::read_genesis(folder / "genesis")), std::nullopt, crypto::ed25519()));
  const std::size_t organisations = configuration->organisations().size();
  const std::size_t nodes = configuration->nodes().size();
  const std::size_t faults = configuration->f();
  const std::uint64_t epoch = configuration->settings().epoch_seconds;
  if (organisations == options.organisations && nodes == options.nodes &&
      faults == options.faults && epoch == options.epoch_seconds)
    return;
  stop(
      ExitCode::kUsage,
      {.what = fmt::format(
           "the cluster in {} has {} organisations, {} nodes, f = {} and epochs of {} s",
           folder.string(), organisations, nodes, faults, epoch),
       .cause = "it was made so, and starts again as it is",
       .next =
           "leave --orgs, --nodes, --faults and --epoch away, or make another cluster with --dir"});
}

void up(const Globals& globals, const DevOptions& options) {
  const stdfs::path folder = folder_to_start(globals, options);
  std::error_code error;
  if (stdfs::exists(folder / "genesis", error)) {
    check_existing(folder, options);
  } else {
    make_cluster(folder, options);
  }
  const auto nodes = nodes_in(folder);
  start_all(globals, nodes, std::chrono::seconds(60));
  set_default_cluster(folder / "rosebud.toml");
  print(
      globals, {{"dir", folder.string()}, {"nodes", nodes.size()}},
      globals.is_quiet
          ? folder.string()
          : fmt::format("{} nodes serve in {}\nnext:  cd {}\n       echo hello | rosebud add -q -\n"
                        "       rosebud dev corrupt --org {} --mode lie\n       rosebud status",
                        nodes.size(), folder.string(), folder.string(), nodes.back().organisation));
}

void dev_status(const Globals& globals, const DevOptions& options) {
  const auto all = all_status(nodes_in(folder_of(globals, options.folder)));
  if (globals.is_json) return print(globals, {{"nodes", all}}, "");
  for (const auto& node : all) {
    print(
        globals, {},
        fmt::format(
            "{:<12} {:<8} {:<12} pid {:<8} {:<22} {} objects{}", node["name"].get<std::string>(),
            node["org"].get<std::string>(), node["state"].get<std::string>(),
            node["pid"].is_null() ? "-" : std::to_string(node["pid"].get<int>()),
            node["address"].get<std::string>(), node.value("objects", 0),
            (node.value("mode", "honest") == "honest" ? ""
                                                      : "  MISBEHAVES: " + node.value("mode", "")) +
                (node.value("cut", nlohmann::json::array()).empty()
                     ? ""
                     : fmt::format("  SENDS NOTHING to {} others", node["cut"].size()))));
  }
}

std::vector<DevNode> chosen(const std::vector<DevNode>& nodes, const DevOptions& options) {
  const std::string see = "see their names: rosebud dev status";
  if (options.node.empty() && options.organisation.empty()) {
    stop(ExitCode::kUsage, {.what = "which nodes?",
                            .cause = "neither --node NAME nor --org NAME was given",
                            .next = see});
  }
  const auto must_have = [&](const std::string& name, std::string DevNode::* what,
                             const std::string& kind) {
    if (name.empty() || std::ranges::count(nodes, name, what) > 0) return;
    stop(ExitCode::kUsage,
         {.what = "there is no " + kind + " '" + name + "'", .cause = {}, .next = see});
  };
  must_have(options.node, &DevNode::name, "node");
  must_have(options.organisation, &DevNode::organisation, "organisation");
  std::vector<DevNode> out;
  for (const DevNode& node : nodes) {
    if (node.name == options.node || node.organisation == options.organisation) out.push_back(node);
  }
  return out;
}

void print_each(const Globals& globals, const std::vector<DevNode>& nodes,
                const std::string& state) {
  for (const DevNode& node : nodes) {
    print(globals, {{"node", node.name}, {"state", state}},
          globals.is_quiet ? node.name : node.name + ": " + state);
  }
}

/// Ends processes and waits until their data directories are free.
void end_processes(const std::vector<DevNode>& nodes, int signal) {
  for (const DevNode& node : nodes) {
    if (const auto pid = pid_of(node)) ::kill(*pid, signal);
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  for (const DevNode& node : nodes) {
    while (const auto pid = pid_of(node)) {
      if (std::chrono::steady_clock::now() > end) ::kill(*pid, SIGKILL);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
}

void down(const Globals& globals, const DevOptions& options) {
  const std::string folder = folder_of(globals, options.folder).string();
  if (options.is_deleting && !options.is_confirmed) {
    stop(ExitCode::kUsage, {.what = "nothing was stopped or deleted",
                            .cause = "--delete removes " + folder +
                                     " with all data and keys, and wants to be confirmed",
                            .next = "rosebud dev down --delete --yes --dir " + folder});
  }
  end_processes(nodes_in(folder), SIGTERM);
  std::error_code error;
  if (options.is_deleting) stdfs::remove_all(folder, error);
  if (error) {
    stop(ExitCode::kPartly,
         {.what = "stopped, but " + folder + " could not be deleted: " + error.message()});
  }
  std::string text =
      options.is_deleting ? "stopped and deleted" : "stopped; data stays in " + folder;
  if (!options.is_deleting) {
    text += "\nnext:  rosebud dev up --dir " + folder +
            "\n       rosebud dev down --delete --yes --dir " + folder;
  }
  print(globals, {{"down", true}, {"deleted", options.is_deleting}, {"dir", folder}},
        globals.is_quiet ? "" : text);
}

void kill_nodes(const Globals& globals, const DevOptions& options) {
  const auto nodes = chosen(nodes_in(folder_of(globals, options.folder)), options);
  end_processes(nodes, SIGKILL);
  print_each(globals, nodes, "down");
}

void start_nodes(const Globals& globals, const DevOptions& options) {
  const auto nodes = chosen(nodes_in(folder_of(globals, options.folder)), options);
  start_all(globals, nodes, std::chrono::seconds(60));
  print_each(globals, nodes, "serving");
}

/// The first name of the organisation that no folder has.
std::string free_name(const stdfs::path& folder, const std::string& organisation) {
  std::error_code error;
  for (std::size_t i = 1;; ++i) {
    std::string name = fmt::format("{}-{}", organisation, i);
    if (!stdfs::exists(folder / "nodes" / name, error)) return name;
  }
}

/// Epochs by time are what admits a node.
void check_epochs(const membership::SignedGenesis& genesis) {
  const auto configuration =
      or_stop(membership::verify_genesis(genesis, std::nullopt, crypto::ed25519()));
  if (configuration->settings().epoch_seconds > 0) return;
  stop(ExitCode::kUsage,
       {.what = "epochs of this cluster do not end by time, so nobody is admitted",
        .cause = "it was made without --epoch",
        .next = "make another: rosebud dev up --epoch 10 --dir FOLDER"});
}

/// With an empty directory: admits the node as its organisation, starts it, and waits for the epoch
/// that takes it in, until it holds its data. `cut`: whom it sends nothing to.
void admit_and_start(const Globals& globals, const stdfs::path& folder, const DevNode& node,
                     const NodeRequest& request, const runtime::Cut& cut) {
  const auto genesis = or_stop(runtime::read_genesis(folder / "genesis"));
  const auto authority = authority_in(folder / "orgs" / node.organisation);
  or_stop(disk::create_directory(
      node.folder / "data",
      {.cluster = genesis.cluster(), .node = request.key, .directory = request.directory}));
  or_stop(runtime::write_cut(node.folder / "data", cut));
  const auto admission = admit_node(authority, genesis.cluster(), request, 3650);
  or_stop(runtime::write_statement(node.folder / "node.admission", admission));
  const auto others = nodes_in(folder);
  const auto running =
      std::ranges::find_if(others, [](const DevNode& one) { return pid_of(one).has_value(); });
  if (running != others.end()) {
    (void)fetch_into(node.folder / "data", running->address,
                     or_stop(crypto::read_secret_key(node.folder / "node.key")), admission,
                     globals.timeout());
  }
  or_stop(replace_file(node.folder / "node.toml",
                       std::string(kNodeFile) + "admission = \"node.admission\"\n"));
  start_all(globals, {node}, std::chrono::seconds(120));
  print_each(globals, {node}, "serving");
}

void add_node(const Globals& globals, const DevOptions& options) {
  const stdfs::path folder = folder_of(globals, options.folder);
  check_epochs(or_stop(runtime::read_genesis(folder / "genesis")));
  // Before anything is made: whether there is such an organisation here.
  (void)authority_in(folder / "orgs" / options.organisation);
  const std::string name =
      options.node.empty() ? free_name(folder, options.organisation) : options.node;
  const stdfs::path at = folder / "nodes" / name;
  const NodeRequest request =
      make_node(at, name, fmt::format("127.0.0.1:{}", free_ports(1).front()), 100ULL << 30);
  admit_and_start(globals, folder,
                  {.name = name,
                   .organisation = options.organisation,
                   .address = request.address,
                   .folder = at},
                  request, {});
}

/// As if its disk had been replaced: it comes back with the same key and another directory, and
/// fetches everything from the others.
void wipe(const Globals& globals, const DevOptions& options) {
  const stdfs::path folder = folder_of(globals, options.folder);
  const DevNode node = chosen(nodes_in(folder), options).front();
  if (!options.is_confirmed) {
    stop(ExitCode::kUsage,
         {.what = "nothing was wiped",
          .cause = "it removes all data of " + node.name + ", and wants to be confirmed",
          .next = "rosebud dev wipe " + node.name + " --yes"});
  }
  check_epochs(or_stop(runtime::read_genesis(folder / "genesis")));
  end_processes({node}, SIGKILL);
  const stdfs::path data = node.folder / "data";
  const auto cut = or_stop(runtime::read_cut(data));
  std::error_code error;
  stdfs::remove_all(data, error);
  if (error) {
    stop(ExitCode::kUsage, {.what = "cannot remove " + data.string() + ": " + error.message(),
                            .cause = "a part of it belongs to another user",
                            .next = "remove it by hand, then wipe the node again"});
  }
  // Whom it is cut off from is no matter of its disk.
  admit_and_start(globals, folder, node, renew_node(node.folder), cut);
}

void partition(const Globals& globals, const DevOptions& options) {
  partition_nodes(globals, folder_of(globals, options.folder), options.sides, options.is_one_way);
}

void heal(const Globals& globals, const DevOptions& options) {
  heal_nodes(globals, folder_of(globals, options.folder));
}

/// Its organisation revokes it; its process ends when the others have what it had.
void remove_node(const Globals& globals, const DevOptions& options) {
  const stdfs::path folder = folder_of(globals, options.folder);
  const auto nodes = nodes_in(folder);
  const auto gone = chosen(nodes, options);
  for (const DevNode& node : gone) {
    Globals named = globals;
    named.cluster = (folder / "rosebud.toml").string();
    revoke_member(named, node.name, folder / "orgs" / node.organisation);
  }
  std::vector<DevNode> others;
  for (const DevNode& node : nodes) {
    if (pid_of(node) && std::ranges::find(gone, node.name, &DevNode::name) == gone.end())
      others.push_back(node);
  }
  wait_ready(others, {}, IfEnded::kGiveUp,
             std::max<Duration>(globals.timeout(), std::chrono::seconds(120)));
  end_processes(gone, SIGTERM);
  for (const DevNode& node : gone) or_stop(replace_file(node.folder / kRemoved, "\n"));
  print_each(globals, gone, "removed");
}

void corrupt(const Globals& globals, const DevOptions& options) {
  for (const DevNode& node : chosen(nodes_in(folder_of(globals, options.folder)), options)) {
    const auto port = number_in(node.folder / "admin.port");
    if (!port || !pid_of(node)) {
      stop(ExitCode::kUsage, {.what = "node " + node.name + " does not run",
                              .cause = {},
                              .next = "rosebud dev start --node " + node.name});
    }
    const std::string body = or_stop(admin_request(static_cast<std::uint16_t>(*port), "POST",
                                                   "/v1/misbehave?mode=" + options.mode));
    const auto json = nlohmann::json::parse(body, nullptr, false);
    const std::string what =
        json.is_object() && json.contains("damaged")
            ? fmt::format("{} stored objects damaged", json["damaged"].get<std::uint64_t>())
            : options.mode;
    print(globals, {{"node", node.name}, {"mode", options.mode}}, node.name + ": " + what);
  }
}

}  // namespace

void add_dev_commands(CLI::App& app, Globals& globals) {
  auto options = std::make_shared<DevOptions>();
  auto* dev = app.add_subcommand("dev", "A cluster of real processes on this machine");
  dev->require_subcommand(1);
  const auto command = [&](const std::string& name, const std::string& what, auto run) {
    auto* added = dev->add_subcommand(name, what);
    added->add_option("--dir", options->folder, "Folder of the cluster");
    added->callback([&globals, options, run] { run(globals, *options); });
    return added;
  };
  auto* up_command = command("up", "Start a cluster, or start again what is down", up);
  const auto shape = [&](const std::string& name, std::uint32_t& to, const std::string& what) {
    up_command->add_option(name, to, what)
        ->capture_default_str()
        ->each([options](const std::string&) { options->is_shape_given = true; });
  };
  shape("--orgs", options->organisations, "Organisations");
  shape("--nodes", options->nodes, "Nodes");
  shape("--faults", options->faults, "f: faulty replicas that every object bears");
  up_command
      ->add_option("--epoch", options->epoch_seconds,
                   "Seconds of an epoch; 0: epochs end only when a node leaves")
      ->check(CLI::Range(0, 604'800))
      ->capture_default_str()
      ->each([options](const std::string&) { options->is_shape_given = true; });
  command("status", "Processes and what they say", dev_status);
  auto* down_command = command("down", "Stop all nodes; data stays", down);
  down_command->add_flag("--delete", options->is_deleting,
                         "Delete the cluster's folder, with all data and keys");
  down_command->add_flag("--yes", options->is_confirmed, "Really delete");
  const auto with_choice = [&](CLI::App* added) {
    added->add_option("--node", options->node, "Name of a node");
    added->add_option("--org", options->organisation, "All nodes of an organisation");
  };
  with_choice(command("kill", "Kill nodes at once (kill -9)", kill_nodes));
  with_choice(command("start", "Start nodes that are down and wait until they serve", start_nodes));
  auto* add_command = command(
      "add-node", "Add a node: its organisation admits it, and it waits for the epoch that does",
      add_node);
  add_command->add_option("--org", options->organisation, "Its organisation")->required();
  add_command->add_option("--node", options->node,
                          "Its name; default: the next of the organisation");
  command("remove-node", "Revoke a node for ever, and stop it when the others have its data",
          remove_node)
      ->add_option("--node", options->node, "Its name")
      ->required();
  auto* wipe_command = command(
      "wipe",
      "Remove all data of a node and start it again: with a new directory it is admitted anew, in\n"
      "the next epoch, and fetches what it keeps. Wiping more than f nodes before the first has\n"
      "fetched its data loses some",
      wipe);
  wipe_command->add_option("node", options->node, "Its name")->required();
  wipe_command->add_flag("--yes", options->is_confirmed, "Really wipe");
  auto* partition_command = command(
      "partition",
      "Cut nodes off from each other: what they send to another side is lost, until dev heal.\n"
      "One side alone is cut off from all others; it takes the place of an earlier partition",
      partition);
  partition_command
      ->add_option("sides", options->sides,
                   "Organisations and nodes of a side, with commas between; \"client\" is the "
                   "cluster's own client")
      ->type_name("A,B C,D")
      ->required();
  partition_command->add_flag("--one-way", options->is_one_way,
                              "Only what the first side sends to the second is lost");
  command("heal", "End a partition: everybody sends to everybody again", heal);
  auto* corrupt_command = command(
      "corrupt",
      "Make nodes misbehave, really: mute, lie, stale, garbage, equivocate, hollow, disk; honest "
      "ends it",
      corrupt);
  with_choice(corrupt_command);
  corrupt_command->add_option("--mode", options->mode, "How")
      ->required()
      ->check(CLI::IsMember(
          {"honest", "mute", "lie", "stale", "garbage", "equivocate", "hollow", "disk"}));
}

}  // namespace rosebud::apps
