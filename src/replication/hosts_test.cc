// Groups of real hosts in one process: sockets, threads and disks, but no processes.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <future>
#include <thread>

#include "base/temporary_folder.h"
#include "net/connection.h"
#include "replication/client_host.h"
#include "replication/evidence_file.h"
#include "replication/hello.h"
#include "replication/replica_host.h"

namespace rosebud::replication {
namespace {

using ::testing::HasSubstr;

/// A port of loopback that nobody else gets: bound and not listened on, which lets who sets
/// SO_REUSEADDR listen.
class ReservedPort {
 public:
  ReservedPort() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int yes = 1;
    ::setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(::bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    socklen_t size = sizeof address;
    CHECK(::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
  }
  ~ReservedPort() { ::close(socket_); }
  ReservedPort(const ReservedPort&) = delete;
  ReservedPort& operator=(const ReservedPort&) = delete;
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  int socket_;
  std::uint16_t port_ = 0;
};

/// Answers how many operations it has executed: every result tells of the whole history.
class Counter final : public pbft::StateMachine {
 public:
  Outcome execute(pbft::AgreedTime, const pbft::ClientId&, ByteView) override {
    return {.result = to_bytes(as_bytes(std::to_string(++count_)))};
  }
  std::vector<Buffer> snapshot() const override {
    return {Buffer::copy_of(as_bytes(std::to_string(count_)))};
  }
  bool restore(const std::vector<Buffer>& pieces) override {
    if (pieces.size() != 1) return false;
    count_ = std::stoull(std::string(as_text(pieces[0].view())));
    return true;
  }

 private:
  std::uint64_t count_ = 0;
};

struct Hosts : ::testing::Test {
  static constexpr std::size_t kReplicas = 4;

  struct One {
    ReservedPort port;
    crypto::SecretKey key = crypto::SecretKey::generate();
    std::unique_ptr<Counter> machine;
    std::unique_ptr<ReplicaHost> host;
    std::thread thread;
  };
  TemporaryFolder folder;
  std::vector<One> replicas{kReplicas};
  GroupFile group;
  std::size_t connections_max = ReplicaOptions{}.connections_max;

  void make(pbft::RequestAuthentication authentication = pbft::RequestAuthentication::kSignature) {
    crypto::fill_random(group.salt.bytes);
    group.settings.request_authentication = authentication;
    group.settings.checkpoint_interval = 8;
    group.settings.window = 16;
    for (std::size_t i = 0; i < kReplicas; ++i) {
      group.seats.push_back(Member{.name = "r" + std::to_string(i),
                                   .key = replicas[i].key.public_key(),
                                   .address = replicas[i].port.address()});
    }
    for (std::size_t i = 0; i < kReplicas; ++i) start(i);
  }
  std::filesystem::path data(std::size_t i) const { return folder.path() / std::to_string(i); }
  Result<std::unique_ptr<ReplicaHost>, Explained> open(const crypto::SecretKey& key,
                                                       const std::filesystem::path& folder_of_it,
                                                       pbft::StateMachine& machine) const {
    return ReplicaHost::open({.group = group,
                              .key = key,
                              .data = folder_of_it,
                              .listen = {},
                              .settings = {},
                              .connections_max = connections_max,
                              .on_event = {}},
                             machine);
  }
  void start(std::size_t i) {
    One& one = replicas[i];
    one.machine = std::make_unique<Counter>();
    auto host = open(one.key, data(i), *one.machine);
    ASSERT_TRUE(host) << host.error().text();
    one.host = std::move(*host);
    one.thread = std::thread([&one] { EXPECT_TRUE(one.host->run()); });
  }
  void stop(std::size_t i) {
    One& one = replicas[i];
    if (!one.host) return;
    one.host->stop();
    one.thread.join();
    one.host.reset();
  }
  ~Hosts() override {
    for (std::size_t i = 0; i < kReplicas; ++i) stop(i);
  }

