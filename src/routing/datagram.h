// Every datagram of the overlay, encoded and decoded with limits. Layouts:
// docs/protocol/routing.md.
//
// A datagram never exceeds kDatagramMax with its seal, so that it is never cut into pieces. The
// seal (key, counter, tag of the authenticated encryption between two peers) is the driver's; its
// size is counted wherever bytes are.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "routing/event_code.h"
#include "routing/slices.h"
#include "routing/types.h"

namespace rosebud::routing {

/// IPv6's smallest MTU of 1,280 less its header, UDP's and 32 bytes for tunnels.
inline constexpr std::size_t kDatagramMax = 1200;
/// Key (4), counter (4), tag (16).
inline constexpr std::size_t kSealBytes = 24;
inline constexpr std::size_t kPayloadMax = kDatagramMax - kSealBytes;
/// Room for events beside the other fields of a batch or relay.
inline constexpr std::size_t kEventBytesMax = kPayloadMax - 20;

inline constexpr std::uint32_t kToldMax = 16;
inline constexpr std::uint32_t kSilentMax = 4;
inline constexpr std::uint32_t kBucketsMax = 128;

/// A batch that one leader spread in one slice: period, attempt (slices.h) and part, in 24 bits.
struct BatchId {
  std::uint32_t value = 0;
  static BatchId of(Period period, std::uint32_t attempt, std::uint32_t part) {
    return {(static_cast<std::uint32_t>(period.value & 0xfff) << 12) | (attempt << 8) | part};
  }
  friend auto operator<=>(BatchId, BatchId) = default;
};
inline constexpr std::uint32_t kBatchIdBits = 24;
inline constexpr std::uint32_t kPartsMax = 256;

/// The latest batches that a peer has, the newest first.
inline constexpr std::uint32_t kBatchesTold = 2;
struct LatestBatches {
  std::array<BatchId, kBatchesTold> ids{};
  std::uint32_t count = 0;

