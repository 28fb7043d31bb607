// A file system in a kernel's tree of names, by libfuse3: the one place that speaks its language.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "mount/file_system.h"

namespace rosebud::mount {

struct MountOptions {
  std::filesystem::path directory;  // absolute
  std::string source;               // what lists of mounts show; no comma inside
};

/// Mounted, read-only, from open() to the end of serve() or of the object. Signals that end a
/// process must be blocked in all its threads before they begin: serve() waits for them.
class FuseMount {
 public:
  /// `file_system` and `cache` outlive it.
  static Result<std::unique_ptr<FuseMount>, Explained> open(FileSystem& file_system,
                                                            BlockCache& cache,
                                                            const MountOptions& options);
  ~FuseMount();
  FuseMount(const FuseMount&) = delete;
  FuseMount& operator=(const FuseMount&) = delete;

  /// Another state is what there is from now on, as by FileSystem::switch_to(): nobody is shown
  /// anything of the one before afterwards, whatever the kernel kept. From one thread beside
  /// serve().
  Status<Explained> show(const fs::Cid& root);

  struct Moments {
    std::function<void()> on_ready;  // it answers
    /// A signal ends it, and nothing waits for the cluster any more. Until this returns it goes on
    /// answering; show() must not run afterwards: it may wait for what is answered.
    std::function<void()> on_end;
  };
  /// Answers on several threads until somebody unmounts it, or SIGTERM, SIGINT or SIGHUP comes;
  /// then unmounts. Each of `moments` is called once at most.
  Status<Explained> serve(const Moments& moments);

 private:
  struct Impl;
  explicit FuseMount(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace rosebud::mount
