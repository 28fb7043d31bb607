#include "replication/replica_host.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <future>
#include <mutex>

#include "crypto/remembering_scheme.h"
#include "net/links.h"
#include "pbft/records.h"
#include "replication/client_frames.h"
#include "replication/evidence_file.h"
#include "replication/hello.h"
#include "replication/replica_driver.h"

namespace rosebud::replication {

namespace asio = boost::asio;

namespace {

constexpr auto kHelloTime = std::chrono::seconds(5);
/// Of one connection; beyond, it is not read from. A client's are small requests, each a signature.
constexpr std::size_t kMemberWorkBytes = 8U << 20;
constexpr std::size_t kClientWorkBytes = 256U << 10;
/// Replies that wait for one client's connection; beyond, it is closed.
constexpr std::size_t kUnsentBytesMax = 8U << 20;
/// Connections of each sort that one client's replies go to.
constexpr std::size_t kRoutesMax = 4;
/// Clients whose replies go over one connection; the longest known is forgotten.
constexpr std::size_t kClientsPerConnectionMax = Announcement::kClientsMax;

using ConnectionNumber = std::uint64_t;

/// Where the replies of clients go: connections that showed the client's key or were announced with
/// it, and those over which a request of it came. Hearsay never drives out what is sure.
class Routes {
 public:
  /// False: it was known.
  bool note(const pbft::ClientId& client, ConnectionNumber by, bool is_sure) {
    Ways& to = routes_[client];
    if (std::ranges::find(to.sure, by) != to.sure.end()) return false;
    const bool was_hearsay = std::ranges::find(to.hearsay, by) != to.hearsay.end();
    if (was_hearsay && !is_sure) return false;
    if (was_hearsay) std::erase(to.hearsay, by);
    std::vector<ConnectionNumber>& ways = is_sure ? to.sure : to.hearsay;
    ways.push_back(by);
    if (ways.size() > kRoutesMax) ways.erase(ways.begin());
    return !was_hearsay;
  }
  void forget(const pbft::ClientId& client, ConnectionNumber by) {
    const auto at = routes_.find(client);
    if (at == routes_.end()) return;
    std::erase(at->second.sure, by);
    std::erase(at->second.hearsay, by);
    if (at->second.sure.empty() && at->second.hearsay.empty()) routes_.erase(at);
  }
  std::vector<ConnectionNumber> of(const pbft::ClientId& client) const {
    const auto at = routes_.find(client);
    if (at == routes_.end()) return {};
    std::vector<ConnectionNumber> out = at->second.sure;
    out.insert(out.end(), at->second.hearsay.begin(), at->second.hearsay.end());
    return out;
  }

 private:
  struct Ways {  // Invariant: no connection in both.
    std::vector<ConnectionNumber> sure;
    std::vector<ConnectionNumber> hearsay;
  };
  std::map<pbft::ClientId, Ways> routes_;
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

  std::uint16_t port() const override { return port_; }

  Status<Explained> run() override {
    if (driver_->replica().has_unreadable_records()) {
      say("the records on disk make no sense and are erased: it begins as with an empty disk");
    }
    keep_missing_evidence();
    start_links();
    driver_->start();
    say("serving");
    const auto work = asio::make_work_guard(io_);
    io_.run();
    driver_->stop();
    {
      const std::lock_guard lock(mutex_);
      last_status_ = look();
    }
    // Who asked before that gets an answer still.
    io_.restart();
    io_.poll();
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
    {
      const std::lock_guard lock(mutex_);
      if (last_status_) return *last_status_;
      asio::post(io_, [this, answer] { answer->set_value(look()); });
    }
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
    // Strangers never get these, whether they say hello or not: so members can come back.
    const std::size_t for_members = std::min(options_.connections_max / 2,
                                             group_->members().size() * net::kConnectionsPerMember);
    const std::size_t for_others = options_.connections_max - for_members;
    auto listener = net::listen(
        io_, tls_,
        {.host = where->first,
         .port = where->second,
         .connections_max = options_.connections_max,
         .connections_per_address_max = for_others - for_others / 4,
         .is_member =
             [this](const crypto::PublicKey& key) {
               return options_.group.seat_of(key).has_value();
             },
         .places_for_members = for_members},
        net::FrameLimits{.header_size_max = 4U << 10,
                         .bulk_size_max = message_size_max(options_.group),
                         .unread_bytes_max = kUnsentBytesMax / 2},
        [this](net::ConnectionPointer connection) { greet(connection); },
        [](const std::string&, net::CloseReason) {});
    if (!listener) return fail(listener.error());
    listener_ = std::move(*listener);
    port_ = listener_->port();
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
    if (!gone.member) return;
    // It died, or it has dialled anew already.
    if (of_member_[*gone.member] == number) driver_->on_link(*gone.member, false);
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
    return driver_->take_request(number, bytes, std::move(permit),
                                 [this, number](bool is_verified, const pbft::ClientId& client) {
                                   on_verified(number, is_verified, client);
                                 });
  }

