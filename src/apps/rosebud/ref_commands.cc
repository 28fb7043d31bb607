// key new; ref set, get, watch: records.
#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <thread>

#include "apps/rosebud/commands.h"
#include "base/files.h"
#include "client/record_writer.h"
#include "crypto/key_file.h"

namespace rosebud::apps {
namespace {

struct RefOptions {
  std::string name;
  std::optional<std::string> value;
  std::string file;  // which has the value
  std::optional<std::string> if_version;
  double every_seconds = 1;
  std::size_t count = 0;
};

/// "NAME" of this client, or "KEY/NAME" of another owner.
std::pair<crypto::PublicKey, Bytes> owner_and_salt(const client::Session& session,
                                                   const std::string& name) {
  const auto slash = name.find('/');
  const std::string salt = slash == std::string::npos ? name : name.substr(slash + 1);
  if (salt.empty() || salt.size() > wire::kSaltSizeMax) {
    stop(ExitCode::kUsage, {.what = "'" + name + "' is no name of a record",
                            .cause = "a name has 1 to 64 bytes",
                            .next = "give NAME, or KEY/NAME for another owner's"});
  }
  if (slash == std::string::npos) return {session.key().public_key(), to_bytes(as_bytes(salt))};
  const auto bytes = from_hex(name.substr(0, slash));
  const auto owner = bytes ? crypto::PublicKey::from(*bytes) : std::nullopt;
  if (!owner) {
    stop(ExitCode::kUsage, {.what = "'" + name.substr(0, slash) + "' is no public key",
                            .cause = "a key has 64 hexadecimal digits",
                            .next = "give KEY/NAME as `rosebud ref set` printed it"});
  }
  return {*owner, to_bytes(as_bytes(salt))};
}

/// A version as typed. The parser of options would take -1 for a very large one.
std::uint64_t version_of(const std::string& text) {
  std::uint64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error == std::errc() && end == text.data() + text.size()) return out;
  stop(ExitCode::kUsage, {.what = "'" + text + "' is no version",
                          .cause = "versions are whole numbers; 0 means that there is none yet",
                          .next = "see the newest with `rosebud ref get`"});
}

void print_record(const Globals& globals, const std::string& name,
                  const client::RecordView& record) {
  const std::string value(as_text(record.value.view()));
  nlohmann::json json = {{"version", record.version.value}, {"phases", record.phases}};
  put_text(json, "name", name);
  put_text(json, "value", value);
  print(globals, json,
        globals.is_quiet ? value
                         : fmt::format("{}  version {}", visible(value), record.version.value));
}

/// Any bytes: an argument can have no NUL.
std::string value_of(const RefOptions& options) {
  if (options.value.has_value() == !options.file.empty()) {
    stop(ExitCode::kUsage,
         {.what = options.value ? "a value is given, and a file" : "no value is given",
          .next = "rosebud ref set NAME VALUE, or rosebud ref set NAME --file FILE"});
  }
  if (options.value) return *options.value;
  return or_stop(read_text_file(options.file));
}

void set(const Globals& globals, const RefOptions& options) {
  const std::string value = value_of(options);
  const OpenSession session(globals);
  const auto [owner, salt] = owner_and_salt(*session, options.name);
  if (owner != session->key().public_key()) {
    stop(ExitCode::kDenied, {.what = "only the owner's key can set " + options.name,
                             .cause = "this client has another key",
                             .next = "use a rosebud.toml that names the owner's key"});
  }
  client::RecordWriter writer(*session, session.file().state, salt);
  std::optional<wire::Version> expected;
  if (options.if_version) expected = wire::Version{version_of(*options.if_version)};
  const auto written = or_stop(writer.write(as_bytes(value), expected, globals.timeout()));
  const std::string full = to_hex(owner.view()) + "/" + options.name;
  nlohmann::json json = {{"version", written.version.value}};
  put_text(json, "name", options.name);
  put_text(json, "ref", full);
  print(globals, json,
        globals.is_quiet ? full
                         : fmt::format("{}  version {}", visible(full), written.version.value));
}

void get(const Globals& globals, const RefOptions& options) {
  const OpenSession session(globals);
  const auto [owner, salt] = owner_and_salt(*session, options.name);
  print_record(globals, options.name,
               or_stop(client::read_record(*session, owner, salt, globals.timeout())));
}

/// Prints every new version that a quorum shows, until it was told to stop.
void watch(const Globals& globals, const RefOptions& options) {
  const OpenSession session(globals);
  const auto [owner, salt] = owner_and_salt(*session, options.name);
  wire::Version last;
  std::size_t printed = 0;
  auto seen_at = std::chrono::steady_clock::now();
  while (options.count == 0 || printed < options.count) {
    auto record = client::read_record(*session, owner, salt, globals.timeout());
    if (record || record.error().code == ExitCode::kNotFound) {
      seen_at = std::chrono::steady_clock::now();
    } else if (record.error().code != ExitCode::kNoQuorum ||
               std::chrono::steady_clock::now() - seen_at >= globals.timeout()) {
      // Whoever watches is not to start again because some nodes do.
      throw Stop{record.error()};
    }
    if (record && record->version > last) {
      last = record->version;
      ++printed;
      print_record(globals, options.name, *record);
      flush_output();
      continue;
    }
    std::this_thread::sleep_for(std::chrono::duration<double>(options.every_seconds));
  }
}

}  // namespace

void add_ref_commands(CLI::App& app, Globals& globals) {
  auto* key = app.add_subcommand("key", "Keys");
  key->require_subcommand(1);
  auto path = std::make_shared<std::string>();
  auto* key_new = key->add_subcommand("new", "Make a secret key in a file that only you can read");
  key_new->add_option("file", *path, "The file")->required();
  key_new->callback([&globals, path] {
    const auto made = crypto::SecretKey::generate();
    or_stop(crypto::write_secret_key(*path, made));
    const std::string text = to_hex(made.public_key().view());
    print(globals, {{"public_key", text}, {"file", *path}}, text);
  });

  auto* ref = app.add_subcommand("ref", "Records: names whose value their owner changes");
  ref->require_subcommand(1);
  auto options = std::make_shared<RefOptions>();
  auto* set_command = ref->add_subcommand("set", "Publish a new value");
  set_command->add_option("name", options->name, "Name")->required();
  set_command->add_option("value", options->value, "Value, at most 64 KiB");
  set_command->add_option("--file", options->file,
                          "Take the value from this file, whatever bytes it has");
  set_command->add_option("--if-version", options->if_version,
                          "Only when this is the newest version (0: none yet)");
  set_command->callback([&globals, options] { set(globals, *options); });
  auto* get_command = ref->add_subcommand("get", "Read the newest value");
  get_command->add_option("name", options->name, "NAME, or KEY/NAME")->required();
  get_command->callback([&globals, options] { get(globals, *options); });
  auto* watch_command = ref->add_subcommand("watch", "Print every new version");
  watch_command->add_option("name", options->name, "NAME, or KEY/NAME")->required();
  watch_command->add_option("--every", options->every_seconds, "Seconds between two looks")
      ->check(CLI::Range(0.01, 86'400.0));
  watch_command->add_option("--count", options->count, "Stop after so many versions");
  watch_command->callback([&globals, options] { watch(globals, *options); });
}

}  // namespace rosebud::apps
