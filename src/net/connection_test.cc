// Connections over loopback, in one thread: what a peer may send, hold and refuse to take.
#include "net/connection.h"

#include <gtest/gtest.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <set>

#include "net/tls_internal.h"

namespace rosebud::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::milliseconds;

crypto::SecretKey key_of(std::uint8_t number) {
  FixedBytes<32, struct crypto::SeedTag> seed;
  seed.bytes.fill(number);
  return crypto::SecretKey::from_seed(seed);
}

Bytes lengths(std::uint32_t header, std::uint32_t bulk) {
  Bytes out;
  for (const std::uint32_t number : {header, bulk}) {
    for (int shift = 24; shift >= 0; shift -= 8)
      out.push_back(static_cast<std::uint8_t>(number >> shift));
  }
  return out;
}

/// A side that does with the bytes of a connection what it likes.
struct Raw {
  Raw(asio::io_context& io, TlsContext& tls) : stream(io, tls.state().client) {}
  asio::ssl::stream<tcp::socket> stream;
  bool is_up = false;
  std::size_t sent = 0;
  std::optional<error_code> ended;  // of the last write or read
  std::vector<std::uint8_t> received = std::vector<std::uint8_t>(64U << 10);
  Bytes waiting;  // to be sent after what is being sent
  Bytes sending;

  void send(const Bytes& bytes) {
    waiting.insert(waiting.end(), bytes.begin(), bytes.end());
    if (sending.empty()) send_waiting();
  }
  void send_waiting() {
    sending = std::exchange(waiting, {});
    if (sending.empty()) return;
    asio::async_write(stream, asio::buffer(sending), [this](error_code error, std::size_t size) {
      sent += size;
      sending.clear();
      if (error) ended = error;
      if (!error) send_waiting();
    });
  }
  void watch() {
    stream.async_read_some(asio::buffer(received), [this](error_code error, std::size_t) {
      if (error) ended = error;
      if (!error) watch();
    });
  }
};

class ConnectionTest : public testing::Test {
 protected:
  struct Side {
    ConnectionPointer connection;
    std::vector<std::pair<Bytes, Bytes>> frames;
    std::optional<CloseReason> closed;
  };

  /// Runs the loop until it is so. The limit is for a loop that would wait for ever.
  template <typename Predicate>
  void run_until(Predicate is_so) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!is_so()) {
      ASSERT_LT(std::chrono::steady_clock::now(), end) << "it never came";
      io.restart();
      io.run_one_for(milliseconds(100));
    }
  }

  void listen_with(ListenerOptions options = {}) {
    auto made = listen(
        io, server_tls, options, limits,
        [this](ConnectionPointer connection) {
          Side& side = *accepted.emplace_back(std::make_unique<Side>());
          side.connection = connection;
          if (is_starting) start(side);
        },
        [this](const std::string& from, CloseReason reason) {
          refused.push_back(reason);
          refused_from.push_back(from);
        });
    ASSERT_TRUE(made.has_value()) << made.error().text();
    listener = std::move(*made);
  }
  static void start(Side& side) {
    side.connection->start({.on_frame =
                                [&side](Bytes header, const Buffer& bulk) {
                                  side.frames.emplace_back(std::move(header),
                                                           to_bytes(bulk.view()));
                                },
                            .on_closed = [&side](CloseReason reason) { side.closed = reason; }});
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(listener->port()); }

  Result<ConnectionPointer, CloseReason> dialed(const std::string& to,
                                                const crypto::PublicKey& key) {
    std::optional<Result<ConnectionPointer, CloseReason>> out;
    dial(io, client_tls, to, key, limits, [&](auto result) { out = std::move(result); });
    run_until([&] { return out.has_value(); });
    return std::move(*out);
  }
  /// A dialled side and the accepted one.
  void connect_both() {
    auto made = dialed(address(), key_of(1).public_key());
    ASSERT_TRUE(made.has_value());
    client.connection = *made;
    start(client);
    run_until([&] { return accepted.size() == 1; });
  }
  std::unique_ptr<Raw> raw() { return raw(client_tls); }
  std::unique_ptr<Raw> raw(TlsContext& tls) {
    auto out = std::make_unique<Raw>(io, tls);
    out->stream.lowest_layer().connect({asio::ip::address_v4::loopback(), listener->port()});
    out->stream.async_handshake(asio::ssl::stream_base::client, [at = out.get()](error_code error) {
      at->is_up = !error;
      if (error) at->ended = error;
    });
    return out;
  }
  std::unique_ptr<Raw> raw_up() { return up(raw()); }
  std::unique_ptr<Raw> up(std::unique_ptr<Raw> out) {
    const std::size_t before = accepted.size();
    run_until([&] { return out->is_up && accepted.size() > before; });
    return out;
  }

  asio::io_context io;
  TlsContext server_tls{key_of(1)};
  TlsContext client_tls{key_of(2)};
  FrameLimits limits;
  std::unique_ptr<Listener> listener;
  std::vector<std::unique_ptr<Side>> accepted;
  std::vector<CloseReason> refused;
  std::vector<std::string> refused_from;
  Side client;
  bool is_starting = true;
};

