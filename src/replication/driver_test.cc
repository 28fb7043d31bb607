// Drivers without connections of their own: what they leave behind in the loop when they end.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <latch>
#include <thread>

#include "base/temporary_folder.h"
#include "replication/replica_driver.h"

namespace rosebud::replication {
namespace {

namespace asio = boost::asio;

class Nothing final : public pbft::StateMachine {
 public:
  Outcome execute(pbft::AgreedTime, const pbft::ClientId&, ByteView) override { return {}; }
  std::vector<Buffer> snapshot() const override { return {}; }
  bool restore(const std::vector<Buffer>&) override { return true; }
};

/// A whole group on one loop; what one sends the others take in a later turn.
struct Drivers : ::testing::Test {
  static constexpr std::uint16_t kReplicas = 4;

  struct One {
    crypto::SecretKey key = crypto::SecretKey::generate();
    Nothing machine;
    std::unique_ptr<disk::RecordStore> store;
    std::unique_ptr<ReplicaDriver> driver;
  };
  TemporaryFolder folder;
  asio::io_context io;
  asio::executor_work_guard<asio::io_context::executor_type> work = asio::make_work_guard(io);
  std::shared_ptr<const pbft::Group> group;
  std::vector<One> all{kReplicas};

  void SetUp() override {
    std::vector<std::optional<crypto::PublicKey>> seats;
    for (const One& one : all) seats.emplace_back(one.key.public_key());
    group = std::make_shared<const pbft::Group>(pbft::InstanceId{}, std::move(seats));
    for (std::uint16_t seat = 0; seat < kReplicas; ++seat) open(pbft::ReplicaId(seat));
    for (One& one : all) one.driver->start();
  }
  void open(pbft::ReplicaId self) {
    One& one = all[self.value];
    auto store = disk::RecordStore::open(folder.path() / std::to_string(self.value),
                                         group->instance().view());
    ASSERT_TRUE(store) << store.error().text();
    one.store = std::move(*store);
    const pbft::Settings settings;
    auto driver = ReplicaDriver::open(
        io, {.self = self, .key = one.key},
        pbft::Verifier(group, settings.group, crypto::ed25519()), settings, one.machine, *one.store,
        1,
        {.send =
             [this, self](pbft::ReplicaId to, const Buffer& message) {
               asio::post(io, [this, self, to, message] {
                 const auto& other = all[to.value].driver;
                 EXPECT_TRUE(!other || other->take_message(self, message.view(), {}));
               });
             },
         .reply = [](const pbft::ClientId&, const pbft::Reply&) {},
         .on_evidence = [](const pbft::Evidence&) {},
         .on_change = [] {},
         .on_disk_failure = [](const Explained&) {}});
    ASSERT_TRUE(driver) << driver.error().text();
    one.driver = std::move(*driver);
  }
  void ask() {
    wire::Writer bytes;
    pbft::write(
        bytes, pbft::sign_request(group->instance(), crypto::ed25519(),
                                  crypto::SecretKey::generate(), pbft::RequestNumber(1), Buffer()));
    for (One& one : all) EXPECT_TRUE(one.driver->take_request(1, bytes.bytes(), {}, {}));
  }
  bool have_all_executed(std::uint64_t number) const {
    return std::ranges::all_of(all, [number](const One& one) {
      return one.driver->replica().executed() >= pbft::SequenceNumber(number);
    });
  }
};

// A timer that is due when the loop looks is a handler that waits for its turn, and cancelling does
// not reach it any more. So it comes after the end of the driver when that was before it in the
// queue: as when a node enters an epoch.
TEST_F(Drivers, EndWhileTheirTimersAreDue_NothingTouchesThem) {
  ask();
  while (!have_all_executed(1)) io.run_one();
  // The last votes come, which nobody waits for any more: they are put aside for a moment.
  io.run_for(std::chrono::milliseconds(30));
  Instant due = read_now().instant + std::chrono::milliseconds(150);
  for (const One& one : all) due = std::max(due, one.driver->replica().next_deadline());
  while (read_now().instant < due)
    std::this_thread::sleep_until(std::chrono::steady_clock::time_point(due.time_since_epoch()));
  asio::post(io, [this] {
    for (One& one : all) one.driver.reset();
  });
  io.poll();
}

/// Says yes to signatures of zeros, when it is let, and remembers who asked: 'r' for a client's
/// request, 'v' for a vote.
class Watching final : public crypto::SignatureScheme {
 public:
  crypto::Signature sign(const crypto::SecretKey&, std::string_view, ByteView) const override {
    return {};
  }
  bool verify(const crypto::PublicKey&, std::string_view tag, ByteView,
              const crypto::Signature& signature) const noexcept override {
    may_begin.wait();
    seen.push_back(tag == pbft::Request::kTag ? 'r' : 'v');
    return signature == crypto::Signature{};
  }
  std::optional<crypto::SharedSecret> agree(const crypto::SecretKey&,
                                            const crypto::PublicKey&) const noexcept override {
    agreed_on.push_back(std::this_thread::get_id());
    return crypto::SharedSecret{};
  }
  mutable std::latch may_begin{1};
  mutable std::string seen;  // of the one worker
  mutable std::vector<std::thread::id> agreed_on;
};

/// One driver with one worker, to which all others are played.
struct Verifying : ::testing::Test {
  static constexpr std::size_t kRequests = 1000;

