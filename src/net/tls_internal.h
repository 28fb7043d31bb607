// For the files of net/ alone: Asio and OpenSSL are heavy.
#pragma once

#include <boost/asio/ssl/context.hpp>

#include "net/tls.h"

namespace rosebud::net {

struct TlsContext::State {
  boost::asio::ssl::context server{boost::asio::ssl::context::tlsv13_server};
  boost::asio::ssl::context client{boost::asio::ssl::context::tlsv13_client};
};

/// The key in the certificate of the other end; nothing before the handshake was completed.
std::optional<crypto::PublicKey> peer_key(const SSL* ssl);

}  // namespace rosebud::net
