// Overlays on loopback sockets: who joins, who dies, whose key it is.
#include "overlay/overlay.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>

namespace rosebud::overlay {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

crypto::SecretKey key_of(std::size_t peer) {
  const crypto::Digest seed = crypto::Hasher("peer").update_u64(peer).finish();
  return crypto::SecretKey::from_seed(*FixedBytes<32, struct crypto::SeedTag>::from(seed.view()));
}

struct OverlayTest : testing::Test {
  const crypto::ClusterId cluster{{9}};
  boost::asio::io_context io;
  std::vector<std::unique_ptr<Overlay>> peers;
  std::vector<Member> members;

  std::unique_ptr<Overlay> listening(std::size_t peer, std::uint16_t port) {
    auto out =
        std::make_unique<Overlay>(io, key_of(peer), crypto::ed25519(), peer, milliseconds(300));
    const auto bound = out->listen("127.0.0.1", port);
    EXPECT_TRUE(bound) << bound.error().text();
    return out;
  }
  void begin(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      peers.push_back(listening(i, 0));
      members.push_back(
          {key_of(i).public_key(), "127.0.0.1:" + std::to_string(peers.back()->port())});
    }
    for (const auto& peer : peers) peer->enter(cluster, members);
  }
  /// False when it takes more than half a minute.
  bool run_until(const std::function<bool()>& is_done) {
    const auto until = std::chrono::steady_clock::now() + seconds(30);
    while (!is_done()) {
      if (std::chrono::steady_clock::now() > until) return false;
      io.run_for(milliseconds(5));
    }
    return true;
  }
  bool all_take_part() {
    return std::ranges::all_of(
        peers, [](const auto& one) { return !one || one->picture().is_taking_part; });
  }
  std::size_t alive_in(const Overlay& one) {
    const auto all = one.picture().peers;
    return static_cast<std::size_t>(
        std::ranges::count_if(all, [](const auto& peer) { return peer.state.is_alive(); }));
  }
  bool all_know(std::size_t alive) {
    return std::ranges::all_of(peers,
                               [&](const auto& one) { return !one || alive_in(*one) == alive; });
  }
  LookupAnswer ask(Overlay& one, routing::Point key) {
    std::optional<LookupAnswer> out;
    one.lookup(key, [&](const LookupAnswer& answer) { out = answer; });
    EXPECT_TRUE(run_until([&] { return out.has_value(); }));
    return out.value_or(LookupAnswer{});
  }
  /// The first at or after the key, of those that are there.
  crypto::PublicKey owner(routing::Point key) const {
    std::vector<std::pair<routing::Point, crypto::PublicKey>> ring;
    for (std::size_t i = 0; i < peers.size(); ++i) {
      if (peers[i]) ring.emplace_back(point_of(members[i].key), members[i].key);
    }
    std::ranges::sort(ring);
    for (const auto& [at, peer] : ring) {
      if (at >= key) return peer;
    }
    return ring.front().second;
  }
};

TEST_F(OverlayTest, EveryoneFindsTheOwnerOfAKeyInOneHop) {
  begin(5);
  ASSERT_TRUE(run_until([&] { return all_take_part(); }));
  Random random(1);
  for (int i = 0; i < 20; ++i) {
    const routing::Point key = random.next();
    Overlay& asker = *peers[random.below(peers.size())];
    const LookupAnswer answer = ask(asker, key);
    EXPECT_TRUE(answer.is_found);
    EXPECT_EQ(answer.owner, owner(key));
    EXPECT_LE(answer.hops, 1U);
    EXPECT_EQ(answer.waits, 0U);
  }
}

TEST_F(OverlayTest, WhoSaysGoodByeIsGoneAndComesBack) {
  begin(4);
  ASSERT_TRUE(run_until([&] { return all_take_part(); }));
  const std::uint16_t port = peers[1]->port();
  peers[1]->leave();
  peers[1].reset();
  ASSERT_TRUE(run_until([&] { return all_know(3); }));
  const routing::Point key = point_of(members[1].key);  // that was its own
  EXPECT_EQ(ask(*peers[0], key).owner, owner(key));
  peers[1] = listening(1, port);
  peers[1]->enter(cluster, members);
  ASSERT_TRUE(run_until([&] { return all_take_part() && all_know(4); }));
  EXPECT_EQ(ask(*peers[0], key).owner, members[1].key);
}

