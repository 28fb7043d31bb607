// Objects and notes on RocksDB (docs/format/disk.md).
//
// Column families: index (object id -> fixed entry, ordered by placement key), meta (record
// statement and holds), content (of records and small blocks), places (where large contents lie in
// segments.h), notes. Everything of one commit is one atomic write batch, synced before it is
// acknowledged, after the contents that it names. Thread-safe. Exceptions of the library never
// leave.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "wire/object.h"

namespace rocksdb {
struct ReadOptions;
}

namespace rosebud::disk {

struct StoreOptions {
  std::filesystem::path path;
  /// Contents of large blocks (segments.h). Default: "segments" beside `path`.
  std::filesystem::path segments;
  std::uint64_t segment_bytes = 256ULL << 20;
  /// Below this much free space content is refused with kNoSpace, below half of it every object
  /// that is not a damage mark too. Deletes and notes stay possible, and so does recovery.
  std::uint64_t reserve_bytes = 256ULL << 20;
  /// Memory for objects and for blocks of the database, half each, and for what is not yet in
  /// sorted files.
  std::size_t cache_bytes = 64U << 20;
  std::size_t write_buffer_bytes = 64U << 20;
  /// Asked for free bytes; replaced in tests. Default: the file system's.
  std::function<std::uint64_t()> free_bytes;
};

class Store {
 public:
  static Result<std::unique_ptr<Store>, Explained> open(StoreOptions options);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  /// One state of the object, whatever is committed meanwhile. kAll checks the bytes: a block
  /// against its id, a record's value against its statement. They may be the store's own memory:
  /// whoever keeps them must be gone before the store is.
  wire::Loaded load(const wire::ObjectId& id, wire::LoadPart part) const;
  /// The same without touching the disk; nothing when that cannot be or is not wanted, or when
  /// something is wrong: then load() says what.
  std::optional<wire::Loaded> load_cached(const wire::ObjectId& id, wire::LoadPart part) const;
  Result<wire::Scanned, wire::StorageError> scan(const wire::KeyRange& range,
                                                 const std::optional<wire::ObjectId>& after,
                                                 std::size_t limit) const;
  /// Atomic and synced. Several writers' batches may be given at once: they share the sync.
  Status<wire::StorageError> commit(
      const std::vector<const std::vector<wire::StorageWrite>*>& batches);
  /// A device failed while the database wrote its log or tables, and until it is opened anew it
  /// takes no more writes. What was committed is safe: opening reads it from the log.
  bool is_closed_to_writes() const;
  /// Notes whose name starts with `prefix`, in order; all of them or an error, since a node that
  /// forgets a note breaks promises that it made.
  Result<std::vector<std::pair<Bytes, Bytes>>, wire::StorageError> notes(
      std::string_view prefix) const;

  /// Gives back the space of one segment that is little used, or moves some of what is used in it.
  /// False when there is nothing to do. Takes as long as a commit.
  bool reclaim();

  /// Rewrites the files so that the space of everything deleted is given back. Takes long. kCorrupt
  /// when stored bytes that are still in use are bad; then they must be overwritten or deleted.
  Status<wire::StorageError> compact();

  /// Flips bits in the stored content of about every `one_in`-th object: how a dying disk looks.
  /// For tests and development clusters. Returns how many.
  std::size_t damage(std::uint64_t seed, std::uint64_t one_in);

  struct Statistics {
    std::uint64_t objects = 0;  // estimate
    std::uint64_t bytes = 0;    // of all files
    std::uint64_t free_bytes = 0;
    /// Compactions that met bad bytes or a failing device. They are tried again; space of deleted
    /// objects is not given back before the bad ones were found and fetched anew.
    std::uint64_t failed_compactions = 0;
  };
  Statistics statistics() const;

 private:
  struct State;
  explicit Store(std::unique_ptr<State> state);
  wire::Loaded load_by(const rocksdb::ReadOptions& read, const wire::ObjectId& id,
                       wire::LoadPart part) const;
  void keep(std::uint64_t generation, wire::LoadPart part, const wire::Loaded& loaded) const;
  std::unique_ptr<State> state_;
};

}  // namespace rosebud::disk
