// The rules of the configuration service, one test for each (design 3.4, 7, 8).
#include "service/machine.h"

#include <algorithm>

#include "base/random.h"
#include "service/test_service.h"

namespace rosebud::service {
namespace {

bool has_node(const membership::Configuration& configuration, std::size_t n) {
  return configuration.node_index(node_key(n)).has_value();
}

TEST(Machine, AnEpochEndsAfterItsTimeAndTheNextIsAccepted) {
  TestService service;
  service.now_ms += 59'999;
  EXPECT_EQ(service.ask(node_key(0), PrepareEpoch{}), Answer::kNotNow);
  service.now_ms += 1;
  EXPECT_EQ(service.ask(node_key(0), PrepareEpoch{}), Answer::kDone);
  EXPECT_EQ(service.ask(node_key(2), PrepareEpoch{}), Answer::kAlready);
  service.announce_all();
  EXPECT_EQ(service.machine->state().phase, Phase::kRevealing);
  service.reveal_all();
  const auto before = service.configuration;
  service.enter_next();
  EXPECT_EQ(service.configuration->number().epoch.value, 2U);
  EXPECT_EQ(service.configuration->start().value, before->start().value + 60);
  EXPECT_EQ(service.configuration->end().value, before->start().value + 60 + 180);
  EXPECT_NE(service.configuration->randomness(), before->randomness());
  EXPECT_EQ(service.configuration->nodes(), before->nodes());
  for (int i = 0; i < 5; ++i) service.end_epoch();
  EXPECT_EQ(service.epoch(), 7U);
}

TEST(Machine, OnlyNodesAskAndOnlyMembersOfTheServiceSayWhatTheyFound) {
  TestService service;
  service.now_ms += 60'000;
  EXPECT_EQ(service.ask(node_key(50), PrepareEpoch{}), Answer::kRefused);  // nobody
  EXPECT_EQ(service.ask(node_key(1), PrepareEpoch{}), Answer::kRefused);   // a node without a seat
  EXPECT_EQ(service.ask(node_key(1), Reachability{.node = node_key(3)}), Answer::kRefused);
  const auto outcome =
      service.machine->execute(pbft::AgreedTime(service.now_ms), node_key(0), Bytes{9, 9});
  EXPECT_EQ(outcome.result, Bytes{static_cast<std::uint8_t>(Answer::kRefused)});
}

// ---- Who comes ----

TEST(Machine, ANodeIsAdmittedWithItsPlaceFromTheNextRandomness) {
  TestService service;
  const AdmitNode admission = service.admission(20, 1);
  EXPECT_EQ(service.ask(node_key(5), admission), Answer::kDone);
  EXPECT_EQ(service.ask(node_key(6), admission), Answer::kAlready);
  service.end_epoch();
  const auto index = service.configuration->node_index(node_key(20));
  ASSERT_TRUE(index);
  const membership::Node node = service.configuration->nodes()[*index];
  EXPECT_EQ(node.admission_randomness, service.configuration->randomness());
  EXPECT_EQ(node.address, "127.0.0.1:2020");
  EXPECT_EQ(service.ask(node_key(5), admission), Answer::kAlready);  // it is in
  service.end_epoch();
  EXPECT_NE(node.admission_randomness, service.configuration->randomness());
  EXPECT_EQ(service.configuration->nodes()[*index].admission_randomness, node.admission_randomness);
}

TEST(Machine, AnAdmissionAloneEndsNoEpoch) {
  TestService service;
  service.ask(node_key(5), service.admission(20, 1));
  EXPECT_FALSE(service.machine->may_prepare(service.now_ms));
}

TEST(Machine, BadAdmissionsAreRefused) {
  TestService service;
  AdmitNode wrong = service.admission(20, 1);
  wrong.admission.signature.bytes[0] ^= 1;
  EXPECT_EQ(service.ask(node_key(5), wrong), Answer::kRefused);
  const AdmitNode nowhere = service.changed(service.admission(20, 1), 1,
                                            [](auto& statement) { statement.address.clear(); });
  EXPECT_EQ(service.ask(node_key(5), nowhere), Answer::kRefused);
  service.now_ms = 2'000'000'000;  // expired
  EXPECT_EQ(service.ask(node_key(5), service.admission(20, 1)), Answer::kRefused);
}

TEST(Machine, AnOrganisationGetsSoManyNewKeysInADay) {
  TestService service({.epoch_seconds = 60});
  for (std::size_t n = 0; n < Machine::kAdmissionsPerDay; ++n) {
    ASSERT_EQ(service.ask(node_key(1), service.admission(100 + n, 1)), Answer::kDone);
  }
  EXPECT_EQ(service.ask(node_key(1), service.admission(99, 1)), Answer::kNotNow);
  EXPECT_EQ(service.ask(node_key(1), service.admission(98, 2)), Answer::kDone);
  service.now_ms += 86'400'000;
  EXPECT_EQ(service.ask(node_key(1), service.admission(99, 1)), Answer::kDone);
}

TEST(Machine, AWipedNodeComesBackWithANewDirectoryAtItsPlace) {
  TestService service;
  const membership::Node before = service.configuration->nodes()[2];
  const AdmitNode again = service.changed(
      service.admission(2, 1), 1, [](auto& statement) { statement.directory.bytes[5] = 77; });
  EXPECT_EQ(service.ask(node_key(5), again), Answer::kDone);
  service.end_epoch();
  const membership::Node& after = service.configuration->nodes()[2];
  EXPECT_EQ(after.directory.bytes[5], 77);
  EXPECT_EQ(after.admission_randomness, before.admission_randomness);
}

/// Whoever has seen an old statement could otherwise bring back a directory that was lost, or an
/// address where nobody is.
TEST(Machine, AnOlderStatementChangesNothingAnyMore) {
  TestService service;
  const AdmitNode first = service.admission(20, 1);
  const auto later = [&](std::uint64_t from, std::uint8_t directory) {
    return service.changed(first, 1, [&](auto& statement) {
      statement.not_before = Timestamp(from);
      statement.directory.bytes[5] = directory;
    });
  };
  EXPECT_EQ(service.ask(node_key(5), later(3, 3)), Answer::kDone);
  EXPECT_EQ(service.ask(node_key(5), later(2, 2)), Answer::kRefused);  // while it waits
  service.end_epoch();
  EXPECT_EQ(service.ask(node_key(5), first), Answer::kRefused);
  EXPECT_EQ(service.ask(node_key(5), later(3, 4)), Answer::kRefused);
  service.end_epoch();  // and in every epoch after
  EXPECT_EQ(service.ask(node_key(5), first), Answer::kRefused);
  EXPECT_EQ(service.ask(node_key(5), later(4, 4)), Answer::kDone);
  service.end_epoch();
  const auto index = service.configuration->node_index(node_key(20));
  ASSERT_TRUE(index);
  EXPECT_EQ(service.configuration->nodes()[*index].directory.bytes[5], 4);
}

/// Else any organisation could throw out every node: by a statement for its key, and a revocation
/// of that.
TEST(Machine, NobodySaysAnythingAboutAnotherOrganisationsNode) {
  TestService service;
  const AdmitNode theirs = service.admission(3, 1);  // node 3 is theirs
  EXPECT_EQ(
      service.ask(node_key(5), service.changed(theirs, 2,
                                               [&](auto& statement) {
                                                 statement.organisation =
                                                     service.cluster.authorities[2].public_key();
                                               })),
      Answer::kRefused);
  EXPECT_EQ(service.ask(node_key(5), service.revocation(3, 2)), Answer::kRefused);
  // Of a key that is nobody's yet, each says what it likes, about itself.
  EXPECT_EQ(service.ask(node_key(5), service.revocation(20, 2)), Answer::kDone);
  EXPECT_EQ(service.ask(node_key(5), service.admission(20, 2)), Answer::kRefused);
  EXPECT_EQ(service.ask(node_key(5), service.admission(20, 1)), Answer::kDone);
  EXPECT_FALSE(service.machine->may_prepare(service.now_ms));
  service.end_epoch();
  EXPECT_TRUE(has_node(*service.configuration, 3));
  ASSERT_TRUE(has_node(*service.configuration, 20));
}

TEST(Machine, AnOrganisationKeepsOnlySoMuchWaiting) {
  TestService service;
  for (std::size_t n = 0; n < kAdmissionsOfOneMax; ++n) {
    if (n == Machine::kAdmissionsPerDay) service.now_ms += 86'400'000;
    ASSERT_EQ(service.ask(node_key(1), service.admission(100 + n, 1)), Answer::kDone);
  }
  // Of a member too, whose key is not counted as new.
  EXPECT_EQ(service.ask(node_key(1), service.admission(3, 1)), Answer::kNotNow);
  EXPECT_EQ(service.ask(node_key(1), service.admission(98, 2)), Answer::kDone);
}

/// Too few for a service without those who do not answer: they are asked, but not the one of them
/// that is just being removed.
TEST(Machine, WhoIsOutOfTheNextEpochIsNoCandidate) {
  for (std::uint8_t seed = 0; seed < 16; ++seed) {
    TestService service({.epoch_seconds = 60, .evict_after_seconds = 100});
    service.cluster.genesis.reveals[0].bytes[7] = seed;  // other positions
    service.cluster.genesis.commitments[0] = membership::commitment_of(
        service.cluster.genesis.organisations[0].authority, service.cluster.genesis.reveals[0]);
    service.configuration = service.cluster.first();
    service.begin({});
    for (const std::size_t n : {6U, 7U}) service.all_say(Reachability{.node = node_key(n)});
    service.now_ms += 200'000;
    for (const std::size_t n : {4U, 5U}) service.ask(node_key(0), service.revocation(n, 2));
    service.all_say(PrepareEpoch{});
    ASSERT_EQ(service.machine->state().phase, Phase::kAnnouncing);
    const auto next = membership::nodes_after(service.machine->configuration(),
                                              service.machine->state().next.nodes);
    EXPECT_LT(next.size(), 6U);  // one that does not answer is removed
    for (const wire::NodeKey& node : service.candidates()) {
      EXPECT_NE(std::ranges::find(next, node, &membership::Node::key), next.end());
    }
    service.announce_all();
    service.reveal_all();
    service.enter_next();
  }
}

TEST(Machine, WhoTakesAnotherNodesAddressIsPassedOver) {
  TestService service;
  const AdmitNode thief = service.changed(service.admission(20, 1), 1, [&](auto& statement) {
    statement.address = service.configuration->nodes()[0].address;
  });
  service.ask(node_key(5), thief);
  service.ask(node_key(5), service.admission(21, 2));
  service.end_epoch();
  EXPECT_FALSE(has_node(*service.configuration, 20));
  EXPECT_TRUE(has_node(*service.configuration, 21));
}

// ---- Who goes ----

TEST(Machine, ARevokedNodeIsOutAtOnceAndNeverReturns) {
  TestService service;
  EXPECT_EQ(service.ask(node_key(5), service.revocation(3, 2)), Answer::kRefused);  // not theirs
  EXPECT_EQ(service.ask(node_key(5), service.revocation(3, 1)), Answer::kDone);
  EXPECT_TRUE(service.machine->may_prepare(service.now_ms));  // a reason in the state
  service.all_say(PrepareEpoch{});
  service.announce_all();
  service.reveal_all();
  service.enter_next();
  EXPECT_FALSE(has_node(*service.configuration, 3));
  EXPECT_EQ(service.ask(node_key(5), service.admission(3, 1)), Answer::kRefused);
  EXPECT_FALSE(service.machine->may_prepare(service.now_ms));
}

TEST(Machine, EpochsEndBeforeTheirTimeOnlySoOften) {
  // Seven nodes of one organisation are revoked one after the other.
  TestService service({.epoch_seconds = 600});
  for (std::size_t n = 20; n < 28; ++n) service.ask(node_key(5), service.admission(n, 1));
  service.end_epoch();
  for (std::size_t n = 20; n < 28; ++n) {
    service.now_ms += 1000;
    EXPECT_EQ(service.ask(node_key(5), service.revocation(n, 1)), Answer::kDone);
    const bool is_allowed = n < 20 + Machine::kEarlyEndsPerHour;
    EXPECT_EQ(service.machine->may_prepare(service.now_ms), is_allowed) << n;
    if (!is_allowed) break;
    service.all_say(PrepareEpoch{});
    service.announce_all();
    service.reveal_all();
    service.enter_next();
  }
}

TEST(Machine, TwoFPlusOneSayThatANodeDoesNotAnswerAndFPlusOneThatItDoes) {
  TestService service({.epoch_seconds = 60, .evict_after_seconds = 600});
  const auto& inactive = service.machine->state().carried.wishes.inactive_since_ms;
  const Reachability gone{.node = node_key(3), .is_reachable = false};
  const Reachability back{.node = node_key(3), .is_reachable = true};
  EXPECT_EQ(service.ask(node_key(0), gone), Answer::kDone);
  EXPECT_EQ(service.ask(node_key(0), gone), Answer::kAlready);
  service.ask(node_key(2), gone);
  EXPECT_TRUE(inactive.empty());
  service.ask(node_key(2), back);  // it thinks better of it
  service.ask(node_key(4), gone);
  EXPECT_TRUE(inactive.empty());
  service.ask(node_key(6), gone);
  EXPECT_EQ(inactive.at(node_key(3)), service.now_ms);
  service.ask(node_key(0), back);  // two by now
  EXPECT_TRUE(inactive.empty());
}

TEST(Machine, WhoDoesNotAnswerForLongIsEvictedAndNotBefore) {
  TestService service({.epoch_seconds = 60, .evict_after_seconds = 100});
  service.all_say(Reachability{.node = node_key(3)});
  service.end_epoch();
  EXPECT_TRUE(has_node(*service.configuration, 3));  // 60 s: not yet
  EXPECT_FALSE(service.machine->may_prepare(service.now_ms + 39'000));
  EXPECT_TRUE(service.machine->may_prepare(service.now_ms + 40'000));
  service.now_ms += 40'000;
  service.all_say(PrepareEpoch{});
  service.announce_all();
  service.reveal_all();
  service.enter_next();
  EXPECT_FALSE(has_node(*service.configuration, 3));
}

TEST(Machine, NoMoreThanFOfOneGroupAreEvictedInOneEpoch) {
  TestService service({.epoch_seconds = 60, .evict_after_seconds = 10});
  for (const std::size_t n : {1U, 3U, 5U, 7U}) service.all_say(Reachability{.node = node_key(n)});
  service.end_epoch();
  std::map<std::size_t, std::size_t> lost;
  const auto& before = service.cluster.genesis.nodes;
  const auto first = service.cluster.first();
  for (const routing::Arc& arc : first->ring().arcs()) {
    std::size_t gone = 0;
    for (const std::uint32_t node : arc.group) {
      if (!service.configuration->node_index(before[node].key)) ++gone;
    }
    EXPECT_LE(gone, 1U);
  }
  EXPECT_LT(service.configuration->nodes().size(), 8U);
}

// ---- Who sits ----

TEST(Machine, ACandidateThatDoesNotAnnounceIsReplaced) {
  TestService service;
  service.now_ms += 60'000;
  service.all_say(PrepareEpoch{});
  const auto before = service.candidates();
  service.announce_all({node_key(2)});
  EXPECT_EQ(service.machine->state().phase, Phase::kAnnouncing);
  service.ask(node_key(0), NoAnnouncement{node_key(2)});
  service.ask(node_key(4), NoAnnouncement{node_key(2)});
  EXPECT_EQ(service.candidates(), before);  // two of four are not enough
  service.ask(node_key(6), NoAnnouncement{node_key(2)});
  EXPECT_FALSE(service.candidates().contains(node_key(2)));
  ASSERT_EQ(service.candidates().size(), 4U);
  EXPECT_EQ(service.ask(node_key(2), service.announcement(node_key(2))), Answer::kRefused);
  service.announce_all();
  service.reveal_all();
  service.enter_next();
}

/// Both wait, of a key that is out. The first is in by its own statement; what the other
/// organisation said of the key, with an older or a later time, does not say which of the owner's
/// are old.
TEST(Machine, AnothersStatementSaysNothingOfWhichOfTheOwnersAreOld) {
  for (const std::uint64_t others_time : {5U, 500U}) {
    TestService service;
    const auto since = [&](std::uint32_t organisation, std::uint64_t not_before) {
      return service.changed(
          service.admission(20, 0), organisation, [&](wire::AdmissionStatement& statement) {
            statement.organisation = service.cluster.authorities[organisation].public_key();
            statement.not_before = Timestamp(not_before);
          });
    };
    EXPECT_EQ(service.ask(node_key(0), since(0, 100)), Answer::kDone);
    EXPECT_EQ(service.ask(node_key(0), since(1, others_time)), Answer::kDone);
    service.end_epoch();
    EXPECT_EQ(service.machine->state().carried.stated_s.at(node_key(20)), 100U);
  }
}

/// In one epoch it would be at two places of the ring: nobody would accept the description.
TEST(Machine, OneThatLeavesComesBackUnderAnotherOrganisationAnEpochLater) {
  TestService service;
  EXPECT_EQ(service.ask(node_key(0), service.admission(20, 0)), Answer::kDone);
  const AdmitNode others =
      service.changed(service.admission(20, 0), 1, [&](wire::AdmissionStatement& statement) {
        statement.organisation = service.cluster.authorities[1].public_key();
        statement.address = "127.0.0.1:3000";
      });
  EXPECT_EQ(service.ask(node_key(0), others), Answer::kDone);
  service.end_epoch();
  ASSERT_TRUE(service.configuration->node_index(node_key(20)));
  EXPECT_EQ(service.ask(node_key(0), service.revocation(20, 0)), Answer::kDone);
  service.end_epoch();
  EXPECT_FALSE(service.configuration->node_index(node_key(20)));
  service.end_epoch();
  const auto index = service.configuration->node_index(node_key(20));
  ASSERT_TRUE(index);
  EXPECT_EQ(service.configuration->nodes()[*index].organisation, 1U);
}

TEST(Machine, ASeatStaysVacantWhenNobodyAnnounces) {
  TestService service;
  service.now_ms += 60'000;
  service.all_say(PrepareEpoch{});
  // Organisation 1 is silent as a whole.
  service.announce_all({node_key(2), node_key(3)});
  service.all_say(NoAnnouncement{node_key(2)});
  service.all_say(NoAnnouncement{node_key(3)});
  service.reveal_all();
  service.enter_next();
  EXPECT_EQ(service.configuration->service().size(), 3U);
  service.end_epoch();  // three are a quorum, and the fourth seat is filled again
  EXPECT_EQ(service.configuration->service().size(), 4U);
}

/// One organisation after the other is slow, and the first has somebody else there by then. Two
/// seats of one organisation, or five of four, were sealed, and nobody could enter that epoch.
TEST(Machine, WhoIsAskedAgainSitsBesideThoseWhoReplacedOthers) {
  TestService service;
  service.now_ms += 60'000;
  service.all_say(PrepareEpoch{});
  const auto pass_over = [&](std::size_t n) { service.all_say(NoAnnouncement{node_key(n)}); };
  pass_over(0);
  ASSERT_EQ(service.ask(node_key(1), service.announcement(node_key(1))), Answer::kDone);
  for (const std::size_t n : {2U, 3U, 4U, 5U}) pass_over(n);
  // Two were left, too few: whoever may sit beside them is asked once more.
  const auto candidates = service.candidates();
  EXPECT_EQ(candidates.size(), 4U);
  EXPECT_FALSE(candidates.contains(node_key(0)));
  service.announce_all();
  service.reveal_all();
  service.enter_next();
  EXPECT_EQ(service.configuration->service().size(), 4U);
}

TEST(Machine, BadAnnouncementsAreRefused) {
  TestService service;
  service.now_ms += 60'000;
  EXPECT_EQ(service.ask(node_key(0), service.announcement(node_key(0))), Answer::kNotNow);
  service.all_say(PrepareEpoch{});
  const auto change = [&](auto edit, std::size_t signer = 0) {
    const Announce announce = service.announcement(node_key(0));
    auto one = *Announcement::decode(announce.announcement.statement);
    edit(one);
    return service.ask(node_key(4), Announce{wire::sign(service.scheme,
                                                        service.secret_of(node_key(signer)), one)});
  };
  EXPECT_EQ(change([](Announcement&) {}, 2), Answer::kRefused);  // signed by another
  EXPECT_EQ(change([](Announcement& one) { one.cluster.bytes[0] ^= 1; }), Answer::kRefused);
  EXPECT_EQ(change([](Announcement& one) { one.number.epoch = one.number.epoch.next(); }),
            Answer::kRefused);
  EXPECT_EQ(change([](Announcement& one) { one.commitment = {}; }), Answer::kRefused);
  EXPECT_EQ(change([](Announcement& one) { one.epoch_key = node_key(0); }), Answer::kRefused);
  EXPECT_EQ(change([&](Announcement& one) {
              one.epoch_key = service.cluster.epoch_keys[1].key.public_key();  // of this epoch
            }),
            Answer::kRefused);
  EXPECT_EQ(change([](Announcement&) {}), Answer::kDone);
  EXPECT_EQ(change([](Announcement& one) { one.commitment.bytes[0] ^= 1; }), Answer::kAlready);
}

TEST(Machine, SharesOpenOnlyWhenSeatsAreFixed) {
  TestService service;
  service.now_ms += 60'000;
  const Reveal reveal{.node = node_key(0), .share = TestService::share(node_key(0), 1)};
  EXPECT_EQ(service.ask(node_key(0), reveal), Answer::kNotNow);
  service.all_say(PrepareEpoch{});
  EXPECT_EQ(service.ask(node_key(0), reveal), Answer::kNotNow);
  service.announce_all();
  EXPECT_EQ(service.ask(node_key(0), Reveal{.node = node_key(0), .share = {}}), Answer::kRefused);
  EXPECT_EQ(service.ask(node_key(7), reveal), Answer::kDone);  // whoever has it
  EXPECT_EQ(service.ask(node_key(0), reveal), Answer::kAlready);
}

/// Everybody announces, and shares of all but these are open or given up.
void leave_out_shares_of(TestService& service, const std::set<wire::NodeKey>& withholders) {
  service.now_ms += 60'000;
  service.all_say(PrepareEpoch{});
  service.announce_all();
  service.reveal_all(withholders);
  for (const wire::NodeKey& node : withholders) service.all_say(NoReveal{node});
}

TEST(Machine, AMemberHasWithheldItsShareWhenAQuorumSaysSo) {
  TestService service;
  service.now_ms += 60'000;
  service.all_say(PrepareEpoch{});
  service.announce_all();
  service.reveal_all({node_key(4)});
  service.ask(node_key(0), NoReveal{node_key(4)});
  service.ask(node_key(2), NoReveal{node_key(4)});
  EXPECT_TRUE(service.machine->state().withholders.empty());
  EXPECT_EQ(service.machine->state().phase, Phase::kRevealing);
  service.ask(node_key(6), NoReveal{node_key(4)});
  EXPECT_EQ(service.machine->state().withholders, std::set{node_key(4)});
}

TEST(Machine, WhoWithholdsItsShareLosesItsSeatToTheNext) {
  TestService service;
  leave_out_shares_of(service, {node_key(4)});
  // The other node of the organisation is drawn, and announces.
  EXPECT_EQ(service.machine->state().phase, Phase::kAnnouncing);
  EXPECT_TRUE(service.candidates().contains(node_key(5)));
  EXPECT_EQ(service.ask(node_key(4), service.announcement(node_key(4))), Answer::kRefused);
  service.announce_all();
  service.enter_next();
  const auto members = service.members();
  EXPECT_EQ(members.size(), 4U);
  EXPECT_EQ(std::ranges::count(members, node_key(4)), 0);
}

/// One vacant seat and one organisation that goes down, and no epoch would ever follow: which
/// withholders lose their seats must not depend on their keys.
TEST(Machine, TwoThatWithholdTheirSharesBothLoseTheirSeatsAndNoneIsVacant) {
  TestService service;
  leave_out_shares_of(service, {node_key(0), node_key(4)});
  service.announce_all();
  service.enter_next();
  const auto members = service.members();
  EXPECT_EQ(std::set(members.begin(), members.end()),
            (std::set{node_key(1), node_key(2), node_key(5), node_key(6)}));
}

TEST(Machine, AWithholderKeepsItsSeatWhenNobodyElseAnnounces) {
  TestService service;
  leave_out_shares_of(service, {node_key(4)});
  service.all_say(NoAnnouncement{node_key(5)});
  service.enter_next();
  EXPECT_EQ(service.members().size(), 4U);
  EXPECT_EQ(std::ranges::count(service.members(), node_key(4)), 1);
}

TEST(Machine, AWithholderKeepsItsSeatWhenNobodyElseCanSit) {
  TestService service;
  service.ask(node_key(0), service.revocation(5, 2));
  leave_out_shares_of(service, {node_key(4)});
  service.enter_next();
  EXPECT_EQ(std::ranges::count(service.members(), node_key(4)), 1);
}

/// Whose seat it may become again has its key still.
TEST(Machine, NobodyAnnouncesTheKeyOfOneThatIsSetAside) {
  TestService service;
  leave_out_shares_of(service, {node_key(4)});
  const Announce own = service.announcement(node_key(5));
  Announcement stolen = *Announcement::decode(own.announcement.statement);
  stolen.epoch_key = TestService::epoch_key(node_key(4), 2).public_key();
  EXPECT_EQ(service.ask(node_key(5), Announce{wire::sign(service.scheme,
                                                         service.secret_of(node_key(5)), stolen)}),
            Answer::kRefused);
}

TEST(Machine, AfterTheirTermOneMemberLeavesInEachEpoch) {
  TestService service({.epoch_seconds = 60, .service_term_seconds = 60});
  for (int i = 0; i < 8; ++i) {
    const auto before = service.members();
    service.end_epoch();
    const auto after = service.members();
    const auto stay = std::ranges::count_if(after, [&](const wire::NodeKey& node) {
      return std::ranges::find(before, node) != before.end();
    });
    EXPECT_EQ(stay, 3);
    EXPECT_EQ(after.size(), 4U);
  }
}

// ---- The whole state ----

/// Whatever is asked for in whatever order: a copy restored from the snapshot is and does the same,
/// epochs come to their end when members do their part, and everybody accepts the next.
TEST(Machine, ARestoredCopyIsTheSameAndEveryEpochIsAccepted) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Random random(seed);
    TestService service({.epoch_seconds = 60,
                         .service_term_seconds = 60 * random.below(4),
                         .evict_after_seconds = 30 * random.below(5)});
    for (int epochs = 0; epochs < 4; ++epochs) {
      const auto pick = [&] { return node_key(random.below(12)); };
      const auto any_operation = [&]() -> Operation {
        switch (random.below(8)) {
          case 0:
            return Reachability{.node = pick(), .is_reachable = random.chance(1, 3)};
          case 1:
            return service.admission(8 + random.below(8),
                                     static_cast<std::uint32_t>(random.below(4)));
          case 2: {
            const std::uint64_t n = random.below(12);
            if (!random.chance(1, 4)) return PrepareEpoch{};
            return service.revocation(n, static_cast<std::uint32_t>(n / 2 % 4));
          }
          case 3:
            return PrepareEpoch{};
          case 4:
            return service.announcement(pick());
          case 5:
            return NoAnnouncement{pick()};
          case 6: {
            const wire::NodeKey node = pick();
            return Reveal{.node = node, .share = TestService::share(node, service.epoch())};
          }
          default:
            return NoReveal{pick()};
        }
      };
      for (int i = 0; i < 120 && service.machine->state().phase != Phase::kSealed; ++i) {
        service.now_ms += random.below(1500);
        Machine copy(service.configuration, {}, service.scheme);
        ASSERT_TRUE(copy.restore(service.machine->snapshot()));
        const auto members = service.members();
        const wire::NodeKey asker =
            random.chance(3, 4) ? members[random.below(members.size())] : pick();
        const Operation operation = any_operation();
        service.ask(asker, operation);
        copy.execute(pbft::AgreedTime(service.now_ms), asker, encode(operation));
        ASSERT_EQ(copy.state().encode(), service.machine->state().encode()) << "seed " << seed;
      }
      service.now_ms += 60'000;
      service.all_say(PrepareEpoch{});
      for (int i = 0; i < 10 && service.machine->state().phase == Phase::kAnnouncing; ++i) {
        service.announce_all();
      }
      service.reveal_all();
      ASSERT_EQ(service.machine->state().phase, Phase::kSealed) << "seed " << seed;
      ASSERT_NO_FATAL_FAILURE(service.enter_next()) << "seed " << seed;
    }
  }
}

/// What is to change is what can change: whoever reads the snapshot makes a description of it.
TEST(Machine, ASnapshotOfAnotherConfigurationIsRefused) {
  TestService service;
  service.ask(node_key(5), service.admission(20, 1));
  service.now_ms += 60'000;
  service.all_say(PrepareEpoch{});
  ASSERT_EQ(service.machine->state().phase, Phase::kAnnouncing);
  const auto snapshot_with = [&](const std::function<void(membership::NodeChanges&)>& change) {
    State state = service.machine->state();
    change(state.next.nodes);
    wire::Writer out;
    out.u64(service.now_ms).bytes32(state.encode());
    return std::vector{Buffer(out.take())};
  };
  EXPECT_TRUE(service.machine->restore(snapshot_with([](auto&) {})));
  EXPECT_FALSE(service.machine->restore(
      snapshot_with([](auto& changes) { changes.removed.insert(node_key(40)); })));
  const membership::Node member = service.configuration->nodes()[3];
  EXPECT_FALSE(service.machine->restore(
      snapshot_with([&](auto& changes) { changes.added.emplace(member.key, member); })));
}

TEST(Machine, SpoiltSnapshotsAreRefusedAndChangeNothing) {
  TestService service;
  service.ask(node_key(5), service.admission(20, 1));
  const Bytes before = service.machine->state().encode();
  const Bytes whole = to_bytes(service.machine->snapshot().at(0).view());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(service.machine->restore({Buffer::copy_of(ByteView(whole).first(size))}));
  }
  EXPECT_FALSE(service.machine->restore({}));
  EXPECT_EQ(service.machine->state().encode(), before);
}

TEST(Machine, SignaturesAreCountedOnceAndOnlyWhenValid) {
  TestService service;
  service.now_ms += 60'000;
  service.all_say(PrepareEpoch{});
  service.announce_all();
  service.reveal_all();
  SignatureShares shares(*service.configuration, draft(*service.machine));
  const auto sign = [&](std::size_t key) {
    return service.scheme.sign(service.cluster.epoch_keys[key].key,
                               membership::DescriptionHeader::kTag, shares.description().header);
  };
  EXPECT_FALSE(shares.add({.seat = 0, .signature = sign(1)}, service.scheme));
  EXPECT_FALSE(shares.add({.seat = 9, .signature = sign(1)}, service.scheme));
  EXPECT_TRUE(shares.add({.seat = 2, .signature = sign(2)}, service.scheme));
  EXPECT_FALSE(shares.add({.seat = 2, .signature = sign(2)}, service.scheme));
  EXPECT_TRUE(shares.add({.seat = 0, .signature = sign(0)}, service.scheme));
  EXPECT_FALSE(shares.is_enough());
  EXPECT_TRUE(shares.add({.seat = 1, .signature = sign(1)}, service.scheme));
  EXPECT_TRUE(shares.is_enough());
}

}  // namespace
}  // namespace rosebud::service
