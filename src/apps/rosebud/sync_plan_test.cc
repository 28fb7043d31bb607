#include "apps/rosebud/sync_plan.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace rosebud::apps {
namespace {

SyncEntry directory(std::int64_t time = 1, std::uint32_t mode = 0755) {
  return {.kind = SyncKind::kDirectory,
          .attributes = {.mode = mode, .modified = fs::ModificationTime{.seconds = time}}};
}
SyncEntry file(std::uint64_t bytes, std::int64_t time = 1, std::uint32_t mode = 0644) {
  return {.kind = SyncKind::kFile,
          .bytes = bytes,
          .attributes = {.mode = mode, .modified = fs::ModificationTime{.seconds = time}}};
}
SyncEntry symlink(std::string target, std::int64_t time = 1) {
  return {.kind = SyncKind::kSymlink,
          .target = std::move(target),
          .attributes = {.modified = fs::ModificationTime{.seconds = time}}};
}
SyncEntry special() { return {.kind = SyncKind::kSpecial}; }

using Actions = std::vector<SyncAction>;
using enum SyncStep;

TEST(SyncPlan, PathsAreInTheOrderOfAWalk) {
  const std::vector<std::string> walked = {"", "a", "a/b", "a/c", "a-b", "a.b", "ab", "a\xff"};
  const std::set<std::string, PathOrder> sorted(walked.begin(), walked.end());
  EXPECT_EQ(std::vector<std::string>(sorted.begin(), sorted.end()), walked);
  EXPECT_TRUE(is_below("a/b", "a"));
  EXPECT_TRUE(is_below("a", ""));
  EXPECT_FALSE(is_below("a-b", "a"));
  EXPECT_FALSE(is_below("a", "a"));
  EXPECT_EQ(folder_of("a/b/c"), "a/b");
  EXPECT_EQ(folder_of("a"), "");
}

TEST(SyncPlan, NoTarget_EverythingIsMadeFromAbove) {
  const Listing source{
      {"", directory()}, {"d", directory()}, {"d/f", file(3)}, {"l", symlink("d")}};
  const auto plan = plan_sync(source, {});
  EXPECT_EQ(
      plan->actions,
      (Actions{
          {kMakeDirectory, ""}, {kMakeDirectory, "d"}, {kPutFile, "d/f"}, {kPutSymlink, "l"}}));
  EXPECT_EQ(plan->bytes, 3U);
}

TEST(SyncPlan, EqualTrees_NothingIsDone) {
  const Listing tree{{"", directory()}, {"d", directory()}, {"d/f", file(3)}, {"l", symlink("d")}};
  const auto plan = plan_sync(tree, tree, {.may_delete = true});
  EXPECT_EQ(plan->actions, Actions{});
  EXPECT_EQ(plan->unchanged_count, 4U);
}

TEST(SyncPlan, FilesDifferInSizeOrTime_ArePut) {
  const Listing source{
      {"", directory()}, {"size", file(3)}, {"time", file(3, 2)}, {"mode", file(3)}};
  const Listing target{
      {"", directory(9)}, {"size", file(4)}, {"time", file(3, 1)}, {"mode", file(3, 1, 0600)}};
  EXPECT_EQ(
      plan_sync(source, target)->actions,
      (Actions{
          {kSetAttributes, "mode"}, {kPutFile, "size"}, {kPutFile, "time"}, {kSetAttributes, ""}}));
}

TEST(SyncPlan, TimesThatAreNotKept_SayNothing) {
  Listing source{{"", directory()}, {"f", file(3)}};
  Listing target = source;
  target.at("f").attributes = {};
  EXPECT_EQ(plan_sync(source, target)->actions, (Actions{{kPutFile, "f"}}));
  source.at("f").attributes = {};
  EXPECT_EQ(plan_sync(source, target)->actions, (Actions{{kPutFile, "f"}}));
}

TEST(SyncPlan, ContentIsCompared_TimesDoNotMatter) {
  const Listing source{{"", directory()},
                       {"changed", file(3)},
                       {"longer", file(4)},
                       {"same", file(3)},
                       {"touched", file(3, 2)}};
  const Listing target{{"", directory()},
                       {"changed", file(3)},
                       {"longer", file(3)},
                       {"same", file(3)},
                       {"touched", file(3)}};
  std::vector<std::string> asked;
  const SyncOptions options{.has_same_content = [&](const std::string& path, const SyncEntry&,
                                                    const SyncEntry&) -> Result<bool, Explained> {
    asked.push_back(path);
    return path != "changed";
  }};
  EXPECT_EQ(plan_sync(source, target, options)->actions,
            (Actions{{kPutFile, "changed"}, {kPutFile, "longer"}, {kSetAttributes, "touched"}}));
  EXPECT_EQ(asked, (std::vector<std::string>{"changed", "same", "touched"}));
  const SyncOptions failing{.has_same_content = [](const auto&...) -> Result<bool, Explained> {
    return fail(Explained{.what = "unreadable"});
  }};
  EXPECT_EQ(plan_sync(source, target, failing).error().what, "unreadable");
}

TEST(SyncPlan, Extras_StayOrGoAtTheEndFromBelow) {
  const Listing source{{"", directory(2)}, {"z", file(1)}};
  const Listing target{{"", directory()}, {"d", directory()}, {"d/f", file(1)}, {"s", special()}};
  const auto kept = plan_sync(source, target);
  EXPECT_EQ(kept->actions, (Actions{{kPutFile, "z"}, {kSetAttributes, ""}}));
  EXPECT_EQ(kept->extra_count, 3U);
  EXPECT_EQ(plan_sync(source, target, {.may_delete = true})->actions,
            (Actions{{kPutFile, "z"},
                     {kRemove, "s"},
                     {kRemove, "d/f"},
                     {kRemove, "d"},
                     {kSetAttributes, ""}}));
}

TEST(SyncPlan, AnotherSort_StaysInTheWayOrIsReplaced) {
  const Listing source{
      {"", directory()}, {"x", directory()}, {"x/f", file(1)}, {"y", file(1)}, {"z", file(1)}};
  const Listing target{{"", directory()},
                       {"x", symlink("/etc")},
                       {"y", directory()},
                       {"y/old", file(1)},
                       {"z", special()}};
  const auto kept = plan_sync(source, target);
  EXPECT_EQ(kept->actions, Actions{});
  EXPECT_EQ(kept->in_the_way, (std::vector<std::string>{"x", "y", "z"}));
  EXPECT_EQ(kept->extra_count, 0U);
  EXPECT_EQ(plan_sync(source, target, {.may_delete = true})->actions,
            (Actions{{kRemove, "x"},
                     {kMakeDirectory, "x"},
                     {kPutFile, "x/f"},
                     {kRemove, "y/old"},
                     {kRemove, "y"},
                     {kPutFile, "y"},
                     {kRemove, "z"},
                     {kPutFile, "z"}}));
}

TEST(SyncPlan, SpecialFilesOfTheSource_ArePassedOver) {
  const Listing source{{"", directory()}, {"p", special()}, {"q", special()}};
  const Listing target{{"", directory()}, {"p", directory()}, {"p/f", file(1)}};
  EXPECT_EQ(plan_sync(source, target, {.may_delete = true})->actions, Actions{});
}

TEST(SyncPlan, ListingsAreBounded) {
  ListingBuilder builder(1000);
  EXPECT_TRUE(builder.add("", directory()));
  EXPECT_TRUE(builder.add("f", file(1)));
  EXPECT_FALSE(builder.add("l", symlink(std::string(900, 'x'))));
  EXPECT_EQ(builder.take().size(), 2U);
}

// ---- Random trees, against a version that knows no order ----

class Trees {
 public:
  explicit Trees(unsigned seed) : random_(seed) {}

