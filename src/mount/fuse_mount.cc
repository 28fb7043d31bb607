#include "mount/fuse_mount.h"

#define FUSE_USE_VERSION 312
#include <fuse3/fuse_lowlevel.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <fstream>
#include <shared_mutex>
#include <thread>

#include "base/check.h"

namespace rosebud::mount {
namespace {

/// Operations that wait for the cluster hold a thread each; others must go on meanwhile.
constexpr unsigned kThreadsMax = 64;
constexpr unsigned kIdleThreadsMax = 8;
/// What the kernel may keep until it is told otherwise.
constexpr double kLastingSeconds = 86'400;
constexpr double kAskAgain = 0;
/// Offsets of a directory: "." and ".." come before its entries.
constexpr off_t kDots = 2;
constexpr std::size_t kPageEntries = 512;
/// Of one answer, below what a system takes at once (IOV_MAX, 1024). Somebody may have made a file
/// of single bytes, and an answer that is not taken leaves whoever asked waiting.
constexpr std::size_t kPiecesMax = 1'000;
constexpr unsigned kBlockSize = 4096;
constexpr blksize_t kPreferredSize = 128 << 10;  // the most that a kernel asks for at once

// ---- Answers ----

struct Served {
  FileSystem* file_system = nullptr;
  BlockCache* cache = nullptr;
  const std::function<void()>* on_ready = nullptr;
  /// Held by answers that may be kept, while they are sent; by one who tells what is to be
  /// forgotten, before.
  std::shared_mutex keeping;
};

Served& served(fuse_req_t request) { return *static_cast<Served*>(fuse_req_userdata(request)); }
FileSystem& file_system(fuse_req_t request) { return *served(request).file_system; }

void refuse(fuse_req_t request, ErrorNumber error) {
  fuse_reply_err(request, static_cast<int>(error));
}

mode_t type_of(fs::Kind kind) {
  switch (kind) {
    case fs::Kind::kFile:
      return S_IFREG;
    case fs::Kind::kDirectory:
      return S_IFDIR;
    case fs::Kind::kSymlink:
      return S_IFLNK;
  }
  return 0;
}

struct stat status_of(const Attributes& attributes) {
  struct stat out{};
  out.st_ino = attributes.number;
  out.st_mode = type_of(attributes.kind) | attributes.mode;
  out.st_nlink = 1;  // of a directory: that nobody counted what is in it
  out.st_uid = ::getuid();
  out.st_gid = ::getgid();
  out.st_size = static_cast<off_t>(attributes.bytes);
  out.st_blksize = kPreferredSize;
  out.st_blocks = static_cast<blkcnt_t>(attributes.bytes / 512 + (attributes.bytes % 512 != 0));
  out.st_mtim = {.tv_sec = attributes.modified.seconds,
                 .tv_nsec = static_cast<long>(attributes.modified.nanoseconds)};
  out.st_atim = out.st_mtim;
  out.st_ctim = out.st_mtim;
  return out;
}

/// While an answer is sent that is true of one state: whether it may be kept.
class Keeping {
 public:
  Keeping(Served& served, const Attributes& attributes) : kind_(attributes.kind) {
    const FileSystem& files = *served.file_system;
    // Who comes after the change began does not hold up who waits for those that came before.
    if (!files.is_settled(attributes.state)) return;
    lock_ = std::shared_lock(served.keeping);
    is_kept_ = files.is_settled(attributes.state);
  }
  double name_seconds() const { return is_kept_ ? kLastingSeconds : kAskAgain; }
  /// The content of a file is part of its inode (inodes.h): its attributes never change.
  double attribute_seconds() const {
    return kind_ == fs::Kind::kDirectory ? name_seconds() : kLastingSeconds;
  }

