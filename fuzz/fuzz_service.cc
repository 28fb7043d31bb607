// The configuration service under any operations of anybody, every signature valid: its state is
// read back from a snapshot, and what it seals is a description that membership accepts. The first
// byte says whether the rest is a script of operations or bytes for the decoders.
#include <algorithm>
#include <cstdlib>
#include <memory>

#include "crypto/believes_everything.h"
#include "membership/test_cluster.h"
#include "service/evidence.h"
#include "service/sealing.h"

namespace {

using namespace rosebud;
using namespace rosebud::service;

const crypto::BelievesEverything kScheme;

void require(bool condition) {
  if (!condition) std::abort();
}

template <typename T>
void decode_canonical(ByteView input) {
  const auto decoded = T::decode(input);
  if (decoded) require(equal(decoded->encode(), input));
}

void fuzz_decoders(ByteView input) {
  decode_canonical<Announcement>(input);
  decode_canonical<Revocation>(input);
  decode_canonical<Carried>(input);
  decode_canonical<State>(input);
  decode_canonical<MemberEvidence>(input);
  static const auto configuration = membership::TestCluster(kScheme).first();
  if (const auto evidence = MemberEvidence::decode(input))
    (void)verify(*evidence, *configuration, kScheme);
  if (const auto operation = decode_operation(input)) require(equal(encode(*operation), input));
}

class Script {
 public:
  explicit Script(ByteView input) : in_(input) {
    membership::TestCluster cluster(kScheme);
    cluster.genesis.settings = {
        .epoch_seconds = 60, .service_term_seconds = 60, .evict_after_seconds = 60};
    for (membership::ServiceMember& member : cluster.genesis.service) {
      const wire::NodeKey& node = cluster.genesis.nodes[member.node].key;
      member.commitment = commitment_of(node, share(node));
    }
    configuration_ = cluster.first();
    for (const auto& authority : cluster.authorities) {
      authorities_.push_back(authority.public_key());
    }
    for (std::size_t n = 0; n < 12; ++n) {
      nodes_.push_back(membership::test_key("node" + std::to_string(n)).public_key());
    }
    machine_ = std::make_unique<Machine>(configuration_, Carried{}, kScheme);
  }

  void run() {
    std::uint64_t now_ms = configuration_->start().value * 1000;
    for (int i = 0; i < 300 && in_.left() > 0; ++i) {
      now_ms += std::uint64_t{in_.u8()} * 500;
      const wire::NodeKey client = node();
      const auto outcome = machine_->execute(pbft::AgreedTime(now_ms), client, operation());
      require(outcome.result.size() == 1);
      Machine copy(configuration_, Carried{}, kScheme);
      require(copy.restore(machine_->snapshot()));
      require(copy.state().encode() == machine_->state().encode());
      if (outcome.is_stop) return check_description();
    }
  }

 private:
  static crypto::Digest share(const wire::NodeKey& node) {
    return crypto::tagged_hash("rosebud test share", node.view());
  }
  const wire::NodeKey& node() { return nodes_[in_.u8() % nodes_.size()]; }
  static wire::SignedBytes signed_bytes(const Bytes& statement) {
    return {.statement = Buffer::copy_of(statement), .signature = {}};
  }

  Bytes operation() {
    switch (in_.u8() % 11) {
      case 0: {
        const wire::NodeKey about = node();
        return encode(Reachability{.node = about, .is_reachable = in_.u8() % 2 == 0});
      }
      case 1: {
        wire::AdmissionStatement statement{
            .cluster = configuration_->cluster(),
            .organisation = authorities_[in_.u8() % authorities_.size()],
            .subject = node(),
            .role = wire::Role::kNode,
            .capacity_bytes = std::uint64_t{in_.u8()} << 28,
            .not_before = Timestamp(1),
            .not_after = Timestamp(in_.u16()),
            .name = "node" + std::to_string(in_.u8() % 16),
            .address = "127.0.0.1:" + std::to_string(in_.u8())};
        statement.directory.bytes[0] = in_.u8();
        return encode(AdmitNode{signed_bytes(statement.encode())});
      }
      case 2:
        return encode(RevokeNode{
            signed_bytes(Revocation{.cluster = configuration_->cluster(),
                                    .organisation = authorities_[in_.u8() % authorities_.size()],
                                    .node = node()}
                             .encode())});
      case 3:
        return encode(PrepareEpoch{});
      case 4: {
        const wire::NodeKey who = node();
        Announcement announcement{
            .cluster = configuration_->cluster(),
            .number = {configuration_->number().generation, configuration_->number().epoch.next()},
            .node = who};
        announcement.commitment.bytes[0] = in_.u8();
        announcement.epoch_key.bytes[0] = in_.u8();
        return encode(Announce{signed_bytes(announcement.encode())});
      }
      case 5:
        return encode(NoAnnouncement{node()});
      case 6: {
        const wire::NodeKey who = node();
        return encode(Reveal{.node = who, .share = share(who)});
      }
      case 7:
        return encode(NoReveal{node()});
      case 8: {
        Complain complaint{.accused = node()};
        complaint.block.placement.bytes[0] = in_.u8();
        return encode(complaint);
      }
      case 9: {
        const wire::NodeKey accused = node();
        return encode(
            Verdict{.accused = accused, .outcome = static_cast<wire::AuditOutcome>(in_.u8() % 3)});
      }
      default: {
        const std::size_t size = std::min<std::size_t>(in_.u8(), in_.left());
        const ByteView raw = in_.raw(size);
        return {raw.begin(), raw.end()};
      }
    }
  }

  void check_description() {
    membership::SignedDescription description = draft(*machine_);
    for (std::uint16_t seat = 0; seat < configuration_->service_quorum(); ++seat) {
      description.signatures.push_back({.seat = seat, .signature = {}});
    }
    require(membership::apply(*configuration_, description.encode(), kScheme).has_value());
  }

  wire::Reader in_;
  std::shared_ptr<const membership::Configuration> configuration_;
  std::vector<crypto::PublicKey> authorities_;
  std::vector<wire::NodeKey> nodes_;
  std::unique_ptr<Machine> machine_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView input(data + 1, size - 1);
  if (data[0] % 4 == 0) {
    fuzz_decoders(input);
  } else {
    Script(input).run();
  }
  return 0;
}
