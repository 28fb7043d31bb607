// The pure types, against dumb versions of themselves and for all small groups.
#include <algorithm>

#include "pbft/evidence.h"
#include "pbft/test_group.h"

namespace rosebud::pbft {
namespace {

// ---- Group and certificates ----

TEST(Group, QuorumsIntersectInACorrectReplica) {
  for (std::size_t faults = 0; faults <= 20; ++faults) {
    const auto group = test_group(faults);
    const std::size_t overlap = 2 * group->quorum() - group->seat_count();
    EXPECT_GE(overlap, group->faults() + 1);
    EXPECT_EQ(group->weak_quorum(), group->faults() + 1);
    EXPECT_LE(group->quorum(), group->seat_count() - group->faults());  // progress without F
  }
}

TEST(Group, VacantSeatsTakeNoTurnAsPrimary) {
  const auto group = test_group(1, 1);
  for (std::uint64_t view = 0; view < 9; ++view) {
    EXPECT_EQ(group->primary_of(View(view)), id(view % 3));
  }
  EXPECT_FALSE(group->is_member(id(3)));
  EXPECT_EQ(group->quorum(), 3U);
}

TEST(Certificate, NeedsAQuorumAndThePrimary) {
  const auto group = test_group();
  std::vector<Vote> votes;
  for (std::size_t seat = 1; seat < 4; ++seat) {
    votes.push_back(signed_vote(*group, VoteKind::kPrepare, 0, 1, test_digest(1), seat));
  }
  EXPECT_FALSE(make_certificate(VoteKind::kPrepare, votes, *group));  // no pre-prepare
  votes.push_back(signed_vote(*group, VoteKind::kPrePrepare, 0, 1, test_digest(1), 0));
  const auto made = make_certificate(VoteKind::kPrepare, votes, *group);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->endorsements.size(), 3U);
  EXPECT_TRUE(is_valid(*made, *group, crypto::model_scheme()));
  votes.resize(2);
  EXPECT_FALSE(make_certificate(VoteKind::kCommit, votes, *group));
}

TEST(Certificate, AnyChangeMakesItInvalid) {
  const auto group = test_group(2);
  const Certificate good = certificate(*group, VoteKind::kPrepare, 3, 7, test_digest(1));
  const auto& scheme = crypto::model_scheme();
  ASSERT_TRUE(is_valid(good, *group, scheme));
  const auto is_spoilt = [&](auto change) {
    Certificate bad = good;
    change(bad);
    return !is_valid(bad, *group, scheme);
  };
  EXPECT_TRUE(is_spoilt([](Certificate& c) { c.view = View(4); }));
  EXPECT_TRUE(is_spoilt([](Certificate& c) { c.number = SequenceNumber(8); }));
  EXPECT_TRUE(is_spoilt([](Certificate& c) { c.digest = test_digest(2); }));
  EXPECT_TRUE(is_spoilt([](Certificate& c) { c.kind = VoteKind::kCommit; }));
  EXPECT_TRUE(is_spoilt([](Certificate& c) { c.endorsements.pop_back(); }));
  EXPECT_TRUE(is_spoilt([](Certificate& c) { c.endorsements[1] = c.endorsements[0]; }));
  EXPECT_TRUE(is_spoilt([](Certificate& c) { c.endorsements[0].counter = VoteCounter(2); }));
  EXPECT_TRUE(is_spoilt([](Certificate& c) { c.endorsements[2].signature.bytes[0] ^= 1; }));
  EXPECT_TRUE(is_spoilt([](Certificate& c) { c.endorsements.back().replica = ReplicaId(60000); }));
  EXPECT_TRUE(is_spoilt([](Certificate& c) {
    std::swap(c.endorsements[0], c.endorsements[1]);  // order is part of the encoding
  }));
}

// ---- The choice of the new view ----

/// By the words of [CL99 §4.4], number by number.
std::vector<crypto::Digest> dumb_choice(const std::vector<ViewChange>& changes,
                                        const crypto::Digest& null, std::uint64_t& min_s) {
  min_s = 0;
  std::uint64_t max_s = 0;
  for (const auto& change : changes) min_s = std::max(min_s, change.vote.number.value);
  for (const auto& change : changes) {
    for (const auto& one : change.prepared) max_s = std::max(max_s, one.number.value);
  }
  std::vector<crypto::Digest> out;
  for (std::uint64_t n = min_s + 1; n <= max_s; ++n) {
    crypto::Digest digest = null;
    for (std::uint64_t view = 0; view < 10; ++view) {  // the last one to fit is the newest
      for (const auto& change : changes) {
        for (const auto& one : change.prepared) {
          if (one.number.value == n && one.view.value == view) digest = one.digest;
        }
      }
    }
    out.push_back(digest);
  }
  return out;
}

TEST(NewViewChoice, IsThatOfTheDumbVersion) {
  const crypto::Digest null = test_digest(0);
  Random random(1);
  for (int round = 0; round < 3000; ++round) {
    std::vector<ViewChange> changes;
    for (std::uint64_t seat = 0; seat < random.between(1, 7); ++seat) {
      ViewChange change;
      const std::uint64_t stable = random.below(4);
      change.vote.number = SequenceNumber(stable);
      if (stable > 0) change.stable = Certificate{.number = SequenceNumber(stable)};
      for (std::uint64_t n = stable + 1; n <= stable + random.below(6); ++n) {
        if (random.chance(1, 3)) continue;
        const std::uint64_t view = random.below(10);
        // One view has one digest per number.
        change.prepared.push_back({.view = View(view),
                                   .number = SequenceNumber(n),
                                   .digest = test_digest(100 * view + n)});
      }
      changes.push_back(std::move(change));
    }
    std::uint64_t min_s = 0;
    const auto expected = dumb_choice(changes, null, min_s);
    const NewViewChoice choice = choose_new_view(changes, null);
    EXPECT_EQ(choice.first().value, min_s + 1);
    EXPECT_EQ(choice.digests, expected);
  }
}

TEST(NewViewChoice, WhatWasCommittedSurvives) {
  // [CL99 §4.5.1]: for every small group, whichever 2F+1 speak, though F of them hide what they
  // know, a digest that 2F+1 replicas voted commit for is chosen.
  for (std::size_t faults = 1; faults <= 2; ++faults) {
    const std::size_t count = 3 * faults + 1;
    const std::size_t quorum = 2 * faults + 1;
    for (std::uint32_t committed = 0; committed < (1U << count); ++committed) {
      if (static_cast<std::size_t>(std::popcount(committed)) != quorum) continue;
      for (std::uint32_t speaking = 0; speaking < (1U << count); ++speaking) {
        if (static_cast<std::size_t>(std::popcount(speaking)) != quorum) continue;
        std::vector<ViewChange> changes;
        for (std::size_t seat = 0; seat < count; ++seat) {
          if ((speaking >> seat & 1U) == 0) continue;
          ViewChange change;
          const bool is_liar = seat < faults;  // hides it
          if ((committed >> seat & 1U) != 0 && !is_liar) {
            change.prepared.push_back({.number = SequenceNumber(1), .digest = test_digest(1)});
          }
          changes.push_back(std::move(change));
        }
        const NewViewChoice choice = choose_new_view(changes, test_digest(0));
        ASSERT_EQ(choice.digests.size(), 1U);
        EXPECT_EQ(choice.digests[0], test_digest(1));
      }
    }
  }
}

// ---- The log ----

TEST(Log, KeepsNumbersBetweenTheWaterMarksOnly) {
  Log log(test_group(), 8);
  EXPECT_EQ(log.open(SequenceNumber(0)), nullptr);
  EXPECT_NE(log.open(SequenceNumber(8)), nullptr);
  EXPECT_EQ(log.open(SequenceNumber(9)), nullptr);
  log.advance(SequenceNumber(5));
  EXPECT_EQ(log.open(SequenceNumber(5)), nullptr);
  EXPECT_NE(log.open(SequenceNumber(13)), nullptr);
  EXPECT_EQ(log.open(SequenceNumber(14)), nullptr);
  EXPECT_EQ(log.last(), SequenceNumber(13));
  log.advance(SequenceNumber(100));
  EXPECT_EQ(log.last(), SequenceNumber(100));
}

TEST(Log, LookingMakesNoSlot) {
  Log log(test_group(), 8);
  EXPECT_EQ(log.find(SequenceNumber(3)), nullptr);
  EXPECT_EQ(log.last(), SequenceNumber(0));
  ASSERT_NE(log.open(SequenceNumber(3)), nullptr);
  EXPECT_EQ(log.find(SequenceNumber(3)), log.open(SequenceNumber(3)));
  EXPECT_EQ(log.find(SequenceNumber(4)), nullptr);
}

TEST(Log, OneVotePerReplicaThatOfTheNewestView) {
  const auto group = test_group();
  Log log(group, 8);
  Slot& slot = *log.open(SequenceNumber(1));
  const auto vote = [&](std::uint64_t view, std::uint64_t lot) {
    return signed_vote(*group, VoteKind::kCommit, view, 1, test_digest(lot), 2);
  };
  EXPECT_FALSE(Log::add_vote(slot, vote(1, 1)));
  EXPECT_FALSE(Log::add_vote(slot, vote(0, 2)));  // older: no contradiction, not kept
  EXPECT_EQ(slot.commits[2]->digest, test_digest(1));
  const auto contradicted = Log::add_vote(slot, vote(1, 3));
  ASSERT_TRUE(contradicted);
  EXPECT_TRUE(is_valid(Evidence{*contradicted, vote(1, 3)}, *group, crypto::model_scheme()));
  EXPECT_FALSE(Log::add_vote(slot, vote(2, 3)));
  EXPECT_EQ(slot.commits[2]->view, View(2));
}

TEST(Log, VotesOfDifferentViewsOrDigestsDoNotAddUp) {
  const auto group = test_group();
  Log log(group, 8);
  Slot& slot = *log.open(SequenceNumber(1));
  const auto add = [&](std::uint64_t view, std::uint64_t lot, std::size_t seat) {
    Log::add_vote(slot, signed_vote(*group, VoteKind::kCommit, view, 1, test_digest(lot), seat));
  };
  add(1, 1, 0);
  add(1, 1, 1);
  add(2, 1, 2);
  add(1, 2, 3);
  EXPECT_FALSE(log.commit_certificate(slot));
  add(1, 1, 3);  // contradicts itself: does not count
  EXPECT_FALSE(log.commit_certificate(slot));
  add(2, 1, 0);
  add(2, 1, 1);
  const auto made = log.commit_certificate(slot);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->view, View(2));
  EXPECT_TRUE(is_valid(*made, *group, crypto::model_scheme()));
}

