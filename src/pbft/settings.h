// Limits and times of the replication. Each bound has its reason beside it.
#pragma once

#include <cstddef>

#include "pbft/types.h"

namespace rosebud::pbft {

// ---- What a message may hold: the same at all replicas ----

/// A membership request or a small write; what is larger belongs into the object store.
inline constexpr std::size_t kOperationSizeMax = 64U << 10;
/// Kept per client in the state, for answering again.
inline constexpr std::size_t kResultSizeMax = 64U << 10;
/// One batch: a log of a whole window of them fits into memory.
inline constexpr std::size_t kBatchSizeMax = 1U << 20;
inline constexpr std::size_t kBatchRequestsMax = 4096;
/// A piece of a checkpoint as it is transferred.
inline constexpr std::size_t kChunkSizeMax = 256U << 10;
/// 4 GiB of state; a manifest has 32 bytes for each.
inline constexpr std::size_t kChunksMax = 16384;
/// No group has a greater window: bounds certificates in a view change.
inline constexpr std::size_t kWindowMax = 1024;

/// No group has more seats, F = 21: bounds lists by seat, and sets of them are one word.
inline constexpr std::size_t kSeatsMax = 64;

/// Clients of no group are remembered beyond: with results of full size they are a quarter of the
/// state that a checkpoint may name.
inline constexpr std::size_t kRememberedClientsMax = 16384;
static_assert(kRememberedClientsMax * kResultSizeMax <= kChunksMax * kChunkSizeMax / 4);

/// How a client shows that a request is its own.
enum class RequestAuthentication : std::uint8_t {
  kSignature,    // convinces everybody; a verification of some 40 us at each replica
  kSessionKeys,  // a MAC for each replica, which vouch for it to each other (vouches.h)
};

/// The same at all replicas of a group, since the state depends on them.
struct GroupSettings {
  /// A checkpoint is taken after every so many numbers [CL99 §4.3: 100; §6: 128].
  std::uint64_t checkpoint_interval = 128;
  /// L: numbers between the water marks. At least twice the interval, so that a new checkpoint can
  /// become stable before the window is full.
  std::uint64_t window = 256;
  /// Clients whose last reply is remembered; the longest silent one is forgotten (client_table.h).
  std::size_t clients_max = 1024;
  /// How far a request's number may be ahead of agreed time, so that nobody can raise what is
  /// forgotten beyond what clocks show. At least twice clock_bound_ms, which backups take off.
  std::uint64_t number_ahead_max_ms = 60'000;
  RequestAuthentication request_authentication = RequestAuthentication::kSignature;
};

/// Of one replica; others may choose differently.
struct Settings {
  GroupSettings group;
  /// Requests and instances under way at the primary: enough to fill the pipeline, few enough that
  /// batches grow under load.
  std::uint64_t instances_in_flight_max = 16;
  std::size_t batch_requests_max = 512;
  /// A batch costs every replica two rounds of votes, however small it is. So while this many are
  /// under way a smaller one than this waits, and grows; but where there is room for one no longer
  /// than this after the one before, or on a slow network every request would wait for another
  /// round.
  std::uint64_t small_batches_in_flight_max = 1;
  std::size_t small_batch_requests = 128;
  Duration small_batch_wait = std::chrono::milliseconds(20);
  std::size_t batch_bytes_max = 256U << 10;
  /// Requests that wait here for being ordered, one per client. Beyond: dropped, the client asks
  /// again.
  std::size_t pending_requests_max = 4096;
  std::size_t pending_bytes_max = 64U << 20;
  /// A request that waited so long in view v starts the change to v+1 [CL99 §4.4]. Doubled with
  /// every view change that brought nothing (§4.5.2), at most time_out_doublings_max times.
  Duration request_timeout = std::chrono::milliseconds(1000);
  unsigned time_out_doublings_max = 8;
  /// When the link to the primary breaks, no more than this is waited.
  Duration lost_link_timeout = std::chrono::milliseconds(50);
  /// How often a replica tells how far it is, so that others send again what it lacks: while
  /// something is under way, and when all is still.
  Duration status_interval = std::chrono::milliseconds(100);
  Duration idle_status_interval = std::chrono::milliseconds(1000);
  /// A stable checkpoint that the replica will reach by itself in so long is not fetched.
  Duration transfer_delay = std::chrono::milliseconds(200);
  Duration fetch_timeout = std::chrono::milliseconds(500);
  std::size_t chunks_in_flight_max = 8;
  /// How far the primary's time may be from this replica's clock.
  std::uint64_t clock_bound_ms = 10'000;
  /// What one answer to a status sends again.
  std::size_t help_instances_max = 32;
  /// What one peer may fetch in a status interval: batches, pieces of state. 80 MB/s with the
  /// defaults.
  std::size_t given_bytes_max = 8U << 20;
  /// With session keys: what is vouched for within so long goes in one message, after the first.
  /// It delays a request under load, by at most so much; shorter: more messages.
  Duration vouch_interval = std::chrono::milliseconds(1);
};

}  // namespace rosebud::pbft
