// Recovery by the organisations (design 8.6, docs/adr/0013): one test for each rule.
#include "membership/recovery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "membership/lease.h"
#include "membership/test_chain.h"

namespace rosebud::membership {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

constexpr wire::Generation kNext{1};

/// Four organisations with two nodes each, f = F = 1; the service of some epoch is lost.
class RecoveryTest : public testing::Test {
 protected:
  RecoveryTest() {
    (void)chain.next();
    parent = chain.tip();
    for (const Node& node : parent->nodes()) plan.statements.push_back(stated(node));
    plan.generation = kNext;
    plan.start = Timestamp(parent->start().value + 100);
    plan.settings = parent->settings();
    for (const std::uint32_t node : {0U, 2U, 4U, 6U}) plan.seats.push_back(key(node));
  }

  wire::NodeKey key(std::uint32_t node) const { return parent->nodes()[node].key; }
  RecoveryStatement statement(const Node& node) const {
    return {.cluster = parent->cluster(),
            .generation = kNext,
            .node = node.key,
            .directory = node.directory,
            .entered = parent->number(),
            .header_hash = parent->header_hash(),
            .epoch_key = test_key("recovered " + node.name).public_key(),
            .commitment = crypto::sha256(as_bytes(node.name))};
  }
  wire::SignedBytes sign(const Node& node, const RecoveryStatement& one) const {
    return wire::sign(scheme(), test_key(node.name), one);
  }
  wire::SignedBytes stated(const Node& node) const { return sign(node, statement(node)); }
  /// The same with one changed.
  void state(std::uint32_t node, const std::function<void(RecoveryStatement&)>& change) {
    RecoveryStatement one = statement(parent->nodes()[node]);
    change(one);
    plan.statements[node] = sign(parent->nodes()[node], one);
  }
  const crypto::SignatureScheme& scheme() const { return chain.cluster.scheme; }

  Bytes signed_by(SignedDescription draft, std::vector<std::uint32_t> organisations) const {
    for (const std::uint32_t one : organisations) {
      draft.signatures.push_back(
          *sign_recovery(*parent, draft.header, chain.cluster.authorities[one], scheme()));
    }
    return draft.encode();
  }
  Bytes made() const { return signed_by(draft_recovery(*parent, plan), {0, 1, 3}); }
  std::optional<DescriptionError> refusal(ByteView bytes) const {
    const auto out = apply(*parent, bytes, scheme());
    return out ? std::nullopt : std::optional(out.error());
  }
  std::optional<DescriptionError> refusal() const { return refusal(made()); }
  /// Of a description whose header was changed before it was signed.
  std::optional<DescriptionError> refusal_of_header(
      const std::function<void(DescriptionHeader&)>& change) const {
    SignedDescription draft = draft_recovery(*parent, plan);
    auto header = *DescriptionHeader::decode(draft.header);
    change(header);
    draft.header = header.encode();
    return refusal(signed_by(std::move(draft), {0, 1, 2, 3}));
  }

  /// Nodes 0 and 2 are gone for good: of two organisations, more than f of many groups.
  std::vector<LackingGroup> lose_two() {
    plan.statements.erase(plan.statements.begin() + 2);
    plan.statements.erase(plan.statements.begin());
    plan.given_up = {key(0), key(2)};
    plan.seats = {key(1), key(3), key(4), key(6)};
    std::set<wire::NodeKey> stated;
    for (const std::uint32_t node : {1U, 3U, 4U, 5U, 6U, 7U}) stated.insert(key(node));
    const auto out = lacking_groups(*parent, stated);
    for (const LackingGroup& one : out) plan.losses.push_back(one.id);
    return out;
  }

