#include "apps/sim/commands.h"
#include "apps/sim/core_commands.h"
#include "objects/planted_bugs.h"
#include "sim/swarm.h"

namespace rosebud {
namespace {

struct ObjectCore {
  static constexpr const char* kCommand = "rosebud-sim";
  static constexpr std::size_t kStoryLines = 40;
  static constexpr auto& kScenarios = sim::kScenarios;
  static constexpr auto& kPlantedBugs = objects::kPlantedBugs;
  using Plan = sim::Plan;
  using Result = sim::SwarmResult;

  static Plan make_plan(const std::string& scenario, std::uint64_t seed) {
    return sim::make_plan(scenario, seed);
  }
  static bool is_scenario(const std::string& name) { return sim::is_scenario(name); }
  static Result run(const Plan& plan, std::size_t story_lines) {
    return sim::run_plan(plan, story_lines);
  }
  static std::string describe(const sim::Fault& fault) { return sim::describe(fault); }
  static std::string describe_bug(const objects::PlantedBug& bug) {
    return std::string(bug.breaks);
  }
  static void plant(objects::Bug bug) { rosebud::plant(bug); }

  /// Under load and faults: what follows is cheap and would flatter.
  static MeasuredRun<Result> measure(const Plan& plan) {
    MeasuredRun<Result> out{.simulated_s = static_cast<double>(plan.safety_time.count()) / 1e6};
    const double begin = processor_seconds();
    out.result = sim::run_plan(plan, 0, [&] { out.processor_s = processor_seconds() - begin; });
    return out;
  }
  static Counts counts(const Result& result) {
    return {{"events", result.events},
            {"epoch changes", result.epochs},
            {"moves of the fault", result.moves},
            {"deletes", result.deletes},
            {"operations", result.operations},
            {"acknowledged", result.acknowledged},
            {"over quota", result.over_quota}};
  }
  static std::string trace(const Result& result) { return to_hex(result.trace.view()); }
};

}  // namespace

void add_object_commands(CLI::App& app, int& exit_code) {
  CoreCommands<ObjectCore>::add(app, exit_code);
}

}  // namespace rosebud
