#include "runtime/links.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <random>

namespace rosebud::runtime {
namespace {

constexpr std::size_t kQueuedMax = 256;
constexpr std::size_t kQueuedBytesMax = 64U << 20;
constexpr Duration kPauseMin = std::chrono::milliseconds(50);
constexpr Duration kPauseMax = std::chrono::seconds(5);
constexpr Duration kHelloTime = std::chrono::seconds(5);

}  // namespace

std::string LinkProblem::text() const {
  if (is_refusal()) return "refused: " + std::string(wire::text_of(verdict));
  switch (reason) {
    case net::CloseReason::kWrongKey:
      return "another key answers at its address";
    case net::CloseReason::kHandshake:
      return "the TLS handshake failed";
    case net::CloseReason::kTooSlow:
      return "it did not answer in time";
    case net::CloseReason::kUnreachable:
      return "it cannot be reached";
    case net::CloseReason::kLocal:
    case net::CloseReason::kRemote:
    case net::CloseReason::kOversize:
    case net::CloseReason::kTooMany:
      return "the connection was closed";
  }
  return "unknown";
}

struct Links::Link {
  enum class Stage : std::uint8_t { kIdle, kDialling, kGreeting, kUp, kPausing };

  explicit Link(boost::asio::io_context& io) : timer(io) {}

  std::string address;
  Stage stage = Stage::kIdle;
  net::ConnectionPointer connection;
  std::deque<wire::EncodedMessage> queue;
  std::size_t queued_bytes = 0;
  Duration pause = kPauseMin;
  std::optional<LinkProblem> problem;
  boost::asio::steady_timer timer;
};

struct Links::State : std::enable_shared_from_this<State> {
  State(boost::asio::io_context& of, net::TlsContext& with, wire::Hello as, Events to)
      : io(of), tls(with), hello(std::move(as)), events(std::move(to)) {}

  boost::asio::io_context& io;
  net::TlsContext& tls;
  wire::Hello hello;
  Events events;
  std::map<wire::NodeKey, std::unique_ptr<Link>> links;
  Random random{std::random_device{}()};
  bool is_closed = false;

  void dial(const wire::NodeKey& node, Link& link) {
    link.stage = Link::Stage::kDialling;
    net::dial(
        io, tls, link.address, node, net::FrameLimits{},
        [self = shared_from_this(), node](Result<net::ConnectionPointer, net::CloseReason> dialed) {
          if (self->is_closed) {
            if (dialed) (*dialed)->close();
            return;
          }
          Link& at = *self->links.at(node);
          if (!dialed) return self->fail(node, at, {.reason = dialed.error()});
          self->greet(node, at, std::move(*dialed));
        });
  }

  void greet(const wire::NodeKey& node, Link& link, net::ConnectionPointer connection) {
    link.stage = Link::Stage::kGreeting;
    link.connection = std::move(connection);
    link.timer.expires_after(kHelloTime);
    link.timer.async_wait(
        [self = shared_from_this(), node](const boost::system::error_code& error) {
          if (error || self->is_closed) return;
          Link& at = *self->links.at(node);
          if (at.stage == Link::Stage::kGreeting)
            self->fail(node, at, {.reason = net::CloseReason::kTooSlow});
        });
    const std::weak_ptr<net::Connection> weak = link.connection;
    link.connection->start({.on_frame =
                                [self = shared_from_this(), node](Bytes header, Buffer bulk) {
                                  if (!self->is_closed)
                                    self->take(node, *self->links.at(node), header,
                                               std::move(bulk));
                                },
                            .on_closed =
                                [self = shared_from_this(), node, weak](net::CloseReason reason) {
                                  if (self->is_closed) return;
                                  Link& at = *self->links.at(node);
                                  const auto gone = weak.lock();
                                  if (gone && at.connection == gone)
                                    self->fail(node, at, {.reason = reason});
                                }});
    link.connection->send(hello.encode(), {});
  }

