#include "disk/store.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/table.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "base/check.h"
#include "base/files.h"
#include "base/random.h"
#include "disk/database_log.h"
#include "disk/log_files.h"
#include "disk/object_cache.h"
#include "disk/placed_internal.h"

namespace rosebud::disk {
namespace {

using wire::StorageError;

constexpr std::uint8_t kLayout = 1;
/// Room in a batch for what is not content.
constexpr std::size_t kBatchSlackBytes = 16U << 10;
enum Family : std::size_t {
  kDefault,
  kIndex,
  kMeta,
  kContent,
  kNotes,
  kPlaces,
  kSegments,
  kFamilies
};
constexpr const char* kFamilyNames[kFamilies] = {"default", "index",  "meta",    "content",
                                                 "notes",   "places", "segments"};

rocksdb::Slice slice(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
ByteView view(const rocksdb::Slice& slice) {
  return {reinterpret_cast<const std::uint8_t*>(slice.data()), slice.size()};
}

Bytes encode_entry(const wire::IndexEntry& entry) {
  return wire::Writer()
      .u8(kLayout)
      .u8(entry.is_damaged ? 1 : 0)
      .u64(entry.content_size)
      .raw(entry.state.view())
      .take();
}

bool decode_entry(ByteView bytes, wire::IndexEntry& entry) {
  wire::Reader in(bytes);
  const std::uint8_t layout = in.u8();
  const std::uint8_t flags = in.u8();
  entry.is_damaged = flags == 1;
  entry.content_size = in.u64();
  entry.state = in.fixed<crypto::Digest>();
  return in.done() && layout == kLayout && flags <= 1;
}

StorageError error_of(const rocksdb::Status& status) {
  if (status.IsCorruption()) return StorageError::kCorrupt;
  if (status.IsNoSpace() || status.subcode() == rocksdb::Status::kSpaceLimit)
    return StorageError::kNoSpace;
  return StorageError::kIo;
}

/// Keeps one bad sector from stopping all writes. RocksDB goes read-only when a compaction meets a
/// byte that fails its checksum, and then not even the mark could be written that gets the object
/// healed. A failed compaction has changed nothing, so it is enough to count it: RocksDB tries
/// again, and succeeds when the object was overwritten or deleted. A full disk is not our case:
/// commit() resumes from that.
class CompactionFailures : public rocksdb::EventListener {
 public:
  void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* error) override {
    if (reason != rocksdb::BackgroundErrorReason::kCompaction || error->ok()) return;
    if (error_of(*error) == StorageError::kNoSpace) return;
    ++count_;
    *error = rocksdb::Status::OK();
  }
  std::uint64_t count() const { return count_; }

 private:
  std::atomic<std::uint64_t> count_{0};
};

/// One state of the database for several reads.
class Snapshot {
 public:
  explicit Snapshot(rocksdb::DB& db) : db_(db), snapshot_(db.GetSnapshot()) {}
  ~Snapshot() { db_.ReleaseSnapshot(snapshot_); }
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  const rocksdb::Snapshot* get() const { return snapshot_; }

