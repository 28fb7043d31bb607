#include "sim/disk.h"

#include "base/check.h"
#include "objects/interval_epochs.h"

namespace rosebud::sim {

wire::Loaded Disk::load(const wire::ObjectId& id, wire::LoadPart part) const {
  const auto at = objects_.find(id);
  if (at == objects_.end()) return std::optional<wire::StoredObject>();
  if (part != wire::LoadPart::kMeta && rotten_.contains(id))
    return fail(wire::StorageError::kCorrupt);
  wire::StoredObject out = at->second;
  if (part == wire::LoadPart::kMeta) out.content = {};
  return std::optional(std::move(out));
}

wire::Scanned Disk::scan(const wire::KeyRange& range, const std::optional<wire::ObjectId>& after,
                         std::size_t limit) const {
  wire::Scanned out{.is_whole = true};
  auto at = after ? index_.upper_bound(*after)
                  : index_.lower_bound({.placement = range.first, .type = wire::ObjectType{0}});
  for (; at != index_.end() && at->first.placement <= range.last; ++at) {
    if (out.entries.size() == limit) {
      out.is_whole = false;
      break;
    }
    out.entries.push_back(at->second);
  }
  return out;
}

Status<wire::StorageError> Disk::commit(const std::vector<wire::StorageWrite>& writes) {
  for (const auto& write : writes) {
    const auto* put = std::get_if<wire::PutObject>(&write);
    if (put && !put->is_content_unchanged && is_full_) return fail(wire::StorageError::kNoSpace);
  }
  for (const auto& write : writes) {
    if (const auto* put = std::get_if<wire::PutObject>(&write)) {
      wire::StoredObject object = put->object;
      if (put->is_content_unchanged) {
        object.content = objects_.at(object.id).content;
      } else {
        rotten_.erase(object.id);
      }
      index_[object.id] = object.entry();
      objects_[object.id] = std::move(object);
    } else if (const auto* erase = std::get_if<wire::DeleteObject>(&write)) {
      objects_.erase(erase->id);
      index_.erase(erase->id);
      rotten_.erase(erase->id);
    } else if (const auto* note = std::get_if<wire::PutNote>(&write)) {
      if (as_text(note->name) == "objects/tenure") {
        wire::Reader in(note->value);
        entered_ = wire::read_number(in);
      }
      if (note->value.empty()) {
        notes_.erase(note->name);
      } else {
        notes_[note->name] = note->value;
      }
    }
  }
  return {};
}

wire::Epoch Disk::gone_before(const crypto::Digest& key) const {
  const auto at = notes_.find(to_bytes(as_bytes("objects/tenure")));
  if (at == notes_.end()) return {};
  wire::Reader in(at->second);
  in.u32();
  in.u64();
  constexpr std::size_t kSizeMax = 1U << 20;
  in.bytes32(kSizeMax);  // complete
  in.bytes32(kSizeMax);  // served
  const auto gone = objects::IntervalEpochs::decode(in.bytes32(kSizeMax));
  CHECK(gone.has_value());
  return gone->highest({key, key});
}

std::uint64_t Disk::counted(const crypto::PublicKey& client) const {
  Bytes name = to_bytes(as_bytes("objects/quota/"));
  name.insert(name.end(), client.bytes.begin(), client.bytes.end());
  const auto at = notes_.find(name);
  return at == notes_.end() ? 0 : wire::Reader(at->second).u64();
}

void Disk::rot(std::uint64_t which) {
  if (index_.empty()) return;
  const auto at = std::next(index_.begin(), static_cast<std::ptrdiff_t>(which % index_.size()));
  if (!at->second.is_damaged) rotten_.insert(at->first);
}

}  // namespace rosebud::sim
