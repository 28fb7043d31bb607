#include "apps/rosebud/recovery_plan.h"

#include <algorithm>

#include "apps/rosebud/words.h"
#include "service/draw.h"

namespace rosebud::apps {
namespace {

using membership::Configuration;
using membership::LackingGroup;

constexpr std::string_view kService = "service";
constexpr std::string_view kAll = "all";

void take_statements(const RecoveryFile& file, const crypto::SignatureScheme& scheme,
                     RecoveryOutlook& out, std::set<wire::NodeKey>& stated) {
  for (const auto& [node, statement] : file.statements) {
    if (membership::checked_statement(*out.parent, file.generation, statement, scheme)) {
      out.plan.statements.push_back(statement);
      stated.insert(node);
      continue;
    }
    const auto index = out.parent->node_index(node);
    out.passed_over.push_back(index ? out.parent->nodes()[*index].name : to_hex(node.view()));
  }
  for (const membership::Node& node : out.parent->nodes()) {
    if (!stated.contains(node.key)) out.silent.push_back(node.name);
  }
}

void take_gone(const RecoveryChoices& choices, RecoveryOutlook& out) {
  for (const std::string& name : choices.gone) {
    const auto& nodes = out.parent->nodes();
    const auto at = std::ranges::find(nodes, name, &membership::Node::name);
    if (at != nodes.end()) {
      out.plan.given_up.insert(at->key);
    } else {
      out.problems.push_back({.what = "there is no node '" + name + "' in the parent epoch",
                              .cause = "the name is wrong, or it has left before",
                              .next = "leave out --gone " + name});
    }
  }
}

void take_losses(const RecoveryChoices& choices, const std::set<wire::NodeKey>& stated,
                 RecoveryOutlook& out) {
  const auto is_accepted = [&](const std::string& what) {
    return std::ranges::find(choices.losses, what) != choices.losses.end() ||
           std::ranges::find(choices.losses, kAll) != choices.losses.end();
  };
  std::set<std::string> to_give_up;
  for (const LackingGroup& group : out.lacking) {
    const std::string id = to_hex(group.id.view());
    out.plan.losses.push_back(group.id);
    if (!is_accepted(id)) {
      out.problems.push_back(
          {.what = "group " + id + " cannot say what it acknowledged: " +
                   std::to_string(group.stated_count) + " of its members have stated something, " +
                   std::to_string(out.parent->quorum()) + " are needed",
           .cause = "its members are gone, or were not asked",
           .next = "have them state it (collect), or accept the loss: --accept-loss " + id});
    }
    for (const std::uint32_t member : group.members) {
      const membership::Node& node = out.parent->nodes()[member];
      if (!stated.contains(node.key) && !out.plan.given_up.contains(node.key))
        to_give_up.insert(node.name);
    }
  }
  for (const std::string& name : to_give_up) {
    out.problems.push_back(
        {.what = name + " has stated nothing, and is of a group whose loss is to be accepted",
         .cause = "others would wait for what it holds",
         .next = "have it state something (collect), or give it up: --gone " + name});
  }
  for (const std::string& id : choices.losses) {
    const bool is_known = id == kService || id == kAll ||
                          std::ranges::any_of(out.lacking, [&](const LackingGroup& one) {
                            return to_hex(one.id.view()) == id;
                          });
    if (!is_known) {
      out.problems.push_back({.what = "no loss of '" + id + "' has to be accepted",
                              .cause = "its members have stated enough, or the id is wrong",
                              .next = "leave out --accept-loss " + id});
    }
  }
  if (out.is_state_lost && !is_accepted(std::string(kService))) {
    out.problems.push_back(
        {.what = "nobody has shown what was handed to the service of the parent epoch",
         .cause = "its members are gone: what they knew of revoked and retired nodes, decrees and "
                  "admissions that wait is lost with them",
         .next = "have more members state something (collect), or accept it: --accept-loss " +
                 std::string(kService)});
  }
}

std::map<wire::NodeKey, crypto::PublicKey> epoch_keys_of(
    const std::vector<wire::SignedBytes>& statements) {
  std::map<wire::NodeKey, crypto::PublicKey> out;
  for (const wire::SignedBytes& one : statements) {
    const auto stated = membership::RecoveryStatement::decode(one.statement);
    if (stated) out.emplace(stated->node, stated->epoch_key);
  }
  return out;
}

/// As the service draws them: whoever sat stays, then who the ring meets.
void take_seats(const std::set<wire::NodeKey>& stated, RecoveryOutlook& out) {
  const Configuration& parent = *out.parent;
  service::SeatRules rules{.now_ms = out.plan.start.value * 1000};
  for (const membership::Node& node : parent.nodes()) {
    if (!stated.contains(node.key) || out.plan.given_up.contains(node.key))
      rules.barred.insert(node.key);
    rules.seated_since_ms[node.key] = rules.now_ms;
  }
  const service::SeatDraw draw = service::draw_seats(parent, rules);
  const std::size_t faults = out.plan.settings.service_faults;
  std::map<std::uint32_t, std::size_t> seats_of;
  // A key that stands twice makes the description impossible; whose it is, nobody can tell here.
  std::set<crypto::PublicKey> keys;
  for (const auto& organisation : parent.organisations()) keys.insert(organisation.authority);
  for (const membership::Node& node : parent.nodes()) keys.insert(node.key);
  const auto epoch_keys = epoch_keys_of(out.plan.statements);
  for (const auto* some : {&draw.seats, &draw.reserve}) {
    for (const wire::NodeKey& node : *some) {
      if (out.plan.seats.size() == 3 * faults + 1) break;
      std::size_t& seats = seats_of[parent.nodes()[*parent.node_index(node)].organisation];
      if (seats == std::max<std::size_t>(faults, 1)) continue;
      if (!keys.insert(epoch_keys.at(node)).second) {
        out.same_key.push_back(parent.nodes()[*parent.node_index(node)].name);
        continue;
      }
      ++seats;
      out.plan.seats.push_back(node);
    }
  }
  if (out.plan.seats.size() >= 2 * faults + 1) return;
  out.problems.push_back(
      {.what = "only " + std::to_string(out.plan.seats.size()) +
               " seats of a service with F = " + std::to_string(faults) + " can be filled, " +
               std::to_string(2 * faults + 1) + " are needed",
       .cause = "at most F of one organisation sit, and only who has stated something",
       .next = "have more organisations' nodes state something, or lower F: --service-faults " +
               std::to_string(faults == 0 ? 0 : faults - 1)});
}

void check_groups_left(RecoveryOutlook& out) {
  membership::ConfigurationParts parts{.cluster = out.parent->cluster(),
                                       .number = out.parent->number(),
                                       .start = out.plan.start,
                                       .end = Timestamp(0),
                                       .randomness = {},
                                       .settings = out.plan.settings,
                                       .organisations = out.parent->organisations(),
                                       .nodes = {},
                                       .signed_description = {},
                                       .service = {},
                                       .header_hash = {},
                                       .service_state = {}};
  for (const membership::Node& node : out.parent->nodes()) {
    if (!out.plan.given_up.contains(node.key)) parts.nodes.push_back(node);
  }
  if (out.plan.given_up.size() > membership::kRemovedNodesMax) {
    out.problems.push_back({.what = std::to_string(out.plan.given_up.size()) +
                                    " nodes are given up, and one description says at most " +
                                    std::to_string(membership::kRemovedNodesMax),
                            .cause = {},
                            .next = "give up fewer nodes"});
  }
  if (auto problem = membership::problem_of(parts)) {
    problem->next = "give up fewer nodes";
    out.problems.push_back(std::move(*problem));
  }
}

}  // namespace

std::vector<NamedConfiguration> named_configurations(const RecoveryFile& file) {
  std::set<std::pair<wire::ConfigurationNumber, crypto::Digest>> all;
  for (const auto& [node, statement] : file.statements) {
    const auto stated = membership::RecoveryStatement::decode(statement.statement);
    if (stated) all.emplace(stated->entered, stated->header_hash);
  }
  std::vector<NamedConfiguration> out;
  for (auto at = all.rbegin(); at != all.rend(); ++at)
    out.push_back({.number = at->first, .header_hash = at->second});
  return out;
}

std::shared_ptr<const Configuration> find_parent(const RecoveryFile& file,
                                                 const ShownConfigurations& shown,
                                                 const crypto::SignatureScheme& scheme) {
  for (const NamedConfiguration& named : named_configurations(file)) {
    const auto at = shown.find(named.header_hash);
    if (at == shown.end() || at->second->number() != named.number) continue;
    const bool is_named_by_member = std::ranges::any_of(file.statements, [&](const auto& one) {
      const auto stated =
          membership::checked_statement(*at->second, file.generation, one.second, scheme);
      return stated && stated->entered == named.number;
    });
    if (is_named_by_member) return at->second;
  }
  return nullptr;
}

std::vector<std::string> seats_at_large(const Configuration& parent,
                                        const std::set<wire::NodeKey>& stated,
                                        const std::set<wire::NodeKey>& given_up) {
  std::vector<std::string> out;
  for (const membership::ServiceMember& member : parent.service()) {
    const membership::Node& node = parent.nodes()[member.node];
    if (!stated.contains(node.key) && !given_up.contains(node.key)) out.push_back(node.name);
  }
  return out;
}

std::optional<Explained> warning_of_old_service(const Configuration& parent,
                                                const std::vector<std::string>& at_large) {
  if (at_large.size() < parent.service_quorum()) return std::nullopt;
  return Explained{
      .what = "the old configuration service may live: " + std::to_string(at_large.size()) +
              " of its members, " + std::to_string(parent.service_quorum()) +
              " of which make an epoch, have promised nothing and are not given up",
      .cause = "they are silent, not gone: " + joined(at_large) +
               "; then two services would go on at once, and groups whose loss is accepted would "
               "take writes on both sides",
      .next = "find out whether they run, and have them state what they hold (collect)"};
}

RecoveryOutlook outlook_of(std::shared_ptr<const Configuration> parent, const RecoveryFile& file,
                           const RecoveryChoices& choices, Timestamp now,
                           const crypto::SignatureScheme& scheme) {
  RecoveryOutlook out{.parent = std::move(parent)};
  out.plan.generation = file.generation;
  out.plan.start = std::max(now, out.parent->start());
  out.plan.settings = out.parent->settings();
  if (choices.service_faults) {
    out.plan.settings.service_faults =
        std::min(*choices.service_faults, out.parent->settings().service_faults);
  }
  std::set<wire::NodeKey> stated;
  take_statements(file, scheme, out, stated);
  take_gone(choices, out);
  out.lacking = membership::lacking_groups(*out.parent, stated);
  const auto state = file.states.find(out.parent->service_state());
  if (state != file.states.end()) {
    out.plan.state = state->second;
  } else {
    out.is_state_lost = !out.parent->service_state().is_zero();
  }
  take_losses(choices, stated, out);
  take_seats(stated, out);
  out.at_large = seats_at_large(*out.parent, stated, out.plan.given_up);
  check_groups_left(out);
  return out;
}

}  // namespace rosebud::apps
