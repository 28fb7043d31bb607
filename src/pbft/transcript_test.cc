// Whole stories of a group, message by message, as they stand in testdata/: to be read beside the
// paper, and to see what a change changes. ROSEBUD_RENEW=1 writes them anew.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "pbft/test_group.h"

namespace rosebud::pbft {
namespace {

/// Four replicas and a network that delivers in the order of sending. Everything is written down.
class Story {
 public:
  explicit Story(Settings settings = test_settings())
      : settings_(settings), verifier_(test_group(), settings.group, crypto::model_scheme()) {
    for (std::size_t seat = 0; seat < 4; ++seat) {
      ledgers_.push_back(std::make_unique<sim::Ledger>());
      replicas_.push_back(std::make_unique<Replica>(Identity{id(seat), test_replica_key(seat)},
                                                    verifier_, settings_, *ledgers_[seat],
                                                    PersistentState{}, Random(seat)));
    }
    is_cut_.resize(4);
    is_written_down_ = false;
    for (std::size_t seat = 0; seat < 4; ++seat) {
      Effects out;
      replicas_[seat]->start(now(), out);
      perform(seat, std::move(out));
    }
    deliver_all();
    is_written_down_ = true;
  }

  Replica& replica(std::size_t seat) { return *replicas_[seat]; }
  void remark(const std::string& text) { text_ += "\n" + text + "\n"; }
  /// Nothing goes to or comes from it.
  void cut(std::size_t seat, bool is_cut = true) { is_cut_[seat] = is_cut; }

  void ask(const Request& request, const std::vector<std::size_t>& seats) {
    for (const std::size_t seat : seats) {
      tell("client", std::to_string(seat), "request number=" + number_of(request.number));
      if (is_cut_[seat]) continue;
      Effects out;
      replicas_[seat]->on_request(now(), *verifier_.request(request), out);
      perform(seat, std::move(out));
    }
    deliver_all();
  }
  void pass(Duration time) {
    time_ += time;
    for (std::size_t seat = 0; seat < 4; ++seat) {
      if (is_cut_[seat]) continue;
      Effects out;
      replicas_[seat]->on_time(now(), out);
      perform(seat, std::move(out));
    }
    deliver_all();
  }
  void lose_link_to(std::size_t peer) {
    for (std::size_t seat = 0; seat < 4; ++seat) {
      if (seat == peer) continue;
      Effects out;
      replicas_[seat]->on_link(now(), id(peer), false, out);
      perform(seat, std::move(out));
    }
    deliver_all();
  }

  /// Compares with the file, or writes it.
  void expect_as_in(const std::string& name) const {
    const std::string path =
        std::string(ROSEBUD_SOURCE_DIR) + "/src/pbft/testdata/" + name + ".txt";
    if (std::getenv("ROSEBUD_RENEW") != nullptr) {
      std::ofstream(path) << text_;
      return;
    }
    std::ostringstream expected;
    expected << std::ifstream(path).rdbuf();
    EXPECT_EQ(text_, expected.str()) << "if the change is meant: ROSEBUD_RENEW=1 pbft_test";
  }

 private:
  struct Sent {
    std::size_t from;
    std::size_t to;
    std::shared_ptr<const Message> message;
  };

  Now now() const {
    return {Instant(time_), AgreedTime(1000 + static_cast<std::uint64_t>(time_.count() / 1000))};
  }
  static std::string number_of(RequestNumber number) { return std::to_string(number.value); }

  void tell(const std::string& from, const std::string& to, const std::string& what) {
    if (is_written_down_) text_ += from + " -> " + to + "  " + what + "\n";
  }

