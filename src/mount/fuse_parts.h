// What both sorts of mounts need to answer a kernel by libfuse3: private to fuse_*.cc.
#pragma once

#define FUSE_USE_VERSION 312
#include <fuse3/fuse_lowlevel.h>
#include <sys/stat.h>

#include <functional>
#include <shared_mutex>
#include <span>
#include <vector>

#include "mount/attributes.h"
#include "mount/block_cache.h"

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

/// Adds one entry; false: it has no room in the rest of `into`.
bool add_entry(fuse_req_t request, std::vector<char>& into, std::size_t& used, const char* name,
               std::uint64_t number, mode_t type, off_t next);
void reply_pieces(fuse_req_t request, const std::vector<Buffer>& pieces);

fuse_lowlevel_ops reading_operations();
fuse_lowlevel_ops writing_operations();

/// Whoever asks from then on waits until the kernel has the answer to this, and is answered.
inline void tell_ready(void* data) { (*static_cast<Served*>(data)->on_ready)(); }

}  // namespace rosebud::mount
