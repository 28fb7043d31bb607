#include "runtime/look_back.h"

#include <algorithm>

#include "membership/header_chain.h"
#include "membership/recovery.h"

namespace rosebud::runtime {

LookBack::Chain LookBack::chain_to_parent(const membership::DescriptionHeader& header,
                                          ByteView description) {
  const Instant began = read_clock_();
  if (began < again_at_ || !is_worth_it(header, description)) return {};
  auto out = files_.load(first_, scheme_, [&](const membership::Configuration& one) {
    return one.header_hash() == header.previous;
  });
  const Instant ended = read_clock_();
  again_at_ = ended + std::max(kLookBackInterval, kLookBackShare * (ended - began));
  if (!out || out->back()->header_hash() != header.previous) return {};
  return std::move(*out);
}

/// Whether organisations have signed it, as the parent's own description in the folder names them.
bool LookBack::is_worth_it(const membership::DescriptionHeader& header,
                           ByteView description) const {
  const auto recovery = membership::SignedDescription::decode(description);
  if (!recovery || header.number.epoch.value < 2) return false;
  if (header.number.epoch.value == 2) {
    const membership::SignedHeader next{.header = recovery->header,
                                        .signatures = recovery->signatures};
    return !membership::HeaderChain(*first_).append(std::span(&next, 1), scheme_).problem;
  }
  const wire::Epoch before(header.number.epoch.value - 1);
  for (const wire::ConfigurationNumber& one : files_.numbers()) {
    if (one.epoch != before) continue;
    const auto bytes = files_.find(one);
    const auto parent = bytes ? membership::SignedDescription::decode(*bytes) : std::nullopt;
    if (!parent || membership::DescriptionHeader::hash_of(parent->header) != header.previous)
      continue;
    if (membership::is_signed_by_organisations_of(*parent, *recovery, scheme_)) return true;
  }
  return false;
}

}  // namespace rosebud::runtime
