// Times, sizes and bounds of the overlay. How they follow from the number of peers and their churn:
// docs/protocol/routing.md.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.h"

namespace rosebud::routing {

/// How events spread: as in the talk, or without waiting (docs/adr, eager spreading).
enum class Timing : std::uint8_t { kEager, kClassic };

struct Settings {
  Timing timing = Timing::kEager;
  std::uint32_t slices = 1;
  std::uint32_t units = 1;  // of a slice; odd, so that the middle unit's leader is the slice's

  // ---- Neighbours ----
  Duration keep_alive = std::chrono::seconds(1);
  /// Every so many keep-alives carry the digest of a region.
  std::uint32_t beats_of_digest = 4;
  /// Two keep-alives are missing, or one that was lost and one that was slow.
  Duration silence = std::chrono::milliseconds(2300);
  /// Between two pings.
  Duration probe = std::chrono::milliseconds(600);
  /// From the second ping to the verdict: the first one's answer has had longer than any round
  /// trip.
  Duration verdict = std::chrono::milliseconds(1000);
  /// Who answered others, but whose keep-alives do not come, is left in peace so long.
  Duration exonerated = std::chrono::seconds(10);

  // ---- Eager ----
  /// Longer: fewer and fuller datagrams, later events.
  Duration period = std::chrono::seconds(3);
  /// After the end of a period, for what was announced just before.
  Duration grace = std::chrono::milliseconds(300);
  std::uint32_t fan_out = 4;
  /// Without an answer the next one is tried. Above the round trip of nearly all pairs.
  Duration retry = std::chrono::milliseconds(900);
  /// For a leader's word that it has spread what it took, beyond the end of the period.
  Duration spread_wait = std::chrono::milliseconds(1500);

  // ---- Classic [Gupta04, L03] ----
  Duration exchange = std::chrono::seconds(25);  // t_big
  Duration to_units = std::chrono::seconds(1);   // t_wait

  // ---- Lookups, joining ----
  Duration lookup_retry = std::chrono::milliseconds(1000);
  std::uint32_t lookup_tries = 5;
  std::uint32_t fetches_in_flight = 8;
  std::uint32_t fetch_buckets = 32;
  /// Who served a joining peer copies batches to it for so long: what spreads meanwhile would miss
  /// it.
  Duration sponsored = std::chrono::seconds(8);

  /// For about so many peers that are alive. Eager: slices of about a thousand, so that one peer
  /// announces to few and a tree in a slice is five deep. Classic: units of 40, and k = sqrt(n)
  /// times a factor that makes it 500 at 10^5 [L03].
  static Settings for_peers(Timing timing, std::uint32_t peers) {
    Settings out;
    out.timing = timing;
    if (timing == Timing::kEager) {
      out.slices = std::clamp(peers / 1000, 1U, 512U);
      return out;
    }
    std::uint32_t root = 1;
    while (std::uint64_t{root + 1} * (root + 1) <= peers) ++root;
    out.slices = std::clamp(root * 500 / 316, 1U, 5000U);
    out.units = std::max(1U, peers / out.slices / 40) | 1U;
    return out;
  }
};

/// A peer greets one that is dead by its table every so many keep-alives, if it finds one among so
/// many from a place that is drawn.
inline constexpr std::uint32_t kGreetingBeats = 30;
inline constexpr std::uint32_t kGreetingLooks = 64;

// ---- Bounds of what others can make a peer keep ----

/// Batches remembered by name: more than come while one is on its way, after a mass failure too.
inline constexpr std::size_t kBatchesKnown = 64;
/// Of them with their bytes, for neighbours that missed one.
inline constexpr std::size_t kBatchesKept = 8;
/// How far from its own clock's period a leader gathers: a minute. Among all periods there are ever
/// some that draw it, so who may announce anything could have a whole slice lead, all the time.
inline constexpr std::uint64_t kPeriodsOff = 20;
/// Periods that a peer leads at once; the farthest from now gives way.
inline constexpr std::size_t kDutiesMax = 8;
/// Events that a leader takes for one period; more are refused by silence and go to the next one.
inline constexpr std::size_t kDutyEventsMax = 16384;
/// Who may accuse one peer in one life, by tables that differ a little.
inline constexpr std::size_t kAnnouncersMax = 16;
/// Datagrams of a leader for its slice in one period. The rest follows a period later.
inline constexpr std::uint32_t kPartsAtOnce = 16;
/// Peers that one witness probes at once.
inline constexpr std::size_t kProbesMax = 32;
inline constexpr std::size_t kSponsoredMax = 16;
/// Whose answers a joining peer takes.
inline constexpr std::size_t kContactsMax = 8;
inline constexpr std::size_t kLookupsMax = 1024;
/// Announcements of its own that are under way; the oldest gives way.
inline constexpr std::size_t kAnnouncementsMax = 64;
/// Classic: events that wait for a unit, or for the next exchange.
inline constexpr std::size_t kLogMax = 65536;

/// Who may accuse: the so many next ones alive behind the accused, and the so many first alive of
/// each draw of witnesses. More than one, since tables differ.
inline constexpr std::uint32_t kAccusersBehind = 4;
inline constexpr std::uint32_t kWitnesses = 2;
inline constexpr std::uint32_t kWitnessSlack = 3;
/// Accusers that make a death believed. One may lie, or be cut off itself.
inline constexpr std::uint32_t kAccusersNeeded = 2;

}  // namespace rosebud::routing
