// One test per rule of the paper, with its section; the replica under test hears votes made by
// hand.
#include <algorithm>

#include "pbft/records.h"
#include "pbft/test_group.h"

namespace rosebud::pbft {
namespace {

using std::chrono::milliseconds;

const BatchPointer kBatch = test_batch({test_request("a", 1)});

/// Which effect of two comes first; npos when one is missing.
template <typename First, typename Second>
bool comes_before(const Effects& effects) {
  std::size_t first = effects.size();
  std::size_t second = effects.size();
  for (std::size_t i = effects.size(); i-- > 0;) {
    if (std::holds_alternative<First>(effects[i])) first = i;
    if (std::holds_alternative<Second>(effects[i])) second = i;
  }
  return first < second && second < effects.size();
}

ViewChange change_of(const TestReplica& replica, std::uint64_t view, std::size_t seat,
                     std::vector<Certificate> prepared = {}) {
  ViewChange out{.prepared = std::move(prepared)};
  out.vote = signed_vote(replica.group(), VoteKind::kViewChange, view, 0, out.digest(InstanceId{}),
                         seat, 50 + view);
  return out;
}

NewView new_view_of(const TestReplica& replica, std::uint64_t view,
                    const std::vector<Certificate>& prepared,
                    const std::vector<crypto::Digest>& digests) {
  NewView out;
  for (const std::size_t seat : {0U, 2U, 3U}) {
    out.proofs.push_back(
        change_of(replica, view, seat, seat == 2 ? prepared : std::vector<Certificate>{}));
  }
  const std::size_t primary = replica.group().primary_of(View(view)).value;
  for (std::size_t i = 0; i < digests.size(); ++i) {
    out.pre_prepares.push_back(signed_vote(replica.group(), VoteKind::kPrePrepare, view, i + 1,
                                           digests[i], primary, 70 + i));
  }
  out.vote = signed_vote(replica.group(), VoteKind::kNewView, view, 0, out.digest(InstanceId{}),
                         primary, 90);
  return out;
}

// ---- [CL99 §4.1] The client ----

TEST(Requests, ABackupPassesARequestOnToThePrimary) {
  TestReplica backup(1);
  const auto sent = effects_of<Send>(backup.ask(test_request("a", 1)));
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].to, id(0));
  EXPECT_TRUE(std::holds_alternative<Request>(sent[0].message));
}

TEST(Requests, AReplyIsSentAgainAndTheRequestNotExecutedAgain) {
  TestReplica backup(1);
  backup.commit(0, 1, kBatch);
  EXPECT_EQ(backup.ledger->executions(), 1U);
  const auto replies = effects_of<SendReply>(backup.ask(test_request("a", 1)));
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_EQ(replies[0].reply.status, Reply::Status::kExecuted);
  EXPECT_FALSE(replies[0].reply.result.empty());
  EXPECT_EQ(backup.ledger->executions(), 1U);
}

TEST(Requests, NobodyMakesOthersAnswerAClientByHandingItsRequestOn) {
  TestReplica backup(1);
  backup.commit(0, 1, kBatch);
  for (const std::uint64_t number : {0ULL, 1ULL, ~0ULL}) {
    const Request request = test_request("a", number);
    EXPECT_TRUE(effects_of<SendReply>(backup.hear(2, request)).empty());
    EXPECT_EQ(effects_of<SendReply>(backup.ask(request)).size(), 1U);
  }
}

TEST(Requests, OrderedTwiceIsExecutedOnce) {
  TestReplica backup(1);
  backup.commit(0, 1, kBatch);
  backup.commit(0, 2, test_batch({test_request("a", 1), test_request("b", 1)}, 1001));
  EXPECT_EQ(backup->executed(), SequenceNumber(2));
  EXPECT_EQ(backup.ledger->executions(), 2U);  // a and b
}

TEST(Requests, AnEarlierNumberOfItsClientIsNotExecuted) {
  TestReplica backup(1);
  backup.commit(0, 1, test_batch({test_request("a", 5)}));
  backup.commit(0, 2, test_batch({test_request("a", 4)}));
  EXPECT_EQ(backup.ledger->executions(), 1U);
}

TEST(Requests, TheQuestionForNumbersIsAnsweredAndNeverOrdered) {
  TestReplica primary(0);
  const auto asks = [&] { return primary.ask(test_request("a", kNumbersQuestion.value)); };
  const auto anew = effects_of<SendReply>(asks());
  ASSERT_EQ(anew.size(), 1U);
  EXPECT_EQ(anew[0].reply.status, Reply::Status::kNumberForgotten);
  EXPECT_EQ(anew[0].reply.floor, RequestNumber(0));
  EXPECT_EQ(anew[0].reply.time, AgreedTime(1000));  // its clock
  EXPECT_EQ(primary->pending_count(), 0U);
  TestReplica backup(1);
  backup.commit(0, 1, test_batch({test_request("a", 5)}));
  EXPECT_EQ(effects_of<SendReply>(backup.ask(test_request("a", 0)))[0].reply.floor,
            RequestNumber(5));
  // A liar as the primary orders it, so that correct replicas answer something else.
  backup.commit(0, 2, test_batch({test_request("a", 0)}, 1001));
  const auto replies = effects_of<SendReply>(backup.last());
  EXPECT_EQ(backup.ledger->executions(), 1U);
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_EQ(replies[0].reply.floor, RequestNumber(5));
  EXPECT_EQ(replies[0].reply.time, AgreedTime(1001));
}

TEST(Requests, AnotherOperationUnderANumberThatWasExecutedIsNotAnsweredWithItsResult) {
  TestReplica backup(1);
  backup.commit(0, 1, test_batch({test_request("a", 5, "one")}));
  const auto again = effects_of<SendReply>(backup.ask(test_request("a", 5, "one")));
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].reply.status, Reply::Status::kExecuted);
  const auto other = effects_of<SendReply>(backup.ask(test_request("a", 5, "two")));
  ASSERT_EQ(other.size(), 1U);
  EXPECT_EQ(other[0].reply.status, Reply::Status::kNumberForgotten);
  EXPECT_EQ(other[0].reply.operation, operation_digest(as_bytes("two")));
}

TEST(Requests, ANumberThatIsNotNewIsRefusedWithTheFloor) {
  TestReplica backup(1);
  backup.commit(0, 1, test_batch({test_request("a", 5)}));
  const auto replies = effects_of<SendReply>(backup.ask(test_request("a", 4)));
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_EQ(replies[0].reply.status, Reply::Status::kNumberForgotten);
  EXPECT_EQ(replies[0].reply.floor, RequestNumber(5));
  Settings few = test_settings();
  few.group.clients_max = 1;
  TestReplica full(1, few);
  full.commit(0, 1, test_batch({test_request("a", 5), test_request("b", 7)}));
  const auto forgotten = effects_of<SendReply>(full.ask(test_request("a", 5)));
  ASSERT_EQ(forgotten.size(), 1U);
  EXPECT_EQ(forgotten[0].reply.floor, RequestNumber(5));
}

TEST(Requests, WhoIsNoClientTakesNoPlace) {
  TestReplica primary(0);
  primary.ledger->hear_only(test_key("a").public_key());
  const auto refused = effects_of<SendReply>(primary.ask(test_request("b", 1)));
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_EQ(refused[0].reply.status, Reply::Status::kNotAClient);
  EXPECT_EQ(primary->pending_count(), 0U);
  TestReplica backup(1);
  backup.ledger->hear_only(test_key("a").public_key());
  backup.commit(0, 1, test_batch({test_request("a", 1), test_request("b", 1)}));
  EXPECT_EQ(backup.ledger->executions(), 1U);
  EXPECT_EQ(effects_of<SendReply>(backup.ask(test_request("b", 1)))[0].reply.status,
            Reply::Status::kNotAClient);
  // Who was one is told what became of its last request.
  backup.ledger->hear_only(test_key("b").public_key());
  EXPECT_EQ(effects_of<SendReply>(backup.ask(test_request("a", 1)))[0].reply.status,
            Reply::Status::kExecuted);
}

TEST(Requests, ABackupWaitsForNothingThatAPrimaryWithAnotherClockMayRefuse) {
  Settings settings = test_settings();
  settings.clock_bound_ms = 100;
  settings.group.number_ahead_max_ms = 5000;
  const auto ahead = [](std::uint64_t ms) { return test_request("a", (1000 + ms) * 1000); };
  TestReplica backup(1, settings);
  const auto refused = effects_of<SendReply>(backup.ask(ahead(4901)));
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_EQ(refused[0].reply.status, Reply::Status::kNumberAhead);
  EXPECT_EQ(backup->pending_count(), 0U);
  backup.ask(ahead(4900));
  EXPECT_EQ(backup->pending_count(), 1U);
  // What a backup waits for, a primary takes whose clock is behind by the bound.
  TestReplica primary(0, settings);
  EXPECT_FALSE(broadcasts_of<PrePrepare>(primary.ask(ahead(5000))).empty());
}

// ---- [CL99 §4.2] Normal case ----

TEST(NormalCase, ThePrimaryMakesItsProposalDurableAndSendsIt) {
  TestReplica primary(0);
  const Effects& effects = primary.ask(test_request("a", 1));
  const auto proposals = broadcasts_of<PrePrepare>(effects);
  ASSERT_EQ(proposals.size(), 1U);
  EXPECT_EQ(proposals[0].vote.number, SequenceNumber(1));
  EXPECT_EQ(proposals[0].batch->batch().requests.size(), 1U);
  EXPECT_TRUE((comes_before<Persist, Broadcast>(effects)));
}

TEST(NormalCase, SmallBatchesWaitWhileOthersAreInFlight_LargeOnesDoNot) {
  Settings settings = test_settings();
  settings.small_batches_in_flight_max = 2;
  settings.small_batch_requests = 3;
  TestReplica primary(0, settings);
  const auto proposes = [&](const char* client) {
    return broadcasts_of<PrePrepare>(primary.ask(test_request(client, 1)));
  };
  EXPECT_EQ(proposes("a").size(), 1U);
  EXPECT_EQ(proposes("b").size(), 1U);
  EXPECT_TRUE(proposes("c").empty());
  EXPECT_TRUE(proposes("d").empty());
  const auto large = proposes("e");
  ASSERT_EQ(large.size(), 1U);
  EXPECT_EQ(large[0].batch->batch().requests.size(), 3U);
}

