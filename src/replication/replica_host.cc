#include "replication/replica_host.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <future>

#include "crypto/remembering_scheme.h"
#include "net/links.h"
#include "replication/client_frames.h"
#include "replication/evidence_file.h"
#include "replication/hello.h"
#include "replication/replica_driver.h"

namespace rosebud::replication {

namespace asio = boost::asio;

namespace {

constexpr auto kHelloTime = std::chrono::seconds(5);
/// Of one connection; beyond, it is not read from.
constexpr std::size_t kConnectionWorkBytes = 8U << 20;
/// Replies that wait for one client's connection; beyond, it is closed.
constexpr std::size_t kUnsentBytesMax = 8U << 20;
/// Connections that one client's replies go to.
constexpr std::size_t kRoutesMax = 4;
/// Clients whose replies go over one connection; the longest known is forgotten.
constexpr std::size_t kClientsPerConnectionMax = Announcement::kClientsMax;

using ConnectionNumber = std::uint64_t;

/// Where the replies of clients go: the connections over which their requests came. That of the
/// client's own key goes first and is not driven out by others that hand on its requests.
class Routes {
 public:
  /// False: it was known.
  bool note(const pbft::ClientId& client, ConnectionNumber by, bool is_own) {
    auto& to = routes_[client];
    if (std::ranges::find(to, by) != to.end()) return false;
    to.insert(is_own ? to.begin() : to.end(), by);
    if (to.size() > kRoutesMax) to.erase(to.begin() + 1);
    return true;
  }
  void forget(const pbft::ClientId& client, ConnectionNumber by) {
    const auto at = routes_.find(client);
    if (at == routes_.end()) return;
    std::erase(at->second, by);
    if (at->second.empty()) routes_.erase(at);
  }
  std::vector<ConnectionNumber> of(const pbft::ClientId& client) const {
    const auto at = routes_.find(client);
    return at == routes_.end() ? std::vector<ConnectionNumber>() : at->second;
  }

 private:
  std::map<pbft::ClientId, std::vector<ConnectionNumber>> routes_;
};

struct Connected {
  net::ConnectionPointer connection;
  bool is_greeted = false;
  bool is_refused = false;
  std::optional<pbft::ReplicaId> member;  // nothing: a client's
  std::size_t bytes_in_work = 0;
  std::deque<pbft::ClientId> clients;  // in the order in which they came
  bool has_announced = false;
};

class LiveHost final : public ReplicaHost {
 public:
  LiveHost(ReplicaOptions options, pbft::ReplicaId self, std::unique_ptr<disk::RecordStore> store)
      : options_(std::move(options)),
        self_(self),
        group_(options_.group.group()),
        store_(std::move(store)),
        tls_(options_.key) {}

  ~LiveHost() override {
    // What is still posted is dropped with io_, when the rest is gone.
    alive_.reset();
    links_.reset();
    listener_.reset();
    driver_.reset();
  }

  Status<Explained> open(pbft::StateMachine& machine) {
    pbft::Settings settings = options_.settings;
    settings.group = options_.group.settings;
    auto driver = ReplicaDriver::open(
        io_, {.self = self_, .key = options_.key}, pbft::Verifier(group_, settings.group, scheme_),
        settings, machine, *store_, options_.worker_threads,
        {.send = [this](pbft::ReplicaId to,
                        const Buffer& message) { links_->send(group_->key_of(to), {}, message); },
         .reply = [this](const pbft::ClientId& to,
                         const pbft::Reply& reply) { send_reply(to, reply); },
         .on_evidence = [this](const pbft::Evidence& evidence) { keep_evidence(evidence); },
         .on_change = [this] { tell_changes(); },
         .on_disk_failure =
             [this](const Explained& failure) {
               failure_ = failure;
               io_.stop();
             }});
    if (!driver) return fail(driver.error());
    driver_ = std::move(*driver);
    return listen();
  }

  std::uint16_t port() const override { return listener_->port(); }

  Status<Explained> run() override {
    start_links();
    driver_->start();
    say("serving");
    const auto work = asio::make_work_guard(io_);
    io_.run();
    driver_->stop();
    if (failure_) return fail(*failure_);
    return {};
  }