  std::unique_ptr<ClientHost> client(std::size_t keys = 1) {
    ClientOptions options{.group = group, .keys = {}};
    for (std::size_t i = 0; i < keys; ++i) options.keys.push_back(crypto::SecretKey::generate());
    return ClientHost::open(std::move(options));
  }
  static std::string ask(ClientHost& client) {
    const Outcome outcome = client.wait(Buffer::copy_of(as_bytes("count")));
    EXPECT_EQ(outcome.status, Outcome::Status::kExecuted);
    return std::string(as_text(outcome.result.view()));
  }
  /// Asks the replica until it says so, a turn of its loop each time; the test's own time-out ends
  /// what never comes.
  void await(std::size_t i, const std::function<bool(const ReplicaStatus&)>& holds) {
    while (!holds(replicas[i].host->status())) {
    }
  }
};

TEST_F(Hosts, OperationsAreExecutedInOrder) {
  make();
  const auto one = client();
  for (int i = 1; i <= 30; ++i) EXPECT_EQ(ask(*one), std::to_string(i));
}

TEST_F(Hosts, WithSessionKeys_TheSame) {
  make(pbft::RequestAuthentication::kSessionKeys);
  const auto one = client();
  for (int i = 1; i <= 30; ++i) EXPECT_EQ(ask(*one), std::to_string(i));
}

TEST_F(Hosts, ManyInFlight_EachIsExecutedOnce) {
  make();
  const auto many = client(16);
  std::atomic<int> ended = 0;
  constexpr int kOperations = 200;
  for (int i = 0; i < kOperations; ++i) {
    many->submit(Buffer::copy_of(as_bytes("count")), [&](const Outcome& outcome) {
      EXPECT_EQ(outcome.status, Outcome::Status::kExecuted);
      ended.fetch_add(1);
      ended.notify_one();
    });
  }
  for (int seen = 0; seen < kOperations; seen = ended.load()) ended.wait(seen);
  EXPECT_EQ(ask(*many), std::to_string(kOperations + 1));
}

TEST_F(Hosts, PrimaryEnds_TheNextOneServes) {
  make();
  const auto one = client();
  EXPECT_EQ(ask(*one), "1");
  stop(0);
  for (int i = 2; i <= 5; ++i) EXPECT_EQ(ask(*one), std::to_string(i));
  EXPECT_GE(replicas[1].host->status().view.value, 1U);
}

TEST_F(Hosts, WhoComesBack_CatchesUpAndVotes) {
  make();
  const auto one = client();
  EXPECT_EQ(ask(*one), "1");
  stop(3);
  for (int i = 2; i <= 40; ++i) EXPECT_EQ(ask(*one), std::to_string(i));
  start(3);
  await(3, [](const ReplicaStatus& at) { return at.may_vote && at.executed >= 40; });
  stop(2);
  EXPECT_EQ(ask(*one), "41");
}

TEST_F(Hosts, WhoLostItsDisk_TakesTheStateOver) {
  make();
  const auto one = client();
  for (int i = 1; i <= 40; ++i) EXPECT_EQ(ask(*one), std::to_string(i));
  stop(3);
  std::filesystem::remove_all(data(3));
  start(3);
  await(3, [](const ReplicaStatus& at) { return at.executed >= 40; });
  EXPECT_EQ(ask(*one), "41");
}

TEST_F(Hosts, RecordsOfAnother_AreRefused) {
  make();
  stop(3);
  std::filesystem::remove_all(data(3));
  std::filesystem::rename(data(3).parent_path() / "2", data(3).parent_path() / "kept");
  stop(2);
  std::filesystem::copy(data(3).parent_path() / "kept", data(3),
                        std::filesystem::copy_options::recursive);
  Counter machine;
  const auto host = open(replicas[3].key, data(3), machine);
  ASSERT_FALSE(host);
  EXPECT_THAT(host.error().text(), HasSubstr("another's"));
}

TEST_F(Hosts, KeyOfNoMember_IsRefused) {
  make();
  Counter machine;
  const auto host = open(crypto::SecretKey::generate(), folder.path() / "stranger", machine);
  ASSERT_FALSE(host);
  EXPECT_THAT(host.error().text(), HasSubstr("no member"));
}

// ---- What strangers send ----

struct Strangers : Hosts {
  boost::asio::io_context io;
  crypto::SecretKey key = crypto::SecretKey::generate();
  net::TlsContext tls{key};

