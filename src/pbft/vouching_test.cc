// Requests under session keys: MACs [CL02 §3.2], vouches [Bracha87], and clients that are right to
// some replicas only [Aardvark09 §3].
#include "crypto/test_counting_scheme.h"
#include "pbft/test_group.h"

namespace rosebud::pbft {
namespace {

Settings session_settings() {
  Settings out = test_settings();
  out.group.request_authentication = RequestAuthentication::kSessionKeys;
  return out;
}

/// With MACs that are right to the replicas of `convinced` alone.
Request session_request(std::string_view client, std::uint64_t number,
                        const std::vector<std::size_t>& convinced = {0, 1, 2, 3},
                        std::string_view operation = "op") {
  const ClientSessions sessions(*test_group(), test_key(client), crypto::model_scheme());
  Request out = sessions.authenticate(RequestNumber(number), Buffer::copy_of(as_bytes(operation)));
  for (std::size_t seat = 0; seat < out.macs.size(); ++seat) {
    if (std::ranges::find(convinced, seat) == convinced.end()) out.macs[seat].bytes[0] ^= 1;
  }
  return out;
}

crypto::Digest digest_of(const Request& request) { return request.digest(InstanceId{}); }

bool is_authentic(ReplicaSessions& sessions, const Request& request) {
  std::size_t agreements = 1;
  return sessions.is_authentic(request, digest_of(request), agreements);
}

struct SessionReplica : TestReplica {
  explicit SessionReplica(std::size_t seat, const Settings& settings = session_settings())
      : TestReplica(seat, settings) {}

