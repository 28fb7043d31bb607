// Audits (design 6, decision 14): who is asked for what, and what becomes of the answers.
#include "objects/auditor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "objects/test_group.h"

namespace rosebud::objects {
namespace {

using std::chrono::seconds;

/// Node 0 asks the others about one block; time goes on by hand.
class Audits : public testing::Test, protected TestGroup {
 protected:
  Audits() : auditor(nodes[0].public_key(), crypto::sha256(as_bytes("secret")), Random(1), {}) {
    enter(1);
    held = {.id = block, .holds = {hold(block, hello.size())}, .content = hello};
  }

  void enter(std::uint64_t epoch, std::optional<std::size_t> lost = {}) {
    auditor.begin_epoch(now, Verifier(configuration(epoch, lost), crypto::model_scheme()));
    number = {wire::Generation(0), wire::Epoch(epoch)};
  }
  void begin_anew(std::string_view secret, AuditorSettings settings) {
    auditor = Auditor(nodes[0].public_key(), crypto::sha256(as_bytes(secret)), Random(1), settings);
    enter(1);
  }
  const wire::NodeKey& key(std::size_t n) const { return nodes_keys[n]; }
  std::vector<wire::NodeKey> keys() const {
    std::vector<wire::NodeKey> out;
    for (const auto& one : nodes) out.push_back(one.public_key());
    return out;
  }

  /// Until it asks for something; scans find the block, loads give it.
  void run_until_asked(bool is_complete = true) {
    for (int i = 0; i < 1000 && effects.requests.empty(); ++i) {
      now = std::max(now, auditor.next_deadline());
      auditor.on_time(now, is_complete, effects);
      feed_disk();
    }
  }
  void feed_disk() {
    while (!effects.scans.empty() || !effects.loads.empty()) {
      AuditorEffects some = std::move(effects);
      effects = {};
      effects.requests = std::move(some.requests);
      for (const auto& scan : some.scans) {
        wire::Scanned scanned{.is_whole = true};
        if (scan.range.contains(block.placement)) scanned.entries.push_back(held.entry());
        auditor.on_scanned(scan.tag, &scanned, effects);
      }
      for (const auto& load : some.loads) {
        auditor.on_loaded(now, load.tag, is_held ? &held : nullptr, effects);
      }
    }
    auditor.check_invariants();
  }
  /// The question that is under way, and an answer to it.
  ReconcilerEffects::Request take_question() {
    EXPECT_EQ(effects.requests.size(), 1U);
    ReconcilerEffects::Request out = std::move(effects.requests.at(0));
    effects = {};
    return out;
  }
  void answer(const ReconcilerEffects::Request& question, wire::AnswerBody body) {
    const wire::Answer what{.context = {.configuration = number, .nonce = question.nonce},
                            .body = std::move(body)};
    EXPECT_TRUE(auditor.on_answer(now, question.to, what, effects));
  }
  wire::BlockProof proof(const ReconcilerEffects::Request& question) const {
    const auto& asked = std::get<wire::AuditBlock>(question.body);
    return {wire::audit_proof({.cluster = configuration(1)->cluster(),
                               .asker = nodes[0].public_key(),
                               .prover = question.to,
                               .challenge = asked.challenge},
                              hello.view())};
  }
  /// Asks until a question goes to this node.
  ReconcilerEffects::Request question_to(const wire::NodeKey& node) {
    for (;;) {
      run_until_asked();
      const ReconcilerEffects::Request question = take_question();
      if (question.to == node) return question;
      answer(question, proof(question));
    }
  }
  wire::ObjectAbsent absent() const { return {.complete_for = number.epoch}; }

