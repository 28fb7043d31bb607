// member: who is in the cluster, and what an organisation has to say about it. What they hand in
// carries the organisation's signature; any client may carry it there.
#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "apps/rosebud/commands.h"
#include "apps/rosebud/identity.h"
#include "apps/rosebud/member_plan.h"
#include "crypto/key_file.h"
#include "runtime/statement_file.h"
#include "service/instance.h"
#include "service/operations.h"

namespace rosebud::apps {
namespace {

namespace stdfs = std::filesystem;

using membership::Configuration;
using ConfigurationPointer = std::shared_ptr<const Configuration>;

struct MemberOptions {
  std::string name;
  std::string statement;
  std::string organisation;
  bool is_confirmed = false;
  bool is_waiting = false;
};

ConfigurationPointer newest(const Globals& globals, client::Session& session) {
  return session.learn_newest(std::min<Duration>(globals.timeout(), std::chrono::seconds(5)));
}

nlohmann::json json_of(const Configuration& configuration, std::uint32_t index) {
  const membership::Node& node = configuration.nodes()[index];
  const auto seat = service::seat_of(configuration, node.key);
  constexpr double kWhole = 4294967296.0;
  return {{"name", node.name},
          {"org", configuration.organisations()[node.organisation].name},
          {"key", to_hex(node.key.view())},
          {"directory", to_hex(node.directory.view())},
          {"address", node.address},
          {"capacity_bytes", node.capacity_bytes},
          {"positions", node.position_count},
          {"share", static_cast<double>(configuration.own_share(index)) / kWhole},
          {"seat", seat ? nlohmann::json(seat->value) : nlohmann::json(nullptr)}};
}

void list(const Globals& globals) {
  const OpenSession session(globals);
  const auto configuration = newest(globals, *session);
  nlohmann::json members = nlohmann::json::array();
  std::string text = fmt::format(
      "epoch {}: {} nodes of {} organisations; {} of {} seats of the "
      "configuration service are taken",
      configuration->number().epoch.value, configuration->nodes().size(),
      configuration->organisations().size(), configuration->service().size(),
      3 * configuration->settings().service_faults + 1);
  for (std::uint32_t i = 0; i < configuration->nodes().size(); ++i) {
    members.push_back(json_of(*configuration, i));
    const auto& one = members.back();
    text += fmt::format(
        "\n{:<16} {:<12} {:<24} {:>10}  keeps {:5.1f} % of all{}", one["name"].get<std::string>(),
        one["org"].get<std::string>(), one["address"].get<std::string>(),
        human_bytes(one["capacity_bytes"].get<double>()), 100 * one["share"].get<double>(),
        one["seat"].is_null() ? "" : fmt::format("  seat {}", one["seat"].get<std::uint32_t>()));
  }
  if (globals.is_quiet) {
    text.clear();
    for (const auto& one : members)
      text += (text.empty() ? "" : "\n") + one["name"].get<std::string>();
  }
  print(globals,
        {{"generation", configuration->number().generation.value},
         {"epoch", configuration->number().epoch.value},
         {"members", members}},
        text);
}

/// Has it ordered; ends the program with what to do when that was not possible.
void hand_in(const Globals& globals, client::Session& session, const service::Operation& operation,
             const std::string& refused_because) {
  const auto said = session.hand_in(service::encode(operation), globals.timeout());
  if (!said) {
    stop(
        ExitCode::kNoQuorum,
        {.what = "the configuration service did not take it in time",
         .cause = "too few of its members answer, an epoch is just ending, or the organisation has "
                  "used up its admissions of the day",
         .next = "run the same command again: doing it twice changes nothing"});
  }
  if (static_cast<service::Answer>(*said) != service::Answer::kRefused) return;
  stop(ExitCode::kDenied, {.what = "the configuration service refused it",
                           .cause = refused_because,
                           .next = "see who is in: rosebud member list"});
}

/// "with epoch 8, in about 20 s"
std::string when(const Configuration& configuration) {
  const std::uint64_t length = configuration.settings().epoch_seconds;
  if (length == 0) return "with the next epoch (epochs of this cluster do not end by time)";
  const std::uint64_t now = wall_seconds();
  const std::uint64_t end = configuration.start().value + length;
  return fmt::format("with epoch {}, in about {} s", configuration.number().epoch.value + 1,
                     end > now ? end - now : 0);
}

/// Until an epoch says so; ends the program at the time-out.
template <typename IsTrue>
ConfigurationPointer wait_for(const Globals& globals, client::Session& session, IsTrue is_true) {
  const auto end = std::chrono::steady_clock::now() + globals.timeout();
  while (true) {
    auto configuration = session.learn_newest(std::chrono::seconds(1));
    if (is_true(*configuration)) return configuration;
    if (std::chrono::steady_clock::now() >= end) {
      stop(ExitCode::kTimeout, {.what = "it is noted, but no epoch says so yet",
                                .cause = "epochs end by time, or nobody could be replaced yet",
                                .next = "wait, then: rosebud member list"});
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

void admit(const Globals& globals, const MemberOptions& options) {
  const auto statement = or_stop(runtime::read_statement(options.statement));
  const auto admission = wire::AdmissionStatement::decode(statement.statement);
  if (!admission || admission->role != wire::Role::kNode) {
    stop(ExitCode::kUsage, {.what = options.statement + " admits no node",
                            .cause = "it is a client's statement, or another file",
                            .next = "get one from the organisation: rosebud org admit-node"});
  }
  const OpenSession session(globals);
  hand_in(globals, *session, service::AdmitNode{statement},
          "a later statement for this node is there, the statement has expired, is of another "
          "cluster, or the key was revoked");
  const auto is_in = [&](const Configuration& one) {
    const auto index = one.node_index(admission->subject);
    return index && one.nodes()[*index].directory == admission->directory &&
           one.nodes()[*index].address == admission->address;
  };
  auto configuration = newest(globals, *session);
  if (options.is_waiting && !is_in(*configuration))
    configuration = wait_for(globals, *session, is_in);
  const bool is_done = is_in(*configuration);
  print(globals,
        {{"node", admission->name},
         {"member", is_done},
         {"epoch", configuration->number().epoch.value}},
        is_done ? fmt::format("{} is a member", admission->name)
                : fmt::format("{} is noted; it will be a member {}", admission->name,
                              when(*configuration)));
}

/// The member of that name, if it is this organisation's to revoke.
const membership::Node& revocable(const Configuration& configuration, const std::string& name,
                                  const crypto::PublicKey& authority) {
  const auto node = std::ranges::find(configuration.nodes(), name, &membership::Node::name);
  if (node == configuration.nodes().end()) {
    stop(ExitCode::kNotFound, {.what = "there is no member '" + name + "'",
                               .cause = "it was removed already, or the name is wrong",
                               .next = "see who is in: rosebud member list"});
  }
  const auto& organisation = configuration.organisations()[node->organisation];
  if (organisation.authority != authority) {
    stop(ExitCode::kDenied, {.what = name + " belongs to " + organisation.name,
                             .cause = "the key is another organisation's",
                             .next = "ask " + organisation.name + " to revoke it"});
  }
  return *node;
}

/// Returns the newest configuration; it may be in that still, when it is not waited for.
ConfigurationPointer revoke(const Globals& globals, client::Session& session,
                            const std::string& name, const crypto::SecretKey& authority,
                            bool is_waiting) {
  const auto configuration = newest(globals, session);
  const wire::NodeKey key = revocable(*configuration, name, authority.public_key()).key;
  hand_in(globals, session,
          service::RevokeNode{wire::sign(crypto::ed25519(), authority,
                                         service::Revocation{.cluster = configuration->cluster(),
                                                             .organisation = authority.public_key(),
                                                             .node = key})},
          "the node is another organisation's");
  if (!is_waiting) return newest(globals, session);
  return wait_for(globals, session,
                  [key](const Configuration& one) { return !one.node_index(key); });
}

void revoke(const Globals& globals, const MemberOptions& options) {
  const auto authority =
      or_stop(crypto::read_secret_key(stdfs::path(options.organisation) / "authority.key"));
  const OpenSession session(globals);
  const auto before = newest(globals, *session);
  const wire::NodeKey key = revocable(*before, options.name, authority.public_key()).key;
  if (!options.is_confirmed) {
    stop(ExitCode::kUsage, {.what = "nothing was revoked",
                            .cause = "the key of " + options.name +
                                     " can never come back, and its data moves to "
                                     "others",
                            .next = "rosebud member revoke " + options.name + " --org " +
                                    options.organisation + " --yes"});
  }
  const auto after = revoke(globals, *session, options.name, authority, options.is_waiting);
  const bool is_out = !after->node_index(key);
  const std::uint64_t epoch = after->number().epoch.value;
  print(globals, {{"node", options.name}, {"member", !is_out}, {"epoch", epoch}},
        is_out ? fmt::format("{} is out since epoch {}", options.name, epoch)
               : fmt::format("{} is revoked; it goes as soon as its groups can do without it",
                             options.name));
}

}  // namespace

void revoke_member(const Globals& globals, const std::string& name,
                   const stdfs::path& organisation) {
  const auto authority = or_stop(crypto::read_secret_key(organisation / "authority.key"));
  const OpenSession session(globals);
  (void)revoke(globals, *session, name, authority, true);
}

void add_member_commands(CLI::App& app, Globals& globals) {
  auto options = std::make_shared<MemberOptions>();
  auto* member = app.add_subcommand("member", "Who is in the cluster, who comes and who goes");
  member->require_subcommand(1);
  member->add_subcommand("list", "All nodes of the newest epoch")->callback([&globals] {
    list(globals);
  });
  auto* admit_command = member->add_subcommand("admit", "Hand in the statement that admits a node");
  admit_command->add_option("statement", options->statement, "Its node.admission")->required();
  admit_command->callback([&globals, options] { admit(globals, *options); });
  auto* revoke_command = member->add_subcommand(
      "revoke", "Take a node out for ever, as its organisation: its key never comes back");
  revoke_command->add_option("name", options->name, "Name of the node")->required();
  revoke_command->add_option("--org", options->organisation, "The organisation's folder")
      ->required();
  revoke_command->add_flag("--yes", options->is_confirmed, "Really revoke");
  revoke_command->callback([&globals, options] { revoke(globals, *options); });
  add_member_plan_command(*member, globals);
  for (auto* command : {admit_command, revoke_command}) {
    command->add_flag("--wait", options->is_waiting,
                      "Wait for the epoch that says so, at most --timeout");
  }
}

}  // namespace rosebud::apps
