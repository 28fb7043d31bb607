// Audits at a replica (replica_audits.cc, decision 14): what it answers to those who ask it for a
// proof, and what becomes of its own questions when its own bytes are bad.
#include <gtest/gtest.h>

#include <algorithm>

#include "objects/test_replica.h"

namespace rosebud::objects {
namespace {

using wire::RefusalReason;

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

/// Node 0 of six; groups have four of them. Node 4 has the only seat of the service.
class Audited : public testing::Test, protected DrivenReplica {
 protected:
  static constexpr std::uint32_t kNodes = 6;
  static constexpr std::size_t kSeated = 4;

  Audited() {
    grow(kNodes);
    restart();
  }
  void restart() {
    requests.clear();
    objects.clear();
    unreadable.reset();
    core.emplace(ReplicaIdentity{.key = nodes[0]}, verifier_of(1), crypto::model_scheme(),
                 RecoveredNotes{}, Random(1), ReplicaLimits{.scrub_interval = hours(24)});
    start();
  }

  std::shared_ptr<const membership::Configuration> configuration_of(std::uint64_t epoch) const {
    membership::ConfigurationParts parts = parts_of(epoch, kNodes, 4);
    parts.settings.service_faults = 0;
    parts.service = {{.node = kSeated, .epoch_key = test_key("seat").public_key()}};
    return *membership::Configuration::make(std::move(parts));
  }
  Verifier verifier_of(std::uint64_t epoch) const {
    return {configuration_of(epoch), crypto::model_scheme()};
  }
  bool is_in_group(std::size_t node, const wire::ObjectId& id) const {
    return configuration_of(1)->is_in_group(nodes[node].public_key(), id.placement);
  }
  /// In whose group node 1 is, and node 0 without the one of the service, or not node 0.
  wire::StoredObject some_block(bool is_own = true) const {
    for (int i = 0; i < 10'000; ++i) {
      const Buffer bytes = Buffer::copy_of(as_bytes("block " + std::to_string(i)));
      const auto id = wire::ObjectId::block(crypto::sha256(bytes.view()));
      const bool is_seats = is_in_group(kSeated, id);
      if (is_in_group(0, id) != is_own || !is_in_group(1, id) || (is_own && is_seats)) continue;
      return {.id = id, .holds = {hold(id, bytes.size())}, .content = bytes};
    }
    ADD_FAILURE() << "no such group";
    return {};
  }
  wire::StoredObject store_some_block() {
    const wire::StoredObject out = some_block();
    objects[out.id] = out;
    return out;
  }
  /// Neither in the group nor in the service.
  std::size_t stranger_to(const wire::ObjectId& id) const {
    for (std::size_t i = 0; i < kNodes; ++i) {
      if (i != kSeated && !is_in_group(i, id)) return i;
    }
    ADD_FAILURE() << "all of them are in the group";
    return 0;
  }

  void complete(const Effect& effect) override {
    Effects follow;
    if (const auto* load = std::get_if<Load>(&effect)) {
      const auto at = objects.find(load->id);
      wire::Loaded loaded;
      if (at != objects.end()) loaded = at->second;
      const bool is_marked = loaded && *loaded && (*loaded)->is_damaged;
      if (unreadable && at != objects.end() && !is_marked) loaded = fail(*unreadable);
      core->on_loaded(now, load->token, std::move(loaded), follow);
    } else if (const auto* scan = std::get_if<Scan>(&effect)) {
      wire::Scanned found{.is_whole = true};
      for (const auto& [id, object] : objects) {
        if (scan->range.contains(id.placement)) found.entries.push_back(object.entry());
      }
      core->on_scanned(now, scan->token, std::move(found), follow);
    } else if (const auto* persist = std::get_if<Persist>(&effect)) {
      Status<wire::StorageError> status;
      for (const auto& write : persist->writes) {
        const auto* put = std::get_if<wire::PutObject>(&write);
        if (put && is_full) status = fail(wire::StorageError::kNoSpace);
        if (put && !is_full) objects[put->object.id] = put->object;
      }
      core->on_persisted(now, persist->token, status, follow);
    }
    take(std::move(follow));
  }
  void enter(std::uint64_t epoch) { DrivenReplica::enter(verifier_of(epoch)); }

  /// What it asks of others, of that kind.
  template <typename Body>
  std::vector<SendRequest> take_requests() {
    std::vector<SendRequest> out;
    std::erase_if(requests, [&](const SendRequest& one) {
      if (!std::holds_alternative<Body>(one.request.body)) return false;
      out.push_back(one);
      return true;
    });
    return out;
  }

