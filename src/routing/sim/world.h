// Many peers of one overlay in one process and in virtual time: the core of every real peer, the
// bytes that it would send, a network that delays and loses them, peers that come and go.
//
// A seed fixes everything. Memory: one roster and one base for all; a peer's table is what it knows
// besides. Every `rebase_every` the base is moved on to what happened more than `rebase_lag` ago,
// which changes nobody's knowledge (Table::rebase).
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <memory>

#include "load/histogram.h"
#include "routing/peer.h"
#include "routing/sim/event_wheel.h"
#include "routing/sim/laws.h"

namespace rosebud::routing::sim {

/// IPv4 and UDP.
inline constexpr std::size_t kHeaderBytes = 28;

struct WorldOptions {
  std::uint64_t seed = 1;
  std::uint32_t roster = 100;
  std::uint32_t alive = 80;  // at the beginning
  Settings settings{};
  std::uint32_t loss_per_mille = 0;
  std::uint32_t moved_percent = 10;  // of those that return: at another address
  std::uint32_t watched_every = 1;   // one peer of so many is watched
  bool keeps_old_table = true;       // who returns fetches what has changed
  Duration rebase_every = std::chrono::seconds(10);
  Duration rebase_lag = std::chrono::seconds(20);
};

class World {
 public:
  explicit World(const WorldOptions& options);
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // ---- Who there is ----
  const WorldOptions& options() const { return options_; }
  const Rules& rules() const { return *rules_; }
  Random& random() { return random_; }
  Instant now() const { return now_; }
  std::uint32_t roster_size() const { return options_.roster; }
  /// Taking part or joining.
  bool is_up(PeerIndex peer) const { return peers_[peer.value].core != nullptr; }
  bool is_taking_part(PeerIndex peer) const {
    return is_up(peer) && !peers_[peer.value].core->is_joining();
  }
  const Peer* core(PeerIndex peer) const { return peers_[peer.value].core.get(); }
  /// What is so: who takes part, in which life.
  const Table& truth() const { return *truth_; }
  /// Since when it is so.
  Instant changed_at(PeerIndex peer) const { return peers_[peer.value].changed_at; }
  const std::vector<PeerIndex>& taking_part() const { return taking_part_; }

  // ---- What happens ----
  void crash(PeerIndex peer);
  void leave(PeerIndex peer);
  /// Returns in a new life by way of a random one. Requires: it is down; somebody is up.
  void revive(PeerIndex peer);
  /// Sends bytes as if a core had: what hostile peers do.
  void send_raw(PeerIndex from, PeerIndex to, const Datagram& datagram);
  void lookup(PeerIndex from, Point key);
  void at(Duration delay, std::function<void()> what);
  void run_for(Duration time);

  // ---- Faults of the network ----
  void set_loss(std::uint32_t per_mille) { options_.loss_per_mille = per_mille; }
  /// Datagrams that this says true of are lost.
  std::function<bool(PeerIndex from, PeerIndex to, ByteView bytes)> is_cut;

  // ---- Looking on ----
  struct EndedLookup {
    PeerIndex asker;
    LookupDone done;
    Point key = 0;
    Instant asked_at;
    bool is_right = false;  // found, and was_owner() since it was asked
  };
  struct Watchers {
    /// Of every datagram that reaches a core, before it does.
    std::function<void(PeerIndex from, PeerIndex to, ByteView bytes)> delivered;
    std::function<void(PeerIndex peer)> after_input;
    std::function<void(const EndedLookup& lookup)> looked_up;
  };
  Watchers watchers;
  /// Whether that key was that peer's at some moment since then.
  bool was_owner(PeerIndex peer, Point key, Instant since) const;
  /// Lookups asked from `begin` to before `end` that have not ended, though who asked has stayed.
  std::uint64_t lost_lookups(Instant begin, Instant end) const;
  /// By then one has ended: five peers who are waited for twice each.
  static constexpr Duration kLookupMax = std::chrono::seconds(12);

