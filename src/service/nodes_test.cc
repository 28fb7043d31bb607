// Whole nodes, epoch after epoch (sim/world.h, judged by sim/checkers.h): everybody enters one
// description of each epoch, whoever of one organisation lies, is silent, forgets or restarts all
// the time; keys are gone with their epoch; nothing is said that could be forgotten; and what
// people hand in is answered once.
#include <gtest/gtest.h>

#include "service/sim/checkers.h"
#include "service/test_service.h"

namespace rosebud::service {
namespace {

using sim::Conduct;
using sim::ConfigurationPointer;
using sim::kFaulty;
using sim::World;
using sim::WorldOptions;

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Longer than an epoch, with patience for candidates and members that do nothing.
constexpr Duration kEpochMax = seconds(30);

/// A world with checkers, whose violation fails the test.
class Nodes : public World {
 public:
  explicit Nodes(const WorldOptions& options) : World(options), checkers_(*this) { start_all(); }
  ~Nodes() { EXPECT_EQ(checkers_.violation(), ""); }

  /// Called after the machine of a node has executed something.
  void on_look(std::function<void(std::size_t n, const Machine&)> look) {
    watchers().on_look = std::move(look);
  }

 private:
  sim::Checkers checkers_;
};

TEST(Nodes, ManyEpochsEndAndEverybodyAgrees) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    Nodes nodes({.seed = seed});
    ASSERT_TRUE(nodes.run_epochs(22, seconds(15)));
    EXPECT_TRUE(nodes.run_until_all_there(seconds(3)));
    EXPECT_EQ(nodes.newest().nodes().size(), 8U);
    EXPECT_EQ(nodes.newest().service().size(), 4U);
  }
}

TEST(Nodes, ASeedIsOneRun) {
  const auto trace_of = [](std::uint64_t seed) {
    Nodes nodes({.seed = seed, .loss_per_mille = 20, .duplicate_per_mille = 20});
    nodes.every(seconds(3), [&] { nodes.restart(nodes.random().below(8)); });
    EXPECT_TRUE(nodes.run_epochs(3, kEpochMax));
    return nodes.trace();
  };
  EXPECT_EQ(trace_of(1), trace_of(1));
  EXPECT_NE(trace_of(1), trace_of(2));
}

TEST(Nodes, OneNodeOrOneOrganisationMayDoWhatItWants) {
  for (const Conduct what : kFaulty) {
    for (const std::size_t n : {std::size_t{0}, std::size_t{5}, std::size_t{6}}) {
      SCOPED_TRACE(testing::Message() << "conduct " << static_cast<int>(what) << " of " << n);
      Nodes nodes({.seed = n + 1});
      nodes.set_conduct(n, what);
      if (n == 6) nodes.set_conduct(7, what);
      nodes.every(milliseconds(100), [&] { nodes.babble(n); });
      EXPECT_TRUE(nodes.run_epochs(5, kEpochMax));
      EXPECT_TRUE(nodes.run_until_all_there(seconds(10)));
    }
  }
}

/// It lies, and then nothing is heard of it. A correct member that lost its seat to nobody would be
/// one too many: no epoch would follow ever after.
TEST(Nodes, AnOrganisationThatLiesAndGoesDownStopsNothing) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Nodes nodes({.seed = seed, .loss_per_mille = 50, .latency_max = milliseconds(700)});
    for (int i = 0; i < 6; ++i) {
      const std::size_t first = 2 * nodes.random().below(4);
      for (const std::size_t n : {first, first + 1}) {
        nodes.set_conduct(n, kFaulty[nodes.random().below(std::size(kFaulty))]);
      }
      nodes.run_for(milliseconds(nodes.random().below(30000)));
      std::set<std::size_t> seated;
      for (const std::size_t n : nodes.members()) seated.insert(n / 2);
      EXPECT_GE(seated.size(), seated.contains(first / 2) ? 4U : 3U)
          << "a correct one lost its seat";
      for (const std::size_t n : {first, first + 1}) nodes.crash(n);
      ASSERT_TRUE(nodes.run_epochs(3, seconds(60))) << "in epoch " << nodes.epoch();
      for (const std::size_t n : {first, first + 1}) {
        nodes.set_conduct(n, Conduct::kCorrect);
        nodes.start(n);
      }
      while (nodes.newest().service().size() < 4) ASSERT_TRUE(nodes.run_epochs(1, kEpochMax));
      ASSERT_TRUE(nodes.run_until_all_there(seconds(10)));
    }
  }
}

