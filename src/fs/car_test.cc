#include "fs/car.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>

#include "base/random.h"
#include "fs/node.h"

namespace rosebud::fs {
namespace {

class Blocks final : public BlockSink, public BlockSource {
 public:
  Status<Explained> put(const Cid& cid, Buffer block) override {
    blocks[cid] = std::move(block);
    return {};
  }
  Result<Buffer, Explained> get(const Cid& cid) override {
    const auto at = blocks.find(cid);
    if (at == blocks.end()) return fail(Explained{.what = "not here"});
    return at->second;
  }
  std::map<Cid, Buffer> blocks;
};

/// Yields bytes in pieces of changing length.
class Pieces final : public ByteSource {
 public:
  explicit Pieces(Bytes bytes, std::uint64_t seed = 1) : bytes_(std::move(bytes)), random_(seed) {}
  Result<std::size_t, Explained> read(std::span<std::uint8_t> into) override {
    const std::size_t n =
        std::min({into.size(), bytes_.size() - at_, std::size_t{1} + random_.below(70'000)});
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(at_), n, into.begin());
    at_ += n;
    return n;
  }

 private:
  Bytes bytes_;
  std::size_t at_ = 0;
  Random random_;
};

class CarTest : public testing::Test {
 protected:
  /// A directory with an empty file, one of three chunks, the same one again, and a link.
  CarTest() {
    Random random(5);
    Bytes bytes(kChunkSize * 2 + 77);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random.next());
    Pieces large(bytes);
    Pieces empty({});
    const auto file = *import_file(large, from);
    const auto nothing = *import_file(empty, from);
    const auto link = *import_symlink("large", from);
    root = import_directory({{.name = "large", .cid = file.cid, .tsize = file.tsize},
                             {.name = "again", .cid = file.cid, .tsize = file.tsize},
                             {.name = "empty", .cid = nothing.cid, .tsize = nothing.tsize},
                             {.name = "link", .cid = link.cid, .tsize = link.tsize}},
                            from)
               ->cid;
  }

  Bytes exported() {
    Bytes out;
    const auto totals = export_car(root, from, [&](ByteView bytes) -> Status<Explained> {
      out.insert(out.end(), bytes.begin(), bytes.end());
      return {};
    });
    EXPECT_TRUE(totals.has_value()) << totals.error().text();
    EXPECT_EQ(totals->blocks, from.blocks.size());
    return out;
  }
  Result<ImportedCar, Explained> import(Bytes car) {
    Pieces pieces(std::move(car));
    return import_car(pieces, to, store, {});
  }

  Blocks from;
  Blocks to;
  Blocks store;
  Cid root;
};

struct Section {
  Cid cid;
  std::size_t begin = 0;  // of its length
  std::size_t end = 0;
};

/// An independent reading of what was written: header as one piece, then sections.
std::vector<Section> sections_of(const Bytes& car) {
  std::vector<Section> out;
  std::size_t at = 0;
  for (bool is_header = true; at < car.size(); is_header = false) {
    const std::size_t begin = at;
    std::size_t size = 0;
    for (int shift = 0;; shift += 7) {
      const std::uint8_t byte = car.at(at++);
      size |= std::size_t{byte & 0x7fU} << shift;
      if (byte < 0x80) break;
    }
    if (!is_header)
      out.push_back({.cid = *Cid::from_binary(ByteView(car).subspan(at, 36)),
                     .begin = begin,
                     .end = at + size});
    at += size;
  }
  return out;
}

TEST_F(CarTest, OutAndIn_GivesTheSameBlocks) {
  const auto imported = import(exported());
  ASSERT_TRUE(imported.has_value()) << imported.error().text();
  EXPECT_EQ(imported->roots, std::vector{root});
  EXPECT_EQ(imported->totals.blocks, from.blocks.size());
  EXPECT_EQ(to.blocks.size(), from.blocks.size());
  for (const auto& [cid, block] : from.blocks) EXPECT_EQ(to.blocks.at(cid), block);
}

TEST_F(CarTest, EveryBlockOnce_ParentsFirst) {
  std::set<Cid> seen;
  std::set<Cid> announced{root};
  for (const Section& section : sections_of(exported())) {
    EXPECT_TRUE(seen.insert(section.cid).second);
    EXPECT_TRUE(announced.contains(section.cid)) << "a block came before what links to it";
    if (section.cid.codec == Codec::kRaw) continue;
    const auto node = DagNode::decode(from.get(section.cid)->view());
    for (const Link& link : node->links) announced.insert(link.cid);
  }
  EXPECT_EQ(seen.size(), from.blocks.size());
}

TEST_F(CarTest, BlocksInAnyOrderAndTwice_AreTaken) {
  const Bytes car = exported();
  auto sections = sections_of(car);
  Bytes other(car.begin(), car.begin() + static_cast<std::ptrdiff_t>(sections.front().begin));
  std::ranges::reverse(sections);
  sections.push_back(sections.front());
  for (const Section& section : sections) {
    other.insert(other.end(), car.begin() + static_cast<std::ptrdiff_t>(section.begin),
                 car.begin() + static_cast<std::ptrdiff_t>(section.end));
  }
  const auto imported = import(other);
  ASSERT_TRUE(imported.has_value()) << imported.error().text();
  EXPECT_EQ(imported->totals.blocks, from.blocks.size());
}

TEST_F(CarTest, EachBlockChanged_IsRefused) {
  const Bytes car = exported();
  for (const Section& section : sections_of(car)) {
    Bytes damaged = car;
    damaged[section.end - 1] ^= 1;
    to.blocks.clear();
    const auto imported = import(damaged);
    if (section.cid == Cid::of(Codec::kRaw, {})) continue;  // has no byte but its id's
    ASSERT_FALSE(imported.has_value());
    EXPECT_FALSE(to.blocks.contains(section.cid));
  }
}

TEST_F(CarTest, EachBlockMissing_IsNamedUnlessTheStoreHasIt) {
  const Bytes car = exported();
  for (const Section& section : sections_of(car)) {
    Bytes shorter = car;
    shorter.erase(shorter.begin() + static_cast<std::ptrdiff_t>(section.begin),
                  shorter.begin() + static_cast<std::ptrdiff_t>(section.end));
    store.blocks.clear();
    const auto imported = import(shorter);
    ASSERT_FALSE(imported.has_value());
    EXPECT_NE(imported.error().what.find(section.cid.text()), std::string::npos);
    store.blocks = from.blocks;
    to.blocks.clear();
    const auto filled = import(shorter);
    ASSERT_TRUE(filled.has_value()) << filled.error().text();
    EXPECT_EQ(to.blocks.size(), from.blocks.size()) << "what the store had is held too";
  }
}

TEST_F(CarTest, CutAnywhere_IsRefused) {
  const Bytes car = exported();
  std::vector<std::size_t> cuts;
  for (std::size_t i = 0; i < 300; ++i) cuts.push_back(i);
  for (const Section& section : sections_of(car)) {
    cuts.insert(cuts.end(),
                {section.begin, section.begin + 1, section.begin + 20, section.end - 1});
  }
  for (const std::size_t cut : cuts)
    EXPECT_FALSE(import(Bytes(car.begin(), car.begin() + static_cast<std::ptrdiff_t>(cut)))) << cut;
}

TEST_F(CarTest, HugeLengthsAndOtherFormats_AreRefused) {
  const auto refused = [&](std::string_view hex, std::string_view because) {
    const auto imported = import(*from_hex(hex));
    ASSERT_FALSE(imported.has_value());
    EXPECT_NE(imported.error().cause.find(because), std::string::npos) << imported.error().text();
  };
  refused("ffffffffffffffffff", "length");
  refused("ffffffff0f", "block");
  refused("00", "block");
  refused("0aa16776657273696f6e02", "version 2");
  // No roots at all.
  refused("11a265726f6f7473806776657273696f6e01", "no root");
  // An array said to have four thousand million roots.
  refused("15a265726f6f74739affffffff6776657273696f6e01", "header");
}

// A file made by another implementation: scripts/car-interop.
TEST_F(CarTest, OfAnotherImplementation_IsRead) {
  std::ifstream file(ROSEBUD_SOURCE_DIR "/src/fs/testdata/other.car", std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  const auto imported = import(to_bytes(as_bytes(bytes)));
  ASSERT_TRUE(imported.has_value()) << imported.error().text();
  ASSERT_EQ(imported->roots.size(), 1U);
  std::string text;
  const auto cid = resolve(imported->roots.front().text() + "/sub/größe.txt", to);
  ASSERT_TRUE(cid.has_value()) << cid.error().text();
  ASSERT_TRUE(read_file(*cid, to, [&](ByteView part) -> Status<Explained> {
    text += as_text(part);
    return {};
  }));
  EXPECT_EQ(text, "umlaut\n");
}

}  // namespace
}  // namespace rosebud::fs