// ---- The client table ----

TEST(ClientTable, IsThatOfTheDumbVersion) {
  GroupSettings settings;
  settings.clients_max = 5;
  ClientTable table(settings, 1);
  std::map<ClientId, std::uint64_t> last;  // of those that are not forgotten
  std::map<ClientId, std::uint64_t> ever;  // greatest executed, for ever
  std::map<ClientId, Buffer> operations;   // of the greatest
  std::uint64_t floor = 0;
  Random random(2);
  for (int round = 0; round < 5000; ++round) {
    const std::uint64_t number = static_cast<std::uint64_t>(round) + 1 + random.below(40);
    Request request{.client = test_key("c" + std::to_string(random.below(9))).public_key(),
                    .number = RequestNumber(number),
                    .operation = Buffer::copy_of(as_bytes(random.chance(1, 2) ? "one" : "two"))};
    const ClientId& client = request.client;
    const auto verdict = table.judge(request, AgreedTime(1000));
    const auto at = last.find(client);
    if (at == last.end()) {
      EXPECT_EQ(verdict == ClientTable::Verdict::kForgotten, number <= floor);
    } else {
      const bool is_it = number == at->second && request.operation == operations[client];
      EXPECT_EQ(verdict == ClientTable::Verdict::kLast, is_it);
      EXPECT_EQ(verdict == ClientTable::Verdict::kOld, number <= at->second && !is_it);
    }
    if (verdict != ClientTable::Verdict::kNew) continue;
    EXPECT_GT(number, ever[client]) << "executed twice or out of order";
    ever[client] = number;
    table.record(request, Buffer());
    last[client] = number;
    operations[client] = request.operation;
    if (last.size() > 5) {
      auto oldest = last.begin();
      for (auto one = last.begin(); one != last.end(); ++one) {
        if (std::pair(one->second, one->first) < std::pair(oldest->second, oldest->first)) {
          oldest = one;
        }
      }
      floor = std::max(floor, oldest->second);
      last.erase(oldest);
    }
    EXPECT_EQ(table.floor().value, floor);
    ClientTable copy(settings, 1);
    ASSERT_TRUE(copy.restore(table.encode()));
    EXPECT_EQ(copy.encode(), table.encode());
  }
}

