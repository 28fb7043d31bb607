// fs snapshot: states of a volume that are kept under names.
#include <fmt/format.h>

#include <algorithm>

#include "apps/rosebud/own_snapshots.h"
#include "apps/rosebud/volume_commands.h"
#include "apps/rosebud/words.h"
#include "base/check.h"

namespace rosebud::apps {
namespace {

using client::Snapshot;

std::string published_text(const Snapshot& one) {
  return one.published.value == 0 ? "-" : time_text(one.published);
}

// ---- Making ----

void check_new_name(const std::string& name) {
  if (client::is_snapshot_name(name)) return;
  stop(ExitCode::kUsage,
       {.what = "'" + name + "' is no name of a snapshot",
        .cause = name == client::kPreviousState
                     ? "it stands for the state before the one that is published"
                     : "a name has 1 to 64 letters, digits, '.', '_' and '-', and begins with a "
                       "letter or digit",
        .next = "choose another name, or give none: it is called by the time then"});
}

/// Of the time, as in 2026-11-30T18-20-05Z; the second one in a second ends with -2.
std::string name_of_time(const client::SnapshotList& list, Timestamp time) {
  std::string out = time_text(time);
  std::ranges::replace(out, ':', '-');
  const std::string first = out;
  for (int i = 2; list.find(out); ++i) out = first + "-" + std::to_string(i);
  return out;
}

void add_to(client::SnapshotList& list, const VolumeName& volume, const Snapshot& one) {
  if (list.find(one.name)) {
    stop(ExitCode::kConflict,
         {.what = "volume " + volume.volume_text + " has a snapshot " + one.name + " already",
          .next = "choose another name; see which there are: rosebud fs snapshot list " +
                  volume.volume_text});
  }
  if (list.all().size() >= client::kSnapshotsMax) {
    stop(ExitCode::kUsage, {.what = fmt::format("volume {} has {} snapshots, and more are not kept",
                                                volume.volume_text, list.all().size()),
                            .next = "remove some: rosebud fs snapshot prune --help"});
  }
  CHECK(list.add(one));
}

void create(const Globals& globals, const std::string& text, const std::string& name) {
  const VolumeName volume = need_volume(text);
  if (!name.empty()) check_new_name(name);
  OpenSession session(globals);
  OwnSnapshots own(globals, session, volume);
  auto list = own.read();
  Snapshot kept = state_in(*session, own.published(), volume, globals.timeout());
  check_root(*session, kept.root, globals.timeout());  // what is kept has to be there
  kept.made = now_in_seconds();
  kept.name = name.empty() ? name_of_time(list, kept.made) : name;
  check_new_name(kept.name);  // a clock may be where years have five digits
  add_to(list, volume, kept);
  own.publish(list);
  nlohmann::json json = json_of(kept);
  json["volume"] = volume.volume_text;
  json["publication"] = own.published().state.number;
  json["version"] = own.published().version.value;
  print(globals, json,
        globals.is_quiet
            ? kept.name
            : fmt::format("snapshot {0}@{1} keeps publication {2}; read it: rosebud fs ls {0}@{1}",
                          volume.volume_text, kept.name, kept.number));
}

// ---- Looking ----

void list_snapshots(const Globals& globals, const std::string& text) {
  const VolumeName volume = need_volume(text);
  OpenSession session(globals);
  const auto published =
      or_stop(client::read_volume(*session, id_of(volume, *session), globals.timeout()));
  const auto all = in_time(or_stop(
      client::read_snapshots(*session, published.state, volume.volume_text, globals.timeout())));
  if (all.empty() && !globals.is_json && !globals.is_quiet) {
    print(
        globals, {},
        "no snapshots of this volume; make one: rosebud fs snapshot create " + volume.volume_text);
  }
  for (const Snapshot& one : all) {
    print(globals, json_of(one),
          globals.is_quiet ? one.name
                           : fmt::format("{:<32}  {:>6}  {}  {}", one.name, one.number,
                                         time_text(one.made), one.root.text()));
  }
}

void show(const Globals& globals, const std::string& text, const std::string& second) {
  VolumeName volume = need_volume(text);
  if (!second.empty()) volume = need_volume(volume.text + "@" + second);
  OpenSession session(globals);
  const auto [published, one] = read_state(*session, volume, globals.timeout());
  const bool is_current = one.root == published.state.root;
  nlohmann::json json = json_of(one);
  json["volume"] = volume.volume_text;
  json["is_current"] = is_current;
  print(globals, json,
        globals.is_quiet
            ? one.root.text()
            : fmt::format("{}\npublication {}\npublished   {}\nmade        {}\nroot        {}\n{}",
                          volume.text, one.number, published_text(one),
                          one.made.value == 0 ? "-" : time_text(one.made), one.root.text(),
                          is_current
                              ? "files are the same now"
                              : "files are others now: rosebud fs snapshot diff " + volume.text));
}

}  // namespace

void add_snapshot_commands(CLI::App& fs_command, Globals& globals) {
  auto* group = fs_command.add_subcommand(
      "snapshot", "States of a volume that stay readable under a name, as VOLUME@SNAPSHOT");
  group->require_subcommand(1);
  auto volume = std::make_shared<std::string>();
  auto name = std::make_shared<std::string>();

  auto* create_command = group->add_subcommand("create", "Keep what is published now under a name");
  create_command
      ->add_option("volume", *volume,
                   "NAME; NAME@previous keeps what was published before, NAME@SNAPSHOT what that "
                   "snapshot keeps")
      ->required();
  create_command->add_option("name", *name,
                             "1 to 64 letters, digits, '.', '_' and '-'; default: the time in UTC");
  create_command->callback([&globals, volume, name] { create(globals, *volume, *name); });

  auto* list_command =
      group->add_subcommand("list", "Snapshots of a volume: publication, when it was made, root");
  list_command->add_option("volume", *volume, "NAME, or another owner's as `fs share` prints it")
      ->required();
  list_command->callback([&globals, volume] { list_snapshots(globals, *volume); });

  auto* show_command = group->add_subcommand(
      "show", "What a snapshot keeps, and whether that is what is published now");
  show_command->add_option("volume", *volume, "VOLUME@SNAPSHOT, or VOLUME and SNAPSHOT")
      ->required();
  show_command->add_option("snapshot", *name, "Its name, or the word previous");
  show_command->callback([&globals, volume, name] { show(globals, *volume, *name); });

  add_diff_command(*group, globals);
  add_restore_command(*group, globals);
  add_delete_command(*group, globals);
  add_prune_command(*group, globals);
}

}  // namespace rosebud::apps
