// Evidence against replicas and members of the configuration service: two signed votes that
// contradict each other.
#include <fmt/format.h>

#include "apps/rosebud/commands.h"
#include "apps/rosebud/dev_nodes.h"
#include "apps/rosebud/node_file.h"
#include "apps/rosebud/verified_epochs.h"
#include "base/files.h"
#include "replication/evidence_file.h"
#include "runtime/epoch_files.h"
#include "runtime/evidence_files.h"
#include "runtime/statement_file.h"

namespace rosebud::apps {
namespace {

namespace stdfs = std::filesystem;

struct EvidenceOptions {
  std::string file;
  std::string group;               // group.json
  std::string epochs;              // an exported file
  std::vector<std::string> nodes;  // folders of nodes on this machine
};

using ConfigurationPointer = std::shared_ptr<const membership::Configuration>;

nlohmann::json json_of(const pbft::Vote& vote) {
  return {{"kind", pbft::name_of(vote.kind)},
          {"view", vote.view.value},
          {"number", vote.number.value},
          {"counter", vote.counter.value},
          {"digest", to_hex(vote.digest.view())}};
}

std::string text_of(const pbft::Vote& vote) {
  return fmt::format("  {} in view {}, number {}, for {} (its vote {})", pbft::name_of(vote.kind),
                     vote.view.value, vote.number.value, to_hex(vote.digest.view()),
                     vote.counter.value);
}

// ---- verify: of a replication group ----

void verify_in_group(const Globals& globals, const EvidenceOptions& options) {
  if (options.group.empty()) {
    stop(ExitCode::kUsage,
         {.what = options.file + " is evidence against a replica of a replication group",
          .cause = "only the group's file says whose keys its replicas have",
          .next = "rosebud evidence verify " + options.file + " --group group.json"});
  }
  const auto group = or_stop(replication::GroupFile::read(options.group));
  const auto evidence = or_stop(replication::read_evidence(options.file));
  or_stop(replication::verify_evidence(evidence, group), ExitCode::kIntegrity);
  const replication::Member& member = *group.seats[evidence.first.replica.value];
  print(globals,
        {{"is_valid", true},
         {"replica", evidence.first.replica.value},
         {"key", to_hex(member.key.view())},
         {"first", json_of(evidence.first)},
         {"second", json_of(evidence.second)}},
        fmt::format("{} is faulty: it signed\n{}\n{}", visible(member.name),
                    text_of(evidence.first), text_of(evidence.second)));
}

// ---- verify: of the configuration service ----

ConfigurationPointer no_epoch(const wire::ConfigurationNumber& number, const std::string& where) {
  stop(ExitCode::kNotFound,
       {.what = fmt::format("epoch {} is not {}", number.epoch.value, where),
        .cause = "the evidence is about an epoch of another cluster, or a later one",
        .next = "export all epochs again: rosebud epoch export -o FILE"});
}

/// What the node has taken over, on whatever branch, verified again from its genesis on.
ConfigurationPointer epoch_of_node(const std::string& folder,
                                   const wire::ConfigurationNumber& number) {
  const auto node = or_stop(read_node_file(stdfs::path(folder) / "node.toml"));
  const auto genesis = or_stop(runtime::read_genesis(node.genesis));
  const auto first = or_stop(membership::verify_genesis(genesis, std::nullopt, crypto::ed25519()));
  const auto is_it = [&](const membership::Configuration& one) { return one.number() == number; };
  const auto chain =
      or_stop(runtime::EpochFiles(node.data / "epochs").load(first, crypto::ed25519(), is_it));
  if (is_it(*chain.back())) return chain.back();
  return no_epoch(number, "among those of the node in " + folder);
}

/// From the exported file, or, without one, from the cluster's nodes.
ConfigurationPointer epoch_of_chain(const Globals& globals, const std::string& file,
                                    const wire::ConfigurationNumber& number) {
  const auto verified =
      verify_epochs_of(globals, file, [&](const membership::VerifiedEpoch& epoch) {
        return epoch.header.number == number ? membership::Onward::kStop
                                             : membership::Onward::kGoOn;
      });
  const std::string where = file.empty() ? "known to the cluster" : "in " + file;
  if (verified.last.header.number != number) return no_epoch(number, where);
  if (!verified.last.configuration) {
    stop(ExitCode::kUsage,
         {.what = fmt::format("{} has no body of epoch {}", file, number.epoch.value),
          .cause = "without it nobody can tell whose organisation a node belonged to",
          .next = "export all epochs again: rosebud epoch export -o FILE"});
  }
  return verified.last.configuration;
}

void verify_in_epoch(const Globals& globals, const EvidenceOptions& options) {
  const auto evidence = or_stop(runtime::read_member_evidence(options.file));
  const auto configuration = options.nodes.empty()
                                 ? epoch_of_chain(globals, options.epochs, evidence.number)
                                 : epoch_of_node(options.nodes.front(), evidence.number);
  or_stop(service::verify(evidence, *configuration, crypto::ed25519()), ExitCode::kIntegrity);
  const pbft::Evidence& votes = evidence.votes;
  print(globals,
        {{"is_valid", true},
         {"node", evidence.name},
         {"key", to_hex(evidence.node.view())},
         {"org", evidence.organisation},
         {"cluster", to_hex(evidence.cluster.view())},
         {"generation", evidence.number.generation.value},
         {"epoch", evidence.number.epoch.value},
         {"seat", votes.first.replica.value},
         {"first", json_of(votes.first)},
         {"second", json_of(votes.second)}},
        fmt::format("{} of {} is faulty: in seat {} of the configuration service of epoch {} it "
                    "signed\n{}\n{}\nnext:  rosebud member revoke {} --org DIR --yes, as {}\n"
                    "       rosebud org revoke-node {}, as the others, by decree",
                    evidence.name, evidence.organisation, votes.first.replica.value,
                    evidence.number.epoch.value, text_of(votes.first), text_of(votes.second),
                    evidence.name, evidence.organisation, evidence.name));
}

void verify(const Globals& globals, const EvidenceOptions& options) {
  const auto text = or_stop(read_text_file(options.file));
  if (text.starts_with(runtime::kMemberEvidenceKind)) return verify_in_epoch(globals, options);
  verify_in_group(globals, options);
}

// ---- list ----

struct Holder {
  std::string name;
  stdfs::path data;
};

/// Named by their folders, or all of a development cluster.
std::vector<Holder> holders_of(const Globals& globals, const EvidenceOptions& options) {
  std::vector<Holder> out;
  for (const std::string& folder : options.nodes) {
    out.push_back({.name = without_last_slash(folder),
                   .data = or_stop(read_node_file(stdfs::path(folder) / "node.toml")).data});
  }
  if (!options.nodes.empty()) return out;
  for (const DevNode& node : nodes_in(folder_of(globals, {})))
    out.push_back({.name = node.name, .data = node.folder / "data"});
  return out;
}

void print_line(const Globals& globals, const Holder& holder,
                const runtime::EvidenceFiles::Kept& kept) {
  const service::MemberEvidence& evidence = kept.evidence;
  const pbft::Vote& vote = evidence.votes.first;
  nlohmann::json json{{"node", evidence.name},
                      {"key", to_hex(evidence.node.view())},
                      {"org", evidence.organisation},
                      {"generation", evidence.number.generation.value},
                      {"epoch", evidence.number.epoch.value},
                      {"seat", vote.replica.value},
                      {"kind", pbft::name_of(vote.kind)},
                      {"view", vote.view.value},
                      {"number", vote.number.value}};
  put_text(json, "held_by", holder.name);
  put_text(json, "file", kept.file.string());
  print(globals, json,
        globals.is_quiet
            ? kept.file.string()
            : fmt::format("{:<12} of {:<10} epoch {:<6} seat {:<3} two {} votes, view {}, number "
                          "{}  {}",
                          visible(evidence.name), visible(evidence.organisation),
                          evidence.number.epoch.value, vote.replica.value, pbft::name_of(vote.kind),
                          vote.view.value, vote.number.value, visible(kept.file.string())));
}

void list(const Globals& globals, const EvidenceOptions& options) {
  std::size_t count = 0;
  for (const Holder& holder : holders_of(globals, options)) {
    const runtime::EvidenceFiles files(holder.data / "evidence");
    for (const auto& kept : files.kept()) print_line(globals, holder, kept);
    count += files.kept().size();
  }
  if (globals.is_json || globals.is_quiet) return;
  print(globals, {},
        count == 0 ? "no evidence against any member of the configuration service"
                   : "next:  rosebud evidence verify FILE");
}

}  // namespace

void add_evidence_commands(CLI::App& app, Globals& globals) {
  auto* evidence = app.add_subcommand("evidence", "Proof that a replica is faulty");
  evidence->require_subcommand(1);
  const auto options = std::make_shared<EvidenceOptions>();
  auto* list_command = evidence->add_subcommand(
      "list", "What nodes hold against members of the configuration service; nothing is checked");
  list_command
      ->add_option("--node", options->nodes,
                   "Folder of a node on this machine; of a development cluster all are looked at")
      ->type_name("DIR");
  list_command->callback([&globals, options] { list(globals, *options); });
  auto* verify_command = evidence->add_subcommand(
      "verify",
      "Check, off line, that a member of the configuration service, or a replica of a replication\n"
      "group, signed two votes that contradict. Exit code 6 says that it did not");
  verify_command
      ->add_option("file", options->file, "The evidence: evidence/*.txt of a node's data directory")
      ->required();
  auto* group =
      verify_command
          ->add_option("--group", options->group, "Of a replication group: its group.json")
          ->type_name("FILE");
  auto* epochs =
      verify_command
          ->add_option("--epochs", options->epochs,
                       "Exported epochs (rosebud epoch export); default: from the cluster's nodes")
          ->type_name("FILE")
          ->excludes(group);
  verify_command
      ->add_option("--node", options->nodes, "Folder of a node whose epochs are believed instead")
      ->type_name("DIR")
      ->expected(1)
      ->excludes(group)
      ->excludes(epochs);
  verify_command->footer(
      "With --cluster ID (64 hexadecimal digits) and --epochs nothing else is trusted.\n" +
      verify_command->get_footer());
  verify_command->callback([&globals, options] { verify(globals, *options); });
}

}  // namespace rosebud::apps
