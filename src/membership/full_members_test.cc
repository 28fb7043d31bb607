// All members of a configuration in parts, from anybody, for whoever has a header alone.
#include "membership/full_members.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "membership/placing.h"
#include "membership/test_cluster.h"

namespace rosebud::membership {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::size_t kOrganisations = 7;

crypto::Digest digest(std::string_view tag, std::size_t number) {
  return crypto::Hasher(tag).update_u64(number).finish();
}

/// Keys are hashes: nobody signs anything with them.
Node member(std::size_t number) {
  Node out = {.name = "node" + std::to_string(number),
              .key = *wire::NodeKey::from(digest("rosebud test member", number).view()),
              .organisation = static_cast<std::uint32_t>(number % kOrganisations),
              .address = "node" + std::to_string(number) + ":7000",
              .capacity_bytes = 1,
              .position_count = 1};
  out.directory =
      *wire::DirectoryId::from(digest("rosebud test directory", number).view().first(16));
  return out;
}

std::shared_ptr<const Configuration> of_size(std::size_t count) {
  ConfigurationParts parts{.cluster = {}, .number = {wire::Generation(0), wire::Epoch(2)}};
  for (std::size_t i = 0; i < kOrganisations; ++i) {
    const std::string name = "org" + std::to_string(i);
    parts.organisations.push_back({.name = name, .authority = test_key(name).public_key()});
  }
  for (std::size_t i = 0; i < count; ++i) parts.nodes.push_back(member(i));
  for (std::uint32_t i = 0; i < 4; ++i) {
    parts.service.push_back(
        {.node = i, .epoch_key = test_key("seat " + std::to_string(i)).public_key()});
  }
  return *Configuration::make(std::move(parts));
}

std::vector<Bytes> parts_of(const Configuration& configuration) {
  std::vector<Bytes> out;
  for (std::size_t i = 0; i < members_parts_count(configuration.nodes().size()); ++i) {
    out.push_back(MembersPart::of(configuration, i).encode());
  }
  return out;
}

// ---- The proof of a part of the tree ----

TEST(MerkleProof, ShowsEveryRangeOfEveryTree_AndNothingElse) {
  for (std::size_t size = 1; size <= 20; ++size) {
    std::vector<crypto::Digest> leaves;
    for (std::size_t i = 0; i < size; ++i) leaves.push_back(digest("rosebud test leaf", i));
    const MerkleTree tree(leaves);
    for (std::size_t first = 0; first < size; ++first) {
      for (std::size_t count = 1; first + count <= size; ++count) {
        SCOPED_TRACE(std::to_string(size) + " " + std::to_string(first) + " " +
                     std::to_string(count));
        const auto begin = leaves.begin() + static_cast<std::ptrdiff_t>(first);
        const std::vector<crypto::Digest> some(begin, begin + static_cast<std::ptrdiff_t>(count));
        auto proof = tree.proof(first, count);
        ASSERT_EQ(root_with(some, first, size, proof), tree.root());
        auto others = some;
        others.back().bytes[0] ^= 1;
        ASSERT_NE(root_with(others, first, size, proof), tree.root());
        proof.emplace_back();
        ASSERT_EQ(root_with(some, first, size, proof), std::nullopt);
        proof.pop_back();
        ASSERT_EQ(root_with(some, first + size, size, proof), std::nullopt);
        if (proof.empty()) continue;
        proof.pop_back();
        ASSERT_EQ(root_with(some, first, size, proof), std::nullopt);
      }
    }
    ASSERT_EQ(root_with({}, 0, size, {}), std::nullopt);
  }
}

// ---- Parts ----

class MembersInParts : public testing::Test {
 protected:
  static constexpr std::size_t kCount = 2 * kNodesOfPart + 500;

  static const Configuration& three_parts() {
    static const auto made = of_size(kCount);
    return *made;
  }
  /// A part as somebody changes it.
  Bytes changed(std::size_t index, const std::function<void(MembersPart&)>& change) const {
    MembersPart part = MembersPart::of(three_parts(), index);
    change(part);
    return part.encode();
  }