/// Refused by the group, its announcement is none: somebody else gets the seat. Taken for one, it
/// was asked for again and again, and the epoch never ended.
TEST(Nodes, ACandidateWithAKeyThatIsInUseIsPassedOver) {
  for (std::size_t n = 0; n < 8; ++n) {
    Nodes nodes({.seed = n + 1});
    nodes.set_conduct(n, Conduct::kKeyThief);
    EXPECT_TRUE(nodes.run_epochs(5, kEpochMax)) << "node " << n;
  }
}

TEST(Nodes, OneThatRestartsAllTheTimeStopsNothing) {
  for (std::size_t n = 0; n < 8; n += 3) {
    Nodes nodes({.seed = n + 1, .loss_per_mille = 20, .duplicate_per_mille = 20});
    nodes.every(milliseconds(700 + 200 * n), [&] { nodes.restart(n); });
    EXPECT_TRUE(nodes.run_epochs(5, kEpochMax)) << "node " << n;
    EXPECT_TRUE(nodes.run_until_all_there(seconds(10)));
  }
}

/// Checkers compare what a node announced before and after.
TEST(Nodes, CandidatesThatRestartAnnounceTheSameKeys) {
  Nodes nodes({.seed = 4});
  nodes.every(milliseconds(400), [&] {
    const std::set<std::size_t> members = nodes.members();
    for (std::size_t n = 0; n < 8; ++n) {
      if (!members.contains(n)) nodes.restart(n);
    }
  });
  EXPECT_TRUE(nodes.run_epochs(5, kEpochMax));
}

TEST(Nodes, OneThatForgetsEverythingIsSilentAndComesBack) {
  for (std::size_t n = 0; n < 8; n += 3) {
    Nodes nodes({.seed = n + 1});
    nodes.every(seconds(13), [&] { nodes.wipe(n); });
    EXPECT_TRUE(nodes.run_epochs(6, kEpochMax)) << "node " << n;
    EXPECT_TRUE(nodes.run_until_all_there(seconds(10)));
  }
}

TEST(Nodes, OneThatLearnsLateFollows) {
  for (std::size_t n = 0; n < 8; n += 3) {
    Nodes nodes({.seed = n + 1});
    nodes.every(seconds(5), [&] { nodes.lag(n, seconds(4)); });
    EXPECT_TRUE(nodes.run_epochs(6, kEpochMax)) << "node " << n;
    EXPECT_TRUE(nodes.run_until_all_there(seconds(15)));
  }
}

TEST(Nodes, AfterAPowerCutAtAnyMomentTheEpochEnds) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Nodes nodes({.seed = seed, .loss_per_mille = 5});
    for (int i = 0; i < 8; ++i) {
      nodes.run_for(seconds(8) + milliseconds(nodes.random().below(4000)));
      nodes.power_cut();
      nodes.run_for(milliseconds(nodes.random().below(4000)));
      nodes.start_all();
      ASSERT_TRUE(nodes.run_epochs(1, kEpochMax)) << "seed " << seed << ", cut " << i;
    }
    EXPECT_TRUE(nodes.run_until_all_there(seconds(10)));
  }
}

