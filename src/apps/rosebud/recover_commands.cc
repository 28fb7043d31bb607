// cluster recover: a file goes from organisation to organisation. First members state what they
// hold (collect), then one proposes how to go on, then more than two thirds sign that, and any node
// takes it in (apply).
#include "apps/rosebud/recover_commands.h"

#include <fmt/format.h>

#include <algorithm>

#include "apps/rosebud/dev_nodes.h"
#include "apps/rosebud/handing_in.h"
#include "apps/rosebud/identity.h"
#include "apps/rosebud/node_file.h"
#include "apps/rosebud/recovery_plan.h"
#include "apps/rosebud/verified_epochs.h"
#include "apps/rosebud/words.h"
#include "base/check.h"
#include "runtime/epoch_files.h"

namespace rosebud::apps {
namespace {

namespace stdfs = std::filesystem;

using membership::Configuration;
using membership::SignedDescription;

constexpr std::string_view kNone = "none";

struct RecoverOptions {
  std::string file;
  std::string organisation;
  std::vector<std::string> nodes;  // folders
  std::uint32_t generation = 0;    // 0: the next
  RecoveryChoices choices;
  bool is_confirmed = false;
};

std::string name_in(const Configuration& configuration, const wire::NodeKey& key) {
  const auto index = configuration.node_index(key);
  return index ? configuration.nodes()[*index].name : to_hex(key.view());
}

template <typename Keys>
std::vector<std::string> names_of(const Configuration& configuration, const Keys& keys) {
  std::vector<std::string> out;
  for (const wire::NodeKey& key : keys) out.push_back(name_in(configuration, key));
  return out;
}

std::vector<std::string> names_of(const Configuration& parent,
                                  const membership::LackingGroup& group) {
  std::vector<std::string> out;
  for (const std::uint32_t node : group.members) out.push_back(parent.nodes()[node].name);
  return out;
}

/// Those of the wanted, by header hash, that the cluster's nodes show, verified.
ShownConfigurations shown(const Globals& globals, const OpenSession& session,
                          const std::set<crypto::Digest>& wanted) {
  ShownConfigurations out;
  const auto now = newest(globals, *session);
  if (wanted.contains(now->header_hash())) out.emplace(now->header_hash(), now);
  if (out.size() == wanted.size()) return out;
  (void)verify_epochs_of(globals, {}, [&](const membership::VerifiedEpoch& one) {
    if (one.configuration && wanted.contains(one.hash)) out.emplace(one.hash, one.configuration);
    return out.size() == wanted.size() ? membership::Onward::kStop : membership::Onward::kGoOn;
  });
  return out;
}

[[noreturn]] void stop_without_parent(const std::string& named) {
  stop(ExitCode::kConflict,
       {.what = "no node shows " + named + ", from which this would go on",
        .cause = "a statement names an epoch that is not there, or the nodes that have it do not "
                 "answer, or the cluster was recovered from another epoch meanwhile",
        .next = "see rosebud epoch list, and collect statements again"});
}

/// Folders of the nodes that are meant: those that are named, or of a development cluster all (of
/// one organisation).
std::vector<stdfs::path> folders_of(const OpenSession& session, const RecoverOptions& options,
                                    const std::string& organisation) {
  std::vector<stdfs::path> out(options.nodes.begin(), options.nodes.end());
  if (!out.empty() || session.file().development.empty()) return out;
  for (const DevNode& node : nodes_in(session.file().development)) {
    if (!organisation.empty() && node.organisation != organisation) continue;
    if (pid_of(node)) out.push_back(node.folder);
  }
  return out;
}

Result<nlohmann::json, Explained> ask_node(const stdfs::path& folder, const std::string& method,
                                           const std::string& target) {
  const auto port = number_in(folder / "admin.port");
  if (!port) {
    return fail(Explained{
        .what = folder.string() + " has no admin.port",
        .cause = "the node does not run, or the folder is another one",
        .next = "start it: rosebud node run --config " + (folder / "node.toml").string()});
  }
  const auto body = admin_request(static_cast<std::uint16_t>(*port), method, target);
  if (!body) return fail(body.error());
  return nlohmann::json::parse(*body, nullptr, false);
}

// ---- collect ----

/// The file as it is, or a new one.
RecoveryFile begun(const RecoverOptions& options, const Configuration& configuration) {
  std::error_code error;
  RecoveryFile out{.cluster = configuration.cluster(),
                   .generation = options.generation > 0 ? wire::Generation(options.generation)
                                                        : configuration.number().generation.next()};
  if (!stdfs::exists(options.file, error)) return out;
  RecoveryFile found = or_stop(read_recovery_file(options.file));
  if (found.cluster != out.cluster ||
      (options.generation > 0 && found.generation != out.generation)) {
    stop(ExitCode::kConflict, {.what = options.file + " is of another cluster or generation",
                               .cause = {},
                               .next = "name another file"});
  }
  if (found.proposal) {
    stop(ExitCode::kConflict,
         {.what = options.file + " has a proposal: what is stated now is not in it",
          .cause = "somebody has proposed how to go on already",
          .next = "sign that (rosebud cluster recover show " + options.file +
                  "), or collect into a new file and propose again"});
  }
  return found;
}

Status<Explained> collect_from(const stdfs::path& folder, const std::string& call,
                               RecoveryFile& file) {
  const auto answer = ask_node(folder, "POST", "/v1/recovery?call=" + call);
  if (!answer) return fail(answer.error());
  const auto bytes = from_hex(text_in(*answer, "statement"));
  wire::Reader in(bytes ? ByteView(*bytes) : ByteView());
  const wire::SignedBytes statement = wire::read_signed_bytes(in, wire::kStatementSizeMax);
  if (!in.done() || !file.add(statement)) {
    return fail(Explained{.what = folder.string() + ": the node's answer is no statement",
                          .cause = "it runs another version",
                          .next = "run the same version everywhere"});
  }
  if (const auto state = from_hex(text_in(*answer, "state"))) file.add_state(*state);
  return {};
}

void collect(const Globals& globals, const RecoverOptions& options) {
  const OpenSession session(globals);
  const auto authority = authority_in(options.organisation);
  const auto configuration = newest(globals, *session);
  const auto organisation = configuration->organisation_index(authority.public_key());
  if (!organisation) {
    stop(ExitCode::kDenied, {.what = options.organisation + " is no organisation of this cluster",
                             .cause = "the folder is another cluster's",
                             .next = "see who is: rosebud org list"});
  }
  const std::string& name = configuration->organisations()[*organisation].name;
  RecoveryFile file = begun(options, *configuration);
  const auto folders = folders_of(session, options, name);
  if (folders.empty()) {
    stop(ExitCode::kUsage, {.what = "no node of " + name + " is named that runs here",
                            .cause = "statements are made by running nodes of this machine",
                            .next = "name its folder: --node DIR"});
  }
  if (!options.is_confirmed) {
    stop(
        ExitCode::kUsage,
        {.what = "nothing was collected",
         .cause = fmt::format("{} node(s) of {} would state what they hold, for generation {}, and "
                              "follow the present configuration service no more: there is no way "
                              "back but a recovery",
                              folders.size(), name, file.generation.value),
         .next = "if more than F of its members are gone for good, repeat it with --yes"});
  }
  const membership::RecoveryCall call{.cluster = file.cluster,
                                      .organisation = authority.public_key(),
                                      .generation = file.generation};
  wire::Writer bytes;
  wire::write(bytes, wire::sign(crypto::ed25519(), authority, call));
  std::size_t failed = 0;
  for (const stdfs::path& folder : folders) {
    const auto collected = collect_from(folder, to_hex(bytes.bytes()), file);
    if (collected) continue;
    ++failed;
    warn(globals, collected.error());
  }
  if (!file.statements.empty()) or_stop(write_recovery_file(options.file, file));
  std::string text;
  nlohmann::json statements = nlohmann::json::array();
  for (const auto& [node, statement] : file.statements) {
    const auto stated = membership::RecoveryStatement::decode(statement.statement);
    statements.push_back({{"node", name_in(*configuration, node)},
                          {"generation", stated->entered.generation.value},
                          {"epoch", stated->entered.epoch.value}});
    text += fmt::format("{} has entered epoch {} of generation {}\n", name_in(*configuration, node),
                        stated->entered.epoch.value, stated->entered.generation.value);
  }
  print(globals,
        {{"generation", file.generation.value}, {"statements", statements}, {"failed", failed}},
        text + "next: the same at the other organisations, then rosebud cluster recover plan " +
            options.file);
  if (failed > 0) {
    stop(ExitCode::kPartly, {.what = fmt::format("{} node(s) have stated nothing", failed),
                             .cause = "see above",
                             .next = "repeat it: doing it twice changes nothing"});
  }
}

// ---- plan, propose ----

RecoveryOutlook outlook(const Globals& globals, const OpenSession& session,
                        const RecoverOptions& options, const RecoveryFile& file) {
  const auto named = named_configurations(file);
  if (named.empty()) {
    stop(ExitCode::kConflict, {.what = options.file + " has no statements",
                               .cause = {},
                               .next = "collect some: rosebud cluster recover collect"});
  }
  std::set<crypto::Digest> wanted;
  for (const NamedConfiguration& one : named) wanted.insert(one.header_hash);
  auto parent = find_parent(file, shown(globals, session, wanted), crypto::ed25519());
  if (!parent)
    stop_without_parent(fmt::format("epoch {} or another one that a member of it names",
                                    named.front().number.epoch.value));
  return outlook_of(std::move(parent), file, options.choices, Timestamp(wall_seconds()),
                    crypto::ed25519());
}

double percent_of(std::uint64_t share) {
  return 100.0 * static_cast<double>(share) / static_cast<double>(std::uint64_t{1} << 32);
}

nlohmann::json json_of(const RecoveryOutlook& seen) {
  const Configuration& parent = *seen.parent;
  nlohmann::json groups = nlohmann::json::array();
  for (const auto& one : seen.lacking) {
    groups.push_back({{"group", to_hex(one.id.view())},
                      {"members", names_of(parent, one)},
                      {"stated", one.stated_count},
                      {"needed", parent.quorum()},
                      {"percent_of_keys", percent_of(one.share)}});
  }
  nlohmann::json problems = nlohmann::json::array();
  for (const Explained& one : seen.problems) {
    problems.push_back({{"what", one.what}, {"cause", one.cause}, {"next", one.next}});
  }
  return {{"generation", seen.plan.generation.value},
          {"parent_generation", parent.number().generation.value},
          {"parent_epoch", parent.number().epoch.value},
          {"statements", seen.plan.statements.size()},
          {"silent", seen.silent},
          {"passed_over", seen.passed_over},
          {"same_key", seen.same_key},
          {"old_service_at_large", seen.at_large},
          {"old_service_may_live", seen.at_large.size() >= parent.service_quorum()},
          {"lacking", groups},
          {"service_state_lost", seen.is_state_lost},
          {"given_up", names_of(parent, seen.plan.given_up)},
          {"seats", names_of(parent, seen.plan.seats)},
          {"service_faults", seen.plan.settings.service_faults},
          {"problems", problems}};
}

std::string text_of(const RecoveryOutlook& seen) {
  const Configuration& parent = *seen.parent;
  std::string out = fmt::format(
      "generation {} would go on from epoch {} (generation {})\n"
      "{} of {} nodes have stated what they hold; silent: {}\n",
      seen.plan.generation.value, parent.number().epoch.value, parent.number().generation.value,
      seen.plan.statements.size(), parent.nodes().size(), joined(seen.silent, kNone));
  if (!seen.passed_over.empty())
    out += "statements that do not count (of no member, or of an epoch that nobody shows), of: " +
           joined(seen.passed_over) + "\n";
  if (!seen.same_key.empty())
    out += "no seat, as their epoch key is somebody else's too: " + joined(seen.same_key) + "\n";
  for (const auto& one : seen.lacking) {
    out += fmt::format("group {}: {} of {} needed; {:.2f} % of the keys; {}\n",
                       to_hex(one.id.view()), one.stated_count, parent.quorum(),
                       percent_of(one.share), joined(names_of(parent, one)));
  }
  if (!seen.lacking.empty())
    out += "what these groups acknowledged last may be lost, or come back older\n";
  if (seen.is_state_lost) out += "what the service knew (revoked nodes, decrees) is lost\n";
  out += fmt::format(
      "given up: {}\nseats, F = {}: {}\n", joined(names_of(parent, seen.plan.given_up), kNone),
      seen.plan.settings.service_faults, joined(names_of(parent, seen.plan.seats), kNone));
  for (const Explained& one : seen.problems)
    out += "missing: " + one.what + "\n         " + one.next + "\n";
  return out;
}

void plan(const Globals& globals, const RecoverOptions& options) {
  const OpenSession session(globals);
  const RecoveryFile file = or_stop(read_recovery_file(options.file));
  const RecoveryOutlook seen = outlook(globals, session, options, file);
  if (const auto warning = warning_of_old_service(*seen.parent, seen.at_large))
    warn(globals, *warning);
  print(globals, json_of(seen),
        text_of(seen) + (seen.problems.empty() ? "next: rosebud cluster recover propose " +
                                                     options.file + " with the same options"
                                               : "nothing can be proposed yet"));
}

void propose(const Globals& globals, const RecoverOptions& options) {
  const OpenSession session(globals);
  RecoveryFile file = or_stop(read_recovery_file(options.file));
  if (file.proposal) {
    stop(ExitCode::kConflict, {.what = options.file + " has a proposal already",
                               .cause = "an authority signs one for each generation",
                               .next = "look at it: rosebud cluster recover show " + options.file});
  }
  const RecoveryOutlook seen = outlook(globals, session, options, file);
  if (!seen.problems.empty()) {
    for (std::size_t i = 1; i < seen.problems.size(); ++i) warn(globals, seen.problems[i]);
    stop(ExitCode::kConflict, seen.problems.front());
  }
  if (const auto warning = warning_of_old_service(*seen.parent, seen.at_large))
    warn(globals, *warning);
  if (!options.is_confirmed) {
    stop(ExitCode::kUsage, {.what = "nothing was proposed",
                            .cause = text_of(seen),
                            .next = "if that is right, repeat it with --yes"});
  }
  SignedDescription proposal = membership::draft_recovery(*seen.parent, seen.plan);
  const auto checked = membership::check_proposal(*seen.parent, proposal, Timestamp(wall_seconds()),
                                                  crypto::ed25519());
  if (!checked) {
    stop(ExitCode::kConflict,
         {.what = "it cannot be proposed: " + std::string(membership::text_of(checked.error())),
          .cause = "more than f members of a group would leave, or the statements are too many for "
                   "one description",
          .next = "give up fewer nodes: rosebud cluster recover plan " + options.file});
  }
  file.proposal = std::move(proposal);
  or_stop(write_recovery_file(options.file, file));
  print(globals, json_of(seen),
        text_of(seen) + fmt::format("next, at {} organisations: rosebud cluster recover sign {} "
                                    "--org ITS-FOLDER --yes",
                                    membership::authorities_needed(*seen.parent), options.file));
}

// ---- show, sign, apply ----

struct FoundProposal {
  RecoveryFile file;
  ConfigurationPointer parent;
  ConfigurationPointer recovered;
  /// Names of the parent's organisations.
  std::vector<std::string> have;
  std::vector<std::string> have_not;
};

/// Signatures that are not good are left out.
void see_who_signed(FoundProposal& found) {
  auto& proposal = *found.file.proposal;
  const auto& organisations = found.parent->organisations();
  std::erase_if(proposal.signatures, [&](const membership::SeatSignature& one) {
    return one.seat >= organisations.size() || organisations[one.seat].is_revoked ||
           !crypto::ed25519().verify(organisations[one.seat].authority,
                                     membership::kRecoveryHeaderTag, proposal.header,
                                     one.signature);
  });
  found.have.clear();
  found.have_not.clear();
  for (std::size_t i = 0; i < organisations.size(); ++i) {
    if (organisations[i].is_revoked) continue;
    const bool has = std::ranges::any_of(
        proposal.signatures, [&](const membership::SeatSignature& one) { return one.seat == i; });
    (has ? found.have : found.have_not).push_back(organisations[i].name);
  }
}

/// Checked against the parent, all but the number of signatures.
FoundProposal find_proposal(const Globals& globals, const OpenSession& session,
                            const RecoverOptions& options) {
  FoundProposal out{.file = or_stop(read_recovery_file(options.file))};
  const auto header = out.file.proposal
                          ? membership::DescriptionHeader::decode(out.file.proposal->header)
                          : std::nullopt;
  if (!header) {
    stop(ExitCode::kConflict,
         {.what = options.file + " has no proposal yet",
          .cause = "statements are still being collected",
          .next = "see how it stands: rosebud cluster recover plan " + options.file});
  }
  const auto found = shown(globals, session, {header->previous});
  if (found.empty()) stop_without_parent(fmt::format("epoch {}", header->number.epoch.value - 1));
  out.parent = found.begin()->second;
  auto checked = membership::check_proposal(*out.parent, *out.file.proposal,
                                            Timestamp(wall_seconds()), crypto::ed25519());
  if (!checked) {
    stop(ExitCode::kIntegrity,
         {.what = options.file + ": " + std::string(membership::text_of(checked.error())),
          .cause = "it was changed, or another version made it, or this clock or the proposer's is "
                   "wrong",
          .next = "do not sign it; collect statements into a new file"});
  }
  out.recovered = std::move(*checked);
  see_who_signed(out);
  return out;
}

std::vector<std::string> at_large_of(const FoundProposal& found) {
  std::set<wire::NodeKey> stated;
  for (const wire::SignedBytes& one : found.recovered->recovery()->statements) {
    const auto statement = membership::RecoveryStatement::decode(one.statement);
    if (statement) stated.insert(statement->node);
  }
  std::set<wire::NodeKey> given_up;
  for (const auto& node : found.parent->nodes()) {
    if (!found.recovered->node_index(node.key)) given_up.insert(node.key);
  }
  return seats_at_large(*found.parent, stated, given_up);
}

void warn_of_old_service(const Globals& globals, const FoundProposal& found) {
  if (const auto warning = warning_of_old_service(*found.parent, at_large_of(found)))
    warn(globals, *warning);
}

nlohmann::json json_of(const FoundProposal& found) {
  const Configuration& recovered = *found.recovered;
  nlohmann::json seats = nlohmann::json::array();
  for (const auto& one : recovered.service()) {
    const auto& node = recovered.nodes()[one.node];
    seats.push_back(
        {{"node", node.name}, {"organisation", recovered.organisations()[node.organisation].name}});
  }
  nlohmann::json given_up = nlohmann::json::array();
  for (const auto& one : found.parent->nodes()) {
    if (!recovered.node_index(one.key)) given_up.push_back(one.name);
  }
  nlohmann::json losses = nlohmann::json::array();
  for (const auto& one : recovered.recovery()->losses) losses.push_back(to_hex(one.view()));
  return {{"generation", recovered.number().generation.value},
          {"epoch", recovered.number().epoch.value},
          {"parent_epoch", found.parent->number().epoch.value},
          {"header", to_hex(recovered.header_hash().view())},
          {"statements", recovered.recovery()->statements.size()},
          {"lost_groups", losses},
          {"service_state_lost",
           recovered.service_state().is_zero() && !found.parent->service_state().is_zero()},
          {"given_up", given_up},
          {"seats", seats},
          {"service_faults_before", found.parent->settings().service_faults},
          {"service_faults", recovered.settings().service_faults},
          {"start", recovered.start().value},
          {"end", recovered.end().value},
          {"old_service_at_large", at_large_of(found)},
          {"signed", found.have},
          {"not_signed", found.have_not},
          {"needed", membership::authorities_needed(*found.parent)}};
}

std::string text_of(const FoundProposal& found) {
  const nlohmann::json json = json_of(found);
  const auto names = [&](const char* key) {
    return joined(json[key].get<std::vector<std::string>>(), kNone);
  };
  std::vector<std::string> seats;
  for (const auto& one : json["seats"]) {
    seats.push_back(fmt::format("{} ({})", one["node"].get<std::string>(),
                                one["organisation"].get<std::string>()));
  }
  return fmt::format(
      "generation {} goes on with epoch {}, from epoch {}; header {}\n"
      "groups whose losses are accepted: {}{}\n"
      "given up: {}\nF: {} before, {} from now on\nseats: {}\n"
      "starts {}, ends {}\n"
      "compare header, F and times with the other organisations by another channel\n"
      "signed by {}; {} of {} organisations have to sign\nnot yet: {}",
      json["generation"].get<std::uint64_t>(), json["epoch"].get<std::uint64_t>(),
      json["parent_epoch"].get<std::uint64_t>(), json["header"].get<std::string>(),
      names("lost_groups"),
      json["service_state_lost"].get<bool>() ? "; what the service knew is lost" : "",
      names("given_up"), json["service_faults_before"].get<std::uint32_t>(),
      json["service_faults"].get<std::uint32_t>(), joined(seats, kNone),
      time_text(found.recovered->start()), end_text(found.recovered->end()),
      joined(found.have, kNone), json["needed"].get<std::size_t>(),
      found.have.size() + found.have_not.size(), joined(found.have_not, kNone));
}

void show(const Globals& globals, const RecoverOptions& options) {
  const OpenSession session(globals);
  const FoundProposal found = find_proposal(globals, session, options);
  warn_of_old_service(globals, found);
  print(globals, json_of(found), text_of(found));
}

void sign(const Globals& globals, const RecoverOptions& options) {
  const OpenSession session(globals);
  FoundProposal found = find_proposal(globals, session, options);
  warn_of_old_service(globals, found);
  if (!options.is_confirmed) {
    stop(ExitCode::kUsage, {.what = "nothing was signed",
                            .cause = text_of(found),
                            .next = "if that is right: rosebud cluster recover sign " +
                                    options.file + " --org " + options.organisation + " --yes"});
  }
  const auto authority = authority_in(options.organisation);
  if (!found.parent->has_say(authority.public_key())) {
    stop(ExitCode::kDenied, {.what = options.organisation + " has no say in this cluster",
                             .cause = "it is no organisation of the cluster, or was revoked",
                             .next = "see who has: rosebud org list"});
  }
  // Before there is a signature that could get out: suppose it did, and a power cut took the note.
  or_stop(note_signed(options.organisation, found.parent->cluster(),
                      found.recovered->number().generation, found.recovered->header_hash()),
          ExitCode::kConflict);
  auto& proposal = *found.file.proposal;
  const auto signature =
      membership::sign_recovery(*found.parent, proposal.header, authority, crypto::ed25519());
  CHECK(signature.has_value());
  const auto at = std::ranges::lower_bound(proposal.signatures, signature->seat, {},
                                           &membership::SeatSignature::seat);
  if (at == proposal.signatures.end() || at->seat != signature->seat)
    proposal.signatures.insert(at, *signature);
  or_stop(write_recovery_file(options.file, found.file));
  see_who_signed(found);
  print(globals, json_of(found),
        text_of(found) + (found.have.size() < membership::authorities_needed(*found.parent)
                              ? "\nnext: pass it on to another organisation"
                              : "\nnext: rosebud cluster recover apply " + options.file));
}

void apply(const Globals& globals, const RecoverOptions& options) {
  const OpenSession session(globals);
  const FoundProposal found = find_proposal(globals, session, options);
  const std::size_t needed = membership::authorities_needed(*found.parent);
  if (found.have.size() < needed) {
    stop(ExitCode::kDenied,
         {.what = options.file + " is not signed by more than two thirds of the organisations",
          .cause = fmt::format("signed by {}, {} are needed", joined(found.have, kNone), needed),
          .next = "pass it on to " + joined(found.have_not, kNone)});
  }
  const auto recovered =
      membership::apply(*found.parent, found.file.proposal->encode(), crypto::ed25519());
  if (!recovered) {
    stop(ExitCode::kIntegrity, {.what = std::string(membership::text_of(recovered.error())),
                                .cause = {},
                                .next = "collect statements into a new file"});
  }
  const auto folders = folders_of(session, options, {});
  std::size_t entered = 0;
  for (const stdfs::path& folder : folders) {
    const auto node = or_stop(read_node_file(folder / "node.toml"));
    or_stop(runtime::EpochFiles(node.data / "epochs").add(**recovered));
    (void)ask_node(folder, "POST", "/v1/learn");
    const auto status = ask_node(folder, "GET", "/v1/status");
    if (status && status->is_object() &&
        status->value("generation", 0U) >= (*recovered)->number().generation.value) {
      ++entered;
      continue;
    }
    warn(globals,
         {.what = folder.string() + " has not entered it yet",
          .cause = status ? "epochs before are missing there" : "the node does not run",
          .next = "it is written down there: start the node, or wait for others to tell it"});
  }
  if (entered == 0) {
    stop(ExitCode::kUsage,
         {.what = "no node has taken it in",
          .cause = "none was named that runs on this machine",
          .next = "on a machine with a running node: rosebud cluster recover apply " +
                  options.file + " --node DIR"});
  }
  print(globals,
        {{"generation", (*recovered)->number().generation.value},
         {"epoch", (*recovered)->number().epoch.value},
         {"nodes", entered}},
        fmt::format("epoch {} of generation {} is in force at {} node(s), which tell the others; "
                    "next: rosebud status, rosebud member list",
                    (*recovered)->number().epoch.value, (*recovered)->number().generation.value,
                    entered));
}

}  // namespace

void add_recover_commands(CLI::App& cluster, Globals& globals) {
  auto* recover = cluster.add_subcommand(
      "recover",
      "Begin anew with the configuration service when more than F of its members are "
      "gone for good");
  recover->require_subcommand(1);
  auto options = std::make_shared<RecoverOptions>();
  const auto command = [&](const std::string& name, const std::string& what) {
    auto* out = recover->add_subcommand(name, what);
    out->add_option("file", options->file, "The file that is passed around")->required();
    return out;
  };
  const auto with_organisation = [&](CLI::App* of) {
    of->add_option("--org", options->organisation, "The organisation's folder")->required();
    of->add_flag("--yes", options->is_confirmed, "Really do it");
  };
  const auto with_nodes = [&](CLI::App* of, const std::string& which) {
    of->add_option(
          "--node", options->nodes,
          "Folder of a node that runs on this machine; of a development cluster all " + which)
        ->type_name("DIR");
  };
  const auto with_choices = [&](CLI::App* of) {
    of->add_option("--gone", options->choices.gone,
                   "Name of a node that is gone for good and leaves with this");
    of->add_option("--accept-loss", options->choices.losses,
                   "Id of a group that cannot say what it acknowledged, 'service' for what the "
                   "service knew, or 'all'");
    of->add_option("--service-faults", options->choices.service_faults, "A smaller F");
  };
  auto* collect_command =
      command("collect",
              "Have an organisation's nodes state what they hold; they follow the present "
              "service no more");
  with_organisation(collect_command);
  with_nodes(collect_command, "of the organisation");
  collect_command->add_option("--generation", options->generation,
                              "The generation that is to come; default: the next");
  collect_command->callback([&globals, options] { collect(globals, *options); });
  auto* plan_command = command("plan", "What would be proposed, what may be lost, what is missing");
  with_choices(plan_command);
  plan_command->callback([&globals, options] { plan(globals, *options); });
  auto* propose_command = command("propose", "Put the proposal into the file that all sign");
  with_choices(propose_command);
  propose_command->add_flag("--yes", options->is_confirmed, "Really do it");
  propose_command->callback([&globals, options] { propose(globals, *options); });
  command("show", "What is proposed, who has signed it and who has not")
      ->callback([&globals, options] { show(globals, *options); });
  auto* sign_command =
      command("sign", "Sign the proposal as an organisation: one for each generation");
  with_organisation(sign_command);
  sign_command->callback([&globals, options] { sign(globals, *options); });
  auto* apply_command =
      command("apply", "Hand it to nodes of this machine when enough have signed");
  with_nodes(apply_command, "that run");
  apply_command->callback([&globals, options] { apply(globals, *options); });
}

}  // namespace rosebud::apps