TEST(ClientTable, NumbersFarAheadOfAgreedTimeAreRefused) {
  GroupSettings settings;
  settings.number_ahead_max_ms = 100;
  const ClientTable table(settings, 1);
  const auto judge = [&](std::uint64_t ms) {
    return table.judge(test_request("c", ms * 1000), AgreedTime(5000));
  };
  EXPECT_EQ(judge(5100), ClientTable::Verdict::kNew);
  EXPECT_EQ(judge(5101), ClientTable::Verdict::kAhead);
}

TEST(ClientTable, NonsenseChangesNothing) {
  ClientTable table({}, 1);
  table.record(test_request("c", 7), Buffer::copy_of(as_bytes("r")));
  const Bytes before = table.encode();
  Bytes cut = before;
  cut.pop_back();
  EXPECT_FALSE(table.restore(cut));
  EXPECT_FALSE(table.restore(as_bytes("garbage")));
  EXPECT_EQ(table.encode(), before);
}

// ---- Pending requests ----

TEST(PendingRequests, AGreaterNumberTakesThePlaceOfASmallerOne) {
  PendingRequests pending(2, 1000, 1);
  EXPECT_TRUE(pending.add(test_request("a", 5), Instant{}));
  EXPECT_FALSE(pending.add(test_request("a", 5), Instant{}));
  EXPECT_FALSE(pending.add(test_request("a", 4), Instant{}));
  EXPECT_TRUE(pending.add(test_request("a", 6), Instant{}));
  EXPECT_EQ(pending.size(), 1U);
  EXPECT_TRUE(pending.add(test_request("b", 1), Instant{}));
  EXPECT_FALSE(pending.add(test_request("c", 1), Instant{}));  // no room
  EXPECT_FALSE(pending.remove(test_request("a", 5).client, RequestNumber(5)));
  EXPECT_TRUE(pending.remove(test_request("a", 6).client, RequestNumber(9)));
  EXPECT_TRUE(pending.add(test_request("c", 1), Instant{}));
}