TEST_F(OverlayTest, WhoDiesIsFoundOut) {
  begin(5);
  ASSERT_TRUE(run_until([&] { return all_take_part(); }));
  peers[2].reset();
  const routing::Point key = point_of(members[2].key);
  // Before anybody knows: it costs a wait, and ends at the next one.
  EXPECT_EQ(ask(*peers[0], key).owner, owner(key));
  EXPECT_TRUE(run_until([&] { return all_know(4); }));
}

TEST_F(OverlayTest, AnotherRosterGoesOnWithWhatIsKnown) {
  begin(4);
  ASSERT_TRUE(run_until([&] { return all_take_part(); }));
  peers[3].reset();
  ASSERT_TRUE(run_until([&] { return all_know(3); }));
  peers.push_back(listening(4, 0));
  members.push_back({key_of(4).public_key(), "127.0.0.1:" + std::to_string(peers[4]->port())});
  for (const auto& peer : peers) {
    if (peer) peer->enter(cluster, members);
  }
  EXPECT_EQ(alive_in(*peers[0]), 4U);  // the dead one is known to be
  ASSERT_TRUE(run_until([&] { return all_take_part() && all_know(4); }));
  const routing::Point key = point_of(members[4].key);
  EXPECT_EQ(ask(*peers[0], key).owner, members[4].key);
}

TEST_F(OverlayTest, AHostNameIsLookedUp) {
  begin(2);
  for (Member& one : members) one.address.replace(0, 9, "localhost");
  for (const auto& peer : peers) peer->enter(cluster, members);
  ASSERT_TRUE(run_until([&] {
    return all_take_part() && peers[0]->counters().datagrams_in > 0 &&
           peers[1]->counters().datagrams_in > 0;
  }));
  const routing::Point key = point_of(members[1].key);
  ASSERT_TRUE(run_until([&] { return ask(*peers[0], key).owner == members[1].key; }));
}

TEST_F(OverlayTest, ForgedDatagramsAreCountedAndDoNothing) {
  begin(2);
  ASSERT_TRUE(run_until([&] { return all_take_part(); }));
  Overlay stranger(io, key_of(77), crypto::ed25519(), 77, milliseconds(300));
  ASSERT_TRUE(stranger.listen("127.0.0.1", 0));
  // It believes itself to be in a roster with peer 0, which knows nothing of that.
  stranger.enter(cluster, {members[0], {key_of(77).public_key(), "127.0.0.1:1"}});
  ASSERT_TRUE(run_until([&] { return peers[0]->counters().refusals.not_authentic > 0; }));
  EXPECT_EQ(alive_in(*peers[0]), 2U);
}

TEST_F(OverlayTest, WhoIsAloneTakesNoPart) {
  begin(1);
  EXPECT_FALSE(peers[0]->picture().is_taking_part);
  EXPECT_FALSE(ask(*peers[0], 5).is_found);
  Overlay stranger(io, key_of(77), crypto::ed25519(), 77);
  ASSERT_TRUE(stranger.listen("127.0.0.1", 0));
  stranger.enter(cluster, {members[0], {key_of(5).public_key(), "127.0.0.1:1"}});
  EXPECT_FALSE(stranger.picture().is_taking_part);
}

TEST_F(OverlayTest, APortThatIsTakenIsSaid) {
  begin(1);
  Overlay other(io, key_of(1), crypto::ed25519(), 1);
  const auto bound = other.listen("127.0.0.1", peers[0]->port());
  ASSERT_FALSE(bound);
  EXPECT_NE(bound.error().text().find("another process uses this port"), std::string::npos);
}

}  // namespace
}  // namespace rosebud::overlay
