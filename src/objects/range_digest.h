// Fingerprints for range-based set reconciliation: what two replicas compare instead of lists.
//
// A fingerprint is the SHA-256 over the entries of a range in order, never a XOR: entries that an
// attacker chooses must not be able to cancel out ([RBSR], docs/references.md). A range that
// differs is cut into kRangePartsMax equal parts of the key space; keys are hashes, so parts hold
// about equally many entries. One pass over a scan computes the whole.
#pragma once

#include "wire/messages.h"

namespace rosebud::objects {

/// Cuts a range into at most kRangePartsMax adjacent ranges of equal width. A range of one key is
/// one part.
std::vector<wire::KeyRange> split(const wire::KeyRange& range);

/// Collects a scan of one range, entries in order.
class RangeDigest {
 public:
  explicit RangeDigest(const wire::KeyRange& range);

  /// Requires: entries inside the range, ascending.
  void add(const wire::IndexEntry& entry);

  /// After the last entry, once.
  struct Summary {
    crypto::Digest fingerprint;
    std::vector<wire::RangePart> parts;     // of split(range)
    std::vector<wire::RangeEntry> entries;  // all of them when at most kRangeEntriesMax
    std::size_t count = 0;
    bool has_all_entries() const { return entries.size() == count; }
  };
  Summary finish();

 private:
  struct Part {
    wire::KeyRange range;
    crypto::Hasher hasher;
    std::uint32_t count = 0;
  };
  std::vector<Part> parts_;
  std::size_t part_ = 0;
  std::size_t count_ = 0;
  std::vector<wire::RangeEntry> entries_;
};

}  // namespace rosebud::objects
