#include "mount/writable_file_system.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <random>

#include "fs/test_blocks.h"
#include "fs/walk.h"

namespace rosebud::mount {
namespace {

using namespace std::chrono_literals;

fs::TreePath split(const std::string& path) { return *fs::parse_tree_path(path); }

/// A volume in memory, mounted to write.
class WritableVolume : public testing::Test {
 protected:
  WritableVolume()
      : cache(
            [this](const fs::Cid& cid, Duration, const BlockCache::Done& done) {
              leaves_read += cid.codec == fs::Codec::kRaw;
              done(blocks.get(cid));
            },
            16U << 20),
        staging(std::move(*Staging::open(testing::TempDir(), 64U << 20))) {
    fs::Tree empty = *fs::Tree::empty(blocks, {.mode = 0750});
    EXPECT_TRUE(empty.store(blocks));
    root = empty.root();
    mount();
  }

  /// Anew, from what is published.
  void mount() {
    files = std::make_unique<WritableFileSystem>(cache, *staging, 4U << 20, 60s,
                                                 [this] { return now(); });
    ASSERT_TRUE(files->start(root));
  }
  fs::ModificationTime now() { return {.seconds = 1'700'000'000 + ++clock}; }

  using InWork = PublicationPlan::InWork;
  fs::Cid publish(InWork in_work = InWork::kLeftOut, bool is_awaited = false) {
    auto plan = files->begin_publication(in_work, is_awaited);
    if (!plan) return root;
    const auto made = files->store(*plan, blocks);
    EXPECT_TRUE(made) << made.error().text();
    root = made->cid;
    files->end_publication(std::move(*plan), WritableFileSystem::Outcome::kPublished);
    return root;
  }

  /// Each name on the way is looked up and kept until forget_all().
  Answer<Attributes> find(const std::string& path) {
    Answer<Attributes> at = files->attributes(kRootInode);
    for (const std::string& name : split(path)) {
      at = files->look_up(at->id, name);
      if (!at) break;
      looked_up.push_back(at->id);
    }
    return at;
  }
  void forget_all() {
    for (const InodeId id : looked_up) files->forget(id, 1);
    looked_up.clear();
  }
  InodeId parent_of(const std::string& path) {
    auto names = split(path);
    names.pop_back();
    const auto at = find(fs::text_of(names));
    return at ? at->id : 0;
  }
  static std::string last_of(const std::string& path) { return split(path).back(); }

  std::shared_ptr<WritableFile> create(const std::string& path) {
    auto created = files->create(parent_of(path), last_of(path), 0640);
    EXPECT_TRUE(created);
    if (!created) return nullptr;
    looked_up.push_back(created->attributes.id);
    return created->file;
  }
  void put(const std::string& path, const std::string& text) {
    const auto file = create(path);
    ASSERT_TRUE(files->write(file->id, 0, as_bytes(text)));
    files->close(*file);
  }
  void make_directory(const std::string& path) {
    const auto made = files->make_directory(parent_of(path), last_of(path), 0755);
    ASSERT_TRUE(made);
    looked_up.push_back(made->id);
  }
  int remove(const std::string& path) {
    return error_of(files->remove(parent_of(path), last_of(path)));
  }
  int remove_directory(const std::string& path) {
    return error_of(files->remove_directory(parent_of(path), last_of(path)));
  }
  int rename(const std::string& from, const std::string& to,
             WritableFileSystem::Replacing replacing = WritableFileSystem::Replacing::kAllowed) {
    return error_of(
        files->rename({parent_of(from), last_of(from)}, {parent_of(to), last_of(to)}, replacing));
  }
  std::string read(WritableFile& file) {
    const auto pieces = files->read(file, 0, 1U << 20);
    if (!pieces) return "error " + std::to_string(static_cast<int>(pieces.error()));
    std::string out;
    for (const Buffer& piece : *pieces) out += as_text(piece.view());
    return out;
  }
  std::string read(const std::string& path) {
    const auto at = find(path);
    if (!at) return "none";
    const auto file = *files->open(at->id, WritableFileSystem::Opening::kToRead);
    std::string out = read(*file);
    files->close(*file);
    return out;
  }
  std::string published(const std::string& path) {
    fs::Tree tree(root, blocks);
    const auto link = tree.find(split(path));
    if (!link || !*link) return "none";
    std::string out;
    const auto read = fs::read_file((*link)->cid, blocks, [&](ByteView bytes) {
      out += as_text(bytes);
      return Status<Explained>();
    });
    return read ? out : "error";
  }
  std::set<std::string> names(const ListedDirectory& directory, std::size_t count = 3) {
    std::set<std::string> out;
    for (Cursor after = 0;;) {
      const auto page = files->read_directory(directory, after, count);
      EXPECT_TRUE(page);
      if (!page || page->empty()) return out;
      for (const ListedEntry& entry : *page) {
        EXPECT_TRUE(out.insert(entry.name).second) << entry.name;
        EXPECT_GT(entry.next, after);
        after = entry.next;
      }
    }
  }
  std::set<std::string> names(const std::string& path) {
    return names(**files->open_directory(find(path)->id));
  }
  template <typename T>
  static int error_of(const Answer<T>& answer) {
    return answer ? 0 : static_cast<int>(answer.error());
  }

  fs::Blocks blocks;
  std::size_t leaves_read = 0;
  BlockCache cache;
  std::unique_ptr<Staging> staging;
  std::unique_ptr<WritableFileSystem> files;
  fs::Cid root;  // as it was published last
  std::vector<InodeId> looked_up;
  std::int64_t clock = 0;
};

TEST_F(WritableVolume, WhatIsWritten_IsReadAndThenPublished) {
  make_directory("sub");
  put("sub/one", "hello");
  EXPECT_EQ(read("sub/one"), "hello");
  EXPECT_EQ(published("sub/one"), "none");
  EXPECT_TRUE(files->has_changes());
  publish();
  EXPECT_FALSE(files->has_changes());
  EXPECT_EQ(published("sub/one"), "hello");
  EXPECT_EQ(staging->held_bytes(), 0U);
  mount();
  EXPECT_EQ(read("sub/one"), "hello");
  EXPECT_EQ(find("sub/one")->mode, 0640U);
  EXPECT_EQ(find("sub")->mode, 0755U);
}

TEST_F(WritableVolume, NothingChanged_NothingToPublish) {
  EXPECT_FALSE(files->begin_publication());
  put("one", "hello");
  publish();
  EXPECT_FALSE(files->begin_publication());
  EXPECT_EQ(read("one"), "hello");
  EXPECT_FALSE(files->begin_publication());
}

TEST_F(WritableVolume, ChangesWhileItIsPublished_AreInTheNext) {
  put("one", "1");
  put("two", "2");
  put("moved", "m");
  put("gone", "g");
  auto plan = files->begin_publication();
  const auto one = find("one")->id;
  ASSERT_TRUE(files->write(one, 0, as_bytes("X")));
  ASSERT_EQ(rename("moved", "elsewhere"), 0);
  ASSERT_EQ(remove("gone"), 0);
  put("three", "3");
  const auto made = files->store(*plan, blocks);
  ASSERT_TRUE(made);
  root = made->cid;
  files->end_publication(std::move(*plan), WritableFileSystem::Outcome::kPublished);
  EXPECT_EQ(published("one"), "1");
  EXPECT_EQ(published("two"), "2");
  EXPECT_EQ(published("moved"), "m");
  EXPECT_EQ(published("gone"), "g");
  EXPECT_EQ(published("three"), "none");
  EXPECT_EQ(read("one"), "X");
  EXPECT_EQ(names(""), (std::set<std::string>{"one", "two", "elsewhere", "three"}));
  publish();
  EXPECT_EQ(published("one"), "X");
  EXPECT_EQ(published("moved"), "none");
  EXPECT_EQ(published("elsewhere"), "m");
  EXPECT_EQ(published("gone"), "none");
  EXPECT_EQ(published("three"), "3");
  EXPECT_FALSE(files->has_changes());
}

TEST_F(WritableVolume, PublicationFails_AllIsInTheNext) {
  put("one", "1");
  auto plan = files->begin_publication();
  files->end_publication(std::move(*plan), WritableFileSystem::Outcome::kFailed);
  EXPECT_TRUE(files->has_changes());
  EXPECT_EQ(files->pending_paths(10), std::vector<std::string>{"/one"});
  publish();
  EXPECT_EQ(published("one"), "1");
}

TEST_F(WritableVolume, RemovedWhileOpen_ReadAndWrittenOn) {
  put("one", "hello");
  publish();
  const auto file = *files->open(find("one")->id, WritableFileSystem::Opening::kToWrite);
  ASSERT_EQ(remove("one"), 0);
  EXPECT_EQ(error_of(find("one")), ENOENT);
  publish();
  ASSERT_TRUE(files->write(file->id, 5, as_bytes(" there")));
  EXPECT_EQ(read(*file), "hello there");
  EXPECT_FALSE(files->has_changes()) << "nobody will publish it";
  EXPECT_GT(staging->held_bytes(), 0U);
  forget_all();
  files->close(*file);
  EXPECT_EQ(staging->held_bytes(), 0U);
  EXPECT_EQ(published("one"), "none");
}

TEST_F(WritableVolume, OpenToWrite_LeftOutUntilItIsClosed) {
  put("old", "before");
  publish();
  const auto made = create("new");
  ASSERT_TRUE(files->write(made->id, 0, as_bytes("half")));
  const auto old = *files->open(find("old")->id, WritableFileSystem::Opening::kAnew);
  ASSERT_TRUE(files->write(old->id, 0, as_bytes("half")));
  put("other", "whole");
  publish();
  EXPECT_EQ(published("new"), "none");
  EXPECT_EQ(published("old"), "before");
  EXPECT_EQ(published("other"), "whole");
  EXPECT_EQ(names(""), (std::set<std::string>{"new", "old", "other"}));
  EXPECT_EQ(read("new"), "half");
  ASSERT_TRUE(files->write(made->id, 4, as_bytes(" and half")));
  files->close(*made);
  files->take_as_it_is(old->id);
  publish();
  EXPECT_EQ(published("new"), "half and half");
  EXPECT_EQ(published("old"), "half");
  EXPECT_FALSE(files->has_changes());
  ASSERT_TRUE(files->write(old->id, 4, as_bytes(" again")));
  publish();
  EXPECT_EQ(published("old"), "half");
  publish(InWork::kTaken);
  EXPECT_EQ(published("old"), "half again");
  files->close(*old);
}

TEST_F(WritableVolume, RenamedWhileOpenToWrite_WhatItReplacesStaysUntilItIsClosed) {
  put("one", "before");
  put("moved", "moved before");
  publish();
  const auto made = create("part");
  ASSERT_TRUE(files->write(made->id, 0, as_bytes("after")));
  ASSERT_EQ(rename("part", "one"), 0);
  const auto moved = *files->open(find("moved")->id, WritableFileSystem::Opening::kToWrite);
  ASSERT_TRUE(files->write(moved->id, 0, as_bytes("MOVED")));
  ASSERT_EQ(rename("moved", "elsewhere"), 0);
  for (int i = 0; i < 2; ++i) {
    publish();
    EXPECT_EQ(published("one"), "before");
    EXPECT_EQ(published("moved"), "none");
    EXPECT_EQ(published("elsewhere"), "moved before");
    EXPECT_EQ(read("one"), "after");
    EXPECT_EQ(names(""), (std::set<std::string>{"one", "elsewhere"}));
  }
  files->close(*made);
  files->close(*moved);
  publish();
  EXPECT_EQ(published("one"), "after");
  EXPECT_EQ(published("elsewhere"), "MOVED before");
  EXPECT_FALSE(files->has_changes());
}

TEST_F(WritableVolume, CrowdedByOneFile_StoredBeforeItIsPublished) {
  const auto file = create("large");
  std::string content;
  const auto append = [&](char letter, std::size_t count) {
    ASSERT_TRUE(files->write(file->id, content.size(), as_bytes(std::string(count, letter))));
    content.append(count, letter);
  };
  for (int i = 0; i < 3; ++i) {
    append('a', 3U << 20);
    auto plan = files->begin_publication(InWork::kStored);
    append('b', 100);
    ASSERT_TRUE(files->write(file->id, 1'000, as_bytes("over")));
    content.replace(1'000, 4, "over");
    const auto made = files->store(*plan, blocks);
    ASSERT_TRUE(made);
    root = made->cid;
    files->end_publication(std::move(*plan), WritableFileSystem::Outcome::kPublished);
    EXPECT_LT(staging->held_bytes(), 1'000U);
    EXPECT_EQ(published("large"), "none");
    EXPECT_TRUE(read(*file) == content.substr(0, 1U << 20));
  }
  files->close(*file);
  publish();
  EXPECT_TRUE(published("large") == content);
  EXPECT_FALSE(files->has_changes());
  EXPECT_EQ(staging->held_bytes(), 0U);
}

/// Whatever was written into it, its id is that of the same content imported as a whole.
TEST_F(WritableVolume, EditedFile_SameIdAsImportedAnew) {
  std::mt19937 random(9);
  std::string content(6U << 20, '\0');
  for (char& one : content) one = static_cast<char>(random());
  put("large", content);
  for (int round = 0; round < 40; ++round) {
    for (auto left = random() % 3; left > 0; --left) {
      const auto id = find("large")->id;
      const std::size_t place = random() % (content.size() + 1);
      if (random() % 4 == 0) {
        // Shorter, or with a hole at its end.
        const std::size_t size = random() % (9U << 20);
        ASSERT_TRUE(files->change_attributes(id, {.bytes = size}));
        content.resize(size);
      } else {
        const std::string text(random() % 100'000, static_cast<char>('a' + round % 26));
        ASSERT_TRUE(files->write(id, place, as_bytes(text)));
        if (text.empty()) continue;
        content.resize(std::max(content.size(), place + text.size()));
        content.replace(place, text.size(), text);
      }
    }
    publish();
    fs::Tree tree(root, blocks);
    const auto link = tree.get({"large"});
    fs::Blocks other;
    fs::MemorySource source(as_bytes(content));
    const auto anew = fs::import_file(source, other, fs::describe(link->cid, blocks)->attributes,
                                      fs::Chunking::kByContent);
    ASSERT_EQ(link->cid, anew->cid) << round;
    ASSERT_EQ(link->tsize, anew->tsize);
  }
}

TEST_F(WritableVolume, SmallChangeOfALargeFile_FewChunksAreMovedForIt) {
  std::mt19937 random(9);
  std::string content(40U << 20, '\0');
  for (char& one : content) one = static_cast<char>(random());
  put("large", content);
  publish();
  mount();
  const std::size_t before = blocks.blocks.size();
  leaves_read = 0;
  ASSERT_TRUE(files->write(find("large")->id, 20U << 20, as_bytes("changed")));
  publish();
  EXPECT_LE(leaves_read, 3U);
  EXPECT_LE(blocks.blocks.size(), before + 5);
  content.replace(20U << 20, 7, "changed");
  EXPECT_TRUE(published("large") == content);
}

TEST_F(WritableVolume, LargeHole_OneChunk) {
  const auto file = create("sparse");
  ASSERT_TRUE(files->change_attributes(file->id, {.bytes = std::uint64_t{100} << 30}));
  ASSERT_TRUE(files->write(file->id, std::uint64_t{50} << 30, as_bytes("in the middle")));
  files->close(*file);
  const std::size_t before = blocks.blocks.size();
  publish();
  EXPECT_LE(blocks.blocks.size(), before + 500) << "nodes alone";
  mount();
  EXPECT_EQ(find("sparse")->bytes, std::uint64_t{100} << 30);
  const auto again = *files->open(find("sparse")->id, WritableFileSystem::Opening::kToRead);
  const auto pieces = files->read(*again, (std::uint64_t{50} << 30) - 2, 17);
  ASSERT_TRUE(pieces);
  std::string text;
  for (const Buffer& piece : *pieces) text += as_text(piece.view());
  EXPECT_EQ(text, std::string(2, '\0') + "in the middle" + std::string(2, '\0'));
  files->close(*again);
}

TEST_F(WritableVolume, WantedByAnFsync_PublishedAlthoughSomebodyWritesOn) {
  const auto file = create("log");
  ASSERT_TRUE(files->write(file->id, 0, as_bytes("wanted")));
  files->take_as_it_is(file->id);
  ASSERT_TRUE(files->write(file->id, 6, as_bytes("+")));
  publish();
  EXPECT_EQ(published("log"), "wanted+");
  // It was wanted once.
  ASSERT_TRUE(files->write(file->id, 7, as_bytes("+")));
  publish();
  EXPECT_EQ(published("log"), "wanted+");
  files->close(*file);
}

TEST_F(WritableVolume, ClosedBeforeTheKernelSaysSo_InWhatSomebodyWaitsFor) {
  const auto file = create("file");
  ASSERT_TRUE(files->write(file->id, 0, as_bytes("whole")));
  files->flush(file->id);
  publish();
  EXPECT_EQ(published("file"), "none") << "another one may have it open, and nobody waits";
  publish(InWork::kLeftOut, true);
  EXPECT_EQ(published("file"), "whole");
  ASSERT_TRUE(files->write(file->id, 5, as_bytes(" and half")));
  publish(InWork::kLeftOut, true);
  EXPECT_EQ(published("file"), "whole");
  files->close(*file);
}

TEST_F(WritableVolume, MovedAwayAndBackWhileItIsPublished_SeenAndKept) {
  put("file", "1");
  auto plan = files->begin_publication();
  ASSERT_EQ(rename("file", "elsewhere"), 0);
  ASSERT_EQ(rename("elsewhere", "file"), 0);
  const auto made = files->store(*plan, blocks);
  ASSERT_TRUE(made);
  root = made->cid;
  files->end_publication(std::move(*plan), WritableFileSystem::Outcome::kPublished);
  EXPECT_EQ(names(""), std::set<std::string>{"file"});
  const auto file = *files->open(find("file")->id, WritableFileSystem::Opening::kToWrite);
  ASSERT_TRUE(files->write(file->id, 0, as_bytes("2")));
  publish();
  EXPECT_EQ(published("file"), "1") << "it is in work, and stays what it was";
  files->close(*file);
}

TEST_F(WritableVolume, DisplacedByOthers_TakesNoMoreWrites) {
  put("log", "mine");
  const fs::Cid first = publish();
  const auto file = *files->open(find("log")->id, WritableFileSystem::Opening::kToWrite);
  fs::Tree theirs(first, blocks);
  fs::MemorySource source(as_bytes("theirs"));
  ASSERT_TRUE(theirs.put(split("log"), *fs::import_file(source, blocks), now()));
  ASSERT_TRUE(theirs.store(blocks));
  ASSERT_TRUE(*files->follow(theirs.root(), [](const Changes&) {}));
  EXPECT_EQ(error_of(files->write(file->id, 0, as_bytes("lost"))), ESTALE);
  EXPECT_EQ(error_of(files->change_attributes(file->id, {.bytes = 0})), ESTALE);
  EXPECT_EQ(error_of(files->open(file->id, WritableFileSystem::Opening::kAnew)), ESTALE);
  EXPECT_EQ(read(*file), "mine");
  files->close(*file);
  const auto again = *files->open(find("log")->id, WritableFileSystem::Opening::kToWrite);
  ASSERT_TRUE(files->write(again->id, 6, as_bytes("!")));
  files->close(*again);
  root = theirs.root();
  publish();
  EXPECT_EQ(published("log"), "theirs!");
}

/// Counts what it passes on.
class CountingSink final : public fs::BlockSink {
 public:
  explicit CountingSink(fs::BlockSink& sink) : sink_(sink) {}
  Status<Explained> put(const fs::Cid& cid, Buffer block) override {
    ++count;
    return sink_.put(cid, std::move(block));
  }
  std::size_t count = 0;

 private:
  fs::BlockSink& sink_;
};

TEST_F(WritableVolume, LargeHole_StoredOnceOnEachLevel) {
  const auto file = create("sparse");
  ASSERT_TRUE(files->change_attributes(file->id, {.bytes = std::uint64_t{1} << 36}));
  files->close(*file);
  auto plan = files->begin_publication();
  CountingSink sink(blocks);
  ASSERT_TRUE(files->store(*plan, sink));
  files->end_publication(std::move(*plan), WritableFileSystem::Outcome::kFailed);
  EXPECT_LT(sink.count, 20U) << "of 65,536 chunks and the nodes above them";
}

TEST_F(WritableVolume, LargerThanAnyFile_Refused) {
  const auto file = create("sparse");
  const std::uint64_t most = std::uint64_t{1} << 44;
  EXPECT_EQ(error_of(files->change_attributes(file->id, {.bytes = most + 1})), EFBIG);
  EXPECT_EQ(error_of(files->write(file->id, most, as_bytes("x"))), EFBIG);
  files->close(*file);
}

TEST_F(WritableVolume, NumbersStay_AndAreNeverTwice) {
  put("old", "1");
  const auto number = find("old")->number;
  ASSERT_EQ(rename("old", "new"), 0);
  EXPECT_EQ(find("new")->number, number);
  put("old", "2");
  EXPECT_NE(find("old")->number, number);
  const auto listed = files->read_directory(**files->open_directory(kRootInode), 0, 10);
  for (const ListedEntry& entry : *listed) EXPECT_EQ(entry.number, find(entry.name)->number);
}

TEST_F(WritableVolume, WhatSystemCallsRefuse) {
  put("file", "x");
  make_directory("full");
  put("full/one", "x");
  make_directory("empty");
  for (const bool is_published : {false, true}) {
    if (is_published) {
      publish();
      mount();
      looked_up.clear();
    }
    EXPECT_EQ(error_of(files->create(kRootInode, "file", 0600)), EEXIST);
    EXPECT_EQ(error_of(files->make_directory(kRootInode, "full", 0700)), EEXIST);
    EXPECT_EQ(error_of(files->create(find("file")->id, "x", 0600)), ENOTDIR);
    EXPECT_EQ(error_of(files->create(kRootInode, std::string(256, 'n'), 0600)), ENAMETOOLONG);
    EXPECT_EQ(remove("none"), ENOENT);
    EXPECT_EQ(remove("empty"), EISDIR);
    EXPECT_EQ(remove_directory("file"), ENOTDIR);
    EXPECT_EQ(remove_directory("full"), ENOTEMPTY);
    EXPECT_EQ(rename("full", "full/below"), EINVAL);
    EXPECT_EQ(rename("empty", "full"), ENOTEMPTY);
    EXPECT_EQ(rename("file", "empty"), EISDIR);
    EXPECT_EQ(rename("empty", "file"), ENOTDIR);
    EXPECT_EQ(rename("file", "empty", WritableFileSystem::Replacing::kRefused), EEXIST);
    EXPECT_EQ(error_of(files->write(find("full")->id, 0, as_bytes("x"))), EISDIR);
  }
  files->refuse_changes();
  EXPECT_EQ(error_of(files->write(find("file")->id, 0, as_bytes("y"))), EROFS);
  EXPECT_EQ(error_of(files->create(kRootInode, "new", 0600)), EROFS);
  EXPECT_EQ(remove("file"), EROFS);
  EXPECT_EQ(rename("file", "other"), EROFS);
  EXPECT_EQ(read("file"), "x");
}

TEST_F(WritableVolume, InARemovedDirectory_NothingIsMade) {
  make_directory("sub");
  const auto sub = find("sub")->id;
  ASSERT_EQ(remove_directory("sub"), 0);
  EXPECT_EQ(error_of(files->create(sub, "x", 0600)), ENOENT);
  EXPECT_EQ(error_of(files->look_up(sub, "x")), ENOENT);
}

TEST_F(WritableVolume, AttributesAlone_ContentIsNotReadAgain) {
  put("large", std::string(3U << 20, 'x'));
  publish();
  mount();
  leaves_read = 0;
  ASSERT_TRUE(files->change_attributes(
      find("large")->id, {.mode = 0600, .modified = fs::ModificationTime{.seconds = 5}}));
  publish();
  const auto at = find("large");
  EXPECT_EQ(at->mode, 0600U);
  EXPECT_EQ(at->modified.seconds, 5);
  EXPECT_EQ(leaves_read, 0U);
}

TEST_F(WritableVolume, OthersPublish_FollowedWhileNothingIsPending) {
  make_directory("sub");
  put("sub/one", "1");
  put("two", "2");
  const fs::Cid first = publish();
  const auto open = *files->open(find("sub/one")->id, WritableFileSystem::Opening::kToRead);
  EXPECT_EQ(read(*open), "1");
  fs::Tree theirs(first, blocks);
  fs::MemorySource source(as_bytes("theirs"));
  ASSERT_TRUE(theirs.put(split("sub/one"), *fs::import_file(source, blocks), now()));
  ASSERT_TRUE(theirs.store(blocks));
  std::vector<std::string> told;
  const auto forewarn = [&](const Changes& changes) {
    for (const auto& name : changes.names) told.push_back(name.name);
  };
  const auto two = find("two");
  EXPECT_TRUE(*files->follow(theirs.root(), forewarn));
  EXPECT_EQ(told, std::vector<std::string>{"one"});
  EXPECT_EQ(read("sub/one"), "theirs");
  EXPECT_EQ(read(*open), "1") << "what is open stays";
  EXPECT_EQ(find("two")->id, two->id);
  put("three", "3");
  EXPECT_FALSE(*files->follow(first, forewarn));
  EXPECT_EQ(read("sub/one"), "theirs");
  EXPECT_EQ(read("three"), "3");
}

TEST_F(WritableVolume, ManyNames_ListedOnceEach) {
  std::set<std::string> all;
  for (int i = 0; i < 5'000; ++i) {
    const std::string name = std::to_string(i) + std::string(60, 'n');
    const auto made = files->create(kRootInode, name, 0600);
    ASSERT_TRUE(made);
    files->close(*made->file);
    files->forget(made->attributes.id, 1);
    all.insert(name);
    if (i == 4'000) publish();
    if (i % 3 != 0) continue;
    ASSERT_TRUE(files->remove(kRootInode, name));
    all.erase(name);
  }
  EXPECT_EQ(names(**files->open_directory(kRootInode), 100), all);
  publish();
  EXPECT_EQ(names(**files->open_directory(kRootInode), 100), all);
  mount();
  EXPECT_EQ(names(**files->open_directory(kRootInode), 100), all);
}

// ---- Against a model ----

struct ModelEntry {
  fs::Kind kind = fs::Kind::kFile;
  std::string content;  // of a link: its target
  std::uint32_t mode = 0;
};
using Model = std::map<std::string, ModelEntry>;  // by path, "/a/b"; the root has none

class ModelledVolume : public WritableVolume {
 protected:
  static std::string parent(const std::string& path) { return path.substr(0, path.rfind('/')); }
  bool is_directory(const std::string& path) const {
    if (path.empty()) return true;
    const auto at = model.find(path);
    return at != model.end() && at->second.kind == fs::Kind::kDirectory;
  }
  bool is_full(const std::string& path) const {
    const auto next = model.upper_bound(path + "/");
    return next != model.end() && next->first.starts_with(path + "/");
  }
  std::string any_path() {
    std::string out;
    do {
      out += "/" + std::string(1, static_cast<char>('a' + random() % 4));
    } while (random() % 3 != 0 && is_directory(out));
    return out;
  }
  std::string any_text() {
    return std::string(random() % (random() % 20 == 0 ? 3'000'000 : 300),
                       static_cast<char>('A' + random() % 26));
  }

  void step() {
    const std::string path = any_path();
    const auto at = model.find(path);
    const bool is_there = at != model.end();
    switch (random() % 10) {
      case 0: {
        const auto made = files->make_directory(parent_of(path), last_of(path), 0711);
        ASSERT_EQ(error_of(made), is_there ? EEXIST : 0) << path;
        if (is_there) break;
        looked_up.push_back(made->id);
        model[path] = {.kind = fs::Kind::kDirectory, .content = {}, .mode = 0711};
        break;
      }
      case 1: {
        const auto made = files->make_link(parent_of(path), last_of(path), path);
        ASSERT_EQ(error_of(made), is_there ? EEXIST : 0) << path;
        if (is_there) break;
        looked_up.push_back(made->id);
        model[path] = {.kind = fs::Kind::kSymlink, .content = path, .mode = 0777};
        break;
      }
      case 2:
        ASSERT_EQ(remove(path), !is_there ? ENOENT : is_directory(path) ? EISDIR : 0) << path;
        if (is_there && !is_directory(path)) model.erase(at);
        break;
      case 3: {
        const int expected = !is_there             ? ENOENT
                             : !is_directory(path) ? ENOTDIR
                             : is_full(path)       ? ENOTEMPTY
                                                   : 0;
        ASSERT_EQ(remove_directory(path), expected) << path;
        if (expected == 0) model.erase(at);
        break;
      }
      case 4:
        move(path, any_path());
        break;
      case 5:
        if (!is_there) break;
        {
          const auto mode = static_cast<std::uint32_t>(random() % 01000);
          ASSERT_TRUE(files->change_attributes(find(path)->id, {.mode = mode}));
          if (at->second.kind != fs::Kind::kSymlink) at->second.mode = mode;
        }
        break;
      default:
        if (is_there && at->second.kind != fs::Kind::kFile) break;
        write(path);
    }
  }

  void move(const std::string& from, const std::string& to) {
    const bool is_there = model.contains(from);
    const bool is_replaced = model.contains(to);
    const int expected = !is_there                                          ? ENOENT
                         : from == to                                       ? 0
                         : is_directory(from) && to.starts_with(from + "/") ? EINVAL
                         : is_replaced && is_directory(to) != is_directory(from)
                             ? (is_directory(to) ? EISDIR : ENOTDIR)
                         : is_replaced && is_directory(to) && is_full(to) ? ENOTEMPTY
                                                                          : 0;
    ASSERT_EQ(rename(from, to), expected) << from << " " << to;
    if (expected != 0 || from == to) return;
    Model moved;
    std::erase_if(model, [&](auto& one) {
      if (one.first != from && !one.first.starts_with(from + "/")) return one.first == to;
      moved.emplace(to + one.first.substr(from.size()), std::move(one.second));
      return true;
    });
    model.merge(moved);
  }

  void write(const std::string& path) {
    if (!model.contains(path)) {
      const auto file = create(path);
      ASSERT_TRUE(file);
      files->close(*file);
      model[path] = {.kind = fs::Kind::kFile, .content = {}, .mode = 0640};
    }
    std::string& content = model.at(path).content;
    const auto id = find(path)->id;
    const std::size_t place = random() % (content.size() + 200);
    if (random() % 3 == 0) {
      ASSERT_TRUE(files->change_attributes(id, {.bytes = place}));
      content.resize(place);
      return;
    }
    const std::string text = any_text();
    ASSERT_TRUE(files->write(id, place, as_bytes(text)));
    if (text.empty()) return;
    if (content.size() < place + text.size()) content.resize(place + text.size());
    content.replace(place, text.size(), text);
  }

  /// All that is seen through the file system.
  void check_seen() {
    Model seen;
    std::vector<std::string> todo{""};
    while (!todo.empty()) {
      const std::string path = todo.back();
      todo.pop_back();
      for (const std::string& name : names(path.empty() ? "/" : path)) {
        const std::string one = path + "/" + name;
        const auto at = find(one);
        ASSERT_TRUE(at) << one;
        ModelEntry& entry = seen[one];
        entry = {.kind = at->kind, .content = {}, .mode = at->mode};
        if (at->kind == fs::Kind::kDirectory) todo.push_back(one);
        if (at->kind == fs::Kind::kFile) {
          ASSERT_EQ(at->bytes, model[one].content.size()) << one;
          entry.content = read_all(one);
        }
        if (at->kind == fs::Kind::kSymlink) {
          entry.content = *files->link_target(at->id);
          entry.mode = 0777;
        }
      }
    }
    compare(seen, model);
  }
  std::string read_all(const std::string& path) {
    const auto file = *files->open(find(path)->id, WritableFileSystem::Opening::kToRead);
    std::string out;
    while (true) {
      const auto pieces = files->read(*file, out.size(), 1U << 20);
      if (!pieces || pieces->empty()) break;
      for (const Buffer& piece : *pieces) out += as_text(piece.view());
    }
    files->close(*file);
    return out;
  }
  /// All that is published.
  void check_published(const Model& expected) {
    Model seen;
    ASSERT_TRUE(
        fs::walk_tree(root, 0, blocks, [&](const fs::WalkedEntry& one) -> Status<Explained> {
          if (one.path.empty()) return {};
          ModelEntry& entry = seen["/" + one.path];
          entry = {.kind = one.described.kind,
                   .content = one.described.target,
                   .mode = one.described.attributes.mode.value_or(0777)};
          if (entry.kind == fs::Kind::kSymlink) entry.mode = 0777;
          if (entry.kind == fs::Kind::kFile) entry.content = published(one.path);
          return {};
        }));
    compare(seen, expected);
  }
  static void compare(const Model& seen, const Model& expected) {
    for (const auto& [path, entry] : expected) {
      ASSERT_TRUE(seen.contains(path)) << path;
      const ModelEntry& other = seen.at(path);
      ASSERT_EQ(other.kind, entry.kind) << path;
      ASSERT_TRUE(other.content == entry.content) << path;
      ASSERT_EQ(other.mode, entry.mode) << path;
    }
    ASSERT_EQ(seen.size(), expected.size());
  }

  std::mt19937 random;
  Model model;
};

TEST_F(ModelledVolume, RandomChanges_SeenAndPublishedAsTheyAre) {
  for (unsigned seed = 1; seed <= 25; ++seed) {
    SCOPED_TRACE(seed);
    random.seed(seed);
    Model published_model = model;
    for (int round = 0; round < 25; ++round) {
      for (auto left = random() % 15; left > 0; --left) {
        step();
        if (HasFatalFailure()) return;
      }
      if (random() % 2 == 0) forget_all();
      if (random() % 4 == 0) check_seen();
      const auto fate = random() % 6;
      if (fate == 0) {
        // Killed: what was published is there, and nothing else.
        forget_all();
        mount();
        model = published_model;
        check_seen();
      } else if (auto plan = files->begin_publication()) {
        const Model then = model;
        for (auto left = random() % 10; left > 0; --left) {
          step();
          if (HasFatalFailure()) return;
        }
        if (random() % 2 == 0) forget_all();
        const auto made = files->store(*plan, blocks);
        ASSERT_TRUE(made) << made.error().text();
        for (auto left = random() % 5; left > 0; --left) {
          step();
          if (HasFatalFailure()) return;
        }
        const bool is_published = fate != 1;
        if (is_published) {
          root = made->cid;
          published_model = then;
          check_published(then);
        }
        files->end_publication(std::move(*plan), is_published
                                                     ? WritableFileSystem::Outcome::kPublished
                                                     : WritableFileSystem::Outcome::kFailed);
        check_seen();
      }
      if (HasFatalFailure()) return;
    }
    publish();
    check_published(model);
    EXPECT_FALSE(files->has_changes());
    EXPECT_EQ(staging->held_bytes(), 0U);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace rosebud::mount
