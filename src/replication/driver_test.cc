// Drivers without connections of their own: what they leave behind in the loop when they end.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
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

}  // namespace
}  // namespace rosebud::replication