  void add(BatchId id) { ids[count++] = id; }
  std::span<const BatchId> list() const { return std::span(ids).first(count); }
  friend bool operator==(const LatestBatches&, const LatestBatches&) = default;
};

using Token = Strong<struct TokenTag, std::uint16_t>;

/// A change as those say it whose hearers may know nothing near it.
struct Told {
  Change change;
  std::optional<Address> moved;
  friend bool operator==(const Told&, const Told&) = default;
};

// ---- Neighbours ----

/// Of one region of the sender's table.
struct RegionDigest {
  std::uint32_t region = 0;  // below kRegions
  std::uint32_t digest = 0;  // 24 bits of it
  friend bool operator==(const RegionDigest&, const RegionDigest&) = default;
};

/// To the successor each second (classic: to the predecessor too).
struct KeepAlive {
  std::uint32_t low_bits = 0;            // of the sender's own state
  std::optional<RegionDigest> compared;  // now and then
  LatestBatches batches;
  Token token;         // of the events, if there are any
  CodedEvents events;  // classic: what travels along the unit; answered by RelayTaken
  friend bool operator==(const KeepAlive&, const KeepAlive&) = default;
};
inline constexpr std::uint32_t kDigestMask = (1U << 24) - 1;

/// "I know better": at most kToldMax.
struct Tell {
  std::vector<Told> changes;
  friend bool operator==(const Tell&, const Tell&) = default;
};

// ---- Is it dead? ----
struct Ping {
  Token token;
  friend bool operator==(const Ping&, const Ping&) = default;
};
struct Pong {
  Token token;
  std::uint32_t low_bits = 0;  // of the sender's own state
  friend bool operator==(const Pong&, const Pong&) = default;
};
/// To a witness: probe it too.
struct Suspect {
  Change accused;  // the state in which it is silent: alive
  Period period;   // for which its death is to be announced
  friend bool operator==(const Suspect&, const Suspect&) = default;
};
/// Of a witness. `seen`: alive in this or a later life, or dead.
struct Verdict {
  Change seen;
  friend bool operator==(const Verdict&, const Verdict&) = default;
};

// ---- Eager ----

/// To the leader of a slice for a period.
struct Announce {
  Token token;
  Period period;
  std::uint32_t attempt = 0;  // at which the leader was drawn
  Told event;
  friend bool operator==(const Announce&, const Announce&) = default;
};
/// The leader has it; or has spread it.
struct Announced {
  Token token;
  bool is_spread = false;
  friend bool operator==(const Announced&, const Announced&) = default;
};
/// Within a slice. The receiver passes it to those of `range` that it knows alive.
struct Batch {
  BatchId id;
  IndexRange range;  // may be empty
  CodedEvents events;
  ByteView coded;  // the events as they came; lives as long as the datagram. Not compared.
  friend bool operator==(const Batch& a, const Batch& b) {
    return a.id == b.id && a.range == b.range && a.events == b.events;
  }
};
/// Answer to a batch with a range.
struct BatchTaken {
  BatchId id;
  friend bool operator==(const BatchTaken&, const BatchTaken&) = default;
};
/// To a neighbour that named it. The answer is the batch with an empty range.
struct Pull {
  BatchId id;
  friend bool operator==(const Pull&, const Pull&) = default;
};

// ---- Classic ----
enum class Stage : std::uint8_t {
  kReport,    // to the leader of the accused's or returned one's slice, by whoever saw it
  kExchange,  // between leaders of slices
  kUnit,      // to the leader of a unit
};
struct Relay {
  Token token;
  Stage stage = Stage::kReport;
  CodedEvents events;
  friend bool operator==(const Relay&, const Relay&) = default;
};
struct RelayTaken {
  Token token;
  friend bool operator==(const RelayTaken&, const RelayTaken&) = default;
};

// ---- Repair and joining ----

/// The low 16 bits of the digests of a region's buckets, at most kBucketsMax from `first` on.
/// Answered by States of those that differ.
struct Digests {
  std::uint32_t first = 0;
  std::vector<std::uint16_t> digests;
  friend bool operator==(const Digests&, const Digests&) = default;
};
/// Of a joining peer: those of `count` buckets from `first` on whose digests differ; all if it
/// gives none.
struct Fetch {
  Token token;
  std::uint32_t first = 0;
  std::uint32_t count = 0;
  std::vector<std::uint16_t> digests;  // none or `count`
  friend bool operator==(const Fetch&, const Fetch&) = default;
};
/// Whole buckets: as many as fit. Everything below `next` that was asked for was the same or is
/// here.
struct States {
  enum class Purpose : std::uint8_t { kFetched, kCompared, kReturned };
  Token token;  // of the fetch
  Purpose purpose = Purpose::kFetched;
  std::uint32_t next = 0;
  std::vector<std::uint32_t> buckets;  // ascending
  std::vector<PeerState> states;       // of all their peers
  std::vector<Moved> moved;            // among these, ascending
  friend bool operator==(const States&, const States&) = default;
};

// ---- Lookups ----
struct Lookup {
  Token token;
  Point key = 0;
  std::vector<PeerIndex> without;  // who did not answer, at most kSilentMax: count them as dead
  friend bool operator==(const Lookup&, const Lookup&) = default;
};
/// It is mine.
struct Found {
  Token token;
  friend bool operator==(const Found&, const Found&) = default;
};
/// It is that of the last one here; all between the key and that one, as far as they fit.
struct Redirect {
  Token token;
  std::vector<Told> changes;
  friend bool operator==(const Redirect&, const Redirect&) = default;
};

using Datagram = std::variant<KeepAlive, Tell, Ping, Pong, Suspect, Verdict, Announce, Announced,
                              Batch, BatchTaken, Pull, Relay, RelayTaken, Digests, Fetch, States,
                              Lookup, Found, Redirect>;

/// Appends to `out`. Requires: within the limits above.
void encode(const Datagram& datagram, Bytes& out);
/// A batch whose events are encoded already.
void encode_batch(BatchId id, IndexRange range, ByteView coded, Bytes& out);

/// Nothing for what is over a limit, names a peer that a roster of `peer_count` has not, or is not
/// what encode() makes.
std::optional<Datagram> decode(ByteView bytes, std::uint32_t peer_count);

/// What a datagram is for, to count bytes by.
enum class Traffic : std::uint8_t { kMaintenance, kJoin, kLookup };
inline constexpr std::size_t kTrafficKinds = 3;
Traffic traffic_of(ByteView encoded);

}  // namespace rosebud::routing
