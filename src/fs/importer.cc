#include "fs/importer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>

#include "base/check.h"
#include "fs/shard.h"

namespace rosebud::fs {
namespace {

namespace stdfs = std::filesystem;

struct Child {
  Cid cid;
  std::uint64_t tsize = 0;
  std::uint64_t bytes = 0;
};

/// Balanced layout, built from the left: level 0 takes leaves; a level that is full becomes one
/// child of the next.
class BalancedBuilder {
 public:
  BalancedBuilder(BlockSink& sink, const Attributes& attributes, Chunking chunking)
      : sink_(sink), attributes_(attributes), chunking_(chunking) {}

  Status<Explained> add(std::size_t level, const Child& child) {
    if (levels_.size() == level) levels_.emplace_back();
    levels_[level].push_back(child);
    return ends_node(level) ? close(level) : Status<Explained>();
  }

  Result<Child, Explained> finish() {
    CHECK(!levels_.empty());
    for (std::size_t level = 0;; ++level) {
      const bool is_top = level + 1 == levels_.size();
      if (is_top && levels_[level].size() == 1) return finish_root(levels_[level].front());
      if (levels_[level].empty()) continue;
      if (auto closed = close(level); !closed) return fail(closed.error());
    }
  }

 private:
  bool ends_node(std::size_t level) const {
    const auto& children = levels_[level];
    if (children.size() == kLinksMax) return true;
    return chunking_ == Chunking::kByContent && children.size() >= kContentLinksMin &&
           children.back().cid.digest.view().front() == 0;
  }

  /// The node that was made last is the root, and known as such only now.
  Result<Child, Explained> finish_root(Child root) {
    if (!newest_) return root;  // a leaf
    const std::uint64_t plain_size = newest_->encode().size();
    newest_->attributes = attributes_;
    Bytes block = newest_->encode();
    root.cid = Cid::of(Codec::kDagPb, block);
    root.tsize += block.size() - plain_size;
    if (auto put = sink_.put(root.cid, Buffer(std::move(block))); !put) return fail(put.error());
    return root;
  }

  Status<Explained> put_newest() {
    if (!newest_) return {};
    Bytes block = newest_->encode();
    const Cid cid = Cid::of(Codec::kDagPb, block);
    return sink_.put(cid, Buffer(std::move(block)));
  }

  Status<Explained> close(std::size_t level) {
    if (auto put = put_newest(); !put) return put;
    DagNode node{.type = NodeType::kFile, .filesize = 0};
    Child parent;
    for (const Child& child : levels_[level]) {
      node.links.push_back({.name = {}, .cid = child.cid, .tsize = child.tsize});
      node.blocksizes.push_back(child.bytes);
      parent.bytes += child.bytes;
      parent.tsize += child.tsize;
    }
    node.filesize = parent.bytes;
    levels_[level].clear();
    const Bytes block = node.encode();
    parent.tsize += block.size();
    parent.cid = Cid::of(Codec::kDagPb, block);
    newest_ = std::move(node);
    return add(level + 1, parent);
  }

  BlockSink& sink_;
  const Attributes& attributes_;
  Chunking chunking_;
  std::optional<DagNode> newest_;  // not put yet
  std::vector<std::vector<Child>> levels_;
};

Explained about(const stdfs::path& path, std::string_view what, int error = 0) {
  return {.what = "cannot add " + path.string() + ": " + std::string(what) +
                  (error == 0 ? "" : ": " + std::generic_category().message(error)),
          .cause = error == EACCES   ? "its permissions do not let this user read it"
                   : error == ENOENT ? "it is not there, or it vanished meanwhile"
                   : error == ELOOP  ? "symbolic links lead in a circle"
                                     : "",
          .next = {}};
}

Attributes attributes_of(const struct stat& status, const ImportOptions& options) {
  if (!options.preserves_attributes) return options.given;
  Attributes out{.modified = ModificationTime{
                     .seconds = status.st_mtim.tv_sec,
                     .nanoseconds = static_cast<std::uint32_t>(status.st_mtim.tv_nsec)}};
  if (!S_ISLNK(status.st_mode)) out.mode = status.st_mode & 07777U;
  return out;
}

/// A file on disk that must not change while it is read.
class FileSource final : public ByteSource {
 public:
  FileSource(const stdfs::path& path, int fd, const ImportObserver& observer)
      : path_(path), fd_(fd), observer_(observer) {
    ::fstat(fd_, &before_);
  }
  ~FileSource() override { ::close(fd_); }
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;