  TestChain chain;
  std::shared_ptr<const Configuration> parent;
  RecoveryPlan plan;
};

TEST_F(RecoveryTest, SignedByMoreThanTwoThirds_BeginsANewGeneration) {
  const Bytes bytes = made();
  const auto out = apply(*parent, bytes, scheme());
  ASSERT_TRUE(out.has_value()) << text_of(out.error());
  EXPECT_EQ((*out)->number(), (wire::ConfigurationNumber{kNext, parent->number().epoch.next()}));
  EXPECT_GT((*out)->number(), parent->number());
  EXPECT_EQ((*out)->nodes(), parent->nodes());
  EXPECT_EQ((*out)->service()[0].epoch_key, test_key("recovered node0").public_key());
  ASSERT_NE((*out)->recovery(), nullptr);
  EXPECT_THAT((*out)->recovery()->statements, SizeIs(8));
  EXPECT_THAT((*out)->recovery()->losses, IsEmpty());
}

TEST_F(RecoveryTest, TwoThirdsAreNotMore) {
  const SignedDescription draft = draft_recovery(*parent, plan);
  EXPECT_EQ(authorities_needed(*parent), 3U);
  EXPECT_EQ(refusal(signed_by(draft, {0, 1})), DescriptionError::kTooFewSignatures);
  EXPECT_EQ(refusal(signed_by(draft, {1, 2, 3})), std::nullopt);
}

TEST_F(RecoveryTest, OneOrganisationCountsOnce) {
  SignedDescription draft = draft_recovery(*parent, plan);
  const auto one = *sign_recovery(*parent, draft.header, chain.cluster.authorities[0], scheme());
  draft.signatures = {one, one, one};
  const HeaderChain::Appended out = HeaderChain(*parent).append(
      std::vector{SignedHeader{.header = draft.header, .signatures = draft.signatures}}, scheme());
  EXPECT_EQ(out.problem, DescriptionError::kTooFewSignatures);
}

TEST_F(RecoveryTest, TheServiceCannotBeginAGeneration) {
  SignedDescription draft = draft_recovery(*parent, plan);
  for (const SeatKey& one : chain.keys()) {
    draft.signatures.push_back(
        {.seat = one.seat,
         .signature = scheme().sign(one.key, DescriptionHeader::kTag, draft.header)});
  }
  EXPECT_EQ(refusal(draft.encode()), DescriptionError::kTooFewSignatures);
}

TEST_F(RecoveryTest, AuthoritiesDoNotSignOrdinaryEpochs) {
  SignedDescription draft = draft_description(*parent, same_again(*parent));
  EXPECT_EQ(refusal(signed_by(std::move(draft), {0, 1, 2, 3})),
            DescriptionError::kTooFewSignatures);
}

TEST_F(RecoveryTest, WhatTheHeaderMustSay) {
  using H = DescriptionHeader;
  EXPECT_EQ(refusal_of_header([](H&) {}), std::nullopt);
  EXPECT_EQ(refusal_of_header([](H& h) { h.previous.bytes[0] ^= 1; }),
            DescriptionError::kOtherHistory);
  EXPECT_EQ(refusal_of_header([](H& h) { h.number.epoch = h.number.epoch.next(); }),
            DescriptionError::kGap);
  EXPECT_EQ(refusal_of_header([&](H& h) { h.number.epoch = parent->number().epoch; }),
            DescriptionError::kOtherHistory);
  EXPECT_EQ(refusal_of_header([](H& h) { h.cluster.bytes[0] ^= 1; }),
            DescriptionError::kOtherCluster);
  EXPECT_EQ(refusal_of_header([](H& h) { h.randomness.bytes[0] ^= 1; }),
            DescriptionError::kImpossible);
  EXPECT_EQ(refusal_of_header([](H& h) { h.state.bytes[0] ^= 1; }), DescriptionError::kImpossible);
  EXPECT_EQ(refusal_of_header([](H& h) { h.seats[0].epoch_key = test_key("other").public_key(); }),
            DescriptionError::kNotAsStated);
  EXPECT_EQ(refusal_of_header([](H& h) { h.seats[0].commitment.bytes[0] ^= 1; }),
            DescriptionError::kNotAsStated);
  // Statements are for one generation.
  EXPECT_EQ(refusal_of_header([](H& h) { h.number.generation = wire::Generation(2); }),
            DescriptionError::kImpossible);
  // In the same generation it is an ordinary epoch, which the service signs.
  EXPECT_EQ(refusal_of_header([](H& h) { h.number.generation = wire::Generation(0); }),
            DescriptionError::kTooFewSignatures);
}

TEST_F(RecoveryTest, AGenerationMayBeSkipped) {
  plan.generation = wire::Generation(3);
  for (std::uint32_t node = 0; node < 8; ++node)
    state(node, [](RecoveryStatement& one) { one.generation = wire::Generation(3); });
  EXPECT_EQ(refusal(), std::nullopt);
}

TEST_F(RecoveryTest, NothingButSeatsChanges) {
  const auto refused = [&](const std::function<void(NextEpoch&)>& change) {
    auto next = same_again(*parent);
    const auto good = *apply(*parent, made(), scheme());
    next.body.recovery = *good->recovery();
    next.start = good->start();
    next.end = good->end();
    next.randomness = good->randomness();
    next.service = seats_of(*good);
    change(next);
    return refusal(signed_by(draft_description(*parent, next, kNext), {0, 1, 2, 3}));
  };
  EXPECT_EQ(refused([](NextEpoch&) {}), std::nullopt);
  EXPECT_EQ(refused([](NextEpoch& next) { next.body.recovery.reset(); }),
            DescriptionError::kImpossible);
  EXPECT_EQ(refused([](NextEpoch& next) { next.body.settings.evict_after_seconds = 1; }),
            DescriptionError::kImpossible);
  EXPECT_EQ(refused([](NextEpoch& next) { next.body.organisations[0].quota_bytes += 1; }),
            DescriptionError::kImpossible);
  EXPECT_EQ(refused([&](NextEpoch& next) {
              Node moved = parent->nodes()[7];
              moved.address = "elsewhere:1";
              next.body.nodes.put(*parent, moved);
            }),
            DescriptionError::kImpossible);
  EXPECT_EQ(
      refused([&](NextEpoch& next) { next.body.nodes.put(*parent, TestCluster::node(9, 3)); }),
      DescriptionError::kImpossible);
  EXPECT_EQ(refused([](NextEpoch& next) {
              next.body.settings.service_faults = 0;
              next.service.resize(1);
            }),
            std::nullopt);
}

TEST_F(RecoveryTest, AnOrdinaryEpochShowsNoStatements) {
  NextEpoch next = same_again(*parent);
  next.body.recovery = Recovery{};
  EXPECT_EQ(refusal(make_description(*parent, next, chain.keys(), scheme())),
            DescriptionError::kImpossible);
}

TEST_F(RecoveryTest, StatementsAreCheckedOneByOne) {
  using S = RecoveryStatement;
  for (const auto& change : std::vector<std::function<void(S&)>>{
           [](S& one) { one.cluster.bytes[0] ^= 1; },
           [](S& one) { one.generation = wire::Generation(2); },
           [](S& one) { one.directory.bytes[0] ^= 1; },
           [](S& one) { one.node = test_key("nobody").public_key(); },
           [](S& one) { one.header_hash.bytes[0] ^= 1; },
           [](S& one) { one.commitment = {}; },
           // It has entered what follows the parent: that would be the parent.
           [](S& one) { one.entered.epoch = one.entered.epoch.next(); },
       }) {
    const auto good = plan.statements;
    state(5, change);
    EXPECT_EQ(refusal(), DescriptionError::kNotAsStated);
    plan.statements = good;
  }
  plan.statements[5].signature.bytes[0] ^= 1;
  EXPECT_EQ(refusal(), DescriptionError::kNotAsStated);
}

TEST_F(RecoveryTest, WhoIsBehindCounts) {
  state(5, [](RecoveryStatement& one) {
    one.entered.epoch = wire::Epoch(1);
    one.header_hash = {};
  });
  EXPECT_EQ(refusal(), std::nullopt);
}

TEST_F(RecoveryTest, SomebodyNamesTheParent) {
  for (std::uint32_t node = 0; node < 8; ++node) {
    state(node, [](RecoveryStatement& one) { one.entered.epoch = wire::Epoch(1); });
  }
  EXPECT_EQ(refusal(), DescriptionError::kNotAsStated);
}

TEST_F(RecoveryTest, AMemberThatStatesTwiceIsOne) {
  plan.statements.push_back(plan.statements[0]);
  EXPECT_EQ(refusal(), DescriptionError::kNotAsStated);
}

TEST_F(RecoveryTest, GroupsWithoutQuorum_AreNamedAsLost) {
  const auto lacking = lose_two();
  ASSERT_FALSE(lacking.empty());
  for (const LackingGroup& one : lacking) {
    EXPECT_EQ(one.stated_count, 2U);
    EXPECT_GT(one.share, 0U);
  }
  EXPECT_EQ(refusal(), std::nullopt);
  plan.losses.pop_back();
  EXPECT_EQ(refusal(), DescriptionError::kLossNotAccepted);
  plan.losses.clear();
  EXPECT_EQ(refusal(), DescriptionError::kLossNotAccepted);
}

TEST_F(RecoveryTest, NoGroupIsGivenUpThatCanState) {
  std::vector<std::uint32_t> group(parent->ring().arcs()[0].group);
  plan.losses.push_back(group_id(*parent, group));
  EXPECT_EQ(refusal(), DescriptionError::kLossNotAccepted);
}

TEST_F(RecoveryTest, WhoIsSilentInALostGroup_IsGivenUp) {
  lose_two();
  plan.given_up.erase(key(2));
  EXPECT_EQ(refusal(), DescriptionError::kLossNotAccepted);
}

TEST_F(RecoveryTest, OneSilentMemberOfAGroup_MayStay) {
  plan.statements.erase(plan.statements.begin() + 1);
  EXPECT_EQ(refusal(), std::nullopt);
  plan.given_up = {key(1)};
  EXPECT_EQ(refusal(), std::nullopt);
}

TEST_F(RecoveryTest, NeverMoreThanFOfAGroupThatStated_Leave) {
  plan.given_up = {key(1), key(3)};
  EXPECT_EQ(refusal(), DescriptionError::kImpossible);
}

TEST_F(RecoveryTest, SeatsAreOfThoseWhoStated) {
  plan.statements.erase(plan.statements.begin());
  plan.seats = {key(1), key(2), key(4), key(6)};
  const auto good = *apply(*parent, made(), scheme());
  NextEpoch next = same_again(*parent);
  next.body.recovery = *good->recovery();
  next.start = good->start();
  next.end = good->end();
  next.randomness = good->randomness();
  next.service = seats_of(*good);
  next.service[0].node = key(0);
  EXPECT_EQ(refusal(signed_by(draft_description(*parent, next, kNext), {0, 1, 2, 3})),
            DescriptionError::kNotAsStated);
}

TEST_F(RecoveryTest, WhatWasHandedToTheParent_GoesOn) {
  const Bytes handed_over = to_bytes(as_bytes("revoked: mallory"));
  NextEpoch with_state = same_again(*parent);
  with_state.state = service_state_digest(handed_over);
  for (std::uint16_t seat = 0; seat < 4; ++seat)
    with_state.service[seat].epoch_key = test_key("3/" + std::to_string(seat)).public_key();
  parent = *apply(*parent, make_description(*parent, with_state, chain.keys(), scheme()), scheme());
  plan.statements.clear();
  for (const Node& node : parent->nodes()) plan.statements.push_back(stated(node));
  plan.state = handed_over;
  EXPECT_EQ(refusal(), std::nullopt);
  EXPECT_EQ((*apply(*parent, made(), scheme()))->service_state(), parent->service_state());
  plan.state.push_back(1);
  EXPECT_EQ(refusal(), DescriptionError::kImpossible);
  plan.state.clear();  // lost: it begins with nothing
  EXPECT_EQ(refusal(), std::nullopt);
}

TEST_F(RecoveryTest, ARevokedOrganisationHasNoSay) {
  NextEpoch next = same_again(*parent);
  next.body.organisations[3].is_revoked = true;
  for (std::uint16_t seat = 0; seat < 4; ++seat)
    next.service[seat].epoch_key = test_key("3/" + std::to_string(seat)).public_key();
  parent = *apply(*parent, make_description(*parent, next, chain.keys(), scheme()), scheme());
  plan.statements.clear();
  for (const Node& node : parent->nodes()) plan.statements.push_back(stated(node));
  SignedDescription draft = draft_recovery(*parent, plan);
  EXPECT_EQ(sign_recovery(*parent, draft.header, chain.cluster.authorities[3], scheme()),
            std::nullopt);
  draft.signatures = {
      *sign_recovery(*parent, draft.header, chain.cluster.authorities[0], scheme()),
      *sign_recovery(*parent, draft.header, chain.cluster.authorities[1], scheme()),
      {.seat = 3,
       .signature = scheme().sign(chain.cluster.authorities[3], kRecoveryHeaderTag, draft.header)}};
  EXPECT_EQ(refusal(draft.encode()), DescriptionError::kTooFewSignatures);
  draft.signatures[2] =
      *sign_recovery(*parent, draft.header, chain.cluster.authorities[2], scheme());
  EXPECT_EQ(refusal(draft.encode()), std::nullopt);
}

TEST_F(RecoveryTest, WhatFollowsIsSignedByTheRecoveredService) {
  const auto recovered = *apply(*parent, made(), scheme());
  std::vector<SeatKey> keys;
  for (std::uint16_t seat = 0; seat < 4; ++seat) {
    keys.push_back({.seat = seat, .key = test_key("recovered node" + std::to_string(2 * seat))});
  }
  NextEpoch next = same_again(*recovered);
  for (std::uint16_t seat = 0; seat < 4; ++seat)
    next.service[seat].epoch_key = test_key("4/" + std::to_string(seat)).public_key();
  const Bytes bytes = make_description(*recovered, next, keys, scheme());
  const auto after = apply(*recovered, bytes, scheme());
  ASSERT_TRUE(after.has_value()) << text_of(after.error());
  EXPECT_EQ((*after)->number().generation, kNext);
  EXPECT_EQ((*after)->recovery(), nullptr);
  // The old service's successor of the parent is abandoned.
  const Bytes old = make_description(*parent, same_again(*parent), chain.keys(), scheme());
  EXPECT_EQ(apply(*recovered, old, scheme()).error(), DescriptionError::kNotNewer);
}

TEST_F(RecoveryTest, HeadersAlone_NeedTheBodyBeforeARecovery) {
  const SignedDescription third = chain.next();
  HeaderChain headers(*parent);
  ASSERT_EQ(headers.append(std::vector{without_body(third)}, scheme()).problem, std::nullopt);
  parent = chain.tip();
  plan.start = parent->start();
  plan.statements.clear();
  for (const Node& node : parent->nodes()) plan.statements.push_back(stated(node));
  const std::vector recovery{without_body(*SignedDescription::decode(made()))};
  EXPECT_EQ(headers.append(recovery, scheme()).problem, DescriptionError::kOtherGeneration);
  EXPECT_FALSE(headers.see_body(*chain.cluster.first()));
  ASSERT_TRUE(headers.see_body(*parent));
  EXPECT_EQ(headers.append(recovery, scheme()).problem, std::nullopt);
  EXPECT_EQ(headers.tip().number.generation, kNext);
}

TEST_F(RecoveryTest, InAFileOfEpochs) {
  TestChain again;
  const SignedDescription second = again.next();
  const auto file_of = [&](const Bytes& recovery, bool has_body_before) {
    EpochFileWriter writer;
    Bytes out = writer.start(chain.cluster.sign());
    const auto add = [&](const FileEpoch& one) {
      const Bytes entry = writer.entry(one);
      out.insert(out.end(), entry.begin(), entry.end());
    };
    FileEpoch before = with_body(second);
    if (!has_body_before) before.body.reset();
    add(before);
    add(with_body(*SignedDescription::decode(recovery)));
    const Bytes end = writer.end();
    out.insert(out.end(), end.begin(), end.end());
    return out;
  };
  const auto problem_of_file = [&](const Bytes& bytes) -> std::optional<DescriptionError> {
    EpochFileReader reader(reading(bytes));
    const auto out =
        verify_epochs(reader, chain.cluster.first()->cluster(), scheme(), for_each_in_order,
                      [](const VerifiedEpoch&) { return Onward::kGoOn; });
    if (!out) return out.error().description;
    EXPECT_EQ(out->last.header.number.generation, kNext);
    EXPECT_EQ(out->epochs_count, 3U);
    return std::nullopt;
  };
  EXPECT_EQ(problem_of_file(file_of(made(), true)), std::nullopt);
  EXPECT_EQ(problem_of_file(file_of(made(), false)), DescriptionError::kOtherGeneration);
  EXPECT_EQ(problem_of_file(file_of(signed_by(draft_recovery(*parent, plan), {0, 2}), true)),
            DescriptionError::kTooFewSignatures);
  state(3, [](RecoveryStatement& one) { one.entered.epoch = one.entered.epoch.next(); });
  EXPECT_EQ(problem_of_file(file_of(made(), true)), DescriptionError::kNotAsStated);
}

TEST_F(RecoveryTest, EncodingsAreWhole) {
  const RecoveryCall call{.cluster = parent->cluster(),
                          .organisation = chain.cluster.authorities[0].public_key(),
                          .generation = kNext};
  EXPECT_EQ(RecoveryCall::decode(call.encode()), call);
  const RecoveryStatement one = statement(parent->nodes()[3]);
  EXPECT_EQ(RecoveryStatement::decode(one.encode()), one);
  for (Bytes bytes : {call.encode(), one.encode()}) {
    bytes.push_back(0);
    EXPECT_EQ(RecoveryCall::decode(bytes), std::nullopt);
    EXPECT_EQ(RecoveryStatement::decode(bytes), std::nullopt);
    bytes.resize(bytes.size() - 2);
    EXPECT_EQ(RecoveryCall::decode(bytes), std::nullopt);
    EXPECT_EQ(RecoveryStatement::decode(bytes), std::nullopt);
  }
  const auto draft = draft_recovery(*parent, plan);
  const auto body = DescriptionBody::decode(draft.body);
  ASSERT_TRUE(body.has_value());
  EXPECT_TRUE(equal(body->encode(), draft.body));
}

TEST_F(RecoveryTest, AProposalIsCheckedBeforeItIsSigned) {
  const SignedDescription draft = draft_recovery(*parent, plan);
  EXPECT_TRUE(check_proposal(*parent, draft, plan.start, scheme()).has_value());
  SignedDescription other = draft_description(*parent, same_again(*parent));
  EXPECT_EQ(check_proposal(*parent, other, plan.start, scheme()).error(),
            DescriptionError::kImpossible);
  state(5, [](RecoveryStatement& one) { one.entered.epoch = one.entered.epoch.next(); });
  EXPECT_EQ(check_proposal(*parent, draft_recovery(*parent, plan), plan.start, scheme()).error(),
            DescriptionError::kNotAsStated);
}

TEST_F(RecoveryTest, EndsThreeLengthsOfAnEpochAfterItsStart) {
  using H = DescriptionHeader;
  // This one's epochs have no end.
  EXPECT_EQ(refusal_of_header([](H& h) { h.end = Timestamp(h.start.value + 1); }),
            DescriptionError::kImpossible);
  NextEpoch timed = same_again(*parent);
  timed.body.settings.epoch_seconds = 60;
  for (std::uint16_t seat = 0; seat < 4; ++seat)
    timed.service[seat].epoch_key = test_key("3/" + std::to_string(seat)).public_key();
  parent = *apply(*parent, make_description(*parent, timed, chain.keys(), scheme()), scheme());
  plan.settings = parent->settings();
  plan.statements.clear();
  for (const Node& node : parent->nodes()) plan.statements.push_back(stated(node));
  EXPECT_EQ(refusal(), std::nullopt);
  EXPECT_EQ((*apply(*parent, made(), scheme()))->end(), Timestamp(plan.start.value + 180));
  for (const std::uint64_t seconds : {1U, 179U, 181U, 100'000U}) {
    EXPECT_EQ(refusal_of_header([&](H& h) { h.end = Timestamp(h.start.value + seconds); }),
              DescriptionError::kImpossible);
  }
  EXPECT_EQ(refusal_of_header([](H& h) { h.end = Timestamp(0); }), DescriptionError::kImpossible);
}

TEST_F(RecoveryTest, OneOrganisationHasAtMostFSeats) {
  plan.seats = {key(0), key(1), key(2), key(4)};  // the first two of one organisation
  EXPECT_EQ(refusal(), DescriptionError::kImpossible);
  EXPECT_EQ(check_proposal(*parent, draft_recovery(*parent, plan), plan.start, scheme()).error(),
            DescriptionError::kImpossible);
  plan.seats = {key(0), key(2), key(4)};
  EXPECT_EQ(refusal(), std::nullopt);
}

TEST_F(RecoveryTest, AProposalThatStartsAfterTheClock_IsNotSigned) {
  const SignedDescription draft = draft_recovery(*parent, plan);
  const auto at = [&](std::uint64_t seconds_before) {
    return check_proposal(*parent, draft, Timestamp(plan.start.value - seconds_before), scheme());
  };
  EXPECT_TRUE(at(kClockBoundSeconds).has_value());
  ASSERT_FALSE(at(kClockBoundSeconds + 1).has_value());
  EXPECT_EQ(at(kClockBoundSeconds + 1).error(), DescriptionError::kStartsTooLate);
}

// What a node looks at before it verifies its whole chain again.
TEST_F(RecoveryTest, SignaturesAreCheckedWithTheParentAlone) {
  const auto second = *SignedDescription::decode(parent->signed_description());
  const auto is_signed = [&](const Bytes& bytes) {
    return is_signed_by_organisations_of(second, *SignedDescription::decode(bytes), scheme());
  };
  const SignedDescription draft = draft_recovery(*parent, plan);
  EXPECT_TRUE(is_signed(made()));
  EXPECT_FALSE(is_signed(signed_by(draft, {0, 1})));
  EXPECT_FALSE(is_signed(draft.encode()));
  // One that the service signed begins no generation.
  EXPECT_FALSE(is_signed(make_description(*parent, same_again(*parent), chain.keys(), scheme())));
  // A body with other organisations than those that the header was signed with.
  SignedDescription forged = second;
  auto body = *DescriptionBody::decode(forged.body);
  body.organisations.resize(1);
  forged.body = body.encode();
  EXPECT_FALSE(is_signed_by_organisations_of(forged, *SignedDescription::decode(made()), scheme()));
  // Of another parent.
  (void)chain.next();
  EXPECT_FALSE(
      is_signed_by_organisations_of(*SignedDescription::decode(chain.tip()->signed_description()),
                                    *SignedDescription::decode(made()), scheme()));
}

}  // namespace
}  // namespace rosebud::membership
