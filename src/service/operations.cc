#include "service/operations.h"

namespace rosebud::service {
namespace {

constexpr std::uint8_t kLayout = 1;

void write(wire::Writer& out, const Reachability& one) {
  out.raw(one.node.view()).u8(one.is_reachable ? 1 : 0);
}
void write(wire::Writer& out, const AdmitNode& one) { wire::write(out, one.admission); }
void write(wire::Writer& out, const RevokeNode& one) { wire::write(out, one.revocation); }
void write(wire::Writer&, const PrepareEpoch&) {}
void write(wire::Writer& out, const Announce& one) { wire::write(out, one.announcement); }
void write(wire::Writer& out, const NoAnnouncement& one) { out.raw(one.candidate.view()); }
void write(wire::Writer& out, const Reveal& one) { out.raw(one.node.view()).raw(one.share.view()); }
void write(wire::Writer& out, const NoReveal& one) { out.raw(one.node.view()); }
void write(wire::Writer& out, const Enact& one) { write(out, one.decree); }
void write(wire::Writer& out, const RetireNode& one) { wire::write(out, one.retirement); }
void write(wire::Writer& out, const EndEpoch& one) { wire::write(out, one.request); }
void write(wire::Writer& out, const Complain& one) {
  out.raw(one.accused.view());
  wire::write(out, one.block);
}
void write(wire::Writer& out, const Verdict& one) {
  out.raw(one.accused.view()).u8(static_cast<std::uint8_t>(one.outcome));
}

/// Numbers are those of Operation's alternatives, from 1.
std::optional<Operation> read_body(std::uint8_t kind, wire::Reader& in) {
  switch (kind) {
    case 1: {
      Reachability out{.node = in.fixed<wire::NodeKey>()};
      const std::uint8_t flag = in.u8();
      if (flag > 1) in.fail();
      out.is_reachable = flag == 1;
      return out;
    }
    case 2:
      return AdmitNode{wire::read_signed_bytes(in, kStatementSizeMax)};
    case 3:
      return RevokeNode{wire::read_signed_bytes(in, kStatementSizeMax)};
    case 4:
      return PrepareEpoch{};
    case 5:
      return Announce{wire::read_signed_bytes(in, kStatementSizeMax)};
    case 6:
      return NoAnnouncement{in.fixed<wire::NodeKey>()};
    case 7: {
      Reveal out{.node = in.fixed<wire::NodeKey>()};
      out.share = in.fixed<crypto::Digest>();
      return out;
    }
    case 8:
      return NoReveal{in.fixed<wire::NodeKey>()};
    case 9:
      return Enact{read_signed_decree(in)};
    case 10:
      return RetireNode{wire::read_signed_bytes(in, kStatementSizeMax)};
    case 11:
      return EndEpoch{wire::read_signed_bytes(in, kStatementSizeMax)};
    case 12: {
      Complain out{.accused = in.fixed<wire::NodeKey>()};
      out.block = wire::read_object_id(in);
      if (out.block.type != wire::ObjectType::kBlock) in.fail();
      return out;
    }
    case 13: {
      Verdict out{.accused = in.fixed<wire::NodeKey>()};
      const std::uint8_t outcome = in.u8();
      if (outcome > static_cast<std::uint8_t>(wire::AuditOutcome::kFalse)) in.fail();
      out.outcome = static_cast<wire::AuditOutcome>(outcome);
      return out;
    }
    default:
      return std::nullopt;
  }
}

}  // namespace

Bytes Announcement::encode() const {
  wire::Writer out;
  out.u8(kLayout).raw(cluster.view());
  wire::write(out, number);
  out.raw(node.view()).raw(epoch_key.view()).raw(commitment.view());
  return out.take();
}

std::optional<Announcement> Announcement::decode(ByteView bytes) {
  wire::Reader in(bytes);
  if (in.u8() != kLayout) return std::nullopt;
  Announcement out;
  out.cluster = in.fixed<crypto::ClusterId>();
  out.number = wire::read_number(in);
  out.node = in.fixed<wire::NodeKey>();
  out.epoch_key = in.fixed<crypto::PublicKey>();
  out.commitment = in.fixed<crypto::Digest>();
  if (!in.done()) return std::nullopt;
  return out;
}

Bytes Revocation::encode() const {
  return wire::Writer()
      .u8(kLayout)
      .raw(cluster.view())
      .raw(organisation.view())
      .raw(node.view())
      .take();
}

std::optional<Revocation> Revocation::decode(ByteView bytes) {
  wire::Reader in(bytes);
  if (in.u8() != kLayout) return std::nullopt;
  Revocation out;
  out.cluster = in.fixed<crypto::ClusterId>();
  out.organisation = in.fixed<crypto::PublicKey>();
  out.node = in.fixed<wire::NodeKey>();
  if (!in.done()) return std::nullopt;
  return out;
}

Bytes Retirement::encode() const {
  return wire::Writer()
      .u8(kLayout)
      .raw(cluster.view())
      .raw(organisation.view())
      .raw(node.view())
      .u64(not_before.value)
      .take();
}

std::optional<Retirement> Retirement::decode(ByteView bytes) {
  wire::Reader in(bytes);
  if (in.u8() != kLayout) return std::nullopt;
  Retirement out;
  out.cluster = in.fixed<crypto::ClusterId>();
  out.organisation = in.fixed<crypto::PublicKey>();
  out.node = in.fixed<wire::NodeKey>();
  out.not_before = Timestamp(in.u64());
  if (!in.done()) return std::nullopt;
  return out;
}

Bytes EndRequest::encode() const {
  wire::Writer out;
  out.u8(kLayout).raw(cluster.view()).raw(organisation.view());
  wire::write(out, number);
  return out.take();
}

std::optional<EndRequest> EndRequest::decode(ByteView bytes) {
  wire::Reader in(bytes);
  if (in.u8() != kLayout) return std::nullopt;
  EndRequest out;
  out.cluster = in.fixed<crypto::ClusterId>();
  out.organisation = in.fixed<crypto::PublicKey>();
  out.number = wire::read_number(in);
  if (!in.done()) return std::nullopt;
  return out;
}

Bytes encode(const Operation& operation) {
  wire::Writer out;
  out.u8(static_cast<std::uint8_t>(operation.index() + 1));
  std::visit([&](const auto& one) { write(out, one); }, operation);
  return out.take();
}

std::optional<Operation> decode_operation(ByteView bytes) {
  wire::Reader in(bytes);
  const std::uint8_t kind = in.u8();
  std::optional<Operation> out = read_body(kind, in);
  if (!in.done()) return std::nullopt;
  return out;
}

crypto::PublicKey author_of(const Operation& operation) {
  const auto organisation_of = [](const auto& statement) {
    return statement ? statement->organisation : crypto::PublicKey{};
  };
  if (const auto* one = std::get_if<AdmitNode>(&operation))
    return organisation_of(wire::AdmissionStatement::decode(one->admission.statement));
  if (const auto* one = std::get_if<RevokeNode>(&operation))
    return organisation_of(Revocation::decode(one->revocation.statement));
  if (const auto* one = std::get_if<RetireNode>(&operation))
    return organisation_of(Retirement::decode(one->retirement.statement));
  if (const auto* one = std::get_if<EndEpoch>(&operation))
    return organisation_of(EndRequest::decode(one->request.statement));
  return {};
}

std::string_view name_of(const Operation& operation) {
  constexpr std::string_view kNames[] = {
      "reachability",    "admit-node", "revoke-node", "prepare-epoch", "announce",
      "no-announcement", "reveal",     "no-reveal",   "enact",         "retire-node",
      "end-epoch",       "complain",   "verdict"};
  static_assert(std::size(kNames) == std::variant_size_v<Operation>);
  return kNames[operation.index()];
}

}  // namespace rosebud::service
