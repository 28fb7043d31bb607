// Complaints, and what the service does about them (design 8.2, decision 14): one test for each
// rule.
#include "service/complaints.h"

#include <algorithm>

#include "service/notices.h"
#include "service/sim/checkers.h"
#include "service/test_service.h"

namespace rosebud::service {
namespace {

using wire::AuditOutcome;
using Nodes = std::initializer_list<std::size_t>;

/// Nodes 2i and 2i + 1 are of organisation i; the first of each has a seat. f = F = 1.
class Accused : public testing::Test {
 protected:
  static constexpr std::uint64_t kEpochMs = 60'000;
  Accused() : service({.epoch_seconds = 60, .evict_after_seconds = 600}) {}

  /// Of a group with all of them.
  wire::ObjectId block_of(const std::vector<std::size_t>& nodes) const {
    const membership::Configuration& configuration = *service.configuration;
    for (const routing::Arc& arc : configuration.ring().arcs()) {
      const auto is_in = [&](std::size_t n) {
        return std::ranges::find(arc.group, *configuration.node_index(node_key(n))) !=
               arc.group.end();
      };
      if (std::ranges::all_of(nodes, is_in)) return wire::ObjectId::block(arc.range.first);
    }
    ADD_FAILURE() << "no group has all of them";
    return {};
  }
  bool is_in_one_group(std::size_t one, std::size_t other) const {
    const membership::Configuration& configuration = *service.configuration;
    const auto has = [&](const routing::Arc& arc, std::size_t n) {
      return std::ranges::find(arc.group, *configuration.node_index(node_key(n))) !=
             arc.group.end();
    };
    return std::ranges::any_of(configuration.ring().arcs(), [&](const routing::Arc& arc) {
      return has(arc, one) && has(arc, other);
    });
  }
  Answer complain(std::size_t accuser, std::size_t accused) {
    return service.ask(node_key(accuser), Complain{.accused = node_key(accused),
                                                   .block = block_of({accuser, accused})});
  }
  /// Two who are in one group with it, of other organisations.
  void open_case(std::size_t accused) {
    for (const std::size_t accuser : accusers_of(accused)) complain(accuser, accused);
  }
  std::vector<std::size_t> accusers_of(std::size_t accused) const {
    const membership::Configuration& configuration = *service.configuration;
    const auto index = *configuration.node_index(node_key(accused));
    for (const routing::Arc& arc : configuration.ring().arcs()) {
      if (std::ranges::find(arc.group, index) == arc.group.end()) continue;
      std::vector<std::size_t> out;
      for (const std::uint32_t node : arc.group) {
        for (std::size_t n = 0; n < 8; ++n) {
          if (node != index && node_key(n) == configuration.nodes()[node].key) out.push_back(n);
        }
      }
      if (out.size() >= 2) return {out[0], out[1]};
    }
    return {};
  }
  Answer say(std::size_t member, std::size_t accused, AuditOutcome outcome) {
    return service.ask(node_key(member), Verdict{.accused = node_key(accused), .outcome = outcome});
  }
  const Wishes& wishes() const { return service.machine->state().carried.wishes; }
  const Complaints& complaints() const { return service.machine->state().carried.complaints; }
  bool is_in(std::size_t n) const {
    return service.configuration->node_index(node_key(n)).has_value();
  }
  void end_early() {
    service.all_say(PrepareEpoch{});
    service.announce_all();
    service.reveal_all();
    service.enter_next();
  }

