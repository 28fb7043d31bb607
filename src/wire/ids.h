// What things are called on the wire and on disk: objects, nodes, epochs, requests.
#pragma once

#include "base/strong.h"
#include "base/time.h"
#include "crypto/hash.h"
#include "crypto/signature.h"
#include "wire/cursor.h"

namespace rosebud::wire {

/// Number of an epoch; the genesis is epoch 1. 0 means "none".
using Epoch = Strong<struct EpochTag>;

/// How often the organisations have recovered the configuration service by hand (design 8.6). 0 at
/// the genesis.
using Generation = Strong<struct GenerationTag, std::uint32_t>;

/// Configurations are ordered by (generation, epoch).
struct ConfigurationNumber {
  Generation generation;
  Epoch epoch;
  friend constexpr auto operator<=>(const ConfigurationNumber&,
                                    const ConfigurationNumber&) = default;
};
/// Generation (`u32`), epoch (`u64`): wherever a number stands in what is signed, sent or kept.
void write(Writer& out, const ConfigurationNumber& number);
ConfigurationNumber read_number(Reader& in);

/// Names one request of one sender; the answer repeats it. Unpredictable to others, never used
/// twice by its sender.
using Nonce = Strong<struct NonceTag>;

using NodeKey = crypto::PublicKey;

/// Random name of a data directory, which is the node's incarnation: an empty or foreign directory
/// under a known key is a different one (design 6).
using DirectoryId = FixedBytes<16, struct DirectoryIdTag>;

enum class ObjectType : std::uint8_t {
  kBlock = 1,   // content-hash object
  kRecord = 2,  // public-key object
};

enum class HashAlgorithm : std::uint8_t {
  kSha2_256 = 0x12,  // the multihash code
};

/// Names a stored object. Ordered by placement key first, so that an arc of the ring is one scan.
///
/// Layout, 34 bytes: placement key (32) ‖ hash algorithm (1) ‖ object type (1).
struct ObjectId {
  static constexpr std::size_t kSize = 34;

  crypto::Digest placement;
  HashAlgorithm algorithm = HashAlgorithm::kSha2_256;
  ObjectType type = ObjectType::kBlock;

  friend auto operator<=>(const ObjectId&, const ObjectId&) = default;

  static ObjectId block(const crypto::Digest& digest) {
    return {.placement = digest, .type = ObjectType::kBlock};
  }
  static ObjectId record(const crypto::Digest& digest) {
    return {.placement = digest, .type = ObjectType::kRecord};
  }

  FixedBytes<kSize, ObjectId> encode() const;
  /// Nothing for a wrong length, an unknown algorithm or an unknown type.
  static std::optional<ObjectId> decode(ByteView bytes);
};

void write(Writer& out, const ObjectId& id);
ObjectId read_object_id(Reader& in);

/// Longest salt of a record id, bytes.
inline constexpr std::size_t kSaltSizeMax = 64;

/// The id of the record that `owner` keeps under `salt`: SHA-256(tag ‖ owner ‖ salt) (design 5).
/// Requires: salt.size() <= kSaltSizeMax.
ObjectId record_id(const crypto::PublicKey& owner, ByteView salt);

/// Largest block, bytes (design 5).
inline constexpr std::size_t kBlockSizeMax = 2 * 1024 * 1024;
/// Largest value of a record, bytes (design 5).
inline constexpr std::size_t kRecordValueSizeMax = 64 * 1024;

}  // namespace rosebud::wire
