#include "apps/rosebud/epoch_export.h"

#include <fmt/format.h>

#include <fstream>

#include "membership/epoch_file.h"
#include "runtime/statement_file.h"

namespace rosebud::apps {
namespace {

/// Answers that do not follow, in a row: then f+1 nodes and more have been asked.
constexpr int kBadAnswersMax = 20;

class EpochsFile {
 public:
  EpochsFile(const std::string& path, const membership::SignedGenesis& genesis)
      : path_(path), file_(path, std::ios::binary | std::ios::trunc) {
    put(writer_.start(genesis));
  }
  void put(const Bytes& bytes) {
    const std::string_view text = as_text(bytes);
    file_.write(text.data(), static_cast<std::streamsize>(text.size()));
    if (file_) return;
    stop(ExitCode::kUsage, {.what = "cannot write " + path_,
                            .cause = "its folder is not there, read-only or full",
                            .next = "choose another place"});
  }
  void put(const membership::FileEpoch& epoch) { put(writer_.entry(epoch)); }
  void end() {
    put(writer_.end());
    file_.flush();
    put(Bytes{});
  }

 private:
  std::string path_;
  std::ofstream file_;
  membership::EpochFileWriter writer_;
};

/// Appends what follows `last`, as far as it does.
void take(const std::vector<Buffer>& descriptions,
          std::shared_ptr<const membership::Configuration>& last, EpochsFile& file) {
  for (const Buffer& bytes : descriptions) {
    auto next = membership::apply(*last, bytes.view(), crypto::ed25519());
    const auto description = membership::SignedDescription::decode(bytes);
    if (!next || !description) return;
    file.put({.header = {.header = description->header, .signatures = description->signatures},
              .body = description->body});
    last = std::move(*next);
  }
}

}  // namespace

Exported export_epochs(const Globals& globals, const std::string& path) {
  const OpenSession session(globals);
  const auto genesis = or_stop(runtime::read_genesis(session.file().genesis));
  const auto first =
      or_stop(membership::verify_genesis(genesis, session.file().cluster, crypto::ed25519()));
  const auto newest = session->learn_newest(std::chrono::seconds(5));
  EpochsFile file(path, genesis);
  auto last = first;
  int bad_answers = 0;
  while (last->number() < newest->number()) {
    const auto before = last->number();
    take(session->descriptions_after(before, globals.timeout()), last, file);
    bad_answers = last->number() == before ? bad_answers + 1 : 0;
    if (bad_answers < kBadAnswersMax) continue;
    stop(ExitCode::kNoQuorum,
         {.what = fmt::format("no node gives what follows epoch {}", before.epoch.value),
          .cause = "those that have it are down, or lie",
          .next = "see rosebud status, and try again"});
  }
  file.end();
  return {.cluster = first->cluster(), .epochs_count = last->number().epoch.value};
}

void add_epoch_export(CLI::App& epoch, Globals& globals) {
  auto path = std::make_shared<std::string>();
  auto* command = epoch.add_subcommand(
      "export", "Write all epochs of the cluster to a file that anybody can verify off line");
  command->add_option("-o,--output", *path, "The file")->required();
  command->callback([&globals, path] {
    const Exported exported = export_epochs(globals, *path);
    print(globals,
          {{"file", *path},
           {"cluster", to_hex(exported.cluster.view())},
           {"epochs", exported.epochs_count}},
          fmt::format("{} epochs in {}; next: rosebud epoch verify --cluster {} --file {}",
                      exported.epochs_count, *path, to_hex(exported.cluster.view()), *path));
  });
}

}  // namespace rosebud::apps
