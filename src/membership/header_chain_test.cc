#include "membership/header_chain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/parallel.h"
#include "base/random.h"
#include "membership/full_members.h"
#include "membership/test_chain.h"

namespace rosebud::membership {
namespace {

using enum DescriptionError;

/// Epochs 2 to 7, so headers[i] is that of epoch i + 2.
class HeaderChainTest : public testing::Test {
 protected:
  static constexpr std::size_t kCount = 6;

  HeaderChainTest() {
    genesis = chain.tip();
    keys.push_back(chain.keys());
    for (std::size_t i = 0; i < kCount; ++i) {
      descriptions.push_back(chain.next());
      headers.push_back(without_body(descriptions.back()));
      keys.push_back(chain.keys());
    }
  }

  HeaderChain::Appended append(const std::vector<SignedHeader>& given) const {
    return HeaderChain(*genesis).append(given, chain.cluster.scheme);
  }

  /// headers[index] with a change, and signed as before: what somebody without keys can do.
  SignedHeader changed(std::size_t index,
                       const std::function<void(DescriptionHeader&)>& change) const {
    SignedHeader out = headers[index];
    auto header = *DescriptionHeader::decode(out.header);
    change(header);
    out.header = header.encode();
    return out;
  }
  /// The same, signed anew with the given keys.
  SignedHeader signed_by(std::span<const SeatKey> signers, std::size_t index,
                         const std::function<void(DescriptionHeader&)>& change) const {
    SignedHeader out = changed(index, change);
    out.signatures.clear();
    for (const SeatKey& one : signers) {
      out.signatures.push_back(
          {.seat = one.seat,
           .signature = chain.cluster.scheme.sign(one.key, DescriptionHeader::kTag, out.header)});
    }
    return out;
  }
  /// Signed by the service that has to.
  SignedHeader resigned(std::size_t index,
                        const std::function<void(DescriptionHeader&)>& change) const {
    return signed_by(keys[index], index, change);
  }

  void expect_refused(const std::string& what, const std::vector<SignedHeader>& given,
                      std::size_t at, DescriptionError error) const {
    SCOPED_TRACE(what);
    HeaderChain fresh(*genesis);
    const auto appended = fresh.append(given, chain.cluster.scheme);
    ASSERT_TRUE(appended.problem.has_value());
    EXPECT_EQ(text_of(*appended.problem), text_of(error));
    EXPECT_EQ(appended.headers.size(), at);
    // It stands where the last good one left it, and goes on from there.
    EXPECT_EQ(fresh.tip().number.epoch, wire::Epoch(at + 1));
    EXPECT_FALSE(
        fresh.append(std::span(headers).subspan(at), chain.cluster.scheme).problem.has_value());
  }
  void expect_refused(const std::string& what, std::size_t at, SignedHeader instead,
                      DescriptionError error) const {
    auto given = headers;
    given[at] = std::move(instead);
    expect_refused(what, given, at, error);
  }

