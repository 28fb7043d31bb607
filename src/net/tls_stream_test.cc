// The stream against Asio's own, an independent user of the same library.
#include "net/tls_stream.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>

#include "base/random.h"
#include "net/tls_internal.h"

namespace rosebud::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

crypto::SecretKey key_of(std::uint8_t number) {
  FixedBytes<32, struct crypto::SeedTag> seed;
  seed.bytes.fill(number);
  return crypto::SecretKey::from_seed(seed);
}

Bytes random_bytes(std::uint64_t seed, std::size_t size) {
  Random random(seed);
  Bytes out(size);
  for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(random.below(256));
  return out;
}

class TlsStreamTest : public testing::Test {
 protected:
  TlsStreamTest() {
    acceptor.open(tcp::v4());
    acceptor.bind({asio::ip::address_v4::loopback(), 0});
    acceptor.listen();
    // Little in flight at a time: writes end in the middle of records.
    other.next_layer().connect(acceptor.local_endpoint());
    other.next_layer().set_option(asio::socket_base::receive_buffer_size(65'536));
    ours.emplace(acceptor.accept(), server_tls, TlsSide::kServer);
    ours->socket().set_option(asio::socket_base::send_buffer_size(65'536));
  }
  void shake_hands() {
    std::optional<error_code> here;
    std::optional<error_code> there;
    other.async_handshake(asio::ssl::stream_base::client, [&](error_code error) { there = error; });
    spawn([&]() -> asio::awaitable<void> { here = co_await ours->handshake(); });
    io.run();
    io.restart();
    ASSERT_TRUE(here && !*here && there && !*there);
  }
  /// Requires: `what` outlives the loop's run.
  template <typename Function>
  void spawn(Function what) {
    kept.push_back(std::make_shared<Function>(std::move(what)));
    auto& function = *static_cast<Function*>(kept.back().get());
    asio::co_spawn(io, [&function] { return function(); }, asio::detached);
  }

  asio::io_context io;
  TlsContext server_tls{key_of(1)};
  TlsContext client_tls{key_of(2)};
  tcp::acceptor acceptor{io};
  asio::ssl::stream<tcp::socket> other{io, client_tls.state().client};
  std::optional<TlsStream> ours;
  std::vector<std::shared_ptr<void>> kept;
};

TEST_F(TlsStreamTest, TheOtherEndIsKnownAfterTheHandshake) {
  EXPECT_FALSE(ours->peer_key());
  shake_hands();
  EXPECT_EQ(ours->peer_key(), key_of(2).public_key());
}

TEST_F(TlsStreamTest, EveryByteInOrder_BothWaysAtOnce) {
  shake_hands();
  const Bytes out = random_bytes(1, 1'500'000);
  const Bytes in = random_bytes(2, 1'500'000);
  Bytes out_there(out.size());
  Bytes in_here(in.size());
  // Sizes around those of records and of what is sent together.
  const std::size_t sizes[] = {1, 100, 16'383, 16'384, 16'385, 262'143, 262'144, 262'145, 300'000};
  spawn([&]() -> asio::awaitable<void> {
    ByteView left = out;
    for (std::size_t i = 0; !left.empty(); ++i) {
      const ByteView first = left.first(std::min(left.size(), sizes[i % 9]));
      left = left.subspan(first.size());
      const ByteView second = left.first(std::min(left.size(), sizes[i / 2 % 9]));
      left = left.subspan(second.size());
      EXPECT_FALSE(co_await ours->write(first, second));
    }
  });
  spawn([&]() -> asio::awaitable<void> {
    error_code error;
    std::size_t at = 0;
    for (std::size_t i = 0; at < in_here.size(); ++i) {
      const std::size_t size = std::min(sizes[i % 9], in_here.size() - at);
      at += co_await ours->read(std::span(in_here).subspan(at, size), error);
      EXPECT_FALSE(error);
      if (error) co_return;
    }
  });
  int done = 0;
  asio::async_write(other, asio::buffer(in), [&](error_code error, std::size_t) {
    EXPECT_FALSE(error);
    ++done;
  });
  asio::async_read(other, asio::buffer(out_there), [&](error_code error, std::size_t) {
    EXPECT_FALSE(error);
    ++done;
  });
  io.run();
  EXPECT_EQ(done, 2);
  EXPECT_TRUE(out == out_there);
  EXPECT_TRUE(in == in_here);
}

TEST_F(TlsStreamTest, ForgedBytesEndIt_AfterWhatWasGood) {
  shake_hands();
  const Bytes good = random_bytes(3, 1000);
  asio::write(other, asio::buffer(good));
  const Bytes forged = {23, 3,  3,  0,  30, 1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13,
                        14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30};
  asio::write(other.next_layer(), asio::buffer(forged));
  Bytes here(5000);
  error_code first;
  error_code second;
  std::size_t taken = 0;
  spawn([&]() -> asio::awaitable<void> {
    taken = co_await ours->read_some(here, first);
    EXPECT_EQ(co_await ours->read_some(here, second), 0U);
  });
  io.run();
  EXPECT_EQ(taken, good.size());
  EXPECT_FALSE(first);
  EXPECT_TRUE(second);
}

TEST_F(TlsStreamTest, AnEndInTheMiddleIsAnError) {
  shake_hands();
  asio::write(other, asio::buffer(random_bytes(4, 1000)));
  other.next_layer().close();
  Bytes here(5000);
  error_code error;
  std::size_t taken = 0;
  spawn([&]() -> asio::awaitable<void> { taken = co_await ours->read(here, error); });
  io.run();
  EXPECT_EQ(taken, 1000U);
  EXPECT_TRUE(error);
}

}  // namespace
}  // namespace rosebud::net
