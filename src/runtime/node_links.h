// Links to the nodes of a configuration: requests out, answers in.
//
// Everything on the io_context's thread.
#pragma once

#include <functional>
#include <set>

#include "membership/configuration.h"
#include "net/links.h"
#include "wire/codec.h"
#include "wire/hello.h"

namespace rosebud::runtime {

class NodeLinks {
 public:
  struct Events {
    std::function<void(const wire::NodeKey& from, wire::Answer)> on_answer;
    /// What was queued for the node is lost.
    std::function<void(const wire::NodeKey& node, const net::LinkProblem&)> on_unreachable;
    std::function<void(const wire::NodeKey& node)> on_reached{};  // may be empty
  };

  /// `io` and `tls` must outlive it.
  NodeLinks(boost::asio::io_context& io, net::TlsContext& tls, wire::Hello hello, Events events);

  void set_configuration(const membership::Configuration& configuration);
  /// Dials on demand. What does not fit the queue is dropped: cores ask again.
  void send(const wire::NodeKey& to, const wire::Request& request);
  /// For development clusters: nothing goes to these any more, whose links break, and to those who
  /// were named before and are not now everything does again.
  void cut_off(std::set<wire::NodeKey> nodes);
  /// A hint that the node is there.
  void retry_now(const wire::NodeKey& node) { links_.retry_now(node); }
  void close() { links_.close(); }

 private:
  wire::Hello hello_;
  std::set<wire::NodeKey> cut_off_;
  net::Links links_;
};

}  // namespace rosebud::runtime
