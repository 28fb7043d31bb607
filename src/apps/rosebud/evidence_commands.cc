// Evidence against replicas: two signed votes that contradict each other.
#include <fmt/format.h>

#include "apps/rosebud/commands.h"
#include "replication/evidence_file.h"

namespace rosebud::apps {
namespace {

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

void verify(const Globals& globals, const std::string& file, const std::string& group_file) {
  const auto group = or_stop(replication::GroupFile::read(group_file));
  const auto evidence = or_stop(replication::read_evidence(file));
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

}  // namespace

void add_evidence_commands(CLI::App& app, Globals& globals) {
  auto* evidence = app.add_subcommand("evidence", "Proof that a replica is faulty");
  evidence->require_subcommand(1);
  auto* verify_command = evidence->add_subcommand(
      "verify", "Check, off line, that a replica of a PBFT group signed two votes that contradict");
  auto file = std::make_shared<std::string>();
  auto group = std::make_shared<std::string>();
  verify_command
      ->add_option("file", *file, "The evidence: evidence-SEAT.txt in another replica's folder")
      ->required();
  verify_command->add_option("--group", *group, "The group's group.json")->required();
  verify_command->callback([&globals, file, group] { verify(globals, *file, *group); });
}

}  // namespace rosebud::apps
