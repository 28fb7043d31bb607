#include "net/connection.h"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <charconv>
#include <deque>
#include <map>

#include "base/check.h"
#include "net/tls_internal.h"

namespace rosebud::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::size_t kLengthsSize = 8;
/// Frames up to this size are gathered into one write of about as much.
constexpr std::size_t kGatherBytes = 64U << 10;

std::uint32_t number_at(const std::uint8_t* bytes) {
  return (std::uint32_t{bytes[0]} << 24) | (std::uint32_t{bytes[1]} << 16) |
         (std::uint32_t{bytes[2]} << 8) | bytes[3];
}

void append_number(Bytes& out, std::size_t number) {
  for (int shift = 24; shift >= 0; shift -= 8)
    out.push_back(static_cast<std::uint8_t>(number >> shift));
}

auto into(error_code& error) { return asio::redirect_error(asio::use_awaitable, error); }

class TlsConnection final : public Connection {
 public:
  TlsConnection(TlsStream stream, const FrameLimits& limits)
      : stream_(std::move(stream)),
        limits_(limits),
        deadline_(stream_.get_executor()),
        writable_(stream_.get_executor()),
        readable_(stream_.get_executor()) {
    writable_.expires_at(asio::steady_timer::time_point::max());
    readable_.expires_at(asio::steady_timer::time_point::max());
  }

  /// TLS with a deadline. True when the other end showed a key.
  asio::awaitable<bool> handshake(asio::ssl::stream_base::handshake_type type) {
    auto self = shared();
    arm(limits_.handshake_time);
    error_code error;
    co_await stream_.async_handshake(type, into(error));
    disarm();
    if (error) co_return false;
    const auto key = peer_key(stream_);
    if (!key) co_return false;
    peer_ = *key;
    co_return true;
  }
  bool was_too_slow() const { return is_too_slow_; }

  const crypto::PublicKey& peer() const override { return peer_; }
  std::string remote_address() const override {
    error_code error;
    const auto endpoint = stream_.lowest_layer().remote_endpoint(error);
    return error ? "?" : endpoint.address().to_string() + ":" + std::to_string(endpoint.port());
  }

  void start(Events events) override {
    events_ = std::move(events);
    auto self = shared();
    asio::co_spawn(stream_.get_executor(), [self] { return self->read_frames(); }, asio::detached);
    asio::co_spawn(stream_.get_executor(), [self] { return self->write_frames(); }, asio::detached);
  }

  bool send(Bytes header, Buffer bulk) override {
    if (is_closed_) return false;
    const std::size_t size = kLengthsSize + header.size() + bulk.size();
    CHECK(header.size() <= limits_.header_size_max);
    CHECK(bulk.size() <= limits_.bulk_size_max);
    if (queued_bytes_ + size > limits_.queue_bytes_max) return false;
    queued_bytes_ += size;
    queue_.push_back({std::move(header), std::move(bulk)});
    writable_.cancel();
    return true;
  }
  std::size_t queued_bytes() const override { return queued_bytes_; }

  void pause_reading() override { is_paused_ = true; }
  void resume_reading() override {
    is_paused_ = false;
    readable_.cancel();
  }
  void close() override { end(CloseReason::kLocal); }

  void end(CloseReason reason) {
    if (is_closed_) return;
    is_closed_ = true;
    error_code ignored;
    stream_.lowest_layer().close(ignored);
    deadline_.cancel();
    writable_.cancel();
    readable_.cancel();
    // Not from within the caller's own call of close() or send().
    asio::post(stream_.get_executor(), [self = shared(), reason] {
      auto on_closed = std::move(self->events_.on_closed);
      self->events_ = {};
      if (on_closed) on_closed(reason);
    });
  }

 private:
  struct Outgoing {
    Bytes header;
    Buffer bulk;
  };

  std::shared_ptr<TlsConnection> shared() {
    return std::static_pointer_cast<TlsConnection>(shared_from_this());
  }

