#include "apps/rosebud/commands.h"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <map>
#include <system_error>

#include "base/files.h"

namespace rosebud::apps {

void stop(ExitCode code, Explained explained) { throw Stop{{code, std::move(explained)}}; }

OpenSession::OpenSession(const Globals& globals)
    : file_(
          or_stop(client::read_cluster_file(or_stop(client::find_cluster_file(globals.cluster))))) {
  file_.is_stale_allowed = globals.is_stale_allowed;
  session_ = or_stop(client::Session::open(file_));
}

OpenSession::~OpenSession() {
  const auto seen = session_->observations();
  if (seen.empty()) return;
  std::map<std::pair<std::string, std::string>, std::uint64_t> counts;
  for (const auto& one : kept_observations(file_.state)) {
    counts[{one.value("node", ""), one.value("kind", "")}] += one.value("count", std::uint64_t{0});
  }
  for (const auto& one : seen)
    counts[{one.node, std::string(objects::name_of(one.observation))}] += one.count;
  nlohmann::json out = nlohmann::json::array();
  for (const auto& [what, count] : counts) {
    out.push_back({{"node", what.first}, {"kind", what.second}, {"count", count}});
  }
  std::error_code error;
  std::filesystem::create_directories(file_.state, error);
  // Observations are hints: not being able to keep them is no failure of the command.
  (void)replace_file(file_.state / "observations.json", out.dump() + "\n", 0600);
}

nlohmann::json kept_observations(const std::filesystem::path& state) {
  const auto text = read_text_file(state / "observations.json", 1U << 20);
  const auto json = text ? nlohmann::json::parse(*text, nullptr, false) : nlohmann::json();
  return json.is_array() ? json : nlohmann::json::array();
}

void warn(const Globals& globals, const Explained& explained) {
  const std::string json = nlohmann::json{
      {"error", explained.what},
      {"cause", explained.cause},
      {"next", explained.next}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::fprintf(stderr, "%s%s\n", globals.is_json ? "" : "rosebud: ",
               globals.is_json ? json.c_str() : visible(explained.text()).c_str());
}

void print(const Globals& globals, const nlohmann::json& json, const std::string& text) {
  const std::string line =
      globals.is_json ? json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) : text;
  if (globals.is_json || !text.empty()) std::fprintf(stdout, "%s\n", line.c_str());
}

namespace {

/// Bytes of the UTF-8 character that `text` begins with, 0 when it is none or moves a cursor.
std::size_t character_size(std::string_view text) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = at(0);
  if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
  const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < size) return 0;
  std::uint32_t code = first & (0x7fU >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((at(i) & 0xc0) != 0x80) return 0;
    code = code << 6 | (at(i) & 0x3fU);
  }
  const std::uint32_t least = size == 2 ? 0xa0 : size == 3 ? 0x800 : 0x10000;  // 0x80: C1 controls
  const bool is_surrogate = code >= 0xd800 && code < 0xe000;
  const bool turns_text = (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
  return code >= least && code <= 0x10ffff && !is_surrogate && !turns_text ? size : 0;
}

}  // namespace

std::string visible(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t size = character_size(std::string_view(text).substr(i));
    if (size == 0) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[i++]));
      continue;
    }
    out += text.substr(i, size);
    i += size;
  }
  return out;
}

void put_text(nlohmann::json& into, const std::string& key, const std::string& text) {
  into[key] = text;
  try {
    (void)into[key].dump();
  } catch (const nlohmann::json::type_error&) {
    into[key + "_hex"] = to_hex(as_bytes(text));
  }
}

void flush_output() {
  if (std::fflush(stdout) != 0) stop(ExitCode::kUsage, cannot_print(errno));
}

Explained cannot_print(int error) {
  return {.what = "writing to standard output failed" +
                  (error == 0 ? std::string() : ": " + std::generic_category().message(error)),
          .cause = error == ENOSPC ? "the file system is full" : "",
          .next = "see where standard output goes, and run the same command again"};
}

std::string human_bytes(double bytes) {
  const char* unit = "B";
  for (const char* next : {"KiB", "MiB", "GiB", "TiB"}) {
    if (bytes < 1024) break;
    bytes /= 1024;
    unit = next;
  }
  return fmt::format("{:.{}f} {}", bytes, unit[0] == 'B' ? 0 : 1, unit);
}

Progress::Progress(const Globals& globals, std::string doing, std::uint64_t total_bytes)
    : is_shown_(!globals.is_quiet && ::isatty(STDERR_FILENO) == 1),
      doing_(std::move(doing)),
      total_(total_bytes) {}

Progress::~Progress() {
  if (has_shown_) show(true);
}

double Progress::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
}

void Progress::add(std::uint64_t bytes) {
  done_ += bytes;
  const auto now = std::chrono::steady_clock::now();
  if (!is_shown_ || now - started_ < std::chrono::seconds(2) ||
      now - last_ < std::chrono::milliseconds(200))
    return;
  last_ = now;
  show(false);
}

void Progress::show(bool is_last) {
  has_shown_ = true;
  const double rate = static_cast<double>(done_) / std::max(seconds(), 0.001);
  std::string line = fmt::format("{} {}", doing_, human_bytes(static_cast<double>(done_)));
  if (total_ > 0) line += fmt::format(" of {}", human_bytes(static_cast<double>(total_)));
  line += fmt::format(", {}/s", human_bytes(rate));
  if (total_ > done_ && rate > 0 && !is_last) {
    line += fmt::format(", {:.0f} s left", static_cast<double>(total_ - done_) / rate);
  }
  std::fprintf(stderr, "\r\033[K%s%s", line.c_str(), is_last ? "\n" : "");
}

Result<std::string, Explained> admin_request(std::uint16_t port, const std::string& method,
                                             const std::string& target) {
  namespace http = boost::beast::http;
  namespace asio = boost::asio;
  asio::io_context io;
  boost::beast::tcp_stream stream(io);
  boost::system::error_code error;
  const auto failed = [&](std::string what) {
    return fail(Explained{.what = "127.0.0.1:" + std::to_string(port) + ": " + std::move(what)});
  };
  // A deadline works on asynchronous operations only: each runs the loop to its end.
  const auto finish = [&](auto begin) {
    stream.expires_after(std::chrono::seconds(5));
    error = asio::error::would_block;
    begin([&](const boost::system::error_code& ended, auto&&...) { error = ended; });
    io.restart();
    io.run();
  };
  const asio::ip::tcp::endpoint to(asio::ip::address_v4::loopback(), port);
  finish([&](auto done) { stream.async_connect(to, done); });
  if (error) return failed("cannot connect: " + error.message());
  http::request<http::empty_body> request(method == "POST" ? http::verb::post : http::verb::get,
                                          target, 11);
  request.set(http::field::host, "127.0.0.1");
  request.set(http::field::connection, "close");
  request.prepare_payload();
  finish([&](auto done) { http::async_write(stream, request, done); });
  if (error) return failed("no answer: " + error.message());
  boost::beast::flat_buffer buffer;
  http::response<http::string_body> response;
  finish([&](auto done) { http::async_read(stream, buffer, response, done); });
  if (error) return failed("no answer: " + error.message());
  if (response.result() != http::status::ok) return failed(response.body());
  return response.body();
}

}  // namespace rosebud::apps
