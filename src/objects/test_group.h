// One group of four replicas (f = 1), its clients and their statements: what the tests of both
// sides start from.
#pragma once

#include "membership/description.h"
#include "objects/client.h"
#include "objects/replica.h"

namespace rosebud::objects {

inline crypto::SecretKey test_key(std::string_view name) {
  const auto digest = crypto::tagged_hash("rosebud test key", as_bytes(name));
  return crypto::SecretKey::from_seed(*FixedBytes<32, struct crypto::SeedTag>::from(digest.view()));
}

inline constexpr Timestamp kTestExpiry{1'000'000};

/// To a question of a comparison: whoever is asked holds just the same. Nothing: it is none.
inline std::optional<wire::AnswerBody> equal_answer(const wire::RequestBody& question,
                                                    const wire::RangeState& state) {
  if (std::holds_alternative<wire::CompareRange>(question)) return wire::RangeEqual{state};
  const auto* many = std::get_if<wire::CompareRanges>(&question);
  if (!many) return std::nullopt;
  return wire::RangesCompared{{many->ranges.size(), {.state = state, .is_equal = true}}};
}

class TestGroup {
 public:
  static constexpr std::size_t kReplicas = 4;

  /// `positions`: of each node; the more, the more arcs.
  explicit TestGroup(std::uint32_t positions = 1) : position_count(positions) { grow(kReplicas); }

  /// So many nodes there are, each of an organisation of its own.
  void grow(std::size_t count) {
    for (std::size_t i = nodes.size(); i < count; ++i) {
      nodes.push_back(test_key("node" + std::to_string(i)));
      authorities.push_back(test_key("org" + std::to_string(i)));
    }
  }
  /// The first `count` of them are the members; each epoch starts 1000 s after the one before.
  membership::ConfigurationParts parts_of(std::uint64_t epoch, std::size_t count,
                                          std::uint32_t positions) const {
    membership::ConfigurationParts parts;
    parts.number = {wire::Generation(0), wire::Epoch(epoch)};
    parts.start = Timestamp(1000 * epoch);
    for (std::uint32_t i = 0; i < count; ++i) {
      parts.organisations.push_back({.name = "org" + std::to_string(i),
                                     .authority = authorities[i].public_key(),
                                     .quota_bytes = 1ULL << 40});
      parts.nodes.push_back({.name = "node" + std::to_string(i),
                             .key = nodes[i].public_key(),
                             .organisation = i,
                             .address = "10.0.0." + std::to_string(i) + ":1",
                             .position_count = positions});
      parts.nodes.back().directory.bytes[0] = static_cast<std::uint8_t>(i + 1);
    }
    return parts;
  }

  /// The same members in every epoch. Node `lost` has come back with an empty directory.
  std::shared_ptr<const membership::Configuration> configuration(
      std::uint64_t epoch, std::optional<std::size_t> lost = {}, std::uint32_t generation = 0,
      std::shared_ptr<const membership::Recovery> recovery = nullptr) const {
    membership::ConfigurationParts parts = parts_of(epoch, kReplicas, position_count);
    parts.number.generation = wire::Generation(generation);
    parts.recovery = std::move(recovery);
    parts.signed_description = Buffer::copy_of(as_bytes("description " + std::to_string(epoch)));
    if (lost) parts.nodes[*lost].directory.bytes[1] = 1;
    return *membership::Configuration::make(std::move(parts));
  }
  Verifier verifier(std::uint64_t epoch) const {
    return {configuration(epoch), crypto::model_scheme()};
  }

  wire::Hold hold(const crypto::SecretKey& holder, const wire::ObjectId& id, std::uint64_t size,
                  std::uint64_t serial = 1, Timestamp expiry = kTestExpiry) const {
    const crypto::PublicKey organisation = authorities[0].public_key();
    const wire::HoldTree tree({wire::hold_leaf(id, size)});
    return {.statement = wire::sign(crypto::model_scheme(), holder,
                                    wire::HoldStatement{.holder = holder.public_key(),
                                                        .organisation = organisation,
                                                        .serial = serial,
                                                        .expiry = expiry,
                                                        .root = tree.root(),
                                                        .count = 1}),
            .admission = wire::sign(crypto::model_scheme(), authorities[0],
                                    wire::AdmissionStatement{.organisation = organisation,
                                                             .subject = holder.public_key(),
                                                             .capacity_bytes = 1ULL << 40,
                                                             .not_after = kTestExpiry,
                                                             .name = "client"}),
            .size = size};
  }
  wire::Hold hold(const wire::ObjectId& id, std::uint64_t size) const {
    return hold(client, id, size);
  }
  wire::Hold record_hold() const { return hold(record_id(), wire::kRecordValueSizeMax); }

  wire::ObjectId record_id() const {
    return wire::record_id(client.public_key(), as_bytes("notes"));
  }
  wire::SignedRecord record(std::uint64_t version, std::string_view value) const {
    const wire::RecordStatement statement{.owner = client.public_key(),
                                          .salt = to_bytes(as_bytes("notes")),
                                          .version = {version},
                                          .value_size = static_cast<std::uint32_t>(value.size()),
                                          .value_hash = wire::record_value_hash(as_bytes(value))};
    return {.statement = wire::sign(crypto::model_scheme(), client, statement),
            .value = Buffer::copy_of(as_bytes(value))};
  }

  std::uint32_t position_count;
  std::vector<crypto::SecretKey> nodes;
  std::vector<crypto::SecretKey> authorities;
  crypto::SecretKey client = test_key("client");
  const Buffer hello = Buffer::copy_of(as_bytes("hello"));
  const wire::ObjectId block = wire::ObjectId::block(crypto::sha256(as_bytes("hello")));
};

}  // namespace rosebud::objects
