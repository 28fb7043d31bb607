#include "net/tls_stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <boost/asio/error.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cstring>

#include "base/check.h"
#include "net/tls_internal.h"

namespace rosebud::net {
namespace {

namespace asio = boost::asio;

/// Two records. As much as small messages need, and what an idle connection costs.
constexpr std::size_t kReceivedBytesMin = 32U << 10;
/// What is encrypted before it is sent.
constexpr std::size_t kSentTogether = 256U << 10;
/// What reading may leave to be sent: an answer to a change of keys is some 30 bytes.
constexpr std::size_t kAnswersBytesMax = 64U << 10;

struct FreeSsl {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};

/// Bytes off the wire: [begin, end) of `bytes` came and were not yet decrypted.
struct Received {
  std::unique_ptr<std::uint8_t[]> bytes;
  std::size_t capacity = 0;
  std::size_t begin = 0;
  std::size_t end = 0;

  std::size_t size() const { return end - begin; }

  /// Room for about `wanted`, within bounds. Requires: nothing is here, as when OpenSSL asks for
  /// more (it takes parts of records too).
  std::span<std::uint8_t> room(std::size_t wanted) {
    CHECK(size() == 0);
    begin = end = 0;
    const std::size_t fitting = std::clamp(wanted, kReceivedBytesMin, TlsStream::kReceivedBytesMax);
    if (fitting > capacity || fitting < capacity / 4) resize(fitting);
    return {bytes.get(), capacity};
  }
  void resize(std::size_t to) {
    // Not zeroed: a page costs memory when bytes come for it.
    bytes = std::make_unique_for_overwrite<std::uint8_t[]>(to);
    capacity = to;
  }
};

/// What OpenSSL sees as its connection.
struct Wire {
  Received received;
  Bytes to_send;
};

int wire_write(BIO* bio, const char* data, int size) {
  auto& wire = *static_cast<Wire*>(BIO_get_data(bio));
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(data);
  wire.to_send.insert(wire.to_send.end(), bytes, bytes + size);
  BIO_clear_retry_flags(bio);
  return size;
}

int wire_read(BIO* bio, char* data, int size) {
  Received& received = static_cast<Wire*>(BIO_get_data(bio))->received;
  BIO_clear_retry_flags(bio);
  if (received.size() == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  const std::size_t part = std::min(received.size(), static_cast<std::size_t>(size));
  std::memcpy(data, received.bytes.get() + received.begin, part);
  received.begin += part;
  return static_cast<int>(part);
}

long wire_control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

const BIO_METHOD* wire_method() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "rosebud");
    CHECK(made != nullptr);
    CHECK(BIO_meth_set_write(made, &wire_write) == 1);
    CHECK(BIO_meth_set_read(made, &wire_read) == 1);
    CHECK(BIO_meth_set_ctrl(made, &wire_control) == 1);
    return made;  // for the life of the process
  }();
  return method;
}

auto into(boost::system::error_code& error) {
  return asio::redirect_error(asio::use_awaitable, error);
}

boost::system::error_code broken() { return asio::error::connection_reset; }

}  // namespace

