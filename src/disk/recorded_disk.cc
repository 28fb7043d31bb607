#include "disk/recorded_disk.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstdarg>
#include <fstream>
#include <mutex>
#include <utility>

#include "base/check.h"

namespace rosebud::disk {
namespace {

namespace stdfs = std::filesystem;
using Kind = DiskCall::Kind;

/// The C library's own.
template <typename Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

struct OpenFile {
  std::string path;
  int inode = 0;
};

/// What is recorded, and what that needs to know of the present.
struct Recording {
  std::string folder;
  std::vector<DiskCall> calls;
  std::map<std::string, int> inodes;  // by path below the folder
  std::map<int, OpenFile> open;       // by descriptor
  int inodes_made = 0;
};

// Recursive: what runs while it is held may call the library in turn.
std::recursive_mutex& mutex() {
  static std::recursive_mutex made;
  return made;
}
Recording* recording = nullptr;  // under the mutex

/// The path below the recorded folder; nothing for any other.
std::optional<std::string> inside(const char* path) {
  if (!recording || !path) return std::nullopt;
  const std::string_view whole = path;
  if (!whole.starts_with(recording->folder)) return std::nullopt;
  const std::string_view rest = whole.substr(recording->folder.size());
  if (rest.empty()) return std::string();
  if (rest.front() != '/') return std::nullopt;
  const std::string normal = stdfs::path(rest.substr(1)).lexically_normal().string();
  return normal.ends_with('/') ? normal.substr(0, normal.size() - 1) : normal;
}

void add(DiskCall call) { recording->calls.push_back(std::move(call)); }

int inode_of(const std::string& path) {
  const auto at = recording->inodes.find(path);
  return at == recording->inodes.end() ? 0 : at->second;
}

void note_open(int fd, const std::string& path, int flags) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return;
  int inode = 0;
  if (S_ISREG(status.st_mode)) {
    inode = inode_of(path);
    if (inode == 0 && (flags & O_CREAT) != 0) {
      inode = ++recording->inodes_made;
      recording->inodes[path] = inode;
      add({.kind = Kind::kCreate, .inode = inode, .path = path});
    } else if (inode != 0 && (flags & O_TRUNC) != 0) {
      add({.kind = Kind::kTruncate, .inode = inode});
    }
  }
  recording->open[fd] = {.path = path, .inode = inode};
}

/// The recorded file behind a descriptor; 0: none.
int inode_behind(int fd) {
  if (!recording) return 0;
  const auto at = recording->open.find(fd);
  return at == recording->open.end() ? 0 : at->second.inode;
}

std::uint64_t position_of(int fd) {
  struct stat status{};
  if ((::fcntl(fd, F_GETFL) & O_APPEND) != 0 && ::fstat(fd, &status) == 0)
    return static_cast<std::uint64_t>(status.st_size);
  return static_cast<std::uint64_t>(::lseek(fd, 0, SEEK_CUR));
}

void note_write(int inode, std::uint64_t offset, const void* bytes, ssize_t size) {
  if (size <= 0) return;
  const auto* begin = static_cast<const std::uint8_t*>(bytes);
  add({.kind = Kind::kWrite, .inode = inode, .offset = offset, .data = Bytes(begin, begin + size)});
}

int note_sync(int fd) {
  const std::lock_guard lock(mutex());
  if (!recording) return 0;
  const auto at = recording->open.find(fd);
  if (at == recording->open.end()) return 0;
  if (at->second.inode != 0) {
    add({.kind = Kind::kSync, .inode = at->second.inode});
  } else {
    add({.kind = Kind::kSyncFolder, .path = at->second.path});
  }
  return 0;
}

void note_gone(const char* path) {
  const auto name = inside(path);
  if (!name || inode_of(*name) == 0) return;
  recording->inodes.erase(*name);
  add({.kind = Kind::kRemove, .path = *name});
}

void note_named(const char* from, const char* to, Kind kind) {
  const auto before = inside(from);
  const auto after = inside(to);
  const int inode = before ? inode_of(*before) : 0;
  if (inode == 0 || !after) return;
  recording->inodes[*after] = inode;
  if (kind == Kind::kRename) recording->inodes.erase(*before);
  add({.kind = kind, .inode = inode, .path = *before, .to = *after});
}

std::string folder_of(const std::string& path) { return stdfs::path(path).parent_path().string(); }

void put_at(Bytes& content, std::uint64_t offset, ByteView data) {
  if (content.size() < offset + data.size()) content.resize(offset + data.size());
  std::copy(data.begin(), data.end(), content.begin() + static_cast<std::ptrdiff_t>(offset));
}

void write_to(Bytes& content, const DiskCall& call) {
  if (call.kind == Kind::kTruncate) return content.resize(call.offset);
  put_at(content, call.offset, call.data);
}

}  // namespace

