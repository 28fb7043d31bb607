// Requests that wait here for being executed: at most one per client, bounded in number and bytes.
//
// Each waits on its own: a primary that executes others' requests and leaves one client's aside is
// found out as one that does nothing [CL99 §4.5.2 restarts one timer for all].
//
// At the primary a client has one place in the queue, whatever it asks for meanwhile. Suppose its
// next request went to the end: then one that asks a backup for something, and the primary for
// something newer again and again before its turn, would never have it, and the backup that waits
// for the first request would leave a view in which nobody is faulty.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "base/keyed_hash.h"
#include "pbft/request.h"

namespace rosebud::pbft {

class PendingRequests {
 public:
  struct Entry {
    Request request;
    Instant since;             // of arrival, or of the view that began later
    crypto::Digest digest{};   // by which find() finds it; zero: not at all
    std::uint64_t place = 0;   // in the queue; the least comes first
    bool is_proposed = false;  // at the primary: in a batch of this view
  };

  /// `secret` is known to no client.
  PendingRequests(std::size_t count_max, std::size_t bytes_max, std::uint64_t secret)
      : count_max_(count_max), bytes_max_(bytes_max), by_client_(secret), by_digest_(secret) {}

  /// False: known, older than what waits, or no room. A greater number takes the place of a
  /// smaller one of its client, in the queue too when that one was not proposed. It waits from now
  /// on: what it was exchanged for is not asked for any more, and is gone where the new one finds
  /// no room too. `place`: that take_place() gave; otherwise the last one.
  bool add(const Request& request, Instant now, const crypto::Digest& digest = {},
           std::optional<std::uint64_t> place = {});
  /// A place in the queue for a request that is not here yet.
  std::uint64_t take_place() { return ++arrivals_; }
  /// Executed, or never to be executed. Returns since when it waited.
  std::optional<Instant> remove(const ClientId& client, RequestNumber up_to);
  void clear();
  /// Those of which `is_done` is true.
  void remove_if(const std::function<bool(const Request&)>& is_done);

  /// In a new view all wait anew and queue by their places, proposed before or not.
  void restart(Instant now);
  void mark_proposed(const ClientId& client, RequestNumber number);
  /// The first of the queue, within the limits, bytes as encoded; at least one when there is one.
  std::vector<Request> first_unproposed(std::size_t count_max, std::size_t bytes_max) const;
  /// The same, marked as proposed.
  std::vector<Request> take_batch(std::size_t count_max, std::size_t bytes_max);
  std::size_t unproposed_count() const { return queue_.size(); }

  /// Nothing when it does not wait, or was added without its digest.
  const Request* find(const crypto::Digest& digest) const;
  /// This very request, signature and all.
  bool holds(const Request& request) const;
  bool empty() const { return by_arrival_.empty(); }
  std::size_t size() const { return by_arrival_.size(); }
  /// When the one that waits longest began to. Requires: !empty().
  Instant oldest_since() const { return by_arrival_.begin()->second.since; }
  /// Since when the first one waits that tell() has not returned in this view.
  std::optional<Instant> first_untold_since() const;
  /// Those that wait since `since` or longer, each once in a view.
  std::vector<Request> tell(Instant since);
  /// At most `count_max` of those that wait since `since` or longer, the oldest first.
  std::vector<Request> waiting_since(Instant since, std::size_t count_max) const;
  /// All wait anew, and nothing else changes. Only to break a rule on purpose.
  void wait_anew(Instant now);

 private:
  /// What waits for this client; nothing: nothing does.
  Entry* of(const ClientId& client);
  const Entry* of(const ClientId& client) const;

  std::size_t count_max_;
  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::uint64_t arrivals_ = 0;
  std::uint64_t told_ = 0;  // all that arrived up to here were told to everybody
  std::map<std::uint64_t, Entry> by_arrival_;
  KeyedTable<ClientId, std::uint64_t> by_client_;
  KeyedTable<crypto::Digest, std::uint64_t> by_digest_;
  std::map<std::uint64_t, std::uint64_t> queue_;  // place to arrival. Invariant: !is_proposed.
};

}  // namespace rosebud::pbft
