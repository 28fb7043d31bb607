// When what was changed in a mount is published, by a thread: when somebody waits for it, some
// time after the last change, when much is pending, and at the end. While nothing is pending it
// asks for what others have published.
//
// 1. Whoever asks for a publication gets one that began after; those who wait at the same time
//    share it.
// 2. One that fails leaves all as it was, and is tried again. One that is overtaken is the last:
//    nothing can be changed from then on.
// 3. The kernel is told by another thread what it must forget: it may make that wait for an
//    operation, and that operation may be one that waits for a publication.
//
// Thread-safe.
#pragma once

#include <deque>
#include <thread>

#include "mount/writable_file_system.h"

namespace rosebud::mount {

/// Why something is not published.
struct Unpublished {
  enum class Why : std::uint8_t {
    kFailed,
    kTimedOut,   // also: nobody knows whether it is
    kNoRoom,     // the cluster takes no more
    kLocal,      // this machine refused: its disk, a file
    kOvertaken,  // by another publication: never from here
  };
  Why why = Why::kFailed;
  Explained explained;
};

/// How a volume gets another root. Everything ends by a deadline. From one thread at a time.
class Publisher {
 public:
  virtual ~Publisher() = default;
  using Store = std::function<Result<fs::Imported, Explained>(fs::BlockSink&)>;
  /// Publishes the root that `store` returns when all of its blocks are stored, as what follows the
  /// publication that this mount stands on. Another one is there meanwhile: kOvertaken, and nothing
  /// of it is overwritten.
  virtual Status<Unpublished> publish(const Store& store) = 0;
  /// The root of a newer publication by somebody else; nothing: there is none, or nobody knows.
  virtual std::optional<fs::Cid> newer() = 0;
  /// The mount stands on what newer() returned last.
  virtual void stand_on_newer() = 0;
};

class Publications {
 public:
  struct Pending {
    Unpublished why;
    std::vector<std::string> paths;  // not all when there are very many
  };
  struct Options {
    Duration after{};      // the last change; the first one at most kMostTimes as long ago
    Duration ask_every{};  // for what others publish
    WritableFileSystem::Forewarn forewarn;     // as of follow(), by a thread of its own
    std::function<void(const Pending&)> tell;  // for whoever keeps the mount: once for a failure
  };
  /// All that is given outlives it.
  Publications(WritableFileSystem& files, Publisher& publisher, Options options);
  ~Publications();
  Publications(const Publications&) = delete;
  Publications& operator=(const Publications&) = delete;

  /// From now on.
  void start();
  /// Something was changed.
  void on_change();
  /// Waits until all that was changed before is published: ENOSPC, ETIMEDOUT, EIO when it is not;
  /// EINTR when whoever asked has given up.
  Answer<void> publish_all(const GivenUp* given_up = nullptr);
  /// The same for who finds no room: what is there of files in work leaves the staging too.
  Answer<void> make_room(const GivenUp* given_up = nullptr);
  /// Those who wait look whether they were given up.
  void wake();
  /// One publication of all that is pending, then no other. An error: of what is not published.
  Status<Unpublished> end();
  /// Nothing while nothing failed: why the last publication did, and what is pending.
  std::optional<Pending> unpublished() const;
  /// Others' publications are taken over no more; when this returns `forewarn` does not run.
  void stop_following();

 private:
  using Lock = std::unique_lock<std::mutex>;
  /// One publication, for those who wait for it.
  struct Round {
    std::optional<Answer<void>> answer;
  };
  static constexpr int kMostTimes = 12;
  static constexpr std::size_t kPathsMax = 100;

  void run();
  /// When to publish, with nobody waiting; nothing: nothing is pending. Requires: the lock.
  std::optional<Deadline> due() const;
  struct How {
    bool is_last = false;
    bool is_awaited = false;
    bool is_room_needed = false;
  };
  Answer<void> publish(How how);
  Answer<void> wait_for_publication(const GivenUp* given_up, bool is_room_needed);
  void follow();
  void run_forewarning();

  WritableFileSystem& files_;
  Publisher& publisher_;
  const Options options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Under the mutex:
  std::shared_ptr<Round> next_;  // somebody waits for it
  std::optional<Deadline> first_change_;
  Deadline last_change_;
  Deadline not_before_;          // after a failure
  bool is_room_needed_ = false;  // by who waits for the next publication
  bool is_ending_ = false;
  bool is_over_ = false;
  bool is_overtaken_ = false;
  bool is_following_ = true;
  bool is_in_follow_ = false;
  std::deque<Changes> to_forewarn_;
  bool is_forewarning_ = false;
  std::optional<Unpublished> failure_;  // of the last publication
  // These use the others:
  std::thread thread_;
  std::thread forewarning_;
};

}  // namespace rosebud::mount