  std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(random_()) % bound; }

  /// Of few names, times and sizes: two trees have much in common.
  Listing tree() {
    Listing out{{"", directory(below(2))}};
    for (int i = 0; i < 12; ++i) {
      std::string path;
      do {
        const char name[] = {"ab-."[below(2) + 2 * below(2)], '\0'};
        path += (path.empty() ? "n" : "/n") + std::string(name);
        const auto [at, is_new] = out.emplace(path, entry());
        if (at->second.kind != SyncKind::kDirectory) break;
      } while (below(4) != 0);
    }
    return out;
  }

 private:
  SyncEntry entry() {
    const std::uint32_t mode = below(4) == 0 ? 0700 : 0755;
    switch (below(8)) {
      case 0:
        return symlink(below(2) == 0 ? "x" : "y", below(2));
      case 1:
        return special();
      case 2:
      case 3:
      case 4:
        return file(below(2), below(2), mode);
      default:
        return directory(below(2), mode);
    }
  }

  std::mt19937 random_;
};

/// What has to come out, entry by entry.
Listing dumb_sync(const Listing& source, const Listing& target, bool may_delete) {
  const auto find = [](const Listing& in, const std::string& path) -> const SyncEntry* {
    const auto at = in.find(path);
    return at == in.end() ? nullptr : &at->second;
  };
  /// The source's kinds must be able to stand at it and above it; and nothing special above.
  const auto is_free = [&](std::string path) {
    while (true) {
      const SyncEntry* from = find(source, path);
      const SyncEntry* to = find(target, path);
      if (from && from->kind == SyncKind::kSpecial) return false;
      if (!may_delete && from && to && from->kind != to->kind) return false;
      if (path.empty()) return true;
      path = folder_of(path);
    }
  };
  Listing out;
  for (const auto& [path, to] : target) {
    if (!is_free(path) || (!find(source, path) && !may_delete)) out.emplace(path, to);
  }
  for (const auto& [path, from] : source) {
    if (is_free(path)) out.insert_or_assign(path, from);
  }
  return out;
}

