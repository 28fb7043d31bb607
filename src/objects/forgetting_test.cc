// Design 10.5: a former holder deletes when 2f+1 members of a later group have signed that they
// have everything, and never says that what it deleted was not there.
#include "objects/forgetting.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "objects/test_replica.h"

namespace rosebud::objects {
namespace {

/// Nodes 0 to 3 are the members of epochs 1 and 3. In epochs 2 and 4 there is one more, and some
/// blocks of node 0 are another group's.
class FormerHolder : public testing::Test, protected DrivenReplica {
 protected:
  FormerHolder() {
    grow(5);
    restart(1, {});
    complete_all(1);
    for (int i = 0; blocks.size() < 3; ++i) {
      const Buffer bytes = Buffer::copy_of(as_bytes("block " + std::to_string(i)));
      const auto id = wire::ObjectId::block(crypto::sha256(bytes.view()));
      if (std::ranges::count(configuration_of(2)->group(id.placement), 0U) > 0) continue;
      if (!blocks.empty() && !is_in_one_group(blocks.front(), id)) continue;
      blocks.push_back(id);
      send(client.public_key(), wire::Role::kClient,
           wire::PutBlock{id, hold(id, bytes.size()), bytes});
      EXPECT_TRUE(std::holds_alternative<wire::Stored>(answers.back().body));
    }
  }

  bool is_in_one_group(const wire::ObjectId& one, const wire::ObjectId& other) const {
    return configuration_of(2)->ring().arc(one.placement) ==
           configuration_of(2)->ring().arc(other.placement);
  }
  std::shared_ptr<const membership::Configuration> configuration_of(std::uint64_t epoch) const {
    auto& made = configurations[epoch];
    if (made) return made;
    return made = *membership::Configuration::make(parts_of(epoch, epoch % 2 == 0 ? 5 : 4, 4));
  }
  Verifier verifier_of(std::uint64_t epoch) const {
    return {configuration_of(epoch), crypto::model_scheme()};
  }

  void restart(std::uint64_t epoch, History history) {
    RecoveredNotes recovered;
    for (const auto& [name, value] : notes) recovered.notes.emplace_back(name, value);
    core.emplace(ReplicaIdentity{.key = nodes[0]}, verifier_of(epoch), crypto::model_scheme(),
                 std::move(recovered), Random(1), ReplicaLimits{}, std::move(history));
    start();
  }
  void enter(std::uint64_t epoch) { DrivenReplica::enter(verifier_of(epoch)); }
  void send(const crypto::PublicKey& from, wire::Role role, wire::RequestBody body) {
    Effects effects;
    auto verified = core->verifier().request(
        {{core->verifier().configuration().number(), wire::Nonce(7)}, std::move(body)});
    ASSERT_TRUE(verified);
    core->on_request(now, {.connection = ConnectionId(1), .key = from, .role = role},
                     std::move(*verified), effects);
    take(std::move(effects));
  }

  void complete(const Effect& effect) override {
    Effects follow;
    if (const auto* load = std::get_if<Load>(&effect)) {
      const auto at = objects.find(load->id);
      wire::Loaded loaded;
      if (at != objects.end()) loaded = at->second;
      if (unreadable == load->id) loaded = fail(wire::StorageError::kIo);
      core->on_loaded(now, load->token, std::move(loaded), follow);
    } else if (const auto* scan = std::get_if<Scan>(&effect)) {
      ++scans;
      wire::Scanned found{.is_whole = true};
      for (const auto& [id, object] : objects) {
        if (scan->range.contains(id.placement) && (!scan->after || id > *scan->after)) {
          found.entries.push_back(object.entry());
        }
      }
      core->on_scanned(now, scan->token, std::move(found), follow);
    } else if (const auto* persist = std::get_if<Persist>(&effect)) {
      for (const auto& write : persist->writes) {
        if (const auto* erase = std::get_if<wire::DeleteObject>(&write)) objects.erase(erase->id);
        if (const auto* put = std::get_if<wire::PutObject>(&write)) {
          objects[put->object.id] = put->object;
        } else if (const auto* note = std::get_if<wire::PutNote>(&write)) {
          notes[note->name] = note->value;
        }
      }
      core->on_persisted(now, persist->token, {}, follow);
    }
    take(std::move(follow));
  }

