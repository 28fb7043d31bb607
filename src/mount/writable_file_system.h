// A volume as a file system that a kernel may ask and change: what is published, and above it what
// was changed here since. It knows neither the kernel's messages (fuse_writing.cc) nor how a
// publication gets its record (publisher.h).
//
// 1. What was changed here is seen at once by all who ask afterwards, and nothing of it is
//    published in parts: a publication is the whole tree at one moment (publication_plan.h).
// 2. Bytes that were written and are not published stand on this machine's disk (staging.h); memory
//    holds the names, the extents and what was read.
// 3. Somebody else's publication is followed only while nothing is pending here (follow()). Once it
//    is refused, nothing can be changed any more: EROFS; what is pending stays to be read.
// 4. A file that is open to be written is published when it is closed or taken as it is; the
//    publications before leave it as it was.
// 5. A file that is open, or removed and open, stays what it was for whoever has it open; another
//    content by somebody else's publication is another inode.
// 6. Every operation ends by its deadline, with an error when it must. None but those that read
//    blocks waits for anything else than this machine.
//
// Thread-safe.
#pragma once

#include "mount/attributes.h"
#include "mount/block_cache.h"
#include "mount/directories.h"
#include "mount/publication_plan.h"

namespace rosebud::mount {

/// One opened file.
class WritableFile {
 public:
  WritableFile(InodeId inode, bool is_to_write, std::uint64_t ahead_bytes_max)
      : id(inode), writes(is_to_write), read_ahead(ahead_bytes_max) {}

  const InodeId id;
  const bool writes;
  std::mutex mutex;
  ReadAhead read_ahead;  // under the mutex
};

/// One opened directory, as it was when it was opened or read from its beginning last.
struct ListedDirectory {
  struct Added {
    std::string name;
    std::uint64_t number = 0;
    fs::Kind kind = fs::Kind::kFile;
  };
  InodeId id = 0;
  std::uint64_t number = 0;
  std::uint64_t parent_number = 0;  // of the root: its own
  std::optional<fs::Cid> base;
  std::set<std::string> hidden;  // of its entries
  std::map<std::string, std::uint64_t>
      numbers;  // of its entries that go by another than their path's
  std::vector<Added> added;
};

struct ListedEntry {
  std::string name;
  std::uint64_t number = 0;
  std::optional<fs::Kind> kind;  // where it is known without another block
  Cursor next = 0;
};

/// What is set is to become so.
struct AttributeChange {
  std::optional<std::uint32_t> mode;
  std::optional<std::uint64_t> bytes;
  std::optional<fs::ModificationTime> modified;
};

class WritableFileSystem {
 public:
  using Now = std::function<fs::ModificationTime()>;

  /// `cache` and `staging` outlive it. `directory_bytes_max`: of decoded directories. `timeout`: of
  /// each operation. `now`: the clock of this machine. Call start() before anything else.
  WritableFileSystem(BlockCache& cache, Staging& staging, std::size_t directory_bytes_max,
                     Duration timeout, Now now);

  /// That root is what is published. An error when it cannot be had or is no directory.
  Status<Explained> start(const fs::Cid& root);

  // ---- What a kernel asks ----
  //
  // Errors as those of FileSystem; in addition EROFS after refuse_changes(), ENOSPC when the
  // staging is full, and what the system calls say of themselves.

  /// This, and whatever makes something, counts as one lookup of what is returned.
  Answer<Attributes> look_up(InodeId parent, const std::string& name,
                             const GivenUp* given_up = nullptr);
  void forget(InodeId id, std::uint64_t lookups);
  Answer<Attributes> attributes(InodeId id);
  Answer<std::string> link_target(InodeId id);
  /// Anew: its content goes.
  enum class Opening : std::uint8_t { kToRead, kToWrite, kAnew };
  Answer<std::shared_ptr<WritableFile>> open(InodeId id, Opening opening);
  /// What open() and create() returned is used no more. The last one that writes has done its work:
  /// until then publications leave the file out.
  void close(const WritableFile& file);
  /// What was written into it so far is to be in publications from now on, though it is open.
  void take_as_it_is(InodeId id);
  /// One that wrote has closed it: in publications that somebody waits for it is whole.
  void flush(InodeId id);
  Answer<std::vector<Buffer>> read(WritableFile& file, std::uint64_t offset, std::uint64_t count,
                                   const GivenUp* given_up = nullptr);
  Answer<std::shared_ptr<ListedDirectory>> open_directory(InodeId id);
  /// Without "." and "..", at least one and about `count`; none: that was all.
  Answer<std::vector<ListedEntry>> read_directory(const ListedDirectory& directory, Cursor after,
                                                  std::size_t count,
                                                  const GivenUp* given_up = nullptr);
  Answer<Usage> usage(const GivenUp* given_up = nullptr);

