#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <map>

#include "base/random.h"
#include "base/temporary_folder.h"
#include "fs/reader.h"
#include "fs/shard.h"
#include "fs/test_blocks.h"

namespace rosebud::fs {
namespace {

namespace stdfs = std::filesystem;

/// The content of the golden files: byte i of a file is the low byte of (i * 31 + i / 251 + i /
/// 65521).
class Pattern final : public ByteSource {
 public:
  explicit Pattern(std::uint64_t size) : size_(size) {}
  Result<std::size_t, Explained> read(std::span<std::uint8_t> into) override {
    std::size_t n = 0;
    for (; n < into.size() && at_ < size_; ++n, ++at_)
      into[n] = static_cast<std::uint8_t>(at_ * 31 + at_ / 251 + at_ / 65521);
    return n;
  }

 private:
  std::uint64_t size_;
  std::uint64_t at_ = 0;
};

std::map<std::string, std::string> golden() {
  std::map<std::string, std::string> out;
  std::ifstream file(ROSEBUD_SOURCE_DIR "/src/fs/testdata/golden.txt");
  std::string name;
  std::string cid;
  while (file >> name >> cid) out[name] = cid;
  EXPECT_FALSE(out.empty());
  return out;
}

std::string import_pattern(std::uint64_t size) {
  Blocks blocks(false);
  Pattern pattern(size);
  return import_file(pattern, blocks)->cid.text();
}

// Computed by another implementation: scripts/golden-vectors.
TEST(Golden, Files) {
  const auto vectors = golden();
  for (const auto& [name, cid] : vectors) {
    if (!name.starts_with("file-")) continue;
    EXPECT_EQ(import_pattern(std::stoull(name.substr(5))), cid) << name;
  }
}

TEST(Golden, Directories) {
  const auto vectors = golden();
  Blocks blocks;
  Pattern small(10);
  const auto file = *import_file(small, blocks);
  for (const auto& [name, cid] : vectors) {
    if (!name.starts_with("directory-")) continue;
    std::vector<Link> entries;
    const auto count = std::stoull(name.substr(10));
    for (std::uint64_t i = 0; i < count; ++i) {
      entries.push_back(
          {.name = "entry number " + std::to_string(i), .cid = file.cid, .tsize = file.tsize});
    }
    const auto directory = import_directory(entries, blocks);
    EXPECT_EQ(directory->cid.text(), cid) << name;
    EXPECT_EQ(list_directory(directory->cid, blocks)->size(), count);
  }
}

constexpr Attributes kAttributes{.mode = 0600,
                                 .modified = ModificationTime{1'700'000'000, 123'456'789}};

TEST(Golden, FilesWithAttributes) {
  const auto vectors = golden();
  for (const std::uint64_t size : std::initializer_list<std::uint64_t>{0, 10, 1048576, 1048577}) {
    Blocks blocks;
    Pattern pattern(size);
    const auto imported = *import_file(pattern, blocks, kAttributes);
    EXPECT_EQ(imported.cid.text(), vectors.at("attributes-" + std::to_string(size)));
    EXPECT_EQ(imported.bytes, size);
    const auto described = describe(imported.cid, blocks);
    EXPECT_EQ(described->attributes, kAttributes);
    EXPECT_EQ(described->bytes, size);
    EXPECT_EQ(*read_file(imported.cid, blocks, [](ByteView) -> Status<Explained> { return {}; }),
              size);
  }
  Blocks blocks;
  Pattern pattern(10);
  const Attributes early{.mode = 04751, .modified = ModificationTime{-1, 0}};
  EXPECT_EQ(import_file(pattern, blocks, early)->cid.text(), vectors.at("attributes-early"));
}

TEST(Golden, ShardedDirectoryWithAttributes) {
  Blocks blocks;
  Pattern small(10);
  const auto file = *import_file(small, blocks);
  std::vector<Link> entries;
  for (int i = 0; i < 3600; ++i) {
    entries.push_back(
        {.name = "entry number " + std::to_string(i), .cid = file.cid, .tsize = file.tsize});
  }
  const Attributes attributes{.mode = 0700, .modified = ModificationTime{1'700'000'000, 0}};
  const auto directory = *import_directory(entries, blocks, attributes);
  EXPECT_EQ(directory.cid.text(), golden()["attributes-sharded"]);
  EXPECT_EQ(describe(directory.cid, blocks)->attributes, attributes);
}

class TreeTest : public testing::Test {
 protected:
  void write(const stdfs::path& at, std::string_view text) const {
    stdfs::create_directories((path / at).parent_path());
    std::ofstream(path / at, std::ios::binary) << text;
  }
  TemporaryFolder temporary;
  const stdfs::path& path = temporary.path();
};

TEST_F(TreeTest, GoldenTree) {
  write("tree/a.txt", "hello\n");
  write("tree/.hidden", "secret\n");
  write("tree/sub/größe.txt", "umlaut\n");
  write("tree/sub/empty", "");
  stdfs::create_directories(path / "tree/nothing");
  Blocks blocks;
  const auto imported = import_path(path / "tree", blocks, {});
  ASSERT_TRUE(imported.has_value()) << imported.error().text();
  EXPECT_EQ(imported->cid.text(), golden()["tree"]);
  // Out again, byte for byte, twice: the second time everything is there.
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(export_path(imported->cid, blocks, path / "out", {}, {}));
    Blocks again;
    EXPECT_EQ(import_path(path / "out", again, {})->cid, imported->cid);
  }
  EXPECT_EQ(resolve(imported->cid.text() + "/sub/empty", blocks)->text(), golden()["file-0"]);
  EXPECT_FALSE(resolve(imported->cid.text() + "/sub/none", blocks));
}

ModificationTime modified_at(const stdfs::path& at) {
  struct stat status{};
  EXPECT_EQ(::lstat(at.c_str(), &status), 0);
  return {status.st_mtim.tv_sec, static_cast<std::uint32_t>(status.st_mtim.tv_nsec)};
}
std::uint32_t mode_at(const stdfs::path& at) {
  struct stat status{};
  EXPECT_EQ(::lstat(at.c_str(), &status), 0);
  return status.st_mode & 07777U;
}
void set(const stdfs::path& at, const Attributes& attributes) {
  const timespec times[2] = {
      {.tv_sec = 0, .tv_nsec = UTIME_OMIT},
      {.tv_sec = attributes.modified->seconds, .tv_nsec = attributes.modified->nanoseconds}};
  if (attributes.mode) {
    EXPECT_EQ(::chmod(at.c_str(), *attributes.mode), 0);
  }
  ASSERT_EQ(::utimensat(AT_FDCWD, at.c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
}

TEST_F(TreeTest, GoldenTreeWithAttributes_ComesBackAsItWas) {
  write("t/a", "a");
  stdfs::create_directories(path / "t/d");
  set(path / "t/a", kAttributes);
  set(path / "t/d", {.mode = 0700, .modified = ModificationTime{1'700'000'001, 0}});
  set(path / "t", {.mode = 0750, .modified = ModificationTime{1'700'000'002, 1}});
  Blocks blocks;
  const ImportOptions preserving{.preserves_attributes = true};
  const auto imported = import_path(path / "t", blocks, {}, preserving);
  ASSERT_TRUE(imported.has_value()) << imported.error().text();
  EXPECT_EQ(imported->cid.text(), golden()["attributes-tree"]);
  // The second time everything is there but for what was changed since.
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(export_path(imported->cid, blocks, path / "out", {}, {}));
    EXPECT_EQ(import_path(path / "out", blocks, {}, preserving)->cid, imported->cid);
    EXPECT_EQ(mode_at(path / "out/a"), 0600U);
    EXPECT_EQ(modified_at(path / "out/a"), kAttributes.modified);
    set(path / "out/a", {.mode = 0644, .modified = ModificationTime{1, 1}});
    set(path / "out", {.mode = 0700, .modified = ModificationTime{1, 1}});
  }
  // Without being asked nothing is kept.
  const auto plain = import_path(path / "t", blocks, {});
  EXPECT_NE(plain->cid, imported->cid);
  EXPECT_TRUE(describe(plain->cid, blocks)->attributes.empty());
}

TEST_F(TreeTest, DirectoryThatForbidsWriting_IsFilledBefore) {
  write("t/d/a", "a");
  set(path / "t/d", {.mode = 0500, .modified = ModificationTime{5, 0}});
  Blocks blocks;
  const auto imported = import_path(path / "t", blocks, {}, {.preserves_attributes = true});
  ASSERT_TRUE(export_path(imported->cid, blocks, path / "out", {}, {}));
  EXPECT_EQ(mode_at(path / "out/d"), 0500U);
  EXPECT_EQ(modified_at(path / "out/d"), (ModificationTime{5, 0}));
  EXPECT_TRUE(stdfs::exists(path / "out/d/a"));
  for (const char* at : {"t/d", "out/d"}) stdfs::permissions(path / at, stdfs::perms::owner_all);
}

TEST_F(TreeTest, SpecialBits_AreSetOnlyWhenAsked) {
  write("a", "program");
  set(path / "a", {.mode = 06755, .modified = ModificationTime{5, 0}});
  Blocks blocks;
  const auto imported = import_path(path / "a", blocks, {}, {.preserves_attributes = true});
  EXPECT_EQ(describe(imported->cid, blocks)->attributes.mode, 06755U);
  ASSERT_TRUE(export_path(imported->cid, blocks, path / "plain", {}, {}));
  EXPECT_EQ(mode_at(path / "plain"), 0755U);
  ASSERT_TRUE(export_path(imported->cid, blocks, path / "asked", {.keeps_special_bits = true}, {}));
  EXPECT_EQ(mode_at(path / "asked"), 06755U);
}

TEST_F(TreeTest, TimeOfASymlink_IsItsOwn) {
  write("t/a", "a");
  stdfs::create_symlink("a", path / "t/link");
  set(path / "t/link", {.modified = ModificationTime{7, 8}});
  Blocks blocks;
  const auto imported = import_path(path / "t", blocks, {}, {.preserves_attributes = true});
  ASSERT_TRUE(export_path(imported->cid, blocks, path / "out", {}, {}));
  EXPECT_EQ(modified_at(path / "out/link"), (ModificationTime{7, 8}));
  EXPECT_EQ(modified_at(path / "out/a"), modified_at(path / "t/a"));
}

TEST_F(TreeTest, SymlinksStaySymlinks) {
  write("tree/a", "a");
  stdfs::create_symlink("a", path / "tree/link");
  Blocks blocks;
  const auto imported = import_path(path / "tree", blocks, {});
  ASSERT_TRUE(export_path(imported->cid, blocks, path / "out", {}, {}));
  EXPECT_EQ(stdfs::read_symlink(path / "out/link"), "a");
}

TEST_F(TreeTest, ForeignFileInTheWay_IsNotOverwritten) {
  write("a", "one");
  write("b", "two");
  Blocks blocks;
  const auto imported = import_path(path / "a", blocks, {});
  EXPECT_FALSE(export_path(imported->cid, blocks, path / "b", {}, {}));
  EXPECT_TRUE(export_path(imported->cid, blocks, path / "b", {.may_overwrite = true}, {}));
}

TEST_F(TreeTest, WhatCannotBeAdded_IsNamed) {
  Blocks blocks;
  EXPECT_NE(import_path(path / "none", blocks, {}).error().what.find("none"), std::string::npos);
  ASSERT_EQ(::mkfifo((path / "pipe").c_str(), 0600), 0);
  EXPECT_NE(import_path(path, blocks, {}).error().what.find("pipe"), std::string::npos);
}

TEST_F(TreeTest, WhatCannotBeAdded_IsLeftOutWhenAsked) {
  write("tree/a", "a");
  write("tree/sub/b", "b");
  Blocks blocks;
  const auto without = import_path(path / "tree", blocks, {});
  ASSERT_EQ(::mkfifo((path / "tree/sub/pipe").c_str(), 0600), 0);
  ASSERT_FALSE(import_path(path / "tree", blocks, {}));
  std::vector<std::string> skipped;
  const ImportObserver skipping{
      .on_skipped = [&](const Explained& problem) { skipped.push_back(problem.what); }};
  const auto imported = import_path(path / "tree", blocks, skipping);
  ASSERT_TRUE(imported) << imported.error().text();
  EXPECT_EQ(imported->cid, without->cid);
  ASSERT_EQ(skipped.size(), 1U);
  EXPECT_NE(skipped[0].find("pipe"), std::string::npos);
  // A store that fails is no file that can be left out, nor is what was named itself.
  class FullSink final : public BlockSink {
    Status<Explained> put(const Cid&, Buffer) override { return fail(Explained{.what = "full"}); }
  } full;
  EXPECT_EQ(import_path(path / "tree", full, skipping).error().what, "full");
  EXPECT_FALSE(import_path(path / "tree/sub/pipe", blocks, skipping));
}

TEST_F(TreeTest, FailuresSayWhatSortTheyAre) {
  write("tree/a", "a");
  stdfs::create_symlink("a", path / "tree/link");
  Blocks blocks;
  const auto imported = import_path(path / "tree", blocks, {});
  const std::string id = imported->cid.text();
  EXPECT_EQ(resolve(id + "/none", blocks).error().trouble, Trouble::kNotFound);
  EXPECT_EQ(resolve(id + "//a/", blocks)->text(), resolve(id + "/a", blocks)->text());
  EXPECT_EQ(resolve(id + "/", blocks)->text(), id);
  const auto link = read_file(*resolve(id + "/link", blocks), blocks, {});
  EXPECT_EQ(link.error().trouble, Trouble::kLocal);
  EXPECT_NE(link.error().what.find("symbolic link to 'a'"), std::string::npos);
  const Buffer nonsense(Bytes{1, 2, 3});
  const Cid wrong = Cid::of(Codec::kDagPb, nonsense.view());
  blocks.blocks[wrong] = nonsense;
  EXPECT_EQ(read_file(wrong, blocks, {}).error().trouble, Trouble::kIntegrity);
}

TEST_F(TreeTest, DirectoryInTheWayOfAFile_IsRefusedBeforeAnythingIsFetched) {
  write("a", "one");
  stdfs::create_directories(path / "there");
  Blocks blocks;
  const auto imported = import_path(path / "a", blocks, {});
  const auto done = export_path(imported->cid, blocks, path / "there", {.may_overwrite = true}, {});
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().what.find("is a directory"), std::string::npos);
  EXPECT_TRUE(stdfs::is_empty(path / "there"));
  for (const auto& entry : stdfs::directory_iterator(path))
    EXPECT_FALSE(entry.path().filename().string().ends_with(".part"));
}

TEST_F(TreeTest, FileThatGrowsWhileItIsRead_IsRefused) {
  write("a", std::string(3 * kChunkSize, 'x'));
  Blocks blocks;
  bool has_grown = false;
  const auto imported = import_path(path / "a", blocks, {.on_bytes = [&](std::uint64_t) {
                                      if (!std::exchange(has_grown, true)) {
                                        std::ofstream(path / "a", std::ios::app) << "more";
                                      }
                                    }});
  ASSERT_FALSE(imported);
  EXPECT_NE(imported.error().what.find("changed"), std::string::npos);
}

TEST(RoundTrip, RandomSizes) {
  Random random(11);
  for (int i = 0; i < 20; ++i) {
    const std::uint64_t size = random.below(5 * kChunkSize);
    Blocks blocks;
    Pattern pattern(size);
    const auto imported = import_file(pattern, blocks);
    ASSERT_TRUE(imported.has_value());
    Pattern again(size);
    Bytes expected(size);
    ASSERT_EQ(*again.read(expected), size);
    Bytes out;
    const auto read = read_file(imported->cid, blocks, [&](ByteView bytes) -> Status<Explained> {
      out.insert(out.end(), bytes.begin(), bytes.end());
      return {};
    });
    EXPECT_EQ(*read, size);
    EXPECT_EQ(out, expected);
  }
}

TEST(Node, DamagedBlocks_NeverCrash) {
  Blocks blocks;
  Pattern pattern(3 * kChunkSize);
  const auto imported = import_file(pattern, blocks);
  const Buffer root = *blocks.get(imported->cid);
  Random random(2);
  for (int i = 0; i < 20'000; ++i) {
    Bytes changed = to_bytes(root.view());
    changed[random.below(changed.size())] = static_cast<std::uint8_t>(random.next());
    if (random.chance(1, 4)) changed.resize(random.below(changed.size()));
    (void)DagNode::decode(changed);
  }
}

TEST(Node, AttributesOutsideTheirLimits_AreRefused) {
  // A directory and what stands behind its type.
  const auto decode = [](std::string_view hex) {
    const Bytes fields = *from_hex(hex);
    Bytes block{0x0a, static_cast<std::uint8_t>(2 + fields.size()), 0x08, 0x01};
    block.insert(block.end(), fields.begin(), fields.end());
    return DagNode::decode(block);
  };
  EXPECT_EQ(decode("388003")->attributes, Attributes{.mode = 0600});
  EXPECT_EQ(decode("42070801"
                   "15ffc99a3b")
                ->attributes.modified,
            (ModificationTime{1, 999'999'999}));
  EXPECT_EQ(decode("420b08ffffffffffffffffff01")->attributes.modified, (ModificationTime{-1, 0}));
  EXPECT_EQ(decode("38ffffffff0f")->attributes.mode, 0xffff'ffffU);
  EXPECT_FALSE(decode("388080808010")) << "a mode of 33 bits";
  EXPECT_FALSE(decode("3a00")) << "a mode that is bytes";
  EXPECT_FALSE(
      decode("42070801"
             "1500ca9a3b"))
      << "10^9 nanoseconds";
  EXPECT_FALSE(decode("42051501000000")) << "no seconds";
  EXPECT_FALSE(decode("4801")) << "a field that nobody knows";
  EXPECT_FALSE(decode("1d01000000")) << "a size as a fixed number";
}

TEST(Reader, NamesThatEscape_AreRefused) {
  Blocks blocks;
  for (const std::string& name :
       std::vector<std::string>{"..", ".", "", "a/b", std::string("a\0b", 3)}) {
    DagNode node{.type = NodeType::kDirectory};
    node.links.push_back({.name = name, .cid = Cid::of(Codec::kRaw, {})});
    const Bytes block = node.encode();
    const Cid cid = Cid::of(Codec::kDagPb, block);
    blocks.blocks[cid] = Buffer(block);
    EXPECT_FALSE(list_directory(cid, blocks)) << name;
  }
}

TEST(Cid, TextRoundTripsAndRefusals) {
  const Cid cid = Cid::of(Codec::kRaw, as_bytes("x"));
  EXPECT_EQ(*Cid::parse(cid.text()), cid);
  EXPECT_EQ(*Cid::parse("ipfs://" + cid.text()), cid);
  EXPECT_EQ(*Cid::parse("/ipfs/" + cid.text()), cid);
  for (const std::string bad :
       {"", "b", "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG", "hello", "z2"}) {
    EXPECT_FALSE(Cid::parse(bad)) << bad;
  }
  EXPECT_FALSE(Cid::parse(cid.text().substr(0, 30)));
}

/// Gives out so many blocks, then fails; counts.
class Interrupted final : public BlockSource {
 public:
  Interrupted(BlockSource& source, int left) : source_(source), left_(left) {}
  Result<Buffer, Explained> get(const Cid& cid) override {
    if (left_-- == 0) return fail(Explained{.what = "interrupted", .cause = {}, .next = {}});
    ++given;
    return source_.get(cid);
  }
  int given = 0;

 private:
  BlockSource& source_;
  int left_;
};

TEST(Export, InterruptedFileIsContinued) {
  std::string name = (stdfs::temp_directory_path() / "rosebud-fs-XXXXXX").string();
  const stdfs::path folder = ::mkdtemp(name.data());
  std::string content(5 * kChunkSize + 7, 'x');
  for (std::size_t i = 0; i < content.size(); ++i)
    content[i] = static_cast<char>(i / kChunkSize + i);
  std::ofstream(folder / "in") << content;
  Blocks blocks;
  const auto imported = import_path(folder / "in", blocks, {});
  ASSERT_TRUE(imported);

  Interrupted first(blocks, 5);  // the root, then four leaves
  EXPECT_FALSE(export_path(imported->cid, first, folder / "out", {}, {}));
  Interrupted second(blocks, 100);
  ASSERT_TRUE(export_path(imported->cid, second, folder / "out", {}, {}));
  EXPECT_EQ(second.given, 1 + 2) << "the root and the two leaves that were missing";
  std::ifstream out(folder / "out");
  EXPECT_TRUE(std::string(std::istreambuf_iterator<char>(out), {}) == content);
  stdfs::remove_all(folder);
}

TEST(Export, AnInterruptedFileThatItsContentCutsIsContinued) {
  const TemporaryFolder temporary;
  const stdfs::path folder = temporary.path();
  std::string content;
  for (Random random(3); content.size() < 6 * kChunkSize;) {
    const std::uint64_t word = random.next();
    content.append(reinterpret_cast<const char*>(&word), sizeof(word));
  }
  Blocks blocks;
  MemorySource source(as_bytes(content));
  const auto imported = import_file(source, blocks, {.mode = 0644}, Chunking::kByContent);
  ASSERT_TRUE(imported);
  const int leaves = static_cast<int>(blocks.blocks.size()) - 1;
  ASSERT_GT(leaves, 6);

  Interrupted first(blocks, 1 + 5);  // the root, then five leaves
  EXPECT_FALSE(export_path(imported->cid, first, folder / "out", {}, {}));
  Interrupted second(blocks, 100);
  ASSERT_TRUE(export_path(imported->cid, second, folder / "out", {}, {}));
  EXPECT_EQ(second.given, 1 + leaves - 5) << "the root and the leaves that were missing";
  std::ifstream out(folder / "out");
  EXPECT_TRUE(std::string(std::istreambuf_iterator<char>(out), {}) == content);
}

}  // namespace
}  // namespace rosebud::fs