TEST(NormalCase, ASmallBatchWaitsNoLongerThanSoAfterTheOneBefore) {
  Settings settings = test_settings();
  settings.small_batches_in_flight_max = 1;
  settings.small_batch_requests = 3;
  settings.small_batch_wait = milliseconds(7);
  TestReplica primary(0, settings);
  ASSERT_EQ(broadcasts_of<PrePrepare>(primary.ask(test_request("a", 1))).size(), 1U);
  const Instant proposed = primary.now().instant;
  ASSERT_TRUE(broadcasts_of<PrePrepare>(primary.ask(test_request("b", 1))).empty());
  EXPECT_EQ(primary->next_deadline(), proposed + milliseconds(7));
  EXPECT_TRUE(broadcasts_of<PrePrepare>(primary.pass(milliseconds(6))).empty());
  EXPECT_EQ(broadcasts_of<PrePrepare>(primary.pass(milliseconds(1))).size(), 1U);
  // Nothing waits: no deadline that is over and over in the past.
  EXPECT_GT(primary->next_deadline(), primary.now().instant);
}

TEST(NormalCase, AVoteForWhatIsSettled_IsSuperfluous_AnotherIsNot) {
  TestReplica backup(2);
  const auto vote = [&](VoteKind kind, std::uint16_t replica, const crypto::Digest& digest,
                        std::uint64_t view = 0) {
    return Message(Ballot{signed_vote(backup.group(), kind, view, 1, digest, replica)});
  };
  const crypto::Digest digest = kBatch->digest();
  backup.hear(0, backup.proposal(0, 1, kBatch));
  EXPECT_FALSE(backup->is_superfluous(vote(VoteKind::kPrepare, 1, digest)));
  backup.hear_votes(VoteKind::kPrepare, 0, 1, digest, {1});
  EXPECT_TRUE(backup->is_superfluous(vote(VoteKind::kPrepare, 3, digest)));
  EXPECT_FALSE(backup->is_superfluous(vote(VoteKind::kCommit, 3, digest)));
  // It may be evidence, or the beginning of something else.
  EXPECT_FALSE(backup->is_superfluous(vote(VoteKind::kPrepare, 3, crypto::Digest{})));
  EXPECT_FALSE(backup->is_superfluous(vote(VoteKind::kPrepare, 3, digest, 1)));
  backup.hear_votes(VoteKind::kCommit, 0, 1, digest, {0, 1});
  EXPECT_TRUE(backup->is_superfluous(vote(VoteKind::kCommit, 3, digest)));
  EXPECT_FALSE(backup->is_superfluous(Message(FetchBatch{digest})));
}

TEST(NormalCase, ARequestThatWaitsIsSuperfluous_OneWithAnotherSignatureIsNot) {
  TestReplica backup(2);
  Request request = test_request("a", 1);
  EXPECT_FALSE(backup->is_superfluous(Message(request)));
  backup.ask(request);
  EXPECT_TRUE(backup->is_superfluous(Message(request)));
  request.signature.bytes[0] ^= 1;
  EXPECT_FALSE(backup->is_superfluous(Message(request)));
  EXPECT_FALSE(backup->is_superfluous(Message(test_request("a", 2))));
}