  std::vector<wire::NodeKey> nodes_keys = keys();
  Auditor auditor;
  AuditorEffects effects;
  wire::StoredObject held;
  bool is_held = true;
  wire::ConfigurationNumber number;
  Instant now = Instant(seconds(1));
};

TEST_F(Audits, EverybodyIsAskedInTimeWithFreshChallenges) {
  std::set<wire::NodeKey> asked;
  std::set<crypto::Digest> challenges;
  const Instant began = now;
  for (int i = 0; i < 40; ++i) {
    run_until_asked();
    const auto question = take_question();
    EXPECT_NE(question.to, key(0));
    asked.insert(question.to);
    challenges.insert(std::get<wire::AuditBlock>(question.body).challenge);
    answer(question, proof(question));
  }
  EXPECT_EQ(asked.size(), 3U);
  EXPECT_EQ(challenges.size(), 40U);
  EXPECT_GE(now, began + 40 * seconds(10));
  EXPECT_EQ(auditor.statistics().proven, 40U);
  EXPECT_EQ(auditor.statistics().suspects, 0U);
}

TEST_F(Audits, WhoIsNotCompleteAsksNobody) {
  run_until_asked(false);
  EXPECT_TRUE(effects.requests.empty());
}

TEST_F(Audits, AWrongProofIsAComplaintAtOnce) {
  const auto question = question_to(key(1));
  answer(question, wire::BlockProof{});
  ASSERT_EQ(effects.complaints.size(), 1U);
  EXPECT_EQ(effects.complaints[0],
            (wire::Accusation{.accused = key(1), .accuser = key(0), .block = block}));
  ASSERT_EQ(effects.reports.size(), 1U);
  EXPECT_EQ(effects.reports[0].observation, Observation::kFalseProof);
}

/// Else a member could let another one answer.
TEST_F(Audits, TheProofOfAnotherIsWrong) {
  const auto question = question_to(key(1));
  auto other = question;
  other.to = key(2);
  answer(question, proof(other));
  EXPECT_EQ(auditor.statistics().false_ones, 1U);
}

TEST_F(Audits, WhoShowsNothingIsAskedForTheSameAgain) {
  answer(question_to(key(1)), absent());
  const Instant first = now;
  EXPECT_EQ(auditor.statistics().suspects, 1U);
  while (effects.complaints.empty() && now < first + seconds(1000)) {
    const auto again = question_to(key(1));
    EXPECT_EQ(std::get<wire::AuditBlock>(again.body).id, block);
    answer(again, absent());
  }
  ASSERT_EQ(effects.complaints.size(), 1U);
  // Three times, a pause apart: what chance asks meanwhile does not count.
  EXPECT_GE(now, first + seconds(120));
  EXPECT_LE(now, first + seconds(160));
  // Not again and again.
  effects = {};
  answer(question_to(key(1)), absent());
  EXPECT_TRUE(effects.complaints.empty());
}

TEST_F(Audits, WhoShowsItThenIsSuspectedNoMore) {
  answer(question_to(key(1)), absent());
  now += seconds(60);
  answer(question_to(key(1)), absent());
  const auto question = question_to(key(1));
  answer(question, proof(question));
  EXPECT_EQ(auditor.statistics().suspects, 0U);
  EXPECT_TRUE(effects.complaints.empty());
}

/// Else who has an excuse each third time would owe a proof for ever.
TEST_F(Audits, AnExcuseMakesUpForNothing) {
  const wire::AnswerBody excuses[] = {wire::ObjectAbsent{.complete_for = wire::Epoch(0)},
                                      wire::Refused{.reason = wire::RefusalReason::kNoSpace}};
  for (const wire::AnswerBody& excuse : excuses) {
    EXPECT_TRUE(effects.complaints.empty());
    answer(question_to(key(1)), absent());
    now += seconds(60);
    EXPECT_TRUE(effects.complaints.empty());
    answer(question_to(key(1)), excuse);
    now += seconds(60);
  }
  EXPECT_EQ(auditor.statistics().suspects, 1U);
  answer(question_to(key(1)), absent());
  EXPECT_EQ(effects.complaints.size(), 1U);
}

/// Once or twice a correct one has none either: it is told of when it is complained of.
TEST_F(Audits, WhoOwesAProofIsReportedWithTheComplaint) {
  for (unsigned failures = 1; failures <= AuditorSettings{}.failures_max; ++failures) {
    EXPECT_TRUE(effects.reports.empty());
    answer(question_to(key(1)), absent());
    now += seconds(60);
  }
  EXPECT_EQ(effects.complaints.size(), 1U);
  ASSERT_EQ(effects.reports.size(), 1U);
  EXPECT_EQ(effects.reports[0].observation, Observation::kNoProof);
  EXPECT_EQ(effects.reports[0].peer, key(1));
}

/// It was complained of for a block that it did not show: what it did now is more.
TEST_F(Audits, AWrongProofAfterAComplaintIsAnotherComplaint) {
  for (unsigned failures = 1; failures <= AuditorSettings{}.failures_max; ++failures) {
    answer(question_to(key(1)), absent());
    now += seconds(60);
  }
  ASSERT_EQ(effects.complaints.size(), 1U);
  answer(question_to(key(1)), wire::BlockProof{});
  ASSERT_EQ(effects.complaints.size(), 1U);
  EXPECT_EQ(effects.reports.at(0).observation, Observation::kFalseProof);
  answer(question_to(key(1)), wire::BlockProof{});
  EXPECT_TRUE(effects.complaints.empty());  // not for each
}

TEST_F(Audits, NotBeingCompleteIsNoOffence) {
  for (int i = 0; i < 10; ++i) {
    answer(question_to(key(1)), wire::ObjectAbsent{.complete_for = wire::Epoch(0)});
    EXPECT_TRUE(effects.complaints.empty());
  }
  EXPECT_EQ(auditor.statistics().suspects, 0U);
}

/// It cannot take what it is asked for, and says so.
TEST_F(Audits, HavingNoRoomIsNoOffence) {
  for (int i = 0; i < 10; ++i) {
    answer(question_to(key(1)), wire::Refused{.reason = wire::RefusalReason::kNoSpace});
    EXPECT_TRUE(effects.complaints.empty());
  }
  EXPECT_EQ(auditor.statistics().suspects, 0U);
  EXPECT_EQ(auditor.statistics().failed, 0U);
}

/// Else whoever shows nothing would keep the others from being asked.
TEST_F(Audits, WhoOwesAProofDoesNotKeepOthersFromBeingAsked) {
  begin_anew("secret", {.again_after = seconds(5)});  // due whenever somebody is asked
  for (const std::size_t n : {1U, 2U}) answer(question_to(key(n)), absent());
  // One arc of many has a block, so few of the random audits come to a question.
  std::size_t others = 0;
  for (int i = 0; i < 400; ++i) {
    run_until_asked();
    const auto question = take_question();
    if (question.to == key(3)) {
      ++others;
      answer(question, proof(question));
    } else {
      answer(question, absent());
    }
  }
  EXPECT_GE(others, 5U);
}

/// From what it has asked nobody learns what it asks next, and not from its other numbers.
TEST_F(Audits, ChallengesFollowFromTheSecretAlone) {
  const auto challenge_of = [&] {
    const auto question = question_to(key(1));
    answer(question, proof(question));
    return std::get<wire::AuditBlock>(question.body).challenge;
  };
  const crypto::Digest mine = challenge_of();
  const auto again_with = [&](std::string_view secret) {
    now = Instant(seconds(1));
    begin_anew(secret, {});
    return challenge_of();
  };
  EXPECT_EQ(again_with("secret"), mine);
  EXPECT_NE(again_with("another"), mine);
}

/// Probes find out who is not there (design 8.2); who says other things and nothing to this is
/// there.
TEST_F(Audits, SilenceCountsOnlyOfWhoIsThere) {
  (void)question_to(key(1));
  now = auditor.next_deadline();
  auditor.on_time(now, true, effects);
  EXPECT_EQ(auditor.statistics().failed, 0U);
  effects = {};
  (void)question_to(key(1));
  const wire::Answer other{.context = {.configuration = number, .nonce = wire::Nonce(77)},
                           .body = wire::Absent{}};
  EXPECT_FALSE(auditor.on_answer(now, key(1), other, effects));
  now = auditor.next_deadline();
  auditor.on_time(now, true, effects);
  EXPECT_EQ(auditor.statistics().failed, 1U);
}

TEST_F(Audits, AnotherNodesAnswerIsNone) {
  const auto question = question_to(key(1));
  const wire::Answer wrong{.context = {.configuration = number, .nonce = question.nonce},
                           .body = wire::BlockProof{}};
  EXPECT_FALSE(auditor.on_answer(now, key(2), wrong, effects));
  EXPECT_EQ(auditor.statistics().false_ones, 0U);
}

TEST_F(Audits, WhoHasEnteredALaterEpochOwesNothing) {
  const auto question = question_to(key(1));
  number.epoch = number.epoch.next();
  answer(question, absent());
  EXPECT_EQ(auditor.statistics().failed, 0U);
}

TEST_F(Audits, ASuspicionOutlivesTheEpochAndNotTheDirectory) {
  answer(question_to(key(1)), absent());
  enter(2);
  EXPECT_EQ(auditor.statistics().suspects, 1U);
  enter(3, 1);
  EXPECT_EQ(auditor.statistics().suspects, 0U);
}

/// What nobody holds any more may be gone there.
TEST_F(Audits, OnlyWhatIsHeldIsAskedFor) {
  held.holds = {hold(client, block, hello.size(), 1, Timestamp(1000))};  // epoch 1 starts then
  run_until_asked();
  EXPECT_TRUE(effects.requests.empty());
}

TEST_F(Audits, WhatItLostItselfItAsksOfNobody) {
  answer(question_to(key(1)), absent());
  is_held = false;
  run_until_asked();
  EXPECT_TRUE(effects.requests.empty());
  EXPECT_EQ(auditor.statistics().suspects, 0U);
}

// ---- Many members ----

/// More members than may be suspected at once, and blocks of node 0 with each of them.
class ManyMembers : public testing::Test, protected TestGroup {
 protected:
  static constexpr std::uint32_t kMembers = 2 * Auditor::kSuspectsMax;
  ManyMembers()
      : auditor(nodes[0].public_key(), crypto::sha256(as_bytes("secret")), Random(1), {}) {
    grow(kMembers);
    membership::ConfigurationParts parts = parts_of(1, kMembers, 64);
    parts.number = number;
    const auto configuration = *membership::Configuration::make(std::move(parts));
    auditor.begin_epoch(now, Verifier(configuration, crypto::model_scheme()));
    for (int i = 0; i < 3000; ++i) {
      const Buffer bytes = Buffer::copy_of(as_bytes("block " + std::to_string(i)));
      const auto id = wire::ObjectId::block(crypto::sha256(bytes.view()));
      if (!configuration->is_in_group(nodes[0].public_key(), id.placement)) continue;
      store[id] = {.id = id, .holds = {hold(id, bytes.size())}, .content = bytes};
    }
  }

