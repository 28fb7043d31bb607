#include "membership/description.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/random.h"
#include "membership/parts_internal.h"
#include "membership/test_cluster.h"

namespace rosebud::membership {
namespace {

class DescriptionTest : public testing::Test {
 protected:
  std::shared_ptr<const Configuration> current = TestCluster().first();
  TestCluster cluster;
  NextEpoch next = same_again(*current);
  std::vector<Node> nodes = current->nodes().to_vector();  // of the next epoch, in any order

  NextEpoch planned() const {
    NextEpoch out = next;
    out.body.nodes = changes_between(*current, nodes);
    return out;
  }
  Bytes made() const {
    return make_description(*current, planned(), cluster.epoch_keys, cluster.scheme);
  }

  std::optional<DescriptionError> refusal(ByteView bytes) const {
    const auto result = apply(*current, bytes, cluster.scheme);
    return result ? std::nullopt : std::optional(result.error());
  }
  std::optional<DescriptionError> refusal() const { return refusal(made()); }

  /// Changes the header after the fact and signs it again with everybody's keys.
  Bytes with_header(const std::function<void(DescriptionHeader&)>& change) const {
    return with_header(change, [](Bytes&) {});
  }
  /// The same with another body, which the header names.
  Bytes with_body(const std::function<void(DescriptionBody&)>& change) const {
    return with_header([](DescriptionHeader&) {},
                       [&](Bytes& bytes) {
                         auto body = *DescriptionBody::decode(bytes);
                         change(body);
                         bytes = body.encode();
                       });
  }
  Bytes with_header(const std::function<void(DescriptionHeader&)>& change,
                    const std::function<void(Bytes&)>& change_body) const {
    auto description = *SignedDescription::decode(made());
    auto header = *DescriptionHeader::decode(description.header);
    change_body(description.body);
    header.body = DescriptionBody::hash_of(description.body);
    change(header);
    description.header = header.encode();
    for (std::size_t i = 0; i < description.signatures.size(); ++i) {
      description.signatures[i].signature = cluster.scheme.sign(
          cluster.epoch_keys[i].key, DescriptionHeader::kTag, description.header);
    }
    return description.encode();
  }
};

TEST_F(DescriptionTest, TheHeaderStandsAtItsBeginning) {
  Bytes bytes = made();
  ASSERT_TRUE(header_in(bytes).has_value());
  EXPECT_EQ(*header_in(bytes),
            *DescriptionHeader::decode(SignedDescription::decode(bytes)->header));
  EXPECT_EQ(header_in(current->signed_description()), std::nullopt);
  bytes.push_back(0);
  EXPECT_EQ(header_in(bytes), std::nullopt);
  EXPECT_EQ(header_in({}), std::nullopt);
}

TEST_F(DescriptionTest, NodesAddedAndRemoved_MakeTheNextConfiguration) {
  next.start = Timestamp(2000);
  next.end = Timestamp(3000);
  next.randomness = crypto::sha256(as_bytes("R2"));
  nodes.erase(nodes.begin() + 1);
  Node added = TestCluster::node(9, 3);
  added.admission_randomness = next.randomness;
  nodes.push_back(added);
  next.service = {{.node = added.key, .epoch_key = test_key("2/9").public_key()},
                  {.node = nodes[1].key, .epoch_key = test_key("2/2").public_key()},
                  {.node = nodes[0].key, .epoch_key = test_key("2/0").public_key()}};
  const Bytes bytes = made();
  const auto result = apply(*current, bytes, cluster.scheme);
  ASSERT_TRUE(result.has_value()) << text_of(result.error());
  const Configuration& after = **result;
  EXPECT_EQ(after.cluster(), current->cluster());
  EXPECT_EQ(after.number(), (wire::ConfigurationNumber{wire::Generation(0), wire::Epoch(2)}));
  EXPECT_EQ(after.start(), Timestamp(2000));
  EXPECT_EQ(after.end(), Timestamp(3000));
  EXPECT_EQ(after.randomness(), next.randomness);
  std::vector<Node> expected = current->nodes().to_vector();
  expected[1] = added;  // in the place that is free
  EXPECT_EQ(after.nodes(), expected);
  EXPECT_EQ(after.organisations(), current->organisations());
  EXPECT_EQ(seats_of(after), next.service);
  EXPECT_TRUE(equal(after.signed_description().view(), bytes));
  EXPECT_FALSE(after.node_index(cluster.genesis.nodes[1].key).has_value());
}

TEST_F(DescriptionTest, Chain_IsSignedByTheServiceOfTheEpochBefore) {
  std::vector<SeatKey> second_keys;
  for (std::uint16_t seat = 0; seat < 4; ++seat) {
    second_keys.push_back({.seat = seat, .key = test_key("2/" + std::to_string(seat))});
    next.service[seat].epoch_key = second_keys.back().key.public_key();
  }
  const auto second = apply(*current, made(), cluster.scheme);
  ASSERT_TRUE(second.has_value());
  const NextEpoch third = same_again(**second);
  const Bytes by_second = make_description(**second, third, second_keys, cluster.scheme);
  ASSERT_TRUE(apply(**second, by_second, cluster.scheme).has_value());
  const Bytes by_first = make_description(**second, third, cluster.epoch_keys, cluster.scheme);
  EXPECT_EQ(apply(**second, by_first, cluster.scheme).error(), DescriptionError::kTooFewSignatures);
  EXPECT_EQ(refusal(by_second), DescriptionError::kGap);
  EXPECT_EQ(apply(**second, made(), cluster.scheme).error(), DescriptionError::kNotNewer);
}

TEST_F(DescriptionTest, EpochOneIsThePredecessor_ByTheClusterId) {
  const auto header = *DescriptionHeader::decode(SignedDescription::decode(made())->header);
  EXPECT_TRUE(equal(header.previous.view(), current->cluster().view()));
}

TEST_F(DescriptionTest, EveryReasonForRefusingAHeader) {
  EXPECT_EQ(refusal(), std::nullopt);
  EXPECT_EQ(refusal(ByteView()), DescriptionError::kMalformed);
  using H = DescriptionHeader;
  EXPECT_EQ(refusal(with_header([](H& h) { h.cluster.bytes[0] ^= 1; })),
            DescriptionError::kOtherCluster);
  EXPECT_EQ(refusal(with_header([](H& h) { h.number.generation = wire::Generation(1); })),
            DescriptionError::kTooFewSignatures);  // of organisations (recovery_test.cc)
  EXPECT_EQ(refusal(with_header([](H& h) { h.number.epoch = wire::Epoch(1); })),
            DescriptionError::kNotNewer);
  EXPECT_EQ(refusal(with_header([](H& h) { h.number.epoch = wire::Epoch(3); })),
            DescriptionError::kGap);
  EXPECT_EQ(refusal(with_header([](H& h) { h.previous.bytes[31] ^= 1; })),
            DescriptionError::kOtherHistory);
  EXPECT_EQ(refusal(with_header([](H& h) { h.body.bytes[0] ^= 1; })),
            DescriptionError::kBodyMismatch);
  for (const auto& change : std::vector<std::function<void(H&)>>{
           [](H& h) { h.members_root.bytes[0] ^= 1; },
           [](H& h) { h.seats.clear(); },
           [](H& h) { h.seats.resize(2); },
           [](H& h) { h.seats[0].node.bytes[0] ^= 1; },
           [](H& h) { h.seats[0] = h.seats[1]; },
           [](H& h) { h.start = Timestamp(999); },
           [](H& h) { h.end = h.start; },
       }) {
    EXPECT_EQ(refusal(with_header(change)), DescriptionError::kImpossible);
  }
}

TEST_F(DescriptionTest, FewerThanAQuorumOfSignatures_AreRefused) {
  const auto good = *SignedDescription::decode(made());
  auto changed = good;
  changed.signatures.erase(changed.signatures.begin());
  EXPECT_EQ(refusal(changed.encode()), std::nullopt);  // three of four: 2F+1
  changed.signatures.pop_back();
  EXPECT_EQ(refusal(changed.encode()), DescriptionError::kTooFewSignatures);

  changed = good;
  changed.signatures[0].signature.bytes[0] ^= 1;  // spoilt on the way; three are left
  EXPECT_EQ(refusal(changed.encode()), std::nullopt);
  changed.signatures[1].signature = changed.signatures[2].signature;
  EXPECT_EQ(refusal(changed.encode()), DescriptionError::kTooFewSignatures);

  changed = good;
  changed.signatures.resize(3);
  changed.signatures[2].seat = 4;  // a seat that does not exist
  EXPECT_EQ(refusal(changed.encode()), DescriptionError::kTooFewSignatures);
  changed.signatures[2] = changed.signatures[1];  // one seat twice
  EXPECT_EQ(refusal(changed.encode()), DescriptionError::kMalformed);
}

TEST_F(DescriptionTest, SignaturesOfAnotherKind_DoNotCount) {
  auto description = *SignedDescription::decode(made());
  for (std::size_t i = 0; i < 4; ++i) {
    description.signatures[i].signature =
        cluster.scheme.sign(cluster.epoch_keys[i].key, Genesis::kTag, description.header);
  }
  EXPECT_EQ(refusal(description.encode()), DescriptionError::kTooFewSignatures);
}

TEST_F(DescriptionTest, QuorumIsTheOneOfTheCurrentSettings) {
  // The description claims F = 0; one member alone must not be able to bring that about.
  next.body.settings.service_faults = 0;
  next.service.resize(1);
  const Bytes by_one =
      make_description(*current, next, std::span(cluster.epoch_keys).first(1), cluster.scheme);
  EXPECT_EQ(refusal(by_one), DescriptionError::kTooFewSignatures);
  EXPECT_EQ(refusal(), std::nullopt);
}

TEST_F(DescriptionTest, BodyExchangedAfterSigning_IsRefused) {
  auto description = *SignedDescription::decode(made());
  nodes[0].address = "6.6.6.6:6";
  description.body = planned().body.encode();
  EXPECT_EQ(refusal(description.encode()), DescriptionError::kBodyMismatch);
}

TEST_F(DescriptionTest, MemberThatWouldMoveOnTheRing_IsRefused) {
  nodes[3].admission_randomness.bytes[0] ^= 1;
  EXPECT_EQ(refusal(), DescriptionError::kImpossible);
}

/// Suppose the one that takes the place of who goes took its seat too.
TEST_F(DescriptionTest, ASeatOfWhoGoes_IsRefused) {
  const Node stranger = TestCluster::node(9, 0);
  const auto without = [&](std::size_t place) {
    nodes = current->nodes().to_vector();
    nodes.erase(nodes.begin() + static_cast<std::ptrdiff_t>(place));
    next.service[3].node = current->nodes()[7].key;
  };
  without(1);
  EXPECT_EQ(refusal(), std::nullopt);
  without(0);  // who has a seat; the last moves into its place
  EXPECT_EQ(refusal(), DescriptionError::kImpossible);
  nodes.push_back(stranger);  // or somebody who comes takes it
  EXPECT_EQ(refusal(), DescriptionError::kImpossible);
  without(7);  // nobody takes it
  EXPECT_EQ(refusal(), DescriptionError::kImpossible);
  without(1);
  const auto made_so = apply(*current, made(), cluster.scheme);
  ASSERT_TRUE(made_so.has_value());
  EXPECT_EQ(seats_of(**made_so), next.service);  // the last has moved, and keeps its seat
}

/// Seven seats are possible at F = 2 and at F = 3.
TEST_F(DescriptionTest, HeaderAndBodySayTheSameF) {
  next.body.settings.service_faults = 2;
  next.service.clear();
  for (std::size_t i = 0; i < 7; ++i) {
    next.service.push_back({.node = nodes[i].key,
                            .epoch_key = test_key("2/" + std::to_string(i)).public_key(),
                            .commitment = {}});
  }
  EXPECT_EQ(refusal(), std::nullopt);
  EXPECT_EQ(refusal(with_header([](DescriptionHeader& h) { h.service_faults = 3; })),
            DescriptionError::kImpossible);
}

TEST_F(DescriptionTest, ExposedSeatsAreAllowed_WhileAQuorumIsLeft) {
  nodes.resize(6);  // the fourth organisation has no node left
  next.service.resize(3);
  const auto after = apply(*current, made(), cluster.scheme);
  ASSERT_TRUE(after.has_value()) << text_of(after.error());
  EXPECT_EQ((*after)->filled_seats(), 3U);
  EXPECT_EQ((*after)->group({}).size(), 3U);
  // Two of four seats: nothing could be written. The service alone would be possible.
  nodes.resize(4);
  next.body.settings.service_faults = 0;
  next.service.resize(1);
  EXPECT_EQ(refusal(), DescriptionError::kImpossible);
  nodes = current->nodes().to_vector();
  EXPECT_EQ(refusal(), std::nullopt);
}

TEST_F(DescriptionTest, ConfigurationWithoutService_IsFollowedByNothing) {
  const auto alone = Configuration::make({.cluster = current->cluster(),
                                          .number = current->number(),
                                          .start = current->start(),
                                          .settings = current->settings(),
                                          .organisations = current->organisations(),
                                          .nodes = current->nodes().to_vector(),
                                          .header_hash = current->header_hash()});
  ASSERT_TRUE(alone.has_value());
  EXPECT_EQ(apply(**alone, made(), cluster.scheme).error(), DescriptionError::kTooFewSignatures);
}

// ---- What a body says ----

/// Encoded by hand: what decode() refuses is nothing that encode() makes.
Bytes body_of(const NextEpoch& next, const std::vector<wire::NodeKey>& removed,
              const std::vector<Node>& changed, const std::vector<Node>& added) {
  wire::Writer out;
  out.u8(4);
  write(out, next.body.settings);
  write(out, next.body.organisations);
  out.u16(static_cast<std::uint16_t>(removed.size()));
  for (const wire::NodeKey& key : removed) out.raw(key.view());
  for (const auto& nodes : {changed, added}) {
    out.u16(static_cast<std::uint16_t>(nodes.size()));
    for (const Node& node : nodes) write_admitted(out, node);
  }
  return out.take();
}

TEST_F(DescriptionTest, ABodySaysOnlyWhatChanges) {
  const Bytes nothing = planned().body.encode();
  const std::size_t size_of_nothing = nothing.size();
  nodes.erase(nodes.begin());
  EXPECT_EQ(planned().body.encode().size(), size_of_nothing + 32);
  EXPECT_EQ(nothing, body_of(next, {}, {}, {}));
}

TEST_F(DescriptionTest, ABodyHasOneEncoding) {
  std::vector<Node> some = nodes;
  std::ranges::sort(some, {}, &Node::key);
  std::vector<Node> none;
  const auto is_read = [&](const std::vector<wire::NodeKey>& removed,
                           const std::vector<Node>& changed, const std::vector<Node>& added) {
    const Bytes bytes = body_of(next, removed, changed, added);
    const auto body = DescriptionBody::decode(bytes);
    if (body) {
      EXPECT_EQ(body->encode(), bytes);
    }
    return body.has_value();
  };
  EXPECT_TRUE(is_read({some[0].key, some[1].key}, {some[2], some[3]}, {some[4], some[5]}));
  EXPECT_FALSE(is_read({some[1].key, some[0].key}, {}, {}));
  EXPECT_FALSE(is_read({some[0].key, some[0].key}, {}, {}));
  EXPECT_FALSE(is_read({}, {some[3], some[2]}, {}));
  EXPECT_FALSE(is_read({}, {some[2], some[2]}, {}));
  EXPECT_FALSE(is_read({}, {}, {some[5], some[4]}));
  EXPECT_FALSE(is_read({}, {}, {some[4], some[4]}));
  Bytes bytes = body_of(next, {}, {}, {});
  EXPECT_TRUE(DescriptionBody::decode(bytes).has_value());
  bytes.push_back(0);
  EXPECT_FALSE(DescriptionBody::decode(bytes).has_value());
  // 1 to 3 listed all nodes; 5 says what led to a generation.
  for (const int layout : {0, 1, 2, 3, 5, 6}) {
    bytes = body_of(next, {}, {}, {});
    bytes[0] = static_cast<std::uint8_t>(layout);
    EXPECT_FALSE(DescriptionBody::decode(bytes).has_value()) << layout;
  }
}

TEST_F(DescriptionTest, ABodyHasLimits) {
  std::vector<Node> many(kPlacedNodesMax + 1, TestCluster::node(0, 0));
  std::vector<wire::NodeKey> keys(kRemovedNodesMax + 1);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    keys[i].bytes[0] = static_cast<std::uint8_t>(i >> 8);
    keys[i].bytes[1] = static_cast<std::uint8_t>(i);
    if (i < many.size()) many[i].key = keys[i];
  }
  const auto first = [](const auto& of, std::size_t count) {
    return std::vector(of.begin(), of.begin() + static_cast<std::ptrdiff_t>(count));
  };
  const auto is_read = [&](std::size_t removed, std::size_t changed, std::size_t added) {
    return DescriptionBody::decode(
               body_of(next, first(keys, removed), first(many, changed), first(many, added)))
        .has_value();
  };
  EXPECT_TRUE(is_read(kRemovedNodesMax, kPlacedNodesMax, 0));
  EXPECT_TRUE(is_read(0, 0, kPlacedNodesMax));
  EXPECT_FALSE(is_read(kRemovedNodesMax + 1, 0, 0));
  EXPECT_FALSE(is_read(0, kPlacedNodesMax + 1, 0));
  EXPECT_FALSE(is_read(0, 0, kPlacedNodesMax + 1));
  EXPECT_FALSE(is_read(0, 1, kPlacedNodesMax));
}

TEST_F(DescriptionTest, TheLongestDescriptionFitsAMessage) {
  const auto longest = [](Node node) {
    node.name = std::string(wire::kNameSizeMax, 'n');
    node.address = std::string(kAddressSizeMax, 'a');
    return node;
  };
  DescriptionBody body;
  for (std::size_t i = 0; i < kOrganisationsMax; ++i)
    body.organisations.push_back({.name = std::string(wire::kNameSizeMax, 'o')});
  for (std::size_t i = 0; i < kRemovedNodesMax; ++i)
    body.nodes.removed.insert(test_key(std::to_string(i)).public_key());
  for (std::size_t i = 0; i < kPlacedNodesMax; ++i) {
    const Node node = longest(TestCluster::node(static_cast<std::uint32_t>(i), 0));
    body.nodes.added.emplace(node.key, node);
  }
  SignedDescription description{.body = body.encode()};
  DescriptionHeader header;
  header.seats.resize(kSeatsMax);
  description.header = header.encode();
  description.signatures.resize(kSignaturesMax);
  for (std::size_t i = 0; i < kSignaturesMax; ++i)
    description.signatures[i].seat = static_cast<std::uint16_t>(i);
  const Bytes bytes = description.encode();
  EXPECT_LE(bytes.size(), wire::kDescriptionSizeMax);
  EXPECT_TRUE(SignedDescription::decode(bytes).has_value());
}

// The root is that of what is left when each such change is passed over: nothing but the rule
// refuses it.
TEST_F(DescriptionTest, ChangesThatAreNone_AreRefused) {
  using B = DescriptionBody;
  const Node stranger = TestCluster::node(9, 3);
  const Node member = nodes[3];
  Node moved = member;
  moved.address = "elsewhere:1";
  EXPECT_EQ(refusal(with_body([](B&) {})), std::nullopt);
  const std::map<std::string, std::function<void(B&)>> changes{
      {"removes who is not there", [&](B& b) { b.nodes.removed.insert(stranger.key); }},
      {"changes who is not there", [&](B& b) { b.nodes.changed.emplace(stranger.key, stranger); }},
      {"changes nothing", [&](B& b) { b.nodes.changed.emplace(member.key, member); }},
      {"adds who is there", [&](B& b) { b.nodes.added.emplace(member.key, member); }},
      {"removes and adds",
       [&](B& b) {
         b.nodes.removed.insert(member.key);
         b.nodes.added.emplace(member.key, member);
       }},
  };
  for (const auto& [what, change] : changes) {
    EXPECT_EQ(refusal(with_body(change)), DescriptionError::kImpossible) << what;
  }
  nodes.erase(nodes.begin() + 3);
  EXPECT_EQ(refusal(with_body([](B&) {})), std::nullopt);
  EXPECT_EQ(refusal(with_body([&](B& b) { b.nodes.changed.emplace(member.key, moved); })),
            DescriptionError::kImpossible);
}

TEST_F(DescriptionTest, WhatTheBodyMakesHasTheRootOfTheHeader) {
  nodes[3].address = "elsewhere:1";
  EXPECT_EQ(refusal(with_body([](DescriptionBody&) {})), std::nullopt);
  EXPECT_EQ(refusal(with_body([&](DescriptionBody& body) {
              body.nodes.changed.at(nodes[3].key).address = "elsewhere:2";
            })),
            DescriptionError::kImpossible);
}

TEST_F(DescriptionTest, DamagedBytes_NeverCrash_AndNeverMakeAnotherConfiguration) {
  nodes.erase(nodes.begin() + 1);
  nodes[5].address = "elsewhere:1";
  nodes.push_back(TestCluster::node(9, 3));
  const Bytes bytes = made();
  const auto expected_nodes = (*apply(*current, bytes, cluster.scheme))->nodes().to_vector();
  Random random(1);
  const auto expected = DescriptionHeader::decode(SignedDescription::decode(bytes)->header);
  for (int i = 0; i < 3000; ++i) {
    Bytes changed = bytes;
    changed[random.below(changed.size())] = static_cast<std::uint8_t>(random.next());
    if (random.chance(1, 4)) changed.resize(random.below(changed.size()));
    if (const auto decoded = SignedDescription::decode(changed)) {
      EXPECT_EQ(decoded->encode(), changed);
      if (const auto body = DescriptionBody::decode(decoded->body)) {
        EXPECT_EQ(body->encode(), decoded->body);
      }
      if (const auto header = DescriptionHeader::decode(decoded->header)) {
        EXPECT_EQ(header->encode(), decoded->header);
      }
    }
    // Only a spoilt signature is borne.
    if (const auto made = apply(*current, changed, cluster.scheme)) {
      EXPECT_EQ((*made)->nodes(), expected_nodes);
      EXPECT_EQ((*made)->randomness(), expected->randomness);
    }
  }
}

TEST(DescriptionLayout, LargestHeaderFitsItsBound) {
  DescriptionHeader header;
  header.seats.resize(kSeatsMax);
  EXPECT_EQ(header.encode().size(), kDescriptionHeaderSizeMax);
}

}  // namespace
}  // namespace rosebud::membership
