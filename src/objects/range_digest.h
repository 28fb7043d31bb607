// Fingerprints for range-based set reconciliation: what two replicas compare instead of lists.
//
// A fingerprint is the SHA-256 over the entries of a range in order, never a XOR: entries that an
// attacker chooses must not be able to cancel out ([RBSR], docs/references.md). A range that
// differs is cut into kRangePartsMax equal parts of the key space; keys are hashes, so parts hold
// about equally many entries. One pass computes the whole:
//
//     entries of a part in one leaf  ─▶  cell      leaves are fixed (leaf_digests.h), so the cell
//     of cells that are not empty       ─▶  part      a whole leaf may be known from an earlier
//     pass parts                          ─▶  range
#pragma once

#include "objects/leaf_digests.h"
#include "wire/messages.h"

namespace rosebud::objects {

/// Cuts a range into at most kRangePartsMax adjacent ranges of equal width. A range of one key is
/// one part.
std::vector<wire::KeyRange> split(const wire::KeyRange& range);

/// Computes the digest of one range. Ask next_scan(), scan, give the result to add(), until nothing
/// is to be scanned; then finish().
class RangeDigest {
 public:
  /// Entries are listed one by one when there are at most `entries_max` (kRangeEntriesMax at most).
  /// `leaves` must outlive it.
  RangeDigest(const wire::KeyRange& range, LeafDigests& leaves, std::size_t entries_max);

  struct Scan {
    wire::KeyRange range;
    std::optional<wire::ObjectId> after;
  };
  /// What must be read next, at the moment of the call; nothing when all is known. The scan must be
  /// asked for before any other input is taken.
  std::optional<Scan> next_scan();
  /// Requires: what the last next_scan() asked for.
  void add(const wire::Scanned& scanned);

  /// After the last scan, once.
  struct Summary {
    crypto::Digest fingerprint;
    std::vector<wire::RangePart> parts;     // of split(range)
    std::vector<wire::RangeEntry> entries;  // all of them, or nothing when there are too many
    std::size_t count = 0;
    bool has_all_entries() const { return entries.size() == count; }
  };
  Summary finish();

 private:
  struct Part {
    wire::KeyRange range;
    std::optional<crypto::Hasher> hasher;  // begun with the first entry: most parts are empty
    std::uint32_t count = 0;
  };
  /// The entries of one part in one leaf, as far as they came.
  struct Cell {
    LeafNumber leaf = 0;
    crypto::Hasher hasher;
    std::uint32_t count = 0;
    bool is_whole_leaf = false;
    LeafDigests::Revision since = 0;  // of the scan that showed its first entry
  };

  void take_known();
  wire::KeyRange unknown_run() const;
  void add(const wire::IndexEntry& entry);
  void open_cell(LeafNumber leaf);
  void close_cell();
  void add_to_part(LeafNumber leaf, const LeafDigests::Leaf& cell);
  void fill_empty(LeafNumber end);
  bool is_in_part(const wire::KeyRange& range) const;

  LeafDigests* leaves_;
  std::size_t entries_max_;
  bool uses_known_;
  wire::KeyRange rest_;  // not covered yet; of no meaning when is_done_
  bool is_done_ = false;
  std::optional<Scan> scan_;  // under way
  LeafDigests::Revision since_ = 0;
  LeafNumber next_leaf_ = 0;  // the first that was not begun in this scan
  std::vector<Part> parts_;
  std::size_t part_ = 0;
  std::optional<Cell> cell_;
  std::size_t count_ = 0;
  std::vector<wire::RangeEntry> entries_;
};

}  // namespace rosebud::objects
