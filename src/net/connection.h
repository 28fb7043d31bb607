// One TLS connection that carries frames: header bytes with bulk bytes beside them
// (docs/format/wire.md).
//
//   frame:  header length (4, big-endian) ‖ bulk length (4) ‖ header ‖ bulk
//
// A length over its limit closes the connection before anything of that size is allocated, and a
// frame takes memory only as its bytes come. A frame that was begun must come to its end in time,
// so that a sender of one byte a second holds nothing for long; so must a frame that is sent, so
// that who does not read holds nothing for long either. Everything happens on the thread of the
// io_context; callbacks too.
#pragma once

#include <functional>
#include <memory>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "crypto/signature.h"
#include "net/tls.h"

namespace boost::asio {
class io_context;
}

namespace rosebud::net {

/// Of what comes in.
struct FrameLimits {
  std::size_t header_size_max = 8U << 20;
  std::size_t bulk_size_max = 2U << 20;
  /// Header and bulk of the first frame: a hello, from somebody who is nobody yet.
  std::size_t first_frame_size_max = 4U << 10;
  /// A frame has this long, and a second more for every `bytes_per_second_min` of it; in each
  /// direction.
  Duration frame_time = std::chrono::seconds(30);
  std::size_t bytes_per_second_min = 64U << 10;
  Duration handshake_time = std::chrono::seconds(5);
  /// Bytes that may wait to be sent. Beyond, send() refuses.
  std::size_t queue_bytes_max = 64U << 20;
  /// While more waits to be sent, nothing is read. Only for the side that answers: when both wait
  /// for each other nobody goes on.
  std::size_t unread_bytes_max = ~std::size_t{0};
};

enum class CloseReason : std::uint8_t {
  kLocal,      // close() was called
  kRemote,     // the other end closed, or the network did
  kOversize,   // a length over its limit
  kTooSlow,    // a frame or handshake did not come to its end in time
  kHandshake,  // TLS failed: no or a wrong certificate, not TLS 1.3, not TLS
  kWrongKey,   // the other end has another key than expected
  kUnreachable,
  kTooMany,  // every place is taken that it might have got, or a newer one took its place
};
std::string_view name_of(CloseReason reason);

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  struct Events {
    std::function<void(Bytes header, Buffer bulk)> on_frame;
    std::function<void(CloseReason)> on_closed;  // last call, once
  };
  virtual ~Connection() = default;

  /// The key that the other end proved to have.
  virtual const crypto::PublicKey& peer() const = 0;
  virtual std::string remote_address() const = 0;
  /// Begins reading. Call once.
  virtual void start(Events events) = 0;
  /// False: the queue is full or the connection closed; nothing was queued.
  virtual bool send(Bytes header, Buffer bulk) = 0;
  virtual std::size_t queued_bytes() const = 0;
  /// No frame is delivered after pause until resume: back-pressure reaches the sender through TCP.
  virtual void pause_reading() = 0;
  virtual void resume_reading() = 0;
  /// Of what comes in from the next frame on: when it is known who is at the other end.
  virtual void limit_frames(std::size_t header_size_max, std::size_t bulk_size_max) = 0;
  virtual void close() = 0;
};
using ConnectionPointer = std::shared_ptr<Connection>;

/// Accepts connections until destroyed. Who somebody is shows when the handshake is done: so
/// handshakes are bounded by themselves, and the places behind them go by the key.
class Listener {
 public:
  virtual ~Listener() = default;
  virtual std::uint16_t port() const = 0;
};

/// Some more than the one that is in use: who starts anew does not close the old one, and nobody
/// notices for hours that the other end has lost its power.
inline constexpr std::size_t kConnectionsPerMember = 4;

struct ListenerOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;  // 0: any free one
  /// Of those whose handshake is done.
  std::size_t connections_max = 4096;
  /// Of one IPv4 address, or one IPv6 network of 64 bits, without members'.
  std::size_t connections_per_address_max = 1024;
  /// Beside connections_max. Beyond, the oldest one of the address that has most of them gives way.
  std::size_t handshakes_max = 256;
  /// Whose connections get a place whatever strangers do. Of a key's own the newest
  /// kConnectionsPerMember are kept. Nothing: there are only strangers.
  std::function<bool(const crypto::PublicKey&)> is_member;
  /// Of connections_max, that strangers never get.
  std::size_t places_for_members = 0;
  /// Bytes of frames that are not whole yet, of all connections together. Beyond, connections wait
  /// with reading.
  std::size_t unfinished_bytes_max = 64U << 20;
};

/// `on_connection` gets each connection after its handshake; `on_refused` the address of those that
/// failed it, or for which there was no place.
Result<std::unique_ptr<Listener>, Explained> listen(
    boost::asio::io_context& io, TlsContext& tls, const ListenerOptions& options,
    const FrameLimits& limits, std::function<void(ConnectionPointer)> on_connection,
    std::function<void(std::string address, CloseReason)> on_refused);

/// Connects to `address` ("host:port") and checks that the other end has `expected`; nothing: any
/// key will do. `done` is called once.
void dial(boost::asio::io_context& io, TlsContext& tls, const std::string& address,
          const std::optional<crypto::PublicKey>& expected, const FrameLimits& limits,
          std::function<void(Result<ConnectionPointer, CloseReason>)> done);

/// "host:port" or "[v6]:port"; nothing for anything else.
std::optional<std::pair<std::string, std::uint16_t>> parse_address(std::string_view address);

}  // namespace rosebud::net
