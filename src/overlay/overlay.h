// A node's part in the overlay: the routing core on a UDP socket and real time.
//
// Everything runs on the io_context's one thread. Storage never depends on what this table says: a
// wrong entry costs a lookup a second (design 11).
//
//   enter(members) ──▶ joining ──table fetched from any peer──▶ taking part
//                         └──nobody answers for kJoinTime──▶ taking part, all taken for alive
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "overlay/seals.h"
#include "routing/peer.h"

namespace boost::asio {
class io_context;
}

namespace rosebud::overlay {

struct Member {
  crypto::PublicKey key;
  std::string address;  // "host:port"
};

/// Where a peer stands on the ring: the first eight bytes of the SHA-256 of its key.
routing::Point point_of(const crypto::PublicKey& key);

struct LookupAnswer {
  bool is_found = false;
  std::optional<crypto::PublicKey> owner;  // of whom it was heard, or who was asked last
  std::uint32_t hops = 0;                  // peers that were asked; 0: it is its own
  std::uint32_t waits = 0;                 // of them that did not answer in time
  Duration time{};
};

/// What a peer knows, for people to look at.
struct Picture {
  struct Peer {
    crypto::PublicKey key;
    routing::Point at = 0;
    routing::PeerState state;
    std::uint32_t slice = 0;
    bool is_self = false;
    bool is_successor = false;
    bool is_predecessor = false;
  };
  bool is_taking_part = false;
  std::uint32_t slices = 1;
  std::vector<Peer> peers;  // in the order of the ring
};

struct Counters {
  std::uint64_t datagrams_in = 0;
  std::uint64_t datagrams_out = 0;
  std::uint64_t bytes_in = 0;  // of UDP payload
  std::uint64_t bytes_out = 0;
  std::uint64_t unsent = 0;    // the socket was full, or the address is unknown
  std::uint64_t rejected = 0;  // by the core: not decoded, or against what is known
  Refusals refusals;
};

/// An own table that nobody confirmed is believed after so long: all may begin at the same time.
inline constexpr Duration kJoinTime = std::chrono::seconds(5);

class Overlay {
 public:
  /// `scheme` must outlive it. `seed` is known to no other peer.
  Overlay(boost::asio::io_context& io, const crypto::SecretKey& key,
          const crypto::SignatureScheme& scheme, std::uint64_t seed,
          Duration join_time = kJoinTime);
  ~Overlay();

  /// Binds the socket. What went wrong names the port.
  Status<Explained> listen(const std::string& host, std::uint16_t port);
  std::uint16_t port() const;

  /// The peers of the configuration in force. The same ones again change nothing; with others it
  /// goes on with what it knows of those that stay. When it is not one of them, or there is no
  /// other, it takes no part. Requires: listen() has succeeded; distinct keys.
  void enter(const crypto::ClusterId& cluster, const std::vector<Member>& members);

  /// Of a development cluster: sends nothing to these.
  void cut_off(std::vector<crypto::PublicKey> peers);

  /// `done` is called once, in this call or later; not after the end of this Overlay.
  void lookup(routing::Point key, std::function<void(const LookupAnswer&)> done);

  Picture picture() const;
  Counters counters() const;

  /// Says good-bye, so that nobody has to find out. Nothing is sent afterwards.
  void leave();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rosebud::overlay
