// dev: a whole cluster on this machine, of real processes with real keys and disks; and status.
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
#include <thread>

#include "apps/rosebud/commands.h"
#include "apps/rosebud/identity.h"
#include "disk/directory.h"
#include "runtime/key_file.h"

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
  std::string organisation;
  std::string node;
  std::string mode;
  bool is_deleting = false;
};

struct DevNode {
  std::string name;
  std::string organisation;
  std::string address;
  stdfs::path folder;
};

std::optional<std::uint64_t> number_in(const stdfs::path& path) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  return file >> number ? std::optional(number) : std::nullopt;
}

/// The process of a node, if it runs: the one that holds the lock of its data directory.
std::optional<pid_t> pid_of(const DevNode& node) {
  const stdfs::path lock = node.folder / "data" / "LOCK.rosebud";
  const int fd = ::open(lock.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  const bool is_free = ::flock(fd, LOCK_SH | LOCK_NB) == 0;
  ::close(fd);
  const auto pid = number_in(lock);
  if (is_free || !pid) return std::nullopt;
  return static_cast<pid_t>(*pid);
}

/// The development cluster that these options mean.
stdfs::path folder_of(const Globals& globals, const DevOptions& options) {
  if (!options.folder.empty()) return stdfs::absolute(options.folder);
  const auto file =
      or_stop(client::read_cluster_file(or_stop(client::find_cluster_file(globals.cluster))));
  if (file.development.empty()) {
    stop(ExitCode::kUsage, {.what = file.file.string() + " is not a development cluster's",
                            .cause = "only clusters made by `rosebud dev up` can be handled so",
                            .next = "name one with --dir"});
  }
  return file.development.lexically_normal();
}

std::vector<DevNode> nodes_in(const stdfs::path& folder) {
  const auto genesis = or_stop(runtime::read_genesis(folder / "genesis"));
  const auto configuration =
      or_stop(membership::verify_genesis(genesis, std::nullopt, crypto::ed25519()));
  std::vector<DevNode> out;
  for (const auto& node : configuration->nodes()) {
    out.push_back({.name = node.name,
                   .organisation = configuration->organisations()[node.organisation].name,
                   .address = node.address,
                   .folder = folder / "nodes" / node.name});
  }
  return out;
}

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

void spawn(const DevNode& node) {
  std::error_code error;
  stdfs::remove(node.folder / "admin.port", error);
  const std::string log = (node.folder / "log").string();
  const std::string config = (node.folder / "node.toml").string();
  const std::string self = stdfs::read_symlink("/proc/self/exe", error).string();
  const pid_t child = ::fork();
  if (child < 0) stop(ExitCode::kUsage, {.what = "cannot start a process for node " + node.name});
  if (child == 0) {
    // A grandchild in a session of its own: it outlives this command and leaves no zombie.
    ::setsid();
    if (::fork() != 0) ::_exit(0);
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    const int in = ::open("/dev/null", O_RDONLY);
    ::dup2(in, 0);
    ::dup2(out, 1);
    ::dup2(out, 2);
    ::execl(self.c_str(), "rosebud", "node", "run", "--config", config.c_str(), nullptr);
    ::_exit(127);
  }
  ::waitpid(child, nullptr, 0);
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

/// Waits until all these nodes serve. Reconciling needs 2f others, so they are waited for together.
void wait_ready(const std::vector<DevNode>& nodes, Duration timeout) {
  const auto end = std::chrono::steady_clock::now() + timeout;
  std::vector<DevNode> waiting = nodes;
  while (true) {
    std::erase_if(waiting, is_ready);
    if (waiting.empty()) return;
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

void set_default_cluster(const stdfs::path& file) {
  const stdfs::path pointer = client::default_cluster_pointer();
  std::error_code error;
  const auto now = runtime::read_text_file(pointer, 4096);
  std::string target = now ? *now : std::string();
  while (!target.empty() && target.back() == '\n') target.pop_back();
  if (!target.empty() && stdfs::exists(target, error)) return;
  stdfs::create_directories(pointer.parent_path(), error);
  // Not being able to set a default is no reason to fail: the folder and --cluster work without.
  (void)runtime::replace_file(pointer, file.string() + "\n");
}

void up(const Globals& globals, const DevOptions& options) {
  const stdfs::path folder =
      stdfs::absolute(options.folder.empty() ? "rosebud-dev" : options.folder);
  std::error_code error;
  if (!stdfs::exists(folder / "genesis", error)) {
    if (options.organisations > std::size(kOrganisationNames) || options.organisations == 0 ||
        options.nodes < options.organisations || options.nodes > 256) {
      stop(
          ExitCode::kUsage,
          {.what =
               fmt::format("{} nodes in {} organisations", options.nodes, options.organisations),
           .cause = "there are 1 to 14 organisations with at least one node each, 256 nodes in all",
           .next = {}});
    }
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
      const std::string name =
          fmt::format("{}-{}", organisation.name, i / options.organisations + 1);
      organisation.nodes.push_back(make_node(folder / "nodes" / name, name,
                                             fmt::format("127.0.0.1:{}", ports[i]), 100ULL << 30));
    }
    const membership::Settings settings{.faults = options.faults,
                                        .cap = std::max(options.faults, 1U),
                                        .service_faults = options.faults};
    const auto genesis = make_genesis(plan, settings, folder / "epoch-keys");
    for (const auto& organisation : plan) {
      for (const NodeRequest& node : organisation.nodes) {
        const stdfs::path at = folder / "nodes" / node.name;
        or_stop(disk::create_directory(
            at / "data",
            {.cluster = genesis.cluster(), .node = node.key, .directory = node.directory}));
        or_stop(runtime::replace_file(
            at / "node.toml",
            "genesis = \"../../genesis\"\nkey = \"node.key\"\ndata = \"data\"\n"
            "admin_port_file = \"admin.port\"\ndevelopment = true\n"
            "memory_bytes = 134217728\nreconcile_seconds = 5\nscrub_interval_ms = 50\n"));
      }
    }
    const auto key = crypto::SecretKey::generate();
    or_stop(runtime::write_secret_key(folder / "client.key", key));
    write_client_folder(folder, genesis, "genesis",
                        admit(plan.front().authority, genesis.cluster(), wire::Role::kClient,
                              key.public_key(), "developer", 1ULL << 40, {}, 3650),
                        "client.key", ".");
    // Last: with it, the folder is a cluster.
    or_stop(runtime::write_genesis(folder / "genesis", genesis));
  }
  const auto nodes = nodes_in(folder);
  for (const DevNode& node : nodes) {
    if (!pid_of(node)) spawn(node);
  }
  wait_ready(nodes, std::max<Duration>(globals.timeout(), std::chrono::seconds(60)));
  set_default_cluster(folder / "rosebud.toml");
  print(
      globals, {{"dir", folder.string()}, {"nodes", nodes.size()}},
      globals.is_quiet
          ? folder.string()
          : fmt::format("{} nodes serve in {}\nnext:  cd {}\n       echo hello | rosebud add -q -\n"
                        "       rosebud dev corrupt --org {} --mode lie\n       rosebud status",
                        nodes.size(), folder.string(), folder.string(), nodes.back().organisation));
}

nlohmann::json status_of(const DevNode& node) {
  const auto pid = pid_of(node);
  nlohmann::json out = {{"name", node.name},
                        {"org", node.organisation},
                        {"address", node.address},
                        {"state", "down"},
                        {"pid", nullptr}};
  if (!pid) return out;
  out["pid"] = *pid;
  out["state"] = "unreachable";
  const auto port = number_in(node.folder / "admin.port");
  const auto body = port ? admin_request(static_cast<std::uint16_t>(*port), "GET", "/v1/status")
                         : Result<std::string, Explained>(fail(Explained{}));
  const auto json = body ? nlohmann::json::parse(*body, nullptr, false) : nlohmann::json();
  if (!json.is_object()) return out;
  out["state"] = json.value("serving", false) ? "serving" : "reconciling";
  out["admin_port"] = *port;
  for (const char* key : {"epoch", "objects", "bytes", "mode", "suspects", "arcs", "arcs_serving",
                          "healed", "damaged_found"}) {
    if (json.contains(key)) out[key] = json[key];
  }
  return out;
}

nlohmann::json all_status(const std::vector<DevNode>& nodes) {
  nlohmann::json out = nlohmann::json::array();
  for (const DevNode& node : nodes) out.push_back(status_of(node));
  return out;
}

void dev_status(const Globals& globals, const DevOptions& options) {
  const auto all = all_status(nodes_in(folder_of(globals, options)));
  if (globals.is_json) return print(globals, {{"nodes", all}}, "");
  for (const auto& node : all) {
    print(globals, {},
          fmt::format("{:<12} {:<8} {:<12} pid {:<8} {:<22} {} objects{}",
                      node["name"].get<std::string>(), node["org"].get<std::string>(),
                      node["state"].get<std::string>(),
                      node["pid"].is_null() ? "-" : std::to_string(node["pid"].get<int>()),
                      node["address"].get<std::string>(), node.value("objects", 0),
                      node.value("mode", "honest") == "honest"
                          ? ""
                          : "  MISBEHAVES: " + node.value("mode", "")));
  }
}

/// Whom nodes and this client suspect, by node and kind, with how many observers. Wrong bytes are
/// proof; slowness is a suspicion.
nlohmann::json suspects_in(const nlohmann::json& observers) {
  std::map<std::pair<std::string, std::string>, std::pair<int, std::uint64_t>> seen;
  for (const auto& observer : observers) {
    for (const auto& suspect : observer.value("suspects", nlohmann::json::array())) {
      auto& [observer_count, count] = seen[{suspect.value("node", ""), suspect.value("kind", "")}];
      ++observer_count;
      count += suspect.value("count", std::uint64_t{0});
    }
  }
  nlohmann::json out = nlohmann::json::array();
  for (const auto& [what, how] : seen) {
    out.push_back({{"node", what.first},
                   {"kind", what.second},
                   {"observers", how.first},
                   {"count", how.second}});
  }
  return out;
}

void status(const Globals& globals, const DevOptions& options) {
  const stdfs::path folder = folder_of(globals, options);
  const auto genesis = or_stop(runtime::read_genesis(folder / "genesis"));
  const auto configuration =
      or_stop(membership::verify_genesis(genesis, std::nullopt, crypto::ed25519()));
  const auto all = all_status(nodes_in(folder));
  std::map<std::string, bool> serves;
  for (const auto& node : all) serves[node["name"].get<std::string>()] = node["state"] == "serving";
  std::uint64_t ok = 0;
  std::uint64_t degraded = 0;
  std::uint64_t below = 0;
  for (const auto& arc : configuration->ring().arcs()) {
    std::size_t up = 0;
    for (std::uint32_t node : arc.group) up += serves[configuration->nodes()[node].name] ? 1 : 0;
    ++(up == configuration->group_size() ? ok : up >= configuration->quorum() ? degraded : below);
  }
  auto observers = all;
  observers.push_back({{"suspects", kept_observations(folder / "client-state")}});
  const auto suspects = suspects_in(observers);
  const nlohmann::json json = {
      {"cluster", to_hex(configuration->cluster().view())},
      {"generation", configuration->number().generation.value},
      {"epoch", configuration->number().epoch.value},
      {"groups", {{"ok", ok}, {"degraded", degraded}, {"below_quorum", below}}},
      {"suspects", suspects},
      {"nodes", all}};
  if (globals.is_json) return print(globals, json, "");
  std::string text = fmt::format("epoch {}   groups: {} ok, {} degraded, {} below quorum",
                                 configuration->number().epoch.value, ok, degraded, below);
  for (const auto& suspect : suspects) {
    text += fmt::format("\nsuspect {}: {} ({} observers, {} times)",
                        suspect["node"].get<std::string>(), suspect["kind"].get<std::string>(),
                        suspect["observers"].get<int>(), suspect["count"].get<std::uint64_t>());
  }
  print(globals, json, text);
}

std::vector<DevNode> chosen(const std::vector<DevNode>& nodes, const DevOptions& options) {
  std::vector<DevNode> out;
  for (const DevNode& node : nodes) {
    if (node.name == options.node || node.organisation == options.organisation) out.push_back(node);
  }
  if (out.empty()) {
    stop(ExitCode::kUsage, {.what = "no such node or organisation",
                            .cause = {},
                            .next = "see their names: rosebud dev status"});
  }
  return out;
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

void corrupt(const Globals& globals, const DevOptions& options) {
  for (const DevNode& node : chosen(nodes_in(folder_of(globals, options)), options)) {
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
  up_command->add_option("--orgs", options->organisations, "Organisations")->capture_default_str();
  up_command->add_option("--nodes", options->nodes, "Nodes")->capture_default_str();
  up_command->add_option("--faults", options->faults, "f: faulty replicas that every object bears")
      ->capture_default_str();
  command("status", "Processes and what they say", dev_status);
  auto* down =
      command("down", "Stop all nodes; data stays", [](const Globals& g, const DevOptions& o) {
        const stdfs::path folder = folder_of(g, o);
        end_processes(nodes_in(folder), SIGTERM);
        if (o.is_deleting) {
          std::error_code error;
          stdfs::remove_all(folder, error);
        }
        print(g, {{"down", true}, {"deleted", o.is_deleting}},
              o.is_deleting ? "stopped and deleted" : "stopped; data stays in " + folder.string());
      });
  down->add_flag("--delete", options->is_deleting,
                 "Delete the cluster's folder, with all data and keys");
  const auto with_choice = [&](CLI::App* added) {
    added->add_option("--node", options->node, "Name of a node");
    added->add_option("--org", options->organisation, "All nodes of an organisation");
  };
  with_choice(
      command("kill", "Kill nodes at once (kill -9)", [](const Globals& g, const DevOptions& o) {
        end_processes(chosen(nodes_in(folder_of(g, o)), o), SIGKILL);
      }));
  with_choice(command("start", "Start nodes that are down and wait until they serve",
                      [](const Globals& g, const DevOptions& o) {
                        const auto nodes = chosen(nodes_in(folder_of(g, o)), o);
                        for (const DevNode& node : nodes) {
                          if (!pid_of(node)) spawn(node);
                        }
                        wait_ready(nodes,
                                   std::max<Duration>(g.timeout(), std::chrono::seconds(60)));
                      }));
  auto* corrupt_command = command(
      "corrupt",
      "Make nodes misbehave, really: mute, lie, stale, garbage, equivocate, disk; honest ends it",
      corrupt);
  with_choice(corrupt_command);
  corrupt_command->add_option("--mode", options->mode, "How")
      ->required()
      ->check(CLI::IsMember({"honest", "mute", "lie", "stale", "garbage", "equivocate", "disk"}));

  auto* status_command =
      app.add_subcommand("status", "Epoch, groups and suspects of a development cluster");
  status_command->add_option("--dir", options->folder, "Folder of the cluster");
  status_command->callback([&globals, options] { status(globals, *options); });
}

}  // namespace rosebud::apps