/// What was sealed is known, and nobody has the description.
TEST(Nodes, AfterAPowerCutBetweenTheSealAndTheDescriptionTheEpochEnds) {
  for (std::size_t sealed_count = 1; sealed_count <= 4; ++sealed_count) {
    Nodes nodes({.seed = sealed_count});
    for (int i = 0; i < 4; ++i) {
      std::set<std::size_t> sealed;
      bool is_cut = false;
      nodes.on_look([&](std::size_t n, const Machine& machine) {
        if (machine.state().phase == Phase::kSealed) sealed.insert(n);
        if (sealed.size() < sealed_count || std::exchange(is_cut, true)) return;
        nodes.agenda().post([&] { nodes.power_cut(); });
        nodes.agenda().after(seconds(1), [&] { nodes.start_all(); });
      });
      ASSERT_TRUE(nodes.run_epochs(1, kEpochMax)) << "after " << sealed_count;
    }
  }
}

// ---- Leases ----

TEST(Nodes, EverybodyHasALeaseWhateverOneOrganisationDoes) {
  for (const Conduct what : kFaulty) {
    Nodes nodes({.seed = 3, .loss_per_mille = 10});
    for (const std::size_t n : {2U, 3U}) nodes.set_conduct(n, what);
    ASSERT_TRUE(nodes.run_epochs(2, kEpochMax));
    ASSERT_TRUE(nodes.run_until_all_there(seconds(5)));
    nodes.run_for(seconds(4));
    for (const std::size_t n : {0U, 1U, 4U, 5U, 6U, 7U}) {
      const Buffer lease = nodes.node(n).participant().lease();
      const auto until =
          membership::check_lease(nodes.newest(), lease.view(), crypto::model_scheme());
      ASSERT_TRUE(until) << "node " << n;
      const std::uint64_t now = nodes.node(n).now().wall.value / 1000;
      EXPECT_GE(until->value, now + 5) << "node " << n;
      EXPECT_LE(until->value, now + 11) << "node " << n;
    }
  }
}

// ---- Disks that take nothing for a while ----

TEST(Nodes, NothingIsSaidThatADiskDidNotTake) {
  for (std::size_t n = 0; n < 8; ++n) {
    Nodes nodes({.seed = n + 1});
    nodes.fail_writes(n, 500);
    nodes.fail_writes((n + 3) % 8, 300);
    EXPECT_TRUE(nodes.run_epochs(6, kEpochMax)) << "node " << n;
    EXPECT_TRUE(nodes.run_until_all_there(seconds(10)));
  }
}

TEST(Nodes, RecordsThatCannotBeOpenedAreTriedAgainInTheFirstEpochToo) {
  Nodes nodes({.seed = 1});
  nodes.crash(0);
  nodes.fail_writes(0, 1000);
  nodes.start(0);
  nodes.run_for(seconds(2));
  ASSERT_EQ(nodes.opened_count(0), 1U);  // before the crash
  nodes.fail_writes(0, 0);
  nodes.run_for(seconds(2));
  EXPECT_EQ(nodes.opened_count(0), 2U);
}

// ---- What was handed over ----

TEST(Nodes, AMemberWithoutItsStateAsksUntilItHasTheRightOne) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    Nodes nodes({.seed = seed});
    ASSERT_TRUE(nodes.run_epochs(2, kEpochMax));
    ASSERT_TRUE(nodes.run_until_all_there(seconds(5)));
    const std::set<std::size_t> members = nodes.members();
    const std::size_t n = *members.begin();
    nodes.set_conduct(*members.rbegin(), Conduct::kLiar);
    nodes.crash(n);
    nodes.disk(n).states.clear();
    const std::uint64_t before = nodes.opened_count(n);
    nodes.start(n);
    EXPECT_TRUE(nodes.node(n).participant().is_waiting_for_state());
    nodes.run_for(seconds(4));
    EXPECT_FALSE(nodes.node(n).participant().is_waiting_for_state());
    EXPECT_EQ(nodes.opened_count(n), before + 1);
  }
}

// ---- What people hand in ----

