#include "apps/sim/commands.h"
#include "apps/sim/core_commands.h"
#include "pbft/planted_bugs.h"
#include "pbft/sim/swarm.h"

namespace rosebud {
namespace {

struct PbftCore {
  static constexpr const char* kCommand = "rosebud-sim pbft";
  static constexpr std::size_t kStoryLines = 60;
  static constexpr auto& kScenarios = pbft::sim::kScenarios;
  static constexpr auto& kPlantedBugs = pbft::kPlantedBugs;
  using Plan = pbft::sim::Plan;
  using Result = pbft::sim::SwarmResult;

  static Plan make_plan(const std::string& scenario, std::uint64_t seed) {
    return pbft::sim::make_plan(scenario, seed);
  }
  static bool is_scenario(const std::string& name) { return pbft::sim::is_scenario(name); }
  static Result run(const Plan& plan, std::size_t story_lines) {
    return pbft::sim::run_plan(plan, story_lines);
  }
  static std::string describe(const pbft::sim::Fault& fault) { return pbft::sim::describe(fault); }
  static std::string describe_bug(const pbft::PlantedBug& bug) {
    char text[256];
    std::snprintf(text, sizeof text, "%-13s %s", std::string(bug.scenario).c_str(),
                  std::string(bug.breaks).c_str());
    return text;
  }
  static void plant(pbft::Bug bug) { rosebud::plant(bug); }

  static MeasuredRun<Result> measure(const Plan& plan) {
    const double begin = processor_seconds();
    MeasuredRun<Result> out{.result = run(plan, 0)};
    out.processor_s = processor_seconds() - begin;
    out.simulated_s = static_cast<double>(out.result.time.count()) / 1e6;
    return out;
  }
  static Counts counts(const Result& result) {
    return {{"events", result.events},
            {"operations", result.operations},
            {"acknowledged", result.acknowledged},
            {"views", result.views},
            {"transfers", result.transfers},
            {"accused", result.evidence}};
  }
  static std::string trace(const Result& result) {
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(result.trace));
    return text;
  }
};

}  // namespace

void add_pbft_commands(CLI::App& app, int& exit_code) {
  auto* pbft = app.add_subcommand("pbft", "A group of replicas that agree on an order");
  pbft->require_subcommand(1);
  CoreCommands<PbftCore>::add(*pbft, exit_code);
}

}  // namespace rosebud
