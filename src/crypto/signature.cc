#include "crypto/signature.h"

#include <sodium.h>

#include <algorithm>

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

/// As libsodium wants it: the seed, then the public key. 64 bytes at `out`, to be wiped.
void lay_out(const SecretKey& key, std::uint8_t* out) {
  std::memcpy(out, key.seed().bytes.data(), 32);
  std::memcpy(out + 32, key.public_key().bytes.data(), 32);
}

class Ed25519 final : public SignatureScheme {
 public:
  Ed25519() { require_sodium(); }

  Signature sign(const SecretKey& key, std::string_view tag, ByteView message) const override {
    std::uint8_t secret[crypto_sign_SECRETKEYBYTES];
    lay_out(key, secret);
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

  std::optional<SharedSecret> agree(const SecretKey& own,
                                    const PublicKey& other) const noexcept override {
    std::uint8_t point[crypto_scalarmult_BYTES];
    if (crypto_sign_ed25519_pk_to_curve25519(point, other.bytes.data()) != 0) return std::nullopt;
    std::uint8_t secret[crypto_sign_SECRETKEYBYTES];
    lay_out(own, secret);
    std::uint8_t scalar[crypto_scalarmult_SCALARBYTES];
    CHECK(crypto_sign_ed25519_sk_to_curve25519(scalar, secret) == 0);
    SharedSecret out;
    const bool is_agreed = crypto_scalarmult(out.bytes.data(), scalar, point) == 0;
    sodium_memzero(secret, sizeof secret);
    sodium_memzero(scalar, sizeof scalar);
    return is_agreed ? std::optional(out) : std::nullopt;
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
  std::optional<SharedSecret> agree(const SecretKey& own,
                                    const PublicKey& other) const noexcept override {
    const auto [low, high] = std::minmax(own.public_key(), other);
    const Digest secret =
        Hasher("rosebud model secret").update(low.view()).update(high.view()).finish();
    return SharedSecret::from(secret.view());
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