  const Effects& hear_vouches(const Request& request, const std::vector<std::size_t>& seats) {
    Effects all;
    for (const std::size_t seat : seats) {
      const Effects& one = hear(seat, Vouch{{digest_of(request)}});
      all.insert(all.end(), one.begin(), one.end());
    }
    kept = std::move(all);
    return kept;
  }
  Effects kept;
};

bool is_vouched_for(const Effects& effects, const Request& request) {
  for (const Vouch& one : broadcasts_of<Vouch>(effects)) {
    if (std::ranges::find(one.requests, digest_of(request)) != one.requests.end()) return true;
  }
  return false;
}

bool is_proposed(const Effects& effects) { return !broadcasts_of<PrePrepare>(effects).empty(); }
bool is_prepared(const Effects& effects) {
  return !ballots_of(effects, VoteKind::kPrepare).empty();
}

// ---- Session keys [CL02 §3.2.1] ----

TEST(SessionKeys, AMacConvincesItsReplicaAlone) {
  const auto group = test_group();
  const Request request = session_request("a", 1);
  for (std::size_t seat = 0; seat < 4; ++seat) {
    ReplicaSessions sessions(*group, id(seat), test_replica_key(seat), crypto::model_scheme(), 4,
                             1);
    EXPECT_TRUE(is_authentic(sessions, request));
    Request moved = request;
    std::swap(moved.macs[seat], moved.macs[(seat + 1) % 4]);
    EXPECT_FALSE(is_authentic(sessions, moved));
    Request changed = request;
    changed.operation = Buffer::copy_of(as_bytes("other"));
    EXPECT_FALSE(is_authentic(sessions, changed));
    Request stolen = request;
    stolen.client = test_key("b").public_key();
    EXPECT_FALSE(is_authentic(sessions, stolen));
  }
}

TEST(SessionKeys, AreOfOneInstance) {
  const auto other = *InstanceId::from(test_digest(1).view());
  const ClientId client = test_key("a").public_key();
  const crypto::SecretKey replica = test_replica_key(0);
  EXPECT_NE(session_key(InstanceId{}, client, replica.public_key(), replica, crypto::ed25519()),
            session_key(other, client, replica.public_key(), replica, crypto::ed25519()));
}

TEST(SessionKeys, FollowFromLongTermKeysOnBothSides) {
  const crypto::SecretKey client = test_key("a");
  const crypto::SecretKey replica = test_replica_key(0);
  const auto key = session_key(InstanceId{}, client.public_key(), replica.public_key(), client,
                               crypto::ed25519());
  ASSERT_TRUE(key);
  EXPECT_EQ(key, session_key(InstanceId{}, client.public_key(), replica.public_key(), replica,
                             crypto::ed25519()));
}

TEST(SessionKeys, AKeyThatWasDrivenOutIsComputedAnew) {
  ReplicaSessions sessions(*test_group(), id(0), test_replica_key(0), crypto::model_scheme(), 2, 1);
  for (const char* client : {"a", "b", "c", "a", "c"}) {
    EXPECT_TRUE(is_authentic(sessions, session_request(client, 1)));
  }
}

TEST(SessionKeys, WhatWasLookedAtCostsTheCoreNoAgreement) {
  const crypto::CountingScheme scheme;
  ReplicaSessions sessions(*test_group(), id(0), test_replica_key(0), scheme, 100, 1);
  const Request right = session_request("a", 1);
  const Request wrong = session_request("b", 1, {});
  sessions.look_at(right);
  sessions.look_at(wrong);
  const std::size_t before = scheme.agreements;
  EXPECT_EQ(before, 2U);
  std::size_t none = 0;
  EXPECT_TRUE(sessions.is_authentic(right, digest_of(right), none));
  EXPECT_FALSE(sessions.is_authentic(wrong, digest_of(wrong), none));
  EXPECT_FALSE(is_authentic(sessions, wrong));
  EXPECT_EQ(scheme.agreements, before);
  // The same said rightly, by way of somebody else.
  EXPECT_TRUE(is_authentic(sessions, session_request("b", 1)));
}

TEST(SessionKeys, ABatchOfClientsThatNobodyKnowsCostsSoManyAgreements) {
  const crypto::CountingScheme scheme;
  ReplicaSessions sessions(*test_group(), id(0), test_replica_key(0), scheme, 1000, 1);
  std::vector<Request> requests;
  for (std::size_t i = 0; i < 2 * ReplicaSessions::kAgreementsMax; ++i) {
    requests.push_back(session_request("c" + std::to_string(i), 1));
  }
  const Message proposal = TestReplica(1).proposal(0, 1, test_batch(requests));
  sessions.look_at(proposal);
  EXPECT_EQ(scheme.agreements, ReplicaSessions::kAgreementsMax);
  sessions.look_at(proposal);  // the rest
  EXPECT_EQ(scheme.agreements, requests.size());
}

TEST(SessionKeys, ASignedRequestIsNoneUnderSessionKeysNorTheOtherWay) {
  const Verifier by_keys(test_group(), session_settings().group, crypto::model_scheme());
  EXPECT_FALSE(by_keys.request(test_request("a", 1)));
  EXPECT_TRUE(by_keys.request(session_request("a", 1)));
  EXPECT_FALSE(test_verifier().request(session_request("a", 1)));
  Request few = session_request("a", 1);
  few.macs.pop_back();
  EXPECT_FALSE(by_keys.request(few));
}

TEST(SessionKeys, RequestsAreReadBackAndVouchesAreBounded) {
  const Request request = session_request("a", 1);
  const auto decoded = decode(InstanceId{}, encode(request));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(std::get<Request>(*decoded), request);
  EXPECT_FALSE(decode(InstanceId{}, encode(Vouch{std::vector<crypto::Digest>(kVouchedMax + 1)})));
}

TEST(SessionKeys, AClientAsksAllReplicasAtOnce) {
  Client client(test_key("a"), test_group(), crypto::model_scheme(), Random(1),
                {.request_authentication = RequestAuthentication::kSessionKeys});
  ClientEffects out;
  client.submit(Instant{}, Buffer::copy_of(as_bytes("op")), out);
  ASSERT_EQ(out.size(), 4U);
  const Request question = std::get<SendRequest>(out[0]).request;
  EXPECT_EQ(question.number, kNumbersQuestion);
  for (std::size_t seat = 0; seat < 3; ++seat) {
    out.clear();
    client.on_reply(Instant{}, id(seat),
                    {.view = {},
                     .number = kNumbersQuestion,
                     .operation = operation_digest(question.operation.view()),
                     .status = Reply::Status::kNumberForgotten,
                     .result = {},
                     .floor = {},
                     .time = AgreedTime(1000)},
                    out);
  }
  ASSERT_EQ(out.size(), 4U);
  const Request request = std::get<SendRequest>(out[3]).request;
  EXPECT_EQ(request, session_request("a", request.number.value));
}

// ---- Vouches ----

TEST(Vouches, AreCountedOncePerReplica) {
  Vouches vouches(test_group(), id(0), 8, 1);
  const crypto::Digest request = test_digest(1);
  EXPECT_TRUE(vouches.add(id(1), request));
  EXPECT_FALSE(vouches.add(id(1), request));
  EXPECT_FALSE(vouches.of(request).is_vouched_by_others);
  vouches.add(id(2), request);
  EXPECT_TRUE(vouches.of(request).is_vouched_by_others);
  EXPECT_FALSE(vouches.of(request).is_authentic);
  vouches.add(id(3), request);
  EXPECT_FALSE(vouches.of(request).is_ready);  // its own is missing
  vouches.add(id(0), request);
  EXPECT_TRUE(vouches.of(request).is_ready);
}

TEST(Vouches, ItsOwnIsNotAnOther) {
  Vouches vouches(test_group(), id(0), 8, 1);
  vouches.add(id(0), test_digest(1));
  vouches.add(id(1), test_digest(1));
  EXPECT_FALSE(vouches.of(test_digest(1)).is_vouched_by_others);
  EXPECT_TRUE(vouches.of(test_digest(1)).is_authentic);
}

TEST(Vouches, OneThatFloodsDrivesOutItsOwnAlone) {
  Vouches vouches(test_group(), id(0), 8, 1);
  vouches.add(id(1), test_digest(0));
  vouches.add(id(2), test_digest(0));
  for (std::uint64_t i = 1; i < 1000; ++i) vouches.add(id(3), test_digest(i));
  EXPECT_EQ(vouches.size(), 9U);
  EXPECT_TRUE(vouches.of(test_digest(0)).is_vouched_by_others);
  EXPECT_TRUE(vouches.add(id(3), test_digest(1)));  // forgotten, so it can be said again
}

TEST(UnreadyRequests, AreOnePerClientAndTheOldestLeave) {
  UnreadyRequests unready(2, 1000, 1);
  const auto add = [&](const Request& request) { unready.add(request, digest_of(request)); };
  add(session_request("a", 1));
  add(session_request("a", 1, {}, "another"));  // the first stays
  EXPECT_EQ(unready.size(), 1U);
  add(session_request("a", 2));
  add(session_request("b", 1));
  EXPECT_EQ(unready.size(), 2U);
  add(session_request("c", 1));
  EXPECT_EQ(unready.size(), 2U);
  EXPECT_FALSE(unready.take(digest_of(session_request("a", 2))));
  EXPECT_TRUE(unready.take(digest_of(session_request("b", 1))));
  unready.remove(test_key("c").public_key(), RequestNumber(1));
  EXPECT_EQ(unready.size(), 0U);
}

TEST(UnreadyRequests, AreBoundedInBytes) {
  UnreadyRequests unready(10, 5, 1);
  for (const char* client : {"a", "b", "c"}) {
    const Request request = session_request(client, 1, {}, "12");
    unready.add(request, digest_of(request));
  }
  EXPECT_EQ(unready.size(), 2U);
}

// ---- The rules of vouches.h at a replica ----

TEST(Vouching, Rule1_AReplicaVouchesForWhatItVerified) {
  SessionReplica backup(1);
  EXPECT_TRUE(is_vouched_for(backup.ask(session_request("a", 1, {1})), session_request("a", 1)));
  EXPECT_FALSE(
      is_vouched_for(backup.ask(session_request("b", 1, {0, 2, 3})), session_request("b", 1)));
  EXPECT_TRUE(broadcasts_of<Vouch>(backup.pass(std::chrono::seconds(1))).empty());
}

TEST(Vouching, Rule2_AReplicaVouchesWhenFPlusOneOthersDo) {
  SessionReplica backup(1);
  const Request request = session_request("a", 1, {});
  EXPECT_FALSE(is_vouched_for(backup.hear_vouches(request, {0, 0}), request));
  EXPECT_TRUE(is_vouched_for(backup.hear_vouches(request, {2}), request));
}

TEST(Vouching, Rule4_ThePrimaryProposesWhat2FPlus1VouchFor) {
  SessionReplica primary(0);
  const Request request = session_request("a", 1);
  EXPECT_FALSE(is_proposed(primary.ask(request)));
  EXPECT_EQ(primary->unready_count(), 1U);
  EXPECT_FALSE(is_proposed(primary.hear_vouches(request, {1, 1})));
  EXPECT_TRUE(is_proposed(primary.hear_vouches(request, {3})));
  EXPECT_EQ(primary->unready_count(), 0U);
}

TEST(Vouching, TheOrderOfVouchesAndRequestMakesNoDifference) {
  SessionReplica primary(0);
  const Request request = session_request("a", 1, {1, 2, 3});
  EXPECT_FALSE(is_proposed(primary.ask(request)));  // its MAC is wrong, and nobody has said more
  primary.hear_vouches(request, {1, 2, 3});
  EXPECT_TRUE(is_proposed(primary.hear(1, request)));
}

TEST(Vouching, OfTwoOperationsWithOneNumberTheReadyOneIsProposed) {
  SessionReplica primary(0);
  primary.ask(session_request("a", 1, {0}, "mine"));
  const Request request = session_request("a", 1, {1, 2, 3}, "theirs");
  primary.hear_vouches(request, {1, 2, 3});
  const auto proposals = broadcasts_of<PrePrepare>(primary.hear(1, request));
  ASSERT_EQ(proposals.size(), 1U);
  EXPECT_EQ(proposals[0].batch->batch().requests[0], request);
}

TEST(Vouching, ABackupWaitsForNothingThatIsNotReady) {
  SessionReplica backup(1);
  const Request request = session_request("a", 1, {0, 1});
  backup.ask(request);
  backup.hear_vouches(request, {0});
  for (int i = 0; i < 20; ++i) backup.pass(std::chrono::milliseconds(500));
  EXPECT_EQ(backup->view(), View(0));
  backup.hear_vouches(request, {2});
  for (int i = 0; i < 4; ++i) backup.pass(std::chrono::milliseconds(500));
  EXPECT_EQ(backup->view(), View(1));
}

// Found by seed 1010451 of the scenario "session-keys": the backups had waited for half of the
// time-out when the primary got the request, and its queue was longer than the other half.
TEST(Vouching, APrimaryAsksForWhatIsReadyAndNotHere) {
  SessionReplica primary(0);
  const Request request = session_request("a", 1, {1, 2, 3});
  const Duration patience = session_settings().status_interval / 2;
  EXPECT_TRUE(broadcasts_of<FetchRequests>(primary.hear_vouches(request, {1, 2, 3})).empty());
  EXPECT_LE(primary->next_deadline(), primary.now().instant + patience);
  const auto asked = broadcasts_of<FetchRequests>(primary.pass(patience));
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].requests, std::vector{digest_of(request)});
  EXPECT_TRUE(is_proposed(primary.hear(2, request)));
  EXPECT_TRUE(broadcasts_of<FetchRequests>(primary.pass(std::chrono::seconds(1))).empty());
}

