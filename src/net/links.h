// Outgoing connections to known peers: dialled, greeted, kept, and dialled again with growing
// pauses.
//
// What the greeting says is the caller's: the first frame that goes out is the hello, the first
// that comes in is judged by the caller. Everything on the io_context's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "net/connection.h"

namespace rosebud::net {

/// Why a peer cannot be reached, for a person.
struct LinkProblem {
  CloseReason reason = CloseReason::kUnreachable;
  std::string refusal;  // the words of a peer that refused us; empty: it did not come so far

  std::string text() const;
  /// True when the peer said that it does not want us: waiting does not help.
  bool is_refusal() const { return !refusal.empty(); }
};

enum class Dialling : std::uint8_t {
  kOnDemand,  // when there is something to send
  kAlways,    // at once, and again whenever the connection broke
};

struct LinkOptions {
  Dialling dialling = Dialling::kOnDemand;
  Duration pause_min = std::chrono::milliseconds(50);
  Duration pause_max = std::chrono::seconds(5);
  FrameLimits limits;
};

class Links {
 public:
  struct Events {
    /// The answer to the hello: welcome, or the words of a refusal; none: it makes no sense.
    std::function<Status<std::string>(ByteView)> judge;
    /// False: the peer may not send this; the connection is closed and dialled again.
    std::function<bool(const crypto::PublicKey& from, Bytes header, Buffer bulk)> on_frame;
    /// Greeted.
    std::function<void(const crypto::PublicKey& peer)> on_up;
    /// What was queued for the peer is lost.
    std::function<void(const crypto::PublicKey& peer, const LinkProblem&)> on_down;
  };

  /// `io` and `tls` must outlive it.
  Links(boost::asio::io_context& io, TlsContext& tls, LinkOptions options, Events events);
  ~Links();
  Links(const Links&) = delete;
  Links& operator=(const Links&) = delete;

  /// From now on, at every greeting.
  void set_hello(Bytes hello);
  /// Addresses ("host:port") by key; those of peers that are known already are replaced.
  void add_peers(const std::map<crypto::PublicKey, std::string>& peers);
  /// Sends, or queues while the connection is being made. What does not fit is dropped: cores ask
  /// again.
  void send(const crypto::PublicKey& to, Bytes header, Buffer bulk);
  /// A hint that the peer is there: a pause before its next dialling ends now.
  void retry_now(const crypto::PublicKey& peer);
  /// Lets go of the connection to a peer, as if it had broken.
  void drop(const crypto::PublicKey& peer);
  /// The last problem with a peer; nothing while it is connected or was never tried.
  std::optional<LinkProblem> problem(const crypto::PublicKey& peer) const;
  bool is_up(const crypto::PublicKey& peer) const;
  std::size_t queued_bytes() const;
  void close();

 private:
  struct Link;
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace rosebud::net
