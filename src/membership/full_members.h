// All that the root of a header commits to, settings, organisations and every node, for whoever has
// a verified header and not the configuration before it: bodies say what changes
// (docs/adr/0018).
//
// It travels in parts of at most kNodesOfPart nodes, each of which anybody can hand over and shows
// by itself that it belongs to the root: what is missing of the tree comes with it. So one liar
// costs its own part, and whoever collects keeps nothing that is not true. The first part says how
// many there are; that of a cluster of up to kNodesOfPart nodes is the only one.
//
// Layout: docs/format/statements.md.
#pragma once

#include "membership/description.h"

namespace rosebud::membership {

/// Of about 300 KB, at most kMembersPartSizeMax: a message carries it.
inline constexpr std::size_t kNodesOfPart = 2048;
inline constexpr std::size_t kMembersPartsMax = kNodesMax / kNodesOfPart;
inline constexpr std::size_t kMembersPartSizeMax = 640U << 10;

/// Parts of so many nodes.
constexpr std::size_t members_parts_count(std::size_t node_count) {
  return node_count == 0 ? 1 : (node_count + kNodesOfPart - 1) / kNodesOfPart;
}

struct MembersPart {
  struct Head {
    Settings settings;
    std::vector<Organisation> organisations;
    std::uint32_t node_count = 0;
    friend bool operator==(const Head&, const Head&) = default;
  };

  std::uint16_t index = 0;
  std::optional<Head> head;  // of part 0 alone
  std::vector<Node> nodes;   // from index * kNodesOfPart on
  std::vector<crypto::Digest> proof;

  /// Requires: index < members_parts_count().
  static MembersPart of(const Configuration& configuration, std::size_t index);

  Bytes encode() const;
  static std::optional<MembersPart> decode(ByteView bytes);
  friend bool operator==(const MembersPart&, const MembersPart&) = default;
};

struct FullMembers {
  Settings settings;
  std::vector<Organisation> organisations;
  std::vector<Node> nodes;

  static FullMembers of(const Configuration& configuration);
  /// Merkle root over settings, organisations and nodes, each with its place.
  crypto::Digest root() const;
  friend bool operator==(const FullMembers&, const FullMembers&) = default;
};

/// Collects the parts that belong to a root, in whatever order they come after the first one.
/// Memory: kNodesMax nodes.
class MembersCollection {
 public:
  /// `root`: of a verified header.
  explicit MembersCollection(const crypto::Digest& root) : root_(root) {}

  /// False: it does not belong to the root, it is there already, or the first is not yet. Nothing
  /// of it is kept then. Costs one hash for each node.
  [[nodiscard]] bool add(ByteView part);
  /// Ascending; the first alone as long as that is missing.
  std::vector<std::uint16_t> missing() const;
  bool is_whole() const { return missing().empty(); }
  /// Requires: is_whole(). Afterwards there is nothing here.
  FullMembers take();

 private:
  crypto::Digest root_;
  std::optional<MembersPart::Head> head_;
  std::map<std::uint16_t, std::vector<Node>> nodes_of_;  // of each part that is there
};

/// The configuration that a verified header and its members make: kImpossible when the two
/// contradict each other. It has no signed description and no recovery: those are said by bodies.
///
/// Who is far behind comes to a configuration this way, over headers alone. It cannot check
/// keeps_positions() then, and relies for that, as for all that changed, on the correct ones among
/// the 2F+1 who signed.
Result<std::shared_ptr<const Configuration>, DescriptionError> configuration_of(
    const DescriptionHeader& header, FullMembers members);

}  // namespace rosebud::membership