// Found by seed 327 of the scenario "session-keys": nobody had it when the primary asked, and when
// backups told it at half of the time-out its queue was longer than the other half.
TEST(Vouching, WhatAPrimaryLackedKeepsItsPlaceInTheQueue) {
  SessionReplica primary(0);
  const auto make_ready = [&](const Request& request) -> const Effects& {
    primary.ask(request);
    return primary.hear_vouches(request, {1, 2, 3});
  };
  const auto first = broadcasts_of<PrePrepare>(make_ready(session_request("a", 1)));
  ASSERT_EQ(first.size(), 1U);
  const Request lacked = session_request("b", 1);
  primary.hear_vouches(lacked, {1, 2, 3});
  const Request later = session_request("c", 1);
  make_ready(later);
  primary.hear(1, lacked);
  const crypto::Digest& digest = first[0].vote.digest;
  primary.hear_votes(VoteKind::kPrepare, 0, 1, digest, {1, 2});
  const auto next =
      broadcasts_of<PrePrepare>(primary.hear_votes(VoteKind::kCommit, 0, 1, digest, {1, 2}));
  ASSERT_EQ(next.size(), 1U);
  EXPECT_EQ(next[0].batch->batch().requests, (std::vector{lacked, later}));
}

TEST(Vouching, WhatComesByItselfIsNotAskedFor) {
  SessionReplica primary(0);
  const Request late = session_request("a", 1);
  primary.hear_vouches(late, {1, 2, 3});
  primary.ask(late);
  const Request early = session_request("b", 1);
  primary.ask(early);
  primary.hear_vouches(early, {1, 2, 3});
  EXPECT_TRUE(
      broadcasts_of<FetchRequests>(primary.pass(session_settings().status_interval)).empty());
}

