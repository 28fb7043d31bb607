#include "crypto/signature.h"

#include <sodium.h>

#include "base/check.h"

namespace rosebud::crypto {
namespace {

void require_sodium() {
  static const int ready = sodium_init();
  CHECK(ready >= 0);
}

/// The bytes that are signed: length of the tag, tag, message.
Bytes tagged(std::string_view tag, ByteView message) {
  CHECK(tag.size() < 256);
  Bytes out;
  out.reserve(1 + tag.size() + message.size());
  out.push_back(static_cast<std::uint8_t>(tag.size()));
  out.insert(out.end(), tag.begin(), tag.end());
  out.insert(out.end(), message.begin(), message.end());
  return out;
}

class Ed25519 final : public SignatureScheme {
 public:
  Ed25519() { require_sodium(); }

  Signature sign(const SecretKey& key, std::string_view tag, ByteView message) const override {
    std::uint8_t secret[crypto_sign_SECRETKEYBYTES];
    std::memcpy(secret, key.seed().bytes.data(), 32);
    std::memcpy(secret + 32, key.public_key().bytes.data(), 32);
    const Bytes input = tagged(tag, message);
    Signature out;
    CHECK(crypto_sign_detached(out.bytes.data(), nullptr, input.data(), input.size(), secret) == 0);
    sodium_memzero(secret, sizeof secret);
    return out;
  }

  bool verify(const PublicKey& key, std::string_view tag, ByteView message,
              const Signature& signature) const noexcept override {
    const Bytes input = tagged(tag, message);
    return crypto_sign_verify_detached(signature.bytes.data(), input.data(), input.size(),
                                       key.bytes.data()) == 0;
  }
};

class ModelScheme final : public SignatureScheme {
 public:
  Signature sign(const SecretKey& key, std::string_view tag, ByteView message) const override {
    return of(key.public_key(), tag, message);
  }
  bool verify(const PublicKey& key, std::string_view tag, ByteView message,
              const Signature& signature) const noexcept override {
    return of(key, tag, message) == signature;
  }

 private:
  static Signature of(const PublicKey& key, std::string_view tag, ByteView message) {
    const Digest digest =
        Hasher("rosebud model signature").update(key.view()).update(tagged(tag, message)).finish();
    Signature out;
    std::memcpy(out.bytes.data(), digest.bytes.data(), 32);
    return out;
  }
};

}  // namespace

SecretKey SecretKey::generate() {
  FixedBytes<32, struct SeedTag> seed;
  fill_random(seed.bytes);
  return from_seed(seed);
}

SecretKey SecretKey::from_seed(const FixedBytes<32, struct SeedTag>& seed) {
  require_sodium();
  SecretKey out;
  out.seed_ = seed;
  std::uint8_t secret[crypto_sign_SECRETKEYBYTES];
  CHECK(crypto_sign_seed_keypair(out.public_.bytes.data(), secret, seed.bytes.data()) == 0);
  sodium_memzero(secret, sizeof secret);
  return out;
}

SecretKey::~SecretKey() { sodium_memzero(seed_.bytes.data(), seed_.bytes.size()); }

const SignatureScheme& ed25519() {
  static const Ed25519 scheme;
  return scheme;
}

const SignatureScheme& model_scheme() {
  static const ModelScheme scheme;
  return scheme;
}

void fill_random(std::span<std::uint8_t> out) {
  require_sodium();
  randombytes_buf(out.data(), out.size());
}

}  // namespace rosebud::crypto
