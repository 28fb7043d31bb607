#include "wire/ids.h"

#include "base/check.h"

namespace rosebud::wire {

FixedBytes<ObjectId::kSize, ObjectId> ObjectId::encode() const {
  FixedBytes<kSize, ObjectId> out;
  std::memcpy(out.bytes.data(), placement.bytes.data(), 32);
  out.bytes[32] = static_cast<std::uint8_t>(algorithm);
  out.bytes[33] = static_cast<std::uint8_t>(type);
  return out;
}

std::optional<ObjectId> ObjectId::decode(ByteView bytes) {
  if (bytes.size() != kSize) return std::nullopt;
  if (bytes[32] != static_cast<std::uint8_t>(HashAlgorithm::kSha2_256)) return std::nullopt;
  if (bytes[33] != static_cast<std::uint8_t>(ObjectType::kBlock) &&
      bytes[33] != static_cast<std::uint8_t>(ObjectType::kRecord)) {
    return std::nullopt;
  }
  return ObjectId{.placement = *crypto::Digest::from(bytes.first(32)),
                  .algorithm = HashAlgorithm::kSha2_256,
                  .type = static_cast<ObjectType>(bytes[33])};
}

void write(Writer& out, const ConfigurationNumber& number) {
  out.u32(number.generation.value).u64(number.epoch.value);
}

ConfigurationNumber read_number(Reader& in) {
  ConfigurationNumber out;
  out.generation = Generation(in.u32());
  out.epoch = Epoch(in.u64());
  return out;
}

void write(Writer& out, const ObjectId& id) { out.raw(id.encode().view()); }

ObjectId read_object_id(Reader& in) {
  const auto id = ObjectId::decode(in.raw(ObjectId::kSize));
  if (!id) in.fail();
  return id.value_or(ObjectId{});
}

ObjectId record_id(const crypto::PublicKey& owner, ByteView salt) {
  CHECK(salt.size() <= kSaltSizeMax);
  return ObjectId::record(
      crypto::Hasher("rosebud record id 1").update(owner.view()).update(salt).finish());
}

}  // namespace rosebud::wire
