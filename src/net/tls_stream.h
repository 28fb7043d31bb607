// TLS over a socket with buffers of our own; for the files of net/ alone.
//
// OpenSSL reads from and writes to memory, and the socket moves as much as it can at once: 16
// records of TLS for a system call instead of one, which is most of what a large block costs.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <span>

#include "base/bytes.h"
#include "net/tls.h"

struct ssl_st;

namespace rosebud::net {

enum class TlsSide : std::uint8_t { kServer, kClient };

/// On one thread. At most one read and one write are under way. Everything waits until the socket
/// is closed; deadlines are the caller's.
class TlsStream {
 public:
  using error_code = boost::system::error_code;
  template <typename T>
  using awaitable = boost::asio::awaitable<T>;

  /// `tls` must outlive it.
  TlsStream(boost::asio::ip::tcp::socket socket, TlsContext& tls, TlsSide side);
  ~TlsStream();
  TlsStream(TlsStream&&) noexcept;

  awaitable<error_code> handshake();
  /// The key in the certificate of the other end; nothing before the handshake was completed.
  std::optional<crypto::PublicKey> peer_key() const;

  /// Waits for a first byte, then takes what has come, up to the size of `into`. Returns how much:
  /// 0 with an error alone, which may be that the other end closed.
  awaitable<std::size_t> read_some(std::span<std::uint8_t> into, error_code& error);
  /// All of `into`. Returns how much it was: less with an error alone.
  awaitable<std::size_t> read(std::span<std::uint8_t> into, error_code& error);
  /// One after the other, as if they were one.
  awaitable<error_code> write(ByteView first, ByteView second = {});

  boost::asio::ip::tcp::socket& socket();
  const boost::asio::ip::tcp::socket& socket() const;
  boost::asio::any_io_executor executor();

  /// What was received and not yet decrypted, at most: 16 records. Idle streams hold less.
  static constexpr std::size_t kReceivedBytesMax = 256U << 10;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace rosebud::net
