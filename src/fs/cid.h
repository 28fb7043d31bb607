// Content ids: CIDv1 with SHA-256, as text in base32 (multiformats).
#pragma once

#include <string>

#include "base/result.h"
#include "crypto/hash.h"

namespace rosebud::fs {

enum class Codec : std::uint8_t {
  kRaw = 0x55,    // the bytes of a file, or a piece of them
  kDagPb = 0x70,  // a node with links
};

struct Cid {
  Codec codec = Codec::kRaw;
  crypto::Digest digest;

  friend auto operator<=>(const Cid&, const Cid&) = default;

  static Cid of(Codec codec, ByteView block) { return {codec, crypto::sha256(block)}; }

  /// 36 bytes: version 1, codec, hash function 0x12, length 32, digest.
  Bytes binary() const;
  /// "b" and base32 in lower case.
  std::string text() const;

  static std::optional<Cid> from_binary(ByteView bytes);
  /// Accepts the id alone, "/ipfs/ID" and "ipfs://ID". The error says what is unusual about it.
  static Result<Cid, Explained> parse(std::string_view text);
};

}  // namespace rosebud::fs