TEST(Vouching, ABackupAsksForNoRequests) {
  SessionReplica backup(1);
  backup.hear_vouches(session_request("a", 1), {0, 2, 3});
  EXPECT_TRUE(
      broadcasts_of<FetchRequests>(backup.pass(session_settings().status_interval)).empty());
}

TEST(Vouching, WhoHasARequestGivesItWithinBounds) {
  Settings settings = session_settings();
  settings.given_bytes_max = 600;  // each counts for some more than 512
  SessionReplica backup(1, settings);
  const Request ready = session_request("a", 1);
  const Request unready = session_request("b", 1);
  backup.ask(ready);
  backup.hear_vouches(ready, {2, 3});
  backup.ask(unready);
  const FetchRequests question{{digest_of(unready), test_digest(1), digest_of(ready)}};
  const auto given = effects_of<Send>(backup.hear(0, question));
  ASSERT_EQ(given.size(), 2U);
  EXPECT_EQ(given[0].to, id(0));
  EXPECT_EQ(std::get<Request>(given[0].message), unready);
  EXPECT_EQ(std::get<Request>(given[1].message), ready);
  EXPECT_TRUE(effects_of<Send>(backup.hear(0, question)).empty());
  backup.pass(settings.status_interval);
  EXPECT_EQ(effects_of<Send>(backup.hear(0, question)).size(), 2U);
}

