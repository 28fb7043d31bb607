// The small world in which fuzz_replica and fuzz_client play: four organisations with six nodes,
// eight epochs, three clients, a few objects. So few of everything that a random script meets the
// same object, holder, version and epoch again and again. Signatures are the model's: fast, and no
// script guesses one.
#pragma once

#include <algorithm>
#include <map>

#include "objects/replica.h"
#include "objects/test_group.h"
#include "script.h"
#include "wire/codec.h"

namespace rosebud::fuzz {

/// Long, but far from what an Instant can count: 35 years.
inline constexpr Duration kHugeJump{std::int64_t{1} << 50};

class World {
 public:
  static constexpr std::uint64_t kEpochs = 8;
  static constexpr std::size_t kNodes = 6;
  static constexpr std::size_t kClients = 3;
  static constexpr std::size_t kBlocks = 4;
  static constexpr std::size_t kRecords = 3;

  World() {
    plant_bug();
    for (std::size_t i = 0; i < kNodes; ++i)
      nodes.push_back(objects::test_key("node" + std::to_string(i)));
    for (std::size_t i = 0; i < 4; ++i)
      authorities.push_back(objects::test_key("org" + std::to_string(i)));
    for (std::size_t i = 0; i < kClients; ++i)
      clients.push_back(objects::test_key("client" + std::to_string(i)));
    for (std::size_t i = 0; i < kBlocks; ++i) {
      contents.push_back(Buffer(Bytes(i * 40, static_cast<std::uint8_t>(i))));
      ids.push_back(wire::ObjectId::block(crypto::sha256(contents.back().view())));
    }
    for (std::size_t i = 0; i < kRecords; ++i) ids.push_back(record_id(i));
    for (std::uint64_t epoch = 1; epoch <= kEpochs; ++epoch)
      configurations.push_back(make_configuration(epoch));
  }

  static const crypto::SignatureScheme& scheme() { return crypto::model_scheme(); }
  static wire::ConfigurationNumber number(std::uint64_t epoch) {
    return {wire::Generation(0), wire::Epoch(epoch)};
  }
  const std::shared_ptr<const membership::Configuration>& configuration(std::uint64_t epoch) const {
    return configurations[epoch - 1];
  }
  objects::Verifier verifier(std::uint64_t epoch) const { return {configuration(epoch), scheme()}; }

  // ---- Objects ----

  static Bytes salt_of(std::size_t record) {
    return to_bytes(as_bytes("r" + std::to_string(record)));
  }
  /// Two records of one owner, one of another.
  const crypto::SecretKey& owner_of(std::size_t record) const { return clients[record / 2]; }
  wire::ObjectId record_id(std::size_t record) const {
    return wire::record_id(owner_of(record).public_key(), salt_of(record));
  }

  wire::SignedRecord record(const crypto::SecretKey& owner, const Bytes& salt,
                            std::uint64_t version, std::string_view value) const {
    const wire::RecordStatement statement{.owner = owner.public_key(),
                                          .salt = salt,
                                          .version = {version},
                                          .value_size = static_cast<std::uint32_t>(value.size()),
                                          .value_hash = wire::record_value_hash(as_bytes(value))};
    return {.statement = wire::sign(scheme(), owner, statement),
            .value = Buffer::copy_of(as_bytes(value))};
  }
  /// One of eight versions and two values at each of them.
  wire::SignedRecord record(Script& script, const crypto::SecretKey& owner,
                            const Bytes& salt) const {
    const std::uint8_t choice = script.byte();
    wire::SignedRecord out =
        record(owner, salt, 1 + choice % 8, choice & 8 ? "one value" : "another value");
    if (choice >= 0xf0) damage(script, out.statement.statement);
    if (choice >= 0xf8) damage(script, out.statement.signature.bytes);
    return out;
  }

  /// Of one of the clients, under one of four serials and expiries; now and then not a right one.
  wire::Hold hold(Script& script, const wire::ObjectId& id, std::uint64_t size) const {
    const std::uint8_t choice = script.byte();
    constexpr Timestamp kExpiries[] = {objects::kTestExpiry, Timestamp(1500), Timestamp(3500),
                                       objects::kTestExpiry};
    wire::Hold out =
        hold(choice % kClients, id, size, 1 + (choice >> 2) % 4, kExpiries[(choice >> 4) % 4]);
    if (choice < 0xe8) return out;
    switch (script.below(6)) {
      case 0:
        damage(script, out.statement.statement);
        break;
      case 1:
        damage(script, out.statement.signature.bytes);
        break;
      case 2:
        damage(script, out.admission.statement);
        break;
      case 3:
        out.size += script.byte();
        break;
      case 4:
        out.index = script.byte();
        break;
      default:
        out.path.resize(script.below(wire::kHoldPathMax + 1));
    }
    return out;
  }
  wire::Hold hold(std::size_t client, const wire::ObjectId& id, std::uint64_t size,
                  std::uint64_t serial, Timestamp expiry) const {
    // The last client is of another organisation and may hold next to nothing.
    const bool is_poor = client == kClients - 1;
    const crypto::SecretKey& authority = authorities[is_poor ? 1 : 0];
    const wire::HoldTree tree({wire::hold_leaf(id, size)});
    return {.statement = wire::sign(scheme(), clients[client],
                                    wire::HoldStatement{.holder = clients[client].public_key(),
                                                        .organisation = authority.public_key(),
                                                        .serial = serial,
                                                        .expiry = expiry,
                                                        .root = tree.root(),
                                                        .count = 1}),
            .admission =
                wire::sign(scheme(), authority,
                           wire::AdmissionStatement{.organisation = authority.public_key(),
                                                    .subject = clients[client].public_key(),
                                                    .capacity_bytes = is_poor ? 1000 : 1ULL << 40,
                                                    .not_after = objects::kTestExpiry,
                                                    .name = "client"}),
            .size = size};
  }

