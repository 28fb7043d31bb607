// fs snapshot diff, fs snapshot restore: what is in a kept state, and not in another; and back.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <deque>

#include "apps/rosebud/open_volume.h"
#include "apps/rosebud/volume_commands.h"
#include "fs/diff.h"

namespace rosebud::apps {
namespace {

using What = fs::TreeDifference::What;

// ---- What differs ----

struct DiffCounts {
  std::array<std::uint64_t, 4> of{};  // by What

  std::uint64_t& operator[](What what) { return of[static_cast<std::size_t>(what)]; }
};

std::string_view word_of(What what) {
  switch (what) {
    case What::kAdded:
      return "added";
    case What::kRemoved:
      return "removed";
    case What::kChanged:
      return "changed";
    case What::kAttributes:
      return "attributes";
  }
  return "";
}

/// As restic writes them.
char letter_of(What what) {
  switch (what) {
    case What::kAdded:
      return '+';
    case What::kRemoved:
      return '-';
    case What::kChanged:
      return 'M';
    case What::kAttributes:
      return 'U';
  }
  return ' ';
}

void print_difference(const Globals& globals, const VolumePath& top,
                      const fs::TreeDifference& difference) {
  std::string path = fs::text_of(top.path);
  if (!difference.path.empty()) path += (top.path.empty() ? "" : "/") + difference.path;
  const fs::Described& shown = difference.after ? *difference.after : *difference.before;
  constexpr const char* kKinds[] = {"file", "directory", "symlink"};
  nlohmann::json json = {{"change", word_of(difference.what)},
                         {"kind", kKinds[static_cast<std::size_t>(shown.kind)]}};
  put_text(json, "path", path);
  if (shown.kind == fs::Kind::kFile) {
    if (difference.before) json["bytes_before"] = difference.before->bytes;
    if (difference.after) json["bytes_after"] = difference.after->bytes;
  }
  const bool is_directory = shown.kind == fs::Kind::kDirectory && path != "/";
  print(globals, json,
        globals.is_quiet ? visible(path)
                         : fmt::format("{}  {}{}", letter_of(difference.what), visible(path),
                                       is_directory ? "/" : ""));
}

/// Both, or with one alone: from that state to what is published of the volume now.
VolumePath other_side(const VolumePath& before, const std::string& after) {
  if (!after.empty()) return need_volume_path(after);
  if (!before.volume.snapshot) {
    stop(ExitCode::kUsage, {.what = "one state alone is named, and it is the one that is published",
                            .next = "name a snapshot: rosebud fs snapshot diff VOLUME@SNAPSHOT, or "
                                    "two: VOLUME@ONE VOLUME@OTHER"});
  }
  VolumePath out = before;
  out.volume = need_volume(before.volume.volume_text);
  return out;
}

/// "VOLUME SNAPSHOT", as the other commands have it: from that state to what is published now.
bool is_volume_and_snapshot(const VolumePath& before, const std::string& after) {
  return !before.volume.snapshot && before.path.empty() && client::is_state_name(after);
}

void diff(const Globals& globals, const std::string& before_text, const std::string& after_text) {
  VolumePath before = need_volume_path(before_text);
  const bool is_one = is_volume_and_snapshot(before, after_text);
  if (is_one) before.volume = need_volume(before.volume.text + "@" + after_text);
  const VolumePath after = other_side(before, is_one ? "" : after_text);
  OpenSession session(globals);
  Volume old(globals, session, before.volume, Volume::For::kReading);
  Volume current(globals, session, after.volume, Volume::For::kReading);
  const auto before_link = old.or_stop_at(old.tree().find(before.path), before);
  const auto after_link = current.or_stop_at(current.tree().find(after.path), after);
  if (!before_link && !after_link) current.get(after);  // for the sake of the words
  DiffCounts counts;
  const auto done = fs::diff_trees(before_link, after_link, current.blocks(),
                                   [&](const fs::TreeDifference& difference) -> Status<Explained> {
                                     ++counts[difference.what];
                                     print_difference(globals, after, difference);
                                     return {};
                                   });
  if (!done) stop_reading(current.store(), done.error());
  nlohmann::json json;
  for (const What what : {What::kAdded, What::kRemoved, What::kChanged, What::kAttributes})
    json[std::string(word_of(what))] = counts[what];
  print(globals, json,
        globals.is_quiet
            ? ""
            : fmt::format("{} added, {} removed, {} changed, {} with other modes or times",
                          counts[What::kAdded], counts[What::kRemoved], counts[What::kChanged],
                          counts[What::kAttributes]));
}

// ---- Back ----

struct RestoreOptions {
  std::string volume;
  std::string second;  // a snapshot, or a path where the volume is named with its snapshot
  std::string third;   // a path
  bool is_confirmed = false;
};

/// VOLUME SNAPSHOT [PATH], VOLUME@SNAPSHOT [PATH], or VOLUME@SNAPSHOT:PATH.
VolumePath restored_path(const RestoreOptions& options) {
  VolumePath out = need_volume_path(options.volume);
  std::deque<std::string> words;
  for (const std::string& word : {options.second, options.third}) {
    if (!word.empty()) words.push_back(word);
  }
  if (!out.volume.snapshot && out.path.empty() && !words.empty()) {
    out.volume = need_volume(out.volume.text + "@" + words.front());
    words.pop_front();
  }
  if (out.path.empty() && !words.empty()) {
    out.path = or_stop(fs::parse_tree_path(words.front()));
    words.pop_front();
  }
  if (out.volume.snapshot && words.empty()) return out;
  stop(ExitCode::kUsage,
       {.what = words.empty() ? "no snapshot is named" : "'" + words.front() + "' is too much",
        .next = "rosebud fs snapshot restore VOLUME SNAPSHOT [PATH]"});
}

/// Whether a snapshot has what is published now. A list that is damaged keeps nothing.
bool is_published_kept(const Globals& globals, OpenSession& session, const Volume& volume) {
  const auto list = client::read_snapshots(*session, volume.published().state,
                                           volume.name().volume_text, globals.timeout());
  if (!list && list.error().code == ExitCode::kIntegrity) return false;
  return std::ranges::any_of(or_stop(list).all(), [&](const client::Snapshot& one) {
    return one.root == volume.published().state.root;
  });
}

/// The directories above that are gone come back as they were, without what else was in them.
void make_above(Volume& volume, Volume& kept, const VolumePath& to, const VolumePath& from) {
  VolumePath above = to;
  VolumePath was = from;
  above.path.clear();
  was.path.clear();
  for (std::size_t i = 0; i + 1 < to.path.size(); ++i) {
    above.path.push_back(to.path[i]);
    was.path.push_back(from.path[i]);
    if (volume.or_stop_at(volume.tree().find(above.path), above)) continue;
    const auto described = kept.or_stop_at(fs::describe(kept.get(was).cid, kept.blocks()), was);
    volume.or_stop_at(volume.tree().make_directory(above.path, described.attributes, now()), above);
  }
}

void restore(const Globals& globals, const RestoreOptions& options) {
  const VolumePath from = restored_path(options);
  VolumePath to = from;
  to.volume = need_volume(from.volume.volume_text);
  OpenSession session(globals);
  Volume volume(globals, session, to.volume, Volume::For::kChanging);
  Volume kept(globals, session, from.volume, volume.published());
  const fs::Link link = kept.get(from);
  const auto there = volume.or_stop_at(volume.tree().find(to.path), to);
  const bool is_other = !there || there->cid != link.cid;
  if (is_other && there && !options.is_confirmed && !is_published_kept(globals, session, volume)) {
    stop(ExitCode::kUsage,
         {.what = "this would replace " + to.text() + ", and no snapshot has what is there now",
          .cause = "it was changed since the last snapshot",
          .next = "keep it first: rosebud fs snapshot create " + to.volume.text +
                  "; or repeat the command with --yes"});
  }
  if (is_other) {
    make_above(volume, kept, to, from);
    volume.put(to, {.cid = link.cid, .tsize = link.tsize});
    volume.publish();
  }
  nlohmann::json json = {{"snapshot", *from.volume.snapshot}, {"is_changed", is_other}};
  put_text(json, "path", fs::text_of(to.path));
  volume.print_done(json, is_other
                              ? fmt::format("{} is as in {}; publication {}", visible(to.text()),
                                            from.volume.text, volume.published().state.number)
                              : fmt::format("{} was as in {}; nothing was published",
                                            visible(to.text()), from.volume.text));
}

}  // namespace

void add_diff_command(CLI::App& snapshot_command, Globals& globals) {
  auto before = std::make_shared<std::string>();
  auto after = std::make_shared<std::string>();
  auto* command = snapshot_command.add_subcommand(
      "diff",
      "Paths that were added (+), removed (-), changed (M), or got other modes or times (U) from "
      "one state to another; only what differs is read");
  command->add_option("before", *before, "VOLUME@SNAPSHOT[:PATH]; VOLUME is what is published now")
      ->required();
  command->add_option("after", *after,
                      "The same, a volume with a ':' behind it; default: what is published now. A "
                      "name alone is a snapshot of VOLUME: from that to what is published now");
  command->callback([&globals, before, after] { diff(globals, *before, *after); });
}

void add_restore_command(CLI::App& snapshot_command, Globals& globals) {
  auto options = std::make_shared<RestoreOptions>();
  auto* command = snapshot_command.add_subcommand(
      "restore",
      "Make a volume, or what is at a path in it, again what a snapshot keeps: one publication on "
      "top of the others");
  command->add_option("volume", options->volume, "VOLUME; also VOLUME@SNAPSHOT, or with :PATH")
      ->required();
  command->add_option("snapshot", options->second, "Its name, or the word previous");
  command->add_option("path", options->third,
                      "What is to be brought back; default: the whole volume");
  command->add_flag("--yes", options->is_confirmed, "Also when no snapshot has what is there now");
  command->callback([&globals, options] { restore(globals, *options); });
}

}  // namespace rosebud::apps
