// fs sync: makes a tree in a volume equal to one on this machine, or the other way round.
#include <fmt/format.h>
#include <sys/stat.h>

#include <filesystem>
#include <system_error>

#include "apps/rosebud/open_volume.h"
#include "apps/rosebud/sync_folder.h"
#include "apps/rosebud/sync_volume.h"
#include "apps/rosebud/volume_commands.h"
#include "client/known_heads.h"

namespace rosebud::apps {
namespace {

namespace stdfs = std::filesystem;

/// Into a volume all of a mode goes; out of one setuid, setgid and sticky do not: a stranger's tree
/// must not bring a program that runs as whoever fetched it.
constexpr std::uint32_t kModeBitsIn = 07777;
constexpr std::uint32_t kModeBitsOut = 0777;

struct SyncArguments {
  std::string source;
  std::string target;
  bool is_dry_run = false;
  bool may_delete = false;
  bool compares_content = false;
};

std::string_view word_of(SyncStep step) {
  switch (step) {
    case SyncStep::kMakeDirectory:
      return "make";
    case SyncStep::kPutFile:
    case SyncStep::kPutSymlink:
      return "put";
    case SyncStep::kSetAttributes:
      return "attributes";
    case SyncStep::kRemove:
      return "remove";
  }
  return {};
}

std::size_t put_count(const SyncPlan& plan) {
  return plan.count(SyncStep::kPutFile) + plan.count(SyncStep::kPutSymlink);
}

nlohmann::json json_of(const SyncPlan& plan, const SyncArguments& arguments) {
  nlohmann::json json = {{"dry_run", arguments.is_dry_run},
                         {"put", put_count(plan)},
                         {"made", plan.count(SyncStep::kMakeDirectory)},
                         {"attributes", plan.count(SyncStep::kSetAttributes)},
                         {"removed", plan.count(SyncStep::kRemove)},
                         {"unchanged", plan.unchanged_count},
                         {"extra", plan.extra_count},
                         {"bytes", plan.bytes},
                         {"in_the_way", nlohmann::json::array()}};
  for (const std::string& path : plan.in_the_way) {
    nlohmann::json one;
    put_text(one, "path", path);
    json["in_the_way"].push_back(std::move(one));
  }
  return json;
}

std::string text_of(const SyncPlan& plan) {
  std::string out =
      fmt::format("{} put ({}), {} directories made, {} attributes set, {} removed, {} unchanged",
                  put_count(plan), human_bytes(static_cast<double>(plan.bytes)),
                  plan.count(SyncStep::kMakeDirectory), plan.count(SyncStep::kSetAttributes),
                  plan.count(SyncStep::kRemove), plan.unchanged_count);
  if (plan.extra_count > 0)
    out += fmt::format(", {} that the source does not have stay", plan.extra_count);
  return out;
}

void print_plan(const Globals& globals, const SyncPlan& plan, const SyncArguments& arguments) {
  auto json = json_of(plan, arguments);
  json["actions"] = nlohmann::json::array();
  for (const auto& [step, path] : plan.actions) {
    nlohmann::json action = {{"do", word_of(step)}};
    put_text(action, "path", path);
    json["actions"].push_back(std::move(action));
    if (!globals.is_json && !globals.is_quiet)
      print(globals, {},
            fmt::format("{:<10}  {}", word_of(step), visible(path.empty() ? "." : path)));
  }
  print(globals, json,
        globals.is_quiet ? "" : text_of(plan) + "; nothing was changed: this is a dry run");
}

/// Devices, pipes and sockets have no place in a volume.
void warn_of_special(const Globals& globals, const Listing& source, const stdfs::path& directory) {
  for (const auto& [path, entry] : source) {
    if (entry.kind != SyncKind::kSpecial) continue;
    warn(globals, {.what = (directory / path).string() + " is passed over",
                   .cause = "it is a pipe, a socket or a device"});
  }
}

/// The end of the program with exit code 3 when the target is not equal to the source now.
void stop_if_in_the_way(const Globals& globals, const SyncPlan& plan) {
  if (plan.in_the_way.empty()) return;
  flush_output();
  for (const std::string& path : plan.in_the_way) {
    warn(globals, {.what = path + " stays as it is in the target",
                   .cause = "it is of another sort there than in the source"});
  }
  stop(ExitCode::kPartly,
       {.what = fmt::format("{} places of the target hold something of another sort",
                            plan.in_the_way.size()),
        .cause = "a file, a directory or a link is replaced by another of these only with --delete",
        .next = "look at what is there; then the same command with --delete"});
}

fs::Link need_directory(Volume& volume, const VolumePath& at) {
  const fs::Link found = volume.get(at);
  if (!volume.is_directory(at)) {
    stop(ExitCode::kUsage, {.what = at.text() + " is not a directory",
                            .cause = "trees are synchronised",
                            .next = "copy a file with `rosebud fs cp`"});
  }
  return found;
}

template <typename T>
T or_stop_reading(Volume& volume, Result<T, Explained> result) {
  if (!result) stop_reading(volume.store(), result.error());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

/// Of `arguments`, which name where both trees are. `in_volume`: picks the volume's of two entries.
SyncOptions options_of(const SyncArguments& arguments, Volume& volume, const stdfs::path& directory,
                       bool is_volume_the_target) {
  SyncOptions out{.may_delete = arguments.may_delete};
  if (!arguments.compares_content) return out;
  out.has_same_content = [&volume, directory, is_volume_the_target](
                             const std::string& path, const SyncEntry& source,
                             const SyncEntry& target) -> Result<bool, Explained> {
    const fs::Cid& cid = (is_volume_the_target ? target : source).cid;
    // As they are stored, not as they are compared: the id depends on them.
    const auto described =
        cid.codec == fs::Codec::kRaw ? fs::Described() : fs::describe(cid, volume.blocks());
    if (!described) return fail(described.error());
    return fs::has_content(directory / path, cid, described->attributes);
  };
  return out;
}

/// What this client knows of heads. That it cannot be kept costs time the next time, nothing else.
class HeadsOfClient {
 public:
  explicit HeadsOfClient(const OpenSession& session)
      : path_(session.file().state / "heads"), heads_(client::KnownHeads::load(path_)) {}
  ~HeadsOfClient() { (void)heads_.save(path_); }
  HeadsOfClient(const HeadsOfClient&) = delete;
  HeadsOfClient& operator=(const HeadsOfClient&) = delete;

  client::KnownHeads& operator*() { return heads_; }

 private:
  stdfs::path path_;
  client::KnownHeads heads_;
};

/// Passes blocks on and can show the last node: the uppermost one of what was imported.
class LastNode final : public fs::BlockSink, public fs::BlockSource {
 public:
  explicit LastNode(fs::BlockSink& below) : below_(below) {}
  Status<Explained> put(const fs::Cid& cid, Buffer block) override {
    cid_ = cid;
    block_ = block;
    return below_.put(cid, std::move(block));
  }
  Result<Buffer, Explained> get(const fs::Cid& cid) override {
    if (cid == cid_) return block_;
    return fail(Explained{.what = "it was not the last"});
  }

 private:
  fs::BlockSink& below_;
  fs::Cid cid_;
  Buffer block_;
};

std::size_t depth_left(const VolumePath& at) { return fs::kDepthMax - at.path.size(); }

// ---- Into a volume ----

void sync_in(const Globals& globals, const SyncArguments& arguments, const VolumePath& target) {
  need_no_snapshot(target.volume);
  const stdfs::path directory = arguments.source;
  const auto folder = or_stop(SyncFolder::open(directory));
  const Listing source = or_stop(folder.list(kModeBitsIn, depth_left(target)));
  warn_of_special(globals, source, directory);
  OpenSession session(globals);
  Volume volume(globals, session, target.volume,
                arguments.is_dry_run ? Volume::For::kReading : Volume::For::kChanging);
  HeadsOfClient heads(session);
  Listing present;
  if (volume.or_stop_at(volume.tree().find(target.path), target)) {
    present = or_stop_reading(volume, list_volume(need_directory(volume, target), volume.blocks(),
                                                  kModeBitsIn, depth_left(target), &*heads));
  } else {
    volume.or_stop_at(volume.tree().check_put(target.path), target);
  }
  const auto plan = or_stop_reading(
      volume, plan_sync(source, present, options_of(arguments, volume, directory, true)));
  if (arguments.is_dry_run) {
    print_plan(globals, plan, arguments);
    return stop_if_in_the_way(globals, plan);
  }
  Progress progress(globals, "storing", plan.bytes);
  client::StoreSink sink(*session, globals.timeout());
  const fs::ImportObserver observer{.on_bytes = [&](std::uint64_t n) { progress.add(n); }};
  const PutFile put_file = [&](const std::string& path) {
    LastNode last(sink);
    auto made =
        fs::import_path(directory / path, last, observer,
                        {.preserves_attributes = true, .chunking = fs::Chunking::kByContent});
    const auto head = made ? fs::describe(made->cid, last) : fail(made.error());
    if (head) (*heads).add(made->cid, *head);
    return made;
  };
  const auto made =
      carry_out_in_volume(plan, source, std::move(present), volume.blocks(), sink, put_file);
  if (const auto failure = sink.failure()) throw Stop{*failure};
  if (!made) stop_reading(volume.store(), made.error());
  if (!plan.actions.empty()) volume.put(target, *made);
  volume.publish(sink);
  auto json = json_of(plan, arguments);
  // Of what the nodes have already nothing was sent.
  json["offered"] = sink.stored_bytes();
  put_text(json, "path", fs::text_of(target.path));
  volume.print_done(json, fmt::format("{}; {} is publication {}", text_of(plan), target.volume.text,
                                      volume.published().state.number));
  stop_if_in_the_way(globals, plan);
}

// ---- Out of a volume ----

/// What stands at the place of the target; nothing: its folder alone is there.
std::optional<SyncFolder> open_target(const stdfs::path& directory) {
  std::error_code error;
  if (stdfs::symlink_status(directory, error).type() == stdfs::file_type::not_found) {
    stdfs::path above = directory.lexically_normal();
    if (!above.has_filename()) above = above.parent_path();
    above = above.parent_path();
    if (above.empty() || stdfs::is_directory(above, error)) return std::nullopt;
    stop(ExitCode::kUsage, fs::cannot_write(directory, "making the directory failed", ENOENT));
  }
  return or_stop(SyncFolder::open(directory));
}

SyncFolder make_target(const stdfs::path& directory) {
  if (::mkdir(directory.c_str(), S_IRWXU) != 0)
    stop(ExitCode::kUsage, fs::cannot_write(directory, "making the directory failed", errno));
  return or_stop(SyncFolder::open(directory));
}

Status<Explained> carry_out_in_folder(const SyncPlan& plan, const Listing& source,
                                      const Listing& present, SyncFolder& folder,
                                      fs::BlockSource& blocks,
                                      const std::function<void(std::uint64_t)>& on_bytes) {
  const auto apply = [&](const SyncAction& action) -> Status<Explained> {
    const std::string& path = action.path;
    switch (action.step) {
      case SyncStep::kMakeDirectory:
        // The target itself is made by whoever opened it.
        return path.empty() ? folder.set_attributes(path, source.at(path).attributes)
                            : folder.make_directory(path);
      case SyncStep::kPutFile:
        return folder.put_file(path, source.at(path), blocks, on_bytes);
      case SyncStep::kPutSymlink:
        return folder.put_symlink(path, source.at(path));
      case SyncStep::kSetAttributes:
        return folder.set_attributes(path, source.at(path).attributes);
      case SyncStep::kRemove:
        return folder.remove(path, present.at(path).kind);
    }
    return {};
  };
  for (const SyncAction& action : plan.actions) {
    if (auto applied = apply(action); !applied) return applied;
  }
  return folder.finish(source);
}

void sync_out(const Globals& globals, const SyncArguments& arguments, const VolumePath& from) {
  const stdfs::path directory = arguments.target;
  auto folder = open_target(directory);
  OpenSession session(globals);
  Volume volume(globals, session, from.volume, Volume::For::kReading);
  HeadsOfClient heads(session);
  const Listing source =
      or_stop_reading(volume, list_volume(need_directory(volume, from), volume.blocks(),
                                          kModeBitsOut, fs::kDepthMax, &*heads));
  const Listing present = folder ? or_stop(folder->list(kModeBitsOut, fs::kDepthMax)) : Listing();
  const auto plan = or_stop_reading(
      volume, plan_sync(source, present, options_of(arguments, volume, directory, false)));
  if (arguments.is_dry_run) {
    print_plan(globals, plan, arguments);
    return stop_if_in_the_way(globals, plan);
  }
  if (!folder) folder.emplace(make_target(directory));
  Progress progress(globals, "fetching", plan.bytes);
  const auto done = carry_out_in_folder(plan, source, present, *folder, volume.blocks(),
                                        [&](std::uint64_t n) { progress.add(n); });
  if (!done) stop_reading(volume.store(), done.error());
  auto json = json_of(plan, arguments);
  json["fetched"] = volume.store().fetched_bytes();
  put_text(json, "path", directory.string());
  volume.print_done(json, text_of(plan));
  stop_if_in_the_way(globals, plan);
}

void sync(const Globals& globals, const SyncArguments& arguments) {
  const auto source = volume_path_of(arguments.source);
  const auto target = volume_path_of(arguments.target);
  if (source && target) {
    stop(ExitCode::kUsage, {.what = "both of these are in a volume",
                            .cause = "one is to be a directory on this machine; ./a:b is one",
                            .next = "copy within a volume with `rosebud fs cp`"});
  }
  if (!source && !target) {
    stop(ExitCode::kUsage, {.what = "none of these is in a volume",
                            .cause = "what is in a volume is named VOLUME:PATH, with its ':'",
                            .next = "rosebud fs sync DIR VOLUME:PATH, or rosebud fs sync "
                                    "VOLUME:PATH DIR"});
  }
  if (target) return sync_in(globals, arguments, *target);
  sync_out(globals, arguments, *source);
}

}  // namespace

void add_sync_command(CLI::App& fs_command, Globals& globals) {
  auto arguments = std::make_shared<SyncArguments>();
  auto* command = fs_command.add_subcommand(
      "sync",
      "Make a tree in a volume equal to a directory on this machine, or the other way round; only "
      "differences are moved");
  command->add_option("source", arguments->source, "DIR, VOLUME:PATH, or VOLUME@SNAPSHOT:PATH")
      ->required();
  command->add_option("target", arguments->target, "VOLUME:PATH or DIR")->required();
  command->add_flag("--dry-run", arguments->is_dry_run,
                    "Say what would be done, and change nothing");
  command->add_flag("--delete", arguments->may_delete,
                    "Remove what the source does not have, and replace what is of another sort");
  command->add_flag("--checksum", arguments->compares_content,
                    "Read files of one size and compare their content, instead of believing equal "
                    "modification times");
  command->callback([&globals, arguments] {
    if (!arguments->is_dry_run) tell_interruption();
    sync(globals, *arguments);
  });
}

}  // namespace rosebud::apps
