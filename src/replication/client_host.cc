#include "replication/client_host.h"

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <future>
#include <map>
#include <thread>

#include "net/links.h"
#include "replication/client_frames.h"
#include "replication/hello.h"
#include "replication/replica_driver.h"

namespace rosebud::replication {

namespace asio = boost::asio;

namespace {

/// One key, and what it does at the moment.
struct Submitter {
  pbft::Client core;
  ClientHost::Done done;
  Instant give_up_at = Instant::max();
};

Random random_seed() {
  std::uint64_t seed = 0;
  crypto::fill_random({reinterpret_cast<std::uint8_t*>(&seed), sizeof seed});
  return Random(seed);
}

class LiveClient final : public ClientHost {
 public:
  explicit LiveClient(ClientOptions options)
      : options_(std::move(options)),
        group_(options_.group.group()),
        tls_(options_.keys.front()),
        timer_(io_),
        links_(io_, tls_,
               {.dialling = net::Dialling::kAlways,
                .pause_min = std::chrono::milliseconds(20),
                .pause_max = std::chrono::milliseconds(500),
                .limits = {}},
               {.judge = judge_verdict,
                .on_frame = [this](const crypto::PublicKey& from, const Bytes&,
                                   const Buffer& bulk) { return take_reply(from, bulk.view()); },
                .on_up =
                    [this](const crypto::PublicKey& peer) {
                      announce(peer);
                      on_link(peer, true);
                    },
                .on_down = [this](const crypto::PublicKey& peer,
                                  const net::LinkProblem&) { on_link(peer, false); }}),
        work_(asio::make_work_guard(io_)) {
    CHECK(!options_.keys.empty() && options_.keys.size() <= Announcement::kClientsMax);
    const pbft::ClientSettings settings{
        .reply_timeout = options_.reply_timeout,
        .request_authentication = options_.group.settings.request_authentication};
    for (const crypto::SecretKey& key : options_.keys) {
      submitters_.emplace(
          key.public_key(),
          Submitter{.core = pbft::Client(key, group_, crypto::ed25519(), random_seed(), settings),
                    .done = {}});
      free_.push_back(key.public_key());
    }
    Announcement others;
    for (std::size_t i = 1; i < options_.keys.size(); ++i) {
      others.add(options_.keys[i], group_->instance(), options_.keys[0].public_key(),
                 crypto::ed25519());
    }
    if (!others.entries.empty()) announcement_ = Buffer(others.encode());
    links_.set_hello(Hello{.instance = group_->instance(), .role = Role::kClient}.encode());
    std::map<crypto::PublicKey, std::string> peers;
    for (const pbft::ReplicaId member : group_->members()) {
      const Member& at = *options_.group.seats[member.value];
      peers[at.key] = at.address;
    }
    links_.add_peers(peers);
    thread_ = std::thread([this] { io_.run(); });
  }

  ~LiveClient() override {
    asio::post(io_, [this] {
      links_.close();
      timer_.cancel();
      io_.stop();
    });
    thread_.join();
    is_closed_ = true;
    for (auto& [key, one] : submitters_) {
      if (const Done done = std::exchange(one.done, {})) done({});
    }
    for (auto& [operation, done] : std::exchange(waiting_, {})) done({});
  }

  void submit(Buffer operation, Done done) override {
    if (is_closed_) return done({});
    asio::post(io_, [this, operation = std::move(operation), done = std::move(done)]() mutable {
      waiting_.emplace_back(std::move(operation), std::move(done));
      begin_waiting();
    });
  }

  std::vector<std::string> problems() override {
    std::promise<std::vector<std::string>> answer;
    asio::post(io_, [&] {
      std::vector<std::string> out;
      for (const pbft::ReplicaId member : group_->members()) {
        const Member& at = *options_.group.seats[member.value];
        if (const auto problem = links_.problem(at.key))
          out.push_back(at.name + ": " + problem->text());
      }
      answer.set_value(std::move(out));
    });
    return answer.get_future().get();
  }

 private:
  void begin_waiting() {
    while (!waiting_.empty() && !free_.empty()) {
      const pbft::ClientId key = free_.front();
      free_.pop_front();
      Submitter& one = submitters_.at(key);
      one.done = std::move(waiting_.front().second);
      Buffer operation = std::move(waiting_.front().first);
      waiting_.pop_front();
      const Instant now = read_now().instant;
      one.give_up_at = now + options_.timeout;
      pbft::ClientEffects effects;
      one.core.submit(now, std::move(operation), effects);
      perform(key, one, std::move(effects));
    }
  }