TEST(Nodes, WhatIsHandedInAtAnyTimeOfAnEpochIsOrdered) {
  Nodes nodes({.seed = 5});
  std::vector<HandInId> asked;
  nodes.every(milliseconds(300), [&] {
    if (nodes.epoch() > 4) return;
    const std::size_t node = 20 + asked.size() % 8;
    const auto organisation = static_cast<std::uint32_t>(asked.size() % 4);
    asked.push_back(nodes.hand_in(asked.size() % 8, nodes.cluster().admission(node, organisation)));
  });
  ASSERT_TRUE(nodes.run_epochs(4, kEpochMax));
  nodes.run_for(seconds(21));
  ASSERT_GT(asked.size(), 100U);
  std::size_t refused = 0;
  for (const HandInId id : asked) {
    ASSERT_TRUE(nodes.answer_to(id));
    EXPECT_NE(*nodes.answer_to(id), Answer::kNotNow);
    refused += nodes.answer_to(id) == Answer::kRefused ? 1U : 0U;
  }
  EXPECT_EQ(refused, 0U);
  EXPECT_TRUE(nodes.newest().node_index(sim::key_of_node(20)));
}

TEST(Nodes, OneThatIsAdmittedTakesPartAndOneThatIsRevokedLeaves) {
  Nodes nodes({.seed = 6});
  const HandInId admitted = nodes.hand_in(3, nodes.cluster().admission(20, 0));
  const HandInId revoked = nodes.hand_in(4, nodes.cluster().revocation(7, 3));
  nodes.add(20);
  nodes.start(20);
  ASSERT_TRUE(nodes.run_epochs(2, kEpochMax));
  EXPECT_EQ(nodes.answer_to(admitted), Answer::kDone);
  EXPECT_EQ(nodes.answer_to(revoked), Answer::kDone);
  nodes.give_chain(20);
  nodes.restart(20);
  ASSERT_TRUE(nodes.run_epochs(30, kEpochMax));  // one of three nodes is drawn
  EXPECT_TRUE(nodes.run_until_all_there(seconds(10)));
  EXPECT_GT(nodes.opened_count(20), 0U);
  EXPECT_FALSE(nodes.newest().node_index(sim::key_of_node(7)));
  const HandInId from_outside = nodes.hand_in(7, nodes.cluster().admission(21, 0));
  EXPECT_EQ(nodes.answer_to(from_outside), Answer::kNotNow);
}

/// A member that is alone with a sealed state tries to keep what is handed over again and again.
TEST(Nodes, WhatCannotBeOrderedIsAnsweredInTimeWhateverTheDiskTakes) {
  Nodes nodes({.seed = 7});
  nodes.fail_writes(0, 1000);
  bool is_alone = false;
  nodes.on_look([&](std::size_t n, const Machine& machine) {
    if (n != 0 || machine.state().phase != Phase::kSealed || std::exchange(is_alone, true)) return;
    nodes.agenda().post([&] {
      for (std::size_t other = 1; other < 8; ++other) nodes.crash(other);
    });
  });
  ASSERT_TRUE(nodes.agenda().run_until([&] { return is_alone; }, kEpochMax));
  std::vector<HandInId> asked;
  for (int i = 0; i < 12; ++i) {
    nodes.run_for(milliseconds(70));
    asked.push_back(nodes.hand_in(0, nodes.cluster().revocation(1, 0)));
  }
  nodes.run_for(seconds(21));
  EXPECT_EQ(nodes.epoch(), 1U);
  for (const HandInId id : asked) EXPECT_EQ(nodes.answer_to(id), Answer::kNotNow);
}