RecordedDisk::RecordedDisk(const stdfs::path& folder) {
  const std::lock_guard lock(mutex());
  CHECK(!recording);
  recording = new Recording{.folder = stdfs::canonical(folder).string()};
}

RecordedDisk::~RecordedDisk() { (void)take(); }

std::size_t RecordedDisk::count() const {
  const std::lock_guard lock(mutex());
  return recording->calls.size();
}

std::vector<DiskCall> RecordedDisk::take() {
  const std::lock_guard lock(mutex());
  if (!recording) return {};
  std::vector<DiskCall> out = std::move(recording->calls);
  delete std::exchange(recording, nullptr);
  return out;
}

// ---- Replaying ----

void DiskReplay::change(const std::string& folder, NameChange change) {
  for (const auto& [path, inode] : change) {
    if (inode) {
      now_[path] = *inode;
    } else {
      now_.erase(path);
    }
  }
  unsynced_[folder].push_back(std::move(change));
}

void DiskReplay::rename(const DiskCall& call, bool is_moved) {
  CHECK(folder_of(call.path) == folder_of(call.to));  // then it is one change
  NameChange both{{call.to, call.inode}};
  if (is_moved) both.emplace_back(call.path, std::nullopt);
  change(folder_of(call.to), std::move(both));
}

bool DiskReplay::is_after_sync() const {
  if (next_ == 0) return true;
  const Kind last = calls_[next_ - 1].kind;
  return last == Kind::kSync || last == Kind::kSyncFolder;
}

void DiskReplay::advance() {
  const DiskCall& call = calls_[next_++];
  switch (call.kind) {
    case Kind::kCreate:
      return change(folder_of(call.path), {{call.path, call.inode}});
    case Kind::kMakeFolder:
      return change(folder_of(call.path), {{call.path, kFolder}});
    case Kind::kRemove:
      return change(folder_of(call.path), {{call.path, std::nullopt}});
    case Kind::kRename:
      return rename(call, true);
    case Kind::kLink:
      return rename(call, false);
    case Kind::kWrite:
    case Kind::kTruncate: {
      File& file = files_[call.inode];
      write_to(file.now, call);
      file.unsynced.push_back(call);
      return;
    }
    case Kind::kSync: {
      File& file = files_[call.inode];
      file.synced = file.now;
      file.unsynced.clear();
      return;
    }
    case Kind::kSyncFolder:
      for (const NameChange& one : std::exchange(unsynced_[call.path], {})) {
        for (const auto& [path, inode] : one) {
          if (inode) {
            synced_[path] = *inode;
          } else {
            synced_.erase(path);
          }
        }
      }
  }
}

Bytes DiskReplay::content(const File& file, Loss loss, Random& random) const {
  if (loss == Loss::kNothing) return file.now;
  Bytes out = file.synced;
  if (loss == Loss::kUnsynced || file.unsynced.empty()) return out;
  const std::size_t kept = random.below(file.unsynced.size() + 1);
  for (std::size_t i = 0; i < kept; ++i) {
    DiskCall call = file.unsynced[i];
    const bool is_last = i + 1 == kept;
    if (is_last && random.chance(1, 2)) call.data.resize(random.below(call.data.size() + 1));
    // The file grew, but its blocks were not written yet.
    if (random.chance(1, 8)) std::ranges::fill(call.data, std::uint8_t{0});
    write_to(out, call);
  }
  return out;
}

DiskReplay::Names DiskReplay::names(Loss loss, Random& random) const {
  if (loss == Loss::kNothing) return now_;
  Names out = synced_;
  if (loss == Loss::kUnsynced) return out;
  for (const auto& [folder, changes] : unsynced_) {
    const std::size_t kept = random.below(changes.size() + 1);
    for (std::size_t i = 0; i < kept; ++i) {
      for (const auto& [path, inode] : changes[i]) {
        if (inode) {
          out[path] = *inode;
        } else {
          out.erase(path);
        }
      }
    }
  }
  return out;
}

void DiskReplay::show(Loss loss, Random& random, const stdfs::path& to) const {
  stdfs::create_directories(to);
  // Folders first: they are shorter than what is in them. What is in a folder that is gone is gone.
  for (const auto& [path, inode] : names(loss, random)) {
    if (!stdfs::exists((to / path).parent_path())) continue;
    if (inode == kFolder) {
      stdfs::create_directory(to / path);
      continue;
    }
    const auto file = files_.find(inode);
    const Bytes bytes = file == files_.end() ? Bytes() : content(file->second, loss, random);
    std::ofstream(to / path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  }
}

}  // namespace rosebud::disk

