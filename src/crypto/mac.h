// Message authentication codes: what shows a message to come from somebody who shares a key, to the
// other one who shares it and to nobody else. Costs less than a microsecond; a signature 40.
#pragma once

#include "crypto/hash.h"

namespace rosebud::crypto {

/// Of one purpose and one pair: see SharedSecret in signature.h.
using MacKey = FixedBytes<32, struct MacKeyTag>;
using Mac = FixedBytes<16, struct MacTag>;

/// Keyed BLAKE2b with 16 bytes of output, by libsodium. The same in the simulator.
Mac authenticate(const MacKey& key, ByteView message) noexcept;
/// Takes the same time whatever `mac` is.
bool is_valid(const Mac& mac, const MacKey& key, ByteView message) noexcept;

}  // namespace rosebud::crypto
