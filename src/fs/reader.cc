#include "fs/reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <system_error>

#include "fs/shard.h"

namespace rosebud::fs {
namespace {

namespace stdfs = std::filesystem;

/// 1024^5 chunks of a mebibyte are more than there are disks.
constexpr std::size_t kFileDepthMax = 6;
/// Entries of one directory that are held in memory while it is listed.
constexpr std::size_t kEntriesMax = 10'000'000;
constexpr std::size_t kPrefetch = 32;
/// No block is larger, whatever a node says.
constexpr std::size_t kLeafSizeMax = 2U << 20;

/// Links of a file that are still to do, with how many bytes each must yield.
struct Pending {
  std::vector<Link> links;
  std::vector<std::uint64_t> sizes;
  std::size_t next = 0;
  std::size_t prefetched = 0;
};

void prefetch(Pending& level, BlockSource& source) {
  if (level.next + kPrefetch / 2 < level.prefetched || level.prefetched == level.links.size())
    return;
  std::vector<Cid> cids;
  const std::size_t end = std::min(level.links.size(), level.next + kPrefetch);
  for (std::size_t i = level.prefetched; i < end; ++i) cids.push_back(level.links[i].cid);
  level.prefetched = end;
  source.prefetch(cids);
}

}  // namespace

Result<DagNode, Explained> get_node(const Cid& cid, BlockSource& source) {
  auto block = source.get(cid);
  if (!block) return fail(block.error());
  if (cid.codec == Codec::kRaw) {
    DagNode node{.type = NodeType::kRaw};
    node.filesize = block->size();
    return node;
  }
  auto node = DagNode::decode(block->view());
  if (!node) return fail(unsound(cid, "it is no UnixFS node"));
  return std::move(*node);
}

Result<std::uint64_t, Explained> read_file(const Cid& cid, BlockSource& source,
                                           const ByteSink& sink) {
  std::vector<Pending> levels;
  levels.push_back({.links = {{.name = {}, .cid = cid}}, .sizes = {}});
  std::uint64_t total = 0;
  while (!levels.empty()) {
    Pending& level = levels.back();
    if (level.next == level.links.size()) {
      levels.pop_back();
      continue;
    }
    prefetch(level, source);
    const std::size_t at = level.next++;
    const Cid child = level.links[at].cid;
    const std::optional<std::uint64_t> expected =
        level.sizes.empty() ? std::nullopt : std::optional(level.sizes[at]);
    const bool is_sized_leaf = expected && child.codec == Codec::kRaw;
    auto block = is_sized_leaf ? source.get_leaf(child, *expected) : source.get(child);
    if (!block) return fail(block.error());
    if (child.codec == Codec::kRaw) {
      if (expected && *expected != block->size())
        return fail(unsound(child, "a piece has another length than was said"));
      total += block->size();
      if (auto written = sink(block->view()); !written) return fail(written.error());
      continue;
    }
    auto node = DagNode::decode(block->view());
    if (!node) return fail(unsound(child, "it is no UnixFS node"));
    if (node->type == NodeType::kDirectory || node->type == NodeType::kShard) {
      return fail(
          Explained{.what = child.text() + " is a directory",
                    .cause = {},
                    .next = "list it with `rosebud ls`, or fetch it whole with `rosebud get`"});
    }
    if (node->type == NodeType::kSymlink && levels.size() == 1) {
      return fail(Explained{
          .what =
              child.text() + " is a symbolic link to '" + std::string(as_text(node->data)) + "'",
          .cause = {},
          .next = "cat what it points to, or fetch the link itself with `rosebud get`"});
    }
    if (node->type == NodeType::kSymlink) return fail(unsound(child, "it is a symbolic link"));
    std::uint64_t sum = node->data.size();
    for (std::uint64_t size : node->blocksizes) sum += size;
    const bool is_sound = node->blocksizes.size() == node->links.size() && node->filesize == sum &&
                          (!expected || *expected == sum) && levels.size() < kFileDepthMax;
    if (!is_sound) return fail(unsound(child, "its sizes contradict each other"));
    if (!node->data.empty()) {
      total += node->data.size();
      if (auto written = sink(node->data); !written) return fail(written.error());
    }
    levels.push_back({.links = std::move(node->links), .sizes = std::move(node->blocksizes)});
  }
  return total;
}

Result<std::vector<DirectoryEntry>, Explained> list_directory(const Cid& cid, BlockSource& source) {
  std::vector<DirectoryEntry> out;
  std::vector<std::pair<Cid, std::size_t>> shards{{cid, 0}};
  while (!shards.empty()) {
    const auto [at, level] = shards.back();
    shards.pop_back();
    auto node = get_node(at, source);
    if (!node) return fail(node.error());
    const bool is_shard = node->type == NodeType::kShard;
    if (!is_shard && (node->type != NodeType::kDirectory || level > 0)) {
      return fail(
          level > 0
              ? unsound(cid, "a shard is no shard")
              : Explained{.what = at.text() + " is not a directory",
                          .cause = {},
                          .next = "read it with `rosebud cat`, or fetch it with `rosebud get`"});
    }
    if (is_shard && level >= kShardLevels) return fail(unsound(cid, "its shards nest too deeply"));
    for (Link& link : node->links) {
      if (is_shard) {
        if (link.name.size() < kSlotDigits)
          return fail(unsound(cid, "a link of a shard has no slot"));
        link.name.erase(0, kSlotDigits);
        if (link.name.empty()) {
          shards.emplace_back(link.cid, level + 1);
          continue;
        }
      }
      if (!is_entry_name(link.name)) return fail(unsound(cid, "it holds a name that is none"));
      if (out.size() >= kEntriesMax) return fail(unsound(cid, "it has too many entries"));
      out.push_back({.name = std::move(link.name), .cid = link.cid, .tsize = link.tsize});
    }
  }
  std::ranges::sort(out, {}, &DirectoryEntry::name);
  const auto twice = std::ranges::adjacent_find(out, {}, &DirectoryEntry::name);
  if (twice != out.end()) return fail(unsound(cid, "it holds a name twice"));
  return out;
}

Result<Described, Explained> describe(const Cid& cid, BlockSource& source) {
  const auto node = get_node(cid, source);
  if (!node) return fail(node.error());
  return describe_node(*node);
}

Described describe_node(const DagNode& node) {
  switch (node.type) {
    case NodeType::kDirectory:
    case NodeType::kShard: {
      std::uint64_t below = 0;
      for (const Link& link : node.links) below += link.tsize;
      return Described{.kind = Kind::kDirectory, .bytes = below, .attributes = node.attributes};
    }
    case NodeType::kSymlink:
      return Described{.kind = Kind::kSymlink,
                       .target = std::string(as_text(node.data)),
                       .attributes = node.attributes};
    case NodeType::kRaw:
    case NodeType::kFile:
      break;
  }
  return Described{.kind = Kind::kFile,
                   .bytes = node.filesize.value_or(node.data.size()),
                   .attributes = node.attributes};
}

Result<Cid, Explained> resolve(std::string_view path, BlockSource& source) {
  std::string_view rest = path;
  if (rest.starts_with("ipfs://")) rest.remove_prefix(7);
  if (rest.starts_with("/ipfs/")) rest.remove_prefix(6);
  while (rest.ends_with('/')) rest.remove_suffix(1);
  auto slash = rest.find('/');
  auto cid = Cid::parse(rest.substr(0, slash));
  if (!cid) return cid;
  while (slash != std::string_view::npos) {
    rest = rest.substr(slash + 1);
    slash = rest.find('/');
    const std::string_view name = rest.substr(0, slash);
    if (name.empty()) continue;
    const auto entries = list_directory(*cid, source);
    if (!entries) return fail(entries.error());
    const auto at = std::ranges::lower_bound(*entries, name, {}, &DirectoryEntry::name);
    if (at == entries->end() || at->name != name) {
      return fail(Explained{.what = "there is no '" + std::string(name) + "' in " + cid->text(),
                            .cause = "the path is wrong",
                            .next = "see what is there: rosebud ls " + cid->text(),
                            .trouble = Trouble::kNotFound});
    }
    cid = at->cid;
  }
  return cid;
}

// ---- Onto a disk ----

Explained cannot_write(const stdfs::path& path, std::string_view what, int error) {
  return {.what = "cannot write " + path.string() + ": " + std::string(what) + ": " +
                  std::generic_category().message(error),
          .cause = error == ENOSPC || error == EDQUOT  ? "the file system is full"
                   : error == EACCES || error == EROFS ? "this user may not write there"
                   : error == ENOENT  ? "the folder that it would stand in is not there"
                   : error == ENOTDIR ? "something else stands where a folder is needed"
                                      : "",
          .next = error == ENOSPC || error == EDQUOT
                      ? "make room and run the same command again: what is whole is kept"
                  : error == ENOENT                     ? "make the folder first"
                  : error == ENOTDIR || error == EACCES ? "choose another target"
                                                        : ""};
}

namespace {

/// Counts and drops: to learn the id of what is on the disk.
class NullSink final : public BlockSink {
 public:
  Status<Explained> put(const Cid&, Buffer) override { return {}; }
};

constexpr std::uint32_t kPermissionBits = 0777;
constexpr std::uint32_t kModeBits = 07777;

struct Times {
  timespec of[2];  // of access, which is left alone, and of modification
};
Times times_of(const ModificationTime& modified) {
  return {{{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
           {.tv_sec = modified.seconds, .tv_nsec = modified.nanoseconds}}};
}

/// Takes the leaves that an interrupted run left in the file, and the rest from `source`. What it
/// left is believed when it hashes to the leaf's id.
class ResumingSource final : public BlockSource {
 public:
  /// `offset` is where the next leaf belongs; it moves as the file is written.
  ResumingSource(BlockSource& source, int fd, const off_t& offset)
      : source_(source), fd_(fd), offset_(offset) {
    struct stat status{};
    if (::fstat(fd, &status) == 0) left_ = status.st_size;
  }

  Result<Buffer, Explained> get(const Cid& cid) override { return source_.get(cid); }
  Result<Buffer, Explained> get_leaf(const Cid& cid, std::uint64_t size) override {
    if (auto leaf = left_leaf(cid, size)) return std::move(*leaf);
    return source_.get_leaf(cid, size);
  }
  void prefetch(std::span<const Cid> cids) override {
    if (offset_ >= left_) source_.prefetch(cids);
  }

 private:
  /// Lengths differ from leaf to leaf where the content cut them: the node above says each.
  std::optional<Buffer> left_leaf(const Cid& cid, std::uint64_t size) const {
    if (offset_ >= left_ || size > kLeafSizeMax ||
        size > static_cast<std::uint64_t>(left_ - offset_))
      return std::nullopt;
    Bytes bytes(static_cast<std::size_t>(size));
    for (std::size_t done = 0; done < bytes.size();) {
      const ssize_t n = ::pread(fd_, bytes.data() + done, bytes.size() - done,
                                offset_ + static_cast<off_t>(done));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return std::nullopt;
      done += static_cast<std::size_t>(n);
    }
    if (crypto::sha256(bytes) != cid.digest) return std::nullopt;
    return Buffer(std::move(bytes));
  }

  BlockSource& source_;
  int fd_;
  const off_t& offset_;
  off_t left_ = 0;
};

/// Keeps the block that was read last: what stands under a name is described first, then read.
class LastBlock final : public BlockSource {
 public:
  explicit LastBlock(BlockSource& source) : source_(source) {}
  Result<Buffer, Explained> get(const Cid& cid) override {
    if (last_ && last_->first == cid) return last_->second;
    auto block = source_.get(cid);
    if (block) last_.emplace(cid, *block);
    return block;
  }
  void prefetch(std::span<const Cid> cids) override {
    // What is here is not asked for again: nobody would take it.
    if (!cids.empty() && last_ && last_->first == cids.front()) cids = cids.subspan(1);
    source_.prefetch(cids);
  }

 private:
  BlockSource& source_;
  std::optional<std::pair<Cid, Buffer>> last_;
};

class Exporter {
 public:
  Exporter(BlockSource& source, const ExportOptions& options,
           const std::function<void(std::uint64_t)>& on_bytes)
      : source_(source), options_(options), on_bytes_(on_bytes) {}

  Status<Explained> run(const Cid& cid, const stdfs::path& to) {
    std::vector<std::tuple<Cid, stdfs::path, std::size_t>> todo{{cid, to, 0}};
    // What a directory carries is applied when nothing is written into it any more: it may forbid
    // that, and writing would change its time.
    std::vector<std::pair<stdfs::path, Attributes>> directories;
    while (!todo.empty()) {
      std::vector<Cid> soon;
      for (auto next = todo.rbegin(); next != todo.rend() && soon.size() < kEntriesAhead; ++next)
        soon.push_back(std::get<Cid>(*next));
      source_.prefetch(soon);
      const auto [at, path, depth] = todo.back();
      todo.pop_back();
      if (depth > kDepthMax) return fail(unsound(cid, "its directories nest too deeply"));
      const auto described = describe(at, source_);
      if (!described) return fail(described.error());
      if (described->kind == Kind::kDirectory) {
        std::error_code error;
        const auto there = stdfs::symlink_status(path, error);
        if (stdfs::exists(there) && !stdfs::is_directory(there))
          return fail(cannot_write(path, "making the directory failed", ENOTDIR));
        stdfs::create_directory(path, error);
        if (error) return fail(cannot_write(path, "making the directory failed", error.value()));
        auto entries = list_directory(at, source_);
        if (!entries) return fail(entries.error());
        for (const DirectoryEntry& entry : *entries)
          todo.emplace_back(entry.cid, path / entry.name, depth + 1);
        directories.emplace_back(path, described->attributes);
      } else {
        const auto done = described->kind == Kind::kSymlink ? write_symlink(*described, path)
                                                            : write_file(at, *described, path);
        if (!done) return done;
      }
    }
    // The deepest first: the one above may forbid to reach it.
    for (auto at = directories.rbegin(); at != directories.rend(); ++at) {
      if (auto applied = apply_at(at->first, O_DIRECTORY, at->second); !applied) return applied;
    }
    return {};
  }

 private:
  Status<Explained> check_free(const stdfs::path& path) {
    std::error_code error;
    const auto there = stdfs::symlink_status(path, error);
    if (stdfs::is_directory(there)) {
      return fail(Explained{.what = path.string() + " exists and is a directory",
                            .cause = {},
                            .next = "choose another target: a directory is never replaced by a "
                                    "file"});
    }
    if (!stdfs::exists(there) || options_.may_overwrite) return {};
    return fail(Explained{.what = path.string() + " exists and is something else",
                          .cause = {},
                          .next = "choose another target, or overwrite with --force"});
  }

  Status<Explained> apply(int fd, const stdfs::path& path, const Attributes& attributes) const {
    const std::uint32_t bits = options_.keeps_special_bits ? kModeBits : kPermissionBits;
    if (attributes.mode && ::fchmod(fd, *attributes.mode & bits) != 0)
      return fail(cannot_write(path, "setting its mode failed", errno));
    if (attributes.modified && ::futimens(fd, times_of(*attributes.modified).of) != 0)
      return fail(cannot_write(path, "setting its time failed", errno));
    return {};
  }
  /// Of what stands at the path already; never through a symbolic link.
  Status<Explained> apply_at(const stdfs::path& path, int flags,
                             const Attributes& attributes) const {
    if (attributes.empty()) return {};
    const int fd = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | flags);
    if (fd < 0) return fail(cannot_write(path, "opening failed", errno));
    auto applied = apply(fd, path, attributes);
    ::close(fd);
    return applied;
  }

  Status<Explained> write_symlink(const Described& link, const stdfs::path& path) {
    std::error_code error;
    const bool is_there =
        stdfs::is_symlink(path, error) && stdfs::read_symlink(path, error).string() == link.target;
    if (!is_there) {
      if (auto free = check_free(path); !free) return free;
      stdfs::remove(path, error);
      stdfs::create_symlink(link.target, path, error);
      if (error) return fail(cannot_write(path, "making the link failed", error.value()));
    }
    if (link.attributes.modified &&
        ::utimensat(AT_FDCWD, path.c_str(), times_of(*link.attributes.modified).of,
                    AT_SYMLINK_NOFOLLOW) != 0) {
      return fail(cannot_write(path, "setting its time failed", errno));
    }
    return {};
  }

  Status<Explained> write_file(const Cid& cid, const Described& file, const stdfs::path& path) {
    std::error_code error;
    const bool is_file = stdfs::is_regular_file(stdfs::symlink_status(path, error));
    if (is_file && stdfs::file_size(path, error) == file.bytes &&
        has_content(path, cid, file.attributes)) {
      if (on_bytes_) on_bytes_(file.bytes);
      return apply_at(path, 0, file.attributes);
    }
    if (auto free = check_free(path); !free) return free;
    // Named after its content: a second run finds what the first one left.
    const stdfs::path part = path.parent_path() / ("." + cid.text().substr(0, 24) + ".part");
    const int fd = ::open(part.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) return fail(cannot_write(path, "making the file failed", errno));
    auto written = fill_file(fd, cid, source_, path, on_bytes_);
    if (written) written = apply(fd, path, file.attributes);
    const bool is_closed = ::close(fd) == 0;
    if (!written) return written;
    if (!is_closed || ::rename(part.c_str(), path.c_str()) != 0)
      return fail(cannot_write(path, "finishing failed", errno));
    return {};
  }

  /// Half of what a source has under way: the rest is for the pieces of a large file.
  static constexpr std::size_t kEntriesAhead = kPrefetch / 2;

  LastBlock source_;
  const ExportOptions& options_;
  const std::function<void(std::uint64_t)>& on_bytes_;
};

}  // namespace

bool has_content(const stdfs::path& path, const Cid& cid, const Attributes& attributes) {
  return std::ranges::any_of(std::array{Chunking::kFixed, Chunking::kByContent}, [&](Chunking one) {
    NullSink sink;
    const auto imported = import_path(path, sink, {}, {.given = attributes, .chunking = one});
    return imported && imported->cid == cid;
  });
}

Status<Explained> fill_file(int fd, const Cid& cid, BlockSource& source, const stdfs::path& named,
                            const std::function<void(std::uint64_t)>& on_bytes) {
  off_t offset = 0;
  ResumingSource resuming(source, fd, offset);
  const auto read = read_file(cid, resuming, [&](ByteView bytes) -> Status<Explained> {
    for (ByteView rest = bytes; !rest.empty();) {
      const ssize_t n = ::pwrite(fd, rest.data(), rest.size(), offset);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return fail(cannot_write(named, "writing failed", errno));
      offset += n;
      rest = rest.subspan(static_cast<std::size_t>(n));
    }
    if (on_bytes) on_bytes(bytes.size());
    return {};
  });
  if (!read) return fail(read.error());
  if (::ftruncate(fd, offset) != 0 || ::fsync(fd) != 0)
    return fail(cannot_write(named, "syncing failed", errno));
  return {};
}

Status<Explained> export_path(const Cid& cid, BlockSource& source, const stdfs::path& to,
                              const ExportOptions& options,
                              const std::function<void(std::uint64_t)>& on_bytes) {
  return Exporter(source, options, on_bytes).run(cid, to);
}

}  // namespace rosebud::fs
