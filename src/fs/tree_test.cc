#include "fs/tree.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "base/random.h"
#include "fs/test_blocks.h"

namespace rosebud::fs {
namespace {

constexpr Attributes kMode{.mode = 0755};

ModificationTime at(std::int64_t seconds) { return {.seconds = seconds}; }

TreePath path(std::string_view text) { return *parse_tree_path(text); }

/// A file whose content is a word.
Imported word(BlockSink& blocks, std::string_view text) {
  MemorySource source(as_bytes(text));
  return *import_file(source, blocks);
}

class TreeEdit : public testing::Test {
 protected:
  void put(const std::string& to, std::string_view text) {
    ASSERT_TRUE(tree.put(path(to), word(blocks, text), at(1))) << to;
  }
  std::set<std::string> names(const std::string& directory) {
    const auto link = tree.get(path(directory));
    EXPECT_TRUE(link.has_value());
    std::set<std::string> out;
    const auto listed = list_directory(link->cid, tree.blocks());
    EXPECT_TRUE(listed.has_value());
    for (const auto& entry : *listed) out.insert(entry.name);
    return out;
  }
  std::string why(const Status<Explained>& status) {
    return status ? "it was done" : status.error().text();
  }

  Blocks blocks;
  Tree tree = *Tree::empty(blocks, kMode);
};

using Names = std::set<std::string>;

TEST_F(TreeEdit, PutRemoveRename) {
  ASSERT_TRUE(tree.make_directory(path("a"), kMode, at(1)));
  put("a/x", "one");
  put("y", "two");
  EXPECT_EQ(names("/"), (Names{"a", "y"}));
  ASSERT_TRUE(tree.rename(path("y"), path("a/z"), at(2)));
  EXPECT_EQ(names("/"), (Names{"a"}));
  EXPECT_EQ(names("/a"), (Names{"x", "z"}));
  put("a/x", "other");
  EXPECT_EQ(tree.get(path("a/x"))->cid, word(blocks, "other").cid);
  ASSERT_TRUE(tree.remove(path("a/z"), Tree::Below::kMustBeEmpty, at(3)));
  EXPECT_EQ(names("/a"), (Names{"x"}));
  EXPECT_EQ(describe(tree.get(path("a"))->cid, tree.blocks())->attributes,
            (Attributes{.mode = 0755, .modified = at(3)}));
  // The directory above has not changed since the rename.
  EXPECT_EQ(describe(tree.root(), tree.blocks())->attributes.modified, at(2));
}

TEST_F(TreeEdit, WhatCannotBeIsSaidAndChangesNothing) {
  ASSERT_TRUE(tree.make_directory(path("d"), kMode, at(1)));
  put("d/f", "one");
  put("g", "two");
  const Cid before = tree.root();
  const auto now = at(9);
  EXPECT_NE(why(tree.put({}, word(blocks, "x"), now)).find("root itself"), std::string::npos);
  EXPECT_NE(why(tree.put(path("g/x"), word(blocks, "x"), now)).find("/g is not a directory"),
            std::string::npos);
  EXPECT_NE(why(tree.put(path("no/x"), word(blocks, "x"), now)).find("there is no /no"),
            std::string::npos);
  EXPECT_EQ(tree.put(path("no/x"), word(blocks, "x"), now).error().trouble, Trouble::kNotFound);
  EXPECT_NE(why(tree.make_directory(path("g"), kMode, now)).find("there already"),
            std::string::npos);
  EXPECT_NE(why(tree.remove(path("d"), Tree::Below::kMustBeEmpty, now)).find("not empty"),
            std::string::npos);
  EXPECT_NE(why(tree.remove(path("none"), Tree::Below::kGoesToo, now)).find("there is no /none"),
            std::string::npos);
  EXPECT_NE(why(tree.rename(path("d"), path("d/f/x"), now)).find("into itself"), std::string::npos);
  EXPECT_NE(why(tree.rename(path("d"), path("g"), now)).find("no directory"), std::string::npos);
  EXPECT_NE(why(tree.rename(path("g"), path("d"), now)).find("a directory"), std::string::npos);
  EXPECT_NE(why(tree.rename(path("g"), path("no/g"), now)).find("there is no /no"),
            std::string::npos);
  EXPECT_TRUE(tree.rename(path("g"), path("g"), now));
  EXPECT_EQ(tree.root(), before);
}

TEST(TreePath, Parsing) {
  EXPECT_EQ(path("/"), TreePath());
  EXPECT_EQ(path(""), TreePath());
  EXPECT_EQ(path("//a//b c/"), (TreePath{"a", "b c"}));
  EXPECT_EQ(text_of(path("a/b")), "/a/b");
  EXPECT_EQ(path(std::string(255, 'n')).size(), 1U);
  std::string deep;
  for (int i = 0; i < 10'000; ++i) deep += "/d";
  for (const std::string& wrong : {std::string("a/../b"), std::string("./a"),
                                   std::string("a\0b", 3), std::string(256, 'n'), deep}) {
    EXPECT_FALSE(parse_tree_path(wrong)) << wrong.substr(0, 300);
  }
}

TEST_F(TreeEdit, OnlyWhatTheRootReachesIsStored) {
  ASSERT_TRUE(tree.make_directory(path("a"), kMode, at(1)));
  ASSERT_TRUE(tree.make_directory(path("a/b"), kMode, at(2)));
  put("a/b/f", "one");
  put("a/b/f", "two");
  Blocks stored(true);
  stored.blocks = blocks.blocks;
  const std::size_t files = stored.blocks.size();
  ASSERT_TRUE(tree.store(stored));  // Blocks sees that children come first
  EXPECT_EQ(stored.blocks.size(), files + 3);
  Tree again(tree.root(), stored);
  ASSERT_TRUE(again.put(path("c"), word(stored, "one"), at(3)));
  Blocks more;
  more.blocks = stored.blocks;
  ASSERT_TRUE(again.store(more));
  EXPECT_EQ(more.blocks.size(), stored.blocks.size() + 1) << "more than the path was made anew";
}

TEST_F(TreeEdit, NamesAreCheckedWhoeverMadeThePath) {
  put("f", "one");
  const Cid before = tree.root();
  const Imported file = word(blocks, "x");
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string("x/y"),
        std::string("x\0y", 3), std::string(kNameMax + 1, 'n')}) {
    EXPECT_FALSE(check_name(name));
    EXPECT_FALSE(tree.check_put({name}));
    EXPECT_FALSE(tree.put({name}, file, at(1)));
    EXPECT_FALSE(tree.make_directory({name}, kMode, at(1)));
    EXPECT_FALSE(tree.rename({"f"}, {name}, at(1)));
  }
  EXPECT_EQ(tree.root(), before);
  const std::string no_utf8 = "\xff\xfe";
  EXPECT_TRUE(tree.put({no_utf8}, file, at(1)));
  EXPECT_TRUE(tree.put({std::string(kNameMax, 'n')}, file, at(1)));
  EXPECT_TRUE(*tree.find({no_utf8}));
}

TEST_F(TreeEdit, WhatCannotBePutIsKnownBefore) {
  ASSERT_TRUE(tree.make_directory(path("d"), kMode, at(1)));
  put("f", "one");
  const Cid before = tree.root();
  for (const char* good : {"new", "f", "d", "d/new"}) EXPECT_TRUE(tree.check_put(path(good)));
  EXPECT_NE(why(tree.check_put({})).find("root itself"), std::string::npos);
  EXPECT_NE(why(tree.check_put(path("f/x"))).find("/f is not a directory"), std::string::npos);
  EXPECT_NE(why(tree.check_put(path("no/x"))).find("there is no /no"), std::string::npos);
  EXPECT_NE(why(tree.check_put(TreePath(kDepthMax + 1, "d"))).find("deeper"), std::string::npos);
  EXPECT_EQ(tree.root(), before);
}

/// Bytes of the blocks from there on, shared ones counted each time.
std::uint64_t bytes_below(const Cid& cid, BlockSource& source) {
  std::uint64_t out = source.get(cid)->size();
  if (cid.codec == Codec::kRaw) return out;
  const auto node = get_node(cid, source);
  for (const Link& link : node->links) out += bytes_below(link.cid, source);
  return out;
}

TEST_F(TreeEdit, SizesBelowAreRightAtEveryMoment) {
  const auto expect_right = [&](Tree& of) {
    for (const char* where : {"/", "/a", "/a/b", "/copy"}) {
      const auto link = *of.find(path(where));
      if (link) {
        EXPECT_EQ(link->tsize, bytes_below(link->cid, of.blocks())) << where;
      }
    }
  };
  expect_right(tree);
  ASSERT_TRUE(tree.make_directory(path("a"), kMode, at(1)));
  ASSERT_TRUE(tree.make_directory(path("a/b"), kMode, at(2)));
  put("a/b/f", "some text");
  put("a/g", "other");
  expect_right(tree);
  ASSERT_TRUE(tree.rename(path("a/g"), path("a/b/g"), at(3)));
  ASSERT_TRUE(tree.remove(path("a/b/f"), Tree::Below::kMustBeEmpty, at(4)));
  expect_right(tree);
  ASSERT_TRUE(tree.store(blocks));
  // As it was published: nobody says how large the root is.
  Tree again(tree.root(), blocks);
  expect_right(again);
  const Link whole = *again.get({});
  ASSERT_TRUE(again.put(path("copy"), {.cid = whole.cid, .tsize = whole.tsize}, at(5)));
  expect_right(again);
}

// ---- What it costs ----

/// Counts what is asked for and what is given.
class Counted final : public BlockSource, public BlockSink {
 public:
  explicit Counted(Blocks& blocks) : blocks_(blocks) {}
  Result<Buffer, Explained> get(const Cid& cid) override {
    ++asked[cid];
    return blocks_.get(cid);
  }
  void prefetch(std::span<const Cid> cids) override {
    prefetched.insert(prefetched.end(), cids.begin(), cids.end());
  }
  Status<Explained> put(const Cid& cid, Buffer block) override {
    ++written;
    return blocks_.put(cid, std::move(block));
  }
  std::map<Cid, int> asked;
  std::vector<Cid> prefetched;
  std::size_t written = 0;

