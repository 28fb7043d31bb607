// Layouts of epoch descriptions, field by field as in docs/format/statements.md.
#include <algorithm>

#include "base/check.h"
#include "membership/description.h"
#include "membership/parts_internal.h"

namespace rosebud::membership {
namespace {

/// Of the header; layout 1 had no F, without which headers alone cannot be verified.
constexpr std::uint8_t kHeaderLayout = 2;
/// Layouts 1 to 3 listed all nodes.
constexpr std::uint8_t kBodyLayout = 4;
constexpr std::uint8_t kRecoveryBodyLayout = 5;  // 4, and what led to the generation

// The longest body of an ordinary epoch is no longer than a body may be.
static_assert(1 + 61 + 2 + kOrganisationsMax * kOrganisationSizeMax + 2 + kRemovedNodesMax * 32 +
                  2 + 2 + kPlacedNodesMax * kNodeSizeMax <=
              kDescriptionBodySizeMax);

enum class Leaf : std::uint8_t { kSettings = 0, kOrganisation = 1, kNode = 2 };

crypto::Digest leaf_of(Leaf kind, std::size_t index, const wire::Writer& content) {
  return crypto::Hasher("rosebud configuration leaf 1")
      .update_u64(static_cast<std::uint64_t>(kind))
      .update_u64(index)
      .update(content.bytes())
      .finish();
}

void write_in_force(wire::Writer& out, const Organisation& organisation) {
  write(out, organisation);
  out.u8(organisation.is_revoked ? 1 : 0);
}
Organisation read_in_force(wire::Reader& in) {
  Organisation out = read_organisation(in);
  const std::uint8_t flag = in.u8();
  if (flag > 1) in.fail();
  out.is_revoked = flag == 1;
  return out;
}

using NodesByKey = std::map<wire::NodeKey, Node>;

void write(wire::Writer& out, const NodesByKey& nodes) {
  out.u16(static_cast<std::uint16_t>(nodes.size()));
  for (const auto& [key, node] : nodes) write_admitted(out, node);
}
/// Ascending, so that there is one encoding and no key stands twice.
NodesByKey read_nodes(wire::Reader& in, std::size_t count_max) {
  NodesByKey out;
  const std::size_t count = in.u16();
  if (count > count_max) in.fail();
  for (std::size_t i = 0; in.ok() && i < count; ++i) {
    Node node = read_admitted(in);
    if (!out.empty() && node.key <= out.rbegin()->first) in.fail();
    const wire::NodeKey key = node.key;
    out.emplace_hint(out.end(), key, std::move(node));
  }
  return out;
}

void write(wire::Writer& out, const NodeChanges& changes) {
  CHECK(changes.fits());
  out.u16(static_cast<std::uint16_t>(changes.removed.size()));
  for (const wire::NodeKey& key : changes.removed) out.raw(key.view());
  write(out, changes.changed);
  write(out, changes.added);
}
NodeChanges read_changes(wire::Reader& in) {
  NodeChanges out;
  const std::size_t removed_count = in.u16();
  if (removed_count > kRemovedNodesMax) in.fail();
  for (std::size_t i = 0; in.ok() && i < removed_count; ++i) {
    const auto key = in.fixed<wire::NodeKey>();
    if (!out.removed.empty() && key <= *out.removed.rbegin()) in.fail();
    out.removed.insert(out.removed.end(), key);
  }
  out.changed = read_nodes(in, kPlacedNodesMax);
  out.added = read_nodes(in, kPlacedNodesMax - std::min(out.changed.size(), kPlacedNodesMax));
  return out;
}

void write(wire::Writer& out, const Recovery& recovery) {
  CHECK(recovery.statements.size() <= kRecoveryStatementsMax);
  CHECK(recovery.losses.size() <= kLossesMax);
  out.u16(static_cast<std::uint16_t>(recovery.statements.size()));
  for (const wire::SignedBytes& one : recovery.statements) wire::write(out, one);
  out.u32(static_cast<std::uint32_t>(recovery.losses.size()));
  for (const GroupId& one : recovery.losses) out.raw(one.view());
  out.bytes32(recovery.state);
}
Recovery read_recovery(wire::Reader& in) {
  Recovery out;
  const std::size_t statement_count = in.u16();
  if (statement_count > kRecoveryStatementsMax) in.fail();
  for (std::size_t i = 0; in.ok() && i < statement_count; ++i) {
    out.statements.push_back(wire::read_signed_bytes(in, wire::kStatementSizeMax));
  }
  const std::size_t loss_count = in.u32();
  if (loss_count > kLossesMax) in.fail();
  for (std::size_t i = 0; in.ok() && i < loss_count; ++i) {
    out.losses.push_back(in.fixed<GroupId>());
    if (i > 0 && out.losses[i] <= out.losses[i - 1]) in.fail();
  }
  out.state = to_bytes(in.bytes32(kRecoveredStateSizeMax));
  return out;
}

}  // namespace

void write(wire::Writer& out, const std::vector<Organisation>& organisations) {
  CHECK(organisations.size() <= kOrganisationsMax);
  out.u16(static_cast<std::uint16_t>(organisations.size()));
  for (const Organisation& organisation : organisations) write_in_force(out, organisation);
}

std::vector<Organisation> read_organisations(wire::Reader& in) {
  std::vector<Organisation> out;
  const std::size_t count = in.u16();
  if (count > kOrganisationsMax) in.fail();
  for (std::size_t i = 0; in.ok() && i < count; ++i) out.push_back(read_in_force(in));
  return out;
}

void write_admitted(wire::Writer& out, const Node& node) {
  write(out, node);
  out.raw(node.admission_randomness.view());
}

Node read_admitted(wire::Reader& in) {
  Node out = read_node(in);
  out.admission_randomness = in.fixed<crypto::Digest>();
  return out;
}

crypto::Digest leaf_of(const Settings& settings, std::size_t organisation_count,
                       std::size_t node_count) {
  wire::Writer out;
  write(out, settings);
  out.u64(organisation_count).u64(node_count);
  return leaf_of(Leaf::kSettings, 0, out);
}

crypto::Digest leaf_of(const Organisation& organisation, std::size_t place) {
  wire::Writer out;
  write_in_force(out, organisation);
  return leaf_of(Leaf::kOrganisation, place, out);
}

crypto::Digest leaf_of(const Node& node, std::size_t place) {
  wire::Writer out;
  write_admitted(out, node);
  return leaf_of(Leaf::kNode, place, out);
}

void write(wire::Writer& out, const std::vector<SeatSignature>& signatures) {
  CHECK(signatures.size() <= kSignaturesMax);
  out.u16(static_cast<std::uint16_t>(signatures.size()));
  for (const SeatSignature& one : signatures) out.u16(one.seat).raw(one.signature.view());
}

std::vector<SeatSignature> read_signatures(wire::Reader& in) {
  std::vector<SeatSignature> out;
  const std::size_t count = in.u16();
  if (count > kSignaturesMax) in.fail();
  for (std::size_t i = 0; in.ok() && i < count; ++i) {
    SeatSignature one;
    one.seat = in.u16();
    one.signature = in.fixed<crypto::Signature>();
    // A seat that stood twice would be verified twice and must not count twice.
    if (i > 0 && one.seat <= out.back().seat) in.fail();
    out.push_back(one);
  }
  return out;
}

Bytes DescriptionHeader::encode() const {
  CHECK(seats.size() <= kSeatsMax);
  wire::Writer out;
  out.u8(kHeaderLayout).raw(cluster.view());
  wire::write(out, number);
  out.u64(start.value)
      .u64(end.value)
      .raw(previous.view())
      .raw(members_root.view())
      .raw(state.view())
      .raw(body.view())
      .raw(randomness.view())
      .u32(service_faults)
      .u16(static_cast<std::uint16_t>(seats.size()));
  for (const Seat& seat : seats) {
    out.raw(seat.node.view()).raw(seat.epoch_key.view()).raw(seat.commitment.view());
  }
  return out.take();
}

std::optional<DescriptionHeader> DescriptionHeader::decode(ByteView bytes) {
  wire::Reader in(bytes);
  DescriptionHeader out;
  if (in.u8() != kHeaderLayout) return std::nullopt;
  out.cluster = in.fixed<crypto::ClusterId>();
  out.number = wire::read_number(in);
  out.start = Timestamp(in.u64());
  out.end = Timestamp(in.u64());
  out.previous = in.fixed<crypto::Digest>();
  out.members_root = in.fixed<crypto::Digest>();
  out.state = in.fixed<crypto::Digest>();
  out.body = in.fixed<crypto::Digest>();
  out.randomness = in.fixed<crypto::Digest>();
  out.service_faults = in.u32();
  const std::size_t count = in.u16();
  if (count > kSeatsMax) return std::nullopt;
  for (std::size_t i = 0; in.ok() && i < count; ++i) {
    Seat seat;
    seat.node = in.fixed<wire::NodeKey>();
    seat.epoch_key = in.fixed<crypto::PublicKey>();
    seat.commitment = in.fixed<crypto::Digest>();
    out.seats.push_back(seat);
  }
  if (!in.done()) return std::nullopt;
  return out;
}

crypto::Digest DescriptionHeader::hash_of(ByteView encoded) {
  return crypto::tagged_hash("rosebud epoch header hash 1", encoded);
}

Bytes DescriptionBody::encode() const {
  wire::Writer out;
  out.u8(recovery ? kRecoveryBodyLayout : kBodyLayout);
  write(out, settings);
  write(out, organisations);
  write(out, nodes);
  if (recovery) write(out, *recovery);
  return out.take();
}

std::optional<DescriptionBody> DescriptionBody::decode(ByteView bytes) {
  wire::Reader in(bytes);
  DescriptionBody out;
  const std::uint8_t layout = in.u8();
  if (layout != kBodyLayout && layout != kRecoveryBodyLayout) return std::nullopt;
  out.settings = read_settings(in);
  out.organisations = read_organisations(in);
  out.nodes = read_changes(in);
  if (layout == kRecoveryBodyLayout) out.recovery = read_recovery(in);
  if (!in.done()) return std::nullopt;
  return out;
}

crypto::Digest DescriptionBody::hash_of(ByteView encoded) {
  return crypto::tagged_hash("rosebud epoch body 1", encoded);
}

Bytes SignedHeader::encode() const {
  wire::Writer out;
  out.bytes16(header);
  write(out, signatures);
  return out.take();
}

std::optional<SignedHeader> SignedHeader::decode(ByteView bytes) {
  wire::Reader in(bytes);
  SignedHeader out;
  out.header = to_bytes(in.bytes16(kDescriptionHeaderSizeMax));
  out.signatures = read_signatures(in);
  if (!in.done()) return std::nullopt;
  return out;
}

Bytes SignedDescription::encode() const {
  wire::Writer out;
  out.bytes16(header).bytes32(body);
  write(out, signatures);
  return out.take();
}

std::optional<SignedDescription> SignedDescription::decode(ByteView bytes) {
  wire::Reader in(bytes);
  SignedDescription out;
  out.header = to_bytes(in.bytes16(kDescriptionHeaderSizeMax));
  out.body = to_bytes(in.bytes32(kDescriptionBodySizeMax));
  out.signatures = read_signatures(in);
  if (!in.done()) return std::nullopt;
  return out;
}

std::optional<DescriptionHeader> header_in(ByteView signed_description) {
  // Without a copy of the body: nobody has to have signed it yet.
  wire::Reader in(signed_description);
  const ByteView header = in.bytes16(kDescriptionHeaderSizeMax);
  (void)in.bytes32(kDescriptionBodySizeMax);
  (void)read_signatures(in);
  return in.done() ? DescriptionHeader::decode(header) : std::nullopt;
}

}  // namespace rosebud::membership