  /// What a peer may show of one of `ids`; mostly right.
  wire::StoredObject object(Script& script, const wire::ObjectId& id) const {
    const auto at = static_cast<std::size_t>(std::ranges::find(ids, id) - ids.begin());
    wire::StoredObject out{.id = id};
    if (at < kBlocks) {
      out.content = contents[script.rarely(16) ? script.below(kBlocks) : at];
    } else {
      const std::size_t record_index = at < ids.size() ? at - kBlocks : 0;
      const wire::SignedRecord shown =
          record(script, owner_of(record_index), salt_of(record_index));
      out.record = shown.statement;
      out.content = shown.value;
    }
    const std::uint64_t size =
        id.type == wire::ObjectType::kRecord ? wire::kRecordValueSizeMax : out.content.size();
    for (std::size_t count = script.below(4); count > 0; --count) {
      const wire::Hold one = hold(script, id, size);
      // A stranger who does not keep to the order is rare, or nothing else would be seen.
      if (wire::HoldStatement::decode(one.statement.statement) && !script.rarely(16)) {
        objects::add_hold(out, one);
      } else if (script.rarely(2)) {
        out.holds.push_back(one);
      }
    }
    out.is_damaged = script.rarely(32);
    return out;
  }

  static void damage(Script& script, std::span<std::uint8_t> bytes) {
    if (!bytes.empty()) bytes[script.byte() % bytes.size()] ^= script.byte();
  }
  /// Others may share the bytes of a buffer, so the damaged ones are a copy.
  static void damage(Script& script, Buffer& buffer) {
    Bytes bytes = to_bytes(buffer.view());
    damage(script, std::span<std::uint8_t>(bytes));
    buffer = Buffer(std::move(bytes));
  }

  std::vector<crypto::SecretKey> nodes;
  std::vector<crypto::SecretKey> authorities;
  std::vector<crypto::SecretKey> clients;
  std::vector<Buffer> contents;     // of the blocks
  std::vector<wire::ObjectId> ids;  // kBlocks blocks, then kRecords records
  std::vector<std::shared_ptr<const membership::Configuration>> configurations;

 private:
  /// In a build with planted bugs: the one that ROSEBUD_BUG names, to see that it is found.
  static void plant_bug() {
#ifdef ROSEBUD_PLANTED_BUGS
    const char* name = std::getenv("ROSEBUD_BUG");
    if (!name) return;
    for (const auto& [bug, its_name, breaks] : objects::kPlantedBugs) {
      if (its_name == name) plant(bug);
    }
    require(planted_bug<objects::Bug>.has_value(), "ROSEBUD_BUG names a planted bug");
#endif
  }

  /// Nodes 4 and 5 stand beside 0 and 1 in their organisations; in some epochs they, or those, are
  /// not there.
  std::shared_ptr<const membership::Configuration> make_configuration(std::uint64_t epoch) const {
    constexpr const char* kMembers[kEpochs] = {"012345", "012345", "0123",   "12345",
                                               "012345", "01235",  "012345", "2345"};
    membership::ConfigurationParts parts;
    parts.number = number(epoch);
    parts.start = Timestamp(1000 * epoch);
    parts.settings.client_quota_floor_bytes = 4000;
    parts.signed_description = Buffer::copy_of(as_bytes("description " + std::to_string(epoch)));
    for (std::uint32_t i = 0; i < authorities.size(); ++i) {
      parts.organisations.push_back({.name = "org" + std::to_string(i),
                                     .authority = authorities[i].public_key(),
                                     .quota_bytes = 1ULL << 40});
    }
    for (const char* at = kMembers[epoch - 1]; *at; ++at) {
      const auto i = static_cast<std::uint32_t>(*at - '0');
      membership::Node node{.name = "node" + std::to_string(i),
                            .key = nodes[i].public_key(),
                            .organisation = i % 4,
                            .address = "10.0.0." + std::to_string(i) + ":1",
                            .position_count = 1};
      node.directory.bytes[0] = static_cast<std::uint8_t>(i + 1);
      parts.nodes.push_back(std::move(node));
    }
    return *membership::Configuration::make(std::move(parts));
  }
};

}  // namespace rosebud::fuzz
