#include "apps/rosebud/volume_name.h"

#include <algorithm>

#include "client/snapshots.h"

namespace rosebud::apps {

std::optional<VolumeName> volume_of(std::string_view text) {
  VolumeName out{.text = std::string(text)};
  if (const auto at = text.find('@'); at != std::string_view::npos) {
    out.snapshot = text.substr(at + 1);
    if (!client::is_state_name(*out.snapshot)) return std::nullopt;
    text = text.substr(0, at);
  }
  out.volume_text = text;
  const auto take_key = [&text]<typename Key>(std::optional<Key>& into) {
    const auto slash = text.find('/');
    const auto bytes = from_hex(text.substr(0, slash));
    if (bytes) into = Key::from(*bytes);
    text.remove_prefix(slash + 1);
    return into.has_value();
  };
  const auto slashes = std::ranges::count(text, '/');
  if (slashes > 2) return std::nullopt;
  if (slashes == 2 && !take_key(out.cluster)) return std::nullopt;
  if (slashes > 0 && !take_key(out.owner)) return std::nullopt;
  if (!wire::is_name(text)) return std::nullopt;
  out.name = text;
  return out;
}

client::VolumeId id_of(const VolumeName& name, const client::Session& session) {
  const auto cluster = session.configuration()->cluster();
  if (name.cluster && *name.cluster != cluster) {
    stop(ExitCode::kUsage,
         {.what = "volume " + name.name + " is in another cluster: " + to_hex(name.cluster->view()),
          .cause = "this client's is " + to_hex(cluster.view()),
          .next = "use a rosebud.toml of that cluster: --cluster FILE"});
  }
  return {.owner = name.owner.value_or(session.key().public_key()), .name = name.name};
}

VolumeName at_snapshot(VolumeName name, const std::string& snapshot) {
  name.snapshot = snapshot;
  name.text = name.volume_text + "@" + snapshot;
  return name;
}

}  // namespace rosebud::apps
