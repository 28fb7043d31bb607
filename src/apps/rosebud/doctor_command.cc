// doctor: what is wrong, with stable codes and the way out (diagnosis.h).
#include "apps/rosebud/doctor_command.h"

#include <fmt/format.h>

#include "apps/rosebud/commands.h"
#include "apps/rosebud/dev_nodes.h"
#include "apps/rosebud/diagnosis.h"
#include "apps/rosebud/identity.h"
#include "runtime/statement_file.h"

namespace rosebud::apps {
namespace {

namespace stdfs = std::filesystem;

struct DoctorOptions {
  std::vector<std::string> nodes;  // folders of nodes on this machine
};

std::int64_t wall_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

/// Of a node on this machine. Its clock is compared with the middle of asking.
nlohmann::json look_at_node(const std::string& name, const stdfs::path& folder) {
  nlohmann::json out{{"name", name}, {"state", "down"}};
  const auto port = number_in(folder / "admin.port");
  if (!port) return out;
  const std::int64_t asked_ms = wall_ms();
  const auto body = admin_request(static_cast<std::uint16_t>(*port), "GET", "/v1/status");
  const std::int64_t middle_ms = asked_ms + (wall_ms() - asked_ms) / 2;
  nlohmann::json status = body ? nlohmann::json::parse(*body, nullptr, false) : nlohmann::json();
  if (!status.is_object()) return out;
  status["state"] = status.value("serving", false) ? "serving" : "reconciling";
  status["clock_ahead_ms"] = status.value("time_ms", middle_ms) - middle_ms;
  return status;
}

nlohmann::json look_at_nodes(const client::ClusterFile& file, const DoctorOptions& options) {
  nlohmann::json out = nlohmann::json::array();
  for (const std::string& folder : options.nodes)
    out.push_back(look_at_node(without_last_slash(folder), folder));
  if (file.development.empty()) return out;
  for (const DevNode& node : nodes_in(file.development)) {
    const bool is_running = pid_of(node).has_value();
    nlohmann::json one = is_running ? look_at_node(node.name, node.folder)
                                    : nlohmann::json{{"name", node.name}, {"state", "down"}};
    if (is_running && one["state"] == "down") one["state"] = "unreachable";
    out.push_back(std::move(one));
  }
  return out;
}

Looked look(const Globals& globals, const DoctorOptions& options) {
  const OpenSession session(globals);
  Looked out{.configuration = session->learn_newest(
                 std::min<Duration>(globals.timeout(), std::chrono::seconds(3))),
             .now = Timestamp(wall_seconds())};
  const auto statement = runtime::read_statement(session.file().admission);
  const auto admission =
      statement ? wire::AdmissionStatement::decode(statement->statement) : std::nullopt;
  if (admission) out.statement_until = admission->not_after;
  out.nodes = look_at_nodes(session.file(), options);
  return out;
}

void doctor(const Globals& globals, const DoctorOptions& options) {
  const Looked looked = look(globals, options);
  const std::vector<Finding> findings = diagnose(looked);
  nlohmann::json json = nlohmann::json::array();
  std::string text;
  std::size_t problems = 0;
  for (const Finding& one : findings) {
    const bool is_problem = one.weight == Finding::Weight::kProblem;
    problems += is_problem ? 1 : 0;
    const char* weight = is_problem ? "problem" : "warning";
    json.push_back(
        {{"code", one.code}, {"weight", weight}, {"what", one.what}, {"next", one.next}});
    text += fmt::format("{}  {}: {}\n         {}\n", weight, one.code, one.what, one.next);
  }
  text += fmt::format("epoch {}, {} nodes looked at: {} problems, {} warnings",
                      looked.configuration->number().epoch.value, looked.nodes.size(), problems,
                      findings.size() - problems);
  print(globals,
        {{"epoch", looked.configuration->number().epoch.value},
         {"nodes_looked_at", looked.nodes.size()},
         {"problems", problems},
         {"findings", json}},
        text);
  if (problems > 0) {
    stop(ExitCode::kPartly, {.what = fmt::format("{} problems", problems),
                             .cause = "see above",
                             .next = "docs/operating.md tells more of each code"});
  }
}

}  // namespace

void add_doctor_command(CLI::App& app, Globals& globals) {
  auto options = std::make_shared<DoctorOptions>();
  auto* command = app.add_subcommand("doctor",
                                     "What is wrong with this client, the cluster and "
                                     "nodes of this machine, and what to do about it");
  command
      ->add_option("--node", options->nodes,
                   "Folder of a node on this machine; of a development cluster all are looked at")
      ->type_name("DIR");
  command->callback([&globals, options] { doctor(globals, *options); });
}

}  // namespace rosebud::apps
