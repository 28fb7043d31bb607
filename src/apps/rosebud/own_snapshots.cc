#include "apps/rosebud/own_snapshots.h"

#include <algorithm>
#include <tuple>

#include "apps/rosebud/words.h"

namespace rosebud::apps {

using client::Snapshot;

Timestamp now_in_seconds() { return Timestamp(static_cast<std::uint64_t>(now().seconds)); }

nlohmann::json json_of(const Snapshot& one) {
  nlohmann::json out = {{"snapshot", one.name}, {"number", one.number}, {"root", one.root.text()}};
  if (one.made.value != 0) out["made"] = time_text(one.made);
  if (one.published.value != 0) out["published"] = time_text(one.published);
  return out;
}

std::vector<Snapshot> in_time(const client::SnapshotList& list) {
  auto out = list.all();
  std::ranges::sort(out, {}, [](const Snapshot& one) {
    return std::tuple(one.made, one.number, std::string_view(one.name));
  });
  return out;
}

OwnSnapshots::OwnSnapshots(const Globals& globals, OpenSession& session, const VolumeName& name)
    : globals_(globals),
      session_(session),
      name_(name),
      writer_(*session, session.file().state, name.name),
      published_(begin_changing(globals, session, name, writer_)) {}

client::SnapshotList OwnSnapshots::read() {
  return or_stop(
      client::read_snapshots(*session_, published_.state, name_.volume_text, globals_.timeout()));
}

void OwnSnapshots::publish(const client::SnapshotList& list) {
  const auto stored = or_stop(client::store_snapshots(*session_, list, globals_.timeout()));
  published_ =
      or_stop(writer_.publish(published_.state.root, stored, now_in_seconds(), globals_.timeout()));
}

}  // namespace rosebud::apps
