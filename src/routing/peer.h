// One peer of the overlay: full membership table, kept right by events, and one-hop lookups
// (design 11).
//
// No I/O, clock, thread or hidden randomness: the same state and input give the same effects. The
// rules are divided by what they are for, one file each:
//
//   peer.cc        start, dispatch, timers, what becomes of news
//   neighbours.cc  keep-alives, silence, witnesses, deaths
//   eager.cc       events to the leaders of slices, batches in a slice
//   classic.cc     the talk's timing: slice leaders, unit leaders, along units
//   repair.cc      digests, neighbours that differ
//   joining.cc     the table in bulk
//   lookups.cc     whose key is it
//
//   join ──▶ Joining ──all buckets fetched, own life announced──▶ taking part ◀── start
//
// Invariants:
//  1. While it takes part its own state is alive, and newer than any that it has heard of itself.
//  2. successor_ and predecessor_ are the next ones alive by its table.
//  3. What others make it keep is bounded (settings.h).
//
// Whoever calls has authenticated the sender and proven its address: `from` is who it says.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "routing/effects.h"
#include "routing/settings.h"
#include "routing/slices.h"
#include "routing/table.h"

namespace rosebud::routing {

/// What all peers of one roster have alike.
struct Rules {
  Settings settings;
  Slices slices;

  Period period_at(Duration wall) const {
    return Period(static_cast<std::uint64_t>(wall / settings.period));
  }
};

class Peer {
 public:
  /// Requires: `self` is in the table's roster, of which the rules' slices are. `lot` sets it off
  /// from others: when in each second it speaks.
  Peer(std::shared_ptr<const Rules> rules, PeerIndex self, Table table, std::uint64_t lot);
  ~Peer();
  Peer(Peer&&) noexcept;

  /// Takes part with the table as it is, in which it is alive already.
  void start(Now now, Effects& out) noexcept;
  /// Fetches the table, or what has changed since, from `contact`, and announces a new life. With
  /// `moved`, at another address than before.
  void join(Now now, PeerIndex contact, std::optional<Address> moved, Effects& out) noexcept;
  /// Says good-bye. Nothing may be called afterwards.
  void leave(Now now, Effects& out) noexcept;
  void on_datagram(Now now, PeerIndex from, ByteView bytes, Effects& out) noexcept;
  void on_time(Now now, Effects& out) noexcept;  // early or repeated calls do nothing
  Instant next_deadline() const;                 // ask again after every input

  /// Whose is this key? Ends with a LookupDone, in this call or later. Over kLookupsMax it fails
  /// at once.
  void lookup(Now now, LookupId id, Point key, Effects& out) noexcept;

  /// The driver's, to keep the delta short: Table::rebase.
  void rebase(std::shared_ptr<const Snapshot> next, std::span<const PeerIndex> changed) {
    table_.rebase(std::move(next), changed);
  }

  // ---- Looking on ----
  PeerIndex self() const { return self_; }
  PeerState state() const { return own_; }
  const Table& table() const { return table_; }
  bool is_joining() const { return joining_ != nullptr; }
  std::optional<PeerIndex> successor() const { return successor_; }
  std::optional<PeerIndex> predecessor() const { return predecessor_; }
  /// Eager: it gathers events, or did so a moment ago.
  bool is_leading() const { return !duties_.empty(); }
  /// Classic, by its table.
  bool is_slice_leader() const;
  bool is_unit_leader() const;
  /// Datagrams that were refused: not decoded, or against what is known.
  std::uint64_t rejected_count() const { return rejected_; }
  std::size_t memory_bytes() const;
  void check_invariants() const;

 private:
  /// The predecessor is silent.
  struct Suspicion {
    Change accused;
    Period period;
    std::uint32_t pings = 0;
    std::uint32_t rounds = 0;   // of asking witnesses
    bool is_confirmed = false;  // by a witness
    Instant at;
  };
  /// Probing somebody for another, or to check what one peer said.
  struct Probe {
    Change accused;
    std::optional<PeerIndex> accuser;  // none: hearsay
    Period period;
    std::uint32_t pings = 0;
    Instant at;
  };
  /// Own news on the way to the leaders of slices.
  struct Announcement {
    Told event;
    Token token;
    struct Target {
      SliceIndex slice;
      PeerIndex to;
      Period period;
      std::uint8_t attempt = 0;
      std::uint8_t tries = 0;
      bool is_taken = false;
      Instant at;
    };
    std::vector<Target> targets;
  };
  /// What it gathers as the leader of its slice in one period.
  struct Duty {
    Period period;
    std::uint32_t attempt = 0;
    std::uint32_t next_part = 0;
    /// Waits for the word that it has been spread.
    struct Announcer {
      PeerIndex peer;
      Token token;
    };
    struct Taken {
      std::optional<Address> moved;
      std::vector<Announcer> announcers;  // each once, at most kAnnouncersMax
      bool is_settled = false;            // believed; it did not fit into the last datagrams
    };
    std::map<Change, Taken> taken;
    std::vector<Change> spread;       // ascending: what went out already
    std::optional<Instant> close_at;  // none: nothing is gathered
    Instant forget_at;
  };
  struct KeptBatch {
    BatchId id;
    Bytes coded;
    bool is_passed_on = false;  // false: it came without a part of the slice
  };
  /// Part of the slice that a child has taken on, until it says so.
  struct Child {
    BatchId id;
    IndexRange range;
    std::uint32_t tries = 0;
    Instant at;
  };
  struct Sponsored {
    PeerIndex peer;
    Instant until;
  };
  struct PendingLookup {
    LookupId id;
    Point key = 0;
    Token token;
    PeerIndex to;
    std::uint32_t hops = 0;
    std::uint32_t waits = 0;
    std::vector<PeerIndex> silent;  // at most kSilentMax
    Instant at;
  };
  struct Joining;
  struct Classic;

