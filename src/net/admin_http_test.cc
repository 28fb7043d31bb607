#include "net/admin_http.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

namespace rosebud::net {
namespace {

namespace asio = boost::asio;

class AdminTest : public testing::Test {
 protected:
  AdminTest() {
    auto made = listen_admin(io, 0, [](const HttpRequest& request) -> HttpResponse {
      if (request.path == "/throws") throw std::runtime_error("broken");
      return {.body = request.method + request.path + request.query};
    });
    EXPECT_TRUE(made.has_value());
    admin = std::move(*made);
  }
  /// Everything that comes back for these bytes, until the other side closes.
  std::string answer(const std::string& request) {
    asio::ip::tcp::socket socket(io);
    socket.connect({asio::ip::address_v4::loopback(), admin->port()});
    asio::write(socket, asio::buffer(request));
    std::string out;
    bool is_over = false;
    asio::async_read(socket, asio::dynamic_buffer(out), [&](auto, std::size_t) { is_over = true; });
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!is_over && std::chrono::steady_clock::now() < end) {
      io.restart();
      io.run_one_for(std::chrono::milliseconds(100));
    }
    EXPECT_TRUE(is_over);
    return out;
  }
  static std::string get(const std::string& target, const std::string& host = "127.0.0.1") {
    return "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n";
  }

  asio::io_context io;
  std::unique_ptr<AdminHttp> admin;
};

TEST_F(AdminTest, RequestsReachTheHandler) {
  EXPECT_NE(answer(get("/a?b=c")).find("GET/ab=c"), std::string::npos);
}

// A page of another site whose name was made to lead here.
TEST_F(AdminTest, HostOfAnotherSite_IsRefused) {
  EXPECT_TRUE(answer(get("/a", "evil.example")).starts_with("HTTP/1.1 403"));
  EXPECT_TRUE(answer(get("/a", "[::1]:80")).starts_with("HTTP/1.1 200"));
}

TEST_F(AdminTest, OtherMethodsAndLongRequests_AreRefused) {
  EXPECT_TRUE(answer("DELETE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                  .starts_with("HTTP/1.1 405"));
  EXPECT_EQ(answer(get("/" + std::string(20'000, 'x'))), "");
  EXPECT_EQ(answer("nonsense\r\n\r\n"), "");
}

// More often than there are places: each of them is given back.
TEST_F(AdminTest, HandlerThatThrows_IsAnAnswerAndCostsNoPlace) {
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(answer(get("/throws")).starts_with("HTTP/1.1 500")) << i;
  EXPECT_TRUE(answer(get("/a")).starts_with("HTTP/1.1 200"));
}

}  // namespace
}  // namespace rosebud::net