  Result<std::size_t, Explained> read(std::span<std::uint8_t> into) override {
    while (true) {
      const ssize_t n = ::read(fd_, into.data(), into.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return fail(about(path_, "reading failed", errno));
      if (n > 0 && observer_.on_bytes) observer_.on_bytes(static_cast<std::uint64_t>(n));
      return static_cast<std::size_t>(n);
    }
  }

  Status<Explained> check_unchanged() const {
    struct stat after{};
    const bool is_same = ::fstat(fd_, &after) == 0 && after.st_size == before_.st_size &&
                         after.st_mtim.tv_sec == before_.st_mtim.tv_sec &&
                         after.st_mtim.tv_nsec == before_.st_mtim.tv_nsec;
    if (is_same) return {};
    return fail(Explained{.what = "cannot add " + path_.string() + ": it changed while it was read",
                          .cause = "a program is writing it",
                          .next = "run the same command again when it is at rest"});
  }

 private:
  stdfs::path path_;
  int fd_;
  const ImportObserver& observer_;
  struct stat before_{};
};

Result<Imported, Explained> import_regular(const stdfs::path& path, BlockSink& sink,
                                           const ImportObserver& observer,
                                           const ImportOptions& options) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return fail(about(path, "opening failed", errno));
  struct stat opened{};
  if (::fstat(fd, &opened) != 0 || !S_ISREG(opened.st_mode)) {
    ::close(fd);
    return fail(about(path, "it was replaced by something that is no file"));
  }
  FileSource source(path, fd, observer);
  auto imported = import_file(source, sink, attributes_of(opened, options), options.chunking);
  if (!imported) return imported;
  if (auto unchanged = source.check_unchanged(); !unchanged) return fail(unchanged.error());
  return imported;
}

/// Remembers whether the store failed: that is never skipped.
class WatchedSink final : public BlockSink {
 public:
  explicit WatchedSink(BlockSink& sink) : sink_(sink) {}
  Status<Explained> put(const Cid& cid, Buffer block) override {
    auto done = sink_.put(cid, std::move(block));
    has_failed_ = has_failed_ || !done;
    return done;
  }
  bool has_failed() const { return has_failed_; }

