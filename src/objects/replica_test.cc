// What a replica says and when: the sentences of design 5, 6 and 10, one by one.
#include "objects/replica.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "objects/test_replica.h"

namespace rosebud::objects {
namespace {

using wire::RefusalReason;

class ReplicaOf4 : public testing::Test, protected DrivenReplica {
 protected:
  explicit ReplicaOf4(std::uint32_t positions = 1) : DrivenReplica(positions) {
    restart({}, verifier(1), {});
  }

  void restart(RecoveredNotes recovered, Verifier with, History history) {
    waiting.clear();
    core.emplace(ReplicaIdentity{.key = nodes[0]}, std::move(with), crypto::model_scheme(),
                 std::move(recovered), Random(1), ReplicaLimits{}, std::move(history));
    start();
  }

  bool is_held_up(const Effect& effect) const override {
    return DrivenReplica::is_held_up(effect) &&
           (is_of_a_peer || !std::holds_alternative<Scan>(effect));
  }
  void complete(const Effect& effect) override {
    Effects follow;
    if (const auto* load = std::get_if<Load>(&effect)) {
      const auto at = objects.find(load->id);
      core->on_loaded(now, load->token,
                      at == objects.end() ? std::optional<wire::StoredObject>() : at->second,
                      follow);
    } else if (const auto* scan = std::get_if<Scan>(&effect)) {
      if (unreadable && unreadable->contains(scan->range.first)) {
        core->on_scanned(now, scan->token, std::unexpected(wire::StorageError::kIo), follow);
        return take(std::move(follow));
      }
      wire::Scanned found{.is_whole = true};
      for (const auto& [id, object] : objects) {
        if (scan->range.contains(id.placement)) found.entries.push_back(object.entry());
      }
      core->on_scanned(now, scan->token, std::move(found), follow);
    } else if (const auto* persist = std::get_if<Persist>(&effect)) {
      for (const auto& write : persist->writes) {
        if (const auto* erase = std::get_if<wire::DeleteObject>(&write)) objects.erase(erase->id);
        if (const auto* put = std::get_if<wire::PutObject>(&write)) {
          wire::StoredObject object = put->object;
          if (put->is_content_unchanged) object.content = objects.at(object.id).content;
          objects[object.id] = std::move(object);
        } else if (const auto* note = std::get_if<wire::PutNote>(&write)) {
          notes[note->name] = note->value;
        }
      }
      core->on_persisted(now, persist->token, {}, follow);
    }
    take(std::move(follow));
  }

  /// Others of the group answer what it has asked them.
  void answer_requests(std::vector<std::size_t> from, const wire::RangeState& state) {
    while (true) {
      const auto at = std::ranges::find_if(requests, [&](const SendRequest& one) {
        return equal_answer(one.request.body, state) &&
               std::ranges::any_of(from, [&](std::size_t i) { return is_node(i, one.to); });
      });
      if (at == requests.end()) return;
      const SendRequest request = *at;
      requests.erase(at);
      answer(request, *equal_answer(request.request.body, state));
    }
  }
  /// Whoever is asked about many ranges finds a difference in each.
  void tell_of_differences() {
    for (const SendRequest& request : std::exchange(requests, {})) {
      const auto* many = std::get_if<wire::CompareRanges>(&request.request.body);
      if (!many) {
        requests.push_back(request);
        continue;
      }
      wire::RangesCompared body;
      body.ranges.resize(many->ranges.size(), {.state = {.has_entered = true}});
      answer(request, std::move(body));
    }
  }
  bool is_node(std::size_t i, const wire::NodeKey& key) const {
    return nodes[i].public_key() == key;
  }
  void serve() { answer_requests({1, 2}, {.has_entered = true, .complete_for = wire::Epoch(1)}); }

  void ask(wire::RequestBody body, std::uint64_t epoch = 1) {
    send({.connection = ConnectionId(1), .key = client.public_key()}, std::move(body), epoch);
  }
  void ask_as_node(std::size_t i, wire::RequestBody body, std::uint64_t epoch = 1) {
    send({.connection = ConnectionId(2), .key = nodes[i].public_key(), .role = wire::Role::kNode},
         std::move(body), epoch);
  }
  /// Through both gates, as a driver does it.
  void send(const Sender& sender, wire::RequestBody body, std::uint64_t epoch) {
    answers.clear();
    is_of_a_peer = true;
    const wire::MessageContext context{{wire::Generation(0), wire::Epoch(epoch)}, wire::Nonce(7)};
    Effects effects;
    auto verified = core->verifier().request({context, std::move(body)});
    if (verified) {
      core->on_request(now, sender, std::move(*verified), effects);
    } else {
      core->on_rejected(now, sender, context, verified.error(), effects);
    }
    take(std::move(effects));
    is_of_a_peer = false;
  }
  void enter(std::uint64_t epoch) { DrivenReplica::enter(verifier(epoch)); }
  wire::PutBlock put() const { return {block, hold(block, hello.size()), hello}; }
  wire::PutRecord put(std::uint64_t version) const {
    return {record_id(), record(version, "mine"), record_hold()};
  }
  wire::StoredObject stored_block() const {
    return {.id = block, .holds = {hold(block, hello.size())}, .content = hello};
  }

