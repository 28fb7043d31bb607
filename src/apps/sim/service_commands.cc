#include "apps/sim/commands.h"
#include "apps/sim/core_commands.h"
#include "membership/planted_bugs.h"
#include "service/planted_bugs.h"
#include "service/sim/swarm.h"

namespace rosebud {
namespace {

struct ServiceCore {
  static constexpr const char* kCommand = "rosebud-sim service";
  static constexpr std::size_t kStoryLines = 60;
  static constexpr auto& kScenarios = service::sim::kScenarios;
  static constexpr auto& kPlantedBugs = service::kPlantedBugs;
  using Plan = service::sim::Plan;
  using Result = service::sim::SwarmResult;

  static Plan make_plan(const std::string& scenario, std::uint64_t seed) {
    return service::sim::make_plan(scenario, seed);
  }
  static bool is_scenario(const std::string& name) { return service::sim::is_scenario(name); }
  static Result run(const Plan& plan, std::size_t story_lines) {
    return service::sim::run_plan(plan, story_lines);
  }
  static std::string describe(const service::sim::Fault& fault) {
    return service::sim::describe(fault);
  }
  /// With the scenario in front, for scripts/planted-bugs.
  static std::string describe_bug(const service::PlantedBug& bug) {
    char text[200];
    std::snprintf(text, sizeof text, "%-13s %s", std::string(bug.scenario).c_str(),
                  std::string(bug.breaks).c_str());
    return text;
  }
  static void plant(service::Bug bug) {
    rosebud::plant(bug);
    if (bug == service::Bug::kFewSignaturesMakeAnEpoch) {
      rosebud::plant(membership::Bug::kFewSignaturesMakeAnEpoch);
    }
  }

  static MeasuredRun<Result> measure(const Plan& plan) {
    const double begin = processor_seconds();
    MeasuredRun<Result> out{.result = run(plan, 0)};
    out.processor_s = processor_seconds() - begin;
    out.simulated_s = static_cast<double>(out.result.time.count()) / 1e6;
    return out;
  }
  static Counts counts(const Result& result) {
    return {{"events", result.events},   {"epochs", result.epochs},
            {"steps", result.steps},     {"admitted", result.admitted},
            {"removed", result.removed}, {"excused", result.excused}};
  }
  static std::string trace(const Result& result) {
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(result.trace));
    return text;
  }
};

}  // namespace

void add_service_commands(CLI::App& app, int& exit_code) {
  auto* service = app.add_subcommand("service", "The configuration service, on whole nodes");
  service->require_subcommand(1);
  CoreCommands<ServiceCore>::add(*service, exit_code);
}

}  // namespace rosebud