// ---- The calls of the C library ----

using rosebud::disk::DiskCall;
using namespace rosebud::disk;  // NOLINT: what follows are the library's names

extern "C" {

int open(const char* path, int flags, ...) {
  mode_t mode = 0;
  if ((flags & (O_CREAT | O_TMPFILE)) != 0) {
    va_list rest;
    va_start(rest, flags);
    mode = va_arg(rest, mode_t);
    va_end(rest);
  }
  static auto* const call = real<int(const char*, int, ...)>("open");
  const std::lock_guard lock(mutex());
  const int fd = call(path, flags, mode);
  if (const auto name = fd >= 0 ? inside(path) : std::nullopt) note_open(fd, *name, flags);
  return fd;
}

int close(int fd) {
  static auto* const call = real<int(int)>("close");
  const std::lock_guard lock(mutex());
  if (recording) recording->open.erase(fd);
  return call(fd);
}

ssize_t write(int fd, const void* bytes, size_t size) {
  static auto* const call = real<ssize_t(int, const void*, size_t)>("write");
  const std::lock_guard lock(mutex());
  const int inode = inode_behind(fd);
  const std::uint64_t offset = inode != 0 ? position_of(fd) : 0;
  const ssize_t done = call(fd, bytes, size);
  if (inode != 0) note_write(inode, offset, bytes, done);
  return done;
}

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  static auto* const call = real<ssize_t(int, const void*, size_t, off_t)>("pwrite");
  const std::lock_guard lock(mutex());
  const ssize_t done = call(fd, bytes, size, offset);
  if (const int inode = inode_behind(fd); inode != 0)
    note_write(inode, static_cast<std::uint64_t>(offset), bytes, done);
  return done;
}

ssize_t pwritev(int fd, const struct iovec* parts, int count, off_t offset) {
  static auto* const call = real<ssize_t(int, const struct iovec*, int, off_t)>("pwritev");
  const std::lock_guard lock(mutex());
  const ssize_t done = call(fd, parts, count, offset);
  const int inode = inode_behind(fd);
  if (inode == 0 || done <= 0) return done;
  std::vector<std::uint8_t> whole;
  for (int i = 0; i < count; ++i) {
    const auto* begin = static_cast<const std::uint8_t*>(parts[i].iov_base);
    whole.insert(whole.end(), begin, begin + parts[i].iov_len);
  }
  note_write(inode, static_cast<std::uint64_t>(offset), whole.data(), done);
  return done;
}

int fsync(int fd) { return note_sync(fd); }
int fdatasync(int fd) { return note_sync(fd); }

int ftruncate(int fd, off_t size) noexcept {
  static auto* const call = real<int(int, off_t)>("ftruncate");
  const std::lock_guard lock(mutex());
  const int result = call(fd, size);
  if (const int inode = inode_behind(fd); inode != 0 && result == 0)
    add({.kind = DiskCall::Kind::kTruncate,
         .inode = inode,
         .offset = static_cast<std::uint64_t>(size)});
  return result;
}

int rename(const char* from, const char* to) noexcept {
  static auto* const call = real<int(const char*, const char*)>("rename");
  const std::lock_guard lock(mutex());
  const int result = call(from, to);
  if (result == 0) note_named(from, to, DiskCall::Kind::kRename);
  return result;
}

int link(const char* from, const char* to) noexcept {
  static auto* const call = real<int(const char*, const char*)>("link");
  const std::lock_guard lock(mutex());
  const int result = call(from, to);
  if (result == 0) note_named(from, to, DiskCall::Kind::kLink);
  return result;
}

int unlink(const char* path) noexcept {
  static auto* const call = real<int(const char*)>("unlink");
  const std::lock_guard lock(mutex());
  const int result = call(path);
  if (result == 0) note_gone(path);
  return result;
}

int remove(const char* path) noexcept {
  static auto* const call = real<int(const char*)>("remove");
  const std::lock_guard lock(mutex());
  const int result = call(path);
  if (result == 0) note_gone(path);
  return result;
}

int mkdir(const char* path, mode_t mode) noexcept {
  static auto* const call = real<int(const char*, mode_t)>("mkdir");
  const std::lock_guard lock(mutex());
  const int result = call(path, mode);
  if (const auto name = result == 0 ? inside(path) : std::nullopt)
    add({.kind = DiskCall::Kind::kMakeFolder, .path = *name});
  return result;
}

}  // extern "C"
