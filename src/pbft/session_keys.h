// Session keys: what a client and one replica share, so that a MAC of 16 bytes authenticates a
// request to that replica. [CL02 §3.2.1] has them agreed by messages; here they follow from the
// long-term keys of both: nothing is sent, stored or lost by a restart.
//
//   key = H(tag, instance, client, replica, X25519(client, replica))
//
// A replica can make such MACs too: so they prove nothing to others, and vouches.h is needed.
#pragma once

#include <deque>
#include <map>

#include "pbft/group.h"
#include "pbft/request.h"

namespace rosebud::pbft {

/// Nothing when `other` is no key. `client` and `replica`: one of them is `own`'s.
std::optional<crypto::MacKey> session_key(const InstanceId& instance, const ClientId& client,
                                          const crypto::PublicKey& replica,
                                          const crypto::SecretKey& own,
                                          const crypto::SignatureScheme& scheme) noexcept;

/// At a client: its keys with all replicas.
class ClientSessions {
 public:
  /// Costs an agreement for each member.
  ClientSessions(const Group& group, const crypto::SecretKey& key,
                 const crypto::SignatureScheme& scheme);

  /// A request with a MAC for every seat; that of a vacant one is zero.
  Request authenticate(RequestNumber number, Buffer operation) const;

 private:
  InstanceId instance_;
  ClientId client_;
  std::vector<std::optional<crypto::MacKey>> keys_;  // by seat
};

/// At a replica: its keys with clients. They are computed anew when they are needed; of the clients
/// that were right lately they are remembered.
class ReplicaSessions {
 public:
  /// `scheme` must outlive it. Remembers at most `clients_max` keys of 32 bytes.
  ReplicaSessions(const Group& group, ReplicaId self, crypto::SecretKey key,
                  const crypto::SignatureScheme& scheme, std::size_t clients_max);

  /// True when the request's MAC for this replica is right. `digest` is the request's.
  bool is_authentic(const Request& request, const crypto::Digest& digest) noexcept;

 private:
  void remember(const ClientId& client, const crypto::MacKey& key);

  InstanceId instance_;
  ReplicaId self_;
  crypto::SecretKey key_;
  const crypto::SignatureScheme* scheme_;
  std::size_t clients_max_;
  std::map<ClientId, crypto::MacKey> keys_;
  std::deque<ClientId> by_age_;  // Invariant: those of keys_, once each.
};

}  // namespace rosebud::pbft
