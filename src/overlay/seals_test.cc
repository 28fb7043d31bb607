// Sealed datagrams: what opens, what does not, and what an address without proof gets.
#include "overlay/seals.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace rosebud::overlay {
namespace {

using routing::Address;
using routing::Now;
using routing::PeerIndex;

crypto::SecretKey key_of(std::size_t peer) {
  const crypto::Digest seed = crypto::Hasher("peer").update_u64(peer).finish();
  return crypto::SecretKey::from_seed(*FixedBytes<32, struct crypto::SeedTag>::from(seed.view()));
}
Address address_of(std::uint8_t host) {
  Address out;
  out.ip[15] = host;
  out.port = 4000;
  return out;
}

constexpr std::uint32_t kPeers = 400;

/// In the order of positions peer i has key i and address i.
std::shared_ptr<const routing::Roster> roster() {
  static const auto out = [] {
    std::vector<routing::Member> members;
    for (std::uint32_t i = 0; i < kPeers; ++i) {
      members.push_back(
          {i * 1000, key_of(i).public_key(), address_of(static_cast<std::uint8_t>(i))});
    }
    return std::make_shared<const routing::Roster>(std::move(members));
  }();
  return out;
}

struct SealsTest : testing::Test {
  const crypto::Digest configuration{{7}};
  Now now{Instant(std::chrono::seconds(5)), std::chrono::hours(500'000)};
  std::vector<Outgoing> out;

  Seals seals_of(std::uint32_t peer, const crypto::Digest& of) {
    return {roster(), PeerIndex(peer), key_of(peer), crypto::model_scheme(), of, peer, now};
  }
  Seals a = seals_of(1, configuration);
  Seals b = seals_of(2, configuration);
  const Address at_a = address_of(1);
  const Address at_b = address_of(2);

  void pass(Duration time) {
    now.time += time;
    now.wall += time;
  }
  std::vector<Outgoing> send(Seals& from, std::uint32_t to, std::size_t size = 5) {
    out.clear();
    from.send(now, PeerIndex(to), address_of(static_cast<std::uint8_t>(to)), Bytes(size, 1), out);
    return out;
  }
  std::optional<Opened> open(Seals& at, const Address& from, ByteView datagram) {
    out.clear();
    return at.open(now, from, datagram, out);
  }
  /// Hands everything to and fro till nothing is under way. Returns the sizes that were opened at
  /// b.
  std::vector<std::size_t> exchange(std::vector<Outgoing> at_first) {
    std::vector<std::size_t> opened;
    std::vector<Outgoing> under_way = std::move(at_first);
    while (!under_way.empty()) {
      std::vector<Outgoing> next;
      for (const Outgoing& one : under_way) {
        Seals& to = one.to == at_b ? b : a;
        if (auto got = to.open(now, one.to == at_b ? at_a : at_b, one.datagram, next)) {
          if (&to == &b) opened.push_back(got->message.size());
        }
      }
      under_way = std::move(next);
    }
    return opened;
  }
};

TEST_F(SealsTest, TheFirstDatagramNeedsNoHandshake) {
  const auto sent = send(a, 2);
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].to, at_b);
  EXPECT_EQ(sent[0].datagram.size(), kSealSize + 5);
  const auto opened = open(b, at_a, sent[0].datagram);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->from, PeerIndex(1));
  EXPECT_EQ(opened->message, Bytes(5, 1));
}

TEST_F(SealsTest, WhatWasChangedOrMeantForAnotherDoesNotOpen) {
  const Bytes sealed = send(a, 2)[0].datagram;
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    Bytes changed = sealed;
    changed[i] ^= 1;
    EXPECT_FALSE(open(b, at_a, changed)) << i;
    EXPECT_FALSE(open(b, at_a, ByteView(sealed).first(i))) << i;
  }
  Seals c = seals_of(3, configuration);
  EXPECT_FALSE(open(c, at_a, sealed));
  EXPECT_FALSE(open(a, at_b, sealed));  // its own
  Seals later = seals_of(2, crypto::Digest{{8}});
  EXPECT_FALSE(open(later, at_a, sealed));
  EXPECT_EQ(b.link_count(), 0U);  // nobody has shown a key
  EXPECT_TRUE(open(b, at_a, sealed));
}

