#include "mount/file_system.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <set>
#include <thread>

#include "fs/test_blocks.h"

namespace rosebud::mount {
namespace {

using namespace std::chrono_literals;

constexpr fs::ModificationTime kNow{.seconds = 1'700'000'000, .nanoseconds = 5};

/// A volume in memory, edited and published by the test.
class MountedVolume : public testing::Test {
 protected:
  MountedVolume()
      : cache(
            [this](const fs::Cid& cid, Duration, const BlockCache::Done& done) {
              const std::lock_guard lock(mutex);
              if (is_stuck) return stuck.push_back(done);
              done(is_lost ? fail(Explained{.what = "lost"}) : blocks.get(cid));
            },
            16U << 20),
        files(cache, 4U << 20, 60s),
        tree(*fs::Tree::empty(blocks, {.mode = 0750, .modified = kNow})) {
    publish();
  }

  void publish() {
    {
      const std::lock_guard lock(mutex);
      ASSERT_TRUE(tree.store(blocks));
    }
    const auto done = files.switch_to(tree.root());
    ASSERT_TRUE(done) << done.error().text();
  }
  void put(const std::string& path, const std::string& text,
           const fs::Attributes& attributes = {}) {
    const std::lock_guard lock(mutex);
    fs::MemorySource source(as_bytes(text));
    const auto file = fs::import_file(source, blocks, attributes);
    ASSERT_TRUE(tree.put(*fs::parse_tree_path(path), *file, kNow));
  }
  void make_directory(const std::string& path) {
    const std::lock_guard lock(mutex);
    ASSERT_TRUE(tree.make_directory(*fs::parse_tree_path(path), {}, kNow));
  }
  void remove(const std::string& path) {
    const std::lock_guard lock(mutex);
    ASSERT_TRUE(tree.remove(*fs::parse_tree_path(path), fs::Tree::Below::kGoesToo, kNow));
  }

  Answer<Attributes> find(const std::string& path) {
    Answer<Attributes> at = files.attributes(kRootInode);
    const auto names = *fs::parse_tree_path(path);
    for (const std::string& name : names) {
      at = files.look_up(at->id, name);
      if (!at) break;
    }
    return at;
  }
  std::string read(OpenFile& file, std::uint64_t offset = 0, std::uint64_t count = 1U << 20) {
    const auto pieces = files.read(file, offset, count);
    if (!pieces) return "error " + std::to_string(static_cast<int>(pieces.error()));
    std::string out;
    for (const Buffer& piece : *pieces) out += as_text(piece.view());
    return out;
  }
  std::string read(const std::string& path) {
    const auto at = find(path);
    return at ? read(**files.open(at->id)) : "none";
  }
  std::set<std::string> names(const OpenDirectory& directory, std::size_t count = 100) {
    std::set<std::string> out;
    for (Cursor after = 0;;) {
      const auto page = files.read_directory(directory, after, count);
      EXPECT_TRUE(page);
      if (!page || page->empty()) return out;
      for (const Entry& entry : *page) EXPECT_TRUE(out.insert(entry.link.name).second);
      after = page->back().next;
    }
  }
  /// Failures are told for a while.
  template <typename Condition>
  static void eventually(Condition is_true) {
    const auto end = Clock::now() + 20s;
    while (!is_true()) {
      ASSERT_LT(Clock::now(), end);
      std::this_thread::yield();
    }
  }
  template <typename T>
  static int error_of(const Answer<T>& answer) {
    return answer ? 0 : static_cast<int>(answer.error());
  }

  std::mutex mutex;
  fs::Blocks blocks;  // under the mutex
  std::atomic<bool> is_lost = false;
  std::atomic<bool> is_stuck = false;   // fetches end when the test ends them
  std::vector<BlockCache::Done> stuck;  // under the mutex
  BlockCache cache;
  FileSystem files;
  fs::Tree tree;
};

TEST_F(MountedVolume, AttributesAreThoseOfTheVolume) {
  put("file", "hello", {.mode = 0104640, .modified = kNow});
  put("plain", "hello");
  {
    const auto link = fs::import_symlink("some/where", blocks);
    ASSERT_TRUE(tree.put({"link"}, *link, kNow));
  }
  make_directory("sub");
  publish();
  const auto root = *files.attributes(kRootInode);
  EXPECT_EQ(root.kind, fs::Kind::kDirectory);
  EXPECT_EQ(root.mode, 0750U);
  EXPECT_EQ(root.modified, kNow);
  const auto file = *find("file");
  EXPECT_EQ(file.kind, fs::Kind::kFile);
  EXPECT_EQ(file.bytes, 5U);
  EXPECT_EQ(file.mode, 04640U);
  EXPECT_EQ(file.modified, kNow);
  EXPECT_EQ(find("plain")->mode, 0644U);
  EXPECT_EQ(find("plain")->modified, fs::ModificationTime{});
  EXPECT_EQ(find("sub")->mode, 0755U);
  const auto link = *find("link");
  EXPECT_EQ(link.kind, fs::Kind::kSymlink);
  EXPECT_EQ(link.bytes, 10U);
  EXPECT_EQ(*files.link_target(link.id), "some/where");
  EXPECT_EQ(error_of(files.link_target(file.id)), EINVAL);
  EXPECT_EQ(error_of(files.open(root.id)), EISDIR);
  EXPECT_EQ(error_of(files.open_directory(file.id)), ENOTDIR);
  EXPECT_EQ(error_of(find("none")), ENOENT);
  EXPECT_EQ(error_of(find(std::string(255, 'n'))), ENOENT);
  EXPECT_EQ(error_of(files.look_up(kRootInode, std::string(256, 'n'))), ENAMETOOLONG);
  EXPECT_EQ(error_of(files.attributes(999)), ESTALE);
  EXPECT_GT(files.usage()->bytes, 10U);
}

TEST_F(MountedVolume, AnOpenFileStaysInItsState) {
  make_directory("sub");
  put("sub/file", "first");
  put("sub/other", "same");
  publish();
  const auto before = *find("sub/file");
  const auto other = *find("sub/other");
  const auto directory = *find("sub");
  const auto file = *files.open(before.id);
  const auto listing = *files.open_directory(directory.id);
  put("sub/file", "second one");
  put("sub/new", "new");
  publish();
  EXPECT_EQ(read(*file), "first");
  EXPECT_EQ(read(**files.open(before.id)), "first");
  EXPECT_EQ(files.attributes(before.id)->bytes, 5U);
  EXPECT_EQ(names(*listing), (std::set<std::string>{"file", "other"}));
  const auto after = *find("sub/file");
  EXPECT_NE(after.id, before.id);
  EXPECT_EQ(after.number, before.number);
  EXPECT_EQ(after.bytes, 10U);
  EXPECT_EQ(read("sub/file"), "second one");
  // What did not change is the same, and so is a directory.
  EXPECT_EQ(find("sub/other")->id, other.id);
  EXPECT_EQ(find("sub")->id, directory.id);
  EXPECT_EQ(names(**files.open_directory(directory.id)),
            (std::set<std::string>{"file", "new", "other"}));
}

TEST_F(MountedVolume, ADirectoryIsItsPath) {
  for (const char* one : {"a", "a/b", "a/b/c"}) make_directory(one);
  put("a/b/c/file", "first");
  publish();
  const InodeId deep = find("a/b/c")->id;
  // Not looked up again: where it is now is found by its path.
  put("a/b/c/file", "second");
  publish();
  const auto file = files.look_up(deep, "file");
  ASSERT_TRUE(file);
  EXPECT_EQ(read(**files.open(file->id)), "second");
  remove("a/b");
  publish();
  EXPECT_EQ(error_of(files.look_up(deep, "file")), ENOENT);
  EXPECT_EQ(error_of(files.attributes(deep)), ENOENT);
  EXPECT_EQ(error_of(files.open_directory(deep)), ENOENT);
  EXPECT_EQ(read(**files.open(file->id)), "second");
  // A file in the place of a directory above it.
  put("a/b", "now a file");
  publish();
  EXPECT_EQ(error_of(files.attributes(deep)), ENOENT);
  EXPECT_EQ(read("a/b"), "now a file");
  remove("a/b");
  for (const char* one : {"a/b", "a/b/c"}) make_directory(one);
  publish();
  EXPECT_EQ(files.attributes(deep)->id, deep);
  EXPECT_EQ(find("a/b/c")->id, deep);
}

TEST_F(MountedVolume, NumbersStayWhenTheKernelForgets) {
  make_directory("sub");
  put("sub/file", "text");
  publish();
  const auto sub = *find("sub");
  const auto file = *files.look_up(sub.id, "file");
  files.forget(sub.id, 1);  // the file below keeps it
  EXPECT_TRUE(files.attributes(sub.id));
  files.forget(file.id, 1);
  EXPECT_EQ(error_of(files.attributes(file.id)), ESTALE);
  EXPECT_EQ(error_of(files.attributes(sub.id)), ESTALE);
  files.forget(file.id, 1);  // more than there were
  files.forget(kRootInode, 7);
  const auto again = *find("sub/file");
  EXPECT_EQ(again.number, file.number);
  EXPECT_NE(again.id, file.id);
  EXPECT_EQ(inode_number(find("sub")->number, "file"), file.number);
}

TEST_F(MountedVolume, LargeDirectoriesPageByPage) {
  make_directory("many");
  std::set<std::string> expected;
  std::vector<fs::Link> links;
  const auto target = *fs::import_symlink("x", blocks);
  for (int i = 0; i < 3'000; ++i) {
    const std::string name = std::to_string(i) + std::string(200, 'x');
    expected.insert(name);
    links.push_back({.name = name, .cid = target.cid, .tsize = target.tsize});
  }
  const auto many = *fs::import_directory(links, blocks);
  ASSERT_EQ(fs::get_node(many.cid, blocks)->type, fs::NodeType::kShard);
  ASSERT_TRUE(tree.put({"many"}, many, kNow));
  publish();
  const auto directory = *files.open_directory(find("many")->id);
  for (const std::size_t page : {1U, 10U, 512U, 10'000U})
    EXPECT_EQ(names(*directory, page), expected);
  // From wherever a page ended, it goes on in the same way.
  const auto all = *files.read_directory(*directory, 0, 10'000);
  for (const std::size_t i : {0U, 17U, 2'998U}) {
    const auto rest = *files.read_directory(*directory, all[i].next, 1);
    EXPECT_EQ(rest.at(0).link.name, all[i + 1].link.name);
    EXPECT_GT(all[i + 1].next, all[i].next);
  }
  EXPECT_TRUE(files.read_directory(*directory, all.back().next, 1)->empty());
  EXPECT_TRUE(files.read_directory(*directory, ~0ULL >> 1, 1)->empty());
  EXPECT_EQ(find("many/" + *expected.begin())->kind, fs::Kind::kSymlink);
}

TEST_F(MountedVolume, WhatIsNoVolumeIsNeverShown) {
  put("file", "text");
  publish();
  const auto file = fs::import_symlink("x", blocks);
  EXPECT_FALSE(files.switch_to(file->cid));
  EXPECT_FALSE(files.switch_to(fs::Cid::of(fs::Codec::kDagPb, as_bytes("nowhere"))));
  EXPECT_EQ(read("file"), "text");
}

TEST_F(MountedVolume, WithoutTheClusterWhatIsHereIsRead) {
  put("here", "text");
  put("there", std::string(100'000, 't'), {.mode = 0644});
  publish();
  EXPECT_EQ(read("here"), "text");
  is_lost = true;
  EXPECT_EQ(read("here"), "text");
  EXPECT_EQ(error_of(find("there")), EIO);
  is_lost = false;
  eventually([&] { return read("there").size() == 100'000; });
}

TEST_F(MountedVolume, AnOperationThatIsLateSaysSo) {
  put("slow", "text", {.mode = 0644});
  publish();
  FileSystem soon(cache, 4U << 20, 1s);
  ASSERT_TRUE(soon.switch_to(tree.root()));
  is_stuck = true;
  EXPECT_EQ(error_of(soon.look_up(kRootInode, "slow")), ETIMEDOUT);
  {
    const std::lock_guard lock(mutex);
    for (const BlockCache::Done& done : stuck) done(fail(Explained{.what = "lost"}));
  }
  is_stuck = false;
  eventually([&] { return read("slow") == "text"; });
}

TEST_F(MountedVolume, LyingSizesAndHeads) {
  {
    const Bytes bytes(10, 1);
    const auto cid = fs::Cid::of(fs::Codec::kRaw, bytes);
    ASSERT_TRUE(blocks.put(cid, Buffer::copy_of(bytes)));
    ASSERT_TRUE(tree.put({"liar"}, {.cid = cid, .tsize = 11, .bytes = 11}, kNow));
    const auto endless = fs::import_symlink(std::string(5'000, 'x'), blocks);
    ASSERT_TRUE(tree.put({"endless"}, *endless, kNow));
    const auto missing = fs::import_symlink("missing", blocks);
    ASSERT_TRUE(tree.put({"missing"}, *missing, kNow));
    publish();
    blocks.blocks.erase(missing->cid);
  }
  EXPECT_EQ(read("liar"), "error " + std::to_string(EIO));
  EXPECT_EQ(error_of(find("endless")), ENAMETOOLONG);
  EXPECT_EQ(error_of(find("missing")), EIO);
}

TEST_F(MountedVolume, WhatTheKernelKeptIsToldBeforeTheChange) {
  for (const char* one : {"a", "a/b", "gone", "gone/sub", "same"}) make_directory(one);
  for (const char* one : {"a/b/changed", "a/b/stays", "a/unknown", "gone/sub/file", "same/file"})
    put(one, "before");
  publish();
  for (const char* one : {"a/b/changed", "a/b/stays", "gone/sub/file", "same/file"})
    ASSERT_TRUE(find(one));
  const InodeId root = kRootInode, a = find("a")->id, b = find("a/b")->id;
  const auto before = *find("a/b/changed");
  EXPECT_TRUE(files.is_settled(before.state));
  put("a/b/changed", "after");
  put("a/b/new", "after");
  put("a/unknown", "after");
  remove("gone");
  {
    const std::lock_guard lock(mutex);
    ASSERT_TRUE(tree.store(blocks));
  }
  std::set<std::pair<InodeId, std::string>> names;
  std::set<InodeId> directories;
  const auto done = files.switch_to(tree.root(), [&](const Changes& changes) {
    for (const Changes::Name& one : changes.names) names.emplace(one.parent, one.name);
    directories.insert(changes.directories.begin(), changes.directories.end());
    // Still the state before, and not to be kept.
    const auto found = *find("a/b/changed");
    EXPECT_EQ(found.id, before.id);
    EXPECT_FALSE(files.is_settled(found.state));
  });
  ASSERT_TRUE(done) << done.error().text();
  EXPECT_EQ(names, (std::set<std::pair<InodeId, std::string>>{{b, "changed"}, {root, "gone"}}));
  EXPECT_EQ(directories, (std::set<InodeId>{root, a, b}));
  EXPECT_FALSE(files.is_settled(before.state));
  EXPECT_TRUE(files.is_settled(find("a/b/changed")->state));
  // Nothing differs: nothing is told, and it is another state all the same.
  ASSERT_TRUE(files.switch_to(tree.root(), [](const Changes& changes) {
    EXPECT_TRUE(changes.names.empty() && changes.directories.empty());
  }));
}

TEST_F(MountedVolume, AChangeThatCannotBeReadIsTriedLater) {
  make_directory("a");
  put("a/file", "before");
  publish();
  const auto file = *find("a/file");
  put("a/file", "after", {.mode = 0600});
  fs::Cid directory;
  {
    const std::lock_guard lock(mutex);
    ASSERT_TRUE(tree.store(blocks));
    directory = tree.get({"a"})->cid;
  }
  Buffer kept;
  {
    const std::lock_guard lock(mutex);
    kept = blocks.blocks.extract(directory).mapped();
  }
  EXPECT_FALSE(files.switch_to(tree.root()));
  EXPECT_TRUE(files.is_settled(file.state));
  EXPECT_EQ(read("a/file"), "before");
  {
    const std::lock_guard lock(mutex);
    blocks.blocks.emplace(directory, kept);
  }
  eventually([&] { return files.switch_to(tree.root()).has_value(); });
  EXPECT_EQ(read("a/file"), "after");
}

TEST_F(MountedVolume, ReadersSeeWholeStatesInOrder) {
  // Both files say the number of the publication; the first is read first.
  const auto number = [](int i) { return std::to_string(1'000 + i); };
  make_directory("sub");
  put("one", number(0));
  put("sub/two", number(0));
  publish();
  std::atomic<bool> is_over = false;
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      std::string last = number(0);
      while (!is_over) {
        const std::string one = read("one");
        const std::string two = read("sub/two");
        EXPECT_LE(last, one);
        EXPECT_LE(one, two);
        last = two;
      }
    });
  }
  for (int i = 1; i <= 200; ++i) {
    put("one", number(i));
    put("sub/two", number(i));
    publish();
  }
  is_over = true;
  for (std::thread& reader : readers) reader.join();
}

}  // namespace
}  // namespace rosebud::mount
