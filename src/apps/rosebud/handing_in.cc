#include "apps/rosebud/handing_in.h"

#include <algorithm>

#include "apps/rosebud/identity.h"

namespace rosebud::apps {

ConfigurationPointer newest(const Globals& globals, client::Session& session) {
  return session.learn_newest(std::min<Duration>(globals.timeout(), std::chrono::seconds(5)));
}

void hand_in(const Globals& globals, client::Session& session, const service::Operation& operation,
             const std::string& refused_because, const std::string& look_at) {
  const auto said = session.hand_in(service::encode(operation), globals.timeout());
  if (!said) {
    stop(
        ExitCode::kNoQuorum,
        {.what = "the configuration service did not take it in time",
         .cause = "too few of its members answer, an epoch is just ending, or the organisation has "
                  "used up its admissions of the day",
         .next = "run the same command again: doing it twice changes nothing"});
  }
  if (static_cast<service::Answer>(*said) != service::Answer::kRefused) return;
  stop(ExitCode::kDenied, {.what = "the configuration service refused it",
                           .cause = refused_because,
                           .next = "see what is in force: " + look_at});
}

std::string when(const membership::Configuration& configuration) {
  const std::uint64_t length = configuration.settings().epoch_seconds;
  if (length == 0) return "with the next epoch (epochs of this cluster do not end by time)";
  const std::uint64_t now = wall_seconds();
  const std::uint64_t end = configuration.start().value + length;
  return fmt::format("with epoch {}, in about {} s", configuration.number().epoch.value + 1,
                     end > now ? end - now : 0);
}

}  // namespace rosebud::apps