TEST(Vouching, ABackupPreparesWhatItVerifiedItself) {
  SessionReplica backup(1);
  const BatchPointer batch = test_batch({session_request("a", 1, {1})});
  const Effects& effects = backup.hear(0, backup.proposal(0, 1, batch));
  EXPECT_TRUE(is_prepared(effects));
  EXPECT_TRUE(is_vouched_for(effects, session_request("a", 1)));
}

TEST(Vouching, JudgingWhatAFaultyPrimaryProposesIsBoundedInEveryInput) {
  const crypto::CountingScheme scheme;
  Settings settings = session_settings();
  settings.instances_in_flight_max = 2;
  TestReplica backup(1, settings, 1, scheme);
  const auto costs = [&](const auto& input) {
    const std::size_t before = scheme.agreements;
    input();
    return scheme.agreements - before;
  };
  const auto strangers = [](std::size_t number) {
    std::vector<Request> out;
    for (std::size_t i = 0; i < 2 * ReplicaSessions::kAgreementsMax; ++i) {
      const std::string name = "c" + std::to_string(number) + "." + std::to_string(i);
      out.push_back(session_request(name, 1, {}));
    }
    return out;
  };
  std::vector<BatchPointer> batches;
  for (std::size_t number = 1; number <= 4; ++number)
    batches.push_back(test_batch(strangers(number)));
  for (std::size_t number = 1; number <= 4; ++number) {
    const auto propose = [&] { backup.hear(0, backup.proposal(0, number, batches[number - 1])); };
    EXPECT_LE(costs(propose), ReplicaSessions::kAgreementsMax);
  }
  const auto vouch = [&] { backup.hear(2, Vouch{{test_digest(scheme.agreements)}}); };
  for (int i = 0; i < 4; ++i) EXPECT_LE(costs(vouch), ReplicaSessions::kAgreementsMax);
  // All of the first two were judged, and of those further away none.
  EXPECT_EQ(scheme.agreements, 4 * ReplicaSessions::kAgreementsMax);
  const auto execute = [&] { backup.commit(0, 1, batches[0]); };
  EXPECT_EQ(costs(execute), ReplicaSessions::kAgreementsMax);  // one more has come near
}

TEST(Vouching, ABackupPreparesTheRestWhenFPlusOneVouchForIt) {
  SessionReplica backup(1);
  const Request wrong = session_request("a", 1, {0, 2});
  const BatchPointer batch = test_batch({session_request("b", 1), wrong});
  EXPECT_FALSE(is_prepared(backup.hear(0, backup.proposal(0, 1, batch))));
  EXPECT_FALSE(is_prepared(backup.hear_vouches(wrong, {0})));
  EXPECT_TRUE(is_prepared(backup.hear_vouches(wrong, {2})));
}

