#include "membership/genesis.h"

#include "base/check.h"
#include "membership/parts_internal.h"

namespace rosebud::membership {
namespace {

constexpr std::uint8_t kLayout = 1;

Explained not_valid(std::string what) {
  return {.what = "the genesis is not valid: " + std::move(what),
          .cause = "it was changed after it was signed, or not all organisations signed the same",
          .next = "get the cluster's genesis file again from an organisation that you trust"};
}

/// All organisations signed it, and still it cannot work.
Explained cannot_work(std::string what, std::string next) {
  if (next.empty()) next = "correct what it lists and sign a new genesis";
  return {.what = "the genesis is not valid: " + std::move(what),
          .cause = "the organisations signed a plan that cannot work",
          .next = std::move(next)};
}

}  // namespace

crypto::Digest Genesis::randomness() const {
  crypto::Hasher hasher("rosebud genesis randomness 1");
  for (const auto& reveal : reveals) hasher.update(reveal.view());
  return hasher.finish();
}

crypto::Digest commitment_of(const crypto::PublicKey& authority, const crypto::Digest& reveal) {
  return crypto::Hasher("rosebud commitment 1")
      .update(authority.view())
      .update(reveal.view())
      .finish();
}

Bytes Genesis::encode() const {
  CHECK(commitments.size() == organisations.size());
  CHECK(reveals.size() == organisations.size());
  wire::Writer out;
  out.u8(kLayout).u64(start.value).u64(end.value);
  write(out, settings);
  out.u16(static_cast<std::uint16_t>(organisations.size()));
  for (std::size_t i = 0; i < organisations.size(); ++i) {
    write(out, organisations[i]);
    out.raw(commitments[i].view()).raw(reveals[i].view());
  }
  out.u16(static_cast<std::uint16_t>(nodes.size()));
  for (const Node& node : nodes) write(out, node);
  out.u16(static_cast<std::uint16_t>(service.size()));
  for (const ServiceMember& member : service) {
    out.u32(member.node).raw(member.epoch_key.view()).raw(member.commitment.view());
  }
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
    out.organisations.push_back(read_organisation(in));
    out.commitments.push_back(in.fixed<crypto::Digest>());
    out.reveals.push_back(in.fixed<crypto::Digest>());
  }
  const std::size_t node_count = in.u16();
  if (node_count > kGenesisNodesMax) return std::nullopt;
  for (std::size_t i = 0; in.ok() && i < node_count; ++i) out.nodes.push_back(read_node(in));
  const std::size_t member_count = in.u16();
  if (member_count > node_count) return std::nullopt;
  for (std::size_t i = 0; in.ok() && i < member_count; ++i) {
    ServiceMember member;
    member.node = in.u32();
    member.epoch_key = in.fixed<crypto::PublicKey>();
    member.commitment = in.fixed<crypto::Digest>();
    if (member.node >= node_count) in.fail();
    out.service.push_back(member);
  }
  if (!in.done()) return std::nullopt;
  const crypto::Digest randomness = out.randomness();
  for (Node& node : out.nodes) node.admission_randomness = randomness;
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
  for (std::size_t i = 0; i < genesis->organisations.size(); ++i) {
    const Organisation& organisation = genesis->organisations[i];
    if (genesis->commitments[i] != commitment_of(organisation.authority, genesis->reveals[i])) {
      return fail(not_valid("organisation '" + organisation.name +
                            "' opened another value than it had committed to"));
    }
  }
  ConfigurationParts parts{.cluster = cluster,
                           .number = {wire::Generation(0), wire::Epoch(1)},
                           .start = genesis->start,
                           .end = genesis->end,
                           .randomness = genesis->randomness(),
                           .settings = genesis->settings,
                           .organisations = std::move(genesis->organisations),
                           .nodes = std::move(genesis->nodes),
                           .signed_description = Buffer(signed_genesis.encode()),
                           .service = std::move(genesis->service),
                           .header_hash = crypto::sha256(signed_genesis.genesis)};
  if (parts.service.empty()) return fail(cannot_work("it has no configuration service", {}));
  auto made = Configuration::make(std::move(parts));
  if (!made) return fail(cannot_work(made.error().what, made.error().next));
  if ((*made)->filled_seats() < (*made)->group_size()) {
    return fail(cannot_work(
        "its organisations fill only " + std::to_string((*made)->filled_seats()) + " of the " +
            std::to_string((*made)->group_size()) + " seats of a group under the cap",
        "add organisations with nodes, or choose a smaller f"));
  }
  return std::move(*made);
}

}  // namespace rosebud::membership