 private:
  rocksdb::DB& db_;
  const rocksdb::Snapshot* snapshot_;
};

/// What a commit adds, for the reserve and for the size of the batch.
struct Weight {
  std::uint64_t content_bytes = 0;
  std::uint64_t placed_bytes = 0;  // of those, what goes to segments
  bool adds_object = false;        // anything of an object that is not a damage mark
};

Weight weight_of(const std::vector<const std::vector<wire::StorageWrite>*>& batches) {
  Weight out;
  for (const auto* writes : batches) {
    for (const wire::StorageWrite& write : *writes) {
      const auto* put = std::get_if<wire::PutObject>(&write);
      if (!put || put->object.is_damaged) continue;
      out.adds_object = true;
      if (!put->is_content_unchanged) out.content_bytes += put->object.content.size();
      if (PlacedContents::is_placed(*put)) out.placed_bytes += put->object.content.size();
    }
  }
  return out;
}

std::vector<SegmentContent> placed_contents(
    const std::vector<const std::vector<wire::StorageWrite>*>& batches) {
  std::vector<SegmentContent> out;
  for (const auto* writes : batches) {
    for (const wire::StorageWrite& write : *writes) {
      const auto* put = std::get_if<wire::PutObject>(&write);
      if (put && PlacedContents::is_placed(*put))
        out.push_back({.id = put->object.id, .bytes = put->object.content.view()});
    }
  }
  return out;
}

/// The bytes that a PinnableSlice holds, shared without copying.
Buffer shared(std::unique_ptr<rocksdb::PinnableSlice> pinned) {
  const std::shared_ptr<rocksdb::PinnableSlice> owner(std::move(pinned));
  return Buffer(owner, view(*owner));
}

bool is_content_right(const wire::StoredObject& object) {
  if (object.id.type == wire::ObjectType::kBlock) {
    return crypto::sha256(object.content.view()) == object.id.placement;
  }
  const auto statement = wire::RecordStatement::decode(object.record.statement);
  return statement && statement->value_hash == wire::record_value_hash(object.content.view());
}

/// One write of a commit, into its batch.
void add_to(rocksdb::WriteBatch& batch, PlacedContents::Change& change,
            const std::vector<rocksdb::ColumnFamilyHandle*>& families,
            const wire::StorageWrite& write) {
  const auto check = [](const rocksdb::Status& status) { CHECK(status.ok()); };  // memory only
  if (const auto* put = std::get_if<wire::PutObject>(&write)) {
    const auto key = put->object.id.encode();
    wire::IndexEntry entry = put->object.entry();
    entry.content_size = put->content_size;
    check(batch.Put(families[kIndex], slice(key.view()), slice(encode_entry(entry))));
    check(batch.Put(families[kMeta], slice(key.view()), slice(encode_object_meta(put->object))));
    if (put->is_content_unchanged) return;
    if (PlacedContents::is_placed(*put)) return change.put_next(put->object.id);
    change.forget(put->object.id);
    check(batch.Put(families[kContent], slice(key.view()), slice(put->object.content.view())));
  } else if (const auto* gone = std::get_if<wire::DeleteObject>(&write)) {
    const auto key = gone->id.encode();
    change.forget(gone->id);
    for (Family family : {kIndex, kMeta, kContent})
      check(batch.Delete(families[family], slice(key.view())));
  } else if (const auto* note = std::get_if<wire::PutNote>(&write)) {
    check(note->value.empty() ? batch.Delete(families[kNotes], slice(note->name))
                              : batch.Put(families[kNotes], slice(note->name), slice(note->value)));
  }
}

}  // namespace

struct Store::State {
  explicit State(std::size_t object_cache_bytes) : cache(object_cache_bytes) {}

  StoreOptions options;
  std::shared_ptr<CompactionFailures> failures = std::make_shared<CompactionFailures>();
  std::unique_ptr<rocksdb::Env> env = with_filled_logs(rocksdb::Env::Default());
  std::unique_ptr<rocksdb::DB> db;
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  std::unique_ptr<PlacedContents> placed;
  ObjectCache cache;
  std::atomic<bool> is_closed_to_writes = false;
  std::mutex committing;  // one commit or step of reclaiming at a time