  void stop() override {
    asio::post(io_, [this] {
      listener_.reset();
      links_->close();
      for (auto& [number, from] : connected_) from.connection->close();
      io_.stop();
    });
  }

  ReplicaStatus status() override {
    auto answer = std::make_shared<std::promise<ReplicaStatus>>();
    auto out = answer->get_future();
    asio::post(io_, [this, answer] { answer->set_value(look()); });
    return out.get();
  }

 private:
  void say(const std::string& line) const {
    if (options_.on_event) options_.on_event(line);
  }
  void tell_changes() {
    const pbft::Replica& replica = driver_->replica();
    if (!replica.is_changing_view() && replica.view() != told_.view) {
      told_.view = replica.view();
      say("view " + std::to_string(replica.view().value) + ", primary " +
          name_of(replica.primary()));
    }
    if (replica.may_vote() != told_.may_vote) {
      told_.may_vote = replica.may_vote();
      say(told_.may_vote ? "votes" : "silent: it may have forgotten votes");
    }
    if (replica.is_stopped() && !std::exchange(told_.is_stopped, true)) say("the group has ended");
  }
  const std::string& name_of(pbft::ReplicaId member) const {
    return options_.group.seats[member.value]->name;
  }

  ReplicaStatus look() const {
    const pbft::Replica& replica = driver_->replica();
    ReplicaStatus out{.self = self_,
                      .view = replica.view(),
                      .is_changing_view = replica.is_changing_view(),
                      .may_vote = replica.may_vote(),
                      .is_stopped = replica.is_stopped(),
                      .executed = replica.executed().value,
                      .stable = replica.stable().value,
                      .requests_executed = driver_->statistics().requests_executed,
                      .syncs = driver_->statistics().commits,
                      .rejected = driver_->statistics().rejected,
                      .connections = connected_.size()};
    for (const pbft::ReplicaId member : group_->members()) {
      if (member != self_ && links_->is_up(group_->key_of(member))) ++out.members_reached;
    }
    return out;
  }

  // ---- Links to the other members ----

  void start_links() {
    links_ = std::make_unique<net::Links>(
        io_, tls_,
        net::LinkOptions{.dialling = net::Dialling::kAlways,
                         .pause_min = std::chrono::milliseconds(20),
                         .pause_max = std::chrono::milliseconds(500),
                         .limits = {}},
        net::Links::Events{
            .judge = judge_verdict,
            // Members say what they say over links of their own.
            .on_frame = [](const crypto::PublicKey&, const Bytes&, const Buffer&) { return false; },
            .on_up =
                [this](const crypto::PublicKey& peer) {
                  const auto member = options_.group.seat_of(peer);
                  say("reached " + name_of(*member));
                  driver_->on_link(*member, true);
                },
            .on_down =
                [this](const crypto::PublicKey& peer, const net::LinkProblem& problem) {
                  note_problem(*options_.group.seat_of(peer), problem.text());
                }});
    links_->set_hello(Hello{.instance = group_->instance(), .role = Role::kReplica}.encode());
    std::map<crypto::PublicKey, std::string> peers;
    for (const pbft::ReplicaId member : group_->members()) {
      const Member& at = *options_.group.seats[member.value];
      if (member != self_) peers[at.key] = at.address;
    }
    links_->add_peers(peers);
  }

  void note_problem(pbft::ReplicaId member, const std::string& text) {
    if (std::exchange(problems_[member], text) != text) say(name_of(member) + ": " + text);
    driver_->on_link(member, false);
  }

  // ---- Connections that come in ----

  Status<Explained> listen() {
    const std::string& address =
        options_.listen.empty() ? options_.group.seats[self_.value]->address : options_.listen;
    const auto where = net::parse_address(address);
    if (!where) {
      return fail(Explained{.what = "'" + address + "' is no address",
                            .cause = "an address is host:port",
                            .next = "correct the group file"});
    }
    auto listener = net::listen(
        io_, tls_,
        {.host = where->first,
         .port = where->second,
         .connections_max = options_.connections_max,
         .connections_per_address_max = options_.connections_max - options_.connections_max / 4},
        net::FrameLimits{.header_size_max = 4U << 10,
                         .bulk_size_max = pbft::kMessageSizeMax,
                         .unread_bytes_max = kUnsentBytesMax / 2},
        [this](net::ConnectionPointer connection) { greet(connection); },
        [](const std::string&, net::CloseReason) {});
    if (!listener) return fail(listener.error());
    listener_ = std::move(*listener);
    return {};
  }