  Answer<void> write(InodeId id, std::uint64_t offset, ByteView bytes);
  Answer<Attributes> change_attributes(InodeId id, const AttributeChange& change);
  struct Created {
    Attributes attributes;
    std::shared_ptr<WritableFile> file;
  };
  /// EEXIST when something is there.
  Answer<Created> create(InodeId parent, const std::string& name, std::uint32_t mode,
                         const GivenUp* given_up = nullptr);
  Answer<Attributes> make_directory(InodeId parent, const std::string& name, std::uint32_t mode,
                                    const GivenUp* given_up = nullptr);
  Answer<Attributes> make_link(InodeId parent, const std::string& name, const std::string& target,
                               const GivenUp* given_up = nullptr);
  /// Of a file or link.
  Answer<void> remove(InodeId parent, const std::string& name, const GivenUp* given_up = nullptr);
  Answer<void> remove_directory(InodeId parent, const std::string& name,
                                const GivenUp* given_up = nullptr);
  struct Place {
    InodeId parent = 0;
    std::string name;
  };
  enum class Replacing : bool { kRefused, kAllowed };
  Answer<void> rename(const Place& from, const Place& to, Replacing replacing,
                      const GivenUp* given_up = nullptr);

  // ---- Publications. From one thread at a time. ----

  bool has_changes() const;
  /// Whether so much is pending that it is time to publish, whatever else says when.
  bool is_crowded() const;
  /// Nothing: nothing is pending. Blocks are made by store(), then end_publication() is called.
  std::optional<PublicationPlan> begin_publication(
      PublicationPlan::InWork in_work = PublicationPlan::InWork::kLeftOut, bool is_awaited = false);
  Result<fs::Imported, Explained> store(PublicationPlan& plan, fs::BlockSink& sink);
  enum class Outcome : bool { kFailed, kPublished };
  void end_publication(PublicationPlan plan, Outcome outcome);
  /// From now on all that would change anything is EROFS.
  void refuse_changes();
  /// Paths of what is pending, at most so many, in no order.
  std::vector<std::string> pending_paths(std::size_t count_max) const;

  using Forewarn = std::function<void(const Changes&)>;
  /// Somebody else has published that root: it is what there is from now on, unless something is
  /// pending: false then. `forewarn`: after that, with what the kernel may have kept and is not so.
  Result<bool, Explained> follow(const fs::Cid& root, const Forewarn& forewarn);

 private:
  using Lock = std::unique_lock<std::mutex>;

  /// Asks for blocks for as long as it takes, each by the deadline of an operation.
  class PatientSource final : public fs::BlockSource {
   public:
    PatientSource(BlockCache& cache, Duration timeout) : cache_(cache), timeout_(timeout) {}
    Result<Buffer, Explained> get(const fs::Cid& cid) override {
      return OperationSource(cache_, timeout_).get(cid);
    }
    void prefetch(std::span<const fs::Cid> cids) override {
      OperationSource(cache_, timeout_).prefetch(cids);
    }

   private:
    BlockCache& cache_;
    Duration timeout_;
  };

  // Requires of all: the lock held.
  Attributes attributes_of(const PendingNode& node) const;
  Answer<PendingNode*> node(InodeId id);
  /// Of one in which something is to change.
  Answer<PendingNode*> directory_to_change(InodeId id);
  Answer<PendingNode*> file_to_write(InodeId id);
  StagedFile& staged(PendingNode& file);
  FileReader* reader(PendingNode& file);
  void touch(PendingNode& node);
  /// As touch(); its bytes or entries are others.
  void touch_content(PendingNode& node);
  std::shared_ptr<WritableFile> opened(PendingNode& file, bool writes);
  /// What that name leads to; nothing: to nothing. Where that stands in blocks the lock is released
  /// while they are asked for, and `has_waited` set: nothing that was seen before may be so any
  /// more.
  Answer<PendingNode*> child(Lock& lock, InodeId parent, const std::string& name,
                             OperationSource& source, bool& has_waited);
  /// As child(), with all else as it was when this returns.
  Answer<PendingNode*> child(Lock& lock, InodeId parent, const std::string& name,
                             OperationSource& source);
  /// A directory and a name in it at which something can be made; EEXIST.
  Answer<PendingNode*> free_place(Lock& lock, InodeId parent, const std::string& name,
                                  OperationSource& source);
  /// Counts as one lookup.
  Answer<PendingNode*> make(Lock& lock, const Place& place, fs::Kind kind,
                            const fs::Attributes& attributes, const GivenUp* given_up);
  /// Whether nothing is in that directory; as child() releases the lock.
  Answer<bool> is_empty(Lock& lock, InodeId directory, OperationSource& source, bool& has_waited);
  std::shared_ptr<ListedDirectory> listed(const PendingNode& directory);

  BlockCache& cache_;
  Staging& staging_;
  Directories directories_;
  const Duration timeout_;
  const Now now_;
  mutable std::mutex mutex_;
  // Under the mutex:
  PendingTree tree_;
  bool is_refusing_ = false;
  bool is_following_ = false;  // no node is added meanwhile
  std::condition_variable followed_;
};

}  // namespace rosebud::mount