TEST(PendingRequests, BatchesAreTakenInTheOrderOfArrivalAndOnce) {
  PendingRequests pending(10, 1000, 1);
  for (const char* client : {"c", "a", "b"}) pending.add(test_request(client, 1), Instant{});
  const auto first = pending.take_batch(2, 1000);
  ASSERT_EQ(first.size(), 2U);
  EXPECT_EQ(first[0].client, test_key("c").public_key());
  EXPECT_EQ(first[1].client, test_key("a").public_key());
  EXPECT_GT(pending.unproposed_count(), 0U);
  EXPECT_EQ(pending.take_batch(9, 1000).size(), 1U);
  EXPECT_EQ(pending.unproposed_count(), 0U);
  pending.restart(Instant{});  // a new view
  EXPECT_EQ(pending.take_batch(9, 1000).size(), 3U);
}

TEST(PendingRequests, ANewerRequestKeepsItsClientsPlaceInTheQueueUntilItIsProposed) {
  PendingRequests pending(10, 1000, 1);
  pending.add(test_request("a", 1), Instant{});
  pending.add(test_request("b", 1), Instant{});
  pending.add(test_request("a", 2), Instant(std::chrono::seconds(1)));
  EXPECT_EQ(pending.oldest_since(), Instant{});  // of b: the new one waits from now on
  EXPECT_EQ(pending.unproposed_count(), 2U);
  EXPECT_EQ(pending.take_batch(1, 1000), std::vector{test_request("a", 2)});
  pending.add(test_request("a", 3), Instant(std::chrono::seconds(2)));  // it has had its turn
  EXPECT_EQ(pending.take_batch(1, 1000), std::vector{test_request("b", 1)});
  EXPECT_EQ(pending.take_batch(1, 1000), std::vector{test_request("a", 3)});
  pending.restart(Instant{});  // a new view
  pending.remove(test_request("b", 1).client, RequestNumber(1));
  EXPECT_EQ(pending.take_batch(9, 1000), std::vector{test_request("a", 3)});
  EXPECT_EQ(pending.unproposed_count(), 0U);
}

