// The settings of a node: node.toml, and what stands above it in the environment.
#include "apps/rosebud/node_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <functional>

#include "base/files.h"
#include "client/toml.h"

namespace rosebud::apps {
namespace {

namespace stdfs = std::filesystem;

/// One key of node.toml: how its text or number gets into the options. ROSEBUD_KEY in the
/// environment overrides it.
struct Setting {
  std::string name;
  bool is_required = false;
  std::function<bool(runtime::NodeOptions&, const toml::node&)> take;
};

template <typename Number>
bool take_number(Number& to, const toml::node& value, std::int64_t min, std::int64_t max) {
  const auto number = value.value<std::int64_t>();
  if (!value.is_integer() || !number || *number < min || *number > max) return false;
  to = static_cast<Number>(*number);
  return true;
}

std::vector<Setting> settings_of(const stdfs::path& folder) {
  const auto path_into = [folder](stdfs::path runtime::NodeOptions::* to) {
    return [folder, to](runtime::NodeOptions& options, const toml::node& value) {
      const auto text = value.value<std::string>();
      if (text) options.*to = folder / *text;
      return text.has_value();
    };
  };
  constexpr std::int64_t kTera = std::int64_t{1} << 40;
  return {
      {"genesis", true, path_into(&runtime::NodeOptions::genesis)},
      {"key", true, path_into(&runtime::NodeOptions::key)},
      {"data", true, path_into(&runtime::NodeOptions::data)},
      {"admin_port_file", false, path_into(&runtime::NodeOptions::admin_port_file)},
      {"admission", false, path_into(&runtime::NodeOptions::admission)},
      {"listen", false,
       [](auto& options, const toml::node& value) {
         const auto text = value.value<std::string>();
         if (text) options.listen = *text;
         return text.has_value();
       }},
      {"admin_port", false,
       [](auto& options, const toml::node& value) {
         return take_number(options.admin_port, value, 0, 65535);
       }},
      {"development", false,
       [](auto& options, const toml::node& value) {
         options.is_development = value.value_or(false);
         return value.is_boolean();
       }},
      {"reserve_bytes", false,
       [](auto& options, const toml::node& value) {
         return take_number(options.reserve_bytes, value, 0, 1024 * kTera);
       }},
      {"memory_bytes", false,
       [](auto& options, const toml::node& value) {
         return take_number(options.memory_bytes, value, std::int64_t{64} << 20, kTera);
       }},
      {"worker_threads", false,
       [](auto& options, const toml::node& value) {
         return take_number(options.worker_threads, value, 1, 64);
       }},
      {"reconcile_seconds", false,
       [](auto& options, const toml::node& value) {
         return take_number(options.reconcile_seconds, value, 1, 86400);
       }},
      {"audit_seconds", false,
       [](auto& options, const toml::node& value) {
         return take_number(options.audit_seconds, value, 0, 86400);
       }},
      {"scrub_interval_ms", false,
       [](auto& options, const toml::node& value) {
         return take_number(options.scrub_interval_ms, value, 1, 86'400'000);
       }},
  };
}

std::string environment_name(const std::string& setting) {
  std::string out = "ROSEBUD_";
  for (char c : setting) out.push_back(static_cast<char>(std::toupper(c)));
  return out;
}

/// Read as TOML where that works (numbers, booleans), else as text.
bool take_from_environment(const Setting& setting, const std::string& given,
                           runtime::NodeOptions& options) {
  toml::parse_result one = toml::parse("v = " + given);
  if (!one) one = toml::parse("v = '" + given + "'");
  const toml::node* value = one ? one.table().get("v") : nullptr;
  return value && setting.take(options, *value);
}

}  // namespace

Result<runtime::NodeOptions, Explained> read_node_file(const stdfs::path& path) {
  const auto text = read_text_file(path, 1U << 20);
  if (!text) return fail(text.error());
  const auto refused = [&](const toml::source_region& where, std::string what) {
    return fail(
        Explained{.what = fmt::format("{} line {}: {}", path.string(), where.begin.line, what),
                  .cause = {},
                  .next = "correct it, then: rosebud config check " + path.string()});
  };
  const toml::parse_result parsed = toml::parse(*text);
  if (!parsed) return refused(parsed.error().source(), std::string(parsed.error().description()));
  const auto settings = settings_of(stdfs::absolute(path).parent_path());
  for (const auto& [key, value] : parsed.table()) {
    const std::string name(key.str());
    if (std::ranges::find(settings, name, &Setting::name) == settings.end())
      return refused(key.source(), "unknown key '" + name + "'");
  }
  runtime::NodeOptions options;
  for (const Setting& setting : settings) {
    const std::string in_environment = environment_name(setting.name);
    if (const char* given = std::getenv(in_environment.c_str())) {
      if (!take_from_environment(setting, given, options))
        return fail(Explained{.what = in_environment + " has an impossible value"});
      continue;
    }
    const toml::node* value = parsed.table().get(setting.name);
    if (!value && setting.is_required) {
      return fail(Explained{.what = path.string() + ": '" + setting.name + "' is missing",
                            .cause = {},
                            .next = "see examples/node.toml"});
    }
    if (value && !setting.take(options, *value))
      return refused(value->source(), "'" + setting.name + "' has an impossible value");
  }
  return options;
}

}  // namespace rosebud::apps