TEST_F(SealsTest, EachOpensOnceInWhateverOrder) {
  exchange(send(a, 2, 1000));  // so that all may go
  std::vector<Bytes> sealed;
  for (int i = 0; i < 80; ++i) sealed.push_back(send(a, 2)[0].datagram);
  EXPECT_TRUE(open(b, at_a, sealed[1]));
  EXPECT_TRUE(open(b, at_a, sealed[0]));
  EXPECT_TRUE(open(b, at_a, sealed[40]));
  EXPECT_TRUE(open(b, at_a, sealed[2]));
  for (const std::size_t i : {0U, 1U, 2U, 40U}) EXPECT_FALSE(open(b, at_a, sealed[i])) << i;
  EXPECT_EQ(b.refusals().repeated, 4U);
  EXPECT_TRUE(open(b, at_a, sealed[79]));
  EXPECT_TRUE(open(b, at_a, sealed[16]));   // 63 behind
  EXPECT_FALSE(open(b, at_a, sealed[15]));  // too far to know
}

TEST_F(SealsTest, OfAnotherTimeNothingOpens) {
  const Bytes sealed = send(a, 2)[0].datagram;
  const Now then = now;
  pass(kFresh + std::chrono::seconds(1));
  EXPECT_FALSE(open(b, at_a, sealed));
  now = then;
  now.wall -= kFresh + std::chrono::seconds(1);
  Seals early = seals_of(2, configuration);  // its clock is behind
  EXPECT_FALSE(open(early, at_a, sealed));
  EXPECT_EQ(b.refusals().stale + early.refusals().stale, 2U);
  now = then;
  pass(kFresh - std::chrono::seconds(1));
  EXPECT_TRUE(open(b, at_a, sealed));
}

TEST_F(SealsTest, WhatAnEarlierLifeMayHaveOpenedDoesNotOpenAgain) {
  const Bytes sealed = send(a, 2)[0].datagram;
  ASSERT_TRUE(open(b, at_a, sealed));
  pass(std::chrono::seconds(1));
  Seals again = seals_of(2, configuration);
  EXPECT_FALSE(open(again, at_a, sealed));
  EXPECT_TRUE(open(again, at_a, send(a, 2)[0].datagram));
}

TEST_F(SealsTest, ALinkThatIsForgottenLetsNothingOpenTwice) {
  const Bytes sealed = send(a, 2)[0].datagram;
  ASSERT_TRUE(open(b, at_a, sealed));
  pass(kLinkIdleMax - std::chrono::seconds(1));
  b.forget_idle(now);
  EXPECT_EQ(b.link_count(), 1U);
  pass(std::chrono::seconds(1));
  b.forget_idle(now);
  EXPECT_EQ(b.link_count(), 0U);
  EXPECT_FALSE(open(b, at_a, sealed));
}

TEST_F(SealsTest, WhatIsLongWaitsForAProofAndComes) {
  EXPECT_EQ(exchange(send(a, 2, 1000)), (std::vector<std::size_t>{1000}));
  EXPECT_EQ(send(a, 2, 1000).size(), 1U);  // proven now
  EXPECT_EQ(out[0].datagram.size(), kSealSize + 1000);
}

TEST_F(SealsTest, ManyShortOnesWaitNoLongerThanAProofTakes) {
  std::size_t came = 0;
  for (int i = 0; i < 40; ++i) came += exchange(send(a, 2, 14)).size();
  EXPECT_EQ(came, 40U);
}

TEST_F(SealsTest, AQuestionThatIsLostIsAskedAgainAfterManyShortOnes) {
  for (int i = 0; i < 40; ++i) send(a, 2, 14);  // lost, the question too
  pass(kProofInterval);
  EXPECT_EQ(exchange(send(a, 2, 14)).size(), 4U);
}

TEST_F(SealsTest, OnlyTheLastFourWait) {
  std::vector<Outgoing> sent;
  for (std::size_t size = 1000; size < 1006; ++size) {
    for (Outgoing& one : send(a, 2, size)) sent.push_back(std::move(one));
  }
  EXPECT_EQ(sent.size(), 1U);  // one question
  EXPECT_EQ(exchange(std::move(sent)), (std::vector<std::size_t>{1002, 1003, 1004, 1005}));
}

