#include "membership/full_members.h"

#include <algorithm>

#include "base/check.h"
#include "membership/parts_internal.h"

namespace rosebud::membership {
namespace {

constexpr std::uint8_t kLayout = 1;
/// Two for each level of a tree over all that there can be.
constexpr std::size_t kProofSizeMax = 2 * 18;
static_assert(1 + kOrganisationsMax + kNodesMax <= std::size_t{1} << 18);

static_assert(kNodesMax % kNodesOfPart == 0);
static_assert(1 + 2 + 61 + 2 + kOrganisationsMax * kOrganisationSizeMax + 4 + 2 +
                  kNodesOfPart * kNodeSizeMax + 1 + kProofSizeMax * 32 <=
              kMembersPartSizeMax);

/// How many nodes a part has.
std::size_t nodes_count_of(std::size_t index, std::size_t node_count) {
  return std::min(kNodesOfPart, node_count - std::min(node_count, index * kNodesOfPart));
}

/// The leaf with which a part begins. The first has what stands before the nodes.
std::size_t first_leaf_of(std::size_t index, std::size_t organisation_count) {
  return index == 0 ? 0 : 1 + organisation_count + index * kNodesOfPart;
}

void add_head(std::vector<crypto::Digest>& leaves, const Settings& settings,
              const std::vector<Organisation>& organisations, std::size_t node_count) {
  leaves.push_back(leaf_of(settings, organisations.size(), node_count));
  for (std::size_t i = 0; i < organisations.size(); ++i) {
    leaves.push_back(leaf_of(organisations[i], i));
  }
}

std::vector<crypto::Digest> leaves_of(const MembersPart& part) {
  std::vector<crypto::Digest> out;
  if (part.head)
    add_head(out, part.head->settings, part.head->organisations, part.head->node_count);
  const std::size_t first = part.index * kNodesOfPart;
  for (std::size_t i = 0; i < part.nodes.size(); ++i) {
    out.push_back(leaf_of(part.nodes[i], first + i));
  }
  return out;
}

/// `head`: of the first part.
bool belongs_to(const crypto::Digest& root, const MembersPart::Head& head,
                const MembersPart& part) {
  if (part.nodes.size() != nodes_count_of(part.index, head.node_count)) return false;
  const std::size_t organisation_count = head.organisations.size();
  return root_with(leaves_of(part), first_leaf_of(part.index, organisation_count),
                   1 + organisation_count + head.node_count, part.proof) == root;
}

}  // namespace

MembersPart MembersPart::of(const Configuration& configuration, std::size_t index) {
  const SharedVector<Node>& nodes = configuration.nodes();
  CHECK(index < members_parts_count(nodes.size()));
  MembersPart out{.index = static_cast<std::uint16_t>(index)};
  if (index == 0) {
    out.head = Head{.settings = configuration.settings(),
                    .organisations = configuration.organisations(),
                    .node_count = static_cast<std::uint32_t>(nodes.size())};
  }
  const auto first = nodes.begin() + static_cast<std::ptrdiff_t>(index * kNodesOfPart);
  const std::size_t count = nodes_count_of(index, nodes.size());
  out.nodes.assign(first, first + static_cast<std::ptrdiff_t>(count));
  const std::size_t organisation_count = configuration.organisations().size();
  const std::size_t before_nodes = index == 0 ? 1 + organisation_count : 0;
  out.proof =
      configuration.tree().proof(first_leaf_of(index, organisation_count), before_nodes + count);
  return out;
}

Bytes MembersPart::encode() const {
  CHECK(head.has_value() == (index == 0));
  CHECK(nodes.size() <= kNodesOfPart);
  CHECK(proof.size() <= kProofSizeMax);
  wire::Writer out;
  out.u8(kLayout).u16(index);
  if (head) {
    write(out, head->settings);
    write(out, head->organisations);
    out.u32(head->node_count);
  }
  out.u16(static_cast<std::uint16_t>(nodes.size()));
  for (const Node& node : nodes) write_admitted(out, node);
  out.u8(static_cast<std::uint8_t>(proof.size()));
  for (const crypto::Digest& one : proof) out.raw(one.view());
  return out.take();
}

std::optional<MembersPart> MembersPart::decode(ByteView bytes) {
  wire::Reader in(bytes);
  if (in.u8() != kLayout) return std::nullopt;
  MembersPart out{.index = in.u16()};
  if (out.index >= kMembersPartsMax) return std::nullopt;
  if (out.index == 0) {
    out.head = MembersPart::Head{};
    out.head->settings = read_settings(in);
    out.head->organisations = read_organisations(in);
    out.head->node_count = in.u32();
    if (out.head->node_count > kNodesMax) return std::nullopt;
  }
  const std::size_t node_count = in.u16();
  if (node_count > kNodesOfPart) return std::nullopt;
  for (std::size_t i = 0; in.ok() && i < node_count; ++i) out.nodes.push_back(read_admitted(in));
  const std::size_t proof_size = in.u8();
  if (proof_size > kProofSizeMax) return std::nullopt;
  for (std::size_t i = 0; in.ok() && i < proof_size; ++i) {
    out.proof.push_back(in.fixed<crypto::Digest>());
  }
  if (!in.done()) return std::nullopt;
  return out;
}

FullMembers FullMembers::of(const Configuration& configuration) {
  return {.settings = configuration.settings(),
          .organisations = configuration.organisations(),
          .nodes = configuration.nodes().to_vector()};
}

crypto::Digest FullMembers::root() const {
  std::vector<crypto::Digest> leaves;
  add_head(leaves, settings, organisations, nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) leaves.push_back(leaf_of(nodes[i], i));
  return MerkleTree(std::move(leaves)).root();
}

bool MembersCollection::add(ByteView bytes) {
  auto part = MembersPart::decode(bytes);
  if (!part || part->head.has_value() == head_.has_value()) return false;
  // That of the first says the counts that it is checked against. They stand in its first leaf, and
  // a tree of another shape has no such leaf.
  if (!belongs_to(root_, head_ ? *head_ : *part->head, *part)) return false;
  if (!nodes_of_.emplace(part->index, std::move(part->nodes)).second) return false;
  if (part->head) head_ = std::move(part->head);
  return true;
}

std::vector<std::uint16_t> MembersCollection::missing() const {
  if (!head_) return {0};
  std::vector<std::uint16_t> out;
  for (std::uint16_t i = 0; i < members_parts_count(head_->node_count); ++i) {
    if (!nodes_of_.contains(i)) out.push_back(i);
  }
  return out;
}

FullMembers MembersCollection::take() {
  CHECK(is_whole());
  FullMembers out{
      .settings = head_->settings, .organisations = std::move(head_->organisations), .nodes = {}};
  out.nodes.reserve(head_->node_count);
  for (auto& [index, nodes] : nodes_of_) {
    out.nodes.insert(out.nodes.end(), std::make_move_iterator(nodes.begin()),
                     std::make_move_iterator(nodes.end()));
    nodes = {};
  }
  head_.reset();
  nodes_of_.clear();
  return out;
}

}  // namespace rosebud::membership