  std::map<Bytes, Bytes> notes;
  std::optional<wire::KeyRange> unreadable;  // scans of it fail
  bool is_of_a_peer = false;
};

TEST_F(ReplicaOf4, AcknowledgesABlockWhenItAndItsHoldAreDurable) {
  serve();
  is_persist_held_up = true;
  ask(put());
  EXPECT_TRUE(answers.empty());
  go_on();
  EXPECT_TRUE(answered<wire::Stored>());
  EXPECT_EQ(objects.at(block), stored_block());
}

TEST_F(ReplicaOf4, SaysAlreadyThereOnlyWhenThisHoldIsDurable) {
  serve();
  ask(wire::OfferBlock{block, hold(block, hello.size())});
  EXPECT_TRUE(answered<wire::Missing>());
  ask(put());
  is_persist_held_up = true;
  ask(wire::OfferBlock{block, hold(test_key("other"), block, hello.size())});
  EXPECT_TRUE(answers.empty());
  go_on();
  EXPECT_TRUE(answered<wire::Stored>());
  EXPECT_EQ(objects.at(block).holds.size(), 2U);
}

TEST_F(ReplicaOf4, AnswersAWriteWithTheRecordThatItHoldsDurably) {
  serve();
  is_persist_held_up = true;
  ask(put(2));
  EXPECT_TRUE(answers.empty());
  go_on();
  ASSERT_TRUE(answered<wire::RecordHeld>());
  EXPECT_EQ(answered<wire::RecordHeld>()->record, record(2, "mine"));
  ask(put(1));
  ASSERT_TRUE(answered<wire::RecordHeld>());
  EXPECT_EQ(answered<wire::RecordHeld>()->record, record(2, "mine")) << "the newer one is kept";
}

TEST_F(ReplicaOf4, ReadDuringAWrite_WaitsForWhatIsDurable) {
  serve();
  is_persist_held_up = true;
  ask(put(2));
  ask(wire::GetRecord{record_id()});
  EXPECT_TRUE(answers.empty());
  go_on();
  ASSERT_EQ(answers.size(), 2U);
  EXPECT_EQ(std::get<wire::RecordHeld>(answers[1].body).record, record(2, "mine"));
}

TEST_F(ReplicaOf4, NothingIsStoredWithoutAValidHold) {
  serve();
  wire::PutBlock unheld = put();
  unheld.hold.statement.signature.bytes[0] ^= 1;
  ask(unheld);
  EXPECT_EQ(refusal(), RefusalReason::kBadHold);
  unheld.hold = hold(client, block, hello.size(), 1, Timestamp(1000));  // the epoch's start
  ask(unheld);
  EXPECT_EQ(refusal(), RefusalReason::kBadHold);
  wire::PutBlock forged = put();
  forged.bytes = Buffer::copy_of(as_bytes("hallo"));
  ask(forged);
  EXPECT_EQ(refusal(), RefusalReason::kBadBlock);
  EXPECT_TRUE(objects.empty());
}

TEST_F(ReplicaOf4, RecordHoldNamesTheLargestValue) {
  serve();
  wire::PutRecord small = put(1);
  small.hold = hold(record_id(), small.record.value.size());
  ask(small);
  EXPECT_EQ(refusal(), RefusalReason::kBadHold);
}

TEST_F(ReplicaOf4, PerHolderTheHighestSerialWins) {
  serve();
  const auto with_serial = [&](std::uint64_t serial) {
    wire::PutBlock out = put();
    out.hold = hold(client, block, hello.size(), serial);
    return out;
  };
  ask(with_serial(5));
  ask(with_serial(4));
  EXPECT_TRUE(answered<wire::Stored>());
  ASSERT_EQ(objects.at(block).holds.size(), 1U);
  EXPECT_EQ(objects.at(block).holds.front(), with_serial(5).hold);
  ask(with_serial(6));
  EXPECT_EQ(objects.at(block).holds.front(), with_serial(6).hold);
}

TEST_F(ReplicaOf4, RecordIsShownWithTheHoldThatExpiresLast) {
  serve();
  ask(put(1));
  for (const char* name : {"a", "b", "c", "d"}) {
    wire::PutRecord other = put(1);
    other.hold = hold(test_key(name), record_id(), wire::kRecordValueSizeMax, 1, Timestamp(2000));
    ask(other);
  }
  ASSERT_EQ(objects.at(record_id()).holds.size(), 5U);
  ASSERT_TRUE(answered<wire::RecordHeld>());
  EXPECT_EQ(answered<wire::RecordHeld>()->hold, record_hold());
}

TEST_F(ReplicaOf4, OtherEpochs_AreRefusedBeforeTheHoldIsJudged) {
  enter(2);
  enter(3);
  wire::PutBlock unheld = put();
  unheld.hold.statement.signature.bytes[0] ^= 1;
  ask(unheld, 1);
  ASSERT_EQ(refusal(), RefusalReason::kWrongEpoch);
  const auto& descriptions = answered<wire::Refused>()->descriptions;
  ASSERT_EQ(descriptions.size(), 2U) << "those that the asker lacks";
  EXPECT_EQ(as_text(descriptions[0].view()), "description 2");
  EXPECT_EQ(as_text(descriptions[1].view()), "description 3");
  ask(unheld, 4);
  EXPECT_EQ(refusal(), RefusalReason::kBusy);
}

TEST_F(ReplicaOf4, AskerFarBehind_GetsTheOldestDescriptionsFirst) {
  for (std::uint64_t epoch = 2; epoch <= 8; ++epoch) enter(epoch);
  ask(wire::GetRecord{record_id()}, 2);
  ASSERT_EQ(refusal(), RefusalReason::kWrongEpoch);
  const auto& descriptions = answered<wire::Refused>()->descriptions;
  ASSERT_EQ(descriptions.size(), wire::kDescriptionsMax);
  EXPECT_EQ(as_text(descriptions[0].view()), "description 3");
}

TEST_F(ReplicaOf4, AfterAStart_ReconcilesWith2fOthersBeforeItAnswersClients) {
  ask(wire::GetRecord{record_id()});
  EXPECT_EQ(refusal(), RefusalReason::kBusy);
  ask(wire::GetBlock{block});
  EXPECT_EQ(refusal(), RefusalReason::kBusy);
  ask_as_node(1, wire::FetchObject{block});
  EXPECT_TRUE(answered<wire::ObjectAbsent>()) << "others are answered meanwhile";
  answer_requests({1}, {.has_entered = true, .complete_for = wire::Epoch(1)});
  ask(wire::GetRecord{record_id()});
  EXPECT_EQ(refusal(), RefusalReason::kBusy) << "one other is not 2f";
  answer_requests({2}, {.has_entered = true, .complete_for = wire::Epoch(1)});
  ask(wire::GetRecord{record_id()});
  EXPECT_TRUE(answered<wire::Absent>());
}

TEST_F(ReplicaOf4, NoAcknowledgementOfAnEpochAfterTheNextWasLearnt) {
  serve();
  is_persist_held_up = true;
  ask(put());
  enter(2);
  go_on();
  ASSERT_EQ(refusal(), RefusalReason::kWrongEpoch);
  EXPECT_TRUE(objects.contains(block));
}

// Found by a checker of the simulator: a block may be asked for in any epoch, so the question of a
// client that is ahead waits for the disk while the epoch changes.
TEST_F(ReplicaOf4, AskedAheadOfTheEpoch_NotThereIsNotSaidBeforeItWasDurablyEntered) {
  serve();
  is_load_held_up = is_persist_held_up = true;
  ask(wire::GetBlock{block}, 2);
  enter(2);
  ASSERT_TRUE(answers.empty());
  go_on();  // the load first
  EXPECT_EQ(refusal(), RefusalReason::kBusy);
  ask(wire::GetBlock{block}, 2);
  EXPECT_TRUE(answered<wire::Absent>());
}

TEST_F(ReplicaOf4, NothingIsAnsweredBeforeTheEpochWasDurablyEntered) {
  serve();
  is_persist_held_up = true;
  enter(2);
  ask(wire::GetRecord{record_id()}, 2);
  EXPECT_EQ(refusal(), RefusalReason::kBusy);
  ask_as_node(1, wire::FetchObject{block}, 2);
  EXPECT_EQ(refusal(), RefusalReason::kBusy);
  go_on();
  ask(wire::GetRecord{record_id()}, 2);
  EXPECT_TRUE(answered<wire::Absent>()) << "a keeper goes on serving";
}

TEST_F(ReplicaOf4, NotReconciledWhenTheEpochChanges_EntersAsGainer) {
  enter(2);
  ask(wire::GetRecord{record_id()}, 2);
  EXPECT_EQ(refusal(), RefusalReason::kBusy);
  // Members of epoch 1 are complete for it, so 2f+1 tellers (oneself included) suffice.
  answer_requests({1, 2}, {.has_entered = true, .complete_for = wire::Epoch(0)});
  ask(wire::GetRecord{record_id()}, 2);
  EXPECT_TRUE(answered<wire::Absent>());
}

// Generation 1 follows epoch 1; what this replica did in epochs 2 and 3 of generation 0 is
// abandoned (design 8.6). Claims name epochs alone: its "complete for 3" would be one for the new
// epoch 3.
class AbandoningOf4 : public ReplicaOf4 {
 protected:
  AbandoningOf4() {
    serve();
    enter(2);
    answer_requests({1, 2, 3}, {.has_entered = true, .complete_for = wire::Epoch(2)});
    enter(3);
    answer_requests({1, 2, 3}, {.has_entered = true, .complete_for = wire::Epoch(3)});
  }
  Verifier recovered(std::uint64_t epoch) const {
    return {configuration(epoch, {}, 1, std::make_shared<membership::Recovery>()),
            crypto::model_scheme()};
  }
  void recover() {
    core->go_back_to(configuration(1));
    Effects effects;
    core->on_configuration(now, recovered(2), effects);
    take(std::move(effects));
  }
  const wire::KeyRange whole = wire::whole_key_range();
};

TEST_F(AbandoningOf4, ClaimsOfAbandonedEpochs_AreForgotten) {
  ASSERT_EQ(core->complete_for(whole), wire::Epoch(3));
  recover();
  EXPECT_EQ(core->complete_for(whole), wire::Epoch(1));
  EXPECT_TRUE(core->is_serving_everything()) << "it served in the parent, and is a keeper";
  answer_requests({1, 2, 3}, {.has_entered = true, .complete_for = wire::Epoch(1)});
  EXPECT_EQ(core->complete_for(whole), wire::Epoch(2));
}

TEST_F(AbandoningOf4, WhoIsBehindGetsWhatFollowsTheParent) {
  recover();
  ask(wire::GetRecord{record_id()}, 1);
  ASSERT_EQ(refusal(), RefusalReason::kWrongEpoch);
  const auto& descriptions = answered<wire::Refused>()->descriptions;
  ASSERT_EQ(descriptions.size(), 1U);
  EXPECT_EQ(as_text(descriptions[0].view()), "description 2");
}

// A later generation's parent may be of a lower one than the generation that is abandoned: the way
// to it is entered epoch by epoch.
TEST_F(AbandoningOf4, TheWayToAParentOfALowerGeneration_IsEntered) {
  recover();
  answer_requests({1, 2, 3}, {.has_entered = true, .complete_for = wire::Epoch(1)});
  ASSERT_EQ(core->complete_for(whole), wire::Epoch(2));
  core->go_back_to(configuration(1));
  Effects effects;
  core->on_configuration(now, {configuration(2), crypto::model_scheme()}, effects);
  take(std::move(effects));
  EXPECT_EQ(core->complete_for(whole), wire::Epoch(1))
      << "what it had in the other epoch 2 is gone";
  answer_requests({1, 2, 3}, {.has_entered = true, .complete_for = wire::Epoch(1)});
  EXPECT_EQ(core->complete_for(whole), wire::Epoch(2));
}

TEST_F(AbandoningOf4, TheProcessEndedBeforeItNotedTheGeneration) {
  restart({.notes = {notes.begin(), notes.end()}}, recovered(2), {configuration(1)});
  EXPECT_EQ(core->complete_for(whole), wire::Epoch(1));
  EXPECT_FALSE(core->is_serving_everything());
}

TEST_F(AbandoningOf4, ARestartInTheGenerationCancelsNothing) {
  recover();
  answer_requests({1, 2, 3}, {.has_entered = true, .complete_for = wire::Epoch(1)});
  restart({.notes = {notes.begin(), notes.end()}}, recovered(2), {configuration(1)});
  EXPECT_EQ(core->complete_for(whole), wire::Epoch(2));
}

// An empty directory in a later epoch: nothing is known of the past.
class GainerOf4 : public ReplicaOf4 {
 protected:
  GainerOf4() {
    requests.clear();
    restart({.notes = {{to_bytes(as_bytes("objects/tenure")), Bytes{}}}}, verifier(3),
            {configuration(2)});
  }
};

TEST_F(GainerOf4, ClaimsWhatItWasCompleteForBeforeItReadWhatItLists) {
  is_scan_held_up = true;
  const auto range = core->verifier().configuration().ring().arcs().front().range;
  ask_as_node(1, wire::CompareRange{.range = range, .fingerprint = {}}, 3);
  ASSERT_TRUE(answers.empty());
  // Meanwhile it becomes complete, by f+1 members of its own group.
  answer_requests({1, 2}, {.has_entered = true, .complete_for = wire::Epoch(3)});
  ASSERT_EQ(core->complete_for(range), wire::Epoch(3));
  go_on();
  ASSERT_TRUE(answered<wire::RangeEntries>());
  EXPECT_LT(answered<wire::RangeEntries>()->state.complete_for, wire::Epoch(3));
}

// What node 3 told before the group of epoch 2 had told says nothing of what the members of epoch 3
// hold when some of epoch 2 may lie (ADR 11).
TEST_F(GainerOf4, SingleObject_ItsOwnGroupIsAskedAfterTheGroupBefore) {
  requests.clear();
  ask(wire::GetRecord{record_id()}, 3);
  const auto take_fetches = [&] {
    std::vector<SendRequest> out = std::exchange(requests, {});
    std::erase_if(out, [](const SendRequest& one) {
      return !std::holds_alternative<wire::FetchObject>(one.request.body);
    });
    return out;
  };
  const auto say_absent = [&](const SendRequest& asked) {
    Effects effects;
    core->on_answer(now, asked.to, {asked.request.context, wire::ObjectAbsent{wire::Epoch(2)}},
                    effects);
    take(std::move(effects));
  };
  const std::vector<SendRequest> first = take_fetches();
  ASSERT_EQ(first.size(), 3U);
  say_absent(first[0]);
  EXPECT_TRUE(take_fetches().empty());
  say_absent(first[1]);
  const std::vector<SendRequest> second = take_fetches();
  ASSERT_EQ(second.size(), 3U);
  say_absent(first[2]);
  say_absent(second[0]);
  ask(wire::GetRecord{record_id()}, 3);
  EXPECT_EQ(refusal(), RefusalReason::kBusy);
  say_absent(second[1]);
  ask(wire::GetRecord{record_id()}, 3);
  EXPECT_TRUE(answered<wire::Absent>());
}

TEST_F(GainerOf4, BadBytesOnAGainedArc_Need2fOthers) {
  answer_requests({1, 2, 3}, {.has_entered = true, .complete_for = wire::Epoch(3)});
  objects[block] = {.id = block, .is_damaged = true};
  requests.clear();
  ask(wire::GetBlock{block}, 3);
  EXPECT_EQ(refusal(), RefusalReason::kBusy);
  std::vector<SendRequest> fetches = requests;
  std::erase_if(fetches, [](const SendRequest& one) {
    return !std::holds_alternative<wire::FetchObject>(one.request.body);
  });
  ASSERT_EQ(fetches.size(), 3U);
  const auto tell = [&](const SendRequest& asked, wire::AnswerBody body) {
    Effects effects;
    core->on_answer(now, asked.to, {asked.request.context, std::move(body)}, effects);
    take(std::move(effects));
  };
  tell(fetches[0], wire::ObjectAbsent{wire::Epoch(99)});  // a liar is first
  tell(fetches[1], wire::ObjectFound{.object = stored_block(), .complete_for = wire::Epoch(3)});
  EXPECT_FALSE(objects.at(block).is_damaged);
  ask(wire::GetBlock{block}, 3);
  EXPECT_TRUE(answered<wire::BlockFound>());
}

TEST_F(GainerOf4, BadBytesThatNobodyElseHas_AreForgottenOnceThoseWhoKnowSaidSo) {
  answer_requests({1, 2, 3}, {.has_entered = true, .complete_for = wire::Epoch(3)});
  objects[block] = {.id = block, .is_damaged = true};
  requests.clear();
  ask(wire::GetBlock{block}, 3);
  std::vector<SendRequest> fetches = requests;
  std::erase_if(fetches, [](const SendRequest& one) {
    return !std::holds_alternative<wire::FetchObject>(one.request.body);
  });
  ASSERT_EQ(fetches.size(), 3U);
  const auto say_absent = [&](std::size_t which, wire::Epoch complete_for) {
    Effects effects;
    core->on_answer(now, fetches[which].to,
                    {fetches[which].request.context, wire::ObjectAbsent{complete_for}}, effects);
    take(std::move(effects));
  };
  // Two others are enough to compare with, but one that came with this epoch does not know yet.
  say_absent(0, wire::Epoch(3));
  say_absent(1, wire::Epoch(0));
  EXPECT_TRUE(objects.contains(block));
  ask(wire::GetBlock{block}, 3);
  EXPECT_EQ(refusal(), RefusalReason::kBusy);
  say_absent(2, wire::Epoch(3));
  EXPECT_FALSE(objects.contains(block));
  ask(wire::GetBlock{block}, 3);
  EXPECT_TRUE(answered<wire::Absent>());
}

TEST_F(GainerOf4, WhatReconcilingBringsIsCountedForItsHolder) {
  tell_of_differences();
  const auto asked = std::ranges::find_if(requests, [&](const SendRequest& one) {
    const auto* compare = std::get_if<wire::CompareRange>(&one.request.body);
    return compare && compare->range.contains(block.placement);
  });
  ASSERT_NE(asked, requests.end());
  const SendRequest compare = *asked;
  requests.clear();
  Effects effects;
  core->on_answer(
      now, compare.to,
      {compare.request.context,
       wire::RangeEntries{.state = {.has_entered = true},
                          .entries = {{.id = block, .state = stored_block().entry().state}}}},
      effects);
  take(std::move(effects));
  ASSERT_FALSE(requests.empty());
  const SendRequest fetch = requests.back();
  effects.clear();
  core->on_answer(now, fetch.to,
                  {fetch.request.context, wire::ObjectFound{.object = stored_block()}}, effects);
  take(std::move(effects));
  ASSERT_TRUE(objects.contains(block));
  Bytes name = to_bytes(as_bytes("objects/quota/"));
  const crypto::PublicKey holder = client.public_key();
  name.insert(name.end(), holder.bytes.begin(), holder.bytes.end());
  ASSERT_TRUE(notes.contains(name));
  wire::Reader charged(notes.at(name));
  EXPECT_GE(charged.u64(), hello.size());
}

TEST_F(ReplicaOf4, ComparisonsAreAnsweredAboutArcsOfTheAskerAndOnlySoMany) {
  serve();
  const auto range = core->verifier().configuration().ring().arcs().front().range;
  ask(wire::CompareRange{.range = range});
  EXPECT_EQ(refusal(), RefusalReason::kNotAllowed) << "clients ask nothing of the kind";
  const Sender outsider{.key = test_key("spare").public_key(), .role = wire::Role::kNode};
  send(outsider, wire::CompareRange{.range = range}, 1);
  EXPECT_EQ(refusal(), RefusalReason::kNotAllowed);
  ask_as_node(1, wire::CompareRange{.range = wire::whole_key_range()});
  EXPECT_EQ(refusal(), RefusalReason::kNotAllowed);
  is_scan_held_up = true;
  for (std::size_t i = 0; i < ReplicaLimits{}.range_answers_per_peer_max; ++i) {
    ask_as_node(1, wire::CompareRange{.range = range});
    EXPECT_TRUE(answers.empty());
  }
  ask_as_node(1, wire::CompareRange{.range = range});
  EXPECT_EQ(refusal(), RefusalReason::kBusy);
  ask_as_node(2, wire::CompareRange{.range = range});
  EXPECT_TRUE(answers.empty()) << "another peer's questions are answered";
}

// ---- Surveys: one question about many arcs ----

class ManyArcsOf4 : public ReplicaOf4 {
 protected:
  ManyArcsOf4() : ReplicaOf4(16) {}

