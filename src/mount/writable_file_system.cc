#include "mount/writable_file_system.h"

#include <algorithm>
#include <cerrno>

namespace rosebud::mount {
namespace {

/// 16 TiB, as of ext4. The nodes of a hole are made one by one, while all publications wait.
constexpr std::uint64_t kFileBytesMax = std::uint64_t{1} << 44;

}  // namespace

WritableFileSystem::WritableFileSystem(BlockCache& cache, Staging& staging,
                                       std::size_t directory_bytes_max, Duration timeout, Now now)
    : cache_(cache),
      staging_(staging),
      directories_(directory_bytes_max),
      timeout_(timeout),
      now_(std::move(now)) {}

Status<Explained> WritableFileSystem::start(const fs::Cid& root) {
  OperationSource source(cache_, timeout_);
  const auto directory = directories_.get(root, source);
  if (!directory) return fail(directory.error());
  if (!*directory) return fail(fs::unsound(root, "the root is no directory"));
  const std::lock_guard lock(mutex_);
  tree_.root().base = root;
  tree_.root().attributes = (*directory)->attributes;
  return {};
}

// ---- Attributes ----

Attributes WritableFileSystem::attributes_of(const PendingNode& node) const {
  return {.id = node.id,
          .number = node.number,
          .kind = node.kind,
          .bytes = node.kind == fs::Kind::kFile      ? node.bytes()
                   : node.kind == fs::Kind::kSymlink ? node.target.size()
                                                     : 0,
          .mode = node.attributes.mode.value_or(default_mode(node.kind)) & kModeBits,
          .modified = node.attributes.modified.value_or(fs::ModificationTime{}),
          .touched = node.touched};
}

Answer<PendingNode*> WritableFileSystem::node(InodeId id) {
  PendingNode* const found = tree_.find(id);
  if (!found) return refuse(ESTALE);
  return found;
}

Answer<PendingNode*> WritableFileSystem::file_to_write(InodeId id) {
  if (is_refusing_) return refuse(EROFS);
  const auto file = node(id);
  if (!file) return file;
  // Nobody would publish it. The kernel looks the path up again where it has one.
  if ((*file)->is_displaced) return refuse(ESTALE);
  if ((*file)->is_directory()) return refuse(EISDIR);
  if ((*file)->kind != fs::Kind::kFile) return refuse(EINVAL);
  return file;
}

void WritableFileSystem::touch(PendingNode& node) {
  node.touched = now_();
  tree_.mark_changed(node);
}

void WritableFileSystem::touch_content(PendingNode& node) {
  touch(node);
  node.attributes.modified = node.touched;
  node.has_new_attributes = true;
  node.is_half_written = node.writers > 0;
  node.is_flushed = false;
}

Answer<Attributes> WritableFileSystem::attributes(InodeId id) {
  const Lock lock(mutex_);
  const auto found = node(id);
  if (!found) return fail(found.error());
  return attributes_of(**found);
}

Answer<Attributes> WritableFileSystem::change_attributes(InodeId id,
                                                         const AttributeChange& change) {
  const Lock lock(mutex_);
  if (is_refusing_) return refuse(EROFS);
  const auto found = node(id);
  if (!found) return fail(found.error());
  PendingNode& changed = **found;
  if (changed.is_displaced) return refuse(ESTALE);
  if (change.bytes) {
    const auto file = file_to_write(id);
    if (!file) return fail(file.error());
    if (*change.bytes > kFileBytesMax) return refuse(EFBIG);
    staged(changed).truncate(*change.bytes);
    touch_content(changed);
  }
  if (change.mode || change.modified) {
    if (change.mode) changed.attributes.mode = *change.mode & kModeBits;
    if (change.modified) changed.attributes.modified = *change.modified;
    changed.has_new_attributes = true;
    touch(changed);
  }
  return attributes_of(changed);
}

Answer<std::string> WritableFileSystem::link_target(InodeId id) {
  const Lock lock(mutex_);
  const auto found = node(id);
  if (!found) return fail(found.error());
  if ((*found)->kind != fs::Kind::kSymlink) return refuse(EINVAL);
  return (*found)->target;
}

void WritableFileSystem::forget(InodeId id, std::uint64_t lookups) {
  const Lock lock(mutex_);
  PendingNode* const found = tree_.find(id);
  if (!found || id == kRootInode) return;
  found->lookups -= std::min(lookups, found->lookups);
  tree_.forget_unneeded(id);
}

// ---- Content ----

StagedFile& WritableFileSystem::staged(PendingNode& file) {
  if (!file.staged) file.staged = std::make_shared<StagedFile>(staging_, file.base_bytes);
  return *file.staged;
}

Answer<std::shared_ptr<WritableFile>> WritableFileSystem::open(InodeId id, Opening opening) {
  const Lock lock(mutex_);
  const auto found = opening == Opening::kToRead ? node(id) : file_to_write(id);
  if (!found) return fail(found.error());
  PendingNode& file = **found;
  if (file.kind != fs::Kind::kFile) return refuse(file.is_directory() ? EISDIR : ELOOP);
  auto out = opened(file, opening != Opening::kToRead);
  if (opening == Opening::kAnew && file.bytes() > 0) {
    staged(file).truncate(0);
    touch_content(file);
  }
  return out;
}

std::shared_ptr<WritableFile> WritableFileSystem::opened(PendingNode& file, bool writes) {
  ++file.opens;
  if (writes) ++file.writers;
  return std::make_shared<WritableFile>(file.id, writes, cache_.ahead_bytes_max());
}

void WritableFileSystem::close(const WritableFile& file) {
  const Lock lock(mutex_);
  PendingNode* const found = tree_.find(file.id);
  if (!found) return;
  --found->opens;
  if (file.writes && --found->writers == 0) found->is_half_written = false;
  tree_.forget_unneeded(file.id);
}

void WritableFileSystem::take_as_it_is(InodeId id) {
  const Lock lock(mutex_);
  PendingNode* const found = tree_.find(id);
  if (!found) return;
  found->is_half_written = false;
  // Suppose somebody else writes before the next publication begins.
  found->is_wanted = found->is_changed;
}

void WritableFileSystem::flush(InodeId id) {
  const Lock lock(mutex_);
  if (PendingNode* const found = tree_.find(id)) found->is_flushed = true;
}

Answer<void> WritableFileSystem::write(InodeId id, std::uint64_t offset, ByteView bytes) {
  const Lock lock(mutex_);
  const auto file = file_to_write(id);
  if (!file) return fail(file.error());
  if (offset > kFileBytesMax - bytes.size()) return refuse(EFBIG);
  if (auto written = staged(**file).write(offset, bytes); !written) return written;
  touch_content(**file);
  return {};
}

Answer<std::vector<Buffer>> WritableFileSystem::read(WritableFile& file, std::uint64_t offset,
                                                     std::uint64_t count, const GivenUp* given_up) {
  OperationSource source(cache_, timeout_, given_up);
  std::vector<StagedFile::Piece> pieces;
  std::vector<Bytes> here;  // of the pieces that are not published
  std::shared_ptr<FileReader> published;
  {
    const Lock lock(mutex_);
    const auto found = node(file.id);
    if (!found) return fail(found.error());
    PendingNode& read = **found;
    if (read.base && !read.reader)
      read.reader = std::make_shared<FileReader>(*read.base, read.base_bytes);
    published = read.reader;
    if (read.staged) {
      pieces = read.staged->pieces(offset, count);
    } else if (offset < read.base_bytes) {
      pieces.push_back({.from = StagedFile::From::kPublished,
                        .offset = offset,
                        .size = std::min(count, read.base_bytes - offset)});
    }
    for (const StagedFile::Piece& piece : pieces) {
      if (piece.from == StagedFile::From::kPublished) continue;
      Bytes bytes(static_cast<std::size_t>(piece.size));
      if (piece.from == StagedFile::From::kStaged) {
        if (auto done = staging_.read(piece.place, bytes); !done) return fail(done.error());
      }
      here.push_back(std::move(bytes));
    }
  }
  std::uint64_t window = 0;
  {
    const std::lock_guard lock(file.mutex);
    window = file.read_ahead.on_read(offset, offset + count);
  }
  if (published) source.prefetch(published->ahead(offset, count + window));
  std::vector<Buffer> out;
  auto next_here = here.begin();
  for (const StagedFile::Piece& piece : pieces) {
    if (piece.from != StagedFile::From::kPublished) {
      out.emplace_back(std::move(*next_here++));
      continue;
    }
    auto found = published->read(piece.offset, piece.size, source);
    if (!found) return refuse(source);
    std::ranges::move(*found, std::back_inserter(out));
  }
  return out;
}

Answer<Usage> WritableFileSystem::usage(const GivenUp* given_up) {
  OperationSource source(cache_, timeout_, given_up);
  std::optional<fs::Cid> root;
  {
    const Lock lock(mutex_);
    root = tree_.root().base;
  }
  const auto directory = directories_.get(*root, source);
  if (!directory) return refuse(source);
  Usage out;
  for (const fs::Link& link : (*directory)->links) out.bytes += link.tsize;
  const std::uint64_t held = staging_.held_bytes();
  out.bytes += held;
  out.free_bytes = staging_.bytes_max() - held;
  return out;
}

}  // namespace rosebud::mount
