// A simulated disk: what was persisted stays, what was under way at a crash is lost, and bytes may
// rot.
#pragma once

#include <map>
#include <set>
#include <unordered_map>

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
  /// What it held under this key as a member of earlier epochs than this the replica has given up,
  /// as far as that is durable.
  wire::Epoch gone_before(const crypto::Digest& key) const;
  /// Nothing when it is not there. What rots shows only in a load.
  const wire::StoredObject* find(const wire::ObjectId& id) const {
    const auto at = objects_.find(id);
    return at == objects_.end() ? nullptr : &at->second;
  }
  /// What is there, in order.
  const std::map<wire::ObjectId, wire::IndexEntry>& index() const { return index_; }

  /// Flips a bit of one object's content, if there is one. Seen as kCorrupt by the next load.
  void rot(std::uint64_t which);
  /// Bytes that the node counts against a client.
  std::uint64_t counted(const crypto::PublicKey& client) const;
  void set_full(bool is_full) { is_full_ = is_full; }
  bool is_full() const { return is_full_; }

 private:
  /// Placement keys are hashes themselves.
  struct HashOfKey {
    std::size_t operator()(const wire::ObjectId& id) const {
      std::size_t out = 0;
      std::memcpy(&out, id.placement.bytes.data(), sizeof out);
      return out;
    }
  };

  // Invariant: the same ids in both.
  std::unordered_map<wire::ObjectId, wire::StoredObject, HashOfKey> objects_;
  std::map<wire::ObjectId, wire::IndexEntry> index_;
  std::map<Bytes, Bytes> notes_;
  wire::ConfigurationNumber entered_;
  std::set<wire::ObjectId> rotten_;
  bool is_full_ = false;
};

}  // namespace rosebud::sim