  /// Who is asked whether it is complete.
  std::vector<SendRequest> asked() {
    std::vector<SendRequest> out;
    std::erase_if(requests, [&](const SendRequest& one) {
      if (!std::holds_alternative<wire::GetCompleteness>(one.request.body)) return false;
      out.push_back(one);
      return true;
    });
    return out;
  }
  wire::CompletenessStatement statement(const SendRequest& request) const {
    const auto& range = std::get<wire::GetCompleteness>(request.request.body).range;
    const auto& configuration = core->verifier().configuration();
    const auto node = configuration.node_index(request.to);
    return {.cluster = configuration.cluster(),
            .configuration = configuration.number(),
            .node = request.to,
            .directory = configuration.nodes()[*node].directory,
            .first = range.first,
            .last = range.last};
  }
  wire::Completeness signed_by(const wire::NodeKey& key,
                               const wire::CompletenessStatement& what) const {
    const auto signer = std::ranges::find(nodes, key, &crypto::SecretKey::public_key);
    return {wire::sign(crypto::model_scheme(), *signer, what)};
  }
  void state(const SendRequest& request) {
    answer(request, signed_by(request.to, statement(request)));
  }
  bool has(std::size_t count) const { return objects.size() == count; }
  /// In epoch 2, at the time of the first look, and complete for what is its own.
  std::vector<SendRequest> enter_second() {
    enter(2);
    complete_all(2);
    pass(std::chrono::seconds(3));
    complete_all(2);
    return asked();
  }
  std::uint64_t counted() const {
    Bytes name = to_bytes(as_bytes("objects/quota/"));
    const auto key = client.public_key();
    name.insert(name.end(), key.bytes.begin(), key.bytes.end());
    return wire::Reader(notes.at(name)).u64();
  }
  wire::Epoch gone_before(const wire::ObjectId& id) {
    send(nodes[1].public_key(), wire::Role::kNode, wire::FetchObject{id});
    return std::get<wire::ObjectAbsent>(answers.back().body).gone_before;
  }

