// fs snapshot delete, fs snapshot prune: names are taken off the list; files stay.
#include <fmt/format.h>

#include "apps/rosebud/own_snapshots.h"
#include "apps/rosebud/volume_commands.h"
#include "apps/rosebud/words.h"
#include "base/check.h"
#include "client/retention.h"

namespace rosebud::apps {
namespace {

using client::Snapshot;

// ---- By their names ----

/// "VOLUME SNAPSHOT...", where each may also be VOLUME@SNAPSHOT.
std::vector<std::string> named_snapshots(const VolumeName& volume,
                                         const std::vector<std::string>& words) {
  std::vector<std::string> out;
  if (volume.snapshot) out.push_back(*volume.snapshot);
  for (const std::string& word : words) {
    if (!word.contains('@')) {
      out.push_back(word);
      continue;
    }
    const VolumeName other = need_volume(word);
    if (other.volume_text != volume.volume_text) {
      stop(ExitCode::kUsage, {.what = word + " is of another volume than " + volume.volume_text,
                              .next = "one command changes one volume"});
    }
    out.push_back(*other.snapshot);
  }
  return out;
}

struct RemoveOptions {
  std::string volume;
  std::vector<std::string> snapshots;
  bool is_all = false;
  bool is_confirmed = false;
};

void print_removed(const Globals& globals, const VolumeName& volume, const OwnSnapshots& own,
                   const std::vector<std::string>& names) {
  print(globals,
        {{"volume", volume.volume_text},
         {"removed", names},
         {"publication", own.published().state.number},
         {"version", own.published().version.value}},
        globals.is_quiet ? fmt::format("{}", fmt::join(names, "\n"))
                         : fmt::format("{} snapshots of {} removed; files are as they were",
                                       names.size(), volume.volume_text));
}

/// Without reading the list: it may be what is to go.
void remove_all(const Globals& globals, const RemoveOptions& options) {
  const VolumeName volume = need_volume(options.volume);
  if (!options.is_confirmed) {
    stop(ExitCode::kUsage, {.what = "this would remove all snapshots of " + volume.volume_text,
                            .cause = "what no snapshot keeps cannot be found by name any more",
                            .next = "if that is right, repeat it with --yes"});
  }
  OpenSession session(globals);
  OwnSnapshots own(globals, session, volume);
  if (own.published().state.snapshots) own.publish({});
  print(globals, {{"volume", volume.volume_text}, {"publication", own.published().state.number}},
        globals.is_quiet ? "" : volume.volume_text + " has no snapshots; files are as they were");
}

void remove(const Globals& globals, const RemoveOptions& options) {
  const VolumeName volume = need_volume(options.volume);
  const auto names = named_snapshots(volume, options.snapshots);
  if (options.is_all == !names.empty()) {
    stop(ExitCode::kUsage,
         {.what = names.empty() ? "no snapshot is named" : "some are named, and all",
          .next = "name those that are to go, or give --all"});
  }
  if (options.is_all) return remove_all(globals, options);
  OpenSession session(globals);
  OwnSnapshots own(globals, session, volume);
  auto list = own.read();
  for (const std::string& name : names) {
    if (list.remove(name)) continue;
    stop(ExitCode::kNotFound,
         {.what = "volume " + volume.volume_text + " has no snapshot " + name,
          .cause = "the name is wrong or twice, or somebody removed it",
          .next = "nothing was removed; see which there are: rosebud fs snapshot list " +
                  volume.volume_text});
  }
  if (!options.is_confirmed) {
    stop(ExitCode::kUsage,
         {.what = "this would remove snapshots of " + volume.volume_text + ": " + joined(names),
          .cause = "what no snapshot keeps cannot be found by name any more",
          .next = "if that is right, repeat it with --yes"});
  }
  own.publish(list);
  print_removed(globals, volume, own, names);
}

// ---- By their times ----

struct PruneOptions {
  std::string volume;
  client::Retention retention;
  bool is_dry_run = false;
  bool is_confirmed = false;
};

std::vector<std::string> reasons_of(const client::KeptFor& kept) {
  std::vector<std::string> out;
  if (kept.last) out.emplace_back("last");
  if (kept.day) out.emplace_back("daily");
  if (kept.week) out.emplace_back("weekly");
  if (kept.month) out.emplace_back("monthly");
  if (kept.year) out.emplace_back("yearly");
  if (kept.is_later_than_now) out.emplace_back("later than now");
  return out;
}

/// What stays is printed, and what goes, the oldest first. Returns the names that go.
std::vector<std::string> plan_prune(const Globals& globals, const client::SnapshotList& list,
                                    const client::Retention& retention) {
  const auto all = in_time(list);
  std::vector<Timestamp> times;
  for (const Snapshot& one : all) times.push_back(one.made);
  const auto kept = client::kept_of(times, retention, now_in_seconds());
  std::vector<std::string> out;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const bool stays = kept[i].any();
    if (!stays) out.push_back(all[i].name);
    auto json = json_of(all[i]);
    json["stays"] = stays;
    json["for"] = reasons_of(kept[i]);
    const std::string text =
        fmt::format("{}  {:<32}  {}  {}", stays ? "stays" : "goes ", all[i].name,
                    time_text(all[i].made), joined(reasons_of(kept[i])));
    if (globals.is_quiet && stays && !globals.is_json) continue;
    print(globals, json, globals.is_quiet ? all[i].name : text);
  }
  return out;
}

void print_pruned(const Globals& globals, const PruneOptions& options, std::size_t stay,
                  std::size_t go, const client::PublishedVolume& published) {
  print(globals,
        {{"volume", need_volume(options.volume).volume_text},
         {"stay", stay},
         {"go", go},
         {"is_dry_run", options.is_dry_run},
         {"publication", published.state.number},
         {"version", published.version.value}},
        globals.is_quiet ? ""
                         : fmt::format("{} stay, {} {}", stay, go,
                                       options.is_dry_run ? "would go" : "are removed"));
}

void prune(const Globals& globals, const PruneOptions& options) {
  const VolumeName volume = need_volume(options.volume);
  need_no_snapshot(volume);
  if (options.retention.is_empty()) {
    stop(ExitCode::kUsage, {.what = "this would keep no snapshot at all",
                            .next = "say what is to stay, as in --keep-last 7 --keep-monthly 12; "
                                    "all go with: rosebud fs snapshot delete --all"});
  }
  OpenSession session(globals);
  if (options.is_dry_run) {
    const auto published =
        or_stop(client::read_volume(*session, id_of(volume, *session), globals.timeout()));
    const auto list = or_stop(
        client::read_snapshots(*session, published.state, volume.volume_text, globals.timeout()));
    const auto go = plan_prune(globals, list, options.retention);
    return print_pruned(globals, options, list.all().size() - go.size(), go.size(), published);
  }
  OwnSnapshots own(globals, session, volume);
  auto list = own.read();
  const auto go = plan_prune(globals, list, options.retention);
  if (!go.empty() && !options.is_confirmed) {
    flush_output();
    stop(ExitCode::kUsage,
         {.what = fmt::format("{} snapshots of {} would go", go.size(), volume.volume_text),
          .cause = "what no snapshot keeps cannot be found by name any more",
          .next = "if that is right, repeat it with --yes"});
  }
  for (const std::string& name : go) CHECK(list.remove(name));
  if (!go.empty()) own.publish(list);
  print_pruned(globals, options, list.all().size(), go.size(), own.published());
}

}  // namespace