  void take(const wire::NodeKey& node, Link& link, const Bytes& header, Buffer bulk) {
    if (link.stage == Link::Stage::kGreeting) {
      const auto answer = wire::HelloAnswer::decode(header);
      if (!answer) return fail(node, link, {.reason = net::CloseReason::kHandshake});
      if (answer->verdict != wire::HelloVerdict::kWelcome) {
        return fail(node, link, {.reason = net::CloseReason::kRemote, .verdict = answer->verdict});
      }
      link.timer.cancel();
      link.stage = Link::Stage::kUp;
      link.problem.reset();
      link.pause = kPauseMin;
      for (auto& message : link.queue)
        link.connection->send(std::move(message.header), std::move(message.bulk));
      link.queue.clear();
      link.queued_bytes = 0;
      return;
    }
    auto message = wire::decode(header, std::move(bulk));
    auto* answer = message ? std::get_if<wire::Answer>(&*message) : nullptr;
    // What a node sends us and is no answer is a fault of the node: start again.
    if (!answer) return fail(node, link, {.reason = net::CloseReason::kRemote});
    events.on_answer(node, std::move(*answer));
  }

  /// Lets go of the connection and waits a little, longer each time, before the next request may
  /// dial again.
  void fail(const wire::NodeKey& node, Link& link, const LinkProblem& problem) {
    if (auto connection = std::move(link.connection)) connection->close();
    link.connection.reset();
    link.queue.clear();
    link.queued_bytes = 0;
    link.problem = problem;
    link.stage = Link::Stage::kPausing;
    const auto jitter = random.below(static_cast<std::uint64_t>(link.pause.count()) / 4 + 1);
    link.timer.expires_after(link.pause + Duration(static_cast<std::int64_t>(jitter)));
    link.pause = std::min(link.pause * 2, kPauseMax);
    link.timer.async_wait(
        [self = shared_from_this(), node](const boost::system::error_code& error) {
          if (error || self->is_closed) return;
          Link& at = *self->links.at(node);
          if (at.stage == Link::Stage::kPausing) at.stage = Link::Stage::kIdle;
        });
    events.on_unreachable(node, problem);
  }
};

Links::Links(boost::asio::io_context& io, net::TlsContext& tls, wire::Hello hello, Events events)
    : state_(std::make_shared<State>(io, tls, std::move(hello), std::move(events))) {}

Links::~Links() { close(); }

void Links::close() {
  state_->is_closed = true;
  for (auto& [node, link] : state_->links) {
    link->timer.cancel();
    // Let go of here: its events hold the state, which would hold it for ever.
    if (const auto connection = std::move(link->connection)) connection->close();
    link->connection.reset();
  }
}

void Links::set_configuration(std::shared_ptr<const membership::Configuration> configuration) {
  state_->hello.configuration = configuration->number();
  for (const membership::Node& node : configuration->nodes()) {
    auto& link = state_->links[node.key];
    if (!link) link = std::make_unique<Link>(state_->io);
    link->address = node.address;
  }
}

void Links::send(const wire::NodeKey& to, const wire::Request& request) {
  const auto at = state_->links.find(to);
  if (at == state_->links.end() || state_->is_closed) return;
  Link& link = *at->second;
  if (link.stage == Link::Stage::kPausing) return;
  wire::EncodedMessage message = wire::encode(request);
  if (link.stage == Link::Stage::kUp) {
    link.connection->send(std::move(message.header), std::move(message.bulk));
    return;
  }
  const std::size_t size = message.header.size() + message.bulk.size();
  if (link.queue.size() < kQueuedMax && link.queued_bytes + size <= kQueuedBytesMax) {
    link.queued_bytes += size;
    link.queue.push_back(std::move(message));
  }
  if (link.stage == Link::Stage::kIdle) state_->dial(to, link);
}

std::optional<LinkProblem> Links::problem(const wire::NodeKey& node) const {
  const auto at = state_->links.find(node);
  return at == state_->links.end() ? std::nullopt : at->second->problem;
}

std::size_t Links::queued_bytes() const {
  std::size_t bytes = 0;
  for (const auto& [node, link] : state_->links) {
    bytes += link->queued_bytes + (link->connection ? link->connection->queued_bytes() : 0);
  }
  return bytes;
}

}  // namespace rosebud::runtime
