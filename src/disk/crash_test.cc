// The power goes at every call that changes a file. After each of them: what was acknowledged is
// there, what was not is there whole or not at all, and the store goes on.
//
// RapidCheck makes the stories and shortens the one that fails; a map is the model. The disk is
// recorded_disk.h, which promises no more than POSIX does.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cstdlib>

#include "disk/recorded_disk.h"
#include "disk/test_support.h"

namespace rosebud::disk {

/// One write of a commit, as a story tells it.
struct Write {
  enum Kind : std::uint8_t {
    kSmallBlock,   // in the log and the tables
    kMiddleBlock,  // in a blob file
    kLargeBlock,   // in a segment
    kRecord,
    kHold,  // one more of an object that is there; its content stays
    kMark,  // "its bytes were bad"
    kDelete,
    kNote,
  };
  Kind kind = kSmallBlock;
  std::uint8_t which = 0;  // of six
};

/// What happens next.
struct Step {
  enum Kind : std::uint8_t { kCommit, kReopen, kReclaim, kCompact };
  Kind kind = kCommit;
  std::vector<Write> writes;
};

void showValue(const Write& write, std::ostream& out) {  // NOLINT: RapidCheck's name
  constexpr const char* kNames[] = {"small block", "middle block", "large block", "record",
                                    "hold",        "mark",         "delete",      "note"};
  out << kNames[write.kind] << ' ' << int{write.which};
}
void showValue(const Step& step, std::ostream& out) {  // NOLINT: RapidCheck's name
  constexpr const char* kNames[] = {"commit", "reopen", "reclaim", "compact"};
  out << kNames[step.kind];
  for (const Write& write : step.writes) {
    out << " [";
    showValue(write, out);
    out << ']';
  }
}

}  // namespace rosebud::disk

namespace rc {
template <>
struct Arbitrary<rosebud::disk::Write> {
  static auto arbitrary() {
    using rosebud::disk::Write;
    return gen::build<Write>(
        gen::set(&Write::kind, gen::weightedElement<Write::Kind>({{1, Write::kSmallBlock},
                                                                  {1, Write::kMiddleBlock},
                                                                  {4, Write::kLargeBlock},
                                                                  {2, Write::kRecord},
                                                                  {1, Write::kHold},
                                                                  {1, Write::kMark},
                                                                  {2, Write::kDelete},
                                                                  {1, Write::kNote}})),
        gen::set(&Write::which, gen::inRange<std::uint8_t>(0, 6)));
  }
};
template <>
struct Arbitrary<rosebud::disk::Step> {
  static auto arbitrary() {
    using rosebud::disk::Step;
    using rosebud::disk::Write;
    const auto kind = gen::weightedElement<Step::Kind>(
        {{12, Step::kCommit}, {1, Step::kReopen}, {2, Step::kReclaim}, {1, Step::kCompact}});
    return gen::mapcat(kind, [](Step::Kind chosen) {
      const auto writes = gen::resize(4, gen::nonEmpty(gen::arbitrary<std::vector<Write>>()));
      return gen::build<Step>(
          gen::set(&Step::kind, gen::just(chosen)),
          gen::set(&Step::writes,
                   chosen == Step::kCommit ? writes : gen::just(std::vector<Write>())));
    });
  }
};
}  // namespace rc

namespace rosebud::disk {
namespace {

/// A std::map that takes the same writes.
struct Model {
  std::map<wire::ObjectId, wire::StoredObject> objects;
  std::map<Bytes, Bytes> notes;
  friend bool operator==(const Model&, const Model&) = default;
};

class CrashTest : public DiskTest {
 protected:
  /// What the environment does not say otherwise. Before RapidCheck reads it.
  static void SetUpTestSuite() {
    constexpr int kKeep = 0;
    setenv("RC_PARAMS", "seed=1 max_success=10", kKeep);
    // What the disk has is written down by itself, so its folder may lie in memory.
    if (fs::exists("/dev/shm")) setenv("TMPDIR", "/dev/shm", kKeep);
  }

  /// The same for every run of a story: signatures are costly, and calls must not depend on keys.
  static const wire::StoredObject& block(Write::Kind kind, std::uint8_t which) {
    static std::map<std::pair<Write::Kind, std::uint8_t>, wire::StoredObject> made;
    const auto [at, is_new] = made.try_emplace({kind, which});
    if (is_new) {
      constexpr std::size_t kSizes[] = {10, 6'000, 70'000};
      at->second = DiskTest::block(std::string(kSizes[kind], static_cast<char>('a' + which)));
    }
    return at->second;
  }
  static const wire::StoredObject& record(std::uint8_t name, std::uint64_t version) {
    static std::map<std::pair<std::uint8_t, std::uint64_t>, wire::StoredObject> made;
    const auto [at, is_new] = made.try_emplace({name, version});
    if (is_new) {
      at->second =
          DiskTest::record(std::to_string(name), version, "value " + std::to_string(version));
    }
    return at->second;
  }

