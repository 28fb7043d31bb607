#include "net/links.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <random>

#include "base/random.h"

namespace rosebud::net {
namespace {

constexpr std::size_t kQueuedMax = 256;
constexpr std::size_t kQueuedBytesMax = 64U << 20;
constexpr Duration kHelloTime = std::chrono::seconds(5);
/// A link that lived so long was a good one: the next pause is short again.
constexpr auto kGoodTime = std::chrono::seconds(2);

struct Frame {
  Bytes header;
  Buffer bulk;
};

}  // namespace

std::string LinkProblem::text() const {
  if (is_refusal()) return "refused: " + refusal;
  switch (reason) {
    case CloseReason::kWrongKey:
      return "another key answers at its address";
    case CloseReason::kHandshake:
      return "the TLS handshake failed";
    case CloseReason::kTooSlow:
      return "it did not answer in time";
    case CloseReason::kUnreachable:
      return "it cannot be reached";
    case CloseReason::kLocal:
    case CloseReason::kRemote:
    case CloseReason::kOversize:
    case CloseReason::kTooMany:
      return "the connection was closed";
  }
  return "unknown";
}

struct Links::Link {
  enum class Stage : std::uint8_t { kIdle, kDialling, kGreeting, kUp, kPausing };

  Link(boost::asio::io_context& io, Duration first_pause) : pause(first_pause), timer(io) {}

  std::string address;
  Stage stage = Stage::kIdle;
  ConnectionPointer connection;
  std::deque<Frame> queue;
  std::size_t queued_bytes = 0;
  Duration pause;
  std::chrono::steady_clock::time_point up_since;
  std::optional<LinkProblem> problem;
  boost::asio::steady_timer timer;
};

struct Links::State : std::enable_shared_from_this<State> {
  State(boost::asio::io_context& of, TlsContext& with, LinkOptions as, Events to)
      : io(of), tls(with), options(std::move(as)), events(std::move(to)) {}

  boost::asio::io_context& io;
  TlsContext& tls;
  LinkOptions options;
  Bytes hello;
  Events events;
  std::map<crypto::PublicKey, std::unique_ptr<Link>> links;
  Random random{std::random_device{}()};
  bool is_closed = false;

  void dial(const crypto::PublicKey& peer, Link& link) {
    link.stage = Link::Stage::kDialling;
    net::dial(io, tls, link.address, peer, options.limits,
              [self = shared_from_this(), peer](Result<ConnectionPointer, CloseReason> dialed) {
                if (self->is_closed) {
                  if (dialed) (*dialed)->close();
                  return;
                }
                Link& at = *self->links.at(peer);
                if (!dialed) return self->fail(peer, at, {.reason = dialed.error()});
                self->greet(peer, at, std::move(*dialed));
              });
  }

  void greet(const crypto::PublicKey& peer, Link& link, ConnectionPointer connection) {
    link.stage = Link::Stage::kGreeting;
    link.connection = std::move(connection);
    link.timer.expires_after(kHelloTime);
    link.timer.async_wait(
        [self = shared_from_this(), peer](const boost::system::error_code& error) {
          if (error || self->is_closed) return;
          Link& at = *self->links.at(peer);
          if (at.stage == Link::Stage::kGreeting)
            self->fail(peer, at, {.reason = CloseReason::kTooSlow});
        });
    const std::weak_ptr<Connection> weak = link.connection;
    link.connection->start({.on_frame =
                                [self = shared_from_this(), peer](Bytes header, Buffer bulk) {
                                  if (self->is_closed) return;
                                  self->take(peer, *self->links.at(peer), std::move(header),
                                             std::move(bulk));
                                },
                            .on_closed =
                                [self = shared_from_this(), peer, weak](CloseReason reason) {
                                  if (self->is_closed) return;
                                  Link& at = *self->links.at(peer);
                                  const auto gone = weak.lock();
                                  if (gone && at.connection == gone)
                                    self->fail(peer, at, {.reason = reason});
                                }});
    link.connection->send(hello, {});
  }

  void take(const crypto::PublicKey& peer, Link& link, Bytes header, Buffer bulk) {
    if (link.stage == Link::Stage::kUp) {
      if (!events.on_frame(peer, std::move(header), std::move(bulk)))
        fail(peer, link, {.reason = CloseReason::kRemote});
      return;
    }
    if (link.stage != Link::Stage::kGreeting) return;  // of a connection that was let go
    if (const auto verdict = events.judge(header); !verdict) {
      const bool is_sense = !verdict.error().empty();
      return fail(peer, link,
                  {.reason = is_sense ? CloseReason::kRemote : CloseReason::kHandshake,
                   .refusal = verdict.error()});
    }
    link.timer.cancel();
    link.stage = Link::Stage::kUp;
    link.problem.reset();
    link.up_since = std::chrono::steady_clock::now();
    link.queued_bytes = 0;
    for (Frame& frame : std::exchange(link.queue, {}))
      link.connection->send(std::move(frame.header), std::move(frame.bulk));
    if (events.on_up) events.on_up(peer);
  }