TEST(PendingRequests, WhatWaitsIsFoundByItsDigest) {
  PendingRequests pending(10, 1000, 1);
  pending.add(test_request("a", 1), Instant{}, test_digest(1));
  pending.add(test_request("b", 1), Instant{});
  ASSERT_TRUE(pending.find(test_digest(1)));
  EXPECT_EQ(*pending.find(test_digest(1)), test_request("a", 1));
  EXPECT_FALSE(pending.find(crypto::Digest{}));
  pending.add(test_request("a", 2), Instant{}, test_digest(2));
  EXPECT_FALSE(pending.find(test_digest(1)));
  EXPECT_TRUE(pending.find(test_digest(2)));
  pending.clear();
  EXPECT_FALSE(pending.find(test_digest(2)));
}

TEST(PendingRequests, BytesAreBoundedButOneRequestAlwaysFits) {
  PendingRequests pending(10, 100, 1);
  EXPECT_TRUE(pending.add(test_request("a", 1, std::string(60, 'x')), Instant{}));
  EXPECT_FALSE(pending.add(test_request("b", 1, std::string(60, 'x')), Instant{}));
  EXPECT_EQ(pending.take_batch(10, 1).size(), 1U);
}

// ---- Agreed time ----

TEST(AgreedTime, NeverGoesBackAndStaysNearTheClock) {
  AgreedClock clock;
  EXPECT_EQ(clock.execute(AgreedTime(100)), AgreedTime(100));
  EXPECT_EQ(clock.execute(AgreedTime(90)), AgreedTime(100));
  EXPECT_EQ(clock.propose(AgreedTime(50)), AgreedTime(100));
  EXPECT_EQ(clock.propose(AgreedTime(150)), AgreedTime(150));
  EXPECT_TRUE(clock.is_acceptable(AgreedTime(100), AgreedTime(110), 10));
  EXPECT_FALSE(clock.is_acceptable(AgreedTime(100), AgreedTime(111), 10));
  EXPECT_FALSE(clock.is_acceptable(AgreedTime(111), AgreedTime(100), 10));
}