  /// What a story's write is now, after `model`; the model takes it.
  static wire::StorageWrite next(Model& model, const Write& write, std::uint64_t version) {
    const auto id_at = [&] {
      auto at = model.objects.begin();
      std::advance(at, write.which % model.objects.size());
      return at->first;
    };
    const auto put = [&](const wire::StoredObject& object) {
      model.objects[object.id] = object;
      return wire::PutObject{.object = object, .content_size = object.content.size()};
    };
    switch (model.objects.empty() && write.kind >= Write::kHold && write.kind <= Write::kDelete
                ? Write::kSmallBlock
                : write.kind) {
      case Write::kMiddleBlock:
        return put(block(Write::kMiddleBlock, write.which));
      case Write::kLargeBlock:
        return put(block(Write::kLargeBlock, write.which));
      case Write::kRecord:
        return put(record(write.which, version));
      case Write::kHold: {
        wire::StoredObject& held = model.objects.at(id_at());
        if (held.is_damaged) break;
        held.holds.front().index = static_cast<std::uint32_t>(version);
        wire::PutObject again{
            .object = held, .is_content_unchanged = true, .content_size = held.content.size()};
        again.object.content = {};
        return again;
      }
      case Write::kMark:
        return put({.id = id_at(), .is_damaged = true});
      case Write::kDelete: {
        const wire::ObjectId id = id_at();
        model.objects.erase(id);
        return wire::DeleteObject{id};
      }
      case Write::kNote: {
        const Bytes name{'n', write.which};
        const Bytes value(version % 3, static_cast<std::uint8_t>(version));
        model.notes.erase(name);
        if (!value.empty()) model.notes[name] = value;
        return wire::PutNote{.name = name, .value = value};
      }
      default:
        break;
    }
    return put(block(Write::kSmallBlock, write.which));
  }

  static std::unique_ptr<Store> open(const fs::path& folder) {
    auto store = Store::open({.path = folder / "db",
                              .segment_bytes = 200'000,
                              .reserve_bytes = 0,
                              .write_buffer_bytes = 64U << 10,
                              .free_bytes = [] { return ~std::uint64_t{0} >> 1; }});
    if (!store) RC_FAIL(store.error().text());
    return std::move(*store);
  }

  /// All that the store shows, the bytes of every object included.
  static Model shown_by(const Store& store) {
    Model out;
    const auto scanned = store.scan(wire::whole_key_range(), {}, 1000);
    RC_ASSERT(scanned.has_value());
    for (const wire::IndexEntry& entry : scanned->entries) {
      const auto loaded = store.load(entry.id, wire::LoadPart::kAll);
      RC_ASSERT(loaded.has_value());
      RC_ASSERT(loaded->has_value());
      RC_ASSERT((*loaded)->entry() == entry);
      wire::StoredObject& object = out.objects[entry.id] = **loaded;
      // The bytes are the store's; what is compared outlives it.
      object.content = Buffer::copy_of(object.content.view());
    }
    const auto notes = store.notes("");
    RC_ASSERT(notes.has_value());
    out.notes = {notes->begin(), notes->end()};
    return out;
  }

  /// A commit of the story: which calls it made, and what was there after it.
  struct Acknowledged {
    std::size_t begin = 0;
    std::size_t end = 0;
    Model after;
  };
  struct Told {
    std::vector<DiskCall> calls;
    std::vector<Acknowledged> commits;
    std::size_t opened = 0;   // calls until the store was open
    std::size_t closing = 0;  // calls until it was closed
  };

  /// Plays the story once, without a crash.
  static Told tell(const std::vector<Step>& story, const fs::path& folder) {
    RecordedDisk disk(folder);
    Told out;
    Model model;
    std::uint64_t version = 0;
    auto store = open(folder);
    out.opened = disk.count();
    for (const Step& step : story) {
      switch (step.kind) {
        case Step::kCommit: {
          std::vector<wire::StorageWrite> writes;
          for (const Write& write : step.writes) writes.push_back(next(model, write, ++version));
          const std::size_t begin = disk.count();
          RC_ASSERT(commit(*store, writes).has_value());
          out.commits.push_back({.begin = begin, .end = disk.count(), .after = model});
          break;
        }
        case Step::kReopen:
          store.reset();
          store = open(folder);
          break;
        case Step::kReclaim:
          while (store->reclaim()) {
          }
          break;
        case Step::kCompact:
          RC_ASSERT(store->compact().has_value());
      }
    }
    RC_ASSERT(shown_by(*store) == model);
    out.closing = disk.count();
    store.reset();
    out.calls = disk.take();
    return out;
  }

