// Session keys: what a client and one replica share, so that a MAC of 16 bytes authenticates a
// request to that replica. [CL02 §3.2.1] has them agreed by messages; here they follow from the
// long-term keys of both: nothing is sent, stored or lost by a restart.
//
//   key = H(tag, instance, client, replica, X25519(client, replica))
//
// A replica can make such MACs too: so they prove nothing to others, and vouches.h is needed.
#pragma once

#include <deque>
#include <mutex>

#include "base/keyed_hash.h"
#include "pbft/group.h"
#include "pbft/messages.h"

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
///
/// Thread-safe. An agreement on a key costs as much as a signature, and everybody can make clients
/// up: so a driver has look_at() judge what comes where signatures are verified, and the core finds
/// the verdict. A verdict is the same whoever asks first; where agreements ran out there is none
/// yet, and others' vouches or the next look bring one.
class ReplicaSessions {
 public:
  /// Agreements that one message may cost on a thread: a batch of clients that nobody heard of.
  static constexpr std::size_t kAgreementsMax = 64;

  /// `scheme` must outlive it. Remembers at most `clients_max` keys of 32 bytes, and four times as
  /// many verdicts of 49. `secret` is known to no client.
  ReplicaSessions(const Group& group, ReplicaId self, crypto::SecretKey key,
                  const crypto::SignatureScheme& scheme, std::size_t clients_max,
                  std::uint64_t secret);

  /// Judges the requests of a message beforehand, with at most kAgreementsMax agreements.
  void look_at(const Request& request) noexcept;
  void look_at(const Message& message) noexcept;

  /// Judging its requests costs no agreement.
  bool knows(const ClientId& client) const { return known_key(client).has_value(); }

  /// True when the request's MAC for this replica is right. `digest` is the request's. False as
  /// well when the answer would cost an agreement and none is left of `agreements`.
  bool is_authentic(const Request& request, const crypto::Digest& digest,
                    std::size_t& agreements) noexcept;

 private:
  /// With the MAC: a client may say the same thing rightly and wrongly.
  using Judged = std::pair<crypto::Digest, crypto::Mac>;
  struct JudgedHash {
    explicit JudgedHash(std::uint64_t secret) : of_digest(secret), of_mac(~secret) {}
    std::size_t operator()(const Judged& what) const noexcept {
      return of_digest(what.first) + of_mac(what.second);
    }
    KeyedHash of_digest;
    KeyedHash of_mac;
  };

  std::optional<crypto::MacKey> known_key(const ClientId& client) const;
  void remember(const ClientId& client, const crypto::MacKey& key);
  void remember(const Judged& what, bool is_right);

  InstanceId instance_;
  ReplicaId self_;
  crypto::SecretKey key_;
  const crypto::SignatureScheme* scheme_;
  std::size_t clients_max_;

  mutable std::mutex mutex_;  // guards what follows
  KeyedTable<ClientId, crypto::MacKey> keys_;
  std::deque<ClientId> by_age_;  // Invariant: those of keys_, once each.
  KeyedTable<Judged, bool, JudgedHash> verdicts_;
  std::deque<Judged> verdicts_by_age_;  // Invariant: those of verdicts_, once each.
};

}  // namespace rosebud::pbft