 private:
  fs::Kind kind_;
  std::shared_lock<std::shared_mutex> lock_;
  bool is_kept_ = false;
};

/// What the kernel keeps for an open file or directory and gives back with every question.
template <typename T>
std::uint64_t handle_of(std::shared_ptr<T> open) {
  return reinterpret_cast<std::uint64_t>(new std::shared_ptr<T>(std::move(open)));
}
template <typename T>
std::shared_ptr<T>* opened(const fuse_file_info* info) {
  return reinterpret_cast<std::shared_ptr<T>*>(info->fh);
}

/// A directory that is read, with the page that was read last.
struct ReadingDirectory {
  std::shared_ptr<OpenDirectory> directory;
  std::mutex mutex;
  // Under the mutex:
  std::vector<Entry> page;
  std::optional<Cursor> page_after;  // where the page begins
};

/// Whether it is being killed: a signal that ends it has come, and it waits for nothing but us.
bool is_dying(pid_t thread) {
  std::ifstream status("/proc/" + std::to_string(thread) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("SigPnd:")) continue;
    const auto pending = std::strtoull(line.c_str() + std::strlen("SigPnd:"), nullptr, 16);
    return (pending >> (SIGKILL - 1) & 1) != 0;
  }
  return false;
}

/// Whoever asked, while the answer is looked for. The kernel tells of every signal; one that does
/// not end the process must not end the reading either, since programs do not expect that of files.
class Asker {
 public:
  explicit Asker(fuse_req_t request)
      : request_(request), cache_(*served(request).cache), thread_(fuse_req_ctx(request)->pid) {
    fuse_req_interrupt_func(request_, on_interrupt, this);
  }
  ~Asker() { fuse_req_interrupt_func(request_, nullptr, nullptr); }
  Asker(const Asker&) = delete;
  Asker& operator=(const Asker&) = delete;

  const GivenUp* given_up() const { return &given_up_; }

 private:
  static void on_interrupt(fuse_req_t, void* data) {
    Asker& asker = *static_cast<Asker*>(data);
    if (!is_dying(asker.thread_)) return;
    asker.given_up_ = true;
    asker.cache_.wake();
  }

  fuse_req_t request_;
  BlockCache& cache_;
  pid_t thread_;
  GivenUp given_up_ = false;
};

/// What `question` answers, which takes who may give up. Before the reply, which ends the request.
template <typename Question>
auto ask(fuse_req_t request, Question question) {
  const Asker asker(request);
  return question(file_system(request), asker.given_up());
}

// ---- Questions ----

void on_init(void* data, fuse_conn_info*) {
  // Whoever asks from now on waits until the kernel has the answer to this, and is answered.
  (*static_cast<Served*>(data)->on_ready)();
}

void on_lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
  const auto found = ask(request, [&](FileSystem& files, const GivenUp* given_up) {
    return files.look_up(parent, name, given_up);
  });
  if (!found) return refuse(request, found.error());
  const Keeping keeping(served(request), *found);
  fuse_entry_param entry{};
  entry.ino = found->id;
  entry.attr = status_of(*found);
  entry.attr_timeout = keeping.attribute_seconds();
  entry.entry_timeout = keeping.name_seconds();
  // Nobody waits for it any more: the kernel does not know of this lookup.
  FileSystem& files = file_system(request);
  if (fuse_reply_entry(request, &entry) == -ENOENT) files.forget(found->id, 1);
}

void on_forget(fuse_req_t request, fuse_ino_t inode, std::uint64_t lookups) {
  file_system(request).forget(inode, lookups);
  fuse_reply_none(request);
}

void on_forget_multi(fuse_req_t request, std::size_t count, fuse_forget_data* forgotten) {
  for (const fuse_forget_data& one : std::span(forgotten, count))
    file_system(request).forget(one.ino, one.nlookup);
  fuse_reply_none(request);
}

void on_getattr(fuse_req_t request, fuse_ino_t inode, fuse_file_info*) {
  const auto found = ask(request, [&](FileSystem& files, const GivenUp* given_up) {
    return files.attributes(inode, given_up);
  });
  if (!found) return refuse(request, found.error());
  const struct stat status = status_of(*found);
  const Keeping keeping(served(request), *found);
  fuse_reply_attr(request, &status, keeping.attribute_seconds());
}