 private:
  Blocks& blocks_;
};

/// So many directories below each other, each with entries that fill a block to a quarter of a
/// mebibyte when `is_wide`. The way to the deepest.
TreePath make_deep(Tree& tree, Blocks& blocks, std::size_t depth, bool is_wide) {
  std::vector<Link> entries;
  for (int i = 0; is_wide && i < 900; ++i) {
    entries.push_back(
        {.name = std::to_string(1000 + i) + std::string(230, 'x'), .cid = word(blocks, "x").cid});
  }
  Imported below = *import_directory(entries, blocks);
  TreePath way;
  for (std::size_t i = 0; i < depth; ++i) {
    auto links = entries;
    links.push_back({.name = "d", .cid = below.cid, .tsize = below.tsize});
    below = *import_directory(std::move(links), blocks);
    way.emplace_back("d");
  }
  tree = Tree(below.cid, blocks);
  return way;
}

TEST_F(TreeEdit, ASmallChangeFarBelowWritesTheDirectoriesOnItsWayOnly) {
  constexpr std::size_t kDepth = 40;
  TreePath way = make_deep(tree, blocks, kDepth, false);
  Counted counted(blocks);
  Tree edited(tree.root(), counted);
  way.emplace_back("file");
  ASSERT_TRUE(edited.put(way, word(blocks, "text"), at(1)));
  ASSERT_TRUE(edited.put(way, word(blocks, "other text"), at(2)));
  ASSERT_TRUE(edited.store(counted));
  EXPECT_EQ(counted.written, kDepth + 1);
  EXPECT_EQ(counted.asked.size(), kDepth + 1);
  for (const auto& [cid, times] : counted.asked) EXPECT_EQ(times, 1);
}

TEST_F(TreeEdit, AChangeAsksForEachBlockOnce) {
  // More than the tree keeps of what it has read.
  const TreePath way = make_deep(tree, blocks, 160, true);
  const auto below = [&](const std::string& name) {
    TreePath out = way;
    out.push_back(name);
    return out;
  };
  const Imported file = word(blocks, "text");
  using Change = std::function<Status<Explained>(Tree&)>;
  for (const Change& change : {
           Change([&](Tree& it) { return it.put(below("new"), file, at(1)); }),
           Change([&](Tree& it) { return it.make_directory(below("new"), kMode, at(1)); }),
           Change([&](Tree& it) {
             return it.remove(below("1007" + std::string(230, 'x')), Tree::Below::kGoesToo, at(1));
           }),
       }) {
    Counted counted(blocks);
    Tree edited(tree.root(), counted);
    ASSERT_TRUE(change(edited));
    EXPECT_EQ(counted.asked.size(), way.size() + 1);
    for (const auto& [cid, times] : counted.asked) ASSERT_EQ(times, 1);
  }
}

TEST_F(TreeEdit, WhatWasReadIsNotFetchedAhead) {
  make_deep(tree, blocks, 2, false);
  Counted counted(blocks);
  Tree read(tree.root(), counted);
  ASSERT_TRUE(read.find(path("d/d")));
  ASSERT_EQ(counted.asked.size(), 2U);
  const Cid unread = read.get(path("d/d"))->cid;
  const std::vector<Cid> soon{tree.root(), unread};
  read.blocks().prefetch(soon);
  EXPECT_EQ(counted.prefetched, std::vector{unread});
}

TEST_F(TreeEdit, WhatIsSupersededTakesNoMemory) {
  // Each put makes nodes that the next one supersedes: many times the bound in all.
  constexpr std::size_t kBound = 8U << 20;
  Tree small = *Tree::empty(blocks, kMode, kBound);
  ASSERT_TRUE(small.make_directory(path("d"), kMode, at(1)));
  const Imported file = word(blocks, "x");
  const auto name = [](int i) { return std::to_string(i) + std::string(200, 'n'); };
  for (int i = 0; i < 10'000; ++i) ASSERT_TRUE(small.put({"d", name(i)}, file, at(i))) << i;
  for (int i = 0; i < 10'000; i += 7) ASSERT_TRUE(small.find({"d", name(i)})->has_value()) << i;
  Blocks stored;
  stored.blocks = blocks.blocks;
  ASSERT_TRUE(small.store(stored));
  EXPECT_EQ(list_directory(Tree(small.root(), stored).get(path("d"))->cid, stored)->size(),
            10'000U);
}

TEST_F(TreeEdit, MoreThanTheBoundIsRefusedAndLeavesTheTree) {
  constexpr std::size_t kBound = 1U << 20;
  Tree small = *Tree::empty(blocks, kMode, kBound);
  const Imported file = word(blocks, "x");
  Status<Explained> done;
  std::size_t put = 0;
  for (; put < 100'000; ++put) {
    done = small.put({std::to_string(put) + std::string(200, 'n')}, file, at(1));
    if (!done) break;
  }
  ASSERT_FALSE(done);
  EXPECT_NE(why(done).find("more than 1 MiB"), std::string::npos);
  EXPECT_GT(put, 1000U) << "what is superseded was counted";
  EXPECT_EQ(list_directory(small.root(), small.blocks())->size(), put);
  ASSERT_TRUE(small.store(blocks));
}

TEST_F(TreeEdit, DepthIsBounded) {
  TreePath at_depth;
  for (std::size_t i = 0; i < kDepthMax; ++i) {
    at_depth.push_back("d");
    ASSERT_TRUE(tree.make_directory(at_depth, kMode, at(1)));
  }
  at_depth.push_back("d");
  EXPECT_NE(why(tree.make_directory(at_depth, kMode, at(1))).find("deeper than 256"),
            std::string::npos);
}

// ---- Against a model ----

/// What a directory or file is, in the dumbest way.
struct Thing {
  bool is_directory = false;
  Imported file;              // of a file
  std::int64_t modified = 0;  // of a directory
};

class Model {
 public:
  std::map<TreePath, Thing> things{{{}, {.is_directory = true}}};

  bool is_directory(const TreePath& at) const {
    const auto found = things.find(at);
    return found != things.end() && found->second.is_directory;
  }
  bool has_children(const TreePath& at) const {
    const auto next = things.upper_bound(at);
    return next != things.end() && is_below(next->first, at);
  }
  static TreePath parent(TreePath at) {
    at.pop_back();
    return at;
  }
  static bool is_below(const TreePath& one, const TreePath& above) {
    return one.size() > above.size() && std::equal(above.begin(), above.end(), one.begin());
  }
  void erase(const TreePath& at) {
    std::erase_if(things,
                  [&](const auto& one) { return one.first == at || is_below(one.first, at); });
  }
  bool put(const TreePath& at, Thing what, std::int64_t now) {
    if (!is_directory(parent(at))) return false;
    erase(at);
    things[at] = what;
    things[parent(at)].modified = now;
    return true;
  }
  bool make_directory(const TreePath& at, std::int64_t now) {
    if (things.contains(at)) return false;
    return put(at, {.is_directory = true}, now);
  }
  bool remove(const TreePath& at, bool must_be_empty, std::int64_t now) {
    if (!things.contains(at) || (must_be_empty && has_children(at))) return false;
    erase(at);
    things[parent(at)].modified = now;
    return true;
  }
  bool rename(const TreePath& from, const TreePath& to, std::int64_t now) {
    if (!things.contains(from)) return false;
    if (from == to) return true;
    if (is_below(to, from) || !is_directory(parent(to))) return false;
    if (things.contains(to) &&
        (is_directory(to) != is_directory(from) || (is_directory(to) && has_children(to))))
      return false;
    std::map<TreePath, Thing> moved;
    for (const auto& [at, thing] : things) {
      if (at != from && !is_below(at, from)) continue;
      TreePath there = to;
      there.insert(there.end(), at.begin() + static_cast<std::ptrdiff_t>(from.size()), at.end());
      moved[there] = thing;
    }
    erase(to);
    erase(from);
    things.insert(moved.begin(), moved.end());
    things[parent(from)].modified = now;
    things[parent(to)].modified = now;
    return true;
  }
};

/// The id that the directory must have: of the same entries, imported from scratch. Whether it is
/// sharded is looked up, since one that became small may go on being so.
Imported expected(const Model& model, const TreePath& at, Tree& tree) {
  std::vector<Link> links;
  for (auto next = model.things.upper_bound(at);
       next != model.things.end() && Model::is_below(next->first, at); ++next) {
    if (next->first.size() != at.size() + 1) continue;
    const Imported below =
        next->second.is_directory ? expected(model, next->first, tree) : next->second.file;
    links.push_back({.name = next->first.back(), .cid = below.cid, .tsize = below.tsize});
  }
  const Thing& own = model.things.at(at);
  Attributes attributes = kMode;
  if (own.modified > 0) attributes.modified = ModificationTime{.seconds = own.modified};
  Blocks scratch(false);
  const auto link = tree.get(at);
  const auto node = get_node(link->cid, tree.blocks());
  EXPECT_TRUE(node.has_value());
  return node->type == NodeType::kShard ? *import_sharded(std::move(links), scratch, attributes)
                                        : *import_directory(std::move(links), scratch, attributes);
}

/// Random operations; many of them cannot be done, and then both must say so.
void compare_with_model(std::uint64_t seed, const std::vector<std::string>& names,
                        std::size_t depth_max, int steps, int look_every) {
  Random random(seed);
  Blocks blocks(false);
  Tree tree = *Tree::empty(blocks, kMode);
  Model model;
  const auto any_path = [&] {
    TreePath out;
    for (std::size_t n = 1 + random.below(depth_max); n > 0; --n)
      out.push_back(names[random.below(names.size())]);
    return out;
  };
  for (int step = 1; step <= steps; ++step) {
    const TreePath one = any_path();
    const auto now = at(step);
    bool is_done = false;
    bool is_done_in_model = false;
    switch (random.below(8)) {
      case 0:
        is_done = tree.make_directory(one, kMode, now).has_value();
        is_done_in_model = model.make_directory(one, step);
        break;
      case 1: {
        const bool must_be_empty = random.chance(3, 4);
        is_done = tree.remove(one, Tree::Below(!must_be_empty), now).has_value();
        is_done_in_model = model.remove(one, must_be_empty, step);
        break;
      }
      case 2: {
        const TreePath other = any_path();
        is_done = tree.rename(one, other, now).has_value();
        is_done_in_model = model.rename(one, other, step);
        break;
      }
      default: {
        const Imported file = word(blocks, std::to_string(step));
        is_done = tree.put(one, file, now).has_value();
        is_done_in_model = model.put(one, {.file = file}, step);
      }
    }
    ASSERT_EQ(is_done, is_done_in_model) << "seed " << seed << " step " << step;
    if (step % look_every == 0) {
      ASSERT_EQ(tree.root(), expected(model, {}, tree).cid) << "seed " << seed << " step " << step;
    }
  }
}

TEST(TreeModel, SmallDirectories) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed)
    compare_with_model(seed, {"a", "b", "c", "d"}, 4, 300, 5);
}

TEST(TreeModel, ShardedDirectoriesThatGrowAndShrink) {
  // 850 such names fill a block.
  Random random(1);
  Blocks blocks(false);
  Tree tree = *Tree::empty(blocks, kMode);
  Model model;
  std::vector<TreePath> there;
  const auto is_sharded = [&] {
    return get_node(tree.root(), tree.blocks())->type == NodeType::kShard;
  };
  int step = 0;
  const auto run = [&](std::size_t until, std::uint64_t puts_of_ten) {
    while (there.size() != until) {
      ++step;
      if (there.empty() || random.below(10) < puts_of_ten) {
        const TreePath one{"name " + std::to_string(step) + std::string(230, 'x')};
        const Imported file = word(blocks, std::to_string(step));
        ASSERT_TRUE(tree.put(one, file, at(step)));
        model.put(one, {.file = file}, step);
        there.push_back(one);
      } else {
        std::swap(there[random.below(there.size())], there.back());
        ASSERT_TRUE(tree.remove(there.back(), Tree::Below::kMustBeEmpty, at(step)));
        model.remove(there.back(), true, step);
        there.pop_back();
      }
      if (step % 97 == 0) {
        ASSERT_EQ(tree.root(), expected(model, {}, tree).cid) << step;
      }
    }
    ASSERT_EQ(tree.root(), expected(model, {}, tree).cid) << step;
  };
  run(700, 9);
  EXPECT_FALSE(is_sharded());
  run(1200, 8);
  EXPECT_TRUE(is_sharded());
  for (const TreePath& one : there) ASSERT_TRUE(*tree.find(one));
  EXPECT_FALSE(*tree.find({"none"}));
  EXPECT_FALSE(tree.remove({"none"}, Tree::Below::kMustBeEmpty, at(1)));
  run(3, 1);
  EXPECT_FALSE(is_sharded());
}

TEST(TreeModel, ShardsPageByPage) {
  Blocks blocks;
  const Cid file = import_symlink("elsewhere", blocks)->cid;
  std::vector<Link> links;
  for (unsigned i = 0; i < 2'000; ++i)
    links.push_back({.name = "entry " + std::to_string(i), .cid = file, .tsize = i});
  const Cid root = import_sharded(links, blocks, {})->cid;
  const DagNode top = *get_node(root, blocks);
  for (const std::size_t page : {1U, 7U, 500U, 5'000U}) {
    std::map<std::string, std::uint64_t> listed;
    std::uint64_t from = 0;
    while (true) {
      const auto entries = list_sharded(top, root, from, page, blocks);
      ASSERT_TRUE(entries) << entries.error().text();
      for (const HashedEntry& entry : *entries) {
        EXPECT_GE(entry.hash, from);
        from = entry.hash + 1;
        EXPECT_TRUE(listed.emplace(entry.link.name, entry.link.tsize).second);
      }
      if (entries->size() < page) break;
    }
    ASSERT_EQ(listed.size(), links.size());
    for (const Link& link : links) EXPECT_EQ(listed.at(link.name), link.tsize);
  }
}

TEST(TreeModel, ShardsOfNamesThatCollide) {
  // Few names below one sharded directory, chosen so that their first slots are equal: shards are
  // made, emptied and drawn together again all the time.
  std::vector<std::string> names;
  for (int i = 0; names.size() < 12; ++i) {
    const std::string name = std::to_string(i);
    if (shard_slots(name)[0] == 7) names.push_back(name);
  }
  Random random(2);
  Blocks blocks(false);
  const Imported file = word(blocks, "x");
  std::map<std::string, Link> there;
  for (const auto& name : names) there[name] = {.name = name, .cid = file.cid, .tsize = file.tsize};
  const auto scratch = [&] {
    std::vector<Link> links;
    for (const auto& [name, link] : there) links.push_back(link);
    return import_sharded(links, blocks, {})->cid;
  };
  Cid root = scratch();
  for (int step = 0; step < 2'000; ++step) {
    const std::string& name = names[random.below(names.size())];
    const auto node = *get_node(root, blocks);
    const auto found = find_sharded(node, root, name, blocks);
    ASSERT_EQ(found->has_value(), there.contains(name));
    const bool goes = there.contains(name) && there.size() > 2;
    const EntryChange change{name, goes ? std::nullopt : std::optional(file)};
    root = put_node(*edit_sharded(node, root, change, blocks, blocks), blocks)->cid;
    if (goes) {
      there.erase(name);
    } else {
      there[name] = {.name = name, .cid = file.cid, .tsize = file.tsize};
    }
    ASSERT_EQ(root, scratch()) << step;
  }
}

// ---- What careless or hostile hands made ----

class HostileTree : public testing::Test {
 protected:
  Cid store(const DagNode& node) { return put_node(node, blocks)->cid; }
  Link link(const std::string& name) { return {.name = name, .cid = file.cid, .tsize = 1}; }
  /// Everything that may be done with a tree of that root ends with an error of integrity.
  void expect_unsound(const Cid& root, const std::string& words) {
    Tree tree(root, blocks);
    const auto one = path("a");
    const bool is_root = words == "no directory";
    EXPECT_EQ(tree.check_root().has_value(), !is_root && words != "no UnixFS node") << words;
    for (const Status<Explained>& done :
         {tree.put(one, file, at(1)), tree.make_directory(one, {}, at(1)),
          tree.remove(one, Tree::Below::kGoesToo, at(1)), tree.rename(one, path("b"), at(1))}) {
      ASSERT_FALSE(done);
      EXPECT_NE(done.error().text().find(words), std::string::npos) << done.error().text();
      EXPECT_EQ(done.error().trouble, Trouble::kIntegrity);
    }
    EXPECT_EQ(tree.root(), root);
  }
  DagNode shard(std::vector<Link> links, Bytes bits) {
    return {.type = NodeType::kShard,
            .links = std::move(links),
            .data = std::move(bits),
            .hash_type = kShardHash,
            .fanout = kShardFanout};
  }

  Blocks blocks{false};
  Imported file = word(blocks, "file");
};

TEST_F(HostileTree, ARootThatIsNoDirectory) {
  expect_unsound(file.cid, "no directory");
  expect_unsound(store({.type = NodeType::kFile, .filesize = 0}), "no directory");
  expect_unsound(import_symlink("/etc", blocks)->cid, "no directory");
  const Bytes garbage = {1, 2, 3};
  const Cid cid = Cid::of(Codec::kDagPb, garbage);
  blocks.blocks[cid] = Buffer(Bytes(garbage));
  expect_unsound(cid, "no UnixFS node");
}

TEST_F(HostileTree, EntriesThatCannotBe) {
  for (const std::string& name : {std::string(), std::string("."), std::string(".."),
                                  std::string("x/y"), std::string("x\0y", 3)}) {
    expect_unsound(store({.type = NodeType::kDirectory, .links = {link(name)}}),
                   "name that is none");
  }
  expect_unsound(store({.type = NodeType::kDirectory, .links = {link("a"), link("a")}}), "twice");
  expect_unsound(store({.type = NodeType::kDirectory, .links = {link("b"), link("a")}}),
                 "out of order");
}

TEST_F(HostileTree, ShardsThatCannotBe) {
  const auto slots = shard_slots("a");
  const auto digits = [](unsigned slot) {
    constexpr char kDigits[] = "0123456789ABCDEF";
    return std::string{kDigits[slot / 16 % 16], kDigits[slot % 16]};
  };
  const std::string own = digits(slots[0]);
  const auto bits_of = [](unsigned slot) {
    Bytes out(slot / 8 + 1);
    out.front() = static_cast<std::uint8_t>(1U << (slot % 8));
    return out;
  };
  expect_unsound(store(shard({link("x")}, {})), "slots");
  expect_unsound(store(shard({link("zz")}, {})), "slots");
  expect_unsound(store(shard({link(own + "a"), link(own + "b")}, bits_of(slots[0]))), "slots");
  expect_unsound(store(shard({link(digits(slots[0] + 1U) + "a")}, bits_of(slots[0] + 1U))),
                 "nobody looks");
  expect_unsound(store(shard({link(own + "a")}, {1, 2, 3})), "bit field");
  expect_unsound(store(shard({link(own + "a/b")}, bits_of(slots[0]))), "name that is none");
  DagNode other = shard({}, {});
  other.fanout = 16;
  expect_unsound(store(other), "kind that nobody makes");
  // A shard that leads to a plain directory, to a file, and deeper than hashes go.
  for (const Cid& wrong :
       {store({.type = NodeType::kDirectory}), store({.type = NodeType::kFile, .filesize = 0})}) {
    expect_unsound(store(shard({{.name = own, .cid = wrong}}, bits_of(slots[0]))), "no shard");
  }
  // Below the shard that "a" is looked for in, a name of another one.
  ASSERT_NE(shard_slots("b")[0], slots[0]);
  const auto other_slot = shard_slots("b")[1];
  const Cid below = store(shard({link(digits(other_slot) + "b")}, bits_of(other_slot)));
  expect_unsound(store(shard({{.name = own, .cid = below}}, bits_of(slots[0]))), "nobody looks");
  Cid deep = store(shard({}, {}));
  for (std::size_t level = kShardLevels; level-- > 0;)
    deep = store(shard({{.name = digits(slots[level]), .cid = deep}}, bits_of(slots[level])));
  expect_unsound(deep, "nest too deeply");
}

TEST_F(HostileTree, ShardsThatHoldNothingAreNotListedForEver) {
  constexpr std::string_view kHexadecimal = "0123456789ABCDEF";
  Cid below = store(shard({}, {}));
  for (std::size_t level = kShardLevels - 1; level > 0; --level) {
    std::vector<Link> links;
    for (const char high : kHexadecimal) {
      for (const char low : kHexadecimal) links.push_back({.name = {high, low}, .cid = below});
    }
    below = store(shard(links, Bytes(kShardFanout / 8, 0xff)));
  }
  const auto listed = list_sharded(*get_node(below, blocks), below, 0, 1, blocks);
  ASSERT_FALSE(listed);
  EXPECT_NE(listed.error().what.find("holds nothing"), std::string::npos);
}

TEST_F(HostileTree, AMissingBlockIsSaid) {
  const Cid missing = Cid::of(Codec::kDagPb, as_bytes("nobody has it"));
  Tree gone(missing, blocks);
  EXPECT_EQ(gone.put(path("a"), file, at(1)).error().what, "not here");
  Tree tree(store({.type = NodeType::kDirectory, .links = {{.name = "d", .cid = missing}}}),
            blocks);
  EXPECT_EQ(tree.put(path("d/a"), file, at(1)).error().what, "not here");
  EXPECT_TRUE(tree.put(path("e"), file, at(1)));  // what is not on the path is not asked for
  EXPECT_TRUE(tree.remove(path("d"), Tree::Below::kGoesToo, at(1)));
}

TEST_F(HostileTree, TenThousandLevels) {
  Cid root = store({.type = NodeType::kDirectory});
  for (int i = 0; i < 10'000; ++i)
    root = store({.type = NodeType::kDirectory, .links = {{.name = "d", .cid = root}}});
  Tree tree(root, blocks);
  EXPECT_TRUE(tree.put(path("d/d/new"), file, at(1)));
  EXPECT_TRUE(tree.find(TreePath(9'000, "d")));  // longer than any that is parsed: harmless
  EXPECT_FALSE(tree.put(TreePath(9'000, "d"), file, at(1)));
  EXPECT_TRUE(tree.store(blocks));
  EXPECT_TRUE(tree.remove(path("d"), Tree::Below::kGoesToo, at(1)));
}

}  // namespace
}  // namespace rosebud::fs
