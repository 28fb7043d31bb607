#include "wire/hold.h"

#include <gtest/gtest.h>

namespace rosebud::wire {
namespace {

std::vector<crypto::Digest> leaves_of(std::uint32_t count) {
  std::vector<crypto::Digest> leaves;
  for (std::uint32_t i = 0; i < count; ++i) {
    leaves.push_back(hold_leaf(ObjectId::block(crypto::sha256(Writer().u32(i).bytes())), i));
  }
  return leaves;
}

TEST(HoldTree, EveryLeafLeadsToTheRootAndNoOtherPlaceDoes) {
  for (std::uint32_t count : {1U, 2U, 3U, 4U, 5U, 6U, 7U, 8U, 9U, 31U, 33U, 100U}) {
    const auto leaves = leaves_of(count);
    const HoldTree tree(leaves);
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto path = tree.path(i);
      EXPECT_TRUE(hold_path_leads(leaves[i], i, count, path, tree.root()));
      EXPECT_FALSE(hold_path_leads(leaves[i], (i + 1) % count, count, path, tree.root()) &&
                   count > 1);
      EXPECT_FALSE(hold_path_leads(leaves[i], i + count, count, path, tree.root()));
      auto longer = path;
      longer.push_back({});
      EXPECT_FALSE(hold_path_leads(leaves[i], i, count, longer, tree.root()));
      if (!path.empty()) {
        auto changed = path;
        changed.back().bytes[0] ^= 1;
        EXPECT_FALSE(hold_path_leads(leaves[i], i, count, changed, tree.root()));
      }
    }
  }
}

// An inner node must not pass for a leaf: tags differ.
TEST(HoldTree, InnerNodeIsNoLeaf) {
  const auto leaves = leaves_of(4);
  const HoldTree tree(leaves);
  const HoldTree half({leaves[0], leaves[1]});
  EXPECT_FALSE(hold_path_leads(leaves[0], 0, 2, tree.path(0), tree.root()));
  EXPECT_NE(half.root(), hold_leaf(ObjectId{}, 0));
}

TEST(Hold, EncodingRoundTripsAndRefusesTrailingBytes) {
  Hold hold{.size = 7, .index = 3, .path = {crypto::sha256(as_bytes("a"))}};
  hold.statement.statement = Buffer::copy_of(as_bytes("statement"));
  hold.admission.statement = Buffer::copy_of(as_bytes("admission"));
  Bytes bytes = hold.encode();
  EXPECT_EQ(Hold::decode(bytes), hold);
  bytes.push_back(0);
  EXPECT_FALSE(Hold::decode(bytes));
  for (std::size_t size = 0; size + 1 < bytes.size(); ++size) {
    EXPECT_FALSE(Hold::decode(ByteView(bytes).first(size)));
  }
}

}  // namespace
}  // namespace rosebud::wire