TEST(AgreedTime, StandsStillWhileClocksThatWereSetBackCatchUp) {
  AgreedClock clock;
  clock.execute(AgreedTime(1000));
  const AgreedTime wall(100);
  EXPECT_TRUE(clock.is_acceptable(clock.propose(wall), wall, 10));
  EXPECT_FALSE(clock.is_acceptable(AgreedTime(1001), wall, 10));
  EXPECT_FALSE(clock.is_acceptable(AgreedTime(89), wall, 10));
}

// ---- Evidence ----

TEST(Evidence, OnlyContradictionsCount) {
  const auto group = test_group();
  const Vote vote = signed_vote(*group, VoteKind::kPrepare, 1, 1, test_digest(1), 2);
  const auto with = [&](VoteKind kind, std::uint64_t view, std::uint64_t number, std::uint64_t lot,
                        std::size_t seat) {
    return signed_vote(*group, kind, view, number, test_digest(lot), seat);
  };
  EXPECT_TRUE(is_contradiction(vote, with(VoteKind::kPrepare, 1, 1, 2, 2)));
  EXPECT_FALSE(is_contradiction(vote, with(VoteKind::kPrepare, 1, 1, 1, 2)));  // the same
  EXPECT_FALSE(is_contradiction(vote, with(VoteKind::kPrepare, 2, 1, 2, 2)));  // another view
  EXPECT_FALSE(is_contradiction(vote, with(VoteKind::kPrepare, 1, 2, 2, 2)));  // another number
  EXPECT_FALSE(is_contradiction(vote, with(VoteKind::kPrepare, 1, 1, 2, 3)));  // another replica
  EXPECT_FALSE(is_contradiction(vote, with(VoteKind::kCommit, 1, 1, 2, 2)));   // another kind
  // Of a view there is one view change, whatever its number.
  EXPECT_TRUE(is_contradiction(with(VoteKind::kViewChange, 3, 4, 1, 2),
                               with(VoteKind::kViewChange, 3, 8, 2, 2)));

  const Evidence good{vote, with(VoteKind::kPrepare, 1, 1, 2, 2)};
  EXPECT_TRUE(is_valid(good, *group, crypto::model_scheme()));
  const auto decoded = Evidence::decode(good.encode());
  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, good);
  Evidence forged = good;
  forged.second.digest = test_digest(9);
  EXPECT_FALSE(is_valid(forged, *group, crypto::model_scheme()));
}

// ---- Recovery ----

TEST(Recovery, ABareNumberCountsForNothing) {
  const auto group = test_group();
  Recovery recovery(id(1), 2, 77);
  recovery.on_answer(id(0), {.nonce = 77});
  recovery.on_answer(id(0), {.nonce = 77});  // the same again is one
  recovery.on_answer(id(2), {.nonce = 76});  // of another question
  EXPECT_FALSE(recovery.has_enough());
  // A vote of somebody else with a high counter.
  const Vote other = signed_vote(*group, VoteKind::kPrepare, 0, 1, test_digest(1), 2, 900);
  recovery.on_answer(id(2), {.nonce = 77, .latest = other});
  EXPECT_FALSE(recovery.has_enough());
  recovery.on_answer(id(2), {.nonce = 77});
  ASSERT_TRUE(recovery.has_enough());
  const auto verdict =
      recovery.verdict({VoteCounter(3), View(), SequenceNumber(4)}, ReachedViews(4), 8, 2);
  EXPECT_EQ(verdict.silent_until, SequenceNumber{});
  EXPECT_EQ(verdict.votes_from, View{});
}