  void send(const Sender& sender, wire::RequestBody body, std::uint64_t epoch = 1) {
    answers.clear();
    const wire::MessageContext context{{wire::Generation(0), wire::Epoch(epoch)}, wire::Nonce(7)};
    Effects effects;
    auto verified = core->verifier().request({context, std::move(body)});
    if (verified) {
      core->on_request(now, sender, std::move(*verified), effects);
    } else {
      core->on_rejected(now, sender, context, verified.error(), effects);
    }
    take(std::move(effects));
  }
  void audit(const crypto::PublicKey& asker, const wire::ObjectId& id, std::uint64_t epoch = 1) {
    send({.connection = ConnectionId(2), .key = asker, .role = wire::Role::kNode},
         wire::AuditBlock{.id = id, .challenge = challenge}, epoch);
  }
  void audit(std::size_t asker, const wire::ObjectId& id, std::uint64_t epoch = 1) {
    audit(nodes[asker].public_key(), id, epoch);
  }
  bool has_proven(std::size_t asker, const wire::StoredObject& object) const {
    const auto* proof = answered<wire::BlockProof>();
    return proof && proof->proof == wire::audit_proof({.cluster = configuration_of(1)->cluster(),
                                                       .asker = nodes[asker].public_key(),
                                                       .prover = nodes[0].public_key(),
                                                       .challenge = challenge},
                                                      object.content.view());
  }

  /// It suspects the first member that it asks, which says that it is busy.
  void suspect_somebody() {
    std::vector<SendRequest> questions;
    for (int i = 0; questions.empty() && i < 100'000; ++i) {
      pass(seconds(1));
      complete_all(1);
      questions = take_requests<wire::AuditBlock>();
    }
    ASSERT_FALSE(questions.empty());
    answer(questions.front(), wire::Refused{.reason = RefusalReason::kBusy});
  }