  const Settings& settings() const { return rules_->settings; }
  const Slices& slices() const { return rules_->slices; }
  SliceIndex own_slice() const { return slices().slice_of(self_); }
  bool is_classic() const { return settings().timing == Timing::kClassic; }
  Token new_token() { return Token(next_token_++); }
  void reject() { ++rejected_; }

  // peer.cc
  void errands_timeout(Now now, Effects& out);
  bool has_any_errand() const;
  void take_part(Now now, Effects& out);
  /// Takes in what is newer, from whatever source. Requires: ascending.
  void learn(Now now, std::span<const Change> changes, std::span<const Moved> moved, Effects& out);
  void learn_one(Now now, const Told& told, Effects& out);
  /// What the low bits mean to this peer.
  std::vector<Change> resolve(const CodedEvents& events) const;
  bool is_plausible(const Change& change) const;
  void on_own_state(Now now, PeerState heard, Effects& out);
  bool is_near(PeerIndex peer) const;
  void refresh_neighbours(Now now);
  /// Makes it known to all. Both timings.
  void spread_news(Now now, const Told& event, Period period, Effects& out);
  Told told(PeerIndex peer) const;

  // neighbours.cc
  void on(Now now, PeerIndex from, const KeepAlive& m, Effects& out);
  void on(Now now, PeerIndex from, const Tell& m, Effects& out);
  void on(Now now, PeerIndex from, const Ping& m, Effects& out);
  void on(Now now, PeerIndex from, const Pong& m, Effects& out);
  void on(Now now, PeerIndex from, const Suspect& m, Effects& out);
  void on(Now now, PeerIndex from, const Verdict& m, Effects& out);
  void keep_alive_timeout(Now now, Effects& out);
  void greet_somebody_dead(Effects& out);
  void greet(PeerIndex peer, Effects& out) const;
  void silence_timeout(Now now, Effects& out);
  void suspicion_timeout(Now now, Effects& out);
  void probe_timeout(Now now, Effects& out);
  void ask_witnesses(Now now, Effects& out);
  void exonerate(Now now);
  void declare_dead(Now now, const Change& accused, Period period, Effects& out);
  void probe(Now now, Probe probe, Effects& out);
  /// From whoever must be alive to have sent something: its state as it says.
  void note_alive(Now now, PeerIndex from, std::uint32_t low_bits, Effects& out);
  Instant silence_deadline() const;

  // eager.cc
  void on(Now now, PeerIndex from, const Announce& m, Effects& out);
  void on(Now now, PeerIndex from, const Announced& m, Effects& out);
  void on(Now now, PeerIndex from, const Batch& m, Effects& out);
  void on(Now now, PeerIndex from, const BatchTaken& m, Effects& out);
  void on(Now now, PeerIndex from, const Pull& m, Effects& out);
  void announce(Now now, const Told& event, Period period, Effects& out);
  void aim(Now now, const Announcement& of, Announcement::Target& target, Effects& out);
  bool lead_own(Now now, const Announcement& of, Announcement::Target& target);
  /// A leader has it: until it says that it has spread it.
  void await_spread(Now now, Announcement::Target& target) const;
  void announcement_timeout(Now now, Effects& out);
  /// Whether it is that one's business to say so.
  bool may_announce(PeerIndex announcer, const Change& change) const;
  /// How far a period is from the one that the own clock shows.
  std::uint64_t periods_off(Now now, Period period) const;
  Duty* duty(Now now, Period period, std::uint32_t attempt);
  bool take_event(Now now, Duty& duty, Duty::Announcer announcer, const Told& event);
  void duty_timeout(Now now, Effects& out);
  void close(Now now, Duty& duty, Effects& out);
  void take_batch(Now now, BatchId id, IndexRange range, ByteView coded, Effects& out);
  void pass_on(Now now, BatchId id, IndexRange range, ByteView coded, Effects& out);
  void pass_to(Now now, BatchId id, IndexRange range, std::uint32_t tries, ByteView coded,
               Effects& out);
  bool is_first_of_slice(PeerIndex peer) const;
  void child_timeout(Now now, Effects& out);
  void note_batches(Now now, PeerIndex from, const LatestBatches& batches, Effects& out);
  bool knows(BatchId id) const;
  const KeptBatch* kept(BatchId id) const;

