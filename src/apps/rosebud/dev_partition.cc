#include "apps/rosebud/dev_partition.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "apps/rosebud/dev_nodes.h"
#include "apps/rosebud/identity.h"
#include "apps/rosebud/words.h"
#include "crypto/key_file.h"
#include "runtime/cut_file.h"

namespace rosebud::apps {
namespace {

namespace stdfs = std::filesystem;

constexpr const char* kClient = "client";

[[noreturn]] void refuse(std::string what, std::string cause) {
  stop(ExitCode::kUsage, {.what = std::move(what),
                          .cause = std::move(cause),
                          .next = "see the names of nodes and organisations: rosebud dev status"});
}

/// Names of nodes, and kClient.
using Side = std::vector<std::string>;

/// Those of `nodes` that a name means: itself, or all of an organisation.
Side meant_by(const std::string& name, const std::vector<DevNode>& nodes) {
  if (name == kClient) return {name};
  Side out;
  for (const DevNode& node : nodes) {
    if (node.name == name || node.organisation == name) out.push_back(node.name);
  }
  if (out.empty()) refuse("there is no node or organisation '" + name + "'", {});
  return out;
}

std::vector<Side> sides_of(const std::vector<std::string>& given,
                           const std::vector<DevNode>& nodes) {
  std::vector<Side> out;
  Side taken;
  for (const std::string& text : given) {
    Side& side = out.emplace_back();
    std::istringstream words(text);
    for (std::string word; std::getline(words, word, ',');) {
      for (const std::string& name : meant_by(word, nodes)) {
        if (std::ranges::count(side, name) > 0) continue;
        if (std::ranges::count(taken, name) > 0)
          refuse("'" + name + "' cannot be on two sides", "an organisation means all its nodes");
        side.push_back(name);
      }
    }
    if (side.empty()) refuse("a side has nobody on it", {});
    taken.insert(taken.end(), side.begin(), side.end());
  }
  if (out.size() > 1) return out;
  Side& others = out.emplace_back();
  for (const DevNode& node : nodes) {
    if (std::ranges::count(taken, node.name) == 0) others.push_back(node.name);
  }
  if (others.empty()) refuse("nobody is left on the other side", "all nodes are on the one");
  return out;
}

crypto::PublicKey key_of(const std::string& name, const stdfs::path& folder) {
  if (name == kClient) return or_stop(crypto::read_secret_key(folder / "client.key")).public_key();
  return read_node_request(folder / "nodes" / name / "node.request.json").key;
}

/// To a node that runs, so that it looks at its file again.
void tell(const DevNode& node) {
  const auto port = number_in(node.folder / "admin.port");
  if (!port || !pid_of(node)) return;  // it looks when it starts
  or_stop(admin_request(static_cast<std::uint16_t>(*port), "POST", "/v1/cut"));
}

void cut(const std::vector<DevNode>& nodes, const std::map<std::string, runtime::Cut>& cuts) {
  for (const DevNode& node : nodes) {
    const auto at = cuts.find(node.name);
    or_stop(
        runtime::write_cut(node.folder / "data", at == cuts.end() ? runtime::Cut{} : at->second));
    tell(node);
  }
}

}  // namespace

void partition_nodes(const Globals& globals, const stdfs::path& folder,
                     const std::vector<std::string>& given, bool is_one_way) {
  const auto nodes = nodes_in(folder);
  const std::vector<Side> sides = sides_of(given, nodes);
  if (is_one_way && sides.size() > 2) refuse("one way goes from one side to another", {});
  if (is_one_way && std::ranges::count(sides.front(), kClient) > 0) {
    refuse("what the client sends cannot be lost alone",
           "nodes lose what they send; put it on the second side");
  }
  std::map<std::string, runtime::Cut> cuts;
  for (std::size_t from = 0; from < (is_one_way ? 1 : sides.size()); ++from) {
    for (const std::string& name : sides[from]) {
      if (name == kClient) continue;
      for (std::size_t to = 0; to < sides.size(); ++to) {
        if (to == from) continue;
        for (const std::string& other : sides[to]) cuts[name].insert(key_of(other, folder));
      }
    }
  }
  cut(nodes, cuts);
  std::string text;
  for (const Side& side : sides)
    text += (text.empty() ? "" : is_one_way ? "\nsends nothing to\n" : "\nand\n") + joined(side);
  print(globals, {{"sides", sides}, {"one_way", is_one_way}},
        text + (is_one_way ? "" : "\nhear nothing of each other") + "\nnext:  rosebud dev heal");
}

void heal_nodes(const Globals& globals, const stdfs::path& folder) {
  cut(nodes_in(folder), {});
  print(globals, {{"healed", true}}, "everybody sends to everybody again");
}

}  // namespace rosebud::apps
