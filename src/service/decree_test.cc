// What organisations decide together, and nodes that retire (design 3.4).
#include "service/decree.h"

#include <algorithm>

#include "service/test_service.h"

namespace rosebud::service {
namespace {

crypto::SecretKey authority(std::size_t organisation) {
  return membership::test_key("org" + std::to_string(organisation));
}

struct Assembly : TestService {
  using TestService::TestService;

  SignedDecree decree(const Decree::What& what, const std::vector<std::size_t>& signers) const {
    SignedDecree out{.decree = Decree{.cluster = configuration->cluster(),
                                      .not_before = Timestamp(1000),
                                      .not_after = Timestamp(900'000),
                                      .what = what}
                                   .encode(),
                     .signatures = {}};
    for (const std::size_t signer : signers) out.sign(authority(signer), scheme);
    return out;
  }
  Answer decide(const Decree::What& what, const std::vector<std::size_t>& signers) {
    return ask(node_key(5), Enact{decree(what, signers)});
  }
  RetireNode retirement(std::size_t n, std::size_t organisation, std::uint64_t not_before) const {
    return {wire::sign(scheme, authority(organisation),
                       Retirement{.cluster = configuration->cluster(),
                                  .organisation = authority(organisation).public_key(),
                                  .node = node_key(n),
                                  .not_before = Timestamp(not_before)})};
  }
  bool has_node(std::size_t n) const { return configuration->node_index(node_key(n)).has_value(); }
  bool has_say(std::size_t organisation) const {
    return configuration->has_say(authority(organisation).public_key());
  }
  void end_early() {
    all_say(PrepareEpoch{});
    announce_all();
    reveal_all();
    enter_next();
  }
};

AdmitOrganisation coming(std::size_t organisation) {
  return {.name = "org" + std::to_string(organisation),
          .authority = authority(organisation).public_key(),
          .quota_bytes = 500};
}
RevokeOrganisation going(std::size_t organisation) {
  return {.name = "org" + std::to_string(organisation),
          .authority = authority(organisation).public_key()};
}

TEST(Decree, EncodingsAreReadBackAndSpoiltOnesRefused) {
  Assembly service;
  for (const Decree::What& what :
       {Decree::What(coming(7)), Decree::What(going(3)),
        Decree::What(RevokeAnyNode{.name = "node3", .node = node_key(3)}),
        Decree::What(ChangeSetting{.name = "hedge-ms", .value = 7})}) {
    const SignedDecree whole = service.decree(what, {0, 1, 2});
    const Bytes bytes = whole.encode();
    EXPECT_EQ(SignedDecree::decode(bytes), whole);
    EXPECT_EQ(Decree::decode(whole.decree)->what, what);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(SignedDecree::decode(ByteView(bytes).first(size))) << size;
    }
  }
  Decree lasting{.cluster = service.configuration->cluster(),
                 .not_before = Timestamp(5),
                 .not_after = Timestamp(5 + kDecreeSecondsMax),
                 .what = going(3)};
  EXPECT_TRUE(Decree::decode(lasting.encode()));
  lasting.not_after = Timestamp(lasting.not_after.value + 1);
  EXPECT_FALSE(Decree::decode(lasting.encode()));
  lasting.not_after = lasting.not_before;
  EXPECT_FALSE(Decree::decode(lasting.encode()));
}

TEST(Decree, MoreThanTwoThirdsHaveToSign) {
  Assembly service;
  EXPECT_EQ(signatures_needed(*service.configuration), 3U);  // of four
  EXPECT_EQ(service.decide(coming(4), {0, 1}), Answer::kRefused);
  EXPECT_EQ(service.decide(coming(4), {0, 1, 5}), Answer::kRefused);  // 5 is nobody
  SignedDecree twice = service.decree(coming(4), {0, 1});
  twice.signatures.push_back(twice.signatures.back());
  EXPECT_EQ(service.ask(node_key(5), Enact{twice}), Answer::kRefused);
  SignedDecree forged = service.decree(coming(4), {0, 1, 2});
  forged.signatures.back().signature.bytes[3] ^= 1;
  EXPECT_EQ(service.ask(node_key(5), Enact{forged}), Answer::kRefused);
  EXPECT_EQ(service.decide(coming(4), {0, 1, 2}), Answer::kDone);
  EXPECT_EQ(service.decide(coming(4), {1, 2, 3}), Answer::kAlready);  // the same decree
}

TEST(Decree, AnOrganisationComesAndItsNodesAfterIt) {
  Assembly service;
  ASSERT_EQ(service.decide(coming(4), {0, 1, 3}), Answer::kDone);
  EXPECT_FALSE(service.machine->may_prepare(service.now_ms));  // no reason to hurry
  service.cluster.authorities.push_back(authority(4));
  EXPECT_EQ(service.ask(node_key(5), service.admission(20, 4)), Answer::kRefused);
  service.end_epoch();
  ASSERT_TRUE(service.has_say(4));
  EXPECT_EQ(service.configuration->organisations()[4].quota_bytes, 500U);
  EXPECT_EQ(signatures_needed(*service.configuration), 4U);
  EXPECT_EQ(service.ask(node_key(5), service.admission(20, 4)), Answer::kDone);
  service.end_epoch();
  const auto index = service.configuration->node_index(node_key(20));
  ASSERT_TRUE(index);
  EXPECT_EQ(service.configuration->nodes()[*index].organisation, 4U);
}

TEST(Decree, ASettingChangesWithTheNextEpoch) {
  Assembly service;
  const std::uint64_t length = service.configuration->settings().epoch_seconds;
  ASSERT_EQ(service.decide(ChangeSetting{.name = "hedge-ms", .value = 7}, {0, 1, 2}),
            Answer::kDone);
  ASSERT_EQ(service.decide(ChangeSetting{.name = "epoch-seconds", .value = 2 * length}, {0, 1, 2}),
            Answer::kDone);
  EXPECT_FALSE(service.machine->may_prepare(service.now_ms));  // no reason to hurry
  service.end_epoch();
  const auto next = service.configuration;
  EXPECT_EQ(next->settings().hedge_ms, 7U);
  EXPECT_EQ(next->settings().epoch_seconds, 2 * length);
  EXPECT_EQ(next->end().value, next->start().value + 3 * 2 * length);  // its own length
  service.end_epoch();
  EXPECT_EQ(service.configuration->settings(), next->settings());
}

/// Whichever was handed in last, until it is in force.
TEST(Decree, ALaterOneAboutTheSameSettingTakesThePlaceOfTheEarlier) {
  Assembly service;
  const auto decide = [&](std::uint64_t value) {
    return service.decide(ChangeSetting{.name = "hedge-ms", .value = value}, {0, 1, 2});
  };
  EXPECT_EQ(decide(7), Answer::kDone);
  EXPECT_EQ(decide(8), Answer::kDone);
  EXPECT_EQ(decide(7), Answer::kAlready);  // the same decree: it was carried out, and is done once
  service.end_epoch();
  EXPECT_EQ(service.configuration->settings().hedge_ms, 8U);
}

TEST(Decree, NoSettingLeavesItsBoundsOrContradictsAnother) {
  Assembly service;
  const auto decide = [&](const char* name, std::uint64_t value) {
    return service.decide(ChangeSetting{.name = name, .value = value}, {0, 1, 2});
  };
  EXPECT_EQ(decide("faults", 2), Answer::kRefused);
  EXPECT_EQ(decide("cap", 2), Answer::kRefused);
  EXPECT_EQ(decide("epoch-seconds", 0), Answer::kRefused);
  EXPECT_EQ(decide("hedge-ms", 10'001), Answer::kRefused);
  EXPECT_EQ(service.decide(ChangeSetting{.name = "hedge-ms", .value = 7}, {0, 1}),
            Answer::kRefused);
  service.end_epoch();
  EXPECT_EQ(service.configuration->settings(), TestService().configuration->settings());
}

TEST(Decree, NoNameAndNoKeyOfOthersIsGivenAway) {
  Assembly service;
  AdmitOrganisation one = coming(4);
  one.name = "org2";
  EXPECT_EQ(service.decide(one, {0, 1, 2}), Answer::kRefused);
  one = coming(4);
  one.authority = node_key(3);
  EXPECT_EQ(service.decide(one, {0, 1, 2}), Answer::kRefused);
  RevokeOrganisation other = going(3);
  other.name = "org2";
  EXPECT_EQ(service.decide(other, {0, 1, 2}), Answer::kRefused);
  EXPECT_EQ(service.decide(RevokeAnyNode{.name = "node2", .node = node_key(3)}, {0, 1, 2}),
            Answer::kRefused);
}

/// A candidate that announced the public key of an organisation that comes would make a description
/// that nobody can accept, and no epoch would follow.
TEST(Decree, NobodyAnnouncesTheKeyOfAnOrganisationThatComes) {
  Assembly service;
  service.decide(coming(4), {0, 1, 2});
  service.now_ms += 60'000;
  service.all_say(PrepareEpoch{});
  const Announce own = service.announcement(node_key(0));
  auto stolen = *Announcement::decode(own.announcement.statement);
  stolen.epoch_key = authority(4).public_key();
  EXPECT_EQ(service.ask(node_key(0), Announce{wire::sign(service.scheme,
                                                         service.secret_of(node_key(0)), stolen)}),
            Answer::kRefused);
  service.announce_all();
  service.reveal_all();
  service.enter_next();
}

TEST(Decree, ARevokedOrganisationGoesAtOnceWithItsNodesAndHasNoSay) {
  Assembly service;
  service.ask(node_key(5), service.admission(20, 3));  // waits when the decree comes
  ASSERT_EQ(service.decide(going(3), {0, 1, 2}), Answer::kDone);
  EXPECT_TRUE(service.machine->may_prepare(service.now_ms));
  service.end_early();
  EXPECT_FALSE(service.has_say(3));
  EXPECT_FALSE(service.has_node(6));
  EXPECT_FALSE(service.has_node(7));
  EXPECT_FALSE(service.has_node(20));
  // It stays in the list: holds of its clients can be verified until they expire.
  EXPECT_TRUE(service.configuration->organisation_index(authority(3).public_key()));
  EXPECT_TRUE(service.machine->state().carried.wishes.admissions.empty());
  EXPECT_EQ(service.ask(node_key(5), service.admission(20, 3)), Answer::kRefused);
  EXPECT_EQ(service.ask(node_key(5), service.revocation(6, 3)), Answer::kRefused);
  EXPECT_EQ(service.ask(node_key(5), service.retirement(6, 3, 1000)), Answer::kRefused);
  EXPECT_EQ(signatures_needed(*service.configuration), 3U);  // of three
  EXPECT_EQ(service.decide(coming(3), {0, 1, 3}), Answer::kRefused);
  EXPECT_FALSE(service.machine->may_prepare(service.now_ms));
}

TEST(Decree, ARevokedOrganisationComesBackByDecreeAndItsNodesByNewStatements) {
  Assembly service;
  service.decide(going(3), {0, 1, 2});
  service.end_early();
  ASSERT_EQ(service.decide(coming(3), {0, 1, 2}), Answer::kDone);
  service.end_epoch();
  EXPECT_TRUE(service.has_say(3));
  EXPECT_EQ(service.configuration->organisations().size(), 4U);
  EXPECT_EQ(service.ask(node_key(5), service.admission(6, 3)), Answer::kDone);
  service.end_epoch();
  EXPECT_TRUE(service.has_node(6));
}

/// The file by which an organisation was revoked still exists when it has come back.
TEST(Decree, WhatWasDecidedIsNotDoneAgain) {
  Assembly service;
  const Enact revocation{service.decree(going(3), {0, 1, 2})};
  service.ask(node_key(5), revocation);
  service.end_early();
  service.decide(coming(3), {0, 1, 2});
  service.end_epoch();
  EXPECT_EQ(service.ask(node_key(5), revocation), Answer::kAlready);
  service.end_epoch();
  EXPECT_TRUE(service.has_say(3));
  service.now_ms = 900'000'000;  // its time is over: it is forgotten, and refused
  EXPECT_EQ(service.ask(node_key(5), revocation), Answer::kAlready);
  EXPECT_EQ(service.decide(coming(4), {0, 1, 2}), Answer::kRefused);
}

/// Agreed time begins anew with each epoch's group, within the bound of clocks.
TEST(Decree, WhatWasDecidedIsRememberedBeyondItsTime) {
  Assembly service;
  SignedDecree brief{.decree = Decree{.cluster = service.configuration->cluster(),
                                      .not_before = Timestamp(1000),
                                      .not_after = Timestamp(2000),
                                      .what = coming(3)}
                                   .encode(),
                     .signatures = {}};
  for (const std::size_t signer : {0U, 1U, 2U}) brief.sign(authority(signer), service.scheme);
  EXPECT_EQ(service.ask(node_key(5), Enact{brief}), Answer::kDone);
  service.now_ms = 2'001'000;
  EXPECT_EQ(service.decide(coming(4), {0, 1, 2}), Answer::kDone);  // forgets what is long over
  service.now_ms = 1'995'000;
  EXPECT_EQ(service.ask(node_key(5), Enact{brief}), Answer::kAlready);
}

TEST(Decree, ItsLastOrganisationIsNotRevoked) {
  Assembly service;
  for (const std::size_t one : {3U, 2U, 1U}) {
    EXPECT_EQ(service.decide(going(one), {0, 1, 2}), Answer::kDone);
  }
  EXPECT_EQ(service.decide(going(0), {0, 1, 2}), Answer::kRefused);
  // Nodes stay as long as groups and seats could not be filled without them.
  service.end_early();
  EXPECT_FALSE(service.has_say(3));
  std::set<std::uint32_t> organisations;
  for (const auto& node : service.configuration->nodes()) organisations.insert(node.organisation);
  EXPECT_EQ(organisations.size(), 3U);
}

TEST(Decree, ANodeOfAnyOrganisationIsRevoked) {
  Assembly service;
  EXPECT_EQ(service.decide(RevokeAnyNode{.name = "node3", .node = node_key(3)}, {0, 2, 3}),
            Answer::kDone);
  service.end_early();
  EXPECT_FALSE(service.has_node(3));
  EXPECT_EQ(service.ask(node_key(5), service.admission(3, 1)), Answer::kRefused);
}

TEST(Retirement, ANodeLeavesWithTheEpochAndComesBackByALaterStatement) {
  Assembly service;
  const RetireNode retirement = service.retirement(3, 1, 1000);
  EXPECT_EQ(service.ask(node_key(5), service.retirement(3, 2, 1000)), Answer::kRefused);
  RetireNode unsigned_one = retirement;
  unsigned_one.retirement.signature.bytes[0] ^= 1;
  EXPECT_EQ(service.ask(node_key(5), unsigned_one), Answer::kRefused);
  EXPECT_EQ(service.ask(node_key(5), service.retirement(3, 1, 5000)), Answer::kRefused);  // future
  EXPECT_EQ(service.ask(node_key(5), retirement), Answer::kDone);
  EXPECT_EQ(service.ask(node_key(5), retirement), Answer::kAlready);
  EXPECT_FALSE(service.machine->may_prepare(service.now_ms));  // no reason to hurry
  service.end_epoch();
  EXPECT_FALSE(service.has_node(3));
  const auto at = [&](std::uint64_t not_before) {
    return service.changed(service.admission(3, 1), 1, [not_before](auto& statement) {
      statement.not_before = Timestamp(not_before);
    });
  };
  EXPECT_EQ(service.ask(node_key(5), at(1000)), Answer::kRefused);
  EXPECT_EQ(service.ask(node_key(5), at(1001)), Answer::kDone);
  service.end_epoch();
  EXPECT_TRUE(service.has_node(3));
  EXPECT_EQ(service.ask(node_key(5), retirement), Answer::kRefused);  // older than what it is in by
  service.end_epoch();
  EXPECT_TRUE(service.has_node(3));
}

TEST(Retirement, OfAGroupAtMostFLeaveInOneEpoch) {
  Assembly service;
  for (const std::size_t n : {1U, 3U, 5U, 7U}) {
    EXPECT_EQ(service.ask(node_key(5), service.retirement(n, n / 2, 1000)), Answer::kDone);
  }
  const auto before = service.configuration;
  service.end_epoch();
  for (const routing::Arc& arc : before->ring().arcs()) {
    const auto gone = std::ranges::count_if(arc.group, [&](std::uint32_t node) {
      return !service.configuration->node_index(before->nodes()[node].key);
    });
    EXPECT_LE(gone, 1);
  }
  EXPECT_LT(service.configuration->nodes().size(), 8U);
}

/// All of one organisation but one: neither groups nor seats could be filled otherwise.
TEST(Retirement, NobodyLeavesWithoutWhomNoServiceCouldBeDrawn) {
  Assembly service({.epoch_seconds = 60});
  for (std::size_t n = 0; n < 8; ++n) {
    service.ask(node_key(5), service.retirement(n, n / 2, 1000));
  }
  for (int i = 0; i < 8; ++i) service.end_epoch();
  std::set<std::uint32_t> organisations;
  for (const auto& node : service.configuration->nodes()) organisations.insert(node.organisation);
  EXPECT_EQ(organisations.size(), 3U);
  EXPECT_EQ(service.configuration->nodes().size(), 3U);
}

/// One machine is down, not yet evicted; another one's organisation revokes it. Without both no
/// service could be made, and no epoch would follow that lets anybody in.
TEST(Retirement, WhoIsNeededBecauseAnotherIsSilentStays) {
  Assembly service({.epoch_seconds = 60, .evict_after_seconds = 100'000});
  for (const std::size_t n : {1U, 3U, 5U, 7U}) {
    service.ask(node_key(5), service.revocation(n, static_cast<std::uint32_t>(n / 2)));
  }
  service.end_early();
  ASSERT_EQ(service.configuration->nodes().size(), 4U);  // one of each organisation
  for (const std::size_t n : {0U, 2U, 4U}) {
    service.ask(node_key(n), Reachability{.node = node_key(6)});
  }
  EXPECT_EQ(service.ask(node_key(0), service.revocation(4, 2)), Answer::kDone);
  EXPECT_EQ(service.ask(node_key(0), service.retirement(2, 1, 1000)), Answer::kDone);
  EXPECT_FALSE(service.machine->may_prepare(service.now_ms));
  service.now_ms += 61'000;
  for (const std::size_t n : {0U, 2U, 4U}) service.ask(node_key(n), PrepareEpoch{});
  EXPECT_TRUE(service.candidates().contains(node_key(4)));
  service.announce_all({node_key(6)});
  for (const std::size_t n : {0U, 2U, 4U}) service.ask(node_key(n), NoAnnouncement{node_key(6)});
  service.reveal_all({node_key(6)});
  for (const std::size_t n : {0U, 2U, 4U}) service.ask(node_key(n), NoReveal{node_key(6)});
  EXPECT_EQ(service.machine->state().phase, Phase::kSealed);
}

/// A machine that moved and is taken out in the same epoch must not come back by itself.
TEST(Retirement, AnOlderAdmissionThatWaitsIsDropped) {
  Assembly service;
  const AdmitNode moved = service.changed(service.admission(3, 1), 1, [](auto& statement) {
    statement.not_before = Timestamp(500);
    statement.address = "127.0.0.1:9";
  });
  EXPECT_EQ(service.ask(node_key(5), moved), Answer::kDone);
  EXPECT_EQ(service.ask(node_key(5), service.retirement(3, 1, 400)), Answer::kRefused);
  EXPECT_EQ(service.ask(node_key(5), service.retirement(3, 1, 900)), Answer::kDone);
  service.end_epoch();
  EXPECT_FALSE(service.has_node(3));
  service.end_epoch();
  EXPECT_FALSE(service.has_node(3));
}

TEST(Retirement, ALaterAdmissionOfANodeThatIsInTakesItBack) {
  Assembly service;
  const auto at = [&](std::uint64_t not_before) {
    return service.changed(service.admission(20, 1), 1, [not_before](auto& statement) {
      statement.not_before = Timestamp(not_before);
    });
  };
  service.ask(node_key(5), at(1));
  service.end_epoch();
  const RetireNode retirement = service.retirement(20, 1, 900);
  EXPECT_EQ(service.ask(node_key(5), retirement), Answer::kDone);
  EXPECT_EQ(service.ask(node_key(5), at(1)), Answer::kRefused);
  EXPECT_EQ(service.ask(node_key(5), at(950)), Answer::kDone);
  EXPECT_EQ(service.ask(node_key(5), at(950)), Answer::kAlready);
  EXPECT_EQ(service.ask(node_key(5), retirement), Answer::kRefused);
  service.end_epoch();
  EXPECT_TRUE(service.has_node(20));
}

TEST(EndRequest, AnOrganisationHasOneEpochAnHourEndedEarly) {
  Assembly service({.epoch_seconds = 3600});
  const auto request = [&](std::size_t organisation, std::uint64_t epoch) {
    return EndEpoch{wire::sign(
        service.scheme, authority(organisation),
        EndRequest{.cluster = service.configuration->cluster(),
                   .organisation = authority(organisation).public_key(),
                   .number = {service.configuration->number().generation, wire::Epoch(epoch)}})};
  };
  EndEpoch forged = request(1, 1);
  forged.request.signature.bytes[0] ^= 1;
  EXPECT_EQ(service.ask(node_key(5), forged), Answer::kRefused);
  EXPECT_EQ(service.ask(node_key(5), request(7, 1)), Answer::kRefused);
  EXPECT_EQ(service.ask(node_key(5), request(1, 2)), Answer::kRefused);
  EXPECT_FALSE(service.machine->may_prepare(service.now_ms));
  EXPECT_EQ(service.ask(node_key(5), request(1, 1)), Answer::kDone);
  EXPECT_EQ(service.ask(node_key(5), request(2, 1)), Answer::kAlready);
  EXPECT_TRUE(service.machine->may_prepare(service.now_ms));
  service.now_ms += 1000;
  service.end_early();
  EXPECT_EQ(service.ask(node_key(5), request(1, 1)), Answer::kAlready);  // it is over
  EXPECT_FALSE(service.machine->may_prepare(service.now_ms));
  EXPECT_EQ(service.ask(node_key(5), request(1, 2)), Answer::kRefused);  // too often
  EXPECT_EQ(service.ask(node_key(5), request(2, 2)), Answer::kDone);
  service.end_early();
  service.now_ms += 3'600'000;
  EXPECT_EQ(service.ask(node_key(5), request(1, 3)), Answer::kDone);
}

}  // namespace
}  // namespace rosebud::service
