// org list|settings|admit|revoke|revoke-node|set|show|sign|enact: what organisations decide
// together. A decree is a file that one of them makes and all pass around until more than two
// thirds have signed it.
#include "apps/rosebud/decree_commands.h"

#include <fmt/format.h>

#include <algorithm>

#include "apps/rosebud/handing_in.h"
#include "apps/rosebud/identity.h"
#include "apps/rosebud/words.h"
#include "base/files.h"
#include "membership/changeable_settings.h"

namespace rosebud::apps {
namespace {

namespace stdfs = std::filesystem;

using membership::Configuration;
using membership::Organisation;
using service::AdmitOrganisation;
using service::AuthoritySignature;
using service::ChangeSetting;
using service::Decree;
using service::RevokeAnyNode;
using service::RevokeOrganisation;
using service::SignedDecree;

constexpr std::string_view kDecreeKind = "rosebud-decree-1 ";
constexpr std::string_view kNobody = "nobody";

struct DecreeOptions {
  std::string name;
  std::string request;
  std::string file;
  std::string organisation;
  std::uint64_t quota_gib = 1024;
  std::uint64_t value = 0;
  std::uint64_t days = 14;
  bool is_confirmed = false;
  bool is_waiting = false;
};

void write_decree(const stdfs::path& path, const SignedDecree& decree) {
  or_stop(replace_file(path, kind_file_text(kDecreeKind, decree.encode())));
}

struct FoundDecree {
  SignedDecree file;
  Decree decree;
};
FoundDecree read_decree(const stdfs::path& path) {
  const Bytes bytes = or_stop(read_kind_file(path, kDecreeKind));
  auto file = SignedDecree::decode(bytes);
  auto decree = file ? Decree::decode(file->decree) : std::nullopt;
  if (!decree) stop(ExitCode::kUsage, wrong_kind(path, kDecreeKind));
  return {.file = std::move(*file), .decree = std::move(*decree)};
}

const Organisation* find(const Configuration& configuration, const crypto::PublicKey& authority) {
  const auto index = configuration.organisation_index(authority);
  return index ? &configuration.organisations()[*index] : nullptr;
}

// ---- What a decree says ----

nlohmann::json json_of(const Decree::What& what) {
  if (const auto* one = std::get_if<AdmitOrganisation>(&what)) {
    return {{"decree", "admit"},
            {"name", one->name},
            {"authority", to_hex(one->authority.view())},
            {"quota_bytes", one->quota_bytes}};
  }
  if (const auto* one = std::get_if<RevokeOrganisation>(&what)) {
    return {
        {"decree", "revoke"}, {"name", one->name}, {"authority", to_hex(one->authority.view())}};
  }
  if (const auto* one = std::get_if<ChangeSetting>(&what)) {
    return {{"decree", "set"}, {"name", one->name}, {"value", one->value}};
  }
  const auto& one = std::get<RevokeAnyNode>(what);
  return {{"decree", "revoke-node"}, {"name", one.name}, {"key", to_hex(one.node.view())}};
}

std::string text_of(const Decree::What& what) {
  if (const auto* one = std::get_if<AdmitOrganisation>(&what)) {
    return fmt::format("organisation {} ({}) is in, with a quota of {}", one->name,
                       to_hex(one->authority.view()),
                       human_bytes(static_cast<double>(one->quota_bytes)));
  }
  if (const auto* one = std::get_if<RevokeOrganisation>(&what)) {
    return fmt::format("organisation {} ({}) is revoked: its nodes leave, its clients are refused",
                       one->name, to_hex(one->authority.view()));
  }
  if (const auto* one = std::get_if<ChangeSetting>(&what)) {
    const membership::ChangeableSetting* setting = membership::find_setting(one->name);
    return fmt::format("{} is {}{}", one->name, one->value,
                       setting ? fmt::format(" ({})", setting->meaning) : "");
  }
  const auto& one = std::get<RevokeAnyNode>(what);
  return fmt::format("node {} ({}) is revoked for ever", one.name, to_hex(one.node.view()));
}

bool is_so(const Configuration& configuration, const Decree::What& what) {
  if (const auto* one = std::get_if<AdmitOrganisation>(&what)) {
    const Organisation* found = find(configuration, one->authority);
    return found && !found->is_revoked && found->quota_bytes == one->quota_bytes;
  }
  if (const auto* one = std::get_if<RevokeOrganisation>(&what)) {
    return !configuration.has_say(one->authority);
  }
  if (const auto* one = std::get_if<ChangeSetting>(&what)) {
    const membership::ChangeableSetting* setting = membership::find_setting(one->name);
    return setting && setting->get(configuration.settings()) == one->value;
  }
  return !configuration.node_index(std::get<RevokeAnyNode>(what).node);
}

/// Who of these organisations has signed, and who has not.
struct Signers {
  std::vector<std::string> have;
  std::vector<std::string> have_not;
  std::size_t needed = 0;
  std::size_t without_say = 0;  // signatures that do not count
};
Signers signers_of(const Configuration& configuration, const SignedDecree& decree) {
  Signers out{.needed = service::signatures_needed(configuration)};
  for (const Organisation& one : configuration.organisations()) {
    if (one.is_revoked) continue;
    const auto at =
        std::ranges::find(decree.signatures, one.authority, &AuthoritySignature::authority);
    const bool has =
        at != decree.signatures.end() &&
        crypto::ed25519().verify(one.authority, Decree::kTag, decree.decree, at->signature);
    (has ? out.have : out.have_not).push_back(one.name);
  }
  out.without_say = decree.signatures.size() - out.have.size();
  return out;
}

nlohmann::json json_of(const Decree& decree, const Signers& signers) {
  nlohmann::json out = json_of(decree.what);
  out["signed"] = signers.have;
  out["not_signed"] = signers.have_not;
  out["needed"] = signers.needed;
  out["valid_until"] = decree.not_after.value;
  return out;
}

std::string text_of(const Decree& decree, const Signers& signers) {
  return fmt::format(
      "{}\nsigned by {}; {} of {} organisations have to sign\nnot yet: {}\nvalid until {}",
      text_of(decree.what), joined(signers.have, kNobody), signers.needed,
      signers.have.size() + signers.have_not.size(), joined(signers.have_not, kNobody),
      time_text(decree.not_after));
}

/// With -q the name alone.
void tell(const Globals& globals, const nlohmann::json& json, const std::string& text) {
  print(globals, json, globals.is_quiet ? json["name"].get<std::string>() : text);
}

// ---- Commands ----

void list(const Globals& globals) {
  const OpenSession session(globals);
  const auto configuration = newest(globals, *session);
  nlohmann::json all = nlohmann::json::array();
  std::string text =
      fmt::format("epoch {}: {} of them have to sign what they decide together",
                  configuration->number().epoch.value, service::signatures_needed(*configuration));
  for (std::uint32_t i = 0; i < configuration->organisations().size(); ++i) {
    const Organisation& one = configuration->organisations()[i];
    const auto nodes =
        std::ranges::count(configuration->nodes(), i, &membership::Node::organisation);
    all.push_back({{"name", one.name},
                   {"authority", to_hex(one.authority.view())},
                   {"quota_bytes", one.quota_bytes},
                   {"nodes", nodes},
                   {"revoked", one.is_revoked}});
    text += fmt::format("\n{:<16} {:>3} nodes  quota {:>10}  {}{}", one.name, nodes,
                        human_bytes(static_cast<double>(one.quota_bytes)),
                        to_hex(one.authority.view()), one.is_revoked ? "  revoked" : "");
  }
  if (globals.is_quiet) {
    text.clear();
    for (const auto& one : all) text += (text.empty() ? "" : "\n") + one["name"].get<std::string>();
  }
  print(globals, {{"epoch", configuration->number().epoch.value}, {"organisations", all}}, text);
}

void settings(const Globals& globals) {
  const OpenSession session(globals);
  const auto configuration = newest(globals, *session);
  const membership::Settings& all = configuration->settings();
  nlohmann::json json = nlohmann::json::array();
  std::string text =
      fmt::format("epoch {}; fixed: f = {}, F = {}, cap {}", configuration->number().epoch.value,
                  all.faults, all.service_faults, all.cap);
  for (const membership::ChangeableSetting& one : membership::changeable_settings()) {
    json.push_back({{"name", one.name},
                    {"value", one.get(all)},
                    {"min", one.min},
                    {"max", one.max},
                    {"meaning", one.meaning}});
    text += fmt::format("\n{:<25} {:>12}  {} ({} to {})", one.name, one.get(all), one.meaning,
                        one.min, one.max);
  }
  text +=
      "\nanother value, decided together: rosebud org set NAME VALUE --decree FILE --org FOLDER";
  print(globals,
        {{"epoch", configuration->number().epoch.value},
         {"faults", all.faults},
         {"service_faults", all.service_faults},
         {"cap", all.cap},
         {"settings", json}},
        text);
}

void check_setting(const Configuration& configuration, const ChangeSetting& wanted) {
  const membership::ChangeableSetting* setting = membership::find_setting(wanted.name);
  if (!setting) {
    stop(ExitCode::kUsage, {.what = "no setting '" + wanted.name + "' can be changed",
                            .cause = "the name is wrong, or it is fixed for the cluster's life",
                            .next = "see which can: rosebud org settings"});
  }
  if (membership::with_setting(configuration.settings(), wanted.name, wanted.value)) return;
  stop(ExitCode::kUsage,
       {.what = fmt::format("{} cannot be {}", wanted.name, wanted.value),
        .cause = fmt::format("it is between {} and {}; leases need epochs that end by time",
                             setting->min, setting->max),
        .next = "see all: rosebud org settings"});
}

/// What the service would refuse is not passed around.
void check_new(const Configuration& configuration, const Decree::What& what) {
  if (is_so(configuration, what)) {
    stop(ExitCode::kConflict, {.what = "nothing to decide: it is so in the newest epoch",
                               .cause = text_of(what),
                               .next = "see it: rosebud org list"});
  }
  if (const auto* wanted = std::get_if<ChangeSetting>(&what)) {
    return check_setting(configuration, *wanted);
  }
  const auto* admitted = std::get_if<AdmitOrganisation>(&what);
  if (!admitted) return;
  for (const Organisation& one : configuration.organisations()) {
    if ((one.name == admitted->name) == (one.authority == admitted->authority)) continue;
    stop(ExitCode::kConflict,
         {.what = "the name " + admitted->name + " and this authority do not belong together",
          .cause = "the cluster knows " + one.name + " as " + to_hex(one.authority.view()),
          .next = "choose another name: rosebud org new NAME"});
  }
  if (configuration.node_index(admitted->authority)) {
    stop(ExitCode::kConflict, {.what = "the authority's key is a node's", .cause = {}, .next = {}});
  }
}

/// Makes the file, signed by the first.
void begin(const Globals& globals, const Configuration& configuration, const DecreeOptions& options,
           Decree::What what) {
  const auto authority = authority_in(options.organisation);
  std::error_code error;
  if (stdfs::exists(options.file, error)) {
    stop(ExitCode::kUsage, {.what = options.file + " is there already",
                            .cause = "it is another decree, or the same one",
                            .next = "look at it: rosebud org show " + options.file});
  }
  if (!configuration.has_say(authority.public_key())) {
    stop(ExitCode::kDenied, {.what = options.organisation + " has no say in this cluster",
                             .cause = "it is no organisation of the cluster, or was revoked",
                             .next = "see who has: rosebud org list"});
  }
  check_new(configuration, what);
  const std::uint64_t now = wall_seconds();
  const std::uint64_t days = std::clamp<std::uint64_t>(options.days, 1, 30);
  const Decree decree{.cluster = configuration.cluster(),
                      .not_before = Timestamp(now - kStatementsEarlier),
                      .not_after = Timestamp(now + days * 86400),
                      .what = std::move(what)};
  SignedDecree out{.decree = decree.encode(), .signatures = {}};
  out.sign(authority, crypto::ed25519());
  write_decree(options.file, out);
  const Signers signers = signers_of(configuration, out);
  tell(globals, json_of(decree, signers),
       text_of(decree, signers) + "\nnext, at another organisation: rosebud org sign " +
           options.file + " --org ITS-FOLDER --yes");
}

void admit(const Globals& globals, const DecreeOptions& options) {
  const auto json =
      nlohmann::json::parse(or_stop(read_text_file(options.request, 65536)), nullptr, false);
  const auto authority = from_hex(text_in(json, "authority"));
  if (!wire::is_name(text_in(json, "name")) || !authority || authority->size() != 32) {
    stop(ExitCode::kUsage, {.what = options.request + " describes no organisation",
                            .cause = "it was changed, or another file was named",
                            .next = "it makes organisation.json with `rosebud org new`"});
  }
  const OpenSession session(globals);
  begin(globals, *newest(globals, *session), options,
        AdmitOrganisation{.name = text_in(json, "name"),
                          .authority = *crypto::PublicKey::from(*authority),
                          .quota_bytes = options.quota_gib << 30});
}

void revoke(const Globals& globals, const DecreeOptions& options) {
  const OpenSession session(globals);
  const auto configuration = newest(globals, *session);
  const auto& all = configuration->organisations();
  const auto at = std::ranges::find(all, options.name, &Organisation::name);
  if (at == all.end()) {
    stop(ExitCode::kNotFound, {.what = "there is no organisation '" + options.name + "'",
                               .cause = "the name is wrong",
                               .next = "see who is in: rosebud org list"});
  }
  begin(globals, *configuration, options,
        RevokeOrganisation{.name = at->name, .authority = at->authority});
}

void revoke_node(const Globals& globals, const DecreeOptions& options) {
  const OpenSession session(globals);
  const auto configuration = newest(globals, *session);
  const auto& all = configuration->nodes();
  const auto at = std::ranges::find(all, options.name, &membership::Node::name);
  if (at == all.end()) {
    stop(ExitCode::kNotFound, {.what = "there is no member '" + options.name + "'",
                               .cause = "it was removed already, or the name is wrong",
                               .next = "see who is in: rosebud member list"});
  }
  begin(globals, *configuration, options, RevokeAnyNode{.name = at->name, .node = at->key});
}

void set(const Globals& globals, const DecreeOptions& options) {
  const OpenSession session(globals);
  begin(globals, *newest(globals, *session), options,
        ChangeSetting{.name = options.name, .value = options.value});
}

void show(const Globals& globals, const DecreeOptions& options) {
  const FoundDecree found = read_decree(options.file);
  const OpenSession session(globals);
  const auto configuration = newest(globals, *session);
  const Signers signers = signers_of(*configuration, found.file);
  tell(globals, json_of(found.decree, signers), text_of(found.decree, signers));
}

/// Needs no cluster: an authority's key may lie on a machine that is never connected.
void sign(const Globals& globals, const DecreeOptions& options) {
  FoundDecree found = read_decree(options.file);
  if (!options.is_confirmed) {
    stop(ExitCode::kUsage,
         {.what = "nothing was signed",
          .cause = fmt::format("the decree of cluster {} says, until {}: {}",
                               to_hex(found.decree.cluster.view()),
                               time_text(found.decree.not_after), text_of(found.decree.what)),
          .next = "if that is right: rosebud org sign " + options.file + " --org " +
                  options.organisation + " --yes"});
  }
  if (wall_seconds() >= found.decree.not_after.value) {
    stop(ExitCode::kConflict, {.what = options.file + " was to be signed and enacted until " +
                                       time_text(found.decree.not_after),
                               .cause = "its time is over",
                               .next = "begin another: rosebud org revoke|admit|revoke-node|set"});
  }
  const std::size_t before = found.file.signatures.size();
  found.file.sign(authority_in(options.organisation), crypto::ed25519());
  write_decree(options.file, found.file);
  nlohmann::json json = json_of(found.decree.what);
  json["signatures"] = found.file.signatures.size();
  tell(globals, json,
       fmt::format("{}\n{}; it has {} signatures", text_of(found.decree.what),
                   found.file.signatures.size() > before ? "signed" : "it was signed before",
                   found.file.signatures.size()));
}

void tell_done(const Globals& globals, const Decree& decree, const Configuration& configuration) {
  const std::uint64_t epoch = configuration.number().epoch.value;
  const bool is_done = is_so(configuration, decree.what);
  const bool is_at_once = !std::holds_alternative<AdmitOrganisation>(decree.what) &&
                          !std::holds_alternative<ChangeSetting>(decree.what);
  nlohmann::json json = json_of(decree.what);
  json["done"] = is_done;
  json["epoch"] = epoch;
  tell(globals, json,
       fmt::format("{}: {}", text_of(decree.what),
                   is_done      ? fmt::format("so in epoch {}", epoch)
                   : is_at_once ? "noted; the epoch ends for it. If it was carried out before, "
                                  "what was decided since counts: rosebud org list"
                                : "noted, " + when(configuration)));
}

void enact(const Globals& globals, const DecreeOptions& options) {
  FoundDecree found = read_decree(options.file);
  const OpenSession session(globals);
  auto configuration = newest(globals, *session);
  if (is_so(*configuration, found.decree.what))
    return tell_done(globals, found.decree, *configuration);
  // Of those who signed some may have been revoked since: theirs would spoil the rest.
  std::erase_if(found.file.signatures, [&](const AuthoritySignature& one) {
    return !configuration->has_say(one.authority) ||
           !crypto::ed25519().verify(one.authority, Decree::kTag, found.file.decree, one.signature);
  });
  const auto checked = service::check_decree(*configuration, found.file, Timestamp(wall_seconds()),
                                             crypto::ed25519());
  if (!checked) {
    const Signers signers = signers_of(*configuration, found.file);
    const bool is_few = checked.error() == service::DecreeError::kTooFewSignatures;
    stop(
        ExitCode::kDenied,
        {.what = options.file + ": " + std::string(service::text_of(checked.error())),
         .cause = is_few ? fmt::format("signed by {}, {} are needed", joined(signers.have, kNobody),
                                       signers.needed)
                         : "",
         .next = is_few ? "pass it on to " + joined(signers.have_not, kNobody) : "make a new one"});
  }
  hand_in(globals, *session, service::Enact{found.file},
          "the name is another's, the node is not in, nobody would be left, or the setting "
          "contradicts another one that was decided",
          "rosebud org list");
  const auto is_done = [&](const Configuration& one) { return is_so(one, found.decree.what); };
  if (options.is_waiting) {
    configuration = wait_for(globals, *session, is_done, "rosebud org list");
  }
  tell_done(globals, found.decree, *configuration);
}

}  // namespace

void add_decree_commands(CLI::App& org, Globals& globals) {
  auto options = std::make_shared<DecreeOptions>();
  org.add_subcommand("list", "All organisations of the newest epoch")->callback([&globals] {
    list(globals);
  });
  org.add_subcommand("settings", "Settings that can be changed together, and their values")
      ->callback([&globals] { settings(globals); });
  const auto beginning = [&](const std::string& name, const std::string& what) {
    auto* command = org.add_subcommand(name, what);
    command->add_option("--decree", options->file, "The file to make, which is passed around")
        ->required();
    command->add_option("--org", options->organisation, "Folder of the organisation that begins")
        ->required();
    command->add_option("--days", options->days, "How long it may be signed and enacted")
        ->check(CLI::Range(1, 30))
        ->capture_default_str();
    return command;
  };
  auto* admit_command =
      beginning("admit", "Begin a decree: an organisation comes, comes back, or has another quota");
  admit_command->add_option("--request", options->request, "Its organisation.json")->required();
  admit_command->add_option("--quota-gib", options->quota_gib, "Its quota, GiB")
      ->capture_default_str();
  admit_command->callback([&globals, options] { admit(globals, *options); });
  auto* revoke_command = beginning("revoke", "Begin a decree: an organisation goes");
  revoke_command->add_option("name", options->name, "Name of the organisation")->required();
  revoke_command->callback([&globals, options] { revoke(globals, *options); });
  auto* node_command =
      beginning("revoke-node", "Begin a decree: a node of another organisation goes for ever");
  node_command->add_option("name", options->name, "Name of the node")->required();
  node_command->callback([&globals, options] { revoke_node(globals, *options); });
  auto* set_command = beginning("set", "Begin a decree: a setting has another value");
  set_command->add_option("name", options->name, "One of `rosebud org settings`")->required();
  set_command->add_option("value", options->value, "Its new value")->required();
  set_command->callback([&globals, options] { set(globals, *options); });
  const auto on_file = [&](const std::string& name, const std::string& what) {
    auto* command = org.add_subcommand(name, what);
    command->add_option("decree", options->file, "The file")->required();
    return command;
  };
  on_file("show", "What a decree says, who has signed it and who has not")
      ->callback([&globals, options] { show(globals, *options); });
  auto* sign_command = on_file("sign", "Sign a decree as an organisation; needs no connection");
  sign_command->add_option("--org", options->organisation, "The organisation's folder")->required();
  sign_command->add_flag("--yes", options->is_confirmed, "Really sign");
  sign_command->callback([&globals, options] { sign(globals, *options); });
  auto* enact_command = on_file("enact", "Hand a decree in that more than two thirds have signed");
  enact_command->add_flag("--wait", options->is_waiting,
                          "Wait for the epoch that says so, at most --timeout");
  enact_command->callback([&globals, options] { enact(globals, *options); });
}

}  // namespace rosebud::apps
