// Outgoing connections to nodes: dialled on demand, greeted, kept, and dialled again with growing
// pauses.
//
// Everything on the io_context's thread.
#pragma once

#include <deque>
#include <functional>
#include <map>

#include "base/random.h"
#include "membership/configuration.h"
#include "net/connection.h"
#include "wire/codec.h"
#include "wire/hello.h"

namespace rosebud::runtime {

/// Why a node cannot be reached, for a person.
struct LinkProblem {
  net::CloseReason reason = net::CloseReason::kUnreachable;
  wire::HelloVerdict verdict = wire::HelloVerdict::kWelcome;  // of a node that refused us

  std::string text() const;
  /// True when the node said that it does not want us: waiting does not help.
  bool is_refusal() const { return verdict != wire::HelloVerdict::kWelcome; }
};

class Links {
 public:
  struct Events {
    std::function<void(const wire::NodeKey& from, wire::Answer)> on_answer;
    /// What was queued for the node is lost.
    std::function<void(const wire::NodeKey& node, const LinkProblem&)> on_unreachable;
  };

  Links(boost::asio::io_context& io, net::TlsContext& tls, wire::Hello hello, Events events);
  ~Links();
  Links(const Links&) = delete;
  Links& operator=(const Links&) = delete;

  void set_configuration(std::shared_ptr<const membership::Configuration> configuration);
  /// Sends, or queues while the connection is being made. What does not fit is dropped: cores ask
  /// again.
  void send(const wire::NodeKey& to, const wire::Request& request);
  /// The last problem with a node; nothing while it is connected or was never tried.
  std::optional<LinkProblem> problem(const wire::NodeKey& node) const;
  std::size_t queued_bytes() const;
  void close();

 private:
  struct Link;
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace rosebud::runtime
