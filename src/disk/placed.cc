#include "base/check.h"
#include "base/random.h"
#include "disk/placed_internal.h"
#include "wire/cursor.h"

namespace rosebud::disk {
namespace {

using wire::StorageError;

/// Bytes that one step of reclaiming moves, so that a commit waits for it no longer than for
/// another commit.
constexpr std::uint64_t kStepBytes = 8U << 20;

rocksdb::Slice slice(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
ByteView view(const rocksdb::Slice& slice) {
  return {reinterpret_cast<const std::uint8_t*>(slice.data()), slice.size()};
}
void check(const rocksdb::Status& status) { CHECK(status.ok()); }  // batches are in memory

std::int64_t footprint(const Place& place) {
  return static_cast<std::int64_t>(place.size) + static_cast<std::int64_t>(kSegmentHeadSize);
}

Bytes key_of(SegmentNumber segment) { return wire::Writer().u32(segment.value).take(); }

}  // namespace

Result<std::unique_ptr<PlacedContents>, Explained> PlacedContents::open(
    rocksdb::DB& db, Families families, std::filesystem::path folder, std::uint64_t segment_bytes) {
  auto segments = Segments::open(std::move(folder), segment_bytes);
  if (!segments) return fail(segments.error());
  std::unique_ptr<PlacedContents> out(new PlacedContents(db, families, std::move(*segments)));
  const std::unique_ptr<rocksdb::Iterator> it(
      db.NewIterator(rocksdb::ReadOptions(), families.segments));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    wire::Reader key(view(it->key()));
    wire::Reader value(view(it->value()));
    const SegmentNumber segment(key.u32());
    const std::uint64_t used = value.u64();
    if (key.done() && value.done() && used > 0) out->used_[segment] = used;
  }
  if (!it->status().ok()) {
    return fail(Explained{.what = "cannot read which segments are used: " + it->status().ToString(),
                          .cause = "files of the database are damaged",
                          .next = "have the organisation admit the node with a new directory"});
  }
  return out;
}

// ---- Commits ----

Status<StorageError> PlacedContents::Change::append(const std::vector<SegmentContent>& contents) {
  if (contents.empty()) return {};
  auto places = of_.segments_->append(contents);
  if (!places) return fail(places.error());
  appended_ = std::move(*places);
  return {};
}

std::optional<Place> PlacedContents::Change::place_now(const wire::ObjectId& id) const {
  const auto changed = places_.find(id);
  if (changed != places_.end()) return changed->second;
  // An entry that cannot be read is not counted down: its segment is kept longer than it must.
  return of_.place_of(rocksdb::ReadOptions(), id).value_or(std::nullopt);
}

void PlacedContents::Change::set(const wire::ObjectId& id, const std::optional<Place>& place) {
  if (const auto before = place_now(id)) used_[before->segment] -= footprint(*before);
  if (place) used_[place->segment] += footprint(*place);
  places_[id] = place;
  const auto key = id.encode();
  check(place ? batch_.Put(of_.families_.places, slice(key.view()), slice(place->encode()))
              : batch_.Delete(of_.families_.places, slice(key.view())));
}

void PlacedContents::Change::put_next(const wire::ObjectId& id) {
  CHECK(next_ < appended_.size());
  set(id, appended_[next_++]);
}

void PlacedContents::Change::forget(const wire::ObjectId& id) {
  if (place_now(id)) set(id, std::nullopt);
}

void PlacedContents::Change::finish() {
  for (const auto& [segment, difference] : used_) {
    const auto at = of_.used_.find(segment);
    const std::int64_t before = at == of_.used_.end() ? 0 : static_cast<std::int64_t>(at->second);
    const auto used = static_cast<std::uint64_t>(std::max<std::int64_t>(before + difference, 0));
    const Bytes key = key_of(segment);
    check(used == 0 ? batch_.Delete(of_.families_.segments, slice(key))
                    : batch_.Put(of_.families_.segments, slice(key),
                                 slice(wire::Writer().u64(used).take())));
  }
}

void PlacedContents::Change::apply() {
  // A segment can be given back when something in it was given up, or when it is closed.
  of_.may_reclaim_ |= of_.newest_ != of_.segments_->newest();
  of_.newest_ = of_.segments_->newest();
  for (const auto& [segment, difference] : used_) {
    of_.may_reclaim_ |= difference < 0;
    std::uint64_t& used = of_.used_[segment];
    used = static_cast<std::uint64_t>(
        std::max<std::int64_t>(static_cast<std::int64_t>(used) + difference, 0));
    if (used == 0) of_.used_.erase(segment);
  }
}

// ---- Reading ----

Result<std::optional<Place>, StorageError> PlacedContents::place_of(
    const rocksdb::ReadOptions& read, const wire::ObjectId& id) const {
  const auto key = id.encode();
  std::string value;
  const rocksdb::Status status = db_.Get(read, families_.places, slice(key.view()), &value);
  if (status.IsNotFound()) return std::optional<Place>();
  if (!status.ok()) return fail(status.IsCorruption() ? StorageError::kCorrupt : StorageError::kIo);
  const auto place = Place::decode(as_bytes(value));
  if (!place) return fail(StorageError::kCorrupt);
  return place;
}

Result<std::optional<Buffer>, StorageError> PlacedContents::read(const rocksdb::ReadOptions& read,
                                                                 const wire::ObjectId& id) const {
  auto place = place_of(read, id);
  if (!place) return fail(place.error());
  if (!*place) return std::optional<Buffer>();
  // Segments are files: who may not wait for the disk does not read them.
  if (read.read_tier == rocksdb::kBlockCacheTier) return fail(StorageError::kIo);
  auto bytes = segments_->read(**place);
  if (!bytes && bytes.error() == StorageError::kCorrupt) {
    // It may have moved since: then the newest state names another place.
    const auto now = place_of(rocksdb::ReadOptions(), id);
    if (now && *now && **now != **place) bytes = segments_->read(**now);
  }
  if (!bytes) return fail(bytes.error());
  return std::optional(std::move(*bytes));
}

// ---- Giving space back ----

bool PlacedContents::reclaim(unsigned threshold) {
  if (!may_reclaim_ && threshold < 100) return false;
  for (const auto& [segment, size] : segments_->closed()) {
    const auto at = used_.find(segment);
    if (at == used_.end()) {
      segments_->remove(segment);
      left_alone_.erase(segment);
      return true;
    }
    const bool is_mostly_used = at->second >= size / 100 * threshold;
    if (!is_mostly_used && !left_alone_.contains(segment)) return move_some(segment);
  }
  may_reclaim_ = false;
  return false;
}

/// The first contents of the segment that are used still, to the end of the newest.
bool PlacedContents::move_some(SegmentNumber segment) {
  const auto leave_alone = [&] {
    left_alone_.insert(segment);
    return true;
  };
  const auto found = segments_->contents_of(segment);
  if (!found) return leave_alone();
  std::vector<wire::ObjectId> ids;
  std::vector<Buffer> bytes;
  std::uint64_t total = 0;
  for (const Segments::Found& one : *found) {
    const auto now = place_of(rocksdb::ReadOptions(), one.id);
    if (!now) return leave_alone();
    if (!*now || **now != one.place) continue;
    auto content = segments_->read(one.place);
    if (!content) return leave_alone();  // the scrubber finds it, and its object is fetched again
    total += content->size();
    ids.push_back(one.id);
    bytes.push_back(std::move(*content));
    if (total >= kStepBytes) break;
  }
  // The counter says that something is used, and nothing is named: it is wrong, and costs space
  // only.
  if (ids.empty()) return leave_alone();
  std::vector<SegmentContent> contents;
  for (std::size_t i = 0; i < ids.size(); ++i)
    contents.push_back({.id = ids[i], .bytes = bytes[i].view()});
  rocksdb::WriteBatch batch;
  Change change(*this, batch);
  if (!change.append(contents)) return leave_alone();
  for (const wire::ObjectId& id : ids) change.put_next(id);
  change.finish();
  rocksdb::WriteOptions options;
  options.sync = true;
  if (!db_.Write(options, &batch).ok()) return leave_alone();
  change.apply();
  return true;
}

std::size_t PlacedContents::damage(std::uint64_t seed, std::uint64_t one_in) {
  Random random(seed);
  std::size_t damaged = 0;
  const std::unique_ptr<rocksdb::Iterator> it(
      db_.NewIterator(rocksdb::ReadOptions(), families_.places));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    const auto place = Place::decode(view(it->value()));
    if (place && random.chance(1, one_in) && segments_->flip(*place, random.next())) ++damaged;
  }
  return damaged;
}

}  // namespace rosebud::disk
