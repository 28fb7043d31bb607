#include "fs/diff.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <set>

#include "base/random.h"
#include "fs/shard.h"
#include "fs/test_blocks.h"

namespace rosebud::fs {
namespace {

using What = TreeDifference::What;
using Lines = std::vector<std::string>;

Imported file_of(Blocks& blocks, std::string_view text,
                 const Attributes& attributes = {.mode = 0644}) {
  MemorySource source(as_bytes(text));
  return *import_file(source, blocks, attributes);
}

Link link_to(std::string name, const Imported& to) {
  return {.name = std::move(name), .cid = to.cid, .tsize = to.tsize};
}

Imported directory_of(Blocks& blocks, const std::vector<Link>& links, std::uint32_t mode = 0755) {
  return *import_directory(links, blocks, {.mode = mode});
}

std::string line_of(const TreeDifference& difference) {
  constexpr const char* kLetters[] = {"+", "-", "M", "U"};
  return kLetters[static_cast<std::size_t>(difference.what)] + std::string(" ") + difference.path;
}

Lines lines_of(const Imported& before, const Imported& after, BlockSource& source,
               const DiffOptions& options = {}) {
  Lines out;
  const auto done = diff_trees(
      link_to("", before), link_to("", after), source,
      [&](const TreeDifference& difference) -> Status<Explained> {
        const bool is_added = difference.what == What::kAdded;
        const bool is_removed = difference.what == What::kRemoved;
        EXPECT_EQ(difference.before.has_value(), !is_added);
        EXPECT_EQ(difference.after.has_value(), !is_removed);
        out.push_back(line_of(difference));
        return {};
      },
      options);
  if (!done) out.push_back("error: " + done.error().what);
  return out;
}

/// Says what was asked for.
class Asked final : public BlockSource {
 public:
  explicit Asked(Blocks& blocks) : blocks_(blocks) {}
  Result<Buffer, Explained> get(const Cid& cid) override {
    cids.insert(cid);
    return blocks_.get(cid);
  }
  void prefetch(std::span<const Cid> soon) override { prefetched.insert(soon.begin(), soon.end()); }
  std::set<Cid> cids;
  std::set<Cid> prefetched;

