#include "apps/rosebud/dev_nodes.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "apps/rosebud/identity.h"
#include "runtime/statement_file.h"

namespace rosebud::apps {

namespace stdfs = std::filesystem;

std::optional<std::uint64_t> number_in(const stdfs::path& path) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  return file >> number ? std::optional(number) : std::nullopt;
}

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

std::string without_last_slash(const stdfs::path& path) {
  const std::string text = path.lexically_normal().string();
  return text.size() > 1 && text.ends_with('/') ? text.substr(0, text.size() - 1) : text;
}

stdfs::path folder_of(const Globals& globals, const std::string& given_folder) {
  std::error_code error;
  const stdfs::path given = given_folder;
  if (!given.empty() && !stdfs::exists(given / "rosebud.toml", error)) {
    stop(ExitCode::kUsage, {.what = "there is no development cluster in " + given.string(),
                            .cause = "the folder is another one, or none was made there yet",
                            .next = "make one: rosebud dev up --dir " + given.string()});
  }
  const auto file = or_stop(
      client::read_cluster_file(given.empty() ? or_stop(client::find_cluster_file(globals.cluster))
                                              : given / "rosebud.toml"));
  if (file.development.empty()) {
    stop(ExitCode::kUsage, {.what = file.file.string() + " is not a development cluster's",
                            .cause = "only clusters made by `rosebud dev up` can be handled so",
                            .next = "name one with --dir"});
  }
  return without_last_slash(file.development);
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
  std::vector<std::string> added;
  std::error_code error;
  std::erase_if(out,
                [&](const DevNode& node) { return stdfs::exists(node.folder / kRemoved, error); });
  for (stdfs::directory_iterator at(folder / "nodes", error), end; !error && at != end;
       at.increment(error)) {
    const std::string name = at->path().filename().string();
    // The last that is made of an added node.
    const bool is_whole = stdfs::exists(at->path() / "node.toml", error) &&
                          !stdfs::exists(at->path() / kRemoved, error);
    if (is_whole && std::ranges::find(out, name, &DevNode::name) == out.end())
      added.push_back(name);
  }
  std::ranges::sort(added);
  for (const std::string& name : added) {
    const NodeRequest request = read_node_request(folder / "nodes" / name / "node.request.json");
    out.push_back({.name = name,
                   .organisation = name.substr(0, name.rfind('-')),
                   .address = request.address,
                   .folder = folder / "nodes" / name});
  }
  return out;
}

namespace {

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
                          "healed", "damaged_found", "evidence", "cut", "generation", "lost_groups",
                          "stated_for_generation", "audits", "wanting"}) {
    if (json.contains(key)) out[key] = json[key];
  }
  return out;
}

}  // namespace

nlohmann::json all_status(const std::vector<DevNode>& nodes) {
  nlohmann::json out = nlohmann::json::array();
  for (const DevNode& node : nodes) out.push_back(status_of(node));
  return out;
}

}  // namespace rosebud::apps
