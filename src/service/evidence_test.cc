// Evidence against members: it names whose seat it was, and convinces nobody when a byte of it is
// another one.
#include "service/evidence.h"

#include <gtest/gtest.h>

#include "membership/test_chain.h"
#include "service/instance.h"

namespace rosebud::service {
namespace {

class MemberEvidenceTest : public testing::Test {
 protected:
  /// A commit of a seat of `in`, signed with its epoch key.
  pbft::Vote vote(const membership::Configuration& in, const crypto::SecretKey& key,
                  std::uint16_t seat, std::uint8_t digest) const {
    pbft::Vote out{.kind = pbft::VoteKind::kCommit,
                   .view = pbft::View(2),
                   .number = pbft::SequenceNumber(7),
                   .replica = pbft::ReplicaId(seat),
                   .counter = pbft::VoteCounter(digest)};
    out.digest.bytes[0] = digest;
    out.signature = scheme.sign(key, pbft::Vote::kTag, out.statement(instance_of(in)));
    return out;
  }
  MemberEvidence against(std::uint16_t seat) const {
    const auto& key = chain.keys()[seat].key;
    return MemberEvidence::of(now(), {vote(now(), key, seat, 1), vote(now(), key, seat, 2)});
  }
  const membership::Configuration& now() const { return *chain.tip(); }

  const crypto::SignatureScheme& scheme = crypto::ed25519();
  membership::TestChain chain{scheme};
};

TEST_F(MemberEvidenceTest, TwoVotesThatContradict_NameTheMemberAndConvince) {
  chain.next();
  const MemberEvidence evidence = against(2);
  EXPECT_EQ(evidence.name, "node4");  // the service has the first node of each organisation
  EXPECT_EQ(evidence.organisation, "org2");
  EXPECT_EQ(evidence.number, now().number());
  const auto again = MemberEvidence::decode(evidence.encode());
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, evidence);
  EXPECT_TRUE(verify(*again, now(), scheme));
}

TEST_F(MemberEvidenceTest, AnyOtherByte_ProvesNothing) {
  const Bytes right = against(1).encode();
  for (std::size_t at = 0; at < right.size(); ++at) {
    Bytes wrong = right;
    wrong[at] ^= 1;
    const auto decoded = MemberEvidence::decode(wrong);
    EXPECT_FALSE(decoded && verify(*decoded, now(), scheme)) << "byte " << at;
  }
  EXPECT_FALSE(MemberEvidence::decode(ByteView(right).first(right.size() - 1)));
  Bytes longer = right;
  longer.push_back(0);
  EXPECT_FALSE(MemberEvidence::decode(longer));
}

TEST_F(MemberEvidenceTest, AnotherEpoch_ProvesNothing) {
  const MemberEvidence evidence = against(1);
  const auto before = chain.tip();
  chain.next();
  EXPECT_FALSE(verify(evidence, now(), scheme));
  // Nor does it when it says that it is of that one: the votes are bound to theirs.
  MemberEvidence moved = evidence;
  moved.number = now().number();
  EXPECT_FALSE(verify(moved, now(), scheme));
  EXPECT_TRUE(verify(evidence, *before, scheme));
}

TEST_F(MemberEvidenceTest, AnotherNode_IsNotBlamed) {
  MemberEvidence evidence = against(1);
  const auto& others = now().nodes();
  evidence.node = others[0].key;  // has a seat, another one
  EXPECT_FALSE(verify(evidence, now(), scheme));
  evidence.node = others[1].key;  // has none
  EXPECT_FALSE(verify(evidence, now(), scheme));
}

TEST_F(MemberEvidenceTest, WhatACorrectMemberSigns_ProvesNothing) {
  const auto& key = chain.keys()[0].key;
  const auto one = vote(now(), key, 0, 1);
  EXPECT_FALSE(verify(MemberEvidence::of(now(), {one, one}), now(), scheme));
  auto later = vote(now(), key, 0, 2);
  later.number = later.number.next();
  later.signature = scheme.sign(key, pbft::Vote::kTag, later.statement(instance_of(now())));
  EXPECT_FALSE(verify(MemberEvidence::of(now(), {one, later}), now(), scheme));
}

}  // namespace
}  // namespace rosebud::service