 private:
  Blocks& blocks_;
};

TEST(Diff, WhatIsAddedRemovedAndChanged_InTheOrderOfNames) {
  Blocks blocks;
  const auto one = file_of(blocks, "one");
  const auto two = file_of(blocks, "two");
  const auto inner = directory_of(blocks, {link_to("x", one), link_to("y", two)});
  const auto changed = directory_of(blocks, {link_to("x", two), link_to("y", two)});
  const auto before =
      directory_of(blocks, {link_to("a", one), link_to("b", inner), link_to("c", inner)});
  const auto after =
      directory_of(blocks, {link_to("b", changed), link_to("c", inner), link_to("d", inner)});
  EXPECT_EQ(lines_of(before, after, blocks), (Lines{"- a", "M b/x", "+ d", "+ d/x", "+ d/y"}));
  EXPECT_EQ(lines_of(after, before, blocks), (Lines{"+ a", "M b/x", "- d", "- d/x", "- d/y"}));
  EXPECT_EQ(lines_of(before, before, blocks), Lines{});
}

TEST(Diff, ModesAndTimesAreToldApartFromContent) {
  Blocks blocks;
  const auto link = [&](std::string_view target) { return *import_symlink(target, blocks, {}); };
  const auto tree = [&](std::uint32_t mode, std::int64_t time, std::string_view target) {
    const Attributes attributes{.mode = mode, .modified = ModificationTime{.seconds = time}};
    const auto inside =
        *import_directory({link_to("f", file_of(blocks, "f", attributes))}, blocks, attributes);
    return directory_of(blocks, {link_to("d", inside), link_to("l", link(target))});
  };
  const auto before = tree(0700, 1, "here");
  EXPECT_EQ(lines_of(before, tree(0700, 2, "here"), blocks), Lines{"U d/f"})
      << "times of directories differ whenever anything in them does";
  EXPECT_EQ(lines_of(before, tree(0750, 1, "here"), blocks), (Lines{"U d", "U d/f"}));
  EXPECT_EQ(lines_of(before, tree(0700, 1, "there"), blocks), Lines{"M l"});
}

TEST(Diff, AnotherKindIsRemovedAndAdded) {
  Blocks blocks;
  const auto file = file_of(blocks, "one");
  const auto before = directory_of(blocks, {link_to("a", file)});
  const auto after =
      directory_of(blocks, {link_to("a", directory_of(blocks, {link_to("x", file)}))});
  EXPECT_EQ(lines_of(before, after, blocks), (Lines{"- a", "+ a", "+ a/x"}));
  EXPECT_EQ(lines_of(after, before, blocks), (Lines{"- a", "- a/x", "+ a"}));
}

TEST(Diff, TopsMayBeFilesOrNotThere) {
  Blocks blocks;
  EXPECT_EQ(lines_of(file_of(blocks, "one"), file_of(blocks, "two"), blocks), Lines{"M "});
  EXPECT_EQ(lines_of(file_of(blocks, "one"), directory_of(blocks, {}), blocks),
            (Lines{"- ", "+ "}));
  Lines told;
  EXPECT_TRUE(diff_trees(std::nullopt, link_to("", file_of(blocks, "one")), blocks,
                         [&](const TreeDifference& difference) -> Status<Explained> {
                           told.push_back(line_of(difference));
                           return {};
                         }));
  EXPECT_EQ(told, Lines{"+ "});
}

TEST(Diff, RawBlocksAreNotAskedFor) {
  Blocks blocks;
  const auto raw = [&](std::string_view text) { return file_of(blocks, text, {}); };
  const auto before = directory_of(blocks, {link_to("a", raw("one")), link_to("b", raw("two"))});
  const auto after = directory_of(blocks, {link_to("b", raw("three")), link_to("c", raw("one"))});
  Asked asked(blocks);
  EXPECT_EQ(lines_of(before, after, asked), (Lines{"- a", "M b", "+ c"}));
  EXPECT_EQ(asked.cids, (std::set<Cid>{before.cid, after.cid}));
}

TEST(Diff, WhatIsEqualIsNotAskedFor) {
  Blocks blocks;
  const auto same = directory_of(blocks, {link_to("x", file_of(blocks, "same"))});
  const auto before =
      directory_of(blocks, {link_to("f", file_of(blocks, "1")), link_to("s", same)});
  const auto after = directory_of(blocks, {link_to("f", file_of(blocks, "2")), link_to("s", same)});
  Asked asked(blocks);
  EXPECT_EQ(lines_of(before, after, asked), Lines{"M f"});
  EXPECT_FALSE(asked.cids.contains(same.cid));
  EXPECT_FALSE(asked.prefetched.contains(same.cid));
  for (const Cid& cid : asked.prefetched) EXPECT_TRUE(asked.cids.contains(cid)) << "for nothing";
}

TEST(Diff, OfLargeDirectoriesTheShardsThatDifferAreAskedFor) {
  Blocks blocks;
  const auto one = file_of(blocks, "one");
  std::vector<Link> links;
  for (int i = 0; i < 20'000; ++i) links.push_back(link_to("name " + std::to_string(i), one));
  const auto before = *import_sharded(links, blocks, {.mode = 0755});
  links[7] = link_to(links[7].name, file_of(blocks, "two"));
  links.pop_back();
  const auto after = *import_sharded(links, blocks, {.mode = 0755});
  Asked asked(blocks);
  EXPECT_EQ(lines_of(before, after, asked), (Lines{"- name 19999", "M name 7"}));
  EXPECT_LE(asked.cids.size(), 14U) << "two ways of three shards on each side, and three files";
}

// ---- Against a dumb version ----

struct Thing {
  Kind kind = Kind::kFile;
  std::string content;
  std::uint32_t mode = 0644;
  bool is_sharded = false;
  std::map<std::string, Thing> below;
};

Imported build(const Thing& thing, Blocks& blocks) {
  if (thing.kind == Kind::kFile) return file_of(blocks, thing.content, {.mode = thing.mode});
  if (thing.kind == Kind::kSymlink)
    return *import_symlink(thing.content, blocks, {.mode = thing.mode});
  std::vector<Link> links;
  for (const auto& [name, one] : thing.below) links.push_back(link_to(name, build(one, blocks)));
  const Attributes attributes{.mode = thing.mode};
  return thing.is_sharded && !links.empty() ? *import_sharded(links, blocks, attributes)
                                            : *import_directory(links, blocks, attributes);
}

void list(const Thing& thing, const std::string& path, std::map<std::string, const Thing*>& out) {
  out[path] = &thing;
  for (const auto& [name, one] : thing.below)
    list(one, path.empty() ? name : path + "/" + name, out);
}

std::set<std::string> dumb(const Thing& before, const Thing& after) {
  std::map<std::string, const Thing*> a;
  std::map<std::string, const Thing*> b;
  list(before, "", a);
  list(after, "", b);
  std::set<std::string> out;
  for (const auto& [path, thing] : a) {
    const auto other = b.find(path);
    if (other == b.end() || other->second->kind != thing->kind) {
      out.insert("- " + path);
    } else if (thing->content != other->second->content) {
      out.insert("M " + path);
    } else if (thing->mode != other->second->mode) {
      out.insert("U " + path);
    }
  }
  for (const auto& [path, thing] : b) {
    const auto other = a.find(path);
    if (other == a.end() || other->second->kind != thing->kind) out.insert("+ " + path);
  }
  return out;
}

constexpr std::size_t kDepth = 3;

Thing random_thing(Random& random, std::size_t depth) {
  Thing out;
  out.kind = depth > 0 && random.chance(1, 2) ? Kind::kDirectory
             : random.chance(1, 4)            ? Kind::kSymlink
                                              : Kind::kFile;
  out.mode = random.chance(1, 2) ? 0600 : 0640;
  if (out.kind != Kind::kDirectory) {
    out.content = std::to_string(random.below(3));
    return out;
  }
  out.is_sharded = random.chance(1, 2);
  // Of many entries now and then, but not of many that have many.
  const bool is_large = depth == kDepth && random.chance(1, 3);
  for (std::size_t i = random.below(is_large ? 300 : 6); i > 0; --i)
    out.below[std::to_string(random.below(400))] = random_thing(random, depth - 1);
  return out;
}

void change(Thing& thing, Random& random, std::size_t depth) {
  if (random.chance(1, 6)) thing.mode = 0640;
  if (thing.kind != Kind::kDirectory) {
    if (random.chance(1, 2)) thing = random_thing(random, depth);
    return;
  }
  if (random.chance(1, 4)) thing.is_sharded = !thing.is_sharded;
  std::erase_if(thing.below, [&](const auto&) { return random.chance(1, 20); });
  for (auto& [name, one] : thing.below) {
    if (random.chance(1, 5)) change(one, random, depth - 1);
  }
  if (random.chance(1, 2))
    thing.below[std::to_string(random.below(400))] = random_thing(random, depth - 1);
}

TEST(Diff, IsThatOfADumbVersion) {
  Random random(8);
  for (int round = 0; round < 60; ++round) {
    Thing before = random_thing(random, kDepth);
    before.kind = Kind::kDirectory;
    before.content.clear();
    Thing after = before;
    for (int i = 0; i < 3; ++i) change(after, random, kDepth);
    Blocks blocks;
    const auto lines = lines_of(build(before, blocks), build(after, blocks), blocks);
    const std::set<std::string> all(lines.begin(), lines.end());
    ASSERT_EQ(all, dumb(before, after)) << round;
    ASSERT_EQ(lines.size(), all.size()) << "told twice";
    // A directory is told before what is in it.
    std::set<std::string> seen;
    for (const std::string& line : lines) {
      seen.insert(line);
      const auto slash = line.rfind('/');
      if (slash == std::string::npos || line[0] == 'M' || line[0] == 'U') continue;
      const std::string above = line.substr(0, slash);
      const bool is_told = all.contains(above);
      ASSERT_TRUE(!is_told || seen.contains(above)) << line;
    }
  }
}

// ---- What others made ----

TEST(Diff, WhatIsMissingEndsIt) {
  Blocks blocks;
  const auto one = file_of(blocks, "one");
  const auto gone = directory_of(blocks, {link_to("x", one)});
  const auto before = directory_of(blocks, {});
  const auto after = directory_of(blocks, {link_to("a", one), link_to("b", gone)});
  blocks.blocks.erase(gone.cid);
  EXPECT_EQ(lines_of(before, after, blocks), (Lines{"+ a", "error: not here"}));
}

TEST(Diff, TreesThatUnfoldWithoutEndAreRefused) {
  Blocks blocks;
  auto before = directory_of(blocks, {});
  auto after = directory_of(blocks, {link_to("x", before)});
  for (int i = 0; i < 60; ++i) {
    before = directory_of(blocks, {link_to("l", before), link_to("r", before)});
    after = directory_of(blocks, {link_to("l", after), link_to("r", after)});
  }
  EXPECT_THAT(lines_of(before, after, blocks, {.entries_max = 1000}).back(),
              testing::HasSubstr("too many entries"));
  EXPECT_THAT(lines_of(directory_of(blocks, {}), after, blocks, {.entries_max = 1000}).back(),
              testing::HasSubstr("too many entries"));
}

TEST(Diff, TreesThatAreTooDeepAreRefused) {
  Blocks blocks;
  auto below = directory_of(blocks, {});
  for (std::size_t i = 0; i < kDepthMax; ++i) below = directory_of(blocks, {link_to("d", below)});
  const auto empty = directory_of(blocks, {});
  EXPECT_THAT(lines_of(empty, below, blocks).back(), testing::EndsWith("d/d"));
  below = directory_of(blocks, {link_to("d", below)});
  EXPECT_THAT(lines_of(empty, below, blocks).back(), testing::HasSubstr("nest too deeply"));
}

TEST(Diff, ShardsThatNobodyMakesAreRefused) {
  Blocks blocks;
  const auto one = file_of(blocks, "one");
  std::vector<Link> links;
  for (int i = 0; i < 1'000; ++i) links.push_back(link_to(std::to_string(i), one));
  const auto good = *import_sharded(links, blocks, {});
  const auto with = [&](const std::function<void(DagNode&)>& spoil) {
    auto node = *get_node(good.cid, blocks);
    spoil(node);
    const auto spoilt = *put_node(node, blocks);
    return lines_of(good, spoilt, blocks).back();
  };
  const auto empty = *put_node(
      {.type = NodeType::kShard, .hash_type = kShardHash, .fanout = kShardFanout}, blocks);
  EXPECT_THAT(with([](DagNode& node) { std::swap(node.links[0], node.links[1]); }),
              testing::HasSubstr("out of order"));
  EXPECT_THAT(with([](DagNode& node) { node.data[0] ^= 1; }), testing::HasSubstr("bit field"));
  EXPECT_THAT(with([](DagNode& node) { node.fanout = 16; }), testing::HasSubstr("nobody makes"));
  EXPECT_THAT(with([&](DagNode& node) { node.links[3].cid = empty.cid; }),
              testing::HasSubstr("holds nothing"));
  EXPECT_THAT(with([&](DagNode& node) { node.links[3].cid = good.cid; }),
              testing::HasSubstr("nobody looks for it"));
  EXPECT_THAT(with([&](DagNode& node) { node.links[3].cid = one.cid; }),
              testing::HasSubstr("no shard"));
}

}  // namespace
}  // namespace rosebud::fs
