// rosebud: files and records in a Byzantine-fault-tolerant cluster, its nodes, its administration.
#include <cstdio>

#include "apps/rosebud/commands.h"

namespace rosebud::apps {
namespace {

int run(int argc, char** argv) {
  Globals globals;
  CLI::App app{
      "Storage that stays correct while machines fail and an organisation lies.\n"
      "First steps:  rosebud dev up --orgs 4 --nodes 8;  echo hello | rosebud add -q -;  rosebud "
      "cat ID"};
  app.set_version_flag("--version", "rosebud 0.1.0");
  app.add_flag("--json", globals.is_json, "Print JSON: one object, or one per line");
  app.add_flag("-q,--quiet", globals.is_quiet, "Print ids and values only");
  const std::map<std::string, double> units{{"ms", 0.001}, {"s", 1}, {"m", 60}, {"h", 3600}};
  app.add_option("--timeout", globals.timeout_seconds,
                 "Until an operation gives up: seconds, or 500ms, 10s, 2m, 1h")
      ->transform(CLI::AsNumberWithUnit(units, CLI::AsNumberWithUnit::CASE_SENSITIVE))
      ->check(CLI::Range(0.001, 86'400.0))
      ->capture_default_str();
  app.add_option("--cluster", globals.cluster, "A rosebud.toml, or the folder that has it");
  app.require_subcommand(1);
  app.fallthrough();
  add_file_commands(app, globals);
  add_car_commands(app, globals);
  add_ref_commands(app, globals);
  add_node_commands(app, globals);
  add_identity_commands(app, globals);
  add_dev_commands(app, globals);
  add_bench_commands(app, globals);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(ExitCode::kUsage);
  } catch (const Stop& end) {
    const Explained& explained = end.failure.explained;
    if (globals.is_json) {
      std::fprintf(stderr, "%s\n",
                   nlohmann::json{{"error", explained.what},
                                  {"cause", explained.cause},
                                  {"next", explained.next},
                                  {"exit_code", static_cast<int>(end.failure.code)}}
                       .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
                       .c_str());
    } else {
      std::fprintf(stderr, "rosebud: %s\n", explained.text().c_str());
    }
    return static_cast<int>(end.failure.code);
  }
  // What could not be printed did not happen for whoever reads it.
  if (std::fflush(stdout) != 0) return static_cast<int>(ExitCode::kUsage);
  return 0;
}

}  // namespace
}  // namespace rosebud::apps

int main(int argc, char** argv) { return rosebud::apps::run(argc, argv); }