  /// The next question that it asks anybody.
  ReconcilerEffects::Request next_question() {
    AuditorEffects some;
    while (some.requests.empty()) {
      now = std::max(now, auditor.next_deadline());
      auditor.on_time(now, true, some);
      while (!some.scans.empty() || !some.loads.empty()) {
        const AuditorEffects asked = std::exchange(some, {});
        for (const auto& scan : asked.scans) {
          wire::Scanned scanned{.is_whole = true};
          for (const auto& [id, object] : store) {
            if (scan.range.contains(id.placement)) scanned.entries.push_back(object.entry());
          }
          auditor.on_scanned(scan.tag, &scanned, some);
        }
        for (const auto& load : asked.loads) {
          auditor.on_loaded(now, load.tag, &store.at(load.block), some);
        }
      }
    }
    return some.requests.at(0);
  }
  std::vector<wire::Accusation> answer(const ReconcilerEffects::Request& question,
                                       wire::AnswerBody body) {
    AuditorEffects out;
    EXPECT_TRUE(auditor.on_answer(
        now, question.to,
        {.context = {.configuration = number, .nonce = question.nonce}, .body = std::move(body)},
        out));
    auditor.check_invariants();
    return out.complaints;
  }
  std::size_t suspects() const { return auditor.statistics().suspects; }

