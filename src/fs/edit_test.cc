#include "fs/edit.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "fs/test_blocks.h"
#include "fs/tree.h"

namespace rosebud::fs {
namespace {

constexpr Attributes kAttributes{.mode = 0750, .modified = ModificationTime{.seconds = 7}};

Imported file(const std::string& text, Blocks& blocks) {
  MemorySource source(as_bytes(text));
  return *import_file(source, blocks);
}

std::map<std::string, Cid> entries(const Cid& cid, Blocks& blocks) {
  std::map<std::string, Cid> out;
  const auto listed = list_directory(cid, blocks);
  EXPECT_TRUE(listed);
  for (const DirectoryEntry& entry : *listed) out.emplace(entry.name, entry.cid);
  return out;
}

TEST(EditDirectory, NothingChanges_TheSame) {
  Blocks blocks;
  const auto before = *edit_directory(
      std::nullopt, std::vector<EntryChange>{{.name = "a", .becomes = file("x", blocks)}},
      kAttributes, blocks, blocks);
  const auto after = edit_directory(before.cid, {}, kAttributes, blocks, blocks);
  ASSERT_TRUE(after);
  EXPECT_EQ(after->cid, before.cid);
  EXPECT_EQ(after->tsize, before.tsize);
  const auto other = edit_directory(before.cid, {}, {.mode = 0700}, blocks, blocks);
  ASSERT_TRUE(other);
  EXPECT_EQ(get_node(other->cid, blocks)->attributes.mode, 0700U);
}

TEST(EditDirectory, NoDirectory_Refused) {
  Blocks blocks;
  EXPECT_FALSE(edit_directory(file("x", blocks).cid, {}, {}, blocks, blocks));
  MemorySource source(as_bytes("x"));
  const auto node = *import_file(source, blocks, kAttributes);
  EXPECT_FALSE(edit_directory(node.cid, {}, {}, blocks, blocks));
}

/// However many changes at a time, small or sharded: what a directory of the same entries is.
TEST(EditDirectory, RandomChanges_SameAsImportedAnew) {
  std::mt19937 random(5);
  for (const std::size_t names : {20U, 6'000U}) {
    Blocks blocks;
    std::map<std::string, Link> model;
    std::optional<Cid> cid;
    std::set<NodeType> types;
    // It grows until it is sharded, where there are so many, and becomes small again.
    for (const unsigned set_percent : {100U, 90U, 60U, 30U, 5U, 5U, 100U}) {
      std::map<std::string, std::optional<Imported>> changed;
      for (std::size_t i = 0; i < names / 2; ++i) {
        const std::string name = std::to_string(random() % names) + std::string(60, 'n');
        if (random() % 100 < set_percent) {
          const Imported what = file(std::to_string(random() % 50), blocks);
          changed[name] = what;
          model[name] = {.name = name, .cid = what.cid, .tsize = what.tsize};
        } else {
          changed[name] = std::nullopt;
          model.erase(name);
        }
      }
      std::vector<EntryChange> changes;
      for (const auto& [name, becomes] : changed)
        changes.push_back({.name = name, .becomes = becomes});
      Blocks made = blocks;
      const auto edited = edit_directory(cid, changes, kAttributes, blocks, made);
      ASSERT_TRUE(edited) << edited.error().text();
      std::vector<Link> links;
      for (const auto& [name, link] : model) links.push_back(link);
      Blocks other = blocks;
      const auto anew = *import_directory(links, other, kAttributes);
      std::map<std::string, Cid> expected;
      for (const auto& [name, link] : model) expected.emplace(name, link.cid);
      EXPECT_EQ(entries(edited->cid, made), expected);
      const NodeType type = get_node(edited->cid, made)->type;
      types.insert(type);
      // It stays sharded for a while when it becomes small: as when it is edited entry by entry.
      if (type == get_node(anew.cid, other)->type) {
        EXPECT_EQ(edited->cid, anew.cid);
        EXPECT_EQ(edited->tsize, anew.tsize);
        // Nothing is stored that is superseded at once.
        for (const auto& [one, block] : made.blocks)
          EXPECT_TRUE(blocks.blocks.contains(one) || other.blocks.contains(one));
      }
      blocks = made;
      cid = edited->cid;
    }
    EXPECT_EQ(types.size(), names > 1'000 ? 2U : 1U);
  }
}

}  // namespace
}  // namespace rosebud::fs
