// mount, umount: a volume as a directory of this machine.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "apps/rosebud/mount_place.h"
#include "apps/rosebud/open_volume.h"
#include "apps/rosebud/volume_publisher.h"
#include "mount/fuse_mount.h"

namespace rosebud::apps {
namespace {

namespace stdfs = std::filesystem;

/// A publication is seen within two: one to ask, one for the answer.
constexpr std::chrono::seconds kAskEvery{1};
/// Until one asking gives up; the end of the mount waits for it.
constexpr Duration kAskFor = std::chrono::seconds(5);
constexpr std::size_t kCacheMegabytesMin = 16;
constexpr std::size_t kCacheMegabytesMax = 1U << 20;
constexpr std::size_t kPendingMegabytesMin = 1;
constexpr std::size_t kPendingMegabytesMax = 1U << 22;

struct MountArguments {
  std::string volume;
  std::string directory;
  std::string snapshot;
  bool is_read_only = false;
  bool is_in_foreground = false;
  std::size_t cache_megabytes = 256;
  std::size_t pending_megabytes = 4096;
  double deadline_seconds = 30;
  double publish_after_seconds = 5;
};

// ---- The volume ----

mount::BlockCache::Fetch fetch_from(client::Session& session) {
  return [&session](const fs::Cid& cid, Duration timeout, mount::BlockCache::Done done) {
    session.read_block(
        wire::ObjectId::block(cid.digest), timeout,
        [&session, cid, done = std::move(done)](objects::OperationResult result) {
          if (result.outcome == objects::Outcome::kDone) return done(std::move(result.bytes));
          done(fail(client::failure_of(result, "reading block " + cid.text(), session).explained));
        });
  };
}

/// Asks for the volume's record again and again, on a thread of its own, and shows each newer
/// publication in the mount. What cannot be had, or makes no sense, leaves what is shown.
class Follower {
 public:
  Follower(client::Session& session, client::VolumeId id, Duration timeout,
           mount::FuseMount& mounted, wire::Version shown)
      : thread_([this, &session, id = std::move(id), timeout, &mounted, shown]() mutable {
          while (wait()) {
            const auto read = client::read_volume(session, id, timeout);
            if (!read || read->version <= shown) continue;
            if (mounted.show(read->state.root)) shown = read->version;
          }
        }) {}
  ~Follower() { end(); }
  /// Returns when nothing is asked or shown any more. Not from two threads at once.
  void end() {
    {
      const std::lock_guard lock(mutex_);
      is_ending_ = true;
    }
    ending_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

 private:
  /// False: it is the end.
  bool wait() {
    std::unique_lock lock(mutex_);
    return !ending_.wait_for(lock, kAskEvery, [this] { return is_ending_; });
  }

  std::mutex mutex_;
  std::condition_variable ending_;
  bool is_ending_ = false;
  std::thread thread_;  // the last: it uses the others
};

/// Of this thread, and of those that it begins: SIG_BLOCK or SIG_UNBLOCK.
void mask_endings(int how) {
  sigset_t endings;
  sigemptyset(&endings);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&endings, signal);
  ::pthread_sigmask(how, &endings, nullptr);
}

Duration duration_of(double seconds) { return Duration(static_cast<std::int64_t>(seconds * 1e6)); }

struct Mounted {
  std::uint64_t number = 0;  // of the publication
  std::string root;
  bool is_writable = false;
  std::string snapshot;  // empty: it follows what is published
};

using OnReady = std::function<void(const Mounted&)>;

Mounted mounted_of(const client::Snapshot& shown, bool is_writable) {
  return {.number = shown.number,
          .root = shown.root.text(),
          .is_writable = is_writable,
          .snapshot = shown.name};
}

/// What a mount reads with, and how much memory that may take.
struct Reading {
  Reading(client::Session& session, const MountArguments& arguments)
      // With what the cache has on its way beside itself, a quarter more, it stays within the
      // setting.
      : directory_bytes_max((arguments.cache_megabytes << 20) / 8),
        cache(fetch_from(session), 5 * directory_bytes_max) {}