void on_readlink(fuse_req_t request, fuse_ino_t inode) {
  const auto target = file_system(request).link_target(inode);
  if (!target) return refuse(request, target.error());
  fuse_reply_readlink(request, target->c_str());
}

void on_open(fuse_req_t request, fuse_ino_t inode, fuse_file_info* info) {
  if ((info->flags & O_ACCMODE) != O_RDONLY) return refuse(request, ErrorNumber{EROFS});
  auto file = file_system(request).open(inode);
  if (!file) return refuse(request, file.error());
  info->fh = handle_of(std::move(*file));
  info->keep_cache = 1;  // another content is another inode
  info->noflush = 1;
  // A signal took who asked: nobody will give it back.
  if (fuse_reply_open(request, info) == -ENOENT) delete opened<OpenFile>(info);
}

void on_read(fuse_req_t request, fuse_ino_t, std::size_t count, off_t offset,
             fuse_file_info* info) {
  OpenFile& file = **opened<OpenFile>(info);
  const auto pieces = ask(request, [&](FileSystem& files, const GivenUp* given_up) {
    return files.read(file, static_cast<std::uint64_t>(offset), count, given_up);
  });
  if (!pieces) return refuse(request, pieces.error());
  std::vector<iovec> vectors;
  Bytes joined;
  if (pieces->size() <= kPiecesMax) {
    for (const Buffer& piece : *pieces) {
      vectors.push_back(
          {.iov_base = const_cast<std::uint8_t*>(piece.data()), .iov_len = piece.size()});
    }
  } else {
    for (const Buffer& piece : *pieces)
      joined.insert(joined.end(), piece.view().begin(), piece.view().end());
    vectors.push_back({.iov_base = joined.data(), .iov_len = joined.size()});
  }
  fuse_reply_iov(request, vectors.data(), static_cast<int>(vectors.size()));
}

void on_release(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
  delete opened<OpenFile>(info);
  fuse_reply_err(request, 0);
}

void on_opendir(fuse_req_t request, fuse_ino_t inode, fuse_file_info* info) {
  auto directory = ask(request, [&](FileSystem& files, const GivenUp* given_up) {
    return files.open_directory(inode, given_up);
  });
  if (!directory) return refuse(request, directory.error());
  auto reading = std::make_shared<ReadingDirectory>();
  reading->directory = std::move(*directory);
  info->fh = handle_of(std::move(reading));
  if (fuse_reply_open(request, info) == -ENOENT) delete opened<ReadingDirectory>(info);
}

/// Adds one entry; false: it has no room in the rest of `into`.
bool add_entry(fuse_req_t request, std::vector<char>& into, std::size_t& used, const char* name,
               std::uint64_t number, mode_t type, off_t next) {
  struct stat status{};
  status.st_ino = number;
  status.st_mode = type;
  const std::size_t left = into.size() - used;
  const std::size_t needed =
      fuse_add_direntry(request, into.data() + used, left, name, &status, next);
  if (needed > left) return false;
  used += needed;
  return true;
}

/// Behind `after`, from the page that is here where it has them. Requires: the mutex held.
Answer<std::span<const Entry>> entries_after(fuse_req_t request, ReadingDirectory& reading,
                                             Cursor after) {
  if (reading.page_after) {
    if (*reading.page_after == after) return std::span<const Entry>(reading.page);
    const auto at = std::ranges::find(reading.page, after, &Entry::next);
    if (at != reading.page.end() && at + 1 != reading.page.end())
      return std::span<const Entry>(at + 1, reading.page.end());
  }
  auto page = ask(request, [&](FileSystem& files, const GivenUp* given_up) {
    return files.read_directory(*reading.directory, after, kPageEntries, given_up);
  });
  if (!page) return fail(page.error());
  reading.page = std::move(*page);
  reading.page_after = after;
  return std::span<const Entry>(reading.page);
}

