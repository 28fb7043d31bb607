#include "membership/header_chain.h"

#include <algorithm>

#include "membership/planted_bugs.h"
#include "membership/recovery.h"

namespace rosebud::membership {
namespace {

std::optional<DescriptionError> problem_of_link(const ChainTip& before,
                                                const DescriptionHeader& header) {
  using enum DescriptionError;
  if (header.cluster != before.cluster) return kOtherCluster;
  if (header.number.generation < before.number.generation) return kNotNewer;
  if (header.number.generation > before.number.generation) {
    if (before.authorities.empty()) return kOtherGeneration;
    // It abandons what followed its parent.
    if (header.number.epoch <= before.number.epoch) return kOtherHistory;
  }
  if (header.number.epoch <= before.number.epoch) return kNotNewer;
  if (header.number.epoch != before.number.epoch.next()) return kGap;
  if (header.previous != before.header_hash) return kOtherHistory;
  return std::nullopt;
}

/// Bad signatures are not counted rather than refused: who hands a header on may have spoilt one,
/// and enough others make it true. Those after a quorum are not looked at.
bool are_enough(std::size_t needed, const std::vector<crypto::PublicKey>& keys,
                std::string_view tag, const SignedHeader& signed_header,
                const crypto::SignatureScheme& scheme) {
  std::size_t valid_count = 0;
  // Ascending, as a decoder demands; a caller's own list must not count one seat twice either.
  std::size_t next_seat = 0;
  for (const SeatSignature& one : signed_header.signatures) {
    if (one.seat < next_seat || one.seat >= keys.size()) continue;
    next_seat = std::size_t{one.seat} + 1;
    if (keys[one.seat].is_zero()) continue;
    if (!scheme.verify(keys[one.seat], tag, signed_header.header, one.signature)) continue;
    if (++valid_count == needed) return true;
  }
  return false;
}

bool has_quorum(const ChainTip& before, const SignedHeader& signed_header,
                const crypto::SignatureScheme& scheme) {
  const std::size_t needed = is_planted(Bug::kFewSignaturesMakeAnEpoch)
                                 ? std::max<std::size_t>(before.service_faults, 1)
                                 : before.quorum();
  return are_enough(needed, before.epoch_keys, DescriptionHeader::kTag, signed_header, scheme);
}

/// More than two thirds of the organisations that have a say (design 8.6).
bool have_organisations_signed(const ChainTip& before, const SignedHeader& signed_header,
                               const crypto::SignatureScheme& scheme) {
  const auto say = static_cast<std::size_t>(std::ranges::count_if(
      before.authorities, [](const crypto::PublicKey& one) { return !one.is_zero(); }));
  return are_enough(more_than_two_thirds(say), before.authorities, kRecoveryHeaderTag,
                    signed_header, scheme);
}

/// No key of a seat stands twice: one in two seats would count twice, and an epoch key that signs
/// other things could not be erased.
bool are_distinct(const std::vector<Seat>& seats) {
  std::vector<crypto::PublicKey> keys;
  keys.reserve(2 * seats.size());
  for (const Seat& seat : seats) {
    keys.push_back(seat.node);
    keys.push_back(seat.epoch_key);
  }
  std::ranges::sort(keys);
  return std::ranges::adjacent_find(keys) == keys.end();
}

bool is_possible(const ChainTip& before, const DescriptionHeader& header) {
  const std::size_t faults = header.service_faults;
  return header.start >= before.start && (header.end.value == 0 || header.end > header.start) &&
         faults <= kFaultsMax && header.seats.size() >= 2 * faults + 1 &&
         header.seats.size() <= 3 * faults + 1 && are_distinct(header.seats);
}

}  // namespace

void for_each_in_order(std::size_t count, const std::function<void(std::size_t)>& work) {
  for (std::size_t i = 0; i < count; ++i) work(i);
}

std::vector<crypto::PublicKey> authorities_in(const std::vector<Organisation>& organisations) {
  std::vector<crypto::PublicKey> out;
  for (const Organisation& one : organisations) {
    out.push_back(one.is_revoked ? crypto::PublicKey{} : one.authority);
  }
  return out;
}

ChainTip ChainTip::of(const Configuration& configuration) {
  ChainTip out{.cluster = configuration.cluster(),
               .number = configuration.number(),
               .start = configuration.start(),
               .end = configuration.end(),
               .header_hash = configuration.header_hash(),
               .service_faults = configuration.settings().service_faults,
               .epoch_keys = {},
               .authorities = authorities_in(configuration.organisations())};
  for (const ServiceMember& member : configuration.service()) {
    out.epoch_keys.push_back(member.epoch_key);
  }
  return out;
}

ChainTip ChainTip::of(const DescriptionHeader& header, ByteView encoded) {
  ChainTip out{.cluster = header.cluster,
               .number = header.number,
               .start = header.start,
               .end = header.end,
               .header_hash = DescriptionHeader::hash_of(encoded),
               .service_faults = header.service_faults,
               .epoch_keys = {},
               .authorities = {}};
  out.epoch_keys.reserve(header.seats.size());
  for (const Seat& seat : header.seats) out.epoch_keys.push_back(seat.epoch_key);
  return out;
}

std::optional<DescriptionError> HeaderChain::problem_of_next(
    const DescriptionHeader& header) const {
  if (const auto problem = problem_of_link(tip_, header)) return problem;
  if (!is_possible(tip_, header)) return DescriptionError::kImpossible;
  return std::nullopt;
}

bool HeaderChain::see_body(const Configuration& configuration) {
  if (configuration.header_hash() != tip_.header_hash) return false;
  tip_ = ChainTip::of(configuration);
  return true;
}

HeaderChain::Appended HeaderChain::append(std::span<const SignedHeader> headers,
                                          const crypto::SignatureScheme& scheme,
                                          const ForEach& for_each) {
  Appended out;
  // First the links, up to the first that breaks: what comes after it hangs on nothing. A header
  // that contradicts itself is still held against its signatures, which say whose fault that is.
  std::vector<ChainTip> tips{tip_};  // tips[i]: what headers[i] is checked against
  std::vector<std::uint8_t> is_recovery_of;
  std::size_t linked_count = 0;
  while (linked_count < headers.size() && !out.problem) {
    auto header = DescriptionHeader::decode(headers[linked_count].header);
    out.problem = header ? problem_of_link(tips.back(), *header)
                         : std::optional(DescriptionError::kMalformed);
    if (out.problem) break;
    ++linked_count;
    const bool is_recovery = header->number.generation != tips.back().number.generation;
    is_recovery_of.push_back(is_recovery ? 1 : 0);
    if (!is_possible(tips.back(), *header)) {
      out.problem = DescriptionError::kImpossible;
      break;
    }
    tips.push_back(ChainTip::of(*header, headers[linked_count - 1].header));
    out.headers.push_back(std::move(*header));
  }

  // One byte each: threads write beside each other.
  std::vector<std::uint8_t> is_signed(linked_count);
  for_each(linked_count, [&](std::size_t i) {
    const bool is_recovery = is_recovery_of[i] != 0;
    const bool is_good = is_recovery ? have_organisations_signed(tips[i], headers[i], scheme)
                                     : has_quorum(tips[i], headers[i], scheme);
    is_signed[i] = is_good ? 1 : 0;
  });

  const auto unsigned_at = std::ranges::find(is_signed, 0);
  if (unsigned_at != is_signed.end()) {
    out.headers.resize(static_cast<std::size_t>(unsigned_at - is_signed.begin()));
    out.problem = DescriptionError::kTooFewSignatures;
  }
  tip_ = std::move(tips[out.headers.size()]);
  return out;
}

}  // namespace rosebud::membership