  void arm(Duration time) {
    deadline_.expires_after(time);
    deadline_.async_wait([weak = std::weak_ptr(shared())](const error_code& error) {
      const auto self = weak.lock();
      if (error || !self || self->is_closed_) return;
      self->is_too_slow_ = true;
      self->end(CloseReason::kTooSlow);
    });
  }
  void disarm() { deadline_.cancel(); }

  asio::awaitable<void> read_frames() {
    const auto self = shared();
    error_code error;
    while (!is_closed_) {
      while (is_paused_ && !is_closed_) co_await readable_.async_wait(into(error));
      if (is_closed_) co_return;
      std::uint8_t lengths[kLengthsSize];
      // The wait for a first byte may be long; from then on the frame is due.
      co_await asio::async_read(stream_, asio::buffer(lengths, 1), into(error));
      if (error) co_return end(CloseReason::kRemote);
      arm(limits_.frame_time);
      co_await asio::async_read(stream_, asio::buffer(lengths + 1, kLengthsSize - 1), into(error));
      if (error) co_return end(CloseReason::kRemote);
      const std::size_t header_size = number_at(lengths);
      const std::size_t bulk_size = number_at(lengths + 4);
      if (header_size > limits_.header_size_max || bulk_size > limits_.bulk_size_max) {
        co_return end(CloseReason::kOversize);
      }
      arm(limits_.frame_time +
          std::chrono::seconds((header_size + bulk_size) / limits_.bytes_per_second_min));
      Bytes header(header_size);
      Bytes bulk(bulk_size);
      co_await asio::async_read(stream_, asio::buffer(header), into(error));
      if (!error) co_await asio::async_read(stream_, asio::buffer(bulk), into(error));
      if (error) co_return end(CloseReason::kRemote);
      disarm();
      while (is_paused_ && !is_closed_) co_await readable_.async_wait(into(error));
      if (is_closed_) co_return;
      events_.on_frame(std::move(header), bulk.empty() ? Buffer() : Buffer(std::move(bulk)));
    }
  }

  asio::awaitable<void> write_frames() {
    const auto self = shared();
    error_code error;
    Bytes gathered;
    while (!is_closed_) {
      if (queue_.empty()) {
        co_await writable_.async_wait(into(error));
        continue;
      }
      gathered.clear();
      Buffer bulk;
      std::size_t sent = 0;
      // Small frames go out together; a large bulk ends the gathering and is written from where it
      // lies.
      while (!queue_.empty() && gathered.size() < kGatherBytes && bulk.empty()) {
        Outgoing frame = std::move(queue_.front());
        queue_.pop_front();
        append_number(gathered, frame.header.size());
        append_number(gathered, frame.bulk.size());
        gathered.insert(gathered.end(), frame.header.begin(), frame.header.end());
        sent += kLengthsSize + frame.header.size() + frame.bulk.size();
        if (frame.bulk.size() <= kGatherBytes / 4) {
          gathered.insert(gathered.end(), frame.bulk.data(), frame.bulk.data() + frame.bulk.size());
        } else {
          bulk = std::move(frame.bulk);
        }
      }
      co_await asio::async_write(stream_, asio::buffer(gathered), into(error));
      if (!error && !bulk.empty()) {
        co_await asio::async_write(stream_, asio::buffer(bulk.data(), bulk.size()), into(error));
      }
      queued_bytes_ -= sent;
      if (error) co_return end(CloseReason::kRemote);
    }
  }

  TlsStream stream_;
  FrameLimits limits_;
  asio::steady_timer deadline_;
  asio::steady_timer writable_;  // never expires: cancelled when there is something to write
  asio::steady_timer readable_;
  Events events_;
  crypto::PublicKey peer_;
  std::deque<Outgoing> queue_;
  std::size_t queued_bytes_ = 0;
  bool is_paused_ = false;
  bool is_closed_ = false;
  bool is_too_slow_ = false;
};

void prepare(tcp::socket& socket) {
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
}