  void perform(std::size_t from, Effects effects) {
    const std::string name = std::to_string(from);
    std::uint64_t persists = 0;
    for (Effect& effect : effects) {
      if (auto* one = std::get_if<Send>(&effect)) {
        send(from, {one->to.value}, std::make_shared<const Message>(std::move(one->message)));
      } else if (auto* all = std::get_if<Broadcast>(&effect)) {
        send(from, {0, 1, 2, 3}, std::make_shared<const Message>(std::move(all->message)));
      } else if (const auto* reply = std::get_if<SendReply>(&effect)) {
        tell(name, "client",
             "reply to number=" + number_of(reply->reply.number) +
                 " v=" + std::to_string(reply->reply.view.value));
      } else if (const auto* persist = std::get_if<Persist>(&effect)) {
        tell(name, "disk", std::to_string(persist->writes.size()) + " records");
        ++persists;
      } else if (const auto* executed = std::get_if<Executed>(&effect)) {
        tell(name, "machine",
             "executes n=" + std::to_string(executed->number.value) + ", " +
                 std::to_string(executed->requests) + " requests");
      }
    }
    if (persists == 0) return;
    Effects more;
    replicas_[from]->on_durable(now(), persists, more);
    perform(from, std::move(more));
  }
  void send(std::size_t from, const std::vector<std::size_t>& to,
            const std::shared_ptr<const Message>& message) {
    tell(std::to_string(from), to.size() == 1 ? std::to_string(to[0]) : "all", describe(*message));
    for (const std::size_t seat : to) {
      if (seat != from) queue_.push_back({from, seat, message});
    }
  }
  void deliver_all() {
    while (!queue_.empty()) {
      const Sent one = queue_.front();
      queue_.pop_front();
      if (is_cut_[one.from] || is_cut_[one.to]) continue;
      const auto verified = verifier_.message(*one.message);
      ASSERT_TRUE(verified);
      Effects out;
      replicas_[one.to]->on_message(now(), id(one.from), *verified, out);
      perform(one.to, std::move(out));
    }
  }

  Settings settings_;
  Verifier verifier_;
  std::vector<std::unique_ptr<sim::Ledger>> ledgers_;
  std::vector<std::unique_ptr<Replica>> replicas_;
  std::vector<bool> is_cut_;
  std::deque<Sent> queue_;
  Duration time_{};
  bool is_written_down_ = true;
  std::string text_;
};

TEST(Transcript, NormalCase) {
  Story story;
  story.remark("A request, in the normal case [CL99 4.2].");
  story.ask(test_request("a", 1), {0});
  story.remark("The same again: the reply is known.");
  story.ask(test_request("a", 1), {0});
  story.expect_as_in("normal-case");
}

TEST(Transcript, SessionKeys) {
  Settings settings = test_settings();
  settings.group.request_authentication = RequestAuthentication::kSessionKeys;
  Story story(settings);
  story.remark("A request with a MAC for each replica: 2F+1 vouch for it before it is ordered.");
  const ClientSessions sessions(*test_group(), test_key("a"), crypto::model_scheme());
  story.ask(sessions.authenticate(RequestNumber(1), Buffer::copy_of(as_bytes("op"))), {0, 1, 2, 3});
  story.remark("One that backups alone got: the primary asks for it.");
  story.ask(sessions.authenticate(RequestNumber(2), Buffer::copy_of(as_bytes("op"))), {1, 2, 3});
  story.pass(settings.vouch_interval);
  story.pass(settings.status_interval / 2);
  for (std::size_t seat = 0; seat < 4; ++seat)
    EXPECT_EQ(story.replica(seat).executed(), SequenceNumber(2));
  story.expect_as_in("session-keys");
}

TEST(Transcript, Checkpoint) {
  Story story;
  story.remark("Three batches.");
  for (std::uint64_t number = 1; number <= 3; ++number) story.ask(test_request("a", number), {0});
  story.remark("The fourth ends a checkpoint [CL99 4.3]: what lies under it is erased.");
  story.ask(test_request("a", 4), {0});
  for (std::size_t seat = 0; seat < 4; ++seat)
    EXPECT_EQ(story.replica(seat).stable(), SequenceNumber(4));
  story.expect_as_in("checkpoint");
}

TEST(Transcript, ViewChange) {
  Story story;
  story.remark("A request in view 0.");
  story.ask(test_request("a", 1), {0});
  story.remark("The primary dies, its links break, and the next request waits [CL99 4.4].");
  story.cut(0);
  story.lose_link_to(0);
  story.ask(test_request("a", 2), {1, 2, 3});
  story.remark("A moment later.");
  story.pass(std::chrono::milliseconds(60));
  for (std::size_t seat = 1; seat < 4; ++seat) {
    EXPECT_EQ(story.replica(seat).view(), View(1));
    EXPECT_EQ(story.replica(seat).executed(), SequenceNumber(2));
  }
  story.expect_as_in("view-change");
}

TEST(Transcript, StateTransfer) {
  Story story;
  story.remark("One is cut off while eight batches are executed and erased.");
  story.cut(3);
  for (std::uint64_t number = 1; number <= 8; ++number) story.ask(test_request("a", number), {0});
  story.remark("It comes back, tells where it is, and takes the state over.");
  story.cut(3, false);
  for (int turn = 0; turn < 6; ++turn) story.pass(std::chrono::milliseconds(250));
  EXPECT_EQ(story.replica(3).executed(), SequenceNumber(8));
  story.expect_as_in("state-transfer");
}

}  // namespace
}  // namespace rosebud::pbft
