#include "net/admin_http.h"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include "net/acceptor.h"

namespace rosebud::net {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::size_t kRequestSizeMax = 16U << 10;
constexpr std::size_t kConnectionsMax = 32;
constexpr auto kRequestTime = std::chrono::seconds(10);

using Handler = std::function<HttpResponse(const HttpRequest&)>;

bool is_loopback_host(std::string_view host) {
  const auto colon = host.rfind(':');
  const bool has_port = colon != std::string_view::npos && host.back() != ']';
  if (has_port) host = host.substr(0, colon);
  return host == "127.0.0.1" || host == "localhost" || host == "[::1]";
}

struct Shared {
  Handler handler;
  std::size_t connections = 0;
  bool is_closed = false;
};

http::response<http::string_body> respond(const Shared& shared,
                                          const http::request<http::string_body>& request) {
  HttpResponse out;
  const auto host = request[http::field::host];
  if (!is_loopback_host({host.data(), host.size()})) {
    out = {.status = 403, .content_type = "text/plain", .body = "only for this machine\n"};
  } else if (request.method() != http::verb::get && request.method() != http::verb::head &&
             request.method() != http::verb::post) {
    out = {.status = 405, .content_type = "text/plain", .body = "GET, HEAD or POST\n"};
  } else {
    const std::string target(request.target());
    const auto question = target.find('?');
    // An exception of ours must not end the node's loop, and not without an answer either.
    try {
      out = shared.handler(
          {.method = std::string(request.method_string()),
           .path = target.substr(0, question),
           .query = question == std::string::npos ? std::string() : target.substr(question + 1)});
    } catch (const std::exception& thrown) {
      out = {.status = 500, .content_type = "text/plain", .body = thrown.what()};
    }
  }
  http::response<http::string_body> response(static_cast<http::status>(out.status),
                                             request.version());
  response.set(http::field::content_type, out.content_type);
  response.set(http::field::cache_control, "no-store");
  response.keep_alive(request.keep_alive());
  if (request.method() != http::verb::head) response.body() = std::move(out.body);
  response.prepare_payload();
  return response;
}

/// A connection's place, given back however its serving ends.
struct Place {
  std::shared_ptr<Shared> shared;
  explicit Place(std::shared_ptr<Shared> of) : shared(std::move(of)) { ++shared->connections; }
  ~Place() { --shared->connections; }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
};

asio::awaitable<void> serve(tcp::socket socket, std::shared_ptr<Place> place) {
  const std::shared_ptr<Shared>& shared = place->shared;
  beast::tcp_stream stream(std::move(socket));
  beast::flat_buffer buffer(kRequestSizeMax);
  error_code error;
  while (!shared->is_closed) {
    stream.expires_after(kRequestTime);
    http::request_parser<http::string_body> parser;
    parser.header_limit(kRequestSizeMax / 2);
    parser.body_limit(kRequestSizeMax / 2);
    co_await http::async_read(stream, buffer, parser,
                              asio::redirect_error(asio::use_awaitable, error));
    if (error || shared->is_closed) break;
    const auto response = respond(*shared, parser.get());
    co_await http::async_write(stream, response, asio::redirect_error(asio::use_awaitable, error));
    if (error || !response.keep_alive()) break;
  }
}

class BeastAdmin final : public AdminHttp {
 public:
  BeastAdmin(asio::io_context& io, Handler handler)
      : io_(io), acceptor_(io, [this](tcp::socket socket) { take(std::move(socket)); }) {
    shared_->handler = std::move(handler);
  }
  ~BeastAdmin() override { shared_->is_closed = true; }
  error_code open(std::uint16_t port) {
    constexpr int kBacklog = 64;
    return acceptor_.open({asio::ip::address_v4::loopback(), port}, kBacklog);
  }
  std::uint16_t port() const override { return acceptor_.port(); }

 private:
  void take(tcp::socket socket) {
    if (shared_->connections >= kConnectionsMax) return;  // dropped: the socket closes here
    asio::co_spawn(io_, serve(std::move(socket), std::make_shared<Place>(shared_)), asio::detached);
  }

  asio::io_context& io_;
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
  Acceptor acceptor_;  // last: it stops before what it uses goes
};

}  // namespace

Result<std::unique_ptr<AdminHttp>, Explained> listen_admin(asio::io_context& io, std::uint16_t port,
                                                           Handler handler) {
  auto admin = std::make_unique<BeastAdmin>(io, std::move(handler));
  if (const error_code error = admin->open(port)) {
    return fail(Explained{
        .what = "cannot listen on 127.0.0.1:" + std::to_string(port) + ": " + error.message(),
        .cause = error == asio::error::address_in_use ? "another process uses this port" : "",
        .next = "choose another admin port in the node's configuration"});
  }
  return admin;
}

}  // namespace rosebud::net