void on_readdir(fuse_req_t request, fuse_ino_t, std::size_t size, off_t offset,
                fuse_file_info* info) {
  ReadingDirectory& reading = **opened<ReadingDirectory>(info);
  const OpenDirectory& directory = *reading.directory;
  const std::lock_guard lock(reading.mutex);
  std::vector<char> reply(size);
  std::size_t used = 0;
  bool has_room = true;
  const auto add_dot = [&](off_t at, const char* name, std::uint64_t number) {
    if (offset <= at)
      has_room = has_room && add_entry(request, reply, used, name, number, S_IFDIR, at + 1);
  };
  add_dot(0, ".", directory.number);
  add_dot(1, "..", directory.parent_number);
  Cursor after = offset > kDots ? static_cast<Cursor>(offset - kDots) : 0;
  while (has_room) {
    const auto entries = entries_after(request, reading, after);
    // What is in the reply already is right; the next question meets the error again.
    if (!entries && used == 0) return refuse(request, entries.error());
    if (!entries || entries->empty()) break;
    for (const Entry& entry : *entries) {
      const std::string& name = entry.link.name;
      after = entry.next;
      // Nobody could open it, and the kernel would refuse them all.
      if (name.size() > fs::kNameMax) continue;
      // Only a raw block says by its id what it is.
      const mode_t type = entry.link.cid.codec == fs::Codec::kRaw ? mode_t{S_IFREG} : 0;
      has_room = add_entry(request, reply, used, name.c_str(), inode_number(directory.number, name),
                           type, static_cast<off_t>(entry.next) + kDots);
      if (!has_room) break;
    }
  }
  fuse_reply_buf(request, reply.data(), used);
}

void on_releasedir(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
  delete opened<ReadingDirectory>(info);
  fuse_reply_err(request, 0);
}

void on_statfs(fuse_req_t request, fuse_ino_t) {
  const auto usage = ask(
      request, [&](FileSystem& files, const GivenUp* given_up) { return files.usage(given_up); });
  if (!usage) return refuse(request, usage.error());
  struct statvfs out{};
  out.f_bsize = kBlockSize;
  out.f_frsize = kBlockSize;
  out.f_blocks = usage->bytes / kBlockSize + (usage->bytes % kBlockSize != 0);
  out.f_namemax = fs::kNameMax;
  out.f_flag = ST_RDONLY | ST_NOSUID;
  fuse_reply_statfs(request, &out);
}

/// What is not here the kernel answers itself: writing with EROFS, since the mount is read-only;
/// access() from the modes; extended attributes with ENOTSUP.
fuse_lowlevel_ops operations() {
  fuse_lowlevel_ops out{};
  out.init = on_init;
  out.lookup = on_lookup;
  out.forget = on_forget;
  out.forget_multi = on_forget_multi;
  out.getattr = on_getattr;
  out.readlink = on_readlink;
  out.open = on_open;
  out.read = on_read;
  out.release = on_release;
  out.opendir = on_opendir;
  out.readdir = on_readdir;
  out.releasedir = on_releasedir;
  out.statfs = on_statfs;
  return out;
}

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
  fuse_set_log_func(keep_said);
  auto impl = std::make_unique<Impl>();
  impl->served.cache = &cache;
  impl->served.file_system = &file_system;
  impl->operations = operations();
  // The modes of the volume count, its setuid bits do not: a stranger's tree must not bring a
  // program that runs as whoever mounted it.
  std::string words =
      "ro,nosuid,nodev,default_permissions,subtype=rosebud,fsname=" + options.source;
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
    for (const Changes::Name& one : changes.names) {
      fuse_lowlevel_notify_inval_entry(impl_->session, one.parent, one.name.c_str(),
                                       one.name.size());
    }
    for (const InodeId directory : changes.directories)
      fuse_lowlevel_notify_inval_inode(impl_->session, directory, -1, 0);
  });
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
    impl_->served.cache->close();  // nobody waits for the cluster any more
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
