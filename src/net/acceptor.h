// For the files of net/ alone: a listening socket that never gives up.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>

namespace rosebud::net {

class Acceptor {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  /// `take` gets every connection, on the thread of `io`, which must outlive it; none after the
  /// destructor.
  Acceptor(boost::asio::io_context& io, std::function<void(Socket)> take);
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  /// Begins to accept. Call once.
  boost::system::error_code open(const boost::asio::ip::tcp::endpoint& endpoint, int backlog);
  std::uint16_t port() const { return port_; }

 private:
  void accept_next();

  boost::asio::ip::tcp::acceptor acceptor_;
  boost::asio::steady_timer retry_;
  std::function<void(Socket)> take_;
  std::shared_ptr<bool> is_closed_ = std::make_shared<bool>(false);
  std::uint16_t port_ = 0;
};

}  // namespace rosebud::net
