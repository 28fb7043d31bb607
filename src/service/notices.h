// What nodes tell each other about the service, one way each: no notice is an answer by itself.
//
// They travel in wire::Notice over the link that their sender dialled, so the receiver knows who
// says it. Which epoch is meant stands beside it. Layout: docs/format/service.md.
#pragma once

#include <variant>

#include "membership/description.h"
#include "wire/statement.h"

namespace rosebud::service {

/// Of one member's replica to another's (pbft::encode of a message).
struct Order {
  Buffer message;
};
/// A node asks for an operation: to a member's replica (a pbft::Request).
struct Ask {
  Buffer request;
};
/// A member's replica answers that (a pbft::Reply), to the node that asked.
struct Reply {
  Buffer reply;
};
/// "Are you there?": by a member. The number cannot be guessed.
struct Probe {
  std::uint64_t number = 0;
};
struct Probed {
  std::uint64_t number = 0;
};
/// By a member to a candidate.
struct GetAnnouncement {};
struct Announced {
  wire::SignedBytes announcement;
};
/// "Send me what an epoch handed over": by a member that begins without it.
struct GetState {
  crypto::Digest digest;
};
struct StateFound {
  Buffer state;  // Carried, encoded
};
/// A member's signature of the next description.
struct Signed {
  membership::SeatSignature signature;
};
/// A member's signature of the lease of this epoch until then.
struct LeaseShare {
  Timestamp until;
  membership::SeatSignature signature;
};
/// A lease of this epoch (membership::SignedLease, encoded): by a member to everybody.
struct Leased {
  Buffer lease;
};

using Notice = std::variant<Order, Ask, Reply, Probe, Probed, GetAnnouncement, Announced, GetState,
                            StateFound, Signed, LeaseShare, Leased>;

/// No notice is longer; what would be is not sent.
inline constexpr std::size_t kNoticeSizeMax = 2U << 20;

Buffer encode(const Notice& notice);
std::optional<Notice> decode_notice(const Buffer& bytes);
/// For metrics.
std::string_view name_of(const Notice& notice);

}  // namespace rosebud::service