TEST(Recovery, AVoteThatWasForgottenKeepsItSilentForTwoWindows) {
  const auto group = test_group();
  Recovery recovery(id(1), 2, 77);
  const Vote own = signed_vote(*group, VoteKind::kPrepare, 0, 9, test_digest(1), 1, 12);
  recovery.on_answer(id(0), {.nonce = 77, .latest = own});
  recovery.on_answer(
      id(2),
      {.nonce = 77, .stable = certificate(*group, VoteKind::kCheckpoint, 0, 8, test_digest(2))});
  const auto verdict = [&](std::uint64_t counter, const ReachedViews& reached) {
    return recovery.verdict({VoteCounter(counter), View(), SequenceNumber(4)}, reached, 8, 2);
  };
  ReachedViews reached(4);
  EXPECT_EQ(verdict(12, reached).silent_until, SequenceNumber{});  // nothing newer than its own
  EXPECT_EQ(verdict(12, reached).votes_from, View{});
  EXPECT_EQ(verdict(11, reached).silent_until, SequenceNumber(8 + 2 * 8));
  EXPECT_GT(verdict(11, reached).counter, VoteCounter(12));
  EXPECT_EQ(verdict(11, reached).votes_from, View(3));
  // One may lie about the view; two prove it; its own word is enough.
  const auto changed = [&](std::size_t seat, std::uint64_t view) {
    reached.note(signed_vote(*group, VoteKind::kViewChange, view, 0, test_digest(3), seat));
  };
  changed(0, 1000);
  EXPECT_EQ(verdict(11, reached).votes_from, View(3));
  changed(2, 5);
  changed(2, 4);  // an older one changes nothing
  EXPECT_EQ(verdict(11, reached).votes_from, View(8));
  changed(1, 9);
  EXPECT_EQ(verdict(11, reached).votes_from, View(12));  // two have reached 9
  EXPECT_EQ(verdict(12, reached).votes_from, View(12));  // its own view change says enough
  EXPECT_EQ(reached.votes().size(), 3U);
}

// ---- State transfer ----

struct TransferTest : testing::Test {
  std::shared_ptr<const Group> group = test_group();
  Checkpoint checkpoint =
      Checkpoint::make(InstanceId{}, SequenceNumber(4), AgreedTime(9), false, as_bytes("table"),
                       {Buffer::copy_of(as_bytes("one")), Buffer::copy_of(as_bytes("two")),
                        Buffer::copy_of(as_bytes("one"))});
  Certificate proof = certificate(*group, VoteKind::kCheckpoint, 0, 4, checkpoint.digest);
  StateTransfer transfer{*group, id(3), Settings{}, proof, Random(1)};
  CheckpointStore nothing;
  Instant now{};

  std::vector<StateTransfer::Ask> ask(const CheckpointStore& known) {
    return transfer.ask(now, known, std::vector<bool>(group->seat_count()));
  }
};

TEST_F(TransferTest, EveryPieceIsCheckedByItsDigest) {
  ASSERT_EQ(ask(nothing).size(), 1U);
  transfer.on_manifest(Buffer::copy_of(as_bytes("lies")));
  EXPECT_TRUE(ask(nothing).empty());  // still waits for the manifest
  transfer.on_manifest(checkpoint.encoded);
  EXPECT_EQ(ask(nothing).size(), 3U);  // the piece that is there twice, once
  transfer.on_chunk(Buffer::copy_of(as_bytes("three")));
  EXPECT_EQ(transfer.chunks_left(), 3U);
  for (const auto& [digest, chunk] : checkpoint.chunks) transfer.on_chunk(chunk);
  ASSERT_TRUE(transfer.is_complete());
  const Checkpoint got = transfer.take();
  EXPECT_EQ(got.encoded, checkpoint.encoded);
  EXPECT_EQ(got.service().size(), 3U);
  EXPECT_EQ(got.client_table(), to_bytes(as_bytes("table")));
}

TEST_F(TransferTest, WhoDoesNotAnswerIsPassedOver) {
  std::set<ReplicaId> asked;
  for (int i = 0; i < 3; ++i) {
    const auto asks = ask(nothing);
    ASSERT_EQ(asks.size(), 1U);
    asked.insert(asks[0].from);
    EXPECT_EQ(transfer.next_deadline(), now + Settings{}.fetch_timeout);
    now += Settings{}.fetch_timeout;
  }
  EXPECT_EQ(asked.size(), 3U);  // everybody who signed
}

