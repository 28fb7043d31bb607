#include "mount/fuse_mount.h"

#include <pthread.h>
#include <signal.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <thread>

#include "mount/file_system.h"
#include "mount/fuse_parts.h"

namespace rosebud::mount {
namespace {

/// Operations that wait for the cluster hold a thread each; others must go on meanwhile.
constexpr unsigned kThreadsMax = 64;
constexpr unsigned kIdleThreadsMax = 8;

// ---- What libfuse says ----

std::mutex said_mutex;
std::string said;  // the last of it, under the mutex

/// It would write to standard error; what it says belongs into our own error.
void keep_said(fuse_log_level, const char* format, va_list arguments) {
  std::array<char, 512> text{};
  std::vsnprintf(text.data(), text.size(), format, arguments);
  const std::lock_guard lock(said_mutex);
  said = text.data();
  while (said.ends_with('\n')) said.pop_back();
}

std::string last_said() {
  const std::lock_guard lock(said_mutex);
  return said;
}

void wake(int) {}

}  // namespace

struct FuseMount::Impl {
  Served served;
  fuse_lowlevel_ops operations{};
  fuse_session* session = nullptr;
};

FuseMount::FuseMount(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<FuseMount>, Explained> FuseMount::open(FileSystem& file_system,
                                                              BlockCache& cache,
                                                              const MountOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->served.cache = &cache;
  impl->served.file_system = &file_system;
  impl->operations = reading_operations();
  return open(std::move(impl), "ro,", options);
}

Result<std::unique_ptr<FuseMount>, Explained> FuseMount::open(WritableFileSystem& file_system,
                                                              Publications& publications,
                                                              BlockCache& cache,
                                                              const MountOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->served.cache = &cache;
  impl->served.writable = &file_system;
  impl->served.publications = &publications;
  impl->operations = writing_operations();
  return open(std::move(impl), "", options);
}

Result<std::unique_ptr<FuseMount>, Explained> FuseMount::open(std::unique_ptr<Impl> impl,
                                                              const std::string& more,
                                                              const MountOptions& options) {
  fuse_set_log_func(keep_said);
  // The modes of the volume count, its setuid bits do not: a stranger's tree must not bring a
  // program that runs as whoever mounted it.
  std::string words =
      more + "nosuid,nodev,default_permissions,subtype=rosebud,fsname=" + options.source;
  std::array<std::string, 3> arguments{"rosebud", "-o", std::move(words)};
  std::array<char*, 3> pointers{arguments[0].data(), arguments[1].data(), arguments[2].data()};
  fuse_args args = FUSE_ARGS_INIT(static_cast<int>(pointers.size()), pointers.data());
  impl->session =
      fuse_session_new(&args, &impl->operations, sizeof impl->operations, &impl->served);
  fuse_opt_free_args(&args);
  const auto failed = [&] {
    return fail(Explained{.what = "cannot mount on " + options.directory.string(),
                          .cause = last_said(),
                          .next = "without root this needs the package fuse3 (fusermount3) and the "
                                  "right to open /dev/fuse; everything but the mount works "
                                  "without: rosebud fs"});
  };
  if (!impl->session) return failed();
  if (fuse_session_mount(impl->session, options.directory.c_str()) != 0) {
    fuse_session_destroy(impl->session);
    return failed();
  }
  return std::unique_ptr<FuseMount>(new FuseMount(std::move(impl)));
}

FuseMount::~FuseMount() {
  fuse_session_unmount(impl_->session);
  fuse_session_destroy(impl_->session);
}

Status<Explained> FuseMount::show(const fs::Cid& root) {
  return impl_->served.file_system->switch_to(root, [this](const Changes& changes) {
    // Answers that are being sent may still be kept.
    {
      const std::unique_lock lock(impl_->served.keeping);
    }
    tell(changes);
  });
}

void FuseMount::tell(const Changes& changes) {
  for (const Changes::Name& one : changes.names) {
    fuse_lowlevel_notify_inval_entry(impl_->session, one.parent, one.name.c_str(), one.name.size());
  }
  for (const InodeId directory : changes.directories)
    fuse_lowlevel_notify_inval_inode(impl_->session, directory, -1, 0);
}

Status<Explained> FuseMount::serve(const Moments& moments) {
  impl_->served.on_ready = &moments.on_ready;
  struct sigaction action{};
  action.sa_handler = wake;
  ::sigaction(SIGUSR1, &action, nullptr);
  sigset_t ending;
  sigemptyset(&ending);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&ending, signal);
  std::atomic<bool> has_ended = false;
  const pthread_t loop = ::pthread_self();
  std::thread watcher([&] {
    int signal = 0;
    (void)::sigwait(&ending, &signal);
    if (has_ended) return;
    // Nobody waits for the cluster any more; but what was written needs it.
    if (!impl_->served.writable) impl_->served.cache->close();
    moments.on_end();
    fuse_session_exit(impl_->session);
    // The loop may be about to sleep when the first one comes.
    while (!has_ended) {
      ::pthread_kill(loop, SIGUSR1);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  });
  fuse_loop_config* config = fuse_loop_cfg_create();
  fuse_loop_cfg_set_max_threads(config, kThreadsMax);
  fuse_loop_cfg_set_idle_threads(config, kIdleThreadsMax);
  fuse_loop_cfg_set_clone_fd(config, 0);
  const int result = fuse_session_loop_mt(impl_->session, config);
  fuse_loop_cfg_destroy(config);
  has_ended = true;
  ::pthread_kill(watcher.native_handle(), SIGTERM);
  watcher.join();
  if (result < 0) {
    return fail(Explained{.what = std::string("the mount broke off: ") + std::strerror(-result),
                          .cause = last_said(),
                          .next = "mount it again"});
  }
  return {};
}

}  // namespace rosebud::mount
