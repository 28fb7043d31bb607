// status: one page that says whether everything is well, and what is not.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <thread>

#include "apps/rosebud/commands.h"
#include "apps/rosebud/dev_nodes.h"
#include "apps/rosebud/held_evidence.h"
#include "apps/rosebud/identity.h"
#include "apps/rosebud/words.h"
#include "client/newest_file.h"
#include "runtime/statement_file.h"

namespace rosebud::apps {
namespace {

namespace stdfs = std::filesystem;

using membership::Configuration;
using ConfigurationPointer = std::shared_ptr<const Configuration>;

struct StatusOptions {
  std::string folder;
  bool is_watching = false;
};

/// What a look at the cluster found.
struct Seen {
  ConfigurationPointer configuration;
  nlohmann::json nodes;           // what each says of itself
  std::set<std::string> serving;  // names of those that serve all they keep
  std::set<std::string> running;
  nlohmann::json suspects;
};

/// Of the running cluster, if anybody answers; else what this client knew last.
ConfigurationPointer newest(const Globals& globals, const stdfs::path& folder, bool is_running) {
  if (is_running) {
    Globals named = globals;
    named.cluster = (folder / "rosebud.toml").string();
    return OpenSession(named)->learn_newest(std::chrono::seconds(2));
  }
  const auto genesis = or_stop(runtime::read_genesis(folder / "genesis"));
  return client::newest_kept(folder / kClientState, or_stop(membership::verify_genesis(
                                                        genesis, std::nullopt, crypto::ed25519())));
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

Seen look(const Globals& globals, const stdfs::path& folder) {
  Seen out{.nodes = all_status(nodes_in(folder))};
  for (const auto& node : out.nodes) {
    if (node["state"] == "serving") out.serving.insert(node["name"]);
    if (node["state"] != "down") out.running.insert(node["name"]);
  }
  out.configuration = newest(globals, folder, !out.running.empty());
  auto observers = out.nodes;
  observers.push_back({{"suspects", kept_observations(folder / kClientState)}});
  out.suspects = suspects_in(observers);
  return out;
}

nlohmann::json groups_of(const Seen& seen) {
  const Configuration& configuration = *seen.configuration;
  std::map<std::string, std::uint64_t> counts{
      {"ok", 0}, {"exposed", 0}, {"degraded", 0}, {"below_quorum", 0}};
  for (const auto& arc : configuration.ring().arcs()) {
    const auto up = static_cast<std::size_t>(std::ranges::count_if(arc.group, [&](auto node) {
      return seen.serving.contains(configuration.nodes()[node].name);
    }));
    const bool is_whole = up == arc.group.size();
    ++counts[up < configuration.quorum()                     ? "below_quorum"
             : !is_whole                                     ? "degraded"
             : arc.group.size() < configuration.group_size() ? "exposed"
                                                             : "ok"];
  }
  return counts;
}

/// Organisations without whose honest nodes some group or the service would have no quorum.
std::vector<std::string> at_risk(const Seen& seen) {
  const Configuration& configuration = *seen.configuration;
  std::vector<std::string> out;
  for (std::uint32_t organisation = 0; organisation < configuration.organisations().size();
       ++organisation) {
    const auto is_good = [&](std::uint32_t index) {
      const membership::Node& node = configuration.nodes()[index];
      return node.organisation != organisation && seen.serving.contains(node.name);
    };
    const bool has_groups = std::ranges::all_of(configuration.ring().arcs(), [&](const auto& arc) {
      return std::ranges::count_if(arc.group, is_good) >=
             static_cast<std::ptrdiff_t>(configuration.quorum());
    });
    const bool has_service =
        std::ranges::count_if(configuration.service(), [&](const auto& member) {
          return is_good(member.node);
        }) >= static_cast<std::ptrdiff_t>(configuration.service_quorum());
    if (!has_groups || !has_service)
      out.push_back(configuration.organisations()[organisation].name);
  }
  return out;
}

nlohmann::json service_of(const Seen& seen) {
  const Configuration& configuration = *seen.configuration;
  nlohmann::json members = nlohmann::json::array();
  std::size_t up = 0;
  for (std::size_t seat = 0; seat < configuration.service().size(); ++seat) {
    const std::string& name = configuration.nodes()[configuration.service()[seat].node].name;
    up += seen.running.contains(name) ? 1 : 0;
    members.push_back({{"seat", seat}, {"node", name}, {"running", seen.running.contains(name)}});
  }
  const std::size_t faults = configuration.settings().service_faults;
  return {{"faults", faults},
          {"seats", 3 * faults + 1},
          {"vacant", 3 * faults + 1 - configuration.service().size()},
          {"running", up},
          {"has_quorum", up >= configuration.service_quorum()},
          {"members", members}};
}

nlohmann::json json_of(const Seen& seen) {
  const Configuration& configuration = *seen.configuration;
  const std::uint64_t now = wall_seconds();
  const std::uint64_t start = configuration.start().value;
  const std::uint64_t length = configuration.settings().epoch_seconds;
  nlohmann::json transfers = nlohmann::json::array();
  for (const auto& node : seen.nodes) {
    if (node["state"] != "reconciling") continue;
    transfers.push_back({{"node", node["name"]},
                         {"arcs", node.value("arcs", 0)},
                         {"arcs_complete", node.value("arcs_serving", 0)}});
  }
  const auto risk = at_risk(seen);
  std::uint64_t lost_groups = 0;
  for (const auto& node : seen.nodes)
    lost_groups = std::max(lost_groups, node.value("lost_groups", std::uint64_t{0}));
  return {{"cluster", to_hex(configuration.cluster().view())},
          {"lost_groups", lost_groups},
          {"generation", configuration.number().generation.value},
          {"epoch", configuration.number().epoch.value},
          {"epoch_age_seconds", now > start ? now - start : 0},
          {"epoch_seconds", length},
          {"survives_any_one_organisation", risk.empty()},
          {"at_risk_of", risk},
          {"groups", groups_of(seen)},
          {"service", service_of(seen)},
          {"transfers", transfers},
          {"suspects", seen.suspects},
          {"evidence", json_of(accused_in(seen.nodes))},
          {"wanting", json_of(wanting_in(seen.nodes))},
          {"nodes", seen.nodes}};
}

std::string names_in(const nlohmann::json& names) {
  return joined(names.get<std::vector<std::string>>());
}

std::string text_of(const nlohmann::json& status) {
  const auto number = [](const nlohmann::json& in, const char* key) {
    return in.value(key, std::uint64_t{0});
  };
  const std::uint64_t age = number(status, "epoch_age_seconds");
  const std::uint64_t length = number(status, "epoch_seconds");
  const auto& groups = status["groups"];
  const auto& service = status["service"];
  std::string seats;
  for (const auto& member : service["members"]) {
    seats += (seats.empty() ? "" : ", ") + member["node"].get<std::string>() +
             (member["running"].get<bool>() ? "" : " (down)");
  }
  // Outside of what the cluster promises: never left out (design 8.6).
  const std::string recovered =
      number(status, "generation") == 0
          ? ""
          : fmt::format(
                "generation {}: the organisations recovered the configuration service; "
                "losses accepted of {} groups\n",
                number(status, "generation"), number(status, "lost_groups"));
  std::string text =
      recovered + fmt::format(
                      "epoch {}   {}\n"
                      "would everything survive if any one organisation turned hostile now?  {}\n"
                      "groups: {} ok, {} exposed, {} degraded, {} below quorum\n"
                      "configuration service: {} of {} seats taken: {}{}{}",
                      number(status, "epoch"),
                      length == 0 ? "ends when a node leaves"
                                  : fmt::format("{} s old, the next in about {} s", age,
                                                age < length ? length - age : 0),
                      status["survives_any_one_organisation"].get<bool>()
                          ? "yes"
                          : "no: " + names_in(status["at_risk_of"]),
                      number(groups, "ok"), number(groups, "exposed"), number(groups, "degraded"),
                      number(groups, "below_quorum"), service["members"].size(),
                      number(service, "seats"), seats,
                      service["has_quorum"].get<bool>() ? "" : "   NO QUORUM: epochs do not end",
                      number(service, "faults") == 0 ? "   F = 0: it bears no faulty member" : "");
  for (const auto& one : status["transfers"]) {
    text += fmt::format("\n{} fetches what it keeps: {} of {} arcs", one["node"].get<std::string>(),
                        one["arcs_complete"].get<int>(), one["arcs"].get<int>());
  }
  for (const auto& suspect : status["suspects"]) {
    const int observers = suspect["observers"].get<int>();
    const auto count = suspect["count"].get<std::uint64_t>();
    text += fmt::format("\nsuspect {}: {} ({} observer{}, {} time{})",
                        suspect["node"].get<std::string>(), suspect["kind"].get<std::string>(),
                        observers, observers == 1 ? "" : "s", count, count == 1 ? "" : "s");
  }
  for (const auto& node : status["nodes"]) {
    const auto cut = node.value("cut", nlohmann::json::array());
    if (cut.empty()) continue;
    text += fmt::format("\n{} was told to send nothing to {} (rosebud dev heal ends it)",
                        node["name"].get<std::string>(), names_in(cut));
  }
  for (const auto& one : status["evidence"]) {
    text += fmt::format(
        "\nproof against {} of {}: it signed two votes that contradict, in epoch {} "
        "(held by {} nodes: rosebud evidence list){}",
        one["node"].get<std::string>(), one["org"].get<std::string>(),
        one["epoch"].get<std::uint64_t>(), one["held_by"].size(),
        one["member"].get<bool>() ? "" : "; it is out");
  }
  for (const auto& one : status["wanting"]) {
    text += fmt::format("\n{} {}", one["node"].get<std::string>(),
                        one["how"] == "convicted"
                            ? "gave wrong proofs of what it holds: it leaves with the next epoch"
                            : "does not show what it should hold (rosebud doctor)");
  }
  return text;
}

void status(const Globals& globals, const StatusOptions& options) {
  const stdfs::path folder = folder_of(globals, options.folder);
  while (true) {
    const nlohmann::json now = json_of(look(globals, folder));
    print(globals, now, globals.is_json ? "" : text_of(now));
    if (!options.is_watching) return;
    flush_output();
    std::this_thread::sleep_for(std::chrono::seconds(2));
    if (!globals.is_json) print(globals, {}, "\n");
  }
}

}  // namespace

void add_status_command(CLI::App& app, Globals& globals) {
  auto options = std::make_shared<StatusOptions>();
  auto* command = app.add_subcommand(
      "status",
      "Epoch, groups, service, transfers, suspects and evidence of a development cluster");
  command->add_option("--dir", options->folder, "Folder of the cluster");
  command->add_flag("--watch", options->is_watching, "Again every two seconds, until stopped");
  command->callback([&globals, options] { status(globals, *options); });
}

}  // namespace rosebud::apps