void add_delete_command(CLI::App& group, Globals& globals) {
  auto options = std::make_shared<RemoveOptions>();
  auto* command = group.add_subcommand(
      "delete", "Remove snapshots; files of the volume, and what other snapshots keep, stay");
  command->add_option("volume", options->volume, "VOLUME, or VOLUME@SNAPSHOT")->required();
  command->add_option("snapshots", options->snapshots, "Names");
  command->add_flag("--all", options->is_all, "All of them, also when their list is damaged");
  command->add_flag("--yes", options->is_confirmed, "Really remove them");
  command->callback([&globals, options] { remove(globals, *options); });
}

void add_prune_command(CLI::App& group, Globals& globals) {
  auto options = std::make_shared<PruneOptions>();
  auto* command = group.add_subcommand(
      "prune",
      "Remove all snapshots but the last ones, and the last of days, weeks, months and years in "
      "UTC");
  command->add_option("volume", options->volume, "NAME")->required();
  client::Retention& retention = options->retention;
  command->add_option("--keep-last", retention.last, "Keep the last N")->type_name("N");
  command
      ->add_option("--keep-daily", retention.daily,
                   "Keep the last one of each of the last N days that have any")
      ->type_name("N");
  command
      ->add_option("--keep-weekly", retention.weekly, "The same of weeks, which begin on Mondays")
      ->type_name("N");
  command->add_option("--keep-monthly", retention.monthly, "The same of months")->type_name("N");
  command->add_option("--keep-yearly", retention.yearly, "The same of years")->type_name("N");
  command->add_flag("--dry-run", options->is_dry_run, "Say what would stay and go; change nothing");
  command->add_flag("--yes", options->is_confirmed, "Really remove them");
  command->callback([&globals, options] { prune(globals, *options); });
}

}  // namespace rosebud::apps
