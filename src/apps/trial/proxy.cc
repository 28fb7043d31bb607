// A proxy that delays: between clients and a node, and between other nodes and it, since all of
// them dial the address that it listens on. It sees TLS only and changes no byte.
//
// Orders come on standard input, one a line; the end of the input ends the proxy:
//   delay TO FROM JITTER   milliseconds towards the node and back, and a random part more of each
//   stall                  nothing is passed on in either direction, connections stay open
//   pass                   neither of the two any more
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <deque>
#include <memory>
#include <sstream>

#include "apps/trial/commands.h"
#include "base/bytes.h"
#include "base/random.h"
#include "net/connection.h"

namespace rosebud::trial {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;
using Error = boost::system::error_code;

auto into(Error& error) { return asio::redirect_error(asio::use_awaitable, error); }

/// What the orders say now.
struct Weather {
  std::chrono::milliseconds to_node{};
  std::chrono::milliseconds from_node{};
  std::uint64_t jitter_ms = 0;
  bool is_stalled = false;
};

/// One direction of one connection: what was read waits until it is due.
struct Pipe {
  struct Piece {
    Clock::time_point due;
    Bytes bytes;
  };
  explicit Pipe(asio::io_context& io) : changed(io) {}

  std::deque<Piece> pieces;
  std::size_t bytes = 0;
  bool is_ended = false;
  asio::steady_timer changed;  // cancelled when a piece came or went
};

class Proxy {
 public:
  Proxy(asio::io_context& io, tcp::endpoint to, std::uint64_t seed)
      : io_(io), to_(std::move(to)), random_(seed), orders_(io) {}

  asio::awaitable<void> serve(tcp::acceptor acceptor) {
    while (true) {
      Error error;
      tcp::socket from = co_await acceptor.async_accept(into(error));
      if (error) continue;
      asio::co_spawn(io_, pass(std::make_shared<tcp::socket>(std::move(from))), asio::detached);
    }
  }

  asio::awaitable<void> obey() {
    orders_.assign(::dup(0));
    std::string text;
    while (true) {
      Error error;
      const std::size_t length =
          co_await asio::async_read_until(orders_, asio::dynamic_buffer(text), '\n', into(error));
      if (error) break;
      take_order(text.substr(0, length));
      text.erase(0, length);
    }
    io_.stop();
  }

 private:
  /// What waits in one direction of one connection, at most; then the sender waits.
  static constexpr std::size_t kPipeBytesMax = 4U << 20;
  static constexpr auto kStalledPoll = std::chrono::milliseconds(20);

  using Socket = std::shared_ptr<tcp::socket>;

  void take_order(const std::string& line) {
    std::istringstream words(line);
    std::string what;
    words >> what;
    weather_ = {};
    if (what == "stall") weather_.is_stalled = true;
    if (what != "delay") return;
    std::int64_t to_node = 0;
    std::int64_t from_node = 0;
    words >> to_node >> from_node >> weather_.jitter_ms;
    weather_.to_node = std::chrono::milliseconds(to_node);
    weather_.from_node = std::chrono::milliseconds(from_node);
  }

  asio::awaitable<void> pass(Socket from) {
    auto to = std::make_shared<tcp::socket>(io_);
    Error error;
    co_await to->async_connect(to_, into(error));
    if (error) co_return;  // the node is down; whoever dialled sees the connection close
    Error ignored;
    from->set_option(tcp::no_delay(true), ignored);
    to->set_option(tcp::no_delay(true), ignored);
    const auto there = std::make_shared<Pipe>(io_);
    const auto back = std::make_shared<Pipe>(io_);
    asio::co_spawn(io_, read(from, there, &Weather::to_node), asio::detached);
    asio::co_spawn(io_, write(to, there), asio::detached);
    asio::co_spawn(io_, read(to, back, &Weather::from_node), asio::detached);
    co_await write(from, back);
  }

  asio::awaitable<void> read(Socket socket, std::shared_ptr<Pipe> pipe,
                             std::chrono::milliseconds Weather::* delay) {
    Clock::time_point last_due;
    while (!pipe->is_ended) {
      Bytes bytes(64U << 10);
      Error error;
      bytes.resize(co_await socket->async_read_some(asio::buffer(bytes), into(error)));
      if (error) break;
      // In order, whatever the jitter: it is one stream.
      const auto jitter = std::chrono::milliseconds(random_.below(weather_.jitter_ms + 1));
      last_due = std::max(last_due, Clock::now() + weather_.*delay + jitter);
      pipe->bytes += bytes.size();
      pipe->pieces.push_back({last_due, std::move(bytes)});
      pipe->changed.cancel();
      while (pipe->bytes > kPipeBytesMax && !pipe->is_ended) co_await wait_for_change(*pipe);
    }
    pipe->is_ended = true;
    pipe->changed.cancel();
  }

  asio::awaitable<void> write(Socket socket, std::shared_ptr<Pipe> pipe) {
    while (true) {
      if (pipe->pieces.empty()) {
        if (pipe->is_ended) break;
        co_await wait_for_change(*pipe);
        continue;
      }
      const auto due = pipe->pieces.front().due;
      if (Clock::now() < due) {
        co_await wait_until(due);
      } else if (weather_.is_stalled) {
        co_await wait_until(Clock::now() + kStalledPoll);
      } else {
        const Bytes bytes = std::move(pipe->pieces.front().bytes);
        pipe->pieces.pop_front();
        pipe->bytes -= bytes.size();
        Error error;
        co_await asio::async_write(*socket, asio::buffer(bytes), into(error));
        pipe->changed.cancel();
        if (error) break;
      }
    }
    pipe->is_ended = true;
    pipe->changed.cancel();
    Error ignored;
    socket->shutdown(tcp::socket::shutdown_both, ignored);
  }

  static asio::awaitable<void> wait_for_change(Pipe& pipe) {
    Error ignored;  // being cancelled is the news
    pipe.changed.expires_at(Clock::time_point::max());
    co_await pipe.changed.async_wait(into(ignored));
  }

  asio::awaitable<void> wait_until(Clock::time_point due) {
    Error ignored;
    asio::steady_timer timer(io_, due);
    co_await timer.async_wait(into(ignored));
  }

  asio::io_context& io_;
  tcp::endpoint to_;
  Random random_;
  Weather weather_;
  asio::posix::stream_descriptor orders_;
};

Result<tcp::endpoint, Explained> endpoint_of(const std::string& text) {
  const auto where = net::parse_address(text);
  Error error;
  const auto address = asio::ip::make_address(where ? where->first : "", error);
  if (error) return fail(Explained{.what = "'" + text + "' is no ADDRESS:PORT"});
  return tcp::endpoint(address, where->second);
}

}  // namespace

Status<Explained> run_proxy(const ProxyOptions& options) {
  const auto listen = endpoint_of(options.listen);
  if (!listen) return fail(listen.error());
  const auto to = endpoint_of(options.to);
  if (!to) return fail(to.error());
  asio::io_context io;
  tcp::acceptor acceptor(io);
  Error error;
  acceptor.open(listen->protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(*listen, error);
  if (!error) acceptor.listen(tcp::acceptor::max_listen_connections, error);
  if (error) {
    return fail(Explained{.what = "cannot listen on " + options.listen + ": " + error.message(),
                          .cause = "the address is in use, or is not this machine's"});
  }
  Proxy proxy(io, *to, options.seed);
  asio::co_spawn(io, proxy.serve(std::move(acceptor)), asio::detached);
  asio::co_spawn(io, proxy.obey(), asio::detached);
  io.run();
  return {};
}

}  // namespace rosebud::trial