/// What a listener and its handshakes share; they may outlive it by a moment.
struct ListenerState {
  std::map<std::string, std::size_t> connections_by_address;
  std::size_t connections = 0;
  bool is_closed = false;
};

/// Frees a connection's place when the last user of the connection lets go.
struct Place {
  std::shared_ptr<ListenerState> state;
  std::string address;
  Place(std::shared_ptr<ListenerState> of, std::string from)
      : state(std::move(of)), address(std::move(from)) {
    ++state->connections;
    ++state->connections_by_address[address];
  }
  ~Place() {
    --state->connections;
    if (--state->connections_by_address[address] == 0) state->connections_by_address.erase(address);
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
};

class TcpListener final : public Listener {
 public:
  TcpListener(asio::io_context& io, TlsContext& tls, const ListenerOptions& options,
              const FrameLimits& limits, std::function<void(ConnectionPointer)> on_connection,
              std::function<void(std::string, CloseReason)> on_refused)
      : io_(io),
        tls_(tls),
        options_(options),
        limits_(limits),
        acceptor_(io),
        retry_(io),
        on_connection_(std::move(on_connection)),
        on_refused_(std::move(on_refused)) {}
  ~TcpListener() override {
    state_->is_closed = true;
    error_code ignored;
    acceptor_.close(ignored);
    retry_.cancel();
  }

  error_code open() {
    error_code error;
    const auto address = asio::ip::make_address(options_.host, error);
    if (error) return error;
    const tcp::endpoint endpoint(address, options_.port);
    if (acceptor_.open(endpoint.protocol(), error)) return error;
    if (acceptor_.set_option(tcp::acceptor::reuse_address(true), error)) return error;
    if (acceptor_.bind(endpoint, error)) return error;
    if (acceptor_.listen(1024, error)) return error;
    port_ = acceptor_.local_endpoint(error).port();
    if (!error) accept_next();
    return error;
  }
  std::uint16_t port() const override { return port_; }

 private:
  void accept_next() {
    acceptor_.async_accept([this, state = state_](const error_code& error, tcp::socket socket) {
      if (state->is_closed) return;
      if (error) {
        // Out of descriptors or the like: try again a little later instead of spinning.
        retry_.expires_after(std::chrono::milliseconds(100));
        retry_.async_wait([this, state](const error_code& cancelled) {
          if (!cancelled && !state->is_closed) accept_next();
        });
        return;
      }
      take(std::move(socket));
      accept_next();
    });
  }

  void take(tcp::socket socket) {
    error_code error;
    const auto remote = socket.remote_endpoint(error);
    if (error) return;
    const std::string address = remote.address().to_string();
    const auto at = state_->connections_by_address.find(address);
    const std::size_t from_there = at == state_->connections_by_address.end() ? 0 : at->second;
    if (state_->connections >= options_.connections_max ||
        from_there >= options_.connections_per_address_max) {
      return;  // dropped: the socket closes here
    }
    prepare(socket);
    // The place lives in the deleter, so it is free exactly when the connection is gone.
    auto place = std::make_shared<Place>(state_, address);
    std::shared_ptr<TlsConnection> connection(
        new TlsConnection(TlsStream(std::move(socket), tls_.state().server), limits_),
        [place](TlsConnection* gone) { delete gone; });
    asio::co_spawn(
        io_,
        [connection, state = state_, done = on_connection_, refused = on_refused_,
         address]() -> asio::awaitable<void> {
          const bool is_good = co_await connection->handshake(asio::ssl::stream_base::server);
          if (state->is_closed) co_return;
          if (is_good) co_return done(connection);
          if (refused) {
            refused(address,
                    connection->was_too_slow() ? CloseReason::kTooSlow : CloseReason::kHandshake);
          }
        },
        asio::detached);
  }

