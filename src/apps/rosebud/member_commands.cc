// member: who is in the cluster, and what an organisation has to say about it. What they hand in
// carries the organisation's signature; any client may carry it there.
#include <fmt/format.h>

#include <algorithm>

#include "apps/rosebud/handing_in.h"
#include "apps/rosebud/identity.h"
#include "apps/rosebud/member_plan.h"
#include "runtime/statement_file.h"
#include "service/instance.h"
#include "service/operations.h"

namespace rosebud::apps {
namespace {

namespace stdfs = std::filesystem;

using membership::Configuration;

struct MemberOptions {
  std::string name;
  std::string statement;
  std::string organisation;
  bool is_confirmed = false;
  bool is_forced = false;
  bool is_waiting = false;
};

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
  const auto authority = authority_in(options.organisation);
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

/// Leaves with the next epoch that can do without it; nothing is said about the key.
void drain(const Globals& globals, const MemberOptions& options) {
  const auto authority = authority_in(options.organisation);
  const OpenSession session(globals);
  const auto before = newest(globals, *session);
  const membership::Node node = revocable(*before, options.name, authority.public_key());
  if (!options.is_forced) require_safe_without(globals, options.name);
  if (!options.is_confirmed) {
    stop(ExitCode::kUsage,
         {.what = "nothing was drained",
          .cause = "the data of " + options.name + " moves to others when it leaves",
          .next = "rosebud member drain " + options.name + " --org " + options.organisation +
                  " --yes"});
  }
  hand_in(globals, *session,
          service::RetireNode{wire::sign(
              crypto::ed25519(), authority,
              service::Retirement{.cluster = before->cluster(),
                                  .organisation = authority.public_key(),
                                  .node = node.key,
                                  .not_before = Timestamp(wall_seconds() - kStatementsEarlier)})},
          "a later statement of the organisation for this node is there");
  const auto is_out = [&](const Configuration& one) { return !one.node_index(node.key); };
  auto after = newest(globals, *session);
  if (options.is_waiting && !is_out(*after)) after = wait_for(globals, *session, is_out);
  const std::uint64_t epoch = after->number().epoch.value;
  print(globals, {{"node", options.name}, {"member", !is_out(*after)}, {"epoch", epoch}},
        is_out(*after)
            ? fmt::format("{} is out since epoch {}; keep it running until all others hold their "
                          "data (rosebud status), then stop it",
                          options.name, epoch)
            : fmt::format("{} leaves {}; keep it running", options.name, when(*after)));
}

}  // namespace

void revoke_member(const Globals& globals, const std::string& name,
                   const stdfs::path& organisation) {
  const auto authority = authority_in(organisation);
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
  auto* drain_command = member->add_subcommand(
      "drain",
      "Let a node leave with an epoch to come, as its organisation; it may come back. Several: one "
      "after the other, with --wait");
  drain_command->add_option("name", options->name, "Name of the node")->required();
  drain_command->add_option("--org", options->organisation, "The organisation's folder")
      ->required();
  drain_command->add_flag("--yes", options->is_confirmed, "Really let it leave");
  drain_command->add_flag("--force", options->is_forced,
                          "Although groups would have fewer replicas");
  drain_command->callback([&globals, options] { drain(globals, *options); });
  add_member_plan_command(*member, globals);
  for (auto* command : {admit_command, revoke_command, drain_command}) {
    command->add_flag("--wait", options->is_waiting,
                      "Wait for the epoch that says so, at most --timeout");
  }
}

}  // namespace rosebud::apps
