// How long a configuration may be relied on (design 9.4).
//
// Whoever answers can leave out the end of a chain of epochs. So a configuration is not used for
// writes and record reads when its time is over, and, where the settings say so, when nobody of
// its service has said lately that it is the newest: a lease, signed by 2F+1 epoch keys. No correct
// member signs a lease of an epoch after it signed what follows.
#pragma once

#include "membership/description.h"

namespace rosebud::membership {

/// "No epoch followed this one when we signed; rely on it until then."
struct Lease {
  static constexpr std::string_view kTag = "rosebud lease 1";

  crypto::ClusterId cluster;
  wire::ConfigurationNumber number;
  crypto::Digest header_hash;  // of its description
  Timestamp until;

  Bytes encode() const;
  static std::optional<Lease> decode(ByteView bytes);
  friend bool operator==(const Lease&, const Lease&) = default;
};

/// As it travels.
struct SignedLease {
  Bytes lease;
  std::vector<SeatSignature> signatures;  // ascending by seat, each seat at most once

  Bytes encode() const;
  static std::optional<SignedLease> decode(ByteView bytes);
  friend bool operator==(const SignedLease&, const SignedLease&) = default;
};

inline constexpr std::size_t kLeaseSize = 1 + 32 + 12 + 32 + 8;
inline constexpr std::size_t kSignedLeaseSizeMax = 2 + kLeaseSize + 2 + kSeatsMax * (2 + 64);

/// How far clocks of people and machines may be apart for all this. Whose clock is further behind
/// relies on a configuration for longer; whose clock is further ahead cannot write.
inline constexpr std::uint64_t kClockBoundSeconds = 10;

/// The lease of `configuration` until `until`.
Lease lease_of(const Configuration& configuration, Timestamp until);

/// Until when it says; nobody has looked at who signed it. Cheap: to pass over what is not newer.
std::optional<Timestamp> stated_end(ByteView signed_lease);

/// Until when, if it is a lease of this configuration with at least 2F+1 signatures, all valid.
std::optional<Timestamp> check_lease(const Configuration& configuration, ByteView signed_lease,
                                     const crypto::SignatureScheme& scheme);

/// When writes and record reads must end, by one's own clock; nothing: never. `leased_until`: of
/// the best lease of it that one has. For one epoch length from its start a configuration needs
/// none: its description says the same with as many signatures.
std::optional<Timestamp> usable_until(const Configuration& configuration,
                                      std::optional<Timestamp> leased_until);

}  // namespace rosebud::membership
