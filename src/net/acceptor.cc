#include "net/acceptor.h"

namespace rosebud::net {

using boost::asio::ip::tcp;
using boost::system::error_code;

Acceptor::Acceptor(boost::asio::io_context& io, std::function<void(Socket)> take)
    : acceptor_(io), retry_(io), take_(std::move(take)) {}

Acceptor::~Acceptor() {
  *is_closed_ = true;
  error_code ignored;
  acceptor_.close(ignored);
  retry_.cancel();
}

error_code Acceptor::open(const tcp::endpoint& endpoint, int backlog) {
  error_code error;
  if (acceptor_.open(endpoint.protocol(), error)) return error;
  if (acceptor_.set_option(tcp::acceptor::reuse_address(true), error)) return error;
  if (acceptor_.bind(endpoint, error)) return error;
  if (acceptor_.listen(backlog, error)) return error;
  port_ = acceptor_.local_endpoint(error).port();
  if (!error) accept_next();
  return error;
}

void Acceptor::accept_next() {
  acceptor_.async_accept([this, is_closed = is_closed_](const error_code& error, Socket socket) {
    if (*is_closed) return;
    if (error) {
      // Out of descriptors or the like: try again a little later instead of spinning.
      retry_.expires_after(std::chrono::milliseconds(100));
      retry_.async_wait([this, is_closed](const error_code& cancelled) {
        if (!cancelled && !*is_closed) accept_next();
      });
      return;
    }
    take_(std::move(socket));
    if (!*is_closed) accept_next();
  });
}

}  // namespace rosebud::net