TEST(Vouching, WhatNobodyVouchesForIsNotPreparedAndFollowedAllTheSame) {
  SessionReplica backup(1);
  const BatchPointer batch = test_batch({session_request("a", 1, {})});
  backup.hear(0, backup.proposal(0, 1, batch));
  // 2F+1 others have prepared: among them are F+1 correct ones.
  SessionReplica other(1);
  EXPECT_FALSE(is_prepared(other.hear(0, other.proposal(0, 1, batch))));
  other.hear_votes(VoteKind::kPrepare, 0, 1, batch->digest(), {2, 3});
  EXPECT_EQ(ballots_of(other.last(), VoteKind::kCommit).size(), 1U);
  other.hear_votes(VoteKind::kCommit, 0, 1, batch->digest(), {2, 3});
  EXPECT_EQ(other->executed(), SequenceNumber(1));
}

TEST(Vouching, OfARequestThatComesAgainIsSaidAgain) {
  SessionReplica backup(1);
  const Request request = session_request("a", 1);
  backup.ask(request);
  backup.pass(std::chrono::milliseconds(2));
  EXPECT_TRUE(is_vouched_for(backup.hear(2, request), request));
}

TEST(Vouching, WhatWaitsIsVouchedForAgain) {
  SessionReplica backup(1);
  const Request request = session_request("a", 1);
  backup.ask(request);
  backup.hear_vouches(request, {2, 3});
  std::size_t count = 0;
  for (int i = 0; i < 9; ++i) {
    if (is_vouched_for(backup.pass(std::chrono::milliseconds(100)), request)) ++count;
  }
  EXPECT_GE(count, 3U);
}

TEST(Vouching, GathersWhatComesWithinTheInterval) {
  SessionReplica backup(1);
  backup.pass(std::chrono::milliseconds(2));
  EXPECT_EQ(broadcasts_of<Vouch>(backup.ask(session_request("a", 1))).size(), 1U);
  EXPECT_TRUE(broadcasts_of<Vouch>(backup.ask(session_request("b", 1))).empty());
  EXPECT_TRUE(broadcasts_of<Vouch>(backup.ask(session_request("c", 1))).empty());
  EXPECT_LE(backup->next_deadline(), backup.now().instant + session_settings().vouch_interval);
  const auto said = broadcasts_of<Vouch>(backup.pass(session_settings().vouch_interval));
  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(said[0].requests.size(), 2U);
}

TEST(Vouching, ANewViewStandsOnCertificatesNotOnMacs) {
  SessionReplica backup(2);
  const BatchPointer batch = test_batch({session_request("a", 1, {})});
  backup.hear(0, backup.proposal(0, 1, batch));
  // It was prepared elsewhere; view 1 begins with it.
  const auto change = [&](std::size_t seat) {
    ViewChange out;
    out.prepared = {certificate(backup.group(), VoteKind::kPrepare, 0, 1, batch->digest())};
    out.vote =
        signed_vote(backup.group(), VoteKind::kViewChange, 1, 0, out.digest(InstanceId{}), seat);
    return out;
  };
  NewView message{.proofs = {change(0), change(1), change(3)}};
  message.pre_prepares = {
      signed_vote(backup.group(), VoteKind::kPrePrepare, 1, 1, batch->digest(), 1)};
  message.vote =
      signed_vote(backup.group(), VoteKind::kNewView, 1, 0, message.digest(InstanceId{}), 1);
  Effects effects = backup.hear(1, message);
  const Effects& more = backup.hear(1, BatchFound{batch});
  effects.insert(effects.end(), more.begin(), more.end());
  EXPECT_TRUE(is_prepared(effects));
}

TEST(Vouching, ARequestOfSomebodyElseGetsNoReply) {
  SessionReplica backup(1);
  backup.commit(0, 1, test_batch({session_request("a", 1)}));
  EXPECT_EQ(effects_of<SendReply>(backup.ask(session_request("a", 1))).size(), 1U);
  EXPECT_TRUE(effects_of<SendReply>(backup.ask(session_request("a", 1, {}))).empty());
}

}  // namespace
}  // namespace rosebud::pbft