  const std::vector<Bytes> parts_ = parts_of(three_parts());
  MembersCollection collection_{three_parts().root()};
};

TEST_F(MembersInParts, AreThereWhenAllPartsAre_InWhateverOrder) {
  ASSERT_EQ(parts_.size(), 3U);
  EXPECT_THAT(collection_.missing(), ElementsAre(0));
  EXPECT_FALSE(collection_.add(parts_[2]));  // how many there are is not known
  ASSERT_TRUE(collection_.add(parts_[0]));
  EXPECT_THAT(collection_.missing(), ElementsAre(1, 2));
  ASSERT_TRUE(collection_.add(parts_[2]));
  EXPECT_FALSE(collection_.add(parts_[2]));
  EXPECT_FALSE(collection_.add(parts_[0]));
  EXPECT_FALSE(collection_.is_whole());
  ASSERT_TRUE(collection_.add(parts_[1]));
  ASSERT_TRUE(collection_.is_whole());
  EXPECT_EQ(collection_.take(), FullMembers::of(three_parts()));
}

TEST_F(MembersInParts, OfASmallClusterAreOnePart) {
  for (const std::size_t count : {std::size_t{4}, kNodesOfPart}) {
    const auto small = of_size(count);
    const auto parts = parts_of(*small);
    ASSERT_EQ(parts.size(), 1U);
    MembersCollection collection(small->root());
    ASSERT_TRUE(collection.add(parts[0]));
    EXPECT_EQ(collection.take(), FullMembers::of(*small));
  }
  EXPECT_EQ(parts_of(*of_size(kNodesOfPart + 1)).size(), 2U);
}

TEST_F(MembersInParts, APartThatIsNotTrue_IsRefusedByItself) {
  using P = MembersPart;
  const auto other = of_size(kCount + 1);
  const std::vector<std::pair<std::string, Bytes>> of_the_first{
      {"settings", changed(0, [](P& part) { part.head->settings.hedge_ms += 1; })},
      {"an organisation",
       changed(0, [](P& part) { part.head->organisations[3].quota_bytes += 1; })},
      {"one organisation less", changed(0, [](P& part) { part.head->organisations.pop_back(); })},
      {"a node more", changed(0, [](P& part) { part.head->node_count += 1; })},
      {"nodes for more parts", changed(0, [](P& part) { part.head->node_count += kNodesOfPart; })},
      {"fewer nodes", changed(0, [](P& part) { part.head->node_count = kNodesOfPart; })},
      {"of another configuration", P::of(*other, 0).encode()}};
  for (const auto& [what, bytes] : of_the_first) EXPECT_FALSE(collection_.add(bytes)) << what;
  const std::vector<std::function<void(P&)>> of_any{
      [](P& part) { part.nodes[7].address += "0"; },
      [](P& part) { part.nodes[7].admission_randomness.bytes[0] ^= 1; },
      [](P& part) { std::swap(part.nodes[0], part.nodes[1]); },
      [](P& part) { part.nodes.pop_back(); },
      [](P& part) { part.nodes.erase(part.nodes.begin()); },
      [](P& part) { part.proof.back().bytes[3] ^= 1; },
      [](P& part) { part.proof.pop_back(); },
      [](P& part) { part.proof.emplace_back(); }};
  for (const auto& change : of_any) EXPECT_FALSE(collection_.add(changed(0, change)));
  EXPECT_THAT(collection_.missing(), ElementsAre(0));
  ASSERT_TRUE(collection_.add(parts_[0]));
  for (const auto& change : of_any) {
    EXPECT_FALSE(collection_.add(changed(1, change)));
    EXPECT_FALSE(collection_.add(changed(2, change)));
  }
  EXPECT_FALSE(collection_.add(changed(1, [](P& part) { part.index = 2; })));
  EXPECT_FALSE(collection_.add(changed(2, [](P& part) { part.index = 3; })));
  EXPECT_FALSE(collection_.add(changed(2, [](P& part) {
    part.index = 3;
    part.nodes.clear();
  })));
  // True, and less than the part.
  EXPECT_FALSE(collection_.add(changed(1, [](P& part) {
    part.nodes.pop_back();
    part.proof = three_parts().tree().proof(1 + kOrganisations + kNodesOfPart, kNodesOfPart - 1);
  })));
  EXPECT_FALSE(collection_.add(P::of(*other, 1).encode()));
  EXPECT_FALSE(collection_.add({}));
  // Nothing of what was false has stayed.
  ASSERT_TRUE(collection_.add(parts_[1]));
  ASSERT_TRUE(collection_.add(parts_[2]));
  EXPECT_EQ(collection_.take(), FullMembers::of(three_parts()));
}

TEST_F(MembersInParts, APartHasOneEncoding) {
  for (const Bytes& part : parts_) {
    const auto decoded = MembersPart::decode(part);
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(decoded->encode(), part);
    EXPECT_LE(part.size(), kMembersPartSizeMax);
    Bytes changed = part;
    changed.push_back(0);
    EXPECT_EQ(MembersPart::decode(changed), std::nullopt);
    changed.resize(part.size() - 1);
    EXPECT_EQ(MembersPart::decode(changed), std::nullopt);
    changed = part;
    changed[0] = 2;
    EXPECT_EQ(MembersPart::decode(changed), std::nullopt);
  }
}

TEST_F(MembersInParts, DamagedParts_NeverCrash_AndNeverCount) {
  Random random(1);
  for (int i = 0; i < 300; ++i) {
    const std::size_t index = random.below(3);
    MembersCollection collection(three_parts().root());
    if (index > 0) {
      ASSERT_TRUE(collection.add(parts_[0]));
    }
    Bytes bytes = parts_[index];
    const std::size_t at = random.chance(1, 2) ? random.below(64) : random.below(bytes.size());
    bytes[at] ^= static_cast<std::uint8_t>(1 + random.below(255));
    EXPECT_FALSE(collection.add(bytes)) << index << " " << at;
  }
}

TEST(MembersPartLayout, TheLongestFitsItsBound) {
  MembersPart part;
  part.head = MembersPart::Head{};
  part.head->node_count = kNodesMax;
  part.head->organisations.resize(kOrganisationsMax);
  for (Organisation& one : part.head->organisations)
    one.name = std::string(wire::kNameSizeMax, 'o');
  part.nodes.resize(kNodesOfPart);
  for (Node& node : part.nodes) {
    node.name = std::string(wire::kNameSizeMax, 'n');
    node.address = std::string(kAddressSizeMax, 'a');
  }
  part.proof.resize(36);
  const Bytes bytes = part.encode();
  EXPECT_LE(bytes.size(), kMembersPartSizeMax);
  EXPECT_EQ(MembersPart::decode(bytes), part);
  part.head->node_count = kNodesMax + 1;
  EXPECT_EQ(MembersPart::decode(part.encode()), std::nullopt);
}

TEST(FullMembersRoot, DependsOnEveryMemberAndItsPlace) {
  const auto all = FullMembers::of(*TestCluster().first());
  auto other = all;
  std::swap(other.nodes[0], other.nodes[1]);
  EXPECT_NE(other.root(), all.root());
  other = all;
  other.nodes.pop_back();
  EXPECT_NE(other.root(), all.root());
  other = all;
  other.settings.hedge_ms += 1;
  EXPECT_NE(other.root(), all.root());
  other = all;
  other.nodes[7].admission_randomness.bytes[0] ^= 1;
  EXPECT_NE(other.root(), all.root());
  other = all;
  other.organisations[1].quota_bytes += 1;
  EXPECT_NE(other.root(), all.root());
}

// ---- A hundred thousand ----

TEST(HundredThousand, AreDescribedAppliedAndHandedOverInParts) {
  constexpr std::size_t kNodes = 100'000;
  const auto before = of_size(kNodes);
  NextEpoch next = same_again(*before);
  for (std::size_t i = 0; i < 32; ++i) {
    next.body.nodes.remove(*before, member(1000 + 977 * i).key);
    next.body.nodes.put(*before, member(kNodes + i));
    Node moved = member(500 + 1501 * i);
    moved.address = "moved" + std::to_string(i) + ":7000";
    next.body.nodes.put(*before, moved);
  }
  std::vector<SeatKey> keys;
  for (std::uint16_t seat = 0; seat < 4; ++seat)
    keys.push_back({.seat = seat, .key = test_key("seat " + std::to_string(seat))});
  const auto& scheme = crypto::model_scheme();
  const Bytes bytes = make_description(*before, next, keys, scheme);
  EXPECT_LT(bytes.size(), 20'000U);
  const auto after = apply(*before, bytes, scheme);
  ASSERT_TRUE(after.has_value()) << text_of(after.error());
  EXPECT_EQ((*after)->nodes().size(), kNodes);

  const auto header = DescriptionHeader::decode(SignedDescription::decode(bytes)->header);
  MembersCollection collection(header->members_root);
  std::size_t parts_count = 0;
  while (!collection.is_whole()) {
    const Bytes part = MembersPart::of(**after, collection.missing().back()).encode();
    EXPECT_LE(part.size(), kMembersPartSizeMax);
    ASSERT_TRUE(collection.add(part));
    ++parts_count;
  }
  EXPECT_EQ(parts_count, members_parts_count(kNodes));
  const auto anew = configuration_of(*header, collection.take());
  ASSERT_TRUE(anew.has_value()) << text_of(anew.error());
  EXPECT_EQ((*anew)->root(), (*after)->root());
  EXPECT_EQ((*anew)->nodes(), (*after)->nodes());
  EXPECT_EQ((*anew)->service(), (*after)->service());
  EXPECT_EQ((*anew)->header_hash(), (*after)->header_hash());
  const auto key = digest("rosebud test object", 1);
  EXPECT_EQ((*anew)->group(key), (*after)->group(key));
}

}  // namespace
}  // namespace rosebud::membership
