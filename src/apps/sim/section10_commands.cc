// rosebud-sim section10: every order of events of a small change of epoch.
#include <chrono>
#include <cstdio>
#include <memory>

#include "apps/sim/commands.h"
#include "sim/section10/bounds.h"
#include "sim/section10/run.h"

namespace rosebud {
namespace {

namespace model = sim::section10;

constexpr int kExitViolation = 6;

struct Section10Options {
  bool is_small = false;
  bool is_deep = false;
  bool do_faults_move = false;
  bool does_promise_end_early = false;
  bool is_told_each = false;
  std::string broken;
};

int list_rules() {
  for (const model::BrokenRule& one : model::kBrokenRules) {
    std::printf("%-28s %s\n", std::string(one.name).c_str(), std::string(one.breaks).c_str());
  }
  return 0;
}

std::optional<model::Broken> rule_of(const std::string& name) {
  if (name.empty()) return model::Broken::kNothing;
  for (const model::BrokenRule& one : model::kBrokenRules) {
    if (one.name == name) return one.rule;
  }
  return std::nullopt;
}

std::vector<model::Scenario> scenarios_of(const Section10Options& options, model::Broken broken) {
  const model::Reach reach = options.is_deep    ? model::Reach::kDeep
                             : options.is_small ? model::Reach::kSmall
                                                : model::Reach::kDefault;
  if (options.does_promise_end_early) return model::moving_scenarios(reach, true);
  if (options.do_faults_move) return model::moving_scenarios(reach);
  return model::scenarios_for(broken, reach);
}

void print_scenario(const model::Scenario& scenario, const model::Found& found) {
  std::printf("%s: %llu states, %u steps deep, %zu MB\n", scenario.describe().c_str(),
              static_cast<unsigned long long>(found.states), found.depth, found.bytes >> 20);
  std::fflush(stdout);
}

int run_section10(const Section10Options& options) {
  const auto broken = rule_of(options.broken);
  if (!broken) {
    std::fprintf(stderr, "rosebud-sim: '%s' is no rule; `rosebud-sim section10 rules` lists them\n",
                 options.broken.c_str());
    return 1;
  }
  const auto begin = std::chrono::steady_clock::now();
  std::function<void(const model::Scenario&, const model::Found&)> is_done;
  if (options.is_told_each) is_done = print_scenario;
  const model::Outcome outcome =
      model::search_all(scenarios_of(options, *broken), *broken, is_done);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  std::printf(
      "%zu scenarios, %llu states, %llu steps between them, at most %u deep, %.1f s, %zu MB\n",
      outcome.scenarios, static_cast<unsigned long long>(outcome.states),
      static_cast<unsigned long long>(outcome.steps), outcome.depth, seconds.count(),
      outcome.bytes_max >> 20);
  if (!outcome.is_whole) std::printf("not all states of each: memory for no more\n");
  if (!outcome.where) return outcome.is_whole ? 0 : 1;
  std::printf("VIOLATION with the groups %s\n", outcome.where->describe().c_str());
  for (const std::string& line : outcome.story) std::printf("%s\n", line.c_str());
  std::printf("%s\n", outcome.violation.c_str());
  return kExitViolation;
}

}  // namespace

void add_section10_commands(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Section10Options>();
  auto* section10 = app.add_subcommand(
      "section10", "Changes of epoch: every order of events in a small model of the rules");
  section10->add_flag("--small", options->is_small, "The bound of the tests: seconds");
  section10->add_flag("--deep", options->is_deep, "A quarter of an hour instead of a minute");
  section10->add_flag("--moving-faults", options->do_faults_move,
                      "Only where more nodes turn faulty when their group was handed over");
  section10->add_flag("--early-end", options->does_promise_end_early,
                      "The same, and a group counts as handed over although some of its correct "
                      "members are not complete for its epoch yet");
  section10->add_flag("--each", options->is_told_each, "A line for each scenario");
  section10->add_option("--break", options->broken, "Leave this rule out; `rules` lists them");
  auto* rules = section10->add_subcommand("rules", "Lists the rules that --break knows");
  rules->callback([&exit_code] { exit_code = list_rules(); });
  section10->callback([options, rules, &exit_code] {
    if (!rules->parsed()) exit_code = run_section10(*options);
  });
}

}  // namespace rosebud
