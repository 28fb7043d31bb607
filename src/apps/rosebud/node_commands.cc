// node run, config check: one storage node from its TOML file.
#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <thread>
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include "apps/rosebud/commands.h"
#include "runtime/key_file.h"
#include "runtime/node.h"

namespace rosebud::apps {
namespace {

namespace stdfs = std::filesystem;

/// One key of node.toml: how its text or number gets into the options. ROSEBUD_KEY in the
/// environment overrides it.
struct Setting {
  std::string name;
  bool is_required = false;
  std::function<bool(runtime::NodeOptions&, const toml::node&)> take;
};

template <typename Number>
bool take_number(Number& to, const toml::node& value, std::int64_t min, std::int64_t max) {
  const auto number = value.value<std::int64_t>();
  if (!value.is_integer() || !number || *number < min || *number > max) return false;
  to = static_cast<Number>(*number);
  return true;
}

std::vector<Setting> settings_of(const stdfs::path& folder) {
  const auto path_into = [folder](stdfs::path runtime::NodeOptions::* to) {
    return [folder, to](runtime::NodeOptions& options, const toml::node& value) {
      const auto text = value.value<std::string>();
      if (text) options.*to = folder / *text;
      return text.has_value();
    };
  };
  constexpr std::int64_t kTera = std::int64_t{1} << 40;
  return {
      {"genesis", true, path_into(&runtime::NodeOptions::genesis)},
      {"key", true, path_into(&runtime::NodeOptions::key)},
      {"data", true, path_into(&runtime::NodeOptions::data)},
      {"admin_port_file", false, path_into(&runtime::NodeOptions::admin_port_file)},
      {"listen", false,
       [](auto& options, const toml::node& value) {
         const auto text = value.value<std::string>();
         if (text) options.listen = *text;
         return text.has_value();
       }},
      {"admin_port", false,
       [](auto& options, const toml::node& value) {
         return take_number(options.admin_port, value, 0, 65535);
       }},
      {"development", false,
       [](auto& options, const toml::node& value) {
         options.is_development = value.value_or(false);
         return value.is_boolean();
       }},
      {"reserve_bytes", false,
       [](auto& options, const toml::node& value) {
         return take_number(options.reserve_bytes, value, 0, 1024 * kTera);
       }},
      {"memory_bytes", false,
       [](auto& options, const toml::node& value) {
         return take_number(options.memory_bytes, value, std::int64_t{64} << 20, kTera);
       }},
      {"worker_threads", false,
       [](auto& options, const toml::node& value) {
         return take_number(options.worker_threads, value, 1, 64);
       }},
      {"reconcile_seconds", false,
       [](auto& options, const toml::node& value) {
         return take_number(options.reconcile_seconds, value, 1, 86400);
       }},
      {"scrub_interval_ms", false,
       [](auto& options, const toml::node& value) {
         return take_number(options.scrub_interval_ms, value, 1, 86'400'000);
       }},
  };
}

std::string environment_name(const std::string& setting) {
  std::string out = "ROSEBUD_";
  for (char c : setting) out.push_back(static_cast<char>(std::toupper(c)));
  return out;
}

runtime::NodeOptions read_node_file(const stdfs::path& path) {
  const std::string text = or_stop(runtime::read_text_file(path, 1U << 20));
  const auto refuse = [&](const toml::source_region& where, std::string what) {
    stop(ExitCode::kUsage,
         {.what = fmt::format("{} line {}: {}", path.string(), where.begin.line, what),
          .cause = {},
          .next = "correct it, then: rosebud config check " + path.string()});
  };
  toml::parse_result parsed = toml::parse(text);
  if (!parsed) refuse(parsed.error().source(), std::string(parsed.error().description()));
  const stdfs::path folder = stdfs::absolute(path).parent_path();
  const auto settings = settings_of(folder);
  for (const auto& [key, value] : parsed.table()) {
    const auto known = std::ranges::find(settings, std::string(key.str()), &Setting::name);
    if (known == settings.end())
      refuse(key.source(), "unknown key '" + std::string(key.str()) + "'");
  }
  runtime::NodeOptions options;
  for (const Setting& setting : settings) {
    if (const char* given = std::getenv(environment_name(setting.name).c_str())) {
      // Read as TOML where that works (numbers, booleans), else as text.
      const std::string as_is = "v = " + std::string(given);
      toml::parse_result one = toml::parse(as_is);
      if (!one) one = toml::parse("v = '" + std::string(given) + "'");
      if (!one || !setting.take(options, *one.table().get("v"))) {
        stop(ExitCode::kUsage,
             {.what = environment_name(setting.name) + " has an impossible value"});
      }
      continue;
    }
    const toml::node* value = parsed.table().get(setting.name);
    if (!value && setting.is_required) {
      stop(ExitCode::kUsage, {.what = path.string() + ": '" + setting.name + "' is missing",
                              .cause = {},
                              .next = "see examples/node.toml"});
    }
    if (value && !setting.take(options, *value))
      refuse(value->source(), "'" + setting.name + "' has an impossible value");
  }
  return options;
}

void run_node(const std::string& file) {
  const auto node = or_stop(runtime::Node::open(read_node_file(file)));
  // Signals come to one thread that waits for them; everybody else never sees them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  std::thread waiter([&] {
    int signal = 0;
    sigwait(&signals, &signal);
    node->stop();
  });
  node->run();
  pthread_kill(waiter.native_handle(), SIGTERM);
  waiter.join();
}

}  // namespace

void add_node_commands(CLI::App& app, Globals& globals) {
  auto* node = app.add_subcommand("node", "Storage nodes");
  node->require_subcommand(1);
  auto file = std::make_shared<std::string>();
  auto* run = node->add_subcommand("run", "Run a storage node until it is told to stop");
  run->add_option("--config", *file, "Its node.toml")->required();
  run->callback([file] {
    // Before any thread exists, so that all of them inherit it.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    run_node(*file);
  });
  auto* config = app.add_subcommand("config", "Configuration files");
  config->require_subcommand(1);
  auto checked = std::make_shared<std::string>();
  auto* check = config->add_subcommand("check", "Say what is wrong with a node.toml");
  check->add_option("file", *checked, "The file")->required();
  check->callback([&globals, checked] {
    const auto options = read_node_file(*checked);
    or_stop(runtime::read_secret_key(options.key));
    const auto genesis = or_stop(runtime::read_genesis(options.genesis));
    or_stop(membership::verify_genesis(genesis, std::nullopt, crypto::ed25519()));
    print(globals, {{"ok", true}}, "ok");
  });
}

}  // namespace rosebud::apps
