#include <cstdlib>
#include <sstream>

#include "base/files.h"
#include "client/session.h"
#include "client/toml.h"

namespace rosebud::client {
namespace {

namespace stdfs = std::filesystem;

Explained at_line(const stdfs::path& path, const toml::source_region& where, std::string what) {
  return {
      .what = path.string() + " line " + std::to_string(where.begin.line) + ": " + std::move(what),
      .cause = {},
      .next = "correct that line"};
}

}  // namespace

Result<ClusterFile, Explained> read_cluster_file(const stdfs::path& path) {
  auto text = read_text_file(path, 1U << 20);
  if (!text) return fail(text.error());
  const toml::parse_result parsed = toml::parse(*text);
  if (!parsed)
    return fail(at_line(path, parsed.error().source(), std::string(parsed.error().description())));
  ClusterFile out{.file = stdfs::absolute(path)};
  const stdfs::path folder = out.file.parent_path();
  const std::map<std::string, stdfs::path*> paths = {{"genesis", &out.genesis},
                                                     {"key", &out.key},
                                                     {"admission", &out.admission},
                                                     {"state", &out.state},
                                                     {"development", &out.development}};
  for (const auto& [key, value] : parsed.table()) {
    const std::string name(key.str());
    const auto text_value = value.value<std::string>();
    const auto known = paths.find(name);
    if (known == paths.end() && name != "cluster") {
      return fail(at_line(path, key.source(), "unknown key '" + name + "'"));
    }
    if (!text_value) return fail(at_line(path, value.source(), "'" + name + "' must be text"));
    if (known != paths.end()) {
      *known->second = folder / *text_value;
      continue;
    }
    const auto bytes = from_hex(*text_value);
    const auto cluster = bytes ? crypto::ClusterId::from(*bytes) : std::nullopt;
    if (!cluster)
      return fail(at_line(path, value.source(), "'cluster' must be 64 hexadecimal digits"));
    out.cluster = *cluster;
  }
  for (const auto& [name, to] : paths) {
    if (to->empty() && name != "development") {
      return fail(Explained{
          .what = path.string() + ": '" + name + "' is missing",
          .cause = {},
          .next = "add it, or make the file with `rosebud dev up` or `rosebud org admit-client`"});
    }
  }
  return out;
}

stdfs::path default_cluster_pointer() {
  if (const char* config = std::getenv("XDG_CONFIG_HOME"); config && *config) {
    return stdfs::path(config) / "rosebud" / "cluster";
  }
  const char* home = std::getenv("HOME");
  return stdfs::path(home ? home : "/") / ".config" / "rosebud" / "cluster";
}

Result<stdfs::path, Explained> find_cluster_file(const std::string& given,
                                                 MayUseDefault may_use_default) {
  const auto in = [](const stdfs::path& path) {
    std::error_code error;
    return stdfs::is_directory(path, error) ? path / "rosebud.toml" : path;
  };
  if (!given.empty()) return in(given);
  if (const char* named = std::getenv("ROSEBUD_CLUSTER"); named && *named) return in(named);
  std::error_code error;
  for (stdfs::path at = stdfs::current_path(error);; at = at.parent_path()) {
    if (stdfs::exists(at / "rosebud.toml", error)) return at / "rosebud.toml";
    if (at == at.parent_path()) break;
  }
  const auto pointer = may_use_default == MayUseDefault::kYes
                           ? read_text_file(default_cluster_pointer(), 4096)
                           : Result<std::string, Explained>(fail(Explained{}));
  if (auto text = pointer) {
    while (!text->empty() && text->back() == '\n') text->pop_back();
    if (stdfs::exists(*text, error)) return stdfs::path(*text);
  }
  return fail(Explained{.what = "no cluster is known here",
                        .cause = "no --cluster, no ROSEBUD_CLUSTER, no rosebud.toml in this folder "
                                 "or above it, no default",
                        .next = "start one on this machine: rosebud dev up --orgs 4 --nodes 8"});
}

}  // namespace rosebud::client
