#include "apps/rosebud/sync_volume.h"

#include "fs/test_blocks.h"

namespace rosebud::apps {
namespace {

constexpr fs::ModificationTime kThen{.seconds = 5};

SyncEntry directory() {
  return {.kind = SyncKind::kDirectory, .attributes = {.mode = 0755, .modified = kThen}};
}
SyncEntry file(std::uint64_t bytes, std::uint32_t mode = 0644) {
  return {.bytes = bytes, .attributes = {.mode = mode, .modified = kThen}};
}
SyncEntry symlink(std::string target) {
  return {
      .kind = SyncKind::kSymlink, .target = std::move(target), .attributes = {.modified = kThen}};
}

/// A volume in memory, and the files of the source: as many bytes as they say, of one letter.
struct Store {
  fs::Blocks blocks;
  std::vector<std::string> read;

  fs::Link sync(const Listing& source, const Listing& target, const SyncOptions& options = {}) {
    read.clear();
    const PutFile put_file = [&](const std::string& path) {
      read.push_back(path);
      const SyncEntry& entry = source.at(path);
      const Bytes bytes(entry.bytes, 'x');
      fs::MemorySource content(bytes);
      return fs::import_file(content, blocks, entry.attributes, fs::Chunking::kByContent);
    };
    const auto plan = plan_sync(source, target, options);
    const auto made = carry_out_in_volume(*plan, source, target, blocks, blocks, put_file);
    EXPECT_TRUE(made);
    return {.cid = made->cid, .tsize = made->tsize};
  }
  Listing list(const fs::Link& root) { return *list_volume(root, blocks, 07777); }
};

void expect_equal(const Listing& listed, const Listing& wanted) {
  ASSERT_EQ(listed.size(), wanted.size());
  for (const auto& [path, entry] : wanted) {
    const SyncEntry& there = listed.at(path);
    EXPECT_EQ(there.kind, entry.kind) << path;
    EXPECT_EQ(there.bytes, entry.bytes) << path;
    EXPECT_EQ(there.target, entry.target) << path;
    EXPECT_EQ(there.attributes, entry.attributes) << path;
  }
}

Listing tree() {
  Listing out{{"", directory()},   {"d", directory()},       {"d/e", directory()},
              {"d/e/f", file(10)}, {"d-f", file(3'000'000)}, {"empty", directory()},
              {"l", symlink("d")}};
  for (int i = 0; i < 1500; ++i)
    out.emplace("many", directory()),
        out.emplace("many/" + std::to_string(i) + std::string(200, 'n'), file(1));
  return out;
}

TEST(SyncVolume, NewTree_IsAsTheSource) {
  Store store;
  const auto root = store.sync(tree(), {});
  expect_equal(store.list(root), tree());
  EXPECT_EQ(store.read.size(), 1502U);
}

TEST(SyncVolume, EqualTree_StaysAndNothingIsRead) {
  Store store;
  const auto root = store.sync(tree(), {});
  const auto blocks = store.blocks.blocks.size();
  const auto again = store.sync(tree(), store.list(root));
  EXPECT_EQ(again, root);
  EXPECT_EQ(store.read.size(), 0U);
  EXPECT_EQ(store.blocks.blocks.size(), blocks);
}

TEST(SyncVolume, ChangedTree_IsWhatANewOneWouldBe) {
  Store store;
  const auto before = store.sync(tree(), {});
  Listing changed = tree();
  changed.at("d/e/f") = file(11);
  changed.at("d-f").attributes.mode = 0600;
  changed.at("l") = symlink("nowhere");
  changed.erase("empty");
  changed.insert_or_assign("empty", file(2));
  changed.erase("many/7" + std::string(200, 'n'));
  changed.emplace("new", directory());
  changed.emplace("new/f", file(1));
  const auto after = store.sync(changed, store.list(before), {.may_delete = true});
  EXPECT_EQ(store.read, (std::vector<std::string>{"d/e/f", "empty", "new/f"}));
  expect_equal(store.list(after), changed);
  EXPECT_EQ(after, store.sync(changed, {}));
}

TEST(SyncVolume, FilesWithoutAPlaceForAttributes_AreMadeAnew) {
  Store store;
  Listing source{{"", directory()}, {"f", file(3)}};
  Listing bare = source;
  bare.at("f").attributes = {};
  const auto before = store.sync(bare, {});
  ASSERT_EQ(store.list(before).at("f").cid.codec, fs::Codec::kRaw);
  const SyncOptions by_content{
      .has_same_content = [](const auto&...) -> Result<bool, Explained> { return true; }};
  const auto after = store.sync(source, store.list(before), by_content);
  expect_equal(store.list(after), source);
}

}  // namespace
}  // namespace rosebud::apps
