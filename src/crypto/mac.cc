#include "crypto/mac.h"

#include <sodium.h>

#include "base/check.h"

namespace rosebud::crypto {

Mac authenticate(const MacKey& key, ByteView message) noexcept {
  Mac out;
  CHECK(crypto_generichash(out.bytes.data(), out.bytes.size(), message.data(), message.size(),
                           key.bytes.data(), key.bytes.size()) == 0);
  return out;
}

bool is_valid(const Mac& mac, const MacKey& key, ByteView message) noexcept {
  const Mac right = authenticate(key, message);
  return sodium_memcmp(mac.bytes.data(), right.bytes.data(), Mac::kSize) == 0;
}

}  // namespace rosebud::crypto