  wire::ConfigurationNumber number{wire::Generation(0), wire::Epoch(1)};
  Auditor auditor;
  std::map<wire::ObjectId, wire::StoredObject> store;
  Instant now = Instant(seconds(1));
};

/// Suppose many are suspected, and owe their proofs as long as they like.
TEST_F(ManyMembers, AWrongProofCountsHoweverManyAreSuspected) {
  const wire::ObjectAbsent absent{.complete_for = number.epoch};
  std::set<wire::NodeKey> absent_at;
  while (suspects() < Auditor::kSuspectsMax) {
    const auto question = next_question();
    absent_at.insert(question.to);
    answer(question, absent);
  }
  // One more suspicion has to wait.
  auto question = next_question();
  while (absent_at.contains(question.to)) question = next_question();
  answer(question, absent);
  EXPECT_EQ(suspects(), Auditor::kSuspectsMax);
  // Each wrong proof is complained of, at once, also where nothing but wrong proofs is known.
  std::set<wire::NodeKey> accused;
  while (accused.size() < Auditor::kSuspectsMax + 8) {
    question = next_question();
    const std::vector<wire::Accusation> complaints = answer(question, wire::BlockProof{});
    if (!accused.insert(question.to).second) continue;
    ASSERT_EQ(complaints.size(), 1U);
    EXPECT_EQ(complaints[0].accused, question.to);
    EXPECT_EQ(suspects(), Auditor::kSuspectsMax);
  }
}

// ---- For the service ----

class Checks : public Audits {
 protected:
  Checks() { auditor.check(now, {about}); }
  /// The next request of a check; own audits are answered.
  ReconcilerEffects::Request next(const wire::NodeKey& node, std::size_t kind) {
    for (;;) {
      run_until_asked();
      const auto question = take_question();
      if (question.to == node && question.body.index() == kind) return question;
      if (std::holds_alternative<wire::AuditBlock>(question.body))
        answer(question, proof(question));
    }
  }
  void without_own_audits() { begin_anew("secret", {.interval = Duration::zero()}); }
  static constexpr std::size_t kFetch = wire::RequestBody(wire::FetchObject{}).index();

