#include "crypto/remembering_scheme.h"

#include <bit>

#include "base/check.h"

namespace rosebud::crypto {
namespace {

Digest name_of(const PublicKey& key, std::string_view tag, ByteView message,
               const Signature& signature) {
  return Hasher("rosebud verified signature")
      .update(key.view())
      .update(signature.view())
      .update_u64(tag.size())
      .update(as_bytes(tag))
      .update(message)
      .finish();
}

}  // namespace

RememberingScheme::RememberingScheme(const SignatureScheme& inner, std::size_t slots)
    : inner_(inner), slots_(slots) {
  CHECK(std::has_single_bit(slots));
  CHECK(slots >= kStripes);
}

Signature RememberingScheme::sign(const SecretKey& key, std::string_view tag,
                                  ByteView message) const {
  const Signature out = inner_.sign(key, tag, message);
  remember(name_of(key.public_key(), tag, message, out));
  return out;
}

bool RememberingScheme::verify(const PublicKey& key, std::string_view tag, ByteView message,
                               const Signature& signature) const noexcept {
  const Digest what = name_of(key, tag, message, signature);
  if (is_known(what)) return true;
  if (!inner_.verify(key, tag, message, signature)) return false;
  remember(what);
  return true;
}

std::size_t RememberingScheme::slot_of(const Digest& what) const {
  std::size_t number = 0;
  for (std::size_t i = 0; i < sizeof number; ++i) number = number << 8 | what.bytes[i];
  return number & (slots_.size() - 1);
}

bool RememberingScheme::is_known(const Digest& what) const {
  const std::size_t slot = slot_of(what);
  const std::lock_guard lock(mutexes_[slot % kStripes]);
  return slots_[slot] == what;
}

void RememberingScheme::remember(const Digest& what) const {
  const std::size_t slot = slot_of(what);
  const std::lock_guard lock(mutexes_[slot % kStripes]);
  slots_[slot] = what;
}

}  // namespace rosebud::crypto
