// node run, config check: one storage node from its TOML file.
#include <pthread.h>
#include <signal.h>

#include <thread>

#include "apps/planted_bug.h"
#include "apps/rosebud/commands.h"
#include "apps/rosebud/node_file.h"
#include "crypto/key_file.h"
#include "runtime/node.h"
#include "runtime/statement_file.h"

namespace rosebud::apps {

void run_node(const std::string& file, const std::function<void(std::uint16_t)>& watch) {
  // Signals come to one thread that waits for them; everybody else never sees them. Before any
  // thread exists, so that all of them inherit it.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  if (!plant_bug_of_environment())
    stop(ExitCode::kUsage, {.what = "the environment asks for a bug that is not to be had"});
  const auto node = or_stop(runtime::Node::open(or_stop(read_node_file(file))));
  std::thread waiter([&] {
    int signal = 0;
    sigwait(&signals, &signal);
    node->stop();
  });
  std::thread watcher([&] {
    if (watch) watch(node->admin_port());
  });
  node->run();
  pthread_kill(waiter.native_handle(), SIGTERM);
  waiter.join();
  watcher.join();
}

void add_node_commands(CLI::App& app, Globals& globals) {
  auto* node = app.add_subcommand("node", "Storage nodes");
  node->require_subcommand(1);
  auto file = std::make_shared<std::string>();
  auto* run = node->add_subcommand("run", "Run a storage node until it is told to stop");
  run->add_option("--config", *file, "Its node.toml")->required();
  run->callback([file] { run_node(*file, {}); });
  add_join_command(*node, globals);
  auto* config = app.add_subcommand("config", "Configuration files");
  config->require_subcommand(1);
  auto checked = std::make_shared<std::string>();
  auto* check = config->add_subcommand("check", "Say what is wrong with a node.toml");
  check->add_option("file", *checked, "The file")->required();
  check->callback([&globals, checked] {
    const auto options = or_stop(read_node_file(*checked));
    or_stop(crypto::read_secret_key(options.key));
    const auto genesis = or_stop(runtime::read_genesis(options.genesis));
    or_stop(membership::verify_genesis(genesis, std::nullopt, crypto::ed25519()));
    print(globals, {{"ok", true}}, "ok");
  });
}

}  // namespace rosebud::apps