struct TlsStream::State {
  State(asio::ip::tcp::socket with, SSL_CTX* context, TlsSide side)
      : socket(std::move(with)), ssl(SSL_new(context)) {
    CHECK(ssl != nullptr);
    BIO* bio = BIO_new(wire_method());
    CHECK(bio != nullptr);
    BIO_set_data(bio, &wire);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl.get(), bio, bio);  // owns it
    if (side == TlsSide::kServer) {
      SSL_set_accept_state(ssl.get());
    } else {
      SSL_set_connect_state(ssl.get());
    }
  }

  /// After a call that returned no success: true when more bytes from the wire would help.
  bool wants_more() const { return SSL_get_error(ssl.get(), 0) == SSL_ERROR_WANT_READ; }

  /// Waits for bytes of the wire. `wanted`: how many the caller can use.
  awaitable<error_code> receive(std::size_t wanted) {
    const auto room = wire.received.room(wanted);
    error_code error;
    wire.received.end =
        co_await socket.async_read_some(asio::buffer(room.data(), room.size()), into(error));
    co_return error;
  }

  awaitable<error_code> send() {
    error_code error;
    // What reading adds meanwhile must not move what is being sent.
    sending.swap(wire.to_send);
    wire.to_send.clear();
    co_await asio::async_write(socket, asio::buffer(sending), into(error));
    sending.clear();
    co_return error;
  }

  /// Memory of what was sent, when much of it is not needed soon.
  void release() {
    if (sending.capacity() > kAnswersBytesMax) Bytes().swap(sending);
    if (wire.to_send.capacity() > kAnswersBytesMax && wire.to_send.empty())
      Bytes().swap(wire.to_send);
  }

  /// Decrypts what is here.
  std::size_t take(std::span<std::uint8_t> into, error_code& error) {
    std::size_t taken = 0;
    ERR_clear_error();
    while (taken < into.size()) {
      std::size_t part = 0;
      if (SSL_read_ex(ssl.get(), into.data() + taken, into.size() - taken, &part) == 1) {
        taken += part;
        continue;
      }
      // What came before an end or a forgery is good; the next call meets it again.
      if (!wants_more() && taken == 0) error = broken();
      break;
    }
    if (wire.to_send.size() > kAnswersBytesMax + kSentTogether * 2) error = broken();
    return taken;
  }

  /// Encrypts as much of `bytes` as is sent together, and takes it off.
  bool put(ByteView& bytes) {
    const std::size_t room = kSentTogether - std::min(kSentTogether, wire.to_send.size());
    const ByteView part = bytes.first(std::min(bytes.size(), room));
    bytes = bytes.subspan(part.size());
    if (part.empty()) return true;
    // Once, instead of record by record: a record adds 22 bytes to 16 KiB.
    wire.to_send.reserve(wire.to_send.size() + part.size() + part.size() / 512 + 64);
    std::size_t written = 0;
    ERR_clear_error();
    const bool is_good =
        SSL_write_ex(ssl.get(), part.data(), part.size(), &written) == 1 && written == part.size();
    return is_good;
  }

  asio::ip::tcp::socket socket;
  Wire wire;
  Bytes sending;
  std::unique_ptr<SSL, FreeSsl> ssl;
};

TlsStream::TlsStream(asio::ip::tcp::socket socket, TlsContext& tls, TlsSide side)
    : state_(std::make_unique<State>(
          std::move(socket),
          (side == TlsSide::kServer ? tls.state().server : tls.state().client).native_handle(),
          side)) {}
TlsStream::~TlsStream() = default;
TlsStream::TlsStream(TlsStream&&) noexcept = default;

asio::ip::tcp::socket& TlsStream::socket() { return state_->socket; }
const asio::ip::tcp::socket& TlsStream::socket() const { return state_->socket; }
asio::any_io_executor TlsStream::executor() { return state_->socket.get_executor(); }
std::optional<crypto::PublicKey> TlsStream::peer_key() const {
  return net::peer_key(state_->ssl.get());
}

TlsStream::awaitable<TlsStream::error_code> TlsStream::handshake() {
  while (true) {
    ERR_clear_error();
    const bool is_done = SSL_do_handshake(state_->ssl.get()) == 1;
    const bool wants_more = is_done || state_->wants_more();
    // An alert that says what was wrong is sent too.
    if (!state_->wire.to_send.empty()) {
      if (const error_code error = co_await state_->send()) co_return error;
    }
    if (is_done) co_return error_code();
    if (!wants_more) co_return broken();
    if (const error_code error = co_await state_->receive(0)) co_return error;
  }
}

TlsStream::awaitable<std::size_t> TlsStream::read_some(std::span<std::uint8_t> into,
                                                       error_code& error) {
  while (true) {
    const std::size_t taken = state_->take(into, error);
    if (taken > 0 || error) co_return taken;
    error = co_await state_->receive(into.size());
    if (error) co_return 0;
  }
}

TlsStream::awaitable<std::size_t> TlsStream::read(std::span<std::uint8_t> into, error_code& error) {
  std::size_t taken = 0;
  while (taken < into.size() && !error) taken += co_await read_some(into.subspan(taken), error);
  co_return taken;
}

TlsStream::awaitable<TlsStream::error_code> TlsStream::write(ByteView first, ByteView second) {
  while (!first.empty() || !second.empty()) {
    // The second joins where the first left room.
    if (!state_->put(first)) co_return broken();
    if (first.empty() && !state_->put(second)) co_return broken();
    if (const error_code error = co_await state_->send()) co_return error;
  }
  state_->release();
  co_return error_code();
}

}  // namespace rosebud::net
