// What people hand in to the configuration service: asking, refusals, and waiting for the epoch
// that says so.
#pragma once

#include <fmt/format.h>

#include <thread>

#include "apps/rosebud/commands.h"
#include "service/operations.h"

namespace rosebud::apps {

using ConfigurationPointer = std::shared_ptr<const membership::Configuration>;

/// Within a few seconds at most: what is known counts when nobody answers.
ConfigurationPointer newest(const Globals& globals, client::Session& session);

/// Has it ordered; ends the program with what to do when that was not possible. `look_at`: the
/// command that shows what is in force.
void hand_in(const Globals& globals, client::Session& session, const service::Operation& operation,
             const std::string& refused_because,
             const std::string& look_at = "rosebud member list");

/// "with epoch 8, in about 20 s"
std::string when(const membership::Configuration& configuration);

/// Until an epoch says so; ends the program at the time-out.
template <typename IsTrue>
ConfigurationPointer wait_for(const Globals& globals, client::Session& session, IsTrue is_true,
                              const std::string& look_at = "rosebud member list") {
  const auto end = std::chrono::steady_clock::now() + globals.timeout();
  while (true) {
    auto configuration = session.learn_newest(std::chrono::seconds(1));
    if (is_true(*configuration)) return configuration;
    if (std::chrono::steady_clock::now() >= end) {
      stop(ExitCode::kTimeout, {.what = "it is noted, but no epoch says so yet",
                                .cause = "epochs end by time, or nobody could be replaced yet",
                                .next = "wait, then: " + look_at});
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

}  // namespace rosebud::apps
