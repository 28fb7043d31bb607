#include "mount/fuse_parts.h"

#include <signal.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "fs/tree.h"
#include "mount/publications.h"

namespace rosebud::mount {
namespace {

/// Of one answer, below what a system takes at once (IOV_MAX, 1024). Somebody may have made a file
/// of single bytes, and an answer that is not taken leaves whoever asked waiting.
constexpr std::size_t kPiecesMax = 1'000;
constexpr blksize_t kPreferredSize = 128 << 10;  // the most that a kernel asks for at once

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

}  // namespace

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
  const fs::ModificationTime changed = attributes.touched.value_or(attributes.modified);
  out.st_ctim = {.tv_sec = changed.seconds, .tv_nsec = static_cast<long>(changed.nanoseconds)};
  return out;
}

Asker::Asker(fuse_req_t request)
    : request_(request), served_(served(request)), thread_(fuse_req_ctx(request)->pid) {
  fuse_req_interrupt_func(request_, on_interrupt, this);
}

void Asker::on_interrupt(fuse_req_t, void* data) {
  Asker& asker = *static_cast<Asker*>(data);
  if (!is_dying(asker.thread_)) return;
  asker.given_up_ = true;
  asker.served_.cache->wake();
  if (asker.served_.publications) asker.served_.publications->wake();
}

void DirectoryReply::add_dots(std::uint64_t number, std::uint64_t parent_number) {
  if (offset_ <= 0) add_at(".", number, S_IFDIR, 1);
  if (offset_ <= 1) add_at("..", parent_number, S_IFDIR, kDots);
}

bool DirectoryReply::add(const std::string& name, std::uint64_t number, mode_t type, Cursor next) {
  // Nobody could open it, and the kernel would refuse them all.
  if (name.size() > fs::kNameMax) return true;
  return add_at(name.c_str(), number, type, static_cast<off_t>(next) + kDots);
}

bool DirectoryReply::add_at(const char* name, std::uint64_t number, mode_t type, off_t next) {
  if (!has_room_) return false;
  struct stat status{};
  status.st_ino = number;
  status.st_mode = type;
  const std::size_t left = entries_.size() - used_;
  const std::size_t needed =
      fuse_add_direntry(request_, entries_.data() + used_, left, name, &status, next);
  has_room_ = needed <= left;
  if (has_room_) used_ += needed;
  return has_room_;
}

void reply_pieces(fuse_req_t request, const std::vector<Buffer>& pieces) {
  std::vector<iovec> vectors;
  Bytes joined;
  if (pieces.size() <= kPiecesMax) {
    for (const Buffer& piece : pieces) {
      vectors.push_back(
          {.iov_base = const_cast<std::uint8_t*>(piece.data()), .iov_len = piece.size()});
    }
  } else {
    for (const Buffer& piece : pieces)
      joined.insert(joined.end(), piece.view().begin(), piece.view().end());
    vectors.push_back({.iov_base = joined.data(), .iov_len = joined.size()});
  }
  fuse_reply_iov(request, vectors.data(), static_cast<int>(vectors.size()));
}

}  // namespace rosebud::mount
