// A small HTTP listener for administration: loopback only, bounded, one handler for everything.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"

namespace boost::asio {
class io_context;
}

namespace rosebud::net {

struct HttpRequest {
  std::string method;  // "GET", "HEAD" or "POST"
  std::string path;    // without the query
  std::string query;   // after '?', undecoded
};

struct HttpResponse {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body;
};

class AdminHttp {
 public:
  virtual ~AdminHttp() = default;
  virtual std::uint16_t port() const = 0;
};

/// Listens on 127.0.0.1. Requests over 16 KiB, slow ones, and ones whose Host is not loopback (a
/// web page of another site that found its way here) are refused. The handler runs on the
/// io_context's thread.
Result<std::unique_ptr<AdminHttp>, Explained> listen_admin(
    boost::asio::io_context& io, std::uint16_t port,
    std::function<HttpResponse(const HttpRequest&)> handler);

}  // namespace rosebud::net