TEST_F(TransferTest, PiecesThatAreHereAreNotFetched) {
  CheckpointStore known;
  known.add(Checkpoint::make(InstanceId{}, SequenceNumber(2), AgreedTime(5), false,
                             as_bytes("table"), {Buffer::copy_of(as_bytes("two"))}));
  (void)ask(known);
  transfer.on_manifest(checkpoint.encoded);
  EXPECT_EQ(ask(known).size(), 1U);
}

TEST_F(TransferTest, ANewTargetKeepsWhatWasFetched) {
  (void)ask(nothing);
  transfer.on_manifest(checkpoint.encoded);
  transfer.on_chunk(Buffer::copy_of(as_bytes("one")));
  const Checkpoint newer = Checkpoint::make(InstanceId{}, SequenceNumber(8), AgreedTime(20), false,
                                            as_bytes("table"), {Buffer::copy_of(as_bytes("one"))});
  transfer.retarget(certificate(*group, VoteKind::kCheckpoint, 0, 8, newer.digest));
  (void)ask(nothing);
  transfer.on_manifest(checkpoint.encoded);  // the old one, late
  EXPECT_FALSE(transfer.is_complete());
  transfer.on_manifest(newer.encoded);
  EXPECT_EQ(transfer.chunks_left(), 1U);  // the table
}

TEST_F(TransferTest, WhatWasAskedForCountsForTheNextTarget_WhatItDoesNotNameIsForgotten) {
  (void)ask(nothing);
  transfer.on_manifest(checkpoint.encoded);
  transfer.on_chunk(Buffer::copy_of(as_bytes("two")));
  EXPECT_EQ(ask(nothing).size(), 2U);  // the table, and the piece that is there twice
  const auto target_of = [&](std::uint64_t number, std::string_view piece) {
    return Checkpoint::make(InstanceId{}, SequenceNumber(number), AgreedTime(20), false,
                            as_bytes("table"), {Buffer::copy_of(as_bytes(piece))});
  };
  const Checkpoint newer = target_of(8, "one");
  transfer.retarget(certificate(*group, VoteKind::kCheckpoint, 0, 8, newer.digest));
  transfer.on_chunk(Buffer::copy_of(as_bytes("one")));    // before the new manifest
  transfer.on_chunk(Buffer::copy_of(as_bytes("three")));  // nobody asked for it
  transfer.on_manifest(newer.encoded);
  EXPECT_EQ(transfer.chunks_left(), 1U);
  EXPECT_TRUE(ask(nothing).empty());  // the table is on its way still
  transfer.on_chunk(Buffer::copy_of(as_bytes("table")));
  EXPECT_TRUE(transfer.is_complete());
  const Checkpoint newest = target_of(12, "two");
  transfer.retarget(certificate(*group, VoteKind::kCheckpoint, 0, 12, newest.digest));
  transfer.on_manifest(newest.encoded);
  EXPECT_EQ(transfer.chunks_left(), 1U);  // "two" was in no manifest between
}

TEST(CheckpointStore, KeepsTheStableOneAndTheOneBefore) {
  CheckpointStore store;
  for (std::uint64_t n = 4; n <= 16; n += 4) {
    store.add(Checkpoint::make(InstanceId{}, SequenceNumber(n), AgreedTime(n), false, {},
                               {Buffer::copy_of(as_bytes("same")),
                                Buffer::copy_of(as_bytes("piece " + std::to_string(n)))}));
  }
  const auto forgotten = store.advance(SequenceNumber(12));
  EXPECT_EQ(forgotten.numbers, std::vector{SequenceNumber(4)});
  EXPECT_EQ(forgotten.chunks.size(), 1U);  // not the piece that others share
  EXPECT_NE(store.find(SequenceNumber(8)), nullptr);
  EXPECT_EQ(store.newest()->manifest.number, SequenceNumber(16));
}

}  // namespace
}  // namespace rosebud::pbft
