// Frames over TLS on loopback, both ends in one thread: what a message costs without the rest.
#include <benchmark/benchmark.h>

#include <boost/asio/io_context.hpp>

#include "net/connection.h"

namespace rosebud::net {
namespace {

crypto::SecretKey key_of(std::uint8_t number) {
  FixedBytes<32, struct crypto::SeedTag> seed;
  seed.bytes.fill(number);
  return crypto::SecretKey::from_seed(seed);
}

/// Two ends of one connection.
class Pair {
 public:
  Pair() {
    auto listening =
        listen(io_, server_tls_, {}, {},
               [this](ConnectionPointer connection) {
                 server_ = std::move(connection);
                 server_->start(
                     {.on_frame = [this](Bytes, const Buffer&) { ++arrived_; }, .on_closed = {}});
               },
               {});
    if (!listening) std::abort();
    listener_ = std::move(*listening);
    connect();
  }

  /// Sends `count` frames of `size` bytes and runs until all have arrived.
  void send(std::size_t count, const Buffer& bulk) {
    const std::size_t goal = arrived_ + count;
    for (std::size_t i = 0; i < count; ++i) {
      if (!client_->send(Bytes(100), bulk)) std::abort();
    }
    while (arrived_ < goal) io_.run_one();
  }
  /// A connection more, from nothing to both handshakes done.
  void connect() {
    server_.reset();
    client_.reset();
    dial_client();
    while (!server_ || !client_) io_.run_one();
    send(1, Buffer());  // a first frame must be small
  }

 private:
  void dial_client() {
    dial(io_, client_tls_, "127.0.0.1:" + std::to_string(listener_->port()), key_of(1).public_key(),
         {}, [this](auto dialed) {
           if (!dialed) std::abort();
           client_ = std::move(*dialed);
           client_->start({.on_frame = [](Bytes, const Buffer&) {}, .on_closed = {}});
         });
  }

  boost::asio::io_context io_;
  TlsContext server_tls_{key_of(1)};
  TlsContext client_tls_{key_of(2)};
  std::unique_ptr<Listener> listener_;
  ConnectionPointer server_;
  ConnectionPointer client_;
  std::size_t arrived_ = 0;
};

/// range(0): bytes; range(1): frames under way together. Time is for one frame.
void frames(benchmark::State& state) {
  Pair pair;
  const auto size = static_cast<std::size_t>(state.range(0));
  const auto together = static_cast<std::size_t>(state.range(1));
  const Buffer bulk(Bytes(size, 7));
  while (state.KeepRunningBatch(state.range(1))) pair.send(together, bulk);
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(frames)->Args({1024, 1})->Args({1024, 16})->Args({65536, 1})->Args({1 << 20, 1});

void handshake(benchmark::State& state) {
  Pair pair;
  for (auto _ : state) pair.connect();
}
BENCHMARK(handshake);

}  // namespace
}  // namespace rosebud::net
