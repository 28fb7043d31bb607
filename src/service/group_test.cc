// The configuration service on the replication that it is made for, in the simulator: members have
// an epoch ordered by a group of which F lie or fail, and all sign the same description.
#include <gtest/gtest.h>

#include <algorithm>

#include "pbft/sim/world.h"
#include "service/member.h"
#include "service/test_service.h"

namespace rosebud::service {
namespace {

using pbft::sim::World;
using std::chrono::seconds;

/// Seat i of the group is the replica of the service's member i, and client i asks for it.
class ServiceGroup {
 public:
  explicit ServiceGroup(std::uint64_t seed) {
    pbft::sim::WorldOptions options{.seed = seed};
    const World keys(options);  // only for those
    start_ms_ = (keys.wall().value / 1000 + 1) * 1000;
    make_configuration(keys);
    options.make_machine = [this] {
      return std::make_unique<Machine>(configuration_, Carried{}, scheme_);
    };
    options.settings.group.checkpoint_interval = 4;
    options.settings.group.window = 8;
    world_ = std::make_unique<World>(options);
    for (std::size_t seat = 0; seat < 4; ++seat) {
      EXPECT_EQ(world_->client_id(seat), node_of(seat));
      members_.push_back(std::make_unique<Member>(
          node_of(seat), configuration_, EpochSecret{cluster_.epoch_keys[seat].key, share(seat)},
          MemberSettings{.patience = seconds(5)}, scheme_, Random(seed + seat)));
      is_asking_.push_back(false);
    }
    for (std::size_t seat = 0; seat < 4; ++seat) tick(seat);
  }

  World& world() { return *world_; }
  void silence(std::size_t seat) { is_silent_.insert(seat); }
  wire::NodeKey node_of(std::size_t seat) const {
    return configuration_->nodes()[configuration_->service()[seat].node].key;
  }
  const Machine& machine(std::size_t seat) const {
    return dynamic_cast<const Machine&>(world_->machine(seat));
  }

  /// All of `seats` come to the end, and to the same one, which everybody accepts.
  void expect_one_end(const std::vector<std::uint16_t>& seats) {
    ASSERT_TRUE(world_->run_until(
        [&] { return std::ranges::all_of(seats, [&](auto seat) { return is_sealed(seat); }); },
        seconds(300)));
    SignatureShares shares(*configuration_, draft(machine(seats[0])));
    for (const std::uint16_t seat : seats) {
      EXPECT_EQ(draft(machine(seat)).header, shares.description().header);
      EXPECT_TRUE(world_->replica(seat)->is_stopped());
      const auto signature = members_[seat]->sign(machine(seat));
      ASSERT_TRUE(signature);
      EXPECT_TRUE(shares.add(*signature, scheme_));
    }
    ASSERT_TRUE(shares.is_enough());
    const auto next = membership::apply(*configuration_, shares.description().encode(), scheme_);
    EXPECT_TRUE(next) << membership::text_of(next.error());
  }

 private:
  void make_configuration(const World& keys) {
    for (std::size_t seat = 0; seat < 4; ++seat) {
      membership::Node& node = cluster_.genesis.nodes[cluster_.genesis.service[seat].node];
      secrets_.push_back(keys.client_key(seat));
      node.key = keys.client_id(seat);
      cluster_.genesis.service[seat].commitment = commitment_of(node.key, share(seat));
    }
    cluster_.genesis.settings.epoch_seconds = 20;
    cluster_.genesis.start = Timestamp(start_ms_ / 1000);
    configuration_ = cluster_.first();
  }

  static crypto::Digest share(std::size_t seat) {
    return crypto::tagged_hash("rosebud test share", as_bytes(std::to_string(seat)));
  }

  /// What a member does every quarter of a second, looking at its own replica's state.
  void tick(std::size_t seat) {
    world_->at(Member::kTick, [this, seat] { tick(seat); });
    if (!world_->is_up(seat) || is_silent_.contains(seat)) return;
    Member& member = *members_[seat];
    for (const wire::NodeKey& candidate : member.to_ask(world_->now(), machine(seat))) {
      for (std::size_t other = 0; other < 4; ++other) {
        if (node_of(other) != candidate || !world_->is_up(other)) continue;
        if (is_silent_.contains(other)) continue;
        const EpochSecret secret{membership::test_key("next " + std::to_string(other)),
                                 share(other + 10)};
        member.on_announcement(announce(*configuration_, secrets_[other], secret, scheme_));
      }
    }
    if (is_asking_[seat]) return;
    const auto wish = member.wish(world_->now(), world_->wall().value, machine(seat));
    if (!wish) return;
    is_asking_[seat] = true;
    world_->submit(seat, encode(*wish),
                   [this, seat](const pbft::Finish&) { is_asking_[seat] = false; });
  }

  bool is_sealed(std::size_t seat) const {
    return world_->is_up(seat) && machine(seat).state().phase == Phase::kSealed;
  }

  const crypto::SignatureScheme& scheme_ = crypto::model_scheme();
  membership::TestCluster cluster_;
  std::shared_ptr<const membership::Configuration> configuration_;
  std::vector<crypto::SecretKey> secrets_;
  std::vector<std::unique_ptr<Member>> members_;
  std::vector<bool> is_asking_;
  std::set<std::size_t> is_silent_;
  std::uint64_t start_ms_ = 0;
  std::unique_ptr<World> world_;
};

TEST(ServiceGroup, AnEpochEndsWithOneDescription) {
  ServiceGroup group(1);
  group.expect_one_end({0, 1, 2, 3});
}

TEST(ServiceGroup, AnyOneReplicaMayLie) {
  for (const auto mode : {pbft::sim::Mode::kEquivocate, pbft::sim::Mode::kMute,
                          pbft::sim::Mode::kDoubleVote, pbft::sim::Mode::kWrongTime}) {
    for (std::uint16_t liar = 0; liar < 4; ++liar) {
      ServiceGroup group(10 + liar);
      group.world().misbehave(liar, mode);
      std::vector<std::uint16_t> others;
      for (std::uint16_t seat = 0; seat < 4; ++seat) {
        if (seat != liar) others.push_back(seat);
      }
      group.expect_one_end(others);
    }
  }
}

TEST(ServiceGroup, ASilentMemberIsPassedOverAndItsShareLeftOut) {
  ServiceGroup group(2);
  group.silence(2);
  group.expect_one_end({0, 1, 3});
  EXPECT_TRUE(group.machine(0).state().withholders.contains(group.node_of(2)));
}

TEST(ServiceGroup, RestartsInTheMiddleChangeNothing) {
  ServiceGroup group(3);
  for (int i = 0; i < 12; ++i) {
    group.world().at(seconds(15 + i), [&group, i] {
      const auto seat = static_cast<std::size_t>(i % 4);
      group.world().crash(seat);
      group.world().restart(seat);
    });
  }
  group.expect_one_end({0, 1, 2, 3});
}

}  // namespace
}  // namespace rosebud::service
