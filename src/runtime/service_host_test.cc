// A node with a seat that is sent two votes that contradict each other keeps the proof as a file,
// whatever happens between the votes and the file.
#include "runtime/service_host.h"

#include <gtest/gtest.h>

#include "adversary/double_vote.h"
#include "base/files.h"
#include "base/temporary_folder.h"
#include "membership/test_cluster.h"
#include "pbft/messages.h"
#include "service/instance.h"

namespace rosebud::runtime {
namespace {

namespace fs = std::filesystem;

class ServiceHostTest : public testing::Test {
 protected:
  ServiceHostTest() {
    EXPECT_TRUE(ServiceFiles(folder_.path() / "node.key", folder_.path() / "service")
                    .keep_secret(configuration_->number(), cluster_.epoch_keys[0].key));
  }

  /// In seat 0, with what earlier ones left on the disk.
  std::unique_ptr<ServiceHost> start() {
    auto out = std::make_unique<ServiceHost>(
        io_, membership::test_key("node0"), scheme_,
        ServiceFiles(folder_.path() / "node.key", folder_.path() / "service"),
        EvidenceFiles(evidence_),
        ServiceHost::Events{.send = [](const wire::NodeKey&, Buffer) {},
                            .learn = [](Buffer) {},
                            .handed_in = [](service::HandInId, service::Answer) {},
                            .on_disk_failure = [](const Explained& why) { FAIL() << why.text(); }});
    out->begin(configuration_, nullptr, true);
    return out;
  }

  /// Seat 1 prepares two batches under one number.
  void send_contradiction(ServiceHost& host) {
    const pbft::InstanceId instance = service::instance_of(*configuration_);
    const crypto::SecretKey& liar = cluster_.epoch_keys[1].key;
    pbft::Ballot ballot{.vote = {.kind = pbft::VoteKind::kPrepare,
                                 .view = {},
                                 .number = pbft::SequenceNumber(1),
                                 .digest = {},
                                 .replica = pbft::ReplicaId(1),
                                 .counter = pbft::VoteCounter(1),
                                 .signature = {}}};
    ballot.vote.signature = scheme_.sign(liar, pbft::Vote::kTag, ballot.vote.statement(instance));
    const Bytes first = pbft::encode(ballot);
    const auto second = adversary::other_vote(instance, liar, scheme_, first);
    ASSERT_TRUE(second);
    const wire::NodeKey from = service::node_of(*configuration_, pbft::ReplicaId(1));
    for (const Buffer& message : {Buffer::copy_of(first), *second})
      ASSERT_TRUE(host.take(from, service::encode(service::Order{message}), {}));
    while (host.status().group->evidence == 0) io_.run_one();
  }

  const crypto::SignatureScheme& scheme_ = crypto::ed25519();
  const TemporaryFolder folder_;
  const fs::path evidence_ = folder_.path() / "evidence";
  const membership::TestCluster cluster_{scheme_};
  const std::shared_ptr<const membership::Configuration> configuration_ = cluster_.first();
  boost::asio::io_context io_;
};

TEST_F(ServiceHostTest, TwoVotesThatContradict_BecomeAFileThatConvinces) {
  const auto host = start();
  ASSERT_TRUE(host->status().group);
  EXPECT_TRUE(host->evidence().empty());
  send_contradiction(*host);
  ASSERT_EQ(host->evidence().size(), 1U);
  const auto read = read_member_evidence(host->evidence().front().file);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->name, "node2");
  EXPECT_TRUE(service::verify(*read, *configuration_, scheme_));
}

TEST_F(ServiceHostTest, WhatCouldNotBeWritten_IsWrittenAtTheNextStart) {
  ASSERT_TRUE(replace_file(evidence_, "in the way\n"));
  auto host = start();
  send_contradiction(*host);
  EXPECT_TRUE(host->evidence().empty());
  host.reset();
  fs::remove(evidence_);
  host = start();
  ASSERT_EQ(host->evidence().size(), 1U);
  EXPECT_TRUE(service::verify(host->evidence().front().evidence, *configuration_, scheme_));
  EXPECT_TRUE(fs::exists(host->evidence().front().file));
}

}  // namespace
}  // namespace rosebud::runtime