  /// Lets go of the connection and waits a little, longer each time, before it may be dialled
  /// again.
  void fail(const crypto::PublicKey& peer, Link& link, const LinkProblem& problem) {
    if (auto connection = std::move(link.connection)) connection->close();
    link.connection.reset();
    link.queue.clear();
    link.queued_bytes = 0;
    link.problem = problem;
    const bool was_good = link.stage == Link::Stage::kUp &&
                          std::chrono::steady_clock::now() - link.up_since > kGoodTime;
    if (was_good) link.pause = options.pause_min;
    link.stage = Link::Stage::kPausing;
    const auto jitter = random.below(static_cast<std::uint64_t>(link.pause.count()) / 4 + 1);
    link.timer.expires_after(link.pause + Duration(static_cast<std::int64_t>(jitter)));
    link.pause = std::min(link.pause * 2, options.pause_max);
    link.timer.async_wait(
        [self = shared_from_this(), peer](const boost::system::error_code& error) {
          if (!error && !self->is_closed) self->end_pause(peer, *self->links.at(peer));
        });
    events.on_down(peer, problem);
  }

  void end_pause(const crypto::PublicKey& peer, Link& link) {
    if (link.stage != Link::Stage::kPausing) return;
    link.stage = Link::Stage::kIdle;
    if (options.dialling == Dialling::kAlways) dial(peer, link);
  }
};

Links::Links(boost::asio::io_context& io, TlsContext& tls, LinkOptions options, Events events)
    : state_(std::make_shared<State>(io, tls, std::move(options), std::move(events))) {}

Links::~Links() { close(); }

void Links::close() {
  state_->is_closed = true;
  for (auto& [peer, link] : state_->links) {
    link->timer.cancel();
    // Let go of here: its events hold the state, which would hold it for ever.
    if (const auto connection = std::move(link->connection)) connection->close();
    link->connection.reset();
  }
}

void Links::set_hello(Bytes hello) { state_->hello = std::move(hello); }

void Links::add_peers(const std::map<crypto::PublicKey, std::string>& peers) {
  for (const auto& [peer, address] : peers) {
    auto& link = state_->links[peer];
    const bool is_new = link == nullptr;
    if (is_new) link = std::make_unique<Link>(state_->io, state_->options.pause_min);
    link->address = address;
    if (is_new && state_->options.dialling == Dialling::kAlways) state_->dial(peer, *link);
  }
}

void Links::send(const crypto::PublicKey& to, Bytes header, Buffer bulk) {
  const auto at = state_->links.find(to);
  if (at == state_->links.end() || state_->is_closed) return;
  Link& link = *at->second;
  if (link.stage == Link::Stage::kPausing) return;
  if (link.stage == Link::Stage::kUp) {
    link.connection->send(std::move(header), std::move(bulk));
    return;
  }
  const std::size_t size = header.size() + bulk.size();
  if (link.queue.size() < kQueuedMax && link.queued_bytes + size <= kQueuedBytesMax) {
    link.queued_bytes += size;
    link.queue.push_back({std::move(header), std::move(bulk)});
  }
  if (link.stage == Link::Stage::kIdle) state_->dial(to, link);
}

void Links::retry_now(const crypto::PublicKey& peer) {
  const auto at = state_->links.find(peer);
  if (at == state_->links.end() || state_->is_closed) return;
  at->second->pause = state_->options.pause_min;
  state_->end_pause(peer, *at->second);
}

void Links::drop(const crypto::PublicKey& peer) {
  const auto at = state_->links.find(peer);
  if (at == state_->links.end() || state_->is_closed) return;
  // Of one that is being dialled nothing is there yet to be let go of.
  if (at->second->connection)
    state_->fail(peer, *at->second, {.reason = CloseReason::kUnreachable});
}

std::optional<LinkProblem> Links::problem(const crypto::PublicKey& peer) const {
  const auto at = state_->links.find(peer);
  return at == state_->links.end() ? std::nullopt : at->second->problem;
}

bool Links::is_up(const crypto::PublicKey& peer) const {
  const auto at = state_->links.find(peer);
  return at != state_->links.end() && at->second->stage == Link::Stage::kUp;
}

std::size_t Links::queued_bytes() const {
  std::size_t bytes = 0;
  for (const auto& [peer, link] : state_->links) {
    bytes += link->queued_bytes + (link->connection ? link->connection->queued_bytes() : 0);
  }
  return bytes;
}

}  // namespace rosebud::net