  TemporaryFolder folder;
  asio::io_context io;
  asio::executor_work_guard<asio::io_context::executor_type> work = asio::make_work_guard(io);
  Watching scheme;
  Nothing machine;
  std::shared_ptr<const pbft::Group> group;
  std::unique_ptr<disk::RecordStore> store;
  std::unique_ptr<ReplicaDriver> driver;
  std::optional<std::uint64_t> recovery_nonce;
  int statuses = 0;  // to replica 0

  void SetUp() override { open({}); }
  void open(const pbft::GroupSettings& settings) {
    driver.reset();
    store.reset();
    std::vector<crypto::SecretKey> keys(4);
    std::vector<std::optional<crypto::PublicKey>> seats;
    for (crypto::SecretKey& key : keys) {
      key = crypto::SecretKey::generate();
      seats.emplace_back(key.public_key());
    }
    group = std::make_shared<const pbft::Group>(pbft::InstanceId{}, std::move(seats));
    auto opened = disk::RecordStore::open(folder.path(), group->instance().view());
    ASSERT_TRUE(opened) << opened.error().text();
    store = std::move(*opened);
    auto made = ReplicaDriver::open(
        io, {.self = pbft::ReplicaId(3), .key = keys[3]}, pbft::Verifier(group, settings, scheme),
        {.group = settings}, machine, *store, 1,
        {.send = [this](pbft::ReplicaId to, const Buffer& bytes) { note_sent(to, bytes); },
         .reply = [](const pbft::ClientId&, const pbft::Reply&) {},
         .on_evidence = [](const pbft::Evidence&) {},
         .on_change = [] {},
         .on_disk_failure = [](const Explained&) {}});
    ASSERT_TRUE(made) << made.error().text();
    driver = std::move(*made);
    driver->start();
  }

  void note_sent(pbft::ReplicaId to, const Buffer& bytes) {
    const auto message = pbft::decode(group->instance(), bytes.view());
    if (const auto* query = std::get_if<pbft::RecoveryQuery>(&*message))
      recovery_nonce = query->nonce;
    const bool is_status = std::holds_alternative<pbft::Status>(*message);
    if (is_status && to == pbft::ReplicaId(0)) ++statuses;
  }

  static pbft::Vote vote(pbft::VoteKind kind, std::uint16_t by, std::uint64_t number) {
    return {.kind = kind,
            .view = {},
            .number = pbft::SequenceNumber(number),
            .digest = {},
            .replica = pbft::ReplicaId(by),
            .counter = {},
            .signature = {}};
  }
  void propose(const crypto::Signature& last, Permit permit = {}) {
    pbft::Batch batch{.time = read_now().wall, .requests = {}};
    for (std::size_t i = 0; i < kRequests; ++i) {
      pbft::Request& one = batch.requests.emplace_back();
      one.client.bytes[0] = static_cast<std::uint8_t>(i);
      one.client.bytes[1] = static_cast<std::uint8_t>(i / 256);
      one.number = pbft::RequestNumber(1);
    }
    batch.requests.back().signature = last;
    const auto sealed = pbft::SealedBatch::seal({}, std::move(batch));
    pbft::PrePrepare proposal{vote(pbft::VoteKind::kPrePrepare, 0, 1), sealed};
    proposal.vote.digest = sealed->digest();
    take(0, proposal, std::move(permit));
  }
  void take(std::uint16_t from, const pbft::Message& message, Permit permit = {}) {
    EXPECT_TRUE(
        driver->take_message(pbft::ReplicaId(from), pbft::encode(message), std::move(permit)));
  }
};

TEST_F(Verifying, ABatchOfMany_GivesWayToOthersBetweenItsPieces) {
  propose({});
  constexpr std::uint64_t kVotes = 8;  // more than are verified on the loop
  for (std::uint64_t n = 1; n <= kVotes; ++n)
    take(1, pbft::Ballot{vote(pbft::VoteKind::kPrepare, 1, n)});
  io.poll();  // both jobs wait for the worker
  scheme.may_begin.count_down();
  driver->stop();
  EXPECT_EQ(std::ranges::count(scheme.seen, 'r'), kRequests);
  EXPECT_EQ(std::ranges::count(scheme.seen, 'v'), 1 + kVotes);
  EXPECT_LT(scheme.seen.rfind('v'), 100U);
}

TEST_F(Verifying, ABatchOfMany_PassesOnlyAsAWhole) {
  scheme.may_begin.count_down();
  crypto::Signature wrong;
  wrong.bytes[5] = 1;
  propose(wrong);
  while (driver->statistics().rejected == 0) io.run_one();
  EXPECT_EQ(std::ranges::count(scheme.seen, 'r'), kRequests);
  bool is_done = false;
  propose({}, Permit(nullptr, [&](void*) { is_done = true; }));
  while (!is_done) io.run_one();
  EXPECT_EQ(std::ranges::count(scheme.seen, 'r'), 2 * kRequests);
  EXPECT_EQ(driver->statistics().rejected, 1U);
}

// Suppose the primary's link breaks while a request waits and is there again before the replica
// loses patience: the timer goes off too early, and nothing else happens any more.
TEST_F(Verifying, ATimerThatGoesOffTooEarlyIsSetAgain) {
  scheme.may_begin.count_down();
  while (!recovery_nonce) io.run_one();
  for (std::uint16_t from = 0; from < 2; ++from)
    take(from, pbft::RecoveryAnswer{.nonce = *recovery_nonce});
  while (!driver->replica().may_vote()) io.run_one();
  wire::Writer bytes;
  pbft::write(bytes, pbft::Request{.number = pbft::RequestNumber(1)});
  bool is_taken = false;
  EXPECT_TRUE(driver->take_request(
      1, bytes.bytes(), {}, [&](bool is_good, const pbft::ClientId&) { is_taken = is_good; }));
  while (!is_taken) io.run_one();
  driver->on_link(pbft::ReplicaId(0), false);
  driver->on_link(pbft::ReplicaId(0), true);
  statuses = 0;
  const Instant end = read_now().instant + std::chrono::seconds(20);
  while (statuses < 3 && read_now().instant < end) io.run_one_for(std::chrono::seconds(20));
  EXPECT_GE(statuses, 3);
}

struct UnderSessionKeys : Verifying {
  int verified = 0;
  std::latch pool_goes_on{1};

