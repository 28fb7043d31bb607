#include "fs/walk.h"

#include <gmock/gmock.h>

#include "fs/test_blocks.h"

namespace rosebud::fs {
namespace {

Imported file_of(Blocks& blocks, std::string_view text) {
  MemorySource source(as_bytes(text));
  return *import_file(source, blocks, {.mode = 0644});
}

Link link_to(std::string name, const Imported& to) {
  return {.name = std::move(name), .cid = to.cid, .tsize = to.tsize};
}

std::vector<std::string> paths_of(const Cid& root, Blocks& blocks,
                                  const WalkOptions& options = {}) {
  std::vector<std::string> out;
  const auto done = walk_tree(
      root, 0, blocks,
      [&](const WalkedEntry& entry) -> Status<Explained> {
        out.push_back(entry.path);
        return {};
      },
      options);
  if (!done) out.push_back("error: " + done.error().what);
  return out;
}

using Paths = std::vector<std::string>;

TEST(Walk, DirectoriesComeBeforeWhatIsInThem) {
  Blocks blocks;
  const auto one = file_of(blocks, "one");
  const auto inner = import_directory({link_to("x", one), link_to("y", one)}, blocks);
  const auto root =
      import_directory({link_to("b", *inner), link_to("a", one), link_to("c", one)}, blocks);
  EXPECT_EQ(paths_of(root->cid, blocks), (Paths{"", "a", "b", "b/x", "b/y", "c"}));
}

TEST(Walk, WhatIsMissing_EndsItOrIsTold) {
  Blocks blocks;
  const auto one = file_of(blocks, "one");
  const auto gone = file_of(blocks, "gone");
  const auto root = import_directory({link_to("a", gone), link_to("b", one)}, blocks);
  blocks.blocks.erase(gone.cid);
  EXPECT_EQ(paths_of(root->cid, blocks), (Paths{"", "error: not here"}));
  Paths told;
  const WalkOptions options{
      .on_damage = [&](const std::string& path, const Explained&) -> Status<Explained> {
        told.push_back(path);
        return {};
      }};
  EXPECT_EQ(paths_of(root->cid, blocks, options), (Paths{"", "b"}));
  EXPECT_EQ(told, Paths{"a"});
}

TEST(Walk, EveryBlockIsChecked) {
  Blocks blocks;
  const Bytes long_text(3'000'000, 'x');
  MemorySource source(long_text);
  const auto large = import_file(source, blocks, {.mode = 0644});
  const auto small = file_of(blocks, "small");
  const Cid raw = Cid::of(Codec::kRaw, as_bytes("raw"));
  blocks.blocks[raw] = Buffer(to_bytes(as_bytes("raw")));
  const auto root = import_directory({link_to("large", *large),
                                      link_to("small", small),
                                      {.name = "true", .cid = raw, .tsize = 3},
                                      {.name = "lie", .cid = raw, .tsize = 4}},
                                     blocks);
  const auto damaged = [&] {
    std::vector<std::string> out;
    EXPECT_TRUE(walk_tree(root->cid, root->tsize, blocks,
                          [&](const WalkedEntry& entry) -> Status<Explained> {
                            if (!check_entry(entry, blocks, {})) out.push_back(entry.path);
                            return {};
                          }));
    return out;
  };
  EXPECT_EQ(damaged(), Paths{"lie"});
  std::erase_if(blocks.blocks, [](const auto& block) {
    return block.first.codec == Codec::kRaw && block.second.size() > 3;
  });
  EXPECT_EQ(damaged(), (Paths{"large", "lie"}));
}

/// In memory, and it counts.
class Heads final : public HeadMemory {
 public:
  std::optional<Described> find(const Cid& cid) override {
    const auto at = known.find(cid);
    return at == known.end() ? std::nullopt : std::optional(at->second);
  }
  void add(const Cid& cid, const Described& described) override { known.emplace(cid, described); }
  std::map<Cid, Described> known;
};

TEST(Walk, HeadsThatAreKnown_AreNotAskedFor) {
  Blocks blocks;
  const Imported file = file_of(blocks, "one");
  const auto link = import_symlink("file", blocks, {});
  const auto below = import_directory({link_to("file", file)}, blocks);
  const auto root = import_directory({link_to("below", *below), link_to("link", *link)}, blocks);
  Heads heads;
  const WalkOptions options{.on_damage = {}, .heads = &heads};
  const Paths all{"", "below", "below/file", "link"};
  EXPECT_EQ(paths_of(root->cid, blocks, options), all);
  EXPECT_EQ(heads.known.size(), 2U);  // directories have to be read all the same
  blocks.blocks.erase(file.cid);
  blocks.blocks.erase(link->cid);
  EXPECT_EQ(paths_of(root->cid, blocks, options), all);
  EXPECT_THAT(paths_of(root->cid, blocks).back(), testing::HasSubstr("not here"));
}

// 2^60 entries of 60 blocks.
TEST(Walk, TreeThatUnfoldsWithoutEnd_IsRefused) {
  Blocks blocks;
  auto below = import_directory({}, blocks);
  for (int i = 0; i < 60; ++i)
    below = import_directory({link_to("l", *below), link_to("r", *below)}, blocks);
  const auto paths = paths_of(below->cid, blocks, {.entries_max = 1000});
  ASSERT_EQ(paths.size(), 1001U);
  EXPECT_THAT(paths.back(), testing::HasSubstr("too many entries"));
}

TEST(Walk, TreeThatIsTooDeep_IsRefused) {
  Blocks blocks;
  auto below = import_directory({}, blocks);
  for (std::size_t i = 0; i < kDepthMax; ++i)
    below = import_directory({link_to("d", *below)}, blocks);
  EXPECT_THAT(paths_of(below->cid, blocks).back(), testing::EndsWith("d/d"));
  below = import_directory({link_to("d", *below)}, blocks);
  EXPECT_THAT(paths_of(below->cid, blocks).back(), testing::HasSubstr("nest too deeply"));
}

}  // namespace
}  // namespace rosebud::fs
