// Leases of one epoch at one node (design 9.4, membership/lease.h): the newest that it has seen,
// and, at a member, the signatures that make the next.
//
// Members must sign the same bytes: the time of a lease is that of a slot, an eighth of an epoch
// long, in which all of them sign. The other seven let a member be late and a client ask in time.
#pragma once

#include <algorithm>
#include <map>

#include "membership/lease.h"

namespace rosebud::service {

class Leases {
 public:
  /// `scheme` must outlive it.
  Leases(std::shared_ptr<const membership::Configuration> configuration,
         const crypto::SignatureScheme& scheme)
      : configuration_(std::move(configuration)), scheme_(scheme) {}

  /// The end of the lease that a member signs now: once each slot, and again every few seconds as
  /// long as none came of it, since others may have entered the epoch later. Nothing where the
  /// settings want no leases. `now`: of the member's own clock.
  std::optional<Timestamp> due(Timestamp now);
  membership::SeatSignature sign(Timestamp until, std::uint16_t seat,
                                 const crypto::SecretKey& epoch_key) const;
  /// A signature of the lease until then. The whole lease, when it makes it. Bounded: what is
  /// further off than clocks may be apart is passed over.
  std::optional<Buffer> add(Timestamp now, Timestamp until,
                            const membership::SeatSignature& signature);
  /// A whole lease from somebody. False: it is none of this epoch. One that is no news is not
  /// looked at further.
  [[nodiscard]] bool take(const Buffer& lease);

  /// The newest; empty: none yet.
  const Buffer& newest() const { return newest_; }
  Timestamp until() const { return until_; }

 private:
  bool is_near(Timestamp now, Timestamp until) const;
  std::uint64_t length() const { return configuration_->settings().epoch_seconds; }
  std::uint64_t slot_length() const { return std::max<std::uint64_t>(length() / 8, 1); }

  std::shared_ptr<const membership::Configuration> configuration_;
  const crypto::SignatureScheme& scheme_;
  Buffer newest_;
  Timestamp until_;
  Timestamp signed_until_;
  Timestamp signed_at_;
  std::map<Timestamp, membership::SignedLease> shares_;
};

}  // namespace rosebud::service
