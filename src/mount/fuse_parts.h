// What both sorts of mounts need to answer a kernel by libfuse3: private to fuse_*.cc.
#pragma once

#define FUSE_USE_VERSION 312
#include <fuse3/fuse_lowlevel.h>
#include <sys/stat.h>

#include <algorithm>
#include <functional>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <vector>

#include "mount/attributes.h"
#include "mount/block_cache.h"
#include "mount/directories.h"

namespace rosebud::mount {

/// Offsets of a directory: "." and ".." come before its entries.
inline constexpr off_t kDots = 2;
inline constexpr std::size_t kPageEntries = 512;
inline constexpr unsigned kBlockSize = 4096;

class FileSystem;
class WritableFileSystem;
class Publications;

/// What every question finds.
struct Served {
  BlockCache* cache = nullptr;
  const std::function<void()>* on_ready = nullptr;
  // To read alone:
  FileSystem* file_system = nullptr;
  /// Held by answers that may be kept, while they are sent; by one who tells what is to be
  /// forgotten, before.
  std::shared_mutex keeping;
  // To write:
  WritableFileSystem* writable = nullptr;
  Publications* publications = nullptr;
};

inline Served& served(fuse_req_t request) {
  return *static_cast<Served*>(fuse_req_userdata(request));
}

inline void refuse(fuse_req_t request, ErrorNumber error) {
  fuse_reply_err(request, static_cast<int>(error));
}

mode_t type_of(fs::Kind kind);
struct stat status_of(const Attributes& attributes);

/// What the kernel keeps for an open file or directory and gives back with every question.
template <typename T>
std::uint64_t handle_of(std::shared_ptr<T> open) {
  return reinterpret_cast<std::uint64_t>(new std::shared_ptr<T>(std::move(open)));
}
template <typename T>
std::shared_ptr<T>* opened(const fuse_file_info* info) {
  return reinterpret_cast<std::shared_ptr<T>*>(info->fh);
}

/// Whoever asked, while the answer is looked for. The kernel tells of every signal; one that does
/// not end the process must not end the reading either, since programs do not expect that of files.
class Asker {
 public:
  explicit Asker(fuse_req_t request);
  ~Asker() { fuse_req_interrupt_func(request_, nullptr, nullptr); }
  Asker(const Asker&) = delete;
  Asker& operator=(const Asker&) = delete;

  const GivenUp* given_up() const { return &given_up_; }

 private:
  static void on_interrupt(fuse_req_t, void* data);

  fuse_req_t request_;
  Served& served_;
  pid_t thread_;
  GivenUp given_up_ = false;
};

/// A directory that is read, with the page that was read last. An `Entry` knows its `next`.
template <typename Directory, typename Entry>
struct ReadingDirectory {
  std::mutex mutex;
  // Under the mutex:
  std::shared_ptr<Directory> directory;
  std::vector<Entry> page;
  std::optional<Cursor> page_after;  // where the page begins

  /// Behind `after`, from the page where it has them, else from `read`, which takes a cursor and
  /// reads a page. Requires: the mutex held.
  template <typename Read>
  Answer<std::span<const Entry>> entries_after(Cursor after, Read read) {
    if (page_after) {
      if (*page_after == after) return std::span<const Entry>(page);
      const auto at = std::ranges::find(page, after, &Entry::next);
      if (at != page.end() && at + 1 != page.end())
        return std::span<const Entry>(at + 1, page.end());
    }
    auto found = read(after);
    if (!found) return fail(found.error());
    page = std::move(*found);
    page_after = after;
    return std::span<const Entry>(page);
  }
};

/// What the kernel is told of a directory from an offset on, as much as it has room for.
class DirectoryReply {
 public:
  DirectoryReply(fuse_req_t request, std::size_t size, off_t offset)
      : request_(request), offset_(offset), entries_(size) {}

  void add_dots(std::uint64_t number, std::uint64_t parent_number);
  /// `type`: 0 where it is not known. Nothing more has room when it is false.
  bool add(const std::string& name, std::uint64_t number, mode_t type, Cursor next);

  /// Adds what is behind the offset, page by page: `entries_after` takes a cursor, `add_entry` an
  /// entry. Then it is sent.
  template <typename EntriesAfter, typename AddEntry>
  void fill_and_send(EntriesAfter entries_after, AddEntry add_entry) {
    Cursor after = offset_ > kDots ? static_cast<Cursor>(offset_ - kDots) : 0;
    while (has_room_) {
      const auto entries = entries_after(after);
      // What is in the reply already is right; the next question meets the error again.
      if (!entries && used_ == 0) return refuse(request_, entries.error());
      if (!entries || entries->empty()) break;
      for (const auto& entry : *entries) {
        after = entry.next;
        if (!add_entry(entry)) break;
      }
    }
    fuse_reply_buf(request_, entries_.data(), used_);
  }

 private:
  bool add_at(const char* name, std::uint64_t number, mode_t type, off_t next);

  fuse_req_t request_;
  off_t offset_;
  std::vector<char> entries_;
  std::size_t used_ = 0;
  bool has_room_ = true;
};

void reply_pieces(fuse_req_t request, const std::vector<Buffer>& pieces);

fuse_lowlevel_ops reading_operations();
fuse_lowlevel_ops writing_operations();

/// Whoever asks from then on waits until the kernel has the answer to this, and is answered.
inline void tell_ready(void* data) { (*static_cast<Served*>(data)->on_ready)(); }

}  // namespace rosebud::mount
