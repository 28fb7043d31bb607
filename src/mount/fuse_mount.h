// A file system in a kernel's tree of names, by libfuse3: the one place that speaks its language.
#pragma once

#include <sys/ioctl.h>

#include <array>
#include <filesystem>
#include <functional>
#include <memory>

#include "mount/file_system.h"
#include "mount/publications.h"

namespace rosebud::mount {

/// What an ioctl() of a directory in a mount that writes answers: what is not published.
struct ToldUnpublished {
  Unpublished::Why why = Unpublished::Why::kFailed;
  /// Why, then a path in each line; ended by NUL, empty when no publication failed.
  std::array<char, 8192> text{};
};
inline constexpr unsigned kAskUnpublished = _IOR('r', 0xb5, ToldUnpublished);

struct MountOptions {
  std::filesystem::path directory;  // absolute
  std::string source;               // what lists of mounts show; no comma inside
};

/// Mounted from open() to the end of serve() or of the object. Signals that end a
/// process must be blocked in all its threads before they begin: serve() waits for them.
class FuseMount {
 public:
  /// Read-only. All that is given outlives it.
  static Result<std::unique_ptr<FuseMount>, Explained> open(FileSystem& file_system,
                                                            BlockCache& cache,
                                                            const MountOptions& options);
  /// To write, too.
  static Result<std::unique_ptr<FuseMount>, Explained> open(WritableFileSystem& file_system,
                                                            Publications& publications,
                                                            BlockCache& cache,
                                                            const MountOptions& options);
  ~FuseMount();
  FuseMount(const FuseMount&) = delete;
  FuseMount& operator=(const FuseMount&) = delete;

  /// Another state is what there is from now on, as by FileSystem::switch_to(): nobody is shown
  /// anything of the one before afterwards, whatever the kernel kept. From one thread beside
  /// serve(). Requires: read-only.
  Status<Explained> show(const fs::Cid& root);
  /// What the kernel may have kept of these is not so any more. From one thread beside serve().
  void tell(const Changes& changes);

  struct Moments {
    std::function<void()> on_ready;  // it answers
    /// A signal ends it; of one that is read-only nothing waits for the cluster any more. Until
    /// this returns it goes on answering; show() and tell() must not run afterwards: they may wait
    /// for what is answered.
    std::function<void()> on_end;
  };
  /// Answers on several threads until somebody unmounts it, or SIGTERM, SIGINT or SIGHUP comes;
  /// then unmounts. Each of `moments` is called once at most.
  Status<Explained> serve(const Moments& moments);

 private:
  struct Impl;
  explicit FuseMount(std::unique_ptr<Impl> impl);
  static Result<std::unique_ptr<FuseMount>, Explained> open(std::unique_ptr<Impl> impl,
                                                            const std::string& more,
                                                            const MountOptions& options);
  std::unique_ptr<Impl> impl_;
};

}  // namespace rosebud::mount