TEST(NormalCase, AProposalThatWouldBeLeftAsideIsSuperfluous) {
  TestReplica backup(1);
  const BatchPointer other = test_batch({test_request("b", 1)});
  const auto is_superfluous = [&](std::uint64_t view, std::uint64_t number,
                                  const BatchPointer& batch) {
    return backup->is_superfluous(backup.proposal(view, number, batch));
  };
  EXPECT_FALSE(is_superfluous(0, 1, kBatch));
  EXPECT_TRUE(is_superfluous(3, 1, kBatch));  // of one that does not lead yet
  EXPECT_TRUE(is_superfluous(0, 1'000, kBatch));
  EXPECT_FALSE(is_superfluous(0, 9, kBatch));  // the window may move first
  backup.hear(0, backup.proposal(0, 1, kBatch));
  EXPECT_TRUE(is_superfluous(0, 1, kBatch));
  EXPECT_FALSE(is_superfluous(0, 1, other));  // evidence
  backup.hear(0, backup.proposal(0, 1, other));
  EXPECT_TRUE(is_superfluous(0, 1, other));  // of which one is enough
  const Committed committed{certificate(backup.group(), VoteKind::kCommit, 0, 1, kBatch->digest()),
                            kBatch};
  EXPECT_FALSE(backup->is_superfluous(committed));
  backup.hear(2, committed);
  EXPECT_TRUE(backup->is_superfluous(committed));
  backup.hear(2, change_of(backup, 3, 2));
  backup.hear(3, change_of(backup, 3, 3));
  ASSERT_TRUE(backup->is_changing_view());
  EXPECT_TRUE(is_superfluous(3, 2, kBatch));
}

TEST(NormalCase, RequestsAreGatheredWhileInstancesAreInFlight) {
  Settings settings = test_settings();
  settings.instances_in_flight_max = 1;
  TestReplica primary(0, settings);
  primary.ask(test_request("a", 1));
  const auto first = primary.last();
  for (const char* client : {"b", "c", "d"}) {
    EXPECT_TRUE(broadcasts_of<PrePrepare>(primary.ask(test_request(client, 1))).empty());
  }
  const crypto::Digest digest = broadcasts_of<PrePrepare>(first)[0].vote.digest;
  primary.hear_votes(VoteKind::kPrepare, 0, 1, digest, {1, 2});
  const Effects& effects = primary.hear_votes(VoteKind::kCommit, 0, 1, digest, {1, 2});
  const auto next = broadcasts_of<PrePrepare>(effects);
  ASSERT_EQ(next.size(), 1U);
  EXPECT_EQ(next[0].batch->batch().requests.size(), 3U);
}

// Otherwise it never has its turn while there is a queue, and a backup that waits for the first one
// leaves the view.
TEST(NormalCase, AClientThatAsksForSomethingNewerKeepsItsPlaceInTheQueue) {
  Settings settings = test_settings();
  settings.instances_in_flight_max = 1;
  settings.batch_requests_max = 1;
  TestReplica primary(0, settings);
  const Effects first = primary.ask(test_request("a", 1));
  for (const auto& [client, number] : {std::pair("b", 1), {"c", 1}, {"b", 2}, {"b", 3}}) {
    primary.ask(test_request(client, static_cast<std::uint64_t>(number)));
  }
  const crypto::Digest digest = broadcasts_of<PrePrepare>(first).at(0).vote.digest;
  primary.hear_votes(VoteKind::kPrepare, 0, 1, digest, {1, 2});
  const auto next =
      broadcasts_of<PrePrepare>(primary.hear_votes(VoteKind::kCommit, 0, 1, digest, {1, 2}));
  ASSERT_EQ(next.size(), 1U);
  EXPECT_EQ(next[0].batch->batch().requests, std::vector{test_request("b", 3)});
}

TEST(NormalCase, ABackupPreparesTheFirstProposalOnceAndDurably) {
  TestReplica backup(1);
  const Effects effects = backup.hear(0, backup.proposal(0, 1, kBatch));
  const auto prepares = ballots_of(effects, VoteKind::kPrepare);
  ASSERT_EQ(prepares.size(), 1U);
  EXPECT_EQ(prepares[0].digest, kBatch->digest());
  EXPECT_TRUE((comes_before<Persist, Broadcast>(effects)));
  EXPECT_TRUE(
      ballots_of(backup.hear(0, backup.proposal(0, 1, kBatch)), VoteKind::kPrepare).empty());
}

TEST(NormalCase, ASecondProposalForANumberIsEvidenceAndNotPrepared) {
  TestReplica backup(1);
  backup.hear(0, backup.proposal(0, 1, kBatch));
  const Effects& effects =
      backup.hear(0, backup.proposal(0, 1, test_batch({test_request("b", 1)})));
  EXPECT_TRUE(ballots_of(effects, VoteKind::kPrepare).empty());
  const auto reports = effects_of<Report>(effects);
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_EQ(reports[0].evidence.first.replica, id(0));
  EXPECT_TRUE(is_valid(reports[0].evidence, backup.group(), crypto::model_scheme()));
  backup.start();
  EXPECT_EQ(backup->evidence().size(), 1U);  // it is durable
}

// Suppose a primary shows one proposal to each backup.
TEST(NormalCase, ASecondProposalInACertificateIsEvidence) {
  const crypto::Digest other = test_digest(1);
  const auto reports_of = [&](const auto& tell) {
    TestReplica backup(2);
    backup.hear(0, backup.proposal(0, 1, kBatch));
    const Effects effects = tell(backup);
    std::vector<ReplicaId> out;
    for (const Report& one : effects_of<Report>(effects)) {
      EXPECT_TRUE(is_valid(one.evidence, backup.group(), crypto::model_scheme()));
      out.push_back(one.evidence.first.replica);
    }
    return out;
  };
  const std::vector<ReplicaId> primary{id(0)};
  EXPECT_EQ(reports_of([&](TestReplica& backup) {
              const Certificate shown =
                  certificate(backup.group(), VoteKind::kPrepare, 0, 1, other);
              return backup.hear(3, change_of(backup, 1, 3, {shown}));
            }),
            primary);
  EXPECT_EQ(reports_of([&](TestReplica& backup) {
              const Certificate shown =
                  certificate(backup.group(), VoteKind::kPrepare, 0, 1, other);
              return backup.hear(1, new_view_of(backup, 1, {shown}, {other}));
            }),
            primary);
  EXPECT_TRUE(reports_of([&](TestReplica& backup) {
                const Certificate shown =
                    certificate(backup.group(), VoteKind::kPrepare, 0, 1, kBatch->digest());
                return backup.hear(3, change_of(backup, 1, 3, {shown}));
              }).empty());
}

TEST(NormalCase, ProposalsOfOtherViewsAndOutsideTheWaterMarksAreNotPrepared) {
  TestReplica backup(2);
  const auto is_prepared = [&](std::uint64_t view, std::uint64_t number) {
    return !ballots_of(backup.hear(0, backup.proposal(view, number, kBatch)), VoteKind::kPrepare)
                .empty();
  };
  EXPECT_FALSE(is_prepared(1, 1));
  EXPECT_FALSE(is_prepared(0, 9));  // h = 0, H = 8
  EXPECT_TRUE(is_prepared(0, 8));
}

TEST(NormalCase, APrimaryProposesUpToTheHighWaterMark) {
  Settings settings = test_settings();
  settings.instances_in_flight_max = 100;
  settings.small_batches_in_flight_max = 100;
  TestReplica primary(0, settings);
  std::size_t proposed = 0;
  for (std::size_t i = 0; i < 12; ++i) {
    const Effects& effects = primary.ask(test_request("c" + std::to_string(i), 1));
    proposed += broadcasts_of<PrePrepare>(effects).size();
  }
  EXPECT_EQ(proposed, settings.group.window);  // h = 0, H = 8
}

TEST(NormalCase, PreparedNeedsThePrePrepareAnd2FPrepares) {
  TestReplica backup(1);
  backup.hear(0, backup.proposal(0, 1, kBatch));
  // Its own prepare is one of the two.
  const Effects effects = backup.hear_votes(VoteKind::kPrepare, 0, 1, kBatch->digest(), {2});
  EXPECT_EQ(ballots_of(effects, VoteKind::kCommit).size(), 1U);
  EXPECT_TRUE((comes_before<Persist, Broadcast>(effects)));

  TestReplica other(1);
  other.hear(0, other.proposal(0, 1, kBatch));
  for (const std::size_t seat : {2U, 3U}) {  // for something else
    const Effects& none = other.hear(
        seat, Ballot{signed_vote(other.group(), VoteKind::kPrepare, 0, 1, test_digest(9), seat)});
    EXPECT_TRUE(ballots_of(none, VoteKind::kCommit).empty());
  }
}

TEST(NormalCase, PreparesMayComeBeforeTheProposal) {
  TestReplica backup(1);
  backup.hear_votes(VoteKind::kPrepare, 0, 1, kBatch->digest(), {2, 3});
  const Effects& effects = backup.hear(0, backup.proposal(0, 1, kBatch));
  EXPECT_EQ(ballots_of(effects, VoteKind::kPrepare).size(), 1U);
  EXPECT_EQ(ballots_of(effects, VoteKind::kCommit).size(), 1U);
}

TEST(NormalCase, TwoOfOneReplicaAreOne) {
  TestReplica backup(1);
  backup.hear(0, backup.proposal(0, 1, kBatch));
  backup.hear_votes(VoteKind::kPrepare, 0, 1, kBatch->digest(), {2});
  backup.hear_votes(VoteKind::kCommit, 0, 1, kBatch->digest(), {2, 2, 2});
  EXPECT_EQ(backup->executed(), SequenceNumber(0));
  backup.hear_votes(VoteKind::kCommit, 0, 1, kBatch->digest(), {3});
  EXPECT_EQ(backup->executed(), SequenceNumber(1));
}

TEST(NormalCase, ExecutionIsInTheOrderOfNumbers) {
  TestReplica backup(1);
  const BatchPointer second = test_batch({test_request("b", 1)}, 1001);
  backup.commit(0, 2, second);
  EXPECT_EQ(backup.ledger->executions(), 0U);
  backup.commit(0, 1, kBatch);
  EXPECT_EQ(backup.ledger->executions(), 2U);
  const auto executed = effects_of<Executed>(backup.last());
  ASSERT_EQ(executed.size(), 2U);
  EXPECT_EQ(executed[0].number, SequenceNumber(1));
}

TEST(NormalCase, TheOwnCommitCountsWhenItIsDurable) {  // design 7
  TestReplica backup(1);
  const auto prepare = [&](std::uint64_t number) {
    backup.is_disk_held = true;
    backup.hear(0, backup.proposal(0, number, kBatch));
    backup.hear_votes(VoteKind::kPrepare, 0, number, kBatch->digest(), {2});
    backup.hear_votes(VoteKind::kCommit, 0, number, kBatch->digest(), {0, 2});
  };
  prepare(1);
  EXPECT_EQ(backup->executed(), SequenceNumber(0));
  const Effects& effects = backup.release_disk();
  EXPECT_EQ(backup->executed(), SequenceNumber(1));
  EXPECT_EQ(effects_of<Executed>(effects).size(), 1U);
  EXPECT_EQ(effects_of<SendReply>(effects).size(), 1U);
  // 2F+1 others need it not.
  prepare(2);
  EXPECT_EQ(backup->executed(), SequenceNumber(1));
  backup.hear_votes(VoteKind::kCommit, 0, 2, kBatch->digest(), {3});
  EXPECT_EQ(backup->executed(), SequenceNumber(2));
  backup.release_disk();
  EXPECT_EQ(backup->executed(), SequenceNumber(2));
}

TEST(NormalCase, TheOwnCommitOfAnEarlierLifeIsDurable) {
  TestReplica backup(1);
  backup.hear(0, backup.proposal(0, 1, kBatch));
  backup.hear_votes(VoteKind::kPrepare, 0, 1, kBatch->digest(), {2});
  backup.start();
  backup.hear_votes(VoteKind::kCommit, 0, 1, kBatch->digest(), {0, 2});
  EXPECT_EQ(backup->executed(), SequenceNumber(1));
}

TEST(NormalCase, TimeFarFromTheOwnClockIsNotPrepared) {  // design 8.1
  Settings settings = test_settings();
  settings.clock_bound_ms = 100;
  TestReplica backup(1, settings);
  const auto is_prepared = [&](std::uint64_t number, std::uint64_t time) {
    const BatchPointer batch = test_batch({}, time);
    return !ballots_of(backup.hear(0, backup.proposal(0, number, batch)), VoteKind::kPrepare)
                .empty();
  };
  EXPECT_FALSE(is_prepared(1, 1101));
  EXPECT_FALSE(is_prepared(1, 899));
  EXPECT_TRUE(is_prepared(1, 1100));
  // The null batch has no time and is for new views alone.
  EXPECT_FALSE(is_prepared(2, 0));
}

TEST(NormalCase, ClocksThatWereSetBackStopNothing) {
  Settings settings = test_settings();
  settings.clock_bound_ms = 100;
  settings.group.number_ahead_max_ms = 200;
  TestReplica backup(1, settings);
  backup.commit(0, 1, test_batch({test_request("a", 1)}, 5000));  // the clock shows 1000 now
  const auto is_prepared = [&](std::uint64_t number, std::uint64_t time) {
    const BatchPointer batch = test_batch({}, time);
    return !ballots_of(backup.hear(0, backup.proposal(0, number, batch)), VoteKind::kPrepare)
                .empty();
  };
  EXPECT_FALSE(is_prepared(2, 5001));
  EXPECT_TRUE(is_prepared(2, 5000));
  // Numbers that were near agreed time are not far ahead now.
  backup.ask(test_request("b", 5'100'000));
  EXPECT_EQ(backup->pending_count(), 1U);
}

// ---- [CL99 §4.3] Checkpoints ----

TEST(Checkpoints, AfterEveryIntervalTheStateIsVotedForDurably) {
  TestReplica backup(1);
  for (std::uint64_t n = 1; n <= 3; ++n) backup.commit(0, n, test_batch({}, 1000 + n));
  EXPECT_TRUE(ballots_of(backup.last(), VoteKind::kCheckpoint).empty());
  backup.commit(0, 4, test_batch({}, 1004));
  const auto votes = ballots_of(backup.last(), VoteKind::kCheckpoint);
  ASSERT_EQ(votes.size(), 1U);
  EXPECT_EQ(votes[0].number, SequenceNumber(4));
  EXPECT_TRUE((comes_before<Persist, Broadcast>(backup.last())));
}

crypto::Digest run_to_checkpoint(TestReplica& backup, std::uint64_t first = 1) {
  for (std::uint64_t n = first; n < first + 4; ++n) backup.commit(0, n, test_batch({}, 1000 + n));
  return ballots_of(backup.last(), VoteKind::kCheckpoint)[0].digest;
}

TEST(Checkpoints, AQuorumMakesThemStableAndMovesTheWaterMarks) {
  TestReplica backup(1);
  const crypto::Digest digest = run_to_checkpoint(backup);
  backup.hear_votes(VoteKind::kCheckpoint, 0, 4, digest, {2});
  EXPECT_EQ(backup->stable(), SequenceNumber(0));  // F+1 are not enough
  backup.hear_votes(VoteKind::kCheckpoint, 0, 4, test_digest(3), {0});
  EXPECT_EQ(backup->stable(), SequenceNumber(0));
  backup.hear_votes(VoteKind::kCheckpoint, 0, 4, digest, {3});
  EXPECT_EQ(backup->stable(), SequenceNumber(4));
  EXPECT_EQ(backup->log_size(), 0U);
  EXPECT_FALSE(
      ballots_of(backup.hear(0, backup.proposal(0, 12, kBatch)), VoteKind::kPrepare).empty());
}

TEST(Checkpoints, TheDiskHoldsNoMoreThanTheWindowAndTwoCheckpoints) {
  TestReplica backup(1);
  std::size_t largest = 0;
  for (std::uint64_t first = 1; first < 400; first += 4) {
    const crypto::Digest digest = run_to_checkpoint(backup, first);
    backup.hear_votes(VoteKind::kCheckpoint, 0, first + 3, digest, {2, 3});
    if (first < 40) largest = std::max(largest, backup.disk.size());
    EXPECT_LE(backup.disk.size(), largest + 2);
  }
}

// ---- [CL99 §4.4, §4.5.2] View changes ----

TEST(ViewChange, ARequestThatWaitsTooLongStartsOne) {
  TestReplica backup(1);
  const Duration timeout = test_settings().request_timeout;
  backup.ask(test_request("a", 1));
  EXPECT_TRUE(broadcasts_of<ViewChange>(backup.pass(timeout / 2 - milliseconds(1))).empty());
  // At half of the time everybody is told of the request.
  EXPECT_EQ(broadcasts_of<Request>(backup.pass(milliseconds(1))).size(), 1U);
  EXPECT_TRUE(broadcasts_of<ViewChange>(backup.last()).empty());
  const Effects& effects = backup.pass(timeout / 2);
  const auto changes = broadcasts_of<ViewChange>(effects);
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_EQ(changes[0].vote.view, View(1));
  EXPECT_TRUE(backup->is_changing_view());
  EXPECT_TRUE((comes_before<Persist, Broadcast>(effects)));
}

TEST(ViewChange, AnIdleGroupStaysInItsView) {
  TestReplica backup(1);
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(broadcasts_of<ViewChange>(backup.pass(std::chrono::seconds(10))).empty());
  }
}

TEST(ViewChange, ABrokenLinkToThePrimaryShortensTheWait) {
  TestReplica backup(1);
  backup.ask(test_request("a", 1));
  Effects out;
  backup->on_link(backup.now(), id(0), false, out);
  EXPECT_EQ(broadcasts_of<ViewChange>(backup.pass(test_settings().lost_link_timeout)).size(), 1U);
}

TEST(ViewChange, ACensoredClientIsNotForgottenWhileOthersAreServed) {
  TestReplica backup(1);
  backup.ask(test_request("censored", 1));
  const Duration step = test_settings().request_timeout / 10;
  for (std::uint64_t i = 1; i < 10; ++i) {
    backup.ask(test_request("served", i));
    backup.commit(0, i, test_batch({test_request("served", i)}, 1000 + i));
    if (i % 4 == 0) {  // the window moves
      const Certificate stable =
          certificate(backup.group(), VoteKind::kCheckpoint, 0, i,
                      ballots_of(backup.last(), VoteKind::kCheckpoint)[0].digest);
      backup.hear(0, StableCheckpoint{stable});
    }
    EXPECT_TRUE(broadcasts_of<ViewChange>(backup.pass(step)).empty());
  }
  EXPECT_EQ(broadcasts_of<ViewChange>(backup.pass(step)).size(), 1U);
}

TEST(ViewChange, FPlusOneOthersMoveAReplica) {
  TestReplica backup(1);
  EXPECT_TRUE(broadcasts_of<ViewChange>(backup.hear(2, change_of(backup, 7, 2))).empty());
  const auto joined = broadcasts_of<ViewChange>(backup.hear(3, change_of(backup, 4, 3)));
  ASSERT_EQ(joined.size(), 1U);
  EXPECT_EQ(joined[0].vote.view, View(4));  // no further than a correct one
}

TEST(ViewChange, NothingOfTheOldViewIsVotedOnAfterwards) {
  TestReplica backup(1);
  backup.hear(0, backup.proposal(0, 1, kBatch));
  backup.hear(2, change_of(backup, 1, 2));
  backup.hear(3, change_of(backup, 1, 3));
  ASSERT_TRUE(backup->is_changing_view() || backup->view() == View(1));
  EXPECT_TRUE(ballots_of(backup.hear_votes(VoteKind::kPrepare, 0, 1, kBatch->digest(), {2, 3}),
                         VoteKind::kCommit)
                  .empty());
  EXPECT_TRUE(
      ballots_of(backup.hear(0, backup.proposal(0, 2, kBatch)), VoteKind::kPrepare).empty());
}

TEST(ViewChange, ItShowsWhatWasPreparedAndNotWhatWasOnlyProposed) {
  TestReplica backup(2);
  backup.hear(0, backup.proposal(0, 1, kBatch));
  backup.hear_votes(VoteKind::kPrepare, 0, 1, kBatch->digest(), {1, 3});
  backup.hear(0, backup.proposal(0, 2, test_batch({test_request("b", 1)})));
  backup.hear(3, change_of(backup, 3, 3));
  const auto changes = broadcasts_of<ViewChange>(backup.hear(1, change_of(backup, 3, 1)));
  ASSERT_EQ(changes.size(), 1U);
  ASSERT_EQ(changes[0].prepared.size(), 1U);
  EXPECT_EQ(changes[0].prepared[0].number, SequenceNumber(1));
  EXPECT_TRUE(backup.verifier().message(changes[0]));
}

TEST(ViewChange, TheNewPrimaryProposesWhatWasPreparedAndNullBetween) {
  Settings settings = test_settings();
  settings.small_batches_in_flight_max = 3;  // those of the new view are two
  TestReplica primary(1, settings);
  const BatchPointer batch = test_batch({test_request("b", 1)});
  const Certificate prepared =
      certificate(primary.group(), VoteKind::kPrepare, 0, 2, batch->digest());
  primary.hear(2, change_of(primary, 1, 2, {prepared}));
  const Effects& effects = primary.hear(3, change_of(primary, 1, 3));
  const auto views = broadcasts_of<NewView>(effects);
  ASSERT_EQ(views.size(), 1U);
  EXPECT_TRUE(primary.verifier().message(views[0]));
  ASSERT_EQ(views[0].pre_prepares.size(), 2U);
  EXPECT_EQ(views[0].pre_prepares[0].digest, primary.verifier().null_batch()->digest());
  EXPECT_EQ(views[0].pre_prepares[1].digest, batch->digest());
  EXPECT_FALSE(primary->is_changing_view());
  // It never saw the batch: it asks for it, and takes nothing else for it.
  const auto fetches = broadcasts_of<FetchBatch>(effects);
  ASSERT_EQ(fetches.size(), 1U);
  EXPECT_EQ(fetches[0].digest, batch->digest());
  // Numbers that the new view began with are not used again.
  const auto next = broadcasts_of<PrePrepare>(primary.ask(test_request("c", 1)));
  ASSERT_EQ(next.size(), 1U);
  EXPECT_EQ(next[0].vote.number, SequenceNumber(3));
}

TEST(ViewChange, ABackupPreparesWhatTheNewViewBeginsWith) {
  TestReplica backup(3);
  backup.hear(0, backup.proposal(0, 2, kBatch));
  const Certificate prepared =
      certificate(backup.group(), VoteKind::kPrepare, 0, 2, kBatch->digest());
  const crypto::Digest null = backup.verifier().null_batch()->digest();
  const Effects effects =
      backup.hear(1, new_view_of(backup, 1, {prepared}, {null, kBatch->digest()}));
  EXPECT_EQ(backup->view(), View(1));
  const auto prepares = ballots_of(effects, VoteKind::kPrepare);
  ASSERT_EQ(prepares.size(), 2U);
  EXPECT_EQ(prepares[0].digest, null);
  EXPECT_EQ(prepares[1].digest, kBatch->digest());
  // And nothing else for those numbers, though the primary says so.
  EXPECT_TRUE(
      ballots_of(backup.hear(1, backup.proposal(1, 1, kBatch)), VoteKind::kPrepare).empty());
}

// [CL99 §4.3] keeps the log up to the stable checkpoint. Suppose it kept the last proposal alone:
// one that has the certificate of an earlier one, shows it in every later view and gives the batch
// to nobody would hold up the group for ever.
TEST(ViewChange, WhatItVotedForOutlivesOtherProposals) {
  TestReplica backup(3);
  backup.hear(0, backup.proposal(0, 1, kBatch));
  const crypto::Digest null = backup.verifier().null_batch()->digest();
  const BatchPointer later = test_batch({test_request("b", 1)});
  const Certificate of_two = certificate(backup.group(), VoteKind::kPrepare, 0, 2, later->digest());
  const auto has_batch = [&] {
    backup.pass(Settings{}.status_interval);
    return !effects_of<Send>(backup.hear(2, FetchBatch{kBatch->digest()})).empty();
  };
  backup.hear(1, new_view_of(backup, 1, {of_two}, {null, later->digest()}));
  EXPECT_TRUE(has_batch());
  backup.start();
  EXPECT_TRUE(has_batch());
  // So it prepares it at once when a later view must take it up.
  const Certificate hidden =
      certificate(backup.group(), VoteKind::kPrepare, 0, 1, kBatch->digest());
  const auto prepares = ballots_of(
      backup.hear(2, new_view_of(backup, 2, {hidden}, {kBatch->digest()})), VoteKind::kPrepare);
  ASSERT_EQ(prepares.size(), 1U);
  EXPECT_EQ(prepares[0].digest, kBatch->digest());
}

TEST(ViewChange, WhatItVotedForGoesWithACertificateOfALaterView) {
  TestReplica backup(3);
  backup.hear(0, backup.proposal(0, 1, kBatch));
  const crypto::Digest null = backup.verifier().null_batch()->digest();
  const Certificate of_null = certificate(backup.group(), VoteKind::kPrepare, 0, 1, null);
  backup.hear(1, new_view_of(backup, 1, {of_null}, {null}));
  backup.hear_votes(VoteKind::kPrepare, 1, 1, null, {2});
  const auto has_batch = [&] {
    backup.pass(Settings{}.status_interval);
    return !effects_of<Send>(backup.hear(2, FetchBatch{kBatch->digest()})).empty();
  };
  EXPECT_FALSE(has_batch());
  backup.start();
  EXPECT_FALSE(has_batch());
  EXPECT_FALSE(backup.disk.contains(records::batch(SequenceNumber(1), *kBatch).key));
}

// It asks for it (the test before shows that), and goes on when it comes.
TEST(ViewChange, ABatchOfTheNewViewThatComesLaterIsPrepared) {
  TestReplica backup(3);
  const Certificate prepared =
      certificate(backup.group(), VoteKind::kPrepare, 0, 1, kBatch->digest());
  const Effects begun = backup.hear(1, new_view_of(backup, 1, {prepared}, {kBatch->digest()}));
  EXPECT_TRUE(ballots_of(begun, VoteKind::kPrepare).empty());
  ASSERT_EQ(broadcasts_of<FetchBatch>(begun).size(), 1U);
  const auto prepares = ballots_of(backup.hear(2, BatchFound{kBatch}), VoteKind::kPrepare);
  ASSERT_EQ(prepares.size(), 1U);
  EXPECT_EQ(prepares[0].digest, kBatch->digest());
}

TEST(ViewChange, WhatWaitsIsPassedOnToThePrimaryOfTheNewView) {
  TestReplica old(0);  // the primary of view 0
  old.hear(2, change_of(old, 1, 2));
  old.hear(3, change_of(old, 1, 3));
  ASSERT_TRUE(old->is_changing_view());
  const Request late = test_request("late", 1);
  EXPECT_TRUE(effects_of<Send>(old.ask(late)).empty());  // to whom?
  const auto sent = effects_of<Send>(old.hear(1, new_view_of(old, 1, {}, {})));
  const auto passed_on = std::ranges::count_if(sent, [&](const Send& one) {
    const auto* request = std::get_if<Request>(&one.message);
    return request && *request == late && one.to == id(1);
  });
  EXPECT_EQ(passed_on, 1);
}

TEST(ViewChange, WhatWasExecutedIsNotExecutedAgainInTheNewView) {
  TestReplica backup(3);
  backup.commit(0, 1, kBatch);
  const Certificate prepared =
      certificate(backup.group(), VoteKind::kPrepare, 0, 1, kBatch->digest());
  backup.hear(1, new_view_of(backup, 1, {prepared}, {kBatch->digest()}));
  EXPECT_EQ(ballots_of(backup.last(), VoteKind::kPrepare).size(), 1U);  // others may need it
  backup.hear_votes(VoteKind::kPrepare, 1, 1, kBatch->digest(), {0, 2});
  backup.hear_votes(VoteKind::kCommit, 1, 1, kBatch->digest(), {0, 1, 2});
  EXPECT_EQ(backup.ledger->executions(), 1U);
}

TEST(ViewChange, TheNullBatchChangesNothing) {
  TestReplica backup(3);
  const AgreedTime before = backup->agreed_time();
  backup.hear(1,
              new_view_of(backup, 1,
                          {certificate(backup.group(), VoteKind::kPrepare, 0, 2, kBatch->digest())},
                          {backup.verifier().null_batch()->digest(), kBatch->digest()}));
  backup.commit(1, 1, backup.verifier().null_batch());
  EXPECT_EQ(backup->executed(), SequenceNumber(1));
  EXPECT_EQ(backup->agreed_time(), before);
}

TEST(ViewChange, InVainMeansTwiceTheTimeInTheNext) {
  TestReplica backup(3);
  const Duration timeout = test_settings().request_timeout;
  backup.ask(test_request("a", 1));
  backup.pass(timeout / 2);
  backup.pass(timeout / 2);
  ASSERT_EQ(backup->view(), View(1));
  // [CL99 §4.5.2]: the time for the new view begins when 2F+1 wait for it.
  EXPECT_TRUE(broadcasts_of<ViewChange>(backup.pass(timeout * 100)).empty());
  backup.hear(0, change_of(backup, 1, 0));
  backup.hear(2, change_of(backup, 1, 2));
  EXPECT_TRUE(broadcasts_of<ViewChange>(backup.pass(timeout * 2 - milliseconds(1))).empty());
  EXPECT_EQ(broadcasts_of<ViewChange>(backup.pass(milliseconds(1))).size(), 1U);
  EXPECT_EQ(backup->view(), View(2));
  backup.hear(0, change_of(backup, 2, 0));
  backup.hear(1, change_of(backup, 2, 1));
  EXPECT_TRUE(broadcasts_of<ViewChange>(backup.pass(timeout * 4 - milliseconds(1))).empty());
  EXPECT_EQ(broadcasts_of<ViewChange>(backup.pass(milliseconds(1))).size(), 1U);
}

TEST(ViewChange, ReplicasThatWentFurtherStartTheTimeToo) {
  // Found by the simulator (byzantine, seed 13): two waited in view 4, the third had gone on to 5.
  TestReplica backup(3);
  backup.hear(1, change_of(backup, 4, 1));
  backup.hear(2, change_of(backup, 4, 2));
  ASSERT_EQ(backup->view(), View(4));
  TestReplica other(3);
  other.hear(1, change_of(other, 4, 1));
  other.hear(2, change_of(other, 5, 2));
  ASSERT_EQ(other->view(), View(4));
  EXPECT_EQ(broadcasts_of<ViewChange>(other.pass(std::chrono::hours(1))).size(), 1U);
}

// ---- Durability (design 7) ----

TEST(Durability, AfterARestartItStandsByItsVotes) {
  TestReplica backup(1);
  backup.hear(0, backup.proposal(0, 1, kBatch));
  backup.start();
  EXPECT_TRUE(ballots_of(backup.hear(0, backup.proposal(0, 1, test_batch({test_request("b", 1)}))),
                         VoteKind::kPrepare)
                  .empty());
  // What it prepared before counts still.
  EXPECT_EQ(ballots_of(backup.hear_votes(VoteKind::kPrepare, 0, 1, kBatch->digest(), {2}),
                       VoteKind::kCommit)
                .size(),
            1U);
  backup.start();
  backup.hear(2, change_of(backup, 3, 2));
  const auto changes = broadcasts_of<ViewChange>(backup.hear(3, change_of(backup, 3, 3)));
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_EQ(changes[0].prepared.size(), 1U);  // the certificate was durable before the commit
  backup.start();
  EXPECT_EQ(backup->view(), View(3));
  EXPECT_TRUE(backup->is_changing_view());
}

TEST(Durability, ThePrimaryDoesNotUseANumberTwice) {
  Settings settings = test_settings();
  settings.small_batches_in_flight_max = 2;
  TestReplica primary(0, settings);
  primary.ask(test_request("a", 1));
  primary.start();
  const auto next = broadcasts_of<PrePrepare>(primary.ask(test_request("b", 1)));
  ASSERT_EQ(next.size(), 1U);
  EXPECT_EQ(next[0].vote.number, SequenceNumber(2));
}

TEST(Durability, TheStateIsThatOfTheCheckpoint) {
  TestReplica backup(1);
  const crypto::Digest digest = run_to_checkpoint(backup);
  backup.hear_votes(VoteKind::kCheckpoint, 0, 4, digest, {2, 3});
  backup.commit(0, 5, kBatch);
  const AgreedTime time = backup->agreed_time();
  backup.start();
  EXPECT_EQ(backup->executed(), SequenceNumber(4));  // the rest is learnt from the others
  EXPECT_EQ(backup->stable(), SequenceNumber(4));
  backup.commit(0, 5, kBatch);
  EXPECT_EQ(backup->agreed_time(), time);
  EXPECT_EQ(backup.ledger->executions(), 1U);
}

TEST(Durability, ADiskOfNonsenseIsAnEmptyOne) {
  TestReplica backup(1);
  backup.hear(0, backup.proposal(0, 1, kBatch));
  for (auto& [key, value] : backup.disk) value.assign(3, 0xff);
  backup.start();
  EXPECT_EQ(backup->executed(), SequenceNumber(0));
  EXPECT_FALSE(backup->is_changing_view());
}

TEST(Durability, NonsenseIsErased_OrEveryStartWouldBeOneWithAnEmptyDisk) {
  TestReplica backup(1);
  for (std::uint64_t n = 1; n <= 4; ++n) {
    backup.commit(0, n, test_batch({test_request("a", n)}));
  }
  const auto of_checkpoint =
      std::ranges::find_if(backup.disk, [](const auto& one) { return one.second.size() > 100; });
  ASSERT_NE(of_checkpoint, backup.disk.end());
  of_checkpoint->second.resize(7);
  backup.begin();
  EXPECT_EQ(backup->executed(), SequenceNumber(0));
  EXPECT_EQ(backup->stable(), SequenceNumber(0));
  backup.start();
  backup.commit(0, 1, test_batch({test_request("a", 1)}));
  for (std::uint64_t n = 2; n <= 4; ++n) {
    backup.commit(0, n, test_batch({test_request("a", n)}));
  }
  backup.start();
  EXPECT_EQ(backup->executed(), SequenceNumber(4));
}

TEST(Durability, RecordsThatNameNoMemberAreNonsense) {
  TestReplica backup(1);
  backup.hear(0, backup.proposal(0, 1, kBatch));
  Vote stranger = signed_vote(backup.group(), VoteKind::kViewChange, 1, 0, test_digest(1), 1);
  stranger.replica = id(9);
  const Write written = records::reached({stranger});
  backup.disk[written.key] = to_bytes(written.value->view());
  backup.begin();
  EXPECT_FALSE(backup.disk.contains(written.key));
}

// ---- Recovery (design 7) ----

TEST(Recovering, NothingIsVotedOnUntil2FHaveAnswered) {
  TestReplica backup(1);
  backup.begin();
  EXPECT_TRUE(
      ballots_of(backup.hear(0, backup.proposal(0, 1, kBatch)), VoteKind::kPrepare).empty());
  EXPECT_TRUE(backup.hear(0, RecoveryAnswer{.nonce = backup.nonce()}).empty());
  const Effects& effects = backup.hear(3, RecoveryAnswer{.nonce = backup.nonce()});
  EXPECT_EQ(ballots_of(effects, VoteKind::kPrepare).size(), 1U);  // what it heard meanwhile
}

TEST(Recovering, TheQuestionIsAnsweredWithTheLatestVote) {
  TestReplica other(2);
  other.hear(0, other.proposal(0, 1, kBatch));
  const Vote vote = signed_vote(other.group(), VoteKind::kPrepare, 0, 1, kBatch->digest(), 1, 44);
  other.hear(1, Ballot{vote});
  other.begin();  // asks itself, and answers all the same
  other.hear(1, Ballot{vote});
  const auto sent = effects_of<Send>(other.hear(1, RecoveryQuery{.nonce = 5}));
  ASSERT_EQ(sent.size(), 1U);
  const auto& answer = std::get<RecoveryAnswer>(sent[0].message);
  EXPECT_EQ(answer.nonce, 5U);
  EXPECT_EQ(answer.latest, vote);
}

/// Replica 1, which has voted in view 0 and got its empty disk back.
TestReplica rolled_back() {
  TestReplica backup(1);
  const std::map<Bytes, Bytes> copy = backup.disk;
  backup.hear(0, backup.proposal(0, 1, kBatch));
  const Vote vote = ballots_of(backup.last(), VoteKind::kPrepare)[0];
  backup.disk = copy;
  backup.begin();
  backup.hear(0, RecoveryAnswer{.nonce = backup.nonce(), .latest = vote});
  backup.hear(2, RecoveryAnswer{.nonce = backup.nonce()});
  return backup;
}

TEST(Recovering, ARolledBackReplicaIsSilentUntilACheckpointAndAViewAbove) {
  TestReplica backup = rolled_back();
  EXPECT_FALSE(backup->may_vote());
  EXPECT_TRUE(ballots_of(backup.hear(0, backup.proposal(0, 1, test_batch({test_request("b", 1)}))),
                         VoteKind::kPrepare)
                  .empty());
  backup.hear(2, change_of(backup, 1, 2));
  EXPECT_TRUE(broadcasts_of<ViewChange>(backup.hear(3, change_of(backup, 1, 3))).empty());
  // It is no different after one more restart, whoever answers then.
  backup.start();
  EXPECT_FALSE(backup->may_vote());
  // It follows, and says what it waits for: a stable checkpoint at 2L and a view that it cannot
  // have left.
  for (std::uint64_t first = 1; first <= 13; first += 4) {
    for (std::uint64_t n = first; n < first + 4; ++n) {
      backup.commit(0, n, test_batch({}, 1000 + n));
    }
    EXPECT_TRUE(ballots_of(backup.last(), VoteKind::kCheckpoint).empty());
    sim::Ledger same;
    const Checkpoint checkpoint =
        Checkpoint::make(InstanceId{}, SequenceNumber(first + 3), AgreedTime(1003 + first), false,
                         ClientTable({}, 1).encode(), same.snapshot());
    backup.hear(0, StableCheckpoint{certificate(backup.group(), VoteKind::kCheckpoint, 0, first + 3,
                                                checkpoint.digest)});
    EXPECT_EQ(backup->stable(), SequenceNumber(first + 3));
    EXPECT_FALSE(backup->may_vote());
    const auto told = broadcasts_of<Status>(backup.pass(std::chrono::seconds(2)));
    ASSERT_EQ(told.size(), 1U);
    EXPECT_EQ(told[0].silent_until, SequenceNumber(first + 3 >= 16 ? 0 : 16));
    EXPECT_EQ(told[0].votes_from, View(3));
  }
  EXPECT_TRUE(
      ballots_of(backup.hear(0, backup.proposal(0, 17, kBatch)), VoteKind::kPrepare).empty());
  // It does not go before the others, who are F+1 and get there.
  EXPECT_TRUE(broadcasts_of<ViewChange>(backup.hear(2, change_of(backup, 3, 2))).empty());
  const auto changes = broadcasts_of<ViewChange>(backup.hear(3, change_of(backup, 3, 3)));
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_EQ(changes[0].vote.view, View(3));
  EXPECT_TRUE(backup->may_vote());
}

/// Numbers that the group has committed and made stable without this one's votes.
void commit_and_settle(TestReplica& replica, std::uint64_t first, std::uint64_t last) {
  for (std::uint64_t n = first; n <= last; ++n) {
    replica.commit(0, n, test_batch({}, 1000 + n));
    if (n % 4 != 0) continue;
    sim::Ledger same;
    const Checkpoint checkpoint =
        Checkpoint::make(InstanceId{}, SequenceNumber(n), AgreedTime(1000 + n), false,
                         ClientTable({}, 1).encode(), same.snapshot());
    replica.hear(0, StableCheckpoint{certificate(replica.group(), VoteKind::kCheckpoint, 0, n,
                                                 checkpoint.digest)});
  }
}

TEST(Recovering, CheckpointsOfTheSilenceAreVotedForWhenItEnds) {
  TestReplica backup = rolled_back();
  commit_and_settle(backup, 1, 16);
  // Silent in views alone now; these two fill the window.
  for (std::uint64_t n = 17; n <= 24; ++n) backup.commit(0, n, test_batch({}, 1000 + n));
  EXPECT_FALSE(backup->may_vote());
  backup.hear(2, change_of(backup, 3, 2));
  const Effects& effects = backup.hear(3, change_of(backup, 3, 3));
  EXPECT_EQ(ballots_of(effects, VoteKind::kCheckpoint).size(), 2U);
}

TEST(Recovering, WhatOthersVotedIsKnownAfterARestartOfAll) {
  TestReplica other(2);
  other.hear(0, other.proposal(0, 1, kBatch));
  const Vote vote = signed_vote(other.group(), VoteKind::kPrepare, 0, 1, kBatch->digest(), 1, 44);
  other.hear(1, Ballot{vote});
  other.hear(0, other.proposal(0, 2, test_batch({test_request("b", 1)})));  // it votes itself
  other.start();
  const auto sent = effects_of<Send>(other.hear(1, RecoveryQuery{.nonce = 5}));
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(std::get<RecoveryAnswer>(sent[0].message).latest, vote);
}

TEST(Recovering, AnAnswerShowsHowFarTheGroupIsAfterARestartToo) {
  TestReplica other(2);
  other.hear(1, change_of(other, 4, 1));
  other.hear(3, change_of(other, 5, 3));  // F+1 are beyond: it goes to 4
  const auto shown = [&] {
    const auto sent = effects_of<Send>(other.hear(1, RecoveryQuery{.nonce = 5}));
    std::vector<std::uint64_t> views;
    for (const Vote& one : std::get<RecoveryAnswer>(sent.at(0).message).view_changes) {
      views.push_back(one.view.value);
    }
    return views;
  };
  EXPECT_EQ(shown(), (std::vector<std::uint64_t>{4, 4, 5}));
  other.start();
  EXPECT_EQ(shown(), (std::vector<std::uint64_t>{4, 4, 5}));
}

TEST(Recovering, APrimaryLeavesItsViewForASilentReplicaAndAllFollow) {
  const Status wish{.votes_from = View(3), .view_changes = {}};
  TestReplica backup(2);
  EXPECT_TRUE(broadcasts_of<ViewChange>(backup.hear(1, wish)).empty());  // a liar moves nobody
  TestReplica primary(0);
  const Status early{.silent_until = SequenceNumber(16), .votes_from = View(3), .view_changes = {}};
  EXPECT_TRUE(broadcasts_of<ViewChange>(primary.hear(2, early)).empty());
  const auto left = broadcasts_of<ViewChange>(primary.hear(3, wish));
  ASSERT_EQ(left.size(), 1U);
  EXPECT_EQ(left[0].vote.view, View(1));
  // Who hears of it hands it on and goes at once; another backup's alone moves nobody.
  EXPECT_TRUE(broadcasts_of<ViewChange>(backup.hear(3, change_of(backup, 1, 3))).empty());
  const auto followed = broadcasts_of<ViewChange>(backup.hear(0, left[0]));
  ASSERT_EQ(followed.size(), 2U);
  EXPECT_EQ(followed[0].vote, left[0].vote);
  EXPECT_EQ(followed[1].vote.replica, id(2));
  EXPECT_EQ(backup->view(), View(1));
}

/// The votes of four others for the checkpoint that it made at its last execution, number 1.
void make_end_stable(TestReplica& replica) {
  const auto own = ballots_of(replica.last(), VoteKind::kCheckpoint);
  ASSERT_EQ(own.size(), 1U);
  replica.hear_votes(VoteKind::kCheckpoint, 0, 1, own[0].digest, {0, 2, 3, 4});
}
void stop_group(TestReplica& replica) {
  const std::string stop(1, static_cast<char>(sim::Ledger::kStop));
  replica.commit(0, 1, test_batch({test_request("a", 1, stop)}));
  ASSERT_TRUE(replica->is_stopped());
}

/// Of a group with F = 2, whose primary heeds no wishes.
struct UrgingTest : testing::Test {
  TestReplica backup{1, test_settings(), 2};
  Duration timeout = test_settings().request_timeout;

  Status wish() const { return {.votes_from = View(3), .view_changes = {}}; }
  Status urging() const { return {.is_urging = true, .view_changes = {}}; }
  static bool is_urging(TestReplica& replica) {
    const auto told = broadcasts_of<Status>(replica.pass(std::chrono::seconds(2)));
    EXPECT_EQ(told.size(), 1U);
    return !told.empty() && told[0].is_urging;
  }
};

TEST_F(UrgingTest, AWishThatStandsForATimeoutIsUrgedAndNotBefore) {
  backup.hear(6, wish());
  backup.pass(timeout / 2);
  backup.hear(6, wish());
  EXPECT_FALSE(is_urging(backup));
  backup.hear(6, wish());
  EXPECT_TRUE(is_urging(backup));
  EXPECT_FALSE(backup->is_changing_view());  // one alone moves nobody, not even itself
}

TEST_F(UrgingTest, AWishForNumbersIsUrgedWhenNoneIsFilled) {
  const Status lacks{.silent_until = SequenceNumber(16), .view_changes = {}};
  backup.hear(6, lacks);
  backup.pass(timeout);
  backup.commit(0, 1, backup.verifier().null_batch());  // the primary fills
  backup.hear(6, lacks);
  EXPECT_FALSE(is_urging(backup));
  backup.pass(timeout);
  backup.hear(6, lacks);
  EXPECT_TRUE(is_urging(backup));
}

TEST_F(UrgingTest, AWishForNumbersStandsFromWhenItWasFirstHeard) {
  backup.hear(6, Status{.view_changes = {}});
  backup.pass(2 * timeout);
  backup.hear(6, Status{.silent_until = SequenceNumber(16), .view_changes = {}});
  EXPECT_FALSE(is_urging(backup));
}

TEST_F(UrgingTest, AfterTheStopNobodyFillsAndNobodyUrges) {
  stop_group(backup);
  make_end_stable(backup);
  const Status lacks{.silent_until = SequenceNumber(16), .view_changes = {}};
  backup.hear(6, lacks);
  backup.pass(2 * timeout);
  backup.hear(6, lacks);
  EXPECT_FALSE(is_urging(backup));
}

TEST_F(UrgingTest, AWishThatNoPrimaryMayHeedIsNotUrged) {
  const Status lies{.silent_until = SequenceNumber(1000), .view_changes = {}};
  backup.hear(6, lies);
  backup.pass(2 * timeout);
  backup.hear(6, lies);
  EXPECT_FALSE(is_urging(backup));
}

TEST_F(UrgingTest, FPlusOneOthersAreJoinedAnd2FPlus1Leave) {
  backup.hear(2, urging());
  backup.hear(3, urging());
  EXPECT_FALSE(is_urging(backup));
  backup.hear(4, urging());
  EXPECT_TRUE(is_urging(backup));
  EXPECT_FALSE(backup->is_changing_view());
  const auto left = broadcasts_of<ViewChange>(backup.hear(5, urging()));
  ASSERT_EQ(left.size(), 1U);
  EXPECT_EQ(left[0].vote.view, View(1));
}

TEST_F(UrgingTest, WhoHasLeftTheViewCountsAsUrging) {
  for (const std::size_t seat : {2U, 3U, 4U}) backup.hear(seat, urging());
  EXPECT_FALSE(backup->is_changing_view());
  ViewChange left;
  left.vote =
      signed_vote(backup.group(), VoteKind::kViewChange, 1, 0, left.digest(InstanceId{}), 5);
  backup.hear(5, left);
  EXPECT_EQ(backup->view(), View(1));
}

TEST_F(UrgingTest, IsOfOneViewAlone) {
  for (const std::size_t seat : {2U, 3U, 4U, 5U}) backup.hear(seat, urging());
  EXPECT_EQ(backup->view(), View(1));
  for (const std::size_t seat : {0U, 2U, 3U, 4U, 5U}) {
    ViewChange one;
    one.vote =
        signed_vote(backup.group(), VoteKind::kViewChange, 1, 0, one.digest(InstanceId{}), seat);
    backup.hear(seat, one);
  }
  EXPECT_FALSE(backup->is_changing_view());  // it leads view 1
  for (const std::size_t seat : {2U, 3U, 4U, 5U}) {
    backup.pass(timeout);
    backup.hear(seat, urging());  // of view 0
  }
  EXPECT_EQ(backup->view(), View(1));
  EXPECT_FALSE(is_urging(backup));
}

TEST_F(UrgingTest, WhatComesSoonAfterAnotherStatusCountsToo) {
  for (const std::size_t seat : {2U, 3U, 4U}) {
    backup.hear(seat, Status{.view_changes = {}});
    backup.hear(seat, urging());
  }
  EXPECT_TRUE(is_urging(backup));
}

TEST_F(UrgingTest, WhereRequestsWaitAWishWaitsForTheirTimeOutAndOneMore) {
  const auto urges_now = [&] {
    backup.hear(6, wish());
    const auto told = broadcasts_of<Status>(backup.pass(Duration::zero()));
    return std::ranges::any_of(told, &Status::is_urging);
  };
  backup.ask(test_request("a", 1));
  EXPECT_FALSE(urges_now());
  backup.pass(timeout * 9 / 10);
  backup.ask(test_request("b", 1));
  backup.commit(0, 1, test_batch({test_request("a", 1)}));
  backup.pass(timeout / 10);
  EXPECT_FALSE(urges_now());
  backup.pass(timeout * 7 / 10);
  backup.ask(test_request("c", 1));
  backup.commit(0, 2, test_batch({test_request("b", 1)}));
  EXPECT_FALSE(urges_now());
  backup.pass(timeout * 3 / 10);
  EXPECT_TRUE(urges_now());
}

/// In a group with F = 2, what a replica pays for the views that it leaves without need.
struct Leaver {
  TestReplica replica{6, test_settings(), 2};
  Duration timeout = test_settings().request_timeout;
  std::uint64_t view = 0;

  enum class How { kUrging, kAfterThePrimary, kBroughtAlong, kByTheNewView };
  void leave(How how) {
    replica.pass(timeout / 10);
    const std::size_t leader = replica.group().primary_of(View(view)).value;
    std::vector<std::size_t> others;
    for (std::size_t seat = 0; seat < 6; ++seat) {
      if (seat != leader) others.push_back(seat);
    }
    if (how == How::kUrging) {
      for (const std::size_t seat : std::span(others).first(4)) {
        replica.hear(seat, Status{.view = View(view), .is_urging = true, .view_changes = {}});
      }
    } else if (how == How::kAfterThePrimary) {
      replica.hear(leader, change_of(replica, view + 1, leader));
    } else if (how == How::kBroughtAlong) {
      for (const std::size_t seat : std::span(others).first(3)) {
        replica.hear(seat, change_of(replica, view + 1, seat));
      }
    }
    EXPECT_EQ(replica->is_changing_view(), how != How::kByTheNewView);
    enter(view + 1);
  }
  void enter(std::uint64_t next) {
    view = next;
    NewView message;
    for (std::size_t seat = 0; seat < 5; ++seat) {
      message.proofs.push_back(change_of(replica, view, seat));
    }
    const std::size_t leader = replica.group().primary_of(View(view)).value;
    message.vote = signed_vote(replica.group(), VoteKind::kNewView, view, 0,
                               message.digest(InstanceId{}), leader, 90);
    replica.hear(leader, message);
    ASSERT_EQ(replica->view(), View(view));
    ASSERT_FALSE(replica->is_changing_view());
  }
  bool does_urge_for_a_wish() {
    const Status wish{.view = View(view), .votes_from = View(100), .view_changes = {}};
    replica.hear(5, wish);
    auto told = broadcasts_of<Status>(replica.pass(timeout));
    replica.hear(5, wish);
    std::ranges::move(broadcasts_of<Status>(replica.pass(Duration::zero())),
                      std::back_inserter(told));
    return std::ranges::any_of(told, &Status::is_urging);
  }
};

using How = Leaver::How;

TEST(FreeChanges, HoweverAReplicaLeavesItPaysOnce) {
  for (const How how :
       {How::kUrging, How::kAfterThePrimary, How::kBroughtAlong, How::kByTheNewView}) {
    Leaver three;
    for (int i = 0; i < 3; ++i) three.leave(how);
    EXPECT_TRUE(three.does_urge_for_a_wish()) << static_cast<int>(how);
    Leaver four;
    for (int i = 0; i < 4; ++i) four.leave(how);
    EXPECT_FALSE(four.does_urge_for_a_wish()) << static_cast<int>(how);
    four.replica.pass(std::chrono::seconds(26));
    EXPECT_FALSE(four.does_urge_for_a_wish()) << static_cast<int>(how);
    four.replica.pass(std::chrono::seconds(3));
    EXPECT_TRUE(four.does_urge_for_a_wish()) << static_cast<int>(how);
  }
}

TEST(FreeChanges, WhoWasAwayPaysForEveryViewBetween) {
  Leaver one;
  one.enter(4);
  EXPECT_FALSE(one.does_urge_for_a_wish());
}

TEST(FreeChanges, APrimaryThatHasPaidHeedsNoWish) {
  Leaver one;
  for (std::size_t seat = 0; seat < 5; ++seat)
    one.replica.hear(seat, change_of(one.replica, 6, seat));
  ASSERT_FALSE(one.replica->is_changing_view());  // it leads
  const Status wish{.view = View(6), .votes_from = View(100), .view_changes = {}};
  EXPECT_TRUE(broadcasts_of<ViewChange>(one.replica.hear(5, wish)).empty());
  one.replica.pass(std::chrono::seconds(30));
  EXPECT_EQ(broadcasts_of<ViewChange>(one.replica.hear(5, wish)).size(), 1U);
}

TEST(FreeChanges, WhoseOwnRequestWasNotServedHasPaidNothing) {
  Leaver one;
  one.replica.ask(test_request("a", 1));
  for (std::uint64_t i = 1; i <= 4; ++i) {
    one.replica.pass(one.timeout * 8);
    ASSERT_TRUE(one.replica->is_changing_view());
    one.enter(i);
  }
  one.replica.commit(one.view, 1, test_batch({test_request("a", 1)}));
  EXPECT_TRUE(one.does_urge_for_a_wish());
}

TEST(FreeChanges, WhereNothingWaitsNoTimeOutGrows) {
  Leaver one;
  for (const How how : {How::kUrging, How::kAfterThePrimary, How::kBroughtAlong}) one.leave(how);
  one.replica.ask(test_request("a", 1));
  one.replica.pass(one.timeout);
  EXPECT_TRUE(one.replica->is_changing_view());
}

/// Or one that liars have urge alone in every view would take all others along for ever.
TEST(FreeChanges, WhoseRequestWaitsHasItsTimeOutGrowThoughItUrged) {
  Leaver one;
  EXPECT_TRUE(one.does_urge_for_a_wish());
  one.replica.ask(test_request("a", 1));
  one.replica.pass(one.timeout);
  ASSERT_TRUE(one.replica->is_changing_view());
  one.enter(1);
  one.replica.pass(one.timeout);
  EXPECT_FALSE(one.replica->is_changing_view());
  one.replica.pass(one.timeout);
  EXPECT_TRUE(one.replica->is_changing_view());
}

TEST(FreeChanges, AnIdleGroupsWishWaitsNoLongerThoughTimeOutsHaveGrown) {
  Leaver one;
  one.replica.ask(test_request("a", 1));
  one.replica.pass(one.timeout);
  ASSERT_TRUE(one.replica->is_changing_view());
  one.enter(1);
  one.replica.pass(one.timeout);  // too long for the doubling to be taken back
  one.replica.commit(one.view, 1, test_batch({test_request("a", 1)}));
  EXPECT_TRUE(one.does_urge_for_a_wish());
}

TEST(Stopped, AViewInWhichTheEndDoesNotBecomeStableIsLeft) {
  TestReplica replica(1, test_settings(), 2);
  stop_group(replica);
  replica.pass(test_settings().request_timeout);
  EXPECT_TRUE(replica->is_changing_view());
}

TEST(Stopped, WhenTheEndIsStableNoViewIsLeft) {
  TestReplica replica(1, test_settings(), 2);
  stop_group(replica);
  make_end_stable(replica);
  replica.pass(10 * test_settings().request_timeout);
  EXPECT_FALSE(replica->is_changing_view());
}

TEST(Recovering, APrimaryGivesRequestsTheirTimeBeforeItLeavesForAWish) {
  const Duration timeout = test_settings().request_timeout;
  const Status wish{.votes_from = View(3), .view_changes = {}};
  TestReplica primary(0);
  const auto leaves = [&] { return !broadcasts_of<ViewChange>(primary.hear(3, wish)).empty(); };
  const auto proposed = broadcasts_of<PrePrepare>(primary.ask(test_request("a", 1)));
  ASSERT_EQ(proposed.size(), 1U);
  EXPECT_FALSE(leaves());
  primary.pass(timeout / 2);
  primary.ask(test_request("b", 1));
  EXPECT_FALSE(leaves());
  primary.pass(timeout * 2 / 5);
  EXPECT_FALSE(leaves());
  const crypto::Digest& digest = proposed[0].batch->digest();
  primary.hear(1, Committed{certificate(primary.group(), VoteKind::kCommit, 0, 1, digest),
                            proposed[0].batch});
  primary.pass(timeout / 10);
  ASSERT_FALSE(primary->is_changing_view());
  EXPECT_TRUE(leaves());
}

TEST_F(UrgingTest, WithOneFaultyReplicaThePrimaryWillHearTheWish) {
  TestReplica small(1);
  small.hear(3, wish());
  small.pass(timeout);
  small.hear(3, wish());
  EXPECT_FALSE(is_urging(small));
}

TEST(Recovering, APrimaryThatLeftBeforeAReplicaCameIsFollowedWhenItComes) {
  TestReplica backup(3);
  backup.hear(1, change_of(backup, 2, 1));  // the primary of view 1 has left it
  EXPECT_EQ(backup->view(), View(0));
  backup.hear(1, new_view_of(backup, 1, {}, {}));
  EXPECT_EQ(backup->view(), View(2));
}

TEST(Recovering, NobodyWaitsForAPrimaryThatMayNotVoteYet) {
  TestReplica backup(2);
  backup.hear(1, Status{.votes_from = View(3), .view_changes = {}});
  backup.hear(0, change_of(backup, 1, 0));  // the primary leads to view 1, which is replica 1's
  EXPECT_EQ(backup->view(), View(1));
  backup.hear(3, change_of(backup, 1, 3));
  const auto changes = broadcasts_of<ViewChange>(backup.pass(Duration::zero()));
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_EQ(changes[0].vote.view, View(2));
}

TEST(Recovering, AWishCountsForTheTimeOutOfAViewChange) {
  TestReplica backup(1);
  backup.hear(3, Status{.votes_from = View(7), .view_changes = {}});
  backup.hear(2, change_of(backup, 2, 2));
  EXPECT_FALSE(backup->is_changing_view());
  backup.ask(test_request("a", 1));
  backup.pass(std::chrono::seconds(2));  // it gives the primary up: two and a wish
  EXPECT_EQ(backup->view(), View(1));
  backup.pass(std::chrono::seconds(60));
  EXPECT_GT(backup->view(), View(1));
}

TEST(Recovering, ThePrimaryHelpsASilentReplicaOverTheGapWhenNobodyAsksForAnything) {
  TestReplica primary(0);
  const Effects& effects =
      primary.hear(2, Status{.silent_until = SequenceNumber(16), .view_changes = {}});
  EXPECT_EQ(broadcasts_of<PrePrepare>(effects).size(), 8U);  // as far as the window goes
  // Not beyond what a window may need, and not again at once.
  TestReplica other(0);
  EXPECT_TRUE(broadcasts_of<PrePrepare>(
                  other.hear(2, Status{.silent_until = SequenceNumber(1000), .view_changes = {}}))
                  .empty());
}

// ---- Helping whoever is behind ----

/// A replica that has executed `count` batches, under the stable checkpoint all of them.
TestReplica far_ahead(std::uint64_t count) {
  Settings settings = test_settings();
  settings.group.checkpoint_interval = count + 1;
  settings.group.window = 2 * count + 2;
  settings.instances_in_flight_max = 2;
  settings.help_instances_max = 4;
  TestReplica out(1, settings);
  for (std::uint64_t n = 1; n <= count; ++n) out.commit(0, n, test_batch({}, 1000 + n));
  return out;
}
std::size_t helped(const Effects& effects) {
  std::size_t count = 0;
  for (const Send& one : effects_of<Send>(effects))
    count += std::holds_alternative<Committed>(one.message) ? 1U : 0U;
  return count;
}
Status at(std::uint64_t executed) {
  return {.executed = SequenceNumber(executed), .view_changes = {}};
}

TEST(Helping, LookingAtWhatAPeerLacksKeepsNobodyBusy) {
  Settings settings = test_settings();
  TestReplica idle(1, settings);
  idle.commit(0, 1, kBatch);
  idle.hear(2, at(1));
  EXPECT_EQ(idle->log_size(), 1U);
  idle.pass(idle->next_deadline() - idle.now().instant);
  EXPECT_EQ(broadcasts_of<Status>(idle.last()).size(), 1U);
  EXPECT_EQ(idle->next_deadline() - idle.now().instant, settings.idle_status_interval);
}

TEST(Helping, WhoIsFarBehind_IsHelpedAlthoughItMoves) {
  TestReplica helper = far_ahead(12);
  EXPECT_EQ(helped(helper.hear(2, at(1))), 4U);
}

TEST(Helping, WhoIsNearAndMoves_NeedsNone_WhoStandsDoes) {
  TestReplica helper = far_ahead(12);
  EXPECT_EQ(helped(helper.hear(2, at(11))), 0U);
  helper.pass(Settings{}.status_interval);
  EXPECT_EQ(helped(helper.hear(2, at(11))), 1U);
}

TEST(Helping, WhoHasUsedAnAnswer_GetsTheNextAtOnce_OthersWait) {
  TestReplica helper = far_ahead(12);
  EXPECT_EQ(helped(helper.hear(2, at(1))), 4U);
  EXPECT_EQ(helped(helper.hear(2, at(1))), 0U);
  EXPECT_EQ(helped(helper.hear(2, at(3))), 0U);
  EXPECT_EQ(helped(helper.hear(2, at(7))), 4U);
}

TEST(Helping, WhatAPeerFetches_IsBoundedInEveryInterval) {
  Settings settings = test_settings();
  settings.given_bytes_max = 1;
  TestReplica helper(1, settings);
  helper.commit(0, 1, kBatch);
  const auto found = [](const Effects& effects) { return effects_of<Send>(effects).size(); };
  EXPECT_EQ(found(helper.hear(2, FetchBatch{kBatch->digest()})), 1U);
  EXPECT_EQ(found(helper.hear(2, FetchBatch{kBatch->digest()})), 0U);
  EXPECT_EQ(found(helper.hear(3, FetchBatch{kBatch->digest()})), 1U);
  helper.pass(settings.status_interval);
  EXPECT_EQ(found(helper.hear(2, FetchBatch{kBatch->digest()})), 1U);
}

// Found by seed 600138 of the scenario "mixed": after a power cut one replica had executed from its
// own checkpoint and had no proofs, the others had not executed, and each waited for the other.
TEST(Helping, AfterARestartVotesAreSentForWhatWasExecuted_SinceItsProofIsGone) {
  TestReplica helper(1);
  for (std::uint64_t n = 1; n <= 4; ++n) {
    const BatchPointer batch = test_batch({}, 1000 + n);
    helper.hear(0, helper.proposal(0, n, batch));
    helper.hear_votes(VoteKind::kPrepare, 0, n, batch->digest(), {2});
    helper.hear_votes(VoteKind::kCommit, 0, n, batch->digest(), {0, 2});
  }
  ASSERT_EQ(helper->executed(), SequenceNumber(4));
  helper.start();
  ASSERT_EQ(helper->executed(), SequenceNumber(4));
  const auto commits_for = [&](const Status& status) {
    helper.pass(test_settings().idle_status_interval);
    std::size_t commits = 0;
    for (const Send& one : effects_of<Send>(helper.hear(3, status))) {
      const auto* ballot = std::get_if<Ballot>(&one.message);
      commits += ballot && ballot->vote.kind == VoteKind::kCommit ? 1U : 0U;
    }
    return commits;
  };
  EXPECT_EQ(commits_for(at(0)), 4U);
  // To one that has left the view alone too: they are proof anywhere.
  Status gone = at(0);
  gone.view = View(9);
  gone.is_changing_view = true;
  EXPECT_EQ(commits_for(gone), 4U);
}

TEST(Helping, WhoWasHelped_AsksForMoreAtOnce) {
  TestReplica helper = far_ahead(12);
  Settings settings = test_settings();
  settings.group.checkpoint_interval = 13;
  settings.group.window = 26;
  settings.help_instances_max = 4;
  TestReplica behind(2, settings);
  behind.pass(settings.idle_status_interval);
  const auto asked = broadcasts_of<Status>(behind.last());
  ASSERT_EQ(asked.size(), 1U);
  for (const Send& one : effects_of<Send>(helper.hear(2, asked[0]))) behind.hear(1, one.message);
  const auto again = broadcasts_of<Status>(behind.pass(Duration{}));
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].executed, SequenceNumber(4));
}