  ~State() {
    placed.reset();
    for (auto* family : families) db->DestroyColumnFamilyHandle(family);
    if (db) db->Close();
  }
};

Store::Store(std::unique_ptr<State> state) : state_(std::move(state)) {}
Store::~Store() = default;

Result<std::unique_ptr<Store>, Explained> Store::open(StoreOptions options) {
  auto state = std::make_unique<State>(options.cache_bytes / 2);
  if (!options.free_bytes) {
    options.free_bytes = [path = options.path] {
      struct statvfs at{};
      if (::statvfs(path.c_str(), &at) != 0) return std::uint64_t{0};
      return static_cast<std::uint64_t>(at.f_bavail) * at.f_frsize;
    };
  }
  rocksdb::Options base;
  base.env = state->env.get();
  base.create_if_missing = true;
  base.create_missing_column_families = true;
  base.paranoid_checks = true;
  // A log file that is missing or shorter than it was synced is an error, not an older state.
  base.track_and_verify_wals_in_manifest = true;
  base.listeners.push_back(state->failures);
  base.info_log = std::make_shared<DatabaseLog>(options.path);
  base.max_background_jobs = 2;
  base.max_open_files = 512;
  // It starts that many threads at every start, even for one table.
  base.max_file_opening_threads =
      static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1U, 16U));
  base.db_write_buffer_size = options.write_buffer_bytes;
  base.max_total_wal_size = 4 * options.write_buffer_bytes;
  base.bytes_per_sync = 1U << 20;
  base.compression = rocksdb::kNoCompression;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(options.cache_bytes / 2);
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.cache_index_and_filter_blocks = true;
  base.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (const char* name : kFamilyNames) descriptors.emplace_back(name, base);
  auto& content = descriptors[kContent].options;
  content.enable_blob_files = true;
  content.min_blob_size = 4096;
  content.blob_file_size = 64U << 20;
  content.enable_blob_garbage_collection = true;
  content.blob_garbage_collection_force_threshold = 0.5;
  // Its tables hold only references, so many small ones cost little; writing does not stop while
  // compactions fail on a bad object that the scrubber has not reached yet.
  content.level0_slowdown_writes_trigger = 200;
  content.level0_stop_writes_trigger = 400;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status =
      rocksdb::DB::Open(base, options.path.string(), descriptors, &state->families, &db);
  if (!status.ok()) {
    return fail(Explained{
        .what = "cannot open the database in " + options.path.string() + ": " + status.ToString(),
        .cause = status.IsCorruption() ? "its files are damaged" : "",
        .next = "if the data is lost, have the organisation admit the node with a new directory",
        .trouble = status.IsCorruption() ? Trouble::kIntegrity : Trouble::kLocal});
  }
  state->db.reset(db);
  if (options.segments.empty()) options.segments = options.path.parent_path() / "segments";
  auto placed = PlacedContents::open(
      *state->db, {.places = state->families[kPlaces], .segments = state->families[kSegments]},
      options.segments, options.segment_bytes);
  if (!placed) return fail(placed.error());
  state->placed = std::move(*placed);
  // Both sync what is in their folders, not the names of the folders themselves.
  if (const int error = sync_folder(options.path.parent_path()); error != 0) {
    return fail(Explained{.what = "cannot make the database in " + options.path.string() +
                                  " durable: " + std::generic_category().message(error),
                          .cause = "the disk fails",
                          .next = {}});
  }
  state->options = std::move(options);
  return std::unique_ptr<Store>(new Store(std::move(state)));
}

wire::Loaded Store::load(const wire::ObjectId& id, wire::LoadPart part) const {
  rocksdb::ReadOptions read;
  const bool is_kept = part != wire::LoadPart::kAllFromDisk;
  read.fill_cache = is_kept;
  const auto generation = state_->cache.generation();
  auto loaded = load_by(read, id, part);
  if (is_kept) keep(generation, part, loaded);
  const bool may_be_mixed =
      !loaded && loaded.error() == StorageError::kCorrupt && part != wire::LoadPart::kMeta;
  if (!may_be_mixed) return loaded;
  // Meta of one version with content of another looks like damage. Snapshots cost a lock of the
  // database, so one is taken only to be sure.
  const Snapshot snapshot(*state_->db);
  read.snapshot = snapshot.get();
  return load_by(read, id, part);
}

std::optional<wire::Loaded> Store::load_cached(const wire::ObjectId& id,
                                               wire::LoadPart part) const {
  if (part == wire::LoadPart::kAllFromDisk) return std::nullopt;
  if (auto kept = state_->cache.find(id)) {
    if (part == wire::LoadPart::kMeta) kept->content = {};
    return wire::Loaded(std::move(kept));
  }
  rocksdb::ReadOptions read;
  read.read_tier = rocksdb::kBlockCacheTier;
  const auto generation = state_->cache.generation();
  auto loaded = load_by(read, id, part);
  // Whatever is not plainly there is for load() to find out.
  if (!loaded) return std::nullopt;
  keep(generation, part, loaded);
  return loaded;
}

