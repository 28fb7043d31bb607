// Frames between a client's connection and a replica, after the hello. A connection may carry the
// requests of several clients.
//
//   client → replica:  a request (bulk), or once: for whom the connection is (header kAnnouncement)
//   replica → client:  whose request is answered, and the reply (bulk)
#pragma once

#include "pbft/messages.h"
#include "wire/cursor.h"

namespace rosebud::replication {

/// No request is longer: the operation, a MAC for every seat, and the rest.
inline constexpr std::size_t kRequestSizeMax = pbft::kOperationSizeMax + 16 * pbft::kSeatsMax + 256;

struct ReplyFrame {
  pbft::ClientId client;
  pbft::Reply reply;

  Bytes encode() const;
  static std::optional<ReplyFrame> decode(ByteView bytes);
};

/// Clients beside the one whose key the connection itself has shown: replies to them go over it
/// too. Each has signed for it, so nobody gets the replies of others. Without it a replica knows
/// the way to a client only when a request came from it, and backups get requests from the primary.
struct Announcement {
  static constexpr std::string_view kTag = "rosebud group client 1";
  /// The header of its frame.
  static constexpr std::uint8_t kHeader = 1;
  static constexpr std::size_t kClientsMax = 512;

  struct Entry {
    pbft::ClientId client;
    crypto::Signature signature;
  };
  std::vector<Entry> entries;  // at most kClientsMax

  void add(const crypto::SecretKey& client, const pbft::InstanceId& instance,
           const crypto::PublicKey& connection, const crypto::SignatureScheme& scheme);
  /// All of them; nothing when a signature is wrong.
  std::optional<std::vector<pbft::ClientId>> verified(const pbft::InstanceId& instance,
                                                      const crypto::PublicKey& connection,
                                                      const crypto::SignatureScheme& scheme) const;

  Bytes encode() const;
  static std::optional<Announcement> decode(ByteView bytes);
};

}  // namespace rosebud::replication
