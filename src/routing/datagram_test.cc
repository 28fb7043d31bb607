// Encoding: what is taken encodes again as it was, and what is not ours is not taken.
#include "routing/datagram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/random.h"

namespace rosebud::routing {
namespace {

constexpr std::uint32_t kPeers = 1000;

Address random_address(Random& random) {
  Address out;
  if (random.chance(1, 4)) {
    for (auto& byte : out.ip) byte = static_cast<std::uint8_t>(random.next());
    out.ip[0] = 0x20;
  } else {
    out.ip[10] = out.ip[11] = 0xff;
    for (std::size_t i = 12; i < 16; ++i) out.ip[i] = static_cast<std::uint8_t>(random.next());
  }
  out.port = static_cast<std::uint16_t>(random.next());
  return out;
}

struct Events {
  std::vector<Change> changes;
  std::vector<Moved> moved;
};

Events random_events(Random& random, std::uint32_t peers, std::size_t count_max) {
  std::map<std::uint32_t, std::uint32_t> chosen;
  for (std::uint64_t i = random.between(1, count_max); i > 0; --i) {
    chosen[static_cast<std::uint32_t>(random.below(peers))] =
        static_cast<std::uint32_t>(random.between(2, 5000));
  }
  Events out;
  for (const auto& [peer, rank] : chosen) {
    out.changes.push_back({PeerIndex(peer), {rank}});
    if (rank % 2 == 0 && random.chance(1, 5)) {
      out.moved.push_back({PeerIndex(peer), random_address(random)});
    }
  }
  return out;
}

CodedEvents random_coded(Random& random) {
  const Events events = random_events(random, kPeers, 40);
  return coded(events.changes, events.moved);
}

PeerIndex random_peer(Random& random) {
  return PeerIndex(static_cast<std::uint32_t>(random.below(kPeers)));
}
std::uint32_t random_bits(Random& random, int bits) {
  return static_cast<std::uint32_t>(random.next() >> (64 - bits));
}
Token random_token(Random& random) { return Token(static_cast<std::uint16_t>(random.next())); }
Period random_period(Random& random) { return Period(random_bits(random, 32)); }
Told random_told(Random& random) {
  Told out{{random_peer(random), {random_bits(random, static_cast<int>(random.between(1, 29)))}},
           std::nullopt};
  if (random.chance(1, 3)) out.moved = random_address(random);
  return out;
}
std::vector<std::uint16_t> random_digests(Random& random, std::uint32_t count) {
  std::vector<std::uint16_t> out;
  for (std::uint32_t i = 0; i < count; ++i) {
    out.push_back(static_cast<std::uint16_t>(random.next()));
  }
  return out;
}

std::vector<Datagram> one_of_each(Random& random) {
  KeepAlive quiet{.low_bits = random_bits(random, 6),
                  .compared = RegionDigest{random_bits(random, 5), random_bits(random, 24)},
                  .batches = {},
                  .token = {},
                  .events = {}};
  quiet.batches.add({random_bits(random, 24)});
  KeepAlive full = quiet;
  full.batches.add({random_bits(random, 24)});
  full.compared.reset();
  full.token = random_token(random);
  full.events = random_coded(random);
  const auto first = static_cast<std::uint32_t>(random.below(kPeers));
  const auto end = static_cast<std::uint32_t>(random.between(first, kPeers));
  States states{.token = random_token(random),
                .purpose = States::Purpose::kCompared,
                .next = 9,
                .buckets = {2, 3, 31},
                .states = {},
                .moved = {{PeerIndex(70), random_address(random)}}};
  // The last bucket of a thousand peers has eight.
  for (int i = 0; i < 32 + 32 + 8; ++i) states.states.push_back({random_bits(random, 7)});
  Redirect redirect{.token = random_token(random), .changes = {}};
  Tell tell;
  for (std::uint32_t i = 0; i < kToldMax; ++i) {
    tell.changes.push_back(random_told(random));
    redirect.changes.push_back(random_told(random));
  }
  const Change accused{random_peer(random), {2 * random_bits(random, 20)}};
  return {quiet,
          full,
          tell,
          Ping{random_token(random)},
          Pong{random_token(random), random_bits(random, 6)},
          Suspect{accused, random_period(random)},
          Verdict{random_told(random).change},
          Announce{random_token(random), random_period(random), random_bits(random, 4),
                   random_told(random)},
          Announced{random_token(random), random.chance(1, 2)},
          Batch{{random_bits(random, 24)}, {first, end}, random_coded(random), {}},
          BatchTaken{{random_bits(random, 24)}},
          Pull{{random_bits(random, 24)}},
          Relay{random_token(random), Stage::kUnit, random_coded(random)},
          RelayTaken{random_token(random)},
          Digests{3, random_digests(random, 20)},
          Fetch{random_token(random), 5, 7, random_digests(random, 7)},
          Fetch{random_token(random), 5, 7, {}},
          states,
          Lookup{random_token(random), random.next(), {}},
          Lookup{random_token(random), random.next(), {random_peer(random), random_peer(random)}},
          Found{random_token(random)},
          redirect};
}

Bytes encoded(const Datagram& one) {
  Bytes out;
  encode(one, out);
  return out;
}

TEST(Datagrams, EachKindDecodesToItself) {
  Random random(1);
  for (int round = 0; round < 200; ++round) {
    for (const Datagram& one : one_of_each(random)) {
      const Bytes bytes = encoded(one);
      const auto again = decode(bytes, kPeers);
      ASSERT_TRUE(again) << one.index();
      EXPECT_TRUE(*again == one) << one.index();
    }
  }
}

TEST(Datagrams, CutOrLongerOnes_AreNotTaken) {
  Random random(2);
  for (const Datagram& one : one_of_each(random)) {
    Bytes bytes = encoded(one);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(decode(ByteView(bytes).first(size), kPeers)) << one.index() << " " << size;
    }
    bytes.push_back(0);
    EXPECT_FALSE(decode(bytes, kPeers)) << one.index();
  }
}

TEST(Datagrams, WhateverIsTakenEncodesAsItWas) {
  Random random(3);
  std::uint64_t taken = 0;
  for (int round = 0; round < 3000; ++round) {
    for (const Datagram& one : one_of_each(random)) {
      Bytes bytes = encoded(one);
      for (std::uint64_t i = random.between(1, 3); i > 0; --i) {
        bytes[random.below(bytes.size())] ^= static_cast<std::uint8_t>(1U << random.below(8));
      }
      const auto read = decode(bytes, kPeers);
      if (!read) continue;
      ++taken;
      ASSERT_EQ(encoded(*read), bytes) << one.index();
    }
  }
  EXPECT_GT(taken, 1000U);
}

TEST(Datagrams, PeersBeyondTheRoster_AreNotTaken) {
  Random random(4);
  const Datagram one = Verdict{{PeerIndex(500), {4}}};
  EXPECT_TRUE(decode(encoded(one), 501));
  EXPECT_FALSE(decode(encoded(one), 500));
  const Events events = random_events(random, 900, 30);
  const Datagram batch = Batch{{1}, {0, 900}, coded(events.changes, events.moved), {}};
  EXPECT_TRUE(decode(encoded(batch), 900));
  EXPECT_FALSE(decode(encoded(batch), 899));
  EXPECT_FALSE(decode(encoded(batch), events.changes.back().peer.value));
  EXPECT_FALSE(decode({}, 10));
  EXPECT_FALSE(decode(Bytes(kPayloadMax + 1), 10));
}

TEST(EventCode, EventsOfThreeSecondsTakeAboutNineteenBitsEach) {
  Random random(5);
  Events events;
  std::map<std::uint32_t, std::uint32_t> chosen;
  while (chosen.size() < 60) chosen[static_cast<std::uint32_t>(random.below(125'000))] = 7;
  for (const auto& [peer, rank] : chosen) {
    events.changes.push_back({PeerIndex(peer), {rank + (peer & 1)}});
  }
  Bytes out;
  BitWriter writer(out);
  encode(coded(events.changes, {}), writer);
  EXPECT_LE(out.size() * 8, 60U * 20);
}

TEST(EventCode, FittingTakesAsManyAsFit) {
  Random random(6);
  for (int round = 0; round < 50; ++round) {
    const Events events = random_events(random, 20'000, 2000);
    const std::size_t count = fitting(events.changes, events.moved, kEventBytesMax);
    ASSERT_GE(count, 1U);
    const PeerIndex end = events.changes[count - 1].peer.next();
    const auto moved_end = std::ranges::lower_bound(events.moved, end, {}, &Moved::peer);
    Bytes out;
    BitWriter writer(out);
    encode(coded(std::span(events.changes).first(count), {events.moved.begin(), moved_end}),
           writer);
    EXPECT_LE(out.size(), kEventBytesMax);
  }
}

}  // namespace
}  // namespace rosebud::routing