std::string shown(const Listing& listing) {
  std::string out;
  for (const auto& [path, entry] : listing) {
    out += "/" + path + " kind " + std::to_string(static_cast<int>(entry.kind)) + " " +
           std::to_string(entry.bytes) + " bytes -> " + entry.target + " mode " +
           std::to_string(entry.attributes.mode.value_or(0)) + " time " +
           std::to_string(entry.attributes.modified.value_or(fs::ModificationTime{}).seconds) +
           "\n";
  }
  return out;
}

/// Does what it is told, and demands that it can be done at that moment.
void carry_out(const SyncPlan& plan, const Listing& source, Listing& target) {
  std::set<std::string> closed;  // directories that have their attributes
  for (const auto& [step, path] : plan.actions) {
    SCOPED_TRACE("at /" + path);
    const bool is_there = target.contains(path);
    if (!path.empty()) {
      const std::string above(folder_of(path));
      ASSERT_TRUE(target.contains(above));
      ASSERT_EQ(target.at(above).kind, SyncKind::kDirectory);
      if (step != kSetAttributes) {
        ASSERT_FALSE(closed.contains(above));
      }
    }
    switch (step) {
      case kMakeDirectory:
        ASSERT_FALSE(is_there);
        break;
      case kPutFile:
      case kPutSymlink:
        if (is_there) {
          ASSERT_EQ(target.at(path).kind, source.at(path).kind);
        }
        break;
      case kSetAttributes:
        ASSERT_TRUE(is_there);
        if (target.at(path).kind == SyncKind::kDirectory) closed.insert(path);
        target.at(path).attributes = source.at(path).attributes;
        continue;
      case kRemove:
        ASSERT_EQ(target.erase(path), 1U);
        for (const auto& [other, entry] : target) ASSERT_FALSE(is_below(other, path)) << other;
        continue;
    }
    target.insert_or_assign(path, source.at(path));
  }
}

TEST(SyncPlan, RandomTrees_AsTheDumbVersionSays) {
  for (unsigned seed = 0; seed < 3000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Trees trees(seed);
    const Listing source = trees.tree();
    const Listing target = trees.below(10) == 0 ? Listing{} : trees.tree();
    for (const bool may_delete : {false, true}) {
      const auto plan = plan_sync(source, target, {.may_delete = may_delete});
      Listing result = target;
      carry_out(*plan, source, result);
      if (testing::Test::HasFatalFailure()) return;
      ASSERT_EQ(shown(result), shown(dumb_sync(source, target, may_delete)));
      if (may_delete) {
        ASSERT_TRUE(plan->in_the_way.empty());
      }
      // A second time there is nothing left to do, and the same stands in the way.
      const auto again = plan_sync(source, result, {.may_delete = may_delete});
      ASSERT_EQ(again->actions, Actions{});
      ASSERT_EQ(again->in_the_way, plan->in_the_way);
      ASSERT_EQ(again->bytes, 0U);
    }
  }
}

}  // namespace
}  // namespace rosebud::apps