// ---- The end of the group (design 8.5) ----

TEST(Stop, NothingIsExecutedBehindItAndTheFinalStateIsVotedFor) {
  TestReplica backup(1);
  const std::string stop(1, static_cast<char>(sim::Ledger::kStop));
  backup.commit(0, 2, test_batch({test_request("late", 1)}, 1002));
  backup.commit(
      0, 1, test_batch({test_request("a", 1), test_request("b", 1, stop), test_request("c", 1)}));
  EXPECT_TRUE(backup->is_stopped());
  EXPECT_EQ(backup->executed(), SequenceNumber(1));
  EXPECT_EQ(backup.ledger->executions(), 2U);
  const auto votes = ballots_of(backup.last(), VoteKind::kCheckpoint);
  ASSERT_EQ(votes.size(), 1U);
  backup.hear_votes(VoteKind::kCheckpoint, 0, 1, votes[0].digest, {2, 3});
  ASSERT_TRUE(backup->stable_certificate());
  EXPECT_EQ(backup->stable_certificate()->digest, votes[0].digest);
  // It orders nothing more, and still gives its state.
  EXPECT_TRUE(
      ballots_of(backup.hear(0, backup.proposal(0, 3, kBatch)), VoteKind::kPrepare).empty());
  EXPECT_EQ(effects_of<Send>(backup.hear(3, FetchManifest{votes[0].digest})).size(), 1U);
  EXPECT_TRUE(effects_of<Send>(backup.ask(test_request("d", 1))).empty());
  backup.start();
  EXPECT_TRUE(backup->is_stopped());
}

