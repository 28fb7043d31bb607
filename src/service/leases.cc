#include "service/leases.h"

#include "service/planted_bugs.h"

namespace rosebud::service {
namespace {

constexpr std::uint64_t kSignAgainSeconds = 5;

}  // namespace

std::optional<Timestamp> Leases::due(Timestamp now) {
  if (!configuration_->settings().has_leases || length() == 0) return std::nullopt;
  const Timestamp until(now.value / slot_length() * slot_length() + length());
  const bool is_in_vain = until_ < until && now.value >= signed_at_.value + kSignAgainSeconds;
  if (until == signed_until_ && !is_in_vain) return std::nullopt;
  signed_until_ = until;
  signed_at_ = now;
  return until;
}

membership::SeatSignature Leases::sign(Timestamp until, std::uint16_t seat,
                                       const crypto::SecretKey& epoch_key) const {
  return {.seat = seat,
          .signature = scheme_.sign(epoch_key, membership::Lease::kTag,
                                    membership::lease_of(*configuration_, until).encode())};
}

/// The end of a slot that clocks may be in: some ten at a time.
bool Leases::is_near(Timestamp now, Timestamp until) const {
  const std::uint64_t latest =
      now.value + length() + slot_length() + membership::kClockBoundSeconds;
  return until >= now && until.value <= latest && until.value >= length() &&
         (until.value - length()) % slot_length() == 0;
}

std::optional<Buffer> Leases::add(Timestamp now, Timestamp until,
                                  const membership::SeatSignature& signature) {
  const auto& service = configuration_->service();
  if (until <= until_ || !is_near(now, until) || signature.seat >= service.size()) return {};
  const Bytes lease = membership::lease_of(*configuration_, until).encode();
  if (!scheme_.verify(service[signature.seat].epoch_key, membership::Lease::kTag, lease,
                      signature.signature)) {
    return std::nullopt;
  }
  membership::SignedLease& shares = shares_[until];
  shares.lease = lease;
  const auto at = std::ranges::lower_bound(shares.signatures, signature.seat, {},
                                           &membership::SeatSignature::seat);
  if (at == shares.signatures.end() || at->seat != signature.seat) {
    shares.signatures.insert(at, signature);
  }
  const std::size_t quorum =
      configuration_->service_quorum() - (is_planted(Bug::kLeaseByFew) ? 1 : 0);
  if (shares.signatures.size() < quorum) return std::nullopt;
  newest_ = Buffer(shares.encode());
  until_ = until;
  shares_.erase(shares_.begin(), shares_.upper_bound(until));
  return newest_;
}

bool Leases::take(const Buffer& lease) {
  const auto stated = membership::stated_end(lease.view());
  if (!stated) return false;
  if (*stated <= until_) return true;
  const auto until = membership::check_lease(*configuration_, lease.view(), scheme_);
  if (!until) return false;
  newest_ = lease;
  until_ = *until;
  shares_.erase(shares_.begin(), shares_.upper_bound(until_));
  return true;
}

}  // namespace rosebud::service