  /// Says hello, then sends a frame. Returns the verdict, and whether the connection was closed.
  struct Seen {
    std::optional<HelloVerdict> verdict;
    bool is_closed = false;
  };
  Seen talk(const Bytes& hello, const std::optional<Bytes>& then) {
    Seen seen;
    net::ConnectionPointer connection;
    net::dial(io, tls, group.seats[0]->address, replicas[0].key.public_key(), {},
              [&](Result<net::ConnectionPointer, net::CloseReason> dialed) {
                ASSERT_TRUE(dialed);
                connection = std::move(*dialed);
                connection->start({.on_frame =
                                       [&](const Bytes& header, const Buffer&) {
                                         seen.verdict = decode_verdict(header);
                                         if (then) {
                                           connection->send({}, Buffer(*then));
                                         } else {
                                           io.stop();
                                         }
                                       },
                                   .on_closed =
                                       [&](net::CloseReason) {
                                         seen.is_closed = true;
                                         io.stop();
                                       }});
                connection->send(hello, {});
              });
    io.run();
    io.restart();
    connection->close();
    io.poll();
    io.restart();
    return seen;
  }
  pbft::Message prepare_of_3(char digest) const {
    pbft::Vote vote{.kind = pbft::VoteKind::kPrepare,
                    .view = {},
                    .number = pbft::SequenceNumber(1),
                    .digest = {},
                    .replica = pbft::ReplicaId(3),
                    .counter = pbft::VoteCounter(static_cast<std::uint64_t>(digest)),
                    .signature = {}};
    vote.digest.bytes[0] = static_cast<std::uint8_t>(digest);
    vote.signature =
        crypto::ed25519().sign(replicas[3].key, pbft::Vote::kTag, vote.statement(group.instance()));
    return pbft::Ballot{vote};
  }
  Bytes hello(Role role) const {
    return Hello{.instance = group.instance(), .role = role}.encode();
  }
};

TEST_F(Strangers, AsReplica_AreRefused) {
  make();
  EXPECT_EQ(talk(hello(Role::kReplica), {}).verdict, HelloVerdict::kNoMember);
}

TEST_F(Strangers, OfAnotherGroup_AreRefused) {
  make();
  EXPECT_EQ(talk(Hello{}.encode(), {}).verdict, HelloVerdict::kOtherGroup);
}

TEST_F(Strangers, WithoutHello_AreClosed) {
  make();
  const Seen seen = talk(to_bytes(as_bytes("GET / HTTP/1.1")), {});
  EXPECT_FALSE(seen.verdict);
  EXPECT_TRUE(seen.is_closed);
}

TEST_F(Strangers, GarbageAsRequest_ClosesTheirConnectionAlone) {
  make();
  const auto one = client();
  EXPECT_EQ(ask(*one), "1");
  const Seen seen = talk(hello(Role::kClient), to_bytes(as_bytes("no request")));
  EXPECT_EQ(seen.verdict, HelloVerdict::kWelcome);
  EXPECT_TRUE(seen.is_closed);
  EXPECT_EQ(ask(*one), "2");
}

TEST_F(Strangers, ARequestWithAWrongSignature_ClosesItsConnection) {
  make();
  pbft::Request request = pbft::sign_request(group.instance(), crypto::ed25519(), key,
                                             pbft::RequestNumber(1), Buffer());
  request.signature.bytes[7] ^= 1;
  wire::Writer out;
  pbft::write(out, request);
  EXPECT_TRUE(talk(hello(Role::kClient), out.take()).is_closed);
}

/// Connects again and again and says nothing.
class SilentCrowd {
 public:
  SilentCrowd(std::string address, std::size_t size) : address_(std::move(address)), all_(size) {
    for (net::ConnectionPointer& one : all_) dial(one);
    thread_ = std::thread([this] { io_.run(); });
  }
  ~SilentCrowd() {
    io_.stop();
    thread_.join();
  }
  SilentCrowd(const SilentCrowd&) = delete;
  SilentCrowd& operator=(const SilentCrowd&) = delete;

 private:
  void dial(net::ConnectionPointer& one) {
    net::dial(io_, tls_, address_, {}, {},
              [this, &one](Result<net::ConnectionPointer, net::CloseReason> made) {
                if (!made) return dial(one);
                one = std::move(*made);
                one->start({.on_frame = [](const Bytes&, const Buffer&) {},
                            .on_closed = [this, &one](net::CloseReason) { dial(one); }});
              });
  }

