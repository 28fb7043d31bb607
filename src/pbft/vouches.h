// Who vouches for which request, where a MAC convinces one replica alone.
//
// Suppose a client makes its MAC right for the primary and wrong for the backups: they cannot
// accept what the primary proposes, and a correct primary loses its view [Aardvark09 §3]. So
// requests are made known before they are ordered, as by a reliable broadcast [Bracha87]:
//
//   1. A replica vouches, to all, for a request whose MAC for itself is right.
//   2. It vouches too when F+1 others do: one of them is correct.
//   3. A request is authentic here when this replica vouches for it.
//   4. It is ready here when 2F+1 replicas vouch for it, this one among them.
//
// Of those who vouch for what is authentic somewhere, the first correct one did so by rule 1: so
// what nobody correct verified is authentic nowhere. Ready at one correct replica: F+1 correct ones
// vouch for it, so it becomes authentic at all by rule 2, and then ready at all.
//
// Bounded: of each replica the last so many vouches. A faulty one can only drive out its own.
#pragma once

#include <bitset>
#include <deque>
#include <map>
#include <optional>

#include "base/keyed_hash.h"
#include "pbft/group.h"
#include "pbft/request.h"

namespace rosebud::pbft {

class Vouches {
 public:
  /// Of each replica it keeps `kept_max` vouches. `secret` is known to nobody who vouches.
  /// Requires: kept_max > 0.
  Vouches(std::shared_ptr<const Group> group, ReplicaId self, std::size_t kept_max,
          std::uint64_t secret)
      : group_(std::move(group)),
        self_(self),
        kept_max_(kept_max),
        by_request_(secret),
        by_replica_(group_->seat_count()) {}

  /// What the vouches for one request amount to.
  struct Standing {
    bool is_authentic = false;          // this replica vouches for it
    bool is_vouched_by_others = false;  // F+1 others do: this one should too
    bool is_ready = false;
  };
  Standing of(const crypto::Digest& request) const;

  struct Added {
    Standing before;
    Standing now;
  };
  /// Nothing: known. Requires: `from` is a member.
  std::optional<Added> add(ReplicaId from, const crypto::Digest& request);

  std::size_t size() const { return by_request_.size(); }

 private:
  using Seats = std::bitset<kSeatsMax>;
  Standing standing(const Seats& seats) const;

  std::shared_ptr<const Group> group_;
  ReplicaId self_;
  std::size_t kept_max_;
  // Invariant: somebody vouches for each.
  KeyedTable<crypto::Digest, Seats> by_request_;
  std::vector<std::deque<crypto::Digest>> by_replica_;  // oldest first, at most kept_max_ each
};

/// Requests that are authentic here and not ready yet: one per client, bounded in number and bytes.
/// The oldest leave when there is no room: they have had their time, which is that of a message.
class UnreadyRequests {
 public:
  /// `secret` is known to no client.
  UnreadyRequests(std::size_t count_max, std::size_t bytes_max, std::uint64_t secret)
      : count_max_(count_max), bytes_max_(bytes_max), by_client_(secret), by_digest_(secret) {}

  /// A greater number takes the place of a smaller one of its client. Of two with one number the
  /// first stays: their client is faulty.
  void add(const Request& request, const crypto::Digest& digest);
  const Request* find(const crypto::Digest& digest) const;
  /// Takes it out when it is there.
  std::optional<Request> take(const crypto::Digest& digest);
  void remove(const ClientId& client, RequestNumber up_to);
  void clear();
  std::size_t size() const { return by_arrival_.size(); }

 private:
  struct Entry {
    Request request;
    crypto::Digest digest;
  };
  Request take_out(std::uint64_t arrival);

  std::size_t count_max_;
  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::uint64_t arrivals_ = 0;
  std::map<std::uint64_t, Entry> by_arrival_;
  KeyedTable<ClientId, std::uint64_t> by_client_;
  KeyedTable<crypto::Digest, std::uint64_t> by_digest_;
};

}  // namespace rosebud::pbft