TEST_F(SealsTest, AProofThatIsLostIsAskedForAgain) {
  ASSERT_EQ(send(a, 2, 1000).size(), 1U);
  EXPECT_TRUE(send(a, 2, 1000).empty());
  pass(kProofInterval);
  EXPECT_EQ(exchange(send(a, 2, 1000)), (std::vector<std::size_t>{1000, 1000, 1000}));
}

TEST_F(SealsTest, AnAddressThatHasProvenNothingGetsNoMoreThanItSent) {
  const Address victim = address_of(99);
  exchange(send(a, 2, 1000));  // so that all of its own goes
  std::size_t came = 0;
  std::size_t went = 0;
  for (int i = 0; i < 50; ++i) {
    const auto question = send(a, 2, 30);
    for (const Outgoing& one : question) {
      came += one.datagram.size();
      open(b, victim, one.datagram);
      for (const Outgoing& answer : out) went += answer.datagram.size();
    }
    out.clear();
    b.send(now, PeerIndex(1), at_a, Bytes(1000, 1), out);
    for (const Outgoing& answer : out) {
      EXPECT_EQ(answer.to, victim);
      went += answer.datagram.size();
    }
    pass(std::chrono::milliseconds(100));
  }
  EXPECT_GT(came, 2000U);
  EXPECT_LE(went, came + kFirstBytes);
}

TEST_F(SealsTest, AProofFromElsewhereProvesNothing) {
  const auto question = send(a, 2, 1000);
  ASSERT_EQ(question.size(), 1U);
  open(b, at_a, question[0].datagram);
  ASSERT_EQ(out.size(), 1U);
  const Bytes proof = out[0].datagram;
  open(a, address_of(98), proof);
  EXPECT_TRUE(out.empty());
}

TEST_F(SealsTest, WhoIsHeardElsewhereIsAnsweredThereAndHasToProveIt) {
  exchange(send(a, 2, 1000));
  exchange([&] {
    out.clear();
    b.send(now, PeerIndex(1), at_a, Bytes(1000, 1), out);
    return out;
  }());
  const Address moved = address_of(77);
  ASSERT_TRUE(open(b, moved, send(a, 2, 5)[0].datagram));
  out.clear();
  b.send(now, PeerIndex(1), at_a, Bytes(1000, 1), out);
  ASSERT_EQ(out.size(), 1U);  // the question alone
  EXPECT_EQ(out[0].to, moved);
  EXPECT_LT(out[0].datagram.size(), 100U);
  // It tells everybody where it is now: that counts.
  out.clear();
  b.send(now, PeerIndex(1), address_of(78), Bytes(5, 1), out);
  ASSERT_EQ(out.size(), 1U);
  EXPECT_EQ(out[0].to, address_of(78));
}

TEST_F(SealsTest, NewLinksAreBoundedInASecond) {
  std::uint32_t opened = 0;
  for (std::uint32_t i = 0; i < kPeers; ++i) {
    if (i == 2) continue;
    Seals one = seals_of(i, configuration);
    const auto sent = send(one, 2);
    if (open(b, roster()->address(PeerIndex(i)), sent[0].datagram)) ++opened;
  }
  EXPECT_EQ(opened, kAgreementsAtHome);
  EXPECT_EQ(b.refusals().too_many, kPeers - 1 - kAgreementsAtHome);
  pass(std::chrono::seconds(1));
  Seals last = seals_of(kPeers - 1, configuration);
  EXPECT_TRUE(open(b, roster()->address(PeerIndex(kPeers - 1)), send(last, 2)[0].datagram));
}

TEST_F(SealsTest, APeerIsHeardSoOftenInASecond) {
  exchange(send(a, 2, 1000));
  pass(std::chrono::seconds(2));
  std::uint32_t opened = 0;
  for (std::uint32_t i = 0; i < kMessagesPerSecond + 10; ++i) {
    if (open(b, at_a, send(a, 2)[0].datagram)) ++opened;
  }
  EXPECT_EQ(opened, kMessagesPerSecond);
  EXPECT_EQ(b.refusals().too_fast, 10U);
}

TEST_F(SealsTest, ClocksThatGoBackRepeatNothing) {
  ASSERT_TRUE(open(b, at_a, send(a, 2)[0].datagram));
  now.wall -= std::chrono::seconds(1);
  const auto sent = send(a, 2);
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_TRUE(open(b, at_a, sent[0].datagram));  // numbered on
}

}  // namespace
}  // namespace rosebud::overlay