  /// The first key is the connection's own.
  void announce(const crypto::PublicKey& peer) {
    if (announcement_.empty()) return;
    links_.send(peer, {Announcement::kHeader}, announcement_);
  }

  bool take_reply(const crypto::PublicKey& from, ByteView bytes) {
    const auto frame = ReplyFrame::decode(bytes);
    if (!frame) return false;
    const auto at = submitters_.find(frame->client);
    if (at == submitters_.end()) return true;
    pbft::ClientEffects effects;
    at->second.core.on_reply(read_now().instant, *options_.group.seat_of(from), frame->reply,
                             effects);
    perform(at->first, at->second, std::move(effects));
    begin_waiting();
    return true;
  }

  void on_link(const crypto::PublicKey& peer, bool is_up) {
    const pbft::ReplicaId replica = *options_.group.seat_of(peer);
    for (auto& [key, one] : submitters_) {
      pbft::ClientEffects effects;
      one.core.on_link(read_now().instant, replica, is_up, effects);
      perform(key, one, std::move(effects));
    }
  }

  void perform(const pbft::ClientId& key, Submitter& one, pbft::ClientEffects effects) {
    // One request goes to several replicas with the same bytes.
    std::optional<Buffer> encoded;
    for (pbft::ClientEffect& effect : effects) {
      if (const auto* request = std::get_if<pbft::SendRequest>(&effect)) {
        if (!encoded) {
          wire::Writer out;
          pbft::write(out, request->request);
          encoded = Buffer(out.take());
        }
        links_.send(group_->key_of(request->to), {}, *encoded);
      } else if (auto* finish = std::get_if<pbft::Finish>(&effect)) {
        finish_one(key, one, outcome_of(std::move(*finish)));
      }
    }
    wake_for(one);
  }

  static Outcome outcome_of(pbft::Finish finish) {
    switch (finish.status) {
      case pbft::Reply::Status::kExecuted:
        return {Outcome::Status::kExecuted, std::move(finish.result)};
      case pbft::Reply::Status::kNotAClient:
        return {Outcome::Status::kNotAClient, {}};
      case pbft::Reply::Status::kNumberForgotten:
        return {Outcome::Status::kOvertaken, {}};
      case pbft::Reply::Status::kNumberAhead:  // not so far
        break;
    }
    return {};
  }

  void finish_one(const pbft::ClientId& key, Submitter& one, Outcome outcome) {
    one.give_up_at = Instant::max();
    free_.push_back(key);
    if (const Done done = std::exchange(one.done, {})) done(std::move(outcome));
  }

  /// Not later than this one needs it. What is over meanwhile is no reason to look at all others:
  /// the timer finds nothing to do then, once in a reply_timeout.
  void wake_for(const Submitter& one) {
    const Instant next = std::min(one.core.next_deadline(), one.give_up_at);
    if (next >= timer_at_) return;
    timer_at_ = next;
    timer_.expires_after(std::max(next - read_now().instant, Duration::zero()));
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (error) return;
      timer_at_ = Instant::max();
      on_time();
    });
  }

  void on_time() {
    const Instant now = read_now().instant;
    for (auto& [key, one] : submitters_) {
      pbft::ClientEffects effects;
      if (now >= one.give_up_at) {
        one.core.give_up(now, effects);
        finish_one(key, one, {});
      } else {
        one.core.on_time(now, effects);
      }
      perform(key, one, std::move(effects));
    }
    begin_waiting();
  }

  ClientOptions options_;
  std::shared_ptr<const pbft::Group> group_;
  asio::io_context io_{1};
  net::TlsContext tls_;
  asio::steady_timer timer_;
  Instant timer_at_ = Instant::max();
  net::Links links_;
  std::map<pbft::ClientId, Submitter> submitters_;
  std::deque<pbft::ClientId> free_;
  Buffer announcement_;
  std::deque<std::pair<Buffer, Done>> waiting_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::atomic<bool> is_closed_ = false;  // the thread has ended
  std::thread thread_;
};

}  // namespace

std::unique_ptr<ClientHost> ClientHost::open(ClientOptions options) {
  return std::make_unique<LiveClient>(std::move(options));
}

Outcome ClientHost::wait(Buffer operation) {
  auto answer = std::make_shared<std::promise<Outcome>>();
  auto out = answer->get_future();
  submit(std::move(operation),
         [answer](Outcome outcome) { answer->set_value(std::move(outcome)); });
  return out.get();
}

}  // namespace rosebud::replication