 private:
  BlockSink& sink_;
  bool has_failed_ = false;
};

/// A directory that is being read: an explicit stack, so that no tree exhausts the program's own.
struct OpenDirectory {
  stdfs::path path;
  std::string name;
  std::vector<stdfs::directory_entry> left;
  std::vector<Link> links;
  std::uint64_t bytes = 0;
  Attributes attributes;
};

Result<OpenDirectory, Explained> open_directory(const stdfs::path& path, std::string name,
                                                const ImportOptions& options) {
  OpenDirectory out{.path = path, .name = std::move(name)};
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return fail(about(path, "looking at it failed", errno));
  out.attributes = attributes_of(status, options);
  std::error_code error;
  for (stdfs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    out.left.push_back(*it);
  }
  if (error) return fail(about(path, "listing failed", error.value()));
  std::ranges::sort(out.left, std::greater{},
                    [](const auto& entry) { return entry.path().filename().string(); });
  return out;
}

}  // namespace

Result<std::size_t, Explained> MemorySource::read(std::span<std::uint8_t> into) {
  const std::size_t n = std::min(into.size(), rest_.size());
  std::copy_n(rest_.begin(), n, into.begin());
  rest_ = rest_.subspan(n);
  return n;
}

Result<Imported, Explained> put_node(const DagNode& node, BlockSink& sink) {
  Bytes block = node.encode();
  Imported out{.cid = Cid::of(Codec::kDagPb, block), .tsize = block.size()};
  for (const Link& link : node.links) out.tsize += link.tsize;
  if (auto put = sink.put(out.cid, Buffer(std::move(block))); !put) return fail(put.error());
  return out;
}

Result<Imported, Explained> import_file(ByteSource& source, BlockSink& sink,
                                        const Attributes& attributes, Chunking chunking) {
  Chunker chunker(source, chunking);
  BalancedBuilder builder(sink, attributes, chunking);
  std::uint64_t total = 0;
  auto chunk = chunker.next();
  for (bool is_first = true; chunk; is_first = false) {
    // Looking ahead: only at its end a file of one whole chunk shows that it is one.
    auto after = chunker.next();
    if (!after) return fail(after.error());
    const std::uint64_t size = chunk->size();
    total += size;
    if (is_first && after->empty() && !attributes.empty()) {
      auto whole = put_node({.type = NodeType::kFile,
                             .data = std::move(*chunk),
                             .filesize = size,
                             .attributes = attributes},
                            sink);
      if (whole) whole->bytes = size;
      return whole;
    }
    const Cid cid = Cid::of(Codec::kRaw, *chunk);
    if (auto put = sink.put(cid, Buffer(std::move(*chunk))); !put) return fail(put.error());
    if (auto added = builder.add(0, {.cid = cid, .tsize = size, .bytes = size}); !added)
      return fail(added.error());
    if (after->empty()) break;
    chunk = std::move(after);
  }
  if (!chunk) return fail(chunk.error());
  const auto root = builder.finish();
  if (!root) return fail(root.error());
  return Imported{.cid = root->cid, .tsize = root->tsize, .bytes = total};
}

Result<Imported, Explained> import_edited(EditedContent& content, BlockSink& sink,
                                          const Attributes& attributes) {
  const std::uint64_t size = content.size();
  BalancedBuilder builder(sink, attributes, Chunking::kByContent);
  Bytes ahead;  // of the content from `offset` on
  for (std::uint64_t offset = 0; offset < size || offset == 0;) {
    auto leaf = content.leaf_at(offset, sink);
    if (!leaf) return fail(leaf.error());
    // With attributes a file of one chunk has it inside.
    if (*leaf && (*leaf)->bytes == size && !attributes.empty()) leaf->reset();
    if (!*leaf) {
      const auto filled = ahead.size();
      ahead.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kChunkSize, size - offset)));
      if (auto read = content.read(offset + filled, std::span(ahead).subspan(filled)); !read)
        return fail(read.error());
      const std::size_t cut = content_cut(ahead);
      if (cut == size) {
        MemorySource whole(ahead);
        return import_file(whole, sink, attributes, Chunking::kByContent);
      }
      Bytes chunk(ahead.begin(), ahead.begin() + static_cast<std::ptrdiff_t>(cut));
      *leaf = Leaf{.cid = Cid::of(Codec::kRaw, chunk), .bytes = cut};
      if (auto put = sink.put((*leaf)->cid, Buffer(std::move(chunk))); !put)
        return fail(put.error());
    }
    const std::uint64_t bytes = (*leaf)->bytes;
    if (auto added = builder.add(0, {.cid = (*leaf)->cid, .tsize = bytes, .bytes = bytes}); !added)
      return fail(added.error());
    offset += bytes;
    const auto passed = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, ahead.size()));
    ahead.erase(ahead.begin(), ahead.begin() + static_cast<std::ptrdiff_t>(passed));
  }
  const auto root = builder.finish();
  if (!root) return fail(root.error());
  return Imported{.cid = root->cid, .tsize = root->tsize, .bytes = size};
}

Result<Imported, Explained> import_symlink(std::string_view target, BlockSink& sink,
                                           const Attributes& attributes) {
  return put_node(
      {.type = NodeType::kSymlink, .data = to_bytes(as_bytes(target)), .attributes = attributes},
      sink);
}