/// The group passes over, without a word, what has a smaller number than it knows of the node. A
/// member that waited for an answer did nothing for the rest of the epoch.
TEST(Nodes, OneWhoseClockWentBackIsHeardAgain) {
  Nodes nodes({.seed = 9});
  const HandInId before = nodes.hand_in(7, nodes.cluster().admission(20, 0));
  nodes.run_for(seconds(1));
  ASSERT_EQ(nodes.answer_to(before), Answer::kDone);
  nodes.set_clock_offset(7, -3000);
  nodes.restart(7);
  const HandInId after = nodes.hand_in(7, nodes.cluster().admission(21, 1));
  nodes.run_for(seconds(7));
  EXPECT_EQ(nodes.epoch(), 1U);
  EXPECT_EQ(nodes.answer_to(after), Answer::kDone);
}

TEST(Nodes, OfEachOrganisationSoMuchWaitsAtOnce) {
  Nodes nodes({.seed = 8});
  for (std::size_t n = 1; n < 8; ++n) nodes.crash(n);
  std::vector<HandInId> asked;
  for (std::size_t i = 0; i < 40; ++i) {
    asked.push_back(nodes.hand_in(0, nodes.cluster().admission(20 + i, i % 4)));
  }
  for (std::size_t i = 0; i < asked.size(); ++i) {
    EXPECT_EQ(nodes.answer_to(asked[i]).has_value(), i >= 32) << "eight of each organisation";
  }
  // However much they want, what all decide has places of its own.
  asked.push_back(nodes.hand_in(0, nodes.cluster().decree(RevokeAnyNode{}, Timestamp(1), {0, 1})));
  EXPECT_FALSE(nodes.answer_to(asked.back()).has_value());
  nodes.run_for(seconds(21));
  for (const HandInId id : asked) EXPECT_EQ(nodes.answer_to(id), Answer::kNotNow);
}

// ---- One participant alone ----

class Alone {
 public:
  explicit Alone(const TestService& service)
      : participant_(
            membership::test_key("node0"), crypto::model_scheme(),
            [this] { return membership::test_key("fresh " + std::to_string(++keys_)); }, {},
            Random(1)),
        configuration_(service.configuration) {}

  Effects begin(std::optional<crypto::SecretKey> secret) {
    Effects out;
    participant_.begin({}, {.configuration = configuration_, .secret = std::move(secret)}, out);
    return out;
  }
  Effects asked_for_announcement() {
    Effects out;
    const wire::NodeKey member = configuration_->nodes()[configuration_->service()[1].node].key;
    EXPECT_TRUE(participant_.on_notice({}, member, GetAnnouncement{}, nullptr, out));
    return out;
  }
  Participant& participant() { return participant_; }

 private:
  std::uint64_t keys_ = 0;
  Participant participant_;
  ConfigurationPointer configuration_;
};

/// Suppose somebody made its file readable for others, and it is refused: when that is mended, the
/// node has its seat again.
TEST(Participant, AKeyOfItsSeatThatCannotBeReadIsNotErased) {
  const TestService service;
  Alone alone(service);
  const Effects effects = alone.begin(std::nullopt);
  ASSERT_EQ(effects.size(), 1U);
  EXPECT_EQ(std::get<EraseSecrets>(effects[0]).below, service.configuration->number());
  EXPECT_FALSE(alone.participant().has_seat());
}

TEST(Participant, AKeyIsAnnouncedAfterItIsKeptAndAnotherOneAfterAFailure) {
  const TestService service;
  Alone alone(service);
  alone.begin(service.cluster.epoch_keys[0].key);
  const auto announced = [](const Effect& effect) {
    const auto& notice = std::get<SendNotice>(effect).notice;
    return Announcement::decode(std::get<Announced>(notice).announcement.statement)->epoch_key;
  };
  const Effects first = alone.asked_for_announcement();
  ASSERT_EQ(first.size(), 2U);
  EXPECT_EQ(std::get<KeepSecret>(first[0]).key.public_key(), announced(first[1]));
  alone.participant().on_failed(first[0]);
  const Effects second = alone.asked_for_announcement();
  ASSERT_EQ(second.size(), 2U);
  EXPECT_NE(announced(second[1]), announced(first[1]));
  const Effects third = alone.asked_for_announcement();
  ASSERT_EQ(third.size(), 1U);
  EXPECT_EQ(announced(third[0]), announced(second[1]));
}