  // classic.cc
  void on(Now now, PeerIndex from, const Relay& m, Effects& out);
  void on(Now now, PeerIndex from, const RelayTaken& m, Effects& out);
  void report(Now now, const Told& event, Effects& out);
  void relay(Now now, Stage stage, std::uint32_t place, std::vector<Told> events,
             std::uint32_t tries, Effects& out);
  void take_relayed(Now now, PeerIndex from, Stage stage, const Told& event, Effects& out);
  void take_report(Now now, PeerIndex from, const Told& event, Effects& out);
  void add_unit_events(KeepAlive& message, PeerIndex to);
  void take_unit_events(Now now, PeerIndex from, const KeepAlive& m, Effects& out);
  void classic_timeout(Now now, Effects& out);
  Instant classic_deadline() const;

  // repair.cc
  void on(Now now, PeerIndex from, const Digests& m, Effects& out);
  void compare(Now now, PeerIndex from, const KeepAlive& m, Effects& out);
  void take_compared(Now now, PeerIndex from, const States& m, Effects& out);
  /// Whole buckets, as many as fit. Says where it stopped.
  States states_of(std::span<const std::uint32_t> buckets, States::Purpose purpose) const;

  // joining.cc
  void on(Now now, PeerIndex from, const Fetch& m, Effects& out);
  void on(Now now, PeerIndex from, const States& m, Effects& out);
  void take_fetched(Now now, PeerIndex from, const States& m, Effects& out);
  void keep_copied(PeerIndex from, ByteView bytes);
  void fetch_more(Now now, Effects& out);
  void fetch_timeout(Now now, Effects& out);
  void finish_joining(Now now, Effects& out);

  // lookups.cc
  void on(Now now, PeerIndex from, const Lookup& m, Effects& out);
  void on(Now now, PeerIndex from, const Found& m, Effects& out);
  void on(Now now, PeerIndex from, const Redirect& m, Effects& out);
  void ask(Now now, PendingLookup& one, PeerIndex to, Effects& out);
  std::optional<PeerIndex> owner_without(Point key, const std::vector<PeerIndex>& silent) const;
  void lookup_timeout(Now now, Effects& out);

  // What every second touches comes first: at 100,000 simulated peers each line of memory counts.
  std::shared_ptr<const Rules> rules_;
  PeerIndex self_;
  PeerState own_;
  std::optional<PeerIndex> successor_;
  std::optional<PeerIndex> predecessor_;
  Instant keep_alive_at_ = Instant::max();
  Instant heard_;  // of the predecessor
  /// Of its state, so that its usual keep-alive needs no look into the table. None: look.
  std::optional<std::uint32_t> predecessor_bits_;
  std::uint32_t beats_ = 0;
  bool does_greet_soon_ = false;  // one that was dead by the table answered
  Instant left_alone_;            // until then the predecessor's silence does not count
  LatestBatches latest_;
  bool is_taking_part_ = false;
  /// False: none of what errands_timeout() looks after is under way.
  bool has_errands_ = false;
  Instant last_batch_;
  Instant compare_at_;  // no earlier
  /// What the predecessor said of a region that differed here, until there is time to ask.
  std::optional<RegionDigest> doubted_;
  /// A neighbour knew more of this region: the next one behind may lack the same.
  std::optional<std::uint32_t> repaired_region_;
  struct Missed {
    BatchId id;
    Instant since;
  };
  std::vector<Missed> missed_;  // named by the predecessor, at most kBatchesTold
  std::vector<Sponsored> sponsored_;
  std::optional<Suspicion> suspicion_;

  Table table_;
  std::vector<BatchId> known_;   // a ring, next_known_ is overwritten next
  std::vector<KeptBatch> kept_;  // likewise
  std::size_t next_known_ = 0;
  std::size_t next_kept_ = 0;

  // Errands
  std::vector<Child> children_;
  std::vector<Duty> duties_;
  std::vector<Announcement> announcements_;
  std::vector<Probe> probes_;
  std::vector<PendingLookup> lookups_;
  std::unique_ptr<Joining> joining_;
  std::unique_ptr<Classic> classic_;

  std::optional<Address> own_address_;
  std::uint64_t lot_;
  std::uint16_t next_token_ = 1;
  std::uint64_t rejected_ = 0;
};

}  // namespace rosebud::routing
