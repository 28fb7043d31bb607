// member plan: what would move, and how safe everything would be, before anybody comes or goes.
#include "apps/rosebud/member_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "apps/rosebud/dev_nodes.h"
#include "apps/rosebud/identity.h"
#include "base/check.h"
#include "membership/admission.h"
#include "membership/movement.h"
#include "membership/placing.h"
#include "runtime/statement_file.h"
#include "service/next_members.h"

namespace rosebud::apps {
namespace {

using membership::Configuration;
using ConfigurationPointer = std::shared_ptr<const Configuration>;

constexpr double kWhole = 4294967296.0;  // membership/movement.h

struct PlanOptions {
  std::vector<std::string> coming;    // files with statements
  std::vector<std::string> going;     // names
  std::vector<std::string> draining;  // names
  std::uint64_t stored_bytes = 0;
};

struct Plan {
  ConfigurationPointer before;
  ConfigurationPointer after;
  membership::Movement movement;
  std::vector<std::string> waiting;  // whoever does not come or go, and why
  std::uint64_t stored_bytes = 0;    // of all groups together, each copy once; 0: not known
};

service::OwnedNode member_named(const Configuration& current, const std::string& name) {
  const auto node = std::ranges::find(current.nodes(), name, &membership::Node::name);
  if (node == current.nodes().end()) {
    stop(ExitCode::kNotFound, {.what = "there is no member '" + name + "'",
                               .cause = "it was removed already, or the name is wrong",
                               .next = "see who is in: rosebud member list"});
  }
  return {.organisation = current.organisations()[node->organisation].authority, .node = node->key};
}

/// As the configuration service would be asked for it.
service::Wishes wishes_of(const Configuration& current, const PlanOptions& options) {
  service::Wishes out;
  for (const std::string& file : options.coming) {
    const auto statement = or_stop(runtime::read_statement(file));
    const auto named = wire::AdmissionStatement::decode(statement.statement);
    const auto subject = named ? named->subject : wire::NodeKey{};
    const auto checked = membership::check_admission(current, statement, subject, wire::Role::kNode,
                                                     Timestamp(wall_seconds()), crypto::ed25519());
    if (!checked) {
      stop(ExitCode::kUsage,
           {.what = file + ": " + std::string(membership::text_of(checked.error())),
            .cause = "the service would refuse it",
            .next = "get a statement from the organisation: rosebud org admit-node"});
    }
    out.admissions.push_back(statement);
  }
  for (const std::string& name : options.going) out.revoked.insert(member_named(current, name));
  for (const std::string& name : options.draining)
    out.retired_s.emplace(member_named(current, name), wall_seconds());
  return out;
}

/// Whom the service would not take, or not let go, in the next epoch.
std::vector<std::string> waiting_in(const service::Wishes& wishes, const Configuration& current,
                                    const membership::NodeChanges& changes) {
  const auto node_then = [&](const wire::NodeKey& key) {
    return membership::node_after(current, changes, key);
  };
  std::vector<std::string> out;
  for (const wire::SignedBytes& one : wishes.admissions) {
    const auto statement = wire::AdmissionStatement::decode(one.statement);
    if (!service::is_in_as_stated(*statement, node_then(statement->subject))) {
      out.push_back(statement->name +
                    " would not be taken: another node has its name, address or directory, or its "
                    "key belongs to another organisation");
    }
  }
  for (const service::OwnedNode& one : wishes.revoked) {
    const auto* node = node_then(one.node);
    if (node == nullptr) continue;
    out.push_back(
        node->name +
        " would stay: without it a group could not be filled to 2f+1 members, or the service to "
        "2F+1; let another one come first");
  }
  for (const auto& [one, since] : wishes.retired_s) {
    const auto* node = node_then(one.node);
    if (node == nullptr) continue;
    out.push_back(node->name +
                  " would stay for the present: at most f of a group leave in one epoch, and no "
                  "group is left with fewer than 2f+1");
  }
  return out;
}

/// Where new nodes stand is drawn by the epoch that admits them: an example of a draw.
ConfigurationPointer example_of(const Configuration& current, service::NextMembers next) {
  for (auto& [key, node] : next.nodes.added) {
    node.admission_randomness =
        crypto::Hasher("rosebud example of a draw 1").update(current.randomness().view()).finish();
  }
  const auto placed = membership::in_their_places(current, next.nodes);
  CHECK(placed.has_value());
  return or_stop(Configuration::make({.cluster = current.cluster(),
                                      .number = current.number(),
                                      .start = current.start(),
                                      .end = current.end(),
                                      .settings = current.settings(),
                                      .organisations = std::move(next.organisations)},
                                     current, *placed));
}

/// What the nodes of a development cluster say that they keep, each copy once.
std::uint64_t stored_in(const client::ClusterFile& file, const Configuration& configuration) {
  if (file.development.empty()) return 0;
  std::uint64_t copies = 0;
  for (const auto& node : all_status(nodes_in(file.development)))
    copies += node.value("bytes", std::uint64_t{0});
  return copies / configuration.filled_seats();
}

Plan make_plan(const Globals& globals, const PlanOptions& options) {
  const OpenSession session(globals);
  const auto current =
      session->learn_newest(std::min<Duration>(globals.timeout(), std::chrono::seconds(5)));
  const service::Wishes wishes = wishes_of(*current, options);
  service::NextMembers next = service::next_members(*current, wishes, wall_seconds() * 1000);
  Plan out{.before = current, .waiting = waiting_in(wishes, *current, next.nodes)};
  out.after = example_of(*current, std::move(next));
  out.movement = membership::movement(*current, *out.after);
  out.stored_bytes =
      options.stored_bytes > 0 ? options.stored_bytes : stored_in(session.file(), *current);
  return out;
}

std::vector<std::string> warnings_of(const Plan& plan) {
  std::vector<std::string> out = plan.waiting;
  if (plan.movement.exposed_after > plan.movement.exposed_before) {
    out.push_back(
        fmt::format("{:.1f} % of the keys would have fewer than {} replicas: with at most {} of "
                    "one organisation in a "
                    "group too few organisations are left ({:.1f} % have now)",
                    100 * static_cast<double>(plan.movement.exposed_after) / kWhole,
                    plan.after->group_size(), plan.after->settings().cap,
                    100 * static_cast<double>(plan.movement.exposed_before) / kWhole));
  }
  if (plan.movement.replaced_max > plan.after->f()) {
    out.push_back(
        fmt::format("up to {} members of one group would be replaced at once, more than f = {}: "
                    "until their data "
                    "has moved those who go must stay switched on",
                    plan.movement.replaced_max, plan.after->f()));
  }
  return out;
}

nlohmann::json json_of(const Plan& plan) {
  const auto part = [](std::uint64_t share) { return static_cast<double>(share) / kWhole; };
  nlohmann::json nodes = nlohmann::json::array();
  for (const membership::NodeMovement& one : plan.movement.nodes) {
    const bool comes = !plan.before->node_index(one.key);
    const bool goes = !plan.after->node_index(one.key);
    const char* change = comes                    ? "comes"
                         : goes                   ? "goes"
                         : one.has_lost_directory ? "anew"
                                                  : "stays";
    nlohmann::json node{{"name", one.name},
                        {"change", change},
                        {"share_before", part(one.before)},
                        {"share_after", part(one.after)},
                        {"share_fetched", part(one.gained)},
                        {"share_deleted", part(one.lost)}};
    if (plan.stored_bytes > 0) {
      node["bytes_fetched"] =
          static_cast<std::uint64_t>(part(one.gained) * static_cast<double>(plan.stored_bytes));
    }
    nodes.push_back(std::move(node));
  }
  nlohmann::json out{{"epoch", plan.before->number().epoch.value},
                     {"nodes", nodes},
                     {"share_fetched", part(plan.movement.gained)},
                     {"exposed_before", part(plan.movement.exposed_before)},
                     {"exposed_after", part(plan.movement.exposed_after)},
                     {"replaced_of_one_group", plan.movement.replaced_max},
                     {"warnings", warnings_of(plan)}};
  if (plan.stored_bytes > 0) {
    out["bytes_stored"] = plan.stored_bytes;
    out["bytes_fetched"] = static_cast<std::uint64_t>(part(plan.movement.gained) *
                                                      static_cast<double>(plan.stored_bytes));
  }
  return out;
}

std::string text_of(const nlohmann::json& plan) {
  const auto percent = [](const nlohmann::json& in, const char* key) {
    return 100 * in[key].get<double>();
  };
  const auto bytes = [](const nlohmann::json& in) {
    return in.contains("bytes_fetched") ? ", " + human_bytes(in["bytes_fetched"].get<double>())
                                        : "";
  };
  std::string text =
      fmt::format("{:<16} {:<6} {:>10} {:>10}  fetches", "node", "", "keeps now", "then");
  for (const auto& one : plan["nodes"]) {
    text += fmt::format("\n{:<16} {:<6} {:>8.1f} % {:>8.1f} %  {:.1f} %{}",
                        one["name"].get<std::string>(), one["change"].get<std::string>(),
                        percent(one, "share_before"), percent(one, "share_after"),
                        percent(one, "share_fetched"), bytes(one));
  }
  text += fmt::format("\ncopies of {:.1f} % of the data are fetched{}; nothing was changed",
                      percent(plan, "share_fetched"), bytes(plan));
  for (const auto& warning : plan["warnings"]) text += "\nwarning: " + warning.get<std::string>();
  return text;
}

}  // namespace

void require_safe_without(const Globals& globals, const std::string& name) {
  PlanOptions options;
  options.draining = {name};
  const Plan plan = make_plan(globals, options);
  const bool is_worse = plan.movement.exposed_after > plan.movement.exposed_before;
  if (plan.waiting.empty() && !is_worse) return;
  std::string cause;
  for (const std::string& warning : warnings_of(plan))
    cause += (cause.empty() ? "" : "; ") + warning;
  stop(ExitCode::kDenied,
       {.what = name + " is not drained: the others would be worse off",
        .cause = cause,
        .next = "let another one come first (rosebud member admit), see rosebud member plan "
                "--drain " +
                name + ", or --force"});
}

void add_member_plan_command(CLI::App& member, Globals& globals) {
  auto options = std::make_shared<PlanOptions>();
  auto* command = member.add_subcommand(
      "plan", "What would move, and how safe everything would be, if nodes came or went");
  command
      ->add_option("--admit", options->coming, "Statement of a node that comes: its node.admission")
      ->type_name("FILE");
  command->add_option("--revoke", options->going, "Name of a node that goes")->type_name("NAME");
  command->add_option("--drain", options->draining, "Name of a node that is to leave")
      ->type_name("NAME");
  command
      ->add_option("--stored", options->stored_bytes,
                   "Bytes that are stored, each copy once: to tell bytes beside percentages")
      ->transform(CLI::AsSizeValue(false))
      ->type_name("SIZE");
  command->callback([&globals, options] {
    const nlohmann::json plan = json_of(make_plan(globals, *options));
    print(globals, plan, text_of(plan));
  });
}

}  // namespace rosebud::apps
