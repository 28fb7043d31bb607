// rosebud: files and records in a Byzantine-fault-tolerant cluster, its nodes, its administration.
#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "apps/rosebud/commands.h"
#include "apps/rosebud/doctor_command.h"
#include "apps/rosebud/manual_commands.h"
#include "base/memory.h"

namespace rosebud::apps {
namespace {

constexpr const char* kFirstSteps =
    "First steps:\n"
    "  rosebud dev up --orgs 4 --nodes 8    a cluster of real processes on this machine\n"
    "  echo hello | rosebud add -q -        store something; prints its id\n"
    "  rosebud cat ID                       read it back, verified\n"
    "  rosebud help COMMAND                 says more\n";

constexpr const char* kEveryCommand =
    "Every command takes --json, -q, --timeout TIME and --cluster FILE (rosebud --help says "
    "more).\n";

constexpr const char* kVersion = "rosebud 0.1.0";

/// Design 17.
std::vector<std::pair<int, std::string>> exit_codes() {
  return {{0, "done"},
          {1, "usage or local error"},
          {2, "not found"},
          {3, "partly done"},
          {4, "conflict"},
          {5, "no quorum"},
          {6, "integrity violation"},
          {7, "denied"},
          {8, "outcome unknown"}};
}

std::string exit_code_lines() {
  std::string out = "Exit codes:";
  for (const auto& [code, meaning] : exit_codes())
    out += fmt::format("{}{} {}", code == 0 ? " " : code == 5 ? ",\n  " : ", ", code, meaning);
  return out + "\n";
}

/// A program that was started without one of these would take its own files for them.
void open_standard_streams() {
  for (int fd = 0; fd <= 2; ++fd) {
    // Opened the wrong way round: whoever reads or writes it gets an error.
    if (::fcntl(fd, F_GETFD) < 0) (void)::open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
  }
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from one word to the
/// other.
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::vector<std::size_t>> at(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) at[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) at[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      at[i][j] = std::min({at[i - 1][j] + 1, at[i][j - 1] + 1,
                           at[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        at[i][j] = std::min(at[i][j], at[i - 2][j - 2] + 1);
    }
  }
  return at[a.size()][b.size()];
}

/// What a person who typed `word` may have meant, "" when nothing is near.
std::string nearest(const std::string& word, const std::vector<std::string>& known) {
  // Longer words are not compared: what was typed may be anything.
  if (word.size() > 64) return {};
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(word.size() / 3, 1) + 1;
  for (const std::string& one : known) {
    if (const std::size_t d = distance(word, one); d < best_distance) {
      best = one;
      best_distance = d;
    }
  }
  return best;
}

std::string full_name(const CLI::App& command) {
  return command.get_parent() ? full_name(*command.get_parent()) + " " + command.get_name()
                              : command.get_name();
}

/// The innermost command that the arguments reached.
const CLI::App& reached(const CLI::App& app) {
  const auto below = app.get_subcommands();
  return below.empty() ? app : reached(*below.front());
}

std::vector<std::string> commands_of(const CLI::App& app) {
  std::vector<std::string> out;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    out.push_back(command->get_name());
  if (!app.get_parent()) out.emplace_back("help");
  return out;
}

std::vector<std::string> options_of(const CLI::App& command) {
  std::vector<std::string> out;
  for (const CLI::App* at = &command; at; at = at->get_parent()) {
    for (const CLI::Option* option : at->get_options()) {
      for (const std::string& name : option->get_lnames()) out.push_back("--" + name);
    }
  }
  return out;
}

/// Wrong arguments, told like every other failure.
Explained explain(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& command = reached(app);
  const std::string name = full_name(command);
  const auto known = commands_of(command);
  const bool needs_command = !command.get_subcommands([](const CLI::App*) { return true; }).empty();
  std::vector<std::string> left;
  for (const CLI::App* at = &command; at; at = at->get_parent()) {
    for (std::string& one : at->remaining()) left.push_back(std::move(one));
  }
  const auto is_option = [](const std::string& one) { return one.starts_with('-'); };
  const auto word = std::ranges::find_if_not(left, is_option);
  const auto option = std::ranges::find_if(left, is_option);
  Explained out{.what = error.what(), .cause = {}, .next = "see " + name + " --help"};
  const auto guess = [&](const std::string& meant, const std::string& before) {
    if (!meant.empty()) out.cause = "did you mean '" + before + meant + "'?";
  };
  if (needs_command && word != left.end()) {
    out.what = "there is no command '" + name + " " + *word + "'";
    guess(nearest(*word, known), name + " ");
  } else if (option != left.end()) {
    out.what = name + " has no option '" + *option + "'";
    guess(nearest(option->substr(0, option->find('=')), options_of(command)), "");
  } else if (needs_command) {
    out.what = fmt::format("{} needs a command: {}", name, fmt::join(known, ", "));
  } else if (word != left.end()) {
    out.what = "'" + *word + "' is one argument too many";
    out.cause = "a name with spaces needs quotes";
  }
  std::ranges::replace(out.what, '\n', ' ');
  return out;
}

int report(const Globals& globals, const Failure& failure) {
  const Explained& explained = failure.explained;
  if (globals.is_json) {
    std::fprintf(stderr, "%s\n",
                 nlohmann::json{{"error", explained.what},
                                {"cause", explained.cause},
                                {"next", explained.next},
                                {"exit_code", static_cast<int>(failure.code)}}
                     .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
                     .c_str());
  } else {
    std::fprintf(stderr, "rosebud: %s\n", visible(explained.text()).c_str());
  }
  return static_cast<int>(failure.code);
}

/// `help COMMAND` is `COMMAND --help`.
std::vector<std::string> arguments_of(int argc, char** argv) {
  std::vector<std::string> out(argv + 1, argv + argc);
  if (out.front() == "help") {
    out.erase(out.begin());
    out.emplace_back("--help");
  }
  // CLI11 takes them from the back.
  std::ranges::reverse(out);
  return out;
}

std::string check_timeout(const std::string& text) {
  const double seconds = std::strtod(text.c_str(), nullptr);
  if (seconds >= 0.001 && seconds <= 86'400) return {};
  return "a timeout is from 1ms to 24h, not " + text + " seconds";
}

int run(int argc, char** argv) {
  keep_freed_memory();
  open_standard_streams();
  Globals globals;
  CLI::App app{"Storage that stays correct while machines fail and an organisation lies.",
               "rosebud"};
  app.footer(kEveryCommand);  // of the commands: each takes it over when it is made
  app.set_version_flag("--version", kVersion);
  app.add_flag("--json", globals.is_json, "Print JSON: one object, or one per line");
  app.add_flag("-q,--quiet", globals.is_quiet, "Print ids and values only");
  const std::map<std::string, double> units{{"ms", 0.001}, {"s", 1}, {"m", 60}, {"h", 3600}};
  app.add_option("--timeout", globals.timeout_seconds,
                 "Until an operation gives up: seconds, or 500ms, 10s, 2m, 1h")
      ->transform(CLI::AsNumberWithUnit(units, CLI::AsNumberWithUnit::CASE_SENSITIVE))
      ->check(CLI::Validator(check_timeout, ""))
      ->type_name("TIME")
      ->default_str("30s");
  app.add_option("--cluster", globals.cluster,
                 "A rosebud.toml, or the folder that has it; default: $ROSEBUD_CLUSTER, else a "
                 "rosebud.toml here or above, else the user's default");
  app.add_flag("--allow-stale", globals.is_stale_allowed,
               "Write, read records and believe that something is not there although no node shows "
               "that the newest epoch known here is still in force");
  app.require_subcommand(1);
  app.fallthrough();
  add_file_commands(app, globals);
  add_fs_commands(app, globals);
  add_mount_commands(app, globals);
  add_car_commands(app, globals);
  add_evidence_commands(app, globals);
  add_epoch_commands(app, globals);
  add_ref_commands(app, globals);
  add_node_commands(app, globals);
  add_identity_commands(app, globals);
  add_member_commands(app, globals);
  add_dev_commands(app, globals);
  add_status_command(app, globals);
  add_doctor_command(app, globals);
  add_bench_commands(app, globals);
  add_overlay_commands(app, globals);
  add_manual_commands(
      app, {.version = kVersion, .usual_footer = kEveryCommand, .exit_codes = exit_codes()});
  app.footer(kFirstSteps + exit_code_lines());
  if (argc <= 1) {
    std::fputs(app.help().c_str(), stderr);
    return static_cast<int>(ExitCode::kUsage);
  }
  try {
    app.parse(arguments_of(argc, argv));
  } catch (const CLI::Success& help_or_version) {
    app.exit(help_or_version);
  } catch (const CLI::ParseError& error) {
    // Wrong arguments may have ended the parsing before it came to this one.
    globals.is_json =
        globals.is_json || std::ranges::count(argv + 1, argv + argc, std::string("--json")) > 0;
    return report(globals, {ExitCode::kUsage, explain(app, error)});
  } catch (const Stop& end) {
    return report(globals, end.failure);
  }
  // What could not be printed did not happen for whoever reads it.
  if (std::fflush(stdout) != 0) return report(globals, {ExitCode::kUsage, cannot_print(errno)});
  if (std::ferror(stdout) != 0) return report(globals, {ExitCode::kUsage, cannot_print(0)});
  return 0;
}

}  // namespace
}  // namespace rosebud::apps

int main(int argc, char** argv) { return rosebud::apps::run(argc, argv); }
