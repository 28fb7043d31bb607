// Objects that were used last, as they stand on disk, in memory.
//
// A lookup in RocksDB takes several microseconds even where nothing touches the disk: every write
// needs the object that it changes, every read the object itself. What the cache holds is durable:
// a commit takes its objects out before it writes and puts the new ones in after the sync.
//
// A reader that fills the cache races with a commit: it may have read what the commit replaces. So
// it says which generation it began to read in, and nothing is kept of it when a commit began or
// ended since.
#pragma once

#include <list>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "wire/object.h"

namespace rosebud::disk {

/// Thread-safe.
class ObjectCache {
 public:
  /// Takes about `bytes_max` at most.
  explicit ObjectCache(std::size_t bytes_max);

  using Generation = std::uint64_t;
  /// To be asked for before an object is read from the database.
  Generation generation() const;
  /// Keeps what was read since; nothing when a commit began or ended meanwhile.
  void fill(Generation generation, const wire::StoredObject& object);
  /// With its content.
  std::optional<wire::StoredObject> find(const wire::ObjectId& id);

  using Batches = std::vector<const std::vector<wire::StorageWrite>*>;
  /// Before the batches are written: what they change is not answered from here meanwhile.
  void begin(const Batches& batches);
  /// After they were written, or not: then their objects are left to the disk.
  void end(const Batches& batches, bool is_written);

  void clear();
  std::size_t bytes() const;

  /// Larger contents are not kept: they would push out a thousand small ones, and the system keeps
  /// their pages.
  static constexpr std::size_t kContentBytesMax = 64U << 10;

 private:
  struct Entry {
    wire::StoredObject object;
    std::size_t bytes = 0;
  };
  using Entries = std::list<Entry>;  // the one used last in front
  struct Hash {
    std::uint64_t seed = 0;  // secret: nobody can make many ids that fall together
    std::size_t operator()(const wire::ObjectId& id) const;
  };

  void put(const wire::StoredObject& object, Buffer content);
  void erase(const wire::ObjectId& id);
  void take_over(const wire::StorageWrite& write);

  mutable std::mutex mutex_;
  const std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  Generation generation_ = 0;
  Entries entries_;
  std::unordered_map<wire::ObjectId, Entries::iterator, Hash> by_id_;
  /// Contents of objects that are being written with their content unchanged.
  std::unordered_map<wire::ObjectId, Buffer, Hash> unchanged_;
};

}  // namespace rosebud::disk