  std::optional<wire::StorageError> unreadable;  // what loads of objects end with
  bool is_full = false;
  const crypto::Digest challenge = crypto::sha256(as_bytes("challenge"));
};

// ---- What it answers ----

TEST_F(Audited, ProvesABlockThatItHoldsToItsGroupAndToTheService) {
  const wire::StoredObject object = store_some_block();
  audit(1, object.id);
  EXPECT_TRUE(has_proven(1, object));
  audit(kSeated, object.id);
  EXPECT_TRUE(has_proven(kSeated, object));
  EXPECT_FALSE(has_proven(1, object)) << "the proof is for who asked";
}

TEST_F(Audited, TellsStrangersNothing) {
  const wire::StoredObject object = store_some_block();
  audit(stranger_to(object.id), object.id);
  EXPECT_EQ(refusal(), RefusalReason::kNotAllowed);
  audit(test_key("no node").public_key(), object.id);
  EXPECT_EQ(refusal(), RefusalReason::kNotAllowed);
  send({.connection = ConnectionId(1), .key = client.public_key()},
       wire::AuditBlock{.id = object.id, .challenge = challenge});
  EXPECT_EQ(refusal(), RefusalReason::kNotAllowed);
  // A block that is not its own to keep.
  audit(1, some_block(false).id);
  EXPECT_EQ(refusal(), RefusalReason::kNotInGroup);
}

TEST_F(Audited, SaysThatItHasNoneAndWhatItIsCompleteForAndFetchesIt) {
  const wire::StoredObject object = some_block();
  audit(1, object.id);
  ASSERT_TRUE(answered<wire::ObjectAbsent>());
  EXPECT_EQ(answered<wire::ObjectAbsent>()->complete_for, wire::Epoch(0));
  restart();
  complete_all(1);
  take_requests<wire::FetchObject>();
  audit(1, object.id);
  ASSERT_TRUE(answered<wire::ObjectAbsent>());
  EXPECT_EQ(answered<wire::ObjectAbsent>()->complete_for, wire::Epoch(1));
  const auto fetches = take_requests<wire::FetchObject>();
  ASSERT_TRUE(std::ranges::count(fetches, nodes[1].public_key(), &SendRequest::to) == 1);
  for (const SendRequest& fetch : fetches) {
    answer(fetch, wire::ObjectFound{.object = object, .complete_for = wire::Epoch(1)});
  }
  audit(1, object.id);
  EXPECT_TRUE(has_proven(1, object));
}

/// Neither a proof of bad bytes nor "I have none", which it has.
TEST_F(Audited, ADamagedBlockIsProvenWhenItIsWholeAgain) {
  complete_all(1);
  const wire::StoredObject object = store_some_block();
  unreadable = wire::StorageError::kCorrupt;
  audit(1, object.id);
  EXPECT_EQ(refusal(), RefusalReason::kBusy);
  EXPECT_TRUE(objects.at(object.id).is_damaged);
  unreadable.reset();
  audit(1, object.id);
  EXPECT_EQ(refusal(), RefusalReason::kBusy) << "marked";
  const auto fetches = take_requests<wire::FetchObject>();
  ASSERT_FALSE(fetches.empty());
  for (const SendRequest& fetch : fetches) {
    answer(fetch, wire::ObjectFound{.object = object, .complete_for = wire::Epoch(1)});
  }
  audit(1, object.id);
  EXPECT_TRUE(has_proven(1, object));
}

TEST_F(Audited, AnswersInItsOwnEpochOnly) {
  const wire::StoredObject object = store_some_block();
  audit(1, object.id, 2);
  EXPECT_EQ(refusal(), RefusalReason::kBusy) << "it will be there soon";
  enter(2);
  audit(1, object.id, 1);
  ASSERT_EQ(refusal(), RefusalReason::kWrongEpoch);
  EXPECT_EQ(answered<wire::Refused>()->descriptions.size(), 1U);
  audit(1, object.id, 2);
  EXPECT_TRUE(has_proven(1, object));
}

TEST_F(Audited, ReadsFourBlocksOfOneAskerAtATime) {
  const wire::StoredObject object = store_some_block();
  is_load_held_up = true;
  for (int i = 0; i < 4; ++i) {
    audit(1, object.id);
    EXPECT_TRUE(answers.empty());
  }
  audit(1, object.id);
  EXPECT_EQ(refusal(), RefusalReason::kBusy);
  audit(kSeated, object.id);
  EXPECT_TRUE(answers.empty()) << "others' places are theirs";
  go_on();
  EXPECT_EQ(answers.size(), 5U);
  audit(1, object.id);
  EXPECT_TRUE(has_proven(1, object));
}

/// It cannot take what it is asked for: that is no offence.
TEST_F(Audited, SaysForTenMinutesThatItHadNoRoom) {
  complete_all(1);
  const wire::StoredObject object = some_block();
  is_full = true;
  send({.connection = ConnectionId(1), .key = client.public_key()},
       wire::PutBlock{object.id, object.holds.front(), object.content});
  EXPECT_EQ(refusal(), RefusalReason::kNoSpace);
  audit(1, object.id);
  EXPECT_EQ(refusal(), RefusalReason::kNoSpace);
  now += minutes(10) - seconds(1);
  audit(1, object.id);
  EXPECT_EQ(refusal(), RefusalReason::kNoSpace);
  now += seconds(1);
  audit(1, object.id);
  EXPECT_TRUE(answered<wire::ObjectAbsent>());
}

// ---- What it asks ----

/// What cannot be read here is asked of nobody, however that shows. Suppose nobody told the
/// auditor: it would suspect for ever, and ask others only each time its own wait is over.
TEST_F(Audited, ItAsksNobodyForWhatItCannotReadItself) {
  for (const auto how : {wire::StorageError::kCorrupt, wire::StorageError::kIo}) {
    restart();
    complete_all(1);
    store_some_block();
    suspect_somebody();
    ASSERT_EQ(core->statistics().audits.suspects, 1U);
    unreadable = how;
    for (int i = 0; i < 120; ++i) pass(seconds(1));
    EXPECT_EQ(core->statistics().audits.suspects, 0U);
    EXPECT_TRUE(take_requests<wire::AuditBlock>().empty());
  }
}

TEST_F(Audited, ItAsksNobodyForWhatIsMarkedAsDamagedHere) {
  complete_all(1);
  const wire::StoredObject object = store_some_block();
  suspect_somebody();
  ASSERT_EQ(core->statistics().audits.suspects, 1U);
  objects[object.id] = {.id = object.id, .is_damaged = true};
  for (int i = 0; i < 120; ++i) pass(seconds(1));
  EXPECT_EQ(core->statistics().audits.suspects, 0U);
  EXPECT_TRUE(take_requests<wire::AuditBlock>().empty());
}

}  // namespace
}  // namespace rosebud::objects
