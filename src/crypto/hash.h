// SHA-256 (FIPS 180-4) and tagged hashes.
//
// Every hash of ours starts with a tag of its own and, where a cluster exists, its id, so that
// bytes made for one purpose or cluster mean nothing in another (design 3.5). Only content ids
// (CIDs) are the plain hash. Backed by OpenSSL, which uses the processor's SHA extensions.
// Thread-safe: no shared state.
#pragma once

#include <string_view>

#include "base/bytes.h"

struct evp_md_ctx_st;  // of OpenSSL

namespace rosebud::crypto {

/// A SHA-256 digest, 32 bytes.
using Digest = FixedBytes<32, struct DigestTag>;

/// The hash of the genesis; the only trust anchor that a client needs (design 3.1).
using ClusterId = FixedBytes<32, struct ClusterIdTag>;

/// Plain SHA-256, as in a CID.
Digest sha256(ByteView bytes);

/// Incremental SHA-256. Movable. After finish() only destruction and assignment are allowed.
class Hasher {
 public:
  Hasher();
  /// Starts with the tag: a length byte, then its characters. Requires: tag.size() < 256.
  explicit Hasher(std::string_view tag);
  Hasher(std::string_view tag, const ClusterId& cluster);
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;

  Hasher& update(ByteView bytes);
  /// Eight bytes, big-endian.
  Hasher& update_u64(std::uint64_t value);
  Digest finish();

 private:
  evp_md_ctx_st* context_;  // ours; none when moved from
};

/// Hasher(tag).update(bytes).finish().
Digest tagged_hash(std::string_view tag, ByteView bytes);

}  // namespace rosebud::crypto