// ---- All at once ----

/// What one node of the faulty organisation, the network and the machines of all do in a storm.
class Storm {
 public:
  explicit Storm(std::uint64_t seed) : random_(seed), nodes_(options(seed)) {
    faulty_ = random_.below(4) * 2;
    for (std::size_t n = faulty_; n < faulty_ + 2; ++n) {
      if (random_.chance(2, 3)) nodes_.set_conduct(n, kFaulty[random_.below(std::size(kFaulty))]);
    }
    for (std::size_t n = 0; n < 8; ++n) {
      nodes_.set_clock_offset(n, static_cast<std::int64_t>(random_.below(4000)) - 2000);
    }
    nodes_.every(milliseconds(700), [this] {
      if (!is_over_) strike(random_.below(8));
    });
    nodes_.every(milliseconds(100), [this] {
      if (nodes_.conduct(faulty_) != Conduct::kCorrect) nodes_.babble(faulty_);
    });
    nodes_.every(seconds(4), [this] { hand_in(random_.below(8)); });
  }

  void run() {
    nodes_.run_for(seconds(80));
    is_over_ = true;
    nodes_.run_for(seconds(5));
    EXPECT_TRUE(nodes_.run_epochs(3, seconds(40))) << "stuck in epoch " << nodes_.epoch();
    EXPECT_TRUE(nodes_.run_until_all_there(seconds(30)));  // one that was evicted asks alone
    EXPECT_LE(nodes_.probes_max(), 60U);
  }

 private:
  WorldOptions options(std::uint64_t seed) {
    WorldOptions out{.seed = seed};
    out.loss_per_mille = static_cast<std::uint32_t>(random_.below(4)) * 15;
    out.duplicate_per_mille = static_cast<std::uint32_t>(random_.below(3)) * 30;
    out.latency_max = milliseconds(5 + random_.below(60));
    out.settings.evict_after_seconds = random_.chance(1, 2) ? 25 : 600;
    out.settings.service_term_seconds = random_.chance(1, 2) ? 0 : 20;
    return out;
  }
  void later(std::uint64_t milliseconds_max, std::function<void()> what) {
    nodes_.agenda().after(milliseconds(random_.below(milliseconds_max)), std::move(what));
  }
  void strike(std::size_t n) {
    switch (random_.below(10)) {
      case 0:
        return nodes_.restart(n);
      case 1:
        if (nodes_.is_up(n)) nodes_.crash(n);
        return later(1500, [this, n] {
          if (!nodes_.is_up(n)) nodes_.start(n);
        });
      case 2:
        return nodes_.lag(n, milliseconds(random_.below(3000)));
      case 3:
        if (!random_.chance(1, 8)) return;
        nodes_.power_cut();
        return later(1000, [this] { nodes_.start_all(); });
      case 4:
        nodes_.fail_writes(n, 400);
        return later(1500, [this, n] { nodes_.fail_writes(n, 0); });
      case 5:
        // One silent member beside a vacant seat is one too many (design 8.4).
        if (nodes_.newest().service().size() == 4 && random_.chance(1, 3)) nodes_.wipe(faulty_);
        return;
      default:
        return;
    }
  }
  void hand_in(std::size_t n) {
    if (!nodes_.is_up(n) || is_over_) return;
    const std::size_t who = 20 + random_.below(4);
    const auto organisation = static_cast<std::uint32_t>(random_.below(4));
    nodes_.hand_in(n, nodes_.cluster().admission(who, organisation));
  }

  Random random_;
  Nodes nodes_;
  std::size_t faulty_ = 0;
  bool is_over_ = false;
};

TEST(Nodes, EpochsGoOnThroughStorms) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Storm(seed).run();
  }
}

}  // namespace
}  // namespace rosebud::service