  mutable std::map<std::uint64_t, std::shared_ptr<const membership::Configuration>> configurations;
  std::vector<wire::ObjectId> blocks;
  std::map<Bytes, Bytes> notes;
  std::optional<wire::ObjectId> unreadable;
  std::size_t scans = 0;
};

TEST_F(FormerHolder, DeletesWhenAQuorumOfTheLaterGroupIsComplete) {
  const auto questions = enter_second();
  ASSERT_EQ(questions.size(), 4U);
  EXPECT_GT(counted(), 0U);
  state(questions[0]);
  state(questions[1]);
  EXPECT_TRUE(has(3));
  state(questions[3]);
  EXPECT_TRUE(has(0));
  EXPECT_EQ(counted(), 0U) << "what is not here takes no quota";
  EXPECT_EQ(gone_before(blocks[0]), wire::Epoch(2));
  EXPECT_EQ(core->statistics().forgotten, 3U);
}

// It answers this and no audit: it is there, and owes the proof (auditor.h).
TEST_F(FormerHolder, WhoSpeaksOfCompleteness_IsHeardByTheAuditor) {
  std::vector<SendRequest> questions = enter_second();
  for (int i = 0; objects.size() == blocks.size(); ++i) {
    const Buffer bytes = Buffer::copy_of(as_bytes("own block " + std::to_string(i)));
    const auto id = wire::ObjectId::block(crypto::sha256(bytes.view()));
    if (!configuration_of(2)->is_in_group(nodes[0].public_key(), id.placement)) continue;
    send(client.public_key(), wire::Role::kClient,
         wire::PutBlock{id, hold(id, bytes.size()), bytes});
  }
  const auto find_audit = [&] {
    return std::ranges::find_if(requests, [](const SendRequest& one) {
      return std::holds_alternative<wire::AuditBlock>(one.request.body);
    });
  };
  while (find_audit() == requests.end()) {
    ASSERT_LT(now, Instant(std::chrono::hours(1)));
    pass(std::chrono::seconds(1));
    complete_all(2);
    if (auto others = asked(); !others.empty()) questions = std::move(others);
  }
  const auto question = std::ranges::find(questions, find_audit()->to, &SendRequest::to);
  ASSERT_NE(question, questions.end());
  answer(*question, wire::Refused{.reason = wire::RefusalReason::kBusy});
  pass(std::chrono::seconds(10));
  EXPECT_EQ(core->statistics().audits.failed, 1U);
}

// Each key is asked about before the deletes and answered after them: that it is not here says
// nothing.
TEST_F(FormerHolder, GivesUpWhileItIsAskedAboutManyRanges_TheAnswerSaysSo) {
  const auto questions = enter_second();
  const wire::KeyRange range = std::get<wire::GetCompleteness>(questions[0].request.body).range;
  ASSERT_EQ(core->claim(range).gone_before, wire::Epoch(0));
  const auto asker = std::ranges::find(nodes, questions[0].to, &crypto::SecretKey::public_key);
  is_scan_held_up = true;
  send(asker->public_key(), wire::Role::kNode, wire::CompareRanges{{{.range = range}}});
  const std::vector<Effect> held_up = std::exchange(waiting, {});
  ASSERT_EQ(held_up.size(), 1U);
  is_scan_held_up = false;
  for (std::size_t i = 0; i < 3; ++i) state(questions[i]);
  ASSERT_EQ(core->claim(range).gone_before, wire::Epoch(2));
  for (const Effect& effect : held_up) complete(effect);
  const auto* told = std::get_if<wire::RangesCompared>(&answers.back().body);
  ASSERT_TRUE(told);
  EXPECT_EQ(told->ranges.front().state.gone_before, wire::Epoch(2));
  EXPECT_EQ(told->ranges.front().state.complete_for, wire::Epoch(0));
}

TEST_F(FormerHolder, ThatItIsGone_IsDurableBeforeTheFirstObjectIsDeleted) {
  const auto questions = enter_second();
  is_persist_held_up = true;
  for (std::size_t i = 0; i < 3; ++i) state(questions[i]);
  ASSERT_EQ(waiting.size(), 1U);
  const auto& writes = std::get<Persist>(waiting.front()).writes;
  ASSERT_EQ(writes.size(), 1U);
  EXPECT_EQ(as_text(std::get<wire::PutNote>(writes.front()).name), "objects/tenure");
  go_on();
  EXPECT_TRUE(has(0));
  restart(2, {configuration_of(1)});
  EXPECT_EQ(gone_before(blocks[0]), wire::Epoch(2));
}

TEST_F(FormerHolder, StatementsThatSaySomethingElse_DoNotCount) {
  const auto questions = enter_second();
  state(questions[0]);
  state(questions[0]);  // once more: nobody asked
  auto other = statement(questions[1]);
  other.configuration.epoch = wire::Epoch(1);
  answer(questions[1], signed_by(questions[1].to, other));
  EXPECT_TRUE(has(3));
  state(questions[2]);
  other = statement(questions[3]);
  other.directory.bytes[0] ^= 1;
  answer(questions[3], signed_by(questions[3].to, other));
  EXPECT_TRUE(has(3));

  pass(std::chrono::seconds(5));
  const auto again = asked();
  ASSERT_EQ(again.size(), 4U) << "later";
  state(again[0]);
  other = statement(again[1]);
  other.first = other.last;
  answer(again[1], signed_by(again[1].to, other));
  state(again[2]);
  EXPECT_TRUE(has(3));
  answer(again[3], signed_by(again[2].to, statement(again[3])));  // another one's signature
  EXPECT_TRUE(has(3));
}

TEST_F(FormerHolder, NobodyComplete_NothingIsDeletedAndAllAreAskedAgain) {
  auto questions = enter_second();
  for (const auto& question : questions) {
    answer(question, wire::Refused{.reason = wire::RefusalReason::kBusy});
  }
  EXPECT_TRUE(has(3));
  pass(std::chrono::seconds(5));
  questions = asked();
  ASSERT_EQ(questions.size(), 4U);
  pass(std::chrono::seconds(2));  // nobody answers
  pass(std::chrono::seconds(5));
  EXPECT_TRUE(asked().empty()) << "twice as long";
  pass(std::chrono::seconds(5));
  questions = asked();
  ASSERT_EQ(questions.size(), 4U);
  for (std::size_t i = 1; i < 4; ++i) state(questions[i]);
  EXPECT_TRUE(has(0));
}

TEST_F(FormerHolder, StatementsOfAnEpochThatIsOver_CountForNothing) {
  const auto questions = enter_second();
  state(questions[0]);
  state(questions[1]);
  enter(3);
  state(questions[2]);
  EXPECT_TRUE(has(3));
}

// The delete is under way when the next epoch gives it the keys back. An index that is read before
// the delete is durable shows what will not be there.
TEST_F(FormerHolder, BackWhileItDeletes_ReadsItsIndexWhenTheDeletesAreDone) {
  const auto questions = enter_second();
  for (std::size_t i = 0; i < 2; ++i) state(questions[i]);
  is_persist_held_up = true;
  state(questions[2]);
  const std::vector<Effect> note = std::exchange(waiting, {});
  for (const Effect& effect : note) complete(effect);
  ASSERT_EQ(waiting.size(), 3U) << "three deletes";
  const std::vector<Effect> deletes = std::exchange(waiting, {});
  is_persist_held_up = false;
  scans = 0;
  enter(3);
  EXPECT_EQ(scans, 0U);
  for (const Effect& effect : deletes) complete(effect);
  EXPECT_GT(scans, 0U);
  EXPECT_EQ(core->claim({blocks[0].placement, blocks[0].placement}).complete_for, wire::Epoch(0));
}

TEST_F(FormerHolder, BackBeforeItsTurn_TheObjectStays) {
  const auto questions = enter_second();
  for (std::size_t i = 0; i < 2; ++i) state(questions[i]);
  is_persist_held_up = true;
  state(questions[2]);
  is_persist_held_up = false;
  // That it is gone is not durable yet; the next epoch comes, and the keys are its own again.
  const std::vector<Effect> note = std::exchange(waiting, {});
  enter(3);
  for (const Effect& effect : note) complete(effect);
  EXPECT_TRUE(has(3));
}

TEST_F(FormerHolder, BackWhileItReadsWhatItWouldDelete_TheObjectStays) {
  const auto questions = enter_second();
  for (std::size_t i = 0; i < 2; ++i) state(questions[i]);
  is_load_held_up = true;
  state(questions[2]);
  ASSERT_EQ(waiting.size(), 3U);
  const std::vector<Effect> loads = std::exchange(waiting, {});
  is_load_held_up = false;
  enter(3);
  for (const Effect& effect : loads) complete(effect);
  EXPECT_TRUE(has(3));
}

// A read of the disk that takes two epochs. In the one between, it was a complete member again.
TEST_F(FormerHolder, DecidedBeforeATenureBetween_TheObjectStays) {
  const auto questions = enter_second();
  for (std::size_t i = 0; i < 2; ++i) state(questions[i]);
  is_load_held_up = true;
  state(questions[2]);
  const std::vector<Effect> loads = std::exchange(waiting, {});
  ASSERT_EQ(loads.size(), 3U);
  is_load_held_up = false;
  enter(3);
  complete_all(3);
  ASSERT_EQ(core->claim({blocks[0].placement, blocks[0].placement}).complete_for, wire::Epoch(3));
  enter(4);
  for (const Effect& effect : loads) complete(effect);
  EXPECT_TRUE(has(3));
}

TEST_F(FormerHolder, OneThatCannotBeRead_DoesNotHoldUpTheOthers) {
  const auto questions = enter_second();
  for (std::size_t i = 0; i < 2; ++i) state(questions[i]);
  unreadable = objects.begin()->first;
  state(questions[2]);
  EXPECT_TRUE(has(1));
  unreadable.reset();
  pass(std::chrono::milliseconds(20));
  pass(std::chrono::seconds(5));
  for (const auto& question : asked()) state(question);
  EXPECT_TRUE(has(0));
}

// A comparison is answered page by page. What is deleted between the first and the last was there.
TEST_F(FormerHolder, DeletedWhileItAnswersAComparison_TheAnswerSaysSo) {
  const auto questions = enter_second();
  for (std::size_t i = 0; i < 2; ++i) state(questions[i]);
  const auto arc = configuration_of(2)->ring().arc(blocks[0].placement);
  is_scan_held_up = true;
  send(nodes[1].public_key(), wire::Role::kNode, wire::CompareRange{arc->range, {}});
  ASSERT_EQ(waiting.size(), 1U);
  const std::vector<Effect> scan = std::exchange(waiting, {});
  is_scan_held_up = false;
  state(questions[2]);
  ASSERT_TRUE(has(0));
  for (const Effect& effect : scan) complete(effect);
  EXPECT_EQ(std::get<wire::RangeEntries>(answers.back().body).state,
            (wire::RangeState{.has_entered = true, .gone_before = wire::Epoch(2)}));
}

TEST_F(FormerHolder, NoteOfTheTimeWhenNothingWasDeleted_IsRead) {
  const auto questions = enter_second();
  Bytes& note = notes.at(to_bytes(as_bytes("objects/tenure")));
  wire::Reader in(note);
  in.u32();
  in.u64();
  in.bytes32(1U << 20);
  in.bytes32(1U << 20);
  note.resize(note.size() - in.left());
  const wire::KeyRange own = configuration_of(2)->ring().arcs().front().range;
  const wire::Epoch before = core->complete_for(own);
  restart(2, {configuration_of(1)});
  EXPECT_EQ(core->complete_for(own), before);
}

TEST_F(FormerHolder, StatesCompletenessOnlyOfWhatIsWhole) {
  const auto whole = core->verifier().configuration().ring().arcs().front().range;
  send(nodes[1].public_key(), wire::Role::kNode, wire::GetCompleteness{wire::whole_key_range()});
  EXPECT_TRUE(std::holds_alternative<wire::Refused>(answers.back().body)) << "more than one arc";
  send(nodes[1].public_key(), wire::Role::kNode, wire::GetCompleteness{whole});
  EXPECT_TRUE(std::holds_alternative<wire::Completeness>(answers.back().body));
  const auto id = objects.begin()->first;
  const auto arc = core->verifier().configuration().ring().arc(id.placement);
  objects[id].is_damaged = true;  // marked in an earlier run
  send(nodes[1].public_key(), wire::Role::kNode, wire::GetCompleteness{arc->range});
  EXPECT_TRUE(std::holds_alternative<wire::Refused>(answers.back().body));
}

}  // namespace
}  // namespace rosebud::objects
