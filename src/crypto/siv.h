// Sealing small messages: AES-128-SIV (RFC 5297), by OpenSSL.
//
// Deterministic: a nonce that comes twice shows that the same message came twice, and nothing else.
// So two lives of one peer may number their datagrams alike, as after a clock was set back.
#pragma once

#include <optional>

#include "base/bytes.h"

namespace rosebud::crypto {

/// Of one purpose, one pair and one direction.
using SealKey = FixedBytes<32, struct SealKeyTag>;

/// What a sealed message is longer.
inline constexpr std::size_t kSivSize = 16;

/// Appends tag ‖ ciphertext of `message` to `out`. `bound` is authenticated with it and not sent.
/// Requires: neither is empty.
void seal(const SealKey& key, ByteView bound, ByteView message, Bytes& out);

/// Nothing when it was not sealed with this key and `bound`. Requires: `bound` is not empty.
std::optional<Bytes> open(const SealKey& key, ByteView bound, ByteView sealed);

}  // namespace rosebud::crypto