void Store::keep(std::uint64_t generation, wire::LoadPart part, const wire::Loaded& loaded) const {
  if (part == wire::LoadPart::kAll && loaded && *loaded) state_->cache.fill(generation, **loaded);
}

wire::Loaded Store::load_by(const rocksdb::ReadOptions& read, const wire::ObjectId& id,
                            wire::LoadPart part) const {
  const auto key = id.encode();
  rocksdb::PinnableSlice meta;
  rocksdb::Status status = state_->db->Get(read, state_->families[kMeta], slice(key.view()), &meta);
  if (status.IsNotFound()) return std::optional<wire::StoredObject>();
  if (!status.ok()) return fail(error_of(status));
  wire::StoredObject object{.id = id};
  if (!wire::decode_object_meta(view(meta), object)) return fail(StorageError::kCorrupt);
  if (part == wire::LoadPart::kMeta || object.is_damaged) return std::optional(std::move(object));
  if (id.type == wire::ObjectType::kBlock) {
    auto placed = state_->placed->read(read, id);
    if (!placed) return fail(placed.error());
    if (*placed) {
      // Its checksum was right, so these are the bytes that were hashed when they came.
      object.content = std::move(**placed);
      return std::optional(std::move(object));
    }
  }
  auto pinned = std::make_unique<rocksdb::PinnableSlice>();
  status = state_->db->Get(read, state_->families[kContent], slice(key.view()), pinned.get());
  if (status.IsNotFound()) return fail(StorageError::kCorrupt);
  if (!status.ok()) return fail(error_of(status));
  object.content = shared(std::move(pinned));
  if (!is_content_right(object)) return fail(StorageError::kCorrupt);
  return std::optional(std::move(object));
}

Result<wire::Scanned, StorageError> Store::scan(const wire::KeyRange& range,
                                                const std::optional<wire::ObjectId>& after,
                                                std::size_t limit) const {
  wire::Scanned out{.is_whole = true};
  rocksdb::ReadOptions read;
  read.fill_cache = false;  // a pass over everything must not push out what clients ask for
  const std::unique_ptr<rocksdb::Iterator> it(
      state_->db->NewIterator(read, state_->families[kIndex]));
  if (after && after->placement >= range.first) {
    it->Seek(slice(after->encode().view()));
    if (it->Valid() && equal(view(it->key()), after->encode().view())) it->Next();
  } else {
    it->Seek(slice(range.first.view()));
  }
  for (; it->Valid(); it->Next()) {
    const auto id = wire::ObjectId::decode(view(it->key()));
    if (!id) return fail(StorageError::kCorrupt);
    if (id->placement > range.last) break;
    if (out.entries.size() == limit) {
      out.is_whole = false;
      break;
    }
    wire::IndexEntry entry{.id = *id};
    if (!decode_entry(view(it->value()), entry)) return fail(StorageError::kCorrupt);
    out.entries.push_back(entry);
  }
  if (!it->status().ok()) return fail(error_of(it->status()));
  return out;
}

