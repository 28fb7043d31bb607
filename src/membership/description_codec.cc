// Layouts of epoch descriptions, field by field as in docs/format/statements.md.
#include "base/check.h"
#include "membership/description.h"
#include "membership/parts_internal.h"

namespace rosebud::membership {
namespace {

/// Of the header; layout 1 had no F, without which headers alone cannot be verified.
constexpr std::uint8_t kHeaderLayout = 2;
constexpr std::uint8_t kBodyLayout = 2;          // 1 had no revoked organisations
constexpr std::uint8_t kRecoveryBodyLayout = 3;  // 2, and what led to the generation

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

void write_admitted(wire::Writer& out, const Node& node) {
  write(out, node);
  out.raw(node.admission_randomness.view());
}

void write(wire::Writer& out, const Recovery& recovery) {
  CHECK(recovery.statements.size() <= kDescribedNodesMax);
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
  if (statement_count > kDescribedNodesMax) in.fail();
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
  CHECK(organisations.size() <= kOrganisationsMax);
  CHECK(nodes.size() <= kDescribedNodesMax);
  wire::Writer out;
  out.u8(recovery ? kRecoveryBodyLayout : kBodyLayout);
  write(out, settings);
  out.u16(static_cast<std::uint16_t>(organisations.size()));
  for (const Organisation& organisation : organisations) write_in_force(out, organisation);
  out.u16(static_cast<std::uint16_t>(nodes.size()));
  for (const Node& node : nodes) write_admitted(out, node);
  if (recovery) write(out, *recovery);
  return out.take();
}

std::optional<DescriptionBody> DescriptionBody::decode(ByteView bytes) {
  wire::Reader in(bytes);
  DescriptionBody out;
  const std::uint8_t layout = in.u8();
  if (layout != kBodyLayout && layout != kRecoveryBodyLayout) return std::nullopt;
  out.settings = read_settings(in);
  const std::size_t organisation_count = in.u16();
  if (organisation_count > kOrganisationsMax) return std::nullopt;
  for (std::size_t i = 0; in.ok() && i < organisation_count; ++i) {
    out.organisations.push_back(read_in_force(in));
  }
  const std::size_t node_count = in.u16();
  if (node_count > kDescribedNodesMax) return std::nullopt;
  for (std::size_t i = 0; in.ok() && i < node_count; ++i) {
    out.nodes.push_back(read_node(in));
    out.nodes.back().admission_randomness = in.fixed<crypto::Digest>();
  }
  if (layout == kRecoveryBodyLayout) out.recovery = read_recovery(in);
  if (!in.done()) return std::nullopt;
  return out;
}

crypto::Digest DescriptionBody::hash_of(ByteView encoded) {
  return crypto::tagged_hash("rosebud epoch body 1", encoded);
}

crypto::Digest DescriptionBody::root() const {
  std::vector<crypto::Digest> leaves;
  leaves.push_back(leaf_of(settings, organisations.size(), nodes.size()));
  for (std::size_t i = 0; i < organisations.size(); ++i) {
    leaves.push_back(leaf_of(organisations[i], i));
  }
  for (std::size_t i = 0; i < nodes.size(); ++i) leaves.push_back(leaf_of(nodes[i], i));
  return MerkleTree(std::move(leaves)).root();
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