Result<Imported, Explained> import_directory(std::vector<Link> entries, BlockSink& sink,
                                             const Attributes& attributes) {
  std::ranges::sort(entries, {}, &Link::name);
  DagNode node{.type = NodeType::kDirectory, .links = std::move(entries), .attributes = attributes};
  if (node.encode().size() > kDirectoryBlockMax)
    return import_sharded(std::move(node.links), sink, attributes);
  return put_node(node, sink);
}

Result<Imported, Explained> import_path(const stdfs::path& path, BlockSink& to,
                                        const ImportObserver& observer,
                                        const ImportOptions& options) {
  WatchedSink sink(to);
  const auto may_skip = [&](const Explained& problem) {
    if (sink.has_failed() || !observer.on_skipped) return false;
    observer.on_skipped(problem);
    return true;
  };
  const auto import_leaf = [&](const stdfs::path& at,
                               stdfs::file_type type) -> Result<Imported, Explained> {
    if (type == stdfs::file_type::regular) return import_regular(at, sink, observer, options);
    if (type == stdfs::file_type::symlink) {
      std::error_code error;
      const auto target = stdfs::read_symlink(at, error);
      struct stat status{};
      if (!error && ::lstat(at.c_str(), &status) != 0)
        error = std::error_code(errno, std::generic_category());
      if (error) return fail(about(at, "reading the link failed", error.value()));
      return import_symlink(target.string(), sink, attributes_of(status, options));
    }
    if (type == stdfs::file_type::not_found) return fail(about(at, "looking at it failed", ENOENT));
    return fail(Explained{
        .what =
            "cannot add " + at.string() + ": it is neither a file, a directory nor a symbolic link",
        .cause = "it is a pipe, a socket or a device",
        .next = "to store what it yields, name - in its place, and < " + at.string()});
  };
  std::error_code error;
  const auto type = stdfs::status(path, error)
                        .type();  // what the user names is followed; what is found below is not
  if (type == stdfs::file_type::not_found) {
    return fail(about(path, stdfs::is_symlink(path, error) ? "the symbolic link leads nowhere"
                                                           : "no such file or directory"));
  }
  if (error) return fail(about(path, "looking at it failed", error.value()));
  if (type != stdfs::file_type::directory) {
    auto imported = import_leaf(path, type);
    if (imported && observer.on_imported) observer.on_imported(path, *imported);
    return imported;
  }
  auto root = open_directory(path, {}, options);
  if (!root) return fail(root.error());
  std::vector<OpenDirectory> open;
  open.push_back(std::move(*root));
  while (true) {
    OpenDirectory& top = open.back();
    if (top.left.empty()) {
      auto imported = import_directory(std::move(top.links), sink, top.attributes);
      if (!imported) return imported;
      imported->bytes = top.bytes;
      if (observer.on_imported) observer.on_imported(top.path, *imported);
      const std::string name = top.name;
      open.pop_back();
      if (open.empty()) return imported;
      open.back().links.push_back({.name = name, .cid = imported->cid, .tsize = imported->tsize});
      open.back().bytes += imported->bytes;
      continue;
    }
    const stdfs::path at = top.left.back().path();
    const auto kind = top.left.back().symlink_status(error).type();
    top.left.pop_back();
    const std::string name = at.filename().string();
    if (kind == stdfs::file_type::directory) {
      if (open.size() >= kDepthMax) return fail(about(at, "directories nest deeper than 256"));
      auto below = open_directory(at, name, options);
      if (!below && may_skip(below.error())) continue;
      if (!below) return fail(below.error());
      open.push_back(std::move(*below));
      continue;
    }
    auto imported = import_leaf(at, kind);
    if (!imported && may_skip(imported.error())) continue;
    if (!imported) return imported;
    if (observer.on_imported) observer.on_imported(at, *imported);
    top.links.push_back({.name = name, .cid = imported->cid, .tsize = imported->tsize});
    top.bytes += imported->bytes;
  }
}

}  // namespace rosebud::fs
