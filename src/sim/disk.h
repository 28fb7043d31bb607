// A simulated disk: what was persisted stays, what was under way at a crash is lost, and bytes may
// rot.
#pragma once

#include <map>
#include <set>

#include "wire/object.h"

namespace rosebud::sim {

class Disk {
 public:
  wire::Loaded load(const wire::ObjectId& id, wire::LoadPart part) const;
  wire::Scanned scan(const wire::KeyRange& range, const std::optional<wire::ObjectId>& after,
                     std::size_t limit) const;
  /// Atomic. Called when the sync is over: before that nothing of it is there.
  Status<wire::StorageError> commit(const std::vector<wire::StorageWrite>& writes);

  std::vector<std::pair<Bytes, Bytes>> notes() const { return {notes_.begin(), notes_.end()}; }
  /// The configuration that the replica says it has entered, as far as that is durable.
  wire::ConfigurationNumber entered() const { return entered_; }
  const std::map<wire::ObjectId, wire::StoredObject>& objects() const { return objects_; }

  /// Flips a bit of one object's content, if there is one. Seen as kCorrupt by the next load.
  void rot(std::uint64_t which);
  void set_full(bool is_full) { is_full_ = is_full; }

 private:
  std::map<wire::ObjectId, wire::StoredObject> objects_;
  std::map<wire::ObjectId, wire::IndexEntry> index_;
  std::map<Bytes, Bytes> notes_;
  wire::ConfigurationNumber entered_;
  std::set<wire::ObjectId> rotten_;
  bool is_full_ = false;
};

}  // namespace rosebud::sim