TEST_F(ConnectionTest, FramesComeWholeAndInOrder) {
  listen_with();
  connect_both();
  EXPECT_EQ(accepted[0]->connection->peer(), key_of(2).public_key());
  std::vector<std::pair<Bytes, Bytes>> sent = {{Bytes{1}, {}}};
  for (std::size_t i = 1; i < 40; ++i) sent.emplace_back(Bytes(i * 37, 1), Bytes(i * 5003, 2));
  sent.emplace_back(Bytes(100'000, 3), Bytes(2U << 20, 4));
  for (const auto& [header, bulk] : sent)
    ASSERT_TRUE(client.connection->send(header, Buffer(Bytes(bulk))));
  run_until([&] { return accepted[0]->frames.size() == sent.size(); });
  EXPECT_EQ(accepted[0]->frames, sent);
  ASSERT_TRUE(accepted[0]->connection->send({9}, {}));
  run_until([&] { return client.frames.size() == 1; });
  client.connection->close();
  run_until([&] { return client.closed && accepted[0]->closed; });
  EXPECT_EQ(client.closed, CloseReason::kLocal);
  EXPECT_EQ(accepted[0]->closed, CloseReason::kRemote);
  EXPECT_FALSE(client.connection->send({1}, {}));
}

TEST_F(ConnectionTest, AnotherKeyAtTheAddress_IsToldApartFromNobody) {
  listen_with();
  EXPECT_EQ(dialed(address(), key_of(3).public_key()).error(), CloseReason::kWrongKey);
  const std::string where = address();
  listener.reset();
  EXPECT_EQ(dialed(where, key_of(1).public_key()).error(), CloseReason::kUnreachable);
  EXPECT_EQ(dialed("no address", key_of(1).public_key()).error(), CloseReason::kUnreachable);
}

TEST_F(ConnectionTest, WhoSpeaksNoTls_IsRefused) {
  listen_with();
  tcp::socket socket(io);
  socket.connect({asio::ip::address_v4::loopback(), listener->port()});
  asio::write(socket, asio::buffer("GET / HTTP/1.1\r\n\r\n"));
  run_until([&] { return refused.size() == 1; });
  EXPECT_EQ(refused[0], CloseReason::kHandshake);
}

TEST_F(ConnectionTest, SilenceInTheHandshake_EndsInTime) {
  limits.handshake_time = milliseconds(30);
  listen_with();
  tcp::socket socket(io);
  socket.connect({asio::ip::address_v4::loopback(), listener->port()});
  run_until([&] { return refused.size() == 1; });
  EXPECT_EQ(refused[0], CloseReason::kTooSlow);
  // And from the other side: somebody accepts and says nothing.
  tcp::acceptor silent(io, {asio::ip::address_v4::loopback(), 0});
  const auto made =
      dialed("127.0.0.1:" + std::to_string(silent.local_endpoint().port()), key_of(1).public_key());
  EXPECT_EQ(made.error(), CloseReason::kTooSlow);
}

TEST_F(ConnectionTest, LengthOverItsLimit_Closes) {
  limits.header_size_max = 1000;
  limits.bulk_size_max = 2000;
  listen_with();
  for (const auto& [header, bulk] : {std::pair{1001U, 0U}, {1U, 2001U}, {~0U, ~0U}}) {
    const auto peer = raw_up();
    peer->send(lengths(header, bulk));
    run_until([&] { return accepted.back()->closed.has_value(); });
    EXPECT_EQ(accepted.back()->closed, CloseReason::kOversize) << header << " " << bulk;
  }
}

// What a node answers to others is longer than what it takes from them.
TEST_F(ConnectionTest, LimitsOfWhatComesIn_DoNotBindWhatIsSent) {
  limits.header_size_max = 1000;
  listen_with();
  limits = {};
  connect_both();
  ASSERT_TRUE(client.connection->send({1}, {}));
  run_until([&] { return accepted[0]->frames.size() == 1; });
  ASSERT_TRUE(accepted[0]->connection->send({2}, {}));
  ASSERT_TRUE(accepted[0]->connection->send(Bytes(5000, 3), {}));
  run_until([&] { return client.frames.size() == 2; });
  EXPECT_EQ(client.frames[1].first, Bytes(5000, 3));
}

// Before anybody said who they are, they get no more room than a hello needs.
TEST_F(ConnectionTest, FirstFrameIsSmall_LaterOnesAreNot) {
  listen_with();
  const auto peer = raw_up();
  peer->send(lengths(4097, 0));
  run_until([&] { return accepted.back()->closed.has_value(); });
  EXPECT_EQ(accepted.back()->closed, CloseReason::kOversize);
  const auto other = raw_up();
  other->send(lengths(4096, 0));
  other->send(Bytes(4096, 1));
  run_until([&] { return accepted.back()->frames.size() == 1; });
}

TEST_F(ConnectionTest, LargeFrameAfterTheFirst_IsTaken) {
  listen_with();
  const auto peer = raw_up();
  Bytes bytes = lengths(1, 0);
  bytes.push_back(1);
  const Bytes second = lengths(0, 300'000);
  bytes.insert(bytes.end(), second.begin(), second.end());
  bytes.resize(bytes.size() + 300'000, 7);
  peer->send(bytes);
  run_until([&] { return accepted.back()->frames.size() == 2; });
  EXPECT_EQ(accepted.back()->frames[1].second, Bytes(300'000, 7));
}

TEST_F(ConnectionTest, HalfAFrame_EndsInTime) {
  limits.frame_time = milliseconds(30);
  listen_with();
  Bytes half = lengths(100, 0);
  half.push_back(1);
  for (const Bytes& bytes : {Bytes{0}, lengths(100, 0), half}) {
    const auto peer = raw_up();
    peer->send(bytes);
    run_until([&] { return accepted.back()->closed.has_value(); });
    EXPECT_EQ(accepted.back()->closed, CloseReason::kTooSlow) << bytes.size();
  }
}

TEST_F(ConnectionTest, PeerThatDoesNotRead_IsClosedAndItsQueueBounded) {
  limits.frame_time = milliseconds(200);
  limits.bytes_per_second_min = 1U << 30;
  limits.queue_bytes_max = 32U << 20;
  listen_with();
  const auto peer = raw_up();
  const Buffer bulk(Bytes(1U << 20, 1));
  std::size_t taken = 0;
  while (accepted[0]->connection->send({1}, bulk)) ++taken;
  EXPECT_EQ(taken, 31U);  // 32 of them and their headers are more than the limit
  run_until([&] { return accepted[0]->closed.has_value(); });
  EXPECT_EQ(accepted[0]->closed, CloseReason::kTooSlow);
}

TEST_F(ConnectionTest, WhileAnswersWait_NothingIsRead) {
  limits.unread_bytes_max = 1U << 20;
  listen_with();
  const auto peer = raw_up();
  // More than the buffers of two sockets take.
  for (int i = 0; i < 24; ++i)
    ASSERT_TRUE(accepted[0]->connection->send({1}, Buffer(Bytes(2U << 20, 1))));
  peer->send(lengths(0, 0));
  peer->send(lengths(0, 0));
  run_until([&] { return peer->sent >= 16; });
  for (int i = 0; i < 100; ++i) io.poll();
  // The first byte was waited for before anything was sent.
  EXPECT_LE(accepted[0]->frames.size(), 1U);
  peer->watch();
  run_until([&] { return accepted[0]->frames.size() == 2; });
}

TEST_F(ConnectionTest, PausedReader_GetsItsFramesOnResume) {
  listen_with();
  connect_both();
  accepted[0]->connection->pause_reading();
  ASSERT_TRUE(client.connection->send({1}, {}));
  ASSERT_TRUE(client.connection->send({2}, {}));
  run_until([&] { return client.connection->queued_bytes() == 0; });
  for (int i = 0; i < 100; ++i) io.poll();
  EXPECT_TRUE(accepted[0]->frames.empty());
  accepted[0]->connection->resume_reading();
  run_until([&] { return accepted[0]->frames.size() == 2; });
}

TEST_F(ConnectionTest, PlacesAreBoundedAndGivenBack) {
  listen_with({.connections_per_address_max = 2});
  const auto first = raw_up();
  auto second = raw_up();
  const auto third = raw();
  run_until([&] { return refused.size() == 1; });
  EXPECT_EQ(refused[0], CloseReason::kTooMany);
  second.reset();
  run_until([&] { return accepted[1]->closed.has_value(); });
  accepted[1]->connection.reset();
  for (int i = 0; i < 10; ++i) io.poll();
  const auto fourth = raw_up();
  EXPECT_EQ(refused.size(), 1U);
}

struct Handshakes : ConnectionTest {
  std::vector<tcp::socket> silent;

  /// Connects from 127.0.0.`host` and says nothing.
  void be_silent(std::uint8_t host) {
    tcp::socket& socket = silent.emplace_back(io);
    socket.open(tcp::v4());
    socket.bind({asio::ip::address_v4({127, 0, 0, host}), 0});
    socket.connect({asio::ip::address_v4::loopback(), listener->port()});
  }
};

TEST_F(Handshakes, ManyThatDoNotEnd_TakeNoPlaceOfOthers) {
  listen_with({.connections_max = 1, .handshakes_max = 3});
  for (int i = 0; i < 8; ++i) be_silent(2);
  connect_both();
  EXPECT_GE(refused.size(), 5U);
  EXPECT_EQ(std::set(refused.begin(), refused.end()), std::set{CloseReason::kTooMany});
}

TEST_F(Handshakes, TheAddressWithMostOfThem_GivesWayFirst) {
  listen_with({.handshakes_max = 3});
  be_silent(3);
  for (int i = 0; i < 8; ++i) be_silent(2);
  run_until([&] { return refused.size() == 6; });
  EXPECT_EQ(std::set(refused_from.begin(), refused_from.end()), std::set<std::string>{"127.0.0.2"});
}

struct Members : ConnectionTest {
  TlsContext strangers_tls{key_of(5)};

  ListenerOptions options() {
    return {.connections_max = 6,
            .is_member = [](const crypto::PublicKey& key) { return key == key_of(2).public_key(); },
            .places_for_members = 4};
  }
};

TEST_F(Members, StrangersWhoSayNothing_TakeNoneOfTheirPlaces) {
  listen_with(options());
  const auto first = up(raw(strangers_tls));
  const auto second = up(raw(strangers_tls));
  const auto third = raw(strangers_tls);
  run_until([&] { return refused.size() == 1; });
  EXPECT_EQ(refused[0], CloseReason::kTooMany);
  const auto member = raw_up();
  EXPECT_EQ(accepted.back()->connection->peer(), key_of(2).public_key());
  EXPECT_FALSE(accepted[0]->closed || accepted[1]->closed);
}

TEST_F(Members, AtAnAddressThatIsFull_AreTaken) {
  ListenerOptions full = options();
  full.connections_per_address_max = 1;
  listen_with(full);
  const auto stranger = up(raw(strangers_tls));
  const auto member = raw_up();
  EXPECT_TRUE(refused.empty());
}

TEST_F(Members, OneOfThem_KeepsItsNewestConnections) {
  listen_with(options());
  std::vector<std::unique_ptr<Raw>> all;
  for (std::size_t i = 0; i < kConnectionsPerMember + 2; ++i) all.push_back(raw_up());
  run_until([&] { return accepted[0]->closed && accepted[1]->closed; });
  EXPECT_EQ(accepted[0]->closed, CloseReason::kTooMany);
  for (std::size_t i = 2; i < accepted.size(); ++i) EXPECT_FALSE(accepted[i]->closed) << i;
  // Nor does it take a place of others.
  accepted[0]->connection.reset();
  accepted[1]->connection.reset();
  const auto stranger = up(raw(strangers_tls));
  EXPECT_TRUE(refused.empty());
}

// Frames that are begun hold a bounded room together; whose bytes do not come loses it to others.
TEST_F(ConnectionTest, UnfinishedFrames_ShareABoundedRoom) {
  limits.bytes_per_second_min = 1U << 20;
  listen_with({.unfinished_bytes_max = 1U << 20});
  const auto hello = [](Raw& peer) {
    peer.send(lengths(1, 0));
    peer.send({1});
  };
  const auto slow = raw_up();
  hello(*slow);
  slow->send(lengths(0, 1U << 20));
  run_until([&] { return accepted[0]->frames.size() == 1; });
  for (int i = 0; i < 100; ++i) io.poll();
  const auto good = raw_up();
  hello(*good);
  good->send(lengths(0, 1U << 20));
  good->send(Bytes(1U << 20, 1));
  run_until([&] { return accepted[1]->frames.size() == 2; });
  EXPECT_EQ(accepted[0]->closed, CloseReason::kTooSlow);
  EXPECT_FALSE(accepted[1]->closed.has_value());
}

TEST_F(ConnectionTest, EndOfTheListenerAmidHandshakes_IsHarmless) {
  listen_with();
  const auto peer = raw();
  for (int i = 0; i < 3; ++i) io.poll_one();
  listener.reset();
  run_until([&] { return peer->is_up || peer->ended; });
  for (int i = 0; i < 100; ++i) io.poll();
  EXPECT_TRUE(accepted.empty());
}

TEST(Address, PartsOrNothing) {
  using Parts = std::pair<std::string, std::uint16_t>;
  EXPECT_EQ(parse_address("host:7000"), Parts("host", 7000));
  EXPECT_EQ(parse_address("[::1]:7000"), Parts("::1", 7000));
  for (const char* wrong : {"", ":", "host", "host:", ":1", "host:65536", "host:-1", "host:1x",
                            "::1:7000", "[]:1", "host: 1"}) {
    EXPECT_FALSE(parse_address(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace rosebud::net