  const wire::Accusation about{.accused = key(1), .accuser = key(2), .block = block};
};

TEST_F(Checks, TheBlockComesFromTheAccuserAndTheProofFromTheAccused) {
  const auto fetch = next(key(2), kFetch);
  answer(fetch, wire::ObjectFound{.object = held});
  const auto question = take_question();
  EXPECT_EQ(question.to, key(1));
  answer(question, proof(question));
  ASSERT_EQ(effects.checked.size(), 1U);
  EXPECT_EQ(effects.checked[0].about, about);
  EXPECT_EQ(effects.checked[0].outcome, wire::AuditOutcome::kProven);
  EXPECT_TRUE(effects.complaints.empty());
}

TEST_F(Checks, WhatTheAccuserCannotShowIsNoReason) {
  wire::StoredObject wrong = held;
  wrong.content = Buffer::copy_of(as_bytes("other"));
  answer(next(key(2), kFetch), wire::ObjectFound{.object = wrong});
  EXPECT_TRUE(effects.requests.empty());
  EXPECT_TRUE(effects.checked.empty());
}

TEST_F(Checks, WithheldIsSaidAfterSeveralTimes) {
  for (unsigned failures = 1; failures <= AuditorSettings{}.failures_max; ++failures) {
    EXPECT_TRUE(effects.checked.empty());
    answer(next(key(2), kFetch), wire::ObjectFound{.object = held});
    answer(take_question(), wire::Refused{.reason = wire::RefusalReason::kBusy});
  }
  ASSERT_EQ(effects.checked.size(), 1U);
  EXPECT_EQ(effects.checked[0].outcome, wire::AuditOutcome::kWithheld);
}

TEST_F(Checks, AnExcuseMakesUpForNoFailure) {
  for (unsigned failures = 1; failures <= AuditorSettings{}.failures_max; ++failures) {
    EXPECT_TRUE(effects.checked.empty());
    answer(next(key(2), kFetch), wire::ObjectFound{.object = held});
    answer(take_question(), wire::ObjectAbsent{.complete_for = wire::Epoch(0)});
    EXPECT_TRUE(effects.checked.empty());
    answer(next(key(2), kFetch), wire::ObjectFound{.object = held});
    answer(take_question(), absent());
  }
  ASSERT_EQ(effects.checked.size(), 1U);
  EXPECT_EQ(effects.checked[0].outcome, wire::AuditOutcome::kWithheld);
}

/// Its own question and the check are under way with the same member, which answers one of them.
TEST_F(Checks, WhoAnswersOneQuestionIsThereForTheOther) {
  begin_anew("secret", {.interval = seconds(2), .answer_timeout = seconds(1000)});
  auditor.check(now, {about});
  answer(next(key(2), kFetch), wire::ObjectFound{.object = held});
  const auto check = take_question();
  ASSERT_EQ(check.to, key(1));
  const auto own = question_to(key(1));
  answer(own, proof(own));
  EXPECT_EQ(auditor.statistics().failed, 0U);
  now += seconds(1000);
  auditor.on_time(now, false, effects);
  EXPECT_EQ(auditor.statistics().failed, 1U);
}

/// However many there are, and whatever their keys: each is checked before one is again.
TEST_F(Checks, AllTakeTurns) {
  std::vector<wire::Accusation> many;
  for (std::uint32_t i = 0; i < 300; ++i) {
    wire::Accusation one = about;
    one.accuser.bytes[30] = static_cast<std::uint8_t>(i);
    one.accuser.bytes[31] = static_cast<std::uint8_t>(i >> 8);
    many.push_back(one);
  }
  std::ranges::sort(many);
  without_own_audits();
  auditor.check(now, many);
  std::map<wire::NodeKey, int> asked;
  while (asked.size() < many.size() || asked.begin()->second < 2) {
    run_until_asked();
    const auto question = take_question();
    if (question.body.index() != kFetch) {
      answer(question, proof(question));
      continue;
    }
    ++asked[question.to];
    const bool is_first_round = asked.size() < many.size();
    ASSERT_LE(asked[question.to], is_first_round ? 1 : 2);
    answer(question, wire::ObjectFound{.object = held});
    const auto audit = take_question();
    answer(audit, proof(audit));
    now += seconds(1);
  }
  EXPECT_GE(effects.checked.size() + auditor.statistics().proven, many.size());
}

/// It holds up one check, and then is left alone for longer and longer.
TEST_F(Checks, AnAccuserThatShowsNothingHoldsUpNobody) {
  wire::Accusation other = about;
  other.accuser = key(3);
  wire::Accusation more = about;
  more.accused = key(3);
  std::vector<wire::Accusation> all = {about, other, more};
  std::ranges::sort(all);
  without_own_audits();
  auditor.check(now, all);
  std::size_t stalled = 0;
  std::size_t shown = 0;
  const Instant began = now;
  while (now < began + seconds(1200)) {
    run_until_asked();
    const auto question = take_question();
    if (question.body.index() != kFetch) {
      answer(question, proof(question));
    } else if (question.to == key(2)) {
      ++stalled;
      now = now + AuditorSettings{}.answer_timeout;
    } else {
      ++shown;
      answer(question, wire::ObjectFound{.object = held});
    }
  }
  // 30 s, 60 s, 120 s, … between two of the accuser that shows nothing; 30 s of the other one.
  EXPECT_LE(stalled, 7U);
  EXPECT_GE(stalled, 4U);
  EXPECT_GE(shown, 25U);
}

TEST_F(Checks, WhatIsAboutItselfIsPassedOver) {
  auditor.check(now, {{.accused = key(0), .accuser = key(2), .block = block}});
  for (int i = 0; i < 5; ++i) {
    run_until_asked();
    const auto question = take_question();
    EXPECT_TRUE(std::holds_alternative<wire::AuditBlock>(question.body));
    answer(question, proof(question));
  }
  EXPECT_TRUE(effects.checked.empty());
}

}  // namespace
}  // namespace rosebud::objects
