// The membership table of one peer: a shared snapshot and what this peer knows besides.
//
// The delta is a sorted list, not a map: at 100,000 peers with 20 events a second, and a base that
// is moved on every ten seconds, it holds some hundred entries of eight bytes.
//
// Invariants:
//  1. delta_ and moved_ are ascending by peer, one entry for each at most.
//  2. state(p) never goes back through merge(); rebase() changes no state(p) at all.
//  3. alive_ counts the peers that are alive.
#pragma once

#include <optional>

#include "routing/snapshot.h"

namespace rosebud::routing {

class Table {
 public:
  /// Requires: a state for each peer of the roster, at least one.
  Table(std::shared_ptr<const Roster> roster, std::shared_ptr<const Snapshot> base);

  const Roster& roster() const { return *roster_; }
  const std::shared_ptr<const Roster>& shared_roster() const { return roster_; }
  const std::shared_ptr<const Snapshot>& base() const { return base_; }
  std::span<const Change> delta() const { return delta_; }
  std::uint32_t size() const { return roster_->size(); }
  std::uint32_t alive_count() const { return alive_; }

  PeerState state(PeerIndex peer) const;
  bool is_alive(PeerIndex peer) const { return state(peer).is_alive(); }
  Address address(PeerIndex peer) const;
  /// Its address, if it is not the roster's.
  std::optional<Address> moved_to(PeerIndex peer) const;

  /// Takes what is newer. `news`, if given, gets what was, in the same order. Requires: ascending
  /// by peer, one for each at most, all in the roster.
  void merge(std::span<const Change> changes, std::vector<Change>* news = nullptr);
  /// True when it was news.
  bool merge(const Change& change);
  /// Of one whose state is the table's now: the last one heard stays.
  void move(const Moved& moved);

  // ---- The ring of those alive ----
  /// Whose key this is; nothing when nobody is alive.
  std::optional<PeerIndex> owner(Point key) const;
  /// The next one alive clockwise or against the clock, `peer` itself only when there is no other.
  /// Nothing when nobody is alive.
  std::optional<PeerIndex> next_alive(PeerIndex peer) const;
  std::optional<PeerIndex> previous_alive(PeerIndex peer) const;

  // ---- Digests ----
  std::uint32_t bucket_digest(std::uint32_t bucket) const;
  /// Requires: there is such a region.
  std::uint32_t region_digest(std::uint32_t region) const;

  /// Moves to another base without forgetting or learning anything. `changed`: every peer of which
  /// the old and the new base differ, ascending; others may be among them.
  void rebase(std::shared_ptr<const Snapshot> next, std::span<const PeerIndex> changed);

  /// A base of its own out of all that is known, for one that shares with nobody.
  std::shared_ptr<const Snapshot> folded() const { return base_->with(delta_, moved_); }

  std::size_t memory_bytes() const;
  void check_invariants() const;

  /// States of peers in ascending order, for less than a search each.
  class Walk {
   public:
    explicit Walk(const Table& table) : table_(table), next_(table.delta_.begin()) {}
    /// Requires: no peer before the last one asked for.
    PeerState state(PeerIndex peer) {
      while (next_ != table_.delta_.end() && next_->peer < peer) ++next_;
      const bool is_in_delta = next_ != table_.delta_.end() && next_->peer == peer;
      return is_in_delta ? next_->state : table_.base_->state(peer);
    }

   private:
    const Table& table_;
    std::vector<Change>::const_iterator next_;
  };

 private:
  std::vector<Change>::const_iterator find(PeerIndex peer) const;

  std::shared_ptr<const Roster> roster_;
  std::shared_ptr<const Snapshot> base_;
  std::vector<Change> delta_;
  std::vector<Moved> moved_;
  std::uint32_t alive_ = 0;
};

}  // namespace rosebud::routing