  void greet(const net::ConnectionPointer& connection) {
    const ConnectionNumber number = ++last_connection_;
    connected_.emplace(number, Connected{.connection = connection});
    connection->start(
        {.on_frame = [this, number](Bytes header,
                                    Buffer bulk) { on_frame(number, header, std::move(bulk)); },
         .on_closed = [this, number](net::CloseReason) { on_closed(number); }});
    auto timer = std::make_shared<asio::steady_timer>(io_, kHelloTime);
    timer->async_wait([this, number, timer](const boost::system::error_code&) {
      const auto at = connected_.find(number);
      if (at != connected_.end() && !at->second.is_greeted) at->second.connection->close();
    });
  }

  void on_closed(ConnectionNumber number) {
    const auto at = connected_.find(number);
    if (at == connected_.end()) return;
    const Connected gone = std::move(at->second);
    connected_.erase(at);
    for (const pbft::ClientId& client : gone.clients) routes_.forget(client, number);
    // It died, or it dials again: the next hello tells.
    if (gone.member) driver_->on_link(*gone.member, false);
  }

  void on_frame(ConnectionNumber number, const Bytes& header, Buffer bulk) {
    const auto at = connected_.find(number);
    if (at == connected_.end()) return;
    Connected& from = at->second;
    if (from.is_refused) return from.connection->close();
    if (!from.is_greeted) return on_hello(number, from, header);
    const ByteView bytes = bulk.view();
    const bool is_sense = header.empty() ? take(number, from, bytes)
                                         : !from.member && announce(number, from, header, bytes);
    if (!is_sense) from.connection->close();
  }

  bool take(ConnectionNumber number, Connected& from, ByteView bytes) {
    Permit permit = permit_for(number, from, bytes.size());
    if (from.member) return driver_->take_message(*from.member, bytes, std::move(permit));
    return driver_->take_request(
        bytes, std::move(permit),
        [this, number](const pbft::ClientId& client) { note_route(client, number); });
  }

  /// Once for a connection: each entry costs a signature.
  bool announce(ConnectionNumber number, Connected& from, const Bytes& header, ByteView bytes) {
    if (header != Bytes{Announcement::kHeader} || std::exchange(from.has_announced, true))
      return false;
    const auto announcement = Announcement::decode(bytes);
    if (!announcement) return false;
    for (const pbft::ClientId& client :
         announcement->verified(group_->instance(), from.connection->peer(), crypto::ed25519()))
      note_route(client, number);
    return true;
  }

  void on_hello(ConnectionNumber number, Connected& from, const Bytes& frame) {
    const auto hello = Hello::decode(frame);
    if (!hello) return from.connection->close();
    const auto member = options_.group.seat_of(from.connection->peer());
    HelloVerdict verdict = HelloVerdict::kWelcome;
    if (hello->version != kProtocolVersion) {
      verdict = HelloVerdict::kOtherVersion;
    } else if (hello->instance != group_->instance()) {
      verdict = HelloVerdict::kOtherGroup;
    } else if (hello->role == Role::kReplica && (!member || *member == self_)) {
      verdict = HelloVerdict::kNoMember;
    }
    from.connection->send(encode(verdict), {});
    from.is_refused = verdict != HelloVerdict::kWelcome;
    if (from.is_refused) return;
    from.is_greeted = true;
    if (hello->role == Role::kClient) {
      from.connection->limit_frames(1, kRequestSizeMax);
      return note_route(from.connection->peer(), number);
    }
    from.member = member;
    links_->retry_now(from.connection->peer());
    if (links_->is_up(from.connection->peer())) driver_->on_link(*member, true);
  }