  TestChain chain;
  std::shared_ptr<const Configuration> genesis;
  std::vector<SignedDescription> descriptions;
  std::vector<SignedHeader> headers;
  std::vector<std::vector<SeatKey>> keys;  // keys[i] sign headers[i]
};

using H = DescriptionHeader;

TEST_F(HeaderChainTest, HeadersAlone_LeadFromTheGenesisToTheLastEpoch) {
  HeaderChain whole(*genesis);
  const auto appended = whole.append(headers, chain.cluster.scheme);
  EXPECT_EQ(appended.problem, std::nullopt);
  ASSERT_EQ(appended.headers.size(), kCount);
  EXPECT_EQ(whole.tip().header_hash, chain.tip()->header_hash());
  EXPECT_EQ(whole.tip().number, chain.tip()->number());
  EXPECT_EQ(whole.tip().end, chain.tip()->end());
  for (std::size_t i = 0; i < kCount; ++i) {
    EXPECT_EQ(appended.headers[i].encode(), headers[i].header);
  }
}

TEST_F(HeaderChainTest, HowItIsHandedOver_MakesNoDifference) {
  HeaderChain one_by_one(*genesis);
  for (const SignedHeader& header : headers) {
    EXPECT_EQ(one_by_one.append(std::span(&header, 1), chain.cluster.scheme).problem, std::nullopt);
  }
  EXPECT_EQ(one_by_one.tip().header_hash, chain.tip()->header_hash());
  HeaderChain threads(*genesis);
  EXPECT_EQ(threads.append(headers, chain.cluster.scheme, for_each_in_parallel).problem,
            std::nullopt);
  EXPECT_EQ(threads.tip().header_hash, chain.tip()->header_hash());
  EXPECT_EQ(threads.append({}, chain.cluster.scheme).problem, std::nullopt);
}

TEST_F(HeaderChainTest, MayStartAtAnyVerifiedConfiguration) {
  auto third = apply(*genesis, descriptions[0].encode(), chain.cluster.scheme);
  third = apply(**third, descriptions[1].encode(), chain.cluster.scheme);
  HeaderChain later(**third);
  EXPECT_EQ(later.append(std::span(headers).subspan(2), chain.cluster.scheme).problem,
            std::nullopt);
  EXPECT_EQ(later.tip().header_hash, chain.tip()->header_hash());
}

TEST_F(HeaderChainTest, EveryFieldChangedWithoutKeys_IsRefused) {
  expect_refused("cluster", 3, changed(3, [](H& h) { h.cluster.bytes[0] ^= 1; }), kOtherCluster);
  expect_refused("generation", 3,
                 changed(3, [](H& h) { h.number.generation = wire::Generation(1); }),
                 kOtherGeneration);  // recovery_test.cc has the rest
  expect_refused("epoch before", 3,
                 changed(3, [](H& h) { h.number.epoch = wire::Epoch(h.number.epoch.value - 1); }),
                 kNotNewer);
  expect_refused("epoch after", 3, changed(3, [](H& h) { h.number.epoch = h.number.epoch.next(); }),
                 kGap);
  expect_refused("epoch 0", 3, changed(3, [](H& h) { h.number.epoch = wire::Epoch(0); }),
                 kNotNewer);
  expect_refused("last epoch of all", 3,
                 changed(3, [](H& h) { h.number.epoch = wire::Epoch(~std::uint64_t{0}); }), kGap);
  expect_refused("previous", 3, changed(3, [](H& h) { h.previous.bytes[31] ^= 1; }), kOtherHistory);
  for (const auto& [what, change] : std::vector<std::pair<std::string, std::function<void(H&)>>>{
           {"start", [](H& h) { h.start = h.start.next(); }},
           {"end", [](H& h) { h.end = h.end.next(); }},
           {"no end", [](H& h) { h.end = Timestamp(); }},
           {"members root", [](H& h) { h.members_root.bytes[0] ^= 1; }},
           {"state", [](H& h) { h.state.bytes[0] ^= 1; }},
           {"body", [](H& h) { h.body.bytes[0] ^= 1; }},
           {"randomness", [](H& h) { h.randomness.bytes[0] ^= 1; }},
           {"F", [](H& h) { h.service_faults = 0; }},
           {"a seat's node", [](H& h) { h.seats[2].node.bytes[0] ^= 1; }},
           {"a seat's epoch key", [](H& h) { h.seats[2].epoch_key.bytes[0] ^= 1; }},
           {"a seat's commitment", [](H& h) { h.seats[2].commitment.bytes[0] ^= 1; }},
           {"a seat less", [](H& h) { h.seats.pop_back(); }},
           {"seats exchanged", [](H& h) { std::swap(h.seats[0], h.seats[1]); }},
       }) {
    expect_refused(what, 3, changed(3, change), kTooFewSignatures);
    expect_refused(what + ", of the first", 0, changed(0, change), kTooFewSignatures);
    expect_refused(what + ", of the last", kCount - 1, changed(kCount - 1, change),
                   kTooFewSignatures);
  }
}

TEST_F(HeaderChainTest, SignedByEverybody_AndStillImpossible) {
  for (const auto& [what, change] : std::vector<std::pair<std::string, std::function<void(H&)>>>{
           {"starts before its predecessor", [](H& h) { h.start = Timestamp(1000); }},
           {"ends when it starts", [](H& h) { h.end = h.start; }},
           {"ends before it starts", [](H& h) { h.end = Timestamp(1); }},
           {"no seats", [](H& h) { h.seats.clear(); }},
           {"fewer than 2F+1 seats", [](H& h) { h.seats.resize(2); }},
           {"more than 3F+1 seats",
            [](H& h) {
              h.seats.push_back(h.seats[0]);
              h.seats.back().node.bytes[0] ^= 1;
              h.seats.back().epoch_key.bytes[0] ^= 1;
            }},
           {"F that its seats cannot bear", [](H& h) { h.service_faults = 2; }},
           {"F of 0 with four seats", [](H& h) { h.service_faults = 0; }},
           {"F without bounds", [](H& h) { h.service_faults = ~std::uint32_t{0}; }},
           {"one node in two seats", [](H& h) { h.seats[1].node = h.seats[0].node; }},
           {"one epoch key in two seats",
            [](H& h) { h.seats[1].epoch_key = h.seats[0].epoch_key; }},
           {"a node's key as epoch key", [](H& h) { h.seats[1].epoch_key = h.seats[0].node; }},
       }) {
    expect_refused(what, 3, resigned(3, change), kImpossible);
    // Without signatures it is nobody's fault.
    expect_refused(what + ", unsigned", 3, changed(3, change), kTooFewSignatures);
  }
}

TEST_F(HeaderChainTest, WhatASigningServiceMayDecide_IsAccepted) {
  for (const auto& change : std::vector<std::function<void(H&)>>{
           [](H& h) { h.end = Timestamp(); },
           [](H& h) { h.seats.pop_back(); },  // up to F seats may be vacant
           [](H& h) {
             h.service_faults = 0;
             h.seats.resize(1);
           },
       }) {
    auto given = headers;
    given[3] = resigned(3, change);
    const auto appended = append(given);
    EXPECT_EQ(appended.headers.size(), 4U);
    // Nobody else's epoch 6 follows it: that one names the other header.
    EXPECT_EQ(appended.problem, kOtherHistory);
  }
}

TEST_F(HeaderChainTest, LinksThatAreMissingRepeatedOrOutOfOrder) {
  auto given = headers;
  given.erase(given.begin() + 2);
  expect_refused("left out", given, 2, kGap);
  given = headers;
  given.erase(given.begin());
  expect_refused("without the first", given, 0, kGap);
  given = headers;
  given.insert(given.begin() + 2, given[2]);
  expect_refused("repeated", given, 3, kNotNewer);
  given = headers;
  std::swap(given[2], given[3]);
  expect_refused("exchanged", given, 2, kGap);
  given = headers;
  given.insert(given.begin() + 3, resigned(2, [](H& h) { h.state.bytes[0] ^= 1; }));
  expect_refused("two successors, both signed", given, 3, kNotNewer);
  given = headers;
  given[2] = resigned(2, [](H& h) { h.state.bytes[0] ^= 1; });
  expect_refused("the other successor in its place", {given[0], given[1], headers[3]}, 2, kGap);
  const auto fork = append(given);
  EXPECT_EQ(fork.headers.size(), 3U);
  EXPECT_EQ(fork.problem, kOtherHistory);
}

TEST_F(HeaderChainTest, AnotherCluster_IsRefused) {
  TestCluster other;
  other.genesis.start = Timestamp(1001);
  const auto current = other.first();
  const auto description = SignedDescription::decode(
      make_description(*current, same_again(*current), other.epoch_keys, other.scheme));
  auto given = headers;
  given[0] = without_body(*description);
  expect_refused("first epoch of another cluster", given, 0, kOtherCluster);
}

TEST_F(HeaderChainTest, SignaturesThatAreTooFewOrSomebodyElses) {
  auto header = headers[3];
  header.signatures.resize(2);
  expect_refused("two of four", 3, header, kTooFewSignatures);
  header.signatures.clear();
  expect_refused("none", 3, header, kTooFewSignatures);
  header = headers[3];
  header.signatures.resize(3);
  header.signatures[2] = header.signatures[1];
  expect_refused("one seat twice", 3, header, kTooFewSignatures);
  header.signatures[2].seat = 2;
  expect_refused("one signature in two seats", 3, header, kTooFewSignatures);
  header.signatures[2].seat = 4;
  expect_refused("a seat that there is not", 3, header, kTooFewSignatures);
  header = headers[3];
  for (auto& one : header.signatures) one.seat = static_cast<std::uint16_t>(3 - one.seat);
  std::ranges::reverse(header.signatures);
  expect_refused("seats exchanged", 3, header, kTooFewSignatures);
  header = headers[3];
  header.signatures = headers[2].signatures;
  expect_refused("those of another header", 3, header, kTooFewSignatures);

  const auto nothing = [](H&) {};
  expect_refused("keys of the epoch before", 3, signed_by(keys[2], 3, nothing), kTooFewSignatures);
  expect_refused("keys of its own epoch", 3, signed_by(keys[4], 3, nothing), kTooFewSignatures);
  expect_refused("keys of the genesis", 3, signed_by(keys[0], 3, nothing), kTooFewSignatures);
  expect_refused(
      "not in order of the seats: none counts after the last seat", 3,
      [&] {
        auto out = headers[3];
        std::ranges::reverse(out.signatures);
        return out;
      }(),
      kTooFewSignatures);
  header = headers[3];
  for (std::size_t i = 0; i < 4; ++i) {
    header.signatures[i].signature =
        chain.cluster.scheme.sign(keys[3][i].key, Genesis::kTag, header.header);
  }
  expect_refused("of another kind", 3, header, kTooFewSignatures);
}

TEST_F(HeaderChainTest, SpoiltSignaturesBesideAQuorum_AreBorne) {
  auto given = headers;
  for (std::size_t i = 0; i < kCount; ++i) given[i].signatures[i % 4].signature.bytes[5] ^= 1;
  EXPECT_EQ(append(given).problem, std::nullopt);
  for (std::size_t i = 0; i < kCount; ++i) {
    given[i].signatures.erase(given[i].signatures.begin() + static_cast<std::ptrdiff_t>(i % 4));
  }
  EXPECT_EQ(append(given).problem, std::nullopt);
}

TEST_F(HeaderChainTest, QuorumIsOfTheEpochBefore_WhateverTheHeaderSays) {
  // One liar would like a service of F = 0 with himself alone in it.
  const auto alone = [](H& h) {
    h.service_faults = 0;
    h.seats.resize(1);
  };
  expect_refused("one of four", 3, signed_by(std::span(keys[3]).first(1), 3, alone),
                 kTooFewSignatures);
  expect_refused("two of four", 3, signed_by(std::span(keys[3]).first(2), 3, alone),
                 kTooFewSignatures);
}

TEST_F(HeaderChainTest, BytesThatAreNoHeader_AreRefused) {
  auto header = headers[3];
  header.header.clear();
  expect_refused("nothing", 3, header, kMalformed);
  header = headers[3];
  header.header[0] = 1;
  expect_refused("layout without F", 3, header, kMalformed);
  header = headers[3];
  header.header.push_back(0);
  expect_refused("a byte more", 3, header, kMalformed);
  header.header.resize(header.header.size() - 2);
  expect_refused("a byte less", 3, header, kMalformed);
}

TEST_F(HeaderChainTest, OfTwoProblems_TheFirstIsTold) {
  auto given = headers;
  given[1].signatures.clear();
  given[4].header.clear();
  expect_refused("signatures, then bytes", given, 1, kTooFewSignatures);
  given = headers;
  given[4].signatures.clear();
  given[1].header.clear();
  expect_refused("bytes, then signatures", given, 1, kMalformed);
}

TEST_F(HeaderChainTest, RandomDamage_NeverLeadsElsewhere) {
  Random random(1);
  for (int i = 0; i < 3000; ++i) {
    auto given = headers;
    const std::size_t at = random.below(kCount);
    Bytes bytes = given[at].encode();
    bytes[random.below(bytes.size())] = static_cast<std::uint8_t>(random.next());
    const auto decoded = SignedHeader::decode(bytes);
    if (!decoded) continue;
    EXPECT_EQ(decoded->encode(), bytes);
    given[at] = *decoded;
    const auto appended = append(given);
    // Only a spoilt signature is borne.
    EXPECT_EQ(appended.headers.size(), given[at].header == headers[at].header ? kCount : at);
  }
}

// ---- A body for a header of the chain ----

TEST_F(HeaderChainTest, HeadersAndAllMembers_MakeTheConfigurationThatAllBodiesMake) {
  const auto appended = append(headers);
  const auto made = configuration_of(appended.headers.back(), FullMembers::of(*chain.tip()));
  ASSERT_TRUE(made.has_value()) << text_of(made.error());
  EXPECT_EQ((*made)->header_hash(), chain.tip()->header_hash());
  EXPECT_EQ((*made)->root(), chain.tip()->root());
  EXPECT_EQ((*made)->nodes(), chain.tip()->nodes());
  EXPECT_EQ((*made)->service(), chain.tip()->service());
  EXPECT_EQ((*made)->service_state(), chain.tip()->service_state());
  EXPECT_TRUE(keeps_positions(*genesis, **made));
}

TEST_F(HeaderChainTest, MembersThatAreNotThoseOfTheHeader_AreRefused) {
  const auto appended = append(headers);
  const FullMembers good = FullMembers::of(*chain.tip());
  for (const auto& change : std::vector<std::function<void(FullMembers&)>>{
           [](FullMembers& all) { all.nodes[1].address = "6.6.6.6:6"; },
           [](FullMembers& all) { all.nodes.pop_back(); },
           [](FullMembers& all) { all.nodes.erase(all.nodes.begin()); },  // a seat's
           [](FullMembers& all) { all.organisations[0].quota_bytes += 1; },
           [](FullMembers& all) { all.settings.service_faults = 0; },
       }) {
    auto members = good;
    change(members);
    const auto made = configuration_of(appended.headers.back(), std::move(members));
    ASSERT_FALSE(made.has_value());
    EXPECT_EQ(made.error(), kImpossible);
  }
}

TEST_F(HeaderChainTest, BodyThatTheHeaderDoesNotName_IsRefused) {
  const auto appended = append(headers);
  auto description = descriptions.front();
  auto body = *DescriptionBody::decode(description.body);
  body.nodes.remove(*genesis, genesis->nodes()[1].key);
  description.body = body.encode();
  EXPECT_EQ(configuration_of(appended.headers.front(), description, *genesis).error(),
            kBodyMismatch);
  description.body.clear();
  EXPECT_EQ(configuration_of(appended.headers.front(), description, *genesis).error(),
            kBodyMismatch);
}

TEST_F(HeaderChainTest, HeaderAndBodyThatContradictEachOther_AreRefused) {
  // All of these are signed: the chain of headers goes on, apply() and configuration_of() do not.
  const auto fifth = apply(*genesis, descriptions[0].encode(), chain.cluster.scheme);
  ASSERT_TRUE(fifth.has_value());
  for (const auto& [what, change] : std::vector<std::pair<std::string, std::function<void(H&)>>>{
           {"root", [](H& h) { h.members_root.bytes[0] ^= 1; }},
           {"F",
            [](H& h) {
              h.service_faults = 0;
              h.seats.resize(1);
            }},
           {"a seat that is no node", [](H& h) { h.seats[0].node.bytes[0] ^= 1; }},
       }) {
    SCOPED_TRACE(what);
    auto given = headers;
    given[1] = resigned(1, change);
    const auto appended = append(given);
    ASSERT_EQ(appended.headers.size(), 2U);
    const SignedDescription description{
        .header = given[1].header, .body = descriptions[1].body, .signatures = given[1].signatures};
    EXPECT_EQ(configuration_of(appended.headers[1], description, **fifth).error(), kImpossible);
    EXPECT_EQ(apply(**fifth, description.encode(), chain.cluster.scheme).error(), kImpossible);
  }
}

TEST_F(HeaderChainTest, ApplyAndTheChain_AgreeOnEveryHeader) {
  // The same bytes, once as a header and once with their body.
  const auto second = *apply(*genesis, descriptions[0].encode(), chain.cluster.scheme);
  Random random(2);
  for (int i = 0; i < 1000; ++i) {
    SignedHeader header = headers[1];
    Bytes& bytes = header.header;
    bytes[random.below(bytes.size())] = static_cast<std::uint8_t>(random.next());
    if (random.chance(1, 2)) {
      for (std::size_t seat = 0; seat < 4; ++seat) {
        header.signatures[seat].signature =
            chain.cluster.scheme.sign(keys[1][seat].key, DescriptionHeader::kTag, bytes);
      }
    }
    const auto alone =
        HeaderChain(*second).append(std::span(&header, 1), chain.cluster.scheme).problem;
    const auto applied = apply(
        *second,
        SignedDescription{
            .header = header.header, .body = descriptions[1].body, .signatures = header.signatures}
            .encode(),
        chain.cluster.scheme);
    if (alone) {
      ASSERT_FALSE(applied.has_value());
      EXPECT_EQ(text_of(applied.error()), text_of(*alone));
    } else if (!applied) {
      EXPECT_THAT(applied.error(), testing::AnyOf(kBodyMismatch, kImpossible));
    }
  }
}

TEST(SignedHeaderLayout, LargestFitsItsBound) {
  DescriptionHeader header;
  header.seats.resize(kSeatsMax);
  SignedHeader signed_header{.header = header.encode(), .signatures = {}};
  for (std::size_t i = 0; i < kSignaturesMax; ++i) {
    signed_header.signatures.push_back({.seat = static_cast<std::uint16_t>(i), .signature = {}});
  }
  EXPECT_EQ(signed_header.encode().size(), kSignedHeaderSizeMax);
  EXPECT_EQ(SignedHeader::decode(signed_header.encode()), signed_header);
}

}  // namespace
}  // namespace rosebud::membership