  /// What was acknowledged, or that and the commit that was under way.
  static void check_shown(const Told& told, std::size_t calls, const Model& shown) {
    static const Model kNothing;
    const Model* acknowledged = &kNothing;
    for (const Acknowledged& commit : told.commits) {
      const bool is_under_way = commit.begin < calls && calls < commit.end;
      if (commit.end <= calls) acknowledged = &commit.after;
      if (is_under_way && shown == commit.after) return;
    }
    RC_ASSERT(shown.objects == acknowledged->objects);
    RC_ASSERT(shown.notes == acknowledged->notes);
  }

  /// The store goes on where it was, and what it is told now survives another start.
  static void check_goes_on(std::unique_ptr<Store> store, Model model, const fs::path& folder) {
    const Write writes[] = {{Write::kLargeBlock, 5}, {Write::kRecord, 5}, {Write::kNote, 5}};
    std::vector<wire::StorageWrite> batch;
    for (const Write& write : writes) batch.push_back(next(model, write, 1'000'000));
    RC_ASSERT(commit(*store, batch).has_value());
    while (store->reclaim()) {
    }
    store.reset();
    store = open(folder);
    RC_ASSERT(shown_by(*store) == model);
  }

  /// Bytes of segments that rot after the crash are never shown as right ones.
  static void check_rot_is_seen(Store& store, const Model& model, Random& random) {
    store.damage(random.next(), 2);
    for (const auto& [id, object] : model.objects) {
      const auto loaded = store.load(id, wire::LoadPart::kAll);
      const bool is_right = loaded && *loaded == object;
      RC_ASSERT(is_right || loaded == fail(wire::StorageError::kCorrupt));
    }
  }

  static void crash(const Told& told, const DiskReplay& replay, Loss loss, Random& random) {
    const TemporaryFolder image;
    replay.show(loss, random, image.path());
    auto store = open(image.path());
    const Model shown = shown_by(*store);
    check_shown(told, replay.position(), shown);
    if (random.chance(1, 8)) return check_rot_is_seen(*store, shown, random);
    if (random.chance(1, 3)) check_goes_on(std::move(store), shown, image.path());
  }

  static void crash_everywhere(const std::vector<Step>& story) {
    const Told told = tell(story, TemporaryFolder().path());
    Random random(told.calls.size());
    for (DiskReplay replay(told.calls);; replay.advance()) {
      // All stories begin and end alike, with many calls: most of those are left out.
      const bool is_of_story =
          replay.position() >= told.opened && replay.position() <= told.closing;
      if (is_of_story || random.chance(1, 8)) {
        // Without a sync in between it is the same disk as before; but more may be acknowledged.
        const bool is_acknowledged = std::ranges::any_of(
            told.commits, [&](const Acknowledged& one) { return one.end == replay.position(); });
        if (replay.is_after_sync() || is_acknowledged) crash(told, replay, Loss::kUnsynced, random);
        if (random.chance(1, 3))
          crash(told, replay, random.chance(1, 2) ? Loss::kNothing : Loss::kSome, random);
      }
      if (replay.is_at_end()) return;
    }
  }
};

// Every kind of write and upkeep, whatever RapidCheck makes.
TEST_F(CrashTest, OneOfEverything) {
  const std::vector<Step> story = {
      {.writes = {{Write::kLargeBlock, 0}}},
      {.writes = {{Write::kSmallBlock, 0}, {Write::kRecord, 0}, {Write::kNote, 1}}},
      {.writes = {{Write::kLargeBlock, 1}, {Write::kLargeBlock, 2}}},  // the segment is full
      {.writes = {{Write::kHold, 0}, {Write::kRecord, 0}, {Write::kMiddleBlock, 0}}},
      {.writes = {{Write::kDelete, 0}, {Write::kDelete, 1}, {Write::kDelete, 2}}},
      {.kind = Step::kReclaim},
      {.writes = {{Write::kLargeBlock, 3}, {Write::kNote, 1}}},
      {.kind = Step::kReopen},
      {.writes = {{Write::kMark, 1}, {Write::kLargeBlock, 4}}},
      {.kind = Step::kCompact},
  };
  bool is_told = false;  // once is enough: nothing in it is by chance
  EXPECT_TRUE(rc::check([&] {
    if (!std::exchange(is_told, true)) crash_everywhere(story);
  }));
}

TEST_F(CrashTest, PowerGoesAtEveryCall) {
  EXPECT_TRUE(rc::check([&] {
    crash_everywhere(
        *rc::gen::resize(8, rc::gen::nonEmpty(rc::gen::arbitrary<std::vector<Step>>())));
  }));
}

}  // namespace
}  // namespace rosebud::disk