  struct Sums {
    std::uint64_t datagrams = 0;
    std::uint64_t events = 0;  // deaths and new lives
    std::uint64_t deaths = 0;
    std::uint64_t rejoins = 0;
    std::uint64_t lookups = 0;              // that ended
    std::uint64_t lookups_right_table = 0;  // the first peer asked was the owner
    std::uint64_t lookups_right_first = 0;  // and it said so, if need be when asked again
    std::uint64_t lookups_right_once = 0;   // and it was asked once
    std::uint64_t lookups_completed = 0;
    std::uint64_t lookups_wrong = 0;  // completed with one that was not the owner
    std::uint64_t hops = 0;           // of completed ones
    std::array<std::uint64_t, kTrafficKinds> bytes{};
    double peer_seconds = 0;  // of peers that went down
    load::Histogram ages;
    load::Histogram ages_of_deaths;
    load::Histogram ages_of_lives;
  };
  const Sums& sums() const { return sums_; }
  /// That peers were up, since begin_measuring().
  double peer_seconds() const;
  /// Forgets what was counted, of the peers too.
  void begin_measuring();
  struct Load {
    PeerIndex peer;
    std::uint64_t bytes_up = 0;  // maintenance
    bool has_led = false;
  };
  /// Of those that took part since begin_measuring().
  std::vector<Load> loads() const;
  /// Entries of a peer's table that are not so, though they changed more than `age` ago.
  std::uint64_t stale_count(PeerIndex peer, Duration age) const;

  /// Of all that was sent, byte by byte, and of when it arrived.
  std::uint64_t trace() const { return trace_; }
  std::uint64_t input_count() const { return inputs_; }
  std::size_t memory_bytes() const;

 private:
  struct SimPeer {
    std::unique_ptr<Peer> core;
    std::unique_ptr<Table> table;  // of one that is away
    Instant wake_at = Instant::max();
    Instant up_since;
    Instant changed_at;
    std::uint64_t bytes_up = 0;
    std::uint32_t place = 0;  // in taking_part_
    bool has_led = false;
    bool is_counted = false;
  };
  enum class Kind : std::uint8_t { kWake, kDatagram, kAction };
  struct Event {
    Kind kind = Kind::kWake;
    PeerIndex to;
    PeerIndex from;
    std::uint32_t slot = 0;  // of bytes or of an action
  };
  struct Happened {
    Instant time;
    Change change;
    std::optional<Moved> moved;
  };

  Now now_of() const;
  void process(const Event& event);
  void fetch_ahead() const;
  void perform(PeerIndex peer);
  void transmit(PeerIndex from, PeerIndex to, ByteView bytes);
  void note_truth(PeerIndex peer, PeerState state);
  void joined(PeerIndex peer);
  void down(PeerIndex peer);
  void remove_from_taking_part(PeerIndex peer);
  void rebase();
  void finish_lookup(PeerIndex asker, const LookupDone& done);
  std::uint32_t take_slot();

  WorldOptions options_;
  Random random_;
  Latencies latencies_;
  std::shared_ptr<const Roster> roster_;
  std::shared_ptr<const Rules> rules_;
  std::shared_ptr<const Snapshot> base_;
  std::unique_ptr<Table> truth_;
  std::vector<SimPeer> peers_;
  std::vector<PeerIndex> taking_part_;
  std::deque<Happened> happened_;  // since the base
  Instant now_{};
  Instant rebase_at_;
  EventWheel<Event> wheel_;
  std::vector<Bytes> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::vector<std::function<void()>> actions_;
  std::vector<std::uint32_t> free_actions_;
  Effects effects_;
  struct Asked {
    PeerIndex asker;
    Point key = 0;
    Instant at;
    bool is_first_right = false;
    bool is_over = false;
  };
  std::vector<Asked> asked_;  // by LookupId
  Sums sums_;
  Instant measured_since_;
  std::uint64_t trace_ = 0;
  std::uint64_t inputs_ = 0;
};

}  // namespace rosebud::routing::sim
