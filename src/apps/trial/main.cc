// rosebud-trial: what scripts/trials runs beside real nodes: load that writes down every operation,
// the reading back of all of it, the judge of the history, and a proxy that delays. For other
// tests, chains of epochs.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "apps/planted_bug.h"
#include "apps/trial/commands.h"

namespace rosebud {
namespace {

constexpr int kExitFailure = 1;
constexpr int kExitViolation = 6;

int code_of(const Status<Explained>& status) {
  if (status) return 0;
  std::fprintf(stderr, "rosebud-trial: %s\n", status.error().text().c_str());
  return kExitFailure;
}

int code_of(const Result<bool, Explained>& is_right) {
  if (is_right) return *is_right ? 0 : kExitViolation;
  return code_of(Status<Explained>(fail(is_right.error())));
}

void add_load(CLI::App& app, trial::LoadOptions& options) {
  auto* load = app.add_subcommand("load", "Write and read until SIGTERM; record every operation");
  load->add_option("--client", options.client, "Folder of a client, with its rosebud.toml")
      ->required();
  load->add_option("--history", options.history, "File to append to")->required();
  load->add_option("--name", options.name, "Of this client in the history")->required();
  load->add_option("--peer", options.peers, "Folders of the clients whose records are read");
  load->add_option("--peer-records", options.peer_records, "Records that each peer alone writes");
  load->add_option("--peer-contested", options.peer_contested, "Records that a peer shares");
  load->add_option("--seed", options.seed, "Of sizes, choices and pauses");
  load->add_option("--records", options.records, "Records that it alone writes, a lane each");
  load->add_option("--contested", options.contested,
                   "Records that others with its key write too, a lane each");
  load->add_option("--readers", options.readers, "Lanes that read records");
  load->add_option("--blocks", options.blocks, "Lanes that write and read blocks");
  load->add_option("--files", options.files, "Lanes that add files and publish their ids");
  load->add_option("--pause-ms", options.pause_ms, "Of a lane between operations, on average");
  load->add_option("--timeout", options.timeout_seconds, "Of an operation, in seconds");
}

int run(int argc, char** argv) {
  CLI::App app("Process trials: load, history, judge; epochs by hand");
  app.require_subcommand(1);
  app.option_defaults()->always_capture_default();
  trial::LoadOptions load;
  add_load(app, load);
  trial::ReadbackOptions readback;
  auto* back = app.add_subcommand("readback", "Read everything that was acknowledged");
  back->add_option("--client", readback.client, "Folder of a client")->required();
  back->add_option("--histories", readback.histories, "Folder of *.jsonl")->required();
  back->add_option("--timeout", readback.timeout_seconds, "Of an operation, in seconds");
  trial::CheckOptions checked;
  auto* check = app.add_subcommand("check", "Judge a recorded history");
  check->add_option("histories", checked.histories, "Folder of *.jsonl")->required();
  check->add_option("--faults", checked.faults, "Lines of {kind, begin, end} in nanoseconds");
  trial::ProxyOptions proxied;
  auto* proxy = app.add_subcommand("proxy", "Pass connections on, late; orders on standard input");
  proxy->add_option("--listen", proxied.listen, "ADDRESS:PORT")->required();
  proxy->add_option("--to", proxied.to, "ADDRESS:PORT of the node")->required();
  proxy->add_option("--seed", proxied.seed, "Of the jitter");
  trial::NextEpochOptions epoch;
  auto* make =
      app.add_subcommand("next-epoch", "Make the next epoch of a development cluster by hand");
  make->add_option("--genesis", epoch.genesis, "The cluster's genesis")->required();
  make->add_option("--keys", epoch.keys, "Folder of its first epoch keys")->required();
  make->add_option("--epochs", epoch.epochs, "Folder of descriptions of one node")->required();
  make->add_option("--remove", epoch.remove, "Names of members that leave");
  make->add_option("--add", epoch.add, "Names of nodes of the genesis that come back");
  make->add_option("--count", epoch.count, "How many; all behind the first keep its members");
  trial::EpochsOptions made;
  auto* epochs = app.add_subcommand("epochs", "Write a chain of epochs; print its cluster id");
  epochs->add_option("--out", made.out, "File to write")->required();
  epochs->add_option("--count", made.count, "Epochs, the genesis among them");
  epochs->add_option("--bodies-to", made.bodies_to, "The last epoch that has its body");
  CLI11_PARSE(app, argc, argv);
  if (!apps::plant_bug_of_environment()) return kExitFailure;
  if (app.got_subcommand("load")) return code_of(trial::run_load(load));
  if (app.got_subcommand(back)) return code_of(trial::read_back(readback));
  if (app.got_subcommand(epochs)) return code_of(trial::write_epochs(made));
  if (app.got_subcommand(check)) return code_of(trial::check_history(checked));
  if (app.got_subcommand(make)) return code_of(trial::make_next_epoch(epoch));
  return code_of(trial::run_proxy(proxied));
}

}  // namespace
}  // namespace rosebud

int main(int argc, char** argv) { return rosebud::run(argc, argv); }