  TestService service;
};

TEST_F(Accused, AWrongProofToAQuorumRemovesWithTheNextEpoch) {
  open_case(1);
  EXPECT_FALSE(service.machine->may_prepare(service.now_ms));
  for (const std::size_t member : Nodes{0, 2}) {
    EXPECT_EQ(say(member, 1, AuditOutcome::kFalse), Answer::kDone);
    EXPECT_EQ(say(member, 1, AuditOutcome::kFalse), Answer::kAlready);
  }
  EXPECT_FALSE(service.machine->may_prepare(service.now_ms));
  EXPECT_EQ(say(4, 1, AuditOutcome::kFalse), Answer::kDone);
  EXPECT_TRUE(service.machine->may_prepare(service.now_ms));
  end_early();
  EXPECT_FALSE(is_in(1));
  EXPECT_TRUE(complaints().empty());
  EXPECT_TRUE(wishes().false_since_ms.empty());
}

TEST_F(Accused, WhatOneShortOfAQuorumSaysDoesNothing) {
  for (const AuditOutcome what : {AuditOutcome::kFalse, AuditOutcome::kWithheld}) {
    open_case(1);
    for (const std::size_t member : Nodes{0, 2}) EXPECT_EQ(say(member, 1, what), Answer::kDone);
    EXPECT_EQ(say(2, 1, what), Answer::kAlready);  // nor twice what one says
    EXPECT_FALSE(service.machine->may_prepare(service.now_ms));
    EXPECT_TRUE(wishes().false_since_ms.empty());
    EXPECT_TRUE(wishes().withholding_since_ms.empty());
    service.end_epoch();
    ASSERT_TRUE(is_in(1));
    EXPECT_TRUE(wishes().false_since_ms.empty());
    EXPECT_TRUE(wishes().withholding_since_ms.empty());
    // What was said in the epoch before does not add to what is said in this one.
    open_case(1);
    say(4, 1, what);
    EXPECT_TRUE(wishes().false_since_ms.empty());
    EXPECT_TRUE(wishes().withholding_since_ms.empty());
    service.end_epoch();
  }
}

/// F = 1: it says all that it can say, in whatever order, while the others say what they found.
TEST_F(Accused, AMembersLieAloneDoesNothing) {
  open_case(1);
  for (const AuditOutcome lie :
       {AuditOutcome::kFalse, AuditOutcome::kProven, AuditOutcome::kWithheld, AuditOutcome::kFalse})
    say(0, 1, lie);
  EXPECT_TRUE(wishes().false_since_ms.empty());
  EXPECT_TRUE(wishes().withholding_since_ms.empty());
  // Nor with the word of one that was cut off: two of them withheld, and one false.
  say(2, 1, AuditOutcome::kWithheld);
  EXPECT_TRUE(wishes().withholding_since_ms.empty());
  say(4, 1, AuditOutcome::kWithheld);
  EXPECT_TRUE(wishes().withholding_since_ms.contains(node_key(1)));
  EXPECT_TRUE(wishes().false_since_ms.empty());
  service.end_epoch();
  EXPECT_TRUE(is_in(1));
  // Nor does it acquit.
  for (const std::size_t member : Nodes{0, 2, 4}) say(member, 1, AuditOutcome::kWithheld);
  say(6, 1, AuditOutcome::kProven);
  EXPECT_TRUE(wishes().withholding_since_ms.contains(node_key(1)));
}

/// Of f+1 who complain each is another one: one alone may name as many blocks as it likes.
TEST_F(Accused, ARepeatedComplaintCountsOnce) {
  const std::size_t accuser = accusers_of(1)[0];
  const std::uint64_t life = complaint_life_ms(service.configuration->settings());
  std::set<wire::ObjectId> blocks;
  for (const routing::Arc& arc : service.configuration->ring().arcs()) {
    const auto block = wire::ObjectId::block(arc.range.first);
    if (!membership::may_accuse(
            *service.configuration,
            {.accused = node_key(1), .accuser = node_key(accuser), .block = block})) {
      continue;
    }
    blocks.insert(block);
    const Answer answer =
        service.ask(node_key(accuser), Complain{.accused = node_key(1), .block = block});
    EXPECT_EQ(answer, Answer::kDone);
    EXPECT_EQ(service.ask(node_key(accuser), Complain{.accused = node_key(1), .block = block}),
              Answer::kAlready);
    EXPECT_EQ(total_of(complaints()), 1U);
    EXPECT_EQ(complaints().at(node_key(1)).at(node_key(accuser)).block, block);
    service.now_ms += life / 2;
    if (blocks.size() == 4) break;
  }
  ASSERT_EQ(blocks.size(), 4U);
  EXPECT_TRUE(service.machine->cases().empty());
  EXPECT_TRUE(service.machine->to_check().empty());
  EXPECT_EQ(say(0, 1, AuditOutcome::kFalse), Answer::kNotNow);
}

TEST_F(Accused, ComplaintsOfFMembersDoNothing) {
  const std::vector<std::size_t> accusers = accusers_of(1);
  ASSERT_EQ(accusers.size(), 2U);
  EXPECT_EQ(complain(accusers[0], 1), Answer::kDone);
  for (const std::size_t member : Nodes{0, 2, 4, 6}) {
    EXPECT_EQ(say(member, 1, AuditOutcome::kFalse), Answer::kNotNow);
  }
  EXPECT_TRUE(service.machine->to_check().empty());
  EXPECT_EQ(complain(accusers[1], 1), Answer::kDone);
  EXPECT_EQ(service.machine->to_check().size(), 2U);
}

/// Nobody in no group together with the others adds to them: each group has its own f liars.
TEST_F(Accused, AccusersOfOneGroupCount) {
  EXPECT_EQ(complain(2, 0), Answer::kDone);
  EXPECT_EQ(complain(3, 0), Answer::kDone);  // of the same organisation: never in one group
  EXPECT_EQ(complaints().at(node_key(0)).size(), 2U);
  EXPECT_EQ(say(4, 0, AuditOutcome::kFalse), Answer::kNotNow);
}

/// It may have no room, or have been cut off: an administrator decides, who sees it for as long as
/// it goes on.
TEST_F(Accused, WhoShowsNothingStaysAndIsShown) {
  service.now_ms += 1000;
  const std::uint64_t since = service.now_ms;
  for (int epoch = 0; epoch < 15; ++epoch) {  // longer than evict_after
    open_case(1);                             // those who have a reason repeat it
    for (const std::size_t member : Nodes{0, 2, 4}) say(member, 1, AuditOutcome::kWithheld);
    ASSERT_TRUE(wishes().withholding_since_ms.contains(node_key(1))) << epoch;
    EXPECT_EQ(wishes().withholding_since_ms.at(node_key(1)), since);
    EXPECT_FALSE(service.machine->may_prepare(service.now_ms));
    service.end_epoch();
    ASSERT_TRUE(is_in(1)) << epoch;
  }
  EXPECT_TRUE(wishes().false_since_ms.empty());
}

/// Suppose its accusers are gone, or their blocks: nobody can acquit it any more.
TEST_F(Accused, ThatItShowsNothingIsOverWhereNobodySaysItAnew) {
  open_case(1);
  for (const std::size_t member : Nodes{0, 2, 4}) say(member, 1, AuditOutcome::kWithheld);
  service.end_epoch();
  EXPECT_TRUE(wishes().withholding_since_ms.contains(node_key(1)));
  for (const std::size_t member : Nodes{0, 2}) say(member, 1, AuditOutcome::kWithheld);
  service.end_epoch();
  EXPECT_TRUE(wishes().withholding_since_ms.empty());
  EXPECT_EQ(service.machine->to_check().size(), 2U);  // the complaints go on
}

TEST_F(Accused, FPlusOneWhoSawAProofEndIt) {
  open_case(1);
  for (const std::size_t member : Nodes{0, 2, 4}) say(member, 1, AuditOutcome::kWithheld);
  EXPECT_EQ(say(6, 1, AuditOutcome::kProven), Answer::kDone);
  EXPECT_TRUE(wishes().withholding_since_ms.contains(node_key(1)));  // F may lie
  EXPECT_EQ(say(0, 1, AuditOutcome::kProven), Answer::kDone);
  EXPECT_FALSE(wishes().withholding_since_ms.contains(node_key(1)));
  // What was said before counts no more.
  EXPECT_EQ(say(0, 1, AuditOutcome::kWithheld), Answer::kDone);
  EXPECT_FALSE(wishes().withholding_since_ms.contains(node_key(1)));
}

TEST_F(Accused, AWrongProofIsNotMadeUpFor) {
  open_case(1);
  for (const std::size_t member : Nodes{0, 2, 4}) say(member, 1, AuditOutcome::kFalse);
  for (const std::size_t member : Nodes{0, 2, 4, 6}) say(member, 1, AuditOutcome::kProven);
  EXPECT_TRUE(wishes().false_since_ms.contains(node_key(1)));
}

TEST_F(Accused, ComplaintsEndUnlessRepeated) {
  open_case(1);
  for (const std::size_t member : Nodes{0, 2, 4}) say(member, 1, AuditOutcome::kWithheld);
  const std::uint64_t life = complaint_life_ms(service.configuration->settings());
  EXPECT_EQ(life, 4 * kEpochMs);
  service.now_ms += life / 2 - 1;
  const std::vector<std::size_t> accusers = accusers_of(1);
  EXPECT_EQ(complain(accusers[0], 1), Answer::kAlready);
  service.now_ms += 1;
  EXPECT_EQ(complain(accusers[0], 1), Answer::kDone);
  service.now_ms += life / 2;
  EXPECT_EQ(say(0, 1, AuditOutcome::kProven), Answer::kNotNow);  // one accuser is left
  EXPECT_EQ(complaints().at(node_key(1)).size(), 1U);
  EXPECT_TRUE(wishes().withholding_since_ms.empty());
  EXPECT_TRUE(service.machine->state().withheld.empty());
}

TEST_F(Accused, OnlyMembersOfTheBlocksGroupComplain) {
  EXPECT_EQ(service.ask(node_key(1), Complain{.accused = node_key(1), .block = block_of({1})}),
            Answer::kRefused);
  EXPECT_EQ(service.ask(node_key(50), Complain{.accused = node_key(1), .block = block_of({1})}),
            Answer::kRefused);
  // Both of one organisation are in no group together.
  EXPECT_EQ(service.ask(node_key(0), Complain{.accused = node_key(1), .block = block_of({1})}),
            Answer::kRefused);
  open_case(1);
  EXPECT_EQ(say(3, 1, AuditOutcome::kFalse), Answer::kRefused);  // no seat
  open_case(0);
  EXPECT_EQ(say(0, 0, AuditOutcome::kProven), Answer::kRefused);  // about itself
}

TEST_F(Accused, OneComplainsOfSoManyAtATime) {
  // Ten more, of organisations in which node 0 is not: 16 it could complain of.
  for (std::size_t n = 8; n < 18; ++n) {
    EXPECT_EQ(service.ask(node_key(2), service.admission(n, static_cast<std::uint32_t>(1 + n % 3))),
              Answer::kDone);
  }
  service.end_epoch();
  std::size_t known = 0;
  std::size_t refused = 0;
  std::optional<std::size_t> first;
  for (std::size_t n = 2; n < 18; ++n) {
    if (!is_in_one_group(0, n)) continue;
    const Answer answer = complain(0, n);
    EXPECT_EQ(answer, known < kComplaintsOfOneMax ? Answer::kDone : Answer::kNotNow);
    if (!first) first = n;
    (answer == Answer::kDone ? known : refused) += 1;
  }
  EXPECT_EQ(known, kComplaintsOfOneMax);
  EXPECT_GT(refused, 0U);
  EXPECT_EQ(total_of(complaints()), kComplaintsOfOneMax);
  EXPECT_TRUE(service.machine->to_check().empty());
  // Those that are over count no more, and one that is repeated is none more.
  service.now_ms += complaint_life_ms(service.configuration->settings()) / 2;
  EXPECT_EQ(complain(0, *first), Answer::kDone);
  service.now_ms += complaint_life_ms(service.configuration->settings()) / 2;
  EXPECT_EQ(complain(0, *first + 1), Answer::kDone);
  EXPECT_EQ(total_of(complaints()), 2U);
}

/// What follows from complaints is remembered, and found anew when they are other ones.
TEST_F(Accused, CasesAreThoseOfTheComplaintsThatAreThere) {
  EXPECT_TRUE(service.machine->cases().empty());
  open_case(1);
  EXPECT_EQ(service.machine->cases(), std::set{node_key(1)});
  open_case(3);
  EXPECT_EQ(service.machine->cases(), (std::set{node_key(1), node_key(3)}));
  Machine other(service.configuration, {}, service.scheme);
  EXPECT_TRUE(other.cases().empty());
  ASSERT_TRUE(other.restore(service.machine->snapshot()));
  EXPECT_EQ(other.cases(), service.machine->cases());
  EXPECT_EQ(other.to_check(), service.machine->to_check());
  const Groups groups(*service.configuration);
  EXPECT_EQ(other.cases(), cases_in(groups, complaints()));
  service.now_ms += complaint_life_ms(service.configuration->settings());
  EXPECT_EQ(say(0, 1, AuditOutcome::kFalse), Answer::kNotNow);
  EXPECT_TRUE(service.machine->cases().empty());
}

TEST_F(Accused, AnEmptyDirectoryBeginsAnew) {
  open_case(3);
  // Nor does it go for what the old one did.
  for (const std::size_t member : Nodes{0, 4, 6}) say(member, 3, AuditOutcome::kFalse);
  EXPECT_FALSE(wishes().withholding_since_ms.empty());
  EXPECT_FALSE(wishes().false_since_ms.empty());
  service.ask(node_key(5), service.changed(service.admission(3, 1), 1, [](auto& statement) {
    statement.directory.bytes[5] = 77;
  }));
  service.end_epoch();
  EXPECT_TRUE(is_in(3));
  EXPECT_TRUE(complaints().empty());
  EXPECT_TRUE(wishes().withholding_since_ms.empty());
  EXPECT_TRUE(wishes().false_since_ms.empty());
}

/// Two of one group cannot go at once: the one that stays has no seat meanwhile.
TEST_F(Accused, WhoIsConvictedTakesNoSeat) {
  for (const std::size_t accused : Nodes{0, 2}) open_case(accused);
  for (const std::size_t accused : Nodes{0, 2}) {
    for (const std::size_t member : Nodes{0, 2, 4, 6}) say(member, accused, AuditOutcome::kFalse);
  }
  EXPECT_EQ(wishes().false_since_ms.size(), 2U);
  end_early();
  EXPECT_NE(is_in(0), is_in(2));
  for (const wire::NodeKey& member : service.members()) {
    EXPECT_FALSE(member == node_key(0) || member == node_key(2));
  }
}

TEST_F(Accused, AtMostFOfOneGroupGoInOneEpoch) {
  // With so many arcs two nodes of two organisations are in some group together.
  for (const std::size_t accused : Nodes{1, 3}) open_case(accused);
  for (const std::size_t accused : Nodes{1, 3}) {
    for (const std::size_t member : Nodes{0, 2, 4, 6}) say(member, accused, AuditOutcome::kFalse);
  }
  end_early();
  EXPECT_NE(is_in(1), is_in(3));
  EXPECT_EQ(wishes().false_since_ms.size(), 1U);  // handed over
  end_early();
  EXPECT_FALSE(is_in(1) || is_in(3));
}

TEST_F(Accused, StateSurvivesTheWay) {
  open_case(1);
  say(0, 1, AuditOutcome::kWithheld);
  say(2, 1, AuditOutcome::kFalse);
  say(4, 1, AuditOutcome::kProven);
  const Bytes bytes = service.machine->state().encode();
  const auto read = State::decode(bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->carried.complaints, complaints());
  EXPECT_EQ(read->withheld, service.machine->state().withheld);
  EXPECT_EQ(read->shown_false, service.machine->state().shown_false);
  EXPECT_EQ(read->shown, service.machine->state().shown);
  Bytes record = encode(Complain{.accused = node_key(1), .block = block_of({1})});
  record.back() = static_cast<std::uint8_t>(wire::ObjectType::kRecord);
  EXPECT_FALSE(decode_operation(record));
}

/// What is handed over has to fit its notice, whoever complains of whom.
TEST(ManyAccused, AllTogetherComplainOfSoMany) {
  membership::TestCluster cluster;
  cluster.genesis.settings = {.epoch_seconds = 60};
  for (std::uint32_t n = 8; n < 600; ++n) {
    cluster.genesis.nodes.push_back(membership::TestCluster::node(n, n % 4));
    cluster.genesis.nodes.back().directory.bytes[1] = static_cast<std::uint8_t>(n / 256);
    cluster.genesis.nodes.back().admission_randomness = cluster.genesis.randomness();
  }
  const auto configuration = cluster.first();
  Machine machine(configuration, {}, cluster.scheme);
  const std::uint64_t now_ms = configuration->start().value * 1000;
  const auto& nodes = configuration->nodes();
  const auto ask = [&](std::uint32_t accuser, std::uint32_t accused, const wire::ObjectId& block) {
    const Complain complain{.accused = nodes[accused].key, .block = block};
    const auto outcome =
        machine.execute(pbft::AgreedTime(now_ms), nodes[accuser].key, encode(complain));
    return static_cast<Answer>(outcome.result.at(0));
  };
  std::size_t done = 0;
  std::size_t refused_when_full = 0;
  for (const routing::Arc& arc : configuration->ring().arcs()) {
    for (const std::uint32_t accuser : arc.group) {
      for (const std::uint32_t accused : arc.group) {
        if (accuser == accused || refused_when_full > 100) continue;
        const Answer answer = ask(accuser, accused, wire::ObjectId::block(arc.range.first));
        done += answer == Answer::kDone ? 1U : 0U;
        if (done == kComplaintsMax && answer == Answer::kNotNow) ++refused_when_full;
      }
    }
  }
  EXPECT_GT(refused_when_full, 0U);
  EXPECT_EQ(done, kComplaintsMax);
  EXPECT_EQ(total_of(machine.state().carried.complaints), kComplaintsMax);
  EXPECT_LT(machine.state().carried.encode().size(), kNoticeSizeMax / 2);
}

// ---- What one member finds ----

class Findings : public Accused {
 protected:
  Findings() {
    const std::vector<std::size_t> two = accusers_of(1);
    for (const std::size_t accuser : two) complain(accuser, 1);
    accusations = service.machine->to_check();
  }
  std::optional<AuditOutcome> verdict() const {
    return results.verdict(service.machine->groups(), complaints(), node_key(1));
  }
  std::vector<wire::Accusation> accusations;
  CheckResults results;
};

TEST_F(Findings, BlocksOfFAccusersSayNothing) {
  ASSERT_EQ(accusations.size(), 2U);
  EXPECT_EQ(verdict(), std::nullopt);
  results.add(accusations[0], AuditOutcome::kWithheld);
  EXPECT_EQ(verdict(), std::nullopt);
  results.add(accusations[1], AuditOutcome::kProven);
  EXPECT_EQ(verdict(), AuditOutcome::kProven);
}

TEST_F(Findings, BlocksOfFPlusOneAccusersDo) {
  for (const auto& one : accusations) results.add(one, AuditOutcome::kWithheld);
  EXPECT_EQ(verdict(), AuditOutcome::kWithheld);
  results.add(accusations[0], AuditOutcome::kProven);
  EXPECT_EQ(verdict(), AuditOutcome::kProven);
}

TEST_F(Findings, OneWrongProofIsEnough) {
  results.add(accusations[0], AuditOutcome::kProven);
  results.add(accusations[1], AuditOutcome::kFalse);
  results.add(accusations[1], AuditOutcome::kProven);
  EXPECT_EQ(verdict(), AuditOutcome::kFalse);
  results.keep({accusations[0]});
  EXPECT_EQ(verdict(), AuditOutcome::kProven);
}

/// Whatever the others say: that is what 2F+1 stands on.
TEST_F(Findings, AMemberSaysOnlyWhatItFoundItself) {
  for (const std::size_t member : Nodes{0, 2, 4}) say(member, 1, AuditOutcome::kFalse);
  Member member(node_key(6), service.configuration, std::nullopt, {}, service.scheme, Random(1));
  const auto wish = [&]() -> std::optional<AuditOutcome> {
    const auto out = member.wish(Instant(), service.now_ms, *service.machine);
    const auto* verdict = out ? std::get_if<Verdict>(&*out) : nullptr;
    return verdict ? std::optional(verdict->outcome) : std::nullopt;
  };
  EXPECT_EQ(wish(), std::nullopt);
  // It was shown all of them: what the others said it says otherwise.
  for (const auto& one : accusations) member.on_checked(one, AuditOutcome::kProven);
  EXPECT_EQ(wish(), AuditOutcome::kProven);
  EXPECT_EQ(say(6, 1, AuditOutcome::kProven), Answer::kDone);
  EXPECT_EQ(wish(), std::nullopt);
  member.on_checked(accusations[0], AuditOutcome::kWithheld);
  EXPECT_EQ(wish(), std::nullopt);  // one accuser may lie
  member.on_checked(accusations[1], AuditOutcome::kWithheld);
  EXPECT_EQ(wish(), AuditOutcome::kWithheld);
  member.on_checked(accusations[0], AuditOutcome::kFalse);
  EXPECT_EQ(wish(), AuditOutcome::kFalse);
  EXPECT_EQ(say(6, 1, AuditOutcome::kFalse), Answer::kDone);
  EXPECT_EQ(wish(), std::nullopt);
}

// ---- A cluster in which one node has lost its blocks without a word ----

bool is_gone_in_time(sim::Conduct conduct) {
  sim::WorldOptions options{.seed = 7, .organisations = 5, .nodes_of_each = 2};
  options.settings.evict_after_seconds = 5;  // also who shows nothing would be gone
  sim::World world(options);
  sim::Checkers checkers(world);
  world.start_all();
  // Node 2 shows wrong proofs, node 3 none.
  for (const std::size_t n : Nodes{2, 3}) world.set_conduct(n, conduct);
  world.every(std::chrono::milliseconds(500), [&world] { world.audit(); });
  world.run_for(std::chrono::seconds(40));
  EXPECT_EQ(checkers.violation(), "");
  for (std::size_t n = 0; n < 10; ++n) {
    const bool is_in = world.newest().node_index(world.key(n)).has_value();
    EXPECT_TRUE(is_in || n == 2) << n;
  }
  EXPECT_TRUE(world.newest().node_index(world.key(3)).has_value());
  return !world.newest().node_index(world.key(2)).has_value();
}

TEST(ComplaintsInACluster, WhoShowsWrongProofsLeavesAndWhoShowsNothingDoesNot) {
  EXPECT_TRUE(is_gone_in_time(sim::Conduct::kHollow));
}

TEST(ComplaintsInACluster, WhoHasThemStays) {
  EXPECT_FALSE(is_gone_in_time(sim::Conduct::kCorrect));
}

}  // namespace
}  // namespace rosebud::service
