// epoch list, show, verify: the chain of epochs in an exported file, off line, or of the cluster.
//
// All three verify what they show, from the genesis on: an epoch is printed only when it and all
// before it are verified.
#include <fmt/format.h>

#include <ctime>

#include "apps/rosebud/commands.h"
#include "apps/rosebud/epoch_end.h"
#include "apps/rosebud/epoch_export.h"
#include "apps/rosebud/verified_epochs.h"
#include "apps/rosebud/words.h"

namespace rosebud::apps {
namespace {

using membership::Configuration;
using membership::Onward;
using membership::VerifiedEpoch;

struct EpochOptions {
  std::string file;
  std::uint64_t epoch = 0;  // of show
};

constexpr const char* kFileHelp =
    "Exported epochs (rosebud epoch export); default: those of the cluster, from its nodes";
constexpr const char* kClusterHelp =
    "With --cluster ID (64 hexadecimal digits; a rosebud.toml that says it does too) nothing else "
    "is\n"
    "trusted. Without, the genesis in the file is believed, and its cluster id is printed.\n"
    "Nobody can tell from a file whether there are newer epochs: see when its last one ends.\n";

std::string hex_or_none(const crypto::Digest& digest) {
  return digest.is_zero() ? "none" : to_hex(digest.view());
}

// ---- verify ----

void verify(const Globals& globals, const EpochOptions& options) {
  const auto started = std::chrono::steady_clock::now();
  const auto verified =
      verify_epochs_of(globals, options.file, [](const VerifiedEpoch&) { return Onward::kGoOn; });
  const double seconds = std::max(
      std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count(), 1e-6);
  const double rate = static_cast<double>(verified.epochs_count) / seconds;
  const auto& last = verified.last.header;
  std::string text;
  if (!globals.is_quiet) {
    text = fmt::format(
        "{} epochs of cluster {} are verified\n"
        "  epoch 1 started {}, epoch {} {}, end {}\n"
        "  last header {}\n"
        "  {} with bodies; {:.2f} s, {:.0f} epochs/s",
        verified.epochs_count, to_hex(last.cluster.view()), time_text(verified.start),
        last.number.epoch.value, time_text(last.start), end_text(last.end),
        to_hex(verified.last.hash.view()), verified.bodies_count, seconds, rate);
    const auto now = static_cast<std::uint64_t>(std::time(nullptr));
    if (last.end.value != 0 && last.end.value < now) {
      text += "\n  its last epoch is over: newer ones were left out, or the cluster stands still";
    }
  }
  print(globals,
        {{"is_valid", true},
         {"cluster", to_hex(last.cluster.view())},
         {"is_cluster_given", !globals.cluster.empty()},
         {"epochs", verified.epochs_count},
         {"bodies", verified.bodies_count},
         {"first_start", verified.start.value},
         {"last_epoch", last.number.epoch.value},
         {"last_start", last.start.value},
         {"last_end", last.end.value},
         {"last_header", to_hex(verified.last.hash.view())},
         {"seconds", seconds},
         {"epochs_per_second", rate}},
        text);
}

// ---- list ----

void print_line(const Globals& globals, const VerifiedEpoch& epoch) {
  const auto& header = epoch.header;
  const auto* configuration = epoch.configuration.get();
  nlohmann::json json{
      {"epoch", header.number.epoch.value}, {"generation", header.number.generation.value},
      {"start", header.start.value},        {"end", header.end.value},
      {"seats", header.seats.size()},       {"service_faults", header.service_faults},
      {"header", to_hex(epoch.hash.view())}};
  if (configuration) json["nodes"] = configuration->nodes().size();
  print(globals, json,
        globals.is_quiet
            ? std::to_string(header.number.epoch.value)
            : fmt::format("{:>8}  {:<20}  {:<20}  {:>5}  {:>5}", header.number.epoch.value,
                          time_text(header.start), end_text(header.end), header.seats.size(),
                          configuration ? std::to_string(configuration->nodes().size()) : "-"));
  if (globals.is_json || globals.is_quiet || !configuration || !configuration->recovery()) return;
  print(
      globals, {},
      fmt::format("          generation {} from here on: the organisations recovered the service; "
                  "losses accepted of {} groups",
                  header.number.generation.value, configuration->recovery()->losses.size()));
}

void list(const Globals& globals, const EpochOptions& options) {
  bool has_heading = globals.is_json || globals.is_quiet;
  verify_epochs_of(globals, options.file, [&](const VerifiedEpoch& epoch) {
    if (!std::exchange(has_heading, true)) {
      print(globals, {},
            fmt::format("{:>8}  {:<20}  {:<20}  {:>5}  {:>5}", "epoch", "start", "end", "seats",
                        "nodes"));
    }
    print_line(globals, epoch);
    return Onward::kGoOn;
  });
}

// ---- show ----

nlohmann::json json_of(const Configuration& configuration) {
  const auto& settings = configuration.settings();
  nlohmann::json organisations = nlohmann::json::array();
  for (const auto& one : configuration.organisations()) {
    organisations.push_back({{"name", one.name},
                             {"authority", to_hex(one.authority.view())},
                             {"quota_bytes", one.quota_bytes},
                             {"revoked", one.is_revoked}});
  }
  nlohmann::json nodes = nlohmann::json::array();
  for (const auto& one : configuration.nodes()) {
    nodes.push_back({{"name", one.name},
                     {"key", to_hex(one.key.view())},
                     {"organisation", configuration.organisations()[one.organisation].name},
                     {"directory", to_hex(one.directory.view())},
                     {"capacity_bytes", one.capacity_bytes},
                     {"positions", one.position_count},
                     {"admission_randomness", to_hex(one.admission_randomness.view())}});
    put_text(nodes.back(), "address", one.address);
  }
  return {{"settings",
           {{"faults", settings.faults},
            {"cap", settings.cap},
            {"service_faults", settings.service_faults},
            {"has_leases", settings.has_leases},
            {"epoch_seconds", settings.epoch_seconds},
            {"service_term_seconds", settings.service_term_seconds},
            {"evict_after_seconds", settings.evict_after_seconds},
            {"read_settle_ms", settings.read_settle_ms},
            {"hedge_ms", settings.hedge_ms},
            {"hold_seconds_max", settings.hold_seconds_max},
            {"client_quota_floor_bytes", settings.client_quota_floor_bytes}}},
          {"organisations", organisations},
          {"nodes", nodes}};
}

nlohmann::json json_of(const VerifiedEpoch& epoch) {
  const auto& header = epoch.header;
  nlohmann::json seats = nlohmann::json::array();
  for (const auto& seat : header.seats) {
    seats.push_back({{"node", to_hex(seat.node.view())},
                     {"epoch_key", to_hex(seat.epoch_key.view())},
                     {"commitment", to_hex(seat.commitment.view())}});
  }
  nlohmann::json out{{"cluster", to_hex(header.cluster.view())},
                     {"generation", header.number.generation.value},
                     {"epoch", header.number.epoch.value},
                     {"start", header.start.value},
                     {"end", header.end.value},
                     {"header", to_hex(epoch.hash.view())},
                     {"randomness", to_hex(header.randomness.view())},
                     {"service_faults", header.service_faults},
                     {"seats", seats}};
  if (header.number.epoch.value > 1) {
    out["previous"] = to_hex(header.previous.view());
    out["members_root"] = to_hex(header.members_root.view());
    out["state"] = to_hex(header.state.view());
    out["body"] = to_hex(header.body.view());
  }
  if (epoch.configuration) out.update(json_of(*epoch.configuration));
  return out;
}

std::string text_of(const Configuration& configuration) {
  const auto& settings = configuration.settings();
  std::string out = fmt::format(
      "  settings      f = {}, cap {}, F = {}, {}, leases {}\n"
      "                read_settle {} ms, hedge {} ms, {}, quota floor {}\n"
      "  {} organisations\n",
      settings.faults, settings.cap, settings.service_faults,
      settings.epoch_seconds == 0 ? "epochs without end"
                                  : fmt::format("epochs of {} s", settings.epoch_seconds),
      settings.has_leases ? "on" : "off", settings.read_settle_ms, settings.hedge_ms,
      settings.hold_seconds_max == 0
          ? "holds as long as admissions"
          : fmt::format("holds of at most {} s", settings.hold_seconds_max),
      human_bytes(static_cast<double>(settings.client_quota_floor_bytes)),
      configuration.organisations().size());
  for (const auto& one : configuration.organisations()) {
    out += fmt::format("    {}  authority {}, quota {}{}\n", one.name, to_hex(one.authority.view()),
                       human_bytes(static_cast<double>(one.quota_bytes)),
                       one.is_revoked ? ", revoked" : "");
  }
  out += fmt::format("  {} nodes\n", configuration.nodes().size());
  for (const auto& one : configuration.nodes()) {
    out += fmt::format("    {}  of {}, {}, {}, {} positions\n      key {}\n", one.name,
                       configuration.organisations()[one.organisation].name, visible(one.address),
                       human_bytes(static_cast<double>(one.capacity_bytes)), one.position_count,
                       to_hex(one.key.view()));
  }
  return out;
}

std::string text_of(const VerifiedEpoch& epoch) {
  const auto& header = epoch.header;
  std::string out =
      fmt::format("epoch {} of cluster {}, generation {}\n", header.number.epoch.value,
                  to_hex(header.cluster.view()), header.number.generation.value);
  const auto line = [&](const char* name, const std::string& value) {
    out += fmt::format("  {:<12}  {}\n", name, value);
  };
  line("start", time_text(header.start));
  line("end", end_text(header.end));
  line("R", to_hex(header.randomness.view()));
  if (header.number.epoch.value > 1) {
    line("header", to_hex(epoch.hash.view()));
    line("previous", to_hex(header.previous.view()));
    line("members root", to_hex(header.members_root.view()));
    line("state", hex_or_none(header.state));
    line("body", to_hex(header.body.view()) + (epoch.configuration ? "" : ", not in the file"));
  }
  out += fmt::format("  {} seats, F = {}: {} of them sign the next epoch\n", header.seats.size(),
                     header.service_faults, 2 * std::uint64_t{header.service_faults} + 1);
  for (std::size_t i = 0; i < header.seats.size(); ++i) {
    const auto& seat = header.seats[i];
    const auto node =
        epoch.configuration ? epoch.configuration->node_index(seat.node) : std::nullopt;
    out += fmt::format("    seat {}{}\n      node {}\n      epoch key {}\n      commitment {}\n", i,
                       node ? "  " + epoch.configuration->nodes()[*node].name : "",
                       to_hex(seat.node.view()), to_hex(seat.epoch_key.view()),
                       hex_or_none(seat.commitment));
  }
  if (epoch.configuration) out += text_of(*epoch.configuration);
  out.pop_back();  // print() ends the line
  return out;
}

void show(const Globals& globals, const EpochOptions& options) {
  const auto verified = verify_epochs_of(globals, options.file, [&](const VerifiedEpoch& epoch) {
    return epoch.header.number.epoch.value == options.epoch ? Onward::kStop : Onward::kGoOn;
  });
  const auto& last = verified.last;
  if (last.header.number.epoch.value != options.epoch) {
    stop(ExitCode::kNotFound,
         {.what = fmt::format("epoch {} is not in the file", options.epoch),
          .cause = fmt::format("it has epochs 1 to {}", last.header.number.epoch.value),
          .next = {}});
  }
  print(globals, json_of(last), globals.is_quiet ? to_hex(last.hash.view()) : text_of(last));
}

}  // namespace

void add_epoch_commands(CLI::App& app, Globals& globals) {
  auto* epoch = app.add_subcommand("epoch", "Epochs of a cluster: who were its members, and when");
  epoch->require_subcommand(1);
  const auto options = std::make_shared<EpochOptions>();
  const auto add = [&](const char* name, const char* what,
                       void (*command)(const Globals&, const EpochOptions&)) {
    auto* out = epoch->add_subcommand(name, what);
    out->add_option("--file", options->file, kFileHelp)->type_name("FILE");
    out->footer(kClusterHelp + out->get_footer());
    out->callback([&globals, options, command] { command(globals, *options); });
    return out;
  };
  add_epoch_end_command(*epoch, globals);
  add("list", "One line for each epoch, verified", list);
  add("show", "All of one epoch, verified from the genesis up to it", show)
      ->add_option("epoch", options->epoch, "Its number; the genesis is epoch 1")
      ->required();
  add("verify",
      "Check, off line, that every epoch was signed by the configuration service of the one "
      "before,\n"
      "from the genesis on. Exit code 6 says that it was not, at which epoch, and why",
      verify);
  add_epoch_export(*epoch, globals);
}

}  // namespace rosebud::apps