  void SetUp() override {
    open({.request_authentication = pbft::RequestAuthentication::kSessionKeys});
    // One thread verifies for clients: what is verified while it waits was verified on the loop.
    driver->run_for_client([this] {
      pool_goes_on.wait();
      return [] {};
    });
  }
  void TearDown() override { driver->stop(); }
  void ask(const pbft::ClientSessions& client, std::uint64_t number, std::size_t size = 0) {
    wire::Writer bytes;
    pbft::write(bytes, client.authenticate(pbft::RequestNumber(number), Buffer(Bytes(size))));
    EXPECT_TRUE(
        driver->take_request(1, bytes.bytes(), {}, [this](bool is_good, const pbft::ClientId&) {
          EXPECT_TRUE(is_good);
          ++verified;
        }));
  }
  pbft::ClientSessions stranger() const { return {*group, crypto::SecretKey::generate(), scheme}; }
};

TEST_F(UnderSessionKeys, WhatAKnownClientSaysIsVerifiedOnTheLoop_WithoutAnAgreement) {
  const pbft::ClientSessions known = stranger();
  ask(known, 1);
  io.poll();
  ASSERT_EQ(verified, 1);
  scheme.agreed_on.clear();
  for (std::uint64_t number = 2; number <= 100; ++number) ask(known, number);
  io.poll();
  EXPECT_EQ(verified, 100);
  EXPECT_TRUE(scheme.agreed_on.empty());
  pool_goes_on.count_down();
}

TEST_F(UnderSessionKeys, WhatManyStrangersSayIsVerifiedOnThePool) {
  constexpr int kStrangers = 20;
  std::vector<pbft::ClientSessions> strangers;
  for (int i = 0; i < kStrangers; ++i) strangers.push_back(stranger());
  scheme.agreed_on.clear();
  for (const pbft::ClientSessions& one : strangers) ask(one, 1);
  io.poll();
  EXPECT_EQ(verified, 0);
  pool_goes_on.count_down();
  while (verified < kStrangers) io.run_one();
  EXPECT_EQ(scheme.agreed_on.size(), kStrangers);
  EXPECT_EQ(std::ranges::count(scheme.agreed_on, std::this_thread::get_id()), 0);
}

TEST_F(UnderSessionKeys, LongOperationsAreVerifiedOnThePool) {
  const pbft::ClientSessions known = stranger();
  ask(known, 1);
  io.poll();
  ASSERT_EQ(verified, 1);
  for (std::uint64_t number = 2; number <= 11; ++number)
    ask(known, number, pbft::kOperationSizeMax);
  io.poll();
  EXPECT_EQ(verified, 1);
  pool_goes_on.count_down();
  while (verified < 11) io.run_one();
}

}  // namespace
}  // namespace rosebud::replication
