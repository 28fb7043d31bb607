#include "disk/object_cache.h"

#include <cstring>

#include "base/check.h"
#include "crypto/signature.h"

namespace rosebud::disk {
namespace {

std::uint64_t random_odd() {
  std::uint64_t out = 0;
  crypto::fill_random({reinterpret_cast<std::uint8_t*>(&out), sizeof out});
  return out | 1;
}

std::size_t memory_of(const wire::StoredObject& object) {
  constexpr std::size_t kObject = sizeof(wire::StoredObject) + 128;  // with the nodes of the maps
  constexpr std::size_t kHold = sizeof(wire::Hold) + 64;
  std::size_t bytes = kObject + object.content.size() + object.record.statement.size();
  for (const wire::Hold& hold : object.holds) {
    bytes += kHold + hold.statement.statement.size() + hold.admission.statement.size() +
             hold.path.size() * sizeof(crypto::Digest);
  }
  return bytes;
}

/// The object that a write changes; nothing for a note.
const wire::ObjectId* object_of(const wire::StorageWrite& write) {
  if (const auto* put = std::get_if<wire::PutObject>(&write)) return &put->object.id;
  if (const auto* gone = std::get_if<wire::DeleteObject>(&write)) return &gone->id;
  return nullptr;
}

}  // namespace

std::size_t ObjectCache::Hash::operator()(const wire::ObjectId& id) const {
  std::uint64_t prefix = 0;
  std::memcpy(&prefix, id.placement.bytes.data(), sizeof prefix);
  const std::uint64_t mixed = (prefix + static_cast<std::uint64_t>(id.type)) * seed;
  return static_cast<std::size_t>(mixed ^ mixed >> 32);
}

ObjectCache::ObjectCache(std::size_t bytes_max)
    : bytes_max_(bytes_max),
      by_id_(16, Hash{random_odd()}),
      unchanged_(16, by_id_.hash_function()) {}

ObjectCache::Generation ObjectCache::generation() const {
  const std::lock_guard lock(mutex_);
  return generation_;
}

std::optional<wire::StoredObject> ObjectCache::find(const wire::ObjectId& id) {
  const std::lock_guard lock(mutex_);
  const auto at = by_id_.find(id);
  if (at == by_id_.end()) return std::nullopt;
  entries_.splice(entries_.begin(), entries_, at->second);
  return at->second->object;
}

void ObjectCache::fill(Generation generation, const wire::StoredObject& object) {
  const std::lock_guard lock(mutex_);
  // A copy: the content may pin a block of the database that is many times as large.
  if (generation == generation_) put(object, Buffer::copy_of(object.content.view()));
}

void ObjectCache::begin(const Batches& batches) {
  const std::lock_guard lock(mutex_);
  ++generation_;
  for (const auto* writes : batches) {
    for (const wire::StorageWrite& write : *writes) {
      const wire::ObjectId* id = object_of(write);
      if (!id) continue;
      const auto* put = std::get_if<wire::PutObject>(&write);
      const auto at = by_id_.find(*id);
      if (put && put->is_content_unchanged && at != by_id_.end())
        unchanged_[*id] = at->second->object.content;
      erase(*id);
    }
  }
}

void ObjectCache::end(const Batches& batches, bool is_written) {
  const std::lock_guard lock(mutex_);
  ++generation_;
  for (const auto* writes : batches) {
    for (const wire::StorageWrite& write : *writes) {
      if (is_written) {
        take_over(write);
      } else if (const wire::ObjectId* id = object_of(write)) {
        erase(*id);
      }
    }
  }
  unchanged_.clear();
}

/// In the order of the batches, so the last write of an object is the one that stays.
void ObjectCache::take_over(const wire::StorageWrite& write) {
  const wire::ObjectId* id = object_of(write);
  if (!id) return;
  const auto* change = std::get_if<wire::PutObject>(&write);
  if (!change) return erase(*id);
  if (!change->is_content_unchanged) {
    // A copy: the content may be a piece of a much larger message.
    return put(change->object, Buffer::copy_of(change->object.content.view()));
  }
  // The content is what an earlier write of this commit brought, or what was here before it.
  if (const auto at = by_id_.find(*id); at != by_id_.end())
    return put(change->object, at->second->object.content);
  if (const auto before = unchanged_.find(*id); before != unchanged_.end())
    put(change->object, before->second);
}

void ObjectCache::put(const wire::StoredObject& object, Buffer content) {
  erase(object.id);
  if (object.is_damaged || content.size() > kContentBytesMax) return;
  entries_.push_front({.object = {.id = object.id,
                                  .record = object.record,
                                  .holds = object.holds,
                                  .content = std::move(content)}});
  const std::size_t bytes = memory_of(entries_.front().object);
  entries_.front().bytes = bytes;
  by_id_[object.id] = entries_.begin();
  bytes_ += bytes;
  while (bytes_ > bytes_max_) erase(entries_.back().object.id);
}

void ObjectCache::erase(const wire::ObjectId& id) {
  const auto at = by_id_.find(id);
  if (at == by_id_.end()) return;
  bytes_ -= at->second->bytes;
  entries_.erase(at->second);
  by_id_.erase(at);
}

void ObjectCache::clear() {
  const std::lock_guard lock(mutex_);
  ++generation_;
  by_id_.clear();
  entries_.clear();
  bytes_ = 0;
}

std::size_t ObjectCache::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace rosebud::disk