  /// Who sends a signature that is wrong sends more of them. A signed request shows the way to its
  /// client; under session keys only the core knows whether it is the client's, so it does not.
  void on_verified(ConnectionNumber number, bool is_verified, const pbft::ClientId& client) {
    const auto at = connected_.find(number);
    if (at == connected_.end()) return;
    if (!is_verified) return at->second.connection->close();
    const bool has_signatures =
        options_.group.settings.request_authentication == pbft::RequestAuthentication::kSignature;
    if (has_signatures) note_route(client, number, false);
  }

  /// Once for a connection: each entry costs a signature.
  bool announce(ConnectionNumber number, Connected& from, const Bytes& header, ByteView bytes) {
    if (header != Bytes{Announcement::kHeader} || std::exchange(from.has_announced, true))
      return false;
    auto announcement = Announcement::decode(bytes);
    if (!announcement) return false;
    driver_->run_for_client(
        [this, number, key = from.connection->peer(), announcement = std::move(*announcement)] {
          auto clients = announcement.verified(group_->instance(), key, crypto::ed25519());
          return [this, number, clients = std::move(clients)] {
            const auto at = connected_.find(number);
            if (at == connected_.end()) return;
            if (!clients) return at->second.connection->close();
            for (const pbft::ClientId& client : *clients) note_route(client, number, true);
          };
        });
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
    if (from.is_refused) return from.connection->limit_frames(0, 0);
    from.is_greeted = true;
    if (hello->role == Role::kReplica) return greet_member(number, from, *member);
    from.connection->limit_frames(1, kRequestSizeMax);
    note_route(from.connection->peer(), number, true);
  }

  /// A member has one connection: it dials anew when it believes that the old one is gone.
  void greet_member(ConnectionNumber number, Connected& from, pbft::ReplicaId member) {
    from.member = member;
    if (const auto old = connected_.find(std::exchange(of_member_[member], number));
        old != connected_.end()) {
      old->second.connection->close();
    }
    links_->retry_now(from.connection->peer());
    if (links_->is_up(from.connection->peer())) driver_->on_link(member, true);
  }

  /// A connection waits while too much of it is not handled yet.
  Permit permit_for(ConnectionNumber number, Connected& from, std::size_t size) {
    constexpr std::size_t kOverhead = 512;
    size += kOverhead;
    from.bytes_in_work += size;
    const std::size_t size_max = from.member ? kMemberWorkBytes : kClientWorkBytes;
    if (from.bytes_in_work > size_max) from.connection->pause_reading();
    return {nullptr, [alive = std::weak_ptr(alive_), number, size](void*) {
              if (const auto host = alive.lock()) (*host)->give_back(number, size);
            }};
  }

  void give_back(ConnectionNumber number, std::size_t size) {
    const auto at = connected_.find(number);
    if (at == connected_.end()) return;
    Connected& from = at->second;
    from.bytes_in_work -= size;
    const std::size_t size_max = from.member ? kMemberWorkBytes : kClientWorkBytes;
    if (from.bytes_in_work <= size_max / 2) from.connection->resume_reading();
  }

  // ---- Clients ----

  void note_route(const pbft::ClientId& client, ConnectionNumber number, bool is_sure) {
    const auto at = connected_.find(number);
    if (at == connected_.end()) return;
    if (!routes_.note(client, number, is_sure)) return;
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

  /// By its seat: names are for people, two may be alike, and they are no names of files.
  std::filesystem::path evidence_file(pbft::ReplicaId against) const {
    return options_.data / ("evidence-" + std::to_string(against.value) + ".txt");
  }

  /// The process may have ended between the records and a file, or the disk was full. The records
  /// have each replica's first contradiction, and nothing is reported twice.
  void keep_missing_evidence() {
    for (const auto& [seat, evidence] : driver_->replica().evidence()) {
      std::error_code ignored;
      const bool is_there = std::filesystem::exists(evidence_file(seat), ignored);
      if (!is_there && group_->is_member(evidence.first.replica)) keep_evidence(evidence);
    }
  }

  void keep_evidence(const pbft::Evidence& evidence) {
    const pbft::ReplicaId who = evidence.first.replica;
    const auto file = evidence_file(who);
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
  std::uint16_t port_ = 0;
  std::mutex mutex_;
  std::optional<ReplicaStatus> last_status_;  // after the end of run()
  ConnectionNumber last_connection_ = 0;
  std::map<ConnectionNumber, Connected> connected_;
  Routes routes_;
  std::map<pbft::ReplicaId, ConnectionNumber> of_member_;  // the newest
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
  owner.raw(options.group.instance().view())
      .raw(options.key.public_key().view())
      .raw(as_bytes(pbft::records::kFormat));
  auto store = disk::RecordStore::open(options.data / "records", owner.bytes());
  if (!store) return fail(store.error());
  auto out = std::make_unique<LiveHost>(std::move(options), *self, std::move(*store));
  if (auto opened = out->open(machine); !opened) return fail(opened.error());
  return out;
}

}  // namespace rosebud::replication
