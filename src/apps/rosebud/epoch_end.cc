// epoch end: an organisation has the epoch ended before its time, so that who was admitted or
// drained need not wait.
#include "apps/rosebud/epoch_end.h"

#include <fmt/format.h>

#include "apps/rosebud/handing_in.h"
#include "apps/rosebud/identity.h"

namespace rosebud::apps {
namespace {

struct EndOptions {
  std::string organisation;
  bool is_waiting = false;
};

void end_epoch(const Globals& globals, const EndOptions& options) {
  const auto authority = authority_in(options.organisation);
  const OpenSession session(globals);
  auto configuration = newest(globals, *session);
  const wire::ConfigurationNumber ending = configuration->number();
  hand_in(globals, *session,
          service::EndEpoch{wire::sign(crypto::ed25519(), authority,
                                       service::EndRequest{.cluster = configuration->cluster(),
                                                           .organisation = authority.public_key(),
                                                           .number = ending})},
          "the organisation had an epoch ended within the last hour, or has no say in this cluster",
          "rosebud epoch list");
  const auto is_over = [&](const membership::Configuration& one) { return ending < one.number(); };
  if (options.is_waiting)
    configuration = wait_for(globals, *session, is_over, "rosebud epoch list");
  const bool is_done = is_over(*configuration);
  print(globals,
        {{"ended", ending.epoch.value},
         {"done", is_done},
         {"epoch", configuration->number().epoch.value}},
        is_done ? fmt::format("epoch {} is in force", configuration->number().epoch.value)
                : fmt::format("epoch {} is about to end", ending.epoch.value));
}

}  // namespace

void add_epoch_end_command(CLI::App& epoch, Globals& globals) {
  auto options = std::make_shared<EndOptions>();
  auto* command = epoch.add_subcommand(
      "end", "Have the epoch end before its time, as an organisation: once an hour");
  command->add_option("--org", options->organisation, "The organisation's folder")->required();
  command->add_flag("--wait", options->is_waiting, "Wait for the next epoch, at most --timeout");
  command->callback([&globals, options] { end_epoch(globals, *options); });
}

}  // namespace rosebud::apps
