// Chains of any length that start from a TestCluster: what tests, fuzz targets, benchmarks and
// tools of tests verify.
#pragma once

#include "base/check.h"
#include "membership/epoch_file.h"
#include "membership/test_cluster.h"

namespace rosebud::membership {

/// F = 1, four seats that all sign, an hour for each epoch; every epoch has epoch keys of its own.
/// The same calls make the same chain.
class TestChain {
 public:
  explicit TestChain(const crypto::SignatureScheme& scheme = crypto::model_scheme())
      : cluster(scheme), tip_(cluster.first()), keys_(cluster.epoch_keys) {}

  /// The epoch after the last one, with everything carried over.
  SignedDescription next() {
    NextEpoch plan = same_again(*tip_);
    const std::uint64_t epoch = tip_->number().epoch.value + 1;
    plan.start = Timestamp(tip_->start().value + 3600);
    plan.end = Timestamp(plan.start.value + 3 * 3600);
    plan.randomness = crypto::tagged_hash("rosebud test R", as_bytes(std::to_string(epoch)));
    std::vector<SeatKey> keys;
    for (std::uint16_t seat = 0; seat < plan.service.size(); ++seat) {
      keys.push_back(
          {.seat = seat, .key = test_key(std::to_string(epoch) + "/" + std::to_string(seat))});
      plan.service[seat].epoch_key = keys.back().key.public_key();
    }
    const Bytes bytes = make_description(*tip_, plan, keys_, cluster.scheme);
    auto made = apply(*tip_, bytes, cluster.scheme);
    CHECK(made.has_value());
    tip_ = std::move(*made);
    keys_ = std::move(keys);
    return *SignedDescription::decode(bytes);
  }

  /// The last epoch made, and the keys that sign the one after it.
  const std::shared_ptr<const Configuration>& tip() const { return tip_; }
  const std::vector<SeatKey>& keys() const { return keys_; }

  const TestCluster cluster;

 private:
  std::shared_ptr<const Configuration> tip_;
  std::vector<SeatKey> keys_;
};

inline SignedHeader without_body(const SignedDescription& description) {
  return {.header = description.header, .signatures = description.signatures};
}

inline FileEpoch with_body(const SignedDescription& description) {
  return {.header = without_body(description), .body = description.body};
}

/// Reads from bytes that outlive it, in pieces of at most `piece_bytes`.
inline ReadBytes reading(ByteView bytes, std::size_t piece_bytes = 1U << 20) {
  return
      [bytes, piece_bytes](std::span<std::uint8_t> into) mutable -> Result<std::size_t, Explained> {
        const std::size_t count = std::min({into.size(), bytes.size(), piece_bytes});
        std::copy_n(bytes.data(), count, into.data());
        bytes = bytes.subspan(count);
        return count;
      };
}

}  // namespace rosebud::membership
