// Fingerprints of small, fixed intervals of the key space, kept in memory: a comparison of two
// replicas reads from disk only where something changed since the last one.
//
// The key space is cut into 2^18 equal leaves: with ten million objects a write makes 40 of them be
// read again. The fingerprint of a leaf is the SHA-256 over its
// entries in order (range_digest.h); it is known from the end of a scan until a write in the leaf
// begins. A scan that met a write proves nothing of either state, so it leaves nothing here.
#pragma once

#include <map>
#include <vector>

#include "wire/object.h"

namespace rosebud::objects {

using LeafNumber = std::uint32_t;  // 0 .. kLeafCount - 1
inline constexpr unsigned kLeafBits = 18;
inline constexpr LeafNumber kLeafCount = 1U << kLeafBits;

LeafNumber leaf_of(const crypto::Digest& key);
wire::KeyRange leaf_range(LeafNumber leaf);

class LeafDigests {
 public:
  struct Leaf {
    crypto::Digest fingerprint;  // of no meaning when count is 0
    std::uint32_t count = 0;
  };
  /// Moments between changes of the disk: taken before a scan is asked for, given back with what it
  /// showed.
  using Revision = std::uint64_t;
  Revision revision() const { return revision_; }

  /// Around every write of an object, from before it is asked for until it is durable or failed.
  void begin_write(const crypto::Digest& key);
  void end_write(const crypto::Digest& key);

  /// From now on leaves are kept: 12 MB for one who stores the whole key space, so small stores do
  /// without.
  void enable();
  bool is_enabled() const { return !pages_.empty(); }
  /// What a scan showed of the whole leaf that was asked for at `since`.
  void fill(LeafNumber number, const Leaf& leaf, Revision since);

  /// Nothing: it must be scanned. Valid until the next call that is not const.
  const Leaf* known(LeafNumber number) const;
  /// Entries in the known leaves that lie in the range as a whole.
  std::size_t known_entries(const wire::KeyRange& range) const;

 private:
  struct State {
    Leaf leaf;
    bool is_known = false;
    Revision changed = 0;
  };
  static constexpr LeafNumber kPageLeaves = 1U << 12;
  /// Leaves are kept page by page, from the first one of a page that is filled.
  struct Page {
    std::vector<State> leaves;  // empty or kPageLeaves
    Revision changed = 0;       // of any of them, while it is empty
  };
  void change(LeafNumber number);

  std::vector<Page> pages_;  // empty or kLeafCount / kPageLeaves
  std::map<LeafNumber, std::uint32_t> writes_;
  Revision revision_ = 0;
};

}  // namespace rosebud::objects
