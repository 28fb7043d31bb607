// The words of the protocol as types: views, sequence numbers, replicas, requests, agreed time.
//
// Symbols of [CL99] in brackets. Group size and quorums are in group.h.
#pragma once

#include "base/strong.h"
#include "base/time.h"
#include "crypto/signature.h"

namespace rosebud::pbft {

/// A period with one primary [v]. The group starts in view 0.
using View = Strong<struct ViewTag>;
/// Place of a batch in the order of execution [n]. The first batch has number 1; 0 is the state
/// before it.
using SequenceNumber = Strong<struct SequenceNumberTag>;
/// Seat of a replica in the group, 0 to 3F [i].
using ReplicaId = Strong<struct ReplicaIdTag, std::uint16_t>;
/// A client numbers its requests upwards [t]. By convention microseconds since 1970 of agreed time
/// (client.h), so that a new number is greater than all that were forgotten (client_table.h).
using RequestNumber = Strong<struct RequestNumberTag>;
/// How many votes a replica has signed, this one included; durable, never used twice (recovery.h).
using VoteCounter = Strong<struct VoteCounterTag>;
/// Milliseconds since 1970-01-01 UTC, as the group agrees on them (agreed_time.h).
using AgreedTime = Strong<struct AgreedTimeTag>;
/// Names one group in the world: every signature is bound to it, so that none means anything in
/// another group, cluster or epoch. Chosen by the service that runs on the group.
using InstanceId = FixedBytes<32, struct InstanceIdTag>;
/// A client is its key.
using ClientId = crypto::PublicKey;

/// No request that is executed has this number: with it a client asks which numbers it may take
/// (client.h).
inline constexpr RequestNumber kNumbersQuestion{};

/// What a core is told about time with every input.
struct Now {
  Instant instant;  // for timers
  AgreedTime wall;  // of this replica's own clock: what it holds agreed time against
};

/// Numbers beyond are garbage: no group lives so long.
inline constexpr std::uint64_t kNumberMax = std::uint64_t{1} << 48;

}  // namespace rosebud::pbft
