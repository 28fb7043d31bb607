// fs: volumes without a mount. Every command that changes something publishes once.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <system_error>

#include "apps/rosebud/open_volume.h"
#include "apps/rosebud/volume_commands.h"
#include "apps/rosebud/words.h"
#include "base/files.h"

namespace rosebud::apps {
namespace {

namespace stdfs = std::filesystem;
using client::VolumeId;

constexpr std::uint32_t kDirectoryMode = 0755;
constexpr std::uint32_t kStdinMode = 0644;

// ---- Making and finding volumes ----

/// Of this client's key: names that it has made or found, one empty file each.
stdfs::path volumes_folder(const OpenSession& session) { return session.file().state / "volumes"; }

void note_volume(const OpenSession& session, const std::string& name) {
  std::error_code error;
  stdfs::create_directories(volumes_folder(session), error);
  or_stop(replace_file(volumes_folder(session) / name, "", 0600));
}

std::string share_line(const OpenSession& session, const VolumeId& id) {
  return to_hex(session->configuration()->cluster().view()) + "/" + to_hex(id.owner.view()) + "/" +
         id.name;
}

void create(const Globals& globals, const std::string& name, bool replaces_garbage) {
  if (!wire::is_name(name)) {
    stop(ExitCode::kUsage, {.what = "'" + name + "' is no name of a volume",
                            .cause = "a name has 1 to 32 characters a-z, 0-9 and, inside, '-'",
                            .next = "choose another name"});
  }
  OpenSession session(globals);
  client::VolumeWriter writer(*session, session.file().state, name);
  using Garbage = client::VolumeWriter::Garbage;
  const auto there = or_stop(
      writer.begin(globals.timeout(), replaces_garbage ? Garbage::kReplace : Garbage::kRefuse));
  note_volume(session, name);
  if (there) {
    stop(ExitCode::kConflict, {.what = "there is a volume " + name + " already",
                               .cause = "it was made before, here or on another machine with this "
                                        "key",
                               .next = "look at it: rosebud fs ls " + name});
  }
  client::StoreSource source(*session, globals.timeout());
  client::StoreSink sink(*session, globals.timeout());
  auto tree = or_stop(fs::Tree::empty(source, {.mode = kDirectoryMode, .modified = now()}));
  const auto stored = tree.store(sink);
  if (const auto failure = sink.finish()) throw Stop{*failure};
  or_stop(stored);
  const Timestamp seconds(static_cast<std::uint64_t>(now().seconds));
  const auto published = or_stop(writer.publish(tree.root(), seconds, globals.timeout()));
  const std::string line = share_line(session, {session->key().public_key(), name});
  print(globals,
        {{"volume", name},
         {"number", published.state.number},
         {"version", published.version.value},
         {"root", published.state.root.text()},
         {"share", line}},
        globals.is_quiet ? line
                         : fmt::format("volume {}; next: rosebud fs cp FILE {}:  (others read it "
                                       "with the line of `rosebud fs share {}`)",
                                       name, name, name));
}

void list_volumes(const Globals& globals) {
  OpenSession session(globals);
  std::set<std::string> names;
  std::error_code error;
  for (stdfs::directory_iterator it(volumes_folder(session), error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (wire::is_name(name)) names.insert(name);
  }
  if (names.empty() && !globals.is_json && !globals.is_quiet)
    print(globals, {}, "no volumes of this client; make one: rosebud fs create NAME");
  std::size_t broken = 0;
  for (const std::string& name : names) {
    const VolumeId id{.owner = session->key().public_key(), .name = name};
    const auto read = client::read_volume(*session, id, globals.timeout());
    // Its making never got so far.
    if (!read && read.error().code == ExitCode::kNotFound) continue;
    if (!read && read.error().code == ExitCode::kIntegrity) {
      warn(globals, read.error().explained);
      ++broken;
      continue;
    }
    const auto found = or_stop(read);
    const std::string published = time_text(found.state.published);
    print(globals,
          {{"volume", name},
           {"number", found.state.number},
           {"version", found.version.value},
           {"published", published},
           {"root", found.state.root.text()},
           {"share", share_line(session, id)}},
          globals.is_quiet ? name
                           : fmt::format("{:<32}  {:>6}  {}  {}", name, found.state.number,
                                         published, found.state.root.text()));
  }
  if (broken == 0) return;
  flush_output();
  stop(ExitCode::kPartly,
       {.what = fmt::format("{} of {} volumes make no sense", broken, names.size()),
        .cause = "see above, which and what helps"});
}

void share(const Globals& globals, const std::string& text) {
  OpenSession session(globals);
  const VolumePath at = need_volume_path(text);
  const VolumeId id = id_of(at.volume, *session);
  read_state(*session, at.volume, globals.timeout());
  std::string line = share_line(session, id);
  nlohmann::json json = {{"cluster", to_hex(session->configuration()->cluster().view())},
                         {"owner", to_hex(id.owner.view())},
                         {"volume", id.name}};
  if (at.volume.snapshot) {
    line += "@" + *at.volume.snapshot;
    json["snapshot"] = *at.volume.snapshot;
  }
  json["share"] = line;
  print(globals, json, line);
}

// ---- Looking ----

void ls(const Globals& globals, const std::string& text, bool is_long) {
  OpenSession session(globals);
  const VolumePath at = need_volume_path(text);
  Volume volume(globals, session, at.volume, Volume::For::kReading);
  const fs::Link found = volume.get(at);
  if (!volume.is_directory(at)) {
    stop(ExitCode::kUsage, {.what = at.text() + " is not a directory",
                            .next = "read it with `rosebud fs cat`, or look at it with `rosebud fs "
                                    "stat`"});
  }
  list(globals, found.cid, volume.blocks(), volume.store(), is_long);
}

void cat(const Globals& globals, const std::vector<std::string>& texts) {
  OpenSession session(globals);
  for (const std::string& text : texts) {
    const VolumePath at = need_volume_path(text);
    Volume volume(globals, session, at.volume, Volume::For::kReading);
    const fs::Link found = volume.get(at);
    if (volume.is_directory(at)) {
      stop(ExitCode::kUsage, {.what = at.text() + " is a directory",
                              .next = "list it with `rosebud fs ls`, or fetch it whole with "
                                      "`rosebud fs cp`"});
    }
    const auto read = fs::read_file(found.cid, volume.blocks(), write_to_stdout);
    if (!read) stop_reading(volume.store(), read.error());
  }
}

void stat(const Globals& globals, const std::string& text) {
  OpenSession session(globals);
  const VolumePath at = need_volume_path(text);
  Volume volume(globals, session, at.volume, Volume::For::kReading);
  const fs::Link found = volume.get(at);
  const auto described = volume.or_stop_at(fs::describe(found.cid, volume.blocks()), at);
  const fs::DirectoryEntry entry{.name = at.name(), .cid = found.cid, .tsize = found.tsize};
  auto json = entry_json(entry, described);
  put_text(json, "path", fs::text_of(at.path));
  const bool is_time_known = volume.shown().published.value != 0;
  const std::string published = time_text(volume.shown().published);
  if (is_time_known) json["published"] = published;
  volume.print_done(json,
                    entry_text(entry, described) +
                        fmt::format("\nin publication {} of volume {}{}", volume.shown().number,
                                    at.volume.text, is_time_known ? ", " + published : ""),
                    found.cid.text());
}

// ---- Changing ----

/// All of them are in one volume; the first is returned.
VolumePath same_volume(const client::Session& session, const std::vector<VolumePath>& paths) {
  for (const VolumePath& path : paths) {
    if (id_of(path.volume, session) == id_of(paths.front().volume, session)) continue;
    stop(ExitCode::kUsage,
         {.what = path.volume.text + " and " + paths.front().volume.text + " are two volumes",
          .cause = "one command changes one volume",
          .next = "copy through this machine: rosebud fs cp VOLUME:PATH ., then rosebud fs cp"});
  }
  return paths.front();
}

struct CopyOptions {
  std::vector<std::string> paths;  // sources, and the target last
  bool may_overwrite = false;
};

/// The name that a path on this machine ends with, also of "." and "a/".
std::string local_name(const std::string& path) {
  stdfs::path whole = stdfs::absolute(path).lexically_normal();
  if (!whole.has_filename()) whole = whole.parent_path();
  return whole.filename().string();
}

/// Whether sources come to stand in the target. The end of the program when it is no directory and
/// has to be one.
bool goes_into(Volume& volume, const VolumePath& target, std::size_t sources) {
  const auto there = volume.or_stop_at(volume.tree().find(target.path), target);
  if (there && volume.or_stop_at(volume.tree().is_directory(there->cid), target)) return true;
  if (sources == 1 && !target.is_directory_meant) return false;
  stop(ExitCode::kUsage,
       {.what = target.text() + " is not a directory",
        .cause = "what is copied or moved is to go into it",
        .next = (there ? "choose another target, or remove what is there: rosebud fs rm "
                       : "make it first: rosebud fs mkdir -p ") +
                target.text()});
}

/// A file may replace a file; more only when it was asked for.
void check_free(Volume& volume, const VolumePath& at, bool is_directory,
                const CopyOptions& options) {
  const auto there = volume.or_stop_at(volume.tree().find(at.path), at);
  if (!there || options.may_overwrite) return;
  const bool was_directory = volume.is_directory(at);
  if (!was_directory && !is_directory) return;
  stop(ExitCode::kUsage,
       {.what = at.text() + " is there already, and " +
                (was_directory ? "is a directory" : "is no directory"),
        .next = "replace it as a whole with --force, or remove it: rosebud fs rm -r " + at.text()});
}

fs::Imported import_one(const Globals& globals, const std::string& from, client::StoreSink& sink) {
  const bool is_stdin = from == "-";
  Progress progress(globals, "copying", is_stdin ? 0 : size_below(from));
  DescriptorSource stdin_source(STDIN_FILENO, "standard input", &progress);
  const fs::ImportObserver observer{.on_bytes = [&](std::uint64_t n) { progress.add(n); }};
  const auto imported =
      is_stdin
          ? fs::import_file(stdin_source, sink, {.mode = kStdinMode, .modified = now()},
                            fs::Chunking::kByContent)
          : fs::import_path(from, sink, observer,
                            {.preserves_attributes = true, .chunking = fs::Chunking::kByContent});
  if (imported) return *imported;
  if (const auto failure = sink.failure()) throw Stop{*failure};
  stop(client::code_of(imported.error()), imported.error());
}

/// What is to be put where. `there`: it stands in the volume already.
struct PlannedCopy {
  std::string from;
  VolumePath to;
  std::optional<fs::Imported> there;
};

/// What copies within a volume are taken from: the tree that is changed, and snapshots of it.
class CopySources {
 public:
  CopySources(const Globals& globals, OpenSession& session, Volume& changed)
      : globals_(globals), session_(session), changed_(changed) {}
  Volume& of(const VolumeName& name) {
    if (!name.snapshot) return changed_;
    const auto at = snapshots_.find(*name.snapshot);
    if (at != snapshots_.end()) return at->second;
    return snapshots_.try_emplace(*name.snapshot, globals_, session_, name, Volume::For::kReading)
        .first->second;
  }

 private:
  const Globals& globals_;
  OpenSession& session_;
  Volume& changed_;
  std::map<std::string, Volume> snapshots_;
};

/// All that can be wrong with sources and places is found here: nothing is uploaded for a copy that
/// cannot be.
std::vector<PlannedCopy> plan_copies(Volume& volume, CopySources& in_volumes,
                                     const CopyOptions& options, const VolumePath& target) {
  const std::size_t sources = options.paths.size() - 1;
  const bool is_into = goes_into(volume, target, sources);
  std::set<fs::TreePath> places;
  std::vector<PlannedCopy> out;
  for (const std::string& from : std::span(options.paths).first(sources)) {
    const auto in_volume = volume_path_of(from);
    if (from == "-" && is_into) {
      stop(ExitCode::kUsage, {.what = "what comes from standard input needs a name",
                              .next = "give it: " + target.below("NAME").text()});
    }
    const std::string name = in_volume ? in_volume->name() : local_name(from);
    const VolumePath to = is_into ? target.below(name) : target;
    volume.or_stop_at(volume.tree().check_put(to.path), to);
    if (!places.insert(to.path).second) {
      stop(ExitCode::kUsage, {.what = "two sources are to become " + to.text(),
                              .next = "copy them into different directories"});
    }
    std::error_code error;
    const auto type = stdfs::status(from, error).type();
    if (!in_volume && from != "-" && type == stdfs::file_type::not_found) {
      stop(ExitCode::kUsage, {.what = "cannot copy " + from + ": no such file or directory",
                              .next = "see that the path is right"});
    }
    const bool is_directory = in_volume ? in_volumes.of(in_volume->volume).is_directory(*in_volume)
                                        : from != "-" && type == stdfs::file_type::directory;
    check_free(volume, to, is_directory, options);
    out.push_back({.from = from, .to = to, .there = {}});
    if (!in_volume) continue;
    const fs::Link link = in_volumes.of(in_volume->volume).get(*in_volume);
    out.back().there = fs::Imported{.cid = link.cid, .tsize = link.tsize};
  }
  return out;
}

void copy_in(const Globals& globals, const CopyOptions& options, const VolumePath& target) {
  OpenSession session(globals);
  std::vector<VolumePath> in_volumes{target};
  for (const std::string& path : options.paths) {
    if (auto in_volume = volume_path_of(path)) in_volumes.push_back(std::move(*in_volume));
  }
  same_volume(*session, in_volumes);
  Volume volume(globals, session, target.volume, Volume::For::kChanging);
  CopySources sources(globals, session, volume);
  client::StoreSink sink(*session, globals.timeout());
  std::uint64_t bytes = 0;
  nlohmann::json copied = nlohmann::json::array();
  for (const PlannedCopy& copy : plan_copies(volume, sources, options, target)) {
    const fs::Imported what = copy.there ? *copy.there : import_one(globals, copy.from, sink);
    volume.or_stop_at(volume.tree().put(copy.to.path, what, now()), copy.to);
    bytes += what.bytes;
    nlohmann::json one = {{"id", what.cid.text()}, {"bytes", what.bytes}};
    put_text(one, "path", fs::text_of(copy.to.path));
    copied.push_back(std::move(one));
  }
  volume.publish(sink);
  volume.print_done(
      {{"copied", copied}, {"bytes", bytes}},
      fmt::format("{} copied; {} is publication {}", human_bytes(static_cast<double>(bytes)),
                  target.volume.text, volume.published().state.number));
}

/// Writes to `to`. A directory that is new stands under a hidden name until it is whole: the same
/// command again would copy into what stands there, and begin anew.
Status<Explained> export_whole(const fs::Cid& cid, fs::Kind kind, fs::BlockSource& blocks,
                               const stdfs::path& to, const fs::ExportOptions& options,
                               const std::function<void(std::uint64_t)>& on_bytes) {
  std::error_code error;
  const bool is_new_directory =
      kind == fs::Kind::kDirectory &&
      stdfs::symlink_status(to, error).type() == stdfs::file_type::not_found;
  if (!is_new_directory) return fs::export_path(cid, blocks, to, options, on_bytes);
  const stdfs::path part = to.parent_path() / ("." + cid.text().substr(0, 24) + ".part");
  if (auto done = fs::export_path(cid, blocks, part, options, on_bytes); !done) return done;
  stdfs::rename(part, to, error);
  if (!error) return {};
  return fail(Explained{.what = "cannot write " + to.string() + ": " + error.message(),
                        .next = "what was to stand there is whole in " + part.string()});
}

void copy_out(const Globals& globals, const CopyOptions& options) {
  OpenSession session(globals);
  const std::string& target = options.paths.back();
  std::error_code error;
  const bool is_into = stdfs::is_directory(target, error);
  if (!is_into && (options.paths.size() > 2 || target.ends_with('/'))) {
    stop(ExitCode::kUsage,
         {.what = target + " is not a directory",
          .cause = "what is copied is to go into it",
          .next = "make it first; to copy into a volume, name it as VOLUME:PATH"});
  }
  for (std::size_t i = 0; i + 1 < options.paths.size(); ++i) {
    const VolumePath from = need_volume_path(options.paths[i]);
    Volume volume(globals, session, from.volume, Volume::For::kReading);
    const fs::Link found = volume.get(from);
    const stdfs::path to = is_into ? stdfs::path(target) / from.name() : stdfs::path(target);
    const auto described = volume.or_stop_at(fs::describe(found.cid, volume.blocks()), from);
    Progress progress(globals, "copying", described.bytes);
    std::uint64_t bytes = 0;
    const auto done = export_whole(found.cid, described.kind, volume.blocks(), to,
                                   {.may_overwrite = options.may_overwrite}, [&](std::uint64_t n) {
                                     bytes += n;
                                     progress.add(n);
                                   });
    if (!done) stop_reading(volume.store(), done.error());
    nlohmann::json json = {
        {"id", found.cid.text()}, {"bytes", bytes}, {"fetched", volume.store().fetched_bytes()}};
    put_text(json, "path", to.string());
    print(globals, json,
          globals.is_quiet ? ""
                           : fmt::format("{}  {}", human_bytes(static_cast<double>(bytes)),
                                         visible(to.string())));
    flush_output();
  }
}

void cp(const Globals& globals, const CopyOptions& options) {
  if (options.paths.size() < 2) {
    stop(ExitCode::kUsage, {.what = "cp needs a source and a target",
                            .next = "rosebud fs cp FILE VOLUME:PATH, or rosebud fs cp VOLUME:PATH "
                                    "FILE"});
  }
  if (const auto target = volume_path_of(options.paths.back()))
    return copy_in(globals, options, *target);
  if (std::ranges::none_of(options.paths,
                           [](const auto& path) { return volume_path_of(path).has_value(); })) {
    stop(ExitCode::kUsage, {.what = "none of these is in a volume",
                            .cause = "what is in a volume is named VOLUME:PATH, with its ':'",
                            .next = "use cp for what is on this machine"});
  }
  copy_out(globals, options);
}

void mkdir(const Globals& globals, const std::string& text, bool with_parents) {
  OpenSession session(globals);
  const VolumePath at = need_volume_path(text);
  Volume volume(globals, session, at.volume, Volume::For::kChanging);
  VolumePath made = at;
  made.path.clear();
  const fs::Attributes attributes{.mode = kDirectoryMode, .modified = now()};
  for (std::size_t i = 0; i < at.path.size(); ++i) {
    made.path.push_back(at.path[i]);
    const bool is_last = i + 1 == at.path.size();
    if (!is_last && !with_parents) continue;
    if (with_parents && volume.is_directory(made)) continue;
    volume.or_stop_at(volume.tree().make_directory(made.path, attributes, now()), made);
  }
  if (at.path.empty() && !with_parents) {
    stop(ExitCode::kUsage,
         {.what = at.text() + " is there already", .next = "name a directory below it"});
  }
  volume.publish();
  nlohmann::json json;
  put_text(json, "path", fs::text_of(at.path));
  volume.print_done(json, fmt::format("{} made; {} is publication {}", visible(at.text()),
                                      at.volume.text, volume.published().state.number));
}

void mv(const Globals& globals, const std::string& from_text, const std::string& to_text) {
  OpenSession session(globals);
  const VolumePath from = need_volume_path(from_text);
  VolumePath to = need_volume_path(to_text);
  same_volume(*session, {from, to});
  Volume volume(globals, session, from.volume, Volume::For::kChanging);
  if (!from.path.empty() && goes_into(volume, to, 1)) to = to.below(from.name());
  volume.get(from);
  volume.or_stop_at(volume.tree().rename(from.path, to.path, now()), to);
  volume.publish();
  nlohmann::json json;
  put_text(json, "from", fs::text_of(from.path));
  put_text(json, "path", fs::text_of(to.path));
  volume.print_done(json,
                    fmt::format("{} is {} now; publication {}", visible(from.text()),
                                visible(fs::text_of(to.path)), volume.published().state.number));
}

void rm(const Globals& globals, const std::vector<std::string>& texts, bool is_recursive) {
  OpenSession session(globals);
  std::vector<VolumePath> paths;
  for (const std::string& text : texts) paths.push_back(need_volume_path(text));
  Volume volume(globals, session, same_volume(*session, paths).volume, Volume::For::kChanging);
  nlohmann::json removed = nlohmann::json::array();
  for (const VolumePath& at : paths) {
    volume.get(at);
    if (!is_recursive && volume.is_directory(at)) {
      stop(ExitCode::kUsage, {.what = at.text() + " is a directory",
                              .next = "remove it with all below: rosebud fs rm -r " + at.text()});
    }
    volume.or_stop_at(volume.tree().remove(at.path, fs::Tree::Below::kGoesToo, now()), at);
    nlohmann::json one;
    put_text(one, "path", fs::text_of(at.path));
    removed.push_back(std::move(one));
  }
  volume.publish();
  volume.print_done({{"removed", removed}},
                    fmt::format("{} removed; {} is publication {}", paths.size(),
                                paths.front().volume.text, volume.published().state.number));
}

}  // namespace

void add_fs_commands(CLI::App& app, Globals& globals) {
  auto* fs_command =
      app.add_subcommand("fs", "Volumes: trees of files that their owner changes, without a mount");
  fs_command->require_subcommand(1);
  auto path = std::make_shared<std::string>();
  auto other = std::make_shared<std::string>();
  auto paths = std::make_shared<std::vector<std::string>>();
  auto flag = std::make_shared<bool>(false);

  auto* create_command = fs_command->add_subcommand("create", "Make an empty volume");
  create_command->add_option("name", *path, "1 to 32 characters a-z, 0-9 and '-'")->required();
  create_command->add_flag("--yes", *flag,
                           "Also in the place of a record of that name that is no volume");
  create_command->callback([&globals, path, flag] { create(globals, *path, *flag); });

  auto* list_command = fs_command->add_subcommand(
      "list", "Volumes that this client made: publications, time of the last, root");
  list_command->callback([&globals] { list_volumes(globals); });

  auto* share_command = fs_command->add_subcommand(
      "share", "Print the line by which any client of the cluster reads the volume");
  share_command->add_option("volume", *path, "NAME, or NAME@SNAPSHOT")->required();
  share_command->callback([&globals, path] { share(globals, *path); });

  auto* ls_command = fs_command->add_subcommand("ls", "List a directory");
  ls_command->add_option("path", *path, kReadPathHelp)->required();
  ls_command->add_flag("-l,--long", *flag,
                       "Sort, mode and modification time too; asks for the head of every entry");
  ls_command->callback([&globals, path, flag] { ls(globals, *path, *flag); });

  auto* cat_command = fs_command->add_subcommand("cat", "Write files to standard output, verified");
  cat_command->add_option("path", *paths, kReadPathHelp)->required();
  cat_command->callback([&globals, paths] { cat(globals, *paths); });

  auto* stat_command = fs_command->add_subcommand(
      "stat", "What stands there: sort, size, mode, time, id, and the publication");
  stat_command->add_option("path", *path, kReadPathHelp)->required();
  stat_command->callback([&globals, path] { stat(globals, *path); });

  auto copying = std::make_shared<CopyOptions>();
  auto* cp_command = fs_command->add_subcommand(
      "cp", "Copy files and trees into a volume, out of one, or within it; modes and times too");
  cp_command
      ->add_option(
          "paths", copying->paths,
          "Sources (- is standard input), then the target; in a volume: VOLUME:PATH; a source may "
          "be VOLUME@SNAPSHOT:PATH")
      ->required();
  cp_command->add_flag("--force", copying->may_overwrite,
                       "In a volume: replace directories as a whole. On this machine: overwrite "
                       "files that are something else");
  cp_command->callback([&globals, copying] {
    tell_interruption();
    cp(globals, *copying);
  });

  add_sync_command(*fs_command, globals);
  add_counting_commands(*fs_command, globals);
  add_snapshot_commands(*fs_command, globals);

  auto* mkdir_command = fs_command->add_subcommand("mkdir", "Make a directory");
  mkdir_command->add_option("path", *path, kPathHelp)->required();
  mkdir_command->add_flag("-p,--parents", *flag,
                          "Those above it too, where they are missing; no error when it is there");
  mkdir_command->callback([&globals, path, flag] { mkdir(globals, *path, *flag); });

  auto* mv_command =
      fs_command->add_subcommand("mv", "Rename within a volume, or move into a directory of it");
  mv_command->add_option("from", *path, kPathHelp)->required();
  mv_command->add_option("to", *other, "VOLUME:PATH in the same volume")->required();
  mv_command->callback([&globals, path, other] { mv(globals, *path, *other); });

  auto* rm_command = fs_command->add_subcommand("rm", "Remove files, or with -r directories");
  rm_command->add_option("path", *paths, kPathHelp)->required();
  rm_command->add_flag("-r,--recursive", *flag, "Directories too, with all below");
  rm_command->callback([&globals, paths, flag] { rm(globals, *paths, *flag); });
}

}  // namespace rosebud::apps
