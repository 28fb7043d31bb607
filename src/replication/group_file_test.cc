// What a group file may say.
#include "replication/group_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/temporary_folder.h"
#include "replication/client_frames.h"
#include "replication/evidence_file.h"
#include "replication/hello.h"

namespace rosebud::replication {
namespace {

using ::testing::HasSubstr;

GroupFile four() {
  GroupFile out;
  crypto::fill_random(out.salt.bytes);
  for (int seat = 0; seat < 4; ++seat) {
    out.seats.push_back(Member{.name = "r" + std::to_string(seat),
                               .key = crypto::SecretKey::generate().public_key(),
                               .address = "127.0.0.1:" + std::to_string(7000 + seat)});
  }
  return out;
}

std::string problem_of(const GroupFile& group) {
  const auto read = GroupFile::parse(group.text(), "group.json");
  return read ? "" : read.error().what;
}

TEST(GroupFile, WhatIsWritten_IsRead) {
  GroupFile group = four();
  group.settings.request_authentication = pbft::RequestAuthentication::kSessionKeys;
  group.seats[2].reset();
  const auto read = GroupFile::parse(group.text(), "group.json");
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->text(), group.text());
  EXPECT_EQ(read->instance(), group.instance());
  EXPECT_EQ(read->group()->members().size(), 3U);
}

TEST(GroupFile, SaltSettingsAndKeys_MakeTheInstance_AddressesDoNot) {
  const GroupFile group = four();
  GroupFile moved = group;
  moved.seats[0]->address = "example.org:1";
  moved.seats[0]->name = "other";
  EXPECT_EQ(moved.instance(), group.instance());
  GroupFile other_salt = group;
  other_salt.salt.bytes[0] ^= 1;
  EXPECT_NE(other_salt.instance(), group.instance());
  GroupFile other_setting = group;
  other_setting.settings.clients_max += 1;
  EXPECT_NE(other_setting.instance(), group.instance());
  GroupFile other_order = group;
  std::swap(other_order.seats[0], other_order.seats[1]);
  EXPECT_NE(other_order.instance(), group.instance());
}

TEST(GroupFile, ImpossibleGroups_AreRefused) {
  GroupFile few = four();
  few.seats.pop_back();
  EXPECT_THAT(problem_of(few), HasSubstr("3F+1"));
  GroupFile twice = four();
  twice.seats[1] = twice.seats[0];
  EXPECT_THAT(problem_of(twice), HasSubstr("two seats"));
  GroupFile vacant = four();
  vacant.seats[0].reset();
  vacant.seats[1].reset();
  EXPECT_THAT(problem_of(vacant), HasSubstr("vacant"));
  GroupFile narrow = four();
  narrow.settings.window = narrow.settings.checkpoint_interval;
  EXPECT_THAT(problem_of(narrow), HasSubstr("setting"));
  GroupFile huge = four();
  huge.settings.window = 1024;
  while (huge.seats.size() < 61) {
    huge.seats.push_back(Member{
        .name = "r", .key = crypto::SecretKey::generate().public_key(), .address = "127.0.0.1:1"});
  }
  EXPECT_THAT(problem_of(huge), HasSubstr("smaller"));
}

TEST(GroupFile, Garbage_IsAnErrorNotACrash) {
  for (const std::string text :
       {"", "{", "[]", "7", "{\"format\":2}", "{\"format\":1,\"salt\":5}", "{\"format\":\"1\"}",
        "{\"format\":1,\"salt\":\"00\",\"seats\":[1,2,3,4]}"}) {
    EXPECT_FALSE(GroupFile::parse(text, "group.json")) << text;
  }
}

TEST(Hello, WhatIsWritten_IsRead_AndNothingElse) {
  Hello hello{.role = Role::kReplica};
  hello.instance.bytes[5] = 7;
  Bytes bytes = hello.encode();
  const auto read = Hello::decode(bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->instance, hello.instance);
  EXPECT_EQ(read->role, Role::kReplica);
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(Hello::decode(ByteView(bytes).first(size)));
  bytes.back() = 3;
  EXPECT_FALSE(Hello::decode(bytes));
  EXPECT_TRUE(judge_verdict(encode(HelloVerdict::kWelcome)));
  EXPECT_FALSE(judge_verdict(encode(HelloVerdict::kOtherGroup)).error().empty());
  EXPECT_TRUE(judge_verdict({}).error().empty());
}

TEST(Announcement, OfOneConnection_AndOnlyOfThoseWhoSigned) {
  const pbft::InstanceId instance;
  const auto connection = crypto::SecretKey::generate().public_key();
  const auto client = crypto::SecretKey::generate();
  Announcement announcement;
  announcement.add(client, instance, connection, crypto::ed25519());
  const auto read = Announcement::decode(announcement.encode());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->verified(instance, connection, crypto::ed25519()),
            std::vector{client.public_key()});
  // What was signed for one connection is worth nothing on another.
  EXPECT_FALSE(read->verified(instance, client.public_key(), crypto::ed25519()));
  announcement.entries.push_back(
      {.client = crypto::SecretKey::generate().public_key(), .signature = {}});
  EXPECT_FALSE(announcement.verified(instance, connection, crypto::ed25519()));
  Bytes cut = announcement.encode();
  cut.pop_back();
  EXPECT_FALSE(Announcement::decode(cut));
}

struct EvidenceFile : ::testing::Test {
  std::vector<crypto::SecretKey> keys;
  GroupFile group;
  EvidenceFile() {
    for (int seat = 0; seat < 4; ++seat) {
      keys.push_back(crypto::SecretKey::generate());
      group.seats.push_back(
          Member{.name = "r", .key = keys.back().public_key(), .address = "127.0.0.1:1"});
    }
  }
  pbft::Vote vote(std::uint8_t digest, std::uint64_t counter) {
    pbft::Vote out{.kind = pbft::VoteKind::kPrepare,
                   .view = pbft::View(1),
                   .number = pbft::SequenceNumber(5),
                   .digest = {},
                   .replica = pbft::ReplicaId(2),
                   .counter = pbft::VoteCounter(counter)};
    out.digest.bytes[0] = digest;
    out.signature =
        crypto::ed25519().sign(keys[2], pbft::Vote::kTag, out.statement(group.instance()));
    return out;
  }
};

TEST_F(EvidenceFile, TwoVotesThatContradict_Convince) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "evidence.txt";
  ASSERT_TRUE(write_evidence(path, {vote(1, 7), vote(2, 8)}));
  const auto read = read_evidence(path);
  ASSERT_TRUE(read);
  EXPECT_TRUE(verify_evidence(*read, group));
}

TEST_F(EvidenceFile, WhatProvesNothing_IsRefused) {
  EXPECT_FALSE(verify_evidence({vote(1, 7), vote(1, 8)}, group));  // the same twice
  pbft::Vote forged = vote(2, 8);
  forged.signature.bytes[3] ^= 1;
  EXPECT_FALSE(verify_evidence({vote(1, 7), forged}, group));
  GroupFile other = group;
  other.salt.bytes[0] = 1;
  EXPECT_FALSE(verify_evidence({vote(1, 7), vote(2, 8)}, other));
  pbft::Vote stranger = vote(1, 7);
  stranger.replica = pbft::ReplicaId(9);
  EXPECT_FALSE(verify_evidence({stranger, stranger}, group));
}

}  // namespace
}  // namespace rosebud::replication
