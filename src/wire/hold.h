// A hold as it travels and is stored with every object: statement, the client's admission, and the
// path from the object's leaf to the root that the statement signs (design 5).
#pragma once

#include "wire/statement.h"

namespace rosebud::wire {

/// Most leaves of one hold statement: 2^16, so a path has at most 16 steps.
inline constexpr std::uint32_t kHoldLeavesMax = 1U << 16;
inline constexpr std::size_t kHoldPathMax = 16;

/// The Merkle leaf: SHA-256(tag ‖ object id ‖ size). For a record, `size` is kRecordValueSizeMax,
/// whatever its value: its hold names it once for all versions.
crypto::Digest hold_leaf(const ObjectId& id, std::uint64_t size);

/// A binary Merkle tree over leaves; a node without a sibling is carried up unchanged.
class HoldTree {
 public:
  /// Requires: 1 to kHoldLeavesMax leaves.
  explicit HoldTree(std::vector<crypto::Digest> leaves);

  const crypto::Digest& root() const { return levels_.back().front(); }
  /// Siblings from leaf `index` up to the root.
  std::vector<crypto::Digest> path(std::uint32_t index) const;

 private:
  std::vector<std::vector<crypto::Digest>> levels_;  // [0] the leaves, back() the root alone
};

/// True when `leaf` stands at `index` among `count` leaves below `root`.
bool hold_path_leads(const crypto::Digest& leaf, std::uint32_t index, std::uint32_t count,
                     const std::vector<crypto::Digest>& path, const crypto::Digest& root);

/// One hold of one object. `size` and the path say which leaf is meant. Nothing is verified here:
/// objects/verify.h does.
struct Hold {
  SignedBytes statement;  // a HoldStatement, signed by the holder
  SignedBytes admission;  // the holder's AdmissionStatement
  std::uint64_t size = 0;
  std::uint32_t index = 0;
  std::vector<crypto::Digest> path;

  Bytes encode() const;
  static std::optional<Hold> decode(ByteView bytes);
  friend bool operator==(const Hold&, const Hold&) = default;
};

void write(Writer& out, const Hold& hold);
Hold read_hold(Reader& in);

/// Longest encoding of a Hold, bytes.
inline constexpr std::size_t kHoldSizeMax =
    2 * (2 + kStatementSizeMax + 64) + 8 + 4 + 1 + 32 * kHoldPathMax;

}  // namespace rosebud::wire
