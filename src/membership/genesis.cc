#include "membership/genesis.h"

#include "base/check.h"

namespace rosebud::membership {
namespace {

constexpr std::uint8_t kLayout = 1;

void write(wire::Writer& out, const Settings& settings) {
  out.u32(settings.faults)
      .u32(settings.cap)
      .u32(settings.service_faults)
      .u8(settings.has_leases ? 1 : 0)
      .u64(settings.epoch_seconds)
      .u32(settings.read_settle_ms)
      .u32(settings.hedge_ms)
      .u64(settings.client_quota_floor_bytes);
}

Settings read_settings(wire::Reader& in) {
  Settings out;
  out.faults = in.u32();
  out.cap = in.u32();
  out.service_faults = in.u32();
  const std::uint8_t has_leases = in.u8();
  if (has_leases > 1) in.fail();
  out.has_leases = has_leases == 1;
  out.epoch_seconds = in.u64();
  out.read_settle_ms = in.u32();
  out.hedge_ms = in.u32();
  out.client_quota_floor_bytes = in.u64();
  return out;
}

void write(wire::Writer& out, const Node& node) {
  out.text(node.name)
      .raw(node.key.view())
      .u32(node.organisation)
      .raw(node.directory.view())
      .text(node.address)
      .u64(node.capacity_bytes)
      .u32(node.position_count);
}

Node read_node(wire::Reader& in) {
  Node out;
  out.name = in.text(wire::kNameSizeMax);
  out.key = in.fixed<wire::NodeKey>();
  out.organisation = in.u32();
  out.directory = in.fixed<wire::DirectoryId>();
  out.address = in.text(kAddressSizeMax);
  out.capacity_bytes = in.u64();
  out.position_count = in.u32();
  return out;
}

Explained not_valid(std::string what) {
  return {.what = "the genesis is not valid: " + std::move(what),
          .cause = "it was changed after it was signed, or not all organisations signed the same",
          .next = "get the cluster's genesis file again from an organisation that you trust"};
}

}  // namespace

crypto::Digest Genesis::randomness() const {
  crypto::Hasher hasher("rosebud genesis randomness 1");
  for (const auto& reveal : reveals) hasher.update(reveal.view());
  return hasher.finish();
}

crypto::Digest commitment_of(const crypto::Digest& reveal) {
  return crypto::tagged_hash("rosebud commitment 1", reveal.view());
}

Bytes Genesis::encode() const {
  CHECK(reveals.size() == organisations.size());
  wire::Writer out;
  out.u8(kLayout).u64(start.value).u64(end.value);
  write(out, settings);
  out.u16(static_cast<std::uint16_t>(organisations.size()));
  for (std::size_t i = 0; i < organisations.size(); ++i) {
    out.text(organisations[i].name)
        .raw(organisations[i].authority.view())
        .u64(organisations[i].quota_bytes)
        .raw(reveals[i].view());
  }
  out.u16(static_cast<std::uint16_t>(nodes.size()));
  for (const Node& node : nodes) write(out, node);
  out.u16(static_cast<std::uint16_t>(service.size()));
  for (const ServiceMember& member : service) out.u32(member.node).raw(member.epoch_key.view());
  return out.take();
}

std::optional<Genesis> Genesis::decode(ByteView bytes) {
  wire::Reader in(bytes);
  Genesis out;
  if (in.u8() != kLayout) return std::nullopt;
  out.start = Timestamp(in.u64());
  out.end = Timestamp(in.u64());
  out.settings = read_settings(in);
  const std::size_t organisation_count = in.u16();
  if (organisation_count > kOrganisationsMax) return std::nullopt;
  for (std::size_t i = 0; in.ok() && i < organisation_count; ++i) {
    Organisation organisation;
    organisation.name = in.text(wire::kNameSizeMax);
    organisation.authority = in.fixed<crypto::PublicKey>();
    organisation.quota_bytes = in.u64();
    out.organisations.push_back(std::move(organisation));
    out.reveals.push_back(in.fixed<crypto::Digest>());
  }
  const std::size_t node_count = in.u16();
  if (node_count > kNodesMax) return std::nullopt;
  for (std::size_t i = 0; in.ok() && i < node_count; ++i) out.nodes.push_back(read_node(in));
  const std::size_t member_count = in.u16();
  if (member_count > node_count) return std::nullopt;
  for (std::size_t i = 0; in.ok() && i < member_count; ++i) {
    ServiceMember member;
    member.node = in.u32();
    member.epoch_key = in.fixed<crypto::PublicKey>();
    if (member.node >= node_count) in.fail();
    out.service.push_back(member);
  }
  if (!in.done()) return std::nullopt;
  for (Node& node : out.nodes) node.admission_randomness = out.randomness();
  return out;
}

crypto::ClusterId SignedGenesis::cluster() const {
  return *crypto::ClusterId::from(crypto::sha256(genesis).view());
}

Bytes SignedGenesis::encode() const {
  wire::Writer out;
  out.bytes32(genesis).u16(static_cast<std::uint16_t>(signatures.size()));
  for (const auto& signature : signatures) out.raw(signature.view());
  return out.take();
}

std::optional<SignedGenesis> SignedGenesis::decode(ByteView bytes) {
  wire::Reader in(bytes);
  SignedGenesis out{.genesis = to_bytes(in.bytes32(kGenesisSizeMax))};
  const std::size_t count = in.u16();
  if (count > kOrganisationsMax) return std::nullopt;
  for (std::size_t i = 0; in.ok() && i < count; ++i)
    out.signatures.push_back(in.fixed<crypto::Signature>());
  if (!in.done()) return std::nullopt;
  return out;
}

Result<std::shared_ptr<const Configuration>, Explained> verify_genesis(
    const SignedGenesis& signed_genesis, const std::optional<crypto::ClusterId>& expected,
    const crypto::SignatureScheme& scheme) {
  const crypto::ClusterId cluster = signed_genesis.cluster();
  if (expected && *expected != cluster) {
    return fail(
        Explained{.what = "this genesis is of cluster " + to_hex(cluster.view()) + ", expected " +
                          to_hex(expected->view()),
                  .cause = "the file belongs to another cluster",
                  .next = "get the genesis of the right cluster, or correct the cluster id"});
  }
  auto genesis = Genesis::decode(signed_genesis.genesis);
  if (!genesis) return fail(not_valid("its bytes are not a genesis of a known layout"));
  if (signed_genesis.signatures.size() != genesis->organisations.size()) {
    return fail(not_valid("it needs one signature of each organisation"));
  }
  for (std::size_t i = 0; i < genesis->organisations.size(); ++i) {
    if (!scheme.verify(genesis->organisations[i].authority, Genesis::kTag, signed_genesis.genesis,
                       signed_genesis.signatures[i])) {
      return fail(
          not_valid("organisation '" + genesis->organisations[i].name + "' did not sign it"));
    }
  }
  auto made = Configuration::make({.cluster = cluster,
                                   .number = {wire::Generation(0), wire::Epoch(1)},
                                   .start = genesis->start,
                                   .end = genesis->end,
                                   .randomness = genesis->randomness(),
                                   .settings = genesis->settings,
                                   .organisations = std::move(genesis->organisations),
                                   .nodes = std::move(genesis->nodes),
                                   .signed_description = Buffer(signed_genesis.encode())});
  if (!made) return fail(not_valid(made.error().what));
  return std::move(*made);
}

}  // namespace rosebud::membership
