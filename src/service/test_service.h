// Epochs of the test cluster (membership/test_cluster.h), ended by hand: operations go straight to
// the machine, as the group would order them.
#pragma once

#include <gtest/gtest.h>

#include <functional>

#include "membership/test_cluster.h"
#include "service/sealing.h"

namespace rosebud::service {

inline crypto::PublicKey node_key(std::size_t n) {
  return membership::test_key("node" + std::to_string(n)).public_key();
}

struct TestService {
  explicit TestService(membership::Settings settings = {.epoch_seconds = 60}) {
    cluster.genesis.settings = settings;
    for (membership::ServiceMember& member : cluster.genesis.service) {
      member.commitment = commitment_of(cluster.genesis.nodes[member.node].key,
                                        share(cluster.genesis.nodes[member.node].key, 1));
    }
    configuration = cluster.first();
    now_ms = configuration->start().value * 1000;
    begin({});
  }

  void begin(Carried carried) {
    machine = std::make_unique<Machine>(configuration, std::move(carried), scheme);
  }

  static std::string text_of(const wire::NodeKey& node, std::uint64_t epoch) {
    return to_hex(node.view()) + "/" + std::to_string(epoch);
  }
  static crypto::Digest share(const wire::NodeKey& node, std::uint64_t epoch) {
    return crypto::tagged_hash("rosebud test share", as_bytes(text_of(node, epoch)));
  }
  static crypto::SecretKey epoch_key(const wire::NodeKey& node, std::uint64_t epoch) {
    return membership::test_key("epoch " + text_of(node, epoch));
  }
  /// Of any node of the tests.
  static crypto::SecretKey secret_of(const wire::NodeKey& node) {
    for (std::size_t n = 0; n < 100; ++n) {
      if (node_key(n) == node) return membership::test_key("node" + std::to_string(n));
    }
    ADD_FAILURE() << "not a node of the tests";
    return membership::test_key("nobody");
  }

  Answer ask(const wire::NodeKey& asker, const Operation& operation) {
    const auto outcome = machine->execute(pbft::AgreedTime(now_ms), asker, encode(operation));
    EXPECT_EQ(outcome.result.size(), 1U);
    EXPECT_EQ(outcome.is_stop, machine->state().phase == Phase::kSealed);
    return static_cast<Answer>(outcome.result.at(0));
  }
  /// Members of the service, by seat.
  std::vector<wire::NodeKey> members() const {
    std::vector<wire::NodeKey> out;
    for (const auto& member : configuration->service()) {
      out.push_back(configuration->nodes()[member.node].key);
    }
    return out;
  }
  /// All members say it, until it is done.
  void all_say(const Operation& operation) {
    for (const wire::NodeKey& member : members()) ask(member, operation);
  }

  std::uint64_t epoch() const { return configuration->number().epoch.value; }

  Announce announcement(const wire::NodeKey& node) const {
    return {wire::sign(scheme, secret_of(node),
                       Announcement{.cluster = configuration->cluster(),
                                    .number = {configuration->number().generation,
                                               configuration->number().epoch.next()},
                                    .node = node,
                                    .epoch_key = epoch_key(node, epoch() + 1).public_key(),
                                    .commitment = commitment_of(node, share(node, epoch() + 1))})};
  }
  AdmitNode admission(std::size_t n, std::uint32_t organisation) const {
    wire::AdmissionStatement statement{
        .cluster = configuration->cluster(),
        .organisation = cluster.authorities[organisation].public_key(),
        .subject = node_key(n),
        .role = wire::Role::kNode,
        .capacity_bytes = 1 << 30,
        .not_before = Timestamp(1),
        .not_after = Timestamp(1'000'000),
        .name = "node" + std::to_string(n),
        .address = "127.0.0.1:" + std::to_string(2000 + n)};
    statement.directory.bytes[0] = static_cast<std::uint8_t>(n);
    return {wire::sign(scheme, cluster.authorities[organisation], statement)};
  }
  /// The same statement with something else in it, signed again.
  AdmitNode changed(const AdmitNode& admission, std::uint32_t organisation,
                    const std::function<void(wire::AdmissionStatement&)>& change) const {
    auto statement = *wire::AdmissionStatement::decode(admission.admission.statement);
    change(statement);
    return {wire::sign(scheme, cluster.authorities[organisation], statement)};
  }
  RevokeNode revocation(std::size_t n, std::uint32_t organisation) const {
    return {wire::sign(scheme, cluster.authorities[organisation],
                       Revocation{.cluster = configuration->cluster(),
                                  .organisation = cluster.authorities[organisation].public_key(),
                                  .node = node_key(n)})};
  }

  std::set<wire::NodeKey> candidates() const {
    std::set<wire::NodeKey> out;
    for (const auto& one : machine->state().candidates) out.insert(one.node);
    return out;
  }
  void announce_all(const std::set<wire::NodeKey>& but = {}) {
    for (const wire::NodeKey& node : candidates()) {
      if (!but.contains(node)) ask(node, announcement(node));
    }
  }
  void reveal_all(const std::set<wire::NodeKey>& but = {}) {
    for (const wire::NodeKey& node : members()) {
      if (!but.contains(node)) ask(node, Reveal{.node = node, .share = share(node, epoch())});
    }
  }
  /// The description, signed by `signers` seats, from the first.
  Bytes signed_description(std::size_t signers = 3) const {
    SignatureShares shares(*configuration, draft(*machine));
    for (std::uint16_t seat = 0; seat < signers; ++seat) {
      const wire::NodeKey node = members().at(seat);
      const crypto::SecretKey key =
          epoch() == 1 ? cluster.epoch_keys[seat].key : epoch_key(node, epoch());
      EXPECT_TRUE(shares.add({.seat = seat,
                              .signature = scheme.sign(key, membership::DescriptionHeader::kTag,
                                                       shares.description().header)},
                             scheme));
    }
    return shares.description().encode();
  }
  /// From the sealed state to the first of the next epoch, as everybody else sees it.
  void enter_next() {
    ASSERT_EQ(machine->state().phase, Phase::kSealed);
    const Bytes carried = handed_over(*machine).encode();
    auto next = membership::apply(*configuration, signed_description(), scheme);
    ASSERT_TRUE(next) << membership::text_of(next.error());
    const auto header = membership::DescriptionHeader::decode(draft(*machine).header);
    EXPECT_EQ(header->state, Carried::digest(carried));
    configuration = *next;
    const auto read = Carried::decode(carried);
    ASSERT_TRUE(read);
    begin(*read);
  }
  void end_epoch() {
    now_ms = (configuration->start().value + configuration->settings().epoch_seconds) * 1000;
    all_say(PrepareEpoch{});
    announce_all();
    reveal_all();
    enter_next();
  }

  const crypto::SignatureScheme& scheme = crypto::model_scheme();
  membership::TestCluster cluster;
  std::shared_ptr<const membership::Configuration> configuration;
  std::unique_ptr<Machine> machine;
  std::uint64_t now_ms = 0;
};

}  // namespace rosebud::service