  std::size_t directory_bytes_max;
  mount::BlockCache cache;
};

/// A snapshot, or what is published, and whatever is published next.
void serve_reading(client::Session& session, const MountArguments& arguments,
                   const VolumeName& name, const client::VolumeId& id, Duration timeout,
                   const stdfs::path& place, const OnReady& on_ready) {
  const Duration deadline = duration_of(arguments.deadline_seconds);
  const auto [published, shown_first] = read_state(session, name, timeout);
  check_root(session, shown_first.root, timeout);
  Reading reading(session, arguments);
  mount::FileSystem file_system(reading.cache, reading.directory_bytes_max, deadline);
  if (auto shown = file_system.switch_to(shown_first.root); !shown)
    stop(client::code_of(shown.error()), shown.error());
  mask_endings(SIG_BLOCK);
  auto mounted = or_stop(mount::FuseMount::open(file_system, reading.cache,
                                                {.directory = place, .source = name.text}));
  std::optional<Follower> follower;
  if (!name.snapshot) {
    follower.emplace(session, id, std::min(deadline, kAskFor), *mounted, published.version);
  }
  const Mounted told = mounted_of(shown_first, false);
  const auto end = [&] {
    if (follower) follower->end();
  };
  or_stop(mounted->serve({.on_ready = [&] { on_ready(told); }, .on_end = end}));
  reading.cache.close();
}

// ---- To write ----

/// A line for whoever keeps the mount, in a file of the client's state and on standard error.
void log_pending(const stdfs::path& file, const VolumeName& name, const stdfs::path& place,
                 const mount::Publications::Pending& pending) {
  std::string paths;
  for (const std::string& path : pending.paths) paths += " " + visible(path);
  const std::string line =
      fmt::format("time={} volume={} mount={} not published: {}; pending:{}\n", now().seconds,
                  name.text, visible(place.string()), visible(pending.why.explained.text()), paths);
  std::ofstream(file, std::ios::app) << line;
  fmt::print(stderr, "{}", line);
}

client::ExitCode code_of(mount::Unpublished::Why why) {
  switch (why) {
    case mount::Unpublished::Why::kOvertaken:
      return ExitCode::kConflict;
    case mount::Unpublished::Why::kTimedOut:
      return ExitCode::kTimeout;
    case mount::Unpublished::Why::kLocal:
      return ExitCode::kUsage;
    case mount::Unpublished::Why::kNoRoom:
    case mount::Unpublished::Why::kFailed:
      break;
  }
  return ExitCode::kNoQuorum;
}

/// What is published; what an earlier run left half sent is finished first.
client::PublishedVolume begin_writing(client::Session& session, const stdfs::path& state,
                                      const client::VolumeId& id, Duration timeout) {
  client::VolumeWriter writer(session, state, id.name);
  const auto there = or_stop(writer.begin(timeout));
  // Read for the sake of the words.
  return there ? *there : or_stop(client::read_volume(session, id, timeout));
}

void serve_writing(OpenSession& session, const MountArguments& arguments, const VolumeName& name,
                   const client::VolumeId& id, Duration timeout, const stdfs::path& place,
                   const OnReady& on_ready) {
  const Duration deadline = duration_of(arguments.deadline_seconds);
  const stdfs::path& state = session.file().state;
  const auto published = begin_writing(*session, state, id, timeout);
  const auto staging =
      or_stop(mount::Staging::open(state, std::uint64_t{arguments.pending_megabytes} << 20));
  Reading reading(*session, arguments);
  mount::WritableFileSystem file_system(reading.cache, *staging, reading.directory_bytes_max,
                                        deadline, now);
  if (auto started = file_system.start(published.state.root); !started)
    stop(client::code_of(started.error()), started.error());
  VolumePublisher publisher(*session, state, id, published, deadline);
  std::unique_ptr<mount::FuseMount> mounted;
  mount::Publications publications(
      file_system, publisher,
      {.after = duration_of(arguments.publish_after_seconds),
       .ask_every = kAskEvery,
       .forewarn = [&](const mount::Changes& changes) { mounted->tell(changes); },
       .tell =
           [&](const mount::Publications::Pending& pending) {
             log_pending(state / "mounts.log", name, place, pending);
           }});
  mask_endings(SIG_BLOCK);
  mounted = or_stop(mount::FuseMount::open(file_system, publications, reading.cache,
                                           {.directory = place, .source = name.text}));
  publications.start();
  const Mounted told = mounted_of(shown_of(published), true);
  const auto served = mounted->serve(
      {.on_ready = [&] { on_ready(told); }, .on_end = [&] { publications.stop_following(); }});
  publications.stop_following();
  mounted.reset();  // nobody waits for an answer while the last publication is made
  const auto ended = publications.end();
  reading.cache.close();
  if (!ended) stop(code_of(ended.error().why), ended.error().explained);
  or_stop(served);
}

/// Mounts and serves until the end. `on_ready`: it answers.
void serve(const Globals& globals, const MountArguments& arguments, const VolumeName& name,
           const stdfs::path& place, const OnReady& on_ready) {
  // The mount waits for these itself, so no thread may be ended by them.
  mask_endings(SIG_BLOCK);
  OpenSession session(globals);
  mask_endings(SIG_UNBLOCK);  // here: whoever waits for the cluster may give up
  const client::VolumeId id = id_of(name, *session);
  if (arguments.is_read_only || name.snapshot)
    return serve_reading(*session, arguments, name, id, globals.timeout(), place, on_ready);
  if (id.owner != session->key().public_key()) {
    stop(ExitCode::kDenied, {.what = "only the owner's key can change " + name.text,
                             .cause = "this client has another key",
                             .next = "mount it to read: rosebud mount --read-only " + name.text +
                                     " " + place.string()});
  }
  serve_writing(session, arguments, name, id, globals.timeout(), place, on_ready);
}

// ---- In the background ----

/// One line: {"number", "root", "writable", "snapshot", "pid"}, or what went wrong.
void tell(int fd, const nlohmann::json& json) {
  const std::string line = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  for (std::size_t done = 0; done < line.size();) {
    const ssize_t n = ::write(fd, line.data() + done, line.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += static_cast<std::size_t>(n);
  }
  ::close(fd);
}

nlohmann::json hear(int fd) {
  std::string text;
  std::array<char, 4096> piece{};
  while (true) {
    const ssize_t n = ::read(fd, piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    text.append(piece.data(), static_cast<std::size_t>(n));
  }
  ::close(fd);
  return nlohmann::json::parse(text, nullptr, false);
}

/// No terminal, no folder, no output of whoever started it is held any longer.
void let_go() {
  (void)!::chdir("/");
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; fd <= 2 && null >= 0; ++fd) ::dup2(null, fd);
  if (null > 2) ::close(null);
}

using Serve = std::function<void(const OnReady& on_ready)>;

/// The process that serves; never returns.
[[noreturn]] void run_in_background(int fd, const Serve& serve_it) {
  ::setsid();
  bool is_told = false;
  try {
    serve_it([&](const Mounted& mounted) {
      tell(fd, {{"number", mounted.number},
                {"root", mounted.root},
                {"writable", mounted.is_writable},
                {"snapshot", mounted.snapshot},
                {"pid", ::getpid()}});
      is_told = true;
      let_go();
    });
  } catch (const Stop& end) {
    const Explained& explained = end.failure.explained;
    if (!is_told) {
      tell(fd, {{"code", static_cast<int>(end.failure.code)},
                {"what", explained.what},
                {"cause", explained.cause},
                {"next", explained.next},
                {"trouble", static_cast<int>(explained.trouble)}});
    }
    ::_exit(1);
  }
  ::_exit(0);
}

void print_mounted(const Globals& globals, const VolumeName& name, const stdfs::path& place,
                   const Mounted& mounted, pid_t process) {
  nlohmann::json json = {{"volume", name.volume_text},      {"directory", place.string()},
                         {"number", mounted.number},        {"root", mounted.root},
                         {"writable", mounted.is_writable}, {"process", process}};
  if (!mounted.snapshot.empty()) json["snapshot"] = mounted.snapshot;
  const std::string shows = mounted.snapshot.empty()
                                ? fmt::format("from publication {} on", mounted.number)
                                : fmt::format("as publication {} was", mounted.number);
  print(globals, json,
        globals.is_quiet
            ? place.string()
            : fmt::format("volume {} is mounted on {}, {}, {}; end it with: rosebud umount {}",
                          name.text, visible(place.string()),
                          mounted.is_writable ? "to read and write" : "read-only", shows,
                          visible(place.string())));
}

void mount_in_background(const Globals& globals, const VolumeName& name, const stdfs::path& place,
                         const Serve& serve_it) {
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0)
    stop(ExitCode::kUsage, {.what = "cannot start a process: " + text_of(errno)});
  const pid_t child = ::fork();
  if (child < 0) stop(ExitCode::kUsage, {.what = "cannot start a process: " + text_of(errno)});
  if (child == 0) {
    ::close(pipe[0]);
    run_in_background(pipe[1], serve_it);
  }
  ::close(pipe[1]);
  const nlohmann::json said = hear(pipe[0]);
  if (!said.is_object()) {
    stop(ExitCode::kUsage, {.what = "the process that was to serve the mount is gone",
                            .cause = "somebody killed it, or memory ran out",
                            .next = "see it happen: the same command with --foreground"});
  }
  if (said.contains("code")) {
    stop(static_cast<ExitCode>(said["code"].get<int>()),
         {.what = said["what"],
          .cause = said["cause"],
          .next = said["next"],
          .trouble = static_cast<Trouble>(said["trouble"].get<int>())});
  }
  print_mounted(globals, name, place,
                {.number = said["number"],
                 .root = said["root"],
                 .is_writable = said["writable"],
                 .snapshot = said["snapshot"]},
                child);
}

/// VOLUME, VOLUME@SNAPSHOT, or VOLUME and --at SNAPSHOT.
VolumeName mounted_name(const MountArguments& arguments) {
  const auto name = volume_of(arguments.volume);
  if (!name) {
    stop(ExitCode::kUsage, {.what = "'" + arguments.volume + "' names no volume",
                            .cause = "a name has 1 to 32 characters a-z, 0-9 and '-'; a mount "
                                     "shows a volume as a whole",
                            .next = "see `rosebud fs list`"});
  }
  if (arguments.snapshot.empty()) return *name;
  if (name->snapshot.value_or(arguments.snapshot) != arguments.snapshot) {
    stop(ExitCode::kUsage,
         {.what = "two snapshots are named: " + *name->snapshot + " and " + arguments.snapshot,
          .next = "name one"});
  }
  if (!client::is_state_name(arguments.snapshot)) {
    stop(ExitCode::kUsage,
         {.what = "'" + arguments.snapshot + "' is no name of a snapshot",
          .next = "see which there are: rosebud fs snapshot list " + name->volume_text});
  }
  return at_snapshot(*name, arguments.snapshot);
}

void mount_volume(const Globals& globals, const MountArguments& arguments) {
  const VolumeName name = mounted_name(arguments);
  const stdfs::path place = place_of(arguments.directory);
  check_place(place);
  check_fuse();
  const auto serve_it = [&](const OnReady& on_ready) {
    serve(globals, arguments, name, place, on_ready);
  };
  if (!arguments.is_in_foreground) return mount_in_background(globals, name, place, serve_it);
  serve_it([&](const Mounted& mounted) {
    print_mounted(globals, name, place, mounted, ::getpid());
    (void)std::fflush(stdout);  // for whoever waits for it
  });
}

/// That all that was changed there is published.
void publish_pending(const stdfs::path& place) {
  const int fd = ::open(place.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;  // whoever unmounts says why
  const int error = ::fsync(fd) == 0 ? 0 : errno;
  mount::ToldUnpublished told;
  if (error != 0) (void)::ioctl(fd, mount::kAskUnpublished, &told);
  ::close(fd);
  if (error == 0) return;
  std::istringstream lines(told.text.data());
  std::string why;
  std::getline(lines, why);
  if (why.empty()) {
    why = text_of(error);
    if (error == ETIMEDOUT) told.why = mount::Unpublished::Why::kTimedOut;
  }
  std::string paths;
  for (std::string path; std::getline(lines, path);) paths += (paths.empty() ? "" : ", ") + path;
  const bool is_overtaken = told.why == mount::Unpublished::Why::kOvertaken;
  stop(code_of(told.why), {.what = place.string() + " stays mounted: not published: " + paths,
                           .cause = why,
                           .next = (is_overtaken ? "copy it elsewhere, then give it up: "
                                                 : "try again, or give it up: ") +
                                   ("rosebud umount --discard " + place.string())});
}

void unmount_volume(const Globals& globals, const std::string& directory, bool may_discard) {
  const stdfs::path place = place_of(directory);
  const auto type = mounted_type(place);
  if (type != kMountType) {
    stop(ExitCode::kUsage,
         {.what = "no volume is mounted on " + place.string(),
          .cause = type ? "what is mounted there is of type " + *type : "",
          .next = "see what is: grep " + std::string(kMountType) + " /proc/mounts"});
  }
  if (!may_discard && !is_dead(place)) publish_pending(place);
  auto done = unmount(place, Detach::kWhenFree);
  // In use, but by those who wait for nothing any more.
  if (!done && is_dead(place)) done = unmount(place, Detach::kAlways);
  or_stop(done);
  print(globals, {{"directory", place.string()}},
        globals.is_quiet ? "" : visible(place.string()) + " is unmounted");
}

std::string check_deadline(const std::string& text) {
  const double seconds = std::strtod(text.c_str(), nullptr);
  if (seconds >= 1 && seconds <= 3600) return {};
  return "a deadline is from 1s to 1h, not " + text + " seconds";
}

std::string check_publish_after(const std::string& text) {
  const double seconds = std::strtod(text.c_str(), nullptr);
  if (seconds >= 0.1 && seconds <= 3600) return {};
  return "changes are published after 100ms to 1h, not " + text + " seconds";
}

}  // namespace

void add_mount_commands(CLI::App& app, Globals& globals) {
  auto arguments = std::make_shared<MountArguments>();
  auto* mount_command = app.add_subcommand("mount",
                                           "Show a volume as a directory of this machine, to read "
                                           "and write; what is changed there is published");
  mount_command
      ->add_option("volume", arguments->volume, "NAME, or another owner's as `fs share` prints it")
      ->required();
  mount_command->add_option("directory", arguments->directory, "An empty directory")->required();
  mount_command->add_flag("--read-only", arguments->is_read_only,
                          "Only to read, as anybody may; publications appear as they come");
  mount_command
      ->add_option("--at", arguments->snapshot,
                   "A snapshot, or the word previous: only to read, and it stays as it is; "
                   "VOLUME@SNAPSHOT is the same")
      ->type_name("SNAPSHOT");
  mount_command->add_flag("--foreground", arguments->is_in_foreground,
                          "Serve it in this process, until it is unmounted or interrupted");
  mount_command
      ->add_option("--cache-mb", arguments->cache_megabytes,
                   "Most memory for blocks and directories that were read, MiB")
      ->check(CLI::Range(kCacheMegabytesMin, kCacheMegabytesMax))
      ->capture_default_str();
  mount_command
      ->add_option("--pending-mb", arguments->pending_megabytes,
                   "Most bytes written and not published, on this machine's disk, MiB")
      ->check(CLI::Range(kPendingMegabytesMin, kPendingMegabytesMax))
      ->capture_default_str();
  const std::map<std::string, double> units{{"ms", 0.001}, {"s", 1}, {"m", 60}, {"h", 3600}};
  mount_command
      ->add_option("--deadline", arguments->deadline_seconds,
                   "Until an operation in the mount fails instead of waiting on; of a publication, "
                   "each step")
      ->transform(CLI::AsNumberWithUnit(units, CLI::AsNumberWithUnit::CASE_SENSITIVE))
      ->check(CLI::Validator(check_deadline, ""))
      ->type_name("TIME")
      ->default_str("30s");
  mount_command
      ->add_option(
          "--publish-after", arguments->publish_after_seconds,
          "From the last change until it is published, if no fsync() comes before; at most "
          "twelve times as long from the first one")
      ->transform(CLI::AsNumberWithUnit(units, CLI::AsNumberWithUnit::CASE_SENSITIVE))
      ->check(CLI::Validator(check_publish_after, ""))
      ->type_name("TIME")
      ->default_str("5s");
  mount_command->callback([&globals, arguments] { mount_volume(globals, *arguments); });

  auto directory = std::make_shared<std::string>();
  auto may_discard = std::make_shared<bool>(false);
  auto* unmount_command = app.add_subcommand(
      "umount",
      "Publish what is pending and end a mount; also one whose process is gone, which left it");
  unmount_command->add_option("directory", *directory, "Where it is mounted")->required();
  unmount_command->add_flag("--discard", *may_discard,
                            "Also when what was changed there cannot be published: it is lost");
  unmount_command->callback(
      [&globals, directory, may_discard] { unmount_volume(globals, *directory, *may_discard); });
}

}  // namespace rosebud::apps
