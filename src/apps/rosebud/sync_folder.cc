#include "apps/rosebud/sync_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <iterator>
#include <system_error>

#include "apps/rosebud/file_parts.h"

namespace rosebud::apps {
namespace {

namespace stdfs = std::filesystem;
using fs::cannot_write;

/// What an owner needs to change what is in a directory.
constexpr std::uint32_t kOwnerMayChange = 0700;
constexpr std::uint32_t kNewDirectoryMode = 0755;
/// Of an unfinished file, until it has its own mode: others may be meant not to read it.
constexpr std::uint32_t kPartMode = 0600;
constexpr std::uint32_t kFileMode = 0644;

Explained cannot_read(const stdfs::path& path, std::string_view what, int error) {
  return {.what = "cannot read " + path.string() + ": " + std::string(what) + ": " +
                  std::generic_category().message(error),
          .cause = error == EACCES ? "its permissions do not let this user read it"
                   : error == ENOENT || error == ENOTDIR ? "it changed meanwhile"
                                                         : "",
          .next = error == ENOENT || error == ENOTDIR ? "run the same command again" : ""};
}

std::string name_of(std::string_view path) {
  if (path.empty()) return ".";
  const auto slash = path.rfind('/');
  return std::string(slash == std::string_view::npos ? path : path.substr(slash + 1));
}

std::string part_name(const fs::Cid& cid) { return "." + cid.text().substr(0, 24) + ".part"; }

/// Where a descriptor that gives no access otherwise leads: chmod() takes no such descriptor.
std::string place_of(const Descriptor& descriptor) {
  return "/proc/self/fd/" + std::to_string(descriptor.get());
}

std::array<timespec, 2> times_of(const fs::ModificationTime& modified) {
  return {{{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
           {.tv_sec = modified.seconds, .tv_nsec = modified.nanoseconds}}};
}

Result<std::string, Explained> read_link(int folder, const std::string& name,
                                         const stdfs::path& path) {
  std::array<char, PATH_MAX> target;
  const ssize_t n = ::readlinkat(folder, name.c_str(), target.data(), target.size());
  if (n < 0) return fail(cannot_read(path, "reading the link failed", errno));
  return std::string(target.data(), static_cast<std::size_t>(n));
}

Result<SyncEntry, Explained> look_at(int folder, const std::string& name, const stdfs::path& path,
                                     std::uint32_t mode_bits) {
  struct stat status{};
  if (::fstatat(folder, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
    return fail(cannot_read(path, "looking at it failed", errno));
  SyncEntry out{
      .kind = SyncKind::kSpecial,
      .attributes = {.mode = status.st_mode & mode_bits,
                     .modified = fs::ModificationTime{
                         .seconds = status.st_mtim.tv_sec,
                         .nanoseconds = static_cast<std::uint32_t>(status.st_mtim.tv_nsec)}}};
  if (S_ISREG(status.st_mode)) {
    out.kind = SyncKind::kFile;
    out.bytes = static_cast<std::uint64_t>(status.st_size);
  } else if (S_ISDIR(status.st_mode)) {
    out.kind = SyncKind::kDirectory;
  } else if (S_ISLNK(status.st_mode)) {
    auto target = read_link(folder, name, path);
    if (!target) return fail(target.error());
    out.kind = SyncKind::kSymlink;
    out.target = std::move(*target);
    out.attributes.mode.reset();
  }
  return out;
}

/// Names in a directory, without "." and "..".
Result<std::vector<std::string>, Explained> names_in(const Descriptor& folder,
                                                     const stdfs::path& path) {
  Descriptor readable(::openat(folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (readable.get() < 0) return fail(cannot_read(path, "opening failed", errno));
  DIR* const stream = ::fdopendir(readable.get());
  if (!stream) return fail(cannot_read(path, "listing failed", errno));
  readable.release();  // the stream's now
  std::vector<std::string> out;
  errno = 0;
  while (const dirent* entry = ::readdir(stream)) {
    std::string name = entry->d_name;
    if (name != "." && name != "..") out.push_back(std::move(name));
  }
  const int error = errno;
  ::closedir(stream);
  if (error != 0) return fail(cannot_read(path, "listing failed", error));
  return out;
}

/// Takes from the file as it was what is in the new one too, wherever it stands in either: cut by
/// content, an insertion leaves all pieces as they are but one or two.
class OldPieces final : public fs::BlockSource {
 public:
  OldPieces(fs::BlockSource& source, Descriptor old) : source_(source), old_(std::move(old)) {
    if (old_.get() < 0) return;
    DescriptorSource bytes(old_.get(), "the file as it was");
    fs::Chunker chunker(bytes, fs::Chunking::kByContent);
    off_t offset = 0;
    // Where it cannot be read, the rest is fetched.
    for (auto piece = chunker.next(); piece && !piece->empty(); piece = chunker.next()) {
      offsets_.emplace(fs::Cid::of(fs::Codec::kRaw, *piece), offset);
      offset += static_cast<off_t>(piece->size());
    }
  }

  Result<Buffer, Explained> get(const fs::Cid& cid) override { return source_.get(cid); }
  Result<Buffer, Explained> get_leaf(const fs::Cid& cid, std::uint64_t size) override {
    if (const auto at = offsets_.find(cid); at != offsets_.end() && size <= fs::kChunkSize) {
      Bytes bytes(static_cast<std::size_t>(size));
      const ssize_t n = ::pread(old_.get(), bytes.data(), bytes.size(), at->second);
      // It may have changed meanwhile.
      if (n == static_cast<ssize_t>(bytes.size()) && fs::Cid::of(fs::Codec::kRaw, bytes) == cid)
        return Buffer(std::move(bytes));
    }
    return source_.get_leaf(cid, size);
  }
  void prefetch(std::span<const fs::Cid> cids) override {
    std::vector<fs::Cid> missing;
    std::ranges::copy_if(cids, std::back_inserter(missing),
                         [&](const fs::Cid& cid) { return !offsets_.contains(cid); });
    source_.prefetch(missing);
  }

 private:
  fs::BlockSource& source_;
  Descriptor old_;
  std::map<fs::Cid, off_t> offsets_;
};

/// What has pieces at all, and is a regular file; negative: nothing.
Descriptor open_old(const Descriptor& folder, const std::string& name, std::uint64_t new_bytes) {
  if (new_bytes <= fs::kContentChunkMin) return Descriptor(-1);
  Descriptor old(
      ::openat(folder.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat status{};
  const bool is_of_use = old.get() >= 0 && ::fstat(old.get(), &status) == 0 &&
                         S_ISREG(status.st_mode) &&
                         static_cast<std::uint64_t>(status.st_size) > fs::kContentChunkMin;
  return is_of_use ? std::move(old) : Descriptor(-1);
}

}  // namespace

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

Result<SyncFolder, Explained> SyncFolder::open(const stdfs::path& path) {
  Descriptor root(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (root.get() < 0) {
    return fail(Explained{
        .what = "cannot open " + path.string() + ": " + std::generic_category().message(errno),
        .cause = errno == ENOTDIR ? "it is no directory" : "",
        .next = "see that the path is right"});
  }
  return SyncFolder(path, std::move(root));
}

Result<Descriptor, Explained> SyncFolder::folder(std::string_view path) const {
  Descriptor at(::openat(root_.get(), ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (at.get() < 0) return fail(cannot_read(path_, "opening failed", errno));
  for (std::string_view rest = path; !rest.empty();) {
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    const std::string name(rest.substr(0, slash));
    rest.remove_prefix(std::min(slash + 1, rest.size()));
    Descriptor next(
        ::openat(at.get(), name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (next.get() < 0) return fail(cannot_read(named(path), "reaching it failed", errno));
    at = std::move(next);
  }
  return at;
}

Result<Listing, Explained> SyncFolder::list(std::uint32_t mode_bits, std::size_t depth_max) const {
  struct Waiting {
    std::string path;
    std::size_t depth = 0;
  };
  ListingBuilder out;
  auto root = look_at(root_.get(), ".", path_, mode_bits);
  if (!root) return fail(root.error());
  if (auto added = out.add({}, std::move(*root)); !added) return fail(added.error());
  std::vector<Waiting> waiting{{}};
  while (!waiting.empty()) {
    const auto [above, depth] = std::move(waiting.back());
    waiting.pop_back();
    const auto at = folder(above);
    if (!at) return fail(at.error());
    const auto names = names_in(*at, named(above));
    if (!names) return fail(names.error());
    if (!names->empty() && depth >= depth_max) {
      return fail(Explained{
          .what = named(above).string() + " is nested too deeply",
          .cause = "a path of a volume has at most " + std::to_string(fs::kDepthMax) + " names"});
    }
    for (const std::string& name : *names) {
      const std::string path = above.empty() ? name : above + "/" + name;
      auto entry = look_at(at->get(), name, named(path), mode_bits);
      if (!entry) return fail(entry.error());
      if (entry->kind == SyncKind::kDirectory) waiting.push_back({path, depth + 1});
      if (auto added = out.add(path, std::move(*entry)); !added) return fail(added.error());
    }
  }
  return out.take();
}

/// Its mode and time are set anew by finish().
Result<Descriptor, Explained> SyncFolder::folder_to_change(const std::string& path) {
  auto at = folder(path);
  if (!at) return at;
  struct stat status{};
  if (::fstat(at->get(), &status) != 0) return fail(cannot_write(named(path), "failed", errno));
  const std::uint32_t mode = status.st_mode & 07777U;
  changed_.emplace(path, mode);
  // Where that is not allowed, the change itself says so.
  if ((mode & kOwnerMayChange) != kOwnerMayChange)
    (void)!::chmod(place_of(*at).c_str(), mode | kOwnerMayChange);
  return at;
}

Status<Explained> SyncFolder::make_directory(const std::string& path) {
  const auto above = folder_to_change(std::string(folder_of(path)));
  if (!above) return fail(above.error());
  if (::mkdirat(above->get(), name_of(path).c_str(), kOwnerMayChange) != 0)
    return fail(cannot_write(named(path), "making the directory failed", errno));
  changed_.insert_or_assign(path, kNewDirectoryMode);
  return {};
}

Status<Explained> SyncFolder::put_file(const std::string& path, const SyncEntry& entry,
                                       fs::BlockSource& blocks,
                                       const std::function<void(std::uint64_t)>& on_bytes) {
  const auto above = folder_to_change(std::string(folder_of(path)));
  if (!above) return fail(above.error());
  const std::string part = part_name(entry.cid);
  Descriptor file(::openat(above->get(), part.c_str(),
                           O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, kPartMode));
  if (file.get() < 0) return fail(cannot_write(named(path), "making the file failed", errno));
  struct stat status{};
  if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode))
    return fail(cannot_write(named(path), "writing beside it failed", EEXIST));
  OldPieces pieces(blocks, open_old(*above, name_of(path), entry.bytes));
  if (auto filled = fs::fill_file(file.get(), entry.cid, pieces, named(path), on_bytes); !filled)
    return filled;
  if (::fchmod(file.get(), entry.attributes.mode.value_or(kFileMode)) != 0)
    return fail(cannot_write(named(path), "setting its mode failed", errno));
  if (entry.attributes.modified &&
      ::futimens(file.get(), times_of(*entry.attributes.modified).data()) != 0)
    return fail(cannot_write(named(path), "setting its time failed", errno));
  if (::close(file.release()) != 0 ||
      ::renameat(above->get(), part.c_str(), above->get(), name_of(path).c_str()) != 0)
    return fail(cannot_write(named(path), "finishing failed", errno));
  return {};
}

Status<Explained> SyncFolder::put_symlink(const std::string& path, const SyncEntry& entry) {
  const auto above = folder_to_change(std::string(folder_of(path)));
  if (!above) return fail(above.error());
  const std::string part = part_name(entry.cid);
  // Left by a run that was interrupted.
  if (::unlinkat(above->get(), part.c_str(), 0) != 0 && errno != ENOENT)
    return fail(cannot_write(named(path), "writing beside it failed", errno));
  if (::symlinkat(entry.target.c_str(), above->get(), part.c_str()) != 0)
    return fail(cannot_write(named(path), "making the link failed", errno));
  if (entry.attributes.modified &&
      ::utimensat(above->get(), part.c_str(), times_of(*entry.attributes.modified).data(),
                  AT_SYMLINK_NOFOLLOW) != 0)
    return fail(cannot_write(named(path), "setting its time failed", errno));
  if (::renameat(above->get(), part.c_str(), above->get(), name_of(path).c_str()) != 0)
    return fail(cannot_write(named(path), "finishing failed", errno));
  return {};
}

Status<Explained> SyncFolder::set_attributes(const std::string& path,
                                             const fs::Attributes& attributes) {
  const auto above = folder(folder_of(path));
  if (!above) return fail(above.error());
  const std::string name = name_of(path);
  const Descriptor at(::openat(above->get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat status{};
  if (at.get() < 0 || ::fstat(at.get(), &status) != 0)
    return fail(cannot_write(named(path), "reaching it failed", errno));
  if (attributes.mode && !S_ISLNK(status.st_mode) &&
      ::chmod(place_of(at).c_str(), *attributes.mode) != 0)
    return fail(cannot_write(named(path), "setting its mode failed", errno));
  if (attributes.modified &&
      ::utimensat(above->get(), name.c_str(), times_of(*attributes.modified).data(),
                  AT_SYMLINK_NOFOLLOW) != 0)
    return fail(cannot_write(named(path), "setting its time failed", errno));
  return {};
}

Status<Explained> SyncFolder::remove(const std::string& path, SyncKind kind) {
  const auto above = folder_to_change(std::string(folder_of(path)));
  if (!above) return fail(above.error());
  const int flags = kind == SyncKind::kDirectory ? AT_REMOVEDIR : 0;
  if (::unlinkat(above->get(), name_of(path).c_str(), flags) != 0 && errno != ENOENT)
    return fail(cannot_write(named(path), "removing it failed", errno));
  changed_.erase(path);
  return {};
}

Status<Explained> SyncFolder::finish(const Listing& wanted) {
  // The deepest first: the one above may forbid to reach it.
  while (!changed_.empty()) {
    const auto [path, mode] = *changed_.rbegin();
    changed_.erase(std::prev(changed_.end()));
    fs::Attributes attributes{.mode = mode};
    if (const auto at = wanted.find(path); at != wanted.end()) {
      if (at->second.attributes.mode) attributes.mode = at->second.attributes.mode;
      attributes.modified = at->second.attributes.modified;
    }
    if (auto set = set_attributes(path, attributes); !set) return set;
  }
  return {};
}

}  // namespace rosebud::apps