// ---- State transfer ----

TEST(Transfer, AReplicaThatIsFarBehindTakesTheStateAndGoesOn) {
  TestReplica ahead(2);
  for (std::uint64_t n = 1; n <= 8; ++n) {
    ahead.commit(0, n, test_batch({test_request("a", n)}, 1000 + n));
    if (n == 4) {
      const crypto::Digest digest = ballots_of(ahead.last(), VoteKind::kCheckpoint)[0].digest;
      ahead.hear_votes(VoteKind::kCheckpoint, 0, 4, digest, {0, 3});
    }
  }
  const crypto::Digest digest = ballots_of(ahead.last(), VoteKind::kCheckpoint)[0].digest;
  TestReplica behind(1);
  Effects effects = behind.hear(
      2, StableCheckpoint{certificate(behind.group(), VoteKind::kCheckpoint, 0, 8, digest)});
  behind.ask(test_request("a", 8));  // waits
  effects = behind.pass(test_settings().transfer_delay);
  std::vector<SendReply> replies;
  for (int round = 0; round < 20 && behind->transfer_count() == 0; ++round) {
    Effects next;
    for (const Send& ask : effects_of<Send>(effects)) {
      for (const Send& answer : effects_of<Send>(ahead.hear(1, ask.message))) {
        const Effects& more = behind.hear(2, answer.message);
        next.insert(next.end(), more.begin(), more.end());
      }
    }
    replies = effects_of<SendReply>(next);
    effects = std::move(next);
  }
  ASSERT_EQ(replies.size(), 1U);  // to the client whose request the state contains
  EXPECT_EQ(replies[0].reply.status, Reply::Status::kExecuted);
  EXPECT_EQ(behind->pending_count(), 0U);
  EXPECT_EQ(behind->executed(), SequenceNumber(8));
  EXPECT_EQ(behind->stable(), SequenceNumber(8));
  EXPECT_EQ(behind.ledger->chain(), ahead.ledger->chain());
  // It knows what was executed: not again.
  behind.commit(0, 9, test_batch({test_request("a", 8)}, 1009));
  EXPECT_EQ(behind.ledger->executions(), 8U);
  behind.start();  // and it is durable
  EXPECT_EQ(behind->executed(), SequenceNumber(8));
}

// ---- A whole group of one ----

TEST(Group, OfOneReplicaWorks) {
  TestReplica only(0, test_settings(), 0);
  EXPECT_TRUE(only->may_vote());
  for (std::uint64_t n = 1; n <= 20; ++n) only.ask(test_request("a", n));
  EXPECT_EQ(only.ledger->executions(), 20U);
  EXPECT_EQ(only->stable(), SequenceNumber(20));
}

}  // namespace
}  // namespace rosebud::pbft