Status<StorageError> Store::commit(
    const std::vector<const std::vector<wire::StorageWrite>*>& batches) {
  const Weight weight = weight_of(batches);
  if (weight.adds_object) {
    const std::uint64_t free_bytes = state_->options.free_bytes();
    const std::uint64_t reserve = state_->options.reserve_bytes;
    const bool is_content_refused =
        weight.content_bytes > 0 && free_bytes < reserve + weight.content_bytes;
    if (is_content_refused || free_bytes < reserve / 2) return fail(StorageError::kNoSpace);
  }
  const std::lock_guard lock(state_->committing);
  // The whole in one allocation: growing it would copy the content again.
  rocksdb::WriteBatch batch(weight.content_bytes - weight.placed_bytes + kBatchSlackBytes);
  PlacedContents::Change change(*state_->placed, batch);
  if (auto appended = change.append(placed_contents(batches)); !appended) return appended;
  for (const auto* writes : batches) {
    for (const wire::StorageWrite& write : *writes) add_to(batch, change, state_->families, write);
  }
  change.finish();
  rocksdb::WriteOptions options;
  options.sync = true;
  state_->cache.begin(batches);
  rocksdb::Status status = state_->db->Write(options, &batch);
  if (!status.ok() && status.severity() >= rocksdb::Status::kHardError) {
    // The database went read-only (a full disk): it comes back when there is space again.
    if (state_->db->Resume().ok()) {
      status = state_->db->Write(options, &batch);
    } else if (status.severity() >= rocksdb::Status::kFatalError) {
      state_->is_closed_to_writes = true;
    }
  }
  if (status.ok()) change.apply();
  state_->cache.end(batches, status.ok());
  if (!status.ok()) return fail(error_of(status));
  return {};
}

bool Store::is_closed_to_writes() const { return state_->is_closed_to_writes; }

bool Store::reclaim() {
  constexpr unsigned kHalf = 50;
  const std::lock_guard lock(state_->committing);
  return state_->placed->reclaim(kHalf);
}

Result<std::vector<std::pair<Bytes, Bytes>>, StorageError> Store::notes(
    std::string_view prefix) const {
  std::vector<std::pair<Bytes, Bytes>> out;
  const std::unique_ptr<rocksdb::Iterator> it(
      state_->db->NewIterator(rocksdb::ReadOptions(), state_->families[kNotes]));
  for (it->Seek(prefix); it->Valid() && it->key().starts_with(prefix); it->Next()) {
    out.emplace_back(to_bytes(view(it->key())), to_bytes(view(it->value())));
  }
  if (!it->status().ok()) return fail(error_of(it->status()));
  return out;
}

Status<StorageError> Store::compact() {
  rocksdb::CompactRangeOptions options;
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
  options.blob_garbage_collection_policy = rocksdb::BlobGarbageCollectionPolicy::kForce;
  options.blob_garbage_collection_age_cutoff = 1.0;
  {
    const std::lock_guard lock(state_->committing);
    constexpr unsigned kAll = 100;
    while (state_->placed->reclaim(kAll)) {
    }
  }
  for (Family family : {kIndex, kMeta, kContent, kNotes, kPlaces, kSegments}) {
    const auto status =
        state_->db->CompactRange(options, state_->families[family], nullptr, nullptr);
    if (!status.ok()) return fail(error_of(status));
  }
  return {};
}

std::size_t Store::damage(std::uint64_t seed, std::uint64_t one_in) {
  Random random(seed);
  state_->cache.clear();  // as after a restart: memory does not heal a disk
  std::size_t damaged = state_->placed->damage(seed, one_in);
  rocksdb::ReadOptions read;
  read.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> it(
      state_->db->NewIterator(read, state_->families[kContent]));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    if (!random.chance(1, one_in) || it->value().empty()) continue;
    std::string content = it->value().ToString();
    content[random.below(content.size())] ^= 0x10;
    if (state_->db->Put({}, state_->families[kContent], it->key(), content).ok()) ++damaged;
  }
  return damaged;
}

Store::Statistics Store::statistics() const {
  Statistics out;
  const auto add = [&](Family family, const std::string& property, std::uint64_t& to) {
    std::uint64_t value = 0;
    if (state_->db->GetIntProperty(state_->families[family], property, &value)) to += value;
  };
  add(kIndex, "rocksdb.estimate-num-keys", out.objects);
  out.bytes = state_->placed->bytes();
  for (Family family : {kIndex, kMeta, kContent, kNotes, kPlaces, kSegments}) {
    add(family, "rocksdb.total-sst-files-size", out.bytes);
    add(family, "rocksdb.total-blob-file-size", out.bytes);
    add(family, "rocksdb.cur-size-all-mem-tables", out.bytes);
  }
  out.free_bytes = state_->options.free_bytes();
  out.failed_compactions = state_->failures->count();
  return out;
}

}  // namespace rosebud::disk