  std::string address_;
  net::TlsContext tls_{crypto::SecretKey::generate()};
  boost::asio::io_context io_;
  std::vector<net::ConnectionPointer> all_;
  std::thread thread_;
};

TEST_F(Strangers, WhoSayNothing_KeepNoMemberOut) {
  connections_max = 16;
  make();
  await(3, [](const ReplicaStatus& at) { return at.members_reached == 3; });
  stop(3);
  const SilentCrowd crowd(group.seats[0]->address, 16);
  // Two members', and as many others as one address may have.
  await(0, [](const ReplicaStatus& at) { return at.connections >= 8; });
  start(3);
  await(3, [](const ReplicaStatus& at) { return at.members_reached == 3; });
}

TEST_F(Strangers, EvidenceWithoutItsFile_IsWrittenAtTheNextStart) {
  make();
  stop(3);
  // Its key in other hands.
  net::TlsContext members_tls(replicas[3].key);
  net::ConnectionPointer connection;
  net::dial(io, members_tls, group.seats[0]->address, replicas[0].key.public_key(), {},
            [&](Result<net::ConnectionPointer, net::CloseReason> dialed) {
              ASSERT_TRUE(dialed);
              connection = std::move(*dialed);
              connection->start({.on_frame =
                                     [&](const Bytes&, const Buffer&) {
                                       for (const char digest : {'a', 'b'}) {
                                         const auto vote = prepare_of_3(digest);
                                         connection->send({}, Buffer(pbft::encode(vote)));
                                       }
                                     },
                                 .on_closed = [](net::CloseReason) {}});
              connection->send(hello(Role::kReplica), {});
            });
  std::thread thread([&] { io.run(); });
  const auto file = data(0) / "evidence-3.txt";
  const auto is_there = [&](const ReplicaStatus&) { return std::filesystem::exists(file); };
  await(0, is_there);
  stop(0);
  thread.join();
  ASSERT_TRUE(std::filesystem::remove(file));
  start(0);
  await(0, is_there);
  const auto evidence = read_evidence(file);
  ASSERT_TRUE(evidence);
  EXPECT_TRUE(verify_evidence(*evidence, group));
}

TEST_F(Hosts, StatusAfterTheEnd_IsTheLast) {
  make();
  const auto one = client();
  EXPECT_EQ(ask(*one), "1");
  // Two others are enough for an answer.
  await(0, [](const ReplicaStatus& at) { return at.executed == 1; });
  replicas[0].host->stop();
  replicas[0].thread.join();
  EXPECT_EQ(replicas[0].host->status().executed, 1U);
  EXPECT_NE(replicas[0].host->port(), 0);
  replicas[0].host.reset();
}

TEST_F(Hosts, ClientThatEnds_EndsWhatIsUnderWay) {
  make();
  for (std::size_t i = 1; i < kReplicas; ++i) stop(i);
  auto one = client();
  std::optional<Outcome::Status> first;
  std::optional<Outcome::Status> second;
  one->submit(Buffer(), [&, host = one.get()](const Outcome& outcome) {
    first = outcome.status;
    // As a load would: the host is ending, so it ends at once.
    host->submit(Buffer(), [&](const Outcome& next) { second = next.status; });
  });
  one.reset();
  EXPECT_EQ(second, Outcome::Status::kUnknown);
  EXPECT_EQ(first, Outcome::Status::kUnknown);
}

TEST_F(Strangers, ReplicasMessageFromAClient_Closes) {
  make();
  EXPECT_TRUE(
      talk(hello(Role::kClient), pbft::encode(pbft::Message(pbft::FetchBatch{}))).is_closed);
}

// Its timer has to go off again and again, for each of its keys.
TEST(ClientHosts, ThatNobodyAnswers_GiveUpEachTime) {
  GroupFile group;
  std::vector<ReservedPort> ports(4);  // nobody listens
  for (std::size_t i = 0; i < ports.size(); ++i) {
    group.seats.push_back(Member{.name = "r" + std::to_string(i),
                                 .key = crypto::SecretKey::generate().public_key(),
                                 .address = ports[i].address()});
  }
  const auto client =
      ClientHost::open({.group = group,
                        .keys = {crypto::SecretKey::generate(), crypto::SecretKey::generate()},
                        .timeout = std::chrono::milliseconds(70),
                        .reply_timeout = std::chrono::milliseconds(20)});
  for (int i = 0; i < 3; ++i) {
    auto outcome = std::make_shared<std::promise<Outcome>>();
    auto seen = outcome->get_future();
    client->submit(Buffer(), [outcome](Outcome one) { outcome->set_value(std::move(one)); });
    ASSERT_EQ(seen.wait_for(std::chrono::seconds(60)), std::future_status::ready);
    EXPECT_NE(seen.get().status, Outcome::Status::kExecuted);
  }
}

}  // namespace
}  // namespace rosebud::replication