  asio::io_context& io_;
  TlsContext& tls_;
  ListenerOptions options_;
  FrameLimits limits_;
  tcp::acceptor acceptor_;
  asio::steady_timer retry_;
  std::function<void(ConnectionPointer)> on_connection_;
  std::function<void(std::string, CloseReason)> on_refused_;
  std::shared_ptr<ListenerState> state_ = std::make_shared<ListenerState>();
  std::uint16_t port_ = 0;
};

using Dialed = Result<ConnectionPointer, CloseReason>;

asio::awaitable<Dialed> connect(asio::io_context& io, TlsContext& tls, std::string address,
                                crypto::PublicKey expected, FrameLimits limits) {
  const auto where = parse_address(address);
  if (!where) co_return fail(CloseReason::kUnreachable);
  error_code error;
  tcp::resolver resolver(io);
  const auto found =
      co_await resolver.async_resolve(where->first, std::to_string(where->second), into(error));
  if (error || found.empty()) co_return fail(CloseReason::kUnreachable);
  const auto socket = std::make_shared<tcp::socket>(io);
  // Connecting shares the handshake's time: a black hole answers neither.
  asio::steady_timer timer(io, limits.handshake_time);
  timer.async_wait([socket](const error_code& cancelled) {
    error_code ignored;
    if (!cancelled) socket->close(ignored);
  });
  co_await socket->async_connect(found.begin()->endpoint(), into(error));
  timer.cancel();
  if (error) co_return fail(CloseReason::kUnreachable);
  prepare(*socket);
  const auto connection =
      std::make_shared<TlsConnection>(TlsStream(std::move(*socket), tls.state().client), limits);
  if (!co_await connection->handshake(asio::ssl::stream_base::client)) {
    co_return fail(connection->was_too_slow() ? CloseReason::kTooSlow : CloseReason::kHandshake);
  }
  if (connection->peer() != expected) {
    connection->close();
    co_return fail(CloseReason::kWrongKey);
  }
  co_return connection;
}

}  // namespace

std::string_view name_of(CloseReason reason) {
  switch (reason) {
    case CloseReason::kLocal:
      return "local";
    case CloseReason::kRemote:
      return "remote";
    case CloseReason::kOversize:
      return "oversize";
    case CloseReason::kTooSlow:
      return "too_slow";
    case CloseReason::kHandshake:
      return "handshake";
    case CloseReason::kWrongKey:
      return "wrong_key";
    case CloseReason::kUnreachable:
      return "unreachable";
  }
  return "unknown";
}

Result<std::unique_ptr<Listener>, Explained> listen(
    asio::io_context& io, TlsContext& tls, const ListenerOptions& options,
    const FrameLimits& limits, std::function<void(ConnectionPointer)> on_connection,
    std::function<void(std::string, CloseReason)> on_refused) {
  auto listener = std::make_unique<TcpListener>(io, tls, options, limits, std::move(on_connection),
                                                std::move(on_refused));
  if (const error_code error = listener->open()) {
    const std::string where = options.host + ":" + std::to_string(options.port);
    return fail(Explained{
        .what = "cannot listen on " + where + ": " + error.message(),
        .cause = error == asio::error::address_in_use ? "another process uses this port" : "",
        .next = "choose another address in the node's configuration, or stop the other process"});
  }
  return listener;
}

void dial(asio::io_context& io, TlsContext& tls, const std::string& address,
          const crypto::PublicKey& expected, const FrameLimits& limits,
          std::function<void(Dialed)> done) {
  asio::co_spawn(io, connect(io, tls, address, expected, limits),
                 [done = std::move(done)](const std::exception_ptr& thrown, Dialed dialed) {
                   done(thrown ? Dialed(fail(CloseReason::kUnreachable)) : std::move(dialed));
                 });
}

std::optional<std::pair<std::string, std::uint16_t>> parse_address(std::string_view address) {
  const auto colon = address.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  std::string_view host = address.substr(0, colon);
  const std::string_view port_text = address.substr(colon + 1);
  if (host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return std::nullopt;
  }
  std::uint16_t port = 0;
  const auto [end, error] =
      std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (error != std::errc() || end != port_text.data() + port_text.size() || host.empty())
    return std::nullopt;
  return std::pair(std::string(host), port);
}

}  // namespace rosebud::net
