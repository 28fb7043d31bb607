// The store when its files rot, and against a model that is a std::map.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <fstream>
#include <iterator>
#include <map>
#include <thread>

#include "base/random.h"
#include "disk/segments.h"
#include "disk/test_support.h"

namespace rosebud::disk {
namespace {

class FaultTest : public DiskTest {
 protected:
  /// Content of its own for every `i`, long enough for a blob file.
  static std::string text(int i) { return std::string(20'000, static_cast<char>('a' + i)); }
  /// The same, long enough for a segment.
  static std::string large(int i) { return std::string(100'000, static_cast<char>('a' + i)); }

  /// Opening writes what only the log holds into tables and blob files.
  void settle() { open(); }

  /// Flips one bit in the first file with this ending that holds `pattern`.
  bool rot(std::string_view ending, std::string_view pattern,
           std::string_view folder = "db") const {
    for (const auto& entry : fs::directory_iterator(path / folder)) {
      if (entry.path().extension() != ending) continue;
      std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
      const std::string bytes((std::istreambuf_iterator<char>(file)),
                              std::istreambuf_iterator<char>());
      const std::size_t at = bytes.find(pattern);
      if (at == std::string::npos) continue;
      file.clear();
      file.seekp(static_cast<std::streamoff>(at + pattern.size() / 2));
      file.put(static_cast<char>(bytes[at + pattern.size() / 2] ^ 1));
      return static_cast<bool>(file.flush());
    }
    return false;
  }
};

TEST_F(FaultTest, RottenBlobFile_IsSeenAndOthersStillRead) {
  {
    const auto store = open();
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(commit(*store, put(block(text(i)))));
  }
  settle();
  ASSERT_TRUE(rot(".blob", text(4).substr(0, 1000)));
  const auto store = open();
  for (int i = 0; i < 10; ++i) {
    const auto loaded = store->load(block(text(i)).id, wire::LoadPart::kAll);
    if (i == 4) {
      EXPECT_EQ(loaded.error(), wire::StorageError::kCorrupt);
    } else {
      EXPECT_EQ(*loaded, block(text(i))) << i;
    }
  }
  EXPECT_TRUE(store->load(block(text(4)).id, wire::LoadPart::kMeta)->has_value());
}

// Unless something is done about it, RocksDB refuses every write once a compaction met bad bytes:
// one flipped bit would take the node out of all its groups, and no mark could be written to heal.
TEST_F(FaultTest, CompactionMeetsRot_WritesGoOnAndTheObjectHeals) {
  {
    const auto store = open();
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(commit(*store, put(block(text(i)))));
  }
  settle();
  ASSERT_TRUE(rot(".blob", text(4).substr(0, 1000)));
  const auto store = open();
  EXPECT_EQ(store->compact(), fail(wire::StorageError::kCorrupt));
  EXPECT_GE(store->statistics().failed_compactions, 1U);

  const auto id = block(text(4)).id;
  ASSERT_TRUE(commit(*store, put(block("written after"))));
  ASSERT_TRUE(commit(*store, {wire::PutObject{.object = {.id = id, .is_damaged = true}}}));
  EXPECT_TRUE((*store->load(id, wire::LoadPart::kAll))->is_damaged);
  ASSERT_TRUE(commit(*store, put(block(text(4)))));
  EXPECT_TRUE(store->compact().has_value());
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(*store->load(block(text(i)).id, wire::LoadPart::kAll), block(text(i))) << i;
  }
}

/// While it exists no file of this process grows: every write at a file's end fails.
class NothingGrows {
 public:
  NothingGrows() {
    ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit none{.rlim_cur = 0, .rlim_max = before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &none);
  }
  ~NothingGrows() { ::setrlimit(RLIMIT_FSIZE, &before_); }
  NothingGrows(const NothingGrows&) = delete;
  NothingGrows& operator=(const NothingGrows&) = delete;

 private:
  rlimit before_{};
};

// RocksDB's own log for people took the process with it: a line that could not be written made the
// next one trip an assertion. Found by scripts/trials.
TEST_F(FaultTest, DeviceFailsUnderTheLog_IsSaidAndOpeningAnewHeals) {
  auto store = open();
  ASSERT_TRUE(commit(*store, put(block("before"))));
  {
    const NothingGrows disk;
    for (int i = 0; i < 3; ++i)
      EXPECT_EQ(commit(*store, put(block("lost"))), fail(wire::StorageError::kIo));
  }
  EXPECT_TRUE(store->is_closed_to_writes());
  EXPECT_EQ(*store->load(block("before").id, wire::LoadPart::kAll), block("before"));
  store.reset();
  store = open();
  EXPECT_FALSE(store->is_closed_to_writes());
  EXPECT_EQ(*store->load(block("before").id, wire::LoadPart::kAll), block("before"));
  EXPECT_EQ(*store->load(block("lost").id, wire::LoadPart::kAll), std::nullopt);
  EXPECT_TRUE(commit(*store, put(block("after"))));
}

TEST_F(FaultTest, RottenSegment_IsSeenOthersStillReadAndItHeals) {
  {
    const auto store = open();
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(commit(*store, put(block(large(i)))));
  }
  ASSERT_TRUE(rot(".segment", large(4).substr(0, 1000), "segments"));
  const auto store = open();
  for (int i = 0; i < 10; ++i) {
    const auto loaded = store->load(block(large(i)).id, wire::LoadPart::kAll);
    if (i == 4) {
      EXPECT_EQ(loaded.error(), wire::StorageError::kCorrupt);
    } else {
      EXPECT_EQ(*loaded, block(large(i))) << i;
    }
  }
  const auto id = block(large(4)).id;
  ASSERT_TRUE(commit(*store, {wire::PutObject{.object = {.id = id, .is_damaged = true}}}));
  EXPECT_TRUE((*store->load(id, wire::LoadPart::kAll))->is_damaged);
  ASSERT_TRUE(commit(*store, put(block(large(4)))));
  EXPECT_EQ(*store->load(id, wire::LoadPart::kAll), block(large(4)));
}

TEST_F(FaultTest, SegmentCutOrGone_IsSeen) {
  {
    const auto store = open();
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(commit(*store, put(block(large(i)))));
  }
  fs::resize_file(path / "segments/1.segment", 250'000);
  auto store = open();
  EXPECT_EQ(*store->load(block(large(0)).id, wire::LoadPart::kAll), block(large(0)));
  EXPECT_EQ(store->load(block(large(2)).id, wire::LoadPart::kAll).error(),
            wire::StorageError::kCorrupt);
  store.reset();
  fs::remove(path / "segments/1.segment");
  store = open();
  EXPECT_EQ(store->load(block(large(0)).id, wire::LoadPart::kAll).error(),
            wire::StorageError::kCorrupt);
  ASSERT_TRUE(commit(*store, put(block(large(0)))));
  EXPECT_EQ(*store->load(block(large(0)).id, wire::LoadPart::kAll), block(large(0)));
}

std::uint64_t bytes_in(const fs::path& folder) {
  std::uint64_t out = 0;
  for (const auto& entry : fs::directory_iterator(folder)) out += entry.file_size();
  return out;
}

// A crash after the contents were synced and before the batch that names them.
TEST_F(FaultTest, ContentsThatNothingNames_GoAtTheNextStart) {
  {
    const auto store = open();
    ASSERT_TRUE(commit(*store, put(block(large(0)))));
  }
  {
    auto segments = *Segments::open(path / "segments");
    const auto lost = large(1);
    ASSERT_TRUE(segments->append({{.id = block(lost).id, .bytes = as_bytes(lost)}}));
  }
  EXPECT_GT(bytes_in(path / "segments"), 200'000U);
  const auto store = open();
  while (store->reclaim()) {
  }
  EXPECT_LT(bytes_in(path / "segments"), 110'000U);
  EXPECT_EQ(*store->load(block(large(0)).id, wire::LoadPart::kAll), block(large(0)));
  EXPECT_FALSE(store->load(block(large(1)).id, wire::LoadPart::kAll)->has_value());
}

TEST_F(FaultTest, SpaceOfDeletedContents_ComesBackAndTheRestStays) {
  auto store = open();
  constexpr int kCount = 26;
  for (int i = 0; i < kCount; ++i) ASSERT_TRUE(commit(*store, put(block(large(i)))));
  for (int i = 0; i < kCount; ++i) {
    if (i % 5 == 0) continue;
    ASSERT_TRUE(commit(*store, {wire::DeleteObject{block(large(i)).id}}));
  }
  while (store->reclaim()) {
  }
  // Six are left; a segment that is open or half used keeps its garbage.
  EXPECT_LT(bytes_in(path / "segments"), 1'300'000U);
  store.reset();
  store = open();
  for (int i = 0; i < kCount; ++i) {
    const auto loaded = store->load(block(large(i)).id, wire::LoadPart::kAll);
    ASSERT_TRUE(loaded.has_value());
    if (i % 5 == 0) {
      EXPECT_EQ(**loaded, block(large(i)));
    } else {
      EXPECT_FALSE(loaded->has_value());
    }
  }
  ASSERT_TRUE(store->compact());
  EXPECT_LT(bytes_in(path / "segments"), 1'000'000U);
}

TEST_F(FaultTest, ReaderBesideReclaiming_SeesEveryContent) {
  const auto store = open();
  const auto kept = block(large(0));
  ASSERT_TRUE(commit(*store, put(kept)));
  std::atomic<bool> is_ending{false};
  std::thread mover([&] {
    for (int i = 1; i < 25 && !is_ending; ++i) {
      // Each round leaves the kept one alone in a segment that is closed.
      for (int j = 1; j < 4; ++j) {
        if (!commit(*store, put(block(large(j))))) return;
        if (!commit(*store, {wire::DeleteObject{block(large(j)).id}})) return;
      }
      while (store->reclaim()) {
      }
    }
    is_ending = true;
  });
  int wrong = 0;
  while (!is_ending) {
    const auto loaded = store->load(kept.id, wire::LoadPart::kAll);
    if (!loaded || !*loaded || **loaded != kept) ++wrong;
  }
  mover.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(FaultTest, RottenNote_IsAnErrorAndNotAShorterList) {
  {
    const auto store = open();
    ASSERT_TRUE(commit(
        *store, {wire::PutNote{.name = to_bytes(as_bytes("entered")), .value = Bytes(100, 'n')}}));
  }
  settle();
  ASSERT_TRUE(rot(".sst", std::string(100, 'n')));
  const auto store = open();
  EXPECT_EQ(store->notes("entered"), fail(wire::StorageError::kCorrupt));
}

TEST_F(FaultTest, RottenIndex_IsAnErrorAndNotAShorterList) {
  const auto one = block("one");
  {
    const auto store = open();
    ASSERT_TRUE(commit(*store, put(one)));
  }
  settle();
  const auto state = one.entry().state;
  ASSERT_TRUE(rot(".sst", std::string(state.view().begin(), state.view().end())));
  const auto store = open();
  EXPECT_EQ(store->scan(wire::whole_key_range(), std::nullopt, 10).error(),
            wire::StorageError::kCorrupt);
}

TEST_F(FaultTest, RecordWithAnotherVersionsValue_IsCorrupt) {
  const auto store = open();
  auto mixed = record("name", 2, "new value");
  mixed.content = record("name", 1, "old value").content;
  ASSERT_TRUE(commit(*store, put(mixed)));
  EXPECT_EQ(store->load(mixed.id, wire::LoadPart::kAll).error(), wire::StorageError::kCorrupt);
}

// A reader beside a writer sees one version or the other, never meta of one with content of
// another.
TEST_F(FaultTest, ReaderBesideAWriter_SeesOneVersion) {
  const auto store = open();
  const auto id = record("name", 1, "value 1").id;
  ASSERT_TRUE(commit(*store, put(record("name", 1, "value 1"))));
  std::atomic<bool> is_ending{false};
  std::thread writer([&] {
    for (std::uint64_t version = 2; !is_ending; ++version) {
      const auto next = record("name", version, "value " + std::to_string(version));
      if (!commit(*store, put(next))) return;
    }
  });
  int wrong = 0;
  for (int i = 0; i < 3000; ++i) {
    if (!store->load(id, wire::LoadPart::kAll)) ++wrong;
  }
  is_ending = true;
  writer.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(FaultTest, BelowHalfTheReserve_OnlyMarksDeletesAndNotesPass) {
  const auto store = open();
  const auto object = block("kept");
  ASSERT_TRUE(commit(*store, put(object)));
  const wire::PutObject same{
      .object = object, .is_content_unchanged = true, .content_size = object.content.size()};
  free_bytes = 600;  // of a reserve of 1000
  EXPECT_TRUE(commit(*store, {same}));
  free_bytes = 400;
  EXPECT_EQ(commit(*store, {same}), fail(wire::StorageError::kNoSpace));
  EXPECT_TRUE(commit(*store, {wire::PutObject{.object = {.id = object.id, .is_damaged = true}}}));
  EXPECT_TRUE(commit(*store, {wire::PutNote{.name = {'n'}, .value = {1}}}));
  EXPECT_TRUE(commit(*store, {wire::DeleteObject{object.id}}));
}

TEST_F(FaultTest, ScanStaysInItsRange) {
  const auto store = open();
  std::map<wire::ObjectId, int> ids;
  for (int i = 0; i < 20; ++i) {
    const auto object = block("object " + std::to_string(i));
    ids[object.id] = i;
    ASSERT_TRUE(commit(*store, put(object)));
  }
  const auto low = ids.begin()->first;
  const auto fifth = std::next(ids.begin(), 5)->first;
  const auto eighth = std::next(ids.begin(), 8)->first;
  // A cursor from before the range does not widen it.
  const auto scanned = store->scan({fifth.placement, eighth.placement}, low, 100);
  ASSERT_TRUE(scanned.has_value());
  ASSERT_EQ(scanned->entries.size(), 4U);
  EXPECT_EQ(scanned->entries.front().id, fifth);
  EXPECT_TRUE(scanned->is_whole);
  // Exactly the limit is whole, one less is not.
  EXPECT_TRUE(store->scan({fifth.placement, eighth.placement}, {}, 4)->is_whole);
  EXPECT_FALSE(store->scan({fifth.placement, eighth.placement}, {}, 3)->is_whole);
}

/// A std::map that takes the same writes.
struct Model {
  std::map<wire::ObjectId, wire::StoredObject> objects;
  std::map<Bytes, Bytes> notes;

  void apply(const wire::StorageWrite& write) {
    if (const auto* put = std::get_if<wire::PutObject>(&write)) {
      wire::StoredObject object = put->object;
      if (put->is_content_unchanged) object.content = objects.at(object.id).content;
      objects[object.id] = object;
    } else if (const auto* gone = std::get_if<wire::DeleteObject>(&write)) {
      objects.erase(gone->id);
    } else if (const auto* note = std::get_if<wire::PutNote>(&write)) {
      notes.erase(note->name);
      if (!note->value.empty()) notes[note->name] = note->value;
    }
  }

  void expect_same(const Store& store) const {
    const auto scanned = store.scan(wire::whole_key_range(), {}, objects.size() + 1);
    ASSERT_TRUE(scanned.has_value());
    EXPECT_TRUE(scanned->is_whole);
    ASSERT_EQ(scanned->entries.size(), objects.size());
    auto entry = scanned->entries.begin();
    for (const auto& [id, object] : objects) {
      EXPECT_EQ(*entry++, object.entry());
      const auto loaded = store.load(id, wire::LoadPart::kAll);
      ASSERT_TRUE(loaded.has_value());
      EXPECT_EQ(*loaded, object);
    }
    const auto found = store.notes("");
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ((std::map<Bytes, Bytes>(found->begin(), found->end())), notes);
  }
};

class ModelTest : public DiskTest, public testing::WithParamInterface<std::uint64_t> {
 protected:
  wire::StorageWrite random_write(Random& random, const Model& model) {
    const std::string name = std::to_string(random.below(30));
    // Content of the log, of a blob file, of a segment.
    constexpr std::size_t kSizes[] = {0, 9000, 70'000};
    const wire::StoredObject fresh = block(std::string(kSizes[random.below(3)], 'x') + name);
    const auto held = model.objects.find(fresh.id);
    switch (random.below(6)) {
      case 0:
        return wire::DeleteObject{fresh.id};
      case 1:
        return wire::PutNote{.name = to_bytes(as_bytes(name)), .value = Bytes(random.below(3), 7)};
      case 2: {  // one more hold, the content stays
        if (held == model.objects.end()) break;
        wire::PutObject again{.object = held->second,
                              .is_content_unchanged = true,
                              .content_size = held->second.content.size()};
        again.object.content = {};
        again.object.holds.front().index = static_cast<std::uint32_t>(random.below(1000));
        return again;
      }
      case 3: {
        const auto next = record(name, 1 + random.below(100), std::string(random.below(6000), 'v'));
        return put(next).front();
      }
      default:
        break;
    }
    return put(fresh).front();
  }
};

TEST_P(ModelTest, RandomWritesAndReopenings_AgreeWithAMap) {
  Random random(GetParam());
  Model model;
  auto store = open();
  for (int step = 0; step < 120; ++step) {
    std::vector<wire::StorageWrite> writes;
    Model next = model;
    for (std::uint64_t i = random.between(1, 4); i > 0; --i) {
      writes.push_back(random_write(random, next));
      next.apply(writes.back());
    }
    // A refused batch leaves nothing of itself behind.
    const bool is_refused = random.chance(1, 6);
    free_bytes = is_refused ? 0 : 1ULL << 40;
    if (commit(*store, writes)) model = std::move(next);
    if (random.chance(1, 20)) {
      store.reset();
      store = open();
    }
    if (random.chance(1, 40)) {
      EXPECT_TRUE(store->compact().has_value());
    }
    while (random.chance(1, 2) && store->reclaim()) {
    }
    if (step % 20 == 19) {
      ASSERT_NO_FATAL_FAILURE(model.expect_same(*store)) << "step " << step;
    }
  }
  EXPECT_FALSE(model.objects.empty());
}

INSTANTIATE_TEST_SUITE_P(Seeds, ModelTest, testing::Range(std::uint64_t{1}, std::uint64_t{7}));

}  // namespace
}  // namespace rosebud::disk