  /// A gainer of epoch 3, that was in the group of epoch 2 too.
  void gain() {
    requests.clear();
    restart({.notes = {{to_bytes(as_bytes("objects/tenure")), Bytes{}}}}, verifier(3),
            {configuration(2)});
  }
  std::vector<wire::KeyRange> ranges() const {
    std::vector<wire::KeyRange> out;
    for (const auto& arc : core->verifier().configuration().ring().arcs()) {
      out.push_back(arc.range);
    }
    return out;
  }
  /// About as many arcs as one survey may have, from the `first` on.
  wire::CompareRanges question(std::size_t first = 0) const {
    const std::vector<wire::KeyRange> all = ranges();
    wire::CompareRanges out;
    while (!is_too_wide(out.ranges)) {
      out.ranges.push_back({.range = all[(first + out.ranges.size()) % all.size()]});
    }
    out.ranges.pop_back();
    return out;
  }
  static const wire::CompareRanges& survey(const SendRequest& request) {
    return std::get<wire::CompareRanges>(request.request.body);
  }
  /// The surveys that node `i` was asked for; taken out.
  std::vector<SendRequest> surveys_to(std::size_t i) {
    std::vector<SendRequest> out;
    std::erase_if(requests, [&](const SendRequest& one) {
      if (!std::holds_alternative<wire::CompareRanges>(one.request.body)) return false;
      if (!is_node(i, one.to)) return false;
      out.push_back(one);
      return true;
    });
    return out;
  }
  wire::RangesCompared all_equal(const SendRequest& request, std::uint64_t complete_for) const {
    return std::get<wire::RangesCompared>(*equal_answer(
        request.request.body, {.has_entered = true, .complete_for = wire::Epoch(complete_for)}));
  }
  void answer_all(std::size_t node, std::uint64_t complete_for) {
    answer_requests({node}, {.has_entered = true, .complete_for = wire::Epoch(complete_for)});
  }
  std::size_t served() const { return core->statistics().arcs_serving; }
  /// Node 1 is asked, and answers as `tell` says; node 2 has nothing else. For so long.
  template <typename Tell>
  void reconcile(Duration time, Tell tell) {
    const Instant end = now + time;
    while (true) {
      answer_all(2, 1);
      const auto at = std::ranges::find_if(
          requests, [&](const SendRequest& one) { return is_node(1, one.to); });
      if (at != requests.end()) {
        const SendRequest request = *at;
        requests.erase(at);
        if (const auto told = tell(request)) answer(request, *told);
      } else if (now >= end) {
        return;
      } else {
        pass(std::chrono::milliseconds(500));
      }
    }
  }
  std::optional<wire::AnswerBody> equal(const SendRequest& request) const {
    return equal_answer(request.request.body,
                        {.has_entered = true, .complete_for = wire::Epoch(1)});
  }
  static bool is_survey(const SendRequest& request) {
    return std::holds_alternative<wire::CompareRanges>(request.request.body);
  }
  static bool is_about(const SendRequest& request, const wire::KeyRange& range) {
    if (const auto* one = std::get_if<wire::CompareRange>(&request.request.body)) {
      return one->range == range;
    }
    return is_survey(request) &&
           std::ranges::count(survey(request).ranges, range, &wire::CompareRange::range) > 0;
  }
};

TEST_F(ManyArcsOf4, AfterAStart_EachSourceIsAskedOnceAboutManyArcs) {
  ASSERT_GT(ranges().size(), 50U);
  EXPECT_EQ(requests.size(), 3U);
  for (std::size_t i = 1; i < 4; ++i) {
    const auto asked = surveys_to(i);
    ASSERT_EQ(asked.size(), 1U);
    std::size_t leaves = 0;
    for (const auto& one : survey(asked[0]).ranges) {
      leaves += leaf_of(one.range.last) - leaf_of(one.range.first);
    }
    EXPECT_GT(leaves, kLeafCount / 8);
    EXPECT_LE(leaves, kLeafCount / 4) << "work within one input is bounded";
    requests.push_back(asked[0]);
  }
  EXPECT_EQ(served(), 0U);
  std::size_t questions = 0;
  while (!requests.empty()) {
    ++questions;
    const SendRequest request = requests.front();
    requests.erase(requests.begin());
    answer(request, *equal_answer(request.request.body, {.has_entered = true}));
  }
  EXPECT_TRUE(core->is_serving_everything());
  EXPECT_LT(questions, ranges().size() / 2) << "three for each arc, one by one";
}

TEST_F(ManyArcsOf4, WhereASurveyFindsADifference_ThatArcAloneIsCompared) {
  std::vector<wire::KeyRange> different;
  for (std::size_t i = 1; i < 3; ++i) {
    const SendRequest asked = surveys_to(i).at(0);
    wire::RangesCompared told = all_equal(asked, 1);
    told.ranges[2].is_equal = false;
    different.push_back(survey(asked).ranges[2].range);
    answer(asked, told);
    const auto single = std::ranges::find_if(requests, [&](const SendRequest& one) {
      const auto* compare = std::get_if<wire::CompareRange>(&one.request.body);
      return compare && is_node(i, one.to) && compare->range == different.back();
    });
    EXPECT_NE(single, requests.end());
  }
  std::erase_if(requests, [&](const SendRequest& one) {
    const auto* compare = std::get_if<wire::CompareRange>(&one.request.body);
    return compare && std::ranges::find(different, compare->range) != different.end();
  });
  answer_requests({1, 2}, {.has_entered = true, .complete_for = wire::Epoch(1)});
  const std::size_t unserved = ranges().size() - served();
  EXPECT_GE(unserved, 1U);
  EXPECT_LE(unserved, 2U) << "the others need nothing more";
}

// Node 3 was asked before nodes 1 and 2 told for the group of epoch 2, and tells afterwards. That
// it is equal says nothing of what it holds since then (ADR 11).
TEST_F(ManyArcsOf4, SurveyOfAnEarlierRound_DoesNotCount) {
  gain();
  const SendRequest late = surveys_to(3).at(0);
  answer_all(1, 2);
  const SendRequest second = surveys_to(2).at(0);
  answer(second, all_equal(second, 2));
  const bool is_one_in_both = std::ranges::any_of(survey(second).ranges, [&](const auto& one) {
    return std::ranges::find(survey(late).ranges, one.range, &wire::CompareRange::range) !=
           survey(late).ranges.end();
  });
  ASSERT_TRUE(is_one_in_both);
  answer(late, all_equal(late, 2));
  answer_all(1, 2);  // in its turn: of the own group one; with node 3 it would be two
  EXPECT_EQ(served(), 0U);
  answer_all(2, 2);
  EXPECT_GT(served(), 0U);
}

TEST_F(ManyArcsOf4, SurveyRefusedOrCutShort_NobodyHasToldAnything) {
  const SendRequest cut_short = surveys_to(1).at(0);
  const SendRequest not_entered = surveys_to(3).at(0);
  answer_all(2, 1);  // one more would be enough
  wire::RangesCompared told = all_equal(cut_short, 1);
  told.ranges.pop_back();
  answer(cut_short, told);
  told = all_equal(not_entered, 1);
  for (auto& one : told.ranges) one.state.has_entered = false;
  answer(not_entered, told);
  const SendRequest refused = surveys_to(1).at(0);  // about other arcs
  answer(refused, wire::Refused{});
  EXPECT_EQ(served(), 0U);
  answer_all(1, 1);
  EXPECT_FALSE(core->is_serving_everything());
  pass(std::chrono::milliseconds(500));
  answer_all(1, 1);
  EXPECT_TRUE(core->is_serving_everything()) << "asked again";
}

TEST_F(ManyArcsOf4, SurveyNotAnswered_IsGivenUpAndAskedAgain) {
  const SendRequest first = surveys_to(1).at(0);
  answer_all(2, 1);
  pass(std::chrono::seconds(2));
  answer(first, all_equal(first, 1));
  EXPECT_EQ(served(), 0U) << "it came too late";
  answer_all(1, 1);
  pass(std::chrono::milliseconds(500));
  answer_all(1, 1);
  EXPECT_TRUE(core->is_serving_everything());
}

TEST_F(ManyArcsOf4, OneArcCannotBeReadHere_AllOthersAreServed) {
  unreadable = ranges()[7];
  requests.clear();
  restart({}, verifier(1), {});
  reconcile(std::chrono::seconds(5), [&](const SendRequest& request) { return equal(request); });
  EXPECT_EQ(served(), ranges().size() - 1);
  unreadable.reset();
  reconcile(std::chrono::seconds(1), [&](const SendRequest& request) { return equal(request); });
  EXPECT_TRUE(core->is_serving_everything());
}

// There the whole survey is busy whenever the arc is in it.
TEST_F(ManyArcsOf4, OneArcCannotBeReadThere_AllOthersAreServed) {
  const wire::KeyRange bad = ranges()[7];
  reconcile(std::chrono::seconds(20), [&](const SendRequest& request) {
    return is_about(request, bad) ? wire::Refused{.reason = RefusalReason::kBusy} : equal(request);
  });
  EXPECT_EQ(served(), ranges().size() - 1);
}

TEST_F(ManyArcsOf4, SurveysAreRefusedOrNonsense_EachArcIsComparedByItself) {
  for (const bool is_refused : {true, false}) {
    requests.clear();
    restart({}, verifier(1), {});
    reconcile(std::chrono::seconds(5), [&](const SendRequest& request) {
      if (!is_survey(request)) return equal(request);
      if (is_refused) {
        return std::optional<wire::AnswerBody>(wire::Refused{.reason = RefusalReason::kNotAllowed});
      }
      wire::RangesCompared cut_short = all_equal(request, 1);
      cut_short.ranges.pop_back();
      return std::optional<wire::AnswerBody>(cut_short);
    });
    EXPECT_TRUE(core->is_serving_everything()) << is_refused;
  }
}

TEST_F(ManyArcsOf4, SurveysTakeTooLong_TheNextOnesAreSmaller) {
  std::size_t largest = 0;  // of the last that were answered
  bool is_slow = true;
  const auto tell = [&](const SendRequest& request) -> std::optional<wire::AnswerBody> {
    const std::size_t size = is_survey(request) ? survey(request).ranges.size() : 1;
    if (is_slow && size > 4) return std::nullopt;
    largest = std::max(largest, size);
    return equal(request);
  };
  reconcile(std::chrono::seconds(50), tell);
  EXPECT_TRUE(core->is_serving_everything());
  EXPECT_LE(largest, 4U);
  EXPECT_GT(largest, 1U);
  is_slow = false;
  reconcile(std::chrono::seconds(60), tell);
  EXPECT_GT(largest, 8U) << "as many as before, when it answers again";
}

TEST_F(ManyArcsOf4, SourceNeverAnswers_ItTakesOnePlace) {
  for (int i = 0; i < 30; ++i) {
    requests.clear();
    pass(std::chrono::milliseconds(2500));
    if (i < 10) continue;  // until its surveys are small
    EXPECT_EQ(
        std::ranges::count_if(requests, [&](const SendRequest& one) { return is_node(1, one.to); }),
        1);
  }
}

TEST_F(ManyArcsOf4, ComparisonOfADifferenceTimesOut_ItIsAskedAboutWithOthersAgain) {
  const SendRequest asked = surveys_to(1).at(0);
  wire::RangesCompared told = all_equal(asked, 1);
  told.ranges[2].is_equal = false;
  const wire::KeyRange different = survey(asked).ranges[2].range;
  answer(asked, told);
  const auto is_compared = [&] {
    return std::ranges::any_of(requests, [&](const SendRequest& one) {
      return is_node(1, one.to) && !is_survey(one) && is_about(one, different);
    });
  };
  ASSERT_TRUE(is_compared());
  requests.clear();
  pass(std::chrono::seconds(2));
  pass(std::chrono::milliseconds(500));
  EXPECT_FALSE(is_compared());
}

// What waits for its own source's survey could not begin in that place.
TEST_F(ManyArcsOf4, TurnIsOverWhilePlacesAreFree_ItGoesOn) {
  const SendRequest asked = surveys_to(1).at(0);
  const auto widest = std::ranges::max_element(
      survey(asked).ranges, {}, [](const auto& one) { return leaves_in(one.range); });
  const wire::KeyRange different = widest->range;
  wire::RangesCompared told = all_equal(asked, 1);
  told.ranges[static_cast<std::size_t>(widest - survey(asked).ranges.begin())].is_equal = false;
  answer(asked, told);
  std::map<wire::ObjectId, wire::StoredObject> there;
  for (int i = 0; there.size() < 20; ++i) {
    const Buffer bytes = Buffer::copy_of(as_bytes("block " + std::to_string(i)));
    const auto id = wire::ObjectId::block(crypto::sha256(bytes.view()));
    if (!different.contains(id.placement)) continue;
    there[id] = {.id = id, .holds = {hold(id, bytes.size())}, .content = bytes};
  }
  wire::RangeEntries entries{.state = {.has_entered = true}};
  for (const auto& [id, object] : there) {
    entries.entries.push_back({.id = id, .state = object.entry().state});
  }
  const auto compare = std::ranges::find_if(requests, [&](const SendRequest& one) {
    return is_node(1, one.to) && !is_survey(one) && is_about(one, different);
  });
  ASSERT_NE(compare, requests.end());
  answer(SendRequest(*compare), entries);
  const auto fetches = [&] {
    std::vector<SendRequest> out;
    for (const SendRequest& one : requests) {
      if (std::holds_alternative<wire::FetchObject>(one.request.body)) out.push_back(one);
    }
    return out;
  };
  ASSERT_EQ(fetches().size(), 8U);
  now += std::chrono::seconds(3);
  const SendRequest fetch = fetches().front();
  answer(fetch,
         wire::ObjectFound{.object = there.at(std::get<wire::FetchObject>(fetch.request.body).id)});
  EXPECT_EQ(fetches().size(), 9U);
}

TEST_F(ManyArcsOf4, SurveyOfAnEpochThatIsOver_DoesNotCount) {
  gain();
  const SendRequest first = surveys_to(1).at(0);
  const SendRequest second = surveys_to(2).at(0);
  enter(4);
  answer(first, all_equal(first, 4));
  answer(second, all_equal(second, 4));
  EXPECT_EQ(served(), 0U);
}

TEST_F(ManyArcsOf4, AskedAboutManyRanges_SaysOfEachWhetherItIsEqual) {
  std::size_t first = 0;
  while (question(first).ranges.size() < 4) ++first;
  wire::CompareRanges question = this->question(first);
  const std::size_t with_block = 2;
  for (int i = 0; objects.empty(); ++i) {
    const Buffer bytes = Buffer::copy_of(as_bytes("block " + std::to_string(i)));
    const auto id = wire::ObjectId::block(crypto::sha256(bytes.view()));
    if (!question.ranges[with_block].range.contains(id.placement)) continue;
    objects[id] = {.id = id, .holds = {hold(id, bytes.size())}, .content = bytes};
  }
  for (wire::CompareRange& one : question.ranges) {
    LeafDigests leaves;
    RangeDigest nothing(one.range, leaves, 8);
    nothing.next_scan();
    nothing.add({.is_whole = true});
    one.fingerprint = nothing.finish().fingerprint;
  }
  ask_as_node(1, question);
  const auto* told = answered<wire::RangesCompared>();
  ASSERT_TRUE(told);
  ASSERT_EQ(told->ranges.size(), question.ranges.size());
  for (std::size_t i = 0; i < told->ranges.size(); ++i) {
    EXPECT_EQ(told->ranges[i].is_equal, i != with_block) << i;
    EXPECT_EQ(told->ranges[i].state, (wire::RangeState{true, wire::Epoch(1)}));
  }
}

TEST_F(ManyArcsOf4, AskedAboutManyRanges_ClaimsTheLeastOfBeforeAndAfter) {
  gain();
  is_scan_held_up = true;
  wire::CompareRanges question;
  for (std::size_t i = 0; i < 3; ++i) question.ranges.push_back({.range = ranges()[i]});
  ask_as_node(1, question, 3);
  ASSERT_EQ(waiting.size(), 3U);
  answer_requests({1, 2}, {.has_entered = true, .complete_for = wire::Epoch(3)});
  ASSERT_EQ(core->complete_for(ranges()[0]), wire::Epoch(3));
  go_on();
  ASSERT_TRUE(answered<wire::RangesCompared>());
  for (const auto& one : answered<wire::RangesCompared>()->ranges) {
    EXPECT_LT(one.state.complete_for, wire::Epoch(3));
  }
}

TEST_F(ManyArcsOf4, AskedAboutManyRanges_OnlyArcsOfTheAskerAndOnlySoManyAtOnce) {
  std::size_t first = 0;
  while (question(first).ranges.size() < RangeSurvey::kScansMax) ++first;
  const wire::CompareRanges question = this->question(first);
  ask(question);
  EXPECT_EQ(refusal(), RefusalReason::kNotAllowed) << "clients ask nothing of the kind";
  wire::CompareRanges too_wide = question;
  too_wide.ranges.back().range.last = ranges()[first + question.ranges.size()].last;
  ask_as_node(1, too_wide);
  EXPECT_EQ(refusal(), RefusalReason::kNotAllowed);
  is_scan_held_up = true;
  for (std::size_t i = 0; i < ReplicaLimits{}.survey_answers_per_peer_max; ++i) {
    ask_as_node(1, question);
    EXPECT_TRUE(answers.empty());
  }
  EXPECT_EQ(waiting.size(), ReplicaLimits{}.survey_answers_per_peer_max * RangeSurvey::kScansMax);
  ask_as_node(1, question);
  EXPECT_EQ(refusal(), RefusalReason::kBusy);
  ask_as_node(2, question);
  EXPECT_TRUE(answers.empty()) << "another peer's questions are answered";
  go_on();
  EXPECT_EQ(answers.size(), ReplicaLimits{}.survey_answers_per_peer_max + 1);
}

// Where everything is remembered, each leaf of the ranges is gone through within this one input.
TEST_F(ManyArcsOf4, AskedAboutManyRanges_AQuarterOfTheKeySpaceAtMost) {
  wire::CompareRanges question = this->question();
  ask_as_node(1, question);
  EXPECT_TRUE(answered<wire::RangesCompared>());
  question.ranges.push_back({.range = ranges()[question.ranges.size()]});
  ASSERT_LE(question.ranges.size(), wire::kComparedRangesMax);
  ask_as_node(1, question);
  EXPECT_EQ(refusal(), RefusalReason::kNotAllowed);
}

TEST_F(ReplicaOf4, AskedAboutOneRange_ItMayBeWide) {
  const auto& arcs = core->verifier().configuration().ring().arcs();
  const auto wide = std::ranges::max_element(
      arcs, {}, [](const routing::Arc& arc) { return leaves_in(arc.range); });
  ASSERT_GT(leaves_in(wide->range), kSurveyLeavesMax);
  ask_as_node(1, wire::CompareRanges{{{.range = wide->range}}});
  EXPECT_TRUE(answered<wire::RangesCompared>());
}

TEST_F(ManyArcsOf4, AskedAboutManyRanges_TheEpochEndsMeanwhile) {
  is_scan_held_up = true;
  ask_as_node(1, wire::CompareRanges{{{.range = ranges()[0]}, {.range = ranges()[1]}}});
  ask_as_node(1, wire::CompareRanges{{{.range = ranges()[0]}, {.range = ranges()[1]}}});
  enter(2);
  EXPECT_EQ(answers.size(), 2U);
  EXPECT_EQ(refusal(), RefusalReason::kWrongEpoch);
  // They do not keep the places that one peer has.
  ask_as_node(1, wire::CompareRanges{{{.range = ranges()[0]}, {.range = ranges()[1]}}}, 2);
  EXPECT_TRUE(answers.empty());
  go_on();
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_TRUE(answered<wire::RangesCompared>());
}

TEST_F(ManyArcsOf4, AskedAboutManyRanges_DiskFails_IsBusyOnce) {
  is_scan_held_up = true;
  ask_as_node(1, wire::CompareRanges{{{.range = ranges()[0]}, {.range = ranges()[1]}}});
  for (const Effect& effect : std::exchange(waiting, {})) {
    Effects follow;
    core->on_scanned(now, std::get<Scan>(effect).token, std::unexpected(wire::StorageError::kIo),
                     follow);
    take(std::move(follow));
  }
  EXPECT_EQ(answers.size(), 1U);
  EXPECT_EQ(refusal(), RefusalReason::kBusy);
}

}  // namespace
}  // namespace rosebud::objects