  /// Connections wait while too much of theirs, or of all, is not handled yet.
  Permit permit_for(ConnectionNumber number, Connected& from, std::size_t size) {
    constexpr std::size_t kOverhead = 512;
    size += kOverhead;
    from.bytes_in_work += size;
    bytes_in_work_ += size;
    if (from.bytes_in_work > kConnectionWorkBytes || bytes_in_work_ > options_.work_bytes_max)
      from.connection->pause_reading();
    return {nullptr, [alive = std::weak_ptr(alive_), number, size](void*) {
              if (const auto host = alive.lock()) (*host)->give_back(number, size);
            }};
  }

  void give_back(ConnectionNumber number, std::size_t size) {
    bytes_in_work_ -= size;
    const auto at = connected_.find(number);
    if (at == connected_.end()) return;
    at->second.bytes_in_work -= size;
    if (at->second.bytes_in_work <= kConnectionWorkBytes / 2)
      at->second.connection->resume_reading();
  }

  // ---- Clients ----

  void note_route(const pbft::ClientId& client, ConnectionNumber number) {
    const auto at = connected_.find(number);
    if (at == connected_.end()) return;
    if (!routes_.note(client, number, at->second.connection->peer() == client)) return;
    auto& clients = at->second.clients;
    clients.push_back(client);
    if (clients.size() <= kClientsPerConnectionMax) return;
    routes_.forget(clients.front(), number);
    clients.pop_front();
  }

  void send_reply(const pbft::ClientId& to, const pbft::Reply& reply) {
    const auto routes = routes_.of(to);
    if (routes.empty()) return;
    const Buffer bytes(ReplyFrame{.client = to, .reply = reply}.encode());
    for (const ConnectionNumber number : routes) {
      const auto at = connected_.find(number);
      if (at == connected_.end()) continue;
      const auto& connection = at->second.connection;
      if (connection->queued_bytes() > kUnsentBytesMax || !connection->send({}, bytes))
        connection->close();
    }
  }

  void keep_evidence(const pbft::Evidence& evidence) {
    const pbft::ReplicaId who = evidence.first.replica;
    const auto file = options_.data / ("evidence-" + name_of(who) + ".txt");
    say(name_of(who) + " signed two votes that contradict each other: " + file.string());
    if (const auto written = write_evidence(file, evidence); !written) say(written.error().text());
  }

  ReplicaOptions options_;
  pbft::ReplicaId self_;
  std::shared_ptr<const pbft::Group> group_;
  std::unique_ptr<disk::RecordStore> store_;
  /// Certificates of a view change are made of votes that were verified one by one before.
  crypto::RememberingScheme scheme_{crypto::ed25519()};
  asio::io_context io_{1};
  net::TlsContext tls_;
  std::unique_ptr<net::Links> links_;
  std::unique_ptr<net::Listener> listener_;
  ConnectionNumber last_connection_ = 0;
  std::map<ConnectionNumber, Connected> connected_;
  Routes routes_;
  std::size_t bytes_in_work_ = 0;
  std::map<pbft::ReplicaId, std::string> problems_;
  std::optional<Explained> failure_;
  struct Told {
    pbft::View view;
    bool may_vote = false;
    bool is_stopped = false;
  };
  Told told_;  // what on_event was last told
  std::unique_ptr<ReplicaDriver> driver_;
  std::shared_ptr<LiveHost*> alive_ = std::make_shared<LiveHost*>(this);
};

}  // namespace

Result<std::unique_ptr<ReplicaHost>, Explained> ReplicaHost::open(ReplicaOptions options,
                                                                  pbft::StateMachine& machine) {
  const auto self = options.group.seat_of(options.key.public_key());
  if (!self) {
    return fail(Explained{.what = "no member of the group has this key",
                          .cause = "the key is another's, or the group file is",
                          .next = "name the right key and group file"});
  }
  wire::Writer owner;
  owner.raw(options.group.instance().view()).raw(options.key.public_key().view());
  auto store = disk::RecordStore::open(options.data / "records", owner.bytes());
  if (!store) return fail(store.error());
  auto out = std::make_unique<LiveHost>(std::move(options), *self, std::move(*store));
  if (auto opened = out->open(machine); !opened) return fail(opened.error());
  return out;
}

}  // namespace rosebud::replication
