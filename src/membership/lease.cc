#include "membership/lease.h"

#include <algorithm>

#include "membership/parts_internal.h"

namespace rosebud::membership {
namespace {

constexpr std::uint8_t kLayout = 1;

/// All of them: whoever collected them verified each, and a wrong one ends it at once.
bool are_valid(const Configuration& configuration, const SignedLease& lease,
               const crypto::SignatureScheme& scheme) {
  const auto& service = configuration.service();
  return std::ranges::all_of(lease.signatures, [&](const SeatSignature& one) {
    return one.seat < service.size() &&
           scheme.verify(service[one.seat].epoch_key, Lease::kTag, lease.lease, one.signature);
  });
}

}  // namespace

Bytes Lease::encode() const {
  wire::Writer out;
  out.u8(kLayout).raw(cluster.view());
  wire::write(out, number);
  out.raw(header_hash.view()).u64(until.value);
  return out.take();
}

std::optional<Lease> Lease::decode(ByteView bytes) {
  wire::Reader in(bytes);
  if (in.u8() != kLayout) return std::nullopt;
  Lease out{.cluster = in.fixed<crypto::ClusterId>()};
  out.number = wire::read_number(in);
  out.header_hash = in.fixed<crypto::Digest>();
  out.until = Timestamp(in.u64());
  if (!in.done()) return std::nullopt;
  return out;
}

Bytes SignedLease::encode() const {
  wire::Writer out;
  out.bytes16(lease);
  write(out, signatures);
  return out.take();
}

std::optional<SignedLease> SignedLease::decode(ByteView bytes) {
  wire::Reader in(bytes);
  SignedLease out{.lease = to_bytes(in.bytes16(kLeaseSize))};
  out.signatures = read_signatures(in);
  if (!in.done()) return std::nullopt;
  return out;
}

Lease lease_of(const Configuration& configuration, Timestamp until) {
  return {.cluster = configuration.cluster(),
          .number = configuration.number(),
          .header_hash = configuration.header_hash(),
          .until = until};
}

std::optional<Timestamp> stated_end(ByteView signed_lease) {
  const auto whole = SignedLease::decode(signed_lease);
  const auto lease = whole ? Lease::decode(whole->lease) : std::nullopt;
  return lease ? std::optional(lease->until) : std::nullopt;
}

std::optional<Timestamp> check_lease(const Configuration& configuration, ByteView signed_lease,
                                     const crypto::SignatureScheme& scheme) {
  const auto read = SignedLease::decode(signed_lease);
  const auto lease = read ? Lease::decode(read->lease) : std::nullopt;
  if (!lease || *lease != lease_of(configuration, lease->until)) return std::nullopt;
  if (read->signatures.size() < configuration.service_quorum()) return std::nullopt;
  if (!are_valid(configuration, *read, scheme)) return std::nullopt;
  return lease->until;
}

std::optional<Timestamp> usable_until(const Configuration& configuration,
                                      std::optional<Timestamp> leased_until) {
  if (configuration.end().value == 0) return std::nullopt;
  Timestamp until = configuration.end();
  if (configuration.settings().has_leases) {
    const Timestamp said(configuration.start().value + configuration.settings().epoch_seconds);
    until = std::min(until, std::max(said, leased_until.value_or(said)));
  }
  return Timestamp(until.value + kClockBoundSeconds);
}

}  // namespace rosebud::membership
