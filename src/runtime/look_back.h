// How a node finds the parent of a recovery among the epochs that it has on disk, on whatever
// branch (design 8.6).
//
// Reading a chain costs a verification of each of its epochs, and whoever connects can show a
// description. So it is read only for what the organisations have signed, as the parent's own
// description in the folder names them: that costs at most one verification for each of them, and
// nothing for what nobody has signed.
// What they have signed can be shown again and again: at least kLookBackInterval passes after each
// time, and kLookBackShare times as long as it took.
#pragma once

#include <functional>

#include "runtime/epoch_files.h"

namespace rosebud::runtime {

inline constexpr Duration kLookBackInterval = std::chrono::milliseconds(500);
inline constexpr std::int64_t kLookBackShare = 10;

class LookBack {
 public:
  using Chain = std::vector<std::shared_ptr<const membership::Configuration>>;

  /// `first`: the genesis. Requires: files and scheme outlive it.
  LookBack(std::shared_ptr<const membership::Configuration> first, const EpochFiles& files,
           const crypto::SignatureScheme& scheme, std::function<Instant()> read_clock)
      : first_(std::move(first)),
        files_(files),
        scheme_(scheme),
        read_clock_(std::move(read_clock)) {}

  /// Verified, from the genesis to the parent of this recovery, whose header was not verified.
  /// Empty: epochs are missing on the way there, organisations have not signed it, or the last
  /// look was a moment ago.
  Chain chain_to_parent(const membership::DescriptionHeader& header, ByteView description);

 private:
  bool is_worth_it(const membership::DescriptionHeader& header, ByteView description) const;

  std::shared_ptr<const membership::Configuration> first_;
  const EpochFiles& files_;
  const crypto::SignatureScheme& scheme_;
  std::function<Instant()> read_clock_;
  Instant again_at_;  // not before
};

}  // namespace rosebud::runtime
